//! What it may cost to judge a value: counted before it is judged, since the judge itself can't be stopped.
//!
//! A schema that refers to itself, or applies parts of itself more than once, can take a number of steps that
//! doubles with each level of the value. Here every part of a schema is counted once for every part of a
//! value, whatever refers to it.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value};

use super::keywords::{Target, parts, reference};
use super::violation::SchemaError;

/// The most steps that judging one value may take: some tenths of a second.
pub const MAX_STEPS: usize = 2_000_000;
/// The most steps of a judgement whose reasons are listed: to list them takes several times as many, and
/// copies of the value.
pub(super) const MAX_REASONED_STEPS: usize = MAX_STEPS / 16;
/// The most parts of a schema that may apply to the same place of a value.
const MAX_PARTS: usize = 10_000;
/// How deep parts may stand in each other, references followed and levels of the value included: bounds the stack.
const MAX_DEPTH: usize = 1_000;
/// How many levels of a schema are followed through references: bounds the stack that compiling it takes.
const MAX_LEVELS: usize = 4_000;
/// The most different patterns, of which each may become large.
const MAX_PATTERNS: usize = 256;

/// Refuses a schema that costs too much whatever it judges. Returns with how many parts a value is compared
/// at most, all levels together; [`usize::MAX`] if a reference can repeat parts.
pub(super) fn parts_at_most(root: &Value) -> Result<usize, SchemaError> {
    let reached = reached(root)?;
    let mut costs = Costs::new(root);
    // What is reached last stands deepest.
    for (schema, pointer) in reached.iter().rev() {
        if costs.of(schema, None, 0) > MAX_PARTS {
            let reason = format!(
                "more than {MAX_PARTS} of its parts, or {MAX_DEPTH} inside each other, apply to the same value"
            );
            return Err(SchemaError::new(pointer, reason));
        }
    }
    let has_references = reached.iter().any(|(schema, _)| schema.get("$ref").is_some());
    Ok(if has_references { usize::MAX } else { reached.len() })
}

/// Returns every part of a schema with its pointer, each once.
fn reached(root: &Value) -> Result<Vec<(&Value, String)>, SchemaError> {
    let (mut reached, mut next) = (Vec::new(), VecDeque::from([(root, String::new())]));
    let (mut seen, mut targets, mut patterns) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut levels = depth(root);
    while let Some((schema, pointer)) = next.pop_front() {
        let Value::Object(entries) = schema else { continue };
        if !seen.insert(key(schema)) {
            continue;
        }
        check_names(entries, &pointer)?;
        patterns.extend(patterns_of(schema));
        let parts = [Target::Same, Target::Below].into_iter().flat_map(|target| parts(entries, target));
        next.extend(parts.map(|(step, part)| (part, format!("{pointer}{step}"))));
        if let Some(target) = reference(root, schema).filter(|target| targets.insert(key(target))) {
            levels += depth(target);
            let at = entries["$ref"].as_str().unwrap_or_default();
            next.push_back((target, at.trim_start_matches('#').to_owned()));
        }
        if levels > MAX_LEVELS {
            let reason = format!("its parts refer to each other over more than {MAX_LEVELS} levels");
            return Err(SchemaError::new(pointer, reason));
        }
        if patterns.len() > MAX_PATTERNS {
            let reason = format!("it has more than {MAX_PATTERNS} different patterns");
            return Err(SchemaError::new(pointer, reason));
        }
        reached.push((schema, pointer));
    }
    Ok(reached)
}

/// Returns how many steps judging a value takes, at most; `parts` is what [`parts_at_most`] says of the schema.
pub(super) fn steps(root: &Value, value: &Value, parts: usize) -> usize {
    let at_most = parts.saturating_mul(size(value));
    if at_most <= MAX_REASONED_STEPS { at_most } else { Costs::new(root).of(root, Some(value), 0) }
}

/// A part of a schema, or of a value, by where it stands in memory.
type Key = *const Value;

fn key(value: &Value) -> Key {
    std::ptr::from_ref(value)
}

/// Returns how many values stand in a value, itself included; long texts count for several.
fn size(value: &Value) -> usize {
    const TEXT: usize = 64;
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(entries) => 1 + entries.values().map(size).sum::<usize>(),
        Value::String(text) => 1 + text.len() / TEXT,
        _ => 1,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(entries) => 1 + entries.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn patterns_of(schema: &Value) -> impl Iterator<Item = &str> {
    let pattern = schema.get("pattern").and_then(Value::as_str);
    let keys = schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
    pattern.into_iter().chain(keys.map(|(pattern, _)| pattern.as_str()))
}

/// Refuses references that are not found by their place in the schema: what they lead to could not be counted.
fn check_names(schema: &Map<String, Value>, pointer: &str) -> Result<(), SchemaError> {
    let has = |keyword: &&&str| schema.get(**keyword).is_some_and(Value::is_string);
    let target = schema.get("$ref").and_then(Value::as_str).unwrap_or("#");
    let reason = if let Some(keyword) = ["$dynamicRef", "$recursiveRef"].iter().find(has) {
        format!("`{keyword}` is not supported: write `$ref` with a path, as in `#/$defs/name`")
    } else if let Some(keyword) = ["$id", "id"].iter().find(has).filter(|_| !pointer.is_empty()) {
        format!("`{keyword}` is not supported inside a schema: leave it out")
    } else if target != "#" && !target.starts_with("#/") || target.contains('%') {
        format!("`{target}` is not found by a path: write `$ref` as in `#/$defs/name`")
    } else {
        return Ok(());
    };
    Err(SchemaError::new(pointer, reason))
}

struct Costs<'a> {
    root: &'a Value,
    /// By part of the schema and of the value.
    known: HashMap<(Key, Option<Key>), usize>,
    /// How many values stand in a value.
    sizes: HashMap<Key, usize>,
}

