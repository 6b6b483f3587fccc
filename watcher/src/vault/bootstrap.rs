//! What Vault needs before a job on its cluster can configure it: what is written to it once, and the job.

use renderer::render::RenderedCluster;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::store::{Store, objects};
use crate::cluster::Key;

/// The annotation of the `CronJob` that configures Vault: what has to be written so that it can log in, in YAML.
const NEEDS: &str = "fleetwright/vault-bootstrap";

/// What makes Vault ready for the job that configures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Where Vault is.
    pub store: Store,
    /// The `CronJob` that configures it.
    pub job: Key,
    /// What it needs, in order.
    pub writes: Vec<Write>,
}

/// Values at a path of Vault.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The path, without a slash before it.
    pub path: String,
    /// The values, written as Vault reads them back.
    pub values: Map<String, Value>,
}

impl Bootstrap {
    /// Reads it from what is rendered for a hub; `Err` is what is wrong.
    pub fn read(rendered: &RenderedCluster) -> Result<Self, String> {
        Self::of(Store::of_cluster(rendered), &objects(rendered))
    }

    fn of(store: Option<Store>, objects: &[Value]) -> Result<Self, String> {
        let store = store.ok_or("no secret store in Vault is rendered for it")?;
        let needs = |it: &Value| it["metadata"]["annotations"][NEEDS].as_str().map(str::to_owned);
        let mut jobs = objects.iter().filter(|it| it["kind"] == "CronJob");
        let (job, needs) = jobs
            .find_map(|job| Some((&job["metadata"], needs(job)?)))
            .ok_or_else(|| format!("no CronJob with the annotation `{NEEDS}` is rendered for it"))?;
        let writes =
            serde_yaml::from_str(&needs).map_err(|error| format!("annotation `{NEEDS}`: {error}"))?;
        let text = |key: &str| job[key].as_str().unwrap_or_default().to_owned();
        Ok(Self { store, job: Key { namespace: text("namespace"), name: text("name") }, writes })
    }
}

impl Write {
    /// Returns whether Vault has the values, given its answer to reading the path.
    #[must_use]
    pub fn is_in(&self, answer: &Value) -> bool {
        let data = &answer["data"];
        self.values.iter().all(|(key, value)| data[key] == *value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn store() -> Store {
        Store { server: "https://10.0.0.6:8200".to_owned(), engine: "platform".to_owned() }
    }

    fn job(needs: &str) -> Value {
        json!({
            "kind": "CronJob",
            "metadata": {"name": "configure", "namespace": "vault", "annotations": {NEEDS: needs}},
        })
    }

    #[test]
    fn the_job_says_what_it_needs() {
        let other = json!({"kind": "CronJob", "metadata": {"name": "backup", "namespace": "vault"}});
        let needs = "- path: auth/x/role/y\n  values: {ttl: 600, names: [a]}\n";
        let found = Bootstrap::of(Some(store()), &[other.clone(), job(needs)]).unwrap();
        assert_eq!(found.job.to_string(), "vault/configure");
        let [write] = &found.writes[..] else { panic!("{found:?}") };
        assert!(write.is_in(&json!({"data": {"ttl": 600, "names": ["a"], "more": true}})));
        for data in
            [json!({"ttl": 601, "names": ["a"]}), json!({"ttl": 600, "names": ["a", "b"]}), Value::Null]
        {
            assert!(!write.is_in(&json!({"data": data})), "{data}");
        }
        for (store, objects, reason) in [
            (None, vec![job(needs)], "no secret store in Vault is rendered for it"),
            (
                Some(store()),
                vec![other],
                "no CronJob with the annotation `fleetwright/vault-bootstrap` is rendered for it",
            ),
            (
                Some(store()),
                vec![job("- path: x\n  value: {}\n")],
                "annotation `fleetwright/vault-bootstrap`: ",
            ),
        ] {
            assert!(Bootstrap::of(store, &objects).unwrap_err().starts_with(reason));
        }
    }
}
