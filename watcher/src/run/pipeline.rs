//! The pipeline: what is on the base branch is rendered, compared with what is published, and proposed.
//!
//! A run reads everything from the base branch, so running twice is harmless. Each step may be the last one; the next
//! run starts from what it finds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use renderer::path::{ClusterName, RepoPath};
use renderer::plan::{self, Budget};
use renderer::render::Progress;
use renderer::snapshot::OUTPUT;
use tracing::{Span, field, info};

use super::changes::{self, GroupChanges};
use super::drift::{self, DriftMemory};
use super::files::{FleetFiles, file_count};
use super::gate::Control;
use super::group::{Group, Groups, LastRoles};
use super::heads::{GroupCommit, Heads};
use super::publish::{Ground, Wanted, head_of, heads, publish};
use super::report::{Published, RunReport};
use super::review::{self, Desk, MergeGroup, Read, Reviews, queue_of};
use super::worker::{Purpose, WorkerDeath, WorkerSettings, Workers};
use crate::error::CommandError;
use crate::forge::github::{Client, Obstacle, OpenPull};
use crate::forge::{Forge, ForgeError, Home, Outcome};
use crate::git::{
    FileDelta, FilesChanged, FolderMemo, OutputFolder, OutputRoot, RefUpdate, Revision, SourceMemory,
    Upstream,
};

const BRANCHES: &str = "refs/heads/";

type Refs = BTreeMap<String, Revision>;

/// What a run may do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The base branch.
    pub base: String,
    /// Whether nobody named the base branch, so that it is the one that HEAD is on, whatever becomes of that.
    pub follows_head: bool,
    /// How much a plan may delete without a word.
    pub budget: Budget,
    /// The plan that may delete more: its digest, or the beginning of it.
    pub allow_deletions: Option<String>,
    /// Whether a pull request of ours is merged whose change was read before, once nothing is in its way.
    pub merge_reviewed: bool,
    /// What renders, and within which limits.
    pub worker: WorkerSettings,
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
    /// What a person's pull request changes is known, and nothing is said yet.
    Examined(u64),
    /// The comment on a person's pull request is as it should be.
    Commented(u64),
    /// The verdict on a person's pull request is as it should be.
    Judged(u64),
    /// A head of a merge queue is examined or judged.
    Queue,
}

/// Tells a run at each step whether to go on.
pub trait Steps {
    /// Returns whether to go on after `step`.
    fn may_go_on(&self, step: Step) -> bool;

    /// Returns whether a stop was requested that does not wait for a step.
    fn is_stopped(&self) -> bool {
        false
    }
}

impl Steps for crate::events::Cancel {
    fn may_go_on(&self, _: Step) -> bool {
        !self.is_requested()
    }

    fn is_stopped(&self) -> bool {
        self.is_requested()
    }
}

/// Runs of one repository. It remembers what has not changed, never what must be done.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) upstream: Upstream,
    pub(super) home: Home,
    settings: Settings,
    pub(super) workers: Workers,
    base: Option<BaseRendering>,
    folders: FolderMemo,
    roles: LastRoles,
    source: SourceMemory,
    drift: DriftMemory,
    pub(super) heads: Heads,
    reviews: Reviews,
    /// The pull requests of ours that are to be merged as soon as nothing is in their way.
    waiting: Vec<u64>,
    /// Where all that a run depends on was when the last run was complete.
    settled: Option<Settled>,
}

/// What became of rendering the base branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseRendering {
    /// The tip of the branch.
    pub revision: Revision,
    /// How many problems kept it from being rendered.
    pub problems: usize,
}

/// What a complete run left: where refs were, and which pull requests were open on a forge that has them elsewhere.
#[derive(Debug, PartialEq, Eq)]
struct Settled {
    refs: Refs,
    pulls: Vec<OpenPull>,
}

