//! The command line: what can be asked, one file a command.
//!
//! A command reads its arguments, calls the stages, and shows what came out; it decides nothing of its own.

mod charts;
mod check;
mod clusters;
mod demo;
mod diff;
mod explain;
mod listen;
mod mermaid;
mod pulls;
mod register;
mod remote;
mod render;
mod run;
mod schema;
mod sources;
mod watch;
mod worker;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use renderer::plan::text::{Line, LineKind};
use renderer::problem::Problem;
use renderer::render::Rendered;
use renderer::render::{Progress as Advance, Renderer};
use renderer::snapshot::Snapshot;
use renderer::visible::visible_json;
use serde::Serialize;
use tracing::Level;

use crate::error::CommandError;
use crate::events::Cancel;
use crate::events::signals::stop_on_signals;
use crate::output::findings::{sarif, workflow_commands};
use crate::output::logging::{self, LogFormat};
use crate::output::problems::Show;
use crate::output::style::{self, Color};
use crate::output::{Exit, Progress};
use crate::run::WorkerSettings;
use crate::secrets::{self, redacted};
use crate::working_tree::{find_working_tree, read_working_tree};

/// Keeps a fleet of Kubernetes clusters described in one place.
///
/// Renders Helm values and objects of Argo CD from templates and facts, and opens pull requests whose change a person can
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

/// The arguments that every command takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The repository to work on: the one that this folder is in.
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    pub repo: PathBuf,
    /// The form of the result: text, or json for machines; for `check` also sarif and github, for `clusters` also mermaid, a
    /// diagram.
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub format: Format,
    /// Show everything, also what is more than a screenful of problems.
    #[arg(long, global = true)]
    pub all: bool,
    /// When to use colours: auto, always or never.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    color: Color,
    /// The form of the logs on standard error: text or json.
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    log_format: LogFormat,
    /// Log more; repeat for still more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// The form of what is printed on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines: documented and stable.
    Json,
    /// A diagram of the fleet.
    Mermaid,
    /// Problems for code scanning.
    Sarif,
    /// Problems as commands of GitHub Actions.
    Github,
}

impl Format {
    /// Returns the one command that takes a form which not all do.
    const fn only_command(self) -> Option<&'static str> {
        match self {
            Self::Text | Self::Json => None,
            Self::Mermaid => Some("clusters"),
            Self::Sarif | Self::Github => Some("check"),
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Render the working tree into `argocd-apps/`.
    Render(render::Args),
    /// Show every problem in what people wrote.
    Check,
    /// Show what an edit of templates or facts changes in the rendered files.
    Diff(diff::Args),
    /// Show which template line and which facts made a rendered value, or what a fact reaches.
    Explain(explain::Args),
    /// Render into `argocd-apps/` on every save.
    Watch,
    /// Propose what the base branch renders to, by one pull request a group; and again whenever it moves.
    Run(run::Args),
    /// List, show, merge and close the pull requests of the local forge.
    Pulls(pulls::Args),
    /// Register a GitHub App for the service to act as.
    Register(register::Args),
    /// Lock the charts that add-ons name, so that every rendered key can be checked.
    Charts(charts::Args),
    /// Show the fleet as a table, or as a diagram by `--format mermaid`.
    Clusters,
    /// Show the whole path on a throwaway copy: an edit, a run, the pull request, the merge.
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
    /// A service says what it does; a command stays quiet unless something is wrong.
    const fn quietest(&self) -> Level {
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
    cli.global.color.apply();
    if let Err(error) = logging::start(cli.global.log_format, cli.command.quietest(), cli.global.verbose) {
        let _ = writeln!(anstream::stderr(), "error: {error}");
        return Exit::Usage.into();
    }
    let exit = match cli.run() {
        Ok(exit) => exit,
        Err(error) => {
            cli.show_error(&error);
            error.exit()
        }
    };
    match LOST_OUTPUT.get() {
        Some(error) => {
            let _ = writeln!(anstream::stderr(), "error: failed to write the result: {error}");
            Exit::Unexpected.into()
        }
        None => exit.into(),
    }
}

/// Shows what clap says of the arguments. They are repeated in it, and so made harmless; help has nothing from outside.
fn show_usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let report = error.render().to_string();
        let _ = writeln!(anstream::stderr(), "{}", painted_report(&report));
        return Exit::Usage.into();
    }
    let _ = error.print();
    Exit::Done.into()
}

impl Cli {
    /// Ends with what clap says of a wrong argument if a form is asked for that the command has not.
    fn refuse_unknown_form(&self) {
        let name = match self.command {
            Command::Clusters => "clusters",
            Command::Check => "check",
            _ => "",
        };
        if let Some(only) = self.global.format.only_command().filter(|only| *only != name) {
            let form = self.global.format.to_possible_value().expect("every form can be given");
            let message = format!("`--format {}` is for `fleetwright {only}` only", form.get_name());
            Self::command().error(ErrorKind::ArgumentConflict, message).exit();
        }
    }

