//! What another program takes for a template or a pattern is written by the template, and not by a value.
//!
//! An `ApplicationSet` is a template of its own, and an `AppProject` or a `ClusterRole` says by patterns what
//! is allowed. A fact that brings braces or a `*` would allow there what no template does. Each document
//! comes a second time, with neutral values: where the two differ in what is read there, a value has brought
//! it.

use crate::checks::{Document, Finding, Part};
use crate::key_path::{Step, owned};
use crate::yaml::Value;

/// What stands for other characters in patterns, and what separates the words of a policy.
const PATTERN_CHARACTERS: [char; 9] = ['*', '?', '[', ']', '{', '}', '!', '\\', ','];

/// Returns whether parts of an object are taken for templates or patterns.
pub(crate) fn is_watched(object: &Value) -> bool {
    Reading::of(object).is_some()
}

/// How an object is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Argo CD executes what stands in braces.
    Templates,
    /// What stands below a key are patterns of what is allowed.
    Patterns { below: &'static str },
}

impl Reading {
    fn of(object: &Value) -> Option<Self> {
        let text = |key| object.get(key).and_then(Value::as_str);
        match text("kind") {
            Some("ApplicationSet") => Some(Self::Templates),
            Some("AppProject" | "AuthorizationPolicy") => Some(Self::Patterns { below: "spec" }),
            Some("Role" | "ClusterRole") => Some(Self::Patterns { below: "rules" }),
            _ => None,
        }
    }
}

pub(in super::super) fn values_bring_no_patterns(document: &Document<'_>) -> Vec<Finding> {
    let (Some(neutral), Some(reading)) = (document.neutral, Reading::of(document.value)) else {
        return Vec::new();
    };
    let kind = document.value.get("kind").and_then(Value::as_str).unwrap_or_default();
    let mut walk = Walk { kind, reading, path: Vec::new(), findings: Vec::new() };
    walk.value(document.value, neutral);
    walk.findings
}

struct Walk<'v> {
    kind: &'v str,
    reading: Reading,
    path: Vec<Step<&'v str>>,
    findings: Vec<Finding>,
}

impl<'v> Walk<'v> {
    fn value(&mut self, value: &'v Value, neutral: &Value) {
        match (value, neutral) {
            (Value::Map(map), Value::Map(neutral)) => {
                for ((key, value), (neutral_key, neutral)) in map.iter().zip(neutral.iter()) {
                    self.path.push(Step::Key(key));
                    self.judge(key, neutral_key, Part::Key);
                    self.value(value, neutral);
                    self.path.pop();
                }
            }
            (Value::List(items), Value::List(neutral)) => {
                for (index, (item, neutral)) in items.iter().zip(neutral).enumerate() {
                    self.path.push(Step::Index(index));
                    self.value(item, neutral);
                    self.path.pop();
                }
            }
            (Value::String(text), Value::String(neutral)) => self.judge(text, neutral, Part::Value),
            _ => {}
        }
    }

    fn judge(&mut self, text: &str, neutral: &str, part: Part) {
        if text == neutral {
            return;
        }
        let is_pattern = match self.reading {
            Reading::Patterns { below } => {
                let is_below = matches!(self.path[..], [Step::Key(key), ..] if key == below);
                is_below && !matches!(self.path[..], [_, Step::Key("description")])
            }
            Reading::Templates => self.is_file_pattern(),
        };
        if self.reading == Reading::Templates && actions(text) != actions(neutral) {
            self.find(part, "a value brings `{{` or `}}` here, which Argo CD executes".to_owned());
        } else if is_pattern && let Some(character) = brought(text, neutral) {
            let (character, kind) = (character.escape_debug(), self.kind);
            self.find(part, format!("a value brings `{character}` here, which is a pattern of `{kind}`"));
        }
    }

    /// Returns whether this names the files or folders that a generator looks for.
    fn is_file_pattern(&self) -> bool {
        self.path.last() == Some(&Step::Key("path"))
            && self.path.iter().any(|step| matches!(step, Step::Key("files" | "directories")))
    }

    fn find(&mut self, part: Part, message: String) {
        let hint = "write it in the template, braces of Argo CD as `\\{{`, and keep it out of the value";
        self.findings.push(Finding::new(&owned(&self.path), message).on(part).hint(hint));
    }
}

/// Returns what Argo CD executes in a text: each piece from `{{` to `}}`, and what is left open.
fn actions(text: &str) -> Vec<&str> {
    let mut actions = Vec::new();
    let mut rest = text;
    loop {
        let Some(at) = [rest.find("{{"), rest.find("}}")].into_iter().flatten().min() else { return actions };
        let end = rest[at + 2..].find("}}").map_or(rest.len(), |end| at + 2 + end + 2);
        actions.push(&rest[at..end]);
        rest = &rest[end..];
    }
}

/// Returns the first character of a pattern that only one of two texts of the same length has.
fn brought(text: &str, neutral: &str) -> Option<char> {
    let pairs = text.chars().zip(neutral.chars());
    pairs
        .filter(|(real, neutral)| real != neutral)
        .map(|(real, _)| real)
        .find(|character| PATTERN_CHARACTERS.contains(character) || character.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_executed_is_found_in_any_text() {
        assert_eq!(actions("a {{ .b }} c {{.d}}"), ["{{ .b }}", "{{.d}}"]);
        assert_eq!(actions("a {{ .b"), ["{{ .b"]);
        assert_eq!(actions("a } b { c"), [""; 0]);
        assert_eq!(actions("a }} b"), ["}} b"]);
    }
}
