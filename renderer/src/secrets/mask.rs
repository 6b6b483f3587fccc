//! Masks the secrets of two versions of a value, and keeps whether they are equal: by comparing them, since a
//! hash of a short secret can be guessed.

use std::collections::BTreeSet;

use crate::rewritten::rewritten;
use crate::yaml::{Map, Value};

use super::forms::{self, Found};
use super::names::{announces_a_secret, is_secret_number, is_secret_object, secret_name};
use super::references::{is_given, refers_to_a_secret};

/// What stands where a secret is masked.
pub const MASK: &str = "***";

/// What stands where a secret is masked that the published version does not have.
const CHANGED: &str = "*** (changed)";

/// Masks the published version of something, then the rendered one.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    /// The secrets of the published version.
    published: BTreeSet<String>,
    is_rendered: bool,
}

impl Mask {
    /// Masks the published version.
    pub(crate) fn published(&mut self, value: Value, name: Option<&str>) -> Value {
        self.is_rendered = false;
        self.value(value, name)
    }

    /// Masks the rendered version.
    pub(crate) fn rendered(&mut self, value: Value, name: Option<&str>) -> Value {
        self.is_rendered = true;
        self.value(value, name)
    }

    /// Masks a value; `name` is the name of the secret that it stands under.
    fn value(&mut self, value: Value, name: Option<&str>) -> Value {
        match value {
            Value::String(text) => Value::String(match name {
                Some(_) if is_given(&text) => self.mask(&text, None),
                _ => self.text(&text),
            }),
            Value::Number(number) if name.is_some_and(|name| is_secret_number(name, number.as_str())) => {
                Value::String(self.mask(number.as_str(), None))
            }
            Value::List(items) => Value::List(self.list(items, name)),
            Value::Map(map) => Value::Map(self.map(map, name)),
            other => other,
        }
    }

    fn list(&mut self, items: Vec<Value>, name: Option<&str>) -> Vec<Value> {
        let mut is_announced = false;
        let mut masked = Vec::with_capacity(items.len());
        for item in items {
            let announces = item.as_str().is_some_and(announces_a_secret);
            let is_option = item.as_str().is_some_and(|text| text.starts_with('-'));
            let own = if is_announced && !is_option { Some("password") } else { name };
            masked.push(self.value(item, own));
            is_announced = announces;
        }
        masked
    }

    fn map(&mut self, map: Map, name: Option<&str>) -> Map {
        let is_secret = is_secret_object(&map);
        let own_name = |key: &str| match name {
            Some(_) if refers_to_a_secret(key) => None,
            Some(name) => Some(name.to_owned()),
            None if is_secret && matches!(key, "data" | "stringData") => Some(key.to_owned()),
            None => secret_name(key, &map).map(str::to_owned),
        };
        let names: Vec<Option<String>> = map.iter().map(|(key, _)| own_name(key)).collect();
        let entries = map.into_iter().zip(names);
        entries.map(|((key, value), name)| (key, self.value(value, name.as_deref()))).collect()
    }

    /// Masks what is a secret by its form.
    fn text(&mut self, text: &str) -> String {
        let secrets = forms::find(text).into_iter().map(|Found { range, kind }| (range, kind));
        rewritten(text, secrets, |out, kind, secret| out.push_str(&self.mask(secret, Some(kind))))
            .into_owned()
    }

    fn mask(&mut self, secret: &str, kind: Option<&str>) -> String {
        let is_other = self.is_rendered && !self.published.is_empty() && !self.published.contains(secret);
        if !self.is_rendered {
            self.published.insert(secret.to_owned());
        }
        match (kind, is_other) {
            (Some(kind), true) => format!("{MASK} ({kind}, changed)"),
            (Some(kind), false) => format!("{MASK} ({kind})"),
            (None, true) => CHANGED.to_owned(),
            (None, false) => MASK.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        Value::from(&serde_json::from_str::<serde_json::Value>(text).unwrap())
    }

    fn masked(old: &str, new: &str, name: Option<&str>) -> [String; 2] {
        let mut mask = Mask::default();
        let (old, new) = (mask.published(read(old), name), mask.rendered(read(new), name));
        [old.to_json().to_string(), new.to_json().to_string()]
    }

    #[test]
    fn what_is_equal_and_what_differs_is_still_seen() {
        assert_eq!(masked("\"hunter2\"", "\"hunter2\"", Some("password")), ["\"***\"", "\"***\""]);
        assert_eq!(masked("\"hunter2\"", "\"hunter3\"", Some("password")), ["\"***\"", "\"*** (changed)\""]);
        assert_eq!(masked("\"hunter2\"", "\"/run/x\"", Some("password")), ["\"***\"", "\"/run/x\""]);
    }

    #[test]
    fn a_secret_is_masked_wherever_a_value_holds_it() {
        for (value, shown) in [
            (r#"{"adminPassword":"hunter2"}"#, r#"{"adminPassword":"***"}"#),
            (
                r#"{"password":{"value":"hunter2","secretKeyRef":{"name":"db","key":"x"}}}"#,
                r#"{"password":{"secretKeyRef":{"key":"x","name":"db"},"value":"***"}}"#,
            ),
            (r#"{"passwords":["hunter2",{"of":"hunter3"}]}"#, r#"{"passwords":["***",{"of":"***"}]}"#),
            (r#"{"password":123456,"maxTokens":4096}"#, r#"{"maxTokens":4096,"password":"***"}"#),
            (r#"[{"name":"DB_PASSWORD","value":"hunter2"}]"#, r#"[{"name":"DB_PASSWORD","value":"***"}]"#),
            (
                r#"["--password","hunter2","--token=hunter3"]"#,
                r#"["--password","***","--token=*** (password)"]"#,
            ),
            (
                r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{"a":"eA=="},"stringData":{"b":"x"}}"#,
                r#"{"apiVersion":"v1","data":{"a":"***"},"kind":"Secret","metadata":{"name":"a"},"stringData":{"b":"***"}}"#,
            ),
            (
                r#"{"config":"a: 1\npassword: hunter2\nb: 2\n"}"#,
                r#"{"config":"a: 1\npassword: *** (password)\nb: 2\n"}"#,
            ),
            (
                r#"{"url":"mysql://app:hunter2@10.0.0.1/app"}"#,
                r#"{"url":"mysql://app:*** (password)@10.0.0.1/app"}"#,
            ),
            (
                r#"{"passwordSecretRef":{"name":"db","key":"password"}}"#,
                r#"{"passwordSecretRef":{"key":"password","name":"db"}}"#,
            ),
        ] {
            let mut mask = Mask::default();
            let expected: serde_json::Value = serde_json::from_str(shown).unwrap();
            assert_eq!(mask.rendered(read(value), None).to_json(), expected);
        }
    }
}
