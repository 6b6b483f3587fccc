//! The documents of a file: which objects they describe, and which of two versions belong together.
//!
//! Knows nothing of what changes in them.

use std::collections::BTreeMap;

use crate::manifests::{ObjectName, items};
use crate::yaml::Value;

/// A document before and after; one of both is there.
pub(crate) type Pair<'a> = (Option<&'a Value>, Option<&'a Value>);

/// What two documents have in common if they are versions of one.
type Identity = fn(&Value) -> Option<ObjectName>;

/// By what an old and a new document are paired, in the order in which it is tried: those that describe the
/// same object, and of what is no object with a name those at the same place.
///
/// An object under another name, in another namespace or of another kind is another object: the old one is
/// deleted. One that names no namespace may be in any, so it is paired with the only one that it can be.
const PAIRED_BY: [(Identity, Identity); 4] =
    [(identity, identity), (unplaced, in_any_namespace), (in_any_namespace, unplaced), (nameless, nameless)];

/// Pairs documents; what has no partner comes or goes.
pub(crate) fn align<'a>(old: &[&'a Value], new: &[&'a Value]) -> Vec<Pair<'a>> {
    let mut left: Vec<Option<&Value>> = old.iter().copied().map(Some).collect();
    let mut pairs: Vec<Pair<'a>> = new.iter().map(|new| (None, Some(*new))).collect();
    for (of_old, of_new) in PAIRED_BY {
        let mut known: BTreeMap<ObjectName, Vec<usize>> = BTreeMap::new();
        for (at, old) in left.iter().enumerate().rev() {
            if let Some(name) = old.and_then(of_old) {
                known.entry(name).or_default().push(at);
            }
        }
        for (old, new) in pairs.iter_mut().filter(|(old, _)| old.is_none()) {
            let partner = new.and_then(of_new).and_then(|name| known.get_mut(&name)?.pop());
            *old = partner.and_then(|at| left[at].take());
        }
    }
    with_gone(pairs, left.into_iter().flatten().collect())
}

/// Puts what goes before what comes of the same kind, so that a renamed object is read as one; what is left goes last.
fn with_gone<'a>(pairs: Vec<Pair<'a>>, mut gone: Vec<&'a Value>) -> Vec<Pair<'a>> {
    let kind = |value: &Value| value.get("kind").and_then(Value::as_str).map(str::to_owned);
    let mut all = Vec::with_capacity(pairs.len() + gone.len());
    for (old, new) in pairs {
        let before = new
            .filter(|_| old.is_none())
            .and_then(|new| gone.iter().position(|gone| kind(gone) == kind(new)));
        all.extend(before.map(|at| (Some(gone.remove(at)), None)));
        all.push((old, new));
    }
    all.extend(gone.into_iter().map(|old| (Some(old), None)));
    all
}

fn identity(document: &Value) -> Option<ObjectName> {
    ObjectName::of(document).map(|name| name.identity())
}

fn unplaced(document: &Value) -> Option<ObjectName> {
    identity(document).filter(|name| name.namespace.is_none())
}

fn in_any_namespace(document: &Value) -> Option<ObjectName> {
    identity(document).map(|name| ObjectName { namespace: None, ..name })
}

/// Returns the kind of a document that is no object with a name; values have none.
fn nameless(document: &Value) -> Option<ObjectName> {
    let text = |key| document.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    ObjectName::of(document).is_none().then_some(ObjectName {
        api_version,
        kind,
        namespace: None,
        name: String::new(),
    })
}

/// Returns the objects of documents: the items of each `List`, and everything else as it is.
pub(in crate::plan) fn objects(documents: &[Value]) -> Vec<&Value> {
    let objects = documents.iter().flat_map(|document| match items(document) {
        Some(items) => items.iter().collect(),
        None => vec![document],
    });
    objects.collect()
}
