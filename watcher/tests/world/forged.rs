//! What others write under our names proves nothing: forged checks, statuses and comments.

use fleetwright::run::Settings;
use testkit::github::{self, CheckRun, Status};
use testkit::hostile::checks;

use crate::office::{APP_TOKEN, Office, POOL};
use crate::platform::{World, settings};
use crate::review::is_merged;

/// The tokens that the product works with: that of an App and that of a person.
const TOKENS: [&str; 2] = [APP_TOKEN, github::TOKEN];

fn office(token: &'static str) -> Office {
    Office::with(World::new(), token, Settings { merge_reviewed: true, ..settings() })
}

/// Returns all that was said of commits.
fn said(office: &Office) -> (Vec<CheckRun>, Vec<Status>) {
    let state = office.github.state();
    (state.check_runs.clone(), state.statuses.clone())
}

#[test]
fn a_review_that_another_account_wrote_gives_no_label_and_no_merge() {
    for token in TOKENS {
        // What is found about the same change in another repository, which anyone may have.
        let twin = office(token);
        twin.propose("pool", POOL);
        twin.run();
        let (runs, statuses) = said(&twin);

        let office = office(token);
        let number = office.propose("pool", POOL);
        let head = office.github.pull(number).unwrap().head_sha;
        {
            let mut state = office.github.state();
            state.check_runs.extend(runs.iter().map(|run| checks::check_run(run, &head, "mallory-ci")));
            state.statuses.extend(statuses.iter().map(|status| checks::status(status, &head, "mallory")));
        }
        assert!(!runs.is_empty() || !statuses.is_empty());
        office.github.merge(number).unwrap();
        office.settle();
        assert_eq!(office.labels(number + 1), "app");
        assert!(!is_merged(&office, number + 1));
    }
}

#[test]
fn a_verdict_of_another_account_does_not_stand_for_ours() {
    for token in TOKENS {
        let office = office(token);
        let number = office.propose("pool", POOL);
        office.run();
        let (runs, statuses) = said(&office);
        {
            let mut state = office.github.state();
            let head = state.pulls[0].head_sha.clone();
            (state.check_runs, state.statuses) = (Vec::new(), Vec::new());
            state.check_runs.extend(runs.iter().map(|run| checks::check_run(run, &head, "mallory-ci")));
            state.statuses.extend(statuses.iter().map(|status| checks::status(status, &head, "mallory")));
        }
        office.restart();
        office.run();
        let state = office.github.state();
        let ours = state.check_runs.iter().filter(|run| run.app == "fleetwright").count();
        let ours = ours + state.statuses.iter().filter(|status| status.author == "fleetwright").count();
        assert!(ours > 0, "nothing of ours is said of pull request #{number}");
    }
}

#[test]
fn a_comment_with_our_mark_is_ours_only_if_we_wrote_it() {
    for token in TOKENS {
        // The owner, a member and a bot of another App may all write, and may all have copied the mark.
        for author in [github::OWNER, "mia", "dependabot[bot]"] {
            let office = office(token);
            let number = office.propose("pool", POOL);
            let forged = checks::comment(number, "review", author);
            office.github.state().comments.push(forged.clone());
            office.run();
            office.restart();
            office.run();
            let comments = office.comments(number);
            assert_eq!(comments.len(), 2, "{author}: {comments:?}");
            assert_eq!(comments[0], forged.body, "what {author} wrote stays");
            assert!(comments[1].starts_with("### What this pull request changes"), "{}", comments[1]);
        }
    }
}
