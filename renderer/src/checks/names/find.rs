//! Finds the names in documents. The spelling of keys differs from chart to chart, their endings hardly.

use crate::key_path::{Step, key, keys};
use crate::yaml::{Map, Value};

use super::{Named, ServiceName};

/// Keys that name a class of volumes.
const STORAGE_KEYS: [&str; 2] = ["storageClass", "storageClassName"];
/// Keys whose text names a Secret.
const SECRET_KEYS: [&str; 4] = ["existingSecret", "existingSecretName", "secretName", "credentialName"];
/// Keys whose map names a Secret by its `name`.
const SECRET_MAPS: [&str; 3] = ["secret", "secretKeyRef", "secretRef"];
/// The end of other keys whose map names a Secret by its `name`.
const SECRET_MAP_END: &str = "SecretRef";
/// Where an issuer of certificates writes its own key.
const WRITTEN_BY_ISSUER: &str = "privateKeySecretRef";
/// Keys whose list names Secrets.
const SECRET_LISTS: [&str; 2] = ["secrets", "imagePullSecrets"];

/// Returns what the entry of a map names besides Services, and where below it; `map` holds the entry.
pub(super) fn names_in_entry(name: &str, value: &Value, map: &Map) -> Vec<(Vec<Step>, Named)> {
    let secret =
        |namespace: Option<&str>, name: &str| Named::Secret(namespace.map(str::to_owned), name.to_owned());
    match value {
        Value::String(text) if STORAGE_KEYS.contains(&name) && is_name(text) => {
            vec![(Vec::new(), Named::StorageClass(text.clone()))]
        }
        Value::String(text) if SECRET_KEYS.contains(&name) && is_name(text) && !is_made_here(map) => {
            vec![(Vec::new(), secret(None, text))]
        }
        Value::Map(inner) if is_secret_map(name, inner) && !is_optional(inner) => {
            let name = value.text_at(&["name"]).filter(|name| is_name(name));
            let named = name.map(|name| (keys(&["name"]), secret(value.text_at(&["namespace"]), name)));
            named.into_iter().collect()
        }
        Value::List(items) if SECRET_LISTS.contains(&name) => {
            let named = items.iter().enumerate().filter_map(|(index, item)| match item {
                Value::String(name) => Some((vec![Step::Index(index)], name.as_str())),
                item => Some((vec![Step::Index(index), key("name")], item.text_at(&["name"])?)),
            });
            let named = named.filter(|(_, name)| is_name(name));
            named.map(|(path, name)| (path, secret(None, name))).collect()
        }
        _ => Vec::new(),
    }
}

fn is_secret_map(key: &str, map: &Map) -> bool {
    SECRET_MAPS.contains(&key)
        || key.ends_with(SECRET_MAP_END) && key != WRITTEN_BY_ISSUER
        || key == "caProvider" && map.get("type").and_then(Value::as_str) == Some("Secret")
}

fn is_optional(map: &Map) -> bool {
    map.get("optional") == Some(&Value::Bool(true))
}

/// A certificate's Secret is made by its issuer, that of an ingress by what watches it, and an optional one
/// need not be made.
fn is_made_here(map: &Map) -> bool {
    ["issuerRef", "issuer", "hosts"].iter().any(|sibling| map.get(sibling).is_some()) || is_optional(map)
}

/// Tells names from patterns and from templates of other tools.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        && text != "-"
}

/// Returns every name of a Service in a text: `<service>.<namespace>.svc`, with its port.
pub(super) fn service_names(text: &str) -> Vec<ServiceName> {
    let ends = memchr::memmem::find_iter(text.as_bytes(), b".svc");
    ends.filter_map(|end| service_name(&text[..end], &text[end + ".svc".len()..])).collect()
}

fn service_name(before: &str, after: &str) -> Option<ServiceName> {
    let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let rest = after.strip_prefix(".cluster.local").unwrap_or(after);
    if rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return None;
    }
    let (before, namespace) = before.rsplit_once('.')?;
    let start = before.rfind(|c: char| !is_label(c)).map_or(0, |at| at + 1);
    let name = &before[start..];
    // A name that another tool puts together can't be judged.
    let is_made = before[..start].ends_with(['}', ')', '*', '$', '%']) || !namespace.chars().all(is_label);
    if is_made || name.is_empty() || namespace.is_empty() {
        return None;
    }
    let digits = rest.strip_prefix(':').unwrap_or("");
    let digits = &digits[..digits.bytes().take_while(u8::is_ascii_digit).count()];
    Some(ServiceName {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        port: digits.parse().ok(),
        is_of_mesh: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let told = |name: ServiceName| {
            let port = name.port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}/{}{port}", name.namespace, name.name)
        };
        service_names(text).into_iter().map(told).collect()
    }

    #[test]
    fn names_of_services_are_found_in_any_text() {
        assert_eq!(names("http://loki-gateway.logging.svc:80/x"), ["logging/loki-gateway:80"]);
        assert_eq!(names("tempo.tracing.svc.cluster.local:4317"), ["tracing/tempo:4317"]);
        assert_eq!(names("vault-0.vault-internal.vault.svc"), ["vault/vault-internal"]);
        assert_eq!(names("*.vault-internal.vault.svc"), ["vault/vault-internal"]);
        assert_eq!(names("a.b.svc, \"c.d.svc\""), ["b/a", "d/c"]);
    }

    #[test]
    fn what_only_looks_like_the_name_of_a_service_is_not_one() {
        for text in [
            "x.svcs",
            "a.b.svc.example.com",
            "{{ .Release.Name }}.ns.svc",
            "$(POD).ns.svc",
            "b.svc",
            ".svc",
            "x.{{ns}}.svc",
        ] {
            assert_eq!(names(text), Vec::<String>::new(), "{text}");
        }
    }
}
