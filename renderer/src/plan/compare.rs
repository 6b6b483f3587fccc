//! Two versions of a file into the settings that differ.
//!
//! Knows nothing of clusters or risks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::sequence::{Edit, edits};
use super::{
    Action, Change, KeyPath, MAX_COMPARED_BYTES, ObjectName, Step,
    read::{Memo, read},
    skim,
};
use crate::yaml::{Map, Value};

/// The fields that identify the items of a list, in the order they are tried.
const IDENTITIES: [(&str, &[&[&str]]); 5] = [
    ("name", &[&["name"]]),
    ("addon", &[&["addon"]]),
    ("name", &[&["kind"], &["name"]]),
    ("name", &[&["kind"], &["metadata", "namespace"], &["metadata", "name"]]),
    ("key", &[&["key"]]),
];

/// Compares two versions of a file.
pub(super) fn files(old: &[u8], new: &[u8], memo: &mut Memo) -> Vec<Change> {
    if is_opaque(old) || is_opaque(new) {
        return vec![unread(old, new)];
    }
    let changes = match (std::str::from_utf8(old), std::str::from_utf8(new)) {
        (Ok(old), Ok(new)) => skim::compare(old, new, memo).or_else(|| texts(old, new)),
        _ => None,
    };
    match changes {
        Some(changes) if !changes.is_empty() => changes,
        // Not YAML, or the same values in another spelling: the bytes change, so something must be shown.
        _ => vec![change(None, KeyPath::default(), Some(lossy(old)), Some(lossy(new)))],
    }
}

/// Returns whether a file is only ever compared as a whole: to read a file takes a hundred times its size.
fn is_opaque(bytes: &[u8]) -> bool {
    bytes.len() > MAX_COMPARED_BYTES
}

/// Returns the change of a file of which only the size is shown.
pub(super) fn unread(old: &[u8], new: &[u8]) -> Change {
    change(None, KeyPath::default(), Some(size(old)), Some(size(new)))
}

/// Stands for the content of a file that is not shown. Of one that is too large only that is known: the caller need not
/// have read it.
fn size(bytes: &[u8]) -> Value {
    if is_opaque(bytes) {
        return Value::String(format!("more than {} MiB", MAX_COMPARED_BYTES >> 20));
    }
    let digest = blake3::hash(bytes).to_hex();
    Value::String(format!("{} bytes, BLAKE3 {}", bytes.len(), &digest[..12]))
}

fn lossy(bytes: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

fn texts(old: &str, new: &str) -> Option<Vec<Change>> {
    Some(documents(&read(old)?, &read(new)?))
}

/// Returns each document of a file that is created or deleted as one change; a file that is not YAML is one text.
pub(super) fn whole(bytes: &[u8], action: Action, memo: &mut Memo) -> Vec<Change> {
    let text = std::str::from_utf8(bytes).ok().filter(|_| !is_opaque(bytes));
    let documents =
        text.and_then(|text| skim::document(text, memo).map(|one| vec![one]).or_else(|| read(text)));
    let as_text = || if is_opaque(bytes) { size(bytes) } else { lossy(bytes) };
    let documents = documents.unwrap_or_else(|| vec![as_text()]);
    objects(&documents)
        .into_iter()
        .cloned()
        .map(|document| {
            let object = object_name(&document).map(Arc::new);
            match action {
                Action::Delete => change(object, KeyPath::default(), Some(document), None),
                _ => change(object, KeyPath::default(), None, Some(document)),
            }
        })
        .collect()
}

/// Counts the leaves of both sides of a change, of which a whole document has one.
pub(super) fn count_leaves(change: &Change) -> usize {
    [&change.old, &change.new].into_iter().flatten().map(leaves).sum()
}

/// Counts the scalars and the empty lists and maps in a value.
pub(super) fn leaves(value: &Value) -> usize {
    match value {
        Value::List(items) if !items.is_empty() => items.iter().map(leaves).sum(),
        Value::Map(map) if !map.is_empty() => map.iter().map(|(_, value)| leaves(value)).sum(),
        _ => 1,
    }
}

fn change(object: Option<Arc<ObjectName>>, path: KeyPath, old: Option<Value>, new: Option<Value>) -> Change {
    Change { object, path, old, new, risk: None }
}

/// Compares lists of documents, which are aligned by what they describe.
fn documents(old: &[Value], new: &[Value]) -> Vec<Change> {
    let mut changes = Vec::new();
    for (old, new) in align_documents(&objects(old), &objects(new)) {
        let object = new.and_then(object_name).or_else(|| old.and_then(object_name)).map(Arc::new);
        values(object, KeyPath::default(), old, new, &mut changes);
    }
    changes
}

/// Compares two values at `path` and adds what differs.
pub(super) fn values(
    object: Option<Arc<ObjectName>>,
    path: KeyPath,
    old: Option<&Value>,
    new: Option<&Value>,
    changes: &mut Vec<Change>,
) {
    Walk { object, path, changes }.value(old, new);
}

/// Pairs documents: those that describe the same object, and of what is no object with a name those at the same place.
///
/// An object under another name, in another namespace or of another kind is another object: the old one is deleted. One that
/// names no namespace may be in any, so it is paired with the only one that it can be.
fn align_documents<'a>(old: &[&'a Value], new: &[&'a Value]) -> Vec<(Option<&'a Value>, Option<&'a Value>)> {
    let mut left: Vec<Option<&Value>> = old.iter().copied().map(Some).collect();
    let mut pairs: Vec<(Option<&Value>, Option<&Value>)> = new.iter().map(|new| (None, Some(*new))).collect();
    let identity = |value: &Value| object_name(value).map(|name| name.identity());
    take_partners(&mut left, &mut pairs, identity);
    let without_namespace = |value: &Value| identity(value).filter(|name| name.namespace.is_none());
    let with_any = |value: &Value| identity(value).map(|name| ObjectName { namespace: None, ..name });
    take_matching(&mut left, &mut pairs, without_namespace, with_any);
    take_matching(&mut left, &mut pairs, with_any, without_namespace);
    take_partners(&mut left, &mut pairs, nameless);
    with_gone(pairs, left.into_iter().flatten().collect())
}

