//! The smallest thing that is rendered and remembered: an add-on on a cluster, or the cluster's own files.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::catalog::{ACCEPTABLE, Addon, Catalog, VALUES_FILE};
use crate::checks::{
    Check, DOCUMENT_CHECKS, Document, DocumentCheck, DocumentKind, Finding, Footprint, Part, Spot, footprint,
    is_watched, judged_parts, known_hosts,
};
use crate::explain;
use crate::inventory::Cluster;
use crate::key_path::text_of;
use crate::path::{AddonName, RepoPath};
use crate::problem::Problem;
use crate::templates::{Budget, Expand, Scope, Watched, write_file};
use crate::yaml::{Map, Value};

use super::{ClusterScope, Digest, digest_of, output_folder};

/// An add-on on a cluster, or the cluster's own files, rendered.
#[derive(Debug)]
pub struct Unit {
    /// The add-on; none for the cluster's own files.
    pub addon: Option<AddonName>,
    /// The files.
    pub files: Vec<RenderedFile>,
    /// Which of the add-on's answers are to something that a check finds in the files.
    pub(super) answers: BTreeSet<usize>,
    pub(super) key: Digest,
}

/// A rendered file.
#[derive(Debug)]
pub struct RenderedFile {
    /// Where it is written.
    pub path: RepoPath,
    /// The add-on that it belongs to; none for the cluster's own files.
    pub addon: Option<AddonName>,
    /// The content.
    pub bytes: Arc<[u8]>,
    /// What its documents do outside themselves, by their number; one that does nothing is left out.
    pub(super) footprints: Vec<(Spot, Footprint)>,
}

/// The templates of a unit.
#[derive(Debug)]
pub struct UnitTemplates<'a> {
    /// The add-on; none for the cluster's own files.
    pub addon: Option<&'a Addon>,
    /// What is written from what.
    pub templates: Vec<UnitTemplate<'a>>,
}

/// A file to write and the template that it comes from.
#[derive(Clone, Debug)]
pub struct UnitTemplate<'a> {
    /// The file.
    pub writes: RepoPath,
    /// The template; none for the values of an add-on that has only what clusters set.
    pub template: Option<&'a RepoPath>,
    /// The add-on that it belongs to.
    pub addon: Option<&'a Addon>,
    /// What the file holds.
    pub kind: DocumentKind,
}

/// Returns what is rendered for a cluster: its add-ons, then its own files.
pub(crate) fn templates<'a>(catalog: &'a Catalog, cluster: &Cluster) -> Vec<UnitTemplates<'a>> {
    let addons = catalog.addons.values().filter(|addon| addon.is_on(cluster));
    let mut units: Vec<_> = addons.map(|addon| addon_templates(addon, cluster)).collect();
    let folder = output_folder(&cluster.name);
    let own = catalog.cluster_templates.iter().map(|(written, template)| UnitTemplate {
        writes: folder.join(written.as_str()).expect("both are paths"),
        template: Some(template),
        addon: None,
        kind: DocumentKind::Object,
    });
    units.push(UnitTemplates { addon: None, templates: own.collect() });
    units
}

fn addon_templates<'a>(addon: &'a Addon, cluster: &Cluster) -> UnitTemplates<'a> {
    let folder = output_folder(&cluster.name).join(addon.name.as_str()).expect("a name is a file name");
    let values = UnitTemplate {
        writes: folder.join(VALUES_FILE).expect("a constant name"),
        template: addon.values.as_ref(),
        addon: Some(addon),
        kind: DocumentKind::Values,
    };
    let manifests = addon.manifests.iter().map(|template| {
        let name = template.file_name().strip_suffix(".hbs").unwrap_or(template.file_name());
        UnitTemplate {
            writes: folder.join(&format!("manifests/{name}")).expect("a file name"),
            template: Some(template),
            addon: Some(addon),
            kind: DocumentKind::Object,
        }
    });
    let manifests: Vec<_> = manifests.collect();
    UnitTemplates { addon: Some(addon), templates: std::iter::once(values).chain(manifests).collect() }
}

