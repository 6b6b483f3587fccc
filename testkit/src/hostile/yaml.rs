//! Texts and documents chosen to be misread: what a YAML writer or a template engine must carry unharmed.
//!
//! The same call always gives the same documents, so that the bytes written from them can be compared with a
//! recorded digest.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Words that some reader takes for something other than text, in one spelling.
const WORDS: [&str; 14] =
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nil", "none", "inf", "nan", "void"];

/// Texts that look like numbers, dates, indicators or YAML of their own.
#[rustfmt::skip]
const LOOK_ALIKES: &[&str] = &[
    "", "~", "=", "<<", "<<:", "0", "-0", "+0", "1", "-1", "+1", "00", "007", "0644", "-0644", "08", "0o17",
    "0O17", "0b101", "0B1", "0x1F", "0X1f", "-0x1F", "0x", "1_000", "1__0", "_1", "1_", "0x_F", "1.10",
    "1.0", "1.", ".5", "-.5", "+.5", ".", "..", "...", "-.", "1e3", "1E3", "1e+3", "1.0e3", "1.0e+3",
    "1.5E-7", "1e", "e1", ".e1", "1e999", ".inf", "-.inf", "+.INF", ".nan", ".NaN", "NaN", "Infinity",
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
    "0.1234567890123456789", "12:30", "12:30:00", "1:1", "0:0", "22:22", "8080:80", "190:20:30.15",
    "2001-12-14", "2001-1-1", "2001-12-14T21:59:43.10-05:00", "2001-12-14 21:59:43", "20011214", "1.2.3",
    "10.0.0.0/8", "192.168.64.100", "::1", "fe80::1", "5m", "10Gi", "v1.10", "-", "--", "---", "--- a",
    "--x", "-x", "- a", "-\ta", "?", "? a", "?a", ":", ": a", ":a", "a:", "a: b", "a:b", "a :b", "a: ",
    "a #b", "a#b", "#a", "# a", "&a", "&", "*a", "*", "!", "!!str a", "!a", "|", "|-", "| a", ">", ">-",
    "%", "%YAML 1.1", "@a", "`a`", "'", "''", "'a'", "a'b", "\"", "\"\"", "\"a\"", "a\"b", "\\", "\\n",
    "a\\", "{", "}", "{}", "{a: b}", "[", "]", "[]", "[a, b]", ",", "a, b", "{{x}}", "{{ .Values.x }}",
    "{{#if a}}",
];

/// Texts in which white space and line breaks matter.
#[rustfmt::skip]
const WHITE_SPACE: &[&str] = &[
    " ", "  ", "\t", "\n", "\r", "\r\n", "\n\n", " \n", "\n ", "\t\n", "\n\t", "a ", " a", "a\t", "\ta",
    "a\tb", "a\t#b", "a \t", "a\n", "\na", "a\n\n", "\n\na", "a\nb", "a\nb\n", "a\nb\n\n", "a\n\nb",
    "a\n\n\nb\n", " a\nb", "  a\n b\n", "a\n b", "a\n  b\nc", "a\n \nb", "a\n\t\nb", "a\n  ", "a\n\t",
    "a \nb", "a\t\nb \n", "\ta\nb", "a\n\tb", "a\r\nb\r\n", "a\rb", "a\n\rb", "---\na", "a\n---\nb",
    "a\n...\nb\n", "- a\n- b", "a: b\nc: d\n", "# a\nb\n", "a\n# b", "|\n  a", "foo: bar\n- x",
    "a:\n  - b\n", "\"a\nb\"", "'a\nb'", "{\n}\n", "a\\\nb", "%YAML\nb", "? a\n: b", "a\n\n \n\nb",
    "  \n  \n",
];

/// Characters that readers drop, refuse, change or take for a line break when they stand bare.
#[rustfmt::skip]
const CHARACTERS: &[char] = &[
    '\u{7f}', '\u{80}', '\u{84}', '\u{85}', '\u{86}', '\u{9f}', '\u{a0}', '\u{ad}', '\u{200b}', '\u{200e}',
    '\u{2028}', '\u{2029}', '\u{202e}', '\u{feff}', '\u{fffd}', '\u{fffe}', '\u{ffff}', '\u{e000}',
    '\u{1f600}', '\u{f0000}', '\u{ffffd}', '\u{10fffd}', 'ü', '漢', '\u{301}', '\u{3000}',
];

