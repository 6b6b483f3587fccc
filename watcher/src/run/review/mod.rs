//! The verdicts on everything that is proposed to the base branch: what it changes of what is rendered, said before the
//! merge, and whether something else has to be merged first.
//!
//! Every open pull request and every head of a merge queue gets both, ours included: a required verdict that never comes
//! would block a merge for ever. What is said follows from the head and from where it left the base branch, so that it stays
//! as it is when the base branch moves on. Nothing is kept but what was said last in this process, which saves looking again.

mod edits;
mod examine;
mod page;
mod queue;
mod seal;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use renderer::snapshot::{ENVIRONMENTS, OUTPUT, TEMPLATES};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::describe::Links;
use super::gate::{Control, Folders};
use super::group::Group;
use super::heads::Heads;
use super::pipeline::{Settings, Step, Steps};
use super::publish::{BRANCH_PREFIX, head_of};
use super::worker::Workers;
use crate::error::CommandError;
use crate::forge::ForgeError;
use crate::forge::github::{CommitStatus, GitHubForge, Labelled, OpenPull, Origin, StatusState};
use crate::git::{Entry, GitError, Repository, Revision, SOURCE_REVISION, Upstream};

pub(super) use examine::{MAX_RENDERED_BYTES, Question, Side, examine};
use page::Maker;
pub(super) use page::Page;
pub(super) use queue::{MergeGroup, queue_of};
pub(super) use seal::{Read, read_before};

/// The name of the verdict: of the check run, or of the commit status.
pub const REVIEW: &str = "fleetwright/review";
/// The label by which a maintainer asks that a pull request from a fork is rendered, as it is at that moment.
pub const RENDER_LABEL: &str = "fleetwright: render";
/// The label by which a maintainer accepts that rendered files are edited by hand, as they are at that moment.
pub const ACCEPT_LABEL: &str = "fleetwright: accept-edits";
/// The kind of the comment.
const COMMENT: &str = "review";

/// Verdicts in one repository. It remembers what was said, never what must be said.
#[derive(Debug, Default)]
pub(super) struct Reviews {
    said: BTreeMap<Place, Said>,
}

/// Where a head is proposed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// In a pull request.
    Pull(u64),
    /// In a merge queue, on the branch of that name.
    Queue(String),
}

/// What was said of a head last.
#[derive(Debug)]
struct Said {
    basis: Basis,
    /// Where the head changes rendered files; nothing if that is not known.
    folders: Option<Folders>,
    gate: Option<CommitStatus>,
    /// The edits by hand that a maintainer accepted.
    accepted: BTreeSet<(String, Option<Entry>)>,
}

/// All that a review follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Basis {
    head: Revision,
    standing: Standing,
    labels: BTreeSet<String>,
    maker: Option<Maker>,
}

/// How a head stands to the base branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It may not be read.
    Unread,
    /// It shares no history with the base.
    Unrelated,
    /// It left the base there.
    Left(Revision),
}

/// What verdicts are made with.
pub(super) struct Desk<'a> {
    pub upstream: &'a Upstream,
    pub forge: GitHubForge<'a>,
    pub settings: &'a Settings,
    pub steps: &'a dyn Steps,
    pub workers: &'a mut Workers,
    /// What has to be merged before the apps.
    pub control: &'a Control,
    /// What is known of the heads of our own branches.
    pub heads: &'a Heads,
}

/// What a review is about: everything that it says follows from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    pub head: Revision,
    /// The newest commit that the head and the base branch share.
    pub base: Revision,
}

/// Returns the open pull requests to the base branch.
pub(super) fn open_pulls(forge: &GitHubForge<'_>, base: &str) -> Result<Vec<OpenPull>, ForgeError> {
    forge.open_pulls(base, &[RENDER_LABEL, ACCEPT_LABEL])
}

/// Returns the group that a pull request is for, if it is one of ours: from the group's very branch in the repository itself.
fn group_of(pull: &OpenPull) -> Option<Group> {
    let is_head = |group: &Group| pull.origin == Origin::Own && pull.branch == head_of(*group);
    Group::ALL.into_iter().find(is_head)
}

impl Reviews {
    /// Forgets what was said, so that every review is made and compared with what stands there once more.
    pub(super) fn forget(&mut self) {
        self.said.clear();
    }

