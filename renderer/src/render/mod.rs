//! Rendering: a snapshot in, the files of every cluster out, or every problem in what people wrote.
//!
//! A [`Renderer`] remembers between runs what has not changed, so that the cost of a run follows the size of the change.
//! What it remembers never changes a result: equal snapshots give equal bytes with and without it.

mod accepted;
mod consequences;
mod lines;
mod once;
mod scope;
mod unit;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use tracing::{Span, debug, info_span};

use crate::catalog::{self, Catalog};
use crate::charts::LOCK;
use crate::checks::{
    CLUSTER_CHECKS, ClusterContent, ClusterFlows, DOCUMENT_CHECKS, DocumentNames, FACT_CHECKS, FLOW_CHECKS,
    FlowFinding, Flows, Footprint, PLACEMENT_CHECKS, Spot, unread_facts,
};
use crate::inventory::{self, Cluster, FLEET_FILE, Fleet, Inventory, InventoryCache, Role};
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::problem::{Problem, READING};
use crate::snapshot::{OUTPUT, Snapshot, SourceId, TEMPLATES};
use crate::templates::{Budget, MAX_CLUSTER_STEPS, MAX_SEARCH_STEPS};

use accepted::{Answers, accepted};
use consequences::{missed_once, one_end_of_each_slip, pool_is_missed_once};
use once::{ClusterProblem, once};

pub use accepted::Accepted;
pub use lines::with_lines;
pub use scope::{ClusterScope, PlacedAddon};
pub use unit::{RenderedFile, Unit, UnitTemplate};
pub(crate) use unit::{UnitRenderer, templates as unit_templates};

/// The identity of something rendered, made of the identities of all that it depends on.
pub type Digest = [u8; 32];

/// All rendered files of the fleet, with what they were rendered from.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The clusters by name.
    pub clusters: BTreeMap<ClusterName, Arc<RenderedCluster>>,
    /// The facts.
    pub inventory: Inventory,
    /// The templates.
    pub catalog: Arc<Catalog>,
    /// What checks that guess find, and the add-ons say is meant.
    pub accepted: Vec<Accepted>,
}

/// The rendered files of one cluster.
#[derive(Debug)]
pub struct RenderedCluster {
    /// The cluster's name.
    pub name: ClusterName,
    /// What the cluster is for.
    pub role: Role,
    /// The folder, `argocd-apps/<cluster>`.
    pub folder: RepoPath,
    /// The identity of all files together: equal digests mean equal files.
    pub digest: Digest,
    units: Vec<Arc<Unit>>,
    /// Which unit and which file of it have footprints: few do, and all of them are looked at in every run.
    outward: Vec<(usize, usize)>,
    /// The names in its documents: looked at only when something changes for the cluster, or for one beside it.
    names: Vec<DocumentNames>,
}

impl RenderedCluster {
    /// Returns the files in the order of their paths.
    #[must_use]
    pub fn files(&self) -> Vec<&RenderedFile> {
        let mut files: Vec<_> = self.iter_files().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    fn footprints(&self) -> Vec<(&RepoPath, Spot, &Footprint)> {
        let files = self.outward.iter().map(|(unit, file)| &self.units[*unit].files[*file]);
        files
            .flat_map(|file| file.footprints.iter().map(|(index, footprint)| (&file.path, *index, footprint)))
            .filter(|(_, _, footprint)| footprint.is_outward())
            .collect()
    }

    /// Returns what the cluster sends, each with the URL that it is sent to: metrics, logs, traces, secrets it asks for.
    pub fn sends(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let ends = self.footprints().into_iter().filter_map(|(_, _, footprint)| footprint.ends.as_deref());
        ends.flat_map(|ends| ends.senders.iter().map(|sender| (ends.signal.noun(), sender.url.as_str())))
    }

    /// Returns what the files were rendered in: the add-ons, then the cluster's own files. Units that were taken over
    /// from the rendering before are the very same.
    #[must_use]
    pub fn units(&self) -> &[Arc<Unit>] {
        &self.units
    }

    /// Returns the files in no particular order, at no cost.
    pub fn iter_files(&self) -> impl Iterator<Item = &RenderedFile> {
        self.units.iter().flat_map(|unit| &unit.files)
    }

    /// Returns the add-ons that run on the cluster.
    pub fn addons(&self) -> impl Iterator<Item = &AddonName> {
        self.units.iter().filter_map(|unit| unit.addon.as_ref())
    }
}

impl Rendered {
    /// Returns how many files there are.
    #[must_use]
    pub fn file_count(&self) -> usize {
        self.clusters.values().flat_map(|cluster| &cluster.units).map(|unit| unit.files.len()).sum()
    }

