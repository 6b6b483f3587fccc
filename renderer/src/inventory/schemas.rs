//! Schemas as editors and our own judge need them: editors see one file at a time, and the judge what is merged.

use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json, json};

use super::facts::{ClusterFile, FleetFile};
use crate::schema::Schema;

type Keywords = Map<String, Json>;

pub(super) static CLUSTER_SCHEMA: LazyLock<Schema> = LazyLock::new(compiled::<ClusterFile>);
pub(super) static FLEET_SCHEMA: LazyLock<Schema> = LazyLock::new(compiled::<FleetFile>);

fn compiled<T: JsonSchema>() -> Schema {
    Schema::own(&schema_of::<T>())
}

/// Returns the schema by which we judge a file of a type.
pub(crate) fn schema_of<T: JsonSchema>() -> Json {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    // An editor would insert the `null` of what is absent by default, which is refused.
    change_everywhere(&mut schema, &|keywords| {
        keywords.retain(|keyword, value| keyword != "default" || !value.is_null());
        drop_null(keywords);
        bound_number(keywords);
    });
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
    change_everywhere(&mut schema, &|keywords| {
        keywords.retain(|keyword, value| keyword != "required" || !value.is_array());
    });
    schema["title"] = json!("Fleetwright defaults");
    schema["description"] = json!("Facts about every cluster of this folder and below; what is nearer wins.");
    schema
}

/// Allows `null`, which drops what is inherited, for a key and for all keys below it.
fn allow_null(schema: &mut Json) {
    let parts = schema.get_mut("properties").and_then(Json::as_object_mut);
    parts.into_iter().flat_map(|parts| parts.values_mut()).for_each(allow_null);
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

/// What is absent is left out: `null` is no type of it.
fn drop_null(keywords: &mut Keywords) {
    let Some(Json::Array(types)) = keywords.get_mut("type") else { return };
    types.retain(|kind| kind != "null");
    if let [only] = types.as_slice() {
        let only = only.clone();
        keywords.insert("type".to_owned(), only);
    }
}

/// Gives a whole number the bounds of its type, which a schema does not take from the name of a format.
fn bound_number(keywords: &mut Keywords) {
    let (minimum, maximum) = match keywords.get("format").and_then(Json::as_str) {
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Some("uint32") => (0, i64::from(u32::MAX)),
        _ => return,
    };
    keywords.entry("minimum").or_insert(minimum.into());
    keywords.entry("maximum").or_insert(maximum.into());
}

fn change_everywhere(schema: &mut Json, change: &dyn Fn(&mut Keywords)) {
    match schema {
        Json::Object(keywords) => {
            change(keywords);
            keywords.values_mut().for_each(|value| change_everywhere(value, change));
        }
        Json::Array(items) => items.iter_mut().for_each(|item| change_everywhere(item, change)),
        _ => {}
    }
}
