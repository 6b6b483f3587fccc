//! Documents of manifests, each read once: on most clusters most of them are the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use renderer::manifests::{self, MAX_OBJECTS, MAX_TEXT_BYTES, Object};
use renderer::problem::Fault;

/// How many bytes of documents are kept; as objects they take some times as much. What is the same on many clusters comes with
/// the first ones.
const MAX_BYTES: usize = 16 << 20;

/// The documents that were read.
#[derive(Debug, Default)]
pub struct Documents(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    objects: HashMap<String, Arc<[Object]>>,
    bytes: usize,
}

impl Documents {
    /// Reads the objects of a text, or returns what [`manifests::read`] finds wrong with it.
    pub fn read(&self, text: &str) -> Result<Vec<Object>, Fault> {
        let mut found = Vec::new();
        let documents = manifests::documents(text);
        let is_whole = text.len() <= MAX_TEXT_BYTES
            && documents.into_iter().all(|(_, document)| {
                let objects = self.document(document);
                found.extend(objects.iter().flat_map(|objects| objects.iter().cloned()));
                objects.is_some() && found.len() <= MAX_OBJECTS
            });
        // Where a fault is, and whether there is too much, is told by the whole text.
        if is_whole { Ok(found) } else { manifests::read(text) }
    }

    fn document(&self, document: &str) -> Option<Arc<[Object]>> {
        if let Some(known) = self.lock().objects.get(document) {
            return Some(Arc::clone(known));
        }
        let objects: Arc<[Object]> = manifests::read(document).ok()?.into();
        let mut known = self.lock();
        if known.bytes + document.len() <= MAX_BYTES {
            known.bytes += document.len();
            known.objects.insert(document.to_owned(), Arc::clone(&objects));
        }
        Some(objects)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "---\n{apiVersion: v1, kind: A, metadata: {name: a}}\n---\n{apiVersion: v1, kind: A, metadata: {name: b}}\n";

    #[test]
    fn what_was_read_before_is_the_same_again() {
        let documents = Documents::default();
        for text in [TWO, "", "---\n# nothing\n", TWO, "{apiVersion: v1, kind: A, metadata: {name: a}}\n"] {
            assert_eq!(documents.read(text), manifests::read(text), "{text}");
        }
        assert_eq!(documents.lock().objects.len(), 5, "{:?}", documents.lock().objects.keys());
    }

    #[test]
    fn a_fault_is_where_it_is_in_the_whole_text() {
        let documents = Documents::default();
        documents.read(TWO).unwrap();
        for wrong in ["---\n{apiVersion: v1, kind: A}\n", "---\na: [\n", "---\na: 1\na: 2\n"] {
            let text = format!("{TWO}{wrong}");
            assert_eq!(documents.read(&text), manifests::read(&text), "{text}");
        }
        let many = TWO.repeat(MAX_OBJECTS / 2 + 1);
        assert_eq!(documents.read(&many).unwrap_err(), manifests::read(&many).unwrap_err());
    }
}