/// Puts what goes before what comes of the same kind, so that a renamed object is read as one; what is left goes last.
fn with_gone<'a>(
    pairs: Vec<(Option<&'a Value>, Option<&'a Value>)>,
    mut gone: Vec<&'a Value>,
) -> Vec<(Option<&'a Value>, Option<&'a Value>)> {
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

/// Returns the kind of a document that is no object with a name; values have none.
fn nameless(document: &Value) -> Option<ObjectName> {
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = ObjectName {
        api_version: text("apiVersion"),
        kind: text("kind"),
        namespace: None,
        name: String::new(),
    };
    object_name(document).is_none().then_some(name)
}

/// Returns the objects of documents: the items of each `List`, and everything else as it is.
fn objects(documents: &[Value]) -> Vec<&Value> {
    let objects = documents.iter().flat_map(|document| match items(document) {
        Some(items) => items.iter().collect(),
        None => vec![document],
    });
    objects.collect()
}

/// Returns the items of a document that is a `List`.
fn items(document: &Value) -> Option<&[Value]> {
    let is_list = document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    document.get("items").and_then(Value::as_list).filter(|_| is_list)
}

/// Gives each new document that has no partner yet the first old one with the same identity.
fn take_partners<'a>(
    left: &mut [Option<&'a Value>],
    pairs: &mut [(Option<&'a Value>, Option<&'a Value>)],
    identity: impl Fn(&Value) -> Option<ObjectName>,
) {
    take_matching(left, pairs, &identity, &identity);
}

fn take_matching<'a>(
    left: &mut [Option<&'a Value>],
    pairs: &mut [(Option<&'a Value>, Option<&'a Value>)],
    of_old: impl Fn(&Value) -> Option<ObjectName>,
    of_new: impl Fn(&Value) -> Option<ObjectName>,
) {
    let mut by_identity: BTreeMap<ObjectName, Vec<usize>> = BTreeMap::new();
    for (at, old) in left.iter().enumerate().rev() {
        if let Some(name) = old.and_then(&of_old) {
            by_identity.entry(name).or_default().push(at);
        }
    }
    for (old, new) in pairs.iter_mut().filter(|(old, _)| old.is_none()) {
        let partner = new.and_then(&of_new).and_then(|name| by_identity.get_mut(&name)?.pop());
        *old = partner.and_then(|at| left[at].take());
    }
}

/// Returns what a document describes, if it is a Kubernetes object with a name.
pub(super) fn object_name(document: &Value) -> Option<ObjectName> {
    let text = |keys: &[&str]| document.at(keys).and_then(Value::as_str).map(str::to_owned);
    Some(ObjectName {
        api_version: text(&["apiVersion"])?,
        kind: text(&["kind"])?,
        namespace: text(&["metadata", "namespace"]),
        name: text(&["metadata", "name"])?,
    })
}

struct Walk<'c> {
    object: Option<Arc<ObjectName>>,
    path: KeyPath,
    changes: &'c mut Vec<Change>,
}

