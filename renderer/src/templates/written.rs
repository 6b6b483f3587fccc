//! Rendered files as they are written: their form, and the header that says where they come from.

use crate::path::RepoPath;
use crate::yaml::{self, Map, Value};

/// How the content of a file is written, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// YAML, one document or more.
    Yaml,
    /// One document as JSON.
    Json,
    /// Any other text: a list of its lines.
    Text,
}

impl Form {
    /// Returns the form of a file of that name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name.rsplit_once('.').map(|(_, end)| end) {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            _ => Self::Text,
        }
    }
}

/// What the header of every rendered file begins with.
const HEADER: &str = "Rendered by Fleetwright from ";
/// What stands before the header: a comment, or in JSON a key that programs leave out of account.
const COMMENTS: [&str; 2] = ["# ", "  \"//\": \""];
/// On which of the first lines the header stands at the latest.
const HEADER_LINES: usize = 3;

/// Returns whether a file says of itself that it was rendered. Before the header may stand git's mark of a conflict,
/// a line such as `#cloud-config`, or the brace that JSON begins with.
#[must_use]
pub fn has_header(file: &[u8]) -> bool {
    let is_header = |line: &[u8]| {
        let text = COMMENTS.iter().find_map(|comment| line.strip_prefix(comment.as_bytes()));
        text.is_some_and(|text| text.starts_with(HEADER.as_bytes()))
    };
    file.splitn(HEADER_LINES + 1, |byte| *byte == b'\n').take(HEADER_LINES).any(is_header)
}

/// Writes documents as one file of a form, with a header that names the template. `first` stands before the header.
#[must_use]
pub fn write_file(form: Form, template: &RepoPath, first: Option<&str>, documents: &[Value]) -> String {
    let header = format!("{HEADER}{template}; edit that file, not this one.");
    if form == Form::Json {
        return json(&header, documents);
    }
    let mut text = first.map(|first| format!("{first}\n")).unwrap_or_default();
    text.extend([COMMENTS[0], &header, "\n"]);
    for (index, document) in documents.iter().enumerate() {
        if form == Form::Text {
            let lines = document.as_list().unwrap_or_default().iter().filter_map(Value::as_str);
            lines.for_each(|line| text.extend([line, "\n"]));
            continue;
        }
        if index > 0 {
            text.push_str("---\n");
        }
        yaml::write_to(&mut text, document);
    }
    text
}

/// Writes a map with the header as the first of its keys; anything else has no place for one.
fn json(header: &str, documents: &[Value]) -> String {
    let mut entries = vec![("//".to_owned(), Value::String(header.to_owned()))];
    let own = documents.first().and_then(Value::as_map).into_iter().flat_map(Map::iter);
    entries.extend(own.map(|(key, value)| (key.to_owned(), value.clone())));
    let map = Value::Map(entries.into_iter().collect());
    serde_json::to_string_pretty(&map).expect("a value is JSON") + "\n"
}
