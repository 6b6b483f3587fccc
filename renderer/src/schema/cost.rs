//! What it may cost to judge a value: counted before it is judged, since the judge itself can't be stopped.
//!
//! A schema that refers to itself, or applies parts of itself more than once, can take a number of steps that doubles with
//! each level of the value. Here every part of a schema is counted once for every part of a value, whatever refers to it.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::keywords::{Target, parts, reference};
use super::violation::SchemaError;

/// The most steps that judging one value may take: some tenths of a second.
pub const MAX_STEPS: usize = 2_000_000;
/// The most parts of a schema that may apply to the same place of a value.
const MAX_PARTS: usize = 10_000;
/// How deep the parts that apply to the same place may stand in each other.
const MAX_CHAIN: usize = 32;
/// How many levels of a schema are followed through references: bounds the stack that compiling it takes.
const MAX_LEVELS: usize = 4_000;
/// The most different patterns, of which each may become large.
const MAX_PATTERNS: usize = 256;

/// How the steps of a judgement grow with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Growth {
    /// With how many parts a value is compared at most, all levels together; [`usize::MAX`] if there is no such number.
    parts: usize,
}

/// Refuses a schema that costs too much whatever it judges, and returns how its cost grows.
pub(super) fn growth(root: &Value) -> Result<Growth, SchemaError> {
    let mut walk = SchemaWalk {
        root,
        same_place: HashMap::new(),
        next: vec![(root, String::new())],
        seen: HashSet::new(),
    };
    let (mut levels, mut targets, mut patterns) = (depth(root), HashSet::new(), HashSet::new());
    while let Some((schema, pointer)) = walk.next.pop() {
        if !walk.seen.insert(key(schema)) {
            continue;
        }
        walk.same_place(schema, &pointer, 0)?;
        if let Some(target) = reference(root, schema).filter(|target| targets.insert(key(target))) {
            levels += depth(target);
        }
        if levels > MAX_LEVELS {
            return Err(SchemaError::new(
                &pointer,
                format!("its parts refer to each other over more than {MAX_LEVELS} levels"),
            ));
        }
        patterns.extend(patterns_of(schema));
        if patterns.len() > MAX_PATTERNS {
            return Err(SchemaError::new(
                &pointer,
                format!("it has more than {MAX_PATTERNS} different patterns"),
            ));
        }
    }
    let parts = Unfolded { root, known: HashMap::new() }.parts(root, 0);
    Ok(Growth { parts })
}

/// Returns whether judging a value, and listing all that is wrong with it, takes too many steps.
pub(super) fn judgement(root: &Value, value: &Value, growth: Growth) -> Result<(), TooMany> {
    if growth.parts.saturating_mul(size(value)) <= MAX_STEPS {
        return Ok(());
    }
    let mut costs = Costs { root, known: HashMap::new(), work: 0, sizes: HashMap::new() };
    let cost = costs.of(root, value)?;
    match (cost.valid, cost.errors) {
        (valid, _) if valid > MAX_STEPS => Err(TooMany::Steps),
        (_, errors) if errors > MAX_STEPS => Err(TooMany::Reasons),
        _ => Ok(()),
    }
}

/// Why a value is not judged, or not in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooMany {
    /// Not even whether it fits can be judged.
    Steps,
    /// Whether it fits can be judged, but not why.
    Reasons,
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

/// Looks at every part of a schema once.
struct SchemaWalk<'a> {
    root: &'a Value,
    /// How many parts apply to the same place; nothing while they are being counted.
    same_place: HashMap<Key, Option<usize>>,
    next: Vec<(&'a Value, String)>,
    seen: HashSet<Key>,
}

impl<'a> SchemaWalk<'a> {
    fn same_place(&mut self, schema: &'a Value, pointer: &str, chain: usize) -> Result<usize, SchemaError> {
        match self.same_place.get(&key(schema)) {
            Some(Some(parts)) => return Ok(*parts),
            Some(None) => {
                return Err(SchemaError::new(
                    pointer,
                    "it refers to itself without going deeper into the value".to_owned(),
                ));
            }
            None => {}
        }
        let Value::Object(entries) = schema else { return Ok(1) };
        if chain > MAX_CHAIN {
            return Err(SchemaError::new(
                pointer,
                format!("more than {MAX_CHAIN} parts inside each other apply to the same value"),
            ));
        }
        check_names(entries, pointer)?;
        self.same_place.insert(key(schema), None);
        let mut count: usize = 1;
        for (_, step, part) in parts(entries, Target::Same) {
            self.next.push((part, format!("{pointer}{step}")));
            count = count.saturating_add(self.same_place(part, &format!("{pointer}{step}"), chain + 1)?);
        }
        if let Some(target) = reference(self.root, schema) {
            let at = entries["$ref"].as_str().unwrap_or_default().trim_start_matches('#');
            self.next.push((target, at.to_owned()));
            count = count.saturating_add(self.same_place(target, at, chain + 1)?);
        }
        if count > MAX_PARTS {
            return Err(SchemaError::new(
                pointer,
                format!("more than {MAX_PARTS} of its parts apply to the same value"),
            ));
        }
        self.next.extend(
            parts(entries, Target::Below)
                .into_iter()
                .map(|(_, step, part)| (part, format!("{pointer}{step}"))),
        );
        self.same_place.insert(key(schema), Some(count));
        Ok(count)
    }
}

