//! A deployment: a revision is followed until a group runs it, and what became of it is reported wherever people look.
//!
//! Argo CD deploys; this waits for it, after the groups that come first, and then asks the clusters what has to hold of
//! them. The result follows from git and from what these report; a report that does not arrive is a warning, and changes
//! nothing of it.

mod actions;
mod notices;
mod outcome;
mod page;
mod reports;
mod subject;

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use renderer::path::RepoPath;
use renderer::verify::Check;
use tokio::time::Instant;

use crate::argocd::{DesiredFleet, Rollout};
use crate::cluster::Client;
use crate::error::CommandError;
use crate::events::Cancel;
use crate::git::{Revision, Upstream};
use crate::live::{self, Clusters, Ended, Hubs, Wait};
use crate::verify::Finding;

pub use actions::Actions;
pub(crate) use notices::Notices;
pub use outcome::Outcome;
pub(crate) use page::{Ending, standing_of};
pub use reports::Reports;
pub use subject::Subject;

/// How long checks have after a deployment that took all of its time: samples come with the next scrape.
const LAG: Duration = Duration::from_mins(1);

/// What is deployed, and how long that may take.
pub struct Deploy<'a> {
    /// Where commits are.
    pub upstream: &'a Upstream,
    /// The revision.
    pub revision: Revision,
    /// What it asks for.
    pub fleet: DesiredFleet,
    /// The group.
    pub group: &'a str,
    /// The rendered files of the group that are not what the inputs of the revision render to.
    pub stale: Vec<RepoPath>,
    /// What is asked of clusters once they are synced and healthy.
    pub checks: Vec<Check>,
    /// How long to wait for everything together.
    pub timeout: Duration,
}

impl Deploy<'_> {
    /// Waits for the groups that come first and for this one. `show` is given what became of a group so far.
    pub async fn follow(
        mut self,
        client: Client,
        cancel: &Cancel,
        mut show: impl FnMut(&str, &Rollout),
    ) -> Result<Outcome, CommandError> {
        if !self.stale.is_empty() {
            return Ok(Outcome::NotCurrent(self.stale));
        }
        let deadline = Instant::now() + self.timeout;
        let groups = self.fleet.groups.clone();
        let fleet = std::mem::take(&mut self.fleet);
        let mut hubs = Hubs::watch(client, fleet, self.timeout, cancel).await?.all()?;
        let first = groups.iter().take_while(|group| *group != self.group);
        for group in first.map(String::as_str).chain([self.group]) {
            let wait =
                Wait { upstream: self.upstream, revision: self.revision, group: Some(group), deadline };
            let (ended, rollout) = wait.run(&mut hubs, cancel, |rollout| show(group, rollout)).await?;
            match ended {
                Ended::Done if group == self.group => {
                    let findings = self.verify(&hubs, deadline, cancel).await?;
                    let is_open = findings.iter().any(|finding| finding.verdict.is_open());
                    let outcome = if is_open { Outcome::Unverified } else { Outcome::Done };
                    return Ok(outcome(rollout, findings));
                }
                Ended::Done => {}
                ended if group != self.group => {
                    return Ok(Outcome::Blocked { by: group.to_owned(), ended, rollout });
                }
                Ended::Failed => return Ok(Outcome::Failed(rollout)),
                Ended::TimedOut => return Ok(Outcome::TimedOut(rollout)),
            }
        }
        Err(CommandError::unexpected("deploy", io::Error::other("the group is not one of the fleet")))
    }

    /// Asks the group's clusters, of the hubs that are asked, what is to be verified. What was just deployed lags: there is some time for it in
    /// any case.
    async fn verify(
        &self,
        hubs: &Hubs,
        deadline: Instant,
        cancel: &Cancel,
    ) -> Result<Vec<Finding>, CommandError> {
        let own: BTreeSet<_> =
            hubs.asked.iter().flat_map(|(fleet, _)| fleet.clusters(Some(self.group))).collect();
        let is_own = |check: &&Check| own.contains(check.cluster.as_str());
        let checks: Vec<_> = self.checks.iter().filter(is_own).cloned().collect();
        let reached = Clusters::of(hubs.asked.iter().map(|(fleet, view)| (fleet, view.client())));
        let deadline = deadline.max(Instant::now() + LAG.min(self.timeout));
        Ok(live::verify(&checks, &reached, deadline, cancel, |_| {}).await?)
    }
}
