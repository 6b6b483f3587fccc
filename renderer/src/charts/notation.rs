//! How a shape is written: a map of names by type, so that a line of a diff shows which keys came, went or
//! changed type.
//!
//! ```yaml
//! _bool: enabled paused              # keys that are true or false
//! _map of text: annotations          # a map from any key to text
//! _Image: image initImage            # keys of a shape that is written once, under its name
//! _text: name service.type            # `service` is a map of which only `type` is known
//! _others: refused                   # what becomes of other keys: `refused`, `any`, or a shape; left out, they have no effect
//! persistence:                       # a map with keys of its own
//!   _text: size storageClass
//! ```
//!
//! A key with a dot, a space or a quote in it stands in quotes. `_is` names the types of a place that is not
//! only a map (or, with `_items`, not only a list). A key that starts with `_` is written with one more.

use std::collections::{BTreeMap, BTreeSet};

use super::shape::{Others, Shape, Types};
use crate::problem::{Fault, did_you_mean};
use crate::yaml::{Map, Node, NodeKind, Value};

const IS: &str = "_is";
const OTHERS: &str = "_others";
const ITEMS: &str = "_items";
const REFUSED: &str = "refused";
const IGNORED: &str = "ignored";

/// A shape is given a name if writing it again would take about this many characters.
const MIN_SHARED_CHARS: usize = 20;

/// Writes a shape in one piece.
#[cfg(test)]
pub(super) fn write(shape: &Shape) -> Value {
    NotationWriter::default().structure(shape)
}

/// Writes a shape, and the shapes that it refers to by name: what it repeats is written once.
pub(super) fn write_shared(shape: &Shape) -> (Value, Map) {
    let mut count = Count::default();
    count.visit("values", shape);
    let writer = NotationWriter { names: count.names() };
    let shapes = writer.names.iter().map(|(shape, name)| (name.clone(), writer.structure(shape)));
    let by_name: BTreeMap<_, _> = shapes.collect();
    (writer.structure(shape), by_name.into_iter().collect())
}

/// Counts how often each shape occurs and remembers the key of its first place.
#[derive(Default)]
struct Count<'a> {
    seen: BTreeMap<&'a Shape, (usize, &'a str)>,
    order: Vec<&'a Shape>,
}

impl<'a> Count<'a> {
    fn visit(&mut self, key: &'a str, shape: &'a Shape) {
        if shape.is_plain() {
            return;
        }
        let (count, _) = self.seen.entry(shape).or_insert((0, key));
        *count += 1;
        // What lies in a shape that is written once is written once with it.
        if *count > 1 {
            return;
        }
        self.order.push(shape);
        for (name, entry) in &shape.entries {
            self.visit(name, entry);
        }
        if let Others::Each(each) = &shape.others {
            self.visit(key, each);
        }
        if let Some(items) = &shape.items {
            self.visit(key, items);
        }
    }

    fn names(self) -> BTreeMap<&'a Shape, String> {
        let mut taken = BTreeSet::new();
        let repeated =
            self.order.iter().filter(|shape| self.seen[*shape].0 > 1 && size(shape) >= MIN_SHARED_CHARS);
        repeated.map(|shape| (*shape, unique_name(self.seen[shape].1, &mut taken))).collect()
    }
}

fn size(shape: &Shape) -> usize {
    shape.entries.iter().map(|(key, entry)| key.len() + 6 + size(entry)).sum()
}

/// `livenessProbe` becomes `LivenessProbe`, the second one `LivenessProbe2`. A capital letter marks a name;
/// types have none.
fn unique_name(key: &str, taken: &mut BTreeSet<String>) -> String {
    let words = key.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut name: String = words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
        name.insert_str(0, "Shape");
    }
    let base = name.clone();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{base}{number}");
    }
    name
}

#[derive(Default)]
struct NotationWriter<'a> {
    names: BTreeMap<&'a Shape, String>,
}

