//! Pull requests: listed, opened, edited and merged, and refused as GitHub refuses them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::shapes;
use super::state::{Pull, State};
use crate::web::wire::{Answer, Reply, Request};

/// The longest title, in characters.
pub const TITLE_LIMIT: usize = 256;
/// The longest body of a pull request or a comment, in characters.
pub const BODY_LIMIT: usize = 65_536;

/// Lists pull requests, the newest first.
pub fn list(state: &State, request: &Request) -> Answer {
    let query = |key: &str| request.query.get(key).map(String::as_str);
    let wanted = query("state").unwrap_or("open");
    if !["open", "closed", "all"].contains(&wanted) {
        return Err(Reply::invalid_field("PullRequest", "state", "invalid"));
    }
    // Without an owner before the colon the filter is ignored: everything is listed.
    let head = query("head").and_then(|head| head.split_once(':'));
    let mut pulls: Vec<&Pull> = state
        .pulls
        .iter()
        .filter(|pull| wanted == "all" || pull.is_open() == (wanted == "open"))
        .filter(|pull| head.is_none_or(|(owner, branch)| pull.head_owner == owner && pull.head == branch))
        .filter(|pull| query("base").is_none_or(|base| pull.base == base))
        .collect();
    pulls.sort_by_key(|pull| if query("sort") == Some("updated") { pull.updated } else { pull.number });
    let is_oldest_first = match query("direction") {
        Some(direction) => direction == "asc",
        None => query("sort").is_some_and(|sort| sort != "created"),
    };
    if !is_oldest_first {
        pulls.reverse();
    }
    let items: Vec<Value> = pulls.into_iter().map(|pull| shapes::pull(state, pull)).collect();
    Ok(request.page(&items, &state.root))
}

/// Returns one pull request.
pub fn get(state: &State, number: u64) -> Answer {
    let pull = &state.pulls[find(state, number)?];
    Ok(Reply::ok(200, shapes::pull_in_full(state, pull)))
}

/// Opens a pull request.
pub fn create(state: &mut State, request: &Request, login: &str) -> Answer {
    let body = request.json()?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (title, head, base) = (text("title"), text("head"), text("base"));
    for (field, value) in [("title", &title), ("head", &head), ("base", &base)] {
        if value.is_empty() {
            return Err(Reply::invalid_field("PullRequest", field, "missing_field"));
        }
    }
    let (owner, branch) = head.split_once(':').unwrap_or((&state.owner, &head));
    if owner != state.owner {
        return Err(Reply::invalid_field("PullRequest", "head", "invalid"));
    }
    let Some(head_sha) = state.branches.get(branch).cloned() else {
        return Err(Reply::invalid_field("PullRequest", "head", "invalid"));
    };
    let Some(base_sha) = state.branches.get(&base).cloned() else {
        return Err(Reply::invalid_field("PullRequest", "base", "invalid"));
    };
    let is_same = |pull: &Pull| pull.is_open() && pull.head == branch && pull.base == base;
    if state.pulls.iter().any(is_same) {
        let message = format!("A pull request already exists for {owner}:{branch}.");
        return Err(Reply::invalid("PullRequest", &message));
    }
    if state.origin.is_ancestor(&head_sha, &base_sha) {
        let message = format!("No commits between {base} and {branch}");
        return Err(Reply::invalid("PullRequest", &message));
    }
    check_length(&title, &text("body"))?;
    let pull = Pull {
        number: state.pulls.len() as u64 + 1,
        title,
        body: body.get("body").and_then(Value::as_str).map(str::to_owned),
        author: login.to_owned(),
        head_owner: state.owner.clone(),
        head: branch.to_owned(),
        head_sha,
        base,
        base_sha,
        labels: BTreeSet::new(),
        reviewers: BTreeSet::new(),
        draft: body.get("draft").and_then(Value::as_bool).unwrap_or(false),
        approvals: 0,
        pushed: state.now,
        created: state.now,
        updated: state.now,
        closed: None,
        merged: None,
    };
    let shape = shapes::pull_in_full(state, &pull);
    let location = format!("{}/pulls/{}", state.repository_url(), pull.number);
    state.pulls.push(pull);
    Ok(Reply::ok(201, shape).with("location", &location))
}