    /// Gives each of `pulls` and `queue` both verdicts, unless they are as they were; returns whether no step said to stop.
    pub(super) fn run(
        &mut self,
        desk: &mut Desk<'_>,
        pulls: &[OpenPull],
        queue: &[MergeGroup],
    ) -> Result<bool, CommandError> {
        let places = pulls.iter().map(|pull| Place::Pull(pull.number));
        let places: BTreeSet<Place> = places.chain(queue.iter().map(MergeGroup::place)).collect();
        self.said.retain(|place, _| places.contains(place));
        let Some(base) = desk.upstream.branch(&desk.settings.base)? else { return Ok(true) };
        let pulls = pulls.iter().map(Proposed::Pull);
        for proposed in pulls.chain(queue.iter().map(Proposed::Group)) {
            // Nothing that one of them holds keeps the others from their verdicts.
            let judged = self.judge(desk, &proposed, base);
            if !report(judged, &proposed, true)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Finds what the review of a head follows from; nothing if it moves while it is looked at.
    fn basis(
        &self,
        desk: &Desk<'_>,
        proposed: &Proposed<'_>,
        base: Revision,
    ) -> Result<Option<Basis>, CommandError> {
        match proposed {
            Proposed::Pull(pull) => self.basis_of_pull(desk, pull, base),
            Proposed::Group(group) => {
                let standing = desk.standing_of(group.head, base)?;
                Ok(Some(Basis { head: group.head, standing, labels: BTreeSet::new(), maker: None }))
            }
        }
    }

    fn basis_of_pull(
        &self,
        desk: &Desk<'_>,
        pull: &OpenPull,
        base: Revision,
    ) -> Result<Option<Basis>, CommandError> {
        let known = self.said.get(&Place::Pull(pull.number)).filter(|said| said.basis.head == pull.head);
        let is_read = known.is_some_and(|said| said.basis.standing != Standing::Unread);
        let mut labels = pull.labels.clone();
        let may_read = pull.origin == Origin::Own
            || labels.contains(RENDER_LABEL)
                && (is_read || report(desk.is_permitted(pull, &mut labels), &Proposed::Pull(pull), false)?);
        let standing = if may_read { desk.standing(pull, base)? } else { Some(Standing::Unread) };
        let Some(standing) = standing else { return Ok(None) };
        let maker = group_of(pull).map(|group| desk.maker(group, pull.head)).transpose()?;
        Ok(Some(Basis { head: pull.head, standing, labels, maker }))
    }

    /// Gives a head both verdicts, as far as they are not what was said last; returns whether no step said to stop.
    fn judge(
        &mut self,
        desk: &mut Desk<'_>,
        proposed: &Proposed<'_>,
        base: Revision,
    ) -> Result<bool, CommandError> {
        let Some(basis) = self.basis(desk, proposed, base)? else { return Ok(true) };
        let place = proposed.place();
        if self.said.get(&place).is_none_or(|said| said.basis != basis) {
            let accepted = self.said.values().flat_map(|said| said.accepted.iter().cloned()).collect();
            let mut said = Said { basis, folders: None, gate: None, accepted };
            // Even if it cannot be said: trying again is of use only when something has changed.
            if !report(desk.review(proposed, &mut said), proposed, true)? {
                return Ok(false);
            }
            self.said.insert(place.clone(), said);
        }
        let Some(said) = self.said.get_mut(&place) else { return Ok(true) };
        let gate = desk.gate(proposed, said)?;
        if said.gate.as_ref() != Some(&gate) {
            let set = desk.forge.set_status(said.basis.head, &gate).map(|()| true);
            report(set.map_err(CommandError::from), proposed, true)?;
            said.gate = Some(gate);
        }
        Ok(true)
    }
}

/// Logs a failure that only a person can end, and goes on with `instead`: one conversation that is locked must not keep the
/// others from their verdicts.
fn report(
    result: Result<bool, CommandError>,
    proposed: &Proposed<'_>,
    instead: bool,
) -> Result<bool, CommandError> {
    match result {
        Err(error) if !error.is_transient() => {
            let (name, message) = (proposed.to_string(), error.message());
            warn!(proposed = name, hint = error.hint(), "could not review {name}: {message}");
            Ok(instead)
        }
        result => result,
    }
}

/// A head that is proposed.
enum Proposed<'a> {
    Pull(&'a OpenPull),
    Group(&'a MergeGroup),
}

impl Proposed<'_> {
    fn place(&self) -> Place {
        match self {
            Self::Pull(pull) => Place::Pull(pull.number),
            Self::Group(group) => Place::Queue(group.branch.clone()),
        }
    }

    fn url(&self) -> Option<&str> {
        match self {
            Self::Pull(pull) => Some(&pull.url),
            Self::Group(_) => None,
        }
    }

    /// Returns the point at which a run can be stopped once it is examined, commented on, and judged.
    fn steps(&self) -> [Step; 3] {
        match self {
            Self::Pull(OpenPull { number, .. }) => {
                [Step::Examined(*number), Step::Commented(*number), Step::Judged(*number)]
            }
            Self::Group(_) => [Step::Queue; 3],
        }
    }
}

impl fmt::Display for Proposed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pull(pull) => write!(f, "pull request #{}", pull.number),
            Self::Group(group) => write!(f, "`{}`", group.branch),
        }
    }
}

