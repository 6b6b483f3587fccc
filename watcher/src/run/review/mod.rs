//! The verdicts on everything that is proposed to the base branch: what it changes of what is rendered, shown
//! before the merge, and whether something else has to be merged first.
//!
//! Every open pull request and every head of a merge queue gets both, ours included: a required verdict that
//! never comes would block a merge for ever. A verdict follows from the head and from where it left the base
//! branch, so that it stays as it is when the base branch moves on. Nothing is kept but what was reported
//! last in this process, which saves looking again.

mod edits;
mod examine;
mod page;
mod question;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use renderer::path::GroupName;
use renderer::root::Root;
use renderer::snapshot::{ENVIRONMENTS, TEMPLATES};
use tracing::{info, warn};

use super::context::{BRANCH_PREFIX, Context, Settings, head_of, unless_lasting};
use super::describe::Links;
use super::effects::{Between, Shown};
use super::gate::{Folders, Gate, PAUSE_LABEL};
use super::heads::Heads;
use super::looks::Looks;
use super::worker::Workers;
use crate::error::CommandError;
use crate::forge::{CommitStatus, Origin, ProposedHead, StatusState};
use crate::git::{Entry, Repository, Revision, SOURCE_REVISION};

pub(super) use examine::{MAX_RENDERED_BYTES, Side, examine};
use page::Maker;
pub(super) use page::Page;
pub use page::{ACCEPT_LABEL, RENDER_LABEL};
pub(super) use question::Question;
use question::Subject;

/// The kind of the comment.
const COMMENT: &str = "review";

/// Verdicts in one repository. It remembers what was reported, never what must be.
#[derive(Debug, Default)]
pub(super) struct Reviews {
    /// What was reported last of each head, by the name of where it is proposed.
    reported: BTreeMap<String, Reported>,
}

/// What was reported of a head last.
#[derive(Debug)]
struct Reported {
    basis: Basis,
    /// Where the head changes rendered files; nothing if that is not known.
    folders: Option<Folders>,
    gate: Option<CommitStatus>,
    /// What the head does to what runs, as far as it was found out.
    effects: Option<Shown>,
    /// The edits by hand that a maintainer accepted.
    accepted: BTreeSet<(String, Option<Entry>)>,
    /// What is shown to browsers, if that is asked for.
    page: Option<ProposedPage>,
}

/// An open pull request as browsers are shown it.
#[derive(Clone, Debug)]
pub struct ProposedPage {
    /// Its number.
    pub number: u64,
    /// Its branch, which a fork may call anything.
    pub branch: String,
    /// Whether it is the one that the run has opened for a group.
    pub is_of_group: bool,
    /// What its review says, in one line.
    pub title: String,
    /// The page of its review, if there is one.
    pub page: Option<Arc<str>>,
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
pub(super) struct Reviewer<'a> {
    pub run: Context<'a>,
    /// The tip of the base branch.
    pub base: Revision,
    pub workers: &'a mut Workers,
    /// What is known of what changes do to what runs.
    pub looks: &'a mut Looks,
    /// The groups, in the order of their release.
    pub order: &'a [GroupName],
    /// What has to be merged before which of them.
    pub gate: &'a Gate,
    /// What is known of the heads of our own branches.
    pub heads: &'a Heads,
}

impl Reviews {
    /// Forgets what was reported, so that every review is made again and compared with what stands there.
    pub(super) fn forget(&mut self) {
        self.reported.clear();
    }

    /// Returns whether nothing has to be merged, synced or healthy before a pull request, as was reported last.
    pub(super) fn is_released(&self, number: u64) -> bool {
        let of_pull =
            self.reported.get(&format!("pull request #{number}")).and_then(|reported| reported.gate.as_ref());
        of_pull.is_some_and(|gate| gate.state == StatusState::Success)
    }

    /// Returns what browsers are shown of pull requests.
    pub(super) fn pages(&self) -> impl Iterator<Item = ProposedPage> {
        self.reported.values().filter_map(|reported| reported.page.clone())
    }

