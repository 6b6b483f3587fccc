//! A chart's `values.schema.json`: it refines the types of the defaults, names keys that have none, and closes places.
//!
//! Only what distinguishes one shape from another is read; ranges, patterns and conditions are left to Helm.
//! Whatever is not understood states nothing, so that no value is refused by mistake.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::defaults::is_free;
use super::shape::{Others, Shape, Types};
use crate::yaml::Value;

/// How deep a schema is followed. A schema that refers to itself states nothing below that.
const MAX_DEPTH: usize = 48;
/// How deep the parts of a schema may stand in each other, references followed.
const MAX_NESTING: usize = 256;
/// How many parts of a schema are read, those that are referred to counted each time.
const MAX_PARTS: usize = 200_000;

/// What a schema states about one place. What is left out is not stated.
#[derive(Clone, Debug, Default)]
struct Stated {
    types: Option<Types>,
    entries: BTreeMap<Box<str>, Stated>,
    others: Option<Others<Stated>>,
    items: Option<Box<Stated>>,
}

/// Refines the shape of a chart's values by its schema, or returns why that is not read to the end.
pub(super) fn refine(defaults: Shape, schema: &Json) -> Result<Shape, String> {
    let mut reader = SchemaReader { root: schema, open: Vec::new(), depth: 0, parts: 0 };
    let mut stated = reader.read(schema);
    if reader.parts > MAX_PARTS {
        return Err(format!("refers to more than {MAX_PARTS} of its parts"));
    }
    // Whatever a schema allows at the top, a chart's templates read the keys that they name and no others.
    stated.others = stated.others.filter(|others| matches!(others, Others::Refused));
    stated.types = Some(Types::MAP);
    Ok(combined(defaults, stated))
}

struct SchemaReader<'a> {
    root: &'a Json,
    /// The references that are being followed.
    open: Vec<&'a str>,
    depth: usize,
    parts: usize,
}

impl<'a> SchemaReader<'a> {
    fn read(&mut self, schema: &'a Json) -> Stated {
        self.parts += 1;
        if self.parts > MAX_PARTS || self.depth >= MAX_NESTING {
            return Stated::default();
        }
        self.depth += 1;
        let stated = self.whole(schema);
        self.depth -= 1;
        stated
    }

    fn whole(&mut self, schema: &'a Json) -> Stated {
        let mut stated = self.own(schema);
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str)
            && let Some(target) = self.target(reference)
        {
            self.open.push(reference);
            stated = both(stated, self.read(target));
            self.open.pop();
        }
        for part in list(schema, "allOf") {
            stated = both(stated, self.read(part));
        }
        for key in ["anyOf", "oneOf"] {
            let parts: Vec<_> = list(schema, key).iter().map(|part| self.read(part)).collect();
            if let Some(any) = parts.into_iter().reduce(either) {
                stated = both(stated, any);
            }
        }
        stated
    }

    fn target(&self, reference: &'a str) -> Option<&'a Json> {
        if self.open.contains(&reference) || self.open.len() >= MAX_DEPTH {
            return None;
        }
        self.root.pointer(reference.strip_prefix('#')?)
    }

    /// Reads what stands in the schema itself.
    fn own(&mut self, schema: &'a Json) -> Stated {
        let types = types(schema);
        let entries = schema.get("properties").and_then(Json::as_object).into_iter().flatten();
        let entries: BTreeMap<_, _> =
            entries.map(|(key, schema)| (Box::from(key.as_str()), self.read(schema))).collect();
        let patterns = schema.get("patternProperties").and_then(Json::as_object);
        let others = match (patterns, other_properties(schema)) {
            (Some(patterns), _) if patterns.len() == 1 => {
                patterns.values().next().map(|each| Others::Each(self.read(each).into()))
            }
            (Some(_), _) | (_, Some(Json::Bool(true))) => Some(Others::Free),
            (_, Some(Json::Bool(false))) => Some(Others::Refused),
            (_, Some(each)) => Some(Others::Each(self.read(each).into())),
            // A map without any statement is free; references and parts state more elsewhere.
            (None, None) if entries.is_empty() && types == Some(Types::MAP) => Some(Others::Free),
            (None, None) => None,
        };
        let items = schema.get("items").filter(|items| items.is_object());
        let items = items.map(|items| Box::new(self.read(items)));
        Stated { types, entries, others, items }
    }
}

/// Returns what a schema states about the keys that it does not name. One that refuses what nothing has
/// looked at closes a place, too.
fn other_properties(schema: &Json) -> Option<&Json> {
    let unevaluated = || schema.get("unevaluatedProperties").filter(|others| **others == Json::Bool(false));
    schema.get("additionalProperties").or_else(unevaluated)
}

