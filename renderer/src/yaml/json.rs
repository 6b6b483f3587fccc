//! The way between values and JSON, for the libraries that speak JSON.
//!
//! Nothing is lost towards values. Towards JSON, a number keeps its value and not its spelling.

use super::value::{Map, Number, Value};
use super::write::Writer;

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => Self::Number(number.into()),
            serde_json::Value::String(text) => Self::String(text.clone()),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(entries) => Self::Map(
                entries.iter().map(|(key, value)| (key.clone(), Self::from(value))).collect::<Map>(),
            ),
        }
    }
}

impl From<&serde_json::Number> for Number {
    fn from(number: &serde_json::Number) -> Self {
        if let Some(number) = number.as_i64() {
            return number.into();
        }
        if let Some(number) = number.as_u64() {
            return number.into();
        }
        let number = number.as_f64().expect("a JSON number is an integer of 64 bits or a float");
        Self::try_from(number).expect("a JSON number is finite")
    }
}

impl From<&Number> for serde_json::Number {
    fn from(number: &Number) -> Self {
        number.as_str().parse().expect("the spelling of a number is valid JSON")
    }
}

impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.into()),
            Value::String(text) => Self::String(text.clone()),
            Value::List(items) => Self::Array(items.iter().map(Self::from).collect()),
            Value::Map(map) => {
                Self::Object(map.iter().map(|(key, value)| (key.to_owned(), Self::from(value))).collect())
            }
        }
    }
}

impl Value {
    /// Returns the value as JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        self.into()
    }
}

impl Writer<'_> {
    /// Writes a JSON value with everything in it, without building a value first.
    pub fn json(&mut self, json: &serde_json::Value) {
        match json {
            serde_json::Value::Null => self.null(),
            serde_json::Value::Bool(value) => self.boolean(*value),
            serde_json::Value::Number(number) => self.number(&number.into()),
            serde_json::Value::String(text) => self.string(text),
            serde_json::Value::Array(items) => {
                self.begin_list();
                for item in items {
                    self.json(item);
                }
                self.end_list();
            }
            serde_json::Value::Object(entries) => {
                self.begin_map();
                for (key, value) in entries {
                    self.key(key);
                    self.json(value);
                }
                self.end_map();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml::write;

    #[test]
    fn json_comes_back_from_a_value_as_it_was() {
        let json = json!({"a": [1, -2, 1.5, 1e21, u64::MAX, true, null], "b": {"c": "no"}});
        assert_eq!(Value::from(&json).to_json(), json);
    }

    #[test]
    fn json_is_written_like_the_value_it_is() {
        let json = json!({"a": [1, 2.0, 1e21, {}], "b": {"c": "x\ny\n"}});
        let mut out = String::new();
        Writer::new(&mut out).json(&json);
        assert_eq!(out, write(&Value::from(&json)));
        assert_eq!(out, "a:\n  - 1\n  - 2\n  - 1.0e+21\n  - {}\nb:\n  c: |\n    x\n    y\n");
    }
}
