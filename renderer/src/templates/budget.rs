//! What expansions may take: each alone, and those for one cluster together.
//!
//! A template has no clock; steps bound its time. The caller decides when a cluster has taken too long, and is asked often
//! enough.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value as Json;

use super::refusal::Refusal;
use crate::path::RepoPath;
use crate::problem::Problem;

/// The text that one template may expand to, in bytes. Argo CD and a reviewer both choke on less.
pub const MAX_OUTPUT_BYTES: usize = 8 * 1024 * 1024;
/// Steps that one file may take: calls, loop turns, and 512 bytes of values to look through or to copy.
///
/// A large real file (a hub with 1,000 spokes) takes some 20,000.
pub const MAX_STEPS: usize = 1_000_000;
/// Steps that all expansions for one cluster may take, those that find the line of a problem included.
pub const MAX_CLUSTER_STEPS: usize = 10_000_000;
/// The text that all templates of one cluster may expand to, in bytes.
pub const MAX_CLUSTER_BYTES: usize = 64 * 1024 * 1024;
/// Steps that a search for what a rendered value depends on may take; beyond, it answers with what it has found.
pub const MAX_SEARCH_STEPS: usize = 100_000_000;

/// After how many steps the budget of the cluster is asked.
const STEPS_AT_ONCE: usize = 1_000;
/// The size of values that counts for one step.
const STEP_BYTES: usize = 512;
/// What a value weighs besides its text, in bytes.
const VALUE_BYTES: usize = 8;

/// Counts what one expansion takes.
#[derive(Debug)]
pub(super) struct Meter<'b> {
    /// What all expansions for the cluster may take together.
    budget: Option<&'b RenderBudget<'b>>,
    steps: usize,
    /// How many of the steps are counted in the budget.
    spent: usize,
    /// The size of the inserted values.
    bytes: usize,
}

impl<'b> Meter<'b> {
    pub(super) fn new(budget: Option<&'b RenderBudget<'b>>) -> Self {
        Self { budget, steps: 0, spent: 0, bytes: 0 }
    }

    /// Counts a step, and more for bytes that are looked through or copied.
    pub(super) fn step(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.steps(1, bytes)
    }

    /// Counts several steps, and more for bytes that are looked through or copied.
    pub(super) fn steps(&mut self, steps: usize, bytes: usize) -> Result<(), Refusal> {
        self.steps += steps + bytes / STEP_BYTES;
        if self.steps - self.spent >= STEPS_AT_ONCE {
            self.spend()?;
        }
        if self.steps <= MAX_STEPS {
            return Ok(());
        }
        let message = format!("the template takes more than {MAX_STEPS} steps");
        Err(Refusal::new(message).hint("loop over a shorter list, or use fewer loops inside each other"))
    }

    /// Counts a value that is inserted.
    pub(super) fn insert(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.step(0)?;
        self.bytes += bytes;
        if self.bytes > MAX_OUTPUT_BYTES { Err(too_large()) } else { Ok(()) }
    }

    /// Counts the last steps.
    pub(super) fn finish(mut self) -> Result<(), Refusal> {
        self.spend()
    }

    fn spend(&mut self) -> Result<(), Refusal> {
        let unspent = self.steps - self.spent;
        self.spent = self.steps;
        self.budget.map_or(Ok(()), |budget| budget.spend(unspent))
    }
}

/// Refuses a file that grows too large.
pub(super) fn too_large() -> Refusal {
    let message = format!("the file grows larger than {} MiB", MAX_OUTPUT_BYTES >> 20);
    Refusal::new(message).hint("split it, or insert less")
}

/// Returns about how many bytes a value takes.
pub(super) fn weight(value: &Json) -> usize {
    VALUE_BYTES
        + match value {
            Json::String(text) => text.len(),
            Json::Array(items) => items.iter().map(weight).sum(),
            Json::Object(map) => map.iter().map(|(key, value)| key.len() + weight(value)).sum(),
            Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        }
}

/// What is left for one cluster.
pub struct RenderBudget<'a> {
    max_steps: usize,
    steps: AtomicUsize,
    bytes: AtomicUsize,
    is_spent: AtomicBool,
    may_go_on: &'a (dyn Fn(usize) -> bool + Sync),
}

impl<'a> RenderBudget<'a> {
    /// Creates a budget. `may_go_on` is asked again and again with the bytes that were written.
    #[must_use]
    pub fn new(max_steps: usize, may_go_on: &'a (dyn Fn(usize) -> bool + Sync)) -> Self {
        let (steps, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { max_steps, steps, bytes, is_spent: AtomicBool::new(false), may_go_on }
    }

    /// Returns whether something was refused: nothing more is worth beginning.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }

    /// Counts a file that was written from a template; fails if no more may be written.
    pub(crate) fn write(&self, template: &RepoPath, bytes: usize) -> Result<(), Box<Problem>> {
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if bytes <= MAX_CLUSTER_BYTES {
            return Ok(());
        }
        self.is_spent.store(true, Ordering::Relaxed);
        let limit = MAX_CLUSTER_BYTES >> 20;
        let message = format!("what is rendered for the cluster grows larger than {limit} MiB");
        let problem = Problem::in_whole_file(template, message).found_by("limits");
        Err(problem.hint("write fewer or smaller files for one cluster").into())
    }

    /// Counts steps that were taken; fails if no more may be taken.
    pub(super) fn spend(&self, steps: usize) -> Result<(), Refusal> {
        let steps = self.steps.fetch_add(steps, Ordering::Relaxed) + steps;
        let refusal = if steps > self.max_steps {
            let limit = self.max_steps;
            let message = format!("the templates of the cluster together take more than {limit} steps");
            Refusal::new(message).hint("loop over shorter lists, and call fewer partials from partials")
        } else if (self.may_go_on)(self.bytes.load(Ordering::Relaxed)) {
            return Ok(());
        } else {
            Refusal::new("rendering takes too long or grows too large")
                .hint("loop over shorter lists, or describe fewer clusters at once")
        };
        self.is_spent.store(true, Ordering::Relaxed);
        Err(refusal)
    }
}

impl fmt::Debug for RenderBudget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderBudget")
            .field("steps", &self.steps)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
