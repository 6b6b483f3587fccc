//! The pipeline of one repository: it makes runs, and remembers between them what has not changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use renderer::inventory::Groups;
use renderer::page::Shape;
use renderer::path::{ClusterName, GroupName};
use renderer::plan::{Facts, Published as Files, plan};
use renderer::plural::counted;
use renderer::render::Progress;
use tracing::{Span, debug_span, field, info, warn};

use super::changes::GroupPlan;
use super::context::{
    BRANCH_PREFIX, Base, Context, ROLLBACK_PREFIX, Settings, UNKNOWN_BASE, head_of, unless_lasting,
};
use super::drift::{self, DriftMemory};
use super::former;
use super::gate::{self, Gate, Health, PAUSE_LABEL, Stage};
use super::head::Head;
use super::heads::Heads;
use super::looks::Looks;
use super::planner::Planner;
use super::publish::{Known, Unfinished, publish};
use super::report::{GroupReport, Published, RunReport, Why};
use super::review::{ACCEPT_LABEL, ProposedPage, RENDER_LABEL, Reviewer, Reviews};
use super::reviewed;
use super::waves::{self, Seen, Waves};
use super::worker::{Purpose, WorkerDeath};
use crate::error::CommandError;
use crate::events::Cancel;
use crate::forge::{Home, Proposed, ProposedHead};
use crate::git::{GitError, Revision, SourceMemory, Upstream};
use crate::live::FollowedHubs;

const BRANCHES: &str = "refs/heads/";
/// The labels that verdicts depend on.
const LABELS: [&str; 3] = [RENDER_LABEL, ACCEPT_LABEL, PAUSE_LABEL];

/// How many problems of the base branch browsers are shown.
const MAX_PROBLEMS: usize = 200;

type Refs = BTreeMap<String, Revision>;

/// Runs of one repository. It remembers what has not changed, never what must be done.
#[derive(Debug)]
pub struct Pipeline {
    upstream: Upstream,
    home: Home,
    settings: Settings,
    /// The Argo CD that is asked what became of groups, if one is.
    hubs: Option<FollowedHubs>,
    memory: Memory,
    /// The pull requests of ours that are to be merged as soon as nothing is in their way.
    waiting: Vec<u64>,
    /// Where all that a run depends on was when the last run was complete.
    settled: Option<Settled>,
}

/// What the stages of a run remember.
#[derive(Debug)]
struct Memory {
    planner: Planner,
    source: SourceMemory,
    drift: DriftMemory,
    heads: Heads,
    reviews: Reviews,
    waves: Waves,
    looks: Looks,
    base: Option<BaseRendering>,
    /// What keeps the base branch from being rendered, for browsers.
    problems: Vec<String>,
    /// What runs where, and the revision that says so, for browsers.
    shapes: Option<(Revision, Arc<[Shape]>)>,
}

/// What became of rendering the base branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseRendering {
    /// The tip of the branch.
    pub revision: Revision,
    /// How many problems kept it from being rendered.
    pub problems: usize,
}

/// What a complete run left: where refs were, and which heads were proposed.
#[derive(Debug, PartialEq, Eq)]
struct Settled {
    refs: Refs,
    proposed: Vec<ProposedHead>,
}

/// What is published of the base branch, and where refs were when that began.
struct PublishedBase {
    report: RunReport,
    gate: Gate,
    /// What became of what was merged before.
    seen: Option<Seen>,
    refs: Refs,
    /// The pull requests that may show more of what their change does.
    unfinished: Vec<Unfinished>,
}

impl Pipeline {
    /// Creates the pipeline of the repository whose refs live in `upstream`, and whose pull requests live at `home`.
    #[must_use]
    pub fn new(upstream: Upstream, home: Home, settings: Settings) -> Self {
        upstream.read_branches(branches_of(&home, &settings.base));
        let memory = Memory {
            planner: Planner::new(settings.worker.clone()),
            source: SourceMemory::default(),
            drift: DriftMemory::default(),
            heads: Heads::default(),
            reviews: Reviews::default(),
            waves: Waves::default(),
            looks: Looks::default(),
            base: None,
            problems: Vec::new(),
            shapes: None,
        };
        Self { upstream, home, settings, hubs: None, memory, waiting: Vec::new(), settled: None }
    }

