//! What Argo CD is asked to look at again, and when waiting ends: decided from what became of the Applications.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::argocd::{ApplicationState, Rollout, State};
use crate::cluster::Key;

/// How long something has after it was asked for before it is asked for again.
const AGAIN_AFTER: Duration = Duration::from_mins(1);
/// How many comparisons are asked for and not made at any time: each costs Argo CD a look at git, and some a rendering.
const MOST_AT_ONCE: usize = 50;

/// What is looked at again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// An Application, which is compared.
    Application(Key),
    /// An `ApplicationSet`, whose Applications are made.
    Set(Key),
}

/// A target, with the value of the annotation that asks for it.
pub(super) type Request = (Target, &'static str);

/// What is done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Everything is Synced and Healthy.
    Done,
    /// Something will not become so by itself.
    Failed,
    /// These are asked for.
    Ask(Vec<Request>),
    /// There is nothing to do but wait.
    Wait,
}

/// What was asked for, and when.
#[derive(Debug, Default)]
pub(super) struct Asked(BTreeMap<Target, Instant>);

impl Asked {
    /// Decides what is done next.
    ///
    /// A failure counts once Argo CD has compared again: before that it may be one of an older revision. Those that
    /// bring in the others come first, since the others change by them.
    pub(super) fn next(&self, rollout: &Rollout, now: Instant) -> Next {
        if rollout.state() == State::Done {
            return Next::Done;
        }
        let was_asked = |it: &&ApplicationState| self.0.contains_key(&Target::Application(it.key.clone()));
        if rollout.applications.iter().filter(was_asked).any(|it| it.state == State::Failed) {
            return Next::Failed;
        }
        let is_open = |it: &&ApplicationState| it.state != State::Done;
        let (roots, others): (Vec<_>, Vec<_>) =
            rollout.applications.iter().filter(is_open).partition(|it| it.is_root);
        let first = if roots.is_empty() { others } else { roots };
        let pending = rollout.applications.iter().filter(|it| it.is_refreshing).count();
        let mut due: Vec<Request> = Vec::new();
        for request in first.into_iter().filter_map(|it| self.due(it, now)) {
            if due.len() + pending >= MOST_AT_ONCE {
                break;
            }
            // Many Applications lag by one ApplicationSet, and those of one set follow each other.
            if due.last() != Some(&request) {
                due.push(request);
            }
        }
        if due.is_empty() { Next::Wait } else { Next::Ask(due) }
    }

    /// Returns what is asked for because of an Application: a comparison without what was rendered before only if one with
    /// it has not helped.
    fn due(&self, it: &ApplicationState, now: Instant) -> Option<Request> {
        let (target, first, again) = match (&it.lagging_set, it.sync) {
            (Some(set), _) => (Target::Set(set.clone()), "true", "true"),
            (None, Some(_)) => {
                let again = if it.state == State::Waiting { "hard" } else { "normal" };
                (Target::Application(it.key.clone()), "normal", again)
            }
            // What is not there cannot be asked for.
            (None, None) => return None,
        };
        match self.0.get(&target) {
            _ if it.is_refreshing => None,
            None => Some((target, first)),
            Some(at) if now.duration_since(*at) >= AGAIN_AFTER => Some((target, again)),
            Some(_) => None,
        }
    }

