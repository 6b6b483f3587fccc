//! From what was written to what it means: plain scalars become null, booleans and numbers.
//!
//! Helm and Argo CD read YAML with the rules of version 1.1, other tools with those of 1.2. A plain scalar on
//! which they differ is refused, and so is a number that would not come out as it was written: both are fixed
//! with a pair of quotes. Keys are text, whatever they look like.

use std::sync::LazyLock;

use regex::Regex;
use thiserror::Error;

use super::node::{Node, NodeKind, Scalar, Style};
use super::value::{Number, Value, float_spelling};
use crate::problem::{Fault, Position};
use crate::visible::shortened;

/// A plain scalar that has no single meaning: readers differ on it, or lose a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("plain `{text}` {reading}")]
pub struct Ambiguity {
    /// The scalar, shortened if it is long.
    pub text: String,
    /// What readers make of it.
    pub reading: Reading,
}

/// What readers make of an ambiguous plain scalar.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reading {
    /// `yes`, `off`.
    #[error("is a boolean to YAML 1.1 readers and a string to 1.2 ones")]
    Boolean,
    /// `0644`, `0x1F`, `1_000`: in another base or with separators.
    #[error("is one number to some YAML readers and another, or a string, to others")]
    OtherNotation,
    /// `12:30:00`.
    #[error("is a number in base 60 to YAML 1.1 readers and a string to 1.2 ones")]
    Sexagesimal,
    /// `2001-12-14`.
    #[error("is a date to YAML 1.1 readers and a string to 1.2 ones")]
    Date,
    /// `=` and `<<`.
    #[error("is an indicator to YAML 1.1 readers and a string to 1.2 ones")]
    Indicator,
    /// `1e3`, `.5`: the number in the field to some.
    #[error("is a number to some YAML readers and a string to others")]
    NumberOrText(String),
    /// `1.10`: the number in the field to all, which is spelled differently.
    #[error("is read as the number `{0}`")]
    OtherSpelling(String),
    /// An integer beyond 64 bits.
    #[error("is an integer of more than 64 bits, which readers round")]
    TooLarge,
    /// `.inf`, `.nan`, `1.0e+999`.
    #[error("is not a finite number")]
    NotFinite,
}

/// The longest scalar that is shown in full.
const SHOWN_CHARS: usize = 40;

impl Ambiguity {
    fn new(text: &str, reading: Reading) -> Self {
        Self { text: shortened(text, SHOWN_CHARS).into_owned(), reading }
    }

    /// Returns the way out.
    pub(crate) fn hint(&self) -> String {
        let quoted = format!("`\"{}\"`", self.text);
        match &self.reading {
            Reading::Boolean => format!("write `true` or `false`, or quote it if text is meant: {quoted}"),
            Reading::NumberOrText(number) | Reading::OtherSpelling(number) => {
                format!("quote it if text is meant: {quoted}; write `{number}` if a number is meant")
            }
            Reading::OtherNotation => {
                format!(
                    "quote it if text is meant: {quoted}; write it in decimal digits if a number is meant"
                )
            }
            _ => format!("quote it: {quoted}"),
        }
    }

    /// Returns the fault at the position of the scalar.
    #[must_use]
    pub fn at(&self, position: Position) -> Fault {
        Fault::new(position, self.to_string()).hint(self.hint())
    }
}

/// Interprets a document, or returns every ambiguous scalar in it.
pub fn interpret(node: &Node) -> Result<Value, Vec<Fault>> {
    let mut faults = Vec::new();
    let value = interpret_with(node, &mut |ambiguity, _, position| {
        faults.push(ambiguity.at(position));
        Value::Null
    });
    if faults.is_empty() {
        return Ok(value);
    }
    // What an alias repeats was written once, so its faults count once.
    faults.sort_by_key(|fault| fault.position);
    faults.dedup();
    Err(faults)
}

/// Interprets a document; a scalar that readers disagree about (`no`, `12:30:00`) is the text that is written there.
///
/// Our own files have none, but what is published may have been written by someone else, and can still be compared.
#[must_use]
pub fn interpret_as_written(node: &Node) -> Value {
    interpret_with(node, &mut |_, text, _| Value::String(text.to_owned()))
}

/// Interprets a document that is not ours; a scalar that readers disagree about is what Go's readers take it for, which
/// are those of Helm, Argo CD and Kubernetes.
#[must_use]
pub fn interpret_foreign(node: &Node) -> Value {
    interpret_with(node, &mut |ambiguity, text, _| {
        as_go_reads(&ambiguity.reading, text).unwrap_or_else(|| Value::String(text.to_owned()))
    })
}

