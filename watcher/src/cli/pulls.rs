//! `fleetwright pulls`: the pull requests of the local forge.

use std::io::Write as _;

use clap::Subcommand;
use renderer::visible::visible;
use serde_json::json;

use super::remote::RemoteArgs;
use super::{Exit, Global, print_json, print_text};
use crate::error::CommandError;
use crate::forge::{LocalForge, PullRequest, PullState};
use crate::run::control_first;

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
        /// List the merged and closed ones, too.
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
        /// Why.
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
            show_list(global, &pulls);
        }
        Command::Show { number } => show(global, &forge.show(*number)?),
        Command::Reopen { number } => {
            forge.reopen(*number)?;
            if global.is_json() {
                print_json(&json!({ "number": number }));
            } else {
                print_text(&format!("opened pull request #{number} again\n"));
            }
        }
        Command::Merge { number } => {
            if let Some(first) = control_first(&upstream, &forge.list()?, *number)? {
                let warning =
                    format!("#{number} is of the apps, and control comes first: #{first} is not merged");
                let _ = writeln!(anstream::stderr(), "warning: {warning}");
            }
            let revision = forge.merge(*number, &upstream.repository().person()?)?;
            if global.is_json() {
                print_json(&json!({ "number": number, "revision": revision.to_string() }));
            } else {
                print_text(&format!("merged pull request #{number} as {}\n", revision.short()));
            }
        }
        Command::Close { number, reason } => {
            forge.close(*number, reason)?;
            if global.is_json() {
                print_json(&json!({ "number": number, "reason": reason }));
            } else {
                print_text(&format!("closed pull request #{number}: {reason}\n"));
            }
        }
    }
    Ok(Exit::Done)
}

fn show_list(global: &Global, pulls: &[PullRequest]) {
    if global.is_json() {
        print_json(&json!({ "pullRequests": pulls }));
    } else if pulls.is_empty() {
        print_text("no pull requests\n");
    } else {
        print_text(&pulls.iter().map(line).collect::<String>());
    }
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

fn show(global: &Global, pull: &PullRequest) {
    if global.is_json() {
        print_json(pull);
        return;
    }
    let state = match &pull.state {
        PullState::Open => String::new(),
        PullState::Merged { revision } => format!("merged as {}\n", revision.short()),
        PullState::Closed { reason } => format!("closed: {}\n", visible(reason)),
    };
    print_text(&format!("{}{state}\n{}\n", line(pull), pull.proposal.body.trim_end()));
}
