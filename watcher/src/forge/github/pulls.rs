//! Pull requests on GitHub: what a proposal becomes there. Pure decisions; [`super`] acts on them.

use std::collections::BTreeSet;

use super::marker::{self, Marker};
use super::wire::{Pull, PullEdit};
use crate::forge::{Proposal, PullRequest, PullState, REVIEWED_LABEL};

/// The most characters that GitHub takes for a body; beyond it the API answers with status 422.
pub(super) const BODY_LIMIT: usize = 65_536;
/// Why a pull request is closed that Fleetwright did not close.
pub(super) const CLOSED_BY_A_PERSON: &str = "closed on GitHub";

/// What must be done so that an open pull request is as proposed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) edit: PullEdit,
    pub(super) missing_labels: Vec<String>,
    pub(super) stale_labels: Vec<String>,
}

impl Difference {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares an open pull request with what is proposed.
///
/// A title that a person wrote stays; so does what people wrote beside the generated part of the body, and every label
/// that Fleetwright did not set.
pub(super) fn difference(pull: &Pull, proposal: &Proposal) -> Difference {
    let old_body = pull.body.as_deref().unwrap_or_default();
    let old = marker::read(old_body);
    let wrote_title = old.as_ref().is_some_and(|old| old.title == marker::title_digest(&pull.title));
    let mut new = marker_of(proposal);
    if let Some(old) = old.as_ref().filter(|_| !wrote_title) {
        // As long as the digest does not match the title, the title is a person's.
        new.title.clone_from(&old.title);
    }
    let body = marker::splice(old_body, &proposal.body, &new, BODY_LIMIT);
    let is_ours = wrote_title || old.is_none();
    let has: BTreeSet<&str> = pull.labels.iter().map(|label| label.name.as_str()).collect();
    let was_ours = old.map(|old| old.labels).unwrap_or_default();
    Difference {
        edit: PullEdit {
            title: (is_ours && pull.title != proposal.title).then(|| proposal.title.clone()),
            body: (body != old_body.replace("\r\n", "\n")).then_some(body),
            base: (pull.base.branch != proposal.base).then(|| proposal.base.clone()),
            state: None,
        },
        missing_labels: proposal
            .labels
            .iter()
            .filter(|label| !has.contains(label.as_str()))
            .cloned()
            .collect(),
        stale_labels: was_ours
            .into_iter()
            .chain([REVIEWED_LABEL.to_owned()])
            .filter(|label| has.contains(label.as_str()) && !proposal.labels.contains(label))
            .collect::<BTreeSet<String>>()
            .into_iter()
            .collect(),
    }
}

/// Returns the marker of a new pull request.
pub(super) fn marker_of(proposal: &Proposal) -> Marker {
    Marker {
        group: proposal.group.clone(),
        plan: proposal.plan.clone(),
        base_revision: proposal.base_revision,
        head_revision: proposal.head_revision,
        title: marker::title_digest(&proposal.title),
        labels: proposal.labels.iter().cloned().collect(),
        closed: None,
    }
}

/// Returns the body of a pull request that is closed for a reason; nothing if it has no marker for it.
pub(super) fn closed_body(pull: &Pull, reason: &str) -> Option<String> {
    let body = pull.body.as_deref()?;
    let marker = Marker { closed: Some(reason.to_owned()), ..marker::read(body)? };
    Some(marker::splice(body, &marker::generated(body), &marker, BODY_LIMIT))
}

/// Reads a pull request.
pub(super) fn read(pull: &Pull) -> PullRequest {
    let body = pull.body.as_deref().unwrap_or_default();
    let marker = marker::read(body);
    let state = match (&pull.merged_at, pull.merge_commit_sha) {
        (Some(_), Some(revision)) => PullState::Merged { revision },
        _ if pull.state == "open" => PullState::Open,
        _ => {
            let reason = marker.as_ref().and_then(|marker| marker.closed.clone());
            PullState::Closed { reason: reason.unwrap_or_else(|| CLOSED_BY_A_PERSON.into()) }
        }
    };
    let base_revision = marker.as_ref().map_or(pull.base.sha, |marker| marker.base_revision);
    let (group, plan) = marker.map(|marker| (marker.group, marker.plan)).unwrap_or_default();
    let proposal = Proposal {
        title: pull.title.clone(),
        group,
        plan,
        base: pull.base.branch.clone(),
        base_revision,
        head: pull.head.branch.clone(),
        head_revision: pull.head.sha,
        labels: pull.labels.iter().map(|label| label.name.clone()).collect(),
        body: marker::generated(body),
    };
    PullRequest { number: pull.number, state, proposal }
}