/// Returns what an ambiguous scalar is to Go's readers, if that is no text.
fn as_go_reads(reading: &Reading, text: &str) -> Option<Value> {
    let number = |spelling: String| Value::Number(Number(spelling.into()));
    match reading {
        Reading::Boolean => match text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(Value::Bool(true)),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(Value::Bool(false)),
            _ => None,
        },
        Reading::NumberOrText(spelling) | Reading::OtherSpelling(spelling) => Some(number(spelling.clone())),
        Reading::OtherNotation | Reading::TooLarge => {
            let text = text.replace('_', "");
            let spelling = integer_of_any_base(&text).map(|integer| integer.to_string());
            let decimal = || text.parse().ok().filter(|_| DECIMAL.is_match(&text)).and_then(float_spelling);
            spelling.or_else(decimal).map(number)
        }
        Reading::Sexagesimal | Reading::Date | Reading::Indicator | Reading::NotFinite => None,
    }
}

/// Reads an integer that says its base by its beginning: `0x1F`, `0b1`, `0o17`, `0644`.
fn integer_of_any_base(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let bases = [("0x", 16), ("0b", 2), ("0o", 8), ("0", 8)];
    let (base, digits) = bases
        .into_iter()
        .find_map(|(beginning, base)| Some((base, lower.strip_prefix(beginning)?)))
        .unwrap_or((10, &lower));
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}

/// Interprets a document; `ambiguous` decides what an ambiguous scalar is.
fn interpret_with(node: &Node, ambiguous: &mut impl FnMut(Ambiguity, &str, Position) -> Value) -> Value {
    match &node.kind {
        NodeKind::Scalar(Scalar { text, style: Style::Plain }) => {
            interpret_plain(text).unwrap_or_else(|ambiguity| ambiguous(ambiguity, text, node.position))
        }
        NodeKind::Scalar(scalar) => Value::String(scalar.text.clone()),
        NodeKind::List(items) => {
            Value::List(items.iter().map(|item| interpret_with(item, ambiguous)).collect())
        }
        NodeKind::Map(entries) => {
            let entries = entries.iter().filter_map(|(key, value)| Some((key.as_scalar()?, value)));
            let entry = |(key, value): (&Scalar, _)| (key.text.clone(), interpret_with(value, ambiguous));
            Value::Map(entries.map(entry).collect())
        }
    }
}

/// Interprets the text of one plain scalar.
pub fn interpret_plain(text: &str) -> Result<Value, Ambiguity> {
    match text.as_bytes() {
        [] | b"~" => Ok(Value::Null),
        [b'0'..=b'9' | b'+' | b'-' | b'.', ..] => interpret_number(text),
        b"=" | b"<<" => Err(Ambiguity::new(text, Reading::Indicator)),
        _ => interpret_word(text),
    }
}

