//! What objects of Kubernetes have to be like.

use std::time::SystemTime;

use jiff::Timestamp;
use renderer::catalog::{FieldPath, Holds, Objects};
use renderer::plural::{counted, listed};
use renderer::span;
use renderer::visible::shortened;
use serde_json::Value;

use super::finding::{Found, MAX_NAMED, Verdict, is_within};

/// How much of a text of an object is shown, in characters.
const MAX_TEXT: usize = 120;

/// An object.
#[derive(Debug)]
pub struct Object<'a>(pub &'a Value);

impl Object<'_> {
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns its name, after that of its namespace if it is in one.
    pub(super) fn name(&self) -> String {
        let name = shortened(self.text("/metadata/name"), MAX_TEXT).into_owned();
        match self.text("/metadata/namespace") {
            "" => name,
            namespace => format!("{}/{name}", shortened(namespace, MAX_TEXT)),
        }
    }

    /// Returns why a condition is not `True`, if it is not.
    pub(super) fn lacks(&self, kind: &str) -> Option<String> {
        let conditions = self.0.pointer("/status/conditions").and_then(Value::as_array);
        let condition = conditions.into_iter().flatten().find(|it| it["type"] == kind);
        let Some(condition) = condition else { return Some(format!("has no condition {kind}")) };
        let status = condition["status"].as_str().unwrap_or("Unknown");
        let why =
            ["message", "reason"].iter().find_map(|key| condition[*key].as_str().filter(|it| !it.is_empty()));
        let why = why.map_or_else(String::new, |why| {
            format!(": {}", shortened(why.lines().next().unwrap_or_default(), MAX_TEXT))
        });
        (status != "True").then(|| format!("{kind} is {}{why}", shortened(status, MAX_TEXT)))
    }

    fn time(&self, field: &FieldPath) -> Option<Timestamp> {
        field.of(self.0)?.as_str()?.parse().ok()
    }

    fn first_time(&self, fields: &[FieldPath]) -> Option<Timestamp> {
        fields.iter().find_map(|field| self.time(field))
    }
}

/// Decides whether objects are as they have to be.
#[must_use]
pub fn objects(wanted: &Objects, all: &[Value], now: SystemTime) -> Found {
    if all.is_empty() {
        let verdict = if wanted.may_be_none { Verdict::Passed } else { Verdict::Failed };
        return (verdict, format!("there is no {}", wanted.kind));
    }
    let has_fields = |object: &&Value| {
        let mut fields = wanted.fields.iter();
        fields.all(|(field, value)| field.of(object).is_some_and(|found| is_text(found, value)))
    };
    let meant: Vec<_> = all.iter().filter(has_fields).map(Object).collect();
    if meant.is_empty() {
        let fields: Vec<_> =
            wanted.fields.iter().map(|(field, value)| format!("{} {value}", field.as_str())).collect();
        let of = counted(all.len(), &wanted.kind);
        return (Verdict::Failed, format!("none of {of} has {}", fields.join(", ")));
    }
    let now = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
    match &wanted.holds {
        Holds::Age { age, at_most, newest: true } => {
            let newest =
                meant.iter().filter_map(|it| Some((it.first_time(age)?, it))).max_by_key(|(at, _)| *at);
            let Some((_, newest)) = newest else {
                return (
                    Verdict::Failed,
                    format!("none of {} has a time", counted(meant.len(), &wanted.kind)),
                );
            };
            let (faults, value) = old(newest, age, at_most.seconds(), now);
            let verdict = if faults { Verdict::Failed } else { Verdict::Passed };
            (verdict, format!("{}: {value}", newest.name()))
        }
        holds => each(&wanted.kind, &meant, |object| faulty(object, holds, now)),
    }
}

fn is_text(found: &Value, text: &str) -> bool {
    found.as_str().map_or_else(|| found.to_string().as_str() == text, |found| found == text)
}

/// Decides by what is wrong with each: names the first that are wrong, or says how the last one that is right is.
fn each(kind: &str, all: &[Object<'_>], judge: impl Fn(&Object<'_>) -> Judged) -> Found {
    let judged: Vec<_> = all.iter().map(|object| (object, judge(object))).collect();
    let wrong =
        judged.iter().filter_map(|(object, it)| Some(format!("{}: {}", object.name(), it.wrong.as_ref()?)));
    let wrong: Vec<_> = wrong.collect();
    if !wrong.is_empty() {
        let named = listed(&wrong, MAX_NAMED);
        return (Verdict::Failed, format!("{} of {}: {named}", wrong.len(), counted(all.len(), kind)));
    }
    let least = judged.iter().filter_map(|(object, it)| Some((it.rank?, object, it))).min_by_key(|it| it.0);
    let least =
        least.map_or_else(String::new, |(_, object, it)| format!(", {}: {}", object.name(), it.value));
    (Verdict::Passed, format!("{}{least}", counted(all.len(), kind)))
}

/// What an object is like: what is wrong with it, and how near to that it is.
#[derive(Default)]
struct Judged {
    wrong: Option<String>,
    rank: Option<i64>,
    value: String,
}

fn faulty(object: &Object<'_>, holds: &Holds, now: Timestamp) -> Judged {
    match holds {
        Holds::Condition { condition } => Judged { wrong: object.lacks(condition), ..Judged::default() },
        Holds::Left { left, at_least } => {
            let Some(at) = object.time(left) else { return missing(left) };
            let seconds = at.as_second() - now.as_second();
            let value = if seconds < 0 {
                format!("over for {}", span::text(-seconds))
            } else {
                format!("{} left", span::text(seconds))
            };
            let is_wrong = at_least.seconds().is_none_or(|least| seconds < least);
            Judged { wrong: is_wrong.then(|| value.clone()), rank: Some(seconds), value }
        }
        Holds::Age { age, at_most, .. } => {
            let (is_wrong, value) = old(object, age, at_most.seconds(), now);
            Judged { wrong: is_wrong.then(|| value.clone()), rank: None, value }
        }
        Holds::Number { number, at_least, at_most } => {
            let Some(found) = number.of(object.0).and_then(Value::as_f64) else { return missing(number) };
            let is_wrong = !is_within(found, *at_least, *at_most);
            let value = format!("{} is {found}", number.as_str());
            Judged { wrong: is_wrong.then_some(value), ..Judged::default() }
        }
    }
}

fn missing(field: &FieldPath) -> Judged {
    Judged { wrong: Some(format!("has no {}", field.as_str())), ..Judged::default() }
}

/// Returns whether a time is too long ago, and how long.
fn old(object: &Object<'_>, fields: &[FieldPath], at_most: Option<i64>, now: Timestamp) -> (bool, String) {
    let Some(at) = object.first_time(fields) else {
        let names = fields.iter().map(FieldPath::as_str);
        return (true, format!("has no {}", names.collect::<Vec<_>>().join(" and no ")));
    };
    let seconds = now.as_second() - at.as_second();
    (at_most.is_none_or(|most| seconds > most), format!("{} ago", span::text(seconds.max(0))))
}
