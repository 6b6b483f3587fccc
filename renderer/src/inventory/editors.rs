//! Schemas as editors and our own judge need them: editors see one file at a time, and the judge what is merged.

use serde_json::{Value as Json, json};

use super::{ClusterFile, schema_of};

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
pub(super) fn bound_numbers(schema: &mut Json) {
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

/// Removes the default of what is simply absent by default: an editor would insert `null`, which is refused.
pub(super) fn drop_null_defaults(mut schema: Json) -> Json {
    drop_everywhere(&mut schema, &|keyword, value| keyword == "default" && value.is_null());
    schema
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
