//! The final objects of a fleet: which renderings they take, each made once, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use renderer::catalog::Addon;
use renderer::charts::ChartId;
use renderer::deployed::{self, Call, ChartText, Definitions, Deployed, Source, Unsteady, placed, steadied};
use renderer::inventory::Cluster;
use renderer::manifests::{self, Object};
use renderer::path::{AddonName, ClusterName, RepoPath};
use renderer::problem::{Fault, Problem};
use renderer::render::{Progress, Rendered};

use super::error::{HelmError, Refusal};
use super::kept::{Kept, Key, Text};
use super::program::Helm;
use crate::cache;
use crate::charts::{ChartError, Store, Stored};
use crate::error::CommandError;

/// How many bytes of renderings are held at once.
const MAX_HELD_BYTES: usize = 1 << 30;

/// Makes final objects.
#[derive(Debug)]
pub struct Making {
    helm: Helm,
    store: Store,
    kept: Kept,
    /// How many renderings were begun with, for the progress.
    begun: AtomicUsize,
}

/// Where an Application's objects are: its cluster, and its name.
pub type Place = (ClusterName, String);

/// What an Application's objects are made of, before they are read.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The cluster.
    pub cluster: ClusterName,
    /// The add-on; none for what is a cluster's own.
    pub addon: Option<AddonName>,
    /// The Application.
    pub application: String,
    namespace: String,
    texts: Vec<Part>,
    /// What is not read, and why.
    pub unread: Vec<String>,
    definitions: Arc<Definitions>,
}

/// One text of objects.
#[derive(Clone, Debug)]
struct Part {
    /// The file of the repository; none for a chart.
    file: Option<RepoPath>,
    text: Arc<Text>,
    unsteady: Arc<Vec<Unsteady>>,
}

/// The Applications that objects are wanted of.
pub type Wanted<'a> = dyn Fn(&Deployed) -> bool + 'a;

impl Making {
    /// Finds Helm, and opens the stores of charts and of renderings in this user's cache. The charts in the folder `charts`
    /// are taken in the place of others.
    pub fn open(helm: Option<&Path>, charts: Option<&Path>) -> Result<Self, CommandError> {
        let folder = cache::folder().ok_or_else(|| {
            CommandError::usage(
                "there is no folder for charts: neither `XDG_CACHE_HOME` nor `HOME` is set",
                "set `XDG_CACHE_HOME` to a folder that can be written",
            )
        })?;
        Self::below(&folder, helm, charts)
    }

    /// As [`Self::open`], with the stores in a folder.
    pub fn below(folder: &Path, helm: Option<&Path>, charts: Option<&Path>) -> Result<Self, CommandError> {
        Ok(Self {
            helm: Helm::find(helm, folder)?,
            store: Store::open(folder.join("charts"), charts)?,
            kept: Kept::in_folder(folder.join("manifests")),
            begun: AtomicUsize::new(0),
        })
    }

    /// Makes what the objects of the wanted Applications are made of, each rendering once, as many at a time as there are
    /// cores.
    pub fn parts(
        &self,
        rendered: &Rendered,
        wanted: &Wanted<'_>,
        progress: &(dyn Progress + Sync),
    ) -> Result<Vec<Parts>, CommandError> {
        let survey = self.survey(rendered, &|deployed| wanted(deployed), progress)?;
        let parts = self.chosen(&survey, wanted, progress);
        self.kept.tidy();
        parts
    }