fn list<'a>(schema: &'a Json, key: &str) -> &'a [Json] {
    schema.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn types(schema: &Json) -> Option<Types> {
    match schema.get("type") {
        Some(Json::String(name)) => type_named(name),
        Some(Json::Array(names)) => {
            let mut names = names.iter().filter_map(Json::as_str);
            names.try_fold(Types::empty(), |all, name| Some(all | type_named(name)?))
        }
        _ => {
            let values = schema.get("enum").and_then(Json::as_array).map(Vec::as_slice);
            let values = values.or(schema.get("const").map(std::slice::from_ref))?;
            Some(values.iter().map(|value| Types::from(&Value::from(value))).collect())
        }
    }
}

fn type_named(name: &str) -> Option<Types> {
    Some(match name {
        "boolean" => Types::BOOL,
        "integer" | "number" => Types::NUMBER,
        "string" => Types::TEXT,
        "array" => Types::LIST,
        "object" => Types::MAP,
        "null" => Types::empty(),
        _ => return None,
    })
}

/// Returns what holds if both hold.
fn both(mut a: Stated, b: Stated) -> Stated {
    let types = match (a.types, b.types) {
        (Some(a), Some(b)) if a.intersects(b) => Some(a & b),
        (a, b) => a.or(b),
    };
    let names_keys = !a.entries.is_empty() || !b.entries.is_empty();
    for (key, stated) in b.entries {
        let known = a.entries.remove(&key).unwrap_or_default();
        a.entries.insert(key, both(known, stated));
    }
    let others = match (a.others, b.others) {
        (Some(Others::Refused), _) | (_, Some(Others::Refused)) => Some(Others::Refused),
        // Beside a part that names keys, one that is only `object` adds nothing.
        (Some(Others::Free), None) | (None, Some(Others::Free)) if names_keys => None,
        (Some(Others::Each(a)), Some(Others::Each(b))) => Some(Others::Each(both(*a, *b).into())),
        (Some(each @ Others::Each(_)), _) | (_, Some(each @ Others::Each(_))) => Some(each),
        (a, b) => a.or(b),
    };
    let items = match (a.items, b.items) {
        (Some(a), Some(b)) => Some(both(*a, *b).into()),
        (a, b) => a.or(b),
    };
    Stated { types, entries: a.entries, others, items }
}

/// Returns what holds if one of both holds.
fn either(mut a: Stated, b: Stated) -> Stated {
    // A null may stand anywhere, so a part that only allows it states nothing.
    if a.types == Some(Types::empty()) {
        return b;
    }
    if b.types == Some(Types::empty()) {
        return a;
    }
    let types = a.types.zip(b.types).map(|(a, b)| a | b);
    // A part that is no map states nothing about keys.
    let a_is_map = a.types.is_none_or(|types| types.contains(Types::MAP));
    let b_is_map = b.types.is_none_or(|types| types.contains(Types::MAP));
    for (key, stated) in b.entries {
        let merged = match a.entries.remove(&key) {
            Some(known) => either(known, stated),
            None => stated,
        };
        a.entries.insert(key, merged);
    }
    let others = match (a.others, b.others) {
        (a, _) if a_is_map && !b_is_map => a,
        (_, b) if b_is_map && !a_is_map => b,
        (Some(Others::Refused), b) => b,
        (a, Some(Others::Refused)) => a,
        (None, None) => None,
        _ => Some(Others::Free),
    };
    let items = a.items.zip(b.items).map(|(a, b)| either(*a, *b).into());
    Stated { types, entries: a.entries, others, items }
}