    /// Lets groups wait until those before them are synced and healthy, as this Argo CD reports it.
    pub fn ask(&mut self, hubs: FollowedHubs) {
        self.hubs = Some(hubs);
    }

    /// Returns what runs may do.
    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns where pull requests live.
    #[must_use]
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// Returns where refs live, for looking whether anything moved.
    pub(crate) const fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Clones the mirror again if `error` shows that it is damaged, and returns whether it did.
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
        let forge = self.home.forge(&self.upstream);
        let proposed = forge.proposed_heads(&self.settings.base, &refs, &LABELS)?;
        Ok(*settled != Settled { refs, proposed } || reviewed::may_merge(&*forge, &self.waiting)?)
    }

    /// Returns which workers ended before they had answered since the last call, and why.
    pub fn take_worker_deaths(&mut self) -> Vec<(Purpose, WorkerDeath)> {
        self.memory.planner.workers.take_deaths()
    }

    /// Returns what became of rendering the base branch last; nothing before that is known.
    pub(crate) const fn base_rendering(&self) -> Option<BaseRendering> {
        self.memory.base
    }

    /// Returns what browsers are shown of open pull requests.
    pub(crate) fn proposed_pages(&self) -> impl Iterator<Item = ProposedPage> {
        self.memory.reviews.pages()
    }

    /// Returns what keeps the base branch from being rendered, a line for each problem, up to a bound.
    pub(crate) fn base_problems(&self) -> &[String] {
        &self.memory.problems
    }

    /// Returns what runs where by the base branch, as the last run found it that made pages.
    pub(crate) fn shapes(&self) -> Option<Arc<[Shape]>> {
        self.memory.shapes.as_ref().map(|(_, shapes)| Arc::clone(shapes))
    }

    /// Returns whether the next run would show more of what changes do to what runs, although nothing has moved.
    ///
    /// It is reported once, so that a run that fails leads to no other one.
    pub(crate) fn take_more_to_show(&mut self) -> bool {
        std::mem::take(&mut self.memory.looks.goes_on)
    }

    /// Lets the next run review every pull request of people again, for instance since a person asked for it.
    pub fn review_again(&mut self) {
        self.memory.reviews.forget();
        self.settled = None;
    }

    /// Makes one run: from the base branch to one pull request per group, and to a review of each pull
    /// request of people.
    ///
    /// A group whose plan is refused does not keep the others from being published, and a base branch that
    /// does not render keeps no pull request that fixes it from being reviewed.
    pub fn run(&mut self, cancel: &Cancel, progress: &dyn Progress) -> Result<RunReport, CommandError> {
        self.settled = None;
        cancel.check()?;
        let refs = debug_span!("fetch").in_scope(|| self.look())?;
        let Self { upstream, home, settings, hubs, memory, waiting, .. } = self;
        let forge = home.forge(upstream);
        let run = Context { upstream, forge: &*forge, settings, hubs: hubs.as_ref(), cancel };
        memory.looks.begin(&run);
        let order = memory.order(&run, &refs)?;
        let published = match memory.publish_base(&run, refs.clone(), &order, waiting, progress) {
            Err(error) if error.is_transient() => return Err(error),
            published => published,
        };
        let gate = published.as_ref().map_or(&Gate::Unknown, |published| &published.gate);
        let proposed = debug_span!("review").in_scope(|| memory.review(&run, &refs, &order, gate));
        // A fault of the base branch is worth more than what follows from it.
        let PublishedBase { mut report, gate, refs, seen, unfinished } = published?;
        let proposed = proposed?;
        debug_span!("effects").in_scope(|| memory.finish(&run, unfinished, &mut report.groups))?;
        report.held = held(&report.groups, &gate, &proposed);
        if let Some(seen) = &seen {
            memory.waves.report(&run, seen)?;
        }
        *waiting = reviewed::merge(&run, &report.groups, |number| memory.reviews.is_released(number))?;
        self.settled = Some(Settled { refs: after(&run, refs, &report.groups)?, proposed });
        Ok(report)
    }

    /// Returns the branch that HEAD is on, if no base branch was named and that is another one.
    fn moved_head(&self, refs: &Refs) -> Result<Option<String>, CommandError> {
        let Settings { base, follows_head, .. } = &self.settings;
        let is_there = refs.contains_key(&format!("{BRANCHES}{base}"));
        if !follows_head || (is_there && !self.upstream.has_default_branch()) {
            return Ok(None);
        }
        Ok(Some(self.upstream.default_branch()?).filter(|head| head != base))
    }

    /// Brings in what is upstream, from the branch that HEAD is on now if no other one was named.
    fn look(&mut self) -> Result<Refs, CommandError> {
        let refs = self.upstream.fetch()?;
        let Some(head) = self.moved_head(&refs)? else { return Ok(refs) };
        match &*self.settings.base {
            UNKNOWN_BASE => info!("the base branch is `{head}`, as HEAD is"),
            old => info!("the base branch is `{head}` from now on, as HEAD is; it was `{old}`"),
        }
        self.upstream.read_branches(branches_of(&self.home, &head));
        self.settings.base = head;
        self.waiting.clear();
        Ok(self.upstream.fetch()?)
    }
}

