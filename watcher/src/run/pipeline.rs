//! The pipeline: what is on the base branch is rendered, compared with what is published, and proposed.
//!
//! A run reads everything from the base branch, so running twice is harmless. It writes in an order that a kill cannot
//! break: objects nobody refers to, then the head branch, then the pull request. Each step may be the last one; the next
//! run starts from what it finds.

use std::collections::{BTreeMap, BTreeSet};

use renderer::inventory::Role;
use renderer::path::{AddonName, ClusterName, RepoPath};
use renderer::plan::{self, Budget, FileChange, Plan, Published, markdown};
use renderer::render::{Progress, Rendered, Renderer};
use renderer::snapshot::OUTPUT;
use tracing::{Span, info, warn};

use super::report::{Group, GroupReport, Published as Done, RunReport};
use crate::error::CommandError;
use crate::forge::{LocalForge, Outcome, Ownership, Proposal, PullRequest, PullState};
use crate::git::{
    BlobCache, CommitRequest, CommitText, FileDelta, FolderMemo, OutputFolder, OutputRoot, RefUpdate,
    Revision, TreeChange, Upstream,
};

/// The prefix of every branch that is pushed; no other branch is ever written.
pub const BRANCH_PREFIX: &str = "fleetwright/";
/// Why a pull request was closed whose change is on the base branch by other means, or is no longer wanted.
const NOTHING_LEFT: &str = "nothing is left to change";

/// What a run may do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The base branch.
    pub base: String,
    /// How much a plan may delete without a word.
    pub budget: Budget,
    /// The plan that may delete more: its digest, or the beginning of it.
    pub allow_deletions: Option<String>,
}

/// A point between two steps of a run, at which it can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Before anything is read.
    Start,
    /// The base branch is rendered.
    Rendered,
    /// A group's plan is made.
    Planned(Group),
    /// The commit of a group is made, but no ref names it.
    Committed(Group),
    /// The head branch of a group is pushed.
    Pushed(Group),
    /// The pull request of a group is as it should be.
    Proposed(Group),
}

/// Tells a run at each step whether to go on.
pub trait Steps {
    /// Returns whether to go on after `step`.
    fn may_go_on(&self, step: Step) -> bool;
}

impl Steps for crate::events::Cancel {
    fn may_go_on(&self, _: Step) -> bool {
        !self.is_requested()
    }
}

/// Runs of one repository. It remembers what has not changed, never what must be done.
#[derive(Debug)]
pub struct Pipeline {
    upstream: Upstream,
    settings: Settings,
    renderer: Renderer,
    blobs: BlobCache,
    folders: FolderMemo,
}

/// A rendering beside what is published.
struct Compared<'a> {
    base: Revision,
    source: Revision,
    rendered: &'a Rendered,
    deltas: Vec<FileDelta>,
}

impl Pipeline {
    /// Creates the pipeline of the repository whose refs live in `upstream`.
    #[must_use]
    pub fn new(upstream: Upstream, settings: Settings) -> Self {
        let (renderer, blobs, folders) = (Renderer::new(), BlobCache::default(), FolderMemo::default());
        Self { upstream, settings, renderer, blobs, folders }
    }

    /// Returns where refs live, for looking whether anything moved.
    #[must_use]
    pub const fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Makes one run: from the base branch to one pull request a group.
    ///
    /// Returns nothing if a step said to stop. A group whose plan is refused does not keep the others from being
    /// published.
    pub fn run(
        &mut self,
        steps: &dyn Steps,
        progress: &dyn Progress,
    ) -> Result<Option<RunReport>, CommandError> {
        if !steps.may_go_on(Step::Start) {
            return Ok(None);
        }
        let base = self.base()?;
        Span::current().record("revision", base.short());
        for number in LocalForge::new(&self.upstream).settle()? {
            info!(pull_request.number = number, "put pull request #{number} right after an interrupted step");
        }
        let (snapshot, mut problems) = self.upstream.repository().snapshot(base, &mut self.blobs)?;
        let rendered = match self.renderer.render(&snapshot, progress) {
            Ok(rendered) if problems.is_empty() => rendered,
            Ok(_) => return Err(CommandError::Problems { problems }),
            Err(found) => {
                problems.extend(found);
                problems.sort();
                return Err(CommandError::Problems { problems });
            }
        };
        if !steps.may_go_on(Step::Rendered) {
            return Ok(None);
        }
        let compared = self.compare(base, &rendered)?;
        let mut reports = Vec::new();
        for group in Group::ALL {
            match self.publish(&compared, group, steps)? {
                Some(report) => reports.push(report),
                None => return Ok(None),
            }
        }
        info!(clusters = rendered.clusters.len(), files = rendered.file_count(), "run is complete");
        Ok(Some(RunReport { base, source: compared.source, groups: reports }))
    }

