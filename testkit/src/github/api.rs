//! The API's front: who is asking, what it costs, what goes wrong, and which route answers.

use super::limits::{Spending, secondary};
use super::state::{Exchange, FaultKind, State, Token};
use super::{apps, commits, deployments, issues, pulls, shapes};
use crate::web::server::Outcome;
use crate::web::wire::{Answer, Reply, Request, decoded};

/// Answers a request and writes down what was said.
pub fn exchange(state: &mut State, request: &Request) -> Outcome {
    let outcome = outcome(state, request);
    let (status, reply) = match &outcome {
        Outcome::Reply(reply) => (reply.status, reply.body.clone()),
        Outcome::Cut | Outcome::Stream(_) => (0, None),
    };
    state.exchanges.push(Exchange {
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        request: serde_json::from_slice(&request.body).ok(),
        status,
        reply,
    });
    outcome
}

fn outcome(state: &mut State, request: &Request) -> Outcome {
    let fault = state.next_fault(&request.method, &request.path);
    match fault {
        Some(FaultKind::Instead(status)) => return Outcome::Reply(broken(status)),
        Some(FaultKind::Cut) => return Outcome::Cut,
        Some(FaultKind::SecondaryLimit(seconds)) => return Outcome::Reply(secondary(seconds)),
        _ => {}
    }
    let reply = answer(state, request).unwrap_or_else(|refusal| refusal);
    match fault {
        Some(FaultKind::After(status)) => Outcome::Reply(broken(status)),
        Some(FaultKind::CutAfter) => Outcome::Cut,
        _ => Outcome::Reply(reply),
    }
}

/// What the machines in front of the API say when it does not answer.
fn broken(status: u16) -> Reply {
    if status == 500 { Reply::error(500, "Server Error") } else { Reply::error(status, "Unicorn!") }
}

fn answer(state: &mut State, request: &Request) -> Answer {
    if let Err(error) = state.follow_branches() {
        return Err(Reply::error(500, &format!("the fake cannot read its repository: {error}")));
    }
    match request.segments().first() {
        Some(&"app") => return apps::answer(state, request),
        Some(&"app-manifests") => return apps::convert(state, request),
        _ => {}
    }
    let (name, token) = authenticate(state, request)?;
    let now = state.now;
    let spending = state.spending.entry(name.clone()).or_default();
    if request.path == "/rate_limit" {
        spending.roll(now);
        let rate = rate(spending);
        return Ok(Reply::ok(200, rate));
    }
    spending.spend(request, now)?;
    if request.path == "/graphql" {
        return Ok(viewer(request, &token)?.with("x-ratelimit-resource", "graphql"));
    }
    let answered = route(state, request, &token);
    let spending = state.spending.entry(name.clone()).or_default();
    let reply = match answered {
        Ok(reply) if request.is_read() => {
            let etag = reply.etag(&name);
            if request.headers.get("if-none-match") == Some(&etag) {
                spending.refund();
                Reply::empty(304).with("etag", &etag)
            } else {
                reply.with("etag", &etag)
            }
        }
        Ok(reply) | Err(reply) => reply,
    };
    Ok(spending.label(reply))
}

/// Answers the one question that is asked in GraphQL: whose token it is. Unlike REST's `/user`, it is
/// answered to an app's installation as well.
fn viewer(request: &Request, token: &Token) -> Answer {
    let query = request.json()?;
    if query["query"] != "{viewer{login databaseId}}" {
        return Err(Reply::error(400, "the fake knows another question"));
    }
    let viewer = serde_json::json!({ "login": token.login, "databaseId": shapes::id_of(&token.login) });
    Ok(Reply::ok(200, serde_json::json!({ "data": { "viewer": viewer } })))
}

fn rate(spending: &Spending) -> serde_json::Value {
    let limit = spending.limit();
    let core = serde_json::json!({
        "limit": limit, "remaining": limit.saturating_sub(spending.used), "reset": spending.reset, "used": spending.used,
    });
    serde_json::json!({ "resources": { "core": core, "search": core }, "rate": core })
}

fn authenticate(state: &State, request: &Request) -> Result<(String, Token), Reply> {
    let header = request.headers.get("authorization").map(String::as_str).unwrap_or_default();
    let value = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("token "));
    let known = value.and_then(|value| Some((value.to_owned(), state.tokens.get(value)?.clone())));
    match known {
        Some((name, token)) if token.expires.is_none_or(|expires| expires > state.now) => Ok((name, token)),
        _ if header.is_empty() => Err(Reply::error(404, "Not Found")),
        _ => Err(Reply::error(401, "Bad credentials")),
    }
}