impl NotationWriter<'_> {
    /// Returns a type or a name, or writes the shape out.
    fn reference(&self, shape: &Shape) -> Value {
        self.short(shape).map_or_else(|| self.structure(shape), Value::String)
    }

    fn short(&self, shape: &Shape) -> Option<String> {
        self.names.get(shape).cloned().or_else(|| plain_text(shape))
    }

    fn structure(&self, shape: &Shape) -> Value {
        let mut map = Map::default();
        let is_items_only = shape.items.is_some() && shape.entries.is_empty();
        // A list that is no map has no other keys.
        let is_list = is_items_only && shape.others == Others::Free;
        if shape.types != implied(is_list) {
            map.insert(IS, Value::String(shape.types.to_string()));
        }
        let others = match &shape.others {
            Others::Refused => Some(Value::String(REFUSED.to_owned())),
            Others::Each(each) => Some(self.reference(each)),
            Others::Free => (!is_list).then(|| Value::String(Types::all().to_string())),
            // Items and nothing else would be read as a list.
            Others::Ignored => is_items_only.then(|| Value::String(IGNORED.to_owned())),
        };
        if let Some(others) = others {
            map.insert(OTHERS, others);
        }
        if let Some(items) = &shape.items {
            map.insert(ITEMS, self.reference(items));
        }
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut nested = Vec::new();
        for (key, entry) in &shape.entries {
            match self.grouped(key, entry) {
                Some((short, word)) => groups.entry(short).or_default().push(word),
                None => nested.push((key, entry)),
            }
        }
        for (name, keys) in groups {
            map.insert(format!("_{name}"), Value::String(keys.join(" ")));
        }
        for (key, entry) in nested {
            let escape = if key.starts_with('_') { "_" } else { "" };
            map.insert(format!("{escape}{key}"), self.structure(entry));
        }
        Value::Map(map)
    }

    /// Returns the group that an entry belongs to, and its word there; a map with one key goes along as a path.
    fn grouped(&self, key: &str, entry: &Shape) -> Option<(String, String)> {
        if let Some(short) = self.short(entry) {
            return Some((short, word(key)));
        }
        let (inner, shape) = entry.entries.iter().next().filter(|_| entry.entries.len() == 1)?;
        let is_nothing_else =
            entry.types == Types::MAP && entry.others == Others::Ignored && entry.items.is_none();
        let (short, path) = self.grouped(inner, shape).filter(|_| is_nothing_else)?;
        (is_bare(key) && !path.starts_with('"')).then(|| (short, format!("{key}.{path}")))
    }
}

const fn implied(is_list: bool) -> Types {
    if is_list { Types::LIST } else { Types::MAP }
}

/// Writes a shape of which only types are known: `bool`, `text|list`, `list of map of text`.
///
/// What follows `of` goes to the end, so only one part can be written in this way.
fn plain_text(shape: &Shape) -> Option<String> {
    if !shape.is_plain() {
        return None;
    }
    let (part, inner) = match (&shape.items, &shape.others) {
        (None, Others::Each(each)) if shape.types.contains(Types::MAP) => ((Types::MAP, "map"), each),
        (Some(items), Others::Free) if shape.types.contains(Types::LIST) => ((Types::LIST, "list"), items),
        (None, Others::Free) => return Some(shape.types.to_string()),
        _ => return None,
    };
    let rest = shape.types - part.0;
    let before = if rest.is_empty() { String::new() } else { format!("{rest}|") };
    Some(format!("{before}{} of {}", part.1, plain_text(inner)?))
}

fn read_plain(text: &str) -> Option<Shape> {
    let (types, inner) = match text.split_once(" of ") {
        None => (text, None),
        Some((types, inner)) => (types, Some(read_plain(inner)?)),
    };
    let mut shape = Shape::of(read_types(types)?);
    if let Some(inner) = inner {
        match types.rsplit('|').next()? {
            "list" => shape.items = Some(inner.into()),
            "map" => shape.others = Others::Each(inner.into()),
            _ => return None,
        }
    }
    Some(shape)
}

fn read_types(text: &str) -> Option<Types> {
    let named = |name: &str| {
        let wide = [("any", Types::all()), ("scalar", Types::SCALAR)];
        wide.iter().chain(&Types::NAMES).find(|(known, _)| *known == name).map(|(_, types)| *types)
    };
    text.split('|').try_fold(Types::empty(), |all, name| Some(all | named(name)?))
}

/// Writes a key of a group; one that could be taken for something else goes into quotes.
fn word(key: &str) -> String {
    if is_bare(key) { key.to_owned() } else { serde_json::Value::from(key).to_string() }
}

