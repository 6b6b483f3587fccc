//! Secrets in a plan: masked as soon as a change is known, so that nothing that shows a plan has them.

use super::compare::Beside;
use super::model::Change;
use crate::key_path::Step;
use crate::secrets::{MASK, Mask, announces_a_secret, names_a_secret, refers_to_a_secret};
use crate::yaml::Value;

/// Masks the secrets on both sides of a change.
pub(crate) fn masked(change: Change, beside: Beside<'_>) -> Change {
    // It describes fields, of which some have names of secrets, and holds none itself.
    if change.object.as_ref().is_some_and(|object| object.is_definition()) {
        return change;
    }
    let name = secret_name(&change, beside).map(str::to_owned);
    let mut mask = Mask::default();
    let whole = |value| if change.path.is_empty() { in_secret_manifest(value) } else { value };
    let old = change.old.map(|old| mask.published(whole(old), name.as_deref()));
    let new = change.new.map(|new| mask.rendered(whole(new), name.as_deref()));
    Change { old, new, ..change }
}

/// Returns the name of the secret that a change is of or below.
fn secret_name<'c>(change: &'c Change, beside: Beside<'c>) -> Option<&'c str> {
    let kind = change.object.as_ref().map_or("", |object| object.kind.as_str());
    let mut name: Option<&str> = None;
    let mut item: Option<&str> = None;
    for (depth, step) in change.path.iter().enumerate() {
        let key = match step {
            Step::Key(key) => key.as_str(),
            Step::Item { field: "name" | "key", id } => {
                item = Some(id);
                continue;
            }
            Step::Index(_) | Step::Item { .. } => {
                item = None;
                continue;
            }
        };
        let is_data = kind == "Secret" && depth == 0 && matches!(key, "data" | "stringData");
        // There, it is what the remote content will be called.
        let is_external = kind == "ExternalSecret" && key == "secretKey";
        name = match (name, item.take()) {
            (Some(_), _) if refers_to_a_secret(key) => return None,
            (Some(name), _) => Some(name),
            (None, Some(item)) if key == "value" => names_a_secret(item).then_some(item),
            (None, _) => (is_data || (!is_external && names_a_secret(key))).then_some(key),
        };
    }
    let is_argument = matches!(change.path.last(), Some(Step::Index(_)));
    let names = if is_argument { announces_a_secret } else { names_a_secret };
    name.or_else(|| beside.into_iter().flatten().find(|name| names(name)))
}

/// Masks the data of a Secret whose manifest is shown as a text, since it is not YAML or only spelled differently.
fn in_secret_manifest(value: Value) -> Value {
    let Value::String(text) = value else { return value };
    let says_secret = |line: &str| {
        let line = line.replace(['"', '\'', ' '], "");
        line.contains("kind:Secret") && !line.contains("kind:SecretStore")
    };
    if !text.lines().any(says_secret) {
        return Value::String(text);
    }
    Value::String(text.split_inclusive('\n').map(without_value).collect())
}

/// Masks what a line of a Secret's manifest gives to a key, or goes on with.
fn without_value(line: &str) -> String {
    let content = line.trim_end_matches(['\r', '\n']);
    let end = &line[content.len()..];
    match content.split_once(':') {
        Some((key, value)) if is_header(key) || value.trim().is_empty() => line.to_owned(),
        Some((key, _)) => format!("{key}: {MASK}{end}"),
        None if content.trim().is_empty() => line.to_owned(),
        None => format!("{MASK}{end}"),
    }
}

