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
pub(super) static PROFILE_SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::own(&profile_schema()));

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
    allow_null_keys(&mut schema);
    schema
}

/// Returns the JSON Schema of `_defaults.yaml`: a cluster's file of which everything may be left out.
#[must_use]
pub fn defaults_schema() -> Json {
    let mut schema = partial(cluster_schema());
    schema["title"] = json!("Fleetwright defaults");
    schema["description"] = json!("Facts about every cluster of this folder and below; what is nearer wins.");
    schema
}

/// Returns the JSON Schema of a profile: parts of `_fleet.yaml` and of clusters' files.
#[must_use]
pub fn profile_schema() -> Json {
    let part = |mut schema: Json, description: &str| {
        let keywords = schema.as_object_mut().into_iter();
        keywords
            .for_each(|keywords| keywords.retain(|keyword, _| keyword != "$schema" && keyword != "title"));
        schema["description"] = json!(description);
        schema
    };
    let mut fleet = schema_of::<FleetFile>();
    allow_null_keys(&mut fleet);
    let mut schema = json!({ "title": "Fleetwright profile" });
    schema["$schema"] = fleet["$schema"].clone();
    schema["description"] = json!("Another shape of the fleet, laid over its facts when it is asked for.");
    schema["type"] = json!("object");
    schema["properties"] = json!({
        "fleet": part(partial(fleet), "What is laid over the facts that all clusters share."),
        "allClusters": part(defaults_schema(), "What is laid over the facts of every cluster."),
        "clusters": {
            "description": "What is laid over the facts of one cluster, by its name.",
            "type": "object",
            "additionalProperties": part(defaults_schema(), "Facts about the cluster; they win."),
        },
    });
    schema["additionalProperties"] = json!(false);
    schema
}

/// Returns a schema by which everything may be left out.
fn partial(mut schema: Json) -> Json {
    change_everywhere(&mut schema, &|keywords| {
        keywords.retain(|keyword, value| keyword != "required" || !value.is_array());
    });
    schema
}

/// Allows `null` for every key of a file.
fn allow_null_keys(schema: &mut Json) {
    let keys = schema.get_mut("properties").and_then(Json::as_object_mut);
    keys.into_iter().flat_map(|keys| keys.values_mut()).for_each(allow_null);
}

/// Allows `null`, which drops what is inherited, for a key and for all keys below it.
fn allow_null(schema: &mut Json) {
    allow_null_keys(schema);
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