    /// Returns what could not be judged, though nothing is wrong with it: told beside the verdict, so that nobody takes it for one.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let is_unlocked = self.catalog.lock.is_none() && !self.catalog.addons.is_empty();
        let note =
            format!("chart values are not judged, since there is no `{LOCK}`: run `fleetwright charts lock`");
        is_unlocked.then_some(note).into_iter().collect()
    }

    /// Returns the digest of everything that is rendered: of paths and bytes alone, so that equal trees have equal digests
    /// however they came about.
    #[must_use]
    pub fn tree_digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for file in self.clusters.values().flat_map(|cluster| cluster.files()) {
            for part in [file.path.as_str().as_bytes(), &file.bytes] {
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Returns what the templates of a cluster see.
    ///
    /// # Panics
    ///
    /// If the cluster is not one of this rendering.
    #[must_use]
    pub fn scope(&self, cluster: &ClusterName) -> ClusterScope<'_> {
        let world = World::new(&self.inventory, &self.catalog);
        world.scope(&self.inventory.clusters[cluster]).expect("a rendered cluster has a valid scope")
    }
}

/// Asked with the bytes that were rendered for one cluster.
type MayGoOn<'a> = &'a (dyn Fn(usize) -> bool + Sync);

/// Hears how far a rendering has come, and may end it; called from several threads.
pub trait Progress: Sync {
    /// One more cluster is rendered, of so many.
    fn advance(&self, total: usize);

    /// Returns whether rendering may go on after so many bytes, which bounds the time and the memory that it takes.
    ///
    /// Asked before each cluster, again and again while one is rendered, and before each check.
    fn may_go_on(&self, _rendered_bytes: usize) -> bool {
        true
    }
}

impl Progress for () {
    fn advance(&self, _: usize) {}
}

/// Renders snapshots and remembers what has not changed between them.
#[derive(Debug, Default)]
pub struct Renderer {
    inventory: InventoryCache,
    catalog: Option<(BTreeMap<RepoPath, SourceId>, Arc<Catalog>)>,
    clusters: HashMap<ClusterName, Known>,
}

/// A cluster that was rendered before.
#[derive(Debug)]
struct Known {
    /// The identity of all facts and templates that its files could depend on.
    inputs: Digest,
    cluster: Arc<RenderedCluster>,
    /// Which answers are to something that its files do to each other.
    answers: Answers,
}

/// What became of a cluster.
struct Attempt<'a> {
    name: &'a ClusterName,
    inputs: Digest,
    result: Result<Arc<RenderedCluster>, Vec<Problem>>,
    /// Whether anything has changed that the cluster could depend on.
    is_changed: bool,
    /// Which answers are to something that its files do to each other, as it is known of a cluster that has not changed.
    answers: Answers,
}

impl Renderer {
    /// Creates a renderer that remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Renders a snapshot, or returns every problem in it, sorted by place.
    pub fn render(&mut self, snapshot: &Snapshot, progress: &dyn Progress) -> Result<Rendered, Vec<Problem>> {
        self.judged(snapshot, progress).map_err(|problems| with_lines(problems, snapshot))
    }

