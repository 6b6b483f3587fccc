//! What the files of a cluster, and those of different clusters, do to each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::checks::{CLUSTER_CHECKS, ClusterContent, ClusterFlows, FLOW_CHECKS, FlowFinding, Flows};
use crate::inventory::FLEET_FILE;
use crate::path::{ClusterName, RepoPath};
use crate::problem::Problem;
use crate::provenance::{ClusterDocuments, templates};
use crate::templates::{MAX_SEARCH_STEPS, RenderBudget};

use super::clusters::{Attempt, MayGoOn};
use super::once::ClusterProblem;
use super::rendered::{Answers, RenderedCluster};
use super::sources::Sources;
use super::unit::problem;

/// What the checks of clusters find.
#[derive(Default)]
pub(super) struct Flowed {
    pub problems: Vec<ClusterProblem>,
    /// Answers to what the files of one cluster do to each other: judged where something has changed.
    pub inside: BTreeMap<ClusterName, Answers>,
    /// Answers to what clusters do to each other: judged each time.
    pub between: BTreeMap<ClusterName, Answers>,
}

/// Judges what was rendered as a whole.
pub(super) fn judge(
    sources: &Sources<'_>,
    rendered: &BTreeMap<ClusterName, Arc<RenderedCluster>>,
    attempts: &[Attempt<'_>],
    may_go_on: MayGoOn<'_>,
) -> Flowed {
    let clusters = rendered.iter().map(|(name, cluster)| {
        let facts = sources.inventory.clusters[name].as_ref();
        (name.clone(), ClusterFlows::new(facts, cluster.footprints(), &cluster.names))
    });
    let machines = &sources.inventory.fleet.facts.machines;
    let flows = Flows {
        clusters: clusters.collect(),
        unknown: not_rendered(sources, attempts).collect(),
        machines: machines.values().map(|machine| machine.address.ip()).collect(),
        names_operators: !sources.inventory.fleet.facts.operator_networks.is_empty(),
        may_go_on: &|| may_go_on(0),
    };
    let changed: Vec<_> = attempts.iter().filter(|attempt| attempt.unchanged.is_none()).collect();
    let inside = changed.into_par_iter().filter(|_| may_go_on(0)).filter_map(|attempt| {
        let cluster = attempt.result.as_ref().ok()?;
        Some(conflicts(sources, cluster, &flows))
    });
    let inside: Vec<_> = inside.flatten_iter().collect();
    let checks = FLOW_CHECKS.iter().take_while(|_| may_go_on(0));
    let between: Vec<_> = checks.flat_map(|check| found_by(check.name, (check.run)(&flows))).collect();
    let budget = RenderBudget::new(MAX_SEARCH_STEPS, may_go_on);
    let mut flowed = Flowed::default();
    flowed.inside = sorted_out(sources, inside, &budget, &mut flowed.problems);
    flowed.between = sorted_out(sources, between, &budget, &mut flowed.problems);
    // Where a cluster was not rendered to its end, that is reported there.
    if attempts.iter().all(|attempt| attempt.result.is_ok()) && !may_go_on(0) {
        flowed.problems.extend(attempts.first().map(|attempt| (attempt.name.clone(), unfinished())));
    }
    flowed
}

/// The problem that what the clusters do to each other was not judged to the end.
fn unfinished() -> Problem {
    let file = RepoPath::parse(FLEET_FILE).expect("a constant path");
    let problem = Problem::in_whole_file(&file, "the checks between clusters take too long");
    problem.found_by("limits").hint("describe fewer clusters at once")
}

/// Returns the clusters that are not rendered, each with its hub if that is known.
fn not_rendered(
    sources: &Sources<'_>,
    attempts: &[Attempt<'_>],
) -> impl Iterator<Item = Option<ClusterName>> {
    let inventory = sources.inventory;
    let failed = attempts.iter().filter(|attempt| attempt.result.is_err());
    let failed = failed.map(|attempt| Some(inventory.clusters[attempt.name].hub.clone()));
    let without_hub = inventory.clusters.values().filter(|cluster| inventory.hub_of(cluster).is_none());
    failed.chain(std::iter::repeat_n(None, inventory.broken.len() + without_hub.count()))
}

/// Judges the files of one cluster together. Of a cluster that nothing has changed for, the result is known.
fn conflicts(sources: &Sources<'_>, cluster: &RenderedCluster, flows: &Flows<'_>) -> Vec<FlowFinding> {
    let addons = cluster.addons().filter_map(|name| sources.catalog.addons.get(name)).map(Arc::as_ref);
    let content = ClusterContent {
        flows: &flows.clusters[&cluster.name],
        all: flows,
        addons: addons.collect(),
        is_final: false,
    };
    CLUSTER_CHECKS.iter().flat_map(|check| found_by(check.name, (check.run)(&content))).collect()
}

fn found_by(check: &'static str, findings: Vec<FlowFinding>) -> impl Iterator<Item = FlowFinding> {
    findings.into_iter().map(move |found| FlowFinding { finding: found.finding.of(check), ..found })
}

/// Returns the answers to findings, and adds a problem for each finding that no add-on accepts.
fn sorted_out(
    sources: &Sources<'_>,
    findings: Vec<FlowFinding>,
    budget: &RenderBudget<'_>,
    problems: &mut Vec<ClusterProblem>,
) -> BTreeMap<ClusterName, Answers> {
    let mut answers: BTreeMap<_, Answers> = BTreeMap::new();
    for FlowFinding { cluster: name, file, document, finding, .. } in findings {
        let cluster = &sources.inventory.clusters[&name];
        let Ok(scope) = sources.scope(cluster) else { continue };
        let units = templates(sources.catalog, sources.inventory, cluster);
        let mut templates = units.iter().flat_map(|unit| &unit.templates);
        let Some(template) = templates.find(|template| template.writes == file) else { continue };
        if let Some((addon, answer)) = template.addon.zip(template.answer(document, &finding)) {
            answers.entry(name).or_default().insert((addon.name.clone(), answer));
            continue;
        }
        if sources.is_for_objects(finding.check, template.kind) {
            continue;
        }
        let documents = ClusterDocuments::new(&scope, sources.catalog, budget);
        problems.push((name, problem(documents.of(template), document, finding)));
    }
    answers
}
