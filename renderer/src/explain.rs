//! Provenance: which template line and which inventory lines made a rendered value, and the reverse.
//!
//! The template line is known exactly: every inserted value carries its site. Which facts it depends on is found by
//! asking the templates themselves: change a fact, render that one file again, and see whether the value changed. That
//! holds through partials, helpers, loops and conditions alike, and costs a rendering of one file for each question.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value as Json;

use crate::checks::{DocumentKind, Finding, Part};
use crate::inventory::Fact;
use crate::key_path::{Step, is_at_or_below, text_of};
use crate::path::{ClusterName, RepoPath};
use crate::problem::{Place, Position, Problem};
use crate::render::{Rendered, UnitRenderer, UnitTemplate, unit_templates};
use crate::templates::{Budget, MAX_SEARCH_STEPS, Origin, Scope, Site};
use crate::yaml::Value;

/// Where a rendered value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The rendered file.
    pub file: RepoPath,
    /// The document in the file, from 0.
    pub document: usize,
    /// The path of the value in the document.
    #[serde(serialize_with = "path_text")]
    pub path: Vec<Step>,
    /// The template lines that wrote it.
    pub templates: Vec<TemplateLine>,
    /// The inventory lines that it depends on, the nearest first.
    pub facts: Vec<FactLine>,
}

/// A template line that wrote a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TemplateLine {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// What stands between the braces; nothing if the value is written in the template itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// The file whose text is inserted, if it is one.
    #[serde(rename = "inserts", skip_serializing_if = "Option::is_none")]
    pub text: Option<RepoPath>,
}

/// An inventory line that a value depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FactLine {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// The fact as templates see it, such as `hub.addresses.prometheus`.
    pub fact: String,
    #[serde(skip)]
    path: Vec<Step>,
    /// How the value depends on it.
    pub influence: Influence,
}

/// How a rendered value depends on a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Influence {
    /// The value changes with it.
    Value,
    /// It decides whether the value is there.
    Presence,
}

/// A place in a rendered file that a fact reaches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reached {
    /// The rendered file.
    pub file: RepoPath,
    /// The path of the value, `[n]` first where a file has several documents.
    pub path: String,
}

/// Explains the value at `path` of a rendered file; nothing if the file or the path is not there.
///
/// Without a path every leaf of the file is explained. Where a file has several documents, `[n].` in front of the path
/// chooses one.
#[must_use]
pub fn explain(rendered: &Rendered, file: &RepoPath, path: Option<&str>) -> Option<Vec<Provenance>> {
    let cluster = cluster_of(rendered, file)?;
    let scope = rendered.scope(&cluster);
    let budget = Budget::new(MAX_SEARCH_STEPS, &|_| true);
    let units = UnitRenderer::new(&scope, &rendered.catalog, &budget);
    let templates = unit_templates(&rendered.catalog, scope.cluster);
    let template =
        templates.iter().flat_map(|unit| &unit.templates).find(|template| template.writes == *file)?;
    let documents = units.documents(template, &units.facts).ok()?;
    let mut targets = Vec::new();
    for (document, value) in documents.iter().enumerate() {
        let paths = leaves(value).into_iter().map(|(path, _)| path);
        let asked = paths.filter(|steps| path.is_none_or(|path| is_asked(steps, document, path)));
        targets.extend(asked.map(|path| Target { document, path }));
    }
    if targets.is_empty() {
        return None;
    }
    let mut found: Vec<_> = targets.iter().map(|target| written_at(&units, template, target)).collect();
    add_facts(&units, template, &documents, &mut found);
    Some(found)
}

fn is_asked(steps: &[Step], document: usize, path: &str) -> bool {
    let in_document = path.strip_prefix(&format!("[{document}]"));
    let rest = in_document.map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    is_at_or_below(steps, path) || rest.is_some_and(|path| is_at_or_below(steps, path))
}

