//! Schemas for editors, which judge one file at a time.

use serde_json::{Value as Json, json};

use super::cluster_schema;

/// Returns the JSON Schema of `_defaults.yaml`: a cluster's file of which everything may be left out.
#[must_use]
pub fn defaults_schema() -> Json {
    let mut schema = cluster_schema();
    drop_everywhere(&mut schema, &|keyword, value| keyword == "required" && value.is_array());
    schema["title"] = json!("Fleetwright defaults");
    schema["description"] = json!("Facts about every cluster of this folder and below; what is nearer wins.");
    schema
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
