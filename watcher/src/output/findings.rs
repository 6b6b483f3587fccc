//! Problems for other programs: SARIF 2.1.0 for code scanning, and workflow commands for GitHub Actions.
//!
//! Knows nothing of what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use bytes::Bytes;
use renderer::problem::{Excerpt, Place, Problem};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::percent::encoded_path;

/// The description of each check, for people.
const REFERENCE: &str = include_str!("../../../docs/reference/checks.md");
/// Where its page is.
const HOME: &str = "https://github.com/fleetwright/fleetwright";
/// Which problem it is, wherever it stands in its file.
const FINGERPRINT: &str = "fleetwrightProblem/v1";
const FINGERPRINT_BYTES: usize = 16;

/// The description of a check in the reference.
struct Described<'a> {
    text: &'a str,
    /// The heading that it stands under, as a part of an address.
    section: String,
}

/// Writes problems as a SARIF log with one result for each place.
pub(crate) fn sarif(problems: &[Problem]) -> Value {
    let names: BTreeSet<&str> = problems.iter().map(|problem| &*problem.check).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let reference = reference();
    let rules: Vec<Value> = names.iter().map(|name| rule(name, reference.get(name))).collect();
    let mut seen = BTreeMap::new();
    let mut results = Vec::new();
    for problem in problems {
        let index = names.iter().position(|name| *name == problem.check);
        for (place, message) in problem.at_each_place() {
            results.push(result(problem, (place, &message), index, &mut seen));
        }
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "fleetwright",
                "informationUri": HOME,
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// Writes problems as workflow commands, one per line and one for each place.
pub(crate) fn workflow_commands(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        for (place, message) in problem.at_each_place() {
            let Place { file, position } = place;
            let _ = writeln!(
                text,
                "::error file={},line={},col={},title={}::{}",
                property(file.as_str()),
                position.line,
                position.column,
                property(&format!("fleetwright {}", problem.check)),
                data(&message)
            );
        }
    }
    text
}

/// Escapes the message of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn rule(name: &str, described: Option<&Described<'_>>) -> Value {
    let mut rule = json!({ "id": name, "defaultConfiguration": { "level": "error" } });
    if let Some(Described { text, section }) = described {
        rule["shortDescription"] = json!({ "text": format!("{name}: {}", plain(text)) });
        rule["help"] = json!({ "text": plain(text), "markdown": text });
        rule["helpUri"] = format!("{HOME}/blob/main/docs/reference/checks.md#{section}").into();
    }
    rule
}

fn result(
    problem: &Problem,
    (place, message): (&Place, &str),
    index: Option<usize>,
    seen: &mut BTreeMap<String, usize>,
) -> Value {
    let mut region = json!({ "startLine": place.position.line, "startColumn": place.position.column });
    let excerpt = problem.excerpt.as_ref().filter(|_| *place == problem.place);
    if let Some(Excerpt { text, .. }) = excerpt {
        region["snippet"] = json!({ "text": text });
    }
    let mut result = json!({
        "ruleId": problem.check,
        "level": "error",
        "message": { "text": message },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": encoded_path(place.file.as_str()), "uriBaseId": "%SRCROOT%" },
            "region": region,
        } }],
        "partialFingerprints": { FINGERPRINT: fingerprint(problem, place, seen) },
    });
    if let Some(index) = index {
        result["ruleIndex"] = index.into();
    }
    if !problem.clusters.is_empty() {
        result["properties"] = json!({ "clusters": problem.clusters });
    }
    result
}

/// Returns a name for a problem that stays when lines above it come or go; problems of a file that read alike differ.
fn fingerprint(problem: &Problem, place: &Place, seen: &mut BTreeMap<String, usize>) -> String {
    let message = without_numbers(&problem.message);
    let text = format!("{}\0{}\0{message}", problem.check, place.file);
    let time = seen.entry(text.clone()).or_default();
    *time += 1;
    let digest = Sha256::digest(format!("{text}\0{time}"));
    format!("{:x}", Bytes::copy_from_slice(&digest[..FINGERPRINT_BYTES]))
}

/// Leaves the numbers of lines out: `first on line 7`.
fn without_numbers(message: &str) -> String {
    let mut parts = message.split("line ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "line " + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Reads the descriptions of the checks from the tables of the reference.
fn reference() -> BTreeMap<&'static str, Described<'static>> {
    let (mut checks, mut section) = (BTreeMap::new(), "");
    for line in REFERENCE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading;
        } else if let Some((name, text)) = line.strip_prefix("| `").and_then(|row| row.split_once("` | ")) {
            let text = text.trim_end_matches([' ', '|']);
            checks.insert(name, Described { text, section: section.to_lowercase().replace(' ', "-") });
        }
    }
    checks
}

