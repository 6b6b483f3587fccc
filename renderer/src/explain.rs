//! Provenance: which template line and which inventory lines made a rendered value, and the reverse.
//!
//! The template line is known exactly: every inserted value carries its site. Which facts it depends on is found by
//! asking the templates themselves: change a fact, render that one file again, and see whether the value changed. That
//! holds through partials, helpers, loops and conditions alike, and costs a rendering of one file for each question.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;

use crate::key_path::{Step, is_at_or_below, text_of};
use crate::path::{ClusterName, RepoPath};
use crate::problem::{Place, Position};
use crate::render::{Rendered, UnitRenderer, UnitTemplate, unit_templates};
use crate::templates::{Origin, Scope};
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
}

/// An inventory line that a value depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FactLine {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// The fact as templates see it, such as `hub.addresses.prometheus`.
    pub fact: String,
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
/// Without a path every leaf of the file is explained.
#[must_use]
pub fn explain(rendered: &Rendered, file: &RepoPath, path: Option<&str>) -> Option<Vec<Provenance>> {
    let cluster = cluster_of(rendered, file)?;
    let scope = rendered.scope(&cluster);
    let renderer = UnitRenderer::new(&scope, &rendered.catalog);
    let units = unit_templates(&rendered.catalog, scope.cluster);
    let template = units.iter().flat_map(|unit| &unit.templates).find(|template| template.writes == *file)?;
    let documents = renderer.documents(template, &renderer.facts).ok()?;
    let mut found = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        for (steps, _) in leaves(document) {
            if path.is_none_or(|path| is_at_or_below(&steps, path)) {
                found.push(provenance(&renderer, template, index, &documents, steps));
            }
        }
    }
    if found.is_empty() { None } else { Some(found) }
}

/// Returns every rendered place that the fact at `key` of an inventory file reaches, and where the fact stands.
///
/// Nothing if the file has no such fact.
#[must_use]
pub fn reach(rendered: &Rendered, file: &RepoPath, key: &str) -> Option<(Place, Vec<Reached>)> {
    let target = fact_place(rendered, file, key)?;
    let mut reached = BTreeSet::new();
    for name in rendered.clusters.keys() {
        let scope = rendered.scope(name);
        let renderer = UnitRenderer::new(&scope, &rendered.catalog);
        let mut facts = renderer.facts.facts().clone();
        let hits = facts_at(&renderer, &mut Vec::new(), renderer.facts.facts(), &target);
        for path in &hits {
            perturb_at(&mut facts, path);
        }
        let changed = Scope::new(facts);
        for template in
            unit_templates(&rendered.catalog, scope.cluster).iter().flat_map(|unit| &unit.templates)
        {
            if !hits.is_empty() {
                reached.extend(differences(&renderer, template, &changed));
            }
            reached.extend(overridden(&renderer, template, &target));
        }
    }
    Some((target, reached.into_iter().collect()))
}

/// Returns the line that a person must edit to change the value at `path`: an override, a fact, or the template.
pub(crate) fn place_to_edit(
    renderer: &UnitRenderer<'_>,
    template: &UnitTemplate<'_>,
    document: usize,
    path: &[Step],
) -> Place {
    let documents = renderer.documents(template, &renderer.facts).unwrap_or_default();
    let provenance = provenance(renderer, template, document, &documents, path.to_vec());
    let fact =
        provenance.facts.into_iter().find(|fact| fact.influence == Influence::Value).map(|fact| fact.place);
    let line = provenance.templates.into_iter().next().map(|line| line.place);
    fact.or(line).unwrap_or_else(|| {
        let file = template.template.unwrap_or(&template.writes).clone();
        Place { file, position: Position::START }
    })
}

/// Returns the line that a person must edit to change the last key of `path` itself.
pub(crate) fn key_to_edit(
    renderer: &UnitRenderer<'_>,
    template: &UnitTemplate<'_>,
    document: usize,
    path: &[Step],
) -> Place {
    let overridden = template.addon.and_then(|addon| renderer.scope.override_key_place(addon, path));
    let written = || {
        let expand = renderer.expand(template, template.template?, &renderer.facts);
        renderer.catalog.templates.key_place(expand, document, path)
    };
    overridden.or_else(written).unwrap_or_else(|| place_to_edit(renderer, template, document, path))
}

fn provenance(
    renderer: &UnitRenderer<'_>,
    template: &UnitTemplate<'_>,
    document: usize,
    documents: &[Value],
    path: Vec<Step>,
) -> Provenance {
    let file = template.writes.clone();
    if let Some(place) = template.addon.and_then(|addon| renderer.scope.override_place(addon, &path)) {
        let name = template.addon.map_or("", |addon| addon.name.as_str());
        let fact = format!("addons.{name}.values.{}", text_of(&path));
        let facts = vec![FactLine { place, fact, influence: Influence::Value }];
        return Provenance { file, document, path, templates: Vec::new(), facts };
    }
    let origin = template.template.and_then(|source| {
        let expand = renderer.expand(template, source, &renderer.facts);
        // A value that is not there comes from where it would have been written: the nearest node above.
        (0..=path.len())
            .rev()
            .find_map(|length| renderer.catalog.templates.origin(expand, document, &path[..length]))
    });
    let (templates, is_inserted) = match origin {
        Some(Origin::Literal(place)) => (vec![TemplateLine { place, expression: None }], false),
        Some(Origin::Inserted(sites)) => {
            let lines = sites
                .into_iter()
                .map(|site| TemplateLine { place: site.place, expression: Some(site.expression) });
            (lines.collect(), true)
        }
        None => (Vec::new(), false),
    };
    let probe =
        Probe { renderer, template, document, path: &path, value: value_at(documents, document, &path) };
    let mut facts = if is_inserted { probe.facts() } else { Vec::new() };
    facts.sort_by_key(|fact| fact.influence);
    Provenance { file, document, path, templates, facts }
}