    /// Makes what differs between two renderings of the fleet: of each Application that does, both sides.
    ///
    /// An Application is made if what it reads differs, or if the kinds that its cluster has do and its chart asks for them.
    pub fn changed(
        &self,
        base: &Rendered,
        head: &Rendered,
        progress: &(dyn Progress + Sync),
    ) -> Result<Changed, CommandError> {
        let sides = [base, head].map(|rendered| {
            let all = rendered.clusters.values().flat_map(|cluster| deployed::deployed(rendered, cluster));
            all.map(|deployed| (place(&deployed), deployed)).collect::<BTreeMap<_, _>>()
        });
        let [old, new] = &sides;
        let differs = |place: &Place| match (old.get(place), new.get(place)) {
            (Some(old), Some(new)) => old.namespace != new.namespace || old.sources != new.sources,
            _ => true,
        };
        let clusters: BTreeSet<ClusterName> = old
            .keys()
            .chain(new.keys())
            .filter(|place| differs(place))
            .map(|(cluster, _)| cluster.clone())
            .collect();
        let is_on_one = |deployed: &Deployed| clusters.contains(&deployed.cluster);
        let (old, new) = (self.survey(base, &is_on_one, progress)?, self.survey(head, &is_on_one, progress)?);
        let wanted = |deployed: &Deployed| {
            let kinds = [&old, &new].map(|survey| survey.definitions.get(&deployed.cluster));
            let asks = || [&old, &new].iter().any(|survey| survey.asks_api_versions(deployed));
            clusters.contains(&deployed.cluster)
                && (differs(&place(deployed)) || (kinds[0] != kinds[1] && asks()))
        };
        let changed = Changed {
            old: self.chosen(&old, &wanted, progress)?,
            new: self.chosen(&new, &wanted, progress)?,
        };
        self.kept.tidy();
        Ok(changed)
    }