impl Memory {
    /// Returns the groups of the base branch, in the order of their release.
    fn order(&mut self, run: &Context<'_>, refs: &Refs) -> Result<Vec<GroupName>, CommandError> {
        match refs.get(&format!("{BRANCHES}{}", run.settings.base)) {
            Some(tip) => self.planner.order(run, *tip),
            None => Ok(Groups::default().names()),
        }
    }

    /// Publishes what is on the base branch: snapshot, render, plan, publish, report.
    fn publish_base(
        &mut self,
        run: &Context<'_>,
        refs: Refs,
        order: &[GroupName],
        waiting: &[u64],
        progress: &dyn Progress,
    ) -> Result<PublishedBase, CommandError> {
        let former = former::groups(run, &refs, order)?;
        let groups = order.iter().chain(&former);
        let (tip, refs) = debug_span!("snapshot").in_scope(|| self.snapshot(run, refs, groups))?;
        Span::current().record("revision", field::display(tip));
        let compared = debug_span!("render").in_scope(|| self.planner.workers.compare(run, tip, progress));
        self.note_rendering(tip, &compared);
        let fleet = compared?;
        if run.settings.makes_pages && self.shapes.as_ref().is_none_or(|(known, _)| *known != tip) {
            self.shapes = Some((tip, self.planner.workers.shapes(run, tip)?.into()));
        }
        run.cancel.check()?;
        let (order, clusters, files) = (fleet.order.clone(), fleet.groups.clone(), fleet.files);
        let plans = debug_span!("plan").in_scope(|| self.planner.plan(run, tip, fleet))?;
        let known = self.known(run, tip, &plans, waiting)?;
        let (mut groups, mut gate, unfinished) =
            self.publish(run, &known, &refs, (&order, &clusters), plans)?;
        let look = || self.waves.look(run, &mut self.planner.workers, tip, &order, &clusters);
        let seen = debug_span!("rollout").in_scope(look)?;
        gate.wait_for(seen.as_ref().map(|seen| waves::health(&order, &seen.standings)));
        let former = former.into_iter().filter(|group| !known.order.contains(group));
        for group in former {
            groups.extend(self.end(run, &known, &refs, group)?);
        }
        self.heads.remember(run, &groups)?;
        info!(clusters = clusters.len(), files, "run is complete");
        let report = RunReport { base: tip, source: known.base.source, groups, held: Vec::new() };
        Ok(PublishedBase { report, gate, seen, refs, unfinished })
    }