/// Returns every rendered place that the fact at `key` of an inventory file or an `addon.yaml` reaches, and where the
/// fact stands. A map reaches what the facts in it reach.
///
/// Nothing if the file has no such fact that is in force anywhere.
#[must_use]
pub fn reach(rendered: &Rendered, file: &RepoPath, key: &str) -> Option<(Place, Vec<Reached>)> {
    let facts = facts_at_key(rendered, file, key);
    let place = facts.iter().min_by_key(|(path, place)| (path.len(), place.clone()))?.1.clone();
    let targets: BTreeSet<Place> = facts.into_iter().map(|(_, place)| place).collect();
    let names: Vec<_> = rendered.clusters.keys().collect();
    let reached = names.into_par_iter().flat_map_iter(|name| reach_in_cluster(rendered, name, &targets));
    Some((place, reached.collect::<BTreeSet<_>>().into_iter().collect()))
}

fn reach_in_cluster(rendered: &Rendered, name: &ClusterName, targets: &BTreeSet<Place>) -> Vec<Reached> {
    let scope = rendered.scope(name);
    let budget = Budget::new(MAX_SEARCH_STEPS, &|_| true);
    let units = UnitRenderer::new(&scope, &rendered.catalog, &budget);
    let mut hits = Vec::new();
    find_facts(&units, &mut Vec::new(), units.facts.facts(), targets, &mut hits);
    let mut facts = units.facts.facts().clone();
    for path in &hits {
        if let Some(fact) = part_mut(&mut facts, path) {
            perturb(fact);
        }
    }
    let changed = Scope::new(facts).within(&budget);
    let templates = unit_templates(&rendered.catalog, scope.cluster);
    let mut reached = Vec::new();
    for template in templates.iter().flat_map(|unit| &unit.templates) {
        if !hits.is_empty() {
            reached.extend(differences(&units, template, &changed));
        }
        reached.extend(overridden(&units, template, targets));
    }
    reached
}

/// Returns the line that a person must edit to set right what a check found: an override, a fact, or the template.
///
/// A value that is not just a fact is made in the template: the facts in it may well be right.
pub(crate) fn place_to_edit(
    renderer: &UnitRenderer<'_>,
    template: &UnitTemplate<'_>,
    document: usize,
    finding: &Finding,
) -> Place {
    let target = Target { document, path: finding.path.clone() };
    let place = match finding.part {
        Part::Value => None,
        Part::Key => key_place(renderer, template, &target),
        Part::Line(line) => line_place(renderer, template, &target, line),
        Part::Insertion => {
            written_at(renderer, template, &target).templates.into_iter().next().map(|line| line.place)
        }
    };
    place.or_else(|| value_place(renderer, template, &target)).unwrap_or_else(|| {
        let file = template.template.unwrap_or(&template.writes).clone();
        Place { file, position: Position::START }
    })
}

fn key_place(renderer: &UnitRenderer<'_>, template: &UnitTemplate<'_>, target: &Target) -> Option<Place> {
    let overridden = template.addon.and_then(|addon| renderer.scope.override_key_place(addon, &target.path));
    overridden.or_else(|| {
        let expand = renderer.expand(template, template.template?, &renderer.facts);
        renderer.catalog.templates.key_place(expand, target.document, &target.path)
    })
}

fn line_place(
    renderer: &UnitRenderer<'_>,
    template: &UnitTemplate<'_>,
    target: &Target,
    line: usize,
) -> Option<Place> {
    if let Some(addon) = template.addon
        && renderer.scope.override_place(addon, &target.path).is_some()
    {
        return None;
    }
    let expand = renderer.expand(template, template.template?, &renderer.facts);
    renderer.catalog.templates.line_place(expand, target.document, &target.path, line)
}

fn value_place(renderer: &UnitRenderer<'_>, template: &UnitTemplate<'_>, target: &Target) -> Option<Place> {
    let mut found = [written_at(renderer, template, target)];
    if let [fact] = found[0].facts.as_slice() {
        return Some(fact.place.clone());
    }
    let line = found[0].templates.first()?.clone();
    if let Some(text) = line.text {
        return Some(Place { file: text, position: Position::START });
    }
    if line.expression.is_some() {
        let documents = renderer.documents(template, &renderer.facts).unwrap_or_default();
        add_facts(renderer, template, &documents, &mut found);
        let value = value_at(&documents, target.document, &target.path)?.to_json();
        let is_all = |fact: &&FactLine| {
            renderer.scope.is_written(&fact.path) && part(renderer.facts.facts(), &fact.path) == Some(&value)
        };
        let [Provenance { facts, .. }] = &found;
        if let Some(fact) = facts.iter().find(is_all) {
            return Some(fact.place.clone());
        }
    }
    Some(line.place)
}

