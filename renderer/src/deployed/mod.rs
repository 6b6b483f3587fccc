//! What Argo CD reads for each Application that is rendered: calls of Helm, and documents of this repository.
//!
//! All of it stands in the Applications themselves, as their controller and its repository server read them. What they
//! take from elsewhere than a chart repository and this repository is not read, and says so. Of folders that are not rendered it
//! knows what `Rendered::beside` has, and names what that lacks.

mod defined;
mod functions;
mod glob;
mod judged;
mod placed;
mod published;
mod repeated;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::argo::{self, Application, IN_CLUSTER};
use crate::beside::Standing;
use crate::catalog::{Addon, VALUES_FILE};
use crate::charts::{ChartId, ChartLock};
use crate::inventory::{ChartSources, Publish, is_same_repository};
use crate::manifests::Object;
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::render::{Rendered, RenderedCluster, RenderedFile};
use crate::root::Root;
use crate::secrets::Mask;
use crate::yaml::{self, Value};

pub use functions::{AskedVersions, ChartText, Unsteady};
pub use judged::{Made, judged, judged_together};
pub use placed::{Definitions, placed};
pub use published::{
    KEEP_CHART, ObjectFile, is_of_chart, not_published, not_read, publishing, with_charts, written,
};
pub use repeated::{Difference, chart_place, differences, merged, problems, steadied};

/// An Application, and what it takes its objects from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// The cluster whose objects these are.
    pub cluster: ClusterName,
    /// The add-on; none for what is a cluster's own.
    pub addon: Option<AddonName>,
    /// The Application's name.
    pub application: String,
    /// The namespace of what names none.
    pub namespace: String,
    /// What the objects come from, in order.
    pub sources: Vec<Source>,
}

/// What an Application takes objects from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A chart.
    Chart(Box<Call>),
    /// Files of this repository.
    Documents(Vec<(RepoPath, Arc<[u8]>)>),
    /// Something that is not read, and why.
    Unread(String),
    /// Something that Argo CD fails at, and why.
    Faulty(String),
    /// Something that depends on what stands at paths of this repository, which is not known yet.
    Lacking(BTreeSet<RepoPath>),
}

/// Which chart Helm renders.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chart {
    /// One of a repository of charts: that which its add-on names.
    Packed(ChartId),
    /// A folder of this repository.
    Folder {
        /// The folder.
        path: RepoPath,
        /// What identifies its content.
        digest: String,
    },
}

impl Chart {
    /// Returns what it is known by in a repository of charts.
    #[must_use]
    pub const fn id(&self) -> Option<&ChartId> {
        match self {
            Self::Packed(id) => Some(id),
            Self::Folder { .. } => None,
        }
    }

    /// Returns the folder of this repository that it is.
    #[must_use]
    pub const fn folder(&self) -> Option<&RepoPath> {
        match self {
            Self::Packed(_) => None,
            Self::Folder { path, .. } => Some(path),
        }
    }
}

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packed(ChartId { name, version, .. }) => write!(f, "{name} {version}"),
            Self::Folder { path, .. } => path.fmt(f),
        }
    }
}

/// How Helm is called for a chart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The chart.
    pub chart: Chart,
    /// The digest that the lock has of it, `sha256:…`.
    pub digest: Option<String>,
    /// The name of the release.
    pub release: String,
    /// The namespace of the release.
    pub namespace: String,
    /// The files of values, in order.
    pub values: Vec<Arc<[u8]>>,
    /// Single values over them, each as it is written for Helm.
    pub parameters: Vec<Parameter>,
    /// The version of Kubernetes; what Helm assumes if nothing is known.
    pub kube_version: Option<String>,
    /// API versions that Helm does not know by itself.
    pub api_versions: Vec<String>,
    /// Whether definitions in the chart's own folder are left out.
    pub skips_crds: bool,
    /// Whether values are not held against the chart's schema.
    pub skips_schema: bool,
    /// Whether tests are left out.
    pub skips_tests: bool,
}

/// A single value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parameter {
    /// The place in the values.
    pub name: String,
    /// The value.
    pub value: String,
    /// Whether it is a text, whatever it looks like.
    pub is_text: bool,
}