impl UnitTemplate<'_> {
    /// Returns which of the add-on's answers is to a finding, if one is.
    pub(super) fn answer(&self, spot: Spot, finding: &Finding) -> Option<usize> {
        self.addon?.answer(finding.check, &self.writes, &spot.path_in_file(&finding.path))
    }

    /// Returns the path that an answer to a finding would name.
    fn accept_path(&self, spot: Spot, finding: &Finding) -> Option<String> {
        let is_of_addon = finding.part != Part::ClusterTemplates;
        self.addon.filter(|_| is_of_addon && ACCEPTABLE.contains(&finding.check))?;
        let path = match text_of(&spot.path_in_file(&finding.path)) {
            whole if whole.is_empty() => ".".to_owned(),
            path => path,
        };
        let file = self.writes.components().skip(3).collect::<Vec<_>>().join("/");
        Some(if file == VALUES_FILE { path } else { format!("{file} {path}") })
    }
}

impl UnitTemplates<'_> {
    /// Returns the identity of everything that the unit's files depend on.
    pub(super) fn key(&self, facts: &Digest, catalog: &Catalog) -> Digest {
        let name = self.addon.map_or("", |addon| addon.name.as_str());
        let templates = self.templates.iter().filter_map(|template| template.template);
        let ids = templates.filter_map(|path| catalog.digests.get(path)).map(<[u8; 32]>::as_slice);
        digest_of([facts.as_slice(), name.as_bytes(), &[0]].into_iter().chain(ids))
    }
}

/// Renders the units of one cluster, with its facts worked out once.
pub(crate) struct UnitRenderer<'a> {
    pub(crate) scope: &'a ClusterScope<'a>,
    pub(crate) catalog: &'a Catalog,
    pub(crate) facts: Scope<'a>,
    known_hosts: BTreeSet<Ipv6Addr>,
}

impl<'a> UnitRenderer<'a> {
    pub(crate) fn new(scope: &'a ClusterScope<'a>, catalog: &'a Catalog, budget: &'a Budget<'a>) -> Self {
        let clusters = [scope.cluster, scope.hub].into_iter().chain(scope.spokes.iter().copied());
        let known_hosts = known_hosts(clusters, scope.fleet);
        Self { scope, catalog, facts: Scope::new(scope.facts()).within(budget), known_hosts }
    }

    pub(super) fn render(&self, unit: &UnitTemplates<'_>, key: Digest) -> Result<Unit, Vec<Problem>> {
        let mut files = Vec::with_capacity(unit.templates.len());
        let mut problems = Vec::new();
        let mut answers = BTreeSet::new();
        for template in &unit.templates {
            match self.file(template, &mut answers) {
                Ok(file) => files.extend(file),
                Err(found) => problems.extend(found),
            }
            if self.is_spent() {
                break;
            }
        }
        let addon = unit.addon.map(|addon| addon.name.clone());
        if problems.is_empty() { Ok(Unit { addon, files, answers, key }) } else { Err(problems) }
    }

