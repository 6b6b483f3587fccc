//! Two versions of a file into the settings that differ.
//!
//! `read` turns bytes into values, and `fast_diff` spares it most of them. Knows nothing of clusters or risks.

pub(crate) mod documents;
pub(super) mod fast_diff;
pub(super) mod read;
pub(super) mod sequence;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::key_path::{KeyPath, Step};
use crate::manifests::ObjectName;
use crate::plan::model::{Action, Change};
use crate::tree::{Below, IDENTITIES, Identity, walk};
use crate::yaml::{Map, Value};
use documents::{Pair, align, objects};
use read::{Memo, read};
use sequence::gaps;

/// The largest file whose settings are compared; of a larger one only the size is shown, and none of it is parsed.
///
/// What is rendered stays far below; what is published may have been written by anyone.
pub const MAX_COMPARED_BYTES: usize = 4 * 1024 * 1024;

/// What stands beside a value on both sides and may say what it is: the `name` or `key` of a map with a
/// `value`, or the item of a list before it.
pub(crate) type Beside<'v> = [Option<&'v str>; 2];

/// What completes a change once it is found.
pub(crate) type Complete<'f> = &'f dyn Fn(Change, Beside<'_>) -> Change;

/// Compares two versions of a file.
pub(in crate::plan) fn files(old: &[u8], new: &[u8], memo: &mut Memo, complete: Complete<'_>) -> Vec<Change> {
    if is_opaque(old) || is_opaque(new) {
        return vec![complete(unread(old, new), [None; 2])];
    }
    let texts = std::str::from_utf8(old).ok().zip(std::str::from_utf8(new).ok());
    match texts.and_then(|(old, new)| settings(old, new, memo, complete)) {
        Some(changes) if !changes.is_empty() => changes,
        // Not YAML, or the same values in another spelling: the bytes change, so something must be shown.
        _ => vec![complete(change(None, KeyPath::default(), Some(lossy(old)), Some(lossy(new))), [None; 2])],
    }
}

/// Compares two texts of YAML; what is equal in both is not read if their lines show it.
fn settings(old: &str, new: &str, memo: &mut Memo, complete: Complete<'_>) -> Option<Vec<Change>> {
    let reduced = fast_diff::reduced(old, new)
        .and_then(|[old, new]| Some([memo.read(&old)?, memo.read(&new)?]))
        .filter(|[old, new]| are_versions(old, new));
    match reduced {
        Some([old, new]) => Some(documents(&[old], &[new], complete)),
        None => Some(documents(&read(old)?, &read(new)?, complete)),
    }
}

/// Returns whether two documents are values, or describe the same object.
fn are_versions(old: &Value, new: &Value) -> bool {
    let [old, new] = [old, new]
        .map(|document| document.get("kind").map(|_| ObjectName::of(document).map(|name| name.identity())));
    old == new && old != Some(None)
}

/// Returns whether a file is only ever compared as a whole: to read a file takes a hundred times its size.
fn is_opaque(bytes: &[u8]) -> bool {
    bytes.len() > MAX_COMPARED_BYTES
}

/// Returns the change of a file of which only the size is shown.
pub(in crate::plan) fn unread(old: &[u8], new: &[u8]) -> Change {
    change(None, KeyPath::default(), Some(size(old)), Some(size(new)))
}

/// Stands for the content of a file that is not shown. Of one that is too large only that is known: the
/// caller need not have read it.
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

/// Returns each document of a file that is created or deleted as one change; a file that is not YAML is one text.
pub(in crate::plan) fn whole(bytes: &[u8], action: Action, memo: &mut Memo) -> Vec<Change> {
    let text = std::str::from_utf8(bytes).ok().filter(|_| !is_opaque(bytes));
    let documents =
        text.and_then(|text| one_document(text, memo).map(|one| vec![one]).or_else(|| read(text)));
    let as_text = || if is_opaque(bytes) { size(bytes) } else { lossy(bytes) };
    let documents = documents.unwrap_or_else(|| vec![as_text()]);
    let whole = |document: &Value| {
        let object = ObjectName::of(document).map(Arc::new);
        let (old, new) = match action {
            Action::Delete => (Some(document.clone()), None),
            Action::Create | Action::Update => (None, Some(document.clone())),
        };
        change(object, KeyPath::default(), old, new)
    };
    objects(&documents).into_iter().map(whole).collect()
}

/// Reads a text of one document entry by entry, since most entries were read before on another cluster; `None` if it
/// has to be read as a whole.
pub(in crate::plan) fn one_document(text: &str, memo: &mut Memo) -> Option<Value> {
    let mut document = Vec::new();
    for entry in fast_diff::entries(text)? {
        let Value::Map(entry) = memo.read(entry)? else { return None };
        document.extend(entry);
    }
    Some(Value::Map(document.into_iter().collect()))
}

/// Counts the leaves of both sides of a change, of which a whole document has one.
pub(in crate::plan) fn count_leaves(change: &Change) -> usize {
    [&change.old, &change.new].into_iter().flatten().map(leaves).sum()
}

/// Counts the scalars and the empty lists and maps in a value.
pub(crate) fn leaves(value: &Value) -> usize {
    let mut leaves = 0;
    walk(value, &mut |visit| {
        leaves += usize::from(visit.is_leaf());
        Below::Enter
    });
    leaves
}

fn change(object: Option<Arc<ObjectName>>, path: KeyPath, old: Option<Value>, new: Option<Value>) -> Change {
    Change { object, path, old, new, risk: None }
}

/// Compares lists of documents, which are aligned by what they describe.
pub(crate) fn documents(old: &[Value], new: &[Value], complete: Complete<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (old, new) in align(&objects(old), &objects(new)) {
        let object = new.and_then(ObjectName::of).or_else(|| old.and_then(ObjectName::of)).map(Arc::new);
        let mut found = |path: KeyPath, (old, new): Pair<'_>, beside: Beside<'_>| {
            changes.push(complete(change(object.clone(), path, old.cloned(), new.cloned()), beside));
        };
        Comparison { path: Vec::new(), found: &mut found }.value((old, new), [None; 2]);
    }
    changes
}

/// Two documents while they are compared.
struct Comparison<'v, 'f> {
    path: Vec<Step<Cow<'v, str>>>,
    found: &'f mut dyn FnMut(KeyPath, Pair<'v>, Beside<'v>),
}

impl<'v> Comparison<'v, '_> {
    fn value(&mut self, pair: Pair<'v>, beside: Beside<'v>) {
        match pair {
            (Some(Value::Map(old)), Some(Value::Map(new))) => self.map(old, new),
            (Some(Value::List(old)), Some(Value::List(new))) => self.list(old, new),
            (old, new) if old == new => {}
            pair => (self.found)(self.path.iter().cloned().collect(), pair, beside),
        }
    }

    fn below(&mut self, step: Step<Cow<'v, str>>, pair: Pair<'v>, beside: Beside<'v>) {
        self.path.push(step);
        self.value(pair, beside);
        self.path.pop();
    }

    /// Compares two maps key by key in the order of the keys, so that the order of writing does not matter.
    fn map(&mut self, old: &'v Map, new: &'v Map) {
        let mut keys: BTreeMap<&str, Pair<'v>> =
            old.iter().map(|(key, value)| (key, (Some(value), None))).collect();
        for (key, value) in new.iter() {
            keys.entry(key).or_default().1 = Some(value);
        }
        let name = |map: &'v Map| map.get("name").or_else(|| map.get("key")).and_then(Value::as_str);
        for (key, pair) in keys {
            let beside = if key == "value" { [name(new), name(old)] } else { [None; 2] };
            self.below(Step::Key(key.into()), pair, beside);
        }
    }

    fn list(&mut self, old: &'v [Value], new: &'v [Value]) {
        if old == new {
            return;
        }
        match identify(old, new) {
            Some((field, old, new)) => self.identified(field, &old, &new),
            None => self.aligned(old, new),
        }
    }

    fn identified(&mut self, field: &'static str, old: &Identified<'v>, new: &Identified<'v>) {
        let step = |id: &str| Step::Item { field, id: Cow::Owned(id.to_owned()) };
        let (in_old, in_new) = (by_id(old), by_id(new));
        for (id, item) in new {
            self.below(step(id), (in_old.get(id.as_str()).copied(), Some(item)), [None; 2]);
        }
        for (id, item) in old.iter().filter(|(id, _)| !in_new.contains_key(id.as_str())) {
            self.below(step(id), (Some(item), None), [None; 2]);
        }
    }

    /// Compares items without identity: what stands between two equal items is paired in order, the rest
    /// comes or goes.
    fn aligned(&mut self, old: &'v [Value], new: &'v [Value]) {
        let before = |items: &'v [Value], at: Option<usize>| items.get(at?.checked_sub(1)?)?.as_str();
        for (mut removed, mut added) in gaps(old, new) {
            let paired = removed.len().min(added.len());
            let pairs: Vec<_> = removed.by_ref().take(paired).zip(added.by_ref()).collect();
            let pairs = pairs.into_iter().map(|(old, new)| (Some(old), Some(new)));
            let gone = removed.map(|old| (Some(old), None));
            for (old_at, new_at) in pairs.chain(gone).chain(added.map(|new| (None, Some(new)))) {
                let step = Step::Index(new_at.or(old_at).unwrap_or_default());
                let pair = (old_at.map(|at| &old[at]), new_at.map(|at| &new[at]));
                self.below(step, pair, [before(new, new_at), before(old, old_at)]);
            }
        }
    }
}

