//! `fleetwright rollback`: one pull request that takes a change back.

use renderer::plan::{Budget, text};

use super::options::{ForgeName, HelmArgs, RemoteArgs};
use super::runtime::{until_stopped, worker_settings};
use super::{Exit, Global, print_json, print_lines, print_text};
use crate::error::CommandError;
use crate::events::Cancel;
use crate::run::{RollbackReport, RolledBack, Settings, Target, rollback};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to take back: the number of a merged pull request, or a commit; the default is the newest change of the
    /// inputs.
    #[arg(value_name = "PULL|REVISION")]
    target: Option<Target>,
    /// Take it back on this branch; the default is the one that HEAD is on.
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    #[command(flatten)]
    upstream: RemoteArgs,
    /// Open the pull request here; the default is GitHub if the upstream is there or `--api` or `--app-id` is given, or
    /// else the refs of the repository.
    #[arg(long, value_enum, value_name = "FORGE")]
    forge: Option<ForgeName>,
    #[command(flatten)]
    helm: HelmArgs,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let (upstream, home) = args.upstream.open_with_forge(global, args.forge)?;
    let base = match &args.base {
        Some(base) => base.clone(),
        None => upstream.head_branch()?,
    };
    let settings = Settings {
        base,
        follows_head: false,
        budget: Budget::default(),
        allow_deletions: None,
        merge_reviewed: false,
        makes_pages: false,
        pages_url: None,
        objects: args.helm.objects()?,
        worker: worker_settings()?,
    };
    let (global, target) = (global.clone(), args.target.clone().unwrap_or(Target::Newest));
    until_stopped(async |cancel: &Cancel| {
        let cancel = cancel.clone();
        let work = move || {
            let report =
                rollback((&upstream, &home, &settings), &target, (&cancel, &global.progress("render")))?;
            show(&global, &report);
            Ok(Exit::Done)
        };
        let ended = tokio::task::spawn_blocking(work).await;
        ended.map_err(|error| CommandError::unexpected("take the change back", error))?
    })
}

fn show(global: &Global, report: &RollbackReport) {
    let change = report.change.short();
    if global.is_json() {
        return print_json(&report.to_json());
    }
    match &report.done {
        RolledBack::Nothing => {
            print_text(&format!("nothing to take back: the base branch has nothing of `{change}`\n"));
        }
        RolledBack::Open { number, branch } => print_text(&format!(
            "pull request #{number} is open for `{change}` already; to begin again on the newest base, close it and delete \
             `{branch}`\n"
        )),
        RolledBack::Proposed { proposed, branch, plan, .. } => {
            let (number, word) = (proposed.number(), proposed.word());
            print_text(&format!(
                "{word} pull request #{number} from `{branch}`, which takes `{change}` back\n\n"
            ));
            print_lines(&text::summary(plan));
        }
    }
}
