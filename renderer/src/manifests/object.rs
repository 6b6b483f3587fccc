//! Objects out of a stream of YAML, read as Argo CD's repository server reads it.
//!
//! Documents are read one by one, since reading one takes many times its size.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::plural::counted;
use crate::problem::{Fault, Position};
use crate::yaml::{self, Value};

/// The longest stream that is read; the largest charts, with their definitions, write about 6 MiB.
pub const MAX_TEXT_BYTES: usize = 32 * 1024 * 1024;
/// The longest document; the API server takes no object of more than about 1.5 MiB.
const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;
/// How many objects a stream may hold.
pub const MAX_OBJECTS: usize = 10_000;

/// A Kubernetes object as it will be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What it is called.
    pub name: ObjectName,
    /// All of it.
    pub value: Value,
}

/// The identity of a Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectName {
    /// Its group and version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace, if it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name; of an object that is named by the API server, the beginning of it and a `*`.
    pub name: String,
}

/// How many bytes of documents are known at most, as text.
const MAX_KNOWN_BYTES: usize = 32 << 20;

/// Reads objects, and remembers documents: on many clusters most are the same, and reading one takes ten times as long as copying
/// what was read.
#[derive(Debug, Default)]
pub struct Documents(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    objects: HashMap<[u8; 32], Arc<[Object]>>,
    bytes: usize,
}

/// As [`Documents::read`], of which nothing is remembered.
pub fn read(text: &str) -> Result<Vec<Object>, Fault> {
    read_by(text, read_document)
}

