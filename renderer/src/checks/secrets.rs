//! No plaintext secret may be rendered: a repository is read by more people than a Vault.
//!
//! A secret is told by the key that it stands under, or by its own shape. What only names or refers to one is let through.

use crate::yaml::{Map, Value};

use super::{Document, DocumentKind, Finding, Seen, kept};

/// Last words of keys whose value is a secret.
const SECRET_WORDS: [&str; 5] = ["password", "passwd", "passphrase", "token", "apikey"];
/// Last two words of keys whose value is a secret.
const SECRET_PAIRS: [[&str; 2]; 8] = [
    ["access", "key"],
    ["api", "key"],
    ["client", "secret"],
    ["encryption", "key"],
    ["private", "key"],
    ["secret", "key"],
    ["shared", "secret"],
    ["signing", "key"],
];

/// Beginnings of words that are secrets wherever they stand: cloud, forge, chat and Vault tokens.
const TOKEN_BEGINNINGS: [&str; 15] = [
    "AKIA",
    "ASIA",
    "AIza",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "hvs.",
    "hvb.",
    "npm_",
    "dckr_pat_",
];
/// A token at least this long is not a word that happens to start like one.
const MIN_TOKEN_LENGTH: usize = 16;

/// Beginnings of hashed passwords, which can be guessed offline.
const HASH_BEGINNINGS: [&str; 6] = ["$2a$", "$2b$", "$2y$", "$5$", "$6$", "$argon2"];

/// Beginnings of text that stands for a secret kept elsewhere: a file, a Vault path, a tool that fetches or decrypts it.
const REFERENCE_BEGINNINGS: [&str; 9] =
    ["/", "vault:", "file:", "secret:", "{{", "<path:", "ref+", "ENC[", "op://"];

const HINT: &str = "keep it in Vault and refer to it, by an ExternalSecret and the chart's `existingSecret`";

pub(super) fn no_plaintext_secrets(document: &Document<'_>) -> Vec<Finding> {
    let mut walk = Walk::default();
    match document.value {
        // Its content is a fault as a whole, which the check of objects tells.
        Value::Map(map) if document.kind == DocumentKind::Object && is_secret(map) => {
            walk.entries(map, |key| !["data", "stringData"].contains(&key));
        }
        value => walk.value(value),
    }
    walk.findings
}

fn is_secret(object: &Map) -> bool {
    let text = |key| object.get(key).and_then(Value::as_str);
    text("apiVersion") == Some("v1") && text("kind") == Some("Secret")
}

#[derive(Default)]
struct Walk<'v> {
    path: Vec<Seen<'v>>,
    findings: Vec<Finding>,
}

impl<'v> Walk<'v> {
    fn value(&mut self, value: &'v Value) {
        match value {
            Value::Map(map) => self.entries(map, |_| true),
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Seen::Index(index));
                    self.value(item);
                    self.path.pop();
                }
            }
            Value::String(text) if looks_like_a_secret(text) => {
                self.find("a secret in plain text".to_owned());
            }
            _ => {}
        }
    }

    fn entries(&mut self, map: &'v Map, is_judged: impl Fn(&str) -> bool) {
        for (key, value) in map.iter().filter(|(key, _)| is_judged(key)) {
            self.path.push(Seen::Key(key));
            match secret_name(key, map) {
                Some(name) if holds_a_secret(value) => {
                    self.find(format!("`{name}` holds a secret in plain text"));
                }
                _ => self.value(value),
            }
            self.path.pop();
        }
    }

    fn find(&mut self, message: String) {
        self.findings.push(Finding::new(&kept(&self.path), message).hint(HINT));
    }
}

/// Returns the name under which an entry of a map holds a secret: its key, or for an environment variable the `name`.
fn secret_name<'a>(key: &'a str, map: &'a Map) -> Option<&'a str> {
    // In an ExternalSecret, `secretKey` is what the remote content will be called.
    let is_external = key == "secretKey" && map.get("remoteRef").is_some();
    let name = match key {
        "value" => map.get("name").and_then(Value::as_str)?,
        key => key,
    };
    (!is_external && names_a_secret(name)).then_some(name)
}

/// Returns whether a value can be a secret: text or a list of texts that refers to nothing.
fn holds_a_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty() && !is_reference(text),
        Value::List(items) => items.iter().any(|item| item.as_str().is_some() && holds_a_secret(item)),
        _ => false,
    }
}

fn names_a_secret(key: &str) -> bool {
    if !may_name_a_secret(key) {
        return false;
    }
    let words = words(key);
    let word = |from_end: usize| words.len().checked_sub(from_end).map(|at| words[at].as_str());
    let Some(last) = word(1) else { return false };
    let singular = last.strip_suffix('s').unwrap_or(last);
    SECRET_WORDS.iter().any(|secret| last.ends_with(secret) || singular.ends_with(secret))
        || SECRET_PAIRS.iter().any(|[first, second]| word(2) == Some(*first) && last == *second)
        || SECRET_PAIRS.iter().any(|[first, second]| last.strip_prefix(first) == Some(*second))
}

