//! The one way this project writes YAML: block style that readers of YAML 1.1 and of 1.2 take for the same values.
//!
//! Text is left bare only if no reader can take it for anything else; it is quoted as in JSON otherwise, and a text of several lines
//! is a literal block. The same value always gives the same bytes.
//!
//! The writer takes events, so that values, JSON and templates can be written without building a tree of values first.

use std::fmt::Write as _;

use memchr::memchr_iter;

use super::value::{Number, Value};

/// A longer key is written in the explicit form, since libyaml reads only 1,024 characters ahead to find the `:` of a short one.
const SHORT_KEY_BYTES: usize = 1_000;

/// Writes a value as one document that ends in a newline.
#[must_use]
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    Writer::new(&mut out).value(value);
    out
}

/// Writes one document, event by event.
///
/// Events must come as a tree does: in a map each value after its key, in a list value after value, and each beginning with its
/// end. Keys of a map must differ. Anything else is a mistake in the caller and panics in debug builds.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut String,
    open: Vec<Open>,
    after: After,
}

/// A collection that has begun and not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    kind: Kind,
    /// What stood before it. Nothing is written before the first entry, as `[]` and `{}` stand on the same line.
    after: After,
    is_empty: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    List,
    Map,
}

/// What the writer has just written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Nothing, or a whole line.
    Line,
    /// `key:`
    Key,
    /// `- `
    Dash,
}

impl<'a> Writer<'a> {
    /// Creates a writer that appends a document to `out`, which must end in a newline unless it is empty.
    pub fn new(out: &'a mut String) -> Self {
        Self { out, open: Vec::new(), after: After::Line }
    }

    /// Begins a map.
    pub fn begin_map(&mut self) {
        self.begin(Kind::Map);
    }

    /// Writes a key of the map that began last.
    pub fn key(&mut self, key: &str) {
        debug_assert!(self.is_in(Kind::Map) && self.after != After::Key, "`{key}` is no key of a map");
        self.begin_entry();
        let start = self.out.len();
        scalar_on_one_line(self.out, key);
        if self.out.len() - start > SHORT_KEY_BYTES {
            self.out.insert_str(start, "? ");
            self.out.push('\n');
            self.indent();
        }
        self.out.push(':');
        self.after = After::Key;
    }

    /// Ends the map that began last.
    pub fn end_map(&mut self) {
        self.end(Kind::Map, "{}");
    }

    /// Begins a list.
    pub fn begin_list(&mut self) {
        self.begin(Kind::List);
    }

    /// Ends the list that began last.
    pub fn end_list(&mut self) {
        self.end(Kind::List, "[]");
    }

    /// Writes a text.
    pub fn string(&mut self, text: &str) {
        self.begin_value();
        match block_header(text) {
            Some(header) if !self.open.is_empty() => self.block(header, text),
            _ => {
                self.space_after_key();
                scalar_on_one_line(self.out, text);
                self.end_line();
            }
        }
    }

    /// Writes a number as it is spelled.
    pub fn number(&mut self, number: &Number) {
        self.bare(number.as_str());
    }

    /// Writes `true` or `false`.
    pub fn boolean(&mut self, value: bool) {
        self.bare(if value { "true" } else { "false" });
    }

    /// Writes `null`.
    pub fn null(&mut self) {
        self.bare("null");
    }

