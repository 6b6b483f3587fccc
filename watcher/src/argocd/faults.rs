//! The first useful error of an Application, and whether it goes away by itself.

use renderer::visible::shortened;

use super::application::{Application, ApplicationSet, HealthStatus, Phase, Resource, SyncStatus};

/// How much of an error is shown.
const MOST_SHOWN: usize = 400;
/// How many objects are named.
const MOST_NAMED: usize = 3;

/// What errors have in them that last until git changes: the rendered objects or the values are wrong.
const LASTING: [&str; 14] = [
    "failed exit status 1",
    "app path does not exist",
    "error unmarshaling",
    "error converting YAML",
    "failed to unmarshal",
    "improper constraint",
    "version matching constraint not found",
    "to a commit SHA",
    "is invalid:",
    "field is immutable",
    "Forbidden: updates to",
    "strict decoding error",
    "field not declared in schema",
    "denied the request",
];

/// What errors have in them that pass: something could not be reached, or is not there yet.
const PASSING: [&str; 16] = [
    "dial tcp",
    "connection re",
    "timeout",
    "timed out",
    "deadline exceeded",
    "DeadlineExceeded",
    "Unavailable",
    "no such host",
    "TLS handshake",
    "EOF",
    "Too Many Requests",
    "status code: 5",
    "context canceled",
    "failed calling webhook",
    "no matches for kind",
    "could not find the requested resource",
];

/// Returns whether an error stays until git changes.
pub(super) fn is_lasting(message: &str) -> bool {
    let has = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    has(&LASTING) && !has(&PASSING)
}

/// Returns the first useful error: of an object in the last sync, of the Application, or of an object as it is.
pub(super) fn first(application: &Application) -> Option<String> {
    let status = &application.status;
    let operation = status.operation_state.as_ref();
    let of_sync = operation.and_then(|operation| {
        let failed = operation.sync_result.resources.first()?;
        Some(format!("{}: {}", object(&failed.kind, &failed.namespace, &failed.name), failed.message))
    });
    let of_operation = || {
        let operation = operation.filter(|it| matches!(it.phase, Phase::Failed | Phase::Error))?;
        Some(operation.message.clone()).filter(|message| !message.is_empty())
    };
    let found =
        of_sync.or_else(|| condition(application)).or_else(of_operation).or_else(|| unhealthy(application));
    found.or_else(|| different(application)).map(|text| shown(&text))
}

/// Returns the first error among the conditions. Warnings are none.
pub(super) fn condition(application: &Application) -> Option<String> {
    let mut errors =
        application.status.conditions.iter().filter(|condition| condition.kind.ends_with("Error"));
    errors.next().map(|condition| shown(&format!("{}: {}", condition.kind, condition.message)))
}

/// Returns why an `ApplicationSet` makes no Applications.
pub(super) fn of_set(set: &ApplicationSet) -> Option<String> {
    let mut errors = set.status.conditions.iter();
    let error = errors.find(|condition| condition.kind == "ErrorOccurred" && condition.status == "True")?;
    Some(shown(&error.message))
}

fn unhealthy(application: &Application) -> Option<String> {
    let status = &application.status;
    let is_worst = |resource: &&Resource| {
        resource.health.as_ref().is_some_and(|health| health.status == status.health.status)
    };
    let own = || Some(status.health.message.clone()).filter(|message| !message.is_empty());
    if status.health.status == HealthStatus::Healthy {
        return None;
    }
    let Some(resource) = status.resources.iter().find(is_worst) else { return own() };
    let message = resource.health.as_ref().map(|health| health.message.as_str()).unwrap_or_default();
    let name = object(&resource.kind, &resource.namespace, &resource.name);
    Some(if message.is_empty() {
        format!("{name} is {:?}", status.health.status)
    } else {
        format!("{name}: {message}")
    })
}

/// Returns which objects differ from what git has.
pub(super) fn different(application: &Application) -> Option<String> {
    let is_different =
        |resource: &&Resource| resource.status == Some(SyncStatus::OutOfSync) && !resource.requires_pruning;
    let names = application.status.resources.iter().filter(is_different);
    let names: Vec<_> = names.map(|it| object(&it.kind, &it.namespace, &it.name)).collect();
    (!names.is_empty()).then(|| format!("{} differs from git", renderer::plural::listed(names, MOST_NAMED)))
}

/// Returns an object's name as people write it.
pub(super) fn object(kind: &str, namespace: &str, name: &str) -> String {
    let slash = if namespace.is_empty() { "" } else { "/" };
    format!("{kind} {namespace}{slash}{name}")
}

/// Returns a text on one line, and of a long one the beginning.
pub(super) fn shown(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let space = if line.is_empty() { "" } else { " " };
        line.extend([space, word]);
    }
    shortened(&line, MOST_SHOWN).into_owned()
}
