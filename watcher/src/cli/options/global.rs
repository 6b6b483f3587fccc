//! The options of every command, and what commands share because of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{ColorChoice, ValueEnum};
use renderer::deployed;
use renderer::problem::Problem;
use renderer::render::{Rendered, Renderer, with_lines};
use renderer::snapshot::Snapshot;
use serde::Serialize;

use super::helm::HelmArgs;
use super::profile::ProfileArgs;
use crate::cli::print::{print_json, print_report, print_text};
use crate::error::CommandError;
use crate::helm::{Bound, unpublished};
use crate::live::Step;
use crate::output::Progress;
use crate::output::findings::{sarif, workflow_commands};
use crate::output::logging::LogFormat;
use crate::output::problems::Show;
use crate::remembered::Remembered;
use crate::working_tree::{find_working_tree, read_working_tree};

/// The arguments that every command takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Work on this repository; the default is the one that the current folder is in.
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    pub repo: PathBuf,
    /// Print the result in this format: text or json; for `check` also sarif or github, for `clusters` also mermaid, for
    /// `diff` also html.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub format: Format,
    /// Show all problems, not only the first 20.
    #[arg(long, global = true)]
    pub all: bool,
    /// Use colours: auto, always or never.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(in crate::cli) color: ColorChoice,
    /// Write the logs on standard error in this format: text or json.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub(in crate::cli) log_format: LogFormat,
    /// Log more; repeat for even more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(in crate::cli) verbose: u8,
}

/// The format of what is printed on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For machines: documented and stable.
    Json,
    /// A diagram of the fleet.
    Mermaid,
    /// Problems for code scanning.
    Sarif,
    /// Problems as commands of GitHub Actions.
    Github,
    /// A page for a browser.
    Html,
}

impl Global {
    /// Prints a result: the value if JSON is asked for, or else the text.
    pub(in crate::cli) fn show<T: Serialize>(
        &self,
        value: impl FnOnce() -> T,
        text: impl FnOnce() -> String,
    ) {
        if self.is_json() {
            print_json(&value());
        } else {
            print_text(&text());
        }
    }

    /// Shows people a step of something that is brought about; with `is_dry` it would be.
    pub(in crate::cli) fn show_step(&self, Step { what, changed }: &Step, is_dry: bool) {
        if !self.is_json() {
            print_text(&match (changed, is_dry) {
                (false, _) => format!("current: {what}\n"),
                (true, false) => format!("made: {what}\n"),
                (true, true) => format!("would make: {what}\n"),
            });
        }
    }

    /// Shows why a command failed, in the format that was asked for.
    pub(in crate::cli) fn show_error(&self, error: &CommandError) {
        let problems = error.problems();
        match self.format {
            _ if problems.is_empty() => self.show_report(error),
            Format::Text | Format::Mermaid | Format::Html => self.show_report(error),
            Format::Sarif => print_json(&sarif(problems)),
            Format::Github => print_text(&workflow_commands(problems)),
            Format::Json => print_json(&ProblemList::of(error)),
        }
    }

    /// Shows people what went wrong: the problems with their lines, and the error.
    pub(in crate::cli) fn show_report(&self, error: &CommandError) {
        let problems = Show::on_stderr(self.all).painted(error.problems());
        let _ = anstream::stderr().write_all(problems.as_bytes());
        print_report(&error.report());
    }

    pub(in crate::cli) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Returns progress that is shown unless the result is for machines.
    pub(in crate::cli) fn progress(&self, label: &'static str) -> Progress {
        Progress::new(label, !self.is_json())
    }

    /// Returns the top of the working tree to work on.
    pub(in crate::cli) fn working_tree(&self) -> Result<PathBuf, CommandError> {
        Ok(find_working_tree(&self.repo)?)
    }

    /// Reads and renders the working tree at `top`, in the profile that is asked for.
    pub(in crate::cli) fn render_working_tree(
        &self,
        top: &Path,
        profile: &ProfileArgs,
    ) -> Result<Rendered, CommandError> {
        let (snapshot, problems) = read_working_tree(top)?;
        self.render(&mut renderer(), &profile.chosen(snapshot)?, problems)
    }

    /// As [`Self::render_working_tree`], with the objects of the charts whose objects are published.
    pub(in crate::cli) fn render_whole_working_tree(
        &self,
        top: &Path,
        profile: &ProfileArgs,
        helm: &HelmArgs,
    ) -> Result<Rendered, CommandError> {
        let (snapshot, problems) = read_working_tree(top)?;
        self.render_whole(&mut renderer(), &profile.chosen(snapshot)?, problems, helm)
    }

    /// As [`Self::render`], with the objects of the charts whose objects are published: all that is committed.
    pub(in crate::cli) fn render_whole(
        &self,
        renderer: &mut Renderer,
        snapshot: &Snapshot,
        problems: Vec<Problem>,
        helm: &HelmArgs,
    ) -> Result<Rendered, CommandError> {
        let files = self.render(renderer, snapshot, problems)?;
        if deployed::publishing(&files).is_empty() {
            return Ok(files);
        }
        helm.making()?.published(&files, Bound::NONE, &self.progress("charts")).map_err(|error| match error {
            CommandError::Problems { problems } => {
                CommandError::Problems { problems: with_lines(problems, snapshot) }
            }
            CommandError::Chart(error) => unpublished(&files, error).into(),
            error => error,
        })
    }

    /// Renders a snapshot, without the objects of charts; `problems` are those that reading it has found already.
    pub(in crate::cli) fn render(
        &self,
        renderer: &mut Renderer,
        snapshot: &Snapshot,
        mut problems: Vec<Problem>,
    ) -> Result<Rendered, CommandError> {
        match renderer.render(snapshot, &self.progress("render")) {
            Ok(files) if problems.is_empty() => return Ok(files),
            Ok(_) => {}
            Err(more) => {
                problems.extend(more);
                problems.sort();
                problems.dedup();
            }
        }
        Err(CommandError::Problems { problems })
    }
}

/// Returns a renderer that knows what this user's processes have rendered before.
pub(in crate::cli) fn renderer() -> Renderer {
    let renderer = Renderer::new();
    match Remembered::of_this_user() {
        Some(memory) => renderer.remembering(memory),
        None => renderer,
    }
}

#[derive(Serialize)]
struct ProblemList<'a> {
    /// Where the problems are, if not in the working tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<&'a str>,
    problems: &'a [Problem],
}

impl<'a> ProblemList<'a> {
    fn of(error: &'a CommandError) -> Self {
        let revision = match error {
            CommandError::ProblemsIn { revision, .. } => Some(revision.as_str()),
            _ => None,
        };
        Self { revision, problems: error.problems() }
    }
}