    fn judged(&mut self, snapshot: &Snapshot, progress: &dyn Progress) -> Result<Rendered, Vec<Problem>> {
        let (inventory, mut problems) = inventory::read(snapshot, &mut self.inventory);
        problems.extend(FACT_CHECKS.iter().flat_map(|check| named(check.name, (check.run)(&inventory))));
        let catalog = match self.catalog(snapshot) {
            Ok(catalog) => catalog,
            Err(found) => {
                problems.extend(found);
                return Err(once(problems, Vec::new(), &inventory, snapshot));
            }
        };
        let placement = PLACEMENT_CHECKS.iter();
        problems.extend(placement.flat_map(|check| named(check.name, (check.run)(&inventory, &catalog))));
        // Every template would only repeat that a shared fact is missing.
        if !inventory.fleet.is_valid {
            return Err(once(problems, Vec::new(), &inventory, snapshot));
        }
        let world = World::new(&inventory, &catalog);
        let mut attempts = self.clusters(&world, progress);
        let clusters: BTreeMap<_, _> = attempts.iter().filter_map(Attempt::rendered).collect();
        let mut flowed = world.flow_problems(&clusters, &attempts, progress);
        let flow_problems = std::mem::take(&mut flowed.problems);
        let mut found: Vec<_> = attempts.iter().flat_map(Attempt::problems).chain(flow_problems).collect();
        if !found.is_empty() && !problems.is_empty() {
            one_end_of_each_slip(&mut found, &mut problems, &unread_facts(&inventory, &catalog));
        }
        pool_is_missed_once(&mut found, &inventory);
        missed_once(&mut found);
        let problems = once(problems, found, &inventory, snapshot);
        if !problems.is_empty() {
            return Err(problems);
        }
        for attempt in attempts.iter_mut().filter(|attempt| attempt.is_changed) {
            attempt.answers = flowed.inside.get(attempt.name).cloned().unwrap_or_default();
        }
        let answers: BTreeMap<_, _> =
            attempts.iter().map(|attempt| (attempt.name, flowed.with_between(attempt))).collect();
        let answering = clusters.values().map(|cluster| (&**cluster, &answers[&cluster.name]));
        let accepted = accepted(&catalog, answering)
            .map_err(|problems| once(problems, Vec::new(), &inventory, snapshot))?;
        self.clusters = attempts.into_iter().filter_map(Attempt::into_known).collect();
        Ok(Rendered { clusters, inventory, catalog, accepted })
    }

    /// Renders every cluster that stands on its own feet: what is wrong with a hub would repeat itself in each spoke.
    fn clusters<'a>(&self, world: &World<'a>, progress: &dyn Progress) -> Vec<Attempt<'a>> {
        let clusters = world.inventory.clusters.values();
        let clusters: Vec<_> =
            clusters.filter(|cluster| world.inventory.hub_of(cluster).is_some()).map(Arc::as_ref).collect();
        let total = clusters.len();
        let bytes = AtomicUsize::new(0);
        // Threads of the pool know nothing of the run that they work for.
        let run = Span::current();
        let attempt = |cluster: &'a Cluster| {
            let _cluster = info_span!(parent: &run, "cluster", cluster.name = %cluster.name).entered();
            if !progress.may_go_on(bytes.load(Ordering::Relaxed)) {
                return Attempt::refused(cluster);
            }
            let may_go_on = |own: usize| progress.may_go_on(bytes.load(Ordering::Relaxed) + own);
            let attempt = world.attempt(cluster, self.clusters.get(&cluster.name), &may_go_on);
            bytes.fetch_add(attempt.size_bytes(), Ordering::Relaxed);
            progress.advance(total);
            attempt
        };
        clusters.into_par_iter().map(attempt).collect()
    }

    fn catalog(&mut self, snapshot: &Snapshot) -> Result<Arc<Catalog>, Vec<Problem>> {
        let ids: BTreeMap<_, _> =
            snapshot.below(TEMPLATES).map(|(path, source)| (path.clone(), source.id)).collect();
        if let Some((known, catalog)) = &self.catalog
            && *known == ids
        {
            return Ok(Arc::clone(catalog));
        }
        let catalog = Arc::new(catalog::read(snapshot)?);
        self.catalog = Some((ids, Arc::clone(&catalog)));
        Ok(catalog)
    }
}

