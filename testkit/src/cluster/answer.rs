//! What each request gets, as the API documents it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::objects::Objects;
use crate::web::wire::Request;

/// What a request gets.
#[derive(Debug)]
pub(super) enum Answer {
    Status(u16, Value),
    Watch(Watch),
    Cut,
}

/// A watch that was opened.
#[derive(Debug)]
pub(super) struct Watch {
    pub place: String,
    pub namespace: String,
    pub from: u64,
    pub has_bookmarks: bool,
    pub most: Option<usize>,
}

/// An address below a namespace.
struct At {
    place: String,
    namespace: String,
    name: Option<String>,
}

pub(super) fn answer(objects: &mut Objects, request: &Request) -> Answer {
    objects.requests.push(format!("{} {}", request.method, request.path));
    if objects.trouble.cut > 0 {
        objects.trouble.cut -= 1;
        return Answer::Cut;
    }
    if let Some(code) = objects.trouble.status {
        return status(code, "Trouble", "the server is in trouble");
    }
    if request.path == "/version" {
        return Answer::Status(200, version());
    }
    let token = header(request, "authorization").trim_start_matches("Bearer ");
    if token != objects.token {
        return status(401, "Unauthorized", "Unauthorized");
    }
    if let Some(proxied) = Proxied::of(&request.path) {
        return proxy(objects, &proxied, request);
    }
    let nothing = || status(404, "NotFound", "the server could not find the requested resource");
    if let Some(kinds) = objects.kinds_of(request.path.trim_start_matches('/')) {
        return Answer::Status(200, json!({ "kind": "APIResourceList", "resources": kinds }));
    }
    let Some(at) = At::of(&request.path)
        .filter(|at| !at.namespace.is_empty() || at.name.is_some() || objects.serves(&at.place))
    else {
        return nothing();
    };
    let is_watch = request.query.get("watch").is_some_and(|text| text == "true" || text == "1");
    let verb = match (request.method.as_str(), &at.name) {
        ("GET", None) if is_watch => "watch",
        ("GET", None) => "list",
        ("GET", Some(_)) => "get",
        ("PATCH", Some(_)) => "patch",
        ("DELETE", Some(_)) => "delete",
        _ => return status(405, "MethodNotAllowed", "the server does not allow this method"),
    };
    if objects.trouble.forbidden.contains(&verb) {
        let plural = at.place.rsplit('/').next().unwrap_or_default();
        let message = format!("{plural} is forbidden: User \"ann\" cannot {verb} resource \"{plural}\"");
        return status(403, "Forbidden", &message);
    }
    match (verb, &at.name) {
        ("watch", _) => watch(objects, at, &request.query),
        ("list", _) => list(objects, &at, &request.query),
        ("patch", Some(name)) => patch(objects, &at, name, request),
        ("delete", Some(name)) => delete(objects, &at, name),
        (_, Some(name)) => match objects.get(&at.place, &at.namespace, name) {
            Some(object) => Answer::Status(200, object.clone()),
            None => missing(&at, name),
        },
        _ => status(405, "MethodNotAllowed", "the server does not allow this method"),
    }
}

fn header<'r>(request: &'r Request, name: &str) -> &'r str {
    request.headers.get(name).map(String::as_str).unwrap_or_default()
}

impl At {
    /// Reads `/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL[/NAME]`, the same of the core group, or what has no namespace in
    /// it: a list of all namespaces, or an object that is in none.
    fn of(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let Some((api, below)) = path.split_once("/namespaces/") else {
            let parts = if path.starts_with("api/") { 3 } else { 4 };
            let (place, name) = match path.rsplit_once('/') {
                Some((place, name)) if place.split('/').count() == parts => (place, Some(name.to_owned())),
                _ => (path, None),
            };
            return Some(Self { place: place.to_owned(), namespace: String::new(), name });
        };
        let mut parts = below.split('/');
        let (namespace, plural) = (parts.next()?, parts.next()?);
        let name = parts.next().map(str::to_owned);
        let at = Self { place: format!("{api}/{plural}"), namespace: namespace.to_owned(), name };
        parts.next().is_none().then_some(at)
    }
}

/// An address of a Service or a pod that the API server passes requests on to.
struct Proxied {
    /// Namespace, name and port, such as `logging/loki:3100`; `pods/` stands before those of a pod.
    target: String,
    path: String,
}

impl Proxied {
    /// Reads `/api/v1/namespaces/NAMESPACE/services/NAME:PORT/proxy/PATH`, the same of a pod, or the log of a pod.
    fn of(path: &str) -> Option<Self> {
        let (namespace, rest) = path.strip_prefix("/api/v1/namespaces/")?.split_once('/')?;
        let (kind, rest) = rest.split_once('/')?;
        let (name, path) =
            rest.split_once("/proxy/").or_else(|| Some((rest.strip_suffix("/log")?, "log")))?;
        let kind = match kind {
            "services" => "",
            "pods" => "pods/",
            _ => return None,
        };
        Some(Self { target: format!("{kind}{namespace}/{name}"), path: format!("/{path}") })
    }
}