    /// Gives each proposed head both verdicts, unless they are as they were.
    pub(super) fn review(
        &mut self,
        reviewer: &mut Reviewer<'_>,
        proposed: &[ProposedHead],
    ) -> Result<(), CommandError> {
        let names: BTreeSet<String> = proposed.iter().map(ToString::to_string).collect();
        self.reported.retain(|name, _| names.contains(name));
        // Nothing that one of them holds keeps the others from their verdicts.
        proposed.iter().try_for_each(|head| logged(self.judge(reviewer, head), head).map(drop))
    }

    /// Gives a head both verdicts, as far as they are not what was reported last.
    fn judge(&mut self, reviewer: &mut Reviewer<'_>, proposed: &ProposedHead) -> Result<(), CommandError> {
        let name = proposed.to_string();
        let Some(basis) = reviewer.basis(proposed, self.reported.get(&name))? else { return Ok(()) };
        let last = self.reported.get(&name).filter(|reported| reported.basis == basis);
        if last.is_none_or(|last| last.effects.as_ref().is_some_and(|effects| effects.goes_on)) {
            let effects = last.and_then(|last| last.effects.clone());
            let accepted = self.reported.values().flat_map(|reported| reported.accepted.iter().cloned());
            let accepted = accepted.collect();
            let mut reported = Reported { basis, folders: None, gate: None, effects, accepted, page: None };
            // Even if it cannot be reported: trying again is of use only when something has changed.
            logged(reviewer.review(proposed, &mut reported), proposed)?;
            self.reported.insert(name.clone(), reported);
        }
        let Some(reported) = self.reported.get_mut(&name) else { return Ok(()) };
        let gate = reviewer.gate(proposed, reported)?;
        if reported.gate.as_ref() != Some(&gate) {
            let set = reviewer.run.forge.set_status(reported.basis.head, &gate);
            logged(set.map_err(CommandError::from), proposed)?;
            reported.gate = Some(gate);
        }
        Ok(())
    }
}

/// Logs a failure that only a person can end, and goes on: one conversation that is locked must not keep the
/// others from their verdicts.
fn logged<T>(result: Result<T, CommandError>, proposed: &ProposedHead) -> Result<Option<T>, CommandError> {
    unless_lasting(result, |error| {
        let (name, message) = (proposed.to_string(), error.message());
        warn!(proposed = name, hint = error.hint(), "could not review {name}: {message}");
    })
}

