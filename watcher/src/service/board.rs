//! What the service shows on its pages, as the last run left it. Knows nothing of how it is asked for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use renderer::page::{Fleet, Pull, Run, Shape};
use renderer::plan::html::{self, About, Sources};
use renderer::plan::text;

use crate::events::{Monitor, Outcome};
use crate::run::{BRANCH_PREFIX, Pipeline, ProposedPage, RunReport};

/// How many runs are shown.
const MAX_RUNS: usize = 20;
/// How much all pages of reviews take at most, in bytes; the oldest pull requests go without.
const MAX_PAGE_BYTES: usize = 64 << 20;

/// What is shown; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    base: String,
    problems: Vec<String>,
    pulls: BTreeMap<u64, ProposedPage>,
    shapes: Arc<[Shape]>,
    runs: VecDeque<Run>,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how a run ended that took so long.
    pub(super) fn note_run(&self, outcome: &Outcome, took: Duration) {
        let outcome = match outcome {
            Outcome::Done => "done".to_owned(),
            Outcome::Abandoned => "stopped".to_owned(),
            Outcome::Failed(failure) => format!("failed: {}", failure.message),
        };
        let ended = jiff::Timestamp::try_from(SystemTime::now()).map(|now| format!("{now:.0}"));
        let ended = ended.unwrap_or_default();
        let mut state = self.state();
        state.runs.push_front(Run { ended, took: format!("{:.1} s", took.as_secs_f64()), outcome });
        state.runs.truncate(MAX_RUNS);
    }

    /// Shows what a pipeline knows after a run.
    pub(super) fn show(&self, pipeline: &Pipeline, report: Option<&RunReport>) {
        if !pipeline.settings().makes_pages {
            return;
        }
        let mut pulls: BTreeMap<u64, ProposedPage> =
            pipeline.proposed_pages().map(|page| (page.number, page)).collect();
        for group in report.iter().flat_map(|report| &report.groups) {
            let Some(number) = group.open_pull_request() else { continue };
            let title = format!("Pull request #{number}: {}", group.group);
            let about = About { title, lines: Vec::new(), effects: group.effect_lines() };
            let page = html::review(&group.plan, &about, &Sources::default());
            let pull = ProposedPage {
                number,
                branch: format!("{BRANCH_PREFIX}{}", group.group),
                is_of_group: true,
                title: text::headline(&group.plan),
                page: Some(page.into()),
            };
            pulls.insert(number, pull);
        }
        let mut left = MAX_PAGE_BYTES;
        for pull in pulls.values_mut().rev() {
            let size = pull.page.as_ref().map_or(0, |page| page.len());
            match left.checked_sub(size) {
                Some(rest) => left = rest,
                None => pull.page = None,
            }
        }
        let mut state = self.state();
        // A run that failed knows nothing new of the plans of groups.
        if report.is_none() {
            for (number, known) in &state.pulls {
                if known.is_of_group {
                    pulls.insert(*number, known.clone());
                }
            }
        }
        state.pulls = pulls;
        state.base.clone_from(&pipeline.settings().base);
        state.problems = pipeline.base_problems().to_vec();
        if let Some(shapes) = pipeline.shapes() {
            state.shapes = shapes;
        }
    }

    /// Returns the page of an open pull request, by its number or, of one of ours, by its group.
    pub(super) fn review(&self, of: &str) -> Option<Arc<str>> {
        let branch = format!("{BRANCH_PREFIX}{of}");
        let state = self.state();
        let numbered = of.parse().ok().and_then(|number: u64| state.pulls.get(&number));
        let is_of_group = |pull: &&ProposedPage| pull.is_of_group && pull.branch == branch;
        let found = numbered.or_else(|| state.pulls.values().find(is_of_group));
        found?.page.clone()
    }

    /// Writes the page of the fleet.
    pub(super) fn fleet(&self, monitor: &Monitor, budget: &[(&'static str, Option<u64>)]) -> String {
        let state = self.state();
        let pull = |pull: &ProposedPage| Pull {
            number: pull.number,
            branch: pull.branch.clone(),
            title: pull.title.clone(),
            has_page: pull.page.is_some(),
        };
        let left = budget.iter().filter_map(|(of, left)| Some(format!("{of} {}", (*left)?)));
        let left = left.collect::<Vec<_>>().join(", ");
        let base = (!state.base.is_empty()).then(|| format!("Base branch {}", state.base));
        let budget = (!left.is_empty()).then(|| format!("Requests left on GitHub: {left}"));
        let fleet = Fleet {
            lines: base.into_iter().chain(monitor.lines()).chain(budget).collect(),
            problems: state.problems.clone(),
            pulls: state.pulls.values().map(pull).collect(),
            runs: state.runs.iter().cloned().collect(),
        };
        let shapes = Arc::clone(&state.shapes);
        drop(state);
        renderer::page::fleet(&fleet, &shapes)
    }
}
