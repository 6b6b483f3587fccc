//! The command line, one file per command.
//!
//! A command reads its arguments, calls the stages, and shows the result; it decides nothing of its own.

mod charts;
mod check;
mod clusters;
mod demo;
mod deploy;
mod diff;
mod explain;
mod kubeconfig;
mod manifests;
mod options;
mod print;
mod prune;
mod pulls;
mod register;
mod register_cluster;
mod render;
mod rollback;
mod run;
mod runtime;
mod schema;
mod status;
mod vault;
mod verify;
mod wait;
mod watch;
mod worker;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use tracing::Level;

use crate::error::CommandError;
use crate::output::{Exit, logging, style};
use crate::secrets;

pub use options::{Format, Global};
use print::{
    lost_output, print_json, print_lines, print_page, print_painted, print_report, print_secret, print_text,
};

/// Render and publish the configuration of a fleet of Kubernetes clusters.
///
/// Renders Helm values and objects of Argo CD from templates and facts, and opens pull requests that a person can
/// review in a minute.
#[derive(Debug, Parser)]
#[command(name = "fleetwright", version, max_term_width = 100, after_help = EXIT_CODES)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done or nothing to do, 1 unexpected, 2 usage, 3 not current or changes found,
4 problems in the inputs, 5 git, 6 forge, 7 cluster.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Render the working tree into `argocd-apps/`.
    Render(render::Args),
    /// Show every problem in the source files.
    Check(check::Args),
    /// Show what an edit of templates or facts changes in the rendered files.
    Diff(diff::Args),
    /// Print the final objects of clusters: charts rendered by Helm, as Argo CD applies them.
    Manifests(manifests::Args),
    /// Show where a rendered value comes from, or what a fact or a template reaches.
    Explain(explain::Args),
    /// Render into `argocd-apps/` whenever a source file changes.
    Watch(watch::Args),
    /// Render the base branch and open one pull request per group; repeat whenever the branch moves.
    Run(Box<run::Args>),
    /// List, show, merge and close the pull requests of the local forge.
    Pulls(pulls::Args),
    /// Open one pull request that takes a change back: its inputs, and what was rendered from them.
    Rollback(rollback::Args),
    /// Show what Argo CD made of the fleet: what is synced, what is healthy, and what is wrong first.
    Status(status::Args),
    /// Wait until a revision is synced and healthy.
    Wait(wait::Args),
    /// Ask live clusters what the platform and its add-ons check: nodes, addresses, flows, certificates, backups.
    Verify(verify::Args),
    /// Follow a revision until a group runs it, and report what became of it.
    Deploy(deploy::Args),
    /// Remove what Argo CD still has and git no longer wants.
    Prune(prune::Args),
    /// Keep one kubeconfig with a context for each cluster of the inventory.
    Kubeconfig(kubeconfig::Args),
    /// Register a GitHub App for the service to act as.
    Register(register::Args),
    /// Make a spoke known to its hub: an account on it, its credential in Vault, and Argo CD's Secret.
    RegisterCluster(register_cluster::Args),
    /// Initialize Vault on a hub, unseal it, and make it ready for the job that configures it.
    Vault(vault::Args),
    /// Lock the charts of the add-ons, so that every rendered key can be checked.
    Charts(charts::Args),
    /// Show the fleet as a table, or with `--format mermaid` as a diagram.
    Clusters(clusters::Args),
    /// Show the whole path on a temporary copy: an edit, a run, the pull request, the merge.
    Demo(demo::Args),
    /// Print the JSON Schema of a kind of file, for editors.
    Schema(schema::Args),
    /// Render for a service.
    #[command(hide = true)]
    Worker(worker::Args),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Returns the level of the logs: a service reports each stage, a command only what is wrong.
    const fn level(&self) -> Level {
        match self {
            Self::Run(args) if !args.is_once() => Level::INFO,
            _ => Level::WARN,
        }
    }
}

/// Runs the command line that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    secrets::remember_environment();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return show_usage(&error),
    };
    style::choose(cli.global.color);
    let global = &cli.global;
    let _traces = match logging::start(global.log_format, cli.command.level(), global.verbose) {
        Ok(traces) => traces,
        Err(error) => {
            print_report(&format!("error: {error}"));
            return Exit::Usage.into();
        }
    };
    let exit = cli.run().unwrap_or_else(|error| {
        cli.global.show_error(&error);
        error.exit()
    });
    let Some(error) = lost_output() else { return exit.into() };
    print_report(&format!("error: failed to write the result: {error}"));
    Exit::Unexpected.into()
}

/// Shows what is wrong with the arguments, or help. Arguments are repeated in it, and so made harmless.
fn show_usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        print_report(&error.render().to_string());
        return Exit::Usage.into();
    }
    let _ = error.print();
    Exit::Done.into()
}

impl Cli {
    /// Ends with a usage error if a format is asked for that the command does not have.
    fn refuse_unknown_format(&self) {
        let (format, only) = match (self.global.format, &self.command) {
            (Format::Text | Format::Json, _)
            | (Format::Mermaid, Command::Clusters(_))
            | (Format::Html, Command::Diff(_))
            | (Format::Sarif | Format::Github, Command::Check(_)) => return,
            (Format::Html, _) => ("html", "diff"),
            (Format::Mermaid, _) => ("mermaid", "clusters"),
            (Format::Sarif, _) => ("sarif", "check"),
            (Format::Github, _) => ("github", "check"),
        };
        let message = format!("`--format {format}` is for `fleetwright {only}` only");
        Self::command().error(ErrorKind::ArgumentConflict, message).exit();
    }

    fn run(&self) -> Result<Exit, CommandError> {
        self.refuse_unknown_format();
        let global = &self.global;
        match &self.command {
            Command::Render(args) => render::run(global, args),
            Command::Check(args) => check::run(global, args),
            Command::Diff(args) => diff::run(global, args),
            Command::Manifests(args) => manifests::run(global, args),
            Command::Explain(args) => explain::run(global, args),
            Command::Watch(args) => watch::run(global, args),
            Command::Run(args) => run::run(global, args),
            Command::Pulls(args) => pulls::run(global, args),
            Command::Rollback(args) => rollback::run(global, args),
            Command::Status(args) => status::run(global, args),
            Command::Wait(args) => wait::run(global, args),
            Command::Verify(args) => verify::run(global, args),
            Command::Deploy(args) => deploy::run(global, args),
            Command::Prune(args) => prune::run(global, args),
            Command::Kubeconfig(args) => kubeconfig::run(global, args),
            Command::Register(args) => register::run(global, args),
            Command::RegisterCluster(args) => register_cluster::run(global, args),
            Command::Vault(args) => vault::run(global, args),
            Command::Charts(args) => charts::run(global, args),
            Command::Clusters(args) => clusters::run(global, args),
            Command::Demo(args) => demo::run(args),
            Command::Schema(args) => Ok(schema::run(args)),
            Command::Worker(args) => worker::run(args),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut Self::command(), "fleetwright", &mut script);
                print_text(&String::from_utf8_lossy(&script));
                Ok(Exit::Done)
            }
        }
    }
}