impl Reviewer<'_> {
    /// Finds what the review of a head follows from; nothing if it moves while it is looked at.
    fn basis(&self, proposed: &ProposedHead, last: Option<&Reported>) -> Result<Option<Basis>, CommandError> {
        let last = last.filter(|last| last.basis.head == proposed.head);
        let is_read = last.is_some_and(|last| last.basis.standing != Standing::Unread);
        let mut labels = proposed.labels.clone();
        let may_read = proposed.origin == Origin::Own
            || labels.contains(RENDER_LABEL)
                && (is_read || logged(self.is_permitted(proposed, &mut labels), proposed)?.unwrap_or(false));
        let standing = if may_read { self.standing(proposed)? } else { Some(Standing::Unread) };
        let Some(standing) = standing else { return Ok(None) };
        let group = self.group_of(proposed).map(|at| &self.order[at]);
        let maker = group.map(|group| self.maker(group, proposed.head)).transpose()?;
        Ok(Some(Basis { head: proposed.head, standing, labels, maker }))
    }

    /// Returns whether a fork may be rendered: as long as nothing was pushed to it since a maintainer set the
    /// label; only people with triage rights can. A label that is too old is taken off.
    fn is_permitted(
        &self,
        proposed: &ProposedHead,
        labels: &mut BTreeSet<String>,
    ) -> Result<bool, CommandError> {
        let is_labelled = self.is_labelled(proposed, RENDER_LABEL, labels)?;
        if let Some(number) = proposed.number.filter(|_| !is_labelled) {
            self.run.forge.comment(number, COMMENT, &page::permission_gone(), false)?;
        }
        Ok(is_labelled)
    }

    /// Returns whether a label was set for the head as it is now; one that was not is taken off.
    fn is_labelled(
        &self,
        proposed: &ProposedHead,
        label: &str,
        labels: &mut BTreeSet<String>,
    ) -> Result<bool, CommandError> {
        let Some(number) = proposed.number.filter(|_| labels.contains(label)) else { return Ok(false) };
        if self.run.forge.is_labelled_since_push(number, proposed, label)? {
            return Ok(true);
        }
        info!(pull_request.number = number, label, "{proposed} was pushed to after it was labelled");
        self.run.forge.remove_label(number, label)?;
        labels.remove(label);
        Ok(false)
    }

    /// Finds how a head stands to the base; nothing if it moves meanwhile.
    fn standing(&self, proposed: &ProposedHead) -> Result<Option<Standing>, CommandError> {
        if !self.repository().has(proposed.head) {
            let name = proposed.number.and_then(|number| self.run.forge.head_ref(number));
            let found = name.map(|name| self.run.upstream.fetch_ref(&name)).transpose()?.flatten();
            if found != Some(proposed.head) {
                return Ok(None);
            }
        }
        let left = self.repository().merge_base(self.base, proposed.head)?;
        Ok(Some(left.map_or(Standing::Unrelated, Standing::Left)))
    }

    /// Returns the place of the group that a pull request is for, if it is one of ours: from the group's very branch in
    /// the repository itself.
    fn group_of(&self, proposed: &ProposedHead) -> Option<usize> {
        let is_own = proposed.number.is_some() && proposed.origin == Origin::Own;
        self.order.iter().position(|group| is_own && proposed.branch == head_of(group))
    }

    /// Returns who made the head of one of our own branches.
    fn maker(&self, group: &GroupName, head: Revision) -> Result<Maker, CommandError> {
        if !self.heads.is_ours(&self.run, group, head)? {
            return Ok(Maker::Person);
        }
        let source = self.repository().read_trailer(head, SOURCE_REVISION)?;
        let source = source.and_then(|source| Revision::parse(&source).ok());
        Ok(source.map_or(Maker::Person, |source| Maker::Fleetwright { source }))
    }

    /// Examines a head and publishes what is found.
    fn review(&mut self, proposed: &ProposedHead, reported: &mut Reported) -> Result<(), CommandError> {
        let mut page = self.page(proposed, reported)?;
        let (html, title) = (page.take_html().map(Arc::from), page.title.clone());
        let wanted = proposed.number.filter(|_| self.run.settings.makes_pages);
        let branch = proposed.branch.clone();
        reported.page =
            wanted.map(|number| ProposedPage { number, branch, is_of_group: false, title, page: html });
        let Context { forge, cancel, .. } = self.run;
        cancel.check()?;
        let is_commented = reported.basis.maker.is_none() && reported.basis.standing != Standing::Unread;
        if let Some(number) = proposed.number.filter(|_| is_commented) {
            forge.comment(number, COMMENT, &page.comment, page.is_news)?;
        }
        cancel.check()?;
        info!("reviewed {proposed}: {}", page.title);
        let (verdict, parts) = page.into_verdicts(proposed.url.as_deref());
        forge.set_verdict(reported.basis.head, &verdict, &parts)?;
        Ok(cancel.check()?)
    }

    /// Works out what a review shows, and writes down where the head changes rendered files.
    fn page(&mut self, proposed: &ProposedHead, reported: &mut Reported) -> Result<Page, CommandError> {
        let candidates = std::mem::take(&mut reported.accepted);
        let (head, maker) = (reported.basis.head, reported.basis.maker);
        let mut page = match reported.basis.standing {
            Standing::Unread => {
                let paths = self.run.forge.changed_paths(self.base, head)?;
                reported.folders = paths.as_ref().map(|paths| folders(paths.iter().map(String::as_str)));
                let touches = paths.is_none_or(|paths| paths.iter().any(|path| is_rendered_from_or_to(path)));
                Page::of_unread(touches)
            }
            Standing::Unrelated => Page::of_unrelated(&self.run.settings.base),
            Standing::Left(base) => {
                let found = self.repository().rendered_differences(base, head)?;
                reported.folders = Some(folders(found.iter().map(|found| found.path.as_str())));
                let (subject, between) = (Subject { head, base }, Between::Revisions { base, head });
                // The run that made what is ours shows what it does.
                if maker.is_none() {
                    let last = reported.effects.take();
                    reported.effects = self.looks.find(&self.run, self.workers, between, last.as_ref())?;
                }
                self.examine(subject, proposed.number, reported.effects.clone())?
            }
        };
        if let Some(maker) = maker {
            return Ok(page.made_by(maker));
        }
        let is_pull = proposed.number.is_some();
        if is_pull && proposed.origin == Origin::Own && proposed.branch.starts_with(BRANCH_PREFIX) {
            page = page.on_reserved_branch();
        }
        if !page.edits.is_empty() {
            let is_accepted = if is_pull {
                self.is_labelled(proposed, ACCEPT_LABEL, &mut reported.basis.labels)?
            } else {
                page.edits.iter().all(|edit| candidates.contains(edit))
            };
            if is_accepted {
                reported.accepted = page.edits.iter().cloned().collect();
                page.accept_edits();
            }
        }
        Ok(page)
    }

    /// Finds out what a head changes. What cannot be rendered within its limits is something to report of it, too.
    fn examine(
        &mut self,
        subject: Subject,
        number: Option<u64>,
        effects: Option<Shown>,
    ) -> Result<Page, CommandError> {
        let Settings { budget, allow_deletions, .. } = self.run.settings;
        let (links, allow_deletions) = (Links::of(&self.run), allow_deletions.clone());
        let question = Question {
            subject,
            links,
            budget: *budget,
            allow_deletions,
            effects,
            makes_page: self.run.settings.makes_pages,
            number,
            is_base_unrenderable: false,
        };
        let examined = self.workers.examine(&self.run, question)?;
        Ok(examined.unwrap_or_else(|death| Page::of_death(&death)))
    }

    /// Returns how a head stands that may have to wait for others. What a queue holds never changes, so
    /// there it fails.
    fn gate(&self, proposed: &ProposedHead, reported: &Reported) -> Result<CommitStatus, CommandError> {
        // What a head does not change is, after its merge, what the base has.
        let has = |path: &str, wanted: Option<&Entry>| match reported.basis.standing {
            Standing::Left(base) => {
                let entry = |revision| self.repository().entry_at(revision, path);
                Ok(entry(reported.basis.head)?.as_ref() == wanted && entry(base)?.as_ref() != wanted)
            }
            _ => Ok(false),
        };
        let mut gate = self.gate.status(self.group_of(proposed), reported.folders.as_ref(), has)?;
        if reported.basis.labels.contains(PAUSE_LABEL) {
            gate.state = StatusState::Pending;
            gate.description = format!("paused by the label `{PAUSE_LABEL}`");
        }
        gate.target_url.clone_from(&proposed.url);
        if proposed.number.is_none() && gate.state == StatusState::Pending {
            gate.state = StatusState::Failure;
        }
        Ok(gate)
    }

    const fn repository(&self) -> &Repository {
        self.run.repository()
    }
}

/// Returns the clusters whose rendered files paths lead to, by name; what belongs to none has the empty name.
fn folders<'p>(paths: impl Iterator<Item = &'p str>) -> Folders {
    let below = paths.filter(|path| Root::of(path).is_some());
    below.map(|path| edits::folder(path).unwrap_or_default().to_owned()).collect()
}

fn is_rendered_from_or_to(path: &str) -> bool {
    Root::of(path).is_some() || [ENVIRONMENTS, TEMPLATES].iter().any(|folder| is_in(path, folder))
}

fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
