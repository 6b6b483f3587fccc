//! A kubeconfig as a file: a context for each cluster under the cluster's name, beside whatever else is in it. Pure.
//!
//! kubeadm calls every cluster `kubernetes` and every user `kubernetes-admin`: merged by `kubectl`, all contexts lead to the
//! first cluster.

use std::net::{IpAddr, SocketAddr};

use http::Uri;
use serde_json::{Map, Value, json};

use super::error::ClusterError;

const CLUSTER: Part = Part { list: "clusters", field: "cluster" };
const USER: Part = Part { list: "users", field: "user" };
const CONTEXT: Part = Part { list: "contexts", field: "context" };
/// What says who asks without another file or program.
const EMBEDDED: [&str; 5] = ["client-certificate-data", "client-key-data", "password", "token", "username"];

/// A list of named entries, and where an entry has its content.
#[derive(Clone, Copy)]
struct Part {
    list: &'static str,
    field: &'static str,
}

/// What a file of `kubectl` says, whatever is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kubeconfig {
    fields: Map<String, Value>,
}

/// How one cluster is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    server: String,
    cluster: Value,
    user: Value,
    context: Map<String, Value>,
}

/// What merging does to a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// It was not there.
    Added,
    /// It is there with something else in it.
    Replaced,
    /// It is there as it should be.
    Current,
}

impl Kubeconfig {
    /// Reads a file; an empty one has nothing in it. A fault is shown by its place alone: around it are credentials.
    pub fn parse(place: &str, text: &str) -> Result<Self, ClusterError> {
        let fault = |at: &str| {
            let hint = "look at it with `kubectl config view`, which masks credentials";
            ClusterError::unconfigured(format!("{place} is not a kubeconfig{at}"), hint)
        };
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let fields = serde_yaml::from_str::<Map<String, Value>>(text).map_err(|error| {
            let at = error.location().map(|at| format!(" (line {}, column {})", at.line(), at.column()));
            fault(&at.unwrap_or_default())
        })?;
        let is_list =
            |part: &Part| matches!(fields.get(part.list), None | Some(Value::Null | Value::Array(_)));
        match [CLUSTER, USER, CONTEXT].iter().find(|part| !is_list(part)) {
            Some(part) => Err(fault(&format!(": `{}` is not a list", part.list))),
            None => Ok(Self { fields }),
        }
    }

    /// Returns the file as it is written.
    #[must_use]
    pub fn text(&self) -> String {
        renderer::yaml::write(&(&Value::from(self.fields.clone())).into())
    }

    /// Returns how the only context, or the current one of several, reaches its cluster.
    pub fn access(&self, place: &str) -> Result<Access, ClusterError> {
        let current =
            self.fields.get("current-context").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = match (current, self.entries(CONTEXT)) {
            (Some(name), _) => name,
            (None, [only]) => only["name"].as_str().unwrap_or_default(),
            _ => {
                return Err(ClusterError::unconfigured(
                    format!("{place} does not say which of its contexts is meant"),
                    "choose one with `kubectl config use-context`",
                ));
            }
        };
        self.access_of(name).ok_or_else(|| {
            ClusterError::unconfigured(
                format!("context `{name}` of {place} has no cluster or no user"),
                "get a whole kubeconfig of the cluster, such as kubeadm's `admin.conf`",
            )
        })
    }

    /// Returns how a context reaches its cluster, if it is there and whole.
    #[must_use]
    pub fn access_of(&self, name: &str) -> Option<Access> {
        let mut context = self.get(CONTEXT, name)?.as_object()?.clone();
        let mut taken = |part: Part| {
            let name = context.remove(part.field)?;
            self.get(part, name.as_str()?).filter(|entry| entry.is_object()).cloned()
        };
        let (cluster, user) = (taken(CLUSTER)?, taken(USER)?);
        let server = cluster["server"].as_str()?.to_owned();
        Some(Access { server, cluster, user, context })
    }