/// A node of a rendered file.
struct Target {
    document: usize,
    path: Vec<Step>,
}

/// Finds what wrote a node: the cluster's override, or lines of the template.
fn written_at(renderer: &UnitRenderer<'_>, template: &UnitTemplate<'_>, target: &Target) -> Provenance {
    let (document, path) = (target.document, &target.path);
    let mut provenance = Provenance {
        file: template.writes.clone(),
        document,
        path: path.clone(),
        templates: Vec::new(),
        facts: Vec::new(),
    };
    if let Some(addon) = template.addon
        && let Some(place) = renderer.scope.override_place(addon, path)
    {
        let fact = format!("addons.{}.values.{}", addon.name, text_of(path));
        let path = path.clone();
        provenance.facts.push(FactLine { place, fact, path, influence: Influence::Value });
        return provenance;
    }
    let origin = template.template.and_then(|source| {
        let expand = renderer.expand(template, source, &renderer.facts);
        // A value that is not there comes from where it would have been written: the nearest node above.
        (0..=path.len())
            .rev()
            .find_map(|length| renderer.catalog.templates.origin(expand, document, &path[..length]))
    });
    provenance.templates = match origin {
        Some(Origin::Literal(place)) => vec![TemplateLine { place, expression: None, text: None }],
        Some(Origin::Inserted(sites)) => {
            let line = |site: Site| {
                let Site { place, expression, text } = site;
                TemplateLine { place, expression: Some(expression), text }
            };
            sites.into_iter().map(line).collect()
        }
        None => Vec::new(),
    };
    provenance
}

/// Adds the facts that values depend on; those that a cluster sets itself have theirs already.
fn add_facts(
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
    for (question, lines) in std::mem::take(&mut probe.lines) {
        let mut lines: Vec<_> = lines.into_iter().collect();
        lines.sort_by_key(|line| line.influence);
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
    lines: BTreeMap<usize, BTreeSet<FactLine>>,
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
            let line = FactLine { place, fact: text_of(at), path: at.to_vec(), influence };
            self.lines.entry(question).or_default().insert(line);
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

fn path_text<S: serde::Serializer>(path: &[Step], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text_of(path))
}

fn value_at<'v>(documents: &'v [Value], document: usize, path: &[Step]) -> Option<&'v Value> {
    path.iter().try_fold(documents.get(document)?, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.as_list()?.get(*index),
    })
}

fn children(facts: &Json) -> Vec<(Step, &Json)> {
    match facts {
        Json::Array(items) => items.iter().enumerate().map(|(at, item)| (Step::Index(at), item)).collect(),
        Json::Object(map) => map.iter().map(|(key, item)| (Step::Key(key.clone()), item)).collect(),
        _ => Vec::new(),
    }
}

fn part<'f>(facts: &'f Json, path: &[Step]) -> Option<&'f Json> {
    path.iter().try_fold(facts, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })
}

fn part_mut<'f>(facts: &'f mut Json, path: &[Step]) -> Option<&'f mut Json> {
    path.iter().try_fold(facts, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    })
}

/// Changes every scalar to another of its type, each in its own way: facts that were equal must differ afterwards, or
/// what compares them would notice nothing.
fn perturb(value: &mut Json) {
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
        Json::String(text) => *text = format!("{text}~{by}"),
        Json::Array(_) | Json::Object(_) => {}
    }
}

fn cluster_of(rendered: &Rendered, file: &RepoPath) -> Option<ClusterName> {
    let name = file.components().nth(1)?;
    rendered.clusters.get(name).map(|cluster| cluster.name.clone())
}