    /// Returns a copy of the facts, which may be changed, within the same budget.
    pub(crate) fn perturbable(&self) -> Scope<'a> {
        let copy = Scope::new(self.facts.facts().clone());
        match self.facts.budget() {
            Some(budget) => copy.within(budget),
            None => copy,
        }
    }

    /// Returns whether the cluster has taken all that it may take, which is one of the problems found.
    pub(super) fn is_spent(&self) -> bool {
        self.facts.budget().is_some_and(Budget::is_spent)
    }

    /// Renders and judges one file; none if its template renders to nothing.
    ///
    /// Adds which of the add-on's answers are to something in it.
    fn file(
        &self,
        template: &UnitTemplate<'_>,
        answers: &mut BTreeSet<usize>,
    ) -> Result<Option<RenderedFile>, Vec<Problem>> {
        let Watched { documents, neutral } = self.watched(template)?;
        if documents.is_empty() {
            return Ok(None);
        }
        let mut problems = Vec::new();
        let mut footprints = Vec::new();
        let parts = documents.iter().enumerate().flat_map(|(document, value)| {
            judged_parts(template.kind, value).map(move |(item, value)| (Spot { document, item }, value))
        });
        for (spot, value) in parts {
            let neutral = neutral.as_ref().and_then(|documents| spot.of(documents));
            let (footprint, findings) = self.judge(template, value, neutral);
            for finding in findings {
                match template.answer(spot, &finding) {
                    Some(answer) => {
                        answers.insert(answer);
                    }
                    None => problems.push(self.problem(template, spot, finding)),
                }
            }
            if !footprint.is_empty() {
                footprints.push((spot, footprint));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let written_from = template.template.unwrap_or(&self.scope.cluster.file);
        let text = write_file(written_from, &documents);
        if let Some(budget) = self.facts.budget() {
            budget.write(written_from, text.len()).map_err(|problem| vec![*problem])?;
        }
        Ok(Some(RenderedFile {
            path: template.writes.clone(),
            addon: template.addon.map(|addon| addon.name.clone()),
            bytes: text.into_bytes().into(),
            footprints,
        }))
    }

    /// Renders a file's documents, and those that another program takes for templates or patterns with neutral values, too.
    fn watched(&self, template: &UnitTemplate<'_>) -> Result<Watched, Vec<Problem>> {
        match (template.kind, template.template) {
            (DocumentKind::Object, Some(path)) => {
                self.catalog.templates.render_watched(self.expand(template, path, &self.facts), |document| {
                    judged_parts(template.kind, document).any(|(_, part)| is_watched(part))
                })
            }
            _ => Ok(Watched { documents: self.documents(template, &self.facts)?, neutral: None }),
        }
    }

    fn judge(
        &self,
        template: &UnitTemplate<'_>,
        value: &Value,
        neutral: Option<&Value>,
    ) -> (Footprint, Vec<Finding>) {
        let (cluster, addon, kind) = (self.scope.cluster, template.addon, template.kind);
        let document = Document {
            cluster,
            addon,
            kind,
            value,
            neutral,
            footprint: &Footprint::default(),
            schemas: &self.catalog.schemas,
            known_hosts: &self.known_hosts,
        };
        let footprint = footprint(&document);
        let document = Document { footprint: &footprint, ..document };
        let found = |check: &'static Check<DocumentCheck>| {
            (check.run)(&document).into_iter().map(|finding| finding.of(check.name))
        };
        let findings = DOCUMENT_CHECKS.iter().flat_map(found).collect();
        (footprint, findings)
    }

    /// Renders a template with the given facts, with what the cluster overrides laid on top.
    pub(crate) fn documents(
        &self,
        template: &UnitTemplate<'_>,
        facts: &Scope<'_>,
    ) -> Result<Vec<Value>, Vec<Problem>> {
        let documents = match template.template {
            Some(path) => self.catalog.templates.render(self.expand(template, path, facts))?,
            None => Vec::new(),
        };
        match template.kind {
            DocumentKind::Values => self.values(template, documents).map(|values| vec![values]),
            DocumentKind::Object => Ok(documents),
        }
    }

    fn values(&self, template: &UnitTemplate<'_>, mut documents: Vec<Value>) -> Result<Value, Vec<Problem>> {
        let base = match (documents.pop(), documents.is_empty()) {
            (None, _) => Value::Map(Map::default()),
            (Some(values @ Value::Map(_)), true) => values,
            _ => {
                let file = template.template.unwrap_or(&template.writes);
                let problem = Problem::in_whole_file(file, "chart values must be one map");
                return Err(vec![problem.hint("write `key: value` lines")]);
            }
        };
        Ok(match template.addon.and_then(|addon| self.overrides(addon)) {
            Some(over) => base.merged(over),
            None => base,
        })
    }

    pub(crate) fn expand<'e>(
        &self,
        template: &UnitTemplate<'_>,
        path: &'e RepoPath,
        facts: &'e Scope<'e>,
    ) -> Expand<'e> {
        let index = template
            .addon
            .and_then(|addon| self.scope.addons.iter().position(|placed| placed.addon.name == addon.name));
        Expand { template: path, scope: facts, addon: index }
    }

    fn overrides(&self, addon: &Addon) -> Option<Value> {
        let choice = self.scope.cluster.facts.addons.get(addon.name.as_str())?;
        (!choice.values.is_empty()).then(|| Value::from(&serde_json::Value::Object(choice.values.clone())))
    }

    /// Says a finding at the line that a person must edit.
    pub(crate) fn problem(&self, template: &UnitTemplate<'_>, spot: Spot, finding: Finding) -> Problem {
        let accept = template.accept_path(spot, &finding);
        let finding = Finding { path: spot.path(&finding.path), ..finding };
        let place = explain::place_to_edit(self, template, spot.document, &finding);
        Problem { hint: finding.hint, accept, ..Problem::at(place, finding.message) }.found_by(finding.check)
    }
}