/// Refuses references that are not found by their place in the schema: what they lead to could not be counted.
fn check_names(schema: &Map<String, Value>, pointer: &str) -> Result<(), SchemaError> {
    let has = |keyword: &str| schema.get(keyword).is_some_and(Value::is_string);
    if let Some(keyword) = ["$dynamicRef", "$recursiveRef"].into_iter().find(|keyword| has(keyword)) {
        return Err(SchemaError::new(
            pointer,
            format!("`{keyword}` is not supported: write `$ref` with a path, as in `#/$defs/name`"),
        ));
    }
    let is_inner = !pointer.is_empty();
    if let Some(keyword) = ["$id", "id"].into_iter().find(|keyword| is_inner && has(keyword)) {
        return Err(SchemaError::new(
            pointer,
            format!("`{keyword}` is not supported inside a schema: leave it out"),
        ));
    }
    match schema.get("$ref").and_then(Value::as_str) {
        Some(target) if target != "#" && !target.starts_with("#/") || target.contains('%') => {
            Err(SchemaError::new(
                pointer,
                format!("`{target}` is not found by a path: write `$ref` as in `#/$defs/name`"),
            ))
        }
        _ => Ok(()),
    }
}

/// Counts the parts of a schema with each reference replaced by what it leads to.
struct Unfolded<'a> {
    root: &'a Value,
    known: HashMap<Key, Option<usize>>,
}

impl<'a> Unfolded<'a> {
    fn parts(&mut self, schema: &'a Value, level: usize) -> usize {
        let Value::Object(entries) = schema else { return 1 };
        if let Some(known) = self.known.get(&key(schema)) {
            // Nothing yet: it refers to itself.
            return known.unwrap_or(usize::MAX);
        }
        if level > MAX_LEVELS / 16 {
            return usize::MAX;
        }
        self.known.insert(key(schema), None);
        let held = parts(entries, Target::Same)
            .into_iter()
            .chain(parts(entries, Target::Below))
            .map(|(_, _, part)| part);
        let held = held.chain(reference(self.root, schema));
        let count = held.fold(1, |sum: usize, part| sum.saturating_add(self.parts(part, level + 1)));
        self.known.insert(key(schema), Some(count));
        count
    }
}

/// The steps of judging a part of a value, and of listing what is wrong with it.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    valid: usize,
    errors: usize,
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.valid = self.valid.saturating_add(other.valid);
        self.errors = self.errors.saturating_add(other.errors);
    }

    /// What is only checked for whether it fits.
    fn only_valid(self) -> Self {
        Self { errors: self.valid, ..self }
    }

    /// What is checked for whether it fits, and then for why not.
    fn judged_twice(self) -> Self {
        Self { errors: self.errors.saturating_add(self.valid), ..self }
    }
}

struct Costs<'a> {
    root: &'a Value,
    known: HashMap<(Key, Key), Cost>,
    /// How many parts were counted.
    work: usize,
    sizes: HashMap<Key, usize>,
}

impl<'a> Costs<'a> {
    fn of(&mut self, schema: &'a Value, value: &'a Value) -> Result<Cost, TooMany> {
        let Value::Object(entries) = schema else { return Ok(Cost { valid: 1, errors: 1 }) };
        let pair = (key(schema), key(value));
        if let Some(known) = self.known.get(&pair) {
            return Ok(*known);
        }
        self.work += 1;
        if self.work > MAX_STEPS {
            return Err(TooMany::Steps);
        }
        let own = self.own(entries, value);
        // What is wrong is listed with a copy of the value.
        let mut cost = Cost { valid: own, errors: own.saturating_add(self.size(value)) };
        for (keyword, _, part) in parts(entries, Target::Same) {
            let below = self.of(part, value)?;
            cost.add(match keyword {
                "anyOf" | "oneOf" => below.judged_twice(),
                "not" | "if" => below.only_valid(),
                _ => below,
            });
        }
        if let Some(target) = reference(self.root, schema) {
            cost.add(self.of(target, value)?);
        }
        // What was judged already is found by judging it again.
        if ["unevaluatedItems", "unevaluatedProperties"].iter().any(|keyword| entries.contains_key(*keyword))
        {
            cost.add(cost);
        }
        match value {
            Value::Object(map) => self.map(entries, map, &mut cost)?,
            Value::Array(items) => self.list(entries, items, &mut cost)?,
            _ => {}
        }
        // What holds nothing is looked at as often as what holds it.
        if value.is_object() || value.is_array() {
            self.known.insert(pair, cost);
        }
        Ok(cost)
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

    fn map(
        &mut self,
        schema: &'a Map<String, Value>,
        map: &'a Map<String, Value>,
        cost: &mut Cost,
    ) -> Result<(), TooMany> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let rest = ["additionalProperties", "unevaluatedProperties"].map(|keyword| schema.get(keyword));
        let name_cost = match schema.get("propertyNames") {
            Some(part) => self.of(part, &Value::Null)?.errors,
            None => 0,
        };
        for (name, value) in map {
            let named = properties.and_then(|properties| properties.get(name));
            let patterns = patterns.into_iter().flat_map(Map::values);
            for part in named.into_iter().chain(patterns).chain(rest.into_iter().flatten()) {
                cost.add(self.of(part, value)?);
            }
            let steps = name_cost.saturating_mul(1 + name.len() / 64).saturating_add(1);
            cost.add(Cost { valid: steps, errors: steps });
        }
        Ok(())
    }

    fn list(
        &mut self,
        schema: &'a Map<String, Value>,
        items: &'a [Value],
        cost: &mut Cost,
    ) -> Result<(), TooMany> {
        let first = ["prefixItems", "items"].map(|keyword| schema.get(keyword).and_then(Value::as_array));
        let each =
            ["items", "additionalItems", "contains", "unevaluatedItems"].map(|keyword| schema.get(keyword));
        for (at, item) in items.iter().enumerate() {
            let first = first.into_iter().flatten().filter_map(|parts| parts.get(at));
            for part in first.chain(each.into_iter().flatten()) {
                cost.add(self.of(part, item)?);
            }
        }
        Ok(())
    }
}
