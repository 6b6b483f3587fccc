//! Pages and the tables between their markers. Knows nothing of what stands in a table.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{repository, shipped, tables};

const BEGIN: &str = "<!-- fleetwright: ";
const END: &str = "<!-- end -->";

/// A page of the documentation.
pub struct Page {
    /// The path from the top of the repository.
    pub name: String,
    pub text: String,
}

/// Returns the pages of the book and those at the top of the repository, in the order of their names.
pub fn all() -> Vec<Page> {
    let mut names = vec!["ARCHITECTURE.md".to_owned(), "README.md".to_owned()];
    collect(&repository().join("docs"), "docs", &mut names);
    names.sort();
    let page = |name: String| Page { text: fs::read_to_string(repository().join(&name)).unwrap(), name };
    names.into_iter().map(page).collect()
}

fn collect(folder: &Path, name: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let below = format!("{name}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &below, names);
        } else if Path::new(&below).extension().is_some_and(|ending| ending == "md") {
            names.push(below);
        }
    }
}

/// Fills the places between markers; an error names the line of a marker that is not in order.
pub fn filled(text: &str, table: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut kept: Vec<String> = Vec::new();
    let mut open: Option<usize> = None;
    for (line, number) in text.lines().zip(1..) {
        match (name_of(line), open) {
            (Some(_), Some(begun)) => return Err(format!("{number}: the table of line {begun} has no end")),
            (Some(name), None) => {
                let rows = table(name).ok_or_else(|| format!("{number}: there is no table `{name}`"))?;
                kept.push(line.to_owned());
                kept.extend(rows.lines().map(str::to_owned));
                open = Some(number);
            }
            (None, None) if line == END => return Err(format!("{number}: no table ends here")),
            (None, Some(_)) if line != END => {}
            (None, _) => {
                kept.push(line.to_owned());
                open = None;
            }
        }
    }
    match open {
        Some(begun) => Err(format!("{begun}: the table has no end")),
        None => Ok(kept.join("\n") + "\n"),
    }
}

/// Returns the name of the table that begins with a line, if one does.
fn name_of(line: &str) -> Option<&str> {
    line.strip_prefix(BEGIN)?.strip_suffix(" -->")
}

/// Returns a page without its tables.
pub fn prose(page: &Page) -> Vec<(usize, &str)> {
    let mut is_table = false;
    let mut prose = Vec::new();
    for (number, line) in page.text.lines().enumerate() {
        is_table |= line.starts_with(BEGIN);
        if !is_table {
            prose.push((number + 1, line));
        }
        is_table &= line != END;
    }
    prose
}

#[test]
fn every_table_says_what_is_rendered() {
    let rendered = shipped();
    let is_updated = std::env::var_os("UPDATE").is_some();
    let mut stale = Vec::new();
    for page in all() {
        match filled(&page.text, |name| tables::table(&rendered, name)) {
            Err(fault) => stale.push(format!("{}:{fault}", page.name)),
            Ok(text) if text == page.text => {}
            Ok(text) if is_updated => fs::write(repository().join(&page.name), text).unwrap(),
            Ok(text) => stale.push(format!("{}:{}", page.name, first_difference(&page.text, &text))),
        }
    }
    let hint = "UPDATE=1 cargo test -p fleetwright --test book";
    assert!(
        stale.is_empty(),
        "not what is rendered; write the tables anew by `{hint}`:\n{}",
        stale.join("\n")
    );
}

fn first_difference(old: &str, new: &str) -> String {
    let mut lines = old.lines().zip(new.lines()).zip(1..);
    let differing = lines.find(|((old, new), _)| old != new);
    differing.map_or_else(
        || "the end is not the same".to_owned(),
        |((old, new), number)| format!("{number}: has `{old}`, should have `{new}`"),
    )
}

#[test]
fn what_stands_between_markers_is_replaced_and_nothing_else() {
    let one = |name: &str| (name == "one").then(|| "new\n".to_owned());
    let page = "a\n<!-- fleetwright: one -->\nold\nolder\n<!-- end -->\nb\n";
    assert_eq!(filled(page, one).unwrap(), "a\n<!-- fleetwright: one -->\nnew\n<!-- end -->\nb\n");
    assert_eq!(filled("a\nb\n", one).unwrap(), "a\nb\n");
}

#[test]
fn a_marker_that_is_not_in_order_is_told_with_its_line() {
    let one = |name: &str| (name == "one").then(|| "new\n".to_owned());
    for (page, fault) in [
        ("<!-- fleetwright: two -->\n<!-- end -->\n", "1: there is no table `two`"),
        ("a\n<!-- fleetwright: one -->\n", "2: the table has no end"),
        ("a\n<!-- end -->\n", "2: no table ends here"),
        (
            "<!-- fleetwright: one -->\n<!-- fleetwright: one -->\n<!-- end -->\n",
            "2: the table of line 1 has no end",
        ),
    ] {
        assert_eq!(filled(page, one).unwrap_err(), fault);
    }
}

#[test]
fn every_page_is_in_the_book_and_every_page_of_the_book_is_there() {
    let summary = fs::read_to_string(repository().join("docs/SUMMARY.md")).unwrap();
    let of_link = |rest: &str| format!("docs/{}", rest.split(')').next().unwrap());
    let listed: BTreeSet<String> = summary.split("](").skip(1).map(of_link).collect();
    let pages = all().into_iter().map(|page| page.name);
    let there: BTreeSet<String> =
        pages.filter(|name| name.starts_with("docs/") && name != "docs/SUMMARY.md").collect();
    let difference: Vec<_> = listed.symmetric_difference(&there).collect();
    assert!(difference.is_empty(), "docs/SUMMARY.md lists what is not there, or leaves out: {difference:?}");
}
