//! What GitHub's objects look like in JSON, with every field that its description requires.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::moment;
use super::state::{CheckRun, Comment, Deployment, DeploymentStatus, LabelEvent, Move, Pull, State, Status};

/// Folders below a repository that it links to, by the name of the field.
const REPOSITORY_LINKS: [(&str, &str); 37] = [
    ("archive_url", "{archive_format}{/ref}"),
    ("assignees_url", "assignees{/user}"),
    ("blobs_url", "git/blobs{/sha}"),
    ("branches_url", "branches{/branch}"),
    ("collaborators_url", "collaborators{/collaborator}"),
    ("comments_url", "comments{/number}"),
    ("commits_url", "commits{/sha}"),
    ("compare_url", "compare/{base}...{head}"),
    ("contents_url", "contents/{+path}"),
    ("contributors_url", "contributors"),
    ("deployments_url", "deployments"),
    ("downloads_url", "downloads"),
    ("events_url", "events"),
    ("forks_url", "forks"),
    ("git_commits_url", "git/commits{/sha}"),
    ("git_refs_url", "git/refs{/sha}"),
    ("git_tags_url", "git/tags{/sha}"),
    ("hooks_url", "hooks"),
    ("issue_comment_url", "issues/comments{/number}"),
    ("issue_events_url", "issues/events{/number}"),
    ("issues_url", "issues{/number}"),
    ("keys_url", "keys{/key_id}"),
    ("labels_url", "labels{/name}"),
    ("languages_url", "languages"),
    ("merges_url", "merges"),
    ("milestones_url", "milestones{/number}"),
    ("notifications_url", "notifications{?since,all,participating}"),
    ("pulls_url", "pulls{/number}"),
    ("releases_url", "releases{/id}"),
    ("stargazers_url", "stargazers"),
    ("statuses_url", "statuses/{sha}"),
    ("subscribers_url", "subscribers"),
    ("subscription_url", "subscription"),
    ("tags_url", "tags"),
    ("teams_url", "teams"),
    ("trees_url", "git/trees{/sha}"),
    ("git_url", "git"),
];

const COUNTS: [&str; 12] = [
    "forks",
    "forks_count",
    "network_count",
    "open_issues",
    "open_issues_count",
    "size",
    "stargazers_count",
    "subscribers_count",
    "watchers",
    "watchers_count",
    "comments",
    "review_comments",
];

/// Returns a person, an organization or a bot.
#[must_use]
pub fn user(root: &str, login: &str) -> Value {
    let url = format!("{root}/users/{login}");
    let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
    let mut user = json!({
        "login": login, "id": id_of(login), "node_id": node(login), "avatar_url": format!("{root}/avatars/{login}"),
        "gravatar_id": "", "url": url, "html_url": format!("{root}/{login}"), "type": kind, "site_admin": false,
        "gists_url": format!("{url}/gists{{/gist_id}}"), "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{url}/subscriptions"), "organizations_url": format!("{url}/orgs"),
        "events_url": format!("{url}/events{{/privacy}}"),
    });
    for field in ["followers", "following", "repos", "received_events"] {
        user[format!("{field}_url")] = format!("{url}/{field}").into();
    }
    user
}

/// Returns the repository.
#[must_use]
pub fn repository(state: &State, owner: &str) -> Value {
    let (root, name) = (&state.root, &state.name);
    let url = format!("{root}/repos/{owner}/{name}");
    let page = format!("{root}/{owner}/{name}");
    let at = moment::text(state.start);
    let mut fields: Map<String, Value> = REPOSITORY_LINKS
        .iter()
        .map(|(field, rest)| ((*field).into(), format!("{url}/{rest}").into()))
        .collect();
    fields.extend(COUNTS[..10].iter().map(|field| ((*field).into(), 0.into())));
    let flags = ["fork", "private", "has_pages", "has_discussions", "archived", "disabled"];
    fields.extend(flags.map(|field| (field.into(), (field == "fork" && owner != state.owner).into())));
    let flags = ["has_downloads", "has_issues", "has_projects", "has_wiki"];
    fields.extend(flags.map(|field| (field.into(), true.into())));
    let absent = ["description", "homepage", "language", "mirror_url", "license"];
    fields.extend(absent.map(|field| (field.into(), Value::Null)));
    let rest = json!({
        "id": id_of(&page), "node_id": node(&page), "name": name, "full_name": format!("{owner}/{name}"),
        "owner": user(root, owner), "url": url, "html_url": page, "clone_url": format!("{page}.git"),
        "ssh_url": format!("git@example.com:{owner}/{name}.git"), "svn_url": page,
        "default_branch": state.default_branch, "created_at": at, "updated_at": at, "pushed_at": at,
    });
    fields.extend(rest.as_object().cloned().unwrap_or_default());
    fields.into()
}

