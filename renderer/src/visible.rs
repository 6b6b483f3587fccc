//! Text from outside, made visible: nothing in it is hidden, moves the cursor or reorders what stands beside it.
//!
//! Which characters are hidden follows from their Unicode properties and not from a list. Every place that
//! writes such text for people goes through here: the terminal, logs, Markdown and HTML. Knows nothing of
//! what the text means.

use std::borrow::Cow;
use std::fmt::{self, Write};

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Control and format characters, private use, noncharacters and what is not assigned; separators of words and lines.
const UNSEEN: [GeneralCategoryGroup; 2] = [GeneralCategoryGroup::Other, GeneralCategoryGroup::Separator];

/// Symbols whose glyph is blank. By their properties they are like any other symbol.
const BLANK_SYMBOLS: [char; 2] = ['\u{2800}', '\u{1d159}'];

/// Returns whether a reader could not see a character, or would see its neighbours in another order. The
/// space is seen.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    UNSEEN.iter().any(|group| group.contains(category))
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        || BLANK_SYMBOLS.contains(&character)
}

/// Returns a text on one line: hidden characters, line breaks and tabs among them, are written as escapes such as
/// `\u{202e}`.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false, escape)
}

/// Returns a text whose hidden characters are written as escapes, except line feeds and tabs.
#[must_use]
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'), escape)
}

/// Returns a JSON text in which hidden characters of strings are written as JSON's own escapes: the same
/// data, and safe to look at.
#[must_use]
pub fn visible_json(text: &str) -> Cow<'_, str> {
    escaped(
        text,
        |c| matches!(c, '\n' | '\t'),
        |out, c| c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}")),
    )
}

/// Returns a text of at most so many characters, with an ellipsis for the rest.
#[must_use]
pub fn shortened(text: &str, chars: usize) -> Cow<'_, str> {
    text.char_indices().nth(chars).map_or(text.into(), |(end, _)| format!("{}…", &text[..end]).into())
}

/// Writes what is formatted into it as [`visible`] does.
#[derive(Debug)]
pub struct VisibleWriter<W>(pub W);

impl<W: Write> Write for VisibleWriter<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&visible(text))
    }
}

fn escape(out: &mut String, character: char) -> fmt::Result {
    write!(out, "{}", character.escape_default())
}

fn escaped(
    text: &str,
    is_kept: fn(char) -> bool,
    escape: impl Fn(&mut String, char) -> fmt::Result,
) -> Cow<'_, str> {
    let is_escaped = |c: char| is_hidden(c) && !is_kept(c);
    // Nearly every text is printable ASCII, which is found by looking at its bytes.
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') || (byte.is_ascii() && is_kept(char::from(*byte)));
    let plain = text.bytes().take_while(is_plain).count();
    let Some(first) = text[plain..].find(is_escaped) else { return Cow::Borrowed(text) };
    let (before, rest) = text.split_at(plain + first);
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(before);
    for character in rest.chars() {
        if is_escaped(character) {
            escape(&mut out, character).expect("a string takes everything");
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use testkit::hostile::text::HIDDEN;

    use super::*;

    #[test]
    fn nothing_hidden_is_left_and_what_is_seen_stays() {
        for c in HIDDEN.chars() {
            assert!(is_hidden(c), "{c:?} is taken for visible");
            let text = format!("a{c}b");
            assert_eq!(visible(&text), format!("a{}b", c.escape_default()));
        }
        for text in ["plain text", "ü 漢字 עברית العربية हिन्दी ไทย", "→ … € 🦀 \u{301}", "C:\\u{}"]
        {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn each_character_is_judged_by_another_source_the_same_way() {
        // The tables of `regex-syntax` are generated from the Unicode Character Database on their own.
        let pattern = r"[\p{Other}\p{Separator}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{White_Space}\x{2800}\x{1D159}--[ ]]";
        let class = regex::Regex::new(pattern).unwrap();
        let mut buffer = [0; 4];
        let unassigned = regex::Regex::new(r"\p{Unassigned}").unwrap();
        let mut assigned_since = 0;
        for c in '\0'..=char::MAX {
            let is_found = class.is_match(c.encode_utf8(&mut buffer));
            if is_found != is_hidden(c) {
                // One source may know a later version of Unicode, in which a code point was given to a character.
                assert!(unassigned.is_match(c.encode_utf8(&mut buffer)), "{c:?}: {is_found}");
                assigned_since += 1;
            }
        }
        assert!(assigned_since < 20_000, "{assigned_since}");
    }

    #[test]
    fn escaping_twice_is_escaping_once() {
        let once = visible(HIDDEN).into_owned();
        assert!(matches!(visible(&once), Cow::Borrowed(_)));
        assert!(once.is_ascii());
    }

    #[test]
    fn lines_stay_lines_where_they_may() {
        assert_eq!(visible_lines("a\n\tb\r\u{1b}[2J\u{202e}"), "a\n\tb\\r\\u{1b}[2J\\u{202e}");
        assert_eq!(visible("a\n\tb"), "a\\n\\tb");
    }

    #[test]
    fn json_keeps_its_data() {
        let value = serde_json::json!({ HIDDEN: [HIDDEN, "ü"], "a": "\u{7f}" });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = visible_json(&text);
        assert!(shown.chars().all(|c| c == '\n' || !is_hidden(c)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
