//! From merged facts to typed ones. What a schema or a type refuses is reported where it was written, in
//! whatever file that is.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use serde_path_to_error::Segment;

use super::fact::Fact;
use super::facts::ClusterFile;
use super::machines::Node;
use super::model::Cluster;
use super::role::Role;
use super::schemas::CLUSTER_SCHEMA;
use crate::key_path::{Step, key};
use crate::path::{ClusterName, NameError, RepoPath};
use crate::problem::Problem;
use crate::schema::{Schema, Violation};
use crate::snapshot::SourceId;

/// How much a machine takes, as [`Fact::weight`] counts.
const NODE_WEIGHT: usize = 1_024;

/// Judges facts by the schema of a type and reads them as that type, or returns every problem in them.
pub(crate) fn decode<T: DeserializeOwned>(schema: &Schema, origin: &Fact) -> Result<T, Vec<Problem>> {
    let value = origin.to_json();
    let violations = schema.violations(&value);
    if !violations.is_empty() {
        let problems = violations.into_iter().map(|violation| violation_problem(violation, origin));
        return Err(problems.map(|problem| problem.found_by("schema")).collect());
    }
    // A schema that takes more than its type is no reason to lose the place.
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path: Vec<Step> = error.path().iter().filter_map(step).collect();
        vec![Problem::at(origin.place(&path), error.inner().to_string()).found_by("schema")]
    })
}

fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// Returns the problem of a violation, at the place to edit.
pub(crate) fn violation_problem(violation: Violation, origin: &Fact) -> Problem {
    let Violation { path, on_key, missing, message, hint } = violation;
    if let Some(dropped) = missing.and_then(|key| origin.at(&path)?.dropped(&key)) {
        let message = format!("{message}: this `null` drops the inherited one");
        return Problem { hint, ..Problem::at(dropped, message) };
    }
    let place = if on_key { origin.key_place(&path) } else { origin.place(&path) };
    Problem { hint, ..Problem::at(place, message) }
}

/// Reads the merged facts of a cluster, or returns every problem in them.
pub(super) fn cluster(
    name: &ClusterName,
    file: Arc<RepoPath>,
    origin: Fact,
    sources: Vec<(RepoPath, SourceId)>,
) -> Result<Cluster, Vec<Problem>> {
    let facts: ClusterFile = decode(&CLUSTER_SCHEMA, &origin)?;
    let hub = hub_name(name, &facts, &origin).map_err(|problem| vec![problem.found_by("hubs")])?;
    let nodes = facts.machines.nodes(name);
    let view = view(name, &hub, &facts, &nodes);
    let weight = origin.weight() + nodes.len() * NODE_WEIGHT;
    Ok(Cluster { name: name.clone(), hub, file, facts, view, nodes, origin, sources, weight })
}

fn hub_name(name: &ClusterName, facts: &ClusterFile, origin: &Fact) -> Result<ClusterName, Box<Problem>> {
    match (&facts.hub, facts.role) {
        (Some(hub), _) => ClusterName::parse(hub).map_err(|error| {
            Problem::at(origin.place(&[key("hub")]), error.to_string()).hint(NameError::HINT).into()
        }),
        (None, Role::Control) => Ok(name.clone()),
        (None, Role::App) => {
            let place = origin.dropped("hub").unwrap_or_else(|| origin.own_place());
            Err(Problem::at(place, format!("app cluster `{name}` names no `hub`"))
                .hint("write `hub:` with the control cluster that collects its telemetry")
                .into())
        }
    }
}

