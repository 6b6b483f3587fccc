//! The way between values and JSON, for the libraries that speak JSON.
//!
//! Nothing is lost towards values. Towards JSON, a number keeps its value and not its spelling.

use serde::{Serialize, Serializer};

use super::value::{Map, Number, Value, float_spelling};

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
        let float = number.as_f64().filter(|_| number.is_f64());
        // A JSON number is finite.
        Self(float.and_then(float_spelling).unwrap_or_else(|| number.to_string()).into())
    }
}

impl From<&Number> for serde_json::Number {
    fn from(number: &Number) -> Self {
        number.as_str().parse().expect("the spelling of a number is valid JSON")
    }
}

impl Serialize for Value {
    /// Serializes the value as what it is; a number keeps its value and not its spelling.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => serde_json::Number::from(number).serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => serializer.collect_map(entries.iter()),
        }
    }
}

impl Value {
    /// Returns the value as JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a value is JSON")
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
        assert_eq!(
            write(&Value::from(&json)),
            "a:\n  - 1\n  - 2\n  - 1.0e+21\n  - {}\nb:\n  c: |\n    x\n    y\n"
        );
    }
}
