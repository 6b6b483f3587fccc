//! `fleetwright status`: what Argo CD made of the fleet.

use std::time::SystemTime;

use super::options::{HubArgs, LONGEST_SILENCE, Target};
use super::runtime::until_stopped;
use super::{Exit, Global, print_text};
use crate::argocd::{self, HubFleet, Question, Rollout, Silent, destinations, rollout};
use crate::error::CommandError;
use crate::events::Cancel;
use crate::git::Revision;
use crate::live::{Hubs, Known, Spokes, View};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    hub: HubArgs,
    /// Print a page in Markdown.
    #[arg(long, conflicts_with = "format")]
    markdown: bool,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let target = args.hub.target(global)?;
    until_stopped(async |cancel: &Cancel| {
        let client = cancel.during(args.hub.answering()).await??;
        let hubs = Hubs::watch(client, target.fleet.clone(), LONGEST_SILENCE, cancel).await?;
        let mut all = Rollout { unasked: hubs.unasked(None), ..Rollout::default() };
        for (fleet, view) in &hubs.asked {
            let (mut spokes, clusters) = (Spokes::default(), destinations(fleet, view.observed(), None));
            cancel.during(spokes.ask(view.client(), fleet.namespace(), clusters)).await?;
            all = all.and(of_hub(&target, fleet, view, spokes.silent()), &fleet.groups);
        }
        show(global, args, target.revision, &all);
        Ok(Exit::Done)
    })
}

fn of_hub(target: &Target, fleet: &HubFleet, view: &View, silent: &Silent) -> Rollout {
    let revision = target.revision.short();
    let question = Question { fleet, revision: &revision, silent, now: SystemTime::now() };
    let (mut known, repository) = (Known::new(target.revision), target.upstream.repository());
    rollout(question, view.observed(), |commit| known.reach(repository, commit))
}

fn show(global: &Global, args: &Args, revision: Revision, rollout: &Rollout) {
    let (now, short) = (SystemTime::now(), revision.short());
    if args.markdown {
        print_text(&argocd::markdown(rollout, now));
    } else {
        global.show(
            || argocd::document(rollout, &revision.to_string()),
            || format!("at {short}\n{}", argocd::text(rollout, now, global.all)),
        );
    }
}
