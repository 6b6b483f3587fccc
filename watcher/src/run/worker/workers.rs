//! The workers of one repository: which one is asked, what becomes of one that ended, and of what ended it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use renderer::page::Shape;
use renderer::path::{GroupName, RepoPath};
use renderer::render::Progress;
use tracing::{info, warn};

use super::death::WorkerDeath;
use super::limits::{Limits, WorkerSettings};
use super::message::{Answer, Request, Task, Unmade};
use super::process::{Ended, Process};
use crate::argocd::DesiredFleet;
use crate::error::CommandError;
use crate::events::Stopped;
use crate::git::{Entry, Revision};
use crate::run::changes::{Fleet, Members};
use crate::run::context::Context;
use crate::run::effects::{self, Objects, Tools};
use crate::run::review::{Page, Question};

/// How often what the base branch took has room in a review: for both sides, and as much as that for what is added.
const REVIEW_GROWTH: u64 = 3;

/// The memory of the worker that makes final objects, unless the base branch takes a good part of it: besides both sides of
/// a fleet it holds texts of charts, and each Helm that it runs has as much for itself.
const EFFECTS_MEMORY_BYTES: u64 = 1 << 30;
/// How much longer than a review the base branch may take for objects of charts: nothing is published without them.
const BASE_SHARE: u32 = 5;
/// The largest file that it may write: charts and renderings are bounded below that.
const EFFECTS_FILE_BYTES: u64 = 1 << 30;

/// How many revisions are remembered over which each worker ends.
const MAX_FATAL: usize = 16;

/// What a worker is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The base branch.
    Base,
    /// What people propose.
    Review,
    /// What changes do to what runs.
    Effects,
}

impl Purpose {
    /// Returns the name of the purpose, for metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Review => "review",
            Self::Effects => "effects",
        }
    }
}

/// The workers of one repository.
#[derive(Debug)]
pub(in crate::run) struct Workers {
    settings: WorkerSettings,
    processes: BTreeMap<Purpose, Process>,
    /// Whether the base branch has objects of charts.
    publishes: bool,
    /// How much memory the base branch took at most.
    base_memory_bytes: u64,
    /// The revisions of the base branch that each worker ends over.
    fatal: BTreeMap<Revision, WorkerDeath>,
    deaths: Vec<(Purpose, WorkerDeath)>,
}

/// What became of a request.
enum Asked {
    Answered(Answer),
    /// Each worker ends over it; the last one did so while it rendered this revision, if any.
    Fatal(WorkerDeath, Option<Revision>),
}

impl Workers {
    pub(in crate::run) fn new(settings: WorkerSettings) -> Self {
        let (processes, fatal, deaths) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { settings, processes, publishes: false, base_memory_bytes: 0, fatal, deaths }
    }

    /// Returns which workers ended before they had answered since the last call, and why.
    pub(in crate::run) fn take_deaths(&mut self) -> Vec<(Purpose, WorkerDeath)> {
        std::mem::take(&mut self.deaths)
    }

    /// Renders a revision of the base branch, and compares it with what is published there.
    pub(in crate::run) fn compare(
        &mut self,
        run: &Context<'_>,
        revision: Revision,
        progress: &dyn Progress,
    ) -> Result<Fleet, CommandError> {
        match self.ask_of_base(run, revision, Task::Compare(revision), progress)? {
            Answer::Compared { fleet, notes, publishes, memory_bytes } => {
                self.publishes = publishes;
                for note in notes {
                    info!(%revision, "{note}");
                }
                self.base_memory_bytes = self.base_memory_bytes.max(memory_bytes.unwrap_or_default());
                Ok(fleet)
            }
            answer => Err(failed(answer)),
        }
    }

    /// Returns what a revision of the base branch renders to at these paths.
    pub(in crate::run) fn entries(
        &mut self,
        run: &Context<'_>,
        revision: Revision,
        paths: BTreeSet<RepoPath>,
    ) -> Result<BTreeMap<RepoPath, Entry>, CommandError> {
        match self.ask_of_base(run, revision, Task::Entries(revision, paths), &())? {
            Answer::Entries(entries) => Ok(entries),
            answer => Err(failed(answer)),
        }
    }

    /// Asks for something about a revision of the base branch.
    ///
    /// What ended a worker is not tried again: it would end the next one, too.
    fn ask_of_base(
        &mut self,
        run: &Context<'_>,
        revision: Revision,
        task: Task,
        progress: &dyn Progress,
    ) -> Result<Answer, CommandError> {
        if let Some(death) = self.fatal.get(&revision) {
            return Err(CommandError::Worker { revision, death: death.clone() });
        }
        let death = match self.ask(run, Purpose::Base, revision, task, progress)? {
            Asked::Answered(answer) => return Ok(answer),
            Asked::Fatal(death, _) => death,
        };
        if self.fatal.len() == MAX_FATAL {
            self.fatal.clear();
        }
        if !death.is_transient() {
            self.fatal.insert(revision, death.clone());
        }
        Err(CommandError::Worker { revision, death })
    }