    fn base(&self) -> Result<Revision, CommandError> {
        self.upstream.fetch()?;
        match self.upstream.branch(&self.settings.base)? {
            Some(base) => Ok(base),
            // The repository's own error knows which branches there are.
            None => Ok(self.upstream.repository().branch(&self.settings.base)?),
        }
    }

    fn compare<'a>(&mut self, base: Revision, rendered: &'a Rendered) -> Result<Compared<'a>, CommandError> {
        let repository = self.upstream.repository();
        let files: Vec<Vec<_>> = rendered
            .clusters
            .values()
            .map(|cluster| {
                cluster.files().into_iter().map(|file| (file.path.clone(), file.bytes.clone())).collect()
            })
            .collect();
        let folders: Vec<_> = rendered
            .clusters
            .values()
            .zip(&files)
            .map(|(cluster, files)| OutputFolder {
                path: cluster.folder.clone(),
                digest: cluster.digest,
                files,
            })
            .collect();
        let owned: BTreeSet<String> = rendered.clusters.keys().map(ToString::to_string).collect();
        let root = OutputRoot { path: RepoPath::parse(OUTPUT).expect("a constant path"), owned };
        let deltas = repository.compare(base, &root, &folders, &mut self.folders)?;
        let source = repository.source_of_inputs(base)?;
        Ok(Compared { base, source, rendered, deltas })
    }

    fn publish(
        &self,
        compared: &Compared<'_>,
        group: Group,
        steps: &dyn Steps,
    ) -> Result<Option<GroupReport>, CommandError> {
        let changes = self.changes(compared, group)?;
        let plan = plan::plan(&changes, &published(compared, group));
        if !steps.may_go_on(Step::Planned(group)) {
            return Ok(None);
        }
        let head = format!("{BRANCH_PREFIX}{group}");
        let done = if plan.is_empty() {
            self.close(&head)?
        } else if let Err(refusal) =
            plan.refuse(&self.settings.budget, self.settings.allow_deletions.as_deref())
        {
            warn!(group = %group, "{refusal}");
            Done::Refused(refusal)
        } else if let Some(number) = self.declined(&head, &plan)? {
            Done::Declined(number)
        } else {
            match self.propose(compared, group, &head, &plan, &changes, steps)? {
                Some(done) => done,
                None => return Ok(None),
            }
        };
        Ok(steps.may_go_on(Step::Proposed(group)).then_some(GroupReport { group, plan, done }))
    }

    fn changes(&self, compared: &Compared<'_>, group: Group) -> Result<Vec<FileChange>, CommandError> {
        let mut changes = Vec::new();
        for delta in &compared.deltas {
            let Some((cluster, addon)) = owner(&delta.path) else { continue };
            if group_of(compared.rendered, &cluster) != group {
                continue;
            }
            let old = delta.old.map(|id| self.upstream.repository().read_blob(id)).transpose()?;
            changes.push(FileChange {
                path: delta.path.clone(),
                cluster,
                addon,
                old,
                new: delta.new.clone(),
            });
        }
        Ok(changes)
    }

    /// Commits, pushes and proposes a group's changes.
    fn propose(
        &self,
        compared: &Compared<'_>,
        group: Group,
        head: &str,
        plan: &Plan,
        changes: &[FileChange],
        steps: &dyn Steps,
    ) -> Result<Option<Done>, CommandError> {
        let forge = LocalForge::new(&self.upstream);
        let tip = match forge.ownership(head)? {
            Ownership::Persons(commit) => {
                warn!(group = %group, branch = head, "`{}` by {} is on `{head}`: left alone", commit.title, commit.author.name);
                return Ok(Some(Done::LeftAlone { branch: head.to_owned(), commit }));
            }
            Ownership::Ours(tip) => Some(tip),
            Ownership::Absent => None,
        };
        let title = markdown::title(plan, group.as_str());
        let revision = self.commit(compared, changes, &title)?;
        if !steps.may_go_on(Step::Committed(group)) {
            return Ok(None);
        }
        if tip != Some(revision) {
            self.upstream.update(&[RefUpdate::branch(head, tip, Some(revision))])?;
        }
        if !steps.may_go_on(Step::Pushed(group)) {
            return Ok(None);
        }
        let outcome = forge.open_or_update(&Proposal {
            title,
            group: group.to_string(),
            plan: plan.digest().short(),
            base: self.settings.base.clone(),
            base_revision: compared.base,
            head: head.to_owned(),
            head_revision: revision,
            labels: BTreeSet::from([group.to_string()]),
            body: markdown::body(plan),
        })?;
        let (verb, number) = match outcome {
            Outcome::Opened(number) => ("opened", number),
            Outcome::Updated(number) => ("updated", number),
            Outcome::Unchanged(number) => ("kept", number),
        };
        info!(group = %group, pull_request.number = number, "{verb} pull request #{number} for `{group}`");
        Ok(Some(Done::Proposed(outcome)))
    }

    fn commit(
        &self,
        compared: &Compared<'_>,
        changes: &[FileChange],
        title: &str,
    ) -> Result<Revision, CommandError> {
        let changes: Vec<_> = changes
            .iter()
            .map(|change| TreeChange { path: change.path.clone(), content: change.new.clone() })
            .collect();
        Ok(self.upstream.repository().commit(&CommitRequest {
            base: compared.base,
            changes: &changes,
            roots: &[OUTPUT],
            text: &CommitText::rendered(title, compared.source),
            source: compared.source,
        })?)
    }

    /// Closes the pull request of a head branch whose plan has become empty.
    fn close(&self, head: &str) -> Result<Done, CommandError> {
        let forge = LocalForge::new(&self.upstream);
        let open = forge
            .list()?
            .into_iter()
            .find(|pull| pull.state == PullState::Open && pull.proposal.head == head);
        match open {
            Some(PullRequest { number, .. }) => {
                forge.close(number, NOTHING_LEFT)?;
                info!(pull_request.number = number, "closed pull request #{number}: {NOTHING_LEFT}");
                Ok(Done::Closed(number))
            }
            None => Ok(Done::Nothing),
        }
    }

    /// Returns the pull request by which a person has turned down this very plan, if one has.
    fn declined(&self, head: &str, plan: &Plan) -> Result<Option<u64>, CommandError> {
        let pulls = LocalForge::new(&self.upstream).list()?;
        let last = pulls.into_iter().rfind(|pull| pull.proposal.head == head);
        Ok(last.filter(|pull| is_declined(pull, plan)).map(|pull| pull.number))
    }
}

