//! What a change does to final objects, by both of its sides.

use std::collections::BTreeMap;

use rayon::prelude::*;
use renderer::effects::{self, Effects, Unit, compare};
use renderer::path::{AddonName, ClusterName};
use renderer::plan::Facts;
use renderer::problem::Problem;
use renderer::render::Rendered;

use super::fleet::{Changed, Parts, Place};

/// The Applications of a change: each before and after.
type Pairs<'p> = BTreeMap<Place, [Option<&'p Parts>; 2]>;

impl Changed {
    /// Compares the objects of both sides, or returns what is wrong with them.
    ///
    /// What `head` accepts about an add-on is accepted before the change, too: otherwise nobody could see the change that
    /// accepts it.
    pub fn effects(&self, base: &Rendered, head: &Rendered, facts: &Facts) -> Result<Effects, Vec<Problem>> {
        let pairs: Vec<_> = self.pairs().into_iter().collect();
        let units: Vec<_> = pairs
            .par_iter()
            .map(|((cluster, application), [old, new])| {
                let before = old.map(|old| old.objects(head).or_else(|_| old.objects(base))).transpose()?;
                let after = new.map(|new| new.objects(head)).transpose()?;
                if let Some((new, after)) = new.zip(after.as_ref()) {
                    let problems = renderer::deployed::judged(head, &[new.made(after)]);
                    if !problems.is_empty() {
                        return Err(problems);
                    }
                }
                let addon = [new, old].into_iter().flatten().find_map(|parts| parts.addon.clone());
                // What is a cluster's own has no add-on; its Application has a name all the same.
                let addon = addon.or_else(|| AddonName::parse(application).ok());
                let nodes = [head, base].iter().find_map(|side| side.inventory.clusters.get(cluster));
                let nodes = nodes.map(|cluster| cluster.nodes.len()).filter(|count| *count > 0);
                Ok(addon.map(|addon| compare(&addon, before.as_deref(), after.as_deref(), nodes)))
            })
            .collect();
        let (mut clusters, mut problems) = (BTreeMap::<ClusterName, Vec<Unit>>::new(), Vec::new());
        for (((cluster, _), _), unit) in pairs.into_iter().zip(units) {
            match unit {
                Ok(unit) => clusters.entry(cluster).or_default().extend(unit),
                Err(more) => problems.extend::<Vec<Problem>>(more),
            }
        }
        if problems.is_empty() {
            Ok(effects::effects(clusters, facts))
        } else {
            Err(renderer::deployed::merged(problems))
        }
    }

    fn pairs(&self) -> Pairs<'_> {
        let mut pairs = Pairs::new();
        for (side, parts) in [&self.old, &self.new].into_iter().enumerate() {
            for parts in parts {
                pairs.entry(parts.place()).or_default()[side] = Some(parts);
            }
        }
        pairs
    }
}
