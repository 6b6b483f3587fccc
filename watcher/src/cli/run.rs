//! `fleetwright run`: the service, or one run of it.

use std::time::Duration;

use renderer::plan::Budget;
use tracing::info;

use super::options::{ForgeName, HelmArgs, Listen, PagesArgs, RemoteArgs};
use super::runtime::{until_stopped, worker_settings};
use super::{Exit, Global, print_json, print_text};
use crate::argocd::Application;
use crate::cluster::{Client, ClusterError};
use crate::error::CommandError;
use crate::events::Cancel;
use crate::live::FollowedHubs;
use crate::run::{Pipeline, Settings, UNKNOWN_BASE};
use crate::service::{self, Candidate, LeaseName, Runner, Service, Term};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Make one run and end.
    #[arg(long)]
    once: bool,
    /// Use this base branch; the default is the one that HEAD is on, also when that changes.
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    #[command(flatten)]
    upstream: RemoteArgs,
    /// Keep pull requests here; the default is GitHub if the upstream is there or `--api` or `--app-id` is
    /// given, or else the refs of the repository.
    #[arg(long, value_enum, value_name = "FORGE")]
    forge: Option<ForgeName>,
    /// Look for changes that no event reported at intervals of so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    poll: u64,
    /// Allow the plan whose digest this is, or begins with this, to delete more than the budget.
    #[arg(long, value_name = "DIGEST")]
    allow_deletions: Option<String>,
    /// Merge a pull request of Fleetwright if its very change was read in the review of another one, as soon
    /// as no rule, status or check is in the way.
    #[arg(long)]
    merge_reviewed: bool,
    /// Ask the Argo CD of this context of the kubeconfig what became of each group, and release the next one once it is
    /// synced and healthy. The default is the cluster of the pod, if Argo CD is there; otherwise the merge counts.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Work only while this Lease of the cluster is held, and wait for it before: so of several replicas one works.
    #[arg(long, value_name = "NAMESPACE/NAME", conflicts_with = "once")]
    lease: Option<LeaseName>,
    /// How long the Lease is held after it was last renewed: the longest time until another replica takes over.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, requires = "lease",
          value_parser = clap::value_parser!(u32).range(3..=3600))]
    lease_seconds: u32,
    #[command(flatten)]
    listen: Listen,
    #[command(flatten)]
    pages: PagesArgs,
    #[command(flatten)]
    helm: HelmArgs,
}

impl Args {
    pub(super) const fn is_once(&self) -> bool {
        self.once
    }
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let pipeline = pipeline(global, args)?;
    let runner = Runner::new(global.repo.display().to_string(), pipeline, !global.is_json());
    until_stopped(async |cancel: &Cancel| {
        if args.once { once(global, args, runner, cancel).await } else { serve(args, runner, cancel).await }
    })
}

fn pipeline(global: &Global, args: &Args) -> Result<Pipeline, CommandError> {
    let (upstream, home) = args.upstream.open_with_forge(global, args.forge)?;
    let base = match &args.base {
        Some(base) => base.clone(),
        None => match upstream.head_branch() {
            // The first run that reaches the upstream finds it.
            Err(error) if error.is_transient() && !args.once => UNKNOWN_BASE.to_owned(),
            base => base?,
        },
    };
    let settings = Settings {
        base,
        follows_head: args.base.is_none(),
        budget: Budget::default(),
        allow_deletions: args.allow_deletions.clone(),
        merge_reviewed: args.merge_reviewed,
        makes_pages: args.pages.is_wanted(),
        pages_url: args.pages.url(),
        objects: args.helm.objects()?,
        worker: worker_settings()?,
    };
    Ok(Pipeline::new(upstream, home, settings))
}

/// Returns the cluster whose Argo CD is asked, if one is.
async fn hub(args: &Args) -> Result<Option<Client>, CommandError> {
    Ok(match &args.context {
        Some(context) => Some(Client::connect(Some(context)).await?),
        None => Client::of_own_cluster::<Application>().await?,
    })
}

async fn once(global: &Global, args: &Args, runner: Runner, cancel: &Cancel) -> Result<Exit, CommandError> {
    if let Some(hub) = hub(args).await? {
        runner.ask(FollowedHubs::follow(hub, None, cancel.clone()));
    }
    let report = service::once(runner, cancel).await?;
    if global.is_json() {
        print_json(&report.to_json());
    } else {
        print_text(&report.to_string());
    }
    report.refusal().map_or(Ok(Exit::Done), |refusal| Err(refusal.clone().into()))
}

async fn serve(args: &Args, runner: Runner, cancel: &Cancel) -> Result<Exit, CommandError> {
    let mut service = Service::new(runner);
    let repository = args.upstream.repository_name();
    let listening =
        args.listen.start(service.monitor(), repository, service.events(), service.refresh(), cancel).await?;
    let showing = args.pages.start(&service, cancel).await?;
    let tenure = match &args.lease {
        None => {
            service.monitor().set_leader();
            None
        }
        Some(lease) => {
            let (client, term) = (Client::connect(None).await?, Term::of_seconds(args.lease_seconds));
            let candidate = Candidate::new(client, lease.clone(), term, replica());
            let Some(tenure) = service.follow(candidate, cancel).await? else { return Ok(Exit::Done) };
            Some(tenure)
        }
    };
    if let Some(hub) = hub(args).await? {
        service.ask(hub, cancel);
    }
    if let Some((_, true)) = listening {
        service.sweep_deliveries(args.listen.webhook_id());
    }
    let served = service.serve(Duration::from_secs(args.poll), cancel).await;
    // Nothing is written any more.
    if let Some(tenure) = tenure
        && !tenure.release().await
    {
        return Err(ClusterError::lost_lease().into());
    }
    served?;
    for server in listening.map(|(server, _)| server).into_iter().chain(showing) {
        // It panics on nothing that anyone sends, and a panic would have been shown.
        let _ = server.await;
    }
    info!("stopped");
    Ok(Exit::Done)
}

/// Returns the name that tells this replica from others: in a pod, the pod's.
fn replica() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "fleetwright".to_owned());
    format!("{host}-{}", std::process::id())
}
