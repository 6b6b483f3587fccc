//! From text to documents: structure, positions and spelling, with nothing interpreted.
//!
//! Aliases are expanded within a budget and plain `<<` keys are merged, so that later stages see a tree of
//! scalars, lists and maps. Private-use characters, which stand for the expressions of a template, are
//! ordinary characters here.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::interpret::interpret_plain;
use super::node::{Node, NodeKind, Scalar, Style};
use super::value::Value;
use crate::problem::{Fault, Position, did_you_mean};

/// How deep lists and maps may stand in each other.
const MAX_DEPTH: usize = 128;
/// How much all copies of nodes of a text together may add to what is written in it, in bytes of text and
/// [`NODE_WEIGHT`] for each node. What is anchored is a copy, too: anchors may stand in each other.
const ALIAS_BUDGET: usize = 1 << 20;
/// What a node weighs in the alias budget, besides its text.
const NODE_WEIGHT: usize = 64;
/// How many faults of one text are reported.
const MAX_FAULTS: usize = 100;
/// How many entries of a map are compared with each other; beyond that a table is built.
const FEW_KEYS: usize = 12;

/// Returns the text of a file, or the position of what keeps it from being UTF-8 text.
///
/// One byte order mark at the start is left out.
pub fn decode(bytes: &[u8]) -> Result<&str, Fault> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (before, after) = bytes.split_at(error.valid_up_to());
        let at = position_after(&String::from_utf8_lossy(before));
        Fault::new(at, format!("byte 0x{:02X} is not UTF-8 text", after[0])).hint("save the file as UTF-8")
    })?;
    match memchr::memchr(0, bytes) {
        None => Ok(text),
        Some(at) => Err(Fault::new(position_after(&text[..at]), "a NUL character stands in the file")
            .hint("save the file as UTF-8 text, and leave out the character")),
    }
}

/// Returns the position right after a text.
fn position_after(text: &str) -> Position {
    let line = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Position::new(line as u32, column as u32)
}

/// Parses all documents of a text; empty ones are left out.
///
/// Each fault is reported: a syntax error ends its document only, and the next one is read.
pub fn parse(text: &str) -> Result<Vec<Node>, Vec<Fault>> {
    let reader = read(text, Reader { length: text.len(), ..Reader::default() });
    if reader.faults.is_empty() { Ok(reader.documents) } else { Err(reader.faults) }
}

/// Parses all documents of a text that is not ours: of a key that is there twice the last one counts, as for
/// Go's readers.
///
/// Returns the faults of such keys beside the documents.
pub fn parse_foreign(text: &str) -> Result<(Vec<Node>, Vec<Fault>), Vec<Fault>> {
    let repeated = Some(Vec::new());
    let reader = read(text, Reader { length: text.len(), repeated, ..Reader::default() });
    let repeated = reader.repeated.unwrap_or_default();
    if reader.faults.is_empty() { Ok((reader.documents, repeated)) } else { Err(reader.faults) }
}

fn read(text: &str, mut reader: Reader) -> Reader {
    let mut parser = Parser::new_from_str_with_options(text, options());
    reader.faults = line_separators(text);
    while reader.faults.len() < MAX_FAULTS {
        let outcome = match parser.next_event() {
            None => break,
            Some(Ok((event, span))) => reader.event(event, span),
            Some(Err(error)) => Err(syntax_fault(&error)),
        };
        if let Err(fault) = outcome {
            reader.abandon_document(fault);
            match parser.proceed_next_document() {
                Ok(true) => {}
                Ok(false) | Err(_) => break,
            }
        }
    }
    reader
}

/// Returns the characters that YAML 1.1 readers take for line breaks and 1.2 readers for text, written as they are.
fn line_separators(text: &str) -> Vec<Fault> {
    const SEPARATORS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];
    let separator = |at: usize| text[at..].chars().next().filter(|c| SEPARATORS.contains(c)).map(|c| (at, c));
    // 0xC2 and 0xE2 are the first bytes of these characters, and never inner bytes of others.
    memchr::memchr2_iter(0xC2, 0xE2, text.as_bytes())
        .filter_map(separator)
        .map(|(at, c)| {
            let code = u32::from(c);
            let message = format!("the character U+{code:04X} is a line break to some YAML readers");
            Fault::new(position_after(&text[..at]), message)
                .hint(format!("leave it out, or write it in double quotes as `\\u{code:04X}`"))
        })
        .take(MAX_FAULTS)
        .collect()
}