/// Passes a request on, without the credential, as an API server does.
fn proxy(objects: &mut Objects, Proxied { target, path }: &Proxied, request: &Request) -> Answer {
    if objects.trouble.forbidden.contains(&"proxy") {
        let message = "services is forbidden: User \"ann\" cannot get resource \"services/proxy\"";
        return status(403, "Forbidden", message);
    }
    let mut request = Request { path: path.clone(), ..request.clone() };
    request.headers.remove("authorization");
    match objects.services.get_mut(target) {
        Some(answer) => {
            let (code, body) = answer(&request);
            Answer::Status(code, body)
        }
        None => status(404, "NotFound", &format!("\"{target}\" not found")),
    }
}

fn status(code: u16, reason: &str, message: &str) -> Answer {
    Answer::Status(code, failure(code, reason, message))
}

pub(super) fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

fn missing(at: &At, name: &str) -> Answer {
    let plural = at.place.rsplit('/').next().unwrap_or_default();
    status(404, "NotFound", &format!("{plural} \"{name}\" not found"))
}

/// What a server says of itself to everyone.
fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "c0ffee", "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.26.0", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// Returns what objects are ordered by in a list.
fn name_in_list(object: &Value) -> String {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    format!("{}/{}", text("namespace"), text("name"))
}

/// Returns a page: `continue` names the version of the list and the last name on the page.
fn list(objects: &mut Objects, at: &At, query: &BTreeMap<String, String>) -> Answer {
    let limit = query.get("limit").and_then(|text| text.parse().ok()).filter(|limit| *limit > 0);
    let (version, after) = match query.get("continue").and_then(|token| token.split_once(':')) {
        Some((version, after)) => (version.parse().unwrap_or(0), after.to_owned()),
        None => (objects.version(), String::new()),
    };
    if !after.is_empty() && (objects.trouble.expired_pages > 0 || objects.is_forgotten(version)) {
        objects.trouble.expired_pages = objects.trouble.expired_pages.saturating_sub(1);
        return status(
            410,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result",
        );
    }
    let mut all = objects.after(&at.place, &at.namespace, &after);
    let items: Vec<Value> = all.by_ref().take(limit.unwrap_or(usize::MAX)).cloned().collect();
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if all.next().is_some() {
        let last = items.last().map(name_in_list).unwrap_or_default();
        metadata["continue"] = json!(format!("{version}:{last}"));
    }
    Answer::Status(200, json!({ "kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items }))
}

fn watch(objects: &Objects, at: At, query: &BTreeMap<String, String>) -> Answer {
    let from = query.get("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
    Answer::Watch(Watch {
        place: at.place,
        namespace: at.namespace,
        from,
        has_bookmarks: query.get("allowWatchBookmarks").is_some_and(|text| text == "true"),
        most: objects.trouble.watch_events,
    })
}

fn patch(objects: &mut Objects, at: &At, name: &str, request: &Request) -> Answer {
    if header(request, "content-type") == "application/apply-patch+yaml" {
        return apply(objects, at, name, request);
    }
    if header(request, "content-type") != "application/merge-patch+json" {
        return status(415, "UnsupportedMediaType", "the body of the request was in an unknown format");
    }
    let Some(mut object) = objects.get(&at.place, &at.namespace, name).cloned() else {
        return missing(at, name);
    };
    let Ok(patch) = serde_json::from_slice::<Value>(&request.body) else {
        return status(400, "BadRequest", "the patch is not JSON");
    };
    let expected = patch["metadata"]["resourceVersion"].as_str();
    if expected.is_some_and(|version| object["metadata"]["resourceVersion"] != version) {
        return conflict(
            name,
            "the object has been modified; please apply your changes to the latest version",
        );
    }
    merge(&mut object, &patch);
    Answer::Status(200, objects.write(&at.place, object))
}

/// Makes an object; the fields of one that is there have other managers.
fn apply(objects: &mut Objects, at: &At, name: &str, request: &Request) -> Answer {
    if objects.get(&at.place, &at.namespace, name).is_some() {
        return conflict(name, "Apply failed with conflicts");
    }
    match serde_json::from_slice(&request.body) {
        Ok(object) => Answer::Status(201, objects.write(&at.place, object)),
        Err(_) => status(400, "BadRequest", "the object is not JSON"),
    }
}

fn conflict(name: &str, why: &str) -> Answer {
    status(409, "Conflict", &format!("Operation cannot be fulfilled on \"{name}\": {why}"))
}

/// Lays a merge patch over a value (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().map(|target| target.remove(key));
        } else {
            merge(&mut target[key.as_str()], value);
        }
    }
}

/// An object with finalizers only gets a mark, and is gone when the last of them is.
fn delete(objects: &mut Objects, at: &At, name: &str) -> Answer {
    let Some(mut object) = objects.get(&at.place, &at.namespace, name).cloned() else {
        return missing(at, name);
    };
    if object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty()) {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        return Answer::Status(200, objects.write(&at.place, object));
    }
    objects.remove(&at.place, &at.namespace, name);
    Answer::Status(200, json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }))
}