    /// Writes a value with everything in it.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.null(),
            Value::Bool(value) => self.boolean(*value),
            Value::Number(number) => self.number(number),
            Value::String(text) => self.string(text),
            Value::List(items) => {
                self.begin_list();
                for item in items {
                    self.value(item);
                }
                self.end_list();
            }
            Value::Map(map) => {
                self.begin_map();
                for (key, value) in map.iter() {
                    self.key(key);
                    self.value(value);
                }
                self.end_map();
            }
        }
    }

    fn begin(&mut self, kind: Kind) {
        self.begin_value();
        self.open.push(Open { kind, after: self.after, is_empty: true });
        self.after = After::Line;
    }

    fn end(&mut self, kind: Kind, empty: &str) {
        debug_assert!(self.is_in(kind) && self.after == After::Line, "this ends what did not begin");
        if let Some(Open { after, is_empty: true, .. }) = self.open.pop() {
            self.after = after;
            self.space_after_key();
            self.out.push_str(empty);
            self.end_line();
        }
    }

    /// Writes what must stand before a value: the dash of a list item.
    fn begin_value(&mut self) {
        if self.is_in(Kind::List) {
            self.begin_entry();
            self.out.push_str("- ");
            self.after = After::Dash;
        }
        debug_assert!(self.open.is_empty() || self.after != After::Line, "a value in a map needs a key");
    }

    /// Moves to the column at which an entry of the innermost collection begins.
    fn begin_entry(&mut self) {
        let Some(open) = self.open.last_mut() else { return };
        let is_first = std::mem::replace(&mut open.is_empty, false);
        match open.after {
            After::Dash if is_first => return,
            After::Key if is_first => self.out.push('\n'),
            _ => {}
        }
        self.indent();
    }

    fn indent(&mut self) {
        push_spaces(self.out, 2 * (self.open.len() - 1));
    }

    fn bare(&mut self, text: &str) {
        self.begin_value();
        self.space_after_key();
        self.out.push_str(text);
        self.end_line();
    }

    /// Writes a literal block, two columns in from the collection that holds it.
    fn block(&mut self, header: &str, text: &str) {
        self.space_after_key();
        self.out.push_str(header);
        let indent = 2 * self.open.len();
        let mut start = 0;
        let ends = memchr_iter(b'\n', text.as_bytes()).chain((!text.ends_with('\n')).then_some(text.len()));
        for end in ends {
            self.out.push('\n');
            if end > start {
                push_spaces(self.out, indent);
                self.out.push_str(&text[start..end]);
            }
            start = end + 1;
        }
        self.end_line();
    }

    fn space_after_key(&mut self) {
        if self.after == After::Key {
            self.out.push(' ');
        }
    }

    fn end_line(&mut self) {
        self.out.push('\n');
        self.after = After::Line;
    }

    fn is_in(&self, kind: Kind) -> bool {
        self.open.last().is_some_and(|open| open.kind == kind)
    }
}

const SPACES: &str = "                                                                ";

fn push_spaces(out: &mut String, count: usize) {
    let mut left = count;
    while left > SPACES.len() {
        out.push_str(SPACES);
        left -= SPACES.len();
    }
    out.push_str(&SPACES[..left]);
}

/// The kinds of byte that decide how a text is written, as bits.
mod byte {
    /// A line feed.
    pub const LINE: u8 = 1;
    /// A control character, which only double quotes can hold. The tab is one too: it may not stand in some places.
    pub const CONTROL: u8 = 2;
    pub const TAB: u8 = 4;
    /// `"` or `\`, which double quotes must escape.
    pub const QUOTE: u8 = 8;
    /// `:` or `#`, which may end a bare text.
    pub const INDICATOR: u8 = 16;
    /// The first byte of the characters beyond ASCII among which there are unprintable ones.
    pub const WIDE: u8 = 32;

    /// The kind of every byte.
    pub const KINDS: [u8; 256] = {
        let mut kinds = [0; 256];
        let mut control = 0;
        while control < 0x20 {
            kinds[control] = CONTROL;
            control += 1;
        }
        kinds[0x7F] = CONTROL;
        kinds[b'\n' as usize] = LINE;
        kinds[b'\t' as usize] = TAB;
        kinds[b'"' as usize] = QUOTE;
        kinds[b'\\' as usize] = QUOTE;
        kinds[b':' as usize] = INDICATOR;
        kinds[b'#' as usize] = INDICATOR;
        kinds[0xC2] = WIDE;
        kinds[0xE2] = WIDE;
        kinds[0xEF] = WIDE;
        kinds
    };

    /// Returns the kinds of all bytes of a text.
    pub fn kinds(text: &str) -> u8 {
        text.bytes().fold(0, |kinds, byte| kinds | KINDS[byte as usize])
    }
}