impl Desk<'_> {
    /// Returns whether a fork may be rendered: as long as nothing was pushed to it since a maintainer set the label; only
    /// people with triage rights can. A label that is too old is taken off.
    fn is_permitted(&self, pull: &OpenPull, labels: &mut BTreeSet<String>) -> Result<bool, CommandError> {
        if self.is_labelled(pull, RENDER_LABEL, labels)? {
            return Ok(true);
        }
        self.forge.revise_comment(pull.number, COMMENT, &page::permission_gone())?;
        Ok(false)
    }

    /// Returns whether a label is a word about the head as it is now; one that is not is taken off.
    fn is_labelled(
        &self,
        pull: &OpenPull,
        label: &str,
        labels: &mut BTreeSet<String>,
    ) -> Result<bool, CommandError> {
        if !labels.contains(label) {
            return Ok(false);
        }
        let labelled = match self.forge.pushed_at(pull)? {
            Some(pushed_at) => self.forge.labelled(pull.number, label, &pushed_at)?,
            None => Labelled::BeforePush,
        };
        if labelled == Labelled::SincePush {
            return Ok(true);
        }
        let number = pull.number;
        info!(
            pull_request.number = number,
            label, "pull request #{number} was pushed to after it was labelled"
        );
        self.forge.remove_label(number, label)?;
        labels.remove(label);
        Ok(false)
    }

    /// Finds how the head of a pull request stands to the base; nothing if it moves meanwhile.
    fn standing(&self, pull: &OpenPull, base: Revision) -> Result<Option<Standing>, CommandError> {
        if !self.repository().has(pull.head) {
            let found = self.upstream.fetch_ref(&GitHubForge::head_ref(pull.number))?;
            if found != Some(pull.head) {
                return Ok(None);
            }
        }
        self.standing_of(pull.head, base).map(Some)
    }

    fn standing_of(&self, head: Revision, base: Revision) -> Result<Standing, CommandError> {
        let base = self.repository().merge_base(base, head)?;
        Ok(base.map_or(Standing::Unrelated, Standing::Left))
    }

    /// Returns who made the head of one of our own branches.
    fn maker(&self, group: Group, head: Revision) -> Result<Maker, CommandError> {
        if !self.heads.is_ours(&self.forge, group, head)? {
            return Ok(Maker::Person);
        }
        let source = self.repository().read_trailer(head, SOURCE_REVISION)?;
        let source = source.and_then(|source| Revision::parse(&source).ok());
        Ok(source.map_or(Maker::Person, |source| Maker::Fleetwright { source }))
    }

    /// Examines a head and publishes what is found; returns whether no step said to stop.
    fn review(&mut self, proposed: &Proposed<'_>, said: &mut Said) -> Result<bool, CommandError> {
        let Some(page) = self.page(proposed, said)? else { return Ok(false) };
        let [examined, commented, judged] = proposed.steps();
        if !self.steps.may_go_on(examined) {
            return Ok(false);
        }
        if let Proposed::Pull(pull) = proposed
            && said.basis.maker.is_none()
            && said.basis.standing != Standing::Unread
        {
            if page.is_news {
                self.forge.comment(pull.number, COMMENT, &page.comment)?;
            } else {
                self.forge.revise_comment(pull.number, COMMENT, &page.comment)?;
            }
        }
        if !self.steps.may_go_on(commented) {
            return Ok(false);
        }
        info!("reviewed {proposed}: {}", page.title);
        let (head, url) = (said.basis.head, proposed.url());
        for part in page.further_parts(url) {
            self.forge.set_part(head, &part)?;
        }
        self.forge.set_verdict(head, &page.into_verdict(url))?;
        Ok(self.steps.may_go_on(judged))
    }

    /// Works out what a review says, and writes down where the head changes rendered files; nothing if a stop was requested
    /// meanwhile.
    fn page(&mut self, proposed: &Proposed<'_>, said: &mut Said) -> Result<Option<Page>, CommandError> {
        let candidates = std::mem::take(&mut said.accepted);
        let mut page = match said.basis.standing {
            Standing::Unread => {
                let paths = self.forge.changed_paths(self.base()?, said.basis.head)?;
                said.folders = paths.as_ref().map(|paths| folders(paths.iter().map(String::as_str)));
                Page::of_unread(
                    paths.is_none_or(|paths| paths.iter().any(|path| is_rendered_from_or_to(path))),
                )
            }
            Standing::Unrelated => Page::of_unrelated(&self.settings.base),
            Standing::Left(base) => {
                let subject = Subject { head: said.basis.head, base };
                let found = self.repository().differences_below(OUTPUT, base, subject.head)?;
                said.folders = Some(folders(found.iter().map(|found| found.path.as_str())));
                let Some(page) = self.examine(subject)? else { return Ok(None) };
                page
            }
        };
        if let Proposed::Pull(pull) = proposed
            && pull.origin == Origin::Own
            && said.basis.maker.is_none()
            && pull.branch.starts_with(BRANCH_PREFIX)
        {
            page = page.on_reserved_branch();
        }
        if let Some(maker) = &said.basis.maker {
            page = page.made_by(maker);
        } else if !page.edits.is_empty() {
            let is_accepted = match proposed {
                Proposed::Pull(pull) => self.is_labelled(pull, ACCEPT_LABEL, &mut said.basis.labels)?,
                Proposed::Group(_) => page.edits.iter().all(|edit| candidates.contains(edit)),
            };
            if is_accepted {
                said.accepted = page.edits.iter().cloned().collect();
                page.accept_edits();
            }
        }
        Ok(Some(page))
    }

    /// Finds out what a head changes; nothing if a stop was requested meanwhile. What cannot be rendered within its limits is
    /// something to say about it, too.
    fn examine(&mut self, subject: Subject) -> Result<Option<Page>, CommandError> {
        let Settings { base, budget, allow_deletions, .. } = self.settings;
        let links = Links { web: Some(self.forge.web()), branch: base.clone() };
        let allow_deletions = allow_deletions.clone();
        let question =
            Question { subject, links, budget: *budget, allow_deletions, is_base_unrenderable: false };
        let examined = self.workers.examine(self.upstream.repository().git_dir(), question, self.steps)?;
        Ok(examined.map(|examined| examined.unwrap_or_else(|death| Page::of_death(&death))))
    }

    /// Returns how a head stands that may have to wait for control. What a queue holds never changes, so there it fails.
    fn gate(&self, proposed: &Proposed<'_>, said: &Said) -> Result<CommitStatus, CommandError> {
        // What a head does not change is, after its merge, what the base has.
        let has = |path: &str, wanted: Option<&Entry>| match said.basis.standing {
            Standing::Left(base) => {
                let entry = |revision| self.repository().entry_at(revision, path);
                Ok(entry(said.basis.head)?.as_ref() == wanted && entry(base)?.as_ref() != wanted)
            }
            _ => Ok(false),
        };
        let is_of_control =
            matches!(proposed, Proposed::Pull(pull) if group_of(pull) == Some(Group::Control));
        let mut gate =
            if is_of_control { Control::first() } else { self.control.status(said.folders.as_ref(), has)? };
        gate.target_url = proposed.url().map(str::to_owned);
        if matches!(proposed, Proposed::Group(_)) && gate.state == StatusState::Pending {
            gate.state = StatusState::Failure;
        }
        Ok(gate)
    }

    fn base(&self) -> Result<Revision, GitError> {
        self.upstream.existing_branch(&self.settings.base)
    }

    const fn repository(&self) -> &Repository {
        self.upstream.repository()
    }
}

/// Returns the folders right below the output folder that paths are in; the output folder itself has the name of none.
fn folders<'p>(paths: impl Iterator<Item = &'p str>) -> Folders {
    let below = paths.filter(|path| is_in(path, OUTPUT));
    below.map(|path| edits::folder(path).unwrap_or_default().to_owned()).collect()
}

fn is_rendered_from_or_to(path: &str) -> bool {
    [ENVIRONMENTS, TEMPLATES, OUTPUT].iter().any(|folder| is_in(path, folder))
}

fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