impl<'a> Attempt<'a> {
    /// The attempt on a cluster that may not be rendered any more.
    fn refused(cluster: &'a Cluster) -> Self {
        let message =
            format!("`{}` is not rendered: rendering takes too long or grows too large", cluster.name);
        let problem = Problem::in_whole_file(&cluster.file, message)
            .found_by("limits")
            .hint("loop over shorter lists, or describe fewer clusters at once");
        let (inputs, answers) = (Digest::default(), Answers::new());
        Self { name: &cluster.name, inputs, result: Err(vec![problem]), is_changed: true, answers }
    }

    /// Says that what the clusters do to each other was not looked at to the end.
    fn unchecked(&self) -> ClusterProblem {
        let file = RepoPath::parse(FLEET_FILE).expect("a constant path");
        let message = "the checks between clusters take too long";
        let problem = Problem::in_whole_file(&file, message).found_by("limits");
        (self.name.clone(), problem.hint("describe fewer clusters at once"))
    }

    fn size_bytes(&self) -> usize {
        const PROBLEM_BYTES: usize = 256;
        match &self.result {
            Ok(cluster) => cluster.iter_files().map(|file| file.bytes.len()).sum(),
            Err(problems) => problems.len() * PROBLEM_BYTES,
        }
    }

    fn rendered(&self) -> Option<(ClusterName, Arc<RenderedCluster>)> {
        let cluster = self.result.as_ref().ok()?;
        Some((self.name.clone(), Arc::clone(cluster)))
    }

    fn problems(&self) -> impl Iterator<Item = ClusterProblem> {
        let problems = self.result.as_ref().err().into_iter().flatten();
        problems.map(|problem| (self.name.clone(), problem.clone().found_by("template")))
    }

    fn into_known(self) -> Option<(ClusterName, Known)> {
        Some((
            self.name.clone(),
            Known { inputs: self.inputs, cluster: self.result.ok()?, answers: self.answers },
        ))
    }
}

fn named(check: &'static str, problems: Vec<Problem>) -> impl Iterator<Item = Problem> {
    problems.into_iter().map(move |problem| problem.found_by(check))
}

fn of_check(check: &'static str, findings: Vec<FlowFinding>) -> impl Iterator<Item = FlowFinding> {
    findings.into_iter().map(move |found| FlowFinding { finding: found.finding.of(check), ..found })
}

/// What the checks of clusters find.
struct Flowed {
    problems: Vec<ClusterProblem>,
    /// Answers to what the files of one cluster do to each other: looked at where something has changed.
    inside: BTreeMap<ClusterName, Answers>,
    /// Answers to what clusters do to each other: looked at each time.
    between: BTreeMap<ClusterName, Answers>,
}

/// What a finding comes to.
enum Found {
    Problem(Box<ClusterProblem>),
    /// The cluster, the add-on that says that it is meant, and which of its answers does.
    Answer(ClusterName, AddonName, usize),
}

impl Flowed {
    fn with_between(&self, attempt: &Attempt<'_>) -> Answers {
        let between = self.between.get(attempt.name).into_iter().flatten();
        attempt.answers.iter().chain(between).cloned().collect()
    }
}

/// Returns the names of everything that finds problems: of reading, and of all checks.
#[must_use]
pub fn check_names() -> BTreeSet<&'static str> {
    let facts = FACT_CHECKS.iter().map(|check| check.name);
    let placement = PLACEMENT_CHECKS.iter().map(|check| check.name);
    let documents = DOCUMENT_CHECKS.iter().map(|check| check.name);
    let clusters = CLUSTER_CHECKS.iter().map(|check| check.name);
    let flows = FLOW_CHECKS.iter().map(|check| check.name);
    READING
        .into_iter()
        .chain(["accept"])
        .chain(facts)
        .chain(placement)
        .chain(documents)
        .chain(clusters)
        .chain(flows)
        .collect()
}

