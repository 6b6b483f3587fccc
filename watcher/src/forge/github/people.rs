//! The open pull requests: which there are, where they come from, what they touch, and what a maintainer asked for.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::json;
use tracing::info;

use super::client::Call;
use super::wire;
use super::{GitHubError, GitHubFaultKind, GitHubForge};
use crate::forge::pull::BRANCHES;
use crate::forge::{ForgeError, Obstacle, Origin, OtherPulls, OwnPulls as _, ProposedHead, PullState};
use crate::git::Revision;
use crate::output::with_causes;
use crate::percent::encoded;

/// How many files GitHub lists of a comparison; beyond them it leaves out the others (GitHub Docs, "Compare two
/// commits").
const MAX_COMPARED_FILES: usize = 300;
/// How many heads of a queue are judged: a queue builds no more of them at a time.
const MAX_QUEUED: usize = 100;

impl OtherPulls for GitHubForge<'_> {
    fn proposed_heads(
        &self,
        base: &str,
        refs: &BTreeMap<String, Revision>,
        labels: &[&str],
    ) -> Result<Vec<ProposedHead>, ForgeError> {
        let route = self.route("/pulls?state=open&per_page=100");
        let mut pulls: Vec<wire::Pull> = self.client.list(Call::get("list the pull requests", route))?;
        pulls.retain(|pull| pull.base.branch == base);
        pulls.sort_by_key(|pull| pull.number);
        let pulls = pulls.iter().map(|pull| self.open_pull(pull, labels));
        Ok(pulls.chain(queued(refs, base)).collect())
    }

    fn head_ref(&self, number: u64) -> Option<String> {
        Some(format!("refs/pull/{number}/head"))
    }

    fn changed_paths(&self, base: Revision, head: Revision) -> Result<Option<Vec<String>>, ForgeError> {
        let route = self.route(&format!("/compare/{base}...{head}?per_page=1"));
        let compared = self.client.call::<wire::Comparison>(&Call::get("compare two commits", route));
        let Some(compared) = found(compared)? else { return Ok(None) };
        let files = compared.files.filter(|files| files.len() < MAX_COMPARED_FILES);
        let names = |file: wire::ChangedFile| [Some(file.filename), file.previous_filename];
        Ok(files.map(|files| files.into_iter().flat_map(names).flatten().collect()))
    }

    /// Both moments are GitHub's, to the second. A push in the second of the label may have come after it.
    fn is_labelled_since_push(
        &self,
        number: u64,
        pull: &ProposedHead,
        label: &str,
    ) -> Result<bool, ForgeError> {
        let Some(pushed_at) = self.pushed_at(pull)? else { return Ok(false) };
        let route = self.route(&format!("/issues/{number}/events?per_page=100"));
        let events: Vec<wire::Event> =
            self.client.list(Call::get("read what happened to a pull request", route))?;
        let set = events.iter().rfind(|event| {
            event.kind == "labeled" && event.label.as_ref().is_some_and(|set| set.name == label)
        });
        Ok(set.is_some_and(|event| is_after(&event.created_at, &pushed_at)))
    }

    fn remove_label(&self, number: u64, label: &str) -> Result<(), ForgeError> {
        let route = self.route(&format!("/issues/{number}/labels/{}", encoded(label)));
        let mut call = Call::get("take a label off a pull request", route);
        call.method = Method::DELETE;
        match self.client.run(&call) {
            // A person was faster.
            Err(error) if error.is(GitHubFaultKind::NotFound) => Ok(()),
            result => Ok(result?),
        }
    }

    fn comment(&self, number: u64, kind: &str, text: &str, is_news: bool) -> Result<(), ForgeError> {
        let mark = mark(kind);
        let body = format!("{text}\n{mark}");
        let find = || self.find_comment(number, &mark);
        let route = self.route(&format!("/issues/{number}/comments"));
        let add = Call::create("add a comment", route, &json!({ "body": body }));
        let comment =
            if is_news { Some(self.find_or_make(find, || self.client.call(&add))?.0) } else { find()? };
        comment.map_or(Ok(()), |comment| self.edit_comment(&comment, &body))
    }

    fn own_comment(&self, number: u64, kind: &str) -> Result<Option<String>, ForgeError> {
        Ok(self.find_comment(number, &mark(kind))?.map(|comment| comment.body))
    }

    fn merged_with(&self, revision: Revision, base: &str) -> Result<Vec<(u64, Revision)>, ForgeError> {
        let route = self.route(&format!("/commits/{revision}/pulls?per_page=100"));
        let call = Call::get("find the pull request of a commit", route);
        // The branch may have been replaced meanwhile, and the commit is no longer there.
        let mut pulls: Vec<wire::Pull> = found(self.client.list(call))?.unwrap_or_default();
        pulls.retain(|pull| pull.merged_at.is_some() && pull.base.branch == base);
        Ok(pulls.iter().map(|pull| (pull.number, pull.head.sha)).collect())
    }

    fn obstacle(&self, number: u64) -> Result<Obstacle, ForgeError> {
        let pull = self.pull(number)?;
        Ok(match pull.mergeable_state.as_deref().filter(|_| pull.state == "open") {
            Some("clean") => Obstacle::Nothing,
            Some("behind") => Obstacle::Behind,
            _ => Obstacle::Other,
        })
    }

    fn merge_if_allowed(&self, number: u64, head: Revision) -> Result<(), ForgeError> {
        match self.merge(number, head) {
            Ok(wire::Merge { sha: merge }) => {
                info!(pull_request.number = number, %merge, "merged pull request #{number}, as it was read before");
            }
            // GitHub has another view, or a person was faster: the next look shows what became of it.
            Err(error) if error.is(GitHubFaultKind::NotMergeable) => {
                let error = with_causes(&error);
                info!(pull_request.number = number, error, "left pull request #{number} unmerged");
            }
            Err(error) if error.is(GitHubFaultKind::Ambiguous) => {
                let now = self.show(number)?;
                if now.state == PullState::Open && now.proposal.head_revision == head {
                    return Err(error.into());
                }
                let state = now.state.word();
                info!(pull_request.number = number, "pull request #{number} is {state} after a lost answer");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl GitHubForge<'_> {
    fn open_pull(&self, pull: &wire::Pull, labels: &[&str]) -> ProposedHead {
        let names = pull.labels.iter().map(|label| label.name.clone());
        let labels: BTreeSet<String> = names.filter(|name| labels.contains(&name.as_str())).collect();
        // What else is pushed to a fork is no news, unless a label has to be younger than it.
        let pushed_at = || pull.head.repo.as_ref().filter(|_| !labels.is_empty())?.pushed_at.clone();
        let origin = if self.is_own(pull) { Origin::Own } else { Origin::Fork { pushed_at: pushed_at() } };
        let (branch, url) = (pull.head.branch.clone(), Some(pull.html_url.clone()));
        ProposedHead { number: Some(pull.number), branch, head: pull.head.sha, origin, labels, url }
    }

    /// Returns when the branch of a pull request was last pushed to, as GitHub writes moments; nothing if
    /// GitHub does not say so of the head that is seen.
    fn pushed_at(&self, pull: &ProposedHead) -> Result<Option<String>, ForgeError> {
        if let Origin::Fork { pushed_at } = &pull.origin {
            return Ok(pushed_at.clone());
        }
        let name = format!("{BRANCHES}{}", pull.branch);
        let route = self.route(&format!("/activity?ref={}&per_page=1", encoded(&name)));
        let moves: Option<Vec<wire::Activity>> =
            found(self.client.call(&Call::get("read what was pushed", route)))?;
        let newest = moves.into_iter().flatten().next();
        let is_seen = |newest: &wire::Activity| newest.name == name && newest.after == pull.head;
        Ok(newest.filter(is_seen).map(|newest| newest.timestamp))
    }

    fn edit_comment(&self, comment: &wire::Comment, body: &str) -> Result<(), ForgeError> {
        if comment.body.replace("\r\n", "\n") == body {
            return Ok(());
        }
        let route = self.route(&format!("/issues/comments/{}", comment.id));
        let call = Call::set("edit a comment", Method::PATCH, route, &json!({ "body": body }));
        Ok(self.client.run(&call)?)
    }

    fn find_comment(&self, number: u64, mark: &str) -> Result<Option<wire::Comment>, ForgeError> {
        let route = self.route(&format!("/issues/{number}/comments?per_page=100"));
        let comments: Vec<wire::Comment> =
            self.client.list(Call::get("read the comments of a pull request", route))?;
        let mut marked =
            comments.into_iter().filter(|comment| comment.body.trim_end().ends_with(mark)).peekable();
        if marked.peek().is_none() {
            return Ok(None);
        }
        let account = self.client.account()?;
        Ok(marked.find(|comment| account.is(comment.user.as_ref())))
    }
}

/// Returns what was read, or nothing if there is no such thing, or cannot be.
fn found<T>(read: Result<T, GitHubError>) -> Result<Option<T>, GitHubError> {
    match read {
        Err(error) if error.is(GitHubFaultKind::NotFound) || error.is(GitHubFaultKind::Invalid) => Ok(None),
        read => read.map(Some),
    }
}

/// Returns the hidden line by which a comment of ours is found.
fn mark(kind: &str) -> String {
    format!("<!-- fleetwright:{kind} -->")
}

/// Returns where GitHub keeps the heads of the merge queue of a base branch (GitHub Docs, "Managing a merge queue").
pub(in crate::forge) fn merge_queue(base: &str) -> String {
    format!("gh-readonly-queue/{base}/")
}

/// Returns the heads of the merge queue of a base branch. Only the ref is believed, never the name behind it:
/// what a head holds is compared with the base branch itself.
fn queued(refs: &BTreeMap<String, Revision>, base: &str) -> impl Iterator<Item = ProposedHead> {
    let queue = merge_queue(base);
    let is_queued = move |name: &str| {
        name.strip_prefix(BRANCHES).filter(|branch| branch.starts_with(&queue)).map(str::to_owned)
    };
    let heads = refs.iter().filter_map(move |(name, head)| Some((is_queued(name)?, *head)));
    heads.take(MAX_QUEUED).map(|(branch, head)| ProposedHead {
        number: None,
        branch,
        head,
        origin: Origin::Own,
        labels: BTreeSet::new(),
        url: None,
    })
}

/// Compares two moments such as `2026-01-02T03:04:05Z`, which sort as text; nothing is after what cannot be read.
fn is_after(one: &str, two: &str) -> bool {
    let is_moment = |text: &str| text.len() == 20 && text.ends_with('Z');
    is_moment(one) && is_moment(two) && one > two
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_the_refs_below_its_base_and_no_others() {
        let names = [
            "refs/heads/gh-readonly-queue/main/pr-1-0123",
            "refs/heads/gh-readonly-queue/main2/pr-1-0123",
            "refs/heads/gh-readonly-queue/main",
            "refs/heads/main/pr-1-0123",
            "refs/tags/gh-readonly-queue/main/pr-1-0123",
        ];
        let head = Revision::parse(&"a".repeat(40)).unwrap();
        let refs = names.map(|name| (name.to_owned(), head)).into();
        let found: Vec<_> = queued(&refs, "main").map(|queued| (queued.branch, queued.head)).collect();
        assert_eq!(found, [("gh-readonly-queue/main/pr-1-0123".to_owned(), head)]);
    }

    #[test]
    fn only_a_later_second_is_after() {
        let moment = "2026-01-02T03:04:05Z";
        assert!(is_after("2026-01-02T03:04:06Z", moment));
        assert!(!is_after(moment, moment), "a push in the same second may have come after the label");
        assert!(!is_after("2025-12-31T23:59:59Z", moment));
        assert!(!is_after("2026-01-02T03:04:06+01:00", moment), "another notation does not sort as text");
        assert!(!is_after("", moment) && !is_after(moment, ""));
    }
}
