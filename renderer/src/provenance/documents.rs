//! The documents of a cluster's files, made from its facts.

use crate::catalog::Catalog;
use crate::checks::{DocumentKind, is_watched, judged_parts};
use crate::key_path::Step;
use crate::problem::{Place, Problem};
use crate::templates::{Expand, RenderBudget, Scope, Watched};
use crate::yaml::{Map, Value};

use super::scope::ClusterScope;
use super::unit::UnitTemplate;

/// Makes the documents of one cluster, with its facts worked out once.
pub(crate) struct ClusterDocuments<'a> {
    pub scope: &'a ClusterScope<'a>,
    pub catalog: &'a Catalog,
    pub facts: Scope<'a>,
    /// What all of this may take.
    pub budget: &'a RenderBudget<'a>,
}

impl<'a> ClusterDocuments<'a> {
    pub(crate) fn new(
        scope: &'a ClusterScope<'a>,
        catalog: &'a Catalog,
        budget: &'a RenderBudget<'a>,
    ) -> Self {
        Self { scope, catalog, facts: Scope::new(scope.facts()).within(budget), budget }
    }

    /// Returns the documents of a file.
    pub(crate) fn of<'d>(&'d self, template: &'d UnitTemplate<'d>) -> FileDocuments<'d> {
        FileDocuments { cluster: self, template }
    }
}

/// Makes the documents of one file.
#[derive(Clone, Copy)]
pub(crate) struct FileDocuments<'a> {
    pub cluster: &'a ClusterDocuments<'a>,
    pub template: &'a UnitTemplate<'a>,
}

impl<'a> FileDocuments<'a> {
    /// Renders the file.
    pub(crate) fn render(self) -> Result<Vec<Value>, Vec<Problem>> {
        self.render_with(&self.cluster.facts)
    }

    /// Renders the file with other facts, and with what the cluster overrides laid on top.
    pub(crate) fn render_with(self, facts: &Scope<'_>) -> Result<Vec<Value>, Vec<Problem>> {
        let documents = match self.expand(facts) {
            Some(expand) => self.cluster.catalog.templates.render(expand)?,
            None => Vec::new(),
        };
        match self.template.kind {
            DocumentKind::Values => self.values(documents).map(|values| vec![values]),
            DocumentKind::Object | DocumentKind::Other => Ok(documents),
        }
    }

    /// Renders the file, and documents that another program takes for templates or patterns with neutral values, too.
    pub(crate) fn render_watched(self) -> Result<Watched, Vec<Problem>> {
        match (self.template.kind, self.expand(&self.cluster.facts)) {
            (kind @ DocumentKind::Object, Some(expand)) => {
                self.cluster.catalog.templates.render_watched(expand, |document| {
                    judged_parts(kind, document).any(|(_, part)| is_watched(part))
                })
            }
            _ => Ok(Watched { documents: self.render()?, neutral: None }),
        }
    }

    /// Returns the expansion of the file's template, if it has one.
    pub(super) fn expand<'e>(&self, facts: &'e Scope<'e>) -> Option<Expand<'e>>
    where
        'a: 'e,
    {
        let addons = &self.cluster.scope.addons;
        let own = self.template.addon;
        let addon = own.and_then(|own| addons.iter().position(|placed| placed.addon.name == own.name));
        let machine = self.template.machine.as_deref();
        Some(Expand { template: self.template.template?, scope: facts, addon, machine })
    }

    /// Returns where the cluster overrides the value at `path` of the add-on's values, if it does.
    pub(crate) fn override_place(self, path: &[Step]) -> Option<Place> {
        self.cluster.scope.override_place(self.template.addon?, path)
    }

    fn values(self, mut documents: Vec<Value>) -> Result<Value, Vec<Problem>> {
        let base = match (documents.pop(), documents.is_empty()) {
            (None, _) => Value::Map(Map::default()),
            (Some(values @ Value::Map(_)), true) => values,
            _ => {
                let file = self.template.template.unwrap_or(&self.template.writes);
                let problem = Problem::in_whole_file(file, "chart values must be one map");
                return Err(vec![problem.hint("write `key: value` lines")]);
            }
        };
        let overrides = self.template.addon.and_then(|addon| self.cluster.scope.overrides(addon));
        Ok(match overrides {
            Some(over) => base.merged(Value::from(&serde_json::Value::Object(over.clone()))),
            None => base,
        })
    }
}