/// The inventory and the catalog side by side, with what every cluster asks of them worked out once.
struct World<'a> {
    inventory: &'a Inventory,
    catalog: &'a Catalog,
    spokes: HashMap<&'a ClusterName, Vec<&'a Cluster>>,
    /// The identity of what all templates of all clusters depend on.
    shared: Digest,
    /// The identity of all templates.
    templates: Digest,
}

impl<'a> World<'a> {
    fn new(inventory: &'a Inventory, catalog: &'a Catalog) -> Self {
        let mut spokes: HashMap<_, Vec<_>> = HashMap::new();
        for cluster in inventory.clusters.values().filter(|cluster| !cluster.is_hub()) {
            spokes.entry(&cluster.hub).or_default().push(Arc::as_ref(cluster));
        }
        let shared = shared_digest(&inventory.fleet, catalog);
        Self { inventory, catalog, spokes, shared, templates: templates_digest(catalog) }
    }

    fn spokes(&self, cluster: &Cluster) -> &[&'a Cluster] {
        self.spokes.get(&cluster.name).map_or(&[], Vec::as_slice)
    }

    fn scope(&self, cluster: &'a Cluster) -> Result<ClusterScope<'a>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut addons = Vec::new();
        for addon in self.catalog.addons.values().filter(|addon| addon.is_on(cluster)) {
            match addon.settings(cluster) {
                Ok(settings) => addons.push(PlacedAddon { addon: addon.as_ref(), settings }),
                Err(found) => problems.extend(found),
            }
        }
        addons.sort_by(|a, b| (a.addon.facts.wave, &a.addon.name).cmp(&(b.addon.facts.wave, &b.addon.name)));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(ClusterScope {
            cluster,
            hub: &self.inventory.clusters[&cluster.hub],
            spokes: self.spokes(cluster).to_vec(),
            fleet: &self.inventory.fleet,
            addons,
        })
    }

