//! What the expansion of one file collects and may take.

use std::io;
use std::sync::{Mutex, PoisonError};

use handlebars::Output;
use serde_json::Value as Json;

use super::budget::{MAX_OUTPUT_BYTES, RenderBudget};
use super::refusal::Refusal;
use super::syntax::token;

/// Steps that one file may take: calls, loop turns, and 512 bytes of values to look through or to copy. A template
/// has no clock; this is what bounds its time.
///
/// A large real file (a hub with 1,000 spokes) takes some 20,000.
pub const MAX_STEPS: usize = 1_000_000;
/// After how many steps the budget of the cluster is asked.
const STEPS_AT_ONCE: usize = 1_000;
/// The size of values that counts for one step.
const STEP_BYTES: usize = 512;
/// What a value weighs besides its text, in bytes.
const VALUE_BYTES: usize = 8;

/// An inserted value and the site that inserted it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Capture {
    /// The index of the site in the compiled templates.
    pub site: usize,
    /// The value with its type.
    pub value: Json,
    /// Whether it is the text of a file, which belongs to the templates.
    pub is_file: bool,
}

/// Collects the inserted values, and counts what they and the work on them add up to.
#[derive(Debug)]
pub(super) struct Recorder<'b> {
    recording: Mutex<Recording>,
    /// What all files of a cluster may take together.
    budget: Option<&'b RenderBudget<'b>>,
}

#[derive(Debug, Default)]
struct Recording {
    captures: Vec<Capture>,
    steps: usize,
    /// How many of the steps are counted in the budget.
    spent: usize,
    bytes: usize,
}

impl<'b> Recorder<'b> {
    pub(super) fn new(budget: Option<&'b RenderBudget<'b>>) -> Self {
        Self { recording: Mutex::default(), budget }
    }

    /// Returns the inserted values, and counts the last steps.
    pub(super) fn finish(self) -> Result<Vec<Capture>, Refusal> {
        let recording = self.recording.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = self.budget {
            budget.spend(recording.steps - recording.spent)?;
        }
        Ok(recording.captures)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Recording) -> T) -> T {
        change(&mut self.recording.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts steps, and more for bytes that are looked through or copied.
    pub(super) fn step(&self, steps: usize, bytes: usize) -> Result<(), Refusal> {
        let (steps, unspent) = self.change(|recording| {
            recording.steps += steps + bytes / STEP_BYTES;
            let unspent = recording.steps - recording.spent;
            if unspent < STEPS_AT_ONCE {
                return (recording.steps, 0);
            }
            recording.spent = recording.steps;
            (recording.steps, unspent)
        });
        if let (Some(budget), 1..) = (self.budget, unspent) {
            budget.spend(unspent)?;
        }
        if steps <= MAX_STEPS {
            return Ok(());
        }
        let message = format!("the template takes more than {MAX_STEPS} steps");
        Err(Refusal::new(message).hint("loop over a shorter list, or use fewer loops inside each other"))
    }

    /// Keeps a value, and returns the character that stands for it.
    pub(super) fn insert(&self, site: usize, value: &Json, is_file: bool) -> Result<char, Refusal> {
        self.change(|recording| {
            recording.bytes += weight(value);
            if recording.bytes > MAX_OUTPUT_BYTES {
                return Err(too_large());
            }
            let token = token::of(recording.captures.len()).ok_or_else(|| {
                Refusal::new(format!("the file inserts more than {} values", token::MAX))
                    .hint("insert a list or a map as a whole: `{{list}}` as a value of its own")
            })?;
            recording.captures.push(Capture { site, value: value.clone(), is_file });
            Ok(token)
        })
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

/// The expanded text of a file, which takes no more than it may hold.
#[derive(Debug, Default)]
pub(super) struct BoundedOutput {
    pub text: String,
    /// How much of the text is marks.
    mark_bytes: usize,
    /// Whether more was written than it may hold.
    pub is_full: bool,
}

impl Output for BoundedOutput {
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.mark_bytes += token::mark_bytes(text);
        self.text.push_str(text);
        self.is_full = self.text.len() - self.mark_bytes > MAX_OUTPUT_BYTES;
        if self.is_full { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
    }
}
