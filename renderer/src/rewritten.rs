//! Texts with some of their parts written in another way. Knows nothing of what the parts are.

use std::borrow::Cow;
use std::ops::Range;

/// Returns a text in which `write` writes each of some parts, which are in order and apart from each other.
pub(crate) fn rewritten<T>(
    text: &str,
    parts: impl IntoIterator<Item = (Range<usize>, T)>,
    mut write: impl FnMut(&mut String, T, &str),
) -> Cow<'_, str> {
    let (mut out, mut from) = (String::new(), 0);
    for (range, part) in parts {
        out.push_str(&text[from..range.start]);
        write(&mut out, part, &text[range.clone()]);
        from = range.end;
    }
    if from == 0 { Cow::Borrowed(text) } else { Cow::Owned(out + &text[from..]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_parts_stays() {
        let bracketed = |parts: &[Range<usize>]| {
            let parts = parts.iter().map(|range| (range.clone(), "!"));
            rewritten("abcdef", parts, |out, sign, part| out.extend(["[", part, sign, "]"])).into_owned()
        };
        assert_eq!(bracketed(&[]), "abcdef");
        assert_eq!(bracketed(&[0..1, 2..4]), "[a!]b[cd!]ef");
        assert_eq!(bracketed(&[1..2, 2..6]), "a[b!][cdef!]");
    }
}
