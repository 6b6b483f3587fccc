//! `fleetwright pulls`: the pull requests of the local forge.

use clap::Subcommand;
use renderer::visible::visible;
use serde_json::json;

use super::options::RemoteArgs;
use super::{Exit, Global};
use crate::error::CommandError;
use crate::forge::{ForgeError, LocalForge, OwnPulls as _, PullRequest, PullState};
use crate::run::{is_paused, merged_first};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    upstream: RemoteArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the open pull requests.
    List {
        /// List merged and closed ones too.
        #[arg(long)]
        all: bool,
    },
    /// Show a pull request.
    Show {
        /// Its number.
        number: u64,
    },
    /// Open a closed pull request again.
    Reopen {
        /// Its number.
        number: u64,
    },
    /// Merge a pull request into its base branch.
    Merge {
        /// Its number.
        number: u64,
    },
    /// Close a pull request without merging it.
    Close {
        /// Its number.
        number: u64,
        /// The reason, as the pull request shows it.
        #[arg(long, value_name = "TEXT", default_value = "closed by hand")]
        reason: String,
    },
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let upstream = args.upstream.open(global)?;
    let forge = LocalForge::new(&upstream);
    match &args.command {
        Command::List { all } => {
            let mut pulls = forge.list()?;
            pulls.retain(|pull| *all || pull.state == PullState::Open);
            global.show(|| json!({ "pullRequests": pulls }), || list_text(&pulls));
        }
        Command::Show { number } => {
            let pull = forge.show(*number)?;
            global.show(|| &pull, || text(&pull));
        }
        Command::Reopen { number } => {
            forge.reopen(*number)?;
            global.show(|| json!({ "number": number }), || format!("opened pull request #{number} again\n"));
        }
        Command::Merge { number } => {
            if let Some(first) = merged_first(&upstream, &forge.list()?, *number)? {
                return Err(ForgeError::not_first(*number, first).into());
            }
            let pull = forge.show(*number)?;
            if is_paused(&upstream, &pull)? {
                return Err(ForgeError::paused(*number, &pull.proposal.group).into());
            }
            let revision = forge.merge(*number, &upstream.repository().person()?)?;
            global.show(
                || json!({ "number": number, "revision": revision.to_string() }),
                || format!("merged pull request #{number} as {}\n", revision.short()),
            );
        }
        Command::Close { number, reason } => {
            forge.close(*number, reason)?;
            global.show(
                || json!({ "number": number, "reason": reason }),
                || format!("closed pull request #{number}: {reason}\n"),
            );
        }
    }
    Ok(Exit::Done)
}

fn list_text(pulls: &[PullRequest]) -> String {
    if pulls.is_empty() { "no pull requests\n".to_owned() } else { pulls.iter().map(line).collect() }
}

fn line(pull: &PullRequest) -> String {
    let proposal = &pull.proposal;
    format!(
        "#{:<4} {:<7} {} → {}  {}\n",
        pull.number,
        pull.state.word(),
        visible(&proposal.head),
        visible(&proposal.base),
        visible(&proposal.title)
    )
}

fn text(pull: &PullRequest) -> String {
    let state = match &pull.state {
        PullState::Open => String::new(),
        PullState::Merged { revision } => format!("merged as {}\n", revision.short()),
        PullState::Closed { reason } => format!("closed: {}\n", visible(reason)),
    };
    format!("{}{state}\n{}\n", line(pull), pull.proposal.body.trim_end())
}
