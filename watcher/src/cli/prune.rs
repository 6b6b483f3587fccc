//! `fleetwright prune`: removes what Argo CD still has and git no longer wants.

use std::time::Duration;

use renderer::plural::{agrees, counted};
use serde_json::json;

use super::options::{HubArgs, LONGEST_SILENCE, Target, time};
use super::runtime::until_stopped;
use super::{Exit, Global, print_report};
use crate::argocd::{Removal, digest, removals};
use crate::error::CommandError;
use crate::events::Cancel;
use crate::live::{self, Hubs, View};

/// What becomes of what was deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Resources {
    /// It stays on the clusters, and nothing manages it.
    Keep,
    /// It is deleted.
    Delete,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    hub: HubArgs,
    /// Keep or delete what the Applications deployed on their clusters.
    #[arg(long, value_name = "WHAT", default_value = "keep")]
    resources: Resources,
    /// Remove what the plan with this digest names; without it the plan is only shown.
    #[arg(long, value_name = "DIGEST")]
    confirm: Option<String>,
    /// Wait no longer than this, such as `90s`, `10m` or `1h`.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    timeout: Duration,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let Target { fleet, .. } = args.hub.target(global)?;
    until_stopped(async |cancel: &Cancel| {
        // What is removed is removed on the hub that was named, and on no other.
        let watched = async {
            let client = args.hub.answering().await?;
            let fleet = Hubs::named(&client, fleet).await?;
            let view = View::start(client, fleet.namespace(), LONGEST_SILENCE).await?;
            Ok::<_, CommandError>((fleet, view))
        };
        let (fleet, mut view) = cancel.during(watched).await??;
        let plan = removals(&live::leftovers(&view, &fleet), args.resources == Resources::Delete);
        let digest = digest(&plan);
        if !args.is_confirmed(&plan, &digest)? {
            global.show(|| document(&digest, &plan, &plan), || args.text(&plan, &digest));
            return Ok(Exit::Done);
        }
        let show = |removal: &Removal| print_report(&format!("removed {}", removal.line()));
        let left = live::prune(&mut view, &fleet, plan.clone(), args.timeout, cancel, show).await?;
        let removed = counted(plan.len() - left.len(), "object");
        global.show(|| document(&digest, &plan, &left), || format!("removed {removed}\n"));
        Ok(end(&left))
    })
}

impl Args {
    fn is_confirmed(&self, plan: &[Removal], digest: &str) -> Result<bool, CommandError> {
        match self.confirm.as_deref() {
            None => Ok(false),
            Some(_) if plan.is_empty() => Ok(false),
            Some(confirmed) if confirmed == digest => Ok(true),
            Some(confirmed) => Err(CommandError::usage(
                format!("the plan is not `{}` but `{digest}`", confirmed.escape_debug()),
                "look at it again with `fleetwright prune`",
            )),
        }
    }

    fn text(&self, plan: &[Removal], digest: &str) -> String {
        if plan.is_empty() {
            return "nothing is left over\n".to_owned();
        }
        let lines: Vec<_> = plan.iter().map(|removal| format!("  {}", removal.line())).collect();
        let resources = if self.resources == Resources::Delete { " --resources delete" } else { "" };
        format!(
            "git no longer wants these, which are removed in this order:\n{}\n\
             remove them with `fleetwright prune{resources} --confirm {digest}`\n",
            lines.join("\n")
        )
    }
}

fn document(digest: &str, plan: &[Removal], left: &[Removal]) -> serde_json::Value {
    json!({ "digest": digest, "removals": plan, "left": left })
}

fn end(left: &[Removal]) -> Exit {
    if left.is_empty() {
        return Exit::Done;
    }
    for removal in left {
        print_report(&format!("left: {}", removal.line()));
    }
    let verb = agrees(left.len(), "is", "are");
    let hint =
        "start it again, and it goes on where it was; `fleetwright status` shows what holds an Application";
    print_report(&format!("error: {} {verb} still there\n  hint: {hint}", counted(left.len(), "object")));
    Exit::Cluster
}
