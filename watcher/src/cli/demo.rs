//! `fleetwright demo`: the whole path on a temporary copy of the two-cluster platform.

use std::path::PathBuf;

use include_dir::{Dir, include_dir};
use renderer::path::RepoPath;
use renderer::plan::{Budget, text};
use renderer::plural::counted;

use super::runtime::worker_settings;
use super::{Exit, print_lines, print_painted, print_text};
use crate::error::CommandError;
use crate::events::Cancel;
use crate::forge::{Home, LocalForge, OwnPulls as _};
use crate::git::{RefUpdate, Repository, Revision, Signature, TreeChange, Upstream};
use crate::output::style::{ADDED, HEADING, PLAIN, REMOVED};
use crate::run::{Objects, Pipeline, Published, RunReport, Settings};

static ENVIRONMENTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../environments");
static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../templates");

const BASE: &str = "main";
/// The fact that the demo edits: where the hub takes telemetry.
const FILE: &str = "environments/control.yaml";
const KEY: &str = "telemetry: 192.168.64.104";
const NEW: &str = "telemetry: 192.168.64.109";
/// The demo's clock stands still, so that it prints the same every time: 2026-01-01 12:00 UTC.
const NOON: i64 = 1_767_268_800;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Create the repository in this folder and keep it; the folder must not exist.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, CommandError> {
    let temporary = tempfile::tempdir().map_err(|error| CommandError::unexpected("make a folder", error))?;
    let dir = match &args.keep {
        Some(dir) if dir.exists() => {
            let message = format!("`{}` exists already", dir.display());
            return Err(CommandError::usage(message, "name a folder that does not exist"));
        }
        Some(dir) => dir.clone(),
        None => temporary.path().join("fleet.git"),
    };
    Demo::start(&dir)?.play()?;
    if args.keep.is_some() {
        let dir = dir.display();
        print_text(&format!(
            "\nThe repository is in {dir}: try `git -C {dir} log --graph --all` \
             and `fleetwright --repo {dir} pulls list --all`.\n"
        ));
    }
    Ok(Exit::Done)
}

struct Demo {
    repository: Repository,
    pipeline: Pipeline,
    scene: u32,
}

impl Demo {
    fn start(dir: &std::path::Path) -> Result<Self, CommandError> {
        let repository = Repository::init_bare(dir, BASE)?;
        let upstream = Upstream::own(repository.reopen()?);
        let settings = Settings {
            base: BASE.to_owned(),
            follows_head: false,
            budget: Budget::default(),
            allow_deletions: None,
            merge_reviewed: false,
            makes_pages: false,
            pages_url: None,
            objects: Objects::Unwanted,
            worker: worker_settings()?,
        };
        Ok(Self { repository, pipeline: Pipeline::new(upstream, Home::Local, settings), scene: 0 })
    }

    fn play(mut self) -> Result<(), CommandError> {
        self.heading("Two clusters are described in `environments/`, what runs on them in `templates/`");
        let files = shipped_files();
        let first = self.commit(&files, None, "Describe the platform")?;
        let files = counted(files.len(), "file");
        print_text(&format!("{files}, committed to `{BASE}` as {}\n", first.short()));

        self.heading("The first run renders them and opens one pull request per group; both are merged");
        let report = self.run_once()?;
        self.merge_all(&report)?;

        self.heading("The hub's telemetry gateway moves to another address: one edit of one fact");
        let tip = self.repository.branch(BASE)?;
        let (line, edited) = self.edit(tip)?;
        print_painted(PLAIN, &format!("{FILE}:{line}\n"));
        print_painted(REMOVED, &format!("- {KEY}\n"));
        print_painted(ADDED, &format!("+ {NEW}\n"));
        print_text(&format!("committed to `{BASE}` as {}\n", edited.short()));

        self.heading("The run notices, renders both clusters, and shows what will change");
        let report = self.run_once()?;
        for group in &report.groups {
            print_text("\n");
            print_lines(&text::summary(&group.plan));
        }

        self.heading("The pull request that a person reviews");
        let forge = LocalForge::new(self.pipeline.upstream());
        let numbers = numbers(&report);
        if let Some(number) = numbers.last() {
            let pull = forge.show(*number)?;
            print_text(&format!("#{number} {}\n\n{}\n", pull.proposal.title, pull.proposal.body.trim_end()));
        }

        self.heading("It is merged, and Argo CD syncs what is on the base branch");
        self.merge_all(&report)?;

        self.heading("The next run finds nothing to do");
        self.run_once()?;
        Ok(())
    }

    fn heading(&mut self, text: &str) {
        self.scene += 1;
        let line = format!("{}{}. {text}\n", if self.scene == 1 { "" } else { "\n" }, self.scene);
        print_painted(HEADING, &line);
    }

    fn run_once(&mut self) -> Result<RunReport, CommandError> {
        let report = self.pipeline.run(&Cancel::default(), &())?;
        print_text(&report.to_string());
        Ok(report)
    }

    fn merge_all(&self, report: &RunReport) -> Result<(), CommandError> {
        let forge = LocalForge::new(self.pipeline.upstream());
        for number in numbers(report) {
            let revision = forge.merge(number, &person())?;
            print_text(&format!("merged pull request #{number} as {}\n", revision.short()));
        }
        Ok(())
    }

    /// Commits files on top of a revision, as a person would.
    fn commit(
        &self,
        files: &[TreeChange],
        parent: Option<Revision>,
        message: &str,
    ) -> Result<Revision, CommandError> {
        let parents: Vec<_> = parent.into_iter().collect();
        let revision = self.repository.commit_record(parent, files, &parents, &person(), message)?;
        self.pipeline.upstream().update(&[RefUpdate::branch(BASE, parent, Some(revision))])?;
        Ok(revision)
    }

    /// Edits the fact, and returns its line and the commit.
    fn edit(&self, tip: Revision) -> Result<(usize, Revision), CommandError> {
        let path = RepoPath::parse(FILE).expect("a constant path");
        let bytes = self.repository.read_file(tip, &path)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().position(|line| line.contains(KEY)).expect("the shipped hub has the fact");
        let change = TreeChange { path, content: Some(text.replacen(KEY, NEW, 1).into_bytes().into()) };
        Ok((line + 1, self.commit(&[change], Some(tip), "Move the hub's Prometheus")?))
    }
}

fn numbers(report: &RunReport) -> Vec<u64> {
    let proposed = report.groups.iter().filter_map(|group| match group.done {
        Published::Proposed(proposed) => Some(proposed.number()),
        _ => None,
    });
    proposed.collect()
}

fn person() -> Signature {
    Signature {
        name: "Ada Lovelace".to_owned(),
        email: "ada@example.com".to_owned(),
        seconds: NOON,
        offset_minutes: 0,
    }
}

fn shipped_files() -> Vec<TreeChange> {
    let mut files = Vec::new();
    collect("environments", &ENVIRONMENTS, &mut files);
    collect("templates", &TEMPLATES, &mut files);
    files
}

fn collect(folder: &str, dir: &Dir<'_>, files: &mut Vec<TreeChange>) {
    for file in dir.files() {
        let path = format!("{folder}/{}", file.path().to_string_lossy().replace('\\', "/"));
        let path = RepoPath::parse(&path).expect("the repository's own paths are valid");
        files.push(TreeChange { path, content: Some(file.contents().into()) });
    }
    dir.dirs().for_each(|dir| collect(folder, dir, files));
}
