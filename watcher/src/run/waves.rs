//! Waves: what each group has come to on its clusters, which the groups after it wait for.
//!
//! It follows from git and from what Argo CD reports. What is remembered saves reading a revision again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use renderer::inventory::{Group, Groups, Soak};
use renderer::path::{ClusterName, GroupName};
use renderer::root::APPLICATIONS;
use renderer::visible::visible;

use super::context::Context;
use super::gate::{Health, Hold};
use super::report::Why;
use super::rollouts::Rollouts;
use super::worker::Workers;
use crate::argocd::{DesiredFleet, Soaked, Stop, Wave};
use crate::error::CommandError;
use crate::git::{GitError, Revision};
use crate::live::{Look, Standing, Standings, Watched};

/// What is known of the groups on their clusters.
#[derive(Debug, Default)]
pub(super) struct Waves {
    desired: Option<(Revision, DesiredFleet)>,
    rollouts: Rollouts,
}

/// What was asked about, and the answer.
pub(super) struct Seen {
    pub watched: Vec<Watched>,
    pub standings: Standings,
}

impl Waves {
    /// Asks what became of the groups at the tip of the base branch, if an Argo CD is asked. What keeps that from being
    /// known keeps no pull request from being opened.
    pub(super) fn look(
        &mut self,
        run: &Context<'_>,
        workers: &mut Workers,
        tip: Revision,
        groups: &Groups,
        clusters: &BTreeMap<ClusterName, GroupName>,
    ) -> Result<Option<Seen>, CommandError> {
        let Some(hubs) = run.hubs else { return Ok(None) };
        let fleet = match self.desired(run, workers, tip) {
            Err(error @ CommandError::Stopped(_)) => return Err(error),
            Err(error) => {
                let standings = groups.iter().map(|_| Err(error.message())).collect();
                return Ok(Some(Seen { watched: Vec::new(), standings }));
            }
            Ok(fleet) => fleet.clone(),
        };
        let watched = watched(run, tip, groups, clusters)?;
        let look = Look { fleet, watched: watched.clone(), repository: run.repository().reopen()? };
        Ok(Some(Seen { watched, standings: hubs.look(look) }))
    }

    /// Reports what became of what is merged.
    pub(super) fn report(&mut self, run: &Context<'_>, seen: &Seen) -> Result<(), CommandError> {
        let Some((_, fleet)) = &self.desired else { return Ok(()) };
        self.rollouts.report(run, fleet, &seen.watched, &seen.standings)
    }

    fn desired(
        &mut self,
        run: &Context<'_>,
        workers: &mut Workers,
        tip: Revision,
    ) -> Result<&DesiredFleet, CommandError> {
        let known = self.desired.take().filter(|(known, _)| *known == tip);
        let (_, fleet) = self.desired.insert(match known {
            Some(known) => known,
            None => (tip, workers.desired(run, tip)?),
        });
        Ok(fleet)
    }
}

/// Returns the groups, each at the commit that made its rendered files what they are.
fn watched(
    run: &Context<'_>,
    tip: Revision,
    groups: &Groups,
    clusters: &BTreeMap<ClusterName, GroupName>,
) -> Result<Vec<Watched>, GitError> {
    // A group without clusters would be looked for through all of history.
    let inhabited: BTreeSet<&GroupName> = clusters.values().collect();
    let inhabited: Vec<_> = inhabited.into_iter().collect();
    let place = |group: &GroupName| inhabited.iter().position(|known| *known == group);
    let repository = run.repository();
    let set_of = |folder: &str| place(clusters.get(folder)?);
    let revisions = repository.newest_of_folders(tip, APPLICATIONS, inhabited.len(), set_of)?;
    let watched = groups.iter().map(|group| {
        let revision = place(&group.name).map_or(tip, |place| revisions[place]);
        let seconds = repository.commit_summary(revision)?.committer.seconds;
        let merged = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0));
        let long = group.soak.map(Soak::duration).unwrap_or_default();
        Ok(Watched { group: group.name.to_string(), revision, soaked: Soaked { long, merged } })
    });
    watched.collect()
}

/// Returns what each group has come to for those after it.
pub(super) fn health(groups: &Groups, standings: &Standings) -> Vec<Health> {
    let of = |(at, group): (usize, &Group)| match standings.get(at) {
        Some(Ok(Standing { wave, rollout })) => Health {
            hold: hold(group, wave),
            unasked: rollout.unasked.iter().map(|unasked| unasked.hub.clone()).collect(),
        },
        Some(Err(reason)) => Health { hold: Some(unknown(reason)), ..Health::default() },
        None => Health { hold: Some(unknown("")), ..Health::default() },
    };
    groups.iter().enumerate().map(of).collect()
}

fn unknown(reason: &str) -> Hold {
    let reason = format!("waits: Argo CD cannot be asked: {}", visible(reason));
    Hold { why: Why::Unknown, reason }
}

/// The texts stay as they are while the state does: GitHub takes 1,000 statuses of a commit.
fn hold(Group { name, soak, .. }: &Group, wave: &Wave) -> Option<Hold> {
    let (why, reason) = match wave {
        Wave::Released => return None,
        Wave::Open => (Why::Waiting, format!("waits until {name} is synced and healthy")),
        Wave::Soaking(until) => {
            let soak = soak.map(String::from).unwrap_or_default();
            (Why::Soaking, format!("waits until {}: {name} is healthy, for {soak} by then", moment(*until)))
        }
        Wave::Stopped(Stop { application, reason }) => {
            let stopped = format!("stopped by {name}: {}: {}", visible(application), visible(reason));
            (Why::Stopped, stopped)
        }
    };
    Some(Hold { why, reason })
}

/// Returns a moment to the second, rounded up.
fn moment(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis().div_ceil(1_000);
    let at = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.map_or_else(|| "later".to_owned(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(soak: Option<&str>) -> Group {
        serde_json::from_value(serde_json::json!({ "name": "canary", "soak": soak })).unwrap()
    }

    #[test]
    fn a_reason_names_the_group_and_stays_as_it_is_while_nothing_new_is_known() {
        let text = |wave: Wave| {
            let hold = hold(&group(Some("30m")), &wave)?;
            Some(format!("{:?}: {}", hold.why, hold.reason))
        };
        let until = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_001);
        assert_eq!(text(Wave::Released), None);
        assert_eq!(text(Wave::Open).unwrap(), "Waiting: waits until canary is synced and healthy");
        assert_eq!(
            text(Wave::Soaking(until)).unwrap(),
            "Soaking: waits until 2026-01-01T00:00:01Z: canary is healthy, for 30m by then"
        );
        let stop = Stop { application: "web".into(), reason: "it is \u{202e}Degraded".into() };
        assert_eq!(
            text(Wave::Stopped(stop)).unwrap(),
            "Stopped: stopped by canary: web: it is \\u{202e}Degraded"
        );
    }

    #[test]
    fn what_is_not_known_holds_every_group() {
        let reasons = |standings| -> Vec<String> {
            health(&Groups::default(), &standings).into_iter().map(|it| it.hold.unwrap().reason).collect()
        };
        let asked = "waits: Argo CD cannot be asked: ";
        assert_eq!(
            reasons(vec![Err("no answer".to_owned()); 2]),
            [format!("{asked}no answer"), format!("{asked}no answer")]
        );
        assert_eq!(reasons(Vec::new()), [asked, asked]);
    }
}
