//! What the expansions for one cluster may take together, on top of what each may take alone.
//!
//! There is no clock here: the caller decides when it has gone on for too long, and is asked often enough.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::refusal::Refusal;
use crate::path::RepoPath;
use crate::problem::Problem;

/// The text that one template may expand to, in bytes. Argo CD and a reviewer both choke on less.
pub const MAX_OUTPUT_BYTES: usize = 8 * 1024 * 1024;
/// Steps that all expansions for one cluster may take, those that find the line of a problem included.
pub const MAX_CLUSTER_STEPS: usize = 10_000_000;
/// The text that all templates of one cluster may expand to, in bytes.
pub const MAX_CLUSTER_BYTES: usize = 64 * 1024 * 1024;

/// Steps that a search for what a rendered value depends on may take; beyond, it answers with what it has found.
pub const MAX_SEARCH_STEPS: usize = 100_000_000;

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
    pub(crate) fn new(max_steps: usize, may_go_on: &'a (dyn Fn(usize) -> bool + Sync)) -> Self {
        let (steps, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { max_steps, steps, bytes, is_spent: AtomicBool::new(false), may_go_on }
    }

    /// Returns whether something was refused: nothing more is worth beginning.
    pub(crate) fn is_spent(&self) -> bool {
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