fn route(state: &mut State, request: &Request, token: &Token) -> Answer {
    let segments = request.segments();
    let ["repos", owner, name, rest @ ..] = segments.as_slice() else {
        return Err(Reply::error(404, "Not Found"));
    };
    if !token.sees_repository || *owner != state.owner || *name != state.name {
        return Err(Reply::error(404, "Not Found"));
    }
    if !request.is_read() {
        authorize(token, rest)?;
    }
    let method = request.method.as_str();
    match (method, rest) {
        ("GET", []) => Ok(Reply::ok(200, shapes::repository(state, &state.owner))),
        ("GET", ["branches"]) => commits::branches(state, request),
        ("GET", ["branches", name]) => commits::branch(state, &decoded(name)),
        ("GET", ["git", "ref", name @ ..]) => commits::get_ref(state, &decoded(&name.join("/"))),
        ("GET", ["commits", reference, "statuses"]) => commits::statuses(state, request, &decoded(reference)),
        ("GET", ["commits", reference, "status"]) => commits::combined_status(state, &decoded(reference)),
        ("GET", ["commits", reference, "check-runs"]) => {
            commits::check_runs(state, request, &decoded(reference))
        }
        ("GET", ["commits", sha, "pulls"]) => pulls::of_commit(state, request, sha),
        ("GET", ["compare", range]) => commits::compare(state, &decoded(range)),
        ("GET", ["activity"]) => Ok(commits::activity(state, request)),
        ("GET", ["check-suites", id]) => commits::check_suite(state, number(id)?),
        ("POST", ["statuses", sha]) => commits::set_status(state, request, sha, &token.login),
        ("POST", ["check-runs"]) => commits::create_check_run(state, request, token),
        ("PATCH", ["check-runs", id]) => commits::update_check_run(state, request, number(id)?, token),
        ("GET", ["pulls"]) => pulls::list(state, request),
        ("POST", ["pulls"]) => pulls::create(state, request, &token.login),
        ("GET", ["pulls", id]) => pulls::get(state, number(id)?),
        ("PATCH", ["pulls", id]) => pulls::update(state, request, number(id)?),
        ("PUT", ["pulls", id, "merge"]) => pulls::merge(state, request, number(id)?),
        ("POST", ["pulls", id, "requested_reviewers"]) => {
            pulls::request_reviewers(state, request, number(id)?)
        }
        ("PATCH", ["issues", "comments", id]) => issues::edit_comment(state, request, number(id)?),
        ("GET", ["issues", id, "comments"]) => issues::comments(state, request, number(id)?),
        ("POST", ["issues", id, "comments"]) => issues::comment(state, request, number(id)?, &token.login),
        ("GET", ["issues", id, "events"]) => issues::events(state, request, number(id)?),
        ("GET", ["issues", id, "labels"]) => issues::labels(state, request, number(id)?),
        ("POST", ["issues", id, "labels"]) => issues::add_labels(state, request, number(id)?),
        ("DELETE", ["issues", id, "labels", label]) => {
            issues::remove_label(state, number(id)?, &decoded(label))
        }
        ("GET", ["deployments"]) => Ok(deployments::list(state, request)),
        ("POST", ["deployments"]) => deployments::create(state, request, &token.login),
        ("GET", ["deployments", id, "statuses"]) => deployments::statuses(state, request, number(id)?),
        ("POST", ["deployments", id, "statuses"]) => {
            deployments::set_status(state, request, number(id)?, &token.login)
        }
        ("GET", ["hooks", _, "deliveries"]) => Ok(apps::deliveries(state, request)),
        ("POST", ["hooks", _, "deliveries", id, "attempts"]) => apps::redeliver(state, id),
        _ => Err(Reply::error(404, "Not Found")),
    }
}

/// Refuses to write what the token may only read.
fn authorize(token: &Token, rest: &[&str]) -> Result<(), Reply> {
    let enough: &[&str] = match rest {
        ["pulls", _, "merge"] => &["contents"],
        ["pulls", ..] => &["pull_requests"],
        ["issues", ..] => &["issues", "pull_requests"],
        ["statuses", ..] => &["statuses"],
        ["deployments", ..] => &["deployments"],
        ["check-runs", ..] => &["checks"],
        _ => &["repository_hooks"],
    };
    if enough.iter().any(|permission| token.writes.contains(*permission)) {
        return Ok(());
    }
    let whom = if token.is_app { "integration" } else { "personal access token" };
    let accepted = enough.iter().map(|name| format!("{name}=write")).collect::<Vec<_>>().join("; ");
    let reply = Reply::error(403, &format!("Resource not accessible by {whom}"));
    Err(reply.with("x-accepted-github-permissions", &accepted))
}

fn number(text: &str) -> Result<u64, Reply> {
    text.parse().map_err(|_| Reply::error(404, "Not Found"))
}
