//! Secrets: which keys hold one, which texts are one, and how they are masked.
//!
//! A secret is known by the key that it stands under, or by its own form. What only names or refers to one is none. The
//! check that refuses secrets and everything that shows values ask here. Knows nothing of what is rendered.

mod mask;
mod shapes;

use std::borrow::Cow;
use std::ops::Range;

use crate::yaml::{Map, Value};

pub(crate) use mask::Mask;
pub use shapes::Found;

/// What stands where a secret is masked.
pub const MASK: &str = "***";

/// Last words of keys whose value is a secret, also at the end of a longer word.
const SECRET_WORDS: [&str; 5] = ["password", "passwd", "passphrase", "token", "apikey"];
/// Last words of keys whose value is a secret.
const SHORT_WORDS: [&str; 7] = ["pass", "pwd", "dbpass", "dbpwd", "adminpass", "rootpass", "userpwd"];
/// What stands before `pass` in the names of settings that pass something on.
const PASSING_ON: [&str; 6] = ["proxy", "fastcgi", "uwsgi", "scgi", "grpc", "memcached"];
/// Last two words of keys whose value is a secret.
const SECRET_PAIRS: [[&str; 2]; 20] = [
    ["access", "key"],
    ["account", "key"],
    ["api", "key"],
    ["app", "secret"],
    ["auth", "key"],
    ["client", "secret"],
    ["consumer", "secret"],
    ["cookie", "secret"],
    ["encryption", "key"],
    ["hmac", "key"],
    ["jwt", "secret"],
    ["master", "key"],
    ["private", "key"],
    ["root", "key"],
    ["secret", "key"],
    ["session", "secret"],
    ["shared", "secret"],
    ["signing", "key"],
    ["unseal", "key"],
    ["webhook", "secret"],
];

/// Beginnings of text that stands for a secret kept elsewhere: a file, a Vault path, a tool that fetches or decrypts it.
const REFERENCE_BEGINNINGS: [&str; 9] =
    ["/", "vault:", "file:", "secret:", "{{", "<path:", "ref+", "ENC[", "op://"];

/// Ends of the names of files that hold keys, certificates and settings.
const FILE_ENDINGS: [&str; 17] = [
    "key",
    "pem",
    "crt",
    "cer",
    "der",
    "p12",
    "pfx",
    "jks",
    "txt",
    "json",
    "yaml",
    "yml",
    "conf",
    "cfg",
    "ini",
    "toml",
    "properties",
];
/// Words of the names under which a Secret keeps what it holds, besides those that name a secret.
const DATA_WORDS: [&str; 16] = [
    "user",
    "username",
    "login",
    "id",
    "name",
    "key",
    "secret",
    "password",
    "token",
    "cert",
    "certificate",
    "tls",
    "ca",
    "credential",
    "credentials",
    "config",
];
/// Words of a key ending in `SecretKey` that make it the name of a key in a Secret, as in `rootPasswordSecretKey`.
const NAMING_WORDS: [&str; 6] = ["existing", "user", "username", "login", "password", "token"];
/// Keys that name a Secret whose keys the others beside them name.
const SECRET_NAMES: [&str; 9] = [
    "existingSecret",
    "existingSecretName",
    "secretName",
    "secretRef",
    "secretKeyRef",
    "secret",
    "credentialsSecret",
    "fromSecret",
    "name",
];

/// Keys below one that names a secret whose text says where the secret is.
const REFERRING_KEYS: [&str; 10] = [
    "name",
    "key",
    "namespace",
    "kind",
    "apiVersion",
    "path",
    "file",
    "property",
    "secretName",
    "existingSecret",
];
/// Keys below one that names a secret whose text is the secret.
const VALUE_KEYS: [&str; 6] = ["value", "plain", "plaintext", "plainText", "literal", "raw"];

/// Returns whether a text has a secret in it that is known by its form.
#[must_use]
pub fn is_secret_text(text: &str) -> bool {
    !shapes::find(text).is_empty()
}

/// Returns the secrets of a text that are known by their form.
pub(crate) fn secrets_in(text: &str) -> impl Iterator<Item = &str> {
    shapes::find(text).into_iter().map(|found| &text[found.range])
}

