//! What is said of commits, and where branches are.

use serde_json::{Value, json};

use super::shapes;
use super::state::{CheckRun, State, Status, Token};
use crate::web::wire::{Answer, Reply, Request};

/// The longest description of a status, in characters.
pub const DESCRIPTION_LIMIT: usize = 140;
/// The longest summary or text of a check run, in characters.
pub const OUTPUT_LIMIT: usize = 65_535;
/// The most annotations that one request may carry.
pub const ANNOTATIONS_LIMIT: usize = 50;
/// The most files that a comparison lists.
pub const COMPARED_FILES_LIMIT: usize = 300;
/// The most statuses of one commit and context.
pub const STATUSES_LIMIT: usize = 1_000;

/// Sets a status.
pub fn set_status(state: &mut State, request: &Request, sha: &str, login: &str) -> Answer {
    if !state.origin.has_commit(sha) {
        return Err(Reply::error(422, &format!("No commit found for SHA: {sha}")));
    }
    let body = request.json()?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let status = text("state").unwrap_or_default();
    if !["error", "failure", "pending", "success"].contains(&status.as_str()) {
        return Err(Reply::invalid_field("Status", "state", "custom"));
    }
    let context = text("context").unwrap_or_else(|| "default".into());
    if text("description").is_some_and(|text| text.chars().count() > DESCRIPTION_LIMIT) {
        let message = format!("description is too long (maximum is {DESCRIPTION_LIMIT} characters)");
        return Err(Reply::invalid("Status", &message));
    }
    let same = state.statuses.iter().filter(|status| status.sha == sha && status.context == context);
    if same.count() >= STATUSES_LIMIT {
        return Err(Reply::invalid(
            "Status",
            "This SHA and context has reached the maximum number of statuses.",
        ));
    }
    let status = Status {
        id: state.next_id(),
        sha: sha.to_owned(),
        state: status,
        context,
        description: text("description"),
        target_url: text("target_url"),
        author: login.to_owned(),
        created: state.now,
    };
    let shape = shapes::status(state, &status);
    state.statuses.push(status);
    Ok(Reply::ok(201, shape))
}

/// Returns the newest status of each context, and what they come to.
pub fn combined_status(state: &State, reference: &str) -> Answer {
    let sha = resolve(state, reference)?;
    let mut newest: Vec<&Status> = Vec::new();
    for status in state.statuses.iter().rev().filter(|status| status.sha == sha) {
        if newest.iter().all(|other| other.context != status.context) {
            newest.push(status);
        }
    }
    let is = |word: &str| newest.iter().any(|status| status.state == word);
    let word = match () {
        () if is("failure") || is("error") => "failure",
        () if newest.is_empty() || is("pending") => "pending",
        () => "success",
    };
    let statuses: Vec<Value> = newest.iter().map(|status| shapes::status(state, status)).collect();
    let url = format!("{}/commits/{sha}", state.repository_url());
    Ok(Reply::ok(
        200,
        json!({
            "state": word, "sha": sha, "total_count": statuses.len(), "statuses": statuses,
            "repository": shapes::repository(state, &state.owner), "commit_url": url, "url": format!("{url}/status"),
        }),
    ))
}

/// Lists the statuses of a commit, the newest first.
pub fn statuses(state: &State, request: &Request, reference: &str) -> Answer {
    let sha = resolve(state, reference)?;
    let of_commit = state.statuses.iter().rev().filter(|status| status.sha == sha);
    let items: Vec<Value> = of_commit.map(|status| shapes::status(state, status)).collect();
    Ok(request.page(&items, &state.root))
}

/// Makes a check run, which only an app may.
pub fn create_check_run(state: &mut State, request: &Request, token: &Token) -> Answer {
    if !token.is_app {
        return Err(Reply::error(403, "You must authenticate via a GitHub App."));
    }
    let fields = request.json()?;
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    for key in ["name", "head_sha"] {
        if text(key).is_empty() {
            return Err(Reply::invalid_field("CheckRun", key, "missing_field"));
        }
    }
    if !state.origin.has_commit(&text("head_sha")) {
        return Err(Reply::error(422, &format!("No commit found for SHA: {}", text("head_sha"))));
    }
    let annotations = check_output(&fields)?;
    let run = CheckRun {
        id: state.next_id(),
        sha: text("head_sha"),
        app: token.app().to_owned(),
        fields: completed(fields),
        annotations,
        created: state.now,
    };
    if run.fields["status"] == "completed" {
        state.rerequested.remove(&run.sha);
    }
    let shape = shapes::check_run(state, &run);
    state.check_runs.push(run);
    Ok(Reply::ok(201, shape))
}

