//! What a group has come to, for the groups after it: released, still on its way, or stopped.
//!
//! It follows from what Argo CD reports and from the time alone: nothing is remembered between two looks.

use std::time::{Duration, SystemTime};

use super::judge::State;
use super::rollout::{ApplicationState, Rollout};

/// What a group has come to. Of several hubs the greatest counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wave {
    /// All of it is synced and healthy, and has been for long enough; or Argo CD runs nothing of it.
    Released,
    /// All of it is synced and healthy, and is released at this moment if it stays so.
    Soaking(SystemTime),
    /// Some of it is not synced and healthy yet.
    Open,
    /// Some of it will not become so by itself.
    Stopped(Stop),
}

/// What will not become synced and healthy by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stop {
    /// The first such Application.
    pub application: String,
    /// Why.
    pub reason: String,
}

/// How long a group has to stay synced and healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soaked {
    /// For so long.
    pub long: Duration,
    /// Not counted from before its files were merged.
    pub merged: SystemTime,
}

/// Decides what a group has come to of which this became.
#[must_use]
pub fn wave(rollout: &Rollout, soaked: Soaked, now: SystemTime) -> Wave {
    if rollout.applications.iter().all(|it| it.is_root) {
        return Wave::Released;
    }
    match rollout.state() {
        State::Failed => rollout.open().next().map_or(Wave::Open, |it| Wave::Stopped(stop(it))),
        State::Waiting | State::Progressing => Wave::Open,
        State::Done => {
            // The root changes with every group; what it brings in is what counts.
            let own = rollout.applications.iter().filter(|it| !it.is_root);
            let since = own.filter_map(|it| it.changed).fold(soaked.merged, SystemTime::max);
            match since.checked_add(soaked.long) {
                Some(until) if !soaked.long.is_zero() && now < until => Wave::Soaking(until),
                _ => Wave::Released,
            }
        }
    }
}

fn stop(it: &ApplicationState) -> Stop {
    Stop { application: it.key.name.clone(), reason: it.reason.clone().unwrap_or_default() }
}

impl Stop {
    /// Returns what a group has come to that was stopped before, at the same revision.
    ///
    /// What failed goes on being tried, and would seem to be on its way each time; of several that fail the same one stays
    /// named.
    pub(crate) fn lasts(self, rollout: &Rollout, now: Wave) -> Wave {
        let is_open = rollout.open().any(|it| it.key.name == self.application);
        match now {
            Wave::Open | Wave::Stopped(_) if is_open => Wave::Stopped(self),
            now => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MERGED: u64 = 1_000;
    const SOAK: u64 = 100;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn application(name: &str, state: State, changed: u64) -> ApplicationState {
        ApplicationState {
            key: crate::cluster::Key { namespace: "argocd".into(), name: name.into() },
            is_root: name == "root",
            group: Some("canary".into()),
            cluster: "eu-1".into(),
            addon: None,
            state,
            reason: (state != State::Done).then(|| "it is Degraded".into()),
            sync: None,
            health: None,
            revision: None,
            since: None,
            changed: Some(at(changed)),
            is_refreshing: false,
            lagging_set: None,
        }
    }

    fn it_is_degraded(name: &str) -> Stop {
        Stop { application: name.into(), reason: "it is Degraded".into() }
    }

    #[test]
    fn what_was_stopped_stays_so_until_what_stopped_it_is_done() {
        let of = |states: [State; 2]| {
            let applications = [application("log", states[0], 0), application("web", states[1], 0)];
            let rollout = Rollout { applications: applications.into(), ..Rollout::default() };
            let soaked = Soaked { long: Duration::ZERO, merged: at(0) };
            let now = wave(&rollout, soaked, at(9));
            it_is_degraded("web").lasts(&rollout, now)
        };
        for (states, expected) in [
            ([State::Done, State::Progressing], Wave::Stopped(it_is_degraded("web"))),
            ([State::Failed, State::Failed], Wave::Stopped(it_is_degraded("web"))),
            ([State::Failed, State::Done], Wave::Stopped(it_is_degraded("log"))),
            ([State::Waiting, State::Done], Wave::Open),
            ([State::Done, State::Done], Wave::Released),
        ] {
            assert_eq!(of(states), expected, "{states:?}");
        }
    }

    #[test]
    fn a_group_is_released_once_all_of_it_was_healthy_for_long_enough() {
        use State::{Done, Failed, Progressing, Waiting};
        let soaking = |until| Wave::Soaking(at(until));
        let stopped = || Wave::Stopped(it_is_degraded("web"));
        for (applications, soak, now, expected) in [
            (&[][..], SOAK, 1_001, Wave::Released),
            (&[("root", Waiting, 0)], SOAK, 1_001, Wave::Released),
            (&[("root", Done, 0), ("web", Done, 5)], SOAK, 1_099, soaking(1_100)),
            (&[("root", Done, 0), ("web", Done, 5)], SOAK, 1_100, Wave::Released),
            (&[("root", Done, 0), ("web", Done, 5)], 0, 1_000, Wave::Released),
            (&[("web", Done, 1_050), ("log", Done, 1_080)], SOAK, 1_179, soaking(1_180)),
            (&[("root", Done, 1_170), ("web", Done, 1_050)], SOAK, 1_150, Wave::Released),
            (&[("web", Done, 1_050), ("log", Progressing, 1_080)], SOAK, 5_000, Wave::Open),
            (&[("root", Waiting, 0), ("web", Done, 1_050)], SOAK, 5_000, Wave::Open),
            (&[("log", Waiting, 0), ("web", Failed, 1_050)], SOAK, 1_060, stopped()),
            (&[("web", Failed, 1_050)], 0, 9_000, stopped()),
            // A clock that is behind the cluster's waits for it.
            (&[("web", Done, 2_000)], SOAK, 1_500, soaking(2_100)),
        ] {
            let of = |(name, state, changed): &(&str, State, u64)| application(name, *state, *changed);
            let rollout =
                Rollout { applications: applications.iter().map(of).collect(), ..Rollout::default() };
            let soaked = Soaked { long: Duration::from_secs(soak), merged: at(MERGED) };
            assert_eq!(wave(&rollout, soaked, at(now)), expected, "{applications:?} at {now}");
        }
    }
}
