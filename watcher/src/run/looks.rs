//! What a run spends on finding out what changes do to what runs, and what is known of it between runs.
//!
//! It is never a reason for a run to fail, and what there is no time for is left for the next one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use renderer::effects::EFFECTS;
use renderer::path::GroupName;

use super::context::Context;
use super::describe::Links;
use super::effects::{Between, Objects, Question, Shown};
use super::worker::Workers;
use crate::error::CommandError;

/// Less than this share of the time is too little to begin with another change.
const LEAST_SHARE: u32 = 60;

/// What is known of effects between runs, and what a run may still spend on them.
#[derive(Debug, Default)]
pub(super) struct Looks {
    left: Duration,
    /// What was found of the plan of each group, by what identifies that.
    of_plans: BTreeMap<GroupName, (String, Shown)>,
    /// Whether another run would show more.
    pub goes_on: bool,
}

impl Looks {
    /// Begins a run.
    pub(super) fn begin(&mut self, run: &Context<'_>) {
        self.goes_on = false;
        self.left = match &run.settings.objects {
            Objects::MadeBy(tools) => tools.time,
            Objects::Unwanted | Objects::Unknown(_) => Duration::ZERO,
        };
    }

    /// Finds out what a change does; nothing if that is not shown at all. `last` is what was shown of the same change.
    pub(super) fn find(
        &mut self,
        run: &Context<'_>,
        workers: &mut Workers,
        between: Between,
        last: Option<&Shown>,
    ) -> Result<Option<Shown>, CommandError> {
        let tools = match &run.settings.objects {
            Objects::Unwanted => return Ok(None),
            Objects::Unknown(reason) => return Ok(Some(Shown::without(reason))),
            Objects::MadeBy(tools) => tools.clone(),
        };
        let begun = Instant::now();
        let mut shown = if self.left < tools.time / LEAST_SHARE {
            last.cloned().unwrap_or_else(Shown::pending)
        } else {
            let page = Links::of(run).page(run.repository(), between.head(), EFFECTS)?;
            let question = Question { between, tools, time: self.left, page };
            let mut shown = match workers.effects(run, question)? {
                Ok(shown) => shown,
                Err(death) => Shown::without(&death.to_string()),
            };
            // What makes no headway is not tried for ever.
            shown.goes_on &= last.is_none_or(|last| last.late == 0 || shown.late < last.late);
            shown
        };
        shown.goes_on &= shown.late > 0 || shown.is_pending();
        self.left = self.left.saturating_sub(begun.elapsed());
        self.goes_on |= shown.goes_on;
        Ok(Some(shown))
    }

    /// Returns what is known of a group's plan; nothing if effects are not shown.
    pub(super) fn known(&self, run: &Context<'_>, group: &GroupName, plan: &str) -> Option<Shown> {
        match &run.settings.objects {
            Objects::Unwanted => None,
            Objects::Unknown(reason) => Some(Shown::without(reason)),
            Objects::MadeBy(_) => {
                let known = self.of_plans.get(group).filter(|(known, _)| known == plan);
                Some(known.map_or_else(Shown::pending, |(_, shown)| shown.clone()))
            }
        }
    }

    /// Keeps what was found of a group's plan.
    pub(super) fn keep(&mut self, group: &GroupName, plan: String, shown: Shown) {
        self.of_plans.insert(group.clone(), (plan, shown));
    }
}