    /// Finds out what a pull request changes.
    ///
    /// What each worker ends over is its verdict. If that is what the pull request started from, the head is
    /// looked at alone.
    pub(in crate::run) fn examine(
        &mut self,
        run: &Context<'_>,
        mut question: Question,
    ) -> Result<Result<Page, WorkerDeath>, CommandError> {
        let revision = question.subject.head;
        loop {
            match self.ask(run, Purpose::Review, revision, Task::Examine(question.clone()), &())? {
                Asked::Answered(Answer::Examined { page, memory_bytes }) => {
                    if memory_bytes
                        .is_some_and(|bytes| bytes > self.limits(Purpose::Review, None).memory_bytes / 2)
                    {
                        // What is left over from one pull request must not be in the way of the next.
                        self.processes.remove(&Purpose::Review);
                    }
                    return Ok(Ok(*page));
                }
                Asked::Answered(answer) => return Err(failed(answer)),
                Asked::Fatal(death, _) if death.is_transient() => {
                    return Err(CommandError::Worker { revision, death });
                }
                Asked::Fatal(_, rendering)
                    if !question.is_base_unrenderable && rendering == Some(question.subject.base) =>
                {
                    question.is_base_unrenderable = true;
                }
                Asked::Fatal(death, _) => return Ok(Err(death)),
            }
        }
    }

    /// Finds out what a change does to what runs.
    pub(in crate::run) fn effects(
        &mut self,
        run: &Context<'_>,
        question: effects::Question,
    ) -> Result<Result<effects::Shown, WorkerDeath>, CommandError> {
        let revision = question.between.head();
        match self.ask(run, Purpose::Effects, revision, Task::Effects(question), &())? {
            Asked::Answered(Answer::Effects(shown)) => Ok(Ok(shown)),
            Asked::Answered(answer) => Err(failed(answer)),
            Asked::Fatal(death, _) => Ok(Err(death)),
        }
    }

    /// Ends the worker that makes final objects: between runs nothing is asked of it.
    pub(in crate::run) fn end_effects(&mut self) {
        self.processes.remove(&Purpose::Effects);
    }

    /// Returns the groups that a revision of the base branch describes, in order; nothing if they can't be read.
    pub(in crate::run) fn order(
        &mut self,
        run: &Context<'_>,
        revision: Revision,
    ) -> Result<Option<Vec<GroupName>>, CommandError> {
        match renderable(self.ask_of_base(run, revision, Task::Order(revision), &()))? {
            Some(Answer::Order(order)) => Ok(order),
            Some(answer) => Err(failed(answer)),
            None => Ok(None),
        }
    }

    /// Returns what the rendered files of a revision of the base branch ask for.
    pub(in crate::run) fn desired(
        &mut self,
        run: &Context<'_>,
        revision: Revision,
    ) -> Result<DesiredFleet, CommandError> {
        match self.ask_of_base(run, revision, Task::Desired(revision), &())? {
            Answer::Desired(fleet) => Ok(fleet),
            answer => Err(failed(answer)),
        }
    }

    /// Returns what runs where at a revision of the base branch.
    pub(in crate::run) fn shapes(
        &mut self,
        run: &Context<'_>,
        revision: Revision,
    ) -> Result<Vec<Shape>, CommandError> {
        match self.ask_of_base(run, revision, Task::Shapes(revision), &())? {
            Answer::Shapes(shapes) => Ok(shapes),
            answer => Err(failed(answer)),
        }
    }

    /// Returns the clusters that a revision describes.
    ///
    /// A revision that each worker ends over describes none.
    pub(in crate::run) fn members(
        &mut self,
        run: &Context<'_>,
        revision: Revision,
    ) -> Result<Members, CommandError> {
        match self.ask(run, Purpose::Review, revision, Task::Members(revision), &())? {
            Asked::Answered(Answer::Members(members)) => Ok(members),
            Asked::Answered(answer) => Err(failed(answer)),
            Asked::Fatal(..) => Ok(Members::new()),
        }
    }