impl Documents {
    /// Reads the objects of a stream, in its order: what stands in a `List` is unpacked, and documents of nothing are left
    /// out. Of a key that is there twice the last one counts, and a scalar is what it is to Go's readers, since Argo CD is
    /// one of them.
    pub fn read(&self, text: &str) -> Result<Vec<Object>, Fault> {
        read_by(text, |document| {
            let digest = *blake3::hash(document.as_bytes()).as_bytes();
            if let Some(known) = self.known().objects.get(&digest).map(Arc::clone) {
                return Ok(known.to_vec());
            }
            let objects = read_document(document)?;
            let mut known = self.known();
            if known.bytes + document.len() > MAX_KNOWN_BYTES {
                *known = Known::default();
            }
            known.bytes += document.len();
            known.objects.insert(digest, objects.clone().into());
            Ok(objects)
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_by(
    text: &str,
    read_document: impl Fn(&str) -> Result<Vec<Object>, Fault>,
) -> Result<Vec<Object>, Fault> {
    if text.len() > MAX_TEXT_BYTES {
        let most = MAX_TEXT_BYTES >> 20;
        return Err(Fault::new(Position::START, format!("the manifests are longer than {most} MiB")));
    }
    let mut objects = Vec::new();
    for (first_line, document) in documents(text) {
        let found = read_document(document).map_err(|fault| in_stream(fault, first_line))?;
        if objects.len() + found.len() > MAX_OBJECTS {
            let message = format!("there are more than {}", counted(MAX_OBJECTS, "object"));
            return Err(in_stream(Fault::new(Position::START, message), first_line));
        }
        objects.extend(found);
    }
    Ok(objects)
}

fn read_document(document: &str) -> Result<Vec<Object>, Fault> {
    if document.len() > MAX_DOCUMENT_BYTES {
        let most = MAX_DOCUMENT_BYTES >> 20;
        let message = format!("a document of the manifests is longer than {most} MiB");
        return Err(Fault::new(Position::START, message));
    }
    let (nodes, _) = yaml::parse_foreign(document).map_err(first)?;
    let mut objects = Vec::new();
    for node in nodes {
        add(&mut objects, yaml::interpret_foreign(&node))
            .map_err(|message| Fault::new(node.position, message))?;
    }
    Ok(objects)
}

/// Adds what a document describes.
fn add(objects: &mut Vec<Object>, document: Value) -> Result<(), String> {
    let found = match document {
        Value::Null => Vec::new(),
        list if items(&list).is_some() => unpacked(list),
        object => vec![object],
    };
    for value in found {
        let name = ObjectName::named(&value);
        let name = name.ok_or("this is no object: it lacks `apiVersion`, `kind` or `metadata.name`")?;
        objects.push(Object { name, value });
    }
    Ok(())
}

fn unpacked(list: Value) -> Vec<Value> {
    let Value::Map(entries) = list else { return Vec::new() };
    let items = entries.into_iter().find_map(|(key, value)| (key == "items").then_some(value));
    if let Some(Value::List(items)) = items { items } else { Vec::new() }
}

/// Splits a stream before each line that begins a document, each part with the number of its first line.
///
/// Such a line is one wherever it stands, also below a block scalar, so this needs no reader.
#[must_use]
pub fn documents(text: &str) -> Vec<(u32, &str)> {
    let (mut found, mut start, mut first_line) = (Vec::new(), 0, 1);
    let (mut at, mut number) = (0, 1);
    for line in text.split_inclusive('\n') {
        let begins = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if begins && at > start {
            found.push((first_line, &text[start..at]));
            (start, first_line) = (at, number);
        }
        at += line.len();
        number += 1;
    }
    found.push((first_line, &text[start..]));
    found
}

fn first(faults: Vec<Fault>) -> Fault {
    let of_nothing = || Fault::new(Position::START, "the manifests are not YAML");
    faults.into_iter().next().unwrap_or_else(of_nothing)
}

/// Moves a fault of a document to where it is in the stream.
fn in_stream(fault: Fault, first_line: u32) -> Fault {
    let moved =
        |position: Position| Position { line: position.line.saturating_add(first_line - 1), ..position };
    Fault { position: moved(fault.position), first: fault.first.map(moved), ..fault }
}

/// Returns the items of a document that is a `List`.
pub(crate) fn items(document: &Value) -> Option<&[Value]> {
    let is_list = document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    document.get("items").and_then(Value::as_list).filter(|_| is_list)
}

impl Object {
    /// Returns whether Argo CD makes it at some time: it leaves out what is for `helm test` or `helm rollback`, and what says
    /// `Skip` (its user guide, "Helm"; package `hook` of its `gitops-engine`).
    #[must_use]
    pub fn is_applied(&self) -> bool {
        const OF_HELM: [&str; 7] = [
            "crd-install",
            "pre-install",
            "post-install",
            "pre-upgrade",
            "post-upgrade",
            "pre-delete",
            "post-delete",
        ];
        let hook = |name| {
            let text = self.value.text_at(&["metadata", "annotations", name])?;
            Some(text.split(',').map(str::trim))
        };
        match hook("argocd.argoproj.io/hook") {
            Some(mut own) => own.any(|it| it != "Skip"),
            None => hook("helm.sh/hook").is_none_or(|mut own| own.any(|it| OF_HELM.contains(&it))),
        }
    }
}

impl ObjectName {
    /// Returns whether it is the definition of a kind, by its own kind.
    #[must_use]
    pub fn is_definition(&self) -> bool {
        self.kind == "CustomResourceDefinition"
    }

    /// Returns what a document describes, if it is a Kubernetes object with a name.
    pub(crate) fn of(document: &Value) -> Option<Self> {
        let text = |keys: &[&str]| document.at(keys).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            api_version: text(&["apiVersion"])?,
            kind: text(&["kind"])?,
            namespace: text(&["metadata", "namespace"]),
            name: text(&["metadata", "name"])?,
        })
    }

    /// Returns what a document describes, if it is a Kubernetes object with a name or the beginning of one.
    pub(crate) fn named(document: &Value) -> Option<Self> {
        Self::of(document).or_else(|| Self::generated(document))
    }

    /// Returns what a document describes whose object is named by the API server.
    fn generated(document: &Value) -> Option<Self> {
        let text = |keys: &[&str]| document.at(keys).and_then(Value::as_str).map(str::to_owned);
        let name = format!("{}*", text(&["metadata", "generateName"])?);
        let namespace = text(&["metadata", "namespace"]);
        Some(Self { api_version: text(&["apiVersion"])?, kind: text(&["kind"])?, namespace, name })
    }

    /// Returns its group; the core group has an empty name.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Returns what makes it the same object: of the group and version the group, since versions are views of
    /// one object.
    pub(crate) fn identity(&self) -> Self {
        Self { api_version: self.group().to_owned(), ..self.clone() }
    }
}

impl fmt::Display for ObjectName {
    /// Writes kind, namespace and name: `Service istio-system/gateway`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        read(text).unwrap().iter().map(|object| object.name.to_string()).collect()
    }

    fn fault(text: &str) -> String {
        let fault = read(text).unwrap_err();
        format!("{}: {}", fault.position, fault.full_message())
    }

    #[test]
    fn a_stream_of_nothing_has_no_objects() {
        for text in ["", "---\n", "\n---\n# Source: a/templates/b.yaml\n---\n~\n---\nnull\n...\n", "# a\n"] {
            assert_eq!(names(text), [""; 0], "{text:?}");
        }
    }

    #[test]
    fn what_is_for_helm_alone_is_not_applied() {
        for (annotations, is_applied) in [
            ("{}", true),
            ("{helm.sh/hook: test}", false),
            ("{helm.sh/hook: test-success}", false),
            ("{helm.sh/hook: 'pre-rollback, post-rollback'}", false),
            ("{helm.sh/hook: 'pre-rollback, pre-upgrade'}", true),
            ("{helm.sh/hook: crd-install}", true),
            ("{helm.sh/hook: test, argocd.argoproj.io/hook: Sync}", true),
            ("{argocd.argoproj.io/hook: Skip}", false),
        ] {
            let text =
                format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: a, annotations: {annotations}}}\n");
            assert_eq!(read(&text).unwrap()[0].is_applied(), is_applied, "{annotations}");
        }
    }

    #[test]
    fn documents_that_are_known_read_as_they_did() {
        let known = Documents::default();
        let object = |name: &str| format!("---\n{{apiVersion: v1, kind: A, metadata: {{name: {name}}}}}\n");
        let list =
            "---\n{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: A, metadata: {name: c}}]}\n";
        let broken = "---\na: [\n";
        for text in [
            object("a") + list + &object("b"),
            object("b") + &object("a") + &object("a"),
            object("a") + "# nothing\n" + broken,
            broken.to_owned() + &object("b"),
            String::new(),
        ] {
            for _ in 0..2 {
                assert_eq!(known.read(&text), read(&text), "{text}");
            }
        }
        assert_eq!(known.known().objects.len(), 5, "one that cannot be read is not known");
        let long = "x".repeat(MAX_DOCUMENT_BYTES / 2);
        for name in 0..=MAX_KNOWN_BYTES / long.len() {
            known.read(&format!("{}# {long}\n", object(&format!("a{name}")))).unwrap();
        }
        let known = known.known();
        assert!(known.bytes <= MAX_KNOWN_BYTES && (1..5).contains(&known.objects.len()), "{}", known.bytes);
    }

    #[test]
    fn a_stream_is_read_in_order_and_its_lists_are_unpacked() {
        let text = "---
# Source: a/crds/x.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: xs.example.com}
--- # a comment
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ServiceAccount, metadata: {name: a, namespace: ns}}
  - {apiVersion: v1, kind: Secret, metadata: {name: b}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: text}
