//! Workers: rendering happens in child processes of the same binary, so that nothing in a repository can end the service.
//!
//! A worker opens the repository by itself, reads, renders, and answers over a pipe. It has limits of the operating
//! system, no token, and nothing that it could lose. One renders the base branch, another what people propose: what they
//! propose never costs the memory or the life of the first. Both are kept for what they remember, and replaced when they
//! end.

mod death;
mod frame;
mod limits;
mod message;
mod process;
mod serve;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use renderer::inventory::Role;
use renderer::path::ClusterName;
use renderer::render::{Progress, output_folder};
use tracing::{error, info};

use super::files::{ClusterFiles, FleetFiles, UnitFiles};
use super::pipeline::Steps;
use super::review::{Page, Question};
use crate::error::CommandError;
use crate::git::Revision;

pub use death::WorkerDeath;
pub use limits::{Limits, leave_no_core};
use message::{Answer, Cluster, Request, Task, Unit};
use process::{Ended, Misfit, Process, Take};

/// How long one rendering may take: a fleet of 1,000 clusters takes a second.
const TIME: Duration = Duration::from_mins(1);
/// The stack of each thread: what threads have everywhere else, too.
const STACK_BYTES: usize = 2 << 20;
/// The memory of the worker that renders what people propose, unless the base branch takes a good part of it.
const REVIEW_MEMORY_BYTES: u64 = 512 << 20;
/// How often what the base branch took has room in a review: for both sides, and as much as that for what is added.
const REVIEW_GROWTH: u64 = 3;
/// The memory of the worker that renders the base branch: for a fleet of several thousand clusters.
const BASE_MEMORY_BYTES: u64 = 4 << 30;

/// The program that workers are started from, and their limits.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The program: this one.
    pub program: PathBuf,
    /// The limits of the worker that renders the base branch.
    pub base: Limits,
    /// The limits of the worker that renders what people propose. Its memory grows with what the base branch takes.
    pub review: Limits,
}

impl WorkerSettings {
    /// Returns the limits for this machine, with workers that are started from `program`.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        // The rest is for the service itself, and for what else there is.
        let available = limits::available_memory_bytes().map_or(u64::MAX, |bytes| bytes / 4 * 3);
        let limits = |memory: u64| Limits {
            memory_bytes: memory.min(available),
            stack_bytes: STACK_BYTES,
            time: TIME,
        };
        Self { program, base: limits(BASE_MEMORY_BYTES), review: limits(REVIEW_MEMORY_BYTES) }
    }

    /// Returns the limits for this machine, with workers that are started from this very program.
    pub fn of_this_program() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        // On Linux the file may have been replaced since: this names the one that runs.
        let running = Path::new("/proc/self/exe");
        Ok(Self::new(if running.exists() { running.to_owned() } else { program }))
    }
}

/// The workers of one repository.
#[derive(Debug)]
pub(super) struct Workers {
    settings: WorkerSettings,
    base: Option<Base>,
    review: Option<Process>,
    /// How much memory the base branch took at most.
    base_memory_bytes: u64,
    /// The revision of the base branch that is known not to render, and why.
    unrenderable: Option<(Revision, WorkerDeath)>,
    deaths: Vec<(Purpose, WorkerDeath)>,
}

/// What a worker is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The base branch.
    Base,
    /// What people propose.
    Review,
}

impl Purpose {
    /// Returns the name of the purpose, for metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Review => "review",
        }
    }
}

/// The worker that renders the base branch, and what it answered last.
#[derive(Debug)]
struct Base {
    process: Process,
    fleet: FleetFiles,
}

impl Workers {
    pub(super) const fn new(settings: WorkerSettings) -> Self {
        Self {
            settings,
            base: None,
            review: None,
            base_memory_bytes: 0,
            unrenderable: None,
            deaths: Vec::new(),
        }
    }

    /// Returns which workers ended before they had answered since the last call, and why.
    pub(super) fn take_deaths(&mut self) -> Vec<(Purpose, WorkerDeath)> {
        std::mem::take(&mut self.deaths)
    }

