//! Finding a setting in a file by its path, written as a plan writes it.
//!
//! A plan names objects by kind and name and items by what identifies them; a person may write an index instead, and
//! may leave out the quotes of a key wherever the file itself tells what is meant.

use thiserror::Error;

use super::compare::read::read;
use crate::key_path::{Step, text_of, word};
use crate::manifests::ObjectName;
use crate::problem::did_you_mean;
use crate::tree::identified;
use crate::yaml::Value;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The document, from 0.
    pub document: usize,
    /// The path in the document.
    pub path: Vec<Step>,
}

/// A path that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no `{rest}` {}", below(found))]
pub struct Missing {
    /// How far the path leads.
    pub found: String,
    /// What is not there.
    pub rest: String,
    /// The path that may have been meant.
    pub near: Option<String>,
}

fn below(found: &str) -> String {
    if found.is_empty() { "at the top of the file".to_owned() } else { format!("below `{found}`") }
}

/// Finds what `path` names in each document of a file; a path without an object may be in several.
pub fn locate(bytes: &[u8], path: &str) -> Result<Vec<Located>, Missing> {
    let documents = std::str::from_utf8(bytes).ok().and_then(read).unwrap_or_default();
    let (mut found, mut ends) = (Vec::new(), Vec::new());
    for (document, value) in documents.iter().enumerate() {
        let in_document = path.strip_prefix(&format!("[{document}]")).filter(|_| value.as_list().is_none());
        let in_object = ObjectName::of(value).and_then(|name| path.strip_prefix(&name.to_string()));
        let path = in_object.or(in_document).unwrap_or(path).trim_start();
        match descend(value, path, Vec::new()) {
            Ok(path) => found.push(Located { document, path }),
            Err(end) => ends.push(end),
        }
    }
    let nowhere = DeadEnd { at: Vec::new(), rest: path, names: Vec::new() };
    if found.is_empty() { Err(deepest(ends).unwrap_or(nowhere).missing()) } else { Ok(found) }
}

/// Where the longest part of a path ends, what is left of the path, and the names that are there.
struct DeadEnd<'p> {
    at: Vec<Step>,
    rest: &'p str,
    names: Vec<String>,
}

fn descend<'p>(value: &Value, rest: &'p str, at: Vec<Step>) -> Result<Vec<Step>, DeadEnd<'p>> {
    if rest.is_empty() {
        return Ok(at);
    }
    let mut ends = Vec::new();
    for (step, child, rest) in children(value, rest) {
        // The longest key that fits is the one that is meant.
        match descend(child, rest, [at.as_slice(), &[step]].concat()) {
            Ok(path) => return Ok(path),
            Err(end) => ends.push(end),
        }
    }
    Err(deepest(ends).unwrap_or_else(|| DeadEnd { at, rest, names: names(value) }))
}

/// Returns the first of those that are deepest.
fn deepest(ends: Vec<DeadEnd<'_>>) -> Option<DeadEnd<'_>> {
    ends.into_iter().rev().max_by_key(|end| end.at.len())
}

impl DeadEnd<'_> {
    fn missing(self) -> Missing {
        let rest = self.rest.trim_start_matches('.');
        let wrong = rest.split(['.', '[']).next().unwrap_or_default().trim_matches('"');
        let near = did_you_mean(wrong, self.names.iter().map(String::as_str))
            .map(|name| text_of(&[self.at.as_slice(), &[Step::Key(name.to_owned())]].concat()));
        Missing { found: text_of(&self.at), rest: rest.to_owned(), near }
    }
}

/// Returns the parts of `value` that the beginning of `rest` may name, with what is left, the longest name first.
fn children<'v, 'p>(value: &'v Value, rest: &'p str) -> Vec<(Step, &'v Value, &'p str)> {
    match value {
        Value::Map(map) => {
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            let mut fitting: Vec<_> = map
                .iter()
                .filter_map(|(key, child)| Some((Step::Key(key.to_owned()), child, after_key(rest, key)?)))
                .collect();
            fitting.sort_by_key(|(_, _, rest)| rest.len());
            fitting
        }
        Value::List(_) => item(value, rest).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn after_key<'p>(rest: &'p str, key: &str) -> Option<&'p str> {
    let after = rest.strip_prefix(&word(key)).or_else(|| rest.strip_prefix(key))?;
    (after.is_empty() || after.starts_with(['.', '['])).then_some(after)
}