fn options() -> Options {
    let mut options = Options::default();
    options.emit_comments = false;
    options.emit_anchor_events = true;
    options.emit_unresolved_aliases = true;
    options.disallow_directives = true;
    options
}

fn position(marker: Marker) -> Position {
    Position::new(marker.line() as u32, marker.col() as u32 + 1)
}

/// Builds the trees from the parser's events.
#[derive(Default)]
struct Reader {
    /// How many bytes the text has.
    length: usize,
    /// Where keys that are there twice are noted if the last one counts; else they are faults.
    repeated: Option<Vec<Fault>>,
    documents: Vec<Node>,
    faults: Vec<Fault>,
    /// The collections that have begun and not ended, the innermost last.
    open: Vec<Open>,
    anchors: HashMap<usize, Anchor>,
    anchor_names: Vec<String>,
    /// What copies add.
    copied: usize,
    /// What is written.
    written: usize,
}

/// A collection that has not ended yet.
struct Open {
    node: Node,
    anchor: usize,
    /// In a map, the key whose value comes next.
    key: Option<Node>,
}

/// A finished node that aliases may repeat.
struct Anchor {
    node: Node,
    weight: usize,
    depth: usize,
}

impl Reader {
    /// Takes one event; a fault returned from here ends the document, others are only noted.
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let start = position(span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                // The parser gives `~` for a node that is not there.
                let text = match style {
                    ScalarStyle::Plain if span.is_empty() => Cow::Borrowed(""),
                    ScalarStyle::Literal | ScalarStyle::Folded if self.breaks_off(&text, &span) => {
                        text.strip_suffix('\n').map(str::to_owned).map_or(text, Cow::Owned)
                    }
                    _ => text,
                };
                let style = self.scalar_style(&text, style, tag.as_deref(), &span);
                let scalar = Scalar { text: text.into_owned(), style };
                self.written += NODE_WEIGHT + scalar.text.len();
                self.finish(Node { position: start, kind: NodeKind::Scalar(scalar) }, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "seq", &span);
                self.begin(start, anchor, NodeKind::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "map", &span);
                self.begin(start, anchor, NodeKind::Map(Vec::new()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Anchor(_, name) => self.name_anchor(&name, start),
            Event::Alias(anchor) => self.alias(anchor, start)?,
            Event::UnresolvedAlias(name) => self.unknown_alias(&name, start)?,
            Event::DocumentEnd => self.forget_anchors(),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, position: Position, anchor: usize, kind: NodeKind) -> Result<(), Fault> {
        check_depth(self.open.len() + 1, position)?;
        self.open.push(Open { node: Node { position, kind }, anchor, key: None });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Open { mut node, anchor, .. } = self.open.pop().expect("the parser ends what it began");
        if let NodeKind::Map(entries) = &mut node.kind {
            *entries = self.merge(std::mem::take(entries));
            let before = self.faults.len();
            self.check_duplicates(entries);
            if let Some(repeated) = self.repeated.as_mut().filter(|_| self.faults.len() > before) {
                repeated.extend(self.faults.drain(before..));
                keep_last_of_each(entries);
            }
        }
        self.written += NODE_WEIGHT;
        self.finish(node, anchor)
    }

    /// Puts a finished node where it belongs: in the collection around it, or among the documents.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        if anchor != 0 {
            let (weight, depth) = measure(&node);
            self.copy(weight, node.position)?;
            self.anchors.insert(anchor, Anchor { node: node.clone(), weight, depth });
        }
        let Some(around) = self.open.last_mut() else {
            self.documents.extend(Some(node).filter(|node| !is_empty_document(node)));
            return Ok(());
        };
        match (&mut around.node.kind, around.key.take()) {
            (NodeKind::Map(entries), Some(key)) => entries.push((key, node)),
            (NodeKind::Map(_), None) => {
                self.faults.extend(key_fault(&node));
                around.key = Some(node);
            }
            (NodeKind::List(items), _) => items.push(node),
            (NodeKind::Scalar(_), _) => {}
        }
        Ok(())
    }