/// The items of a list with their identities, in their order.
type Identified<'v> = Vec<(String, &'v Value)>;

/// Returns the items of both lists with their identities, if one kind of identity tells all items apart.
///
/// Items that changed places have none: their order may matter, and by identity it would not be seen.
fn identify<'v>(
    old: &'v [Value],
    new: &'v [Value],
) -> Option<(&'static str, Identified<'v>, Identified<'v>)> {
    let (field, old, new) =
        IDENTITIES.iter().find_map(|kind| Some((kind.field, ids(old, kind)?, ids(new, kind)?)))?;
    let (in_old, in_new) = (by_id(&old), by_id(&new));
    let kept_old = old.iter().map(|(id, _)| id.as_str()).filter(|id| in_new.contains_key(id));
    let kept_new = new.iter().map(|(id, _)| id.as_str()).filter(|id| in_old.contains_key(id));
    kept_old.eq(kept_new).then_some((field, old, new))
}

fn ids<'v>(items: &'v [Value], kind: &Identity) -> Option<Identified<'v>> {
    let ids: Identified<'v> = items.iter().map(|item| Some((kind.of(item)?, item))).collect::<Option<_>>()?;
    (by_id(&ids).len() == ids.len()).then_some(ids)
}

fn by_id<'i, 'v>(items: &'i Identified<'v>) -> BTreeMap<&'i str, &'v Value> {
    items.iter().map(|(id, item)| (id.as_str(), *item)).collect()
}
