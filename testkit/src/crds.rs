//! Turns the definitions of Kubernetes' kinds, its own and custom ones, into plain JSON Schemas, small enough
//! to embed.
//!
//! A definition repeats itself many times over and describes each field in prose; an object schema needs
//! neither. Knows nothing of how the schemas are used.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

/// The group whose objects have other names than all others.
const RBAC: &str = "rbac.authorization.k8s.io";

/// Where the `OpenAPI` description keeps its definitions.
const DEFINITIONS: &str = "#/definitions/";

/// A schema shorter than this is repeated rather than shared: a reference would not be shorter.
const MIN_SHARED_BYTES: usize = 60;

/// The schema of one kind in one served version.
#[derive(Debug)]
pub struct KindSchema {
    /// The group and version, as objects write it.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The file name to keep it under, as in `argoproj.io_v1alpha1_Application.json`.
    pub file_name: String,
    /// Whether it is a kind of Kubernetes itself, whose schema refers to the parts that all of these share.
    pub is_core: bool,
    /// The schema as text: one definition a line, so that a change shows as a few lines.
    pub text: String,
}

impl KindSchema {
    fn new(group: &str, version: &str, kind: &str, schema: &Value) -> Self {
        let (api_version, beginning) = match group {
            "" => (version.to_owned(), "core".to_owned()),
            group => (format!("{group}/{version}"), group.to_owned()),
        };
        let file_name = format!("{beginning}_{version}_{kind}.json");
        Self { api_version, kind: kind.to_owned(), file_name, is_core: false, text: written(schema) }
    }
}

/// Condenses each custom resource definition of a file into a schema for each version that is served.
pub fn condense_all(file: &str) -> Result<Vec<KindSchema>> {
    let mut schemas = Vec::new();
    for definition in serde_yaml::from_multiple::<Value>(file)? {
        if definition["kind"] == "CustomResourceDefinition" {
            schemas.extend(condense_definition(&definition)?);
        }
    }
    Ok(schemas)
}

/// Kinds of Kubernetes itself.
#[derive(Debug)]
pub struct CoreSchemas {
    /// The schemas of the kinds.
    pub kinds: Vec<KindSchema>,
    /// The parts that they refer to, each once: what a pod is, is a part of many kinds.
    pub parts: String,
}

/// Condenses kinds of Kubernetes itself out of its `OpenAPI` description.
pub fn condense_core(description: &str, kinds: &[&str]) -> Result<CoreSchemas> {
    let description: Value = serde_json::from_str(description)?;
    let definitions = description["definitions"].as_object().context("it has no definitions")?;
    let (mut schemas, mut parts) = (Vec::new(), BTreeMap::new());
    for kind in kinds {
        let (name, definition) = find_kind(definitions, kind).with_context(|| format!("no `{kind}`"))?;
        let identity = &definition["x-kubernetes-group-version-kind"][0];
        let (group, version) = (text_at(identity, "/group")?, text_at(identity, "/version")?);
        let mut schema = object_schema(definition);
        if group == RBAC {
            // Names of roles are no DNS names: `system:reader` is one.
            schema["properties"]["metadata"] = json!(true);
        }
        add_parts(&schema, definitions, &mut parts);
        let schema = KindSchema::new(group, version, short(name).as_str(), &shortened(&schema));
        schemas.push(KindSchema { is_core: true, ..schema });
    }
    let mut named = Map::new();
    for (name, part) in parts {
        if named.insert(part_name(&name), shortened(&part)).is_some() {
            bail!("two definitions are called `{}`", part_name(&name));
        }
    }
    Ok(CoreSchemas { kinds: schemas, parts: written(&json!({ "$defs": named })) })
}

/// Finds a kind by `<version>.<Kind>` at the end of its definition's name, as in `networking.v1.NetworkPolicy`.
fn find_kind<'d>(definitions: &'d Map<String, Value>, kind: &str) -> Option<(&'d String, &'d Value)> {
    definitions.iter().find(|(name, _)| name.starts_with("io.k8s.") && name.ends_with(&format!(".{kind}")))
}

/// Adds every definition that a schema refers to, and those that they refer to.
fn add_parts(schema: &Value, definitions: &Map<String, Value>, parts: &mut BTreeMap<String, Value>) {
    for name in references(schema) {
        let Some(definition) = definitions.get(&name).filter(|_| !parts.contains_key(&name)) else {
            continue;
        };
        let part = core_part(&name, definition);
        parts.insert(name, part.clone());
        add_parts(&part, definitions, parts);
    }
}