    /// Counts a copy of a node.
    fn copy(&mut self, weight: usize, position: Position) -> Result<(), Fault> {
        self.copied += weight;
        if self.copied <= ALIAS_BUDGET + self.written {
            return Ok(());
        }
        let limit = ALIAS_BUDGET >> 20;
        let message = format!("the aliases expand to more than {limit} MiB beside what is written");
        let hint = "aliases of aliases multiply: write out what is repeated, or repeat less";
        Err(Fault::new(position, message).hint(hint))
    }

    fn abandon_document(&mut self, fault: Fault) {
        self.faults.push(fault);
        self.open.clear();
        self.forget_anchors();
    }
}

fn check_depth(depth: usize, position: Position) -> Result<(), Fault> {
    if depth <= MAX_DEPTH { Ok(()) } else { Err(depth_fault(position)) }
}

fn depth_fault(position: Position) -> Fault {
    Fault::new(position, format!("lists and maps are nested more than {MAX_DEPTH} deep"))
        .hint("check the indentation and the brackets")
}

fn is_empty_document(node: &Node) -> bool {
    node.as_scalar().is_some_and(|scalar| scalar.style == Style::Plain && scalar.text.is_empty())
}

fn key_fault(key: &Node) -> Option<Fault> {
    match key.as_scalar() {
        None => Some(
            Fault::new(key.position, "a list or a map stands where a key is expected")
                .hint("quote it if it is meant as text"),
        ),
        Some(scalar) if scalar.text.is_empty() && scalar.style == Style::Plain => {
            Some(Fault::new(key.position, "the key before `:` is missing"))
        }
        Some(_) => None,
    }
}

/// Anchors and aliases.
impl Reader {
    fn name_anchor(&mut self, name: &str, position: Position) {
        if name.chars().any(is_private_use) {
            let fault = Fault::new(position, "an anchor's name holds an expression")
                .hint("write the name itself: anchors are resolved before values are inserted");
            self.faults.push(fault);
        }
        self.anchor_names.push(name.to_owned());
    }

    fn alias(&mut self, anchor: usize, position: Position) -> Result<(), Fault> {
        let Some(Anchor { node, weight, depth }) = self.anchors.get(&anchor) else {
            return Err(Fault::new(position, "an alias stands inside the node that it repeats"));
        };
        check_depth(self.open.len() + depth, position)?;
        let (node, weight) = (node.clone(), *weight);
        self.copy(weight, position)?;
        self.finish(node, 0)
    }

    fn unknown_alias(&mut self, name: &str, position: Position) -> Result<(), Fault> {
        let fault = Fault::new(position, format!("no anchor `&{name}` stands before this alias"));
        let fault = match did_you_mean(name, self.anchor_names.iter().map(String::as_str)) {
            Some(known) => fault.hint(format!("did you mean `*{known}`?")),
            None => fault.hint(format!("quote it if text is meant: `\"*{name}\"`")),
        };
        self.faults.push(fault);
        let scalar = Scalar { text: name.to_owned(), style: Style::Quoted };
        self.finish(Node { position, kind: NodeKind::Scalar(scalar) }, 0)
    }

    fn forget_anchors(&mut self) {
        self.anchors.clear();
        self.anchor_names.clear();
    }
}

fn is_private_use(c: char) -> bool {
    c >= '\u{F0000}'
}

/// Returns about how much memory a document takes, in bytes of text and 64 for each node.
#[must_use]
pub fn weight(node: &Node) -> usize {
    measure(node).0
}

/// Returns the weight of a node and how many collections deep it is.
fn measure(node: &Node) -> (usize, usize) {
    let children: &mut dyn Iterator<Item = &Node> = match &node.kind {
        NodeKind::Scalar(scalar) => return (NODE_WEIGHT + scalar.text.len(), 0),
        NodeKind::List(items) => &mut items.iter(),
        NodeKind::Map(entries) => &mut entries.iter().flat_map(|(key, value)| [key, value]),
    };
    let (weight, depth) = children
        .map(measure)
        .fold((NODE_WEIGHT, 0), |(weight, depth), child| (weight + child.0, depth.max(child.1)));
    (weight, depth + 1)
}

