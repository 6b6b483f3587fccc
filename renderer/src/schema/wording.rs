//! The words for each way in which a value can break its schema.
//!
//! Knows nothing of paths beyond the name of the value at fault.

use std::fmt;

use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind};
use jsonschema::types::JsonType;
use serde_json::Value;

use crate::key_path::Step;
use crate::network;
use crate::plural::{alternatives, counted, listed};
use crate::problem::did_you_mean;

/// How many names a message or a hint lists before it only counts them.
pub(super) const MAX_LISTED: usize = 12;
/// How many characters of a value a message repeats.
const MAX_SHOWN: usize = 60;

/// A message and, where the fault itself suggests a way out, a hint.
pub(super) struct Wording {
    pub message: String,
    pub hint: Option<String>,
}

/// Names the value at a path: its key, and the indexes that follow it.
pub(super) fn subject(path: &[Step]) -> String {
    let from = path.iter().rposition(|step| matches!(step, Step::Key(_))).unwrap_or(0);
    let name: String = path[from..].iter().map(Step::to_string).collect();
    if path.is_empty() { "the document".to_owned() } else { format!("`{}`", name.escape_debug()) }
}

/// Returns the `x-hint` of a sub-schema.
pub(super) fn hint_of(schema: &Value) -> Option<String> {
    schema.get("x-hint").and_then(Value::as_str).map(str::to_owned)
}

/// Returns what is wrong with `subject`; `written` is what the schema's author wants there.
pub(super) fn of(error: &ValidationError, subject: &str, written: Option<String>) -> Wording {
    let wording = match (error.kind(), &written) {
        // A pattern is for machines, where there are words for people.
        (ValidationErrorKind::Pattern { .. }, Some(_)) => {
            plain(format!("{} is not a valid {subject}", show(error.instance().as_ref())))
        }
        _ => without_author(error, subject),
    };
    Wording { hint: wording.hint.or(written), ..wording }
}

fn without_author(error: &ValidationError, subject: &str) -> Wording {
    let value = error.instance().as_ref();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            plain(format!("missing key `{}`", property.as_str().unwrap_or_default()))
        }
        ValidationErrorKind::Type { kind } => wrong_type(subject, &expected_types(kind), value),
        ValidationErrorKind::Enum { options } => {
            wrong_choice(subject, options.as_array().map_or(&[][..], Vec::as_slice), value)
        }
        ValidationErrorKind::Constant { expected_value } => {
            wrong_choice(subject, std::slice::from_ref(expected_value.as_ref()), value)
        }
        ValidationErrorKind::Pattern { pattern } => {
            plain(format!("{subject} is {}, which does not match `{pattern}`", show(value)))
        }
        ValidationErrorKind::Format { format } => {
            let message = format!("{subject} must be {}, not {}", described_format(format), show(value));
            Wording { message, hint: value.as_str().and_then(|text| network::hint(format, text)) }
        }
        ValidationErrorKind::Not { schema: refused } => excluded(subject, refused),
        ValidationErrorKind::UniqueItems => repeated_item(subject, value),
        ValidationErrorKind::Contains => plain(format!("{subject} lacks an item that it must have")),
        kind => match limit(kind, value) {
            Some(rule) => plain(format!("{subject} must {rule}")),
            None => plain(format!("{subject} does not fit its schema: {error}")),
        },
    }
}

/// Words that a value has none of the expected types.
pub(super) fn wrong_type(subject: &str, expected: &[JsonType], value: &Value) -> Wording {
    let names = alternatives(expected.iter().map(|kind| expected_name(*kind)));
    let message = format!("{subject} must be {names}, not {}", found_name(value, expected));
    Wording { message, hint: type_hint(expected, value) }
}

/// Words that a value is none of the permitted ones.
pub(super) fn wrong_choice(subject: &str, options: &[Value], value: &Value) -> Wording {
    let message = match options {
        [only] => format!("{subject} must be {}, not {}", show(only), show(value)),
        _ => format!("{subject} must be one of {}", list_shown(options)),
    };
    let near = value.as_str().and_then(|text| did_you_mean(text, options.iter().filter_map(Value::as_str)));
    Wording { message, hint: near.map(|near| format!("did you mean `{near}`?")) }
}

/// Lists names in backticks, counting those beyond the first few.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    listed(names.into_iter().map(|name| format!("`{}`", name.escape_debug())), MAX_LISTED)
}

fn list_shown(values: &[Value]) -> String {
    listed(values.iter().map(show), MAX_LISTED)
}

/// Returns the types that a `type` keyword permits.
pub(super) fn expected_types(kind: &TypeKind) -> Vec<JsonType> {
    match kind {
        TypeKind::Single(kind) => vec![*kind],
        TypeKind::Multiple(kinds) => kinds.iter().collect(),
    }
}

