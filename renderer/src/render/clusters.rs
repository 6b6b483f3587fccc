//! Rendering one cluster, or taking over what has not changed.

use std::collections::HashMap;
use std::sync::Arc;

use tracing::debug;

use crate::inventory::Cluster;
use crate::path::ClusterName;
use crate::problem::Problem;
use crate::provenance::templates;
use crate::templates::{MAX_CLUSTER_STEPS, RenderBudget};

use super::digest::{self, Digest};
use super::once::ClusterProblem;
use super::record::remembered;
use super::rendered::{Answers, RenderedCluster};
use super::sources::Sources;
use super::unit::UnitRenderer;

/// Returns whether rendering may go on after so many bytes were rendered for one cluster.
pub(super) type MayGoOn<'a> = &'a (dyn Fn(usize) -> bool + Sync);

/// A cluster that was rendered before.
#[derive(Debug)]
pub(super) struct Known {
    /// The identity of all facts and templates that its files could depend on.
    pub inputs: Digest,
    pub cluster: Arc<RenderedCluster>,
    /// Which answers are to something that its files do to each other.
    pub answers: Answers,
}

/// What became of a cluster.
pub(super) struct Attempt<'a> {
    pub name: &'a ClusterName,
    pub inputs: Digest,
    pub result: Result<Arc<RenderedCluster>, Vec<Problem>>,
    /// What is known of it, if nothing has changed that it could depend on.
    pub unchanged: Option<&'a Known>,
    /// Whether an earlier process has rendered it.
    pub is_remembered: bool,
}

impl<'a> Attempt<'a> {
    /// Renders a cluster, or takes it over if nothing has changed that it could depend on.
    pub(super) fn new(
        sources: &Sources<'a>,
        cluster: &'a Cluster,
        known: Option<&'a Known>,
        may_go_on: MayGoOn<'_>,
    ) -> Self {
        let facts = sources.facts_digest(cluster);
        let inputs = sources.inputs(&facts);
        let unchanged = known.filter(|known| known.inputs == inputs);
        let known = known.map(|known| &known.cluster);
        let remembered =
            if unchanged.is_none() { remembered(sources, &inputs, &cluster.name, known) } else { None };
        let is_remembered = remembered.is_some();
        let result = match (unchanged, remembered) {
            (Some(known), _) => Ok(Arc::clone(&known.cluster)),
            (None, Some(remembered)) => Ok(Arc::new(remembered)),
            (None, None) => render(sources, cluster, &facts, known, may_go_on),
        };
        Self { name: &cluster.name, inputs, result, unchanged, is_remembered }
    }

    /// The attempt on a cluster that may not be rendered any more.
    pub(super) fn refused(cluster: &'a Cluster) -> Self {
        let message =
            format!("`{}` is not rendered: rendering takes too long or grows too large", cluster.name);
        let problem = Problem::in_whole_file(&cluster.file, message)
            .found_by("limits")
            .hint("loop over shorter lists, or describe fewer clusters at once");
        let (name, inputs) = (&cluster.name, Digest::default());
        Self { name, inputs, result: Err(vec![problem]), unchanged: None, is_remembered: false }
    }

    pub(super) fn size_bytes(&self) -> usize {
        const PROBLEM_BYTES: usize = 256;
        match &self.result {
            Ok(cluster) => cluster.iter_files().map(|file| file.bytes.len()).sum(),
            Err(problems) => problems.len() * PROBLEM_BYTES,
        }
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = ClusterProblem> {
        let problems = self.result.as_ref().err().into_iter().flatten();
        problems.map(|problem| (self.name.clone(), problem.clone().found_by("template")))
    }
}

/// Renders a cluster, taking over the units of which nothing has changed.
fn render<'a>(
    sources: &Sources<'a>,
    cluster: &'a Cluster,
    facts: &Digest,
    known: Option<&Arc<RenderedCluster>>,
    may_go_on: MayGoOn<'_>,
) -> Result<Arc<RenderedCluster>, Vec<Problem>> {
    let units = templates(sources.catalog, sources.inventory, cluster);
    let keys: Vec<Digest> = units.iter().map(|unit| digest::of_unit(unit, facts, sources.catalog)).collect();
    let digest = digest::of(keys.iter().map(<[u8; 32]>::as_slice));
    if let Some(known) = known.filter(|known| known.digest == digest) {
        return Ok(Arc::clone(known));
    }
    let known_units: HashMap<_, _> =
        known.into_iter().flat_map(|known| &known.units).map(|unit| (unit.key, unit)).collect();
    let scope = sources.scope(cluster)?;
    let budget = RenderBudget::new(MAX_CLUSTER_STEPS, may_go_on);
    let renderer = UnitRenderer::new(&scope, sources, &budget);
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
    Ok(Arc::new(RenderedCluster::of(&cluster.name, made)))
}