/// Returns where in a text its secrets are that are known by their form.
pub(crate) fn secret_ranges(text: &str) -> impl Iterator<Item = Range<usize>> {
    shapes::find(text).into_iter().map(|found| found.range)
}

/// Returns a text whose secrets, as far as they are known by their form, are masked.
#[must_use]
pub fn masked(text: &str) -> Cow<'_, str> {
    replaced(text, &shapes::find(text))
}

/// Returns a text whose tokens and passwords in addresses are masked: what is one word wherever it stands, so that the
/// text around it keeps its form.
#[must_use]
pub fn masked_words(text: &str) -> Cow<'_, str> {
    replaced(text, &shapes::find_words(text))
}

fn replaced<'t>(text: &'t str, found: &[Found]) -> Cow<'t, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for Found { range, .. } in found {
        out.push_str(&text[from..range.start]);
        out.push_str(MASK);
        from = range.end;
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// Returns whether what stands under a key is a secret.
#[must_use]
pub fn names_a_secret(key: &str) -> bool {
    if !may_name_a_secret(key) {
        return false;
    }
    let words = words(key);
    let word = |from_end: usize| words.len().checked_sub(from_end).map(|at| words[at].as_str());
    let Some(last) = word(1) else { return false };
    let singular = last.strip_suffix('s').unwrap_or(last);
    let is_short = SHORT_WORDS.contains(&last) && !word(2).is_some_and(|before| PASSING_ON.contains(&before));
    is_short
        || SECRET_WORDS.iter().any(|secret| last.ends_with(secret) || singular.ends_with(secret))
        || SECRET_PAIRS.iter().any(|[first, second]| word(2) == Some(*first) && singular == *second)
        || SECRET_PAIRS.iter().any(|[first, second]| singular.strip_prefix(first) == Some(*second))
}

/// Returns quickly whether the last word is no secret word: almost every key of a document ends in other letters.
fn may_name_a_secret(key: &str) -> bool {
    let letters = key.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    let stem = letters.strip_suffix(['s', 'S']).unwrap_or(letters).as_bytes();
    let end = &stem[stem.len().saturating_sub(3)..];
    // The ends of password, passwd, passphrase (and its plural), token, key, secret, pass and pwd.
    let ends: [&[u8]; 8] = [b"ord", b"swd", b"ase", b"ken", b"key", b"ret", b"pas", b"pwd"];
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
        was_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns the name under which an entry of a map holds a secret: its key, or for an environment variable the `name`.
pub(crate) fn secret_name<'a>(key: &'a str, map: &'a Map) -> Option<&'a str> {
    // In an ExternalSecret, `secretKey` is what the remote content will be called.
    let is_external = key == "secretKey" && map.get("remoteRef").is_some();
    let name = match key {
        "value" => map.get("name").or_else(|| map.get("key")).and_then(Value::as_str)?,
        key => key,
    };
    (!is_external && names_a_secret(name) && !names_a_key_of_a_secret(key, map)).then_some(name)
}

/// Returns whether an entry of a map says under which key a Secret keeps something: `existingSecretKey: password`,
/// `rootUserSecretKey: rootUser`, or `secretKey: password` beside `existingSecret`.
fn names_a_key_of_a_secret(key: &str, map: &Map) -> bool {
    let Some(Value::String(text)) = map.get(key) else { return false };
    let words = words(key);
    let Some(("key" | "keys", before)) = words.split_last().map(|(last, before)| (last.as_str(), before))
    else {
        return false;
    };
    let is_named = before.last().is_some_and(|word| word == "secret")
        && before.iter().any(|word| NAMING_WORDS.contains(&word.as_str()));
    let is_beside_name = || {
        let names = SECRET_NAMES.iter().filter_map(|name| map.get(name));
        names.clone().any(|named| match named {
            Value::String(name) => !name.is_empty(),
            refers => refers.get("name").is_some(),
        })
    };
    is_key_of_data(text) && (is_named || is_beside_name())
}

/// Returns whether a text is a name under which a Secret keeps something, such as `admin-password`, and not the thing itself.
fn is_key_of_data(text: &str) -> bool {
    const LONGEST: usize = 63;
    let is_name = text.len() <= LONGEST
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !text.bytes().any(|byte| byte.is_ascii_digit());
    is_name && words(text).iter().any(|word| DATA_WORDS.contains(&word.as_str()))
}

/// Returns whether what stands under the name of a secret can be one: something that refers to nothing.
pub(crate) fn holds_a_secret(name: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => is_given(text),
        Value::Number(number) => is_secret_number(name, number.as_str()),
        Value::List(items) => items.iter().any(|item| item.as_str().is_some() && holds_a_secret(name, item)),
        Value::Map(map) => {
            VALUE_KEYS.iter().any(|key| map.get(key).is_some_and(|it| holds_a_secret(name, it)))
        }
        _ => false,
    }
}

