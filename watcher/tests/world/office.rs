//! An office: a world with everything published, whose people open pull requests on the test kit's GitHub,
//! and the runs of one process on the very repository behind it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use fleetwright::error::CommandError;
use fleetwright::events::Cancel;
use fleetwright::forge::Home;
use fleetwright::forge::github::{Client, Clock, RepositoryPlace};
use fleetwright::git::{Repository, Revision, Upstream};
use fleetwright::http::Url;
use fleetwright::identity::Identity;
use fleetwright::run::{Pipeline, RunReport, Settings};
use testkit::github::{self, GitHub, Token};

use crate::platform::{APP, BASE, CONTROL, World, settings};

/// The token of an App's installation.
pub const APP_TOKEN: &str = "ghs_fleet";
/// A fact that only the app cluster's files show.
pub const POOL: [&str; 3] = [APP, "192.168.64.120-192.168.64.140", "192.168.64.120-192.168.64.139"];
/// A fact of the hub that both clusters' files show.
pub const PROMETHEUS: [&str; 3] = [CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.109"];
/// A key that there is not.
pub const BROKEN: [&str; 3] = [CONTROL, "role: control", "role: control\nlabel: x"];

/// A world with everything published, whose people open pull requests, and the runs of one process.
pub struct Office {
    pub github: GitHub,
    pub pipeline: RefCell<Pipeline>,
    pub world: World,
    pub token: &'static str,
    pub settings: Settings,
}

impl Office {
    /// Fleetwright acts as an App.
    pub fn new() -> Self {
        Self::with(World::new(), APP_TOKEN, settings())
    }

    pub fn with(world: World, token: &'static str, settings: Settings) -> Self {
        let github = GitHub::start(&world.path()).unwrap();
        let app = Token {
            login: "fleetwright[bot]".into(),
            is_app: true,
            sees_repository: true,
            writes: github::WRITES.map(str::to_owned).into(),
            expires: None,
        };
        github.state().tokens.insert(APP_TOKEN.into(), app);
        let pipeline = RefCell::new(process(Upstream::own(open(&world)), &github, token, &settings));
        Self { github, pipeline, world, token, settings }
    }

    pub fn run(&self) {
        self.try_run().unwrap();
    }

    pub fn try_run(&self) -> Result<RunReport, CommandError> {
        self.pipeline.borrow_mut().run(&Cancel::default(), &())
    }

    /// Runs as the service does: as long as there is news.
    pub fn settle(&self) {
        for _ in 0..10 {
            if !self.has_news() {
                return;
            }
            self.run();
        }
        panic!("runs make news for ever");
    }

    pub fn has_news(&self) -> bool {
        self.pipeline.borrow().has_news().unwrap()
    }

    pub fn restart(&self) {
        let upstream = Upstream::own(open(&self.world));
        self.pipeline.replace(process(upstream, &self.github, self.token, &self.settings));
    }

    /// Lets a check of people, which is not ours, report on a commit.
    pub fn report_ci(&self, sha: &str, state: &str) {
        self.github.state().statuses.push(github::Status {
            id: 80,
            sha: sha.to_owned(),
            state: state.to_owned(),
            context: "ci".into(),
            description: None,
            target_url: None,
            author: "ci".into(),
            created: 0,
        });
    }

    /// Edits a fact on a branch of its own, and opens a pull request.
    pub fn propose(&self, branch: &str, edit: [&str; 3]) -> u64 {
        self.world.git(&["branch", branch, BASE]);
        self.edit(branch, edit);
        self.github.open(branch).unwrap()
    }

    pub fn edit(&self, branch: &str, [file, old, new]: [&str; 3]) -> Revision {
        let text = self.world.read(branch, file);
        assert!(text.contains(old), "`{file}` does not say `{old}`");
        self.world.commit(branch, &format!("Edit {file}"), &[(file, Some(&text.replacen(old, new, 1)))])
    }

    /// Makes a commit that no branch of the repository names, as it comes from a fork.
    pub fn commit_in_fork(&self, edit: [&str; 3]) -> String {
        self.world.git(&["branch", "elsewhere", BASE]);
        let head = self.edit("elsewhere", edit);
        self.world.git(&["branch", "-q", "-D", "elsewhere"]);
        head.to_string()
    }

    pub fn comments(&self, number: u64) -> Vec<String> {
        let state = self.github.state();
        state
            .comments
            .iter()
            .filter(|comment| comment.pull == number)
            .map(|comment| comment.body.clone())
            .collect()
    }

    /// Returns what was found about the head of a pull request, one check run a line.
    pub fn checks(&self, number: u64) -> String {
        let head = self.github.pull(number).unwrap().head_sha;
        let state = self.github.state();
        let mut told = String::new();
        for run in state.check_runs.iter().filter(|run| run.sha == head) {
            let (fields, notes) = (&run.fields, run.annotations.len());
            let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
            let (name, conclusion) = (text(&fields["name"]), text(&fields["conclusion"]));
            writeln!(told, "{name} {conclusion}: {} [{notes}]", text(&fields["output"]["title"])).unwrap();
        }
        told.trim_end().to_owned()
    }

    pub fn statuses(&self, number: u64) -> Vec<String> {
        let head = self.github.pull(number).unwrap().head_sha;
        let state = self.github.state();
        let line = |status: &github::Status| {
            format!("{} {}: {}", status.context, status.state, status.description.clone().unwrap_or_default())
        };
        state.statuses.iter().filter(|status| status.sha == head).map(line).collect()
    }

    /// Returns the verdicts on the head of a pull request that count, by name.
    pub fn verdicts(&self, number: u64) -> String {
        self.verdicts_on(&self.github.pull(number).unwrap().head_sha)
    }

    /// Returns the verdicts on a commit that count, by name, whichever of GitHub's two kinds they are.
    pub fn verdicts_on(&self, sha: &str) -> String {
        let state = self.github.state();
        let mut newest = BTreeMap::new();
        for run in state.check_runs.iter().filter(|run| run.sha == sha) {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
            let (name, title) = (text(&run.fields["name"]), text(&run.fields["output"]["title"]));
            newest.insert(name, format!("{}: {title}", text(&run.fields["conclusion"])));
        }
        for status in state.statuses.iter().filter(|status| status.sha == sha) {
            let description = status.description.clone().unwrap_or_default();
            newest.insert(status.context.clone(), format!("{}: {description}", status.state));
        }
        newest.iter().map(|(name, verdict)| format!("{name} {verdict}")).collect::<Vec<_>>().join("\n")
    }

    /// Commits on top of a branch, which begins at the base if it is not there, by commands of `git fast-import`.
    pub fn commit_raw(&self, branch: &str, commands: &str) -> Revision {
        if !self.world.git(&["branch", "--list", branch]).contains(branch) {
            self.world.git(&["branch", branch, BASE]);
        }
        self.world.commit_raw(branch, "Edit by hand", commands)
    }

    /// Puts heads into the merge queue, one on top of the other, and returns the last group's head.
    pub fn queue(&self, heads: &[&str]) -> String {
        let mut tip = self.world.tip(BASE).to_string();
        for (number, head) in heads.iter().enumerate() {
            let tree = self.world.git(&["merge-tree", "--write-tree", &tip, head]);
            let by = ["-c", "user.name=GitHub", "-c", "user.email=noreply@github.com"];
            let commit = ["commit-tree", &tree, "-p", &tip, "-p", head, "-m", "Merge"];
            let merge = self.world.git(&[&by[..], &commit[..]].concat());
            let name = format!("refs/heads/gh-readonly-queue/{BASE}/pr-{number}-{tip}");
            self.world.git(&["update-ref", &name, &merge]);
            tip = merge;
        }
        tip
    }

    pub fn labels(&self, number: u64) -> String {
        self.github.pull(number).unwrap().labels.into_iter().collect::<Vec<_>>().join(", ")
    }

    pub fn requests(&self) -> usize {
        self.github.state().exchanges.len()
    }

    pub fn writes(&self) -> usize {
        self.github.writes().len()
    }

    pub fn spent(&self) -> u64 {
        self.github.state().spending[self.token].used
    }

    /// Returns what a person sees of a review, with nothing in it that a moment or a number makes.
    pub fn seen(&self, number: u64) -> (Vec<String>, String) {
        (self.comments(number), self.checks(number))
    }
}

/// Every story holds its requests and replies to GitHub's own description, where that is here.
impl Drop for Office {
    fn drop(&mut self) {
        self.github.assert_described();
    }
}

pub fn open(world: &World) -> Repository {
    Repository::open(&world.path()).unwrap()
}

pub fn process(upstream: Upstream, github: &GitHub, token: &str, settings: &Settings) -> Pipeline {
    let name = format!("{}/{}", github::OWNER, github::NAME).parse().unwrap();
    let place = RepositoryPlace { api: Url::parse(&github.url()).unwrap(), name };
    let (now, wait) = github.clock();
    let client = Client::new(
        place,
        Identity::of_token(token.into()),
        Clock { now: Box::new(now), wait: Box::new(wait) },
    );
    Pipeline::new(upstream, Home::GitHub(client.into()), settings.clone())
}
