//! What is wrong with final objects: each object of a chart by itself, what `addon.yaml` says of them, and what those of
//! one cluster name of each other.
//!
//! Objects that stand in the repository are judged where they are rendered. Here they count as what is there, and are
//! judged by what charts define.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{Addon, ObjectSchemas};
use crate::checks::{
    AddonObjects, ClusterContent, ClusterFlows, DEFINED_CHECKS, DefinedKind, Document, DocumentKind,
    DocumentNames, Finding, Flows, Names, OBJECT_CHECKS, OBJECT_NAME_CHECKS, Part, STATEMENT_CHECKS, Spot,
    UntrueStatement, exposed_by, final_names, services_said,
};
use crate::inventory::Cluster;
use crate::key_path::text_of;
use crate::manifests::{Object, ObjectName};
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::problem::Problem;
use crate::render::Rendered;
use crate::yaml::Value;

use super::defined::DefinedKinds;
use super::repeated::{chart_place, merged};

/// The final objects of an Application.
#[derive(Clone, Debug)]
pub struct Made<'a> {
    /// The cluster.
    pub cluster: &'a ClusterName,
    /// The add-on; none for what is a cluster's own.
    pub addon: Option<&'a AddonName>,
    /// All of its objects.
    pub objects: &'a [Object],
    /// Those of them that stand in files of the repository, with the rendered file.
    pub own: BTreeMap<ObjectName, RepoPath>,
    /// The values that its chart is rendered with, null if it has none; nothing if not all of it is what `addon.yaml`
    /// describes.
    pub values: Option<Value>,
}

/// An object, with what it belongs to.
#[derive(Clone, Copy)]
struct Judged<'a> {
    cluster: &'a Cluster,
    addon: Option<&'a Addon>,
    object: &'a Object,
    /// The rendered file, if it is one of the repository's own.
    file: Option<&'a RepoPath>,
}

/// Returns what is wrong with objects by themselves, and with what `addon.yaml` says of them.
#[must_use]
pub fn judged(rendered: &Rendered, made: &[Made<'_>]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = made.iter().flat_map(|made| untrue(rendered, made)).collect();
    let objects = made.iter().flat_map(|made| made.objects.iter().map(|object| (made.cluster, object)));
    let kinds = DefinedKinds::of(objects);
    for it in made.iter().flat_map(|made| each(rendered, made)) {
        let defined = kinds.of_object(&it.cluster.name, &it.object.name);
        // What a definition says of its kind is the chart's own business.
        let is_judged = it.file.is_none() && !it.object.name.is_definition();
        let own_checks = if is_judged { OBJECT_CHECKS } else { &[] };
        with_document(it, &rendered.catalog.schemas, defined, |document| {
            for check in own_checks.iter().chain(DEFINED_CHECKS) {
                let found = (check.run)(document).into_iter().map(|found| found.of(check.name));
                problems.extend(found.filter_map(|found| it.problem(rendered, &found)));
            }
        });
    }
    merged(problems)
}

/// Returns what objects of whole clusters name and nothing there brings.
#[must_use]
pub fn judged_together(
    rendered: &Rendered,
    made: &[Made<'_>],
    may_go_on: &(dyn Fn() -> bool + Sync),
) -> Vec<Problem> {
    let mut of_clusters: BTreeMap<&ClusterName, Vec<Judged<'_>>> = BTreeMap::new();
    for made in made {
        of_clusters.entry(made.cluster).or_default().extend(each(rendered, made));
    }
    let mut said: BTreeMap<&ClusterName, Names> = BTreeMap::new();
    for made in made {
        let addon = made.addon.and_then(|name| rendered.catalog.addons.get(name));
        let services = addon.zip(made.values.as_ref()).map(|(addon, values)| services_said(addon, values));
        said.entry(made.cluster).or_default().provided.extend(services.unwrap_or_default());
    }
    let file = RepoPath::parse("objects").expect("a constant path");
    let names: BTreeMap<&ClusterName, Vec<DocumentNames>> = of_clusters
        .iter()
        .map(|(name, objects)| {
            let names = objects.iter().enumerate().map(|(at, it)| {
                let names = with_document(*it, &rendered.catalog.schemas, None, final_names);
                let document = Spot { document: at, item: None };
                DocumentNames { file: file.clone(), document, names: Arc::new(names) }
            });
            // What is said and not made is reported once, at the statement.
            let document = Spot { document: objects.len(), item: None };
            let said = said.remove(name).map(Arc::new).map(|names| (document, names));
            let said = said.map(|(document, names)| DocumentNames { file: file.clone(), document, names });
            (*name, names.chain(said).collect())
        })
        .collect();
    let clusters = names.iter().filter_map(|(name, names)| {
        let cluster = rendered.inventory.clusters.get(*name)?;
        Some(((*name).clone(), ClusterFlows::new(cluster, Vec::new(), names)))
    });
    let flows = Flows {
        clusters: clusters.collect(),
        unknown: Vec::new(),
        machines: Vec::new(),
        names_operators: false,
        may_go_on,
    };
    let mut problems = Vec::new();
    for (name, objects) in &of_clusters {
        let Some(of_cluster) = flows.clusters.get(*name) else { continue };
        let addons = rendered.clusters.get(*name).into_iter().flat_map(|it| it.addons());
        let addons = addons.filter_map(|name| rendered.catalog.addons.get(name)).map(Arc::as_ref).collect();
        let content = ClusterContent { flows: of_cluster, all: &flows, addons, is_final: true };
        for check in OBJECT_NAME_CHECKS {
            for found in (check.run)(&content) {
                let it = Some(objects[found.document.document]).filter(|it| it.file.is_none());
                problems.extend(it.and_then(|it| it.problem(rendered, &found.finding.of(check.name))));
            }
        }
    }
    merged(problems)
}

/// Returns the statements of an add-on that are not true of its objects.
fn untrue(rendered: &Rendered, made: &Made<'_>) -> Vec<Problem> {
    let addon = made.addon.and_then(|name| rendered.catalog.addons.get(name));
    let cluster = rendered.inventory.clusters.get(made.cluster);
    let (Some(addon), Some(cluster), Some(values)) = (addon, cluster, &made.values) else {
        return Vec::new();
    };
    let is_of_chart = |object: &&Object| {
        object.is_applied() && (addon.facts.chart.is_none() || !made.own.contains_key(&object.name))
    };
    let objects = AddonObjects {
        cluster,
        addon,
        values,
        made: made.objects.iter().filter(is_of_chart).collect(),
        all: made.objects,
        names_operators: !rendered.inventory.fleet.facts.operator_networks.is_empty(),
    };
    let found = STATEMENT_CHECKS.iter().flat_map(|check| {
        let found = (check.run)(&objects).into_iter();
        found.map(|it| UntrueStatement { finding: it.finding.of(check.name), ..it })
    });
    let problem = |UntrueStatement { object, finding }: UntrueStatement| {
        if addon.answers_object(finding.check, object.as_deref().unwrap_or_default(), &[]) {
            return None;
        }
        let place = match finding.part {
            Part::Key => addon.origin.key_place(&finding.path),
            _ => addon.origin.place(&finding.path),
        };
        Some(Problem {
            hint: finding.hint,
            accept: object.map(|object| format!("{object} .")),
            clusters: vec![cluster.name.clone()],
            ..Problem::at(place, finding.message).found_by(finding.check)
        })
    };
    found.filter_map(problem).collect()
}

fn each<'a>(rendered: &'a Rendered, made: &'a Made<'_>) -> impl Iterator<Item = Judged<'a>> {
    let cluster = rendered.inventory.clusters.get(made.cluster).map(Arc::as_ref);
    let addon = made.addon.and_then(|name| rendered.catalog.addons.get(name)).map(Arc::as_ref);
    cluster.into_iter().flat_map(move |cluster| {
        let judged = move |object| Judged { cluster, addon, object, file: made.own.get(&object.name) };
        made.objects.iter().filter(|object| object.is_applied()).map(judged)
    })
}