data:
  # What stands here as a text begins no document.
  a: |
    ---
    kind: none
---
apiVersion: v1
kind: ConfigMapList
items: []
---
apiVersion: batch/v1
kind: Job
metadata: {generateName: smoke-}
";
        assert_eq!(
            names(text),
            [
                "CustomResourceDefinition xs.example.com",
                "ServiceAccount ns/a",
                "Secret b",
                "ConfigMap text",
                "Job smoke-*"
            ]
        );
    }

    #[test]
    fn a_scalar_is_what_argo_cd_takes_it_for() {
        let text = "apiVersion: v1\nkind: A\nmetadata: {name: a}\nspec: {a: yes, b: 0644, c: 1e3, d: 12:30}\nspec: {a: off, b: 0x10, c: 1_000, d: 2001-12-14}\n";
        let object = read(text).unwrap().remove(0);
        assert_eq!(
            object.value.get("spec").unwrap().to_json().to_string(),
            r#"{"a":false,"b":16,"c":1000,"d":"2001-12-14"}"#
        );
    }

    #[test]
    fn what_is_no_object_is_a_fault_at_its_line_of_the_stream() {
        let object = "apiVersion: v1\nkind: A\nmetadata: {name: a}\n";
        for (rest, found) in [
            ("---\na: 1\n", "5:1: this is no object: it lacks `apiVersion`, `kind` or `metadata.name`"),
            ("---\njust text\n", "5:1: this is no object: it lacks `apiVersion`, `kind` or `metadata.name`"),
            (
                "---\nkind: List\nitems: [3]\n",
                "5:1: this is no object: it lacks `apiVersion`, `kind` or `metadata.name`",
            ),
        ] {
            assert_eq!(fault(&format!("{object}{rest}")), found);
        }
        let broken = fault(&format!("{object}---\n# x\na: @x\n"));
        assert!(broken.starts_with("6:"), "{broken}");
    }

    #[test]
    fn a_stream_has_bounds() {
        let many = "---\n{apiVersion: v1, kind: A, metadata: {name: a}}\n".repeat(MAX_OBJECTS + 1);
        assert!(fault(&many).ends_with("there are more than 10000 objects"));
        let long = format!("a: 1\n---\na: {}\n", "x".repeat(MAX_DOCUMENT_BYTES));
        assert!(fault(&long).contains("1:1"));
        let long = format!("---\n\n---\na: {}\n", "x".repeat(MAX_DOCUMENT_BYTES));
        assert_eq!(fault(&long), "3:1: a document of the manifests is longer than 4 MiB");
        let longest = " ".repeat(MAX_TEXT_BYTES + 1);
        assert_eq!(fault(&longest), "1:1: the manifests are longer than 32 MiB");
        let deep = format!("apiVersion: v1\na: {}\n", "[".repeat(100_000));
        assert!(read(&deep).is_err());
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                    d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
        assert!(read(bomb).is_err());
    }

    proptest! {
        #[test]
        fn whatever_the_text_is_it_is_read_or_refused(
            text in "(---|[ \n:\\-\\[\\]{}&*!|>\"'#%,?\t\r\u{85}é]|apiVersion: v1\n|kind: |List\n|items:\n|metadata: |name|a|0x|<<){0,60}"
        ) {
            let _ = read(&text);
            let parts: String = documents(&text).into_iter().map(|(_, part)| part).collect();
            prop_assert_eq!(parts, text);
        }
    }
}