    /// Returns the tip of the base branch, with where refs are once what an interrupted step left is completed.
    fn snapshot<'g>(
        &self,
        run: &Context<'_>,
        refs: Refs,
        groups: impl Iterator<Item = &'g GroupName>,
    ) -> Result<(Revision, Refs), CommandError> {
        let base = &run.settings.base;
        let tip_in = |refs: &Refs| match refs.get(&format!("{BRANCHES}{base}")) {
            Some(tip) => Ok(*tip),
            None => run.upstream.existing_branch(base),
        };
        let tip = tip_in(&refs)?;
        let heads: Vec<_> = groups.map(head_of).collect();
        let completed = run.forge.settle(&heads, &|tip| self.heads.has_made(tip))?;
        for number in &completed {
            info!(pull_request.number = number, "completed an interrupted step of pull request #{number}");
        }
        if completed.is_empty() {
            return Ok((tip, refs));
        }
        let refs = run.upstream.fetch()?;
        Ok((tip_in(&refs)?, refs))
    }

    /// Notes whether a revision of the base branch renders; a failure that is not about it changes nothing.
    fn note_rendering<T>(&mut self, revision: Revision, rendered: &Result<T, CommandError>) {
        let problems = match rendered {
            Ok(_) => 0,
            Err(CommandError::Problems { problems }) => problems.len(),
            Err(CommandError::Worker { death, .. }) if !death.is_transient() => 1,
            Err(_) => return,
        };
        self.problems = match rendered {
            Err(CommandError::Problems { problems }) => {
                let lines = problems
                    .iter()
                    .take(MAX_PROBLEMS)
                    .map(|problem| format!("{}: {}", problem.place, problem.message));
                let more = problems.len().saturating_sub(MAX_PROBLEMS);
                lines.chain((more > 0).then(|| format!("… {}", counted(more, "more problem")))).collect()
            }
            Err(error) => vec![error.message()],
            Ok(_) => Vec::new(),
        };
        self.base = Some(BaseRendering { revision, problems });
    }

    /// Finds out what publishing has to know beside the plans.
    fn known(
        &mut self,
        run: &Context<'_>,
        tip: Revision,
        plans: &[GroupPlan],
        waiting: &[u64],
    ) -> Result<Known, CommandError> {
        let repository = run.repository();
        let base = Base { tip, source: repository.source_of_inputs(tip, &mut self.source)? };
        let files: Vec<_> = plans.iter().flat_map(|planned| &planned.files).collect();
        let drift = drift::find(run, &mut self.planner.workers, base, &files, &mut self.drift)?;
        let reviewed = if files.is_empty() { None } else { reviewed::find(run, base.source)? };
        let order = plans.iter().map(|planned| planned.group.clone()).collect();
        Ok(Known { base, order, reviewed, drift, behind: reviewed::behind(run.forge, waiting)? })
    }

    /// Publishes the plan of each group, and finds out what has to be merged before which.
    fn publish(
        &mut self,
        run: &Context<'_>,
        known: &Known,
        refs: &Refs,
        (order, groups): (&Groups, &BTreeMap<ClusterName, GroupName>),
        plans: Vec<GroupPlan>,
    ) -> Result<(Vec<GroupReport>, Gate, Vec<Unfinished>), CommandError> {
        let mut heads = Vec::new();
        for planned in &plans {
            heads.push(self.head(run, known, refs, planned)?);
        }
        let clusters = gate::clusters(&plans, groups);
        let (mut reports, mut stages, mut unfinished) = (Vec::new(), Vec::new(), Vec::new());
        for ((planned, head), group) in plans.into_iter().zip(heads).zip(order.iter()) {
            let left = gate::left(&planned);
            let span = debug_span!("publish", group = %planned.group);
            let effects = self.looks.known(run, &planned.group, &known.change(&planned.plan));
            let (report, more) = span.in_scope(|| publish(run, known, planned, head, effects))?;
            unfinished.extend(more);
            let reason = gate::reason(&report.group, &report.done);
            stages.push(Stage { left, reason, health: Health::default(), is_paused: group.paused });
            reports.push(report);
        }
        Ok((reports, Gate::Known { stages, clusters, is_asked: false }, unfinished))
    }

    /// Shows in pull requests of ours what their changes do to what runs, as far as there is time left for it.
    fn finish(
        &mut self,
        run: &Context<'_>,
        unfinished: Vec<Unfinished>,
        groups: &mut [GroupReport],
    ) -> Result<(), CommandError> {
        for pull in unfinished {
            let Some(report) = groups.iter_mut().find(|report| report.group == pull.group) else { continue };
            let workers = &mut self.planner.workers;
            let Some(shown) = self.looks.find(run, workers, pull.between.clone(), Some(&pull.last))? else {
                continue;
            };
            if shown.is_pending() {
                continue;
            }
            let pull_change = pull.change.clone();
            let done = unless_lasting(pull.finish(run, &shown), |error| {
                warn!(group = %report.group, hint = error.hint(), "could not show what changes: {}", error.message());
            })?;
            if let (Published::Proposed(before @ Proposed::Unchanged(_)), Some(done)) =
                (&mut report.done, done)
            {
                *before = done;
            }
            report.effects = Some(shown.clone());
            self.looks.keep(&report.group, pull_change, shown);
        }
        self.planner.workers.end_effects();
        Ok(())
    }

    /// Closes the pull request of a group that is no more, if its head is ours: nothing is left to change there.
    fn end(
        &mut self,
        run: &Context<'_>,
        known: &Known,
        refs: &Refs,
        group: GroupName,
    ) -> Result<Option<GroupReport>, CommandError> {
        let planned =
            GroupPlan { group, files: Vec::new(), plan: plan(&[], &Files::default(), Facts::default()) };
        let head = self.head(run, known, refs, &planned)?;
        if !matches!(head, Head::Replaceable(_)) {
            return Ok(None);
        }
        let (report, _) = publish(run, known, planned, head, None)?;
        Ok(Some(report).filter(|report| !matches!(report.done, Published::Nothing)))
    }

    /// Finds whose the head branch of a group is.
    fn head(
        &mut self,
        run: &Context<'_>,
        known: &Known,
        refs: &Refs,
        planned: &GroupPlan,
    ) -> Result<Head, CommandError> {
        let tip = refs.get(&format!("{BRANCHES}{}", head_of(&planned.group))).copied();
        self.heads.find(run, &mut self.planner, known.base, planned, tip)
    }

    /// Gives everything that is proposed its verdicts, and returns what that is.
    fn review(
        &mut self,
        run: &Context<'_>,
        refs: &Refs,
        order: &[GroupName],
        gate: &Gate,
    ) -> Result<Vec<ProposedHead>, CommandError> {
        let proposed = run.forge.proposed_heads(&run.settings.base, refs, &LABELS)?;
        if let Some(base) = run.upstream.branch(&run.settings.base)? {
            let workers = &mut self.planner.workers;
            let (looks, heads) = (&mut self.looks, &self.heads);
            let mut reviewer = Reviewer { run: *run, base, workers, looks, order, gate, heads };
            self.reviews.review(&mut reviewer, &proposed)?;
        }
        Ok(proposed)
    }
}

