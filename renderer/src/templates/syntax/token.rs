//! Tokens: the single characters that stand for inserted values while the expanded text is parsed.
//!
//! A token is a private-use character, so values never pass through the text and a parser cannot mistake one
//! for anything but an ordinary letter. Template sources that contain such characters are refused.

/// The first token, U+F0000. Plane 15 is private use; its last two code points are not characters.
const FIRST: u32 = 0xF_0000;
/// How many values one file may insert.
pub const MAX: usize = 65_520;
/// The first mark, U+100000, in plane 16.
const FIRST_MARK: u32 = 0x10_0000;

/// Returns the token for the value at `index`.
pub fn of(index: usize) -> Option<char> {
    (index < MAX).then(|| char::from_u32(FIRST + index as u32)).flatten()
}

/// Returns which value a character stands for, if it is a token.
pub fn index(character: char) -> Option<usize> {
    let offset = u32::from(character).checked_sub(FIRST)? as usize;
    (offset < MAX).then_some(offset)
}

/// Returns the mark with an index: two characters, since there may be more lines than characters.
pub fn mark(index: usize) -> [char; 2] {
    [index / MAX, index % MAX].map(|digit| char::from_u32(FIRST_MARK + digit as u32).unwrap_or_default())
}

/// Returns whether a character is the first of a mark.
pub fn begins_mark(character: char) -> bool {
    u32::from(character) >= FIRST_MARK
}

/// Returns the index of the mark that two characters make.
pub fn marked(first: char, second: Option<char>) -> Option<usize> {
    let digit = |character: char| u32::from(character).checked_sub(FIRST_MARK);
    Some(digit(first)? as usize * MAX + digit(second?)? as usize)
}

/// Returns how many bytes of a text are marks.
pub fn mark_bytes(text: &str) -> usize {
    // Every character from U+100000 on, and no other, starts with the byte 0xF4 in UTF-8.
    const MARK_BYTES: usize = 4;
    MARK_BYTES * memchr::memchr_iter(0xF4, text.as_bytes()).count()
}

/// Returns whether a character is kept for tokens and marks.
pub fn is_reserved(character: char) -> bool {
    u32::from(character) >= FIRST
}

/// Splits a text at its first token: what stands before it, which value it stands for, and what stands after it.
pub fn split(text: &str) -> Option<(&str, usize, &str)> {
    let found = text.char_indices().find_map(|(at, character)| Some((at, index(character)?, character)));
    let (at, value, character) = found?;
    Some((&text[..at], value, &text[at + character.len_utf8()..]))
}

/// Returns whether a text contains a token; quick on text without any.
pub fn is_in(text: &str) -> bool {
    // Every token starts with the byte 0xF3 in UTF-8.
    memchr::memchr(0xF3, text.as_bytes()).is_some() && split(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_value_and_nothing_else_is_a_token() {
        for at in [0, 1, 4_711, MAX - 1] {
            assert_eq!(of(at).and_then(index), Some(at));
        }
        for at in [0, 1, MAX - 1, MAX, 16 << 20] {
            let [first, second] = mark(at);
            assert_eq!(marked(first, Some(second)), Some(at));
            assert!(begins_mark(first) && index(first).or(index(second)).is_none());
            assert_eq!(mark_bytes(&String::from_iter([first, 'ü', second, '🦀'])), 8);
        }
        assert_eq!(of(MAX), None);
        assert!(!is_in("plain ü 🦀 \u{EFFFF}"));
        assert!(is_in("a\u{F0000}"));
    }
}
