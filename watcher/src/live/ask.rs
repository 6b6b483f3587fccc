//! Which Applications are asked to be compared again, and when waiting ends: decided from what became of them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::argocd::{ApplicationState, Rollout, State};
use crate::cluster::Key;

/// How long an Application has after it was asked before it is asked again.
const AGAIN_AFTER: Duration = Duration::from_mins(1);
/// How many are asked at once: each costs Argo CD a comparison.
const MOST_AT_ONCE: usize = 50;

/// What is done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Everything is Synced and Healthy.
    Done,
    /// Something will not become so by itself.
    Failed,
    /// These are asked to be compared again; those that were asked before, without what was rendered for them before.
    Ask(Vec<(Key, &'static str)>),
    /// There is nothing to do but wait.
    Wait,
}

/// Which Applications were asked, and when.
#[derive(Debug, Default)]
pub(super) struct Asked(BTreeMap<Key, Instant>);

impl Asked {
    /// Decides what is done next.
    ///
    /// A failure counts once Argo CD has compared again: before that it may be one of an older revision. Those that
    /// bring in the others come first, since the others change by them.
    pub(super) fn next(&self, rollout: &Rollout, now: Instant) -> Next {
        if rollout.state() == State::Done {
            return Next::Done;
        }
        let was_asked = |it: &&ApplicationState| self.0.contains_key(&it.key);
        if rollout.applications.iter().filter(was_asked).any(|it| it.state == State::Failed) {
            return Next::Failed;
        }
        let is_open = |it: &&ApplicationState| it.state != State::Done;
        let (roots, others): (Vec<_>, Vec<_>) =
            rollout.applications.iter().filter(is_open).partition(|it| it.is_root);
        let first = if roots.is_empty() { others } else { roots };
        let due: Vec<_> = first.into_iter().filter_map(|it| self.due(it, now)).take(MOST_AT_ONCE).collect();
        if due.is_empty() { Next::Wait } else { Next::Ask(due) }
    }

    fn due(&self, it: &ApplicationState, now: Instant) -> Option<(Key, &'static str)> {
        // What is not there cannot be asked.
        it.sync?;
        match self.0.get(&it.key) {
            None => Some((it.key.clone(), "normal")),
            Some(at) if it.state == State::Waiting && now.duration_since(*at) >= AGAIN_AFTER => {
                Some((it.key.clone(), "hard"))
            }
            Some(_) => None,
        }
    }

    pub(super) fn note(&mut self, key: &Key, now: Instant) {
        self.0.insert(key.clone(), now);
    }
}
