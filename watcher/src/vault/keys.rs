//! The keys that unseal Vault: how a file keeps them, and which of them are tried together.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// What Vault gives once, when it is initialized.
#[derive(Debug)]
pub struct Keys {
    /// The keys, of which some unseal it.
    pub keys: Vec<SecretString>,
    /// The first token, which may do everything.
    pub token: SecretString,
}

/// Which keys were tried together, to find those that are right when others are wrong. Keys are counted from 0.
#[derive(Debug, Default)]
pub struct Tries {
    /// Keys that did not unseal together.
    failed: BTreeSet<Vec<usize>>,
    /// Texts that are no keys.
    malformed: BTreeSet<usize>,
    /// Keys that were given before.
    repeated: BTreeSet<usize>,
}

impl Keys {
    /// Reads Vault's answer.
    #[must_use]
    pub fn of_answer(answer: &Value) -> Option<Self> {
        let keys = answer["keys_base64"].as_array()?.iter().map(|key| key.as_str().map(SecretString::from));
        Some(Self { keys: keys.collect::<Option<_>>()?, token: answer["root_token"].as_str()?.into() })
    }

    /// Returns how a file keeps them: each key on a line, an empty line, and the token on the last one.
    #[must_use]
    pub fn text(&self) -> SecretString {
        let longest = self.keys.iter().chain([&self.token]).map(|it| it.expose_secret().len() + 1);
        // It does not grow, and so leaves no copies.
        let mut text = String::with_capacity(longest.sum::<usize>() + 1);
        for key in &self.keys {
            let _ = writeln!(text, "{}", key.expose_secret());
        }
        let _ = writeln!(text, "\n{}", self.token.expose_secret());
        text.into()
    }

    /// Returns whether a text is what a file keeps.
    #[must_use]
    pub fn is_text(text: &SecretString) -> bool {
        let Some((keys, token)) = text.expose_secret().split_once("\n\n") else { return false };
        let is_word = |line: &str| !line.is_empty() && !line.contains(char::is_whitespace);
        keys.lines().all(is_word) && token.strip_suffix('\n').is_some_and(is_word)
    }
}

impl Tries {
    /// Returns which keys to try next, of so many: the first combination that did not fail. While there are fewer keys than are
    /// needed, it is all of them; once all was tried, there is none.
    #[must_use]
    pub fn next(&self, keys: usize, needed: usize) -> Option<Vec<usize>> {
        let usable: Vec<_> =
            (0..keys).filter(|key| !self.malformed.contains(key) && !self.repeated.contains(key)).collect();
        if usable.len() < needed {
            return Some(usable);
        }
        let mut chosen: Vec<usize> = (0..needed).collect();
        loop {
            let combination: Vec<_> = chosen.iter().map(|index| usable[*index]).collect();
            if !self.failed.contains(&combination) {
                return Some(combination);
            }
            // The last place that can still move on does, and those behind it follow.
            let place = (0..needed).rev().find(|place| chosen[*place] < usable.len() - needed + place)?;
            chosen[place] += 1;
            for behind in place + 1..needed {
                chosen[behind] = chosen[behind - 1] + 1;
            }
        }
    }

    /// Notes keys that did not unseal together.
    pub fn fail(&mut self, keys: &[usize]) {
        self.failed.insert(keys.to_vec());
    }

    /// Notes a text that is no key.
    pub fn refuse(&mut self, key: usize) {
        self.malformed.insert(key);
    }

    /// Notes a key that was given before: Vault counts it once.
    pub fn repeat(&mut self, key: usize) {
        self.repeated.insert(key);
    }

    /// Returns the keys that are known to be wrong, given those that unsealed together.
    #[must_use]
    pub fn wrong(&self, right: &[usize]) -> BTreeSet<usize> {
        let strange = |keys: &Vec<usize>| -> Option<usize> {
            let mut strange = keys.iter().filter(|key| !right.contains(key));
            strange.next().copied().filter(|_| strange.next().is_none())
        };
        self.failed.iter().filter_map(strange).chain(self.malformed.iter().copied()).collect()
    }

    /// Returns the texts that are no keys.
    #[must_use]
    pub const fn malformed(&self) -> &BTreeSet<usize> {
        &self.malformed
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_combination_is_tried_once_and_those_with_the_newest_key_last() {
        let (mut tries, mut combinations) = (Tries::default(), Vec::new());
        assert_eq!(tries.next(0, 2), Some(vec![]));
        assert_eq!(tries.next(1, 2), Some(vec![0]));
        for keys in 2..=4 {
            while let Some(next) = tries.next(keys, 2) {
                tries.fail(&next);
                combinations.push(next);
            }
        }
        assert_eq!(combinations, [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]]);
        assert_eq!(tries.next(1, 1), Some(vec![0]));
    }

    #[test]
    fn what_is_no_key_is_left_out_and_what_was_accepted_before_it_stays() {
        let mut tries = Tries::default();
        assert_eq!(tries.next(3, 3), Some(vec![0, 1, 2]));
        tries.refuse(1);
        assert_eq!(tries.next(3, 3), Some(vec![0, 2]));
        assert_eq!(tries.next(4, 3), Some(vec![0, 2, 3]));
        tries.repeat(2);
        assert_eq!(tries.next(5, 3), Some(vec![0, 3, 4]));
        assert_eq!(tries.wrong(&[0, 3, 4]), BTreeSet::from([1]));
    }

    #[test]
    fn a_key_is_wrong_if_it_alone_kept_right_ones_from_unsealing() {
        let mut tries = Tries::default();
        tries.fail(&[0, 1, 2]);
        tries.fail(&[0, 1, 3]);
        tries.fail(&[0, 2, 3]);
        tries.refuse(5);
        // 1, 2 and 4 are right; that 0 and 3 both are wrong is not shown by a try with both.
        assert_eq!(tries.wrong(&[1, 2, 4]), BTreeSet::from([0, 5]));
        assert_eq!(tries.wrong(&[0, 1, 4]), BTreeSet::from([2, 3, 5]));
    }

    #[test]
    fn a_file_has_a_key_on_each_line_and_the_token_behind_an_empty_one() {
        let answer = json!({"keys": ["00"], "keys_base64": ["a+/=", "b"], "root_token": "s.1"});
        let text = Keys::of_answer(&answer).unwrap().text();
        assert_eq!(text.expose_secret(), "a+/=\nb\n\ns.1\n");
        assert!(Keys::is_text(&text));
        for text in ["", "a\n", "a\n\n", "a\n\ns.1", "a\n\n\ns.1\n", "a b\n\ns.1\n"] {
            assert!(!Keys::is_text(&text.into()), "{text:?}");
        }
        assert!(Keys::of_answer(&json!({"errors": ["x"]})).is_none());
    }
}