fn plain(message: String) -> Wording {
    Wording { message, hint: None }
}

fn expected_name(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Null => "null",
        JsonType::Boolean => "`true` or `false`",
        JsonType::Integer => "an integer",
        JsonType::Number => "a number",
        JsonType::String => "a string",
        JsonType::Array => "a list",
        JsonType::Object => "a map",
    }
}

fn found_name(value: &Value, expected: &[JsonType]) -> String {
    match value {
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(number) if expected.contains(&JsonType::Integer) => format!("`{number}`"),
        Value::Number(_) => expected_name(JsonType::Number).to_owned(),
        other => expected_name(JsonType::from(other)).to_owned(),
    }
}

fn type_hint(expected: &[JsonType], value: &Value) -> Option<String> {
    let hint = match value {
        Value::Null => "write a value or remove the key",
        Value::String(text) if is_quoted_literal(expected, text) => "remove the quotes",
        Value::Bool(_) | Value::Number(_) if expected.contains(&JsonType::String) => {
            "put the value in quotes"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn is_quoted_literal(expected: &[JsonType], text: &str) -> bool {
    expected.iter().any(|kind| match kind {
        JsonType::Integer => text.parse::<i64>().is_ok(),
        JsonType::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
        JsonType::Boolean => matches!(text, "true" | "false"),
        _ => false,
    })
}

fn described_format(format: &str) -> String {
    let known = match format {
        "ipv4" => "an IPv4 address such as `192.168.64.100`",
        "ipv6" => "an IPv6 address such as `fd00::64`",
        "cidr" => "a network such as `10.244.0.0/16`, with no bits set after the prefix",
        "address-range" => "a range of addresses, the first before the last, or a network",
        "ip" => "an address",
        "uri" => "a complete URL such as `https://example.com/charts`",
        "hostname" => "a host name such as `git.example.com`",
        "date-time" => "a time such as `2026-01-31T09:00:00Z`",
        "date" => "a date such as `2026-01-31`",
        "regex" => "a regular expression",
        _ => return format!("a valid `{format}`"),
    };
    known.to_owned()
}

/// Returns a limit on size as what the value must do, if the fault is one.
fn limit(kind: &ValidationErrorKind, value: &Value) -> Option<String> {
    use ValidationErrorKind as Limit;
    let of_number = |rule: &str, limit: &dyn fmt::Display| format!("be {rule} {limit}, not {value}");
    let of_size = |rule: &str, limit: u64, noun: &str| {
        let limit = counted(usize::try_from(limit).unwrap_or(usize::MAX), noun);
        format!("have at {rule} {limit}, not {}", size(value))
    };
    Some(match kind {
        Limit::Minimum { limit } => of_number("at least", limit),
        Limit::Maximum { limit } => of_number("at most", limit),
        Limit::ExclusiveMinimum { limit } => of_number("more than", limit),
        Limit::ExclusiveMaximum { limit } => of_number("less than", limit),
        Limit::MultipleOf { multiple_of } => of_number("a multiple of", multiple_of),
        Limit::MinLength { limit: 1 } | Limit::MinItems { limit: 1 } | Limit::MinProperties { limit: 1 } => {
            "not be empty".to_owned()
        }
        Limit::MinLength { limit } => of_size("least", *limit, "character"),
        Limit::MaxLength { limit } => of_size("most", *limit, "character"),
        Limit::MinItems { limit } => of_size("least", *limit, "item"),
        Limit::MaxItems { limit } => of_size("most", *limit, "item"),
        Limit::MinProperties { limit } => of_size("least", *limit, "key"),
        Limit::MaxProperties { limit } => of_size("most", *limit, "key"),
        _ => return None,
    })
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(entries) => entries.len(),
        _ => 0,
    }
}

fn excluded(subject: &str, refused: &Value) -> Wording {
    let Some(keys) = refused.get("required").and_then(Value::as_array) else {
        return plain(format!("{subject} has a value that is ruled out"));
    };
    let together = if keys.len() > 1 { " together" } else { "" };
    let listed = list(keys.iter().filter_map(Value::as_str));
    plain(format!("{subject} must not have {listed}{together}"))
}

fn repeated_item(subject: &str, value: &Value) -> Wording {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    let repeated = items.iter().enumerate().find(|(index, item)| items[..*index].contains(item));
    match repeated {
        Some((_, item)) => plain(format!("{subject} has {} more than once", show(item))),
        None => plain(format!("{subject} has an item more than once")),
    }
}

/// Shows a value in backticks, on one line and not too long.
pub(super) fn show(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.escape_debug().to_string(),
        other => other.to_string(),
    };
    if text.chars().count() <= MAX_SHOWN {
        return format!("`{text}`");
    }
    let head: String = text.chars().take(MAX_SHOWN).collect();
    format!("`{head}…`")
}
