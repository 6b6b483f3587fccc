//! One run of rendering: read, render each cluster, judge them together, report.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use tracing::{Span, info_span};

use crate::beside::Beside;
use crate::catalog::{self, Catalog};
use crate::checks::{
    CLUSTER_CHECKS, DOCUMENT_CHECKS, FACT_CHECKS, FLOW_CHECKS, PLACEMENT_CHECKS, unread_facts,
};
use crate::inventory::{self, Cluster, InventoryCache};
use crate::path::{ClusterName, RepoPath};
use crate::problem::{Problem, READING};
use crate::snapshot::{Snapshot, SourceId, TEMPLATES};

use super::accepted::accepted;
use super::clusters::{Attempt, Known};
use super::consequences::{missed_once, one_end_of_each_slip, pool_is_missed_once, unasked_by_itself};
use super::excerpts::with_lines;
use super::flows::{self, Flowed};
use super::memory::Memory;
use super::once::once;
use super::record;
use super::rendered::Rendered;
use super::sources::Sources;

/// Is notified of how far a rendering has come, and may end it; called from several threads.
pub trait Progress: Sync {
    /// Notes that one more cluster is rendered, of so many.
    fn advance(&self, total: usize);

    /// Returns whether rendering may go on after so many bytes, which bounds the time and the memory that it takes.
    ///
    /// Called before each cluster, again and again while one is rendered, and before each check.
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
    has_objects: bool,
    memory: Option<Arc<dyn Memory>>,
}

impl Renderer {
    /// Creates a renderer that remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves out what checks guess of final objects from the values of charts: for what judges all of these themselves.
    #[must_use]
    pub fn for_objects(self) -> Self {
        Self { has_objects: true, ..self }
    }

    /// Takes over what earlier processes have rendered of a large fleet, and leaves to others what this one does.
    #[must_use]
    pub fn remembering(self, memory: Arc<dyn Memory>) -> Self {
        Self { memory: Some(memory), ..self }
    }

    /// Renders a snapshot, or returns every problem in it, sorted by place.
    pub fn render(&mut self, snapshot: &Snapshot, progress: &dyn Progress) -> Result<Rendered, Vec<Problem>> {
        self.rendered(snapshot, progress).map_err(|problems| with_lines(problems, snapshot))
    }

    fn rendered(&mut self, snapshot: &Snapshot, progress: &dyn Progress) -> Result<Rendered, Vec<Problem>> {
        let (inventory, mut problems) = inventory::read(snapshot, &mut self.inventory);
        problems.extend(FACT_CHECKS.iter().flat_map(|check| found_by(check.name, (check.run)(&inventory))));
        let catalog = match self.catalog(snapshot) {
            Ok(catalog) => catalog,
            Err(found) => {
                problems.extend(found);
                return Err(once(problems, Vec::new(), &inventory, snapshot));
            }
        };
        let placement = PLACEMENT_CHECKS.iter();
        problems.extend(placement.flat_map(|check| found_by(check.name, (check.run)(&inventory, &catalog))));
        // Every template would only repeat that a shared fact is missing.
        if !inventory.fleet.is_valid {
            return Err(once(problems, Vec::new(), &inventory, snapshot));
        }
        let mut sources = Sources::new(&inventory, &catalog);
        sources.has_objects = self.has_objects;
        sources.memory = self.memory.as_deref().filter(|memory| memory.is_for(inventory.clusters.len()));
        let attempts = self.attempts(&sources, progress);
        let rendered =
            |attempt: &Attempt<'_>| Some((attempt.name.clone(), Arc::clone(attempt.result.as_ref().ok()?)));
        let clusters: BTreeMap<_, _> = attempts.iter().filter_map(rendered).collect();
        let size_bytes: usize = attempts.iter().map(Attempt::size_bytes).sum();
        let may_go_on = |own: usize| progress.may_go_on(size_bytes + own);
        let Flowed { problems: flowed, mut inside, mut between } =
            flows::judge(&sources, &clusters, &attempts, &may_go_on);
        let mut found: Vec<_> = attempts.iter().flat_map(Attempt::problems).chain(flowed).collect();
        if !found.is_empty() && !problems.is_empty() {
            one_end_of_each_slip(&mut found, &mut problems, &unread_facts(&inventory, &catalog));
        }
        pool_is_missed_once(&mut found, &inventory);
        missed_once(&mut found);
        unasked_by_itself(&mut found);
        let problems = once(problems, found, &inventory, snapshot);
        if !problems.is_empty() {
            return Err(problems);
        }
        remember(&sources, &attempts);
        let known = |Attempt { name, inputs, result, unchanged, .. }: Attempt<'_>| {
            let answers = unchanged.map(|known| known.answers.clone());
            let answers = answers.or_else(|| inside.remove(name)).unwrap_or_default();
            Some((name.clone(), Known { inputs, cluster: result.ok()?, answers }))
        };
        let known: HashMap<_, _> = attempts.into_iter().filter_map(known).collect();
        let answering = known.iter().map(|(name, known)| {
            let mut answers = between.remove(name).unwrap_or_default();
            answers.extend(known.answers.iter().cloned());
            (&*known.cluster, answers)
        });
        let accepted = accepted(&catalog, answering)
            .map_err(|problems| once(problems, Vec::new(), &inventory, snapshot))?;
        self.clusters = known;
        Ok(Rendered { clusters, inventory, catalog, accepted, beside: Beside::default() })
    }

    /// Renders every cluster whose hub is known: what is wrong with a hub would repeat itself in each spoke.
    fn attempts<'a>(&'a self, sources: &Sources<'a>, progress: &dyn Progress) -> Vec<Attempt<'a>> {
        let clusters = sources.inventory.clusters.values();
        let clusters: Vec<_> =
            clusters.filter(|cluster| sources.inventory.hub_of(cluster).is_some()).map(Arc::as_ref).collect();
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
            let attempt = Attempt::new(sources, cluster, self.clusters.get(&cluster.name), &may_go_on);
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

/// Leaves what was rendered to the processes that follow.
fn remember(sources: &Sources<'_>, attempts: &[Attempt<'_>]) {
    let Some(memory) = sources.memory else { return };
    let new: Vec<_> = attempts
        .iter()
        .filter(|attempt| attempt.unchanged.is_none() && !attempt.is_remembered)
        .filter_map(|attempt| Some((&attempt.inputs, attempt.result.as_ref().ok()?)))
        .collect();
    new.par_iter().for_each(|(inputs, cluster)| record::remember(sources, inputs, cluster));
    if !new.is_empty() {
        memory.tidy();
    }
}

fn found_by(check: &'static str, problems: Vec<Problem>) -> impl Iterator<Item = Problem> {
    problems.into_iter().map(move |problem| problem.found_by(check))
}

/// Returns the names of everything that finds problems: of reading, and of all checks.
#[must_use]
pub fn check_names() -> BTreeSet<&'static str> {
    let mut names: BTreeSet<_> = READING.into_iter().chain(["accept"]).collect();
    names.extend(FACT_CHECKS.iter().map(|check| check.name));
    names.extend(PLACEMENT_CHECKS.iter().map(|check| check.name));
    names.extend(DOCUMENT_CHECKS.iter().map(|check| check.name));
    names.extend(CLUSTER_CHECKS.iter().map(|check| check.name));
    names.extend(FLOW_CHECKS.iter().map(|check| check.name));
    names
}
