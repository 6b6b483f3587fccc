//! The final objects of a fleet: which renderings they take, each made once, and what becomes of them.

use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rayon::prelude::*;
use renderer::catalog::Addon;
use renderer::deployed::{
    self, Call, Chart, Definitions, Deployed, KEEP_CHART, Source, Unsteady, placed, steadied,
};
use renderer::inventory::{ChartSources, Cluster};
use renderer::manifests::{self, Documents, Object};
use renderer::path::{AddonName, ClusterName, RepoPath};
use renderer::problem::{Fault, Problem};
use renderer::render::{Progress, Rendered};

use super::bound::Bound;
use super::error::{HelmError, Refusal};
use super::kept::{Kept, Key};
use super::program::Helm;
use super::side::Side;
use super::text::{Text, defined_in, may_define};
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
    asks: Asks,
    /// How many renderings were begun with, for the progress.
    begun: AtomicUsize,
    documents: Arc<Documents>,
}

/// Which repositories of charts may be asked.
#[derive(Debug)]
enum Asks {
    /// All that a rendering names.
    All,
    /// These, and where they are.
    Only(BTreeSet<String>, ChartSources),
    /// None.
    None,
}

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
    /// The values of the chart that `addon.yaml` describes; nothing if it is not what that describes.
    values: Option<Vec<Arc<[u8]>>>,
    /// What is not read, and why.
    pub unread: Vec<String>,
    definitions: Arc<Definitions>,
    /// What was read for others.
    documents: Arc<Documents>,
}

/// One text of objects.
#[derive(Clone, Debug)]
struct Part {
    /// The file of the repository; none for a chart.
    file: Option<RepoPath>,
    /// Whether the repository has a template of the file: what it holds is no object of a chart.
    is_own: bool,
    text: Arc<Text>,
    unsteady: Arc<Vec<Unsteady>>,
}

/// The Applications that objects are wanted of.
pub type Wanted<'a> = dyn Fn(&Deployed) -> bool + 'a;

/// Why there is no text.
#[derive(Clone, Debug)]
pub(super) enum Missing {
    /// There was no time left.
    Late,
    /// Helm refuses the chart.
    Refused(Refusal),
}

/// The texts of calls, each made once.
pub(super) type Texts = BTreeMap<Key, Result<Arc<Text>, Missing>>;

impl Making {
    /// Finds Helm, and opens the stores of charts and of renderings in this user's cache. The charts in the folder `charts`
    /// are taken in the place of others.
    pub fn open(helm: Option<&Path>, charts: Option<&Path>) -> Result<Self, CommandError> {
        Self::below(&Self::folder()?, helm, charts)
    }

    /// Returns the folder of the stores in this user's cache.
    pub fn folder() -> Result<PathBuf, CommandError> {
        cache::folder().ok_or_else(|| {
            CommandError::usage(
                "there is no folder for charts: neither `XDG_CACHE_HOME` nor `HOME` is set",
                "set `XDG_CACHE_HOME` to a folder that can be written",
            )
        })
    }

    /// Returns the program that renders.
    #[must_use]
    pub fn program(&self) -> &Path {
        self.helm.program()
    }

    /// As [`Self::open`], with the stores in a folder.
    pub fn below(folder: &Path, helm: Option<&Path>, charts: Option<&Path>) -> Result<Self, CommandError> {
        Ok(Self {
            helm: Helm::find(helm, folder)?,
            store: Store::open(folder.join("charts"), charts)?,
            kept: Kept::in_folder(folder.join("manifests")),
            asks: Asks::All,
            begun: AtomicUsize::new(0),
            documents: Arc::default(),
        })
    }

    /// Spends at most this time on fetching a chart.
    #[must_use]
    pub fn fetching_within(self, time: Duration) -> Self {
        Self { store: self.store.within(time), ..self }
    }

    /// Asks no other repositories than those that a rendering names, at the addresses that it has for them: what is proposed
    /// leads nowhere else before it is merged.
    #[must_use]
    pub fn asking_only_those_of(self, merged: &Side<'_>) -> Self {
        let called = called_where_published(merged.rendered);
        let calls = merged.deployed.iter().chain(&called).flat_map(Deployed::calls);
        let repositories = calls.filter_map(|call| Some(call.chart.id()?.repository.clone())).collect();
        let sources = merged.rendered.inventory.fleet.facts.charts.clone();
        Self { asks: Asks::Only(repositories, sources), ..self }
    }