/// Names that are composed of others, and how long the API server lets them be; its description does not say so.
const LONGEST: [(&str, &str, u64); 6] = [
    ("Container", "name", 63),
    ("ContainerPort", "name", 15),
    ("EphemeralContainer", "name", 63),
    ("PodSpec", "hostname", 63),
    ("ServicePort", "name", 63),
    ("Volume", "name", 63),
];

fn core_part(name: &str, definition: &Value) -> Value {
    let mut part = open_part(name, definition);
    let name = short(name);
    for (_, field, length) in LONGEST.iter().filter(|(owner, ..)| *owner == name) {
        part["properties"][*field]["maxLength"] = json!(length);
    }
    match name.as_str() {
        "ObjectMeta" => part["properties"]["labels"]["additionalProperties"]["maxLength"] = json!(63),
        "LabelSelector" => part["properties"]["matchLabels"]["additionalProperties"]["maxLength"] = json!(63),
        _ => {}
    }
    part
}

fn open_part(name: &str, definition: &Value) -> Value {
    match short(name).as_str() {
        // A quantity may be written as a number, too, and a port by its name.
        "Quantity" => json!({"type": ["number", "string"]}),
        "IntOrString" => json!({"type": ["integer", "string"]}),
        // A schema in a schema, which contains itself.
        "JSONSchemaProps" => json!({"type": "object"}),
        _ => plain(definition),
    }
}

fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(entries) => entries
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(to)) => {
                    to.strip_prefix(DEFINITIONS).map(str::to_owned).into_iter().collect()
                }
                (_, value) => references(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// Names a part by its group, version and kind, as in `core.v1.PodSpec`: kinds of different groups have parts
/// of one name.
fn part_name(name: &str) -> String {
    let from = name.rmatch_indices('.').nth(2).map_or(0, |(at, _)| at + 1);
    name[from..].to_owned()
}

/// Rewrites references to the names of `$defs`.
fn shortened(schema: &Value) -> Value {
    match schema {
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| {
                match (key.as_str(), value.as_str().and_then(|to| to.strip_prefix(DEFINITIONS))) {
                    ("$ref", Some(to)) => (key.clone(), json!(format!("#/$defs/{}", part_name(to)))),
                    _ => (key.clone(), shortened(value)),
                }
            })
            .collect(),
        Value::Array(items) => items.iter().map(shortened).collect(),
        other => other.clone(),
    }
}

fn short(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

/// Condenses one definition into a schema for each version that is served.
#[cfg(test)]
fn condense(definition: &str) -> Result<Vec<KindSchema>> {
    condense_definition(&serde_yaml::from_str(definition)?)
}

fn condense_definition(definition: &Value) -> Result<Vec<KindSchema>> {
    let group = text_at(definition, "/spec/group")?;
    let kind = text_at(definition, "/spec/names/kind")?;
    let versions =
        definition.pointer("/spec/versions").and_then(Value::as_array).context("it has no versions")?;
    let served = versions.iter().filter(|version| version["served"] == true);
    served
        .map(|version| {
            let name = text_at(version, "/name")?;
            let schema = version.pointer("/schema/openAPIV3Schema").context("a version has no schema")?;
            Ok(KindSchema::new(group, name, kind, &share(&object_schema(schema))))
        })
        .collect()
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("`{pointer}` is missing"))
}

/// Condenses the schema of a whole object. Its `status` is left out, since nobody writes one, and so are the
/// fields that all kinds have in common, but for the name, which must be a DNS name here.
fn object_schema(schema: &Value) -> Value {
    let mut schema = plain(schema);
    let properties = schema["properties"].as_object_mut().expect("the schema of an object has properties");
    properties.remove("status");
    properties.insert("apiVersion".to_owned(), json!(true));
    properties.insert("kind".to_owned(), json!(true));
    properties.insert("metadata".to_owned(), named_metadata());
    schema
}

fn named_metadata() -> Value {
    json!({"properties": {"name": {
        "maxLength": 253,
        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "x-hint": "use lower-case letters, digits, `-` and `.`, with a letter or digit at both ends",
    }}})
}