    /// Looks at what a fleet asks for, and at what the kinds are that clusters with wanted Applications have.
    fn survey<'r>(
        &self,
        rendered: &'r Rendered,
        wanted: &Wanted<'_>,
        progress: &(dyn Progress + Sync),
    ) -> Result<Survey<'r>, CommandError> {
        let all: Vec<Deployed> =
            rendered.clusters.values().flat_map(|cluster| deployed::deployed(rendered, cluster)).collect();
        let clusters: BTreeSet<&ClusterName> =
            all.iter().filter(|it| wanted(it)).map(|it| &it.cluster).collect();
        let charts = self.charts(rendered, all.iter().filter(|it| clusters.contains(&it.cluster)))?;
        let definitions = self.definitions(rendered, &all, &clusters, &charts, progress)?;
        Ok(Survey { rendered, all, charts, definitions })
    }

    /// Makes what the objects of some Applications are made of.
    fn chosen(
        &self,
        survey: &Survey<'_>,
        wanted: &Wanted<'_>,
        progress: &(dyn Progress + Sync),
    ) -> Result<Vec<Parts>, CommandError> {
        let chosen: Vec<&Deployed> = survey.all.iter().filter(|it| wanted(it)).collect();
        let texts = self.texts(survey, &chosen, progress)?;
        let parts = chosen.into_iter().zip(texts).map(|(deployed, texts)| {
            let unread = deployed.sources.iter().filter_map(|source| match source {
                Source::Unread(reason) => Some(reason.clone()),
                Source::Chart(_) | Source::Documents(_) => None,
            });
            Parts {
                cluster: deployed.cluster.clone(),
                addon: deployed.addon.clone(),
                application: deployed.application.clone(),
                namespace: deployed.namespace.clone(),
                texts,
                unread: unread.collect(),
                definitions: Arc::clone(&survey.definitions[&deployed.cluster]),
            }
        });
        Ok(parts.collect())
    }

    /// Brings the charts that Applications name, and reports every one that does not come.
    fn charts<'d>(
        &self,
        rendered: &Rendered,
        deployed: impl Iterator<Item = &'d Deployed>,
    ) -> Result<BTreeMap<ChartId, Stored>, ChartError> {
        let named: BTreeMap<&ChartId, Option<&str>> =
            calls(deployed).map(|(_, call)| (&call.chart, call.digest.as_deref())).collect();
        let sources = &rendered.inventory.fleet.facts.charts;
        let named: Vec<_> = named.into_iter().collect();
        let brought: Vec<_> =
            named.par_iter().map(|(id, digest)| self.store.chart(id, *digest, sources)).collect();
        let mut charts = BTreeMap::new();
        let mut failed = Vec::new();
        for ((id, _), stored) in named.into_iter().zip(brought) {
            match stored {
                Ok(stored) => {
                    charts.insert(id.clone(), stored);
                }
                Err(error) => failed.push((format!("{} {}", id.name, id.version), error)),
            }
        }
        if failed.is_empty() { Ok(charts) } else { Err(ChartError::absent(failed)) }
    }

    /// Returns what the objects of each of some clusters define.
    ///
    /// Of a chart it is what the first cluster of the fleet renders that has this chart at this version: its definitions
    /// depend on a cluster's values nearly nowhere, and one rendering for each cluster would be one too many in a large fleet.
    fn definitions<'d>(
        &self,
        rendered: &Rendered,
        all: &'d [Deployed],
        clusters: &BTreeSet<&'d ClusterName>,
        charts: &BTreeMap<ChartId, Stored>,
        progress: &(dyn Progress + Sync),
    ) -> Result<BTreeMap<ClusterName, Arc<Definitions>>, CommandError> {
        let mut first: BTreeMap<&ChartId, (&Deployed, &Call)> = BTreeMap::new();
        let defines = |call: &Call| charts.get(&call.chart).is_some_and(|chart| chart.text.defines_kinds);
        for (deployed, call) in calls(all.iter()).filter(|(_, call)| defines(call)) {
            first.entry(&call.chart).or_insert((deployed, call));
        }
        let jobs: Vec<_> = first
            .values()
            .map(|(deployed, call)| {
                let chart = &charts[&call.chart];
                let known = Definitions::default().api_versions(&call.api_versions);
                Job { deployed, call, chart, api_versions: asked(call, chart, known) }
            })
            .collect();
        let made = self.made(rendered, &jobs, progress)?;
        let of_charts: BTreeMap<&ChartId, Definitions> =
            first.keys().zip(made).map(|(id, text)| (*id, definitions_in(&text.first))).collect();
        let mut found = BTreeMap::new();
        for cluster in clusters {
            let mut definitions = Definitions::default();
            for source in all.iter().filter(|it| it.cluster == **cluster).flat_map(|it| &it.sources) {
                match source {
                    Source::Chart(call) => {
                        if let Some(others) = of_charts.get(&call.chart) {
                            definitions.extend(others);
                        }
                    }
                    Source::Documents(files) => {
                        for (_, bytes) in files {
                            definitions.extend(&definitions_in(&String::from_utf8_lossy(bytes)));
                        }
                    }
                    Source::Unread(_) => {}
                }
            }
            found.insert((*cluster).clone(), Arc::new(definitions));
        }
        Ok(found)
    }

    /// Returns the texts of each Application.
    fn texts(
        &self,
        survey: &Survey<'_>,
        chosen: &[&Deployed],
        progress: &(dyn Progress + Sync),
    ) -> Result<Vec<Vec<Part>>, CommandError> {
        let Survey { rendered, charts, definitions, .. } = survey;
        let jobs: Vec<_> = calls(chosen.iter().copied())
            .map(|(deployed, call)| {
                let chart = &charts[&call.chart];
                let versions = definitions[&deployed.cluster].api_versions(&call.api_versions);
                Job { deployed, call, chart, api_versions: asked(call, chart, versions) }
            })
            .collect();
        let mut made = self.made(rendered, &jobs, progress)?.into_iter().zip(&jobs);
        let of = |deployed: &&Deployed| {
            let mut parts = Vec::new();
            for source in &deployed.sources {
                match source {
                    Source::Chart(_) => {
                        let (text, job) = made.next().expect("one for each call, in this order");
                        let unsteady = Arc::new(said(job.call, job.chart).unsteady);
                        parts.push(Part { file: None, text, unsteady });
                    }
                    Source::Documents(files) => parts.extend(files.iter().map(|(path, bytes)| Part {
                        file: Some(path.clone()),
                        text: Arc::new(Text {
                            first: String::from_utf8_lossy(bytes).into_owned(),
                            second: None,
                        }),
                        unsteady: Arc::default(),
                    })),
                    Source::Unread(_) => {}
                }
            }
            parts
        };
        Ok(chosen.iter().map(of).collect())
    }

    /// Makes renderings; those with one key are made once.
    fn made(
        &self,
        rendered: &Rendered,
        jobs: &[Job<'_>],
        progress: &(dyn Progress + Sync),
    ) -> Result<Vec<Arc<Text>>, CommandError> {
        let keys: Vec<Key> = jobs
            .iter()
            .map(|job| Key::of(job.call, &job.chart.identity, &self.helm.version, &job.api_versions))
            .collect();
        let distinct: BTreeMap<&Key, &Job<'_>> = keys.iter().zip(jobs).collect();
        let distinct: Vec<_> = distinct.into_iter().collect();
        let total = self.begun.fetch_add(distinct.len(), Ordering::Relaxed) + distinct.len();
        let texts: Vec<Result<Arc<Text>, Refusal>> = distinct
            .par_iter()
            .map(|(key, job)| {
                let text = self.kept.get(key).map_or_else(|| self.rendered(key, job), Ok);
                progress.advance(total);
                text.map(Arc::new)
            })
            .collect();
        let texts: BTreeMap<&Key, Result<Arc<Text>, Refusal>> =
            distinct.iter().map(|(key, _)| *key).zip(texts).collect();
        let mut problems = Vec::new();
        for (key, job) in keys.iter().zip(jobs) {
            if let Err(refusal) = &texts[key] {
                problems.push(job.problem(rendered, refusal));
            }
        }
        if !problems.is_empty() {
            return Err(CommandError::Problems { problems: deployed::merged(problems) });
        }
        let held: usize = texts.values().flatten().map(|text| text.first.len()).sum();
        if held > MAX_HELD_BYTES {
            return Err(CommandError::usage(
                format!("the final objects have more than {} MiB", MAX_HELD_BYTES >> 20),
                "choose fewer by `--cluster` and `--addon`",
            ));
        }
        Ok(keys.iter().filter_map(|key| texts[key].as_ref().ok()).map(Arc::clone).collect())
    }

    /// Renders a call: twice if its chart may give something else the second time.
    fn rendered(&self, key: &Key, job: &Job<'_>) -> Result<Text, Refusal> {
        let template = || self.helm.template(&job.chart.path, job.call, &job.api_versions);
        let first = template()?;
        let may_differ = !said(job.call, job.chart).unsteady.is_empty();
        let second = may_differ.then(template).transpose()?.filter(|second| *second != first);
        let text = Text { first, second };
        self.kept.put(key, &text);
        Ok(text)
    }
}

