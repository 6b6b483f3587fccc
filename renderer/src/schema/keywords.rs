//! The keywords of JSON Schema that hold other schemas, and what these apply to.

use serde_json::{Map, Value};

/// What a part of a schema applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The value itself.
    Same,
    /// What the value holds.
    Below,
}

/// The keywords, what their schemas apply to, and whether they hold a map of schemas by name.
const KEYWORDS: [(&str, Target, bool); 19] = [
    ("allOf", Target::Same, false),
    ("anyOf", Target::Same, false),
    ("oneOf", Target::Same, false),
    ("dependentSchemas", Target::Same, true),
    ("dependencies", Target::Same, true),
    ("not", Target::Same, false),
    ("if", Target::Same, false),
    ("then", Target::Same, false),
    ("else", Target::Same, false),
    ("properties", Target::Below, true),
    ("patternProperties", Target::Below, true),
    ("prefixItems", Target::Below, false),
    ("items", Target::Below, false),
    ("additionalItems", Target::Below, false),
    ("additionalProperties", Target::Below, false),
    ("contains", Target::Below, false),
    ("propertyNames", Target::Below, false),
    ("unevaluatedItems", Target::Below, false),
    ("unevaluatedProperties", Target::Below, false),
];

/// A part of a schema: its pointer, and the part.
pub(super) type Part<'a> = (String, &'a Value);

/// Returns the parts of a schema that apply to a target, references left out.
pub(super) fn parts(schema: &Map<String, Value>, target: Target) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for (keyword, _, is_map) in KEYWORDS.into_iter().filter(|(_, applies_to, _)| *applies_to == target) {
        match schema.get(keyword) {
            Some(Value::Object(named)) if is_map => {
                let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
                parts.extend(named.iter().map(|(key, part)| (format!("/{keyword}/{}", escaped(key)), part)));
            }
            Some(Value::Array(listed)) => {
                let listed = listed.iter().enumerate();
                parts.extend(listed.map(|(at, part)| (format!("/{keyword}/{at}"), part)));
            }
            Some(part) => parts.push((format!("/{keyword}"), part)),
            None => {}
        }
    }
    parts.retain(|(_, part)| part.is_object() || part.is_boolean());
    parts
}

/// Returns what the reference of a schema leads to inside the document.
pub(super) fn reference<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}
