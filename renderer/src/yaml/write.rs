//! The one way this project writes YAML: block style that readers of YAML 1.1 and of 1.2 take for the same values.
//!
//! Text is left bare only if no reader can take it for anything else; it is quoted as in JSON otherwise, and
//! a text of several lines is a literal block. The same value always gives the same bytes.

use std::fmt::Write as _;

use memchr::memchr_iter;

use super::value::Value;

/// A longer key is written in the explicit form, since libyaml reads only 1,024 characters ahead to find the
/// `:` of a short one.
const SHORT_KEY_BYTES: usize = 1_000;

/// Returns a value as one document that ends in a newline.
#[must_use]
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    write_to(&mut out, value);
    out
}

/// Adds a value as one document to a text that is empty or ends in a newline.
pub fn write_to(out: &mut String, value: &Value) {
    add(out, value, After::Nothing, 0);
}

/// What stands before a value on its line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    /// `key:`
    Key,
    /// `- `
    Dash,
}

/// Adds a value whose entries, items or lines begin at the column `indent`.
fn add(out: &mut String, value: &Value, after: After, indent: usize) {
    match value {
        Value::Map(map) if !map.is_empty() => {
            for (at, (key, value)) in map.iter().enumerate() {
                begin_entry(out, at, after, indent);
                add_key(out, key, indent);
                add(out, value, After::Key, indent + 2);
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                begin_entry(out, at, after, indent);
                out.push_str("- ");
                add(out, item, After::Dash, indent + 2);
            }
        }
        leaf => {
            if after == After::Key {
                out.push(' ');
            }
            add_leaf(out, leaf, after, indent);
            out.push('\n');
        }
    }
}

/// Moves to the column of an entry or an item; the first one stands behind the dash of the list around it.
fn begin_entry(out: &mut String, at: usize, after: After, indent: usize) {
    match after {
        After::Dash if at == 0 => return,
        After::Key if at == 0 => out.push('\n'),
        _ => {}
    }
    push_spaces(out, indent);
}

fn add_key(out: &mut String, key: &str, indent: usize) {
    let start = out.len();
    scalar_on_one_line(out, key);
    if out.len() - start > SHORT_KEY_BYTES {
        out.insert_str(start, "? ");
        out.push('\n');
        push_spaces(out, indent);
    }
    out.push(':');
}

fn add_leaf(out: &mut String, leaf: &Value, after: After, indent: usize) {
    match leaf {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(number.as_str()),
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
        Value::String(text) => match block_header(text).filter(|_| after != After::Nothing) {
            Some(header) => add_block(out, header, text, indent),
            None => scalar_on_one_line(out, text),
        },
    }
}

/// Adds a literal block without its last line break.
fn add_block(out: &mut String, header: &str, text: &str, indent: usize) {
    out.push_str(header);
    let mut start = 0;
    let ends = memchr_iter(b'\n', text.as_bytes()).chain((!text.ends_with('\n')).then_some(text.len()));
    for end in ends {
        out.push('\n');
        if end > start {
            push_spaces(out, indent);
            out.push_str(&text[start..end]);
        }
        start = end + 1;
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
    const KINDS: [u8; 256] = {
        let mut kinds = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            kinds[byte] = match byte as u8 {
                b'\n' => LINE,
                b'\t' => TAB,
                b'"' | b'\\' => QUOTE,
                b':' | b'#' => INDICATOR,
                0xC2 | 0xE2 | 0xEF => WIDE,
                0..=0x1F | 0x7F => CONTROL,
                _ => 0,
            };
            byte += 1;
        }
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
/// Quoted are also texts whose white space an editor would trim without showing it: lines of nothing but
/// white space, and several line feeds at the end.
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
            ("count", Value::from(&serde_json::json!(-3))),
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
}