/// Finds the facts at or below `key` that are written in a file and in force somewhere, with their places.
fn facts_at_key(rendered: &Rendered, file: &RepoPath, key: &str) -> BTreeSet<(Vec<Step>, Place)> {
    let fleet = std::iter::once(&rendered.inventory.fleet.origin);
    let clusters = rendered.inventory.clusters.values().map(|cluster| &cluster.origin);
    let addons = rendered.catalog.addons.values().map(|addon| &addon.origin);
    let facts = fleet.chain(clusters).chain(addons).flat_map(Fact::all);
    facts
        .filter(|(path, fact)| fact.file() == file && is_at_or_below(path, key))
        .map(|(path, fact)| (path, fact.own_place()))
        .collect()
}

/// Collects the paths of the facts that were written at `targets`, as the templates of a cluster see them.
fn find_facts(
    renderer: &UnitRenderer<'_>,
    at: &mut Vec<Step>,
    facts: &Json,
    targets: &BTreeSet<Place>,
    found: &mut Vec<Vec<Step>>,
) {
    for (step, child) in children(facts) {
        at.push(step);
        let is_leaf = !matches!(child, Json::Array(_) | Json::Object(_));
        if is_leaf && renderer.scope.place(at).is_some_and(|place| targets.contains(&place)) {
            found.push(at.clone());
        } else {
            find_facts(renderer, at, child, targets, found);
        }
        at.pop();
    }
}

fn differences(
    renderer: &UnitRenderer<'_>,
    template: &UnitTemplate<'_>,
    changed: &Scope<'_>,
) -> Vec<Reached> {
    let before = renderer.documents(template, &renderer.facts).unwrap_or_default();
    let reached = |document: usize, path: &[Step]| Reached {
        file: template.writes.clone(),
        path: match before.len() {
            0 | 1 => text_of(path),
            _ => format!("[{document}].{}", text_of(path)),
        },
    };
    let Ok(after) = renderer.documents(template, changed) else {
        return vec![reached(0, &[])];
    };
    let count = before.len().max(after.len());
    (0..count)
        .flat_map(|document| {
            let leaves_of = |documents: &[Value]| -> BTreeMap<Vec<Step>, Value> {
                documents
                    .get(document)
                    .map(leaves)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(at, v)| (at, v.clone()))
                    .collect()
            };
            let (old, new) = (leaves_of(&before), leaves_of(&after));
            let changed: BTreeSet<_> =
                old.keys().chain(new.keys()).filter(|at| old.get(*at) != new.get(*at)).cloned().collect();
            changed.into_iter().map(|at| reached(document, &at)).collect::<Vec<_>>()
        })
        .collect()
}

/// Returns the places of a rendered file that an override at one of `targets` writes.
fn overridden(
    renderer: &UnitRenderer<'_>,
    template: &UnitTemplate<'_>,
    targets: &BTreeSet<Place>,
) -> Vec<Reached> {
    let Some(addon) = template.addon.filter(|_| template.kind == DocumentKind::Values) else {
        return Vec::new();
    };
    let is_target = |path: &[Step]| {
        renderer.scope.override_place(addon, path).is_some_and(|place| targets.contains(&place))
    };
    if !renderer.scope.overrides(addon) {
        return Vec::new();
    }
    let documents = renderer.documents(template, &renderer.facts).unwrap_or_default();
    let Some(document) = documents.first() else { return Vec::new() };
    leaves(document)
        .into_iter()
        .filter(|(path, _)| is_target(path))
        .map(|(path, _)| Reached { file: template.writes.clone(), path: text_of(&path) })
        .collect()
}

fn leaves(value: &Value) -> Vec<(Vec<Step>, &Value)> {
    let mut found = Vec::new();
    collect_leaves(value, &mut Vec::new(), &mut found);
    found
}

fn collect_leaves<'v>(value: &'v Value, path: &mut Vec<Step>, found: &mut Vec<(Vec<Step>, &'v Value)>) {
    match value {
        Value::Map(map) if !map.is_empty() => {
            for (key, value) in map.iter() {
                path.push(Step::Key(key.to_owned()));
                collect_leaves(value, path, found);
                path.pop();
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                path.push(Step::Index(index));
                collect_leaves(item, path, found);
                path.pop();
            }
        }
        leaf => found.push((path.clone(), leaf)),
    }
}