/// Rewrites a structural schema of Kubernetes as plain JSON Schema without prose.
fn plain(schema: &Value) -> Value {
    let Some(source) = schema.as_object() else { return schema.clone() };
    let mut plain = Map::new();
    for (keyword, value) in source {
        match keyword.as_str() {
            "$ref" | "pattern" | "enum" | "minimum" | "maximum" | "minLength" | "maxLength" | "minItems"
            | "maxItems" | "required" | "type" => {
                plain.insert(keyword.clone(), value.clone());
            }
            "items" | "additionalProperties" | "not" => {
                plain.insert(keyword.clone(), self::plain(value));
            }
            "properties" => {
                plain.insert(
                    keyword.clone(),
                    value
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(k, v)| (k.clone(), self::plain(v)))
                        .collect(),
                );
            }
            "allOf" | "oneOf" | "anyOf" if !is_true(source, "x-kubernetes-int-or-string") => {
                plain.insert(
                    keyword.clone(),
                    value.as_array().into_iter().flatten().map(self::plain).collect(),
                );
            }
            _ => {}
        }
    }
    set_types(source, &mut plain);
    close(source, &mut plain);
    plain.into()
}

fn is_true(schema: &Map<String, Value>, keyword: &str) -> bool {
    schema.get(keyword) == Some(&Value::Bool(true))
}