    /// Asks a worker. If it ends over something after it had done something else, another one is asked.
    ///
    /// One that makes objects of charts may write files, start Helm and use the network. It is asked if one that may not has
    /// found that there are any to make, or if the base branch has some.
    fn ask(
        &mut self,
        run: &Context<'_>,
        purpose: Purpose,
        revision: Revision,
        task: Task,
        progress: &dyn Progress,
    ) -> Result<Asked, CommandError> {
        let mut request = Request { git_dir: run.repository().git_dir().into(), objects: None, task };
        let mut makes_objects = purpose == Purpose::Effects || self.publishes;
        loop {
            request.objects = objects(run, purpose, makes_objects);
            let limits = self.limits(purpose, request.objects.as_ref().filter(|_| makes_objects));
            let kept = self.processes.remove(&purpose);
            let mut worker = match kept.filter(|worker| worker.makes_objects() == (limits.file_bytes > 0)) {
                Some(worker) => worker,
                None => start(&self.settings.program, limits, revision)?,
            };
            let is_new = !worker.is_used;
            worker.is_used |= !matches!(request.task, Task::Order(_));
            match worker.ask(&request, run.cancel, progress) {
                Ok(Answer::Unmade(Unmade::Confined)) if !makes_objects => {
                    makes_objects = true;
                    self.publishes |= purpose == Purpose::Base;
                }
                Ok(answer) => {
                    // One that was asked for what is proposed alone leaves nothing to do for the next.
                    if purpose != Purpose::Review || self.publishes || !makes_objects {
                        self.processes.insert(purpose, worker);
                    }
                    return Ok(Asked::Answered(answer));
                }
                Err(Ended::Stopped) => return Err(Stopped.into()),
                Err(Ended::Died { death, rendering, last_lines }) => {
                    let (of, cause) = (purpose.label(), death.label());
                    warn!(%revision, worker = of, cause, ?last_lines, "a worker ended before it had answered: {death}");
                    self.deaths.push((purpose, death.clone()));
                    if is_new || death.is_final() {
                        return Ok(Asked::Fatal(death, rendering));
                    }
                }
            }
        }
    }

    /// Returns the limits of a worker. A review has room for both sides of a fleet of the size that there is.
    fn limits(&self, purpose: Purpose, objects: Option<&Objects>) -> Limits {
        let WorkerSettings { base, review, .. } = self.settings;
        let grown = self.base_memory_bytes.saturating_mul(REVIEW_GROWTH).min(base.memory_bytes);
        let making = Limits {
            memory_bytes: EFFECTS_MEMORY_BYTES.max(grown).min(base.memory_bytes),
            time: review.time + effects::TIME,
            file_bytes: EFFECTS_FILE_BYTES,
            ..review
        };
        match (purpose, objects) {
            (Purpose::Base, Some(Objects::MadeBy(tools))) => {
                Limits { time: base.time + tools.time, file_bytes: EFFECTS_FILE_BYTES, ..base }
            }
            (Purpose::Base, _) => base,
            // What is published is made first.
            (Purpose::Effects, _) => Limits { time: making.time + effects::TIME, ..making },
            (Purpose::Review, Some(Objects::MadeBy(_))) => making,
            (Purpose::Review, _) => Limits { memory_bytes: review.memory_bytes.max(grown), ..review },
        }
    }
}

/// Returns what the objects of charts are made with; nothing for a worker that makes none.
fn objects(run: &Context<'_>, purpose: Purpose, makes_objects: bool) -> Option<Objects> {
    match &run.settings.objects {
        Objects::MadeBy(_) if !makes_objects => None,
        Objects::MadeBy(tools) => {
            let share = if purpose == Purpose::Base { BASE_SHARE } else { 1 };
            Some(Objects::MadeBy(Tools { time: tools.time * share, ..tools.clone() }))
        }
        objects => Some(objects.clone()),
    }
}

fn start(program: &Path, limits: Limits, revision: Revision) -> Result<Process, CommandError> {
    Process::start(program, limits).map_err(|error| {
        let death = WorkerDeath::NotStarted { reason: error.to_string() };
        CommandError::Worker { revision, death }
    })
}

/// Returns nothing for a revision that does not render.
pub(in crate::run) fn renderable<T>(answered: Result<T, CommandError>) -> Result<Option<T>, CommandError> {
    match answered {
        Err(CommandError::Problems { .. } | CommandError::Worker { .. }) => Ok(None),
        answered => answered.map(Some),
    }
}

/// The failure that an answer is, to a request that it does not fulfil.
fn failed(answer: Answer) -> CommandError {
    match answer {
        Answer::Problems(problems) => CommandError::Problems { problems },
        Answer::Unreadable(failure) => CommandError::Git(failure),
        Answer::Unmade(Unmade::Late { made, all }) => CommandError::Late { made, all },
        Answer::Unmade(Unmade::Absent(error)) => error.into(),
        _ => CommandError::unexpected("render", std::io::Error::other("a worker answered something else")),
    }
}