/// Returns the groups that may not be merged yet, and why.
fn held(groups: &[GroupReport], gate: &Gate, proposed: &[ProposedHead]) -> Vec<(GroupName, Why)> {
    let is_paused = |number: u64| {
        let mut own = proposed.iter().filter(|head| head.number == Some(number));
        own.any(|head| head.labels.contains(PAUSE_LABEL))
    };
    let why = |(at, report): (usize, &GroupReport)| {
        let is_paused = report.open_pull_request().is_some_and(is_paused);
        let why = if is_paused { Some(Why::Paused) } else { gate.held(at) };
        Some((report.group.clone(), why?))
    };
    groups.iter().enumerate().filter_map(why).collect()
}

/// Returns the branches that a run reads or writes.
fn branches_of(home: &Home, base: &str) -> impl Iterator<Item = String> {
    [BRANCH_PREFIX, ROLLBACK_PREFIX, base].map(str::to_owned).into_iter().chain(home.merge_queue(base))
}

/// Returns where refs are after a run: where it found them, but for those that it moved.
fn after(run: &Context<'_>, mut refs: Refs, groups: &[GroupReport]) -> Result<Refs, GitError> {
    let mut written = BTreeSet::new();
    for GroupReport { group, done, head, .. } in groups {
        let head = head.tip().filter(|_| !matches!(done, Published::Closed(_)));
        let name = format!("{BRANCHES}{}", head_of(group));
        match head {
            Some(tip) => drop(refs.insert(name, tip)),
            None => drop(refs.remove(&name)),
        }
        if let Published::Closed(number)
        | Published::Proposed(Proposed::Opened(number) | Proposed::Updated(number)) = done
        {
            written.extend(run.forge.ref_of(*number));
        }
    }
    if !written.is_empty() {
        let now = run.upstream.refs()?;
        refs.extend(now.into_iter().filter(|(name, _)| written.contains(name)));
    }
    Ok(refs)
}