fn set_types(source: &Map<String, Value>, plain: &mut Map<String, Value>) {
    if is_true(source, "x-kubernetes-int-or-string") {
        plain.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if is_true(source, "nullable")
        && let Some(kind) = plain.get("type").and_then(Value::as_str)
    {
        let kinds = json!([kind, "null"]);
        plain.insert("type".to_owned(), kinds);
    }
}

/// The API server drops an unknown field without a word; the plain schema refuses it.
fn close(source: &Map<String, Value>, plain: &mut Map<String, Value>) {
    let is_open = is_true(source, "x-kubernetes-preserve-unknown-fields")
        || source.contains_key("additionalProperties");
    if source.contains_key("properties") && !is_open {
        plain.insert("additionalProperties".to_owned(), json!(false));
    }
}

/// Moves each sub-schema that occurs more than once into `$defs`.
fn share(schema: &Value) -> Value {
    let mut sharing = Sharing::default();
    sharing.count(schema, "root");
    let mut root = map_parts(schema, "root", &mut |part, _| sharing.replace(part));
    if !sharing.definitions.is_empty() {
        root["$defs"] = sharing.definitions.into_iter().collect();
    }
    root
}

/// What is known of the sub-schemas of one schema, by their text.
#[derive(Default)]
struct Sharing {
    uses: HashMap<String, Use>,
    wanted: HashMap<String, usize>,
    definitions: BTreeMap<String, Value>,
}

/// How often a sub-schema occurs and what it is called.
struct Use {
    count: usize,
    /// The name of the property that holds it first.
    property: String,
    /// The name it was given in `$defs`.
    name: Option<String>,
}

impl Sharing {
    /// Counts where each sub-schema occurs, looking into an equal one only once.
    fn count(&mut self, schema: &Value, property: &str) {
        let first = || Use { count: 0, property: property.to_owned(), name: None };
        let used = self.uses.entry(schema.to_string()).or_insert_with(first);
        used.count += 1;
        if used.count == 1 {
            map_parts(schema, property, &mut |part, property| {
                self.count(part, property);
                Value::Null
            });
        }
    }

    /// Returns the sub-schema with all that is shared replaced by references, itself included.
    fn replace(&mut self, schema: &Value) -> Value {
        let text = schema.to_string();
        let is_shared =
            text.len() >= MIN_SHARED_BYTES && self.uses.get(&text).is_some_and(|used| used.count > 1);
        if !is_shared {
            return map_parts(schema, "", &mut |part, _| self.replace(part));
        }
        let name = self.name(&text);
        if !self.definitions.contains_key(&name) {
            let definition = map_parts(schema, "", &mut |part, _| self.replace(part));
            self.definitions.insert(name.clone(), definition);
        }
        json!({"$ref": format!("#/$defs/{name}")})
    }

    fn name(&mut self, text: &str) -> String {
        let used = self.uses.get_mut(text).expect("every sub-schema was counted");
        let (property, wanted) = (&used.property, &mut self.wanted);
        let name = used.name.get_or_insert_with(|| {
            let count = wanted.entry(property.clone()).or_default();
            *count += 1;
            if *count == 1 { property.clone() } else { format!("{property}{count}") }
        });
        name.clone()
    }
}

/// Rebuilds a schema with each direct sub-schema replaced by what `change` makes of it and of the nearest
/// property's name.
fn map_parts(schema: &Value, property: &str, change: &mut impl FnMut(&Value, &str) -> Value) -> Value {
    let Some(keywords) = schema.as_object() else { return schema.clone() };
    let changed = keywords.iter().map(|(keyword, value)| {
        let value = match (keyword.as_str(), value) {
            ("properties", Value::Object(parts)) => {
                parts.iter().map(|(key, part)| (key.clone(), change(part, key))).collect()
            }
            ("allOf" | "oneOf" | "anyOf", Value::Array(parts)) => {
                parts.iter().map(|part| change(part, property)).collect()
            }
            ("items" | "additionalProperties" | "not", part) => change(part, property),
            _ => value.clone(),
        };
        (keyword.clone(), value)
    });
    changed.collect()
}

/// Writes a schema with one keyword a line, and one definition a line.
fn written(schema: &Value) -> String {
    let keywords = schema.as_object().into_iter().flatten();
    let lines = keywords.map(|(keyword, value)| match (keyword.as_str(), value) {
        ("$defs" | "properties", Value::Object(parts)) => {
            format!("{}: {}", json!(keyword), one_a_line(parts))
        }
        _ => format!("{}: {value}", json!(keyword)),
    });
    format!("{{\n{}\n}}\n", lines.collect::<Vec<_>>().join(",\n"))
}

fn one_a_line(parts: &Map<String, Value>) -> String {
    let lines: Vec<_> = parts.iter().map(|(key, part)| format!("  {}: {part}", json!(key))).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Condenses a definition whose `spec` has the given properties, and returns the schema of `spec`.
    fn spec(properties: &Value) -> Value {
        let schema = json!({"openAPIV3Schema": {"properties": {
            "spec": {"type": "object", "properties": properties, "description": "prose"}, "status": {"type": "object"},
        }}});
        let definition = json!({"spec": {"group": "example.com", "names": {"kind": "Pool"}, "versions": [
            {"name": "v1", "served": true, "schema": schema}, {"name": "v0", "served": false, "schema": schema},
        ]}});
        let schemas = condense(&definition.to_string()).unwrap();
        assert_eq!(schemas.len(), 1, "only what is served is kept");
        assert_eq!(schemas[0].file_name, "example.com_v1_Pool.json");
        let schema: Value = serde_json::from_str(&schemas[0].text).unwrap();
        assert_eq!(schema["properties"].get("status"), None);
        let mut spec = schema["properties"]["spec"].clone();
        spec["$defs"] = schema["$defs"].clone();
        spec
    }

    #[test]
    fn a_map_with_known_keys_is_closed_unless_it_is_free() {
        let spec = spec(&json!({
            "closed": {"properties": {"a": {}}},
            "open": {"properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": true},
            "labels": {"additionalProperties": {"type": "string"}},
        }));
        assert_eq!(spec["additionalProperties"], false);
        let parts = &spec["properties"];
        assert_eq!(parts["closed"]["additionalProperties"], false);
        assert_eq!(parts["open"].get("additionalProperties"), None);
        assert_eq!(parts["labels"], json!({"additionalProperties": {"type": "string"}}));
    }

    #[test]
    fn types_of_kubernetes_become_lists_of_types() {
        let spec = spec(&json!({
            "port": {"anyOf": [{"type": "integer"}, {"type": "string"}], "pattern": "^x$", "x-kubernetes-int-or-string": true},
            "note": {"type": "string", "nullable": true},
        }));
        assert_eq!(spec["properties"]["port"], json!({"type": ["integer", "string"], "pattern": "^x$"}));
        assert_eq!(spec["properties"]["note"], json!({"type": ["string", "null"]}));
    }

    #[test]
    fn prose_and_defaults_are_left_out_but_not_a_field_of_that_name() {
        let spec = spec(&json!({
            "description": {"type": "string", "description": "prose", "default": "x", "format": "int64"},
        }));
        assert_eq!(spec["properties"]["description"], json!({"type": "string"}));
        assert_eq!(spec.get("description"), None);
    }

    #[test]
    fn equal_parts_are_kept_once_under_the_name_of_their_first_place() {
        let source =
            json!({"properties": {"repoURL": {"type": "string"}, "targetRevision": {"type": "string"}}});
        let spec = spec(&json!({"source": source, "sources": {"type": "array", "items": source}}));
        let reference = json!({"$ref": "#/$defs/source"});
        assert_eq!(spec["properties"]["source"], reference);
        assert_eq!(spec["properties"]["sources"]["items"], reference);
        assert_eq!(spec["$defs"].as_object().map(Map::len), Some(1));
        assert_eq!(spec["$defs"]["source"]["properties"], source["properties"]);
    }
}
