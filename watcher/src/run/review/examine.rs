//! Examining: both ends of a pull request are rendered and compared, with each other and with what is committed.
//!
//! Everything here follows from the repository alone, and asks no forge.

use std::collections::{BTreeMap, BTreeSet};

use renderer::path::ClusterName;
use renderer::plan::{self, Budget, Facts, FileChange, Plan, Published};
use renderer::problem::Problem;
use renderer::render::Rendered;
use renderer::snapshot::OUTPUT;
use serde::{Deserialize, Serialize};

use super::edits::{self, Edits};
use crate::git::{GitError, Repository, Revision};
use crate::run::changes;
use crate::run::describe::Links;
use crate::run::group::Group;

/// How large what is rendered of one side may grow: ten times a fleet of 1,000 clusters.
pub(in crate::run) const MAX_RENDERED_BYTES: usize = 512 << 20;

/// What a review is about: everything that it shows follows from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct Subject {
    pub head: Revision,
    /// The newest commit that the head and the base branch share.
    pub base: Revision,
}

/// What is asked about a pull request: everything that a review shows follows from this and the repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::run) struct Question {
    pub subject: Subject,
    /// The base branch, and where its pages are.
    pub links: Links,
    /// How much may be deleted.
    pub budget: Budget,
    /// The plan that may delete more.
    pub allow_deletions: Option<String>,
    /// Whether what the head started from is known not to render, so that it is not tried.
    pub is_base_unrenderable: bool,
}

/// What is found about a pull request.
#[derive(Debug)]
pub(super) enum Examination {
    /// Nothing is touched that is rendered from.
    Untouched,
    /// It does not render.
    Broken {
        /// Everything that is wrong.
        problems: Vec<Problem>,
        /// How many of the problems the base has as well.
        inherited: usize,
    },
    /// It renders, but what it started from does not: there is nothing to compare with.
    Fixed {
        /// The digest of the rendered tree.
        tree: String,
    },
    /// Both render.
    Compared {
        /// What changes.
        plan: Plan,
        /// What changes of each group of which anything does.
        groups: BTreeMap<Group, Plan>,
        /// The digest of the rendered tree.
        tree: String,
    },
}

/// What one revision renders to, or every problem in it.
pub(in crate::run) type Side = Result<Rendered, Vec<Problem>>;

/// Finds out what a pull request changes, by rendering its head and what it started from.
pub(super) fn find(
    repository: &Repository,
    question: &Question,
    mut render: impl FnMut(Revision) -> Result<Side, GitError>,
) -> Result<(Examination, Edits), GitError> {
    let Subject { base, head } = question.subject;
    let differences = repository.differences_below(OUTPUT, base, head)?;
    if differences.is_empty() && repository.has_same_inputs(base, head)? {
        return Ok((Examination::Untouched, Edits::default()));
    }
    let base = if question.is_base_unrenderable { Err(Vec::new()) } else { render(base)? };
    let head = render(head)?;
    let edits = edits::find(repository, &differences, base.as_ref().ok(), head.as_ref().ok())?;
    let found = match (base, head) {
        (base, Err(problems)) => {
            let known = base.err().unwrap_or_default();
            let known: BTreeSet<_> = known.iter().map(|problem| (&problem.place, &problem.message)).collect();
            let is_known = |problem: &&Problem| known.contains(&(&problem.place, &problem.message));
            let inherited = problems.iter().filter(is_known).count();
            Examination::Broken { problems, inherited }
        }
        (Err(_), Ok(head)) => Examination::Fixed { tree: head.tree_digest() },
        (Ok(base), Ok(head)) => compare(&base, &head),
    };
    Ok((found, edits))
}

fn compare(base: &Rendered, head: &Rendered) -> Examination {
    let changes = changes::between(base, head);
    let facts = Facts::between(&base.inventory, &head.inventory);
    let groups = Group::ALL
        .into_iter()
        .map(|group| (group, plan_of(group, base, head, (&changes, &facts))))
        .filter(|(_, plan)| !plan.is_empty())
        .collect();
    let plan = plan::plan(&changes, &changes::published(base), facts);
    Examination::Compared { plan, groups, tree: head.tree_digest() }
}

/// Plans what changes of one group, as the run after the merge will.
fn plan_of(
    group: Group,
    base: &Rendered,
    head: &Rendered,
    (changes, facts): (&[FileChange], &Facts),
) -> Plan {
    let is_in = |cluster: &ClusterName| {
        let described = head.clusters.get(cluster).or_else(|| base.clusters.get(cluster));
        described.is_some_and(|cluster| Group::from(cluster.role) == group)
    };
    let changes: Vec<FileChange> = changes.iter().filter(|change| is_in(&change.cluster)).cloned().collect();
    let clusters = base.clusters.values().filter(|cluster| is_in(&cluster.name));
    let files =
        clusters.flat_map(|cluster| cluster.iter_files().map(|file| (&cluster.name, file.addon.as_ref())));
    plan::plan(&changes, &files.collect::<Published>(), facts.clone())
}