    /// Asks no repository at all: charts that did not come before do not come.
    #[must_use]
    pub fn asking_none(self) -> Self {
        Self { asks: Asks::None, ..self }
    }

    /// Makes what the objects of the wanted Applications are made of, each rendering once, as many at a time as there are
    /// cores.
    pub fn parts(
        &self,
        side: &Side<'_>,
        wanted: &Wanted<'_>,
        bound: Bound,
        progress: &(dyn Progress + Sync),
    ) -> Result<Vec<Parts>, CommandError> {
        let (rendered, mut texts) = (side.rendered, Texts::new());
        let chosen: Vec<&Deployed> = side.deployed.iter().filter(|it| wanted(it)).collect();
        let clusters = chosen.iter().map(|it| it.cluster.clone()).collect();
        let mut survey = self.survey(side, &clusters, &mut texts, bound, progress);
        let calls =
            side.deployed.iter().filter(|it| clusters.contains(&it.cluster)).flat_map(Deployed::calls);
        let is_looked_for = |it: &Chart| survey.charts.contains_key(it) || survey.absent.contains_key(it);
        let has_looked_for_all = calls.map(|call| &call.chart).all(is_looked_for);
        let mut absent = std::mem::take(&mut survey.absent);
        if !matches!(self.asks, Asks::All) {
            // Another chart can't be asked what it defines, and is fetched once this is merged.
            absent
                .retain(|chart, _| chosen.iter().flat_map(|it| it.calls()).any(|call| call.chart == *chart));
        }
        if !absent.is_empty() {
            return Err(ChartError::absent(absent.into_values().collect()).into());
        }
        let called = chosen.iter().filter_map(|deployed| Some((*deployed, self.jobs(&survey, deployed)?)));
        let called: Vec<_> = called.collect();
        let jobs: Vec<_> = called.iter().flat_map(|(_, jobs)| jobs).collect();
        self.make(&jobs, &mut texts, bound, progress);
        let mut problems = survey.problems.clone();
        problems.extend(jobs.iter().filter_map(|job| job.problem(rendered, &texts)));
        problems.extend(chosen.iter().flat_map(|deployed| faults(rendered, deployed)));
        if !problems.is_empty() {
            return Err(CommandError::Problems { problems: deployed::merged(problems) });
        }
        let held: usize = texts.values().flatten().map(|text| text.size_bytes()).sum();
        if held > MAX_HELD_BYTES {
            return Err(CommandError::usage(
                format!("the final objects have more than {} MiB", MAX_HELD_BYTES >> 20),
                "choose fewer by `--cluster` and `--addon`",
            ));
        }
        self.kept.tidy();
        let parts = called.iter().filter_map(|(it, jobs)| survey.parts(it, &mut jobs.iter(), &texts));
        let (parts, all): (Vec<_>, _) = (parts.collect(), chosen.len());
        // What defines kinds may be late, too, and the others depend on it.
        let is_late = texts.values().any(|text| matches!(text, Err(Missing::Late)));
        if is_late || !has_looked_for_all || parts.len() < all {
            return Err(CommandError::Late { made: parts.len(), all });
        }
        Ok(parts)
    }