fn is_bare(key: &str) -> bool {
    !key.is_empty() && !key.contains(|c: char| c.is_whitespace() || c == '"' || c == '.')
}

/// Splits a group into its keys, each a path of one or more names.
fn words(text: &str) -> Option<Vec<Vec<String>>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if rest.starts_with('"') {
            let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            found.push(vec![stream.next()?.ok()?]);
            rest = rest[stream.byte_offset()..].trim_start();
        } else {
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            found.push(word.split('.').map(str::to_owned).collect());
            rest = after.trim_start();
        }
    }
    Some(found)
}

/// How many keys a lock may have, those of repeated shapes counted each time: some fifty times those of a
/// large platform.
pub(super) const MAX_KEYS: usize = 1_000_000;
/// How deep keys and named shapes may stand in each other.
const MAX_DEPTH: usize = 64;

/// Reads what [`write_shared`] wrote, as long as there is room for so many keys.
pub(super) fn read(values: &Node, shapes: Option<&Node>, room: &mut usize) -> Result<Shape, Fault> {
    let mut reader =
        NotationReader { nodes: BTreeMap::new(), known: BTreeMap::new(), open: Vec::new(), room };
    for (key, node) in shapes.and_then(Node::as_map).unwrap_or_default() {
        reader.nodes.insert(text(key)?, node);
    }
    reader.structure(values)
}

struct NotationReader<'a> {
    nodes: BTreeMap<&'a str, &'a Node>,
    known: BTreeMap<&'a str, Shape>,
    /// The names that are being read.
    open: Vec<&'a str>,
    /// How many more keys may be read.
    room: &'a mut usize,
}

fn text(node: &Node) -> Result<&str, Fault> {
    match node.as_scalar() {
        Some(scalar) => Ok(&scalar.text),
        None => Err(unreadable(node, "expected text")),
    }
}

fn unreadable(node: &Node, what: impl Into<String>) -> Fault {
    Fault::new(node.position, what).hint("write the lock again: `fleetwright charts lock --refresh`")
}

impl<'a> NotationReader<'a> {
    fn structure(&mut self, node: &'a Node) -> Result<Shape, Fault> {
        let Some(entries) = node.as_map() else {
            return Err(unreadable(node, "expected a map of keys by type"));
        };
        let mut shape = Shape::map(BTreeMap::new());
        let mut types = None;
        let mut says_others = false;
        for (key, value) in entries {
            match text(key)? {
                IS => {
                    types = Some(read_types(text(value)?).ok_or_else(|| unreadable(value, "unknown type"))?);
                }
                ITEMS => shape.items = Some(self.reference(value)?.into()),
                OTHERS => {
                    says_others = true;
                    shape.others = self.others(value)?;
                }
                name => self.entries(name, key, value, &mut shape)?,
            }
        }
        // Without keys of its own, a place with items is a list.
        let is_list = shape.items.is_some() && shape.entries.is_empty() && !says_others;
        if is_list {
            shape.others = Others::Free;
        }
        shape.types = types.unwrap_or(implied(is_list));
        Ok(shape)
    }

    fn entries(
        &mut self,
        name: &'a str,
        key: &'a Node,
        value: &'a Node,
        shape: &mut Shape,
    ) -> Result<(), Fault> {
        match name.strip_prefix('_') {
            Some(group) if !group.starts_with('_') => {
                let entry = self.named(group, key)?;
                let keys = words(text(value)?).ok_or_else(|| unreadable(value, "expected names of keys"))?;
                let count = entry.count();
                for path in keys {
                    if path.len() > MAX_DEPTH {
                        return Err(unreadable(value, format!("a key is more than {MAX_DEPTH} names long")));
                    }
                    self.spend(count + path.len(), value)?;
                    if let Some((last, above)) = path.split_last() {
                        let last = last.as_str().into();
                        shape.place(above).entries.insert(last, entry.clone());
                    }
                }
            }
            unescaped => {
                self.spend(1, value)?;
                shape.entries.insert(unescaped.unwrap_or(name).into(), self.structure(value)?);
            }
        }
        Ok(())
    }

    /// Makes sure that so many keys more may be read: shapes of shapes multiply.
    fn spend(&mut self, keys: usize, at: &Node) -> Result<(), Fault> {
        match self.room.checked_sub(keys) {
            Some(room) => *self.room = room,
            None => return Err(unreadable(at, format!("the lock has more than {MAX_KEYS} keys"))),
        }
        Ok(())
    }

