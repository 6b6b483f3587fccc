//! Says where a path leaves what is known, and what stands there instead.

use handlebars::{Context, RenderContext, ScopedJson};
use serde_json::Value as Json;

use crate::plural::{counted, quoted};
use crate::problem::did_you_mean;

use super::functions::kind_of;
use super::refusal::Refusal;
use super::syntax::{PathText, foreign};

/// Names beside an unknown one that a hint lists, at most.
const MAX_LISTED: usize = 12;
const MAY_BE_ABSENT: &str = "write `(default path value)` where it may be absent";

/// Refuses a path that leads nowhere from the block in which it stands.
pub(super) fn refusal<'rc>(raw: &str, context: &'rc Context, rc: &RenderContext<'_, 'rc>) -> Refusal {
    let path = PathText::parse(raw);
    if raw == "@root" {
        return Refusal::new("`@root` stands for nothing by itself")
            .hint("write the whole path: `@root.cluster.name`");
    }
    if path.is_local {
        return Refusal::new(format!("unknown value `{raw}`")).hint(
            "`@index`, `@key`, `@first` and `@last` are set inside `{{#each …}}`, and `@key` only for a map",
        );
    }
    let found = |path: &str| match rc.evaluate(context, path) {
        Ok(value) if !matches!(value, ScopedJson::Missing) => Some(value),
        _ => None,
    };
    let known = (1..path.segments.len()).rev().find_map(|count| Some((count, found(path.prefix(count))?)));
    let (count, container) = match known {
        Some((count, value)) => (count, Some(value)),
        None => (0, found(&path.base())),
    };
    let unknown = path.segments.get(count).map_or("", |segment| segment.name);
    let container = container.as_ref().map_or(&Json::Null, |value| value.as_json());
    let known = if count == 0 { "" } else { path.prefix(count) };
    let refusal = Refusal::new(message(raw, known, unknown, container));
    if known.is_empty() && !path.from_root && context.data().get(unknown).is_some() {
        let from_root = &raw[path.prefix(0).len()..];
        return refusal.hint(format!("from inside a block or a partial, write `@root.{from_root}`"));
    }
    let hint = hint(known, unknown, container);
    // What no fact is called may well be a label that Grafana or another program puts in.
    let may_be_foreign =
        known.is_empty() && !path.from_root && (unknown.contains('_') || !hint.ends_with('?'));
    refusal.hint(if may_be_foreign { foreign::or_else(&hint) } else { hint })
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

/// Returns the name that is nowhere to be found, if a message is about one.
pub(crate) fn missing_name(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("unknown value `")?;
    if let Some((_, name)) = rest.rsplit_once(" has no `") {
        return name.strip_suffix('`');
    }
    let raw = rest.strip_suffix('`').filter(|raw| !raw.contains('`'))?;
    PathText::parse(raw).segments.first().map(|segment| segment.name)
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
    format!("there is {}; {MAY_BE_ABSENT}", quoted(map.keys()))
}