    /// Looks at what a fleet asks for, and at what the kinds are that some clusters have.
    pub(super) fn survey<'r>(
        &self,
        side: &'r Side<'_>,
        clusters: &BTreeSet<ClusterName>,
        texts: &mut Texts,
        bound: Bound,
        progress: &(dyn Progress + Sync),
    ) -> Survey<'r> {
        let (rendered, all) = (side.rendered, &side.deployed);
        let (charts, absent) =
            self.charts(rendered, all.iter().filter(|it| clusters.contains(&it.cluster)), bound);
        let mut survey = Survey {
            rendered,
            all,
            charts,
            absent,
            definitions: BTreeMap::new(),
            problems: Vec::new(),
            documents: Arc::clone(&self.documents),
        };
        self.define(&mut survey, clusters, texts, bound, progress);
        survey
    }

    /// Brings the charts that Applications name, and returns every one that does not come; one for which there is no time
    /// left is neither.
    fn charts<'d>(
        &self,
        rendered: &Rendered,
        deployed: impl Iterator<Item = &'d Deployed>,
        bound: Bound,
    ) -> (BTreeMap<Chart, Stored>, Absent) {
        let named: BTreeMap<&Chart, Option<&str>> =
            deployed.flat_map(Deployed::calls).map(|call| (&call.chart, call.digest.as_deref())).collect();
        let sources = match &self.asks {
            Asks::All => Some(&rendered.inventory.fleet.facts.charts),
            Asks::Only(_, sources) => Some(sources),
            Asks::None => None,
        };
        let is_asked = |repository: &str| match &self.asks {
            Asks::Only(known, _) => known.contains(repository),
            Asks::All | Asks::None => true,
        };
        let named: Vec<_> = named.into_iter().collect();
        let bring = |(chart, digest): &(&Chart, Option<&str>)| match chart {
            Chart::Packed(id) if !is_asked(&id.repository) => {
                Some(Err(ChartError::of_new_repository(&id.repository)))
            }
            Chart::Packed(id) => (!bound.has_spent_a_third()).then(|| self.store.chart(id, *digest, sources)),
            Chart::Folder { path, .. } => {
                let folder = rendered.beside.folder(path).expect("its digest is that of its files");
                Some(self.store.folder(path, folder))
            }
        };
        let brought: Vec<_> = named.par_iter().map(bring).collect();
        let (mut charts, mut absent) = (BTreeMap::new(), Absent::new());
        for ((chart, _), stored) in named.into_iter().zip(brought) {
            match stored {
                Some(Ok(stored)) => drop(charts.insert(chart.clone(), stored)),
                Some(Err(error)) => drop(absent.insert(chart.clone(), (chart.to_string(), error))),
                None => {}
            }
        }
        (charts, absent)
    }

    /// Finds what the objects of each of some clusters define.
    ///
    /// Of a chart it is what the first cluster of the fleet renders that has this chart at this version: its definitions
    /// depend on a cluster's values nearly nowhere, and one rendering for each cluster would be one too many in a large fleet.
    fn define(
        &self,
        survey: &mut Survey<'_>,
        clusters: &BTreeSet<ClusterName>,
        texts: &mut Texts,
        bound: Bound,
        progress: &(dyn Progress + Sync),
    ) {
        let (all, charts) = (survey.all, &survey.charts);
        let mut first: BTreeMap<&Chart, Job<'_>> = BTreeMap::new();
        for (deployed, call) in all.iter().flat_map(|it| it.calls().map(move |call| (it, call))) {
            let Some(chart) = charts.get(&call.chart).filter(|chart| chart.text.defines_kinds) else {
                continue;
            };
            first
                .entry(&call.chart)
                .or_insert_with(|| self.job(deployed, call, chart, &Definitions::default()));
        }
        let jobs: Vec<&Job<'_>> = first.values().collect();
        self.make(&jobs, texts, bound, progress);
        let problems = jobs.iter().filter_map(|job| job.problem(survey.rendered, texts)).collect();
        let defined = |job: &Job<'_>| Some(texts[&job.key].as_ref().ok()?.defined());
        let of_charts: BTreeMap<&Chart, Definitions> =
            first.iter().filter_map(|(chart, job)| Some((*chart, defined(job)?))).collect();
        let mut sources: BTreeMap<&ClusterName, Vec<Definer<'_>>> =
            clusters.iter().map(|cluster| (cluster, Vec::new())).collect();
        for deployed in all {
            let Some(definers) = sources.get_mut(&deployed.cluster) else { continue };
            for source in &deployed.sources {
                match source {
                    Source::Chart(call) if of_charts.contains_key(&call.chart) => {
                        definers.push(Definer::Chart(&call.chart));
                    }
                    Source::Documents(files) => {
                        let texts = files.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes));
                        definers.extend(texts.filter(|text| may_define(text)).map(Definer::Document));
                    }
                    Source::Chart(_) | Source::Unread(_) | Source::Faulty(_) | Source::Lacking(_) => {}
                }
            }
        }
        // Most clusters of a large fleet have the same.
        let mut distinct: HashMap<Vec<Definer<'_>>, Arc<Definitions>> = HashMap::new();
        let mut definitions = BTreeMap::new();
        for (cluster, definers) in sources {
            let shared = distinct.entry(definers).or_insert_with_key(|definers| {
                let mut definitions = Definitions::default();
                for definer in definers {
                    match definer {
                        Definer::Chart(chart) => definitions.extend(&of_charts[*chart]),
                        Definer::Document(text) => definitions.extend(&defined_in(text)),
                    }
                }
                Arc::new(definitions)
            });
            definitions.insert(cluster.clone(), Arc::clone(shared));
        }
        (survey.definitions, survey.problems) = (definitions, problems);
    }

    /// Returns the calls of an Application, in order; nothing if a chart of it is not there.
    pub(super) fn jobs<'s>(&self, survey: &'s Survey<'_>, deployed: &'s Deployed) -> Option<Vec<Job<'s>>> {
        let definitions = &survey.definitions[&deployed.cluster];
        let job = |call: &'s Call| {
            let chart = survey.charts.get(&call.chart)?;
            Some(self.job(deployed, call, chart, definitions))
        };
        deployed.calls().map(job).collect()
    }

    fn job<'s>(
        &self,
        deployed: &'s Deployed,
        call: &'s Call,
        chart: &'s Stored,
        definitions: &Definitions,
    ) -> Job<'s> {
        let said = chart.text.with_values(texts_of(call));
        let api_versions = definitions.api_versions(&call.api_versions, &said.api_versions);
        let key = Key::of(call, &chart.identity, &self.helm.version, &api_versions);
        Job { deployed, call, chart, api_versions, unsteady: Arc::new(said.unsteady), key }
    }

    /// Makes the texts of calls that are not there yet; those with one key are made once.
    pub(super) fn make<'s>(
        &self,
        jobs: &[impl Borrow<Job<'s>>],
        texts: &mut Texts,
        bound: Bound,
        progress: &(dyn Progress + Sync),
    ) {
        let distinct: BTreeMap<&Key, &Job<'_>> =
            jobs.iter().map(|job| (&job.borrow().key, job.borrow())).collect();
        let distinct: Vec<_> = distinct.into_iter().filter(|(key, _)| !texts.contains_key(*key)).collect();
        let total = self.begun.fetch_add(distinct.len(), Ordering::Relaxed) + distinct.len();
        let made: Vec<_> = distinct
            .par_iter()
            .map(|(key, job)| {
                let text = self.kept.get(key).map_or_else(|| self.rendered(job, bound), Ok);
                progress.advance(total);
                text.map(Arc::new)
            })
            .collect();
        texts.extend(distinct.into_iter().map(|(key, _)| key.clone()).zip(made));
    }

    /// Renders a call: twice if its chart may give something else the second time.
    fn rendered(&self, job: &Job<'_>, bound: Bound) -> Result<Text, Missing> {
        let template = || match bound.for_one() {
            Some(time) => {
                self.helm.template(&job.chart.path, job.call, &job.api_versions, time).map_err(|refusal| {
                    if bound.is_over() { Missing::Late } else { Missing::Refused(refusal) }
                })
            }
            None => Err(Missing::Late),
        };
        let first = template()?;
        let second = (!job.unsteady.is_empty()).then(template).transpose()?.filter(|second| *second != first);
        Ok(self.kept.put(&job.key, Text::new(first, second)))
    }

    /// Removes what is kept and was not used for longest, if there is too much.
    pub(super) fn tidy(&self) {
        self.kept.tidy();
    }
}