fn is_declined(pull: &PullRequest, plan: &Plan) -> bool {
    let by_a_person = matches!(&pull.state, PullState::Closed { reason } if reason != NOTHING_LEFT);
    by_a_person && pull.proposal.plan == plan.digest().short()
}

/// Returns the group that a cluster's files are published with.
///
/// A cluster that is no longer described has no role; it goes with the apps, as all but a few clusters do.
fn group_of(rendered: &Rendered, cluster: &ClusterName) -> Group {
    match rendered.clusters.get(cluster).map(|cluster| cluster.role) {
        Some(Role::Control) => Group::Control,
        Some(Role::App) | None => Group::App,
    }
}

/// Returns the cluster and the add-on that a rendered file belongs to.
fn owner(path: &RepoPath) -> Option<(ClusterName, Option<AddonName>)> {
    let parts: Vec<&str> = path.components().skip(1).collect();
    let cluster = ClusterName::parse(parts.first()?).ok()?;
    let addon = if parts.len() > 2 { AddonName::parse(parts[1]).ok() } else { None };
    Some((cluster, addon))
}

/// Returns what is published of a group: what is rendered, less what is new, and what is to be deleted.
fn published(compared: &Compared<'_>, group: Group) -> Published {
    let deltas: BTreeMap<&RepoPath, &FileDelta> =
        compared.deltas.iter().map(|delta| (&delta.path, delta)).collect();
    let rendered = compared.rendered.clusters.values().flat_map(|cluster| {
        cluster.files().into_iter().map(|file| (&file.path, cluster.name.clone(), file.addon.clone()))
    });
    let kept = rendered.filter(|(path, ..)| deltas.get(path).is_none_or(|delta| delta.old.is_some()));
    let deleted = compared.deltas.iter().filter(|delta| delta.new.is_none());
    let deleted = deleted.filter_map(|delta| owner(&delta.path)).map(|(cluster, addon)| (cluster, addon));
    let all: Vec<_> = kept.map(|(_, cluster, addon)| (cluster, addon)).chain(deleted).collect();
    let of_group = all.iter().filter(|(cluster, _)| group_of(compared.rendered, cluster) == group);
    of_group.map(|(cluster, addon)| (cluster, addon.as_ref())).collect()
}