/// Returns a commit.
pub fn commit(state: &State, sha: &str) -> Result<Value> {
    let [tree, parents, message] = state.origin.commit(sha)?;
    let at = moment::text(state.start);
    let url = |kind: &str, id: &str| format!("{}/{kind}/{id}", state.repository_url());
    let page = |id: &str| format!("{}/{}/{}/commit/{id}", state.root, state.owner, state.name);
    let person = json!({ "name": "someone", "email": "someone@example.com", "date": at });
    let parents: Vec<Value> = parents
        .split_whitespace()
        .map(|id| json!({ "sha": id, "url": url("commits", id), "html_url": page(id) }))
        .collect();
    Ok(json!({
        "sha": sha, "node_id": node(sha), "url": url("commits", sha), "html_url": page(sha),
        "comments_url": format!("{}/comments", url("commits", sha)), "author": null, "committer": null, "parents": parents,
        "commit": {
            "url": url("git/commits", sha), "author": person, "committer": person, "message": message,
            "comment_count": 0, "tree": { "sha": tree, "url": url("git/trees", &tree) },
        },
    }))
}

/// Returns a label.
#[must_use]
pub fn label(state: &State, name: &str) -> Value {
    json!({
        "id": id_of(name), "node_id": node(name), "url": format!("{}/labels/{name}", state.repository_url()),
        "name": name, "description": "", "color": "ededed", "default": false,
    })
}

/// Returns a pull request as lists have it.
#[must_use]
pub fn pull(state: &State, pull: &Pull) -> Value {
    let number = pull.number;
    let (url, page) = (
        format!("{}/pulls/{number}", state.repository_url()),
        format!("{}/{}/{}/pull/{number}", state.root, state.owner, state.name),
    );
    let issue = format!("{}/issues/{number}", state.repository_url());
    let links = [
        ("commits_url", "commits", format!("{url}/commits")),
        ("review_comments_url", "review_comments", format!("{url}/comments")),
        (
            "review_comment_url",
            "review_comment",
            format!("{}/pulls/comments{{/number}}", state.repository_url()),
        ),
        ("comments_url", "comments", format!("{issue}/comments")),
        ("statuses_url", "statuses", format!("{}/statuses/{}", state.repository_url(), pull.head_sha)),
        ("issue_url", "issue", issue.clone()),
        ("url", "self", url.clone()),
        ("html_url", "html", page.clone()),
    ];
    let mut value = json!({
        "id": 1_000 + number, "node_id": node(&url), "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"), "number": number, "state": if pull.is_open() { "open" } else { "closed" },
        "locked": false, "title": pull.title, "user": user(&state.root, &pull.author), "body": pull.body,
        "labels": pull.labels.iter().map(|name| label(state, name)).collect::<Vec<_>>(), "milestone": null,
        "created_at": moment::text(pull.created), "updated_at": moment::text(pull.updated),
        "closed_at": pull.closed.map(moment::text), "merged_at": pull.merged.as_ref().and(pull.closed).map(moment::text),
        "merge_commit_sha": pull.merged, "assignee": null, "assignees": [], "draft": pull.draft,
        "requested_reviewers": pull.reviewers.iter().map(|login| user(&state.root, login)).collect::<Vec<_>>(),
        "requested_teams": [], "author_association": "CONTRIBUTOR", "auto_merge": null,
        "head": head(state, pull),
        "base": side(state, &state.owner, &pull.base, &pull.base_sha), "_links": {},
    });
    for (field, link, target) in links {
        value["_links"][link] = json!({ "href": target });
        value[field] = target.into();
    }
    value
}

/// Returns a pull request as it is alone: with what takes GitHub a computation.
#[must_use]
pub fn pull_in_full(state: &State, one: &Pull) -> Value {
    let mut value = pull(state, one);
    let size = state.origin.size(&one.base_sha, &one.head_sha).unwrap_or_default();
    let rest = json!({
        "merged": one.merged.is_some(), "mergeable": one.is_open().then_some(true), "rebaseable": null,
        "mergeable_state": mergeable_state(state, one),
        "merged_by": one.merged.as_ref().map(|_| user(&state.root, "mia")),
        "comments": state.comments.iter().filter(|comment| comment.pull == one.number).count(), "review_comments": 0,
        "maintainer_can_modify": false, "commits": size.commits, "additions": size.additions,
        "deletions": size.deletions, "changed_files": size.files,
    });
    if let (Some(fields), Some(more)) = (value.as_object_mut(), rest.as_object()) {
        fields.extend(more.clone());
    }
    value
}

