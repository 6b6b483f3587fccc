//! Rendered files: a header that names the template, and the documents.

use crate::path::RepoPath;
use crate::yaml::{self, Value};

/// How the first line of every rendered file begins.
const HEADER: &str = "# Rendered by Fleetwright from ";

/// Returns whether a file says of itself that it was rendered. After a merge with conflicts that may stand behind git's mark.
#[must_use]
pub fn has_header(file: &[u8]) -> bool {
    let mark =
        |file: &[u8]| file.starts_with(b"<<<<<<< ").then(|| file.iter().position(|byte| *byte == b'\n'));
    let start = mark(file).flatten().map_or(0, |line_break| line_break + 1);
    file[start..].starts_with(HEADER.as_bytes())
}

/// Writes documents as one file under a header that names its template.
#[must_use]
pub fn write_file(template: &RepoPath, documents: &[Value]) -> String {
    let mut text = format!("{HEADER}{template}; edit that file, not this one.\n");
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            text.push_str("---\n");
        }
        yaml::write_to(&mut text, document);
    }
    text
}
