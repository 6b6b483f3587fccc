//! Whether documents can be written as the file that they are for.

use crate::key_path::Step;
use crate::problem::{Place, Position, Problem};
use crate::provenance::{FileDocuments, written_at};
use crate::templates::Form;
use crate::yaml::Value;

/// Returns what of documents does not fit the form of a file.
pub(super) fn misfits(file: FileDocuments<'_>, form: Form, documents: &[Value]) -> Vec<Problem> {
    let problem = |document, path: &[Step], message: &str, hint: &str| {
        let line = written_at(file, document, path).templates.into_iter().next();
        let start = || Place {
            file: file.template.template.unwrap_or(&file.template.writes).clone(),
            position: Position::START,
        };
        Problem::at(line.map_or_else(start, |line| line.place), message).hint(hint)
    };
    match form {
        Form::Yaml => Vec::new(),
        Form::Json if matches!(documents, [Value::Map(_)]) => Vec::new(),
        Form::Json => vec![problem(0, &[], "a JSON file is one map", "write `key: value` lines")],
        Form::Text => {
            let hint = "write `- \"line\"` for each line; a number is quoted";
            let is_misfit = |line: Option<&str>| line.is_none_or(|line| line.contains(['\n', '\r']));
            let misfits = lines(documents).filter(|(.., line)| is_misfit(*line));
            misfits
                .map(|(document, path, _)| {
                    problem(document, &path, "a text file is a list of its lines", hint)
                })
                .collect()
        }
    }
}

/// Returns each line of documents that are lists of lines, with its place; nothing for one that is no text.
fn lines(documents: &[Value]) -> impl Iterator<Item = (usize, Vec<Step>, Option<&str>)> {
    documents.iter().enumerate().flat_map(|(document, value)| {
        let items = value.as_list().unwrap_or_default().iter().enumerate();
        let items = items.map(move |(at, item)| (document, vec![Step::Index(at)], item.as_str()));
        let whole = value.as_list().is_none().then_some((document, Vec::new(), None));
        items.chain(whole)
    })
}
