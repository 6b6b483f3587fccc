//! What pull requests share with issues: comments and labels.

use serde_json::{Value, json};

use super::pulls::BODY_LIMIT;
use super::shapes;
use super::state::{Comment, State};
use crate::web::wire::{Answer, Reply, Request};

/// The longest name of a label, in characters.
pub const LABEL_LIMIT: usize = 50;

/// Lists the comments on a pull request, the oldest first.
pub fn comments(state: &State, request: &Request, pull: u64) -> Answer {
    exists(state, pull)?;
    let of_pull = state.comments.iter().filter(|comment| comment.pull == pull);
    let items: Vec<Value> = of_pull.map(|comment| shapes::comment(state, comment)).collect();
    Ok(request.page(&items, &state.root))
}

/// Adds a comment.
pub fn comment(state: &mut State, request: &Request, pull: u64, login: &str) -> Answer {
    exists(state, pull)?;
    let body = text_of(request)?;
    let (id, created) = (state.next_id(), state.now);
    let comment = Comment { id, pull, author: login.to_owned(), body, created, updated: created };
    let shape = shapes::comment(state, &comment);
    state.comments.push(comment);
    Ok(Reply::ok(201, shape))
}

/// Edits a comment.
pub fn edit_comment(state: &mut State, request: &Request, id: u64) -> Answer {
    let body = text_of(request)?;
    let now = state.now;
    let Some(comment) = state.comments.iter_mut().find(|comment| comment.id == id) else {
        return Err(Reply::error(404, "Not Found"));
    };
    (comment.body, comment.updated) = (body, now);
    let comment = comment.clone();
    Ok(Reply::ok(200, shapes::comment(state, &comment)))
}

/// Lists what happened to a pull request, the oldest first: of all that can, the labels that were set.
pub fn events(state: &State, request: &Request, pull: u64) -> Answer {
    exists(state, pull)?;
    let of_pull = state.labelled.iter().filter(|event| event.pull == pull);
    let items: Vec<Value> = of_pull.map(|event| shapes::labelled(state, event)).collect();
    Ok(request.page(&items, &state.root))
}

/// Lists the labels of a pull request.
pub fn labels(state: &State, request: &Request, pull: u64) -> Answer {
    let index = exists(state, pull)?;
    let items: Vec<Value> = state.pulls[index].labels.iter().map(|name| shapes::label(state, name)).collect();
    Ok(request.page(&items, &state.root))
}

/// Adds labels; one that the repository does not have is made.
pub fn add_labels(state: &mut State, request: &Request, pull: u64) -> Answer {
    let index = exists(state, pull)?;
    let body = request.json()?;
    let names = body.get("labels").unwrap_or(&body).as_array().cloned().unwrap_or_default();
    for name in names.iter().filter_map(Value::as_str) {
        if name.is_empty() || name.chars().count() > LABEL_LIMIT {
            return Err(Reply::invalid_field("Label", "name", "invalid"));
        }
        state.pulls[index].labels.insert(name.to_owned());
    }
    let all: Vec<Value> = state.pulls[index].labels.iter().map(|name| shapes::label(state, name)).collect();
    Ok(Reply::ok(200, json!(all)))
}

/// Takes a label off.
pub fn remove_label(state: &mut State, pull: u64, name: &str) -> Answer {
    let index = exists(state, pull)?;
    if !state.pulls[index].labels.remove(name) {
        return Err(Reply::error(404, "Label does not exist"));
    }
    let rest: Vec<Value> = state.pulls[index].labels.iter().map(|name| shapes::label(state, name)).collect();
    Ok(Reply::ok(200, json!(rest)))
}

fn exists(state: &State, pull: u64) -> Result<usize, Reply> {
    state.pull(pull).ok_or_else(|| Reply::error(404, "Not Found"))
}

fn text_of(request: &Request) -> Result<String, Reply> {
    let body = request.json()?;
    let Some(text) = body.get("body").and_then(Value::as_str).filter(|text| !text.is_empty()) else {
        return Err(Reply::invalid_field("IssueComment", "body", "missing_field"));
    };
    if text.chars().count() > BODY_LIMIT {
        let message = format!("body is too long (maximum is {BODY_LIMIT} characters)");
        return Err(Reply::invalid("IssueComment", &message));
    }
    Ok(text.to_owned())
}