    /// Lays a way to a cluster under its name; what it replaces was a way to the same cluster.
    pub fn merge(&mut self, name: &str, access: Access) -> Result<Merged, ClusterError> {
        let before = self.access_of(name);
        if before.as_ref() == Some(&access) {
            return Ok(Merged::Current);
        }
        if let Some(reason) = self.foreign(name, &access) {
            return Err(ClusterError::unconfigured(
                format!("the kubeconfig has a `{name}` that is not this cluster's: {reason}"),
                "rename or remove it with `kubectl config rename-context`, `delete-context`, `delete-cluster` or `delete-user`",
            ));
        }
        let mut context = access.context;
        context.extend([CLUSTER, USER].map(|part| (part.field.to_owned(), name.into())));
        self.put(CLUSTER, name, &access.cluster);
        self.put(USER, name, &access.user);
        self.put(CONTEXT, name, &context.into());
        for (key, value) in [("apiVersion", "v1"), ("kind", "Config")] {
            self.fields.entry(key).or_insert_with(|| value.into());
        }
        Ok(if before.is_some() { Merged::Replaced } else { Merged::Added })
    }

    /// Makes a context the current one, and returns whether it was another.
    pub fn choose(&mut self, name: &str) -> bool {
        self.fields.insert("current-context".to_owned(), name.into()) != Some(name.into())
    }

    /// Returns why what has this name is not the cluster's.
    fn foreign(&self, name: &str, access: &Access) -> Option<String> {
        let server = self.get(CLUSTER, name).map(|cluster| cluster["server"].as_str().unwrap_or_default());
        if let Some(other) = server.filter(|server| *server != access.server) {
            return Some(format!("its cluster is at `{other}`"));
        }
        let leads_elsewhere = |context: &&Value| {
            let [cluster, user] = [CLUSTER, USER].map(|part| context["context"][part.field] == name);
            if user { !cluster } else { context["name"] == name }
        };
        let other = self.entries(CONTEXT).iter().find(leads_elsewhere)?;
        Some(format!(
            "context `{}` is for another cluster or user",
            other["name"].as_str().unwrap_or_default()
        ))
    }