fn with_document<T>(
    it: Judged<'_>,
    schemas: &ObjectSchemas,
    defined: Option<&DefinedKind<'_>>,
    judge: impl FnOnce(&Document<'_>) -> T,
) -> T {
    let value = &it.object.value;
    judge(&Document {
        cluster: it.cluster,
        addon: it.addon,
        kind: DocumentKind::Object,
        value,
        neutral: None,
        exposed: &exposed_by(value),
        schemas,
        defined,
        known_hosts: &BTreeSet::new(),
    })
}

impl Judged<'_> {
    /// Returns the problem of a finding: at its line in a template if the object is the repository's own, and at the version
    /// of the add-on's chart otherwise. Nothing if the add-on accepts it.
    fn problem(&self, rendered: &Rendered, finding: &Finding) -> Option<Problem> {
        let name = &self.object.name;
        let object = format!("{}/{}", name.kind, name.name);
        let path = text_of(&finding.path);
        if self.addon.is_some_and(|addon| addon.answers_object(finding.check, &object, &finding.path)) {
            return None;
        }
        let is_it = |document: &Value| {
            ObjectName::named(document).is_some_and(|it| {
                let is_in_namespace = it.namespace.is_none() || it.namespace == name.namespace;
                is_in_namespace && ObjectName { namespace: name.namespace.clone(), ..it } == *name
            })
        };
        let line = self.file.and_then(|file| rendered.line_of(file, is_it, finding));
        let (place, message) = if let Some(line) = line {
            (line, finding.message.clone())
        } else {
            let addon = self.addon?;
            let at = if path.is_empty() { String::new() } else { format!(" `{path}`") };
            let message = format!("{name} of `{}`{at}: {}", addon.name, finding.message);
            (chart_place(addon, self.cluster), message)
        };
        let part = if path.is_empty() { "." } else { &path };
        Some(Problem {
            hint: finding.hint.clone(),
            accept: self.addon.map(|_| format!("{object} {part}")),
            clusters: vec![self.cluster.name.clone()],
            ..Problem::at(place, message).found_by(finding.check)
        })
    }
}