/// What defines kinds on a cluster.
#[derive(PartialEq, Eq, Hash)]
enum Definer<'a> {
    Chart(&'a Chart),
    Document(Cow<'a, str>),
}

/// The charts that did not come, by name and version, and why.
pub(super) type Absent = BTreeMap<Chart, (String, ChartError)>;

/// What a fleet asks for.
pub(super) struct Survey<'r> {
    pub rendered: &'r Rendered,
    /// All Applications.
    all: &'r [Deployed],
    /// The charts of the clusters that are looked at.
    charts: BTreeMap<Chart, Stored>,
    pub absent: Absent,
    /// The kinds that each of these clusters has beside those that are built in.
    pub definitions: BTreeMap<ClusterName, Arc<Definitions>>,
    /// What Helm refuses that may define kinds.
    problems: Vec<Problem>,
    /// The documents that were read.
    documents: Arc<Documents>,
}

impl Survey<'_> {
    /// Returns the API versions that the charts of an Application are given of those that they ask for.
    pub(super) fn api_versions(&self, deployed: &Deployed) -> Vec<Vec<String>> {
        let Some(definitions) = self.definitions.get(&deployed.cluster) else { return Vec::new() };
        let of = |call: &Call| {
            let mut asked = self.charts.get(&call.chart)?.text.api_versions.clone();
            texts_of(call).for_each(|text| asked.read(text));
            Some(definitions.api_versions(&call.api_versions, &asked))
        };
        deployed.calls().filter_map(of).collect()
    }

    /// Puts together what the objects of an Application are made of, from the texts of its calls, which are next among
    /// `jobs`; nothing if one is missing.
    pub(super) fn parts<'j>(
        &self,
        deployed: &Deployed,
        jobs: &mut impl Iterator<Item = &'j Job<'j>>,
        made: &Texts,
    ) -> Option<Parts> {
        let (mut texts, mut unread) = (Vec::new(), Vec::new());
        for source in &deployed.sources {
            match source {
                Source::Chart(_) => {
                    let job = jobs.next()?;
                    let text = Arc::clone(made.get(&job.key)?.as_ref().ok()?);
                    texts.push(Part { file: None, is_own: false, text, unsteady: Arc::clone(&job.unsteady) });
                }
                Source::Documents(files) => texts.extend(files.iter().map(|(path, bytes)| Part {
                    file: Some(path.clone()),
                    is_own: !deployed::is_of_chart(self.rendered, deployed.addon.as_ref(), path),
                    text: Arc::new(Text::new(String::from_utf8_lossy(bytes).into_owned(), None)),
                    unsteady: Arc::default(),
                })),
                Source::Unread(reason) | Source::Faulty(reason) => unread.push(reason.clone()),
                Source::Lacking(_) => {}
            }
        }
        Some(Parts {
            cluster: deployed.cluster.clone(),
            addon: deployed.addon.clone(),
            application: deployed.application.clone(),
            namespace: deployed.namespace.clone(),
            texts,
            values: deployed.described_values(self.rendered).map(<[_]>::to_vec),
            unread,
            definitions: Arc::clone(&self.definitions[&deployed.cluster]),
            documents: Arc::clone(&self.documents),
        })
    }
}