impl Deployed {
    /// Returns the values of the chart that `addon.yaml` describes, none without a chart; nothing if something else is
    /// deployed than what it describes, another version of the chart for one, or if not all of it is read.
    #[must_use]
    pub fn described_values<'a>(&'a self, rendered: &'a Rendered) -> Option<&'a [Arc<[u8]>]> {
        let addon = rendered.catalog.addons.get(self.addon.as_ref()?)?;
        let mut calls = self.calls();
        let (call, chart) = (calls.next(), addon.facts.chart.as_ref());
        let is_read = |it: &Source| matches!(it, Source::Chart(_) | Source::Documents(_));
        if calls.next().is_some() || !self.sources.iter().all(is_read) {
            return None;
        }
        match (call, chart) {
            (None, None) => Some(&[]),
            (Some(call), Some(chart)) => {
                let is_it = call.chart.id() == Some(chart) && call.release == addon.release();
                (is_it && call.parameters.is_empty()).then_some(&*call.values)
            }
            // Its objects stand in its place, made with the same values.
            (None, Some(_)) => published_values(rendered, &self.cluster, addon),
            _ => None,
        }
    }

    /// Returns how Helm is called for its charts.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.sources.iter().filter_map(|source| match source {
            Source::Chart(call) => Some(call.as_ref()),
            Source::Documents(_) | Source::Unread(_) | Source::Faulty(_) | Source::Lacking(_) => None,
        })
    }

    /// Returns what Argo CD fails at.
    pub fn faults(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter_map(|source| match source {
            Source::Faulty(reason) => Some(reason.as_str()),
            Source::Chart(_) | Source::Documents(_) | Source::Unread(_) | Source::Lacking(_) => None,
        })
    }

    /// Returns the paths of this repository at which it is not known what stands there.
    pub fn lacks(&self) -> impl Iterator<Item = &RepoPath> {
        self.sources
            .iter()
            .filter_map(|source| match source {
                Source::Lacking(paths) => Some(paths),
                Source::Chart(_) | Source::Documents(_) | Source::Unread(_) | Source::Faulty(_) => None,
            })
            .flatten()
    }
}

/// Returns the values of a chart whose objects are published.
fn published_values<'r>(
    rendered: &'r Rendered,
    cluster: &ClusterName,
    addon: &Addon,
) -> Option<&'r [Arc<[u8]>]> {
    let described = rendered.inventory.clusters.get(cluster)?;
    let folder = Root::Applications.folder(cluster).join(addon.name.as_str()).ok()?;
    let place =
        folder.join(VALUES_FILE).ok().filter(|_| addon.publish_on(described) == Publish::Manifests)?;
    let mut files = rendered.clusters.get(cluster)?.iter_files();
    Some(std::slice::from_ref(&files.find(|file| file.path == place)?.bytes))
}

/// Returns what the values of a call come to, the later over the earlier ones: null without any, nothing if one can't be read.
#[must_use]
pub fn merged_values(texts: &[Arc<[u8]>]) -> Option<Value> {
    let mut merged = Value::Null;
    for text in texts {
        let (nodes, _) = yaml::parse_foreign(std::str::from_utf8(text).ok()?).ok()?;
        merged = nodes.iter().map(yaml::interpret_foreign).fold(merged, Value::merged);
    }
    Some(merged)
}

/// Returns the Applications that the files of a cluster ask for, in the order of their files.
#[must_use]
pub fn deployed(rendered: &Rendered, cluster: &RenderedCluster) -> Vec<Deployed> {
    let mut files: Vec<_> =
        cluster.files_in(Root::Applications).into_iter().filter(|file| may_hold_applications(file)).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let reading = Reading { rendered, cluster };
    let mut found = Vec::new();
    for file in files {
        let documents = std::str::from_utf8(&file.bytes).ok().and_then(|text| yaml::parse(text).ok());
        for node in documents.unwrap_or_default() {
            let object = yaml::interpret_as_written(&node);
            found.extend(argo::applications(&object).iter().filter_map(|made| reading.application(made)));
        }
    }
    found
}

/// Returns an object for people: the data of Secrets, and what else is recognized as a secret, is masked.
#[must_use]
pub fn masked(object: &Object) -> Value {
    let value = object.value.clone();
    if object.name.is_definition() { value } else { Mask::default().published(value, None) }
}

/// Most files hold none, and reading all of them would take as long as rendering them.
fn may_hold_applications(file: &RenderedFile) -> bool {
    memchr::memmem::find(&file.bytes, b"kind: Application").is_some()
}

/// Argo CD, reading what is rendered for a cluster.
struct Reading<'r> {
    rendered: &'r Rendered,
    cluster: &'r RenderedCluster,
}

