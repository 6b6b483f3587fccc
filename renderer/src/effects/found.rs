//! What the modules that name effects have in common. Knows nothing of any kind of effect.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::kind::EffectKind;
use super::model::Effect;
use super::objects::{Objects, Pair};
use crate::path::AddonName;

/// What is compared as a set of texts.
pub(super) type Texts = BTreeSet<String>;

/// An effect of an object, of which nothing more is said.
pub(super) fn effect(addon: &AddonName, pair: &Pair<'_>, kind: EffectKind, note: &'static str) -> Effect {
    let (lost, gained, part) = (Vec::new(), Vec::new(), String::new());
    Effect {
        kind,
        note,
        lost,
        gained,
        addon: addon.clone(),
        object: Arc::clone(&pair.name),
        part,
        pods: None,
    }
}

/// Returns what goes and what comes.
pub(super) fn delta(old: &Texts, new: &Texts) -> (Vec<String>, Vec<String>) {
    (old.difference(new).cloned().collect(), new.difference(old).cloned().collect())
}

/// Returns the texts of both sides of an object; a side that is not there has none.
pub(super) fn of_sides(pair: &Pair<'_>, texts: impl Fn(&crate::yaml::Value) -> Texts) -> [Texts; 2] {
    pair.sides().map(|side| side.map(&texts).unwrap_or_default())
}

/// What finds effects of one object.
pub(super) type Finder = fn(&Objects<'_>, &Pair<'_>) -> Vec<Effect>;