/// Writes a text bare if it can be nothing else, and quoted otherwise.
fn scalar_on_one_line(out: &mut String, text: &str) {
    let mut kinds = byte::kinds(text);
    if kinds & byte::WIDE != 0 && !text.chars().any(is_unprintable) {
        kinds &= !byte::WIDE;
    }
    if is_bare(text, kinds) {
        out.push_str(text);
        return;
    }
    out.push('"');
    if kinds & !byte::INDICATOR == 0 {
        out.push_str(text);
    } else {
        push_escaped(out, text);
    }
    out.push('"');
}

/// Returns whether every reader takes the bare text for this text.
fn is_bare(text: &str, kinds: u8) -> bool {
    kinds & !(byte::INDICATOR | byte::QUOTE) == 0
        && begins_like_text(text.as_bytes())
        && !text.ends_with([' ', ':'])
        && (kinds & byte::INDICATOR == 0 || !(text.contains(": ") || text.contains(" #")))
        && !is_reserved_word(text)
}

/// Letters, `_`, `/` and the dashes of a long option begin nothing but text.
fn begins_like_text(text: &[u8]) -> bool {
    match text {
        [first, ..] if first.is_ascii_alphabetic() => true,
        [b'_' | b'/', ..] => true,
        [b'-', b'-', letter, ..] => letter.is_ascii_alphabetic(),
        _ => false,
    }
}

fn is_reserved_word(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.len() <= 5 && WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Characters beyond ASCII that some reader refuses, drops or takes for a line break.
fn is_unprintable(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9F}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if c.is_ascii_control() || is_unprintable(c) => {
                write!(out, "\\u{:04X}", u32::from(c)).expect("writing to a string does not fail");
            }
            _ => out.push(c),
        }
    }
}

/// Returns the header of the literal block for a text, or `None` if it must be quoted or has one line only.
///
/// Quoted are also texts whose white space an editor would trim without showing it: lines of nothing but white space, and several
/// line feeds at the end.
fn block_header(text: &str) -> Option<&'static str> {
    let kinds = byte::kinds(text);
    let is_literal = kinds & byte::LINE != 0
        && kinds & byte::CONTROL == 0
        && !text.starts_with(['\n', '\t'])
        && !text.ends_with("\n\n")
        && (kinds & byte::WIDE == 0 || !text.chars().any(is_unprintable))
        && !text.split('\n').any(is_blank);
    if !is_literal {
        return None;
    }
    Some(match (text.starts_with(' '), text.ends_with('\n')) {
        (false, true) => "|",
        (false, false) => "|-",
        (true, true) => "|2",
        (true, false) => "|2-",
    })
}

