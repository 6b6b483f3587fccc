//! Tokens: the single characters that stand for inserted values while the expanded text is parsed.
//!
//! A token is a private-use character, so values never pass through the text and a parser cannot mistake one for anything
//! but an ordinary letter. Template sources that contain such characters are refused.

/// The first token, U+F0000. Plane 15 is private use; its last two code points are not characters.
const FIRST: u32 = 0xF_0000;
/// How many values one file may insert.
pub const MAX: usize = 65_520;
/// The first mark, U+100000, in plane 16.
const FIRST_MARK: u32 = 0x10_0000;

/// Returns the token for the value at `index`.
pub(super) fn of(index: usize) -> Option<char> {
    (index < MAX).then(|| char::from_u32(FIRST + index as u32)).flatten()
}

/// Returns which value a character stands for, if it is a token.
pub(super) fn index(character: char) -> Option<usize> {
    let offset = u32::from(character).checked_sub(FIRST)? as usize;
    (offset < MAX).then_some(offset)
}

/// Returns the mark for the stretch of literal text at `index`.
pub(super) fn mark(index: usize) -> Option<char> {
    (index < MAX).then(|| char::from_u32(FIRST_MARK + index as u32)).flatten()
}

/// Returns which stretch of literal text a character marks, if it is a mark.
pub(super) fn marked(character: char) -> Option<usize> {
    let offset = u32::from(character).checked_sub(FIRST_MARK)? as usize;
    (offset < MAX).then_some(offset)
}

/// Returns whether a character is kept for tokens and marks.
pub(super) fn is_reserved(character: char) -> bool {
    u32::from(character) >= FIRST
}

/// Returns whether a text contains a token; quick on text without any.
pub(super) fn is_in(text: &str) -> bool {
    // Every character from U+F0000 on starts with the byte 0xF3 or 0xF4 in UTF-8.
    memchr::memchr(0xF3, text.as_bytes()).is_some()
        && text.chars().any(|character| index(character).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_value_and_nothing_else_is_a_token() {
        for at in [0, 1, 4_711, MAX - 1] {
            assert_eq!(of(at).and_then(index), Some(at));
            assert_eq!(mark(at).and_then(marked), Some(at));
            assert_eq!(mark(at).and_then(index), None);
        }
        assert_eq!(of(MAX), None);
        assert!(!is_in("plain ü 🦀 \u{EFFFF}"));
        assert!(is_in("a\u{F0000}"));
    }
}
