//! The review of pull requests that people open: what they change of what is rendered, said before the merge.
//!
//! Each gets one comment, edited in place, and a verdict on its head. What is said follows from the head and from where it
//! left the base branch, so that it stays as it is when the base branch moves on. Nothing is kept but what was said last in
//! this process, which saves looking again.

mod examine;
mod page;
mod seal;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::pipeline::{Settings, Step, Steps};
use super::publish::BRANCH_PREFIX;
use super::worker::Workers;
use crate::error::CommandError;
use crate::forge::ForgeError;
use crate::forge::github::{GitHubForge, Labelled, OpenPull, Origin};
use crate::git::{Revision, Upstream};

pub(super) use examine::{MAX_RENDERED_BYTES, Question, Side, examine};
pub(super) use page::Page;
pub(super) use seal::{Read, read_before};

/// The name of the verdict: of the check run, or of the commit status.
pub const REVIEW: &str = "fleetwright/review";
/// The label by which a maintainer asks that a pull request from a fork is rendered, as it is at that moment.
pub const RENDER_LABEL: &str = "fleetwright: render";
/// The kind of the comment.
const COMMENT: &str = "review";

/// Reviews of one repository. It remembers what was said, never what must be said.
#[derive(Debug, Default)]
pub(super) struct Reviews {
    said: BTreeMap<u64, Subject>,
}

/// What reviews are made with.
pub(super) struct Desk<'a> {
    pub upstream: &'a Upstream,
    pub forge: GitHubForge<'a>,
    pub settings: &'a Settings,
    pub steps: &'a dyn Steps,
    pub workers: &'a mut Workers,
}

/// What a review is about: everything that it says follows from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    pub head: Revision,
    /// The newest commit that the head and the base branch share.
    pub base: Revision,
}

/// Returns the open pull requests that are reviewed: those of the repository's own branches, and those from forks that a
/// maintainer asked for. What else happens in forks is no news.
pub(super) fn candidates(forge: &GitHubForge<'_>, base: &str) -> Result<Vec<OpenPull>, ForgeError> {
    let mut pulls = forge.open_of_people(base, BRANCH_PREFIX, RENDER_LABEL)?;
    pulls.retain(|pull| pull.origin == Origin::Own || pull.has_label);
    Ok(pulls)
}

impl Reviews {
    /// Forgets what was said, so that every review is made and compared with what stands there once more.
    pub(super) fn forget(&mut self) {
        self.said.clear();
    }

    /// Reviews each of `pulls` that is not as it was when it was last reviewed; returns whether no step said to stop.
    pub(super) fn run(&mut self, desk: &mut Desk<'_>, pulls: &[OpenPull]) -> Result<bool, CommandError> {
        self.said.retain(|number, _| pulls.iter().any(|pull| pull.number == *number));
        let Some(base) = desk.upstream.branch(&desk.settings.base)? else { return Ok(true) };
        for pull in pulls {
            match self.review(desk, pull, base) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) if error.is_transient() => return Err(error),
                // One conversation that is locked must not keep the others from being reviewed.
                Err(error) => warn!(
                    pull_request.number = pull.number,
                    hint = error.hint(),
                    "could not review pull request #{}: {}",
                    pull.number,
                    error.message()
                ),
            }
        }
        Ok(true)
    }

    fn review(&mut self, desk: &mut Desk<'_>, pull: &OpenPull, base: Revision) -> Result<bool, CommandError> {
        if self.said.get(&pull.number).is_some_and(|said| said.head != pull.head) {
            self.said.remove(&pull.number);
        }
        let is_known = self.said.contains_key(&pull.number);
        if !is_known && !desk.is_permitted(pull)? {
            return Ok(true);
        }
        let Some(subject) = desk.subject(pull, base)? else { return Ok(true) };
        if self.said.get(&pull.number) == Some(&subject) {
            return Ok(true);
        }
        // Even if it cannot be said: trying again is of use only when something has changed.
        let goes_on = desk.review(pull, subject);
        if !matches!(&goes_on, Ok(false)) && !goes_on.as_ref().is_err_and(CommandError::is_transient) {
            self.said.insert(pull.number, subject);
        }
        goes_on
    }
}

impl Desk<'_> {
    /// Tells whether a pull request may be rendered. A fork's may as long as nothing was pushed to it since a maintainer
    /// set the label; only people with triage rights can.
    fn is_permitted(&self, pull: &OpenPull) -> Result<bool, CommandError> {
        let Origin::Fork { pushed_at } = &pull.origin else { return Ok(true) };
        let labelled = match pushed_at {
            Some(pushed_at) => self.forge.labelled(pull.number, RENDER_LABEL, pushed_at)?,
            None => Labelled::BeforePush,
        };
        if labelled == Labelled::SincePush {
            return Ok(true);
        }
        info!(
            pull_request.number = pull.number,
            "pull request #{} was pushed to after it was labelled", pull.number
        );
        self.forge.revise_comment(pull.number, COMMENT, &page::permission_gone())?;
        self.forge.remove_label(pull.number, RENDER_LABEL)?;
        Ok(false)
    }

    /// Finds what a review is about; nothing if its head moved meanwhile, or has no history in common with the base.
    fn subject(&self, pull: &OpenPull, base: Revision) -> Result<Option<Subject>, CommandError> {
        let repository = self.upstream.repository();
        if !repository.has(pull.head) {
            let found = self.upstream.fetch_ref(&GitHubForge::head_ref(pull.number))?;
            if found != Some(pull.head) {
                return Ok(None);
            }
        }
        let base = repository.merge_base(base, pull.head)?;
        Ok(base.map(|base| Subject { head: pull.head, base }))
    }

    /// Makes and publishes one review; returns whether no step said to stop.
    fn review(&mut self, pull: &OpenPull, subject: Subject) -> Result<bool, CommandError> {
        let number = pull.number;
        let Some(page) = self.examine(subject)? else { return Ok(false) };
        if !self.steps.may_go_on(Step::Examined(number)) {
            return Ok(false);
        }
        if page.is_news {
            self.forge.comment(number, COMMENT, &page.comment)?;
        } else {
            self.forge.revise_comment(number, COMMENT, &page.comment)?;
        }
        if !self.steps.may_go_on(Step::Commented(number)) {
            return Ok(false);
        }
        info!(pull_request.number = number, "reviewed pull request #{number}: {}", page.title);
        for part in page.further_parts(&pull.url) {
            self.forge.set_part(subject.head, &part)?;
        }
        self.forge.set_verdict(subject.head, &page.into_verdict(&pull.url))?;
        Ok(self.steps.may_go_on(Step::Judged(number)))
    }

    /// Finds out what a pull request changes; nothing if a stop was requested meanwhile. What cannot be rendered within
    /// its limits is something to say about it, too.
    fn examine(&mut self, subject: Subject) -> Result<Option<Page>, CommandError> {
        let Settings { base, budget, allow_deletions, .. } = self.settings;
        let (branch, allow_deletions) = (base.clone(), allow_deletions.clone());
        let question =
            Question { subject, branch, budget: *budget, allow_deletions, is_base_unrenderable: false };
        let examined = self.workers.examine(self.upstream.repository().git_dir(), question, self.steps)?;
        Ok(examined.map(|examined| examined.unwrap_or_else(|death| Page::of_death(&death))))
    }
}
