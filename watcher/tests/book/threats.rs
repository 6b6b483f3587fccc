//! The tables of threats in `SECURITY.md`: what is claimed there is shown by tests that exist.

use std::fs;

use crate::repository;

#[test]
fn every_threat_names_tests_that_there_are() {
    let page = fs::read_to_string(repository().join("SECURITY.md")).unwrap();
    let section = page.split("## Threats").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(rows.len() > 20, "the tables of threats are gone");
    for row in rows.iter().filter(|row| !row.starts_with("| who can write what")) {
        let tests = row.rsplit(" | ").next().unwrap();
        let mut links = tests.split("[`").skip(1).peekable();
        assert!(links.peek().is_some(), "no test is named: {row}");
        for link in links {
            let (name, rest) = link.split_once("`](").unwrap();
            let file = rest.split(')').next().unwrap();
            let source = fs::read_to_string(repository().join(file)).unwrap_or_default();
            assert!(source.contains(&format!("fn {name}()")), "`{file}` has no test `{name}`");
        }
    }
}
