//! What Argo CD reads for each Application that is rendered: calls of Helm, and documents of this repository.
//!
//! All of it stands in the Applications themselves, as their controller and its repository server read them. What they
//! take from elsewhere than a chart repository and this repository is not read, and says so.

mod defined;
mod functions;
mod glob;
mod judged;
mod placed;
mod repeated;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::argo::{self, Application, IN_CLUSTER};
use crate::charts::{ChartId, ChartLock};
use crate::inventory::{ChartSources, is_same_repository};
use crate::manifests::Object;
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::render::{Rendered, RenderedCluster, RenderedFile};
use crate::root::Root;
use crate::secrets::Mask;
use crate::yaml::{self, Value};

pub use functions::{AskedVersions, ChartText, Unsteady};
pub use judged::{Made, judged, judged_together};
pub use placed::{Definitions, placed};
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
}

/// How Helm is called for a chart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The chart, with the repository that its add-on names.
    pub chart: ChartId,
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
    pub fn described_values(&self, rendered: &Rendered) -> Option<&[Arc<[u8]>]> {
        let addon = rendered.catalog.addons.get(self.addon.as_ref()?)?;
        let mut calls = self.calls();
        let (call, chart) = (calls.next(), addon.facts.chart.as_ref());
        if calls.next().is_some() || self.sources.iter().any(|it| matches!(it, Source::Unread(_))) {
            return None;
        }
        match (call, chart) {
            (None, None) => Some(&[]),
            (Some(call), Some(chart)) => {
                let is_it = call.chart == *chart && call.release == addon.release();
                (is_it && call.parameters.is_empty()).then_some(&*call.values)
            }
            _ => None,
        }
    }

    /// Returns how Helm is called for its charts.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.sources.iter().filter_map(|source| match source {
            Source::Chart(call) => Some(call.as_ref()),
            Source::Documents(_) | Source::Unread(_) => None,
        })
    }
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
        let written: Vec<_> =
            application.sources().map(|(_, source)| Written { application, source }).collect();
        let cluster = self.destination(&text(&["spec", "destination", "name"]).unwrap_or_default());
        let target = Target { application: &name, namespace: &namespace, cluster };
        let mut sources = Vec::new();
        let mut addon = None;
        for source in &written {
            let (read, of) = self.source(source, &written, &target);
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
        let unread = |reason: &str| (Some(Source::Unread(reason.to_owned())), None);
        let repository = source.text(&["repoURL"]).unwrap_or_default();
        let path = source.text(&["path"]);
        if let Some(chart) = source.text(&["chart"]) {
            let version = source.text(&["targetRevision"]).unwrap_or_default();
            return match self.call(self.locked(chart, version, repository), source, all, target) {
                Ok((call, addon)) => (Some(Source::Chart(Box::new(call))), addon),
                Err(reason) => unread(&reason),
            };
        }
        let Some(path) = path else { return (None, None) };
        if !self.is_own(&repository) {
            return unread(&format!("it reads `{path}` of another repository, `{repository}`"));
        }
        for (key, what) in
            [("helm", "a chart in a folder"), ("kustomize", "Kustomize"), ("plugin", "a plugin")]
        {
            if source.source.get(key).is_some_and(|value| *value != Value::Null) {
                return unread(&format!("it reads `{path}` by {what}"));
            }
        }
        self.folder(source, &path)
    }

    /// Reads the files of a folder as Argo CD does: those of YAML and JSON, in deeper folders only if it is told so.
    fn folder(&self, source: &Written<'_>, path: &str) -> (Option<Source>, Option<AddonName>) {
        let path = path.trim_matches('/');
        let is_deep = source.is_set(&["directory", "recurse"]);
        let pattern = |key| {
            let text = source.text(&["directory", key]);
            text.map(|text| glob::Pattern::parse(&text).ok_or(key)).transpose()
        };
        let (include, exclude) = match (pattern("include"), pattern("exclude")) {
            (Ok(include), Ok(exclude)) => (include, exclude),
            (Err(key), _) | (_, Err(key)) => {
                let reason = format!("it reads `{path}` by a `directory.{key}` of too many alternatives");
                return (Some(Source::Unread(reason)), None);
            }
        };
        let (mut addon, mut found) = (None, BTreeMap::new());
        for file in self.files_below(path) {
            let Some(inner) = file.path.below(path) else { continue };
            if let Some(reason) = tool(file.path.file_name()).filter(|_| !inner.contains('/')) {
                return (Some(Source::Unread(format!("it reads `{path}` by {reason}"))), addon);
            }
            let is_wanted = (is_deep || !inner.contains('/'))
                && inner.rsplit_once('.').is_some_and(|(_, end)| ["yaml", "yml", "json"].contains(&end))
                && include.as_ref().is_none_or(|pattern| pattern.matches(inner))
                && !exclude.as_ref().is_some_and(|pattern| pattern.matches(inner));
            if is_wanted {
                addon = addon.or_else(|| file.addon.clone());
                found.insert(file.path.clone(), Arc::clone(&file.bytes));
            }
        }
        (Some(Source::Documents(found.into_iter().collect())), addon)
    }

    /// Returns how Helm is called for a chart, and whose values it is called with.
    fn call(
        &self,
        (chart, digest): (ChartId, Option<String>),
        source: &Written<'_>,
        all: &[Written<'_>],
        target: &Target<'_>,
    ) -> Result<(Call, Option<AddonName>), String> {
        let helm = |key| source.text(&["helm", key]);
        let (mut values, mut addon) = (Vec::new(), None);
        for file in source.texts(&["helm", "valueFiles"]) {
            let file = file.ok_or("the name of a file of values is not known")?;
            match self.values_file(&file, all)? {
                Some(found) => {
                    addon = addon.or_else(|| found.addon.clone());
                    values.push(Arc::clone(&found.bytes));
                }
                None if source.is_set(&["helm", "ignoreMissingValueFiles"]) => {}
                None => return Err(format!("there is no file of values `{file}`")),
            }
        }
        // Values in the Application itself win; those that are written as a map win over those that are written as a text.
        let own = source.source.at(&["helm", "valuesObject"]).filter(|value| value.as_map().is_some());
        let own = own.map(yaml::write).or_else(|| helm("values"));
        values.extend(own.map(|text| text.into_bytes().into()));
        if source.source.at(&["helm", "fileParameters"]).is_some_and(|list| *list != Value::Null) {
            return Err("it sets values from files (`fileParameters`)".to_owned());
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
                digest,
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

    /// Finds a file of values: `$name/path` is one of the repository that another source refers to by this name.
    fn values_file(&self, file: &str, all: &[Written<'_>]) -> Result<Option<&RenderedFile>, String> {
        let Some((name, path)) = file.strip_prefix('$').and_then(|rest| rest.split_once('/')) else {
            return Err(format!("its file of values `{file}` is not one of this repository"));
        };
        let referred = all.iter().find(|source| source.text(&["ref"]).as_deref() == Some(name));
        let repository = referred.and_then(|source| source.text(&["repoURL"])).unwrap_or_default();
        if !self.is_own(&repository) {
            return Err(format!("its file of values `{file}` is in another repository"));
        }
        Ok(self.files_below(path).find(|found| found.path.as_str() == path))
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

/// Returns what Argo CD reads a folder by, if one of its files makes it something else than plain documents.
fn tool(file: &str) -> Option<&'static str> {
    match file {
        "Chart.yaml" => Some("Helm, as a chart in a folder"),
        "kustomization.yaml" | "kustomization.yml" | "Kustomization" => Some("Kustomize"),
        _ if file.ends_with(".jsonnet") => Some("Jsonnet"),
        _ => None,
    }
}

fn parameters(source: &Written<'_>) -> Result<Vec<Parameter>, String> {
    let items = source.source.at(&["helm", "parameters"]).and_then(Value::as_list).unwrap_or_default();
    let parameter = |item: &Value| {
        let text = |key| Some(source.application.filled(item.text_at(&[key])?)?.into_owned());
        let is_text = item.get("forceString") == Some(&Value::Bool(true));
        Some(Parameter { name: text("name")?, value: text("value").unwrap_or_default(), is_text })
    };
    let found: Option<Vec<_>> = items.iter().map(parameter).collect();
    found.ok_or_else(|| "one of its parameters is not known".to_owned())
}