impl Pipeline {
    /// Creates the pipeline of the repository whose refs live in `upstream`.
    #[must_use]
    pub fn new(upstream: Upstream, settings: Settings) -> Self {
        upstream.read_branches(branches_of(&settings.base));
        Self {
            upstream,
            home: Home::Local,
            workers: Workers::new(settings.worker.clone()),
            settings,
            base: None,
            folders: FolderMemo::default(),
            roles: LastRoles::default(),
            source: SourceMemory::default(),
            drift: DriftMemory::default(),
            heads: Heads::default(),
            reviews: Reviews::default(),
            waiting: Vec::new(),
            settled: None,
        }
    }

    /// Lets the pull requests live on GitHub.
    #[must_use]
    pub fn on_github(self, client: impl Into<Arc<Client>>) -> Self {
        Self { home: Home::GitHub(client.into()), ..self }
    }

    /// Returns the client of GitHub, if the pull requests live there.
    #[must_use]
    pub const fn github(&self) -> Option<&Arc<Client>> {
        match &self.home {
            Home::Local => None,
            Home::GitHub(client) => Some(client),
        }
    }

    /// Returns what runs may do.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns where refs live, for looking whether anything moved.
    #[must_use]
    pub const fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Clones the mirror again if `error` says that it is damaged, and returns whether it did.
    pub fn recover(&mut self, error: &CommandError) -> Result<bool, CommandError> {
        let recovered = error.as_git().map(|error| self.upstream.recovered(error)).transpose()?.flatten();
        Ok(recovered.map(|upstream| self.upstream = upstream).is_some())
    }

    /// Repacks the mirror if it has become slow; between runs, since nothing may be read from it meanwhile.
    pub fn tidy(&mut self) -> Result<(), CommandError> {
        if let Some(upstream) = self.upstream.tidied()? {
            self.upstream = upstream;
        }
        Ok(())
    }

    /// Returns whether anything that a run depends on is elsewhere than the last complete run left it.
    ///
    /// What the run itself moved is no news; what others moved meanwhile is, even if it was moved during the run.
    pub fn has_news(&self) -> Result<bool, CommandError> {
        let Some(settled) = &self.settled else { return Ok(true) };
        let refs = self.upstream.refs()?;
        if self.moved_head(&refs)?.is_some() {
            return Ok(true);
        }
        let now = Settled { refs, pulls: self.open_pulls()? };
        Ok(*settled != now || self.may_merge(&self.waiting)?)
    }

    /// Returns which workers ended before they had answered since the last call, and why.
    pub fn take_worker_deaths(&mut self) -> Vec<(Purpose, WorkerDeath)> {
        self.workers.take_deaths()
    }

    /// Returns what became of rendering the base branch last; nothing before that is known.
    #[must_use]
    pub const fn base_rendering(&self) -> Option<BaseRendering> {
        self.base
    }

    /// Lets the next run review every pull request of people once more, for instance since a person asked for it.
    pub fn review_again(&mut self) {
        self.reviews.forget();
        self.settled = None;
    }

    /// Makes one run: from the base branch to one pull request a group, and to a review of each pull request of people.
    ///
    /// Returns nothing if a step said to stop. A group whose plan is refused does not keep the others from being
    /// published, and what is wrong on the base branch keeps nobody from seeing whether a pull request mends it.
    pub fn run(
        &mut self,
        steps: &dyn Steps,
        progress: &dyn Progress,
    ) -> Result<Option<RunReport>, CommandError> {
        self.settled = None;
        self.upstream.take_moves();
        if !steps.may_go_on(Step::Start) {
            return Ok(None);
        }
        let seen = self.follow_head()?;
        let published = match self.publish(&seen, steps, progress) {
            Ok(None) => return Ok(None),
            Err(error) if error.is_transient() => return Err(error),
            published => published,
        };
        let control = published.as_ref().ok().and_then(Option::as_ref).map(|(_, control)| control);
        let seen = after(seen, self.upstream.take_moves());
        let judged = self.judge(&seen, control.unwrap_or(&Control::Unknown), steps);
        // What is wrong with the base branch is worth more than what follows from it.
        let report = match published {
            Err(error) if !judged.as_ref().is_err_and(CommandError::is_transient) => return Err(error),
            published => published?.map(|(report, _)| report),
        };
        let Some(pulls) = judged? else { return Ok(None) };
        self.waiting =
            report.as_ref().map_or_else(|| Ok(Vec::new()), |report| self.merge_reviewed(report))?;
        let refs = after(seen, self.upstream.take_moves());
        self.settled = Some(Settled { refs, pulls });
        Ok(report)
    }

