//! What becomes of the objects on each cluster, folded over the clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::kind::EffectKind;
use super::model::{
    Effect, EffectGroup, Effects, Noise, NoiseKind, ObjectEvent, Restarts, Totals, Unit, Workloads,
};
use crate::inventory::OwnFacts;
use crate::path::ClusterName;
use crate::plan::Facts;
use crate::plan::group::{Fold, Slot, grouped};

/// Folds what becomes of the objects of clusters, each of which has one unit for each add-on; they are taken one by one.
///
/// By `facts` the same is recognised on clusters whose own facts differ.
#[must_use]
pub fn effects(clusters: impl IntoIterator<Item = (ClusterName, Vec<Unit>)>, facts: &Facts) -> Effects {
    let mut folding = Folding::default();
    for (name, units) in clusters {
        folding.add(name, units, facts);
    }
    folding.finish()
}

#[derive(Default)]
struct Folding {
    names: Vec<ClusterName>,
    own: Vec<Arc<OwnFacts>>,
    totals: Totals,
    events: Fold<ObjectEvent>,
    effects: Fold<Effect>,
    noise: Fold<ObjectEvent>,
    counts: Noise,
}

impl Folding {
    fn add(&mut self, name: ClusterName, units: Vec<Unit>, facts: &Facts) {
        let own = facts.own(&name);
        let selected: BTreeSet<&str> = units.iter().flat_map(|unit| unit.selected.iter().copied()).collect();
        let (mut events, mut effects, mut noise) = (Vec::new(), Vec::new(), Vec::new());
        for unit in units {
            self.totals.created += unit.totals.created;
            self.totals.updated += unit.totals.updated;
            self.totals.deleted += unit.totals.deleted;
            events.extend(unit.events);
            effects.extend(unit.effects);
            for (kind, event) in unit.noise {
                let count = match kind {
                    // What selects by the label may lose or gain the object.
                    NoiseKind::Label(label) if selected.contains(label) => {
                        events.push(event);
                        continue;
                    }
                    NoiseKind::Label(_) => &mut self.counts.labels,
                    NoiseKind::Annotation => &mut self.counts.annotations,
                    NoiseKind::Description => &mut self.counts.descriptions,
                    NoiseKind::Order => &mut self.counts.orders,
                };
                *count += 1;
                noise.push(event);
            }
        }
        self.totals.clusters += usize::from(!events.is_empty());
        self.events.add(Arc::clone(&own), events);
        self.effects.add(Arc::clone(&own), effects);
        self.noise.add(Arc::clone(&own), noise);
        self.names.push(name);
        self.own.push(own);
    }

    fn finish(mut self) -> Effects {
        let names: Vec<&ClusterName> = self.names.iter().collect();
        let groups = grouped(&names, &self.own, self.events.slots());
        let noise = grouped(&names, &self.own, self.noise.slots());
        let group = |Slot { item, clusters, .. }: Slot<Effect>| {
            let mut clusters: Vec<_> =
                clusters.into_iter().map(|at| self.names[at as usize].clone()).collect();
            clusters.sort_unstable();
            EffectGroup { effect: item, clusters, because: Vec::new() }
        };
        let mut effects: Vec<EffectGroup> = self.effects.slots().into_iter().map(group).collect();
        effects.sort_unstable();
        let (totals, noise) = (self.totals, Noise { groups: noise, ..self.counts });
        Effects { totals, restarts: restarts(&effects), effects, groups, noise }
    }
}

/// Sums up the pods that are replaced.
fn restarts(effects: &[EffectGroup]) -> Option<Restarts> {
    let mut found = Restarts::default();
    let mut workloads: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
    let (mut clusters, mut on_every_node) = (BTreeSet::new(), BTreeSet::new());
    for EffectGroup { effect, clusters: on, .. } in
        effects.iter().filter(|group| group.effect.kind == EffectKind::Restarted)
    {
        let workload = (&effect.addon, &effect.object);
        workloads.entry(&effect.object.kind).or_default().insert(workload);
        clusters.extend(on);
        match effect.pods {
            Some(pods) => found.pods += pods * on.len(),
            None => {
                on_every_node.insert(workload);
            }
        }
    }
    let counted =
        workloads.into_iter().map(|(kind, names)| Workloads { kind: kind.to_owned(), count: names.len() });
    found.workloads = counted.collect();
    found.on_every_node = on_every_node.len();
    found.clusters = clusters.into_iter().cloned().collect();
    (!found.workloads.is_empty()).then_some(found)
}
