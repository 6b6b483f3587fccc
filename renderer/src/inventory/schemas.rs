//! Schemas as editors and our own judge need them: editors see one file at a time, and the judge what is merged.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use super::facts::{ClusterFile, FleetFile};
use crate::schema::Schema;

pub(super) static CLUSTER_SCHEMA: LazyLock<Schema> = LazyLock::new(compiled::<ClusterFile>);
pub(super) static FLEET_SCHEMA: LazyLock<Schema> = LazyLock::new(compiled::<FleetFile>);

fn compiled<T: JsonSchema>() -> Schema {
    Schema::compile(&schema_of::<T>()).expect("the schema is made from our own types")
}

/// Returns the schema by which we judge a file of a type.
pub(crate) fn schema_of<T: JsonSchema>() -> Json {
    let mut schema = schemars::schema_for!(T).to_value();
    // An editor would insert the `null` of what is absent by default, which is refused.
    drop_everywhere(&mut schema, &|keyword, value| keyword == "default" && value.is_null());
    bound_numbers(&mut schema);
    schema
}

/// Returns the JSON Schema of `_fleet.yaml`.
#[must_use]
pub fn fleet_schema() -> Json {
    schema_of::<FleetFile>()
}

/// Returns the JSON Schema of a cluster's file.
#[must_use]
pub fn cluster_schema() -> Json {
    let mut schema = schema_of::<ClusterFile>();
    let keys = schema.get_mut("properties").and_then(Json::as_object_mut);
    keys.into_iter().flat_map(|keys| keys.values_mut()).for_each(allow_null);
    schema
}

/// Returns the JSON Schema of `_defaults.yaml`: a cluster's file of which everything may be left out.
#[must_use]
pub fn defaults_schema() -> Json {
    let mut schema = cluster_schema();
    drop_everywhere(&mut schema, &|keyword, value| keyword == "required" && value.is_array());
    schema["title"] = json!("Fleetwright defaults");
    schema["description"] = json!("Facts about every cluster of this folder and below; what is nearer wins.");
    schema
}

/// Allows `null`, which drops what is inherited, for a key and for all keys below it.
fn allow_null(schema: &mut Json) {
    for keyword in ["properties", "$defs"] {
        let parts = schema.get_mut(keyword).and_then(Json::as_object_mut);
        parts.into_iter().flat_map(|parts| parts.values_mut()).for_each(allow_null);
    }
    if let Some(values) = schema.get_mut("additionalProperties").filter(|values| values.is_object()) {
        allow_null(values);
    }
    match schema.get_mut("type") {
        Some(Json::String(one)) => schema["type"] = json!([one, "null"]),
        Some(Json::Array(types)) => types.push("null".into()),
        _ => {
            if let Some(alternatives) = schema.get_mut("oneOf").and_then(Json::as_array_mut) {
                alternatives.push(json!({"type": "null"}));
            }
        }
    }
}

/// Gives whole numbers the bounds of their types, which a schema does not take from the name of a format.
fn bound_numbers(schema: &mut Json) {
    let bounds = match schema.get("format").and_then(Json::as_str) {
        Some("int32") => Some((i64::from(i32::MIN), i64::from(i32::MAX))),
        Some("uint32") => Some((0, i64::from(u32::MAX))),
        _ => None,
    };
    match schema {
        Json::Object(keywords) => {
            if let Some((minimum, maximum)) = bounds {
                keywords.entry("minimum").or_insert(minimum.into());
                keywords.entry("maximum").or_insert(maximum.into());
            }
            keywords.values_mut().for_each(bound_numbers);
        }
        Json::Array(items) => items.iter_mut().for_each(bound_numbers),
        _ => {}
    }
}

fn drop_everywhere(schema: &mut Json, is_dropped: &dyn Fn(&str, &Json) -> bool) {
    match schema {
        Json::Object(keywords) => {
            keywords.retain(|keyword, value| !is_dropped(keyword, value));
            keywords.values_mut().for_each(|value| drop_everywhere(value, is_dropped));
        }
        Json::Array(items) => items.iter_mut().for_each(|item| drop_everywhere(item, is_dropped)),
        _ => {}
    }
}