/// Tells quickly that the last word is no secret word: almost every key of a document ends in other letters.
fn may_name_a_secret(key: &str) -> bool {
    let letters = key.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    let letters = letters.strip_suffix(['s', 'S']).unwrap_or(letters).as_bytes();
    let end = &letters[letters.len().saturating_sub(3)..];
    // The ends of password, passwd, passphrase (and its plural), token, key and secret.
    let ends: [&[u8]; 6] = [b"ord", b"swd", b"ase", b"ken", b"key", b"ret"];
    ends.iter().any(|known| end.eq_ignore_ascii_case(known))
}

/// Splits `adminPassword`, `admin-password` and `ADMIN_PASSWORD1` into their words in lower case, digits left out.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for character in key.chars() {
        let starts_word = character.is_ascii_uppercase() && was_lower;
        if starts_word || !character.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| character.is_ascii_alphabetic()) {
            word.push(character.to_ascii_lowercase());
        }
        was_lower = character.is_ascii_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns whether a text stands for a secret kept elsewhere: a variable, a file, a path in Vault.
fn is_reference(text: &str) -> bool {
    let is_variable = text
        .strip_prefix('$')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || "_{(".contains(c)))
        && !is_hash(text);
    is_variable || REFERENCE_BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}

fn looks_like_a_secret(text: &str) -> bool {
    if text.len() < MIN_TOKEN_LENGTH {
        return false;
    }
    let is_word_character = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    text.split(|c| !is_word_character(c)).any(is_token)
        || is_hash(text)
        || text.contains("PRIVATE KEY-----")
        || text.contains("hooks.slack.com/services/T")
        || has_password_in_url(text)
}

fn is_token(word: &str) -> bool {
    word.len() >= MIN_TOKEN_LENGTH
        && (TOKEN_BEGINNINGS.iter().any(|beginning| word.starts_with(beginning)) || is_json_web_token(word))
}

fn is_json_web_token(word: &str) -> bool {
    word.starts_with("eyJ") && word.matches('.').count() == 2
}

fn is_hash(text: &str) -> bool {
    HASH_BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}

/// Finds `scheme://user:password@host`, in a text of any length.
fn has_password_in_url(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(|c: char| c == '/' || c.is_whitespace()).next().unwrap_or_default();
        let password =
            authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, it)| it);
        password.is_some_and(|it| !it.is_empty() && !it.starts_with(['$', '<', '{', '%', '*']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_names_a_secret_is_told_from_one_that_refers_to_it() {
        for key in [
            "password",
            "adminPassword",
            "rootPassword1",
            "pgpassword",
            "token",
            "tokens",
            "api_key",
            "apiKey",
            "apikey",
            "auth-token",
            "secretKey",
            "secretkey",
            "accessKey",
            "clientSecret",
            "DB_PASSWORD",
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
            "tokenizer",
            "passwordPolicy",
            "publicKey",
            "port",
            "-",
        ] {
            assert!(!names_a_secret(key), "{key} was refused");
        }
    }

    #[test]
    fn a_value_that_is_a_secret_is_found_under_any_key() {
        for text in [
            "ghp_0123456789abcdefghij",
            "curl -H 'X: glpat-0123456789abcdefghij'",
            "-----BEGIN RSA PRIVATE KEY-----\nMII",
            "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl",
            "https://hooks.slack.com/services/T000/B000/xyz",
            "mysql://app:hunter2@192.168.64.21:3306/app",
            "$2a$10$abcdefghijklmnopqrstuv",
        ] {
            assert!(looks_like_a_secret(text), "{text} was passed");
        }
        for text in [
            "ghp_",
            "a.b.c",
            "http://192.168.64.102:9090/api/v1/write",
            "mysql://app:${PASSWORD}@192.168.64.21/app",
            "ssh://git@git.example.com:22/x.git",
            "-----BEGIN CERTIFICATE-----\nMII",
        ] {
            assert!(!looks_like_a_secret(text), "{text} was refused");
        }
    }

    #[test]
    fn a_reference_is_told_from_a_secret() {
        for text in
            ["$oidc.clientSecret", "${PASSWORD}", "$(PASSWORD)", "/run/token", "vault:kv/x#y", "{{ .x }}"]
        {
            assert!(is_reference(text), "{text} was refused");
        }
        for text in ["hunter2", "$2a$10$abcdefghijklmnopqrstuv", "$ecret", "p/w"] {
            assert_eq!(is_reference(text), text == "$ecret", "{text}");
        }
    }
}