/// Keys.
impl Reader {
    /// Replaces plain `<<` entries by the entries of the maps they name. What is written out wins, then what
    /// is named first.
    fn merge(&mut self, entries: Vec<(Node, Node)>) -> Vec<(Node, Node)> {
        if !entries.iter().any(|(key, _)| is_merge_key(key)) {
            return entries;
        }
        let (merges, mut entries): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|(key, _)| is_merge_key(key));
        if let [first, second, ..] = &merges[..] {
            self.faults.push(duplicate_fault(&first.0, &second.0).hint("write one list: `<<: [*a, *b]`"));
        }
        let written = entries.len();
        let mut known: HashSet<String> =
            entries.iter().filter_map(|(key, _)| Some(key_text(key)?.to_owned())).collect();
        for source in merges.into_iter().flat_map(|(_, value)| merge_sources(value)) {
            let NodeKind::Map(named) = source.kind else {
                let fault = Fault::new(source.position, "`<<` merges maps, and this is none").hint(
                    "name a map by its alias: `<<: *name`; quote the key if it is meant as text: `\"<<\"`",
                );
                self.faults.push(fault);
                continue;
            };
            for (key, value) in named {
                if key_text(&key).is_some_and(|text| known.insert(text.to_owned())) {
                    entries.push((key, value));
                }
            }
        }
        // Merged entries come first, as the place of `<<` is by custom.
        entries.rotate_left(written);
        entries
    }

    fn check_duplicates(&mut self, entries: &[(Node, Node)]) {
        if entries.len() <= FEW_KEYS {
            for (at, (key, _)) in entries.iter().enumerate() {
                let text = key_text(key);
                let first =
                    entries[..at].iter().find(|(earlier, _)| text.is_some() && key_text(earlier) == text);
                self.faults.extend(first.map(|(first, _)| duplicate_fault(first, key)));
            }
            return;
        }
        let mut seen = HashMap::with_capacity(entries.len());
        for (key, text) in entries.iter().filter_map(|(key, _)| Some((key, key_text(key)?))) {
            if let Some(first) = seen.insert(text, key) {
                self.faults.push(duplicate_fault(first, key));
            }
        }
    }
}

/// Keeps the last of the entries that have the same key.
fn keep_last_of_each(entries: &mut Vec<(Node, Node)>) {
    let mut seen = HashSet::new();
    entries.reverse();
    entries.retain(|(key, _)| key.as_scalar().is_none_or(|scalar| seen.insert(scalar.text.clone())));
    entries.reverse();
}

fn is_merge_key(key: &Node) -> bool {
    key.as_scalar().is_some_and(|scalar| scalar.style == Style::Plain && scalar.text == "<<")
}

fn key_text(key: &Node) -> Option<&str> {
    key.as_scalar().map(|scalar| scalar.text.as_str())
}

fn merge_sources(value: Node) -> Vec<Node> {
    match value.kind {
        NodeKind::List(items) => items,
        _ => vec![value],
    }
}

fn duplicate_fault(first: &Node, second: &Node) -> Fault {
    let key = key_text(second).unwrap_or_default();
    Fault::new(second.position, format!("key `{key}` is there twice"))
        .first(first.position)
        .hint("keep one of the two")
}

/// Tags.
impl Reader {
    /// Returns whether a block scalar is what a text without a last line break ends in. The parser adds the
    /// line break that YAML 1.2 asks for; the readers of Helm, Argo CD and Python do not.
    fn breaks_off(&self, text: &str, span: &Span) -> bool {
        let is_content = if text.bytes().all(|byte| byte == b'\n') {
            // Of blank lines alone, `|+` keeps those that end.
            span.end.col() > 0 && span.end.line() == span.start.line() + 1
        } else {
            span.end.col() > span.start.col()
        };
        is_content && span.end.byte_offset() == Some(self.length)
    }

