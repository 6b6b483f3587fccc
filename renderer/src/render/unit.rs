//! The smallest thing that is rendered and remembered: an add-on on a cluster, or the cluster's own files.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::{Addon, Catalog};
use crate::checks::{DOCUMENT_CHECKS, Document, DocumentKind, Finding, Telemetry, telemetry};
use crate::explain;
use crate::inventory::Cluster;
use crate::key_path::Step;
use crate::path::{AddonName, RepoPath};
use crate::problem::Problem;
use crate::templates::{Expand, Scope, write_file};
use crate::yaml::{Map, Value};

use super::{ClusterScope, Digest, digest_of, output_folder};

/// An add-on on a cluster, or the cluster's own files, rendered.
#[derive(Debug)]
pub struct Unit {
    /// The add-on; none for the cluster's own files.
    pub addon: Option<AddonName>,
    /// The files.
    pub files: Vec<RenderedFile>,
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
    pub(super) telemetry: Option<Box<Telemetry>>,
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
        writes: folder.join("values.yaml").expect("a constant name"),
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

impl UnitTemplates<'_> {
    /// Returns the identity of everything that the unit's files depend on.
    pub(super) fn key(&self, facts: &Digest, catalog: &Catalog) -> Digest {
        let name = self.addon.map_or("", |addon| addon.name.as_str());
        let ids =
            self.templates.iter().filter_map(|template| template.template).flat_map(|path| {
                [path.as_str().as_bytes(), catalog.ids.get(path).map_or(&[][..], |id| &id.0)]
            });
        digest_of([facts.as_slice(), name.as_bytes(), &[0]].into_iter().chain(ids))
    }
}

/// Renders the units of one cluster, with its facts worked out once.
pub(crate) struct UnitRenderer<'a> {
    pub(crate) scope: &'a ClusterScope<'a>,
    pub(crate) catalog: &'a Catalog,
    pub(crate) facts: Scope,
}

impl<'a> UnitRenderer<'a> {
    pub(crate) fn new(scope: &'a ClusterScope<'a>, catalog: &'a Catalog) -> Self {
        Self { scope, catalog, facts: Scope::new(scope.facts()) }
    }

    pub(super) fn render(&self, unit: &UnitTemplates<'_>, key: Digest) -> Result<Unit, Vec<Problem>> {
        let mut files = Vec::with_capacity(unit.templates.len());
        let mut problems = Vec::new();
        let mut objects = BTreeSet::new();
        for template in &unit.templates {
            match self.documents(template, &self.facts) {
                Ok(documents) => {
                    problems.extend(self.check(template, &documents, &mut objects));
                    files.extend(self.file(template, &documents));
                }
                Err(found) => problems.extend(found),
            }
        }
        let addon = unit.addon.map(|addon| addon.name.clone());
        if problems.is_empty() { Ok(Unit { addon, files, key }) } else { Err(problems) }
    }

    /// Renders a template with the given facts, with what the cluster overrides laid on top.
    pub(crate) fn documents(
        &self,
        template: &UnitTemplate<'_>,
        facts: &Scope,
    ) -> Result<Vec<Value>, Vec<Problem>> {
        let mut documents = match template.template {
            Some(path) => self.catalog.templates.render(self.expand(template, path, facts))?,
            None => Vec::new(),
        };
        if template.kind == DocumentKind::Values {
            let file = template.template.or(template.addon.and_then(|addon| addon.values.as_ref()));
            match documents.as_slice() {
                [] => documents.push(Value::Map(Map::default())),
                [Value::Map(_)] => {}
                _ => {
                    let file = file.unwrap_or(&template.writes);
                    return Err(vec![
                        Problem::in_whole_file(file, "chart values must be one map")
                            .hint("write `key: value` lines"),
                    ]);
                }
            }
            if let Some(over) = template.addon.and_then(|addon| self.overrides(addon)) {
                let base = documents.remove(0);
                documents.push(merged(base, over));
            }
        }
        Ok(documents)
    }

    pub(crate) fn expand<'e>(
        &self,
        template: &UnitTemplate<'_>,
        path: &'e RepoPath,
        facts: &'e Scope,
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

    fn file(&self, template: &UnitTemplate<'_>, documents: &[Value]) -> Option<RenderedFile> {
        if documents.is_empty() {
            return None;
        }
        let written_from =
            template.template.cloned().unwrap_or_else(|| RepoPath::clone(&self.scope.cluster.file));
        let telemetry =
            documents.iter().map(|document| telemetry(&self.document(template, document))).next()?;
        Some(RenderedFile {
            path: template.writes.clone(),
            addon: template.addon.map(|addon| addon.name.clone()),
            bytes: write_file(&written_from, documents).into_bytes().into(),
            telemetry: (!telemetry.is_empty()).then(|| Box::new(telemetry)),
        })
    }

    fn document<'d>(&'d self, template: &UnitTemplate<'d>, value: &'d Value) -> Document<'d> {
        Document { cluster: self.scope.cluster, addon: template.addon, kind: template.kind, value }
    }

    fn check(
        &self,
        template: &UnitTemplate<'_>,
        documents: &[Value],
        objects: &mut BTreeSet<[String; 4]>,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, value) in documents.iter().enumerate() {
            let document = self.document(template, value);
            let findings = DOCUMENT_CHECKS.iter().flat_map(|check| (check.run)(&document));
            problems.extend(findings.map(|finding| self.problem(template, index, finding)));
            if template.kind == DocumentKind::Object {
                let identity = ["apiVersion", "kind", "namespace", "name"].map(|field| {
                    let text =
                        value.get(field).or_else(|| value.at(&["metadata", field])).and_then(Value::as_str);
                    text.unwrap_or("").to_owned()
                });
                let message = format!("{} `{}` is written twice", identity[1], identity[3]);
                if !objects.insert(identity) {
                    let path = vec![Step::Key("metadata".to_owned()), Step::Key("name".to_owned())];
                    let finding = Finding::new(&path, message).hint("give each object its own name");
                    problems.push(self.problem(template, index, finding));
                }
            }
        }
        problems
    }

    /// Says a finding at the line that a person must edit.
    pub(crate) fn problem(&self, template: &UnitTemplate<'_>, document: usize, finding: Finding) -> Problem {
        let to_edit = if finding.on_key { explain::key_to_edit } else { explain::place_to_edit };
        let place = to_edit(self, template, document, &finding.path);
        Problem { place, message: finding.message, hint: finding.hint }
    }
}

/// Lays `over` on top of `base`: maps merge key by key, everything else replaces, as Helm does.
fn merged(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Map(mut base), Value::Map(over)) => {
            for (key, value) in over.iter() {
                let value = match base.get(key) {
                    Some(old) => merged(old.clone(), value.clone()),
                    None => value.clone(),
                };
                base.insert(key, value);
            }
            Value::Map(base)
        }
        (_, over) => over,
    }
}
