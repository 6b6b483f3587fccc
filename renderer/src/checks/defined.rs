//! What is wrong with an object by the definition of its kind that is applied beside it.
//!
//! Does what the API server does with a definition's schema: nulls go and defaults come, then the object is judged, and what
//! the schema does not name is pruned without a word. That is what a person wants to know.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use crate::schema::{Schema, Violation};
use crate::yaml;

/// What every object has, and the API server itself judges.
const OF_EVERY_OBJECT: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];

/// The keywords that mean the same in a definition and in a JSON Schema. Formats do not.
const SAME: [&str; 14] = [
    "enum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "required",
    "type",
    "uniqueItems",
];

/// A kind, as a definition has it for one of its versions. What is written there is read when an object first needs it.
#[derive(Debug)]
pub struct DefinedKind<'a> {
    written: &'a yaml::Value,
    read: OnceLock<Option<Read>>,
}

#[derive(Debug)]
struct Read {
    written: Value,
    schema: Schema,
}

impl<'a> DefinedKind<'a> {
    /// Takes an `openAPIV3Schema`.
    pub(crate) fn new(written: &'a yaml::Value) -> Self {
        Self { written, read: OnceLock::new() }
    }

    /// Returns whether it is described by the same schema.
    pub(crate) fn is_of(&self, written: &yaml::Value) -> bool {
        std::ptr::eq(self.written, written) || self.written == written
    }

    /// Returns whether its schema can be judged by.
    pub(super) fn is_usable(&self) -> bool {
        self.read().is_some()
    }

    fn read(&self) -> Option<&Read> {
        let read = || {
            let written = self.written.to_json();
            let schema = Schema::compile(&of_object(&written)).ok()?;
            Some(Read { written, schema })
        };
        self.read.get_or_init(read).as_ref()
    }

    /// Returns what is wrong with an object of the kind.
    pub(super) fn violations(&self, mut object: Value) -> Vec<Violation> {
        let Some(read) = self.read() else { return Vec::new() };
        complete(&mut object, &read.written);
        read.schema.violations(&object)
    }
}

/// Takes out the nulls that a field can't have, and fills in defaults.
fn complete(value: &mut Value, written: &Value) {
    match value {
        Value::Object(entries) => {
            let properties = written.get("properties").and_then(Value::as_object);
            let rest = written.get("additionalProperties");
            let part = |key: &str| properties.and_then(|it| it.get(key)).or(rest);
            entries.retain(|key, value| {
                !value.is_null() || part(key).is_some_and(|part| is_set(part, "nullable"))
            });
            for (key, part) in properties.into_iter().flatten() {
                if let Some(default) = part.get("default")
                    && !entries.contains_key(key)
                {
                    entries.insert(key.clone(), default.clone());
                }
            }
            for (key, value) in entries {
                if let Some(part) = part(key) {
                    complete(value, part);
                }
            }
        }
        Value::Array(items) => {
            let part = written.get("items").unwrap_or(&Value::Null);
            for item in items {
                complete(item, part);
            }
        }
        _ => {}
    }
}

/// Returns the JSON Schema of a whole object.
fn of_object(written: &Value) -> Value {
    let mut schema = json_schema(written, Role::Whole);
    let Some(entries) = schema.as_object_mut() else { return schema };
    allow(entries, &OF_EVERY_OBJECT);
    if let Some(required) = entries.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|key| !OF_EVERY_OBJECT.iter().any(|own| key == own));
    }
    schema
}

/// What a part of a definition's schema is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It says all that may be there.
    Whole,
    /// It only narrows what others say, as an alternative does.
    Narrowing,
}

