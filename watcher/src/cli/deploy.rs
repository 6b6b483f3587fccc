//! `fleetwright deploy`: follow a revision until a group runs it, and report what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use renderer::path::RepoPath;
use renderer::render::Rendered;
use renderer::verify::checks;

use super::options::{HubArgs, ProfileArgs, Target, time};
use super::runtime::until_stopped;
use super::verify::rendered;
use super::wait::{check_group, report};
use super::{Exit, Global, print_json, print_report, print_text};
use crate::argocd;
use crate::deploy::{Actions, Deploy, Outcome, Reports, Subject};
use crate::error::CommandError;
use crate::events::Cancel;
use crate::forge::Home;
use crate::forge::github::{self, Clock};
use crate::git::{Repository, Revision};
use crate::identity::Identity;
use crate::notify::Threads;
use crate::run::changes;
use crate::verify;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    hub: HubArgs,
    /// Deploy this group; the groups before it have to be synced and healthy at the revision, too.
    #[arg(long, value_name = "GROUP")]
    group: String,
    /// Wait no longer than this, such as `90s`, `10m` or `1h`.
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = time)]
    timeout: Duration,
    /// Name this address as the environment's, such as that of Argo CD.
    #[arg(long, value_name = "URL")]
    environment_url: Option<String>,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let Target { upstream, revision, fleet } = args.hub.target(global)?;
    check_group(&fleet, Some(&args.group))?;
    let actions = Actions::of_variables(|name| env::var(name).ok());
    let subject = Subject::read(upstream.repository(), revision, &fleet, &args.group)?;
    let home = home(&actions);
    until_stopped(async |cancel: &Cancel| {
        let forge = home.forge(&upstream);
        let reports = Reports::begin(
            (&*forge, Threads::from_environment(&subject.clusters)),
            (&actions, &subject),
            args.environment_url.as_deref(),
        );
        let progress = global.progress("deploy");
        let (mut reported, mut shown) = (BTreeMap::new(), String::new());
        let result = async {
            let own = fleet.clusters(&args.group);
            let rendered = rendered(global, upstream.repository(), revision, &ProfileArgs::default())?;
            let stale = stale(&rendered, upstream.repository(), revision, &own)?;
            let checks = checks(&rendered, |cluster| own.contains(cluster.name.as_str()));
            let checks = checks.map_err(|problems| CommandError::Problems { problems })?;
            let client = args.hub.client().await?;
            let deploy = Deploy {
                upstream: &upstream,
                revision,
                fleet,
                group: &args.group,
                stale,
                checks,
                timeout: args.timeout,
            };
            let show = |group: &str, rollout: &argocd::Rollout| {
                if shown != group {
                    reported.clear();
                    group.clone_into(&mut shown);
                }
                report(&progress, &mut reported, rollout);
            };
            deploy.follow(client, cancel, show).await
        }
        .await;
        drop(progress);
        reports.end(&result);
        let outcome = result?;
        show(global, &outcome, &subject);
        Ok(outcome.exit())
    })
}

/// Returns where deployments are recorded: on GitHub, if a workflow runs this that was given a token.
fn home(actions: &Actions) -> Home {
    let token = env::var("GITHUB_TOKEN").ok().filter(|token| !token.is_empty());
    let Some((place, token)) = actions.place.clone().zip(token) else { return Home::Local };
    let client = github::Client::new(place, Identity::of_token(token.into()), Clock::system());
    Home::GitHub(Arc::new(client))
}

/// Returns the rendered files of some clusters that are not what the inputs render to.
fn stale(
    rendered: &Rendered,
    repository: &Repository,
    revision: Revision,
    clusters: &BTreeSet<&str>,
) -> Result<Vec<RepoPath>, CommandError> {
    let changes = changes::not_current(repository, revision, rendered)?;
    let of_group = changes.into_iter().filter(|(cluster, _)| clusters.contains(cluster.as_str()));
    Ok(of_group.map(|(_, path)| path).collect())
}

fn show(global: &Global, outcome: &Outcome, subject: &Subject) {
    if global.is_json() {
        return print_json(&outcome.to_json(subject));
    }
    if let Outcome::NotCurrent(files) = outcome {
        for file in files {
            print_text(&format!("{file}\n"));
        }
    }
    if let Some(rollout) = outcome.rollout() {
        print_text(&argocd::text(rollout, SystemTime::now(), global.all));
    }
    if !outcome.findings().is_empty() {
        print_text(&format!("\n{}", verify::text(outcome.findings(), global.all)));
    }
    if let Some(report) = outcome.report(subject) {
        print_report(&report);
    }
}