/// Asks which facts a rendered value depends on.
struct Probe<'a> {
    renderer: &'a UnitRenderer<'a>,
    template: &'a UnitTemplate<'a>,
    document: usize,
    path: &'a [Step],
    value: Option<&'a Value>,
}

impl Probe<'_> {
    fn facts(&self) -> Vec<FactLine> {
        let mut found = BTreeMap::new();
        self.narrow(&mut Vec::new(), self.renderer.facts.facts(), &mut found);
        found.into_values().collect()
    }

    /// Changes everything below `at` together; only where that matters, asks about each part.
    ///
    /// Returns whether some part of `facts` matters on its own.
    fn narrow(&self, at: &mut Vec<Step>, facts: &Json, found: &mut BTreeMap<Place, FactLine>) -> bool {
        let mut matters = false;
        for (step, child) in children(facts) {
            at.push(step);
            if let Some(influence) = self.influence(at) {
                matters = true;
                // Where parts matter only together, the whole is the answer.
                if !self.narrow(at, child, found) {
                    self.add(at, influence, found);
                }
            }
            at.pop();
        }
        matters
    }

    fn add(&self, at: &[Step], influence: Influence, found: &mut BTreeMap<Place, FactLine>) {
        if let Some(place) = self.renderer.scope.place(at) {
            found.entry(place.clone()).or_insert(FactLine { place, fact: text_of(at), influence });
        }
    }

    fn influence(&self, at: &[Step]) -> Option<Influence> {
        let mut facts = self.renderer.facts.facts().clone();
        perturb_at(&mut facts, at);
        match self.renderer.documents(self.template, &Scope::new(facts)) {
            Err(_) => Some(Influence::Presence),
            Ok(documents) => match value_at(&documents, self.document, self.path) {
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

fn perturb_at(facts: &mut Json, path: &[Step]) {
    let target = path.iter().try_fold(facts, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    });
    if let Some(target) = target {
        perturb(target);
    }
}

/// Changes every scalar to another of its type.
fn perturb(value: &mut Json) {
    match value {
        Json::Null => *value = Json::from("perturbed"),
        Json::Bool(flag) => *flag = !*flag,
        Json::Number(number) => {
            *value = number.as_i64().map_or_else(|| Json::from(0.5), |n| Json::from(n.wrapping_add(1)))
        }
        Json::String(text) => text.push('~'),
        Json::Array(items) => items.iter_mut().for_each(perturb),
        Json::Object(map) => map.values_mut().for_each(perturb),
    }
}

fn cluster_of(rendered: &Rendered, file: &RepoPath) -> Option<ClusterName> {
    let name = file.components().nth(1)?;
    rendered.clusters.get(name).map(|cluster| cluster.name.clone())
}

/// Finds the fact at `key` of an inventory file: in a cluster's own facts, or in those of the fleet.
fn fact_place(rendered: &Rendered, file: &RepoPath, key: &str) -> Option<Place> {
    let fleet = std::iter::once(&rendered.inventory.fleet.origin);
    let origins = fleet.chain(rendered.inventory.clusters.values().map(|cluster| &cluster.origin));
    origins
        .flat_map(crate::inventory::Fact::all)
        .find(|(path, fact)| text_of(path) == key && fact.file() == file)
        .map(|(_, fact)| fact.own_place())
}

/// Returns the paths of the facts that were written at `target`, as the templates of a cluster see them.
fn facts_at(renderer: &UnitRenderer<'_>, at: &mut Vec<Step>, facts: &Json, target: &Place) -> Vec<Vec<Step>> {
    let mut found = Vec::new();
    for (step, child) in children(facts) {
        at.push(step);
        if at.len() > 1 && renderer.scope.place(at).as_ref() == Some(target) {
            found.push(at.clone());
        } else {
            found.extend(facts_at(renderer, at, child, target));
        }
        at.pop();
    }
    found
}

fn differences(renderer: &UnitRenderer<'_>, template: &UnitTemplate<'_>, changed: &Scope) -> Vec<Reached> {
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

/// Returns the places of a rendered file that an override at `target` writes.
fn overridden(renderer: &UnitRenderer<'_>, template: &UnitTemplate<'_>, target: &Place) -> Vec<Reached> {
    let Some(addon) = template.addon.filter(|_| template.writes.file_name() == "values.yaml") else {
        return Vec::new();
    };
    let documents = renderer.documents(template, &renderer.facts).unwrap_or_default();
    let Some(document) = documents.first() else { return Vec::new() };
    leaves(document)
        .into_iter()
        .filter(|(path, _)| renderer.scope.override_place(addon, path).as_ref() == Some(target))
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