/// What a fleet asks for.
struct Survey<'r> {
    rendered: &'r Rendered,
    /// All Applications.
    all: Vec<Deployed>,
    /// The charts of the clusters that are looked at.
    charts: BTreeMap<ChartId, Stored>,
    /// The kinds that each of these clusters has beside those that are built in.
    definitions: BTreeMap<ClusterName, Arc<Definitions>>,
}

impl Survey<'_> {
    /// Returns whether a chart of an Application asks which API versions the cluster serves.
    fn asks_api_versions(&self, deployed: &Deployed) -> bool {
        let asks = |call: &Call| {
            self.charts.get(&call.chart).is_some_and(|chart| said(call, chart).asks_api_versions)
        };
        calls(std::iter::once(deployed)).any(|(_, call)| asks(call))
    }
}

/// Both sides of the Applications that differ.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Before.
    pub old: Vec<Parts>,
    /// After.
    pub new: Vec<Parts>,
}

impl Changed {
    /// Returns what of the new side is not read, and why.
    #[must_use]
    pub fn unread(&self) -> Vec<String> {
        let all =
            self.new.iter().flat_map(|parts| parts.unread.iter().map(|reason| (&parts.application, reason)));
        all.map(|(application, reason)| format!("not all objects of `{application}` are shown: {reason}"))
            .collect()
    }