/// Edits a pull request: its title, body, base, or whether it is open.
pub fn update(state: &mut State, request: &Request, number: u64) -> Answer {
    let index = find(state, number)?;
    let body = request.json()?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut pull = state.pulls[index].clone();
    check_length(text("title").as_deref().unwrap_or_default(), text("body").as_deref().unwrap_or_default())?;
    pull.title = text("title").unwrap_or(pull.title);
    pull.body = text("body").or(pull.body);
    if let Some(base) = text("base") {
        let Some(tip) = state.branches.get(&base) else {
            return Err(Reply::invalid_field("PullRequest", "base", "invalid"));
        };
        (pull.base_sha, pull.base) = (tip.clone(), base);
    }
    match text("state").as_deref() {
        None => {}
        Some("closed") => pull.closed = pull.closed.or(Some(state.now)),
        Some("open") if pull.is_open() => {}
        Some("open") if pull.merged.is_none() && state.branches.contains_key(&pull.head) => {
            pull.closed = None;
        }
        Some("open") => return Err(Reply::invalid("PullRequest", "state cannot be changed.")),
        Some(_) => return Err(Reply::invalid_field("PullRequest", "state", "invalid")),
    }
    pull.updated = state.now;
    state.pulls[index] = pull;
    get(state, number)
}

/// Merges a pull request.
pub fn merge(state: &mut State, request: &Request, number: u64) -> Answer {
    let index = find(state, number)?;
    let pull = state.pulls[index].clone();
    let sha = request.json()?.get("sha").and_then(Value::as_str).map(str::to_owned);
    if !pull.is_open() || pull.draft {
        return Err(Reply::error(405, "Pull Request is not mergeable"));
    }
    if sha.is_some_and(|sha| sha != pull.head_sha) {
        return Err(Reply::error(409, "Head branch was modified. Review and try the merge again."));
    }
    if let Some(needed) = state.protected.get(&pull.base).filter(|needed| pull.approvals < **needed) {
        let message =
            format!("At least {needed} approving review is required by reviewers with write access.");
        return Err(Reply::error(405, &message));
    }
    let message = format!("Merge pull request #{number} from {}/{}", pull.head_owner, pull.head);
    let merged = state.origin.merge(&pull.base, &pull.head_sha, &message);
    let Ok(Some(merge)) = merged else {
        return Err(Reply::error(405, "Pull Request is not mergeable"));
    };
    let (now, pull) = (state.now, &mut state.pulls[index]);
    (pull.merged, pull.closed, pull.updated) = (Some(merge.clone()), Some(now), now);
    Ok(Reply::ok(200, json!({ "sha": merge, "merged": true, "message": "Pull Request successfully merged" })))
}

/// Asks people for their review.
pub fn request_reviewers(state: &mut State, request: &Request, number: u64) -> Answer {
    let index = find(state, number)?;
    let body = request.json()?;
    let logins = body.get("reviewers").and_then(Value::as_array).cloned().unwrap_or_default();
    let logins: Vec<String> = logins.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if logins.contains(&state.pulls[index].author) {
        return Err(Reply::error(422, "Review cannot be requested from pull request author."));
    }
    state.pulls[index].reviewers.extend(logins);
    let pull = &state.pulls[index];
    Ok(Reply::ok(201, shapes::pull(state, pull)))
}

/// Lists the pull requests that a commit belongs to or was merged by.
pub fn of_commit(state: &State, request: &Request, sha: &str) -> Answer {
    if !state.origin.has_commit(sha) {
        return Err(Reply::error(422, &format!("No commit found for SHA: {sha}")));
    }
    // A merge brings each of its commits, and a rebase a copy of each.
    let has_brought = |pull: &Pull| {
        pull.merged.as_ref().is_some_and(|merged| {
            state.origin.is_ancestor(sha, merged) && !state.origin.is_ancestor(sha, &pull.base_sha)
        })
    };
    let is_wanted = |pull: &&Pull| pull.head_sha == sha || has_brought(pull);
    let items: Vec<Value> =
        state.pulls.iter().filter(is_wanted).map(|pull| shapes::pull(state, pull)).collect();
    Ok(request.page(&items, &state.root))
}

fn find(state: &State, number: u64) -> Result<usize, Reply> {
    state.pull(number).ok_or_else(|| Reply::error(404, "Not Found"))
}

fn check_length(title: &str, body: &str) -> Result<(), Reply> {
    for (field, text, limit) in [("title", title, TITLE_LIMIT), ("body", body, BODY_LIMIT)] {
        if text.chars().count() > limit {
            return Err(Reply::invalid(
                "Issue",
                &format!("{field} is too long (maximum is {limit} characters)"),
            ));
        }
    }
    Ok(())
}
