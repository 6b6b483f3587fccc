//! Which facts a rendered value depends on: facts are changed, and what becomes of the value is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::Value as Json;

use crate::key_path::Step;
use crate::network::Family;
use crate::problem::Problem;
use crate::render::{UnitRenderer, UnitTemplate};
use crate::templates::Scope;
use crate::tree::Tree;
use crate::yaml::Value;

use super::{FactLine, Influence, Provenance, TemplateLine, masked, name_of, value_at};

/// Adds the facts that values depend on; those that a cluster sets itself have theirs already.
pub(super) fn add_facts(
    renderer: &UnitRenderer<'_>,
    template: &UnitTemplate<'_>,
    documents: &[Value],
    found: &mut [Provenance],
) {
    let mut probe = Probe { renderer, template, facts: renderer.perturbable(), lines: BTreeMap::new() };
    let open: Vec<_> = (0..found.len()).filter(|index| found[*index].facts.is_empty()).collect();
    let questions: Vec<_> = open
        .iter()
        .map(|index| {
            let Provenance { document, path, templates, .. } = &found[*index];
            Question { document: *document, path, templates, value: value_at(documents, *document, path) }
        })
        .collect();
    let all: Vec<_> = (0..questions.len()).collect();
    probe.narrow(&mut Vec::new(), renderer.facts.facts(), &questions, &all);
    for (question, mut lines) in std::mem::take(&mut probe.lines) {
        lines.sort_by(|a, b| (a.influence, &a.place, &a.path).cmp(&(b.influence, &b.place, &b.path)));
        lines.dedup();
        found[open[question]].facts = lines;
    }
}

/// Asks which facts a rendered value depends on.
struct Question<'a> {
    document: usize,
    path: &'a [Step],
    templates: &'a [TemplateLine],
    value: Option<&'a Value>,
}

/// Changes facts one after the other and looks at what becomes of the values that are asked about.
struct Probe<'a> {
    renderer: &'a UnitRenderer<'a>,
    template: &'a UnitTemplate<'a>,
    facts: Scope<'a>,
    lines: BTreeMap<usize, Vec<FactLine>>,
}

impl Probe<'_> {
    /// Changes everything below `at` together; only where that matters, asks about each part.
    ///
    /// Returns the questions for which some part of `facts` matters on its own.
    fn narrow(
        &mut self,
        at: &mut Vec<Step>,
        facts: &Json,
        questions: &[Question<'_>],
        open: &[usize],
    ) -> BTreeSet<usize> {
        let mut matters = BTreeSet::new();
        for (step, child) in children(facts) {
            at.push(step);
            let influences = self.influences(at, questions, open);
            if !influences.is_empty() {
                let narrower: Vec<_> = influences.iter().map(|(question, _)| *question).collect();
                let answered = self.narrow(at, child, questions, &narrower);
                // Where parts matter only together, the whole is the answer.
                for (question, influence) in influences {
                    matters.insert(question);
                    if !answered.contains(&question) {
                        self.add(question, at, influence);
                    }
                }
            }
            at.pop();
        }
        matters
    }

    fn add(&mut self, question: usize, at: &[Step], influence: Influence) {
        if let Some(place) = self.renderer.scope.place(at) {
            let facts = self.renderer.facts.facts();
            let value = part(facts, at).map_or(Json::Null, |value| masked(value, at));
            let line = FactLine { place, fact: name_of(facts, at), value, path: at.to_vec(), influence };
            self.lines.entry(question).or_default().push(line);
        }
    }

    fn influences(
        &mut self,
        at: &[Step],
        questions: &[Question<'_>],
        open: &[usize],
    ) -> Vec<(usize, Influence)> {
        let Some(part) = part_mut(self.facts.facts_mut(), at) else { return Vec::new() };
        let original = part.clone();
        perturb(part);
        let result = self.renderer.documents(self.template, &self.facts);
        if let Some(part) = part_mut(self.facts.facts_mut(), at) {
            *part = original;
        }
        let influence = |index: &usize| Some((*index, questions[*index].influence(&result)?));
        open.iter().filter_map(influence).collect()
    }
}

impl Question<'_> {
    fn influence(&self, result: &Result<Vec<Value>, Vec<Problem>>) -> Option<Influence> {
        match result {
            // What the change breaks elsewhere in the file says nothing about this value.
            Err(problems) => {
                let is_own =
                    |problem: &Problem| self.templates.iter().any(|line| line.place == problem.place);
                problems.iter().any(is_own).then_some(Influence::Presence)
            }
            Ok(documents) => match value_at(documents, self.document, self.path) {
                None if self.value.is_some() => Some(Influence::Presence),
                value if value == self.value => None,
                _ => Some(Influence::Value),
            },
        }
    }
}

pub(super) fn children(facts: &Json) -> Vec<(Step, &Json)> {
    match facts {
        Json::Array(items) => items.iter().enumerate().map(|(at, item)| (Step::Index(at), item)).collect(),
        Json::Object(map) => map.iter().map(|(key, item)| (Step::Key(key.clone()), item)).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn part<'f>(facts: &'f Json, path: &[Step]) -> Option<&'f Json> {
    facts.at(path)
}

pub(super) fn part_mut<'f>(facts: &'f mut Json, path: &[Step]) -> Option<&'f mut Json> {
    path.iter().try_fold(facts, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
        Step::Item { .. } => None,
    })
}

/// Changes every scalar to another of its type, each in its own way: facts that were equal must differ afterwards, or
/// what compares them would notice nothing.
pub(super) fn perturb(value: &mut Json) {
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
        // An address stays one, of the other family: what asks for the family is asked, too.
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