    pub(super) fn note(&mut self, target: Target, now: Instant) {
        self.0.insert(target, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argocd::SyncStatus;

    const MINUTE: Duration = AGAIN_AFTER;

    fn key(name: &str) -> Key {
        Key { namespace: "argocd".to_owned(), name: name.to_owned() }
    }

    fn application(name: &str, state: State) -> ApplicationState {
        ApplicationState {
            key: key(name),
            is_root: name == "root",
            group: None,
            cluster: "app".to_owned(),
            addon: None,
            state,
            reason: None,
            sync: Some(SyncStatus::OutOfSync),
            health: None,
            revision: None,
            since: None,
            changed: None,
            is_refreshing: false,
            lagging_set: None,
        }
    }

    fn lagging(name: &str, set: &str) -> ApplicationState {
        ApplicationState { lagging_set: Some(key(set)), sync: None, ..application(name, State::Waiting) }
    }

    fn refreshing(name: &str) -> ApplicationState {
        ApplicationState { is_refreshing: true, ..application(name, State::Waiting) }
    }

    fn rollout(applications: Vec<ApplicationState>) -> Rollout {
        Rollout { applications, ..Rollout::default() }
    }

    /// Returns what is done next, and notes what is asked for.
    fn next(asked: &mut Asked, applications: &[ApplicationState], now: Instant) -> String {
        match asked.next(&rollout(applications.to_vec()), now) {
            Next::Ask(due) => {
                let line = |(target, how): Request| {
                    asked.note(target.clone(), now);
                    match target {
                        Target::Application(key) => format!("{} {how}", key.name),
                        Target::Set(key) => format!("set {} {how}", key.name),
                    }
                };
                due.into_iter().map(line).collect::<Vec<_>>().join(", ")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_is_done_is_left_alone() {
        let now = Instant::now();
        assert_eq!(next(&mut Asked::default(), &[application("web", State::Done)], now), "Done");
    }

    #[test]
    fn each_is_asked_for_once_and_again_after_a_while_the_root_first() {
        let (mut asked, start) = (Asked::default(), Instant::now());
        let [root, web, loki] = ["root", "web", "loki"].map(|name| application(name, State::Waiting));
        let all = [root.clone(), web.clone(), loki.clone()];
        assert_eq!(next(&mut asked, &all, start), "root normal");
        assert_eq!(next(&mut asked, &all, start), "Wait");
        let root = ApplicationState { state: State::Done, ..root };
        let all = [root, web, ApplicationState { state: State::Progressing, ..loki }];
        assert_eq!(next(&mut asked, &all, start), "web normal, loki normal");
        assert_eq!(next(&mut asked, &all, start + MINUTE - Duration::from_secs(1)), "Wait");
        assert_eq!(next(&mut asked, &all, start + MINUTE), "web hard, loki normal");
        assert_eq!(next(&mut asked, &all, start + MINUTE), "Wait");
    }

    #[test]
    fn a_set_that_lags_is_asked_for_once_for_all_its_applications() {
        let (mut asked, start) = (Asked::default(), Instant::now());
        let all =
            [lagging("a-1", "a"), lagging("a-2", "a"), lagging("b-1", "b"), application("c", State::Waiting)];
        assert_eq!(next(&mut asked, &all, start), "set a true, set b true, c normal");
        assert_eq!(next(&mut asked, &all, start), "Wait");
        assert_eq!(next(&mut asked, &all[..1], start + MINUTE), "set a true");
    }

    #[test]
    fn what_is_not_there_and_what_is_being_compared_is_not_asked_for() {
        let gone = ApplicationState { sync: None, ..application("web", State::Waiting) };
        let all = [gone, refreshing("loki")];
        assert_eq!(next(&mut Asked::default(), &all, Instant::now()), "Wait");
    }

    #[test]
    fn no_more_is_asked_for_than_argo_cd_has_made() {
        let start = Instant::now();
        let all: Vec<_> = (0..200).map(|at| application(&at.to_string(), State::Waiting)).collect();
        let number = |applications: &[ApplicationState]| match Asked::default()
            .next(&rollout(applications.to_vec()), start)
        {
            Next::Ask(due) => due.len(),
            _ => 0,
        };
        assert_eq!(number(&all), MOST_AT_ONCE);
        let pending = |of: usize| (0..of).map(|at| refreshing(&format!("pending-{at}")));
        assert_eq!(number(&pending(30).chain(all.clone()).collect::<Vec<_>>()), MOST_AT_ONCE - 30);
        assert_eq!(number(&pending(80).chain(all).collect::<Vec<_>>()), 0);
    }

    #[test]
    fn a_failure_counts_once_it_was_asked_for() {
        let (mut asked, start) = (Asked::default(), Instant::now());
        let all = [application("web", State::Failed), application("loki", State::Waiting)];
        assert_eq!(next(&mut asked, &all, start), "web normal, loki normal");
        assert_eq!(next(&mut asked, &all, start), "Failed");
    }
}
