//! Provenance: which template line and which inventory lines made a rendered value, and the reverse.
//!
//! The template line is known exactly: every inserted value carries its site. Which facts it depends on is found by
//! asking the templates themselves: change a fact, render that one file again, and see whether the value changed. That
//! holds through partials, helpers, loops and conditions alike, and costs a rendering of one file for each question.

mod probe;
mod reach;
mod source;

use serde::Serialize;
use serde_json::Value as Json;

use crate::checks::{Finding, Part};
use crate::key_path::{Step, is_at_or_below, text_of};
use crate::path::{ClusterName, RepoPath};
use crate::problem::{Place, Position};
use crate::render::{Rendered, UnitRenderer, UnitTemplate, unit_templates};
use crate::secrets::{self, MASK};
use crate::templates::{Budget, MAX_SEARCH_STEPS, Origin, Site};
use crate::yaml::Value;

use probe::{add_facts, part};

pub use reach::{Group, Reach, Reached, grouped, reach};
pub use source::{Usage, usage};

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
    /// The value, without what is a secret.
    pub value: Json,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FactLine {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// The fact as templates see it, such as `hub.addresses.prometheus`.
    pub fact: String,
    /// Its value, without what is a secret.
    pub value: Json,
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
    for value in &mut found {
        let written = value_at(&documents, value.document, &value.path);
        value.value = written.map_or(Json::Null, |written| masked(&written.to_json(), &value.path));
    }
    Some(found)
}

fn is_asked(steps: &[Step], document: usize, path: &str) -> bool {
    let in_document = path.strip_prefix(&format!("[{document}]"));
    let rest = in_document.map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    is_at_or_below(steps, path) || rest.is_some_and(|path| is_at_or_below(steps, path))
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
        Part::Addon => template
            .addon
            .map(|addon| Place { file: addon.origin.place(&[]).file, position: Position::START }),
        Part::ClusterTemplates => Some(Place {
            file: RepoPath::parse("templates/cluster").expect("a constant path"),
            position: Position::START,
        }),
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
        value: Json::Null,
        templates: Vec::new(),
        facts: Vec::new(),
    };
    if let Some(addon) = template.addon
        && let Some(place) = renderer.scope.override_place(addon, path)
    {
        let fact = format!("addons.{}.values.{}", addon.name, text_of(path));
        let choice = &renderer.scope.cluster.facts.addons[addon.name.as_str()];
        let value =
            part(&Json::Object(choice.values.clone()), path).map_or(Json::Null, |it| masked(it, path));
        let path = path.clone();
        provenance.facts.push(FactLine { place, fact, value, path, influence: Influence::Value });
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

/// Returns how a fact is called: an add-on and a spoke by its name, not by its place in the list.
fn name_of(facts: &Json, path: &[Step]) -> String {
    if let [Step::Key(list), Step::Index(at), rest @ ..] = path
        && let Some(name) = facts[list.as_str()][*at]["name"].as_str()
    {
        let dot = if rest.is_empty() { "" } else { "." };
        return format!("{list}[name={name}]{dot}{}", text_of(rest));
    }
    text_of(path)
}

/// Returns a value without what is a secret by its form, or by the key that it stands under.
fn masked(value: &Json, path: &[Step]) -> Json {
    let key = path.iter().rev().find_map(Step::key).map(String::as_str);
    masked_below(value, key)
}

fn masked_below(value: &Json, key: Option<&str>) -> Json {
    match value {
        Json::Array(items) => items.iter().map(|item| masked_below(item, key)).collect(),
        Json::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), masked_below(value, Some(key)))).collect()
        }
        Json::String(_) if key.is_some_and(|key| is_secret(key, value)) => MASK.into(),
        Json::String(text) => secrets::masked(text).into(),
        other => other.clone(),
    }
}

fn is_secret(key: &str, value: &Json) -> bool {
    secrets::names_a_secret(key) && secrets::holds_a_secret(key, &Value::from(value))
}

fn path_text<S: serde::Serializer>(path: &[Step], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text_of(path))
}

fn value_at<'v>(documents: &'v [Value], document: usize, path: &[Step]) -> Option<&'v Value> {
    value_below(documents.get(document)?, path)
}

fn value_below<'v>(value: &'v Value, path: &[Step]) -> Option<&'v Value> {
    value.at(path)
}

fn cluster_of(rendered: &Rendered, file: &RepoPath) -> Option<ClusterName> {
    let name = file.components().nth(1)?;
    rendered.clusters.get(name).map(|cluster| cluster.name.clone())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_masked_by_its_key_and_by_its_form() {
        let token = ["ghp_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
        let value = json!({"adminPassword": "hunter2hunter2", "note": token, "list": ["a", 1, null]});
        let shown = json!({"adminPassword": MASK, "note": MASK, "list": ["a", 1, null]});
        assert_eq!(masked(&value, &[]), shown);
        assert_eq!(masked(&json!("hunter2hunter2"), &[Step::Key("password".to_owned())]), json!(MASK));
    }

    #[test]
    fn an_addon_and_a_spoke_are_called_by_their_names() {
        let facts =
            json!({"addons": [{"name": "loki"}], "spokes": [{"name": "app"}], "fleet": {"list": ["x"]}});
        let index =
            |list: &str, rest: &[Step]| [&[Step::Key(list.to_owned()), Step::Index(0)], rest].concat();
        let setting = [Step::Key("settings".to_owned()), Step::Key("a".to_owned())];
        assert_eq!(name_of(&facts, &index("addons", &setting)), "addons[name=loki].settings.a");
        assert_eq!(name_of(&facts, &index("spokes", &[])), "spokes[name=app]");
        assert_eq!(
            name_of(&facts, &[Step::Key("fleet".to_owned()), Step::Key("list".to_owned()), Step::Index(0)]),
            "fleet.list[0]"
        );
    }
}
