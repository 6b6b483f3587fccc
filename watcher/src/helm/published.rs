//! The objects of charts that are published in their place: made for a whole fleet, and each written into files of its
//! add-on.

use std::collections::BTreeSet;

use rayon::prelude::*;
use renderer::deployed::{self, Deployed, KEEP_CHART};
use renderer::path::{AddonName, ClusterName};
use renderer::plural::quoted_up_to;
use renderer::problem::Problem;
use renderer::render::{Progress, Rendered};

use super::bound::Bound;
use super::fleet::Making;
use super::side::Side;
use crate::charts::ChartError;
use crate::error::CommandError;

/// How many add-ons a message names.
const MAX_NAMED: usize = 3;

/// An add-on on a cluster.
type Placed = (ClusterName, AddonName);

impl Making {
    /// Adds the objects of the charts whose objects are published, or returns what keeps any of them from it: either all of
    /// them are there, or nothing is.
    pub fn published(
        &self,
        rendered: &Rendered,
        bound: Bound,
        progress: &(dyn Progress + Sync),
    ) -> Result<Rendered, CommandError> {
        let wanted = deployed::publishing(rendered);
        if wanted.is_empty() {
            return Ok(rendered.clone());
        }
        let problems_of = |problems| CommandError::Problems { problems: deployed::merged(problems) };
        let mut charted = deployed::with_charts(rendered).map_err(problems_of)?;
        // Else a rendering would depend on files that are none of its sources.
        let side = Side::of_rendered(&mut charted);
        let place = |it: &Deployed| Some((it.cluster.clone(), it.addon.clone()?));
        let is_wanted = |it: &Deployed| place(it).is_some_and(|place| wanted.contains(&place));
        let parts = self.parts(&side, &is_wanted, bound, progress)?;
        let made: Vec<_> = parts
            .par_iter()
            .filter(|parts| parts.has_charts() || !parts.unread.is_empty())
            .filter_map(|parts| {
                let addon = parts.addon.clone()?;
                let objects = parts.of_charts(rendered);
                let files = objects.and_then(|it| deployed::written(rendered, (&parts.cluster, &addon), it));
                Some(((parts.cluster.clone(), addon), files))
            })
            .collect();
        let (mut files, mut problems, mut found) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (place, made) in made {
            if !found.insert(place.clone()) {
                problems.extend(fault(rendered, &place, "several Applications would call its chart"));
            }
            match made {
                Ok(made) => files.push((place, made)),
                Err(more) => problems.extend(more),
            }
        }
        let uncalled = wanted.difference(&found);
        problems.extend(uncalled.filter_map(|it| fault(rendered, it, "no Application would call its chart")));
        if !problems.is_empty() {
            return Err(problems_of(problems));
        }
        let whole = rendered.with_objects(files);
        let unread = deployed::not_read(&whole);
        if unread.is_empty() { Ok(whole) } else { Err(problems_of(unread)) }
    }
}

fn fault(rendered: &Rendered, (cluster, addon): &Placed, message: &str) -> Option<Problem> {
    deployed::not_published(rendered, (cluster, addon), message)
}

/// Names the add-ons whose objects are not published since a chart did not come.
#[must_use]
pub fn unpublished(rendered: &Rendered, error: ChartError) -> ChartError {
    let wanted = deployed::publishing(rendered);
    let addons: BTreeSet<&AddonName> = wanted.iter().map(|(_, addon)| addon).collect();
    let what = format!("the objects of {} are not published", quoted_up_to(MAX_NAMED, addons));
    error.keeping(&what, KEEP_CHART)
}
