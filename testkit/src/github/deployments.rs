//! Deployments: made for a commit and an environment, and reported on.

use serde_json::Value;

use super::commits::DESCRIPTION_LIMIT;
use super::shapes;
use super::state::{Deployment, DeploymentStatus, State};
use crate::web::wire::{Answer, Reply, Request};

/// What a deployment can come to.
const STATES: [&str; 7] = ["error", "failure", "inactive", "in_progress", "queued", "pending", "success"];

/// Lists deployments, the newest first.
#[must_use]
pub fn list(state: &State, request: &Request) -> Reply {
    let is = |key: &str, value: &str| request.query.get(key).is_none_or(|wanted| wanted == value);
    let is_wanted = |deployment: &&Deployment| {
        is("sha", &deployment.sha)
            && is("ref", &deployment.reference)
            && is("task", &deployment.task)
            && is("environment", &deployment.environment)
    };
    let found = state.deployments.iter().rev().filter(is_wanted);
    let items: Vec<Value> = found.map(|deployment| shapes::deployment(state, deployment)).collect();
    request.page(&items, &state.root)
}

/// Makes a deployment. Unless the required contexts are named, every status of the commit has to be a success.
pub fn create(state: &mut State, request: &Request, login: &str) -> Answer {
    let body = request.json()?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let reference = text("ref").ok_or_else(|| Reply::invalid_field("Deployment", "ref", "missing_field"))?;
    let sha = state.branches.get(&reference).unwrap_or(&reference).clone();
    if !state.origin.has_commit(&sha) {
        return Err(Reply::error(422, &format!("No ref found for: {reference}")));
    }
    check_description(&text("description").unwrap_or_default())?;
    let contexts = body.get("required_contexts").and_then(Value::as_array);
    let is_open = |status: &super::Status| status.sha == sha && status.state != "success";
    if contexts.is_none() && state.statuses.iter().any(is_open) {
        return Err(Reply::error(409, "Conflict: Commit status checks failed for the deployment ref."));
    }
    if body.get("auto_merge").is_none_or(|merges| merges != false) && reference != state.default_branch {
        return Err(Reply::error(409, "the fake merges nothing for a deployment: `auto_merge` is not false"));
    }
    let deployment = Deployment {
        id: state.next_id(),
        sha,
        reference,
        task: text("task").unwrap_or_else(|| "deploy".into()),
        environment: text("environment").unwrap_or_else(|| "production".into()),
        description: text("description"),
        author: login.to_owned(),
        created: state.now,
        statuses: Vec::new(),
    };
    let shape = shapes::deployment(state, &deployment);
    state.deployments.push(deployment);
    Ok(Reply::ok(201, shape))
}

/// Lists how a deployment stood, the newest first.
pub fn statuses(state: &State, request: &Request, id: u64) -> Answer {
    let deployment = &state.deployments[find(state, id)?];
    let statuses = deployment.statuses.iter().rev();
    let items: Vec<Value> =
        statuses.map(|status| shapes::deployment_status(state, deployment, status)).collect();
    Ok(request.page(&items, &state.root))
}

/// Reports how a deployment stands.
pub fn set_status(state: &mut State, request: &Request, id: u64, login: &str) -> Answer {
    let index = find(state, id)?;
    let body = request.json()?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if !STATES.contains(&text("state").as_str()) {
        return Err(Reply::invalid_field("DeploymentStatus", "state", "custom"));
    }
    check_description(&text("description"))?;
    for key in ["log_url", "environment_url"] {
        if body.get(key).is_some() && !text(key).starts_with("http") {
            return Err(Reply::invalid("DeploymentStatus", &format!("{key} must use http(s) scheme")));
        }
    }
    let status = DeploymentStatus {
        id: state.next_id(),
        state: text("state"),
        description: text("description"),
        log_url: text("log_url"),
        environment_url: text("environment_url"),
        author: login.to_owned(),
        created: state.now,
    };
    let shape = shapes::deployment_status(state, &state.deployments[index], &status);
    state.deployments[index].statuses.push(status);
    Ok(Reply::ok(201, shape))
}

fn find(state: &State, id: u64) -> Result<usize, Reply> {
    let found = state.deployments.iter().position(|deployment| deployment.id == id);
    found.ok_or_else(|| Reply::error(404, "Not Found"))
}

fn check_description(text: &str) -> Result<(), Reply> {
    if text.chars().count() <= DESCRIPTION_LIMIT {
        return Ok(());
    }
    let message = format!("description is too long (maximum is {DESCRIPTION_LIMIT} characters)");
    Err(Reply::invalid("Deployment", &message))
}