    /// Removes the definitions of kinds that are the same on both sides: they are most of the text and none of the change.
    pub fn reduce(&mut self) {
        let mut old: BTreeMap<Place, &mut Parts> =
            self.old.iter_mut().map(|parts| (parts.place(), parts)).collect();
        for new in &mut self.new {
            if let Some(old) = old.get_mut(&new.place()) {
                new.reduce(old);
            }
        }
    }
}

fn place(deployed: &Deployed) -> Place {
    (deployed.cluster.clone(), deployed.application.clone())
}

/// A call of Helm for a cluster.
struct Job<'d> {
    deployed: &'d Deployed,
    call: &'d Call,
    chart: &'d Stored,
    api_versions: Vec<String>,
}

impl Job<'_> {
    /// Reports what Helm refuses at the version of the add-on's chart.
    fn problem(&self, rendered: &Rendered, refusal: &Refusal) -> Problem {
        let chart = &self.call.chart;
        let of = self.deployed.addon.as_ref().map_or(&*self.deployed.application, |addon| addon.as_str());
        let about = format_args!("`{of}` ({} {})", chart.name, chart.version);
        problem(rendered, self.deployed, refusal.about(about))
            .hint("correct the values that are rendered for it, or take another version of the chart")
    }
}

/// Returns a problem of an Application at the version of its add-on's chart, or where it is asked for.
fn problem(rendered: &Rendered, of: &Deployed, message: String) -> Problem {
    problem_of(rendered, &of.cluster, of.addon.as_ref(), message)
}

fn problem_of(
    rendered: &Rendered,
    cluster: &ClusterName,
    addon: Option<&AddonName>,
    message: String,
) -> Problem {
    let described = described(rendered, cluster, addon);
    let file =
        || RepoPath::parse(&format!("environments/{cluster}.yaml")).expect("a cluster's name is a file name");
    let problem = match described {
        Some((addon, cluster)) => Problem::at(deployed::chart_place(addon, cluster), message),
        None => Problem::in_whole_file(&file(), message),
    };
    Problem { clusters: vec![cluster.clone()], ..problem.found_by("manifests") }
}

fn described<'r>(
    rendered: &'r Rendered,
    cluster: &ClusterName,
    addon: Option<&AddonName>,
) -> Option<(&'r Addon, &'r Cluster)> {
    Some((rendered.catalog.addons.get(addon?)?.as_ref(), rendered.inventory.clusters.get(cluster)?.as_ref()))
}

fn calls<'d>(deployed: impl Iterator<Item = &'d Deployed>) -> impl Iterator<Item = (&'d Deployed, &'d Call)> {
    deployed.flat_map(|deployed| {
        deployed.sources.iter().filter_map(move |source| match source {
            Source::Chart(call) => Some((deployed, call.as_ref())),
            Source::Documents(_) | Source::Unread(_) => None,
        })
    })
}

/// Returns what the text of a chart says together with its values, which may hold templates, too.
fn said(call: &Call, chart: &Stored) -> ChartText {
    let values: Vec<_> = call.values.iter().map(|values| String::from_utf8_lossy(values)).collect();
    let parameters = call.parameters.iter().map(|parameter| parameter.value.as_str());
    chart.text.with_values(values.iter().map(AsRef::as_ref).chain(parameters))
}

/// Returns the API versions that Helm is given: none where nothing asks for them, so that clusters which differ in them
/// alone share a rendering.
fn asked(call: &Call, chart: &Stored, versions: BTreeSet<String>) -> Vec<String> {
    if said(call, chart).asks_api_versions { versions.into_iter().collect() } else { Vec::new() }
}

/// Reads what a text defines; one that can't be read defines nothing, and is reported where its objects are wanted.
fn definitions_in(text: &str) -> Definitions {
    let objects = documents_with(text, "CustomResourceDefinition");
    Definitions::of(&objects)
}

