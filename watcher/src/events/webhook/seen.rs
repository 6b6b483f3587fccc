//! Deliveries that were received lately.
//!
//! A delivery's id is no proof: it is not covered by the signature. The memory only saves needless looks.

use std::collections::VecDeque;

/// The deliveries that are remembered; GitHub keeps 3 days of them, fewer than this in most repositories.
pub(super) const CAPACITY: usize = 4_096;

/// The longest id that is accepted; GitHub's are GUIDs of 36 characters.
const MAX_ID_LENGTH: usize = 64;

/// Returns what GitHub calls one delivery, if a text can be that; a repeated delivery has the id of the first.
pub(super) fn delivery_id(text: &str) -> Option<String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (!text.is_empty() && text.len() <= MAX_ID_LENGTH && is_plain).then(|| text.to_owned())
}

/// The ids of the last deliveries; the oldest is forgotten first.
#[derive(Debug)]
pub(super) struct Seen {
    capacity: usize,
    ids: VecDeque<String>,
}

impl Seen {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { capacity, ids: VecDeque::new() }
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.ids.iter().any(|known| known == id)
    }

    pub(super) fn remember(&mut self, id: &str) {
        if self.contains(id) {
            return;
        }
        self.ids.push_back(id.to_owned());
        if self.ids.len() > self.capacity {
            self.ids.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_at_first() {
        assert!(!Seen::new(2).contains("a"));
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut seen = Seen::new(2);
        for text in ["a", "b", "b", "c"] {
            seen.remember(text);
        }
        assert_eq!(["a", "b", "c"].map(|text| seen.contains(text)), [false, true, true]);
        assert_eq!(seen.ids.len(), 2);
    }

    #[test]
    fn an_id_is_short_and_plain() {
        assert!(delivery_id("72d3162e-cc78-11e3-81ab-4c9367dc0958").is_some());
        for text in ["", "a b", "a\n", "ä", &"a".repeat(65)] {
            assert_eq!(delivery_id(text), None, "{text:?}");
        }
    }
}