/// Returns where the head of a pull request is; a fork's repository also says when it was last pushed to.
fn head(state: &State, pull: &Pull) -> Value {
    let mut head = side(state, &pull.head_owner, &pull.head, &pull.head_sha);
    head["repo"]["pushed_at"] = moment::text(pull.pushed).into();
    head
}

fn side(state: &State, owner: &str, branch: &str, sha: &str) -> Value {
    json!({
        "label": format!("{owner}:{branch}"), "ref": branch, "sha": sha, "user": user(&state.root, owner),
        "repo": repository(state, owner),
    })
}

/// Returns a comment.
#[must_use]
pub fn comment(state: &State, comment: &Comment) -> Value {
    let issue = format!("{}/issues/{}", state.repository_url(), comment.pull);
    json!({
        "id": comment.id, "node_id": node(&comment.id.to_string()),
        "url": format!("{}/issues/comments/{}", state.repository_url(), comment.id),
        "html_url": format!("{}/{}/{}/pull/{}#issuecomment-{}", state.root, state.owner, state.name, comment.pull, comment.id),
        "issue_url": issue, "user": user(&state.root, &comment.author), "body": comment.body,
        "created_at": moment::text(comment.created), "updated_at": moment::text(comment.updated),
        "author_association": if comment.author == "fleetwright" { "COLLABORATOR" } else { "CONTRIBUTOR" },
    })
}

/// Returns a file that one commit changes over another, from a letter and its names.
#[must_use]
pub fn changed_file(state: &State, head: &str, changed: &[String]) -> Value {
    let name = changed.last().cloned().unwrap_or_default();
    let status = match changed.first().and_then(|letter| letter.chars().next()) {
        Some('A') => "added",
        Some('D') => "removed",
        Some('R') => "renamed",
        _ => "modified",
    };
    let url = format!("{}/contents/{name}?ref={head}", state.repository_url());
    let mut file = json!({
        "sha": head, "filename": name, "status": status, "additions": 1, "deletions": 1, "changes": 2, "blob_url": url,
        "raw_url": url, "contents_url": url,
    });
    if status == "renamed" {
        file["previous_filename"] = changed[1].as_str().into();
    }
    file
}

/// Returns a push to a branch.
#[must_use]
pub fn activity(state: &State, moved: &Move) -> Value {
    let Move { branch, before, after, seen } = moved;
    let kind = if before.is_some() { "push" } else { "branch_creation" };
    json!({
        "id": id_of(after), "node_id": node(after), "before": before.clone().unwrap_or_else(|| "0".repeat(40)), "after": after,
        "ref": format!("refs/heads/{branch}"), "timestamp": moment::text(*seen), "activity_type": kind,
        "actor": user(&state.root, "ann"),
    })
}

/// Returns the event that a label was set.
#[must_use]
pub fn labelled(state: &State, event: &LabelEvent) -> Value {
    json!({
        "id": event.id, "node_id": node(&event.id.to_string()), "event": "labeled",
        "url": format!("{}/issues/events/{}", state.repository_url(), event.id), "actor": user(&state.root, &event.author),
        "commit_id": null, "commit_url": null, "created_at": moment::text(event.created),
        "performed_via_github_app": null, "label": { "name": event.label, "color": "ededed" },
    })
}

/// Returns the number of the check suite of a commit.
#[must_use]
pub fn suite_of(sha: &str) -> u64 {
    id_of(sha)
}

/// Returns the check suite of a commit.
#[must_use]
pub fn check_suite(state: &State, sha: &str, status: &str) -> Value {
    let (id, at) = (suite_of(sha), moment::text(state.now));
    let url = format!("{}/check-suites/{id}", state.repository_url());
    let person = json!({ "name": "someone", "email": "someone@example.com" });
    let commit = json!({
        "id": sha, "tree_id": sha, "message": "", "timestamp": at, "author": person, "committer": person,
    });
    let runs = state.check_runs.iter().filter(|run| run.sha == sha).count();
    json!({
        "id": id, "node_id": node(&url), "head_branch": null, "head_sha": sha, "status": status, "conclusion": null,
        "url": url, "before": null, "after": null, "pull_requests": [], "app": null, "created_at": at, "updated_at": at,
        "repository": repository(state, &state.owner), "head_commit": commit, "latest_check_runs_count": runs,
        "check_runs_url": format!("{url}/check-runs"),
    })
}

/// Returns a commit status.
#[must_use]
pub fn status(state: &State, status: &Status) -> Value {
    json!({
        "url": format!("{}/statuses/{}", state.repository_url(), status.sha), "avatar_url": null, "id": status.id,
        "node_id": node(&status.id.to_string()), "state": status.state, "description": status.description,
        "target_url": status.target_url, "context": status.context, "created_at": moment::text(status.created),
        "updated_at": moment::text(status.created), "creator": user(&state.root, &status.author),
    })
}

