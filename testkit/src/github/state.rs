//! What the fake remembers: one repository, its pull requests, who may do what, and what was said over the wire.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::limits::Spending;
use super::origin::Origin;

/// Everything behind the fake's address.
#[derive(Debug)]
pub struct State {
    /// The address of the API, such as `http://127.0.0.1:8080`.
    pub root: String,
    /// The owner of the repository.
    pub owner: String,
    /// The name of the repository.
    pub name: String,
    /// The branch that pull requests go to unless they say otherwise.
    pub default_branch: String,
    /// The moment at which the fake began, in seconds since 1970.
    pub start: u64,
    /// The time now, in seconds since 1970.
    pub now: u64,
    /// The repository on disk.
    pub origin: Origin,
    /// The tips of the branches, as of the request at hand.
    pub branches: BTreeMap<String, String>,
    /// What was pushed to branches of the repository, the oldest first.
    pub moves: Vec<Move>,
    /// Pull requests by number; the first is #1.
    pub pulls: Vec<Pull>,
    /// Comments in the order in which they were made.
    pub comments: Vec<Comment>,
    /// Labels that people set, in the order in which they did.
    pub labelled: Vec<LabelEvent>,
    /// Commits whose check suites a person asked for once more, and that were not completed since.
    pub rerequested: BTreeSet<String>,
    /// Statuses in the order in which they were set.
    pub statuses: Vec<Status>,
    /// Check runs in the order in which they were made.
    pub check_runs: Vec<CheckRun>,
    /// Deployments in the order in which they were made.
    pub deployments: Vec<Deployment>,
    /// Who may come in, by token.
    pub tokens: BTreeMap<String, Token>,
    /// The app, if one is registered.
    pub app: Option<App>,
    /// Manifests that a person agreed to and that wait to be exchanged, by code.
    pub manifests: BTreeMap<String, Value>,
    /// What the webhook was sent.
    pub deliveries: Vec<Delivery>,
    /// Branches that take a merge only with so many approvals.
    pub protected: BTreeMap<String, u64>,
    /// Whether a head has to stand on the newest commit of its base branch before it is merged.
    pub is_strict: bool,
    /// What each token has spent.
    pub spending: BTreeMap<String, Spending>,
    /// What goes wrong next.
    pub faults: VecDeque<Fault>,
    /// Every exchange so far.
    pub exchanges: Vec<Exchange>,
    /// The last number that was given to a comment, a status or a check run.
    pub last_id: u64,
}

/// A branch that was pushed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The branch.
    pub branch: String,
    /// Where it was before, if it was there.
    pub before: Option<String>,
    /// Where it is since.
    pub after: String,
    /// When that was seen.
    pub seen: u64,
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// The number.
    pub number: u64,
    /// The title.
    pub title: String,
    /// The body, if it has one.
    pub body: Option<String>,
    /// Who opened it.
    pub author: String,
    /// The owner of the repository that the head is in; another one for a fork.
    pub head_owner: String,
    /// The head branch.
    pub head: String,
    /// The tip of the head branch.
    pub head_sha: String,
    /// The base branch.
    pub base: String,
    /// The tip of the base branch.
    pub base_sha: String,
    /// The names of its labels.
    pub labels: BTreeSet<String>,
    /// Whose review is asked for.
    pub reviewers: BTreeSet<String>,
    /// Whether it is a draft.
    pub draft: bool,
    /// How many people approved it.
    pub approvals: u64,
    /// When something was last pushed to the repository that the head is in.
    pub pushed: u64,
    /// When it was opened.
    pub created: u64,
    /// When it last changed.
    pub updated: u64,
    /// When it was closed or merged.
    pub closed: Option<u64>,
    /// The merge commit, if it was merged.
    pub merged: Option<String>,
}

/// An app that is installed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The app's number, which its JWTs are issued by.
    pub id: u64,
    /// The installation's number.
    pub installation: u64,
    /// The public key as `RSAPublicKey` in DER.
    pub public_key: Vec<u8>,
    /// What its tokens may write.
    pub writes: BTreeSet<String>,
}

/// One delivery of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub id: u64,
    /// The identifier that redeliveries share.
    pub guid: String,
    /// When it was sent.
    pub at: u64,
    /// Whether it repeats an earlier one.
    pub is_redelivery: bool,
    /// What the receiver answered; 0 if it did not.
    pub status_code: u16,
    /// The event.
    pub event: String,
    /// The event's action, if it has one.
    pub action: Option<String>,
}

impl Pull {
    /// Returns whether it is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.closed.is_none()
    }
}

/// A comment on a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its number.
    pub id: u64,
    /// The pull request.
    pub pull: u64,
    /// Who wrote it.
    pub author: String,
    /// The text.
    pub body: String,
    /// When it was written.
    pub created: u64,
    /// When it was last edited.
    pub updated: u64,
}

/// A label that was set on a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelEvent {
    /// Its number.
    pub id: u64,
    /// The pull request.
    pub pull: u64,
    /// The label.
    pub label: String,
    /// Who set it.
    pub author: String,
    /// When it was set.
    pub created: u64,
}

/// A commit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its number.
    pub id: u64,
    /// The commit.
    pub sha: String,
    /// `pending`, `success`, `failure` or `error`.
    pub state: String,
    /// What it is about.
    pub context: String,
    /// One line.
    pub description: Option<String>,
    /// Where more is said.
    pub target_url: Option<String>,
    /// Who set it.
    pub author: String,
    /// When it was set.
    pub created: u64,
}