    fn run(&self) -> Result<Exit, CommandError> {
        self.refuse_unknown_form();
        let global = &self.global;
        match &self.command {
            Command::Render(args) => render::run(global, args),
            Command::Check => check::run(global),
            Command::Diff(args) => diff::run(global, args),
            Command::Explain(args) => explain::run(global, args),
            Command::Watch => watch::run(global),
            Command::Run(args) => run::run(global, args),
            Command::Pulls(args) => pulls::run(global, args),
            Command::Register(args) => register::run(global, args),
            Command::Charts(args) => charts::run(global, args),
            Command::Clusters => clusters::run(global),
            Command::Demo(args) => demo::run(global, args),
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

    fn show_error(&self, error: &CommandError) {
        if error.problems().is_empty() {
            self.global.show_report(error);
        } else if self.global.format == Format::Sarif {
            print_json(&sarif(error.problems()));
        } else if self.global.format == Format::Github {
            print_text(&workflow_commands(error.problems()));
        } else if self.global.is_json() {
            let revision = match error {
                CommandError::ProblemsIn { revision, .. } => Some(revision.as_str()),
                _ => None,
            };
            print_json(&ProblemList { revision, problems: error.problems() });
        } else {
            self.global.show_report(error);
        }
    }
}

#[derive(Serialize)]
struct ProblemList<'a> {
    /// Where the problems are, if not in the working tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<&'a str>,
    problems: &'a [Problem],
}

fn painted_report(report: &str) -> String {
    let kind = |line: &str| match line {
        _ if line.starts_with("error: ") => style::Kind::Fault,
        _ if line.starts_with("  hint: ") => style::Kind::Hint,
        _ => style::Kind::Plain,
    };
    report.lines().map(|line| style::paint(kind(line), line).to_string()).collect::<Vec<_>>().join("\n")
}

/// Why a result did not reach whoever asked for it; the command itself has gone on.
static LOST_OUTPUT: OnceLock<io::Error> = OnceLock::new();

/// Runs work that goes on until it is done or a signal asks it to stop.
fn until_stopped(
    work: impl AsyncFnOnce(&Cancel) -> Result<Exit, CommandError>,
) -> Result<Exit, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::unexpected("start the runtime", error))?;
    runtime.block_on(async {
        let cancel = Cancel::default();
        stop_on_signals(cancel.clone())
            .map_err(|error| CommandError::unexpected("listen for signals", error))?;
        work(&cancel).await
    })
}

/// Returns how this very program renders in child processes.
fn worker_settings() -> Result<WorkerSettings, CommandError> {
    let settings = WorkerSettings::of_this_program();
    settings.map_err(|error| CommandError::unexpected("find the program that runs", error))
}

/// Prints a value as JSON on standard output, with a line break at the end. What is hidden is written as escapes of JSON.
fn print_json(value: &impl Serialize) {
    let text = serde_json::to_string_pretty(value).expect("our own types serialise");
    write_out(&format!("{}\n", visible_json(&redacted(&text))));
}

/// Prints text on standard output, made harmless: it may hold what people wrote.
fn print_text(text: &str) {
    print_painted(style::Kind::Plain, text);
}

/// Prints text on standard output in the colour of its kind, made harmless.
fn print_painted(kind: style::Kind, text: &str) {
    write_out(&style::paint(kind, text).to_string());
}

/// Prints the lines of a plan on standard output.
fn print_lines(lines: &[Line]) {
    let kind = |kind| match kind {
        LineKind::Heading => style::Kind::Heading,
        LineKind::Risk => style::Kind::Risk,
        LineKind::Added => style::Kind::Added,
        LineKind::Removed => style::Kind::Removed,
        LineKind::Plain => style::Kind::Plain,
    };
    let paint = |line: &Line| format!("{}\n", style::paint(kind(line.kind), &line.text));
    write_out(&lines.iter().map(paint).collect::<String>());
}

/// Writes to standard output. A reader that has gone away is no failure of ours.
fn write_out(text: &str) {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            // Only the first failure is worth telling.
            let _ = LOST_OUTPUT.set(error);
        }
        _ => {}
    }
}

impl Global {
    /// Shows people what went wrong: the problems with their lines, and the error.
    fn show_report(&self, error: &CommandError) {
        let problems = Show::on_stderr(self.all).painted(error.problems());
        let _ = writeln!(anstream::stderr(), "{problems}{}", painted_report(&error.report()));
    }

    fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Returns the top of the working tree to work on.
    fn working_tree(&self) -> Result<PathBuf, CommandError> {
        Ok(find_working_tree(&self.repo)?)
    }

    /// Reads and renders the working tree at `top`.
    fn render_working_tree(&self, top: &Path) -> Result<Rendered, CommandError> {
        let (snapshot, problems) = read_working_tree(top)?;
        self.render(&mut Renderer::new(), &snapshot, problems)
    }

    /// Renders a snapshot; `found` are the problems that reading it has found already.
    fn render(
        &self,
        renderer: &mut Renderer,
        snapshot: &Snapshot,
        found: Vec<Problem>,
    ) -> Result<Rendered, CommandError> {
        let progress = Shown::new(!self.is_json());
        let mut problems = found;
        match renderer.render(snapshot, &progress) {
            Ok(files) if problems.is_empty() => Ok(files),
            Ok(_) => Err(CommandError::Problems { problems }),
            Err(more) => {
                problems.extend(more);
                problems.sort();
                problems.dedup();
                Err(CommandError::Problems { problems })
            }
        }
    }
}

/// Progress that starts when the first step tells how many there are.
struct Shown {
    is_shown: bool,
    progress: OnceLock<Progress>,
}

impl Shown {
    const fn new(is_shown: bool) -> Self {
        Self { is_shown, progress: OnceLock::new() }
    }
}

impl Advance for Shown {
    fn advance(&self, total: usize) {
        let start =
            || if self.is_shown { Progress::start("render", total as u64) } else { Progress::silent() };
        self.progress.get_or_init(start).advance();
    }
}
