//! `fleetwright wait`: until a revision is synced and healthy.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use renderer::plural::{agrees, counted, quoted};
use tokio::time::Instant;

use super::options::{HubArgs, Target, time};
use super::runtime::until_stopped;
use super::{Exit, Global, print_report};
use crate::argocd::{self, DesiredFleet, Rollout, State};
use crate::cluster::Key;
use crate::error::CommandError;
use crate::events::Cancel;
use crate::live::{Ended, Hubs, Wait};
use crate::output::Progress;

/// How many changes are reported at once.
const MOST_CHANGES: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    hub: HubArgs,
    /// Wait for this group only; the Applications that bring in all others are waited for in any case.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Wait no longer than this, such as `90s`, `10m` or `1h`.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    timeout: Duration,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let Target { upstream, revision, fleet } = args.hub.target(global)?;
    let group = args.group.as_deref();
    check_group(&fleet, group)?;
    until_stopped(async |cancel: &Cancel| {
        let deadline = Instant::now() + args.timeout;
        let mut hubs = Hubs::watch(args.hub.client().await?, fleet, args.timeout, cancel).await?.all()?;
        let progress = global.progress("wait");
        let mut reported = BTreeMap::new();
        let wait = Wait { upstream: &upstream, revision, group, deadline };
        let (ended, rollout) =
            wait.run(&mut hubs, cancel, |rollout| report(&progress, &mut reported, rollout)).await?;
        drop(progress);
        global.show(
            || argocd::document(&rollout, &revision.to_string()),
            || argocd::text(&rollout, SystemTime::now(), global.all),
        );
        Ok(end(ended, &rollout, args.timeout))
    })
}

pub(super) fn check_group(fleet: &DesiredFleet, group: Option<&str>) -> Result<(), CommandError> {
    match group {
        Some(group) if !fleet.groups.iter().any(|known| known == group) => Err(CommandError::usage(
            format!("there is no group `{}`", group.escape_debug()),
            format!("the groups are {}", quoted(&fleet.groups)),
        )),
        _ => Ok(()),
    }
}

/// Shows how far it is, and each Application whose state or reason has changed.
pub(super) fn report(
    progress: &Progress,
    reported: &mut BTreeMap<(String, Key), (State, Option<String>)>,
    rollout: &Rollout,
) {
    let is_first = reported.is_empty();
    let mut lines = Vec::new();
    for it in &rollout.applications {
        let now = (it.state, it.reason.clone());
        let before = reported.insert((it.cluster.clone(), it.key.clone()), now.clone());
        // Of what is done from the start only the count is shown.
        if before.as_ref() != Some(&now) && !(is_first && it.state == State::Done) {
            lines.push(it.to_string());
        }
    }
    progress.reach(rollout.count(State::Done), rollout.applications.len());
    progress.beside(|| {
        lines.iter().take(MOST_CHANGES).for_each(|line| print_report(line));
        if let Some(more) = lines.len().checked_sub(MOST_CHANGES).filter(|more| *more > 0) {
            print_report(&format!("… and {}", counted(more, "more change")));
        }
    });
}

/// Reports why it is not done, and returns the code for it.
fn end(ended: Ended, rollout: &Rollout, timeout: Duration) -> Exit {
    let (number, what, hint) = match ended {
        Ended::Done => return Exit::Done,
        Ended::Failed => (
            rollout.count(State::Failed),
            "not become synced and healthy without a change",
            "the reasons are above; correct them in git, or take the change back",
        ),
        Ended::TimedOut => (
            rollout.open().count(),
            "not synced and healthy in time",
            "wait longer with `--timeout`, or look at the reasons above",
        ),
    };
    let applications = counted(number, "Application");
    let verb = match ended {
        Ended::TimedOut => agrees(number, "is", "are"),
        _ => "will",
    };
    let time =
        if ended == Ended::TimedOut { format!(" after {} s", timeout.as_secs()) } else { String::new() };
    print_report(&format!("error: {applications} {verb} {what}{time}\n  hint: {hint}"));
    Exit::Cluster
}