impl Walk<'_> {
    fn value(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (Some(Value::Map(old)), Some(Value::Map(new))) => self.map(old, new),
            (Some(Value::List(old)), Some(Value::List(new))) => self.list(old, new),
            (old, new) if old == new => {}
            (old, new) => {
                self.changes.push(change(self.object.clone(), self.path.clone(), old.cloned(), new.cloned()));
            }
        }
    }

    fn below(&mut self, step: Step, old: Option<&Value>, new: Option<&Value>) {
        self.path.push(step);
        self.value(old, new);
        self.path.pop();
    }

    /// Compares two maps key by key in the order of the keys, so that the order of writing does not matter.
    fn map(&mut self, old: &Map, new: &Map) {
        let mut keys: BTreeMap<&str, (Option<&Value>, Option<&Value>)> =
            old.iter().map(|(key, value)| (key, (Some(value), None))).collect();
        for (key, value) in new.iter() {
            keys.entry(key).or_default().1 = Some(value);
        }
        for (key, (old, new)) in keys {
            self.below(Step::Key(key.into()), old, new);
        }
    }

    fn list(&mut self, old: &[Value], new: &[Value]) {
        if old == new {
            return;
        }
        match identify(old, new) {
            Some((field, old_ids, new_ids)) => self.identified(field, &old_ids, &new_ids),
            None => self.aligned(old, new),
        }
    }

    fn identified(&mut self, field: &'static str, old: &[(String, &Value)], new: &[(String, &Value)]) {
        let old_by_id: BTreeMap<&str, &Value> = old.iter().map(|(id, value)| (&**id, *value)).collect();
        let new_by_id: BTreeMap<&str, &Value> = new.iter().map(|(id, value)| (&**id, *value)).collect();
        for (id, item) in new {
            let step = Step::Item { field, id: id.as_str().into() };
            self.below(step, old_by_id.get(&**id).copied(), Some(item));
        }
        for (id, item) in old.iter().filter(|(id, _)| !new_by_id.contains_key(&**id)) {
            self.below(Step::Item { field, id: id.as_str().into() }, Some(item), None);
        }
    }

    /// Compares items without identity: what stands between two equal items is paired in order, the rest comes or goes.
    fn aligned(&mut self, old: &[Value], new: &[Value]) {
        let edits = edits(old, new);
        for gap in edits.split(|edit| matches!(edit, Edit::Keep { .. })) {
            let (mut removed, mut added) = (Vec::new(), Vec::new());
            for edit in gap {
                match edit {
                    Edit::Remove { old } => removed.push(*old),
                    Edit::Add { new } => added.push(*new),
                    Edit::Keep { .. } => {}
                }
            }
            let paired = removed.len().min(added.len());
            for (old_at, new_at) in removed.iter().zip(&added) {
                self.below(Step::Index(*new_at), Some(&old[*old_at]), Some(&new[*new_at]));
            }
            for at in &removed[paired..] {
                self.below(Step::Index(*at), Some(&old[*at]), None);
            }
            for at in &added[paired..] {
                self.below(Step::Index(*at), None, Some(&new[*at]));
            }
        }
    }
}

type Identified<'a> = Vec<(String, &'a Value)>;

/// Returns the items of both lists with their identities, if one kind of identity tells all items apart.
///
/// Items that changed places have none: their order may matter, and by identity it would not be seen.
fn identify<'a>(
    old: &'a [Value],
    new: &'a [Value],
) -> Option<(&'static str, Identified<'a>, Identified<'a>)> {
    let (field, old, new) =
        IDENTITIES.iter().find_map(|(field, parts)| Some((*field, ids(old, parts)?, ids(new, parts)?)))?;
    is_same_order(&old, &new).then_some((field, old, new))
}

fn is_same_order(old: &Identified<'_>, new: &Identified<'_>) -> bool {
    let old_ids: BTreeSet<&str> = old.iter().map(|(id, _)| id.as_str()).collect();
    let new_ids: BTreeSet<&str> = new.iter().map(|(id, _)| id.as_str()).collect();
    let kept_old = old.iter().map(|(id, _)| id.as_str()).filter(|id| new_ids.contains(id));
    kept_old.eq(new.iter().map(|(id, _)| id.as_str()).filter(|id| old_ids.contains(id)))
}

fn ids<'a>(items: &'a [Value], parts: &[&[&str]]) -> Option<Identified<'a>> {
    let ids =
        items.iter().map(|item| Some((identity(item, parts)?, item))).collect::<Option<Identified<'a>>>()?;
    let mut names: Vec<&str> = ids.iter().map(|(id, _)| id.as_str()).collect();
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1]).then_some(ids)
}

/// Returns the index and the identity of each item that `field` identifies.
pub(super) fn with_identity(items: &[Value], field: &str) -> Vec<(usize, String)> {
    let kinds = IDENTITIES.iter().filter(|(name, _)| *name == field);
    let items = items.iter().enumerate();
    kinds
        .flat_map(|(_, parts)| items.clone().filter_map(|(at, item)| Some((at, identity(item, parts)?))))
        .collect()
}

/// Returns what identifies an element of a generator's list: the first of the usual keys, or else its first text.
pub(super) fn element_name(element: &Value) -> Option<String> {
    let first_text = || element.as_map()?.iter().find_map(|(_, value)| value.as_str().map(str::to_owned));
    IDENTITIES.iter().find_map(|(_, parts)| identity(element, parts)).or_else(first_text)
}

/// Returns the parts joined by a slash; a namespace may be missing, everything else must be a string.
fn identity(item: &Value, parts: &[&[&str]]) -> Option<String> {
    let words = parts.iter().map(|keys| match item.at(keys) {
        Some(Value::String(word)) => Some(word.as_str()),
        None if keys.last() == Some(&"namespace") && item.get("metadata").is_some() => Some(""),
        _ => None,
    });
    Some(words.collect::<Option<Vec<_>>>()?.join("/"))
}