/// Edits a check run; annotations are added to those it has.
pub fn update_check_run(state: &mut State, request: &Request, id: u64, token: &Token) -> Answer {
    if !token.is_app {
        return Err(Reply::error(403, "You must authenticate via a GitHub App."));
    }
    let fields = request.json()?;
    let annotations = check_output(&fields)?;
    let Some(run) = state.check_runs.iter_mut().find(|run| run.id == id) else {
        return Err(Reply::error(404, "Not Found"));
    };
    if run.app != token.app() {
        return Err(Reply::error(
            403,
            "Invalid app_id `1` - check run can only be modified by the GitHub App that created it.",
        ));
    }
    run.annotations.extend(annotations);
    if let (Some(old), Some(new)) = (run.fields.as_object_mut(), completed(fields).as_object()) {
        old.extend(new.clone());
    }
    let run = run.clone();
    if run.fields["status"] == "completed" {
        state.rerequested.remove(&run.sha);
    }
    Ok(Reply::ok(200, shapes::check_run(state, &run)))
}

/// Returns a check suite: all check runs of one commit.
pub fn check_suite(state: &State, id: u64) -> Answer {
    let run = state.check_runs.iter().find(|run| shapes::suite_of(&run.sha) == id);
    let run = run.ok_or_else(|| Reply::error(404, "Not Found"))?;
    let is_done = state
        .check_runs
        .iter()
        .filter(|other| other.sha == run.sha)
        .all(|run| run.fields["status"] == "completed");
    let status = match () {
        () if state.rerequested.contains(&run.sha) => "queued",
        () if is_done => "completed",
        () => "in_progress",
    };
    Ok(Reply::ok(200, shapes::check_suite(state, &run.sha, status)))
}

/// Lists the check runs of a commit.
pub fn check_runs(state: &State, request: &Request, reference: &str) -> Answer {
    let sha = resolve(state, reference)?;
    let is_wanted =
        |run: &&CheckRun| request.query.get("check_name").is_none_or(|name| run.fields["name"] == **name);
    let mut runs: Vec<&CheckRun> =
        state.check_runs.iter().filter(|run| run.sha == sha).filter(is_wanted).collect();
    if request.query.get("filter").is_none_or(|filter| filter == "latest") {
        let newest = runs.iter().map(|run| run.id).max();
        runs.retain(|run| Some(run.id) == newest);
    }
    let runs: Vec<Value> = runs.into_iter().map(|run| shapes::check_run(state, run)).collect();
    Ok(Reply::ok(200, json!({ "total_count": runs.len(), "check_runs": runs })))
}

/// Compares two commits: what the second changes since they parted, of at most 300 files.
pub fn compare(state: &State, range: &str) -> Answer {
    let (base, head) = range.split_once("...").ok_or_else(|| Reply::error(404, "Not Found"))?;
    let failed = |_| Reply::error(404, "Not Found");
    let (parting, changed) = state.origin.changed(base, head).map_err(failed)?;
    let size = state.origin.size(base, head).map_err(failed)?;
    let commit = |sha: &str| shapes::commit(state, sha).map_err(failed);
    let url = format!("{}/compare/{range}", state.repository_url());
    let files: Vec<Value> = changed
        .iter()
        .take(COMPARED_FILES_LIMIT)
        .map(|file| shapes::changed_file(state, head, file))
        .collect();
    Ok(Reply::ok(
        200,
        json!({
            "url": url, "html_url": url, "permalink_url": url, "diff_url": url, "patch_url": url,
            "base_commit": commit(base)?, "merge_base_commit": commit(&parting)?, "status": "diverged",
            "ahead_by": size.commits, "behind_by": 0, "total_commits": size.commits, "commits": [], "files": files,
        }),
    ))
}