/// Returns a deployment.
#[must_use]
pub fn deployment(state: &State, deployment: &Deployment) -> Value {
    let url = format!("{}/deployments/{}", state.repository_url(), deployment.id);
    let at = moment::text(deployment.created);
    json!({
        "url": url, "id": deployment.id, "node_id": node(&url), "sha": deployment.sha, "ref": deployment.reference,
        "task": deployment.task, "payload": {}, "original_environment": deployment.environment,
        "environment": deployment.environment, "description": deployment.description,
        "creator": user(&state.root, &deployment.author), "created_at": at, "updated_at": at,
        "statuses_url": format!("{url}/statuses"), "repository_url": state.repository_url(),
        "transient_environment": false, "production_environment": false,
    })
}

/// Returns how a deployment stood.
#[must_use]
pub fn deployment_status(state: &State, of: &Deployment, status: &DeploymentStatus) -> Value {
    let deployment = format!("{}/deployments/{}", state.repository_url(), of.id);
    let (url, at) = (format!("{deployment}/statuses/{}", status.id), moment::text(status.created));
    json!({
        "url": url, "id": status.id, "node_id": node(&url), "state": status.state,
        "creator": user(&state.root, &status.author), "description": status.description, "environment": of.environment,
        "target_url": status.log_url, "log_url": status.log_url, "environment_url": status.environment_url,
        "created_at": at, "updated_at": at, "deployment_url": deployment, "repository_url": state.repository_url(),
    })
}

/// Returns a check run.
#[must_use]
pub fn check_run(state: &State, run: &CheckRun) -> Value {
    let url = format!("{}/check-runs/{}", state.repository_url(), run.id);
    let text = |key: &str| run.fields.get(key).cloned().unwrap_or(Value::Null);
    let output = |key: &str| run.fields["output"].get(key).cloned().unwrap_or(Value::Null);
    json!({
        "id": run.id, "node_id": node(&url), "head_sha": run.sha, "name": text("name"), "url": url, "html_url": null,
        "details_url": text("details_url"), "status": run.fields.get("status").cloned().unwrap_or_else(|| "queued".into()),
        "conclusion": text("conclusion"), "started_at": moment::text(run.created),
        "completed_at": run.fields.get("conclusion").map(|_| moment::text(run.created)),
        "external_id": run.fields.get("external_id").cloned().unwrap_or_else(|| "".into()), "check_suite": { "id": suite_of(&run.sha) },
        "output": {
            "title": output("title"), "summary": output("summary"), "text": output("text"),
            "annotations_count": run.annotations.len(), "annotations_url": format!("{url}/annotations"),
        },
        "app": app(state, &run.app), "pull_requests": [],
    })
}

/// Returns an app by its name as addresses have it.
#[must_use]
pub fn app(state: &State, slug: &str) -> Value {
    let at = moment::text(state.start);
    json!({
        "id": id_of(slug), "slug": slug, "node_id": node(slug), "owner": user(&state.root, &state.owner), "name": slug,
        "description": null, "external_url": state.root, "html_url": format!("{}/apps/{slug}", state.root),
        "created_at": at, "updated_at": at, "permissions": {}, "events": ["push", "pull_request"],
    })
}

/// Returns a number that stays the same for the same text.
#[must_use]
pub fn id_of(text: &str) -> u64 {
    text.bytes().fold(7, |id, byte| (id * 31 + u64::from(byte)) % 1_000_000_007)
}

fn node(text: &str) -> String {
    format!("N_{:x}", id_of(text))
}

/// Returns what stands in the way of a merge, as GitHub calls it.
fn mergeable_state(state: &State, pull: &Pull) -> &'static str {
    let approvals = state.protected.get(&pull.base).copied().unwrap_or_default();
    let mut contexts: BTreeMap<&str, &str> = BTreeMap::new();
    for status in state.statuses.iter().filter(|status| status.sha == pull.head_sha) {
        contexts.insert(&status.context, &status.state);
    }
    let mut runs = state.check_runs.iter().filter(|run| run.sha == pull.head_sha);
    match () {
        () if !pull.is_open() => "unknown",
        () if pull.draft => "draft",
        () if pull.approvals < approvals => "blocked",
        () if state.is_strict && !state.origin.is_ancestor(&pull.base_sha, &pull.head_sha) => "behind",
        () if contexts.values().any(|state| *state != "success") => "unstable",
        () if runs.any(|run| run.fields["conclusion"] != "success") => "unstable",
        () => "clean",
    }
}
