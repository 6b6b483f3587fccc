//! Remembers skeletons by the text they were parsed from.
//!
//! A fleet's files differ in values and hardly in structure, so that nearly every text has been parsed
//! before. The memory is only ever a shortcut: what it returns is what parsing would return.

use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashMap;

use super::skeleton::Skeleton;

/// What is remembered, in bytes of text and of skeletons. A memory that grows beyond it begins again.
const MAX_BYTES: usize = 128 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Memory(RwLock<Skeletons>);

#[derive(Debug, Default)]
struct Skeletons {
    by_text: HashMap<Box<str>, Arc<Skeleton>>,
    bytes: usize,
}

impl Memory {
    /// Returns the skeleton of a text, parsed by `parse` if it is not known.
    pub(super) fn skeleton<E>(
        &self,
        text: String,
        parse: impl FnOnce(&str) -> Result<Skeleton, E>,
    ) -> Result<Arc<Skeleton>, E> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).by_text.get(text.as_str()).cloned();
        if let Some(skeleton) = known {
            return Ok(skeleton);
        }
        let skeleton = Arc::new(parse(&text)?);
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(text, Arc::clone(&skeleton));
        Ok(skeleton)
    }
}

impl Skeletons {
    fn insert(&mut self, text: String, skeleton: Arc<Skeleton>) {
        let bytes = text.len() + skeleton.weight;
        if self.bytes + bytes > MAX_BYTES {
            *self = Self::default();
        }
        if bytes <= MAX_BYTES && self.by_text.insert(text.into(), skeleton).is_none() {
            self.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Skeleton, String> {
        Skeleton::parse(text).map_err(|faults| format!("{faults:?}"))
    }

    #[test]
    fn a_text_is_parsed_once() {
        let memory = Memory::default();
        let first = memory.skeleton("a: 1\n".to_owned(), parse).unwrap();
        let second = memory.skeleton("a: 1\n".to_owned(), |_| Err("parsed again".to_owned())).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn what_cannot_be_parsed_is_not_remembered() {
        let memory = Memory::default();
        assert!(memory.skeleton("a: [\n".to_owned(), parse).is_err());
        assert!(memory.skeleton("a: [\n".to_owned(), |_| parse("a: 1\n")).is_ok());
    }

    #[test]
    fn a_full_memory_is_begun_anew() {
        let mut skeletons = Skeletons::default();
        let skeleton = Arc::new(parse("a: 1\n").unwrap());
        for character in ["a", "b", "c"] {
            skeletons.insert(character.repeat(MAX_BYTES / 2), Arc::clone(&skeleton));
            assert!(skeletons.bytes <= MAX_BYTES);
        }
        assert_eq!(skeletons.by_text.len(), 1);
        skeletons.insert("d".repeat(MAX_BYTES + 1), skeleton);
        assert_eq!((skeletons.by_text.len(), skeletons.bytes), (0, 0));
    }
}
