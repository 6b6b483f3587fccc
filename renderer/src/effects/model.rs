//! What becomes of objects, as data. Knows nothing of how it is found or shown.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::kind::EffectKind;
use crate::explain::SourceLine;
use crate::inventory::OwnFacts;
use crate::manifests::ObjectName;
use crate::path::{AddonName, ClusterName};
use crate::plan::group::{Foldable, Group, Grouped, general_name, generalize, generalize_change, place};
use crate::plan::{Action, Change};
use crate::secrets::masked;

/// What becomes of the objects of some add-ons on some clusters.
///
/// As JSON it is an object with `totals`, `restarts`, `effects`, `groups` and `noise`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effects {
    /// How many objects come, change and go.
    pub totals: Totals,
    /// The pods that are replaced, if any are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<Restarts>,
    /// What that does, most severe first, each once for all clusters where it is the same up to what is their own.
    pub effects: Vec<EffectGroup>,
    /// The objects, folded over the clusters.
    pub groups: Vec<Group<ObjectEvent>>,
    /// What changes nothing that runs.
    pub noise: Noise,
}

/// How many objects come, change and go, counted on each cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The clusters on which any does.
    pub clusters: usize,
    /// The objects that come.
    pub created: usize,
    /// The objects that change; those with noise alone are left out.
    pub updated: usize,
    /// The objects that go.
    pub deleted: usize,
}

/// The pods that are replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restarts {
    /// How many pods are known to be, on all clusters together.
    pub pods: usize,
    /// The clusters, by name.
    pub clusters: Vec<ClusterName>,
    /// How many workloads of each kind replace theirs, each counted once for all clusters.
    pub workloads: Vec<Workloads>,
    /// How many `DaemonSet`s are on clusters of which the number of nodes is not known, and so are not in `pods`.
    pub on_every_node: usize,
}

/// Workloads of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Workloads {
    /// The kind.
    pub kind: String,
    /// How many there are.
    pub count: usize,
}

/// An effect, and the clusters that have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EffectGroup {
    /// The effect.
    #[serde(flatten)]
    pub effect: Effect,
    /// The clusters, by name.
    pub clusters: Vec<ClusterName>,
    /// The lines to edit behind it, as far as they are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<SourceLine>,
}

/// Something that happens to what runs. Its texts have no secrets in them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// What happens.
    pub kind: EffectKind,
    /// What will happen, for a person: a lower-case fragment.
    pub note: &'static str,
    /// What goes: images, permissions, peers, addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// What comes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gained: Vec<String>,
    /// The add-on.
    pub addon: AddonName,
    /// The object.
    #[serde(serialize_with = "shared")]
    pub object: Arc<ObjectName>,
    /// The part of the object, or the subject that it is about; empty if that is the object itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// How many pods it is about on each cluster, if it is about pods and they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<usize>,
}

/// What becomes of an object, or of a field of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ObjectEvent {
    /// An object comes or goes.
    Object {
        /// The add-on.
        addon: AddonName,
        /// The object.
        #[serde(serialize_with = "shared")]
        object: Arc<ObjectName>,
        /// Whether it comes or goes.
        action: Action,
        /// How many fields it has.
        fields: usize,
        /// Whether it stays on the cluster although it is no longer rendered.
        is_kept: bool,
    },
    /// A field appears, changes or goes.
    Field {
        /// The add-on.
        addon: AddonName,
        /// The change.
        change: Change,
        /// Whether the API server refuses to change it in place.
        is_immutable: bool,
    },
}

/// What changes nothing that runs, counted on each cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Noise {
    /// Labels that only tell a version.
    pub labels: usize,
    /// Annotations that only tell whether something else changed.
    pub annotations: usize,
    /// Descriptions of fields in definitions of kinds.
    pub descriptions: usize,
    /// Lists that are sets, in another order.
    pub orders: usize,
    /// All of it, folded over the clusters.
    pub groups: Vec<Group<ObjectEvent>>,
}

/// What kind of noise a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NoiseKind {
    /// A label.
    Label(&'static str),
    Annotation,
    Description,
    Order,
}

/// What becomes of the objects of one add-on on one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    pub(super) totals: Totals,
    pub(super) events: Vec<ObjectEvent>,
    pub(super) effects: Vec<Effect>,
    pub(super) noise: Vec<(NoiseKind, ObjectEvent)>,
    /// The labels that are noise unless something selects by them, and by which something does.
    pub(super) selected: BTreeSet<&'static str>,
}

fn shared<T: Serialize, S: Serializer>(value: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().serialize(serializer)
}

impl Effect {
    /// Names what goes and what comes, with the secrets in it masked.
    pub(super) fn with(mut self, lost: Vec<String>, gained: Vec<String>) -> Self {
        let masked = |texts: Vec<String>| texts.iter().map(|text| masked(text).into_owned()).collect();
        (self.lost, self.gained) = (masked(lost), masked(gained));
        self
    }

    /// Names the part of the object that it is about.
    pub(super) fn of(mut self, part: &str) -> Self {
        self.part = masked(part).into_owned();
        self
    }
}

impl Foldable for Effect {
    fn general(&self, own: &OwnFacts, _has_own_keys: bool) -> Self {
        let mut effect = self.clone();
        effect.object = general_name(&effect.object, own);
        generalize(&mut effect.part, own);
        effect.lost.iter_mut().chain(&mut effect.gained).for_each(|text| generalize(text, own));
        effect
    }
}

impl ObjectEvent {
    pub(super) fn addon(&self) -> &AddonName {
        match self {
            Self::Object { addon, .. } | Self::Field { addon, .. } => addon,
        }
    }
}

impl Foldable for ObjectEvent {
    fn general(&self, own: &OwnFacts, has_own_keys: bool) -> Self {
        let mut event = self.clone();
        match &mut event {
            Self::Object { object, .. } => *object = general_name(object, own),
            Self::Field { change, .. } => generalize_change(change, own, has_own_keys),
        }
        event
    }
}

impl Grouped for ObjectEvent {
    fn place(&self) -> impl Hash {
        match self {
            Self::Object { addon, object, action, .. } => (addon, Some((object, *action)), None),
            Self::Field { addon, change, .. } => (addon, None, Some((&change.object, &change.path))),
        }
    }

    fn order(&self) -> (u8, String, String) {
        match self {
            Self::Object { addon, object, .. } => (0, addon.to_string(), object.to_string()),
            Self::Field { addon, change, .. } => (0, addon.to_string(), place("", change).trim().to_owned()),
        }
    }

    fn severity(&self) -> Option<u8> {
        match self {
            Self::Object { action: Action::Delete, is_kept: false, .. } => Some(EffectKind::Pruned as u8),
            Self::Field { is_immutable: true, .. } => Some(EffectKind::ImmutableField as u8),
            Self::Object { .. } | Self::Field { .. } => None,
        }
    }
}
