//! A GitHub on loopback: stateful, over HTTP, on a real bare repository, and refusing what GitHub refuses.
//!
//! Its time stands still until it is moved, so limits and expiry can be tested without waiting. What people do on the
//! web pages is done by methods here; what the product does goes over the wire and is written down.

pub mod apps;
pub mod commits;
pub mod deployments;
pub mod description;
pub mod issues;
pub mod limits;
pub mod moment;
pub mod pulls;
pub mod state;

mod api;
mod origin;
mod shapes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};

pub use state::{
    App, CheckRun, Comment, Delivery, Deployment, DeploymentStatus, Exchange, Fault, FaultKind, LabelEvent,
    Move, Pull, State, Status, Token,
};

use crate::web::server::Server;
use origin::Origin;

/// The owner of the repository.
pub const OWNER: &str = "acme";
/// The name of the repository.
pub const NAME: &str = "fleet";
/// A token that may write everything that the product writes.
pub const TOKEN: &str = "github_pat_fleet";
/// The token that a workflow is given, which may report on deployments.
pub const ACTIONS_TOKEN: &str = "ghs_actions";
/// 2026-01-02 in UTC, when the fake begins.
pub const START: u64 = 1_767_312_000;
/// What the product needs to write.
pub const WRITES: [&str; 6] = ["checks", "contents", "deployments", "issues", "pull_requests", "statuses"];

/// How a pull request is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeMethod {
    /// By a commit with two parents.
    Merge,
    /// By one new commit.
    Squash,
    /// By a copy of each commit.
    Rebase,
}

/// The fake. It ends when it is dropped.
#[derive(Debug)]
pub struct GitHub {
    state: Arc<Mutex<State>>,
    server: Server,
}