/// Returns the Applications as they would call the charts whose objects are published.
fn called_where_published(rendered: &Rendered) -> Vec<Deployed> {
    let published = deployed::publishing(rendered);
    let clusters: BTreeSet<&ClusterName> = published.iter().map(|(cluster, _)| cluster).collect();
    let charted = (!clusters.is_empty()).then(|| deployed::with_charts(rendered).ok()).flatten();
    let called = |charted: &Rendered| {
        let clusters = clusters.iter().filter_map(|name| charted.clusters.get(*name));
        clusters.flat_map(|cluster| deployed::deployed(charted, cluster)).collect()
    };
    charted.as_ref().map(called).unwrap_or_default()
}

/// Returns the problems of what Argo CD fails at.
pub(super) fn faults(rendered: &Rendered, deployed: &Deployed) -> Vec<Problem> {
    let problem = |reason| {
        let message = format!("Argo CD makes no objects of `{}`: {reason}", deployed.application);
        problem_of(rendered, &deployed.cluster, deployed.addon.as_ref(), message)
    };
    deployed.faults().map(problem).collect()
}

/// A call of Helm for a cluster.
pub(super) struct Job<'d> {
    deployed: &'d Deployed,
    call: &'d Call,
    chart: &'d Stored,
    api_versions: Vec<String>,
    /// What may give something else the second time.
    unsteady: Arc<Vec<Unsteady>>,
    pub key: Key,
}

impl Job<'_> {
    /// Reports what Helm refuses at the version of the add-on's chart.
    pub(super) fn problem(&self, rendered: &Rendered, texts: &Texts) -> Option<Problem> {
        let Some(Err(Missing::Refused(refusal))) = texts.get(&self.key) else { return None };
        let of = self.deployed.addon.as_ref().map_or(&*self.deployed.application, |addon| addon.as_str());
        let about = format_args!("`{of}` ({})", self.call.chart);
        let problem =
            problem_of(rendered, &self.deployed.cluster, self.deployed.addon.as_ref(), refusal.about(about));
        let lacks_charts = refusal.message.contains("missing in charts/ directory");
        Some(problem.hint(match &self.call.chart {
            Chart::Folder { .. } if lacks_charts => {
                "no dependencies are fetched here: commit them in the chart's `charts/`, where `helm dependency build` puts them"
            }
            Chart::Folder { .. } => "correct the values that it is given, or the chart",
            Chart::Packed(_) => "correct the values that are rendered for it, or take another version of the chart",
        }))
    }
}

/// Returns a problem of an Application at the version of its add-on's chart, or where it is asked for.
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