/// Returns whether a line holds white space and nothing else.
fn is_blank(line: &str) -> bool {
    !line.is_empty() && line.bytes().all(|byte| matches!(byte, b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Map, interpret, parse};

    fn text(text: &str) -> Value {
        Value::String(text.into())
    }

    fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
        Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map>())
    }

    fn read(written: &str) -> Value {
        let documents = parse(written).unwrap_or_else(|faults| panic!("{faults:?} in\n{written}"));
        interpret(&documents[0]).unwrap_or_else(|faults| panic!("{faults:?} in\n{written}"))
    }

    fn assert_written(value: &Value, expected: &str) {
        let written = write(value);
        assert_eq!(written, expected);
        assert_eq!(&read(&written), value);
    }

    #[test]
    fn a_document_is_written_in_block_style() {
        let value = map([
            ("name", text("a b")),
            ("empty", Value::List(vec![])),
            (
                "list",
                Value::List(vec![
                    text("x"),
                    map([("k", text("v")), ("l", map([]))]),
                    Value::List(vec![text("z")]),
                ]),
            ),
            ("map", map([("deep", map([("er", Value::Null)])), ("yes", Value::Bool(true))])),
            ("count", Value::Number((-3_i64).into())),
        ]);
        assert_written(
            &value,
            "\
name: a b
empty: []
list:
  - x
  - k: v
    l: {}
  - - z
map:
  deep:
    er: null
  \"yes\": true
count: -3
",
        );
    }

    #[test]
    fn a_document_may_be_a_scalar_or_empty() {
        assert_written(&Value::Null, "null\n");
        assert_written(&text("a\nb"), "\"a\\nb\"\n");
        assert_written(&map([]), "{}\n");
        assert_written(&Value::List(vec![Value::List(vec![]), map([])]), "- []\n- {}\n");
    }

    #[test]
    fn text_is_bare_only_if_it_can_be_nothing_else() {
        for bare in [
            "a",
            "web",
            "a b",
            "_x",
            "/metrics",
            "--web.enable=x",
            "a:b",
            "a#b",
            "http://x:80/y",
            "größe",
            "a\"b\\c",
            "x{y}",
            "a, b",
            "yess",
            "nulls",
            "tRuely",
        ] {
            assert_eq!(write(&text(bare)), format!("{bare}\n"));
        }
        for quoted in [
            "",
            "yes",
            "No",
            "oN",
            "off",
            "y",
            "N",
            "true",
            "FALSE",
            "Null",
            "~",
            "1",
            "-1",
            ".5",
            "0x1F",
            "1_000",
            "12:30:00",
            "2001-12-14",
            "=",
            "<<",
            "- a",
            "-",
            "---",
            "--",
            "? a",
            "a: b",
            "a #b",
            "a:",
            "a ",
            " a",
            "#a",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "@a",
            "%a",
            "`a",
            "{a}",
            "[a]",
            "'a'",
            "ü",
            "-Xmx1g",
            "...",
        ] {
            assert_eq!(write(&text(quoted)), format!("\"{quoted}\"\n"));
        }
    }

    #[test]
    fn what_quotes_cannot_hold_is_escaped() {
        let hostile = "\"\\\n\t\r\0\u{1b}\u{7f}\u{85}\u{2028}\u{2029}\u{feff}\u{ffff}\u{a0}€😀";
        assert_written(
            &text(hostile),
            "\"\\\"\\\\\\n\\t\\r\\u0000\\u001B\\u007F\\u0085\\u2028\\u2029\\uFEFF\\uFFFF\u{a0}€😀\"\n",
        );
    }

    #[test]
    fn text_of_several_lines_is_a_literal_block() {
        let value = map([
            ("clip", text("a\n  b\n\nc: d\n")),
            ("strip", text("# a\n---\n\tb ")),
            ("indented", text("  a\nb\n")),
            ("both", text(" a\nb")),
            ("list", Value::List(vec![text("a\nb\n"), map([("k", text(" c\nd"))])])),
        ]);
        assert_written(
            &value,
            "\
clip: |
  a
    b

  c: d
strip: |-
  # a
  ---
  \tb\u{20}
indented: |2
    a
  b
both: |2-
   a
  b
list:
  - |
    a
    b
  - k: |2-
       c
      d
",
        );
    }

    #[test]
    fn several_lines_that_a_block_cannot_hold_safely_are_quoted() {
        for unsafe_text in [
            "\n",
            "\na",
            "\ta\nb",
            "a\n\n",
            "a\n \nb",
            "a\n\t",
            "a\r\nb",
            "a\n\0",
            "a\u{85}\nb",
            "a\u{feff}\nb",
        ] {
            let written = write(&map([("k", text(unsafe_text))]));
            assert!(written.starts_with("k: \""), "{written}");
            assert_eq!(read(&written), map([("k", text(unsafe_text))]));
        }
    }

    #[test]
    fn keys_are_written_like_text_on_one_line_and_long_ones_explicitly() {
        let long = "k".repeat(2000);
        let value = map([
            ("on", Value::Null),
            ("a\nb", text("x\ny")),
            ("1", map([(&long, map([("a", text("b"))]))])),
        ]);
        assert_written(
            &value,
            &format!("\"on\": null\n\"a\\nb\": |-\n  x\n  y\n\"1\":\n  ? {long}\n  :\n    a: b\n"),
        );
        assert_written(
            &Value::List(vec![map([(&long, text("v")), ("w", Value::List(vec![text("x")]))])]),
            &format!("- ? {long}\n  : v\n  w:\n    - x\n"),
        );
    }

    #[test]
    #[should_panic(expected = "a value in a map needs a key")]
    #[cfg(debug_assertions)]
    fn a_value_without_a_key_is_a_mistake_in_the_caller() {
        let mut out = String::new();
        let mut writer = Writer::new(&mut out);
        writer.begin_map();
        writer.null();
    }
}
