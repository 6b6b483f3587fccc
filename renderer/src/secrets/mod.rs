//! Secrets: which keys hold one (`names`), which texts are one (`forms`), which only refer to one
//! (`references`), which lines of a file show one (`lines`), and how they are masked (`mask`).
//!
//! The check that refuses secrets and everything that shows values use these rules. Knows nothing of what is rendered.

mod forms;
mod lines;
mod mask;
mod names;
mod references;

use std::borrow::Cow;

use crate::rewritten::rewritten;

pub use forms::Found;
pub(crate) use lines::Lines;
pub use mask::MASK;
pub(crate) use mask::Mask;
pub use names::names_a_secret;
pub(crate) use names::{announces_a_secret, holds_a_secret, is_secret_object, secret_name};
pub(crate) use references::refers_to_a_secret;

/// Returns whether a text has a secret in it that is known by its form.
pub(crate) fn is_secret_text(text: &str) -> bool {
    !forms::find(text).is_empty()
}

/// Returns a text whose secrets, as far as they are known by their form, are masked.
pub(crate) fn masked(text: &str) -> Cow<'_, str> {
    without(text, forms::find(text))
}

/// Returns a text whose tokens and passwords in addresses are masked: what is one word wherever it stands, so that the
/// text around it keeps its form.
#[must_use]
pub fn masked_words(text: &str) -> Cow<'_, str> {
    without(text, forms::find_words(text))
}

fn without(text: &str, secrets: Vec<Found>) -> Cow<'_, str> {
    rewritten(text, secrets.into_iter().map(|secret| (secret.range, MASK)), |out, mask, _| out.push_str(mask))
}

#[cfg(test)]
mod tests {
    use super::references::is_reference;
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
            "eyJhbGciOi.a2V5.aXY.Y2lwaGVydGV4dA.dGFn",
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

    #[test]
    fn what_stands_around_a_masked_key_is_looked_at_before() {
        let shown = masked("eyJa1.a1.passworda1.-----BEGIN PRIVATE KEY-----").into_owned();
        assert_eq!(masked(&shown), shown.as_str());
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_text_is_it_can_be_masked(
            text in "([=:\"' {},$ü\n.@-]|password|token|://|Bearer |-----BEGIN |PRIVATE KEY-----|ghp_|eyJ|a1\\.|hunter2){0,40}"
        ) {
            let shown = masked(&text).into_owned();
            for found in forms::find(&text) {
                proptest::prop_assert!(!text[found.range].is_empty());
            }
            // What is masked is not a secret any more.
            proptest::prop_assert_eq!(masked(&shown), shown.as_str());
        }
    }
}
