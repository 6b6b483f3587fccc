//! Examining: both ends of a pull request are rendered and compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use renderer::path::ClusterName;
use renderer::plan::{self, FileChange, Plan, Published};
use renderer::problem::Problem;
use renderer::render::{Progress, Rendered};

use super::{Desk, Subject};
use crate::error::CommandError;
use crate::git::Revision;
use crate::run::changes;
use crate::run::group::Group;

/// How long one side of a pull request may be rendered: a fleet of 1,000 clusters takes a second.
const MAX_RENDERING: Duration = Duration::from_mins(1);
/// How large what is rendered of one side may grow: ten times a fleet of 1,000 clusters.
const MAX_RENDERED_BYTES: usize = 512 << 20;

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
    Mended {
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

type Side = Result<Rendered, Vec<Problem>>;

impl Desk<'_> {
    /// Renders a head and what it started from, and compares them.
    pub(super) fn examine(&mut self, subject: Subject) -> Result<Examination, CommandError> {
        if self.upstream.repository().has_same_inputs(subject.base, subject.head)? {
            return Ok(Examination::Untouched);
        }
        let (base, head) = (self.render(subject.base)?, self.render(subject.head)?);
        Ok(match (base, head) {
            (base, Err(problems)) => {
                let known = base.err().unwrap_or_default();
                let inherited = problems.iter().filter(|problem| known.contains(problem)).count();
                Examination::Broken { problems, inherited }
            }
            (Err(_), Ok(head)) => Examination::Mended { tree: head.tree_digest() },
            (Ok(base), Ok(head)) => compare(&base, &head),
        })
    }

    fn render(&mut self, revision: Revision) -> Result<Side, CommandError> {
        let (snapshot, mut problems) = self.upstream.repository().snapshot(revision, self.blobs)?;
        Ok(match self.renderer.render(&snapshot, &Bounds::new()) {
            Ok(rendered) if problems.is_empty() => Ok(rendered),
            Ok(_) => Err(problems),
            Err(found) => {
                problems.extend(found);
                problems.sort();
                problems.dedup();
                Err(problems)
            }
        })
    }
}

fn compare(base: &Rendered, head: &Rendered) -> Examination {
    let changes = changes::between(base, head);
    let groups = Group::ALL
        .into_iter()
        .map(|group| (group, plan_of(group, base, head, &changes)))
        .filter(|(_, plan)| !plan.is_empty())
        .collect();
    let plan = plan::plan(&changes, &changes::published(base));
    Examination::Compared { plan, groups, tree: head.tree_digest() }
}

/// Plans what changes of one group, as the run after the merge will.
fn plan_of(group: Group, base: &Rendered, head: &Rendered, changes: &[FileChange]) -> Plan {
    let is_in = |cluster: &ClusterName| {
        let described = head.clusters.get(cluster).or_else(|| base.clusters.get(cluster));
        described.is_some_and(|cluster| Group::from(cluster.role) == group)
    };
    let changes: Vec<FileChange> = changes.iter().filter(|change| is_in(&change.cluster)).cloned().collect();
    let clusters = base.clusters.values().filter(|cluster| is_in(&cluster.name));
    let files =
        clusters.flat_map(|cluster| cluster.iter_files().map(|file| (&cluster.name, file.addon.as_ref())));
    plan::plan(&changes, &files.collect::<Published>())
}

/// Ends a rendering that takes too long or grows too large: what is rendered here is not on the base branch yet.
#[derive(Debug)]
struct Bounds {
    deadline: Instant,
}

impl Bounds {
    fn new() -> Self {
        Self { deadline: Instant::now() + MAX_RENDERING }
    }
}

impl Progress for Bounds {
    fn advance(&self, _: usize) {}

    fn may_go_on(&self, rendered_bytes: usize) -> bool {
        rendered_bytes <= MAX_RENDERED_BYTES && Instant::now() <= self.deadline
    }
}
