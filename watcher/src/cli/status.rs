//! `fleetwright status`: what Argo CD made of the fleet.

use std::time::SystemTime;

use super::options::{HubArgs, LONGEST_SILENCE, Target};
use super::runtime::until_stopped;
use super::{Exit, Global, print_text};
use crate::argocd::{self, Question, Silent, destinations, rollout};
use crate::error::CommandError;
use crate::events::{Cancel, Stopped};
use crate::live::{Known, Spokes, View};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    hub: HubArgs,
    /// Print a page in Markdown.
    #[arg(long, conflicts_with = "format")]
    markdown: bool,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let mut target = args.hub.target(global)?;
    until_stopped(async |cancel: &Cancel| {
        let view = View::of_hub(args.hub.client().await?, &mut target.fleet, LONGEST_SILENCE, cancel).await?;
        let (mut spokes, clusters) = (Spokes::default(), destinations(&target.fleet, view.observed(), None));
        tokio::select! {
            () = spokes.ask(view.client(), target.fleet.namespace(), clusters) => {}
            () = cancel.requested() => return Err(Stopped.into()),
        }
        show(global, args, &target, &view, spokes.silent());
        Ok(Exit::Done)
    })
}

fn show(global: &Global, args: &Args, target: &Target, view: &View, silent: &Silent) {
    let Target { upstream, revision, fleet } = target;
    let (now, short) = (SystemTime::now(), revision.short());
    let question = Question { fleet, revision: &short, silent, now };
    let (mut known, repository) = (Known::new(*revision), upstream.repository());
    let rollout = rollout(question, view.observed(), |commit| known.reach(repository, commit));
    if args.markdown {
        print_text(&argocd::markdown(&rollout, now));
    } else {
        global.show(
            || argocd::document(&rollout, &revision.to_string()),
            || format!("at {short}\n{}", argocd::text(&rollout, now, global.all)),
        );
    }
}