impl<'a> Costs<'a> {
    fn new(root: &'a Value) -> Self {
        Self { root, known: HashMap::new(), sizes: HashMap::new() }
    }

    /// Counts the steps for a value, or the parts that apply to the same one whatever it is; [`usize::MAX`]
    /// if it is too many.
    fn of(&mut self, schema: &'a Value, value: Option<&'a Value>, depth: usize) -> usize {
        let Value::Object(entries) = schema else { return 1 };
        let pair = (key(schema), value.map(key));
        if let Some(known) = self.known.get(&pair) {
            return *known;
        }
        if self.known.len() > MAX_STEPS || depth > MAX_DEPTH {
            return usize::MAX;
        }
        let same = parts(entries, Target::Same).into_iter().map(|(_, part)| part);
        let same = same.chain(reference(self.root, schema));
        let own = value.map_or(1, |value| self.own(entries, value));
        let mut steps = same.fold(own, |steps, part| steps.saturating_add(self.of(part, value, depth + 1)));
        // What was judged already is found by judging it again.
        if ["unevaluatedItems", "unevaluatedProperties"].iter().any(|keyword| entries.contains_key(*keyword))
        {
            steps = steps.saturating_mul(2);
        }
        let below = match value {
            Some(Value::Object(map)) => self.map(entries, map, depth + 1),
            Some(Value::Array(items)) => self.list(entries, items, depth + 1),
            _ => 0,
        };
        self.known.insert(pair, steps.saturating_add(below));
        steps.saturating_add(below)
    }

    /// What the keywords that hold no other schema look at.
    fn own(&mut self, schema: &Map<String, Value>, value: &Value) -> usize {
        let compared =
            ["const", "enum", "uniqueItems"].iter().filter(|keyword| schema.contains_key(**keyword)).count();
        let listed: usize = ["enum", "required"]
            .iter()
            .filter_map(|keyword| schema.get(*keyword)?.as_array())
            .map(Vec::len)
            .sum();
        let text = value.as_str().map_or(0, |text| text.len() / 64);
        let keywords = schema.len().saturating_add(listed);
        keywords.saturating_mul(1 + text).saturating_add(compared.saturating_mul(self.size(value)))
    }

    fn size(&mut self, value: &Value) -> usize {
        if !(value.is_array() || value.is_object()) {
            return size(value);
        }
        *self.sizes.entry(key(value)).or_insert_with(|| size(value))
    }

    fn map(&mut self, schema: &'a Map<String, Value>, map: &'a Map<String, Value>, depth: usize) -> usize {
        let properties = schema.get("properties").and_then(Value::as_object);
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let rest = ["additionalProperties", "unevaluatedProperties"].map(|keyword| schema.get(keyword));
        let of_names = schema.get("propertyNames");
        let name_steps = of_names.map_or(0, |part| self.of(part, Some(&Value::Null), depth));
        let mut steps: usize = 0;
        for (name, value) in map {
            let named = properties.and_then(|properties| properties.get(name));
            let patterns = patterns.into_iter().flat_map(Map::values);
            let parts = named.into_iter().chain(patterns).chain(rest.into_iter().flatten());
            steps = parts.fold(steps, |steps, part| steps.saturating_add(self.of(part, Some(value), depth)));
            steps = steps.saturating_add(name_steps.saturating_mul(1 + name.len() / 64).saturating_add(1));
        }
        steps
    }

    fn list(&mut self, schema: &'a Map<String, Value>, items: &'a [Value], depth: usize) -> usize {
        let first = ["prefixItems", "items"].map(|keyword| schema.get(keyword).and_then(Value::as_array));
        let each =
            ["items", "additionalItems", "contains", "unevaluatedItems"].map(|keyword| schema.get(keyword));
        let mut steps: usize = 0;
        for (at, item) in items.iter().enumerate() {
            let first = first.into_iter().flatten().filter_map(|parts| parts.get(at));
            let parts = first.chain(each.into_iter().flatten());
            steps = parts.fold(steps, |steps, part| steps.saturating_add(self.of(part, Some(item), depth)));
        }
        steps
    }
}
