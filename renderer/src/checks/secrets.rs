//! No plaintext secret may be rendered: a repository is read by more people than a Vault.

use crate::key_path::Step;
use crate::yaml::Value;

use super::{Document, Finding};

/// Words that make a key's value a secret.
const SECRET_WORDS: [&str; 7] =
    ["password", "passwd", "token", "apikey", "privatekey", "accesskey", "secretkey"];

/// Endings of keys that name where a secret is kept, or something about it, and hold none.
const REFERENCE_ENDINGS: [&str; 18] = [
    "key",
    "keys",
    "name",
    "ref",
    "path",
    "file",
    "secret",
    "enabled",
    "ttl",
    "length",
    "policy",
    "audience",
    "url",
    "namespace",
    "type",
    "duration",
    "version",
    "mount",
];

/// Beginnings of values that are secrets wherever they stand: PEM keys, cloud, forge and Vault tokens, JSON web tokens.
const SECRET_BEGINNINGS: [&str; 11] = [
    "-----BEGIN RSA PRIVATE",
    "-----BEGIN PRIVATE",
    "-----BEGIN EC PRIVATE",
    "-----BEGIN OPENSSH PRIVATE",
    "AKIA",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "xoxb-",
    "hvs.",
];

/// A secret at least this long is not a placeholder word that happens to start like one.
const MIN_TOKEN_LENGTH: usize = 16;

const HINT: &str = "keep it in Vault and refer to it, by an ExternalSecret and the chart's `existingSecret`";

pub(super) fn no_plaintext_secrets(document: &Document<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(document.value, &mut Vec::new(), &mut findings);
    findings
}

fn walk(value: &Value, path: &mut Vec<Step>, findings: &mut Vec<Finding>) {
    match value {
        Value::Map(map) => {
            for (key, value) in map.iter() {
                path.push(Step::Key(key.to_owned()));
                walk(value, path, findings);
                path.pop();
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(Step::Index(index));
                walk(item, path, findings);
                path.pop();
            }
        }
        Value::String(text) => findings.extend(judge(text, path)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn judge(text: &str, path: &[Step]) -> Option<Finding> {
    let key = path.iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    });
    if looks_like_a_secret(text) {
        return Some(Finding::new(path, "a secret in plain text").hint(HINT));
    }
    let key = key?;
    (names_a_secret(key) && !text.is_empty() && !is_reference(text))
        .then(|| Finding::new(path, format!("`{key}` holds a secret in plain text")).hint(HINT))
}

fn looks_like_a_secret(text: &str) -> bool {
    text.len() >= MIN_TOKEN_LENGTH
        && (SECRET_BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) || is_json_web_token(text))
}

fn is_json_web_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.matches('.').count() == 2 && !text.contains(char::is_whitespace)
}

fn names_a_secret(key: &str) -> bool {
    let folded: String =
        key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let ends = SECRET_WORDS.iter().filter_map(|word| folded.rfind(word).map(|at| at + word.len()));
    let Some(end) = ends.max() else { return false };
    !REFERENCE_ENDINGS.iter().any(|ending| folded[end..].ends_with(ending))
}

/// Text that stands for a secret kept elsewhere: an environment variable, a file, a Vault path, a template.
fn is_reference(text: &str) -> bool {
    ["$", "/", "vault:", "file:", "{{"].iter().any(|beginning| text.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_names_a_secret_is_told_from_one_that_refers_to_it() {
        for key in [
            "password",
            "adminPassword",
            "rootPassword",
            "token",
            "api_key",
            "auth-token",
            "secretKey",
            "accessKey",
        ] {
            assert!(names_a_secret(key), "{key} was passed");
        }
        for key in [
            "passwordKey",
            "tokenPath",
            "existingSecret",
            "tokenTtl",
            "secretName",
            "userKey",
            "tokenSecretRef",
            "port",
        ] {
            assert!(!names_a_secret(key), "{key} was refused");
        }
    }

    #[test]
    fn a_value_that_is_a_secret_is_found_under_any_key() {
        for text in [
            "ghp_0123456789abcdefghij",
            "-----BEGIN RSA PRIVATE KEY-----\nMII",
            "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl",
        ] {
            assert!(looks_like_a_secret(text), "{text} was passed");
        }
        for text in ["ghp_", "a.b.c", "http://192.168.64.102:9090/api/v1/write"] {
            assert!(!looks_like_a_secret(text), "{text} was refused");
        }
    }
}