/// Where an Application puts things, unless a source says something else.
struct Target<'a> {
    /// The Application's name, by which a release is called.
    application: &'a str,
    namespace: &'a str,
    cluster: &'a ClusterName,
}

/// The texts of an Application's source, filled in.
struct Written<'a> {
    application: &'a Application<'a>,
    source: &'a Value,
}

impl Written<'_> {
    fn text(&self, path: &[&str]) -> Option<String> {
        let text = self.application.filled(self.source.text_at(path)?)?.into_owned();
        Some(text).filter(|text| !text.is_empty())
    }

    fn texts(&self, path: &[&str]) -> Vec<Option<String>> {
        let items = self.source.at(path).and_then(Value::as_list).unwrap_or_default();
        items.iter().map(|item| Some(self.application.filled(item.as_str()?)?.into_owned())).collect()
    }

    fn is_set(&self, path: &[&str]) -> bool {
        self.source.at(path) == Some(&Value::Bool(true))
    }
}

impl Reading<'_> {
    fn application(&self, application: &Application<'_>) -> Option<Deployed> {
        let text = |path: &[&str]| application.text(path).map(std::borrow::Cow::into_owned);
        let name = text(&["metadata", "name"])?;
        let namespace = text(&["spec", "destination", "namespace"]).unwrap_or_default();
        let filled: Vec<_> =
            application.sources().map(|(_, source)| Written { application, source }).collect();
        let cluster = self.destination(&text(&["spec", "destination", "name"]).unwrap_or_default());
        let target = Target { application: &name, namespace: &namespace, cluster };
        let mut sources = Vec::new();
        let mut addon = None;
        for source in &filled {
            let (read, of) = self.source(source, &filled, &target);
            addon = addon.or(of);
            sources.extend(read);
        }
        Some(Deployed { cluster: cluster.clone(), addon, application: name, namespace, sources })
    }

    /// Returns the cluster that Argo CD knows by a name. By no name or another one, it is that whose folder the Application
    /// stands in.
    fn destination(&self, name: &str) -> &ClusterName {
        let inventory = &self.rendered.inventory;
        let own = inventory.clusters.get(&self.cluster.name);
        let hub = || Some(&inventory.hub_of(own?)?.name);
        let named = || inventory.clusters.get(name).map(|it| &it.name);
        let found = if name == IN_CLUSTER { hub() } else { named() };
        found.unwrap_or(&self.cluster.name)
    }

    /// Returns what a source gives, and whose files it reads.
    fn source(
        &self,
        source: &Written<'_>,
        all: &[Written<'_>],
        target: &Target<'_>,
    ) -> (Option<Source>, Option<AddonName>) {
        let repository = source.text(&["repoURL"]).unwrap_or_default();
        let read = if let Some(chart) = source.text(&["chart"]) {
            let version = source.text(&["targetRevision"]).unwrap_or_default();
            let (chart, digest) = self.locked(chart, version, repository);
            self.call(Chart::Packed(chart), source, all, target)
                .map(|(call, addon)| (Source::Chart(Box::new(Call { digest, ..call })), addon))
        } else if let Some(path) = source.text(&["path"]) {
            if self.is_own(&repository) {
                self.path(path.trim_matches('/'), source, all, target)
            } else {
                Err(unread(format_args!("it reads `{path}` of another repository, `{repository}`")))
            }
        } else {
            return (None, None);
        };
        match read {
            Ok((source, addon)) => (Some(source), addon),
            Err(source) => (Some(source), None),
        }
    }

    /// Reads a path of this repository by what Argo CD reads it by: what the source says, or else what stands in the folder.
    fn path(
        &self,
        path: &str,
        source: &Written<'_>,
        all: &[Written<'_>],
        target: &Target<'_>,
    ) -> Result<(Source, Option<AddonName>), Source> {
        let says = |key| source.source.get(key).is_some_and(|value| *value != Value::Null);
        let by = |what: &str| unread(format_args!("it reads `{path}` by {what}"));
        for (key, what) in [("kustomize", KUSTOMIZE), ("plugin", "a plugin")] {
            if says(key) {
                return Err(by(what));
            }
        }
        if Root::of(path).is_some() {
            return if says("helm") { Err(by(CHART)) } else { self.rendered_folder(source, path) };
        }
        let place = normalized("", path).ok_or_else(|| {
            unread(format_args!("it reads `{path}`, which is no folder below the repository's top"))
        })?;
        self.check_revision(source, &place)?;
        let folder = match self.rendered.beside.get(&place) {
            None => return Err(Source::Lacking(BTreeSet::from([place]))),
            Some(Standing::Folder(folder)) => folder,
            Some(Standing::Refused(reason)) => {
                return Err(unread(format_args!("it reads `{place}`, where {reason}")));
            }
            Some(Standing::Nothing | Standing::File(_)) => {
                return Err(faulty(format_args!(
                    "it reads the folder `{place}`, which the repository does not have"
                )));
            }
        };
        let overrides =
            [".argocd-source.yaml".to_owned(), format!(".argocd-source-{}.yaml", target.application)];
        if let Some(file) = overrides.iter().find(|file| folder.files.contains_key(*file)) {
            return Err(by(&format!("what its `{file}` says")));
        }
        let tools: BTreeSet<_> =
            folder.files.keys().filter(|file| !file.contains('/')).filter_map(|file| tool(file)).collect();
        // Kustomize comes before Helm where a folder has the files of both.
        let is_helm = says("helm") || (tools.contains(CHART) && !tools.contains(KUSTOMIZE));
        if is_helm && !says("directory") {
            let chart = Chart::Folder { path: place, digest: folder.digest.clone() };
            let (call, addon) = self.call(chart, source, all, target)?;
            return Ok((Source::Chart(Box::new(call)), addon));
        }
        if let Some(tool) = tools.iter().find(|tool| **tool == JSONNET || !says("directory")) {
            return Err(by(tool));
        }
        let wanted = documents_of(source, path, folder.files.keys().map(String::as_str))?;
        let found =
            wanted.into_iter().filter_map(|it| Some((place.join(it).ok()?, Arc::clone(&folder.files[it]))));
        Ok((Source::Documents(found.collect()), None))
    }

    /// Reads the files of a folder that is rendered.
    fn rendered_folder(
        &self,
        source: &Written<'_>,
        path: &str,
    ) -> Result<(Source, Option<AddonName>), Source> {
        let (mut addon, mut found) = (None, BTreeMap::new());
        let files: BTreeMap<_, _> =
            self.files_below(path).filter_map(|file| Some((file.path.below(path)?, file))).collect();
        if let Some(tool) = files.keys().filter(|file| !file.contains('/')).find_map(|file| tool(file)) {
            return Err(unread(format_args!("it reads `{path}` by {tool}")));
        }
        for inner in documents_of(source, path, files.keys().copied())? {
            let file = files[inner];
            addon = addon.or_else(|| file.addon.clone());
            found.insert(file.path.clone(), Arc::clone(&file.bytes));
        }
        Ok((Source::Documents(found.into_iter().collect()), addon))
    }

    /// Returns how Helm is called for a chart, and whose values it is called with.
    fn call(
        &self,
        chart: Chart,
        source: &Written<'_>,
        all: &[Written<'_>],
        target: &Target<'_>,
    ) -> Result<(Call, Option<AddonName>), Source> {
        let helm = |key| source.text(&["helm", key]);
        let (mut values, mut addon, mut lacks) = (Vec::new(), None, BTreeSet::new());
        for file in source.texts(&["helm", "valueFiles"]) {
            let file = file.ok_or_else(|| unread("the name of a file of values is not known"))?;
            let place = self.values_place(&file, chart.folder(), source, all)?;
            match self.values_file(&place) {
                None => drop(lacks.insert(place)),
                Some((Standing::File(bytes), of)) => {
                    addon = addon.or(of);
                    values.push(bytes);
                }
                Some((Standing::Refused(reason), _)) => {
                    return Err(unread(format_args!("its file of values is `{place}`, where {reason}")));
                }
                Some((Standing::Nothing, _)) if source.is_set(&["helm", "ignoreMissingValueFiles"]) => {}
                Some((Standing::Nothing | Standing::Folder(_), _)) => {
                    return Err(faulty(format_args!("there is no file of values `{place}`")));
                }
            }
        }
        if !lacks.is_empty() {
            return Err(Source::Lacking(lacks));
        }
        // Values in the Application itself win; those that are written as a map win over those that are written as a text.
        let own = source.source.at(&["helm", "valuesObject"]).filter(|value| value.as_map().is_some());
        let own = own.map(yaml::write).or_else(|| helm("values"));
        values.extend(own.map(|text| text.into_bytes().into()));
        if source.source.at(&["helm", "fileParameters"]).is_some_and(|list| *list != Value::Null) {
            return Err(unread("it sets values from files (`fileParameters`)"));
        }
        let described = self.rendered.inventory.clusters.get(target.cluster);
        let kubernetes = described.and_then(|cluster| cluster.facts.kubernetes.as_ref());
        let told = source.texts(&["helm", "apiVersions"]);
        let known = || {
            kubernetes.map(|it| it.api_versions.iter().map(ToString::to_string).collect()).unwrap_or_default()
        };
        Ok((
            Call {
                chart,
                digest: None,
                release: helm("releaseName").unwrap_or_else(|| target.application.to_owned()),
                namespace: helm("namespace").unwrap_or_else(|| target.namespace.to_owned()),
                values,
                parameters: parameters(source)?,
                kube_version: helm("kubeVersion").or_else(|| Some(kubernetes?.version.clone())),
                api_versions: if told.is_empty() { known() } else { told.into_iter().flatten().collect() },
                skips_crds: source.is_set(&["helm", "skipCrds"]),
                skips_schema: source.is_set(&["helm", "skipSchemaValidation"]),
                skips_tests: source.is_set(&["helm", "skipTests"]),
            },
            addon,
        ))
    }

    /// Returns where a file of values is: `$name/path` is one of the repository that another source refers to by this name,
    /// all others are paths from the chart's folder, or from the top of the repository if they begin with a slash.
    fn values_place(
        &self,
        file: &str,
        folder: Option<&RepoPath>,
        source: &Written<'_>,
        all: &[Written<'_>],
    ) -> Result<RepoPath, Source> {
        let refers = file.strip_prefix('$').and_then(|rest| rest.split_once('/'));
        let (from, path, of) = if let Some((name, path)) = refers {
            let referred = all.iter().find(|source| source.text(&["ref"]).as_deref() == Some(name));
            let repository = referred.and_then(|source| source.text(&["repoURL"])).unwrap_or_default();
            let own = referred.filter(|_| self.is_own(&repository));
            let elsewhere = || unread(format_args!("its file of values `{file}` is in another repository"));
            ("", path, own.ok_or_else(elsewhere)?)
        } else if let Some(folder) = folder.filter(|_| !file.contains("://")) {
            (if file.starts_with('/') { "" } else { folder.as_str() }, file, source)
        } else {
            return Err(unread(format_args!("its file of values `{file}` is not one of this repository")));
        };
        if path.contains(['*', '?', '[', '$']) {
            return Err(unread(format_args!("its file of values `{file}` is a pattern")));
        }
        let place = normalized(from, path);
        let place = place.ok_or_else(|| {
            faulty(format_args!("its file of values `{file}` is outside of the repository"))
        })?;
        self.check_revision(of, &place)?;
        Ok(place)
    }

    /// Returns what stands at the place of a file of values, and whose it is; nothing if it is not known.
    fn values_file(&self, place: &RepoPath) -> Option<(Standing, Option<AddonName>)> {
        if Root::of(place.as_str()).is_none() {
            return Some((self.rendered.beside.get(place)?.clone(), None));
        }
        let found = self.files_below(place.as_str()).find(|found| found.path == *place);
        Some(found.map_or((Standing::Nothing, None), |found| {
            (Standing::File(Arc::clone(&found.bytes)), found.addon.clone())
        }))
    }

    /// Refuses what a source reads at another revision than the one that is looked at; what is rendered is published at each.
    fn check_revision(&self, source: &Written<'_>, place: &RepoPath) -> Result<(), Source> {
        let revision = source.text(&["targetRevision"]).unwrap_or_default();
        let branch = &self.rendered.inventory.fleet.facts.repository.branch;
        let is_own = matches!(&*revision, "" | "HEAD")
            || revision.strip_prefix("refs/heads/").unwrap_or(&revision) == branch;
        if is_own || Root::of(place.as_str()).is_some() {
            return Ok(());
        }
        Err(unread(format_args!("it reads `{place}` at `{revision}`, and not at `{branch}`")))
    }

    /// Returns the files that may stand at a path or below it.
    fn files_below(&self, path: &str) -> impl Iterator<Item = &RenderedFile> + use<'_> {
        let name = Root::of(path).and_then(|(_, rest)| rest.split('/').next());
        let own = name.and_then(|name| self.rendered.clusters.get(name));
        let all = own.is_none().then(|| self.rendered.clusters.values());
        own.into_iter().chain(all.into_iter().flatten()).flat_map(|cluster| cluster.iter_files())
    }

    fn is_own(&self, repository: &str) -> bool {
        let own = &self.rendered.inventory.fleet.facts.repository.url;
        let bare = |url: &str| url.trim_end_matches('/').trim_end_matches(".git").to_owned();
        bare(own) == bare(repository)
    }

    /// Returns the chart as the lock has it: an Application may draw it from a mirror, and leaves `oci://` out.
    fn locked(&self, name: String, version: String, repository: String) -> (ChartId, Option<String>) {
        let Rendered { inventory, catalog, .. } = self.rendered;
        let lock = catalog.lock.as_ref().map(|lock| &lock.charts);
        named_as(lock, &inventory.fleet.facts.charts, &name, &version, &repository).unwrap_or_else(|| {
            let is_address = repository.contains("://");
            let repository = if is_address { repository } else { format!("oci://{repository}") };
            (ChartId { name, version, repository }, None)
        })
    }
}

fn named_as(
    lock: Option<&ChartLock>,
    sources: &ChartSources,
    name: &str,
    version: &str,
    repository: &str,
) -> Option<(ChartId, Option<String>)> {
    let bare = |address: &str| address.strip_prefix("oci://").unwrap_or(address).to_owned();
    let is_drawn_from = |known: &str| {
        is_same_repository(&bare(&sources.address_of(known)), &bare(repository))
            || is_same_repository(&bare(known), &bare(repository))
    };
    let mut charts = lock?.charts.iter();
    let (id, chart) =
        charts.find(|(id, _)| id.name == name && id.version == version && is_drawn_from(&id.repository))?;
    Some((id.clone(), chart.digest.clone()))
}

/// Returns the files of a folder that Argo CD takes for documents: those of YAML and JSON, in deeper folders only if the
/// source says so.
fn documents_of<'f>(
    source: &Written<'_>,
    path: &str,
    files: impl Iterator<Item = &'f str>,
) -> Result<Vec<&'f str>, Source> {
    let is_deep = source.is_set(&["directory", "recurse"]);
    let pattern = |key| match source.text(&["directory", key]) {
        Some(text) => glob::Pattern::parse(&text).map(Some).ok_or_else(|| {
            unread(format_args!("it reads `{path}` by a `directory.{key}` of too many alternatives"))
        }),
        None => Ok(None),
    };
    let (include, exclude) = (pattern("include")?, pattern("exclude")?);
    let is_wanted = |inner: &str| {
        (is_deep || !inner.contains('/'))
            && inner.rsplit_once('.').is_some_and(|(_, end)| ["yaml", "yml", "json"].contains(&end))
            && include.as_ref().is_none_or(|pattern| pattern.matches(inner))
            && !exclude.as_ref().is_some_and(|pattern| pattern.matches(inner))
    };
    Ok(files.filter(|inner| is_wanted(inner)).collect())
}