    /// Renders a revision of the base branch; nothing if a stop was requested meanwhile.
    ///
    /// What ended a worker is not tried again: it would end the next one, too.
    pub(super) fn render(
        &mut self,
        git_dir: &Path,
        revision: Revision,
        steps: &dyn Steps,
        progress: &dyn Progress,
    ) -> Result<Option<FleetFiles>, CommandError> {
        if let Some((_, death)) = self.unrenderable.as_ref().filter(|(known, _)| *known == revision) {
            return Err(CommandError::Worker { revision, death: death.clone() });
        }
        let request = Request { git_dir: git_dir.into(), task: Task::Render(revision) };
        loop {
            let (mut base, is_new) = self.base(revision)?;
            let mut assembly = Assembly::new(&base.fleet, self.settings.base.memory_bytes);
            match base.process.ask(&request, steps, progress, &mut assembly) {
                Ok(Answer::Rendered { gone, notes, memory_bytes }) => {
                    for note in notes {
                        info!(revision = %revision, "{note}");
                    }
                    self.base_memory_bytes = self.base_memory_bytes.max(memory_bytes.unwrap_or_default());
                    let changed = assembly.changed;
                    base.fleet.extend(changed);
                    for name in gone {
                        base.fleet.remove(&name);
                    }
                    let fleet = base.fleet.clone();
                    self.base = Some(base);
                    return Ok(Some(fleet));
                }
                Ok(answer) => {
                    self.base = Some(base);
                    return Err(failed(answer));
                }
                Err(Ended::Stopped) => return Ok(None),
                Err(Ended::Died { death, last_words, .. }) => {
                    self.note(Purpose::Base, revision, &death, &last_words);
                    if is_new || is_final(&death) {
                        if !death.is_transient() {
                            self.unrenderable = Some((revision, death.clone()));
                        }
                        return Err(CommandError::Worker { revision, death });
                    }
                }
            }
        }
    }

    fn base(&mut self, revision: Revision) -> Result<(Base, bool), CommandError> {
        if let Some(base) = self.base.take() {
            return Ok((base, false));
        }
        let process = start(&self.settings.program, self.settings.base, revision)?;
        Ok((Base { process, fleet: FleetFiles::new() }, true))
    }

    /// Finds out what a pull request changes; nothing if a stop was requested meanwhile.
    ///
    /// What ends a worker that was started for this pull request is something to say about it. If what it started from
    /// does so, the head is looked at alone.
    pub(super) fn examine(
        &mut self,
        git_dir: &Path,
        mut question: Question,
        steps: &dyn Steps,
    ) -> Result<Option<Result<Page, WorkerDeath>>, CommandError> {
        let head = question.subject.head;
        loop {
            let (mut process, is_new) = self.reviewer(head)?;
            let request = Request { git_dir: git_dir.into(), task: Task::Examine(question.clone()) };
            match process.ask(&request, steps, &(), &mut Nothing) {
                Ok(Answer::Examined { page, memory_bytes }) => {
                    self.review = Some(process).filter(|_| self.has_room(memory_bytes));
                    return Ok(Some(Ok(*page)));
                }
                Ok(answer) => {
                    self.review = Some(process);
                    return Err(failed(answer));
                }
                Err(Ended::Stopped) => return Ok(None),
                Err(Ended::Died { death, rendering, last_words }) => {
                    self.note(Purpose::Review, head, &death, &last_words);
                    if death.is_transient() {
                        return Err(CommandError::Worker { revision: head, death });
                    }
                    if !is_new && !is_final(&death) {
                        continue;
                    }
                    if question.is_base_unrenderable || rendering != Some(question.subject.base) {
                        return Ok(Some(Err(death)));
                    }
                    question.is_base_unrenderable = true;
                }
            }
        }
    }

    /// Returns the roles of the clusters that a revision describes; nothing if a stop was requested meanwhile.
    ///
    /// A revision that no worker can read describes none.
    pub(super) fn roles(
        &mut self,
        git_dir: &Path,
        revision: Revision,
        steps: &dyn Steps,
    ) -> Result<Option<BTreeMap<ClusterName, Role>>, CommandError> {
        let (mut process, _) = self.reviewer(revision)?;
        let request = Request { git_dir: git_dir.into(), task: Task::Roles(revision) };
        match process.ask(&request, steps, &(), &mut Nothing) {
            Ok(Answer::Roles(roles)) => {
                self.review = Some(process);
                Ok(Some(roles))
            }
            Ok(answer) => Err(failed(answer)),
            Err(Ended::Stopped) => Ok(None),
            Err(Ended::Died { death, last_words, .. }) => {
                self.note(Purpose::Review, revision, &death, &last_words);
                Ok(Some(BTreeMap::new()))
            }
        }
    }

    fn reviewer(&mut self, revision: Revision) -> Result<(Process, bool), CommandError> {
        if let Some(process) = self.review.take() {
            return Ok((process, false));
        }
        let memory_bytes = self.review_memory_bytes();
        let limits = Limits { memory_bytes, ..self.settings.review };
        Ok((start(&self.settings.program, limits, revision)?, true))
    }

    /// Returns how much memory a review may take: enough for both sides of a fleet of the size that there is.
    fn review_memory_bytes(&self) -> u64 {
        let WorkerSettings { base, review, .. } = &self.settings;
        let grown = self.base_memory_bytes.saturating_mul(REVIEW_GROWTH).min(base.memory_bytes);
        review.memory_bytes.max(grown)
    }