    /// Renders a cluster, or takes it over if nothing has changed that it could depend on.
    fn attempt(&self, cluster: &'a Cluster, known: Option<&Known>, may_go_on: MayGoOn<'_>) -> Attempt<'a> {
        let facts = self.facts_digest(cluster);
        let inputs = digest_of([facts.as_slice(), self.templates.as_slice()].into_iter());
        let result = match known {
            Some(known) if known.inputs == inputs => Ok(Arc::clone(&known.cluster)),
            known => self.render(cluster, facts, known.map(|known| &known.cluster), may_go_on),
        };
        let unchanged = known.filter(|known| known.inputs == inputs);
        let answers = unchanged.map(|known| known.answers.clone()).unwrap_or_default();
        Attempt { name: &cluster.name, inputs, result, is_changed: unchanged.is_none(), answers }
    }

    /// Renders a cluster, taking over the units of which nothing has changed.
    fn render(
        &self,
        cluster: &'a Cluster,
        facts: Digest,
        known: Option<&Arc<RenderedCluster>>,
        may_go_on: MayGoOn<'_>,
    ) -> Result<Arc<RenderedCluster>, Vec<Problem>> {
        let units = unit::templates(self.catalog, cluster);
        let keys: Vec<Digest> = units.iter().map(|unit| unit.key(&facts, self.catalog)).collect();
        let digest = digest_of(keys.iter().map(<[u8; 32]>::as_slice));
        if let Some(known) = known.filter(|known| known.digest == digest) {
            return Ok(Arc::clone(known));
        }
        let known_units: HashMap<_, _> =
            known.into_iter().flat_map(|known| &known.units).map(|unit| (unit.key, unit)).collect();
        let scope = self.scope(cluster)?;
        let budget = Budget::new(MAX_CLUSTER_STEPS, may_go_on);
        let renderer = UnitRenderer::new(&scope, self.catalog, &budget);
        let mut problems = Vec::new();
        let mut made = Vec::with_capacity(units.len());
        for (unit, key) in units.iter().zip(&keys) {
            match known_units.get(key) {
                Some(known) => made.push(Arc::clone(known)),
                None => match renderer.render(unit, *key) {
                    Ok(unit) => made.push(Arc::new(unit)),
                    Err(found) => problems.extend(found),
                },
            }
            if budget.is_spent() {
                break;
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        debug!(units = made.len(), "rendered `{}`", cluster.name);
        Ok(Arc::new(RenderedCluster {
            name: cluster.name.clone(),
            role: cluster.facts.role,
            folder: output_folder(&cluster.name),
            digest,
            outward: outward(&made),
            names: names(&made),
            units: made,
        }))
    }

    /// The identity of every fact that a template of the cluster may read.
    fn facts_digest(&self, cluster: &Cluster) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.shared);
        hash_cluster(&mut hasher, cluster);
        hash_cluster(&mut hasher, &self.inventory.clusters[&cluster.hub]);
        for spoke in self.spokes(cluster) {
            hash_cluster(&mut hasher, spoke);
        }
        *hasher.finalize().as_bytes()
    }

    fn flow_problems(
        &self,
        rendered: &BTreeMap<ClusterName, Arc<RenderedCluster>>,
        attempts: &[Attempt<'_>],
        progress: &dyn Progress,
    ) -> Flowed {
        let clusters = rendered.iter().map(|(name, cluster)| {
            let facts = self.inventory.clusters[name].as_ref();
            (name.clone(), ClusterFlows::new(facts, cluster.footprints(), &cluster.names))
        });
        let machines = &self.inventory.fleet.facts.machines;
        let machines = machines.values().map(|machine| machine.address.ip()).collect();
        let size_bytes: usize = attempts.iter().map(Attempt::size_bytes).sum();
        let may_go_on = |own: usize| progress.may_go_on(size_bytes + own);
        let checks_may_go_on = || may_go_on(0);
        let unknown = self.unknown(attempts).collect();
        let flows = Flows { clusters: clusters.collect(), unknown, machines, may_go_on: &checks_may_go_on };
        let changed: Vec<_> = attempts.iter().filter(|attempt| attempt.is_changed).collect();
        let inside = changed.into_par_iter().filter(|_| may_go_on(0)).filter_map(|attempt| {
            let made = attempt.result.as_ref().ok()?;
            Some(self.conflicts(made, &flows))
        });
        let inside: Vec<_> = inside.flatten_iter().collect();
        let checks = FLOW_CHECKS.iter().take_while(|_| may_go_on(0));
        let between: Vec<_> = checks.flat_map(|check| of_check(check.name, (check.run)(&flows))).collect();
        let budget = Budget::new(MAX_SEARCH_STEPS, &may_go_on);
        let mut problems = Vec::new();
        let inside = self.sorted_out(inside, &budget, &mut problems);
        let between = self.sorted_out(between, &budget, &mut problems);
        // Where a cluster was not rendered to its end, that is said there.
        let is_unfinished = attempts.iter().all(|attempt| attempt.result.is_ok()) && !may_go_on(0);
        let unfinished = is_unfinished.then(|| attempts.first().map(Attempt::unchecked)).flatten();
        problems.extend(unfinished);
        Flowed { problems, inside, between }
    }

    /// Tells findings that an add-on says are meant from problems.
    fn sorted_out(
        &self,
        findings: Vec<FlowFinding>,
        budget: &Budget<'_>,
        problems: &mut Vec<ClusterProblem>,
    ) -> BTreeMap<ClusterName, Answers> {
        let mut answers: BTreeMap<_, Answers> = BTreeMap::new();
        for finding in findings {
            match self.flow_problem(finding, budget) {
                Some(Found::Problem(problem)) => problems.push(*problem),
                Some(Found::Answer(cluster, addon, answer)) => {
                    answers.entry(cluster).or_default().insert((addon, answer));
                }
                None => {}
            }
        }
        answers
    }

    /// Returns the clusters that are not rendered, each with its hub if that is known.
    fn unknown(&self, attempts: &[Attempt<'_>]) -> impl Iterator<Item = Option<ClusterName>> {
        let failed = attempts.iter().filter(|attempt| attempt.result.is_err());
        let failed = failed.map(|attempt| Some(self.inventory.clusters[attempt.name].hub.clone()));
        let clusters = self.inventory.clusters.values();
        let without_hub = clusters.filter(|cluster| self.inventory.hub_of(cluster).is_none()).count();
        let unread = self.inventory.broken.len() + without_hub;
        failed.chain(std::iter::repeat_n(None, unread))
    }

    /// Holds the files of one cluster against each other. Of a cluster that nothing has changed for, that is known.
    fn conflicts(&self, made: &RenderedCluster, flows: &Flows<'_>) -> Vec<FlowFinding> {
        let addons = made.addons().filter_map(|name| self.catalog.addons.get(name)).map(Arc::as_ref);
        let content =
            ClusterContent { flows: &flows.clusters[&made.name], all: flows, addons: addons.collect() };
        CLUSTER_CHECKS.iter().flat_map(|check| of_check(check.name, (check.run)(&content))).collect()
    }

    fn flow_problem(&self, found: FlowFinding, budget: &Budget<'_>) -> Option<Found> {
        let cluster = &self.inventory.clusters[&found.cluster];
        let scope = self.scope(cluster).ok()?;
        let renderer = UnitRenderer::new(&scope, self.catalog, budget);
        let units = unit::templates(self.catalog, cluster);
        let mut templates = units.iter().flat_map(|unit| &unit.templates);
        let template = templates.find(|template| template.writes == found.file)?;
        if let Some((addon, answer)) = template.addon.zip(template.answer(found.document, &found.finding)) {
            return Some(Found::Answer(found.cluster, addon.name.clone(), answer));
        }
        let problem = renderer.problem(template, found.document, found.finding);
        Some(Found::Problem(Box::new((found.cluster, problem))))
    }
}

fn outward(units: &[Arc<Unit>]) -> Vec<(usize, usize)> {
    let files = units.iter().enumerate().flat_map(|(unit, it)| {
        it.files.iter().enumerate().map(move |(file, rendered)| ((unit, file), rendered))
    });
    let is_outward =
        |file: &RenderedFile| file.footprints.iter().any(|(_, footprint)| footprint.is_outward());
    files.filter(|(_, file)| is_outward(file)).map(|(at, _)| at).collect()
}

fn names(units: &[Arc<Unit>]) -> Vec<DocumentNames> {
    let files = units.iter().flat_map(|unit| &unit.files);
    let names = files.flat_map(|file| {
        file.footprints.iter().filter_map(|(document, footprint)| {
            let names = Arc::clone(footprint.names.as_ref()?);
            Some(DocumentNames { file: file.path.clone(), document: *document, names })
        })
    });
    names.collect()
}

fn shared_digest(fleet: &Fleet, catalog: &Catalog) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&fleet.id.0);
    // What passed by one lock may not pass by another.
    if let Some(lock) = &catalog.lock {
        hasher.update(&lock.id.0);
    }
    for (path, id) in &catalog.schemas.ids {
        hasher.update(path.as_str().as_bytes()).update(&id.0);
    }
    for addon in catalog.addons.values() {
        hasher.update(addon.name.as_str().as_bytes()).update(&addon.id.0);
        hasher.update(&[u8::from(addon.manifests.is_empty()), 0]);
    }
    *hasher.finalize().as_bytes()
}

fn templates_digest(catalog: &Catalog) -> Digest {
    let ids = catalog.ids.iter().flat_map(|(path, id)| [path.as_str().as_bytes(), &[0], &id.0]);
    digest_of(ids)
}

fn hash_cluster(hasher: &mut blake3::Hasher, cluster: &Cluster) {
    hasher.update(cluster.name.as_str().as_bytes()).update(&[0]);
    // The file names itself in what is rendered from it alone.
    hasher.update(cluster.file.as_str().as_bytes()).update(&[0]);
    for (_, id) in &cluster.sources {
        hasher.update(&id.0);
    }
    hasher.update(&[0]);
}

fn digest_of<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// Returns the folder that a cluster's files are rendered into.
#[must_use]
pub fn output_folder(cluster: &ClusterName) -> RepoPath {
    RepoPath::parse(&format!("{OUTPUT}/{cluster}")).expect("a cluster's name is a file name")
}