/// Returns whether a number is a password of digits and not a count of tokens.
fn is_secret_number(name: &str, number: &str) -> bool {
    number.len() >= 4
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && words(name)
            .last()
            .is_some_and(|last| !last.ends_with("token") && !last.ends_with('s') || last == "pass")
}

/// Returns whether a text under the name of a secret is the secret itself.
fn is_given(text: &str) -> bool {
    !text.is_empty() && !is_reference(text)
}

/// Returns whether an object is a Secret of Kubernetes, whose data are secrets.
pub(crate) fn is_secret_object(object: &Map) -> bool {
    let text = |key| object.get(key).and_then(Value::as_str);
    text("apiVersion") == Some("v1") && text("kind") == Some("Secret")
}

/// Returns whether a key below one that names a secret says where the secret is.
pub(crate) fn refers_to_a_secret(key: &str) -> bool {
    REFERRING_KEYS.contains(&key) || key.ends_with("Ref") || key == "valueFrom"
}

/// Returns whether an argument such as `--password` says that the next one is a secret.
pub(crate) fn announces_a_secret(argument: &str) -> bool {
    argument.strip_prefix('-').is_some_and(|name| !name.contains('=') && names_a_secret(name))
}

/// Returns whether a text stands for a secret kept elsewhere: a variable, a file, a path in Vault.
pub(crate) fn is_reference(text: &str) -> bool {
    let is_variable = text
        .strip_prefix('$')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || "_{(".contains(c)))
        && !shapes::is_hash(text);
    is_variable || REFERENCE_BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) || is_file(text)
}

/// Returns whether a text names a file by its ending: `tls.key`, `certs/server.pem`.
fn is_file(text: &str) -> bool {
    let stem = FILE_ENDINGS.iter().find_map(|ending| text.strip_suffix(ending)?.strip_suffix('.'));
    stem.is_some_and(|stem| {
        !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./~".contains(&byte))
    })
}

/// Returns whether a text stands where people are to put a secret, or hides one.
fn is_placeholder(text: &str) -> bool {
    text.is_empty() || text.starts_with(['$', '<', '{', '%', '*'])
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
            assert!(is_secret_text(text), "{text} was passed");
        }
        for text in [
            "ghp_",
            "a.b.c",
            "http://192.168.64.102:9090/api/v1/write",
            "mysql://app:${PASSWORD}@192.168.64.21/app",
            "ssh://git@git.example.com:22/x.git",
            "-----BEGIN CERTIFICATE-----\nMII",
        ] {
            assert!(!is_secret_text(text), "{text} was refused");
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

    #[test]
    fn a_long_text_is_looked_at_once() {
        // Each of these would take hours if every beginning were followed to the end of the text.
        for piece in [
            "sk-",
            "eyJ-",
            "AKIA-",
            "://u:",
            "password=a ",
            "\"password\":\"$a\",",
            "-----BEGIN PRIVATE KEY ",
            "a-A-",
            "Bearer ",
            "--password ",
        ] {
            let text = piece.repeat(1_000_000 / piece.len());
            assert!(masked(&text).len() >= MASK.len(), "{piece}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_text_is_it_can_be_masked(
            text in "([=:\"' {},$ü\n.@-]|password|token|://|Bearer |-----BEGIN |PRIVATE KEY-----|ghp_|eyJ|a1\\.|hunter2){0,40}"
        ) {
            let shown = masked(&text).into_owned();
            for found in shapes::find(&text) {
                proptest::prop_assert!(!text[found.range].is_empty());
            }
            // What is masked is not a secret any more.
            proptest::prop_assert_eq!(masked(&shown), shown.as_str());
        }
    }
}
