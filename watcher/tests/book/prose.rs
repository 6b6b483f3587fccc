//! What prose says beside the tables: addresses and versions that are those of the fleet, and clusters that
//! it could have.

use std::collections::BTreeSet;
use std::net::IpAddr;

use fleetwright::working_tree::read_working_tree;
use renderer::path::RepoPath;
use renderer::render::{Rendered, Renderer};
use renderer::snapshot::{Source, SourceId};

use crate::pages::{self, Page};
use crate::{repository, shipped, tables};

/// The reference shows formats by fleets of its own, a decision says what was so when it was made, and results name what
/// they were got with.
const OF_OTHER_FLEETS: [&str; 3] = ["docs/reference/", "docs/design/", "docs/testing/"];

/// Returns the addresses and versions in a page's prose that are not the fleet's, each with its line.
fn strange(page: &Page, known: &BTreeSet<String>, rendered: &Rendered) -> Vec<String> {
    let mut strange = Vec::new();
    let mut of_examples = BTreeSet::new();
    for example in examples(page) {
        collect(&example, &mut of_examples);
    }
    for (number, line) in pages::prose(page) {
        // A command that moves an address has to name one that is free.
        let moves = line.starts_with("sed -i");
        for word in numbers(line).filter(|word| !is_everywhere(word) && !of_examples.contains(*word)) {
            let is_known = known.contains(word) || moves && is_in_a_pool(rendered, word);
            if !is_known {
                strange.push(format!("{}:{number}: the fleet has no `{word}`", page.name));
            }
        }
    }
    strange
}

/// Returns the words of a line that are three or more numbers with dots between them.
fn numbers(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    words.map(|word| word.trim_matches('.')).filter(|word| {
        let parts: Vec<&str> = word.trim_start_matches('v').split('.').collect();
        parts.len() >= 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
    })
}

/// Returns whether a word is the address that stands for all addresses of a machine.
fn is_everywhere(word: &str) -> bool {
    word.parse().is_ok_and(|address: IpAddr| address.is_unspecified())
}

/// Returns the examples of a cluster's file: blocks of YAML that begin with its role.
fn examples(page: &Page) -> Vec<String> {
    let mut examples: Vec<String> = Vec::new();
    let mut indent = None;
    let mut last = "";
    for line in page.text.lines() {
        let text = line.trim_start();
        if last.trim_start() == "```yaml" && text.starts_with("role: ") {
            indent = Some(line.len() - text.len());
            examples.push(String::new());
        }
        if text == "```" {
            indent = None;
        }
        if let (Some(indent), Some(example)) = (indent, examples.last_mut()) {
            example.push_str(line.get(indent..).unwrap_or_default());
            example.push('\n');
        }
        last = line;
    }
    examples
}

fn is_in_a_pool(rendered: &Rendered, word: &str) -> bool {
    let Ok(address) = word.parse::<IpAddr>() else { return false };
    let pools =
        rendered.inventory.clusters.values().filter_map(|cluster| cluster.facts.load_balancer.as_ref());
    pools.into_iter().any(|balancer| balancer.pool.contains(address))
}

/// Returns every address and version of the inventory, of the charts and of what they are set to.
fn known(rendered: &Rendered) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for name in rendered.clusters.keys() {
        collect(&rendered.scope(name).facts().to_string(), &mut known);
    }
    known
}

fn collect(text: &str, known: &mut BTreeSet<String>) {
    known.extend(numbers(text).map(str::to_owned));
}

#[test]
fn prose_names_no_address_and_no_version_that_the_fleet_does_not_have() {
    let rendered = shipped();
    let known = known(&rendered);
    let pages = pages::all().into_iter();
    let pages = pages.filter(|page| !OF_OTHER_FLEETS.iter().any(|folder| page.name.starts_with(folder)));
    let strange: Vec<String> = pages.flat_map(|page| strange(&page, &known, &rendered)).collect();
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

#[test]
fn a_stale_address_or_version_in_prose_is_told_with_its_line() {
    let rendered = shipped();
    let (known, text) = (known(&rendered), "Loki is at 203.0.113.7.\n\nIts chart is v1.2.3, of 10 days.\n");
    let page = Page { name: "page.md".to_owned(), text: text.to_owned() };
    let told = ["page.md:1: the fleet has no `203.0.113.7`", "page.md:3: the fleet has no `v1.2.3`"];
    assert_eq!(strange(&page, &known, &rendered), told);
}

#[test]
fn prose_names_no_path_in_vault_that_nothing_reads() {
    let rendered = shipped();
    let table = tables::table(&rendered, "secrets").unwrap();
    let mut strange = Vec::new();
    for page in pages::all() {
        for (number, line) in pages::prose(&page) {
            let Some((_, rest)) = line.split_once("-mount=platform ") else { continue };
            let path = rest.split_whitespace().next().unwrap();
            // The example of a cluster that is added, and removed again.
            let is_example = path.contains("app-2");
            // What an add-on reads that is off, under its own name.
            let name = path.rsplit('/').next().unwrap();
            let is_example = is_example || rendered.catalog.addons.keys().any(|addon| addon.as_str() == name);
            if !is_example && !table.contains(&format!("`platform/{path}`")) {
                strange.push(format!("{}:{number}: nothing reads `{path}`", page.name));
            }
        }
    }
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

#[test]
fn a_cluster_that_prose_shows_as_an_example_could_be_added() {
    let mut count = 0;
    for page in pages::all().iter().filter(|page| page.name.starts_with("docs/platform/")) {
        for example in examples(page) {
            let (mut snapshot, _) = read_working_tree(&repository()).unwrap();
            let source = Source { id: SourceId([1; 20]), bytes: example.as_bytes().into() };
            snapshot.insert(RepoPath::parse("environments/app-2.yaml").unwrap(), source);
            let rendered = Renderer::new().render(&snapshot, &());
            assert!(rendered.is_ok(), "{}: {:?}", page.name, rendered.unwrap_err());
            count += 1;
        }
    }
    assert!(count > 0, "no page shows how a cluster is added");
}