/// Returns the facts as a template sees them. What has no place for a cluster is left out where it is unknown: a template
/// that needs it fails, instead of inserting nothing.
fn view(name: &ClusterName, hub: &ClusterName, facts: &ClusterFile, nodes: &[Node]) -> Json {
    let mut view = json!(facts);
    view["nodes"] = json!(nodes);
    for (role, group) in facts.machines.groups() {
        view["machines"][role.fact()]["workloads"] = group.takes_workloads(role).into();
    }
    view["name"] = name.as_str().into();
    view["hub"] = hub.as_str().into();
    // What it changes about add-ons is seen in these.
    if let Some(view) = view.as_object_mut() {
        view.retain(|fact, _| !["addons", "publish"].contains(&fact.as_str()));
    }
    view
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::catalog::AddonFile;
    use crate::inventory::{FleetFile, schema_of};

    /// Every fact that can be given, so that each can be given wrongly.
    fn cluster_facts() -> Json {
        json!({
            "role": "app", "hub": "control", "labels": {"region": "eu"},
            "machines": {"image": "24.04", "controlPlane": {"count": 3, "workloads": true, "cpus": 2, "memory": "4Gi",
                "disk": "20Gi", "addresses": ["10.4.0.1-10.4.0.9", "10.4.1.1"]}, "workers": {"count": 6, "addresses": "10.4.2.0/24"}},
            "kubernetes": {"version": "1.36.3"},
            "networks": {"pods": ["10.0.0.0/16", "fd00:1::/56"], "services": "10.1.0.0/16"},
            "loadBalancer": {"pool": ["10.2.0.1-10.2.0.9", "fd00:2::/64"]},
            "apiServer": {"address": "10.3.0.1", "port": 6443},
            "addresses": {"ingress": "10.2.0.1"}, "publish": "chart",
            "addons": {"x": {"enabled": true, "version": "1.2.3", "publish": "manifests", "settings": {"a": 1}, "values": {"b": [1]}}},
        })
    }

    fn fleet_facts() -> Json {
        json!({
            "repository": {"url": "https://git.example.com/x.git", "branch": "main"},
            "charts": {"mirror": "https://m.internal", "exceptions": {"https://a.example.com": "oci://b.internal"}},
            "groups": [{"name": "canary", "clusters": {"roles": ["app"], "labels": {"wave": "1"}, "names": ["a"]}, "soak": "30m"}, {"name": "rest", "paused": true}],
            "storageClass": "fast", "ports": {"loki": 80}, "nodeNetworks": ["10.0.0.0/8"],
            "machines": {"db": {"address": "10.4.0.1", "port": 3306, "metricsPort": 9104, "engine": "mysql", "cpus": 2, "memory": "4Gi", "disk": "9Gi"}},
            "machineImage": "24.04", "domain": "platform.internal",
            "logs": {"tenant": "platform"},
            "backups": {"url": "http://10.4.0.2:9000", "region": "us-east-1", "bucket": "b"},
            "secrets": {"store": "vault", "engine": "platform"}, "trust": {"issuer": "platform"},
            "mesh": {"id": "m", "trustDomain": "m.local", "topology": "primary-remote"},
            "singleSignOn": {"issuer": "https://a.example.com", "authorizationUrl": "https://a.example.com/auth",
                "tokenUrl": "https://a.example.com/token", "userinfoUrl": "https://a.example.com/me", "scopes": ["email"],
                "groupsClaim": "groups", "clients": {"a": "b"}, "groups": {"administrators": ["a"], "operators": ["b"]}},
        })
    }

    fn addon_facts() -> Json {
        json!({
            "chart": {"repository": "https://a.example.com", "name": "x", "version": "1.2.3"},
            "versions": [{"version": "1.3.0", "clusters": {"labels": {"wave": "canary"}}}],
            "release": "x", "namespace": "x", "wave": 3, "enabledByDefault": true, "serverSideApply": false,
            "publish": "manifests",
            "clusters": {"roles": ["app"], "labels": {"region": "eu"}}, "freeForm": ["a.b"],
            "outside": {"secrets": ["a"], "services": ["b/c"], "storageClasses": ["d"]},
            "settings": {"a": {"type": "string", "default": "b"}},
        })
    }

    /// What people write by mistake, and what is right in one place and wrong in another.
    fn oddities() -> Vec<Json> {
        let texts = [
            "",
            " ",
            "a",
            "A",
            "0",
            "1.5",
            "true",
            "null",
            "db.internal",
            "192.168.1.12/24",
            "10.0.0.1",
            "10.0.0.010",
            "192.168.64.1O9",
            "10.0.0.1 ",
            "fd00::1",
            "FD00:0::1",
            "fe80::1%eth0",
            "::ffff:10.0.0.1",
            "[fd00::1]",
            "10.0.0.0/16",
            "10.0.0.1/16",
            "fd00::/64",
            "fd00::1/64",
            "10.0.0.1-10.0.0.9",
            "10.0.0.9-10.0.0.1",
            "10.0.0.1-fd00::1",
            "https://a.example.com",
            "ftp://a",
            "oci://a/b",
            "https://u@a",
            "1.2.3",
            "v1.2",
            "control",
            "multi-primary",
            "a\nb",
            "\u{202e}",
            "ä",
        ];
        let mut odd: Vec<Json> = texts.into_iter().map(Json::from).collect();
        odd.extend([
            json!(null),
            json!(true),
            json!(0),
            json!(1),
            json!(-1),
            json!(1.5),
            json!(65_535),
            json!(65_536),
            json!(i32::MAX),
            json!(i64::from(i32::MAX) + 1),
            json!(u32::MAX),
            json!(u64::from(u32::MAX) + 1),
            json!(u64::MAX),
            json!(1e300),
            json!([]),
            json!({}),
            json!([1]),
            json!(["10.0.0.0/16"]),
            json!(["10.0.0.1-10.0.0.9", 5]),
            json!([[]]),
            json!({"a": 1}),
            json!({"": null}),
            json!([null]),
            json!(["app", "app"]),
        ]);
        odd
    }

    fn paths(value: &Json, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        let children: Vec<(String, &Json)> = match value {
            Json::Object(map) => {
                map.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
            }
            Json::Array(items) => {
                items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
            }
            _ => Vec::new(),
        };
        for (name, child) in children {
            paths(child, &format!("{at}/{name}"), found);
        }
    }

    fn agree<T: DeserializeOwned + schemars::JsonSchema>(facts: &Json) {
        let schema = Schema::compile(&schema_of::<T>()).unwrap();
        assert_eq!(schema.violations(facts), []);
        let mut at = Vec::new();
        paths(facts, "", &mut at);
        assert!(at.len() > 20, "{at:?}");
        for path in at {
            for odd in oddities() {
                let mut given = facts.clone();
                *given.pointer_mut(&path).unwrap() = odd.clone();
                let told = schema.violations(&given);
                let read = serde_json::from_value::<T>(given);
                assert!(
                    read.is_ok() || !told.is_empty(),
                    "{path} takes {odd} by its schema, and not by its type: {}",
                    read.err().unwrap()
                );
            }
        }
    }

    #[test]
    fn what_a_schema_takes_its_type_takes_too() {
        agree::<ClusterFile>(&cluster_facts());
        agree::<FleetFile>(&fleet_facts());
        agree::<AddonFile>(&addon_facts());
    }

    type Counted = BTreeMap<String, Vec<BTreeMap<String, u32>>>;

    #[test]
    fn a_value_that_only_the_type_refuses_is_reported_at_its_place() {
        let file = Arc::new(RepoPath::parse("environments/a.yaml").unwrap());
        let nodes = crate::yaml::parse("a:\n  - {count: 1}\n  - {count: -1}\n").unwrap();
        let origin = Fact::read(&nodes[0], &file).unwrap();
        let open = Schema::compile(&json!({})).unwrap();
        let problems = decode::<Counted>(&open, &origin).unwrap_err();
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["environments/a.yaml:3:13: invalid value: integer `-1`, expected u32"]);
    }
}