    /// Returns the branch that HEAD is on, if that is another one than the base branch, which nobody named.
    fn moved_head(&self, refs: &Refs) -> Result<Option<String>, CommandError> {
        let Settings { base, follows_head, .. } = &self.settings;
        let is_there = refs.contains_key(&format!("{BRANCHES}{base}"));
        if !follows_head || (is_there && !self.upstream.has_default_branch()) {
            return Ok(None);
        }
        Ok(Some(self.upstream.default_branch()?).filter(|head| head != base))
    }

    /// Brings in what is upstream, from the branch that HEAD is on now if nobody named another one.
    fn follow_head(&mut self) -> Result<Refs, CommandError> {
        let seen = self.upstream.fetch()?;
        let Some(head) = self.moved_head(&seen)? else { return Ok(seen) };
        info!("the base branch is `{head}` from now on, as HEAD is; it was `{}`", self.settings.base);
        self.upstream.read_branches(branches_of(&head));
        self.settings.base = head;
        self.waiting.clear();
        Ok(self.upstream.fetch()?)
    }

    /// Publishes what is on the base branch; returns nothing if a step said to stop.
    fn publish(
        &mut self,
        seen: &Refs,
        steps: &dyn Steps,
        progress: &dyn Progress,
    ) -> Result<Option<(RunReport, Control)>, CommandError> {
        let base = match seen.get(&format!("{BRANCHES}{}", self.settings.base)) {
            Some(base) => *base,
            None => self.upstream.existing_branch(&self.settings.base)?,
        };
        Span::current().record("revision", field::display(base));
        for number in self.settle()? {
            info!(pull_request.number = number, "put pull request #{number} right after an interrupted step");
        }
        let git_dir = self.upstream.repository().git_dir();
        let rendered = self.workers.render(git_dir, base, steps, progress);
        self.note_rendering(base, &rendered);
        let Some(fleet) = rendered? else { return Ok(None) };
        if !steps.may_go_on(Step::Rendered) {
            return Ok(None);
        }
        let Some(changes) = self.compare(base, &fleet, steps)? else { return Ok(None) };
        let source = self.upstream.repository().source_of_inputs(base, &mut self.source)?;
        let drift = self.drift((base, source), &changes, steps)?;
        let has_changes = changes.values().any(|changes| !changes.files.is_empty());
        let read = if has_changes { self.read_before(source)? } else { None };
        let refs = after(seen.clone(), self.upstream.moves());
        let wanted = self.wanted(&changes, &refs, (base, source), steps)?;
        let (upstream, settings, forge) = (&self.upstream, &self.settings, self.forge());
        let behind = self.behind()?;
        let ground = Ground { upstream, forge, settings, steps, base, source, read, drift, behind };
        let (mut groups, mut control) = (Vec::new(), Control::Unknown);
        for wanted in wanted {
            let group = wanted.group;
            let Some(report) = publish(&ground, wanted)? else { return Ok(None) };
            if group == Group::Control
                && let Some(changes) = changes.get(&group)
            {
                control = Control::of(changes, &report, of_control(&fleet, changes));
            }
            groups.push(report);
        }
        self.heads.remember(&groups);
        self.report_heads(&groups)?;
        info!(clusters = fleet.len(), files = file_count(&fleet), "run is complete");
        Ok(Some((RunReport { base, source, groups }, control)))
    }

    /// Notes whether a revision of the base branch renders; a failure that says nothing of it changes nothing.
    fn note_rendering<T>(&mut self, revision: Revision, rendered: &Result<Option<T>, CommandError>) {
        let problems = match rendered {
            Ok(Some(_)) => 0,
            Err(CommandError::Problems { problems }) => problems.len(),
            Err(CommandError::Worker { death, .. }) if !death.is_transient() => 1,
            Ok(None) | Err(_) => return,
        };
        self.base = Some(BaseRendering { revision, problems });
    }