/// Returns the texts of a call that may hold templates as its chart may. One that is not UTF-8 is refused by Helm.
fn texts_of(call: &Call) -> impl Iterator<Item = &str> {
    let values = call.values.iter().filter_map(|values| std::str::from_utf8(values).ok());
    values.chain(call.parameters.iter().map(|parameter| parameter.value.as_str()))
}

impl Parts {
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
        let own = self.texts.iter().filter(|part| part.is_own);
        let files = own.filter_map(|part| Some((part.file.as_ref()?, &part.text)));
        let own = files.flat_map(|(file, text)| {
            let own =
                placed(text.read(&self.documents).unwrap_or_default(), &self.namespace, &self.definitions);
            own.into_iter().map(move |object| (object.name, file.clone()))
        });
        let own = own.collect();
        let values = self.values.as_deref().and_then(deployed::merged_values);
        deployed::Made { cluster: &self.cluster, addon: self.addon.as_ref(), objects, own, values }
    }

    /// Returns whether a chart is among them.
    pub(super) fn has_charts(&self) -> bool {
        self.texts.iter().any(|part| part.file.is_none())
    }

    /// Reads the objects of its charts as Argo CD applies them, without those that its documents write in their place; or
    /// returns what keeps them from being published. What differs at each rendering does, even where it is accepted.
    pub(super) fn of_charts(&self, rendered: &Rendered) -> Result<Vec<Object>, Vec<Problem>> {
        let described = described(rendered, &self.cluster, self.addon.as_ref());
        let (charts, own): (Vec<_>, Vec<_>) = self.texts.iter().partition(|part| part.file.is_none());
        let mut problems = Vec::new();
        if let Some((addon, cluster)) = described {
            let unread = |reason: &String| {
                let message = format!("not all of them are read: {reason}");
                deployed::not_published(rendered, (&cluster.name, &addon.name), &message)
            };
            problems.extend(self.unread.iter().filter_map(unread));
            for part in &charts {
                let Some(second) = &part.text.second else { continue };
                let second = manifests::read(second).unwrap_or_default();
                let differences =
                    deployed::differences(&part.text.read(&self.documents).unwrap_or_default(), &second);
                let found = deployed::problems(&differences, addon, cluster, &part.unsteady);
                let hint = format!("give the chart a fixed value for it, or {KEEP_CHART}");
                problems.extend(found.into_iter().map(|problem| problem.hint(&hint)));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let read = |parts: &[&Part]| -> Result<Vec<Object>, Vec<Problem>> {
            let mut objects = Vec::new();
            for part in parts {
                objects.extend(self.read(rendered, part)?);
            }
            Ok(placed(objects, &self.namespace, &self.definitions))
        };
        let identity = |object: &Object| {
            let name = &object.name;
            (name.group().to_owned(), name.kind.clone(), name.namespace.clone(), name.name.clone())
        };
        let own: BTreeSet<_> = read(&own)?.iter().map(identity).collect();
        let mut objects = read(&charts)?;
        // What the API server names is another object each time.
        objects.retain(|object| object.name.name.ends_with('*') || !own.contains(&identity(object)));
        Ok(objects)
    }

    fn read(&self, rendered: &Rendered, part: &Part) -> Result<Vec<Object>, Vec<Problem>> {
        let unreadable = |fault| vec![self.unreadable(rendered, part, fault)];
        let mut objects = part.text.read(&self.documents).map_err(unreadable)?;
        let Some(second) = &part.text.second else { return Ok(objects) };
        let differences = deployed::differences(&objects, &manifests::read(second).map_err(unreadable)?);
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

    /// Takes the definitions of kinds out of it that are apart.
    pub(super) fn take_definitions(&mut self) -> Self {
        let mut taken = Self { texts: Vec::new(), values: None, ..self.clone() };
        for part in self.texts.iter_mut().filter(|part| !part.text.defining.is_empty()) {
            let with = |text| Part { text: Arc::new(text), ..part.clone() };
            taken.texts.push(with(part.text.definitions()));
            *part = with(part.text.without_definitions());
        }
        taken
    }

    /// Returns the digests of the definitions that are apart.
    pub(super) fn definitions(&self) -> Vec<[u8; 32]> {
        self.texts.iter().map(|part| part.text.defining.digest).collect()
    }
}

impl From<HelmError> for CommandError {
    fn from(error: HelmError) -> Self {
        let hint = error.hint();
        Self::usage(error.to_string(), hint)
    }
}
