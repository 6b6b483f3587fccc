//! Where a path leaves what is known, and what stands there instead.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::plural::counted;
use crate::problem::did_you_mean;

use super::super::functions::kind_of;
use super::super::refusal::Refusal;
use super::super::syntax::{Path, or_else};
use super::frames::Frames;

/// Names beside an unknown one that a hint lists, at most.
const MAX_LISTED: usize = 12;
const MAY_BE_ABSENT: &str = "write `(default path value)` where it may be absent";

/// Refuses a path that leads nowhere from the block in which it stands.
pub(super) fn refusal(path: &Path, frames: &Frames<'_>) -> Refusal {
    let raw = path.raw.as_str();
    if raw == "@root" {
        return Refusal::new("`@root` stands for nothing by itself")
            .hint("write the whole path: `@root.cluster.name`");
    }
    if path.is_local {
        return Refusal::new(format!("unknown value `{raw}`")).hint(
            "`@index`, `@key`, `@first` and `@last` are set inside `{{#each …}}`, and `@key` only for a map",
        );
    }
    let found = |count: usize| Some((count, frames.value_of(path, count).ok().flatten()?));
    let (count, container) =
        (0..path.names.len()).rev().find_map(found).unwrap_or((0, Cow::Owned(Json::Null)));
    let unknown = path.names.get(count).map_or("", String::as_str);
    let known = if count == 0 { "" } else { path.prefix(count) };
    let refusal = Refusal::new(message(raw, known, unknown, &container));
    if known.is_empty() && !path.from_root && frames.is_fact(unknown) {
        let from_root = &raw[path.prefix(0).len()..];
        return refusal.hint(format!("from inside a block or a partial, write `@root.{from_root}`"));
    }
    let hint = hint(known, unknown, &container);
    // What no fact is called may well be a label that Grafana or another program puts in.
    let may_be_foreign =
        known.is_empty() && !path.from_root && (unknown.contains('_') || !hint.ends_with('?'));
    refusal.hint(if may_be_foreign { or_else(&hint) } else { hint })
}
fn message(raw: &str, known: &str, unknown: &str, container: &Json) -> String {
    match container {
        _ if known.is_empty() => format!("unknown value `{raw}`"),
        Json::Object(_) => format!("unknown value `{raw}`: `{known}` has no `{unknown}`"),
        Json::Array(items) => {
            let items = counted(items.len(), "item");
            format!("unknown value `{raw}`: `{known}` is a list of {items}, counted from 0")
        }
        other => format!("unknown value `{raw}`: `{known}` is {}", kind_of(other)),
    }
}

/// Returns the name that is not found, if a message is about one.
pub(crate) fn missing_name(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown value `")?;
    if let Some((_, name)) = rest.rsplit_once(" has no `") {
        return name.strip_suffix('`').map(str::to_owned);
    }
    let raw = rest.strip_suffix('`').filter(|raw| !raw.contains('`'))?;
    Path::parse(raw)?.names.into_iter().next()
}

fn hint(known: &str, unknown: &str, container: &Json) -> String {
    let Json::Object(map) = container else { return MAY_BE_ABSENT.to_owned() };
    let dot = if known.is_empty() { "" } else { "." };
    // A longer name is hardly a slip: `namespace` is no `name`.
    let near = did_you_mean(unknown, map.keys().map(String::as_str));
    if let Some(near) = near.filter(|near| !known.is_empty() || unknown.len() <= near.len() + 2) {
        return format!("did you mean `{known}{dot}{near}`?");
    }
    if map.is_empty() || map.len() > MAX_LISTED {
        return MAY_BE_ABSENT.to_owned();
    }
    let names: Vec<_> = map.keys().map(|name| format!("`{name}`")).collect();
    format!("there is {}; {MAY_BE_ABSENT}", names.join(", "))
}