    /// Returns whether a worker that took so much is worth keeping: what is left over from one pull request must not be
    /// in the way of the next.
    fn has_room(&self, memory_bytes: Option<u64>) -> bool {
        memory_bytes.is_none_or(|bytes| bytes <= self.review_memory_bytes() / 2)
    }

    fn note(&mut self, purpose: Purpose, revision: Revision, death: &WorkerDeath, last_words: &[String]) {
        let (of, cause) = (purpose.label(), death.label());
        error!(%revision, worker = of, cause, ?last_words, "a worker ended before it had answered: {death}");
        self.deaths.push((purpose, death.clone()));
    }
}

/// Returns whether another worker would end in the same way whatever this one had done before.
const fn is_final(death: &WorkerDeath) -> bool {
    matches!(death, WorkerDeath::Time { .. } | WorkerDeath::Stopped)
}

fn start(program: &Path, limits: Limits, revision: Revision) -> Result<Process, CommandError> {
    let attempt = format!("start the process that renders `{}`", revision.short());
    Process::start(program, limits).map_err(|error| CommandError::unexpected(&attempt, error))
}

/// The failure that an answer is, to a request that it does not fulfil.
fn failed(answer: Answer) -> CommandError {
    match answer {
        Answer::Problems(problems) => CommandError::Problems { problems },
        Answer::Unreadable(failure) => CommandError::Git(failure.into()),
        Answer::Rendered { .. } | Answer::Examined { .. } | Answer::Roles(_) => {
            CommandError::unexpected("render", io::Error::other("a worker answered something else"))
        }
    }
}

/// What arrives of a rendering, on top of the last one.
struct Assembly<'a> {
    known: &'a FleetFiles,
    changed: FleetFiles,
    /// How many bytes may still arrive: no more than the worker may have had.
    room: u64,
}

impl<'a> Assembly<'a> {
    const fn new(known: &'a FleetFiles, room: u64) -> Self {
        Self { known, changed: FleetFiles::new(), room }
    }

    fn unit(&self, cluster: &ClusterName, unit: Unit, content: &mut &[u8]) -> Result<Arc<UnitFiles>, Misfit> {
        match unit {
            Unit::Kept(index) => {
                let known = self.known.get(cluster).and_then(|known| known.units.get(index));
                known.cloned().ok_or(Misfit)
            }
            Unit::Sent(addon, files) => {
                let files = files.into_iter().map(|(path, length)| {
                    let (bytes, rest) = content.split_at_checked(length).ok_or(Misfit)?;
                    *content = rest;
                    Ok((path, bytes.into()))
                });
                Ok(Arc::new(UnitFiles { addon, files: files.collect::<Result<_, _>>()? }))
            }
        }
    }
}

impl Take for Assembly<'_> {
    fn cluster(&mut self, cluster: Cluster, mut content: &[u8]) -> Result<(), Misfit> {
        self.room = self.room.checked_sub(content.len() as u64).ok_or(Misfit)?;
        let Cluster { name, role, digest, units } = cluster;
        let units = units.into_iter().map(|unit| self.unit(&name, unit, &mut content));
        let units = units.collect::<Result<_, _>>()?;
        if !content.is_empty() {
            return Err(Misfit);
        }
        let folder = output_folder(&name);
        let cluster = ClusterFiles { name: name.clone(), role, folder, digest, units };
        self.changed.insert(name, Arc::new(cluster));
        Ok(())
    }
}

/// Takes an answer that comes at once.
struct Nothing;

impl Take for Nothing {
    fn cluster(&mut self, _: Cluster, _: &[u8]) -> Result<(), Misfit> {
        Err(Misfit)
    }
}

/// Serves as a worker on standard input and output until the service ends, and ends the process with it.
///
/// # Errors
///
/// If an answer cannot be written, or a thread cannot be started.
pub fn work(limits: Limits) -> io::Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().stack_size(limits.stack_bytes);
    pool.build_global().map_err(io::Error::other)?;
    limits::confine(&limits);
    let (sender, requests) = sync_channel(1);
    thread::Builder::new().name("requests".into()).spawn(move || {
        let mut input = io::stdin().lock();
        while let Ok(Some((request, _))) = frame::read(&mut input) {
            if sender.send(request).is_err() {
                break;
            }
        }
        // Nobody waits for an answer any more, however far it has come.
        std::process::exit(0);
    })?;
    let answers = move || {
        let out = io::BufWriter::with_capacity(1 << 16, io::stdout());
        serve::serve(requests.into_iter(), out, limits.time)
    };
    let served =
        thread::Builder::new().name("answers".into()).stack_size(limits.stack_bytes).spawn(answers)?;
    served.join().unwrap_or_else(|_panic| Err(io::Error::other("it panicked")))
}