fn unread(reason: impl fmt::Display) -> Source {
    Source::Unread(reason.to_string())
}

fn faulty(reason: impl fmt::Display) -> Source {
    Source::Faulty(reason.to_string())
}

/// Returns a path from a folder, or from the top without one; nothing if it is no path below the top.
fn normalized(folder: &str, path: &str) -> Option<RepoPath> {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    RepoPath::parse(&parts.join("/")).ok()
}

const CHART: &str = "Helm, as a chart that is rendered";
const KUSTOMIZE: &str = "Kustomize";
const JSONNET: &str = "Jsonnet";

/// Returns what Argo CD reads a folder by, if one of its files makes it something else than plain documents.
fn tool(file: &str) -> Option<&'static str> {
    match file {
        "Chart.yaml" => Some(CHART),
        "kustomization.yaml" | "kustomization.yml" | "Kustomization" => Some(KUSTOMIZE),
        _ if file.ends_with(".jsonnet") => Some(JSONNET),
        _ => None,
    }
}

fn parameters(source: &Written<'_>) -> Result<Vec<Parameter>, Source> {
    let items = source.source.at(&["helm", "parameters"]).and_then(Value::as_list).unwrap_or_default();
    let parameter = |item: &Value| {
        let text = |key| Some(source.application.filled(item.text_at(&[key])?)?.into_owned());
        let is_text = item.get("forceString") == Some(&Value::Bool(true));
        Some(Parameter { name: text("name")?, value: text("value").unwrap_or_default(), is_text })
    };
    let found: Option<Vec<_>> = items.iter().map(parameter).collect();
    found.ok_or_else(|| unread("one of its parameters is not known"))
}