    fn others(&mut self, node: &'a Node) -> Result<Others, Fault> {
        match node.as_scalar().map(|scalar| scalar.text.as_str()) {
            Some(REFUSED) => Ok(Others::Refused),
            Some(IGNORED) => Ok(Others::Ignored),
            _ => Ok(match self.reference(node)? {
                each if each == Shape::of(Types::all()) => Others::Free,
                each => Others::Each(each.into()),
            }),
        }
    }

    fn reference(&mut self, node: &'a Node) -> Result<Shape, Fault> {
        match &node.kind {
            NodeKind::Scalar(scalar) => self.named(&scalar.text, node),
            _ => self.structure(node),
        }
    }

    fn named(&mut self, name: &'a str, at: &Node) -> Result<Shape, Fault> {
        if let Some(shape) = read_plain(name) {
            return Ok(shape);
        }
        if let Some(known) = self.known.get(name) {
            let shape = known.clone();
            self.spend(shape.count(), at)?;
            return Ok(shape);
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(unreadable(at, format!("more than {MAX_DEPTH} shapes stand in each other")));
        }
        match self.nodes.get(name).copied() {
            Some(node) if !self.open.contains(&name) => {
                self.open.push(name);
                let shape = self.structure(node)?;
                self.open.pop();
                self.known.insert(name, shape.clone());
                Ok(shape)
            }
            Some(_) => Err(unreadable(at, format!("shape `{name}` holds itself"))),
            None => {
                let fault = unreadable(at, format!("unknown type or shape `{name}`"));
                Err(match did_you_mean(name, self.nodes.keys().copied()) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::yaml;

    fn node(text: &str) -> Node {
        yaml::parse(text).unwrap().remove(0)
    }

    fn shape(text: &str) -> Shape {
        read(&node(text), None, &mut MAX_KEYS.clone()).unwrap()
    }

    #[test]
    fn every_kind_of_shape_comes_back_as_it_was_written() {
        for text in [
            "_bool: a b\n",
            "_text|list of map of text: a\n",
            "a:\n  _is: bool|map\n  _others: any\n  _text: b\n",
            "a:\n  _items:\n    _others: refused\n    _text: b\n",
            "a:\n  _is: list|map\n  _others:\n    _others: refused\n  _items: text\n",
            "a:\n  _is: list|map\n  _others: ignored\n  _items: text\n",
            "_bool: a b.c d.e.f\n",
            "_map: a \"k8s.io/name\"\nb:\n  _text: \"\\\"k8s.io/name\\\"\"\n",
            "_text: __x a \"two words\"\n__y:\n  _others: refused\n",
        ] {
            assert_eq!(yaml::write(&write(&shape(text))), text);
        }
    }

    #[test]
    fn what_is_repeated_is_written_once() {
        let probe = "{_number: initialDelaySeconds periodSeconds, _text: path}";
        let values = format!(
            "a: {{livenessProbe: {probe}, image: {{_text: a}}}}\nb: {{livenessProbe: {probe}, startup: {probe}}}\n"
        );
        let (written, shapes) = write_shared(&shape(&values));
        assert_snapshot!(yaml::write(&written), @"
        a:
          _LivenessProbe: livenessProbe
          _text: image.a
        b:
          _LivenessProbe: livenessProbe startup
        ");
        let (values_node, shapes_node) =
            (node(&yaml::write(&written)), node(&yaml::write(&Value::Map(shapes))));
        assert_eq!(read(&values_node, Some(&shapes_node), &mut MAX_KEYS.clone()).unwrap(), shape(&values));
    }

    #[test]
    fn what_cannot_be_read_is_a_fault_at_its_place() {
        let fault = |values: &str, shapes: &str| {
            let fault = read(&node(values), Some(&node(shapes)), &mut MAX_KEYS.clone()).unwrap_err();
            format!("{}: {}", fault.position, fault.message)
        };
        assert_eq!(fault("a:\n  _boo: x\n", "{}"), "2:3: unknown type or shape `boo`");
        assert_eq!(fault("_A: x\n", "A: {_A: y}\n"), "1:5: shape `A` holds itself");
        assert_eq!(fault("a: text\n", "{}"), "1:4: expected a map of keys by type");
    }
}
