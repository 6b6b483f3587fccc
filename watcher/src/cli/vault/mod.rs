//! `fleetwright vault`: the steps of an installation that are Vault's.

mod bootstrap;
mod init;
mod prompt;
mod target;
mod unseal;

use super::{Exit, Global};
use crate::error::CommandError;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Initialize Vault, and show its keys and its first token, which it gives this once.
    Init(init::Args),
    /// Unseal each replica with keys from standard input, one on a line.
    Unseal(unseal::Args),
    /// Let the job that configures Vault log in, and run it.
    Bootstrap(bootstrap::Args),
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    match &args.action {
        Action::Init(args) => init::run(global, args),
        Action::Unseal(args) => unseal::run(global, args),
        Action::Bootstrap(args) => bootstrap::run(global, args),
    }
}