/// Returns the JSON Schema that judges as a part of a definition's schema does.
fn json_schema(written: &Value, role: Role) -> Value {
    // `additionalProperties` may be no more than `true`.
    let Some(entries) = written.as_object() else { return json!(true) };
    let mut schema: Map<String, Value> = Map::new();
    for (key, value) in entries {
        let judged = match (key.as_str(), value) {
            (key, value) if SAME.contains(&key) => value.clone(),
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                parts.iter().map(|part| json_schema(part, Role::Narrowing)).collect()
            }
            ("not", part) => json_schema(part, Role::Narrowing),
            ("additionalProperties" | "items", part) => json_schema(part, role),
            ("properties", Value::Object(parts)) => {
                let parts = parts.iter().map(|(key, part)| (key.clone(), json_schema(part, role)));
                Value::Object(parts.collect())
            }
            _ => continue,
        };
        schema.insert(key.clone(), judged);
    }
    if is_set(written, "x-kubernetes-int-or-string") {
        schema.remove("anyOf");
        schema.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if is_set(written, "x-kubernetes-embedded-resource") {
        allow(&mut schema, &OF_EVERY_OBJECT[..3]);
    }
    let keeps_unknown = is_set(written, "x-kubernetes-preserve-unknown-fields");
    let is_map = written.get("type").is_some_and(|kind| kind == "object");
    if role == Role::Whole && is_map && !keeps_unknown && !schema.contains_key("additionalProperties") {
        allow(&mut schema, &[]);
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    if is_set(written, "nullable") {
        return json!({"anyOf": [{"type": "null"}, schema]});
    }
    schema.into()
}

/// Lets anything be at some keys.
fn allow(schema: &mut Map<String, Value>, keys: &[&str]) {
    if let Some(properties) = schema.entry("properties").or_insert_with(|| json!({})).as_object_mut() {
        properties.extend(keys.iter().map(|key| ((*key).to_owned(), json!(true))));
    }
}

fn is_set(written: &Value, key: &str) -> bool {
    written.get(key) == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::key_path::text_of;

    const WIDGET: &str = r"
type: object
required: [spec, metadata]
properties:
  apiVersion: {type: string}
  kind: {type: string}
  metadata: {type: object}
  spec:
    type: object
    required: [size, mode]
    properties:
      size: {type: integer, format: int32, minimum: 1}
      mode: {type: string, enum: [slow, fast], default: fast}
      port: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}], pattern: '^[0-9]+%?$'}
      host: {type: string, pattern: '^[a-z]+$', nullable: true}
      labels: {type: object, additionalProperties: {type: string}}
      anything: {type: object, additionalProperties: true}
      free: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {known: {type: object, properties: {a: {}}}}}
      any: {x-kubernetes-preserve-unknown-fields: true}
      template: {type: object, x-kubernetes-embedded-resource: true, properties: {spec: {type: object}}}
      empty: {type: object}
      parts: {type: array, items: {type: object, required: [name], properties: {name: {type: string}, at: {type: string}}}}
      source:
        type: object
        properties: {a: {type: string}, b: {type: string}, c: {type: string, default: x}}
        oneOf: [{required: [a]}, {required: [b]}]
  status: {type: object}
";

    fn read(text: &str) -> yaml::Value {
        yaml::interpret(&yaml::parse(text).unwrap()[0]).unwrap()
    }

    fn found_by(schema: &str, spec: &str) -> String {
        let (schema, object) =
            (read(schema), read(&format!("metadata: {{name: a, x: 1}}\nstatus: 1\n{spec}")));
        let violations = DefinedKind::new(&schema).violations(object.to_json());
        let lines = violations.iter().map(|it| format!("{}: {}", text_of(&it.path), it.message));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn found(spec: &str) -> String {
        found_by(WIDGET, &format!("spec: {spec}"))
    }

    #[test]
    fn what_the_api_server_takes_as_it_is_has_no_fault() {
        for spec in [
            "{size: 1}",
            "{size: 1, mode: slow, port: 80, labels: {a: b}, parts: [{name: a}], empty: {}}",
            "{size: 1, port: 80%, host: a}",
            "{size: 1, host: null, mode: null, labels: {a: null}, source: {a: x, b: null}}",
            "{size: 1, any: 1}",
            "{size: 1, any: {a: [1]}, anything: {a: {b: c}}, free: {a: {b: c}, known: {a: 1}}}",
            "{size: 1, template: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {}}}",
        ] {
            assert_eq!(found(spec), "", "{spec}");
        }
    }

    #[test]
    fn what_it_drops_or_refuses_is_found() {
        assert_snapshot!(found("{sise: 1, mode: quick, port: [], host: A, labels: {a: 1}}"), @"
        spec.host: `host` is `A`, which does not match `^[a-z]+$`
        spec.labels.a: `a` must be a string, not a number
        spec.mode: `mode` must be one of `slow`, `fast`
        spec.port: `port` must be an integer or a string, not a list
        spec.sise: unknown key `sise`
        ");
        assert_snapshot!(found("{size: 0, port: x, parts: [{name: 1}, {nmae: a}, null], empty: {a: 1}}"), @"
        spec.empty.a: unknown key `a`
        spec.parts[0].name: `name` must be a string, not a number
        spec.parts[1].nmae: unknown key `nmae`
        spec.parts[2]: `parts[2]` must be a map, not null
        spec.port: `port` is `x`, which does not match `^[0-9]+%?$`
        spec.size: `size` must be at least 1, not 0
        ");
        assert_snapshot!(found("{size: null, free: {known: {b: 1}}, template: {data: 1, spec: {a: 1}}}"), @"
        spec: missing key `size`
        spec.free.known.b: unknown key `b`
        spec.template.data: unknown key `data`
        spec.template.spec.a: unknown key `a`
        ");
        assert_snapshot!(found("{size: 1, source: {a: x, b: x, d: x}}"), @"
        spec.source: `source` fits more than one of its alternatives
        spec.source.d: unknown key `d`
        ");
        assert_snapshot!(found_by(WIDGET, "specs: {}"), @"specs: unknown key `specs`");
    }

    #[test]
    fn a_schema_that_cannot_be_read_judges_nothing() {
        for schema in ["{type: object, properties: {spec: {type: string, pattern: '('}}}", "{type: map}"] {
            assert_eq!(found_by(schema, "spec: 1\nmore: 2"), "", "{schema}");
        }
    }
}
