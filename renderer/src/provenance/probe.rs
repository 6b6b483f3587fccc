//! Which facts a rendered value depends on: facts are changed, and what becomes of the value is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::Value as Json;

use crate::key_path::Step;
use crate::network::Family;
use crate::problem::Problem;
use crate::templates::Scope;
use crate::tree::Tree;
use crate::yaml::Value;

use super::documents::FileDocuments;
use super::line::{FactLine, Influence, Provenance, masked, name_of};

/// Adds the facts that values depend on; those that a cluster sets itself have theirs already.
pub(crate) fn add_facts(file: FileDocuments<'_>, documents: &[Value], found: &mut [Provenance]) {
    let facts = file.cluster.facts.clone();
    let mut probe = Probe { file, documents, found, facts, lines: BTreeMap::new() };
    let open: Vec<_> = (0..probe.found.len()).filter(|index| probe.found[*index].facts.is_empty()).collect();
    if open.is_empty() {
        return;
    }
    probe.narrow(&mut Vec::new(), file.cluster.facts.facts(), &open);
    for (index, mut lines) in probe.lines {
        lines.sort_by(|a, b| (a.influence, &a.place, &a.path).cmp(&(b.influence, &b.place, &b.path)));
        lines.dedup();
        found[index].facts = lines;
    }
}

/// Changes facts one after the other and looks at what becomes of the values.
struct Probe<'a> {
    file: FileDocuments<'a>,
    /// The file as it is.
    documents: &'a [Value],
    found: &'a [Provenance],
    facts: Scope<'a>,
    /// The facts that each value depends on, by its index.
    lines: BTreeMap<usize, Vec<FactLine>>,
}

impl Probe<'_> {
    /// Changes everything below `at` together; only where that matters for a value, looks at each part.
    ///
    /// Returns the values for which some part of `facts` matters on its own.
    fn narrow(&mut self, at: &mut Vec<Step>, facts: &Json, open: &[usize]) -> BTreeSet<usize> {
        let mut matters = BTreeSet::new();
        for (step, child) in facts.children() {
            at.push(step.owned());
            let influences = self.influences(at, open);
            if !influences.is_empty() {
                let narrower: Vec<_> = influences.iter().map(|(index, _)| *index).collect();
                let answered = self.narrow(at, child, &narrower);
                // Where parts matter only together, the whole is the answer.
                for (index, influence) in influences {
                    matters.insert(index);
                    if !answered.contains(&index) {
                        self.add(index, at, influence);
                    }
                }
            }
            at.pop();
        }
        matters
    }

    fn add(&mut self, index: usize, at: &[Step], influence: Influence) {
        let cluster = self.file.cluster;
        if let Some(place) = cluster.scope.place(at) {
            let facts = cluster.facts.facts();
            let value = facts.at(at).map_or(Json::Null, |value| masked(value, at));
            let line = FactLine { place, fact: name_of(facts, at), value, path: at.to_vec(), influence };
            self.lines.entry(index).or_default().push(line);
        }
    }

    fn influences(&mut self, at: &[Step], open: &[usize]) -> Vec<(usize, Influence)> {
        let Some(part) = part_mut(self.facts.facts_mut(), at) else { return Vec::new() };
        let original = part.clone();
        perturb(part);
        let result = self.file.render_with(&self.facts);
        if let Some(part) = part_mut(self.facts.facts_mut(), at) {
            *part = original;
        }
        open.iter().filter_map(|index| Some((*index, self.influence(*index, &result)?))).collect()
    }

    fn influence<'v>(
        &'v self,
        index: usize,
        result: &'v Result<Vec<Value>, Vec<Problem>>,
    ) -> Option<Influence> {
        let Provenance { document, path, templates, .. } = &self.found[index];
        let value = |documents: &'v [Value]| documents.get(*document).and_then(|document| document.at(path));
        match result {
            // What the change breaks elsewhere in the file proves nothing about this value.
            Err(problems) => {
                let is_own = |problem: &Problem| templates.iter().any(|line| line.place == problem.place);
                problems.iter().any(is_own).then_some(Influence::Presence)
            }
            Ok(documents) => match (value(self.documents), value(documents)) {
                (Some(_), None) => Some(Influence::Presence),
                (before, after) => (before != after).then_some(Influence::Value),
            },
        }
    }
}

/// Returns a part of the facts for changing.
pub(crate) fn part_mut<'f>(facts: &'f mut Json, path: &[Step]) -> Option<&'f mut Json> {
    path.iter().try_fold(facts, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
        Step::Item { .. } => None,
    })
}

/// Changes every scalar to another of its type, each in its own way: facts that were equal must differ afterwards, or
/// what compares them would notice nothing.
pub(crate) fn perturb(value: &mut Json) {
    perturb_each(value, &mut 0);
}

fn perturb_each(value: &mut Json, count: &mut i64) {
    match value {
        Json::Array(items) => items.iter_mut().for_each(|item| perturb_each(item, count)),
        Json::Object(map) => map.values_mut().for_each(|item| perturb_each(item, count)),
        scalar => {
            *count += 1;
            perturb_scalar(scalar, *count);
        }
    }
}

fn perturb_scalar(value: &mut Json, by: i64) {
    match value {
        Json::Null => *value = Json::from(format!("perturbed{by}")),
        Json::Bool(flag) => *flag = !*flag,
        Json::Number(number) => {
            *value = number.as_i64().map_or_else(|| Json::from(0.5), |n| Json::from(n.wrapping_add(by)));
        }
        // An address stays one, of the other family: a template that branches on the family is tested, too.
        Json::String(text) => {
            *text = match Family::of_text(text) {
                Some(Family::V4) => format!("fd00::{by:x}"),
                Some(Family::V6) => Ipv4Addr::from(u32::try_from(by).unwrap_or_default()).to_string(),
                None => format!("{text}~{by}"),
            }
        }
        Json::Array(_) | Json::Object(_) => {}
    }
}
