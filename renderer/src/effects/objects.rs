//! The objects of one add-on on one cluster before and after, into what becomes of each.

use std::sync::Arc;

use super::model::{NoiseKind, ObjectEvent, Unit};
use super::noise;
use crate::key_path::KeyPath;
use crate::manifests::{Object, ObjectName, is_immutable};
use crate::path::AddonName;
use crate::plan::compare::documents::align;
use crate::plan::compare::{documents, leaves};
use crate::plan::{Action, Change, masks};
use crate::yaml::Value;

/// How many fields of one object are listed one by one.
const MAX_CHANGES: usize = 10_000;

/// An object before and after; one of both is there.
pub(super) struct Pair<'v> {
    pub(super) name: Arc<ObjectName>,
    pub(super) old: Option<&'v Value>,
    pub(super) new: Option<&'v Value>,
    /// What changes of one that stays, without noise and with secrets masked.
    pub(super) changes: Vec<Change>,
}

/// The objects of an add-on on a cluster.
pub(super) struct Objects<'v> {
    pub(super) addon: &'v AddonName,
    /// `None` if the add-on comes.
    pub(super) before: Option<&'v [Object]>,
    /// `None` if the add-on goes.
    pub(super) after: Option<&'v [Object]>,
    /// How many nodes the cluster has, if that is known.
    pub(super) nodes: Option<usize>,
    /// The objects that are not the same.
    pub(super) pairs: Vec<Pair<'v>>,
}

/// Pairs the objects that are not the same, and notes what becomes of each.
pub(super) fn compared<'v>(
    addon: &'v AddonName,
    before: Option<&'v [Object]>,
    after: Option<&'v [Object]>,
    nodes: Option<usize>,
) -> (Objects<'v>, Unit) {
    let mut unit = Unit::default();
    let values = |side: Option<&'v [Object]>| -> Vec<&'v Value> {
        side.unwrap_or_default().iter().map(|object| &object.value).collect()
    };
    let mut pairs = Vec::new();
    for (old, new) in align(&values(before), &values(after)) {
        let name = new.or(old).and_then(ObjectName::named).map(Arc::new);
        let Some(name) = name.filter(|_| old != new) else { continue };
        let mut pair = Pair { name, old, new, changes: Vec::new() };
        pair.note(addon, after.is_none(), &mut unit);
        pairs.push(pair);
    }
    if !unit.noise.is_empty() {
        unit.selected.extend([before, after].into_iter().flatten().flat_map(noise::selected));
    }
    (Objects { addon, before, after, nodes, pairs }, unit)
}

impl Pair<'_> {
    /// Notes what becomes of the object; `is_going` if its add-on goes.
    fn note(&mut self, addon: &AddonName, is_going: bool, unit: &mut Unit) {
        let whole = |action, value, is_kept| ObjectEvent::Object {
            addon: addon.clone(),
            object: Arc::clone(&self.name),
            action,
            fields: leaves(value),
            is_kept,
        };
        match (self.old, self.new) {
            (None, Some(new)) => {
                unit.totals.created += 1;
                unit.events.push(whole(Action::Create, new, false));
            }
            (Some(old), None) => {
                unit.totals.deleted += 1;
                unit.events.push(whole(Action::Delete, old, self.is_kept(is_going)));
            }
            (Some(old), Some(new)) => self.note_changes(addon, (old, new), unit),
            (None, None) => {}
        }
    }

    fn note_changes(&mut self, addon: &AddonName, (old, new): (&Value, &Value), unit: &mut Unit) {
        let (ordered, orders) = noise::in_old_order(&self.name, old, new);
        for path in orders {
            let side = |value: &Value| value.at(&path[..]).cloned();
            let change = masks::masked(self.change(path.clone(), side(old), side(new)), [None; 2]);
            unit.noise.push((NoiseKind::Order, self.event(addon, change)));
        }
        let one = std::slice::from_ref;
        for change in documents(one(old), one(&ordered), &masks::masked) {
            match noise::kind(&self.name, &change.path) {
                Some(kind) => unit.noise.push((kind, self.event(addon, change))),
                None => self.changes.push(change),
            }
        }
        if self.changes.len() > MAX_CHANGES {
            let all = |value: &Value| Some(Value::String(crate::plural::counted(leaves(value), "field")));
            self.changes = vec![self.change(KeyPath::default(), all(old), all(new))];
        }
        unit.totals.updated += usize::from(!self.changes.is_empty());
        unit.events.extend(self.changes.iter().map(|change| self.event(addon, change.clone())));
    }

    fn change(&self, path: KeyPath, old: Option<Value>, new: Option<Value>) -> Change {
        Change { object: Some(Arc::clone(&self.name)), path, old, new, risk: None }
    }

    fn event(&self, addon: &AddonName, change: Change) -> ObjectEvent {
        let is_immutable = self.refuses(&change);
        ObjectEvent::Field { addon: addon.clone(), change, is_immutable }
    }

    /// Returns whether the API server refuses a change of the object.
    pub(super) fn refuses(&self, change: &Change) -> bool {
        let keys: Vec<&str> = change.path.keys().collect();
        let is_locked = || {
            let old = self.old.and_then(|old| old.get("immutable"));
            matches!(self.name.kind.as_str(), "ConfigMap" | "Secret")
                && old == Some(&Value::Bool(true))
                && keys
                    .first()
                    .is_some_and(|key| ["data", "binaryData", "stringData", "immutable"].contains(key))
        };
        // Without it, the address that was given stays.
        let is_left_out = self.name.kind == "Service" && change.new.is_none();
        !self.is_hook() && !is_left_out && (is_immutable(&self.name, &keys) || is_locked())
    }

    /// Returns whether Argo CD makes the object again with each sync, and so deletes it by rules of its own.
    pub(super) fn is_hook(&self) -> bool {
        let hooks = ["argocd.argoproj.io/hook", "helm.sh/hook"];
        self.new.or(self.old).is_some_and(|value| hooks.iter().any(|hook| annotation(value, hook).is_some()))
    }

    /// Returns whether an object that is no longer rendered stays on the cluster.
    ///
    /// `Prune=false` counts for one that is left out, and what else there is for one that goes with its Application.
    pub(super) fn is_kept(&self, is_going: bool) -> bool {
        let Some(old) = self.old else { return false };
        let has = |name, option| {
            annotation(old, name).is_some_and(|text| text.split(',').any(|part| part.trim() == option))
        };
        let sync_option = |option| has("argocd.argoproj.io/sync-options", option);
        if !is_going {
            return sync_option("Prune=false");
        }
        self.name.is_definition() || sync_option("Delete=false") || has("helm.sh/resource-policy", "keep")
    }

    /// Returns what an object is called with its group, for a match.
    pub(super) fn kind(&self) -> (&str, &str) {
        (self.name.group(), &self.name.kind)
    }

    /// Returns both sides.
    pub(super) fn sides(&self) -> [Option<&Value>; 2] {
        [self.old, self.new]
    }
}

pub(super) fn annotation<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.text_at(&["metadata", "annotations", name])
}