/// Returns the shape of a place with its default, if it has one: of others, everything may stand there.
fn combined(default: Shape, stated: Stated) -> Shape {
    const ANYTHING: Shape = Shape::of(Types::all());
    let default_is_free = default.types.contains(Types::MAP) && is_free(&default);
    let mut known = default.entries;
    // A free place keeps only what the schema itself names: its defaults are examples.
    if matches!(stated.others, Some(Others::Free | Others::Each(_))) {
        known.clear();
    }
    // A closed place takes what the schema names, whatever else is commented out there.
    if matches!(stated.others, Some(Others::Refused)) {
        known.retain(|key, _| stated.entries.contains_key(key));
    }
    // Of a place that has defaults, a schema names the keys. One that has none is read by whatever it is handed on to.
    let names_keys = !stated.entries.is_empty();
    for (key, stated) in stated.entries {
        let default = known.remove(&key).unwrap_or(ANYTHING);
        known.insert(key, combined(default, stated));
    }
    let others = match stated.others {
        Some(Others::Refused) => Others::Refused,
        Some(Others::Free) => Others::Free,
        Some(Others::Ignored) => Others::Ignored,
        Some(Others::Each(stated)) => match combined(ANYTHING, *stated) {
            each if each == ANYTHING => Others::Free,
            each => Others::Each(each.into()),
        },
        None if default_is_free => Others::Free,
        None if names_keys => Others::Ignored,
        None => default.others,
    };
    let items = stated.items.map(|items| combined(ANYTHING, *items)).filter(|items| *items != ANYTHING);
    let types = stated.types.filter(|types| !types.is_empty()).unwrap_or(default.types);
    let mut shape = Shape { types, entries: known, others, items: items.map(Box::new).or(default.items) };
    if !types.contains(Types::LIST) {
        shape.items = None;
    }
    if !types.contains(Types::MAP) {
        shape.entries.clear();
        shape.others = Others::Free;
    }
    shape
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;
    use testkit::hostile::bombs;

    use super::*;
    use crate::charts::{defaults, notation};
    use crate::yaml;

    fn refined(values: &str, schema: &Json) -> String {
        let nodes = yaml::parse(values).unwrap();
        yaml::write(&notation::write(&refine(defaults::shape_of_values(&nodes[0], values), schema).unwrap()))
    }

    #[test]
    fn a_schema_says_types_that_defaults_leave_open() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": ["string", "null"]},
            "b": {"anyOf": [{"type": "integer"}, {"type": "null"}, {"type": "string"}]},
            "c": {"enum": ["x", 3]},
            "d": {"type": "array", "items": {"type": "string"}},
            "e": {"type": "object", "additionalProperties": {"type": "string"}},
            "f": {"description": "nothing"},
        }});
        assert_snapshot!(refined("a:\nb: 1\nc:\nd: []\ne: {}\nf: x\ng: true\n", &schema), @"
        _bool: g
        _list of text: d
        _map of text: e
        _number|text: b c
        _text: a f
        ");
    }

    #[test]
    fn a_schema_closes_and_opens_places() {
        let schema = json!({"type": "object", "additionalProperties": false, "properties": {
            "closed": {"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}},
            "config": {"type": "object"},
            "ports": {"type": "object", "patternProperties": {"^p": {"$ref": "#/$defs/port"}}},
        }, "$defs": {"port": {"type": "object", "additionalProperties": false, "properties": {"up": {"type": "boolean"}}}}});
        assert_snapshot!(refined("closed: {a: x}\nconfig: {known: {x: 1}}\nports: {p: {up: true}}\n", &schema), @"
        _others: refused
        _map: config
        closed:
          _others: refused
          _text: a
        ports:
          _others:
            _others: refused
            _bool: up
        ");
    }

    #[test]
    fn an_item_is_closed_only_by_a_schema_that_says_so() {
        let item = |others: Json| {
            let mut item = json!({"type": "object", "properties": {
                "type": {"type": "string"},
                "metadata": {"type": "object", "properties": {"url": {"type": "string"}}},
            }});
            item.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
            json!({"type": "array", "items": item})
        };
        let schema = json!({"properties": {
            "open": item(json!({})),
            "closed": item(json!({"additionalProperties": false})),
            "seen": item(json!({"unevaluatedProperties": false})),
        }});
        assert_snapshot!(refined("open: []\nclosed: []\nseen: []\n", &schema), @"
        closed:
          _items:
            _others: refused
            _text: type
            metadata:
              _others: any
              _text: url
        open:
          _items:
            _others: any
            _text: type
            metadata:
              _others: any
              _text: url
        seen:
          _items:
            _others: refused
            _text: type
            metadata:
              _others: any
              _text: url
        ");
    }

    #[test]
    fn parts_of_a_schema_add_up_and_one_that_refers_to_itself_ends() {
        let schema = json!({"properties": {
            "speaker": {"allOf": [{"$ref": "#/definitions/component"}, {"type": "object", "properties": {"b": {"type": "boolean"}}}]},
            "tree": {"$ref": "#/definitions/tree"},
        }, "definitions": {
            "component": {"type": "object", "properties": {"a": {"type": "string"}}},
            "tree": {"type": "object", "properties": {"child": {"$ref": "#/definitions/tree"}, "name": {"type": "string"}}},
        }});
        assert_snapshot!(refined("speaker: {}\n", &schema), @"
        speaker:
          _others: any
          _bool: b
          _text: a
        tree:
          _others: any
          _any: child
          _text: name
        ");
    }

    #[test]
    fn parts_that_multiply_are_refused() {
        let chain = bombs::chained_schema(40);
        assert_eq!(
            refine(Shape::map(BTreeMap::new()), &chain),
            Err("refers to more than 200000 of its parts".to_owned())
        );
        let schema = bombs::chart_with_wide_schema(60).remove("values.schema.json").unwrap();
        let schema = serde_json::from_slice(&schema).unwrap();
        assert_eq!(
            refine(Shape::map(BTreeMap::new()), &schema),
            Err("refers to more than 200000 of its parts".to_owned())
        );
    }

    #[test]
    fn the_top_is_never_free() {
        assert_snapshot!(refined("a: 1\n", &json!({"type": "object", "additionalProperties": true})), @"_number: a");
    }
}