    fn scalar_style(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: &Span) -> Style {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        match tag {
            None => style,
            Some(tag) if tag.core_suffix() == Some("str") && style == Style::Plain => Style::Quoted,
            Some(tag) => {
                if !says_what_is_read(tag, text, style) {
                    self.refuse_tag(tag, span);
                }
                style
            }
        }
    }

    fn check_collection_tag(&mut self, tag: Option<&Tag>, own: &str, span: &Span) {
        if let Some(tag) = tag.filter(|tag| tag.core_suffix() != Some(own)) {
            self.refuse_tag(tag, span);
        }
    }

    fn refuse_tag(&mut self, tag: &Tag, span: &Span) {
        let at = position(span.tag_start().unwrap_or(span.start));
        let fault = Fault::new(at, format!("tag `{}` changes how the value is read", tag.original()))
            .hint("leave the tag out and write the value as it is meant; quote it if text is meant");
        self.faults.push(fault);
    }
}

/// Returns whether a standard tag only repeats what the scalar is without it.
fn says_what_is_read(tag: &Tag, text: &str, style: Style) -> bool {
    if style != Style::Plain {
        return tag.core_suffix() == Some("str");
    }
    match (tag.core_suffix(), interpret_plain(text)) {
        (Some("null"), Ok(Value::Null)) | (Some("bool"), Ok(Value::Bool(_))) => true,
        (Some("int"), Ok(Value::Number(number))) => !number.as_str().contains('.'),
        (Some("float"), Ok(Value::Number(number))) => number.as_str().contains('.'),
        _ => false,
    }
}

