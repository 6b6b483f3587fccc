//! Final objects that are published in the place of a chart: how the chart is called all the same, in which files its
//! objects are written, and what keeps them from being published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::catalog::Addon;
use crate::inventory::{Cluster, Publish};
use crate::key_path::{Step, text_of};
use crate::manifests::{self, Object};
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::plural::counted;
use crate::problem::Problem;
use crate::provenance::{ClusterDocuments, templates};
use crate::render::{Rendered, RenderedFile};
use crate::root::Root;
use crate::templates::{Form, MAX_CLUSTER_STEPS, RenderBudget, write_file};
use crate::tree::leaves;
use crate::yaml::Value;

use super::{Deployed, Source, deployed, masked};

/// The name of the check.
const CHECK: &str = "publish";
/// How to go on with a chart whose objects can't be published.
pub const KEEP_CHART: &str = "keep the add-on on its chart with `publish: chart`";
/// The folder of an add-on's objects, below its own.
const FOLDER: &str = "manifests";
/// How many files one folder may have.
const MAX_FILES: usize = 1_000;
/// How much Argo CD's repository server reads of one folder, unless it is told otherwise.
const MAX_FOLDER_BYTES: usize = 10_000_000;
/// A text by which Argo CD leaves out the file that has it.
const SKIPPED: &str = "+argocd:skip-file-rendering";

/// A file of final objects, and its content.
pub type ObjectFile = (RepoPath, Arc<[u8]>);

/// Returns the add-ons whose charts' objects are published, by cluster.
#[must_use]
pub fn publishing(rendered: &Rendered) -> BTreeSet<(ClusterName, AddonName)> {
    let clusters = rendered.inventory.clusters.values().filter(|it| rendered.clusters.contains_key(&it.name));
    let all =
        clusters.flat_map(|cluster| rendered.catalog.addons.values().map(move |addon| (cluster, addon)));
    let wanted = all.filter(|(cluster, addon)| is_published(addon, cluster));
    wanted.map(|(cluster, addon)| (cluster.name.clone(), addon.name.clone())).collect()
}

fn is_published(addon: &Addon, cluster: &Cluster) -> bool {
    addon.is_on(cluster) && addon.publish_on(cluster) == Publish::Manifests
}

/// Returns a rendering as it would be if Argo CD rendered all charts: without the objects that are published, and with
/// Applications that call their charts.
pub fn with_charts(rendered: &Rendered) -> Result<Rendered, Vec<Problem>> {
    let clusters: BTreeSet<ClusterName> =
        publishing(rendered).into_iter().map(|(cluster, _)| cluster).collect();
    if clusters.is_empty() {
        return Ok(rendered.clone());
    }
    let clusters: Vec<_> = clusters.into_iter().collect();
    let own: Result<Vec<_>, _> = clusters.par_iter().map(|name| own_files(rendered, name)).collect();
    let made = clusters.iter().flat_map(|name| {
        let files = rendered.clusters[name].iter_files().filter(|file| is_object_file(rendered, file));
        files.map(move |file| (name.clone(), file.path.clone(), file.addon.clone(), None))
    });
    let made: Vec<_> = made.collect();
    Ok(rendered.with_files(own?.into_iter().flatten().chain(made)))
}

type Replaced = (ClusterName, RepoPath, Option<AddonName>, Option<Arc<[u8]>>);

