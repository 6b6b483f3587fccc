//! Every input that is kept is survived.

use fleetwright_fuzz::mutate::{Random, mutated};
use fleetwright_fuzz::{TARGETS, Target};

/// How many new inputs each test tries: a few, always the same.
const INPUTS: usize = 100;
/// What the names of inputs begin with that take their whole budget: they are replayed, and nothing is made
/// from them here.
const BOMB: &str = "bomb-";

fn replay(name: &str) {
    let target = fleetwright_fuzz::target(name).expect("the target is listed");
    let corpus = target.corpus();
    assert!(!corpus.is_empty(), "`{name}` has no corpus");
    for (file, input) in &corpus {
        println!("{file}");
        (target.run)(input);
    }
    let others = corpus.iter().filter(|(file, _)| !file.starts_with(BOMB));
    vary(target, &others.map(|(_, input)| input.as_slice()).collect::<Vec<_>>());
}

fn vary(target: Target, corpus: &[&[u8]]) {
    let mut random = Random(7);
    for _ in 0..INPUTS {
        (target.run)(&mutated(corpus, target.words, &mut random));
    }
}

#[test]
fn packages_and_indexes_of_charts_are_survived() {
    replay("archive");
}

#[test]
fn what_another_git_sends_is_survived() {
    replay("git");
}

#[test]
fn deliveries_are_survived() {
    replay("webhook");
}

#[test]
fn whole_fleets_are_survived() {
    replay("fleet");
}

#[test]
fn schemas_are_survived() {
    replay("schema");
}

#[test]
fn templates_are_survived() {
    replay("templates");
}

#[test]
fn yaml_is_survived() {
    replay("yaml");
}

#[test]
fn every_target_is_replayed() {
    let replayed = ["archive", "fleet", "git", "schema", "templates", "webhook", "yaml"];
    assert_eq!(TARGETS.map(|target| target.name), replayed);
}
