//! GitHub's own description of its API, by which requests and replies are judged.
//!
//! `testkit/openapi/fetch` brings it in beforehand; nothing is downloaded here. The description is `OpenAPI`
//! 3.0, whose `nullable` is said here in the words of JSON Schema.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::state::Exchange;

const SCHEMAS: &str = "#/components/schemas/";

/// GitHub's description.
#[derive(Debug)]
pub struct Description {
    document: Value,
    /// What was compiled so far, by method, route, side and status.
    validators: Mutex<BTreeMap<String, Option<&'static Validator>>>,
}

/// Returns the description, if it is here.
#[must_use]
pub fn available() -> Option<&'static Description> {
    static DESCRIPTION: OnceLock<Option<Description>> = OnceLock::new();
    let read = || {
        let document = serde_json::from_slice(&std::fs::read(file()).ok()?).ok()?;
        Some(Description { document, validators: Mutex::default() })
    };
    DESCRIPTION.get_or_init(read).as_ref()
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/openapi/api.github.com.json")
}

impl Description {
    /// Returns everything that is wrong with an exchange: an unknown route or parameter, and a body that does not fit.
    ///
    /// Replies with 5xx come from the machines in front of the API, which it does not describe; nor does it GraphQL.
    pub fn faults(&self, exchange: &Exchange) -> Vec<String> {
        if exchange.status == 0 || exchange.status >= 500 || exchange.path == "/graphql" {
            return Vec::new();
        }
        let place = format!("{} {} {}", exchange.method, exchange.path, exchange.status);
        let Some((route, item)) = self.route(&exchange.path) else {
            return vec![format!("{place}: there is no such route")];
        };
        let method = exchange.method.to_lowercase();
        let Some(operation) = item.get(&method) else {
            return vec![format!("{place}: the route has no such method")];
        };
        let key = format!("{method} {route}");
        let mut faults = self.unknown_parameters(exchange, operation);
        if let Some(body) = &exchange.request {
            let schema = operation.pointer("/requestBody/content/application~1json/schema");
            faults.extend(self.judge(&format!("{key} request"), schema, body));
        }
        if let Some(body) = &exchange.reply {
            let schema = self.reply_schema(operation, exchange.status);
            faults.extend(self.judge(&format!("{key} {}", exchange.status), schema.as_ref(), body));
        }
        faults.into_iter().map(|fault| format!("{place}: {fault}")).collect()
    }

    fn route(&self, path: &str) -> Option<(&str, &Value)> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |route: &str| {
            let names: Vec<&str> = route.split('/').collect();
            let same = |(name, part): (&&str, &&str)| name.starts_with('{') || name == part;
            // The name of a ref may have slashes in it.
            let fits = names.len() == parts.len() || (route.ends_with("{ref}") && names.len() < parts.len());
            fits && names.iter().zip(&parts).all(same)
        };
        let routes = self.document["paths"].as_object()?.iter();
        let fitting = routes.filter(|(route, _)| fits(route));
        // Of two routes that fit, the longer one with fewer places to fill in is meant.
        let looseness = |route: &str| (parts.len() - route.split('/').count(), route.matches('{').count());
        fitting.min_by_key(|(route, _)| looseness(route)).map(|(route, item)| (route.as_str(), item))
    }

    fn unknown_parameters(&self, exchange: &Exchange, operation: &Value) -> Vec<String> {
        let known: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|parameter| self.resolved(parameter)["name"].as_str())
            .collect();
        let unknown = exchange.query.keys().filter(|key| !known.contains(key.as_str()));
        unknown.map(|key| format!("there is no parameter `{key}`")).collect()
    }

    fn reply_schema(&self, operation: &Value, status: u16) -> Option<Value> {
        let response = operation.get("responses")?.get(status.to_string());
        let described = response.and_then(|response| {
            let content = self.resolved(response).get("content")?.as_object()?;
            content.values().next()?.get("schema").cloned()
        });
        // What can be refused everywhere is not described everywhere.
        described.or_else(|| (status >= 400).then(|| json!({ "$ref": format!("{SCHEMAS}basic-error") })))
    }

    fn resolved<'v>(&'v self, value: &'v Value) -> &'v Value {
        let target = value.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        target.and_then(|target| self.document.pointer(target)).unwrap_or(value)
    }

    fn judge(&self, key: &str, schema: Option<&Value>, body: &Value) -> Vec<String> {
        let Some(schema) = schema else {
            return if *body == json!({}) { Vec::new() } else { vec!["a body is not expected".into()] };
        };
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let validator = validators.entry(key.to_owned()).or_insert_with(|| {
            // They are kept until the process ends, as the description is.
            jsonschema::validator_for(&self.with_definitions(schema))
                .ok()
                .map(|one| &*Box::leak(Box::new(one)))
        });
        let Some(validator) = validator else {
            return vec!["its schema cannot be understood".into()];
        };
        let at = |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
        validator.iter_errors(body).map(at).collect()
    }

    /// Returns a schema that holds every schema that it refers to.
    fn with_definitions(&self, schema: &Value) -> Value {
        let (mut found, mut left) = (Map::new(), references(schema));
        while let Some(name) = left.pop_first() {
            if found.contains_key(&name) {
                continue;
            }
            let definition = self.document["components"]["schemas"][&name].clone();
            left.extend(references(&definition));
            found.insert(name, with_null(definition));
        }
        json!({ "allOf": [with_null(schema.clone())], "components": { "schemas": found } })
    }
}

fn references(schema: &Value) -> BTreeSet<String> {
    match schema {
        Value::Object(fields) => {
            let own =
                fields.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix(SCHEMAS));
            fields.values().flat_map(references).chain(own.map(str::to_owned)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => BTreeSet::new(),
    }
}

/// Says `nullable: true` as JSON Schema does, and leaves out examples, which may hold anything.
fn with_null(schema: Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let is_nullable = fields.get("nullable") == Some(&Value::Bool(true));
            let is_note = |key: &str, value: &Value| {
                matches!(key, "example" | "examples") || (key == "nullable" && value.is_boolean())
            };
            let fields: Map<String, Value> = fields
                .into_iter()
                .filter(|(key, value)| !is_note(key, value))
                .map(|(key, value)| (key, with_null(value)))
                .collect();
            if is_nullable { json!({ "anyOf": [fields, { "type": "null" }] }) } else { fields.into() }
        }
        Value::Array(items) => items.into_iter().map(with_null).collect(),
        other => other,
    }
}