/// What random texts are made of: short pieces that mean something to YAML, to a template engine or to neither.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "a", "b", "Z", "é", "漢", "😀", "0", "1", "9", "_", ".", "-", "--", "---", "...", "+", ":", ": ", " :",
    "#", " #", "# ", ",", "?", "? ", "!", "!!", "&", "*", "|", ">", "'", "\"", "\\", "%", "@", "`", "{",
    "}", "[", "]", "{{", "}}", "~", "=", "<<", " ", "  ", "\t", "\n", "\n\n", "\r", "\n ", "\n\t", "yes",
    "0x1F",
];

/// Returns the texts of the handmade list, in order and each once.
#[must_use]
pub fn strings() -> Vec<String> {
    let words = WORDS.iter().flat_map(|word| [(*word).to_owned(), word.to_uppercase(), capitalized(word)]);
    let fixed = LOOK_ALIKES.iter().chain(WHITE_SPACE).map(ToString::to_string);
    let controls = (0..0x20).map(char::from).chain(CHARACTERS.iter().copied());
    let characters = controls.flat_map(|c| [c.to_string(), format!("a{c}b"), format!("a\n{c}b\n")]);
    words.chain(fixed).chain(characters).chain(long_strings()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// Texts around the length at which libyaml gives up on a key, and a text of 10,000 lines.
fn long_strings() -> Vec<String> {
    let around_limit = [990, 1_000, 1_022, 1_023, 1_024, 1_025, 1_026, 5_000];
    let mut strings: Vec<_> = around_limit.into_iter().map(|length| "k".repeat(length)).collect();
    strings.extend([": ".repeat(600), "ü".repeat(1_000), "a b ".repeat(100), "\"".repeat(600)]);
    strings.push("a line of text, with: a colon\n".repeat(10_000));
    strings
}

/// Returns documents that hold each text of the handmade list at every kind of place, and numbers that are
/// easily misread.
#[must_use]
pub fn handmade_documents() -> Vec<Value> {
    let strings = strings();
    let scalars = strings.iter().map(|text| json!(text));
    let trees = strings.iter().map(|text| {
        json!({
            "value": text,
            "list": [text, [text, [text]], {text: text, "next": text}, "end"],
            text: {text: {text: "deep"}},
            "end": [],
        })
    });
    scalars.chain(trees).chain([numbers(), json!({}), json!([]), json!([[], {}, [[]], [{}]])]).collect()
}

fn numbers() -> Value {
    json!([
        0,
        1,
        -1,
        1.5,
        -0.25,
        0.1,
        1e-7,
        1e21,
        -1.5e300,
        5e-324,
        f64::MAX,
        i64::MIN,
        i64::MAX,
        u64::MAX,
        123_456_789_012_345_678_i64
    ])
}

/// Returns random documents; the same seed gives the same ones.
#[must_use]
pub fn random_documents(seed: u64, count: usize) -> Vec<Value> {
    let mut random = Random(seed);
    (0..count).map(|_| random.map(8, 4)).collect()
}

/// The `SplitMix64` generator, which is enough to choose test data.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn text(&mut self) -> String {
        (0..self.below(8)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    fn tree(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 10 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.next().cast_signed() >> self.below(64)),
            3..=5 => json!(self.text()),
            6 | 7 => (0..self.below(4)).map(|_| self.tree(depth - 1)).collect(),
            _ => self.map(5, depth),
        }
    }

    /// Returns a map of fewer entries than `limit`.
    fn map(&mut self, limit: usize, depth: usize) -> Value {
        (0..self.below(limit)).map(|_| (self.text(), self.tree(depth - 1))).collect::<Map<_, _>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_documents() {
        assert_eq!(random_documents(7, 50), random_documents(7, 50));
        assert_ne!(random_documents(7, 50), random_documents(8, 50));
    }
}