/// Returns Markdown with the words of links in their place.
fn plain(markdown: &str) -> String {
    let mut parts = markdown.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let bracket = text.rfind('[').unwrap_or(text.len());
        text.replace_range(bracket..(bracket + 1).min(text.len()), "");
        text.push_str(part.split_once(')').map_or(part, |(_, after)| after));
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use renderer::path::{ClusterName, RepoPath};
    use renderer::problem::{Fault, Position};
    use renderer::render::check_names;
    use testkit::hostile::text::HIDDEN;

    use super::*;

    fn problem(file: &str, line: u32, message: &str) -> Problem {
        let path = RepoPath::parse(file).unwrap();
        Fault::new(Position::new(line, 3), message).in_file(&path).found_by("schema")
    }

    fn fingerprints(problems: &[Problem]) -> Vec<String> {
        let log = sarif(problems);
        let results = log["runs"][0]["results"].as_array().unwrap();
        results
            .iter()
            .map(|result| result["partialFingerprints"][FINGERPRINT].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn each_check_has_a_description_and_a_section_that_is_there() {
        let reference = reference();
        for name in check_names() {
            let described = &reference[name];
            assert!(!plain(described.text).contains("]("), "{name}: {}", described.text);
        }
    }

    #[test]
    fn a_problem_is_a_result_with_its_rule_place_and_line() {
        let excerpt = Some(Excerpt { text: "  x: 1".to_owned(), column: 3 });
        let found = Problem {
            excerpt,
            ..problem("environments/a b/ü#1.yaml", 7, "unknown key `x`").hint("drop it")
        };
        let results = &sarif(&[found])["runs"][0]["results"];
        assert_snapshot!(serde_json::to_string_pretty(results).unwrap(), @r##"
        [
          {
            "level": "error",
            "locations": [
              {
                "physicalLocation": {
                  "artifactLocation": {
                    "uri": "environments/a%20b/%C3%BC%231.yaml",
                    "uriBaseId": "%SRCROOT%"
                  },
                  "region": {
                    "snippet": {
                      "text": "  x: 1"
                    },
                    "startColumn": 3,
                    "startLine": 7
                  }
                }
              }
            ],
            "message": {
              "text": "unknown key `x`\nhint: drop it"
            },
            "partialFingerprints": {
              "fleetwrightProblem/v1": "43790fcd3b01a403cb97c1cb3089558e"
            },
            "ruleId": "schema",
            "ruleIndex": 0
          }
        ]
        "##);
        let rule = &sarif(&[problem("a.yaml", 1, "x")])["runs"][0]["tool"]["driver"]["rules"][0];
        assert_eq!(rule["id"], "schema");
        assert_eq!(
            rule["helpUri"],
            "https://github.com/fleetwright/fleetwright/blob/main/docs/reference/checks.md#reading"
        );
    }

    #[test]
    fn a_problem_at_several_places_is_a_result_at_each() {
        let clusters = ["a", "b"].map(|name| ClusterName::parse(name).unwrap()).to_vec();
        let also = vec![problem("environments/b.yaml", 9, "").place];
        let found = Problem { clusters, also, ..problem("environments/a.yaml", 2, "`1` is wrong") };
        let log = sarif(std::slice::from_ref(&found));
        let results = log["runs"][0]["results"].as_array().unwrap();
        assert_eq!(
            results[1]["message"]["text"],
            "the same as at `environments/a.yaml:2:3`: `1` is wrong (on 2 clusters)"
        );
        assert_eq!(
            results[1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            "environments/b.yaml"
        );
        assert_eq!(workflow_commands(&[found]).lines().count(), 2);
    }

    #[test]
    fn a_fingerprint_stays_when_lines_move_and_differs_for_each_problem() {
        let at = |line, message: &str| problem("a.yaml", line, message);
        let before = fingerprints(&[at(2, "key `a` again, first on line 1"), at(5, "x"), at(6, "x")]);
        let after = fingerprints(&[at(12, "key `a` again, first on line 11"), at(15, "x"), at(16, "x")]);
        assert_eq!(before, after);
        assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 3);
        assert_ne!(before[1], fingerprints(&[problem("b.yaml", 5, "x")])[0]);
    }

    #[test]
    fn a_workflow_command_takes_any_text_and_stays_one_line() {
        let found = problem("environments/a,b:c%.yaml", 2, "100 %\n::error::x").hint("a\r::stop-commands::x");
        assert_snapshot!(workflow_commands(&[found]), @r"::error file=environments/a%2Cb%3Ac%25.yaml,line=2,col=3,title=fleetwright schema::100 %25\n::error::x%0Ahint: a\r::stop-commands::x");
        let hostile = problem("a.yaml", 1, HIDDEN).hint(HIDDEN);
        assert_eq!(workflow_commands(&[hostile]).lines().count(), 1);
    }

    #[test]
    fn no_problem_is_a_log_without_results() {
        assert_eq!(sarif(&[])["runs"][0]["results"], json!([]));
        assert_eq!(workflow_commands(&[]), "");
    }
}