    fn entries(&self, part: Part) -> &[Value] {
        self.fields.get(part.list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the first entry of a name, which is the one that counts.
    fn get(&self, part: Part, name: &str) -> Option<&Value> {
        self.entries(part).iter().find(|entry| entry["name"] == name)?.get(part.field)
    }

    /// Puts an entry into the place of those of its name, or at the end.
    fn put(&mut self, part: Part, name: &str, content: &Value) {
        let mut entries = self.entries(part).to_vec();
        let place = entries.iter().position(|entry| entry["name"] == name).unwrap_or(entries.len());
        entries.retain(|entry| entry["name"] != name);
        entries.insert(place, json!({ "name": name, part.field: content }));
        self.fields.insert(part.list.to_owned(), entries.into());
    }
}

impl Access {
    /// Returns the address of the API server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Refuses what does not lead to the API server of the cluster, if it is described.
    pub fn check(&self, name: &str, place: &str, expected: Option<SocketAddr>) -> Result<(), ClusterError> {
        match expected {
            Some(expected) if address(&self.server) != Some(expected) => Err(ClusterError::unconfigured(
                format!(
                    "{place} is not for cluster `{name}`: it leads to `{}`, and not to `https://{expected}`",
                    self.server
                ),
                "take the kubeconfig of that cluster, or correct its `apiServer` in environments/",
            )),
            _ => Ok(()),
        }
    }

    /// Refuses a credential that is not whole in itself: one in another file, or one that a program is run for.
    pub fn check_embedded(&self, place: &str) -> Result<(), ClusterError> {
        let of_user = self.user.as_object().into_iter().flat_map(Map::keys);
        let mut elsewhere = of_user.filter(|key| !EMBEDDED.contains(&key.as_str())).map(String::as_str);
        let authority = self.cluster.get("certificate-authority").map(|_| "certificate-authority");
        match elsewhere.next().or(authority) {
            None => Ok(()),
            Some(key) => Err(ClusterError::unconfigured(
                format!("{place} names `{key}` in the place of the credential itself"),
                "bring files into it with `kubectl config view --raw --flatten`; with a plugin, merge it by hand",
            )),
        }
    }
}

/// Returns the address and port of a server, if it is the root of an encrypted one.
fn address(server: &str) -> Option<SocketAddr> {
    let address: Uri = server.parse().ok()?;
    let is_root = address.scheme_str() == Some("https") && address.path() == "/" && address.query().is_none();
    let host = address.host()?.trim_start_matches('[').trim_end_matches(']');
    let host: IpAddr = host.parse().ok().filter(|_| is_root)?;
    Some(SocketAddr::new(host, address.port_u16().unwrap_or(443)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROL: &str = "https://192.168.64.10:6443";
    const APP: &str = "https://192.168.64.30:6443";

    /// As kubeadm writes it.
    fn admin(server: &str, key: &str) -> String {
        json!({
            "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": "kubernetes-admin@kubernetes",
            "clusters": [{"name": "kubernetes", "cluster": {"server": server, "certificate-authority-data": "Y2E="}}],
            "users": [{"name": "kubernetes-admin", "user": {"client-certificate-data": "Y2VydA==", "client-key-data": key}}],
            "contexts": [{
                "name": "kubernetes-admin@kubernetes",
                "context": {"cluster": "kubernetes", "user": "kubernetes-admin"},
            }],
        })
        .to_string()
    }

    fn access(text: &str) -> Result<Access, ClusterError> {
        let access = Kubeconfig::parse("it", text)?.access("it")?;
        access.check_embedded("it").map(|()| access)
    }

    fn merged(parts: &[(&str, &str, &str)]) -> Kubeconfig {
        let mut all = Kubeconfig::default();
        for (name, server, key) in parts {
            all.merge(name, access(&admin(server, key)).unwrap()).unwrap();
        }
        all
    }

    #[test]
    fn what_kubeadm_calls_alike_is_told_apart_by_the_names_of_the_clusters() {
        insta::assert_snapshot!(merged(&[("control", CONTROL, "a"), ("app", APP, "b")]).text(), @r#"
        apiVersion: v1
        clusters:
          - cluster:
              certificate-authority-data: Y2E=
              server: https://192.168.64.10:6443
            name: control
          - cluster:
              certificate-authority-data: Y2E=
              server: https://192.168.64.30:6443
            name: app
        contexts:
          - context:
              cluster: control
              user: control
            name: control
          - context:
              cluster: app
              user: app
            name: app
        kind: Config
        users:
          - name: control
            user:
              client-certificate-data: Y2VydA==
              client-key-data: a
          - name: app
            user:
              client-certificate-data: Y2VydA==
              client-key-data: b
        "#);
    }

    #[test]
    fn merging_again_changes_nothing_and_a_new_credential_takes_the_place_of_the_old_one() {
        let both = merged(&[("control", CONTROL, "a"), ("app", APP, "b")]);
        let mut again = Kubeconfig::parse("it", &both.text()).unwrap();
        assert_eq!(again.merge("control", access(&admin(CONTROL, "a")).unwrap()), Ok(Merged::Current));
        assert_eq!(again, both);
        assert_eq!(again.merge("control", access(&admin(CONTROL, "c")).unwrap()), Ok(Merged::Replaced));
        assert_eq!(again, merged(&[("control", CONTROL, "c"), ("app", APP, "b")]));
    }

    #[test]
    fn what_others_wrote_stays_as_it_is() {
        let foreign = "kind: Config\nextra: kept\ncurrent-context: work\n\
            clusters:\n- {name: work, cluster: {server: 'https://k8s.example.com', extensions: [{name: x}]}}\n\
            users:\n- {name: ann, user: {exec: {command: login}}}\n\
            contexts:\n- {name: work, context: {cluster: work, user: ann, namespace: 'no'}}\n";
        let before = Kubeconfig::parse("it", foreign).unwrap();
        let mut after = before.clone();
        assert_eq!(after.merge("app", access(&admin(APP, "b")).unwrap()), Ok(Merged::Added));
        let after = Kubeconfig::parse("it", &after.text()).unwrap();
        assert_eq!(
            (after.fields["extra"].as_str(), after.fields["current-context"].as_str()),
            (Some("kept"), Some("work"))
        );
        assert!(before.access_of("work") == after.access_of("work") && before.access_of("work").is_some());
    }

    #[test]
    fn an_entry_of_that_name_that_is_for_something_else_is_never_replaced() {
        let (ours, theirs) = (merged(&[("app", APP, "b")]), access(&admin(APP, "c")).unwrap());
        let edited =
            |from: &str, to: &str| Kubeconfig::parse("it", &ours.text().replacen(from, to, 1)).unwrap();
        let table = [
            (edited("192.168.64.30", "10.0.0.1"), "its cluster is at `https://10.0.0.1:6443`"),
            (edited("user: app", "user: ann"), "context `app` is for another cluster or user"),
            (edited("cluster: app", "cluster: work"), "context `app` is for another cluster or user"),
            (
                edited("contexts:", "contexts:\n  - {name: work, context: {cluster: work, user: app}}"),
                "context `work` is for another cluster or user",
            ),
        ];
        for (mut kubeconfig, reason) in table {
            let before = kubeconfig.clone();
            let error = kubeconfig.merge("app", theirs.clone()).unwrap_err();
            assert!(error.to_string().ends_with(reason), "{error}");
            assert_eq!(kubeconfig, before);
        }
        let mut second =
            edited("contexts:", "contexts:\n  - {name: dev, context: {cluster: app, user: app}}");
        assert_eq!(second.merge("app", theirs), Ok(Merged::Replaced));
    }

    #[test]
    fn only_the_api_server_that_is_described_is_the_clusters() {
        let expected = Some("192.168.64.30:6443".parse().unwrap());
        let six = Some("[fd00:64::30]:443".parse().unwrap());
        let table = [
            (APP, expected, true),
            ("https://192.168.64.30:6443/", expected, true),
            ("https://[fd00:64::30]", six, true),
            ("https://[fd00:0064:0::30]:443", six, true),
            ("https://anything.example.com", None, true),
            (CONTROL, expected, false),
            ("https://192.168.64.30", expected, false),
            ("http://192.168.64.30:6443", expected, false),
            ("https://192.168.64.30:6443/k8s/clusters/c-1", expected, false),
            ("https://192.168.64.30.example.com:6443", expected, false),
            ("https://x@192.168.64.30:6443@evil.example.com", expected, false),
            ("", expected, false),
        ];
        for (server, expected, is_right) in table {
            let checked = access(&admin(server, "a")).unwrap().check("app", "it", expected);
            assert_eq!(checked.is_ok(), is_right, "{server}: {checked:?}");
        }
    }

    #[test]
    fn a_credential_that_is_elsewhere_or_a_program_is_refused() {
        for (key, value) in [
            ("exec", json!({"command": "sh"})),
            ("auth-provider", json!({"name": "gcp"})),
            ("client-key", json!("admin.key")),
            ("tokenFile", json!("/run/token")),
        ] {
            let text = admin(APP, "a").replacen("\"user\":{", &format!("\"user\":{{\"{key}\":{value},"), 1);
            let error = access(&text).err().unwrap();
            assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
        }
        let file = admin(APP, "a").replace("certificate-authority-data", "certificate-authority");
        assert!(access(&file).is_err());
    }

    #[test]
    fn what_is_no_kubeconfig_is_refused_by_its_place_and_never_by_its_content() {
        let table = [
            ("users: [{name: a, user: {token: hunter2}\n", "(line 1"),
            ("hunter2", "(line 1"),
            ("users: hunter2\n", "`users` is not a list"),
            ("{}", "does not say which"),
            ("", "does not say which"),
            ("current-context: a\n", "no cluster or no user"),
            ("contexts: [{name: a, context: {cluster: b, user: c}}]\n", "no cluster or no user"),
            ("contexts: [1]\n", "no cluster or no user"),
        ];
        for (text, expected) in table {
            let error = access(text).err().unwrap().to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn one_context_is_chosen() {
        let mut both = merged(&[("control", CONTROL, "a"), ("app", APP, "b")]);
        assert!(both.choose("app") && !both.choose("app"));
        assert!(both.access("it").unwrap() == access(&admin(APP, "b")).unwrap());
    }
}
