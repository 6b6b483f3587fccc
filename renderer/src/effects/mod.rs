//! What becomes of the final objects, and what that does to what runs.
//!
//! Compares the objects of add-ons on clusters before and after, as they will be applied. Knows nothing of how they are
//! made.
//!
//! The stages: `objects` pairs and compares the objects of one add-on on one cluster, `noise` tells what changes nothing
//! that runs, and `pods`, `image`, `access`, `reach`, `definitions` and `lifecycle` find effects; `fold` puts together
//! what is the same on many clusters, all of which is the `model`; `because` names the lines to edit behind it, and `show`
//! writes what people read.

mod access;
mod because;
mod definitions;
mod fold;
mod found;
mod image;
mod kind;
mod lifecycle;
mod model;
mod noise;
mod objects;
mod pods;
mod reach;
mod show;

use crate::manifests::Object;
use crate::path::AddonName;

pub use because::name_lines;
pub use fold::effects;
pub use kind::EffectKind;
pub use model::{Effect, EffectGroup, Effects, Noise, ObjectEvent, Restarts, Totals, Unit, Workloads};
pub use show::{EFFECTS, full, headline, markdown, summary};

/// What finds effects of an object.
const FINDERS: [found::Finder; 12] = [
    definitions::definitions,
    definitions::webhooks,
    lifecycle::deletions,
    lifecycle::disruptions,
    lifecycle::refusals,
    lifecycle::scales,
    pods::images,
    pods::privileges,
    pods::restarts,
    pods::volumes,
    reach::addresses,
    reach::policies,
];

/// Compares the objects of an add-on on a cluster: `before` is `None` if the add-on comes, `after` if it goes. `nodes` is
/// how many nodes the cluster has, if that is known.
#[must_use]
pub fn compare(
    addon: &AddonName,
    before: Option<&[Object]>,
    after: Option<&[Object]>,
    nodes: Option<usize>,
) -> Unit {
    let (objects, mut unit) = objects::compared(addon, before, after, nodes);
    for pair in &objects.pairs {
        unit.effects.extend(FINDERS.iter().flat_map(|find| find(&objects, pair)));
    }
    unit.effects.extend(access::permissions(&objects));
    unit
}

#[cfg(test)]
mod tests;
