//! JSON Schemas that people write: the first line is a value, the rest is the schema that it is held against.

use renderer::schema::Schema;

pub(crate) const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"$ref\":\"#\"",
    "\"$ref\":\"#/$defs/a\"",
    "\"$defs\":{\"a\":",
    "\"anyOf\":[",
    "\"allOf\":[",
    "\"oneOf\":[",
    "\"not\":",
    "\"if\":",
    "\"then\":",
    "\"properties\":{\"a\":",
    "\"items\":",
    "\"required\":[\"a\"]",
    "\"pattern\":\"^(a+)+$\"",
    "\"uniqueItems\":true",
    "\"type\":\"object\"",
    "\"enum\":[",
    "\"const\":",
    "\"additionalProperties\":",
    "\"patternProperties\":{\"a\":",
    "\"propertyNames\":",
    "\"contains\":",
    "\"minItems\":1",
    "\"unevaluatedProperties\":false",
    "\"dependentSchemas\":{\"a\":",
    "\"format\":\"ipv4\"",
    "\"$dynamicRef\":\"#a\"",
    "\"$id\":\"x\"",
    "\"a\"",
    "1",
    "null",
    "\n",
];

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some((value, schema)) = text.split_once('\n') else { return };
    let (Ok(value), Ok(schema)) = (serde_json::from_str(value), serde_json::from_str(schema)) else { return };
    let Ok(schema) = Schema::compile(&schema) else { return };
    let found = schema.violations(&value);
    assert_eq!(schema.violations(&value), found);
}