    /// Returns what is to be published of each group, and whose its head branch is where `refs` are.
    fn wanted<'c>(
        &mut self,
        changes: &'c BTreeMap<Group, GroupChanges>,
        refs: &Refs,
        range: (Revision, Revision),
        steps: &dyn Steps,
    ) -> Result<Vec<Wanted<'c>>, CommandError> {
        let mut all = Vec::new();
        for (group, changes) in changes {
            let plan = plan::plan(&changes.files, &changes.published, changes.facts.clone());
            let commit = GroupCommit::new(*group, &plan, &changes.files);
            let tip = refs.get(&format!("{BRANCHES}{}", head_of(*group))).copied();
            let head = self.find_head(*group, &commit, tip, range, steps)?;
            all.push(Wanted { group: *group, changes: &changes.files, plan, head });
        }
        Ok(all)
    }

    /// Judges everything that is proposed to the base branch, and returns the open pull requests; nothing if a step said to
    /// stop.
    fn judge(
        &mut self,
        seen: &Refs,
        control: &Control,
        steps: &dyn Steps,
    ) -> Result<Option<Vec<OpenPull>>, CommandError> {
        let pulls = self.open_pulls()?;
        let Some(forge) = self.home.github(&self.upstream) else { return Ok(Some(pulls)) };
        let queue = MergeGroup::of(seen, &self.settings.base);
        let mut desk = Desk {
            upstream: &self.upstream,
            forge,
            settings: &self.settings,
            steps,
            workers: &mut self.workers,
            control,
            heads: &self.heads,
        };
        Ok(self.reviews.run(&mut desk, &pulls, &queue)?.then_some(pulls))
    }

    /// Returns what was read of the change that `source` made, before it was merged.
    fn read_before(&self, source: Revision) -> Result<Option<Read>, ForgeError> {
        match self.home.github(&self.upstream) {
            Some(forge) => review::read_before(&forge, source, &self.settings.base),
            None => Ok(None),
        }
    }

    /// Merges what was read before and has nothing in its way, and returns what still waits for that.
    fn merge_reviewed(&self, report: &RunReport) -> Result<Vec<u64>, ForgeError> {
        let Some(forge) = self.home.github(&self.upstream).filter(|_| self.settings.merge_reviewed) else {
            return Ok(Vec::new());
        };
        let mut waiting = Vec::new();
        for group in report.groups.iter().filter(|group| group.reviewed.is_some()) {
            match (&group.done, group.ready) {
                (Published::Proposed(Outcome::Unchanged(number)), Some(head)) => {
                    if forge.obstacle(*number)? == Obstacle::Nothing {
                        forge.merge_if_allowed(*number, head)?;
                    }
                    waiting.push(*number);
                }
                (Published::Proposed(Outcome::Opened(number) | Outcome::Updated(number)), _) => {
                    waiting.push(*number);
                }
                _ => {}
            }
        }
        Ok(waiting)
    }

    /// Returns whether something that waits to be merged has nothing in its way any more but what a run can change.
    fn may_merge(&self, waiting: &[u64]) -> Result<bool, ForgeError> {
        let Some(forge) = self.home.github(&self.upstream) else { return Ok(false) };
        for number in waiting {
            if forge.obstacle(*number)? != Obstacle::Other {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns what waits to be merged and has to stand on the newest base for that, by a rule of the base branch.
    fn behind(&self) -> Result<Vec<u64>, ForgeError> {
        let Some(forge) = self.home.github(&self.upstream) else { return Ok(Vec::new()) };
        let mut behind = Vec::new();
        for number in &self.waiting {
            if forge.obstacle(*number)? == Obstacle::Behind {
                behind.push(*number);
            }
        }
        Ok(behind)
    }

    /// Returns the open pull requests of a forge that has them elsewhere than in the repository's refs.
    fn open_pulls(&self) -> Result<Vec<OpenPull>, ForgeError> {
        match self.home.github(&self.upstream) {
            Some(forge) => review::open_pulls(&forge, &self.settings.base),
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn forge(&self) -> Forge<'_> {
        self.home.forge(&self.upstream)
    }

    /// Finds what differs from the base branch, by group in the order of publishing; nothing if a stop was requested
    /// meanwhile.
    pub(super) fn compare(
        &mut self,
        base: Revision,
        fleet: &FleetFiles,
        steps: &dyn Steps,
    ) -> Result<Option<BTreeMap<Group, GroupChanges>>, CommandError> {
        let deltas = self.deltas(base, fleet)?;
        let repository = self.upstream.repository();
        let owners = deltas.iter().filter_map(|delta| changes::owner(&delta.path));
        let mut gone: Vec<_> = owners.map(|(cluster, _)| cluster).collect();
        gone.dedup();
        gone.retain(|cluster| !fleet.contains_key(cluster));
        let gone = self.roles.groups((repository, base), gone, &mut self.workers, steps)?;
        let Some(gone) = gone else { return Ok(None) };
        Ok(Some(changes::by_group(repository, fleet, &Groups::new(fleet, gone), &deltas)?))
    }

    /// Finds the rendered files that people changed by hand.
    fn drift(
        &mut self,
        range: (Revision, Revision),
        changes: &BTreeMap<Group, GroupChanges>,
        steps: &dyn Steps,
    ) -> Result<Vec<FilesChanged>, CommandError> {
        let Self { upstream, workers, drift, .. } = self;
        let files: Vec<_> = changes.values().flat_map(|changes| &changes.files).collect();
        let mut render =
            |revision| match workers.render(upstream.repository().git_dir(), revision, steps, &()) {
                // What does not render was published from nothing.
                Err(CommandError::Problems { .. } | CommandError::Worker { .. }) => Ok(None),
                rendered => rendered,
            };
        drift::find(upstream.repository(), range, &files, drift, &mut render)
    }

    fn deltas(&mut self, base: Revision, fleet: &FleetFiles) -> Result<Vec<FileDelta>, CommandError> {
        let repository = self.upstream.repository();
        let root = RepoPath::parse(OUTPUT).expect("a constant path");
        let digests = fleet.values().map(|cluster| (&cluster.folder, cluster.digest));
        let unknown = repository.unknown_folders(base, &root, digests, &self.folders)?;
        let changed: Vec<_> = fleet.values().filter(|cluster| unknown.contains(&cluster.folder)).collect();
        let files: Vec<Vec<_>> = changed.iter().map(|cluster| cluster.sorted()).collect();
        let folders: Vec<_> = changed
            .iter()
            .zip(&files)
            .map(|(cluster, files)| OutputFolder {
                path: cluster.folder.clone(),
                digest: cluster.digest,
                files,
            })
            .collect();
        let owned: BTreeSet<String> = fleet.keys().map(ToString::to_string).collect();
        let root = OutputRoot { path: root, owned };
        Ok(repository.compare(base, &root, &folders, &mut self.folders)?)
    }
}

/// Returns the branches that a run reads or writes.
fn branches_of(base: &str) -> impl Iterator<Item = String> {
    heads().into_iter().chain([base.to_owned(), queue_of(base)])
}

/// Returns the clusters whose rendered files are control's: the hubs, and those that were hubs and are gone.
fn of_control(fleet: &FleetFiles, changes: &GroupChanges) -> BTreeSet<ClusterName> {
    let hubs = fleet.values().filter(|cluster| Group::from(cluster.role) == Group::Control);
    let hubs = hubs.map(|cluster| cluster.name.clone());
    hubs.chain(changes.files.iter().map(|file| file.cluster.clone())).collect()
}

/// Returns where refs are after they were moved.
fn after(mut refs: Refs, moves: Vec<RefUpdate>) -> Refs {
    for RefUpdate { name, new, .. } in moves {
        match new {
            Some(new) => drop(refs.insert(name, new)),
            None => drop(refs.remove(&name)),
        }
    }
    refs
}