/// Lists what was pushed, the newest first.
#[must_use]
pub fn activity(state: &State, request: &Request) -> Reply {
    let name = |branch: &str| format!("refs/heads/{branch}");
    let moves = state.moves.iter().rev();
    let moves =
        moves.filter(|moved| request.query.get("ref").is_none_or(|wanted| *wanted == name(&moved.branch)));
    let items: Vec<Value> = moves.map(|moved| shapes::activity(state, moved)).collect();
    request.page(&items, &state.root)
}

/// Returns where a ref is.
pub fn get_ref(state: &State, name: &str) -> Answer {
    let sha = name.strip_prefix("heads/").and_then(|branch| state.branches.get(branch));
    let sha = sha.ok_or_else(|| Reply::error(404, "Not Found"))?;
    let url = format!("{}/git/refs/{name}", state.repository_url());
    let object = json!({ "type": "commit", "sha": sha, "url": format!("{}/git/commits/{sha}", state.repository_url()) });
    Ok(Reply::ok(
        200,
        json!({ "ref": format!("refs/{name}"), "node_id": "N_1", "url": url, "object": object }),
    ))
}

/// Lists the branches.
pub fn branches(state: &State, request: &Request) -> Answer {
    let branch = |(name, sha): (&String, &String)| {
        let commit = json!({ "sha": sha, "url": format!("{}/commits/{sha}", state.repository_url()) });
        json!({ "name": name, "commit": commit, "protected": state.protected.contains_key(name) })
    };
    let items: Vec<Value> = state.branches.iter().map(branch).collect();
    Ok(request.page(&items, &state.root))
}

/// Returns one branch with its tip.
pub fn branch(state: &State, name: &str) -> Answer {
    let sha = state.branches.get(name).ok_or_else(|| Reply::error(404, "Branch not found"))?;
    let commit = shapes::commit(state, sha)
        .map_err(|error| Reply::error(500, &format!("the fake cannot read its repository: {error}")))?;
    let url = format!("{}/branches/{name}", state.repository_url());
    let is_protected = state.protected.contains_key(name);
    let links =
        json!({ "self": url, "html": format!("{}/{}/{}/tree/{name}", state.root, state.owner, state.name) });
    Ok(Reply::ok(
        200,
        json!({
            "name": name, "commit": commit, "_links": links, "protected": is_protected,
            "protection": { "enabled": is_protected }, "protection_url": format!("{url}/protection"),
        }),
    ))
}

fn resolve(state: &State, reference: &str) -> Result<String, Reply> {
    if let Some(sha) = state.branches.get(reference) {
        return Ok(sha.clone());
    }
    if reference.len() == 40 && state.origin.has_commit(reference) {
        return Ok(reference.to_owned());
    }
    Err(Reply::error(422, &format!("No commit found for SHA: {reference}")))
}

fn check_output(fields: &Value) -> Result<Vec<Value>, Reply> {
    let Some(output) = fields.get("output") else { return Ok(Vec::new()) };
    for key in ["title", "summary"] {
        if output.get(key).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Reply::error(422, &format!("Invalid request.\n\n\"{key}\" wasn't supplied.")));
        }
    }
    for key in ["summary", "text"] {
        let length = output.get(key).and_then(Value::as_str).map_or(0, |text| text.chars().count());
        if length > OUTPUT_LIMIT {
            let message = format!("Only {OUTPUT_LIMIT} characters are allowed; {length} were supplied.");
            return Err(Reply::error(422, &format!("Invalid request.\n\n{message}")));
        }
    }
    let annotations = output.get("annotations").and_then(Value::as_array).cloned().unwrap_or_default();
    if annotations.len() > ANNOTATIONS_LIMIT {
        let message = format!(
            "No more than {ANNOTATIONS_LIMIT} items are allowed; {} were supplied.",
            annotations.len()
        );
        return Err(Reply::error(422, &format!("Invalid request.\n\n{message}")));
    }
    Ok(annotations)
}

/// A run with a conclusion is completed, whatever it says.
fn completed(mut fields: Value) -> Value {
    if fields.get("conclusion").is_some_and(Value::is_string) {
        fields["status"] = "completed".into();
    }
    fields
}
