//! The lines to edit: which lines of templates and of the inventory made what a plan changes.
//!
//! Each question renders one file several times, so that there is a bound on the files that are asked about.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::explain::{Influence, Provenance};
use crate::path::{ClusterName, RepoPath};
use crate::plan::explained::Explained;
use crate::plan::group::{Entry, Event, Foldable as _, events, file_label, place};
use crate::plan::model::{Change, Plan};
use crate::plural::counted;
use crate::render::Rendered;

/// How many lines are shown of one change.
const MAX_LINES: usize = 4;

/// The lines that made what a plan changes.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<(ClusterName, String), Vec<Source>>);

/// A line to edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Source {
    pub place: String,
    pub what: String,
}

impl Sources {
    /// Finds the lines of what a plan changes from `base` to `head`, in some of its files.
    #[must_use]
    pub fn find(plan: &Plan, base: &Rendered, head: &Rendered) -> Self {
        let mut files = Files { plan, explained: Explained::new(base, head) };
        let groups = plan.groups();
        let entries = groups.iter().flat_map(|group| &group.entries);
        let found = entries.filter_map(|entry| Some((key(entry)?, files.lines(entry)?)));
        Self(found.collect())
    }

    /// Returns the lines of an entry.
    pub(super) fn of(&self, entry: &Entry) -> &[Source] {
        key(entry).and_then(|key| self.0.get(&key)).map_or(&[], Vec::as_slice)
    }
}

fn key(entry: &Entry) -> Option<(ClusterName, String)> {
    let Event::Setting { file, change } = &entry.event else { return None };
    Some((entry.example.clone(), place(file, change)))
}

/// The files that are asked about.
struct Files<'a> {
    plan: &'a Plan,
    explained: Explained<'a>,
}

impl Files<'_> {
    fn lines(&mut self, entry: &Entry) -> Option<Vec<Source>> {
        let (path, change) = self.as_it_is(entry)?;
        Some(sources(self.explained.setting(&entry.example, &path, &change)?))
    }

    /// Returns what an entry is on its example, with the cluster's own names and addresses in it.
    fn as_it_is(&self, entry: &Entry) -> Option<(RepoPath, Change)> {
        let name = &entry.example;
        let cluster = self.plan.clusters.get(name)?;
        let own = self.plan.facts.own(name);
        let is_it = |event: &Event| {
            *event == entry.event
                || event.general(&own, true) == entry.event
                || event.general(&own, false) == entry.event
        };
        let Event::Setting { file, change } = events(name, cluster).into_iter().find(is_it)? else {
            return None;
        };
        let path = cluster.files().find(|plan| file_label(&plan.path, name) == file)?.path.clone();
        Some((path, change))
    }
}

/// Returns the lines that made some values: facts before templates, each once, and how many more there are.
fn sources<'p>(found: impl Iterator<Item = &'p Provenance> + Clone) -> Vec<Source> {
    let facts =
        found.clone().flat_map(|value| &value.facts).filter(|fact| fact.influence == Influence::Value);
    let facts = facts.map(|fact| Source { place: fact.place.to_string(), what: fact.fact.clone() });
    let templates = found.flat_map(|value| &value.templates).map(|line| Source {
        place: line.place.to_string(),
        what: line.expression.as_ref().map(|text| format!("{{{{{text}}}}}")).unwrap_or_default(),
    });
    let mut lines: Vec<Source> = Vec::new();
    for line in facts.chain(templates) {
        if !lines.iter().any(|known| known.place == line.place) {
            lines.push(line);
        }
    }
    let more = lines.len().saturating_sub(MAX_LINES);
    if more > 1 {
        lines.truncate(MAX_LINES);
        lines.push(Source { place: String::new(), what: format!("and {}", counted(more, "more line")) });
    }
    lines
}