fn interpret_word(text: &str) -> Result<Value, Ambiguity> {
    match text {
        "true" | "True" | "TRUE" => Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => Ok(Value::Bool(false)),
        "null" | "Null" | "NULL" => Ok(Value::Null),
        _ if is_old_boolean(text) => Err(Ambiguity::new(text, Reading::Boolean)),
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// Returns whether YAML 1.1 takes the word for a boolean and 1.2 does not.
fn is_old_boolean(word: &str) -> bool {
    word.len() <= 3 && ["y", "n", "yes", "no", "on", "off"].iter().any(|old| word.eq_ignore_ascii_case(old))
}

/// Interprets a plain scalar that begins like a number.
fn interpret_number(text: &str) -> Result<Value, Ambiguity> {
    let ambiguous = |reading| Err(Ambiguity::new(text, reading));
    if is_integer(text) {
        let fits = text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
        return if fits { Ok(Value::Number(Number(text.into()))) } else { ambiguous(Reading::TooLarge) };
    }
    if !has_only_characters_of_numbers(text) {
        return Ok(Value::String(text.to_owned()));
    }
    if let Some((_, reading)) = NOTATIONS.iter().find(|(notation, _)| notation.is_match(text)) {
        return ambiguous(reading.clone());
    }
    if has_separators(text) {
        return ambiguous(Reading::OtherNotation);
    }
    if !DECIMAL.is_match(text) {
        return Ok(Value::String(text.to_owned()));
    }
    match text.parse().ok().and_then(float_spelling) {
        None => ambiguous(Reading::NotFinite),
        Some(spelling) if spelling == text => Ok(Value::Number(Number(spelling.into()))),
        Some(spelling) if COMMON_DECIMAL.is_match(text) => ambiguous(Reading::OtherSpelling(spelling)),
        Some(spelling) => ambiguous(Reading::NumberOrText(spelling)),
    }
}

/// `0`, `-3`, `42`: no plus sign, no leading zero, no `-0`.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Returns whether each character stands in some number or date below: most texts with a unit have another one, and
/// no pattern is tried on them.
fn has_only_characters_of_numbers(text: &str) -> bool {
    let is_hexadecimal = text.contains(['x', 'X']);
    text.bytes().all(|byte| match byte {
        b'0'..=b'9' => true,
        b'a'..=b'f' | b'A'..=b'F' if is_hexadecimal => true,
        _ => b"+-._: \tTZeExXoObBiInNfFaA".contains(&byte),
    })
}

/// Returns whether a text is a number with underscores, as YAML 1.1 has them: `1_000`, `0x_1F`.
fn has_separators(text: &str) -> bool {
    let joined = text.replace('_', "");
    joined.len() < text.len() && (DECIMAL.is_match(&joined) || OTHER_BASE.is_match(&joined))
}

type Pattern = LazyLock<Regex>;

/// An optional sign, digits with an optional point among or around them, an optional exponent.
static DECIMAL: Pattern = Pattern::new(|| regex(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"));
/// Of the decimals, those that every reader takes for a number: digits on both sides of a point, and a signed
/// exponent.
static COMMON_DECIMAL: Pattern = Pattern::new(|| regex(r"[+-]?([0-9]+|[0-9]+\.[0-9]+([eE][+-][0-9]+)?)"));
/// `0x1F`, `0b1`, `0o17`, `0644`: YAML 1.1 has all of them but `0o17`, which is YAML 1.2's.
static OTHER_BASE: Pattern =
    Pattern::new(|| regex(r"[+-]?0([xX][0-9a-fA-F]+|[oObB][0-9]+|[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?)"));

/// Notations on which readers differ.
static NOTATIONS: LazyLock<[(Regex, Reading); 4]> = LazyLock::new(|| {
    [
        // `2001-12-14`, alone or with a time of day after it.
        (regex(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t][0-9:.+Z \t-]*:[0-9:.+Z \t-]*)?"), Reading::Date),
        (regex(r"[+-]?\.(inf|Inf|INF|nan|NaN|NAN)"), Reading::NotFinite),
        // Groups of digits with colons between them, of which all but the first are below 60.
        (regex(r"[+-]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), Reading::Sexagesimal),
        (OTHER_BASE.clone(), Reading::OtherNotation),
    ]
});

fn regex(whole: &str) -> Regex {
    Regex::new(&format!("^(?:{whole})$")).expect("the pattern is written here")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn number(text: &str) -> Value {
        Value::Number(Number(text.into()))
    }

    #[test]
    fn what_every_reader_takes_for_the_same_thing_is_taken_for_it() {
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(interpret_plain(text), Ok(Value::Null), "{text:?}");
        }
        for text in ["true", "True", "TRUE"] {
            assert_eq!(interpret_plain(text), Ok(Value::Bool(true)), "{text:?}");
        }
        assert_eq!(interpret_plain("false"), Ok(Value::Bool(false)));
        for text in [
            "0",
            "3",
            "-3",
            "1.5",
            "-0.25",
            "1.0e+21",
            "18446744073709551615",
            "-9223372036854775808",
            "0.00001",
        ] {
            assert_eq!(interpret_plain(text), Ok(number(text)), "{text:?}");
        }
    }

    #[test]
    fn what_every_reader_takes_for_text_stays_text() {
        for text in [
            "a",
            "yess",
            "yn",
            "1.2.3",
            "v1.10",
            "10Gi",
            "500m",
            "-",
            "-x",
            "+",
            ".",
            "..",
            "...",
            ".hidden",
            "1e",
            "e3",
            "1ex",
            "192.168.64.100",
            "192.168.64.100-192.168.64.110",
            "10.244.0.0/16",
            "2001:db8::1",
            "8080:80",
            "12:60",
            "0xZZ",
            "1-2-3",
            "2001-12",
            "2001-12-14-nightly",
            "2001-12-14 some day",
            "_1",
            "==",
            "<",
            "~a",
            "nul",
        ] {
            assert_eq!(interpret_plain(text), Ok(Value::String(text.into())), "{text:?}");
        }
    }

    #[test]
    fn what_readers_take_for_different_things_is_refused() {
        let readings = [
            (Reading::Boolean, &["y", "N", "yes", "No", "ON", "off", "oFF"][..]),
            (
                Reading::OtherNotation,
                &[
                    "0644", "00", "-017", "08", "0o17", "0b101", "0x1F", "0X1f", "-0x1F", "1_000", "1_0.5",
                    "0x_1F", "01.5",
                ],
            ),
            (Reading::Sexagesimal, &["12:30:00", "1:30", "-1:30", "22:22", "1:30.5", "190:20:30.15", "0:0"]),
            (
                Reading::Date,
                &["2001-12-14", "2001-1-1", "2001-12-14T21:59:43.10-05:00", "2001-12-14 21:59:43.10 -5"],
            ),
            (Reading::Indicator, &["=", "<<"]),
            (Reading::TooLarge, &["18446744073709551616", "-9223372036854775809"]),
            (Reading::NotFinite, &[".inf", "-.INF", "+.Inf", ".nan", "1.0e+999"]),
        ];
        for (reading, texts) in readings {
            for text in texts {
                let expected = Err(Ambiguity { text: (*text).into(), reading: reading.clone() });
                assert_eq!(interpret_plain(text), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_read_as_helm_reads_it() {
        // The second line of each is what `fromYaml | toJson` of Helm 4.1 makes of the first.
        for (text, json) in [
            ("[yes, y, N, Off, yEs, oFF]", r#"[true,true,false,false,"yEs","oFF"]"#),
            (
                "[0644, 0o17, 0b101, 0x1F, -0x1F, 1_000, 1_0.5, 08, 01.5, 0x_1F, +3, 00, -017, 0b12, -0o17]",
                r#"[420,15,5,31,-31,1000,10.5,8,1.5,31,3,0,-15,"0b12",-15]"#,
            ),
            ("[1e3, .5, 5., 1.10, 2.0, 1e21]", "[1000,0.5,5,1.1,2,1e+21]"),
            (
                "[12:30:00, 2001-12-14, \"=\", 1:30, 2001-12-14T21:59:43.10-05:00]",
                r#"["12:30:00","2001-12-14","=","1:30","2001-12-14T21:59:43.10-05:00"]"#,
            ),
            ("[\"no\", '0644', .inf]", r#"["no","0644",".inf"]"#),
        ] {
            let node = parse(text).unwrap().remove(0);
            assert_eq!(interpret_foreign(&node).to_json().to_string(), json);
        }
    }

    #[test]
    fn a_number_that_would_lose_its_spelling_is_refused_with_both_ways_out() {
        for (text, number) in
            [("1.10", "1.1"), ("2.0", "2"), ("0.12345678901234567890", "0.12345678901234568"), ("+3", "3")]
        {
            let ambiguity = interpret_plain(text).unwrap_err();
            assert_eq!(ambiguity.reading, Reading::OtherSpelling(number.into()), "{text:?}");
        }
        for (text, number) in
            [("1e3", "1000"), (".5", "0.5"), ("5.", "5"), ("1e21", "1.0e+21"), ("1.5e3", "1500")]
        {
            let ambiguity = interpret_plain(text).unwrap_err();
            assert_eq!(ambiguity.reading, Reading::NumberOrText(number.into()), "{text:?}");
        }
        let version = interpret_plain("1.10").unwrap_err();
        assert_eq!(version.to_string(), "plain `1.10` is read as the number `1.1`");
        assert_eq!(version.hint(), "quote it if text is meant: `\"1.10\"`; write `1.1` if a number is meant");
    }

    #[test]
    fn all_faults_are_collected_with_their_positions() {
        let document = parse("a: yes\nb: [1, 0644]\nc: \"no\"\nyes: {d: 1.10}\n").unwrap().remove(0);
        let positions: Vec<_> =
            interpret(&document).unwrap_err().iter().map(|fault| fault.position.to_string()).collect();
        assert_eq!(positions, ["1:4", "2:8", "4:10"]);
    }

    #[test]
    fn a_fault_that_an_alias_repeats_is_told_once() {
        let document = parse("a: &x {b: yes}\nc: *x\nd: *x\n").unwrap().remove(0);
        assert_eq!(interpret(&document).unwrap_err().len(), 1);
    }

    #[test]
    fn keys_and_quoted_text_are_text_whatever_they_look_like() {
        let document = parse("on: 'yes'\n0644: |\n  no\n1.10: 3\n").unwrap().remove(0);
        let value = interpret(&document).unwrap();
        assert_eq!(value.get("on").and_then(Value::as_str), Some("yes"));
        assert_eq!(value.get("0644").and_then(Value::as_str), Some("no\n"));
        assert_eq!(value.get("1.10"), Some(&number("3")));
    }

    #[test]
    fn a_long_scalar_is_shortened_in_the_message() {
        let ambiguity = interpret_plain(&"9".repeat(1000)).unwrap_err();
        assert_eq!(ambiguity.text.chars().count(), SHOWN_CHARS + 1);
    }
}
