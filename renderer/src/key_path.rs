//! Paths into values, and how they are written: `prometheus.prometheusSpec.remoteWrite[0].url`.
//!
//! Knows nothing of values.

use std::fmt;

/// One step from a value into a part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Into a list, from 0.
    Index(usize),
    /// Into a map.
    Key(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(key) => f.write_str(key),
        }
    }
}

/// Returns a step into a map.
#[must_use]
pub fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}

/// Returns a path as text, with everything that could be mistaken in quotes: `configs.rbac."policy.default"`.
#[must_use]
pub fn text_of(path: &[Step]) -> String {
    struct Text<'a>(&'a [Step]);

    impl fmt::Display for Text<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for (depth, step) in self.0.iter().enumerate() {
                match step {
                    Step::Index(index) => write!(f, "[{index}]")?,
                    Step::Key(key) => {
                        if depth > 0 {
                            f.write_str(".")?;
                        }
                        write_word(f, key)?;
                    }
                }
            }
            Ok(())
        }
    }

    Text(path).to_string()
}

/// Returns whether a path is the one written as `text`, or leads below it.
#[must_use]
pub fn is_at_or_below(path: &[Step], text: &str) -> bool {
    let whole = text_of(path);
    whole
        .strip_prefix(text)
        .is_some_and(|rest| rest.is_empty() || text.is_empty() || rest.starts_with(['.', '[']))
}

/// Writes a word bare if nothing in it could end it, else as a JSON string.
pub(crate) fn write_word(f: &mut impl fmt::Write, word: &str) -> fmt::Result {
    let is_bare =
        !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/'));
    if is_bare { f.write_str(word) } else { write!(f, "{}", serde_json::Value::from(word)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_values_that_it_leads_through() {
        let path = [key("configs"), key("rbac"), key("policy.default"), Step::Index(0), key("")];
        assert_eq!(text_of(&path), r#"configs.rbac."policy.default"[0]."""#);
        assert_eq!(text_of(&[]), "");
    }

    #[test]
    fn whole_steps_are_compared() {
        let path = [key("a"), key("bc"), Step::Index(1)];
        for above in ["", "a", "a.bc", "a.bc[1]"] {
            assert!(is_at_or_below(&path, above), "{above:?}");
        }
        for beside in ["a.b", "b", "a.bc[1].d"] {
            assert!(!is_at_or_below(&path, beside), "{beside:?}");
        }
    }
}
