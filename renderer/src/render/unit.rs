//! The smallest thing that is rendered and remembered: an add-on on a cluster, or the cluster's own files.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use crate::checks::{
    Check, DOCUMENT_CHECKS, Document, DocumentCheck, DocumentKind, Finding, Footprint, Spot, exposed_by,
    footprint, judged_parts, known_hosts,
};
use crate::path::RepoPath;
use crate::problem::{Place, Problem};
use crate::provenance::{
    ClusterDocuments, ClusterScope, FileDocuments, UnitTemplate, UnitTemplates, place_to_edit, templates,
};
use crate::templates::{Form, MAX_SEARCH_STEPS, RenderBudget, Watched, write_file};
use crate::yaml::Value;

use super::digest::Digest;
use super::forms::misfits;
use super::rendered::{Rendered, RenderedFile, Unit};
use super::sources::Sources;

/// Renders the units of one cluster, with its facts worked out once.
pub(super) struct UnitRenderer<'a> {
    documents: ClusterDocuments<'a>,
    known_hosts: BTreeSet<Ipv6Addr>,
    sources: &'a Sources<'a>,
}

impl<'a> UnitRenderer<'a> {
    pub(super) fn new(
        scope: &'a ClusterScope<'a>,
        sources: &'a Sources<'a>,
        budget: &'a RenderBudget<'a>,
    ) -> Self {
        let clusters = [scope.cluster, scope.hub].into_iter().chain(scope.spokes.iter().copied());
        let known_hosts = known_hosts(clusters, scope.fleet);
        Self { documents: ClusterDocuments::new(scope, sources.catalog, budget), known_hosts, sources }
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
            if self.documents.budget.is_spent() {
                break;
            }
        }
        let addon = unit.addon.map(|addon| addon.name.clone());
        if problems.is_empty() {
            Ok(Unit { root: unit.root, addon, files, answers, key })
        } else {
            Err(problems)
        }
    }

    /// Renders and judges one file; none if its template renders to nothing.
    ///
    /// Adds which of the add-on's answers are to something in it.
    fn file(
        &self,
        template: &UnitTemplate<'_>,
        answers: &mut BTreeSet<usize>,
    ) -> Result<Option<RenderedFile>, Vec<Problem>> {
        let file = self.documents.of(template);
        let Watched { documents, neutral } = file.render_watched()?;
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
                    None if self.sources.is_for_objects(finding.check, template.kind) => {}
                    None => problems.push(problem(file, spot, finding)),
                }
            }
            if !footprint.is_empty() {
                footprints.push((spot, footprint));
            }
        }
        let form = Form::of(template.writes.file_name());
        if template.kind == DocumentKind::Other {
            problems.extend(misfits(file, form, &documents));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let written_from = template.template.unwrap_or(&self.documents.scope.cluster.file);
        let mark = self.documents.catalog.templates.mark(written_from);
        let mark = mark.filter(|_| template.kind == DocumentKind::Other);
        let text = write_file(form, written_from, mark, &documents);
        self.documents.budget.write(written_from, text.len()).map_err(|problem| vec![*problem])?;
        Ok(Some(RenderedFile {
            path: template.writes.clone(),
            addon: template.addon.map(|addon| addon.name.clone()),
            bytes: text.into_bytes().into(),
            footprints,
        }))
    }

    fn judge(
        &self,
        template: &UnitTemplate<'_>,
        value: &Value,
        neutral: Option<&Value>,
    ) -> (Footprint, Vec<Finding>) {
        let (cluster, addon, kind) = (self.documents.scope.cluster, template.addon, template.kind);
        let exposed = exposed_by(value);
        let document = Document {
            cluster,
            addon,
            kind,
            value,
            neutral,
            exposed: &exposed,
            schemas: &self.documents.catalog.schemas,
            defined: None,
            known_hosts: &self.known_hosts,
        };
        let found = |check: &'static Check<DocumentCheck>| {
            (check.run)(&document).into_iter().map(|finding| finding.of(check.name))
        };
        let findings = DOCUMENT_CHECKS.iter().flat_map(found).collect();
        (footprint(&document), findings)
    }
}

/// Returns the problem of a finding, at the line that a person must edit.
pub(super) fn problem(file: FileDocuments<'_>, spot: Spot, finding: Finding) -> Problem {
    let accept = file.template.accept_path(spot, &finding);
    let finding = Finding { path: spot.path(&finding.path), ..finding };
    let place = place_to_edit(file, spot.document, &finding);
    Problem { hint: finding.hint, accept, ..Problem::at(place, finding.message) }.found_by(finding.check)
}

impl Rendered {
    /// Returns the line to edit for a finding in what `is_it` finds in a rendered file; nothing if it is not there.
    pub(crate) fn line_of(
        &self,
        file: &RepoPath,
        is_it: impl Fn(&Value) -> bool,
        finding: &Finding,
    ) -> Option<Place> {
        let scope = self.scope(self.cluster_of(file)?);
        let units = templates(&self.catalog, &self.inventory, scope.cluster);
        let template = units.iter().flat_map(|unit| &unit.templates).find(|it| it.writes == *file)?;
        let budget = RenderBudget::new(MAX_SEARCH_STEPS, &|_| true);
        let documents = ClusterDocuments::new(&scope, &self.catalog, &budget);
        let file = documents.of(template);
        let rendered = file.render().ok()?;
        let mut spots = rendered.iter().enumerate().flat_map(|(document, value)| {
            judged_parts(template.kind, value).map(move |(item, value)| (Spot { document, item }, value))
        });
        let (spot, _) = spots.find(|(_, value)| is_it(value))?;
        let finding = Finding { path: spot.path(&finding.path), ..finding.clone() };
        Some(place_to_edit(file, spot.document, &finding))
    }
}