/// A check run.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckRun {
    /// Its number.
    pub id: u64,
    /// The commit.
    pub sha: String,
    /// Which app made it; nothing can be made by anyone else.
    pub app: String,
    /// What it was given, the newest value of each field.
    pub fields: Value,
    /// All annotations, in the order in which they came.
    pub annotations: Vec<Value>,
    /// When it was made.
    pub created: u64,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Its number.
    pub id: u64,
    /// The commit.
    pub sha: String,
    /// What the commit was called.
    pub reference: String,
    /// What kind of deployment it is.
    pub task: String,
    /// Where it goes.
    pub environment: String,
    /// One line.
    pub description: Option<String>,
    /// Who made it.
    pub author: String,
    /// When it was made.
    pub created: u64,
    /// How it stood, the oldest first.
    pub statuses: Vec<DeploymentStatus>,
}

/// How a deployment stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentStatus {
    /// Its number.
    pub id: u64,
    /// What it came to.
    pub state: String,
    /// One line.
    pub description: String,
    /// Where the log is.
    pub log_url: String,
    /// Where the environment is.
    pub environment_url: String,
    /// Who reported it.
    pub author: String,
    /// When it was reported.
    pub created: u64,
}

/// Who comes in with a token, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The name that is shown.
    pub login: String,
    /// Whether it is the token of an app's installation.
    pub is_app: bool,
    /// Whether it sees the repository at all.
    pub sees_repository: bool,
    /// What may be written, such as `pull_requests`; everything may be read.
    pub writes: BTreeSet<String>,
    /// When it ends.
    pub expires: Option<u64>,
}

/// What goes wrong with the requests that it is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The method that it is meant for; empty means any.
    pub method: String,
    /// A part of the path that it is meant for.
    pub path: String,
    /// How many requests it hits.
    pub times: usize,
    /// What happens.
    pub kind: FaultKind,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The status, and nothing was done.
    Instead(u16),
    /// The request was carried out, but the answer is the status.
    After(u16),
    /// The connection ends without an answer, and nothing was done.
    Cut,
    /// The request was carried out, but the connection ends without an answer.
    CutAfter,
    /// The secondary rate limit, with the seconds to wait if GitHub tells them.
    SecondaryLimit(Option<u64>),
}

/// One request and its reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, decoded.
    pub query: BTreeMap<String, String>,
    /// The body of the request, if it was JSON.
    pub request: Option<Value>,
    /// The status of the reply; 0 if the connection was cut.
    pub status: u16,
    /// The body of the reply.
    pub reply: Option<Value>,
}

impl Token {
    /// Returns the name of the app whose token it is, as addresses have it.
    #[must_use]
    pub fn app(&self) -> &str {
        self.login.strip_suffix("[bot]").unwrap_or(&self.login)
    }
}

impl State {
    /// Returns the repository's address.
    #[must_use]
    pub fn repository_url(&self) -> String {
        format!("{}/repos/{}/{}", self.root, self.owner, self.name)
    }

    /// Returns a number that nothing else has.
    pub const fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Lets pull requests follow what happened to their branches.
    pub fn follow_branches(&mut self) -> Result<()> {
        let branches = self.origin.branches()?;
        let seen = self.now;
        let moved = branches.iter().filter(|(name, tip)| self.branches.get(*name) != Some(tip));
        let moved = moved.map(|(branch, after)| {
            let before = self.branches.get(branch).cloned();
            Move { branch: branch.clone(), before, after: after.clone(), seen }
        });
        self.moves.extend(moved.collect::<Vec<_>>());
        self.branches = branches;
        self.default_branch = self.origin.default_branch()?;
        let (now, owner) = (self.now, self.owner.clone());
        for pull in self.pulls.iter_mut().filter(|pull| pull.is_open() && pull.head_owner == owner) {
            let base = self.branches.get(&pull.base);
            let head = self.branches.get(&pull.head);
            if let Some(base) = base {
                pull.base_sha.clone_from(base);
            }
            if let Some(head) = head.filter(|head| **head != pull.head_sha) {
                pull.head_sha.clone_from(head);
                pull.updated = now;
            }
            let is_merged = self.origin.is_ancestor(&pull.head_sha, &pull.base_sha);
            if is_merged && base.is_some() {
                pull.merged = Some(pull.base_sha.clone());
            }
            if is_merged || head.is_none() || base.is_none() {
                pull.closed = Some(now);
                pull.updated = now;
            }
        }
        Ok(())
    }

    /// Opens a pull request of a person to the default branch.
    pub fn open(&mut self, owner: &str, head: &str, sha: &str) -> Result<u64> {
        let base = self.default_branch.clone();
        let base_sha = self.branches.get(&base).context("there is no default branch")?.clone();
        let number = self.pulls.len() as u64 + 1;
        self.pulls.push(Pull {
            number,
            title: format!("Change {head}"),
            body: None,
            author: "ann".into(),
            head_owner: owner.to_owned(),
            head: head.to_owned(),
            head_sha: sha.to_owned(),
            base,
            base_sha,
            labels: BTreeSet::new(),
            reviewers: BTreeSet::new(),
            draft: false,
            approvals: 0,
            pushed: self.now,
            created: self.now,
            updated: self.now,
            closed: None,
            merged: None,
        });
        Ok(number)
    }

    /// Returns the place of a pull request.
    #[must_use]
    pub fn pull(&self, number: u64) -> Option<usize> {
        self.pulls.iter().position(|pull| pull.number == number)
    }

    /// Takes the fault that is meant for a request, if there is one.
    pub fn next_fault(&mut self, method: &str, path: &str) -> Option<FaultKind> {
        let is_meant =
            |fault: &Fault| (fault.method.is_empty() || fault.method == method) && path.contains(&fault.path);
        let index = self.faults.iter().position(is_meant)?;
        let kind = self.faults[index].kind;
        self.faults[index].times -= 1;
        if self.faults[index].times == 0 {
            self.faults.remove(index);
        }
        Some(kind)
    }
}