impl GitHub {
    /// Starts a GitHub whose one repository is the bare repository in `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        let origin = Origin::new(folder);
        let token = Token {
            login: "fleetwright".into(),
            is_app: false,
            sees_repository: true,
            writes: WRITES.map(str::to_owned).into(),
            expires: None,
        };
        let actions = Token {
            login: "github-actions[bot]".into(),
            is_app: true,
            writes: ["deployments".to_owned()].into(),
            ..token.clone()
        };
        let state = State {
            root: String::new(),
            owner: OWNER.into(),
            name: NAME.into(),
            default_branch: origin.default_branch()?,
            start: START,
            now: START,
            branches: origin.branches()?,
            origin,
            moves: Vec::new(),
            pulls: Vec::new(),
            comments: Vec::new(),
            labelled: Vec::new(),
            rerequested: BTreeSet::new(),
            statuses: Vec::new(),
            check_runs: Vec::new(),
            deployments: Vec::new(),
            tokens: BTreeMap::from([(TOKEN.to_owned(), token), (ACTIONS_TOKEN.to_owned(), actions)]),
            app: None,
            manifests: BTreeMap::new(),
            deliveries: Vec::new(),
            protected: BTreeMap::new(),
            is_strict: false,
            spending: BTreeMap::new(),
            faults: VecDeque::new(),
            exchanges: Vec::new(),
            last_id: 0,
        };
        let state = Arc::new(Mutex::new(state));
        let answering = Arc::clone(&state);
        let server = Server::start(move |request| {
            api::exchange(&mut answering.lock().unwrap_or_else(PoisonError::into_inner), request)
        })?;
        let fake = Self { state, server };
        fake.state().root = fake.url();
        Ok(fake)
    }

    /// Returns the address of the API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Returns where the API listens.
    #[must_use]
    pub const fn address(&self) -> std::net::SocketAddr {
        self.server.address
    }

    /// Returns everything that the fake remembers, to look at or to change; nothing is answered meanwhile.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds every exchange so far to GitHub's own description, where that is here.
    ///
    /// Made for the end of a story, where a test that fails already has said why.
    ///
    /// # Panics
    ///
    /// If a request or a reply is not as described.
    pub fn assert_described(&self) {
        let Some(description) = description::available().filter(|_| !std::thread::panicking()) else {
            return;
        };
        let exchanges = self.state().exchanges.clone();
        let faults: Vec<String> =
            exchanges.iter().flat_map(|exchange| description.faults(exchange)).collect();
        assert_eq!(faults, [""; 0], "GitHub describes it differently");
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.state().now)
    }

    /// Lets time pass, rounded up to seconds.
    pub fn advance(&self, time: Duration) {
        self.state().now += time.as_secs() + u64::from(time.subsec_nanos() > 0);
    }

    /// Returns two closures that read and move the fake's time.
    pub fn clock(
        &self,
    ) -> (impl Fn() -> SystemTime + Send + Sync + use<>, impl Fn(Duration) + Send + Sync + use<>) {
        let (read, moved) = (Arc::clone(&self.state), Arc::clone(&self.state));
        let now = move || {
            let seconds = read.lock().unwrap_or_else(PoisonError::into_inner).now;
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
        };
        let wait = move |time: Duration| {
            let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            moved.lock().unwrap_or_else(PoisonError::into_inner).now += seconds;
        };
        (now, wait)
    }

    /// Lets the next `times` requests go wrong whose method is `method` and whose path holds `path`; an empty method
    /// means any.
    pub fn fail(&self, method: &str, path: &str, times: usize, kind: FaultKind) {
        let fault = Fault { method: method.into(), path: path.into(), times, kind };
        self.state().faults.push_back(fault);
    }

    /// Returns all pull requests as they are now, those included whose branches moved since the last request.
    pub fn pulls(&self) -> Result<Vec<Pull>> {
        let mut state = self.state();
        state.follow_branches()?;
        Ok(state.pulls.clone())
    }

    /// Returns one pull request.
    pub fn pull(&self, number: u64) -> Result<Pull> {
        self.pulls()?.into_iter().find(|pull| pull.number == number).context("there is no such pull request")
    }

    /// Changes a pull request as a person does on its page.
    pub fn edit(&self, number: u64, change: impl FnOnce(&mut Pull)) -> Result<()> {
        let mut state = self.state();
        let index = state.pull(number).context("there is no such pull request")?;
        state.follow_branches()?;
        let now = state.now;
        change(&mut state.pulls[index]);
        state.pulls[index].updated = now;
        Ok(())
    }

    /// Opens a pull request to the default branch as a person does whose branch is in the repository, and returns its
    /// number.
    pub fn open(&self, head: &str) -> Result<u64> {
        let mut state = self.state();
        state.follow_branches()?;
        let sha = state.branches.get(head).context("there is no such branch")?.clone();
        let owner = state.owner.clone();
        state.open(&owner, head, &sha)
    }

    /// Opens a pull request from a fork, whose branch `head` is at `sha`, and returns its number.
    pub fn open_from_fork(&self, owner: &str, head: &str, sha: &str) -> Result<u64> {
        let mut state = self.state();
        state.follow_branches()?;
        let number = state.open(owner, head, sha)?;
        state.origin.set_pull(number, sha)?;
        Ok(number)
    }

    /// Moves the head of a pull request from a fork.
    pub fn push_to_fork(&self, number: u64, sha: &str) -> Result<()> {
        self.edit(number, |pull| sha.clone_into(&mut pull.head_sha))?;
        let now = self.state().now;
        self.edit(number, |pull| pull.pushed = now)?;
        self.state().origin.set_pull(number, sha)
    }

    /// Sets a label as a person with triage rights does.
    pub fn label(&self, number: u64, label: &str) -> Result<()> {
        self.edit(number, |pull| pull.labels.extend([label.to_owned()]))?;
        let mut state = self.state();
        let (id, created) = (state.next_id(), state.now);
        let event = LabelEvent { id, pull: number, label: label.to_owned(), author: "mia".into(), created };
        state.labelled.push(event);
        Ok(())
    }

    /// Asks for the checks of a commit once more, as a person does.
    pub fn rerequest(&self, sha: &str) {
        self.state().rerequested.insert(sha.to_owned());
    }

    /// Closes a pull request as a person does.
    pub fn close(&self, number: u64) -> Result<()> {
        let now = self.state().now;
        self.edit(number, |pull| pull.closed = Some(now))
    }

    /// Merges a pull request as a person does, and returns the merge commit.
    pub fn merge(&self, number: u64) -> Result<String> {
        self.merge_by(number, MergeMethod::Merge)
    }

    /// Merges a pull request by one of GitHub's methods, and returns the last commit that it puts onto the base.
    pub fn merge_by(&self, number: u64, method: MergeMethod) -> Result<String> {
        let mut state = self.state();
        state.follow_branches()?;
        let index = state.pull(number).context("there is no such pull request")?;
        let pull = state.pulls[index].clone();
        ensure!(pull.is_open(), "the pull request is not open");
        let (base, head) = (&pull.base, &pull.head_sha);
        let merge = match method {
            MergeMethod::Merge => state.origin.merge(base, head, &format!("Merge pull request #{number}"))?,
            MergeMethod::Squash => state.origin.squash(base, head, &format!("{} (#{number})", pull.title))?,
            MergeMethod::Rebase => state.origin.rebase(base, head)?,
        };
        let merge = merge.context("they conflict")?;
        let now = state.now;
        let pull = &mut state.pulls[index];
        (pull.merged, pull.closed, pull.updated) = (Some(merge.clone()), Some(now), now);
        Ok(merge)
    }

    /// Renames a branch, and lets the pull requests that go to it follow.
    pub fn rename_branch(&self, old: &str, new: &str) -> Result<()> {
        let mut state = self.state();
        state.origin.rename(old, new)?;
        for pull in state.pulls.iter_mut().filter(|pull| pull.is_open() && pull.base == old) {
            new.clone_into(&mut pull.base);
        }
        state.follow_branches()
    }

    /// Returns the requests so far as `METHOD path status`, those that only read left out.
    #[must_use]
    pub fn writes(&self) -> Vec<String> {
        let state = self.state();
        let is_write = |exchange: &&Exchange| exchange.method != "GET" && exchange.path != "/graphql";
        let writes = state.exchanges.iter().filter(is_write);
        writes.map(|write| format!("{} {} {}", write.method, write.path, write.status)).collect()
    }
}

#[cfg(test)]
mod tests;