/// Returns whether a key of a manifest identifies the object.
fn is_header(key: &str) -> bool {
    ["apiVersion", "kind", "name", "namespace", "type"]
        .contains(&key.trim().trim_matches(['"', '\'', '-', ' ']))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Facts, FileChange, Plan, Published, markdown, plan, text};
    use crate::path::{AddonName, ClusterName, RepoPath};

    fn planned(old: &str, new: &str) -> Plan {
        let (cluster, addon) = (ClusterName::parse("eu-1").unwrap(), AddonName::parse("db").unwrap());
        let published: Published = [(&cluster, Some(&addon))].into_iter().collect();
        let change = FileChange {
            path: RepoPath::parse("argocd-apps/eu-1/db/values.yaml").unwrap(),
            old: Some(Arc::from(old.as_bytes())),
            new: Some(Arc::from(new.as_bytes())),
            cluster: cluster.clone(),
            addon: Some(addon.clone()),
        };
        plan(&[change], &published, Facts::default())
    }

    /// Everything that is ever shown of a plan.
    fn shown(plan: &Plan) -> String {
        let lines = text::full(plan).into_iter().chain(text::summary(plan));
        let lines: String = lines.map(|line| line.text + "\n").collect();
        let json = serde_json::to_string(plan).unwrap() + &serde_json::to_string(&plan.groups()).unwrap();
        let full = markdown::full(plan, usize::MAX, 1).concat();
        lines + &json + &markdown::body(plan) + &full + &markdown::title(plan, "app")
    }

    #[test]
    fn a_secret_shows_on_neither_side_and_its_name_does() {
        for (old, new, name) in [
            ("adminPassword: hunter2\n", "adminPassword: hunter3\n", "adminPassword"),
            ("a:\n  adminPassword: hunter2\n", "a:\n  b: 1\n", "adminPassword"),
            ("a: 1\n", "a: 1\nb:\n  masterKey: hunter3\n", "masterKey"),
            ("passwords: [hunter2, a]\n", "passwords: [hunter3, a]\n", "passwords"),
            ("token:\n  value: {x: hunter2}\n", "token:\n  value: {x: hunter3}\n", "token"),
            (
                "env: [{name: DB_PASS, value: hunter2}]\n",
                "env: [{name: DB_PASS, value: hunter3}]\n",
                "DB_PASS",
            ),
            (
                "env: [{name: DB_PWD, value: hunter2}, {name: DB_PWD, value: a}]\n",
                "env: [{name: DB_PWD, value: hunter3}, {name: DB_PWD, value: a}]\n",
                "env",
            ),
            (
                "env:\n  name: DB_PWD\n  value: hunter2\n",
                "env:\n  name: DB_PWD\n  value: hunter3\n",
                "env.value",
            ),
            ("name: DB_PWD\nvalue: hunter2\n", "name: DB_PWD\nvalue: hunter3\n", "value"),
            (
                "config: |\n  a: 1\n  password: hunter2\n",
                "config: |\n  a: 1\n  password: hunter3\n",
                "password",
            ),
            ("url: https://a:hunter2@h/x\n", "url: https://a:hunter3@h/x\n", "@h/x"),
            ("args: [--password, hunter2]\n", "args: [--password, hunter3]\n", "args"),
            ("args: [--db-password=hunter2]\n", "args: [--db-password=hunter3]\n", "--db-password="),
            (
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: hunter2}\n",
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: hunter3}\n",
                "stringData",
            ),
            (
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: hunter2}\n",
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {\"a\": \"hunter2\"}\n",
                "Secret",
            ),
            (
                "- [broken\nkind: Secret\n a: hunter2\n",
                "- [broken\nkind: Secret\n a: hunter3\n",
                "values.yaml",
            ),
        ] {
            let plan = planned(old, new);
            assert!(!plan.is_empty());
            let shown = shown(&plan);
            assert!(!shown.contains("hunter"), "{shown}");
            assert!(shown.contains("***") && shown.contains(name), "{name}: {shown}");
        }
    }

    #[test]
    fn equal_and_different_are_told_apart() {
        let line = |old: &str, new: &str| {
            let plan = planned(old, new);
            let text = text::full(&plan).into_iter().map(|line| line.text + "\n").collect::<String>();
            text.lines().last().unwrap_or_default().trim().to_owned()
        };
        assert_eq!(
            line("adminPassword: hunter2\n", "adminPassword: hunter3\n"),
            "adminPassword: *** → *** (changed)"
        );
        assert_eq!(
            line("adminPassword: hunter2\n", "adminPassword: $NAME\n"),
            "adminPassword: *** → \"$NAME\""
        );
        assert_eq!(
            line("x: {password: hunter2}\n", "x: [{password: hunter2}]\n"),
            "x: {password: ***} → [{password: ***}]"
        );
    }

    #[test]
    fn what_refers_to_a_secret_is_shown() {
        for (old, new) in [
            ("existingSecret: a\n", "existingSecret: b\n"),
            ("passwordKey: admin-a\n", "passwordKey: admin-b\n"),
            ("secretName: a\n", "secretName: b\n"),
            (
                "password: {valueFrom: {secretKeyRef: {name: a}}}\n",
                "password: {valueFrom: {secretKeyRef: {name: b}}}\n",
            ),
            ("maxTokens: 4096\n", "maxTokens: 8192\n"),
            ("privateKey: {algorithm: RSA}\n", "privateKey: {algorithm: ECDSA}\n"),
            ("password: $A\n", "password: $B\n"),
            ("proxy_pass: http://a\n", "proxy_pass: http://b\n"),
            (
                "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\nspec: {password: {description: 'password: in clear'}}\n",
                "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\nspec: {password: {description: 'token: in clear'}}\n",
            ),
        ] {
            let shown = shown(&planned(old, new));
            assert!(!shown.contains("***"), "{shown}");
        }
    }
}
