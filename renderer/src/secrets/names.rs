//! Secrets by the names that they stand under: keys, environment variables, arguments.

use super::references::{is_given, is_one_of};
use crate::yaml::{Map, Value};

/// Last words of keys whose value is a secret, also at the end of a longer word.
const SECRET_WORDS: [&str; 5] = ["password", "passwd", "passphrase", "token", "apikey"];
/// Last words of keys whose value is a secret.
const SHORT_WORDS: &str = "pass pwd dbpass dbpwd adminpass rootpass userpwd";
/// What stands before `pass` in the names of settings that pass something on.
const PASSING_ON: &str = "proxy fastcgi uwsgi scgi grpc memcached";
/// Last two words of keys whose value is a secret.
const SECRET_PAIRS: &str = "access-key account-key api-key app-secret auth-key client-secret consumer-secret \
     cookie-secret encryption-key hmac-key jwt-secret master-key private-key root-key secret-key session-secret \
     shared-secret signing-key unseal-key webhook-secret";
/// Words of the names under which a Secret keeps what it holds, besides those that name a secret.
const DATA_WORDS: &str = "user username login id name key secret password token cert certificate tls ca \
     credential credentials config";
/// Words of a key ending in `SecretKey` that make it the name of a key in a Secret, as in `rootPasswordSecretKey`.
const NAMING_WORDS: &str = "existing user username login password token";
/// Keys that name a Secret whose keys the others beside them name.
const SECRET_NAMES: &str = "existingSecret existingSecretName secretName secretRef secretKeyRef secret \
     credentialsSecret fromSecret name";
/// Keys below one that names a secret whose text is the secret.
const VALUE_KEYS: &str = "value plain plaintext plainText literal raw";

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
    let is_short =
        is_one_of(SHORT_WORDS, last) && !word(2).is_some_and(|before| is_one_of(PASSING_ON, before));
    is_short
        || SECRET_WORDS.iter().any(|secret| last.ends_with(secret) || singular.ends_with(secret))
        || SECRET_PAIRS.split(' ').filter_map(|pair| pair.split_once('-')).any(|(first, second)| {
            word(2) == Some(first) && singular == second || singular.strip_prefix(first) == Some(second)
        })
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

/// Returns whether an entry of a map is the name of a key in a Secret: `existingSecretKey: password`,
/// `rootUserSecretKey: rootUser`, or `secretKey: password` beside `existingSecret`.
fn names_a_key_of_a_secret(key: &str, map: &Map) -> bool {
    let Some(Value::String(text)) = map.get(key) else { return false };
    let words = words(key);
    let Some(("key" | "keys", before)) = words.split_last().map(|(last, before)| (last.as_str(), before))
    else {
        return false;
    };
    let is_named = before.last().is_some_and(|word| word == "secret")
        && before.iter().any(|word| is_one_of(NAMING_WORDS, word));
    let is_beside_name = || {
        let mut names = SECRET_NAMES.split(' ').filter_map(|name| map.get(name));
        names.any(|named| match named {
            Value::String(name) => !name.is_empty(),
            refers => refers.get("name").is_some(),
        })
    };
    is_key_of_data(text) && (is_named || is_beside_name())
}

/// Returns whether a text is a name under which a Secret keeps something, such as `admin-password`, and not
/// the thing itself.
fn is_key_of_data(text: &str) -> bool {
    const LONGEST: usize = 63;
    let is_name = text.len() <= LONGEST
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !text.bytes().any(|byte| byte.is_ascii_digit());
    is_name && words(text).iter().any(|word| is_one_of(DATA_WORDS, word))
}

/// Returns whether what stands under the name of a secret can be one: something that refers to nothing.
pub(crate) fn holds_a_secret(name: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => is_given(text),
        Value::Number(number) => is_secret_number(name, number.as_str()),
        Value::List(items) => items.iter().any(|item| item.as_str().is_some() && holds_a_secret(name, item)),
        Value::Map(map) => {
            VALUE_KEYS.split(' ').any(|key| map.get(key).is_some_and(|it| holds_a_secret(name, it)))
        }
        _ => false,
    }
}

/// Returns whether a number is a password of digits and not a count of tokens.
pub(super) fn is_secret_number(name: &str, number: &str) -> bool {
    number.len() >= 4
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && words(name)
            .last()
            .is_some_and(|last| !last.ends_with("token") && !last.ends_with('s') || last == "pass")
}

/// Returns whether an object is a Secret of Kubernetes, whose data are secrets.
pub(crate) fn is_secret_object(object: &Map) -> bool {
    let text = |key| object.get(key).and_then(Value::as_str);
    text("apiVersion") == Some("v1") && text("kind") == Some("Secret")
}

/// Returns whether an argument such as `--password` announces a secret as the next one.
pub(crate) fn announces_a_secret(argument: &str) -> bool {
    argument.strip_prefix('-').is_some_and(|name| !name.contains('=') && names_a_secret(name))
}