fn item<'v, 'p>(list: &'v Value, rest: &'p str) -> Option<(Step, &'v Value, &'p str)> {
    let rest = rest.strip_prefix('[')?;
    if let Some((field, id)) = rest.split_once('=')
        && !field.is_empty()
        && field.chars().all(char::is_alphanumeric)
    {
        return identified(list, field).find_map(|(step, item, name)| {
            let after = id.strip_prefix(&word(&name)).or_else(|| id.strip_prefix(&name))?;
            Some((step.owned(), item, after.strip_prefix(']')?))
        });
    }
    let (index, after) = rest.split_once(']')?;
    let step = Step::Index(index.parse().ok()?);
    Some((step.clone(), list.at(&[step])?, after))
}

fn names(value: &Value) -> Vec<String> {
    value.as_map().into_iter().flat_map(|map| map.iter().map(|(key, _)| key.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
kind: ApplicationSet
apiVersion: argoproj.io/v1alpha1
metadata:
  name: app
  namespace: argocd
  labels: {app.kubernetes.io/part-of: fleet, app: x}
spec:
  elements:
    - {name: metallb, version: 0.16.1}
    - {name: "a.b", version: 1.0.0}
  args: [one, two]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: x}
"#;

    fn found(path: &str) -> String {
        let place = |place: Located| format!("{}: {}", place.document, text_of(&place.path));
        match locate(FILE.as_bytes(), path) {
            Ok(places) => places.into_iter().map(place).collect::<Vec<_>>().join("\n"),
            Err(missing) => format!("{missing}; near: {}", missing.near.as_deref().unwrap_or("-")),
        }
    }

    #[test]
    fn an_item_is_found_by_index_and_by_identity() {
        for path in ["spec.elements[0].version", "spec.elements[name=metallb].version"] {
            assert_eq!(found(path), "0: spec.elements[0].version");
        }
        for path in [r#"spec.elements[name="a.b"].version"#, "spec.elements[name=a.b].version"] {
            assert_eq!(found(path), "0: spec.elements[1].version");
        }
        assert_eq!(found("spec.args[1]"), "0: spec.args[1]");
    }

    #[test]
    fn a_key_is_found_with_and_without_its_quotes() {
        let path = r#"0: metadata.labels."app.kubernetes.io/part-of""#;
        assert_eq!(found(r#"metadata.labels."app.kubernetes.io/part-of""#), path);
        assert_eq!(found("metadata.labels.app.kubernetes.io/part-of"), path);
        assert_eq!(found("metadata.labels.app"), "0: metadata.labels.app");
    }

    #[test]
    fn a_document_is_named_by_its_object_or_its_number() {
        assert_eq!(found("metadata.name"), "0: metadata.name\n1: metadata.name");
        assert_eq!(found("ApplicationSet argocd/app metadata.name"), "0: metadata.name");
        assert_eq!(found("ConfigMap x metadata.name"), "1: metadata.name");
        assert_eq!(found("[1].metadata.name"), "1: metadata.name");
        assert_eq!(found("ConfigMap x"), "1: ");
    }

    #[test]
    fn a_path_that_leads_nowhere_says_how_far_it_leads_and_what_is_near() {
        assert_eq!(
            found("spec.elements[0].versoin"),
            "there is no `versoin` below `spec.elements[0]`; near: spec.elements[0].version"
        );
        assert_eq!(found("spec.elements[7]"), "there is no `[7]` below `spec.elements`; near: -");
        assert_eq!(
            found("spec.elements[name=loki]"),
            "there is no `[name=loki]` below `spec.elements`; near: -"
        );
        assert_eq!(found("spce.args"), "there is no `spce.args` at the top of the file; near: spec");
        assert_eq!(found("spec.args[1].x"), "there is no `x` below `spec.args[1]`; near: -");
    }
}