/// Renders what Argo CD reads of a cluster's own as if it rendered all charts.
fn own_files(rendered: &Rendered, name: &ClusterName) -> Result<Vec<Replaced>, Vec<Problem>> {
    let mut scope = rendered.scope(name);
    for placed in &mut scope.addons {
        placed.publish = Publish::Chart;
    }
    let budget = RenderBudget::new(MAX_CLUSTER_STEPS, &|_| true);
    let documents = ClusterDocuments::new(&scope, &rendered.catalog, &budget);
    let units = templates(&rendered.catalog, &rendered.inventory, scope.cluster);
    let own = units.iter().filter(|unit| unit.addon.is_none() && unit.root == Root::Applications);
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for template in own.flat_map(|unit| &unit.templates) {
        match documents.of(template).render() {
            Ok(made) => {
                let from = template.template.unwrap_or(&scope.cluster.file);
                let text = write_file(Form::Yaml, from, None, &made);
                let bytes = (!made.is_empty()).then(|| text.into_bytes().into());
                files.push((name.clone(), template.writes.clone(), None, bytes));
            }
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

/// Returns whether a file of an add-on holds objects of its chart, and is not one that the repository has a template of.
#[must_use]
pub fn is_of_chart(rendered: &Rendered, addon: Option<&AddonName>, path: &RepoPath) -> bool {
    let addon = addon.and_then(|name| rendered.catalog.addons.get(name));
    addon.is_some_and(|addon| is_of_chart_of(addon, path))
}

fn is_object_file(rendered: &Rendered, file: &RenderedFile) -> bool {
    is_of_chart(rendered, file.addon.as_ref(), &file.path)
}

fn is_of_chart_of(addon: &Addon, path: &RepoPath) -> bool {
    let below = path.components().skip(3).collect::<Vec<_>>().join("/");
    below.strip_prefix(FOLDER).is_some_and(|rest| rest.starts_with('/'))
        && addon.files().all(|(own, _)| own != below)
}

/// Returns the files that the objects of an add-on's chart are published in: one for each kind, and one for each
/// definition of a kind, since these are large and the same on many clusters. Or returns what keeps them from it.
pub fn written(
    rendered: &Rendered,
    (cluster, addon): (&ClusterName, &AddonName),
    objects: Vec<Object>,
) -> Result<Vec<ObjectFile>, Vec<Problem>> {
    let (Some(described), Some(addon)) =
        (rendered.inventory.clusters.get(cluster), rendered.catalog.addons.get(addon))
    else {
        return Ok(Vec::new());
    };
    let problem = |message: String| refused(addon, described, &message);
    let mut problems: Vec<_> = objects.iter().filter_map(|object| Some(problem(fault(object)?))).collect();
    let mut by_file: BTreeMap<String, Vec<Object>> = BTreeMap::new();
    for object in objects {
        if let Some(name) = file_name(&object) {
            by_file.entry(name).or_default().push(object);
        } else {
            let message = format!("the name of {} has no place in that of a file", object.name);
            problems.push(problem(message));
        }
    }
    let folder = Root::Applications.folder(cluster).join(addon.name.as_str()).and_then(|it| it.join(FOLDER));
    let folder = folder.expect("names are names of files");
    let own: Vec<_> = own_documents(rendered, cluster, addon).collect();
    let mut files = Vec::new();
    for (name, mut objects) in by_file {
        let path = folder.join(&name).expect("it is the name of a file");
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        if own.iter().any(|file| file.path == path) {
            let message =
                format!("`{FOLDER}/{name}` is one of its own manifests, and a file of its chart's objects");
            problems.push(problem(message).hint("rename the template of the manifest"));
            continue;
        }
        match text_of_objects(&addon.origin.place(&[]).file, &objects) {
            Ok(text) => files.push((path, text.into_bytes().into())),
            Err(object) => {
                let message = format!("{object} can't be written as a file that reads the same");
                problems.push(problem(message));
            }
        }
    }
    let size: usize = files.iter().map(|(_, bytes): &ObjectFile| bytes.len()).sum();
    let size = size + own.iter().map(|file| file.bytes.len()).sum::<usize>();
    if size > MAX_FOLDER_BYTES {
        let most = MAX_FOLDER_BYTES / 1_000_000;
        problems.push(problem(format!(
            "its objects take more than the {most} MB that Argo CD reads of one folder"
        )));
    }
    if files.len() + own.len() > MAX_FILES {
        problems.push(problem(format!("its objects take more than {}", counted(MAX_FILES, "file"))));
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

/// Returns a problem of an add-on whose chart's objects can't be published on a cluster.
fn refused(addon: &Addon, cluster: &Cluster, message: &str) -> Problem {
    let message = format!("the objects of `{}` are not published: {message}", addon.name);
    let problem = Problem::at(addon.publish_place(cluster), message).found_by(CHECK).hint(KEEP_CHART);
    Problem { clusters: vec![cluster.name.clone()], ..problem }
}

/// Returns a problem of an add-on whose chart's objects can't be published on a cluster; nothing if the names are not known.
#[must_use]
pub fn not_published(rendered: &Rendered, of: (&ClusterName, &AddonName), message: &str) -> Option<Problem> {
    let cluster = rendered.inventory.clusters.get(of.0)?;
    Some(refused(rendered.catalog.addons.get(of.1)?, cluster, message))
}

/// Returns what keeps an object from being published: a secret in it, or a text by which Argo CD would leave it out.
fn fault(object: &Object) -> Option<String> {
    let shown = masked(object);
    let (whole, shown) = (leaves(&object.value), leaves(&shown).into_iter().collect::<BTreeMap<_, _>>());
    // What a Secret holds is one, however it is called.
    let is_content = |path: &[Step<&str>], leaf: &Value| {
        object.name.kind == "Secret"
            && object.name.group().is_empty()
            && matches!(path.first(), Some(Step::Key("data" | "stringData")))
            && leaf.as_str().is_some_and(|text| !text.is_empty())
    };
    let secrets = whole.iter().filter(|(path, leaf)| is_content(path, leaf) || shown.get(path) != Some(leaf));
    let mut differs = secrets.map(|(path, _)| text_of(path)).collect::<Vec<_>>().into_iter();
    if let Some(first) = differs.next() {
        let more = match differs.len() {
            0 => String::new(),
            more => format!(" and {} more", counted(more, "place")),
        };
        return Some(format!("{} holds a secret at `{first}`{more}", object.name));
    }
    let is_skipped = whole.iter().any(|(_, leaf)| leaf.as_str().is_some_and(|it| it.contains(SKIPPED)));
    is_skipped
        .then(|| format!("{} has the text `{SKIPPED}`, by which Argo CD leaves a file out", object.name))
}

/// Returns the name of the file that an object is written in; nothing if its names can't be part of one.
fn file_name(object: &Object) -> Option<String> {
    const LONGEST: usize = 200;
    let is_plain = |text: &str, more: &str| {
        text.len() <= LONGEST && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let (kind, group, name) = (&object.name.kind, object.name.group(), &object.name.name);
    if object.name.is_definition() && group == "apiextensions.k8s.io" {
        return is_plain(name, "-.").then(|| format!("chart-crd-{}.yaml", name.to_lowercase()));
    }
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    (is_plain(kind, "") && is_plain(&group, "-."))
        .then(|| format!("chart-{}.yaml", format!("{kind}{group}").to_lowercase()))
}

/// Writes objects, or returns the first that would be read as another one.
fn text_of_objects(from: &RepoPath, objects: &[Object]) -> Result<String, String> {
    let values: Vec<Value> = objects.iter().map(|object| object.value.clone()).collect();
    let text = write_file(Form::Yaml, from, None, &values);
    let read = manifests::read(&text).unwrap_or_default();
    let differs = objects.iter().enumerate().find(|(at, object)| read.get(*at) != Some(object));
    match differs {
        Some((_, object)) => Err(object.name.to_string()),
        None => Ok(text),
    }
}

fn own_documents<'r>(
    rendered: &'r Rendered,
    cluster: &ClusterName,
    addon: &'r Addon,
) -> impl Iterator<Item = &'r RenderedFile> {
    let files = rendered.clusters.get(cluster).into_iter().flat_map(|it| it.iter_files());
    files.filter(|file| {
        file.addon.as_ref() == Some(&addon.name)
            && file.path.components().nth(3) == Some(FOLDER)
            && !is_of_chart_of(addon, &file.path)
    })
}

/// Returns where objects are published that no Application reads.
#[must_use]
pub fn not_read(rendered: &Rendered) -> Vec<Problem> {
    let wanted = publishing(rendered);
    if wanted.is_empty() {
        return Vec::new();
    }
    let clusters: Vec<_> = rendered.clusters.values().collect();
    let all: Vec<Deployed> = clusters.par_iter().flat_map_iter(|it| deployed(rendered, it)).collect();
    let read: BTreeSet<&RepoPath> = all.iter().flat_map(|it| &it.sources).flat_map(documents).collect();
    let problem = |(cluster, addon): &(ClusterName, AddonName)| {
        let files = rendered.clusters.get(cluster)?.iter_files();
        let own = files.filter(|file| file.addon.as_ref() == Some(addon) && is_object_file(rendered, file));
        let path = own.map(|file| &file.path).find(|path| !read.contains(path))?;
        let message = format!("no Application reads `{path}`");
        let hint = "let it read the folder of an add-on whose `manifests` is true and whose `chart` is null, as `templates/cluster/applicationset.yaml.hbs` does";
        Some(not_published(rendered, (cluster, addon), &message)?.hint(hint))
    };
    wanted.iter().filter_map(problem).collect()
}

fn documents(source: &Source) -> impl Iterator<Item = &RepoPath> {
    let files = match source {
        Source::Documents(files) => files.as_slice(),
        Source::Chart(_) | Source::Unread(_) | Source::Faulty(_) | Source::Lacking(_) => &[],
    };
    files.iter().map(|(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(text: &str) -> Vec<Object> {
        manifests::read(text).unwrap()
    }

    fn fault_of(text: &str) -> Option<String> {
        fault(&objects(text)[0])
    }

    #[test]
    fn an_object_with_a_secret_is_refused_with_its_place() {
        for (text, found) in [
            ("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a: b}}", None),
            ("{apiVersion: v1, kind: Secret, metadata: {name: a}, type: Opaque}", None),
            ("{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {a: ''}}", None),
            (
                "{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: b}, data: {x: eA==, y: eA==}}",
                Some("Secret b/a holds a secret at `data.x` and 1 place more"),
            ),
            (
                "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {secretName: eA==}}",
                Some("Secret a holds a secret at `data.secretName`"),
            ),
            (
                "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {env: [{name: DB_PASSWORD, value: hunter2}]}}",
                Some("Deployment a holds a secret at `spec.env[0].value`"),
            ),
            (
                "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {env: [{name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}]}}",
                None,
            ),
            (
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a: '# +argocd:skip-file-rendering'}}",
                Some(
                    "ConfigMap a has the text `+argocd:skip-file-rendering`, by which Argo CD leaves a file out",
                ),
            ),
        ] {
            assert_eq!(fault_of(text).as_deref(), found, "{text}");
        }
    }

    #[test]
    fn objects_of_a_kind_share_a_file_and_definitions_have_their_own() {
        for (version, kind, name, file) in [
            ("v1", "Service", "a", Some("chart-service.yaml")),
            ("serving.knative.dev/v1", "Service", "a", Some("chart-service.serving.knative.dev.yaml")),
            (
                "rbac.authorization.k8s.io/v1",
                "ClusterRole",
                "system:a",
                Some("chart-clusterrole.rbac.authorization.k8s.io.yaml"),
            ),
            (
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                "as.x.io",
                Some("chart-crd-as.x.io.yaml"),
            ),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "../a", None),
            ("v1", "../../x", "a", None),
            ("a b/v1", "X", "a", None),
        ] {
            let text = format!("{{apiVersion: '{version}', kind: '{kind}', metadata: {{name: '{name}'}}}}");
            assert_eq!(file_name(&objects(&text)[0]).as_deref(), file, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let text = "{apiVersion: v1, kind: A, metadata: {name: a}, spec: {a: yes, b: 0644, c: 1e3, d: '1e3', e: '', f: \"a\\tb\\n\", g: 12:30, h: null, i: .inf}}\n---\n{apiVersion: v1, kind: A, metadata: {name: b}, text: \"---\\n# x\\n\"}\n";
        let objects = objects(text);
        let from = RepoPath::parse("templates/addons/a/addon.yaml").unwrap();
        let text = text_of_objects(&from, &objects);
        assert!(text.is_ok_and(|text| {
            text.starts_with("# Rendered by Fleetwright from templates/addons/a/addon.yaml;")
        }));
    }
}
