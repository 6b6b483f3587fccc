//! The line to edit to correct what a check found.

use crate::checks::{Finding, Part};
use crate::key_path::Step;
use crate::path::RepoPath;
use crate::problem::Place;
use crate::tree::Tree;

use super::documents::FileDocuments;
use super::line::{FactLine, written_at};
use super::probe::add_facts;

/// Returns the line to edit: an override, a fact, or the template.
///
/// A value that is not just a fact is made in the template: the facts in it may well be right.
pub(crate) fn place_to_edit(file: FileDocuments<'_>, document: usize, finding: &Finding) -> Place {
    let path = finding.path.as_slice();
    let place = match finding.part {
        Part::Value => None,
        Part::Key => key_place(file, document, path),
        Part::Line(line) => line_place(file, document, path, line),
        Part::Addon => file.template.addon.map(|addon| match finding.path.as_slice() {
            [] => Place::start_of(addon.origin.file()),
            path => addon.origin.place(path),
        }),
        Part::Fact => Some(file.cluster.scope.cluster.origin.place(path)),
        Part::ClusterTemplates => {
            Some(Place::start_of(&RepoPath::parse("templates/cluster").expect("a constant path")))
        }
        Part::Insertion => {
            written_at(file, document, path).templates.into_iter().next().map(|line| line.place)
        }
    };
    place
        .or_else(|| value_place(file, document, path))
        .unwrap_or_else(|| Place::start_of(file.template.template.unwrap_or(&file.template.writes)))
}

fn key_place(file: FileDocuments<'_>, document: usize, path: &[Step]) -> Option<Place> {
    let cluster = file.cluster;
    let overridden = file.template.addon.and_then(|addon| cluster.scope.override_key_place(addon, path));
    overridden.or_else(|| cluster.catalog.templates.key_place(file.expand(&cluster.facts)?, document, path))
}

fn line_place(file: FileDocuments<'_>, document: usize, path: &[Step], line: usize) -> Option<Place> {
    if file.override_place(path).is_some() {
        return None;
    }
    let expand = file.expand(&file.cluster.facts)?;
    file.cluster.catalog.templates.line_place(expand, document, path, line)
}

fn value_place(file: FileDocuments<'_>, document: usize, path: &[Step]) -> Option<Place> {
    let mut found = [written_at(file, document, path)];
    if let [fact] = found[0].facts.as_slice() {
        return Some(fact.place.clone());
    }
    let line = found[0].templates.first()?.clone();
    if let Some(text) = line.text {
        return Some(Place::start_of(&text));
    }
    if line.expression.is_some() {
        let documents = file.render().unwrap_or_default();
        add_facts(file, &documents, &mut found);
        let value = documents.get(document)?.at(path)?.to_json();
        let (scope, all) = (file.cluster.scope, file.cluster.facts.facts());
        let is_all = |fact: &&FactLine| scope.is_written(&fact.path) && all.at(&fact.path) == Some(&value);
        let [provenance] = &found;
        if let Some(fact) = provenance.facts.iter().find(is_all) {
            return Some(fact.place.clone());
        }
    }
    Some(line.place)
}