/// Reads the documents of a text that hold a word; most of them need not be read.
fn documents_with(text: &str, word: &str) -> Vec<Object> {
    let wanted: Vec<&str> = parts_of(text).filter(|document| document.contains(word)).collect();
    manifests::read(&wanted.concat()).unwrap_or_default()
}

impl Parts {
    /// Returns where its objects are.
    #[must_use]
    pub fn place(&self) -> Place {
        (self.cluster.clone(), self.application.clone())
    }

    /// Reads the objects as Argo CD applies them, or returns what is wrong with them.
    pub fn objects(&self, rendered: &Rendered) -> Result<Vec<Object>, Vec<Problem>> {
        let (mut objects, mut problems) = (Vec::new(), Vec::new());
        for part in &self.texts {
            match self.read(rendered, part) {
                Ok(found) => objects.extend(found),
                Err(more) => problems.extend(more),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(placed(objects, &self.namespace, &self.definitions))
    }

    /// Returns its objects as checks judge them: `objects` is what [`Self::objects`] returned.
    #[must_use]
    pub fn made<'p>(&'p self, objects: &'p [Object]) -> deployed::Made<'p> {
        let own = self.texts.iter().filter(|part| part.file.is_some());
        let own = own.flat_map(|part| manifests::read(&part.text.first).unwrap_or_default()).collect();
        let own = placed(own, &self.namespace, &self.definitions);
        let own = own.into_iter().map(|object| object.name).collect();
        deployed::Made { cluster: &self.cluster, addon: self.addon.as_ref(), objects, own }
    }

    fn read(&self, rendered: &Rendered, part: &Part) -> Result<Vec<Object>, Vec<Problem>> {
        let read =
            |text: &str| manifests::read(text).map_err(|fault| vec![self.unreadable(rendered, part, fault)]);
        let mut objects = read(&part.text.first)?;
        let Some(second) = &part.text.second else { return Ok(objects) };
        let differences = deployed::differences(&objects, &read(second)?);
        let described = described(rendered, &self.cluster, self.addon.as_ref());
        let left = steadied(&mut objects, differences, described.map(|(addon, _)| addon));
        match described {
            _ if left.is_empty() => Ok(objects),
            Some((addon, cluster)) => Err(deployed::problems(&left, addon, cluster, &part.unsteady)),
            None => {
                let message = format!("each rendering of `{}` gives other objects", self.application);
                Err(vec![problem_of(rendered, &self.cluster, None, message)])
            }
        }
    }

    fn unreadable(&self, rendered: &Rendered, part: &Part, fault: Fault) -> Problem {
        if let Some(path) = &part.file {
            return fault.in_file(path).found_by("manifests");
        }
        let message = format!(
            "Helm renders something else than objects for `{}`: {} at {} of what it renders",
            self.application, fault.message, fault.position
        );
        problem_of(rendered, &self.cluster, self.addon.as_ref(), message)
    }

    /// Removes the definitions of kinds that another side of the same Application has, too, from both.
    fn reduce(&mut self, other: &mut Self) {
        for (one, two) in self.texts.iter_mut().zip(&mut other.texts) {
            if one.text.second.is_none() && two.text.second.is_none() {
                let (left, right) = (Arc::clone(&one.text), Arc::clone(&two.text));
                one.text = Arc::new(Text { first: without(&left.first, &right.first), second: None });
                two.text = Arc::new(Text { first: without(&right.first, &left.first), second: None });
            }
        }
    }
}

/// Returns a text without the definitions of kinds that another text has, too.
fn without(text: &str, other: &str) -> String {
    let is_definition = |document: &&str| document.contains("kind: CustomResourceDefinition");
    let others: BTreeSet<&str> = parts_of(other).filter(is_definition).collect();
    parts_of(text).filter(|document| !others.contains(document)).collect()
}

fn parts_of(text: &str) -> impl Iterator<Item = &str> {
    manifests::documents(text).into_iter().map(|(_, document)| document)
}

impl From<HelmError> for CommandError {
    fn from(error: HelmError) -> Self {
        let hint = error.hint();
        Self::usage(error.to_string(), hint)
    }
}