/// Returns a syntax error in the words of the file's author.
fn syntax_fault(error: &ScanError) -> Fault {
    let at = position(*error.marker());
    let (message, hint) = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => ("a tab stands in the indentation", "indent with spaces"),
        ErrorKind::MappingValueNotAllowed => (
            "a `:` stands where no key can be",
            "check the indentation, and quote the value if it holds `: `",
        ),
        ErrorKind::InvalidColonPlacement => {
            ("a `:` stands where no key can be", "check that the brackets before it are closed")
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            return Fault::new(at, format!("`{open}` is not closed"))
                .hint("close it, or quote a text that begins with it");
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            ("the quoted text is not closed", "close the quotes; inside, write `''` or `\\\"`")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            ("text follows the closing quote", "quote all of the value; inside, write `''` or `\\\"`")
        }
        ErrorKind::UnknownQuotedScalarEscape => (
            "an unknown escape stands in double quotes",
            "write `\\\\` for a backslash, or use single quotes",
        ),
        ErrorKind::RecursionLimitExceeded => return depth_fault(at),
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            let code = u32::from(*character);
            return Fault::new(at, format!("control character U+{code:04X} stands in the text"))
                .hint(format!("write it in double quotes as `\\u{code:04X}`"));
        }
        ErrorKind::UnexpectedCharacter { character } => {
            return Fault::new(at, format!("a value cannot begin with `{character}`"))
                .hint("quote the value");
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidSimpleKey => {
            ("a key and `:` are expected here", "check the indentation and that `: ` follows the key")
        }
        ErrorKind::ExpectedBlockSequenceEntry => {
            ("an item with `- ` is expected here", "check the indentation")
        }
        ErrorKind::DirectiveDisallowed => ("a `%` directive changes how the file is read", "leave it out"),
        ErrorKind::UndeclaredTagHandle => {
            ("the tag is not known", "leave it out, or quote a text that begins with `!`")
        }
        kind => return Fault::new(at, format!("this is not YAML: {kind}")),
    };
    Fault::new(at, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        let mut documents = parse(text).unwrap();
        assert_eq!(documents.len(), 1, "{text:?}");
        documents.remove(0)
    }

    fn faults(text: &str) -> Vec<String> {
        let told = |fault: &Fault| format!("{}: {}", fault.position, fault.full_message());
        parse(text).unwrap_err().iter().map(told).collect()
    }

    /// Writes a node without positions: lists and maps as flow, plain scalars bare, others quoted.
    fn shape(node: &Node) -> String {
        match &node.kind {
            NodeKind::Scalar(scalar) if scalar.style == Style::Plain => scalar.text.clone(),
            NodeKind::Scalar(scalar) => format!("{:?}", scalar.text),
            NodeKind::List(items) => {
                format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(", "))
            }
            NodeKind::Map(entries) => {
                let entry = |(key, value): &(Node, Node)| format!("{}: {}", shape(key), shape(value));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
        }
    }

    #[test]
    fn a_file_without_documents_has_none() {
        for text in ["", "\n", "# only a comment\n", "---\n", "---\n---\n# x\n---\n", "...\n"] {
            assert_eq!(parse(text), Ok(vec![]), "{text:?}");
        }
        assert_eq!(parse("---\na: 1\n---\n---\nnull\n--- ''\n").unwrap().len(), 3);
    }

    #[test]
    fn positions_count_characters_from_one() {
        let node = one("größe: 1\nb:\n  - \"ü\": x\n    y: |\n      text\n  - {k: v}\nc:\n");
        let at = |node: &Node| node.position.to_string();
        let (key, value) = node.entry("größe").unwrap();
        assert_eq!((at(key), at(value)), ("1:1".into(), "1:8".into()));
        let items = node.get("b").unwrap().as_list().unwrap();
        assert_eq!(at(node.get("b").unwrap()), "3:3");
        assert_eq!(at(&items[0]), "3:5");
        assert_eq!(at(items[0].get("ü").unwrap()), "3:10");
        assert_eq!(at(items[0].get("y").unwrap()), "5:7");
        assert_eq!(at(&items[1]), "6:5");
        assert_eq!(at(items[1].get("k").unwrap()), "6:9");
        assert_eq!(node.entry("c").unwrap().1.position.line, 7);
    }

    #[test]
    fn windows_line_ends_read_the_same() {
        let text = "a: b\nc: |\n  x\n  y\nd: \"1\n  2\"\ne: >-\n  f\n  g\n";
        assert_eq!(parse(&text.replace('\n', "\r\n")), parse(text));
    }

    #[test]
    fn a_block_scalar_without_a_last_line_break_has_none() {
        for (text, expected) in [
            ("a: |\n  x", "x"),
            ("a: |\n  x\n", "x\n"),
            ("a: >\n  x\n  y", "x y"),
            ("a: |+\n  x\n\n  y", "x\n\ny"),
            ("a: |+\n  x\n\n  ", "x\n\n"),
            ("a: |+\n  ", ""),
            ("a: |+\n\n  ", "\n"),
            ("a: |\n  x\n   ", "x\n "),
            ("a: |\n  x\n  ", "x\n"),
            ("a: |\n  x\n  # y", "x\n# y"),
            ("a: |\n  x\n # a comment", "x\n"),
            ("a: |\n  x\n...", "x\n"),
            ("a: |-\n  x", "x"),
        ] {
            for text in [text.to_owned(), text.replace('\n', "\r\n")] {
                assert_eq!(one(&text).get("a").unwrap().as_scalar().unwrap().text, expected, "{text:?}");
            }
        }
    }

    #[test]
    fn styles_and_spelling_are_kept() {
        let node = one("a: 1.10\nb: '1'\nc: \"yes\"\nd: |\n  x\ne: !!str 0644\nf:\n");
        assert_eq!(shape(&node), r#"{a: 1.10, b: "1", c: "yes", d: "x\n", e: "0644", f: }"#);
    }

    #[test]
    fn template_tokens_are_ordinary_characters() {
        let node = one("a: \u{F0000}\n\u{F0001}: [\u{F0002}, x\u{F0003}y]\n\u{F0004}: \"\u{FFFFD}\"\n");
        assert_eq!(
            shape(&node),
            "{a: \u{F0000}, \u{F0001}: [\u{F0002}, x\u{F0003}y], \u{F0004}: \"\\u{ffffd}\"}"
        );
    }

    #[test]
    fn a_key_that_is_there_twice_names_both_lines() {
        assert_eq!(faults("a: 1\nb: 2\n\"a\": 3\n"), ["3:1: key `a` is there twice, first on line 1"]);
        assert_eq!(faults("x: {1: a, '1': b}\n"), ["1:11: key `1` is there twice, first on line 1"]);
        let many = (0..100).map(|n| format!("k{n}: x")).collect::<Vec<_>>().join("\n");
        assert_eq!(faults(&format!("{many}\nk7: y\n")), ["101:1: key `k7` is there twice, first on line 8"]);
    }

    #[test]
    fn a_key_must_be_a_scalar() {
        assert_eq!(
            faults("{{ cluster.name }}: x\n").first().map(String::as_str),
            Some("1:2: a list or a map stands where a key is expected")
        );
        assert_eq!(faults(": x\n"), ["1:1: the key before `:` is missing"]);
    }

    #[test]
    fn aliases_repeat_what_they_name() {
        let node = one("a: &x {k: [1, 2]}\nb: *x\nc: &y text\nd: [*y, *y]\n");
        assert_eq!(shape(&node), "{a: {k: [1, 2]}, b: {k: [1, 2]}, c: text, d: [text, text]}");
        assert_eq!(node.get("a"), node.get("b"));
    }

    #[test]
    fn an_alias_that_names_nothing_is_told_with_the_nearest_anchor() {
        let fault = parse("a: &base 1\nb: *bsae\n").unwrap_err().remove(0);
        assert_eq!(fault.position.to_string(), "2:4");
        assert_eq!(fault.hint.as_deref(), Some("did you mean `*base`?"));
        assert_eq!(faults("a: &x [*x]\n"), ["1:8: an alias stands inside the node that it repeats"]);
        assert_eq!(faults("--- &a x\n--- *a\n"), ["2:5: no anchor `&a` stands before this alias"]);
    }

    #[test]
    fn a_billion_laughs_are_refused_quickly() {
        let nine = |n: usize| vec![format!("*a{n}"); 9].join(", ");
        let lines = (1..20).map(|n| format!("a{n}: &a{n} [{}]", nine(n - 1))).collect::<Vec<_>>();
        let text = format!("a0: &a0 lol\n{}\n", lines.join("\n"));
        assert!(faults(&text)[0].ends_with("the aliases expand to more than 1 MiB beside what is written"));
    }

    #[test]
    fn anchors_inside_each_other_are_copies_as_well() {
        let inner = vec!["x"; 1_000].join(", ");
        let anchored = |levels: usize| {
            let open = (0..levels).map(|level| format!("&a{level} [")).collect::<Vec<_>>().concat();
            format!("{open}{inner}{}", "]".repeat(levels))
        };
        assert!(parse(&anchored(10)).is_ok());
        assert!(
            faults(&anchored(100))[0]
                .ends_with("the aliases expand to more than 1 MiB beside what is written")
        );
    }

    #[test]
    fn nesting_is_bounded_with_and_without_aliases() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(faults(&nested(MAX_DEPTH + 1))[0].contains("nested more than 128 deep"));
        assert!(faults(&"[".repeat(100_000))[0].contains("nested more than 128 deep"));
        let chained = format!("a: &a {}\nb: [[{}*a{}]]\n", nested(100), "[".repeat(30), "]".repeat(30));
        assert!(faults(&chained)[0].contains("nested more than 128 deep"));
    }

    #[test]
    fn an_anchor_cannot_be_named_by_an_expression() {
        assert_eq!(faults("a: &\u{F0000} x\n"), ["1:4: an anchor's name holds an expression"]);
    }

    #[test]
    fn merge_keys_give_way_to_written_ones_and_earlier_maps_win() {
        let node =
            one("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: *a, x: 0}\nd:\n  w: 0\n  <<: [*a, *b]\n");
        assert_eq!(shape(node.get("c").unwrap()), "{y: 1, x: 0}");
        assert_eq!(shape(node.get("d").unwrap()), "{x: 1, y: 1, z: 2, w: 0}");
    }

    #[test]
    fn only_a_plain_merge_key_merges() {
        assert_eq!(shape(&one("\"<<\": {a: 1}\n")), "{\"<<\": {a: 1}}");
        assert_eq!(faults("<<: \u{F0000}\n"), ["1:5: `<<` merges maps, and this is none"]);
        assert_eq!(faults("<<: {a: 1}\n<<: {b: 1}\n"), ["2:1: key `<<` is there twice, first on line 1"]);
    }

    #[test]
    fn a_tag_is_taken_only_if_it_says_what_is_read_anyway() {
        let node =
            one("a: !!str 1\nb: !!int 2\nc: !!map {}\nd: !!seq []\ne: !!null\nf: !!float 1.5\ng: !!str\n");
        assert_eq!(shape(&node), r#"{a: "1", b: 2, c: {}, d: [], e: , f: 1.5, g: ""}"#);
        for tagged in
            ["!!int \"3\"", "!!float 3", "!!binary aGk=", "!custom x", "!!set {a}", "!!map []", "!!bool yes"]
        {
            let told = faults(&format!("a: {tagged}\n"));
            assert!(told[0].starts_with("1:4: tag `"), "{tagged}: {told:?}");
        }
    }

    #[test]
    fn syntax_errors_of_all_documents_are_told() {
        let text = "a: [1\n---\nb: 1\n---\nc: x: y\n---\nd:\n\te: 1\n";
        let lines: Vec<_> = parse(text).unwrap_err().iter().map(|fault| fault.position.line).collect();
        assert_eq!(lines.len(), 3, "{:?}", faults(text));
        assert_eq!(lines[1..], [5, 8]);
    }

    #[test]
    fn common_slips_come_with_a_way_out() {
        for (text, hint) in [
            ("a: b: c\n", "check the indentation, and quote the value if it holds `: `"),
            ("a: [1, 2\nb: 3\n", "check that the brackets before it are closed"),
            ("a: {b\n", "close it, or quote a text that begins with it"),
            ("a: @b\n", "quote the value"),
            ("a:\n\t- b\n", "indent with spaces"),
            ("a: \"b\n", "close the quotes; inside, write `''` or `\\\"`"),
            ("a: 'it's'\n", "quote all of the value; inside, write `''` or `\\\"`"),
            ("a: \"\\q\"\n", "write `\\\\` for a backslash, or use single quotes"),
            ("a: \u{7}\n", "write it in double quotes as `\\u0007`"),
            ("%YAML 1.1\n---\na: 1\n", "leave it out"),
        ] {
            let fault = parse(text).unwrap_err().remove(0);
            assert_eq!(fault.hint.as_deref(), Some(hint), "{text:?}: {fault:?}");
        }
    }

    #[test]
    fn characters_that_only_some_readers_take_for_line_breaks_must_be_escaped() {
        let text = "a: |\n  ü – ©\u{2028}b\nc: 'x\u{85}y'\n";
        let place = |fault: &Fault| (fault.position.to_string(), fault.message.clone());
        let told: Vec<_> = parse(text).unwrap_err().iter().map(place).collect();
        assert_eq!(
            told,
            [
                ("2:8".into(), "the character U+2028 is a line break to some YAML readers".into()),
                ("3:6".into(), "the character U+0085 is a line break to some YAML readers".to_owned())
            ]
        );
        assert!(parse("a: \"x\\u2028y\"\n").is_ok());
    }

    #[test]
    fn bytes_that_are_no_utf8_text_are_refused_with_their_place() {
        assert_eq!(decode("\u{FEFF}a: ü\n".as_bytes()), Ok("a: ü\n"));
        let fault = decode(b"a: 1\nb: \xC3\xBC\xFF\n").unwrap_err();
        assert_eq!(
            (fault.position.to_string(), fault.message.as_str()),
            ("2:5".into(), "byte 0xFF is not UTF-8 text")
        );
        assert_eq!(decode(b"a: \0").unwrap_err().position, Position::new(1, 4));
        assert!(decode(b"\xFF\xFEa\0").is_err());
    }

    #[test]
    fn text_of_any_kind_never_panics() {
        for text in [
            "*",
            "&",
            "&a",
            "- - -",
            "? ",
            "? a\n? b\n",
            "{",
            "]",
            "a: |9\n x",
            "\u{7}",
            "!",
            "!<x",
            "- |\n\t",
            "\u{85}",
        ] {
            let _ = parse(text);
        }
    }
}
