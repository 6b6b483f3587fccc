//! What a call of Helm renders to, with the definitions of kinds apart: they are most of what charts with definitions
//! render to, and the same on most clusters.

use std::sync::{Arc, LazyLock};

use renderer::deployed::Definitions;
use renderer::manifests::{self, Documents, Object};
use renderer::problem::Fault;
use sha2::{Digest as _, Sha256};

/// The kind of what defines kinds.
const DEFINITION: &str = "CustomResourceDefinition";

/// What a call renders to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The definitions of kinds, if they are apart.
    pub defining: Arc<Defining>,
    /// What else there is, each line where it was.
    pub rest: Arc<str>,
    /// All that it renders to the second time, if that is something else: then nothing is apart.
    pub second: Option<String>,
}

/// Definitions of kinds.
#[derive(Debug, PartialEq, Eq)]
pub struct Defining {
    /// The SHA-256 digest of their text.
    pub digest: [u8; 32],
    /// Their text.
    pub text: String,
}

/// No definitions at all.
static NOTHING: LazyLock<Arc<Defining>> = LazyLock::new(|| Arc::new(Defining::new(String::new())));

impl Text {
    /// Sets definitions apart. Those that can't be read stay, so that a fault has its line.
    pub fn new(first: String, second: Option<String>) -> Self {
        let whole = |first: String| Self { defining: Arc::clone(&NOTHING), rest: first.into(), second: None };
        if second.is_some() {
            return Self { second, ..whole(first) };
        }
        if !first.contains(DEFINITION) {
            return whole(first);
        }
        let (mut text, mut rest) = (String::new(), String::with_capacity(first.len()));
        for (_, document) in manifests::documents(&first) {
            if is_definition(document) {
                text.push_str(document);
                rest.extend(document.chars().filter(|c| *c == '\n'));
            } else {
                rest.push_str(document);
            }
        }
        if manifests::read(&text).is_err() {
            return whole(first);
        }
        Self { defining: Arc::new(Defining::new(text)), rest: rest.into(), second: None }
    }

    /// Returns the definitions alone.
    pub fn definitions(&self) -> Self {
        Self { rest: "".into(), ..self.clone() }
    }

    /// Returns all but the definitions.
    pub fn without_definitions(&self) -> Self {
        Self { defining: Arc::clone(&NOTHING), ..self.clone() }
    }

    /// Reads the objects, those of the first time.
    pub fn read(&self, documents: &Documents) -> Result<Vec<Object>, Fault> {
        let mut objects = manifests::read(&self.defining.text)?;
        objects.extend(documents.read(&self.rest)?);
        Ok(objects)
    }

    /// Reads what it defines.
    pub fn defined(&self) -> Definitions {
        let mut defined = defined_in(&self.defining.text);
        defined.extend(&defined_in(&self.rest));
        defined
    }

    /// Returns how long it is the first time.
    pub fn size_bytes(&self) -> usize {
        self.defining.text.len() + self.rest.len()
    }
}

/// Returns whether a text may define kinds.
pub(super) fn may_define(text: &str) -> bool {
    text.contains(DEFINITION)
}

/// Reads what a text defines; what can't be read defines nothing, and is reported where its objects are wanted.
pub(super) fn defined_in(text: &str) -> Definitions {
    if !may_define(text) {
        return Definitions::default();
    }
    let documents = manifests::documents(text).into_iter().map(|(_, document)| document);
    let wanted: String = documents.filter(|document| document.contains(DEFINITION)).collect();
    Definitions::of(&manifests::read(&wanted).unwrap_or_default())
}

impl Defining {
    pub fn new(text: String) -> Self {
        Self { digest: Sha256::digest(&text).into(), text }
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Returns whether a document is the definition of a kind. What stands in another object's text is further in.
fn is_definition(document: &str) -> bool {
    document.lines().any(|line| line.strip_prefix("kind: ") == Some(DEFINITION))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str =
        "---\nkind: CustomResourceDefinition\napiVersion: apiextensions.k8s.io/v1\nmetadata: {name: a}\n";

    #[test]
    fn definitions_are_apart_and_all_else_keeps_its_lines() {
        let text = Text::new(format!("{KIND}---\nkind: A\n{KIND}---\nkind: B\n"), None);
        assert_eq!(text.defining.text, format!("{KIND}{KIND}"));
        assert_eq!(&*text.rest, "\n\n\n\n---\nkind: A\n\n\n\n\n---\nkind: B\n");
        assert_eq!(text.read(&Documents::default()).unwrap_err().position.line, 6);
        assert_eq!(text.definitions().read(&Documents::default()).unwrap().len(), 2);
        assert_eq!(text.without_definitions(), Text::new(text.rest.to_string(), None));
    }

    #[test]
    fn what_cannot_be_read_or_is_another_each_time_stays_as_it_is() {
        let broken = format!("{KIND}spec: [\n");
        for (first, second) in [(broken, None), (KIND.to_owned(), Some(String::new()))] {
            let text = Text::new(first.clone(), second.clone());
            assert_eq!((&*text.rest, &text.second), (&*first, &second));
            assert!(text.defining.is_empty());
        }
        let quoted = "kind: ConfigMap\ndata:\n  a: |\n    kind: CustomResourceDefinition\n";
        assert!(Text::new(quoted.to_owned(), None).defining.is_empty());
    }
}
