//! `fleetwright verify`: what live clusters say to the checks of the platform and of its add-ons.

use std::time::Duration;

use renderer::path::ClusterName;
use renderer::plural::{agrees, counted};
use renderer::render::Rendered;
use renderer::verify::{Check, checks};
use tokio::time::Instant;

use super::options::{HubArgs, ProfileArgs, Target, check_cluster, renderer, time};
use super::runtime::until_stopped;
use super::wait::check_group;
use super::{Exit, Global, print_report, print_text};
use crate::cluster::Client;
use crate::error::CommandError;
use crate::events::Cancel;
use crate::git::{BlobCache, Repository, Revision};
use crate::live::{self, Clusters, Hubs};
use crate::verify::{self, Finding, Verdict};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    hub: HubArgs,
    /// Ask about the clusters of this group only.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Ask about this cluster only.
    #[arg(long, value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Ask what does not hold again until it does, but no longer than this, such as `90s` or `10m`; `0s` asks once.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time)]
    timeout: Duration,
    /// Print a page in Markdown.
    #[arg(long, conflicts_with = "format")]
    markdown: bool,
    #[command(flatten)]
    profile: ProfileArgs,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let Target { upstream, revision, fleet } = args.hub.target(global)?;
    check_group(&fleet, args.group.as_deref())?;
    let rendered = rendered(global, upstream.repository(), revision, &args.profile)?;
    args.cluster.as_deref().map(|name| check_cluster(&rendered.inventory, name)).transpose()?;
    until_stopped(async |cancel: &Cancel| {
        let deadline = Instant::now() + args.timeout;
        let hubs = cancel.during(Hubs::reach(args.hub.client().await?, fleet)).await??;
        let checks = args.checks(&rendered, &hubs)?;
        let clusters = Clusters::of(hubs.asked.iter().map(|(fleet, client)| (fleet, client)));
        let progress = global.progress("verify");
        let show = |done| progress.reach(done, checks.len());
        let findings = live::verify(&checks, &clusters, deadline, cancel, show).await?;
        drop(progress);
        if args.markdown {
            print_text(&verify::markdown(&findings));
        } else {
            global.show(|| verify::document(&findings), || verify::text(&findings, global.all));
        }
        Ok(end(&findings))
    })
}

impl Args {
    /// Returns what is asked: about the clusters that were chosen, of the hubs that can be asked.
    fn checks(&self, rendered: &Rendered, hubs: &Hubs<Client>) -> Result<Vec<Check>, CommandError> {
        let is_of_group = |cluster: &ClusterName| {
            let group = rendered.inventory.group_of(cluster).map(ToString::to_string);
            self.group.is_none() || group == self.group
        };
        let checks = checks(rendered, |cluster| {
            hubs.asked.iter().any(|(fleet, _)| fleet.hub.as_ref() == Some(&cluster.hub))
                && self.cluster.as_deref().is_none_or(|name| name == cluster.name.as_str())
                && is_of_group(&cluster.name)
        });
        checks.map_err(|problems| CommandError::Problems { problems })
    }
}

/// Renders the inputs of a revision.
pub(super) fn rendered(
    global: &Global,
    repository: &Repository,
    revision: Revision,
    profile: &ProfileArgs,
) -> Result<Rendered, CommandError> {
    let (snapshot, problems) = repository.snapshot(revision, &mut BlobCache::default())?;
    global.render(&mut renderer(), &profile.chosen(snapshot)?, problems)
}

/// Reports what does not hold, and returns the code for it.
fn end(findings: &[Finding]) -> Exit {
    let number = |verdict| findings.iter().filter(|it| it.verdict == verdict).count();
    let (failed, unanswered) = (number(Verdict::Failed), number(Verdict::Unanswered));
    if failed + unanswered == 0 {
        return Exit::Done;
    }
    let verb = agrees(failed + unanswered, "does", "do");
    let checks = counted(failed + unanswered, "check");
    let hint = "what was found is above; what takes a while to arrive is asked for again with `--timeout`";
    print_report(&format!("error: {checks} {verb} not hold\n  hint: {hint}"));
    Exit::Cluster
}
