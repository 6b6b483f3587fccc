//! The wall around rendering: what a repository holds can end a worker, and never the service.
//!
//! Limits are low here, so that little is needed to reach them.

use std::fmt::Write as _;
use std::time::Duration;

use fleetwright::error::CommandError;
use fleetwright::events::Cancel;
use fleetwright::run::{WorkerDeath, WorkerSettings};
use testkit::program::write_script;

use crate::office::{APP_TOKEN, Office, POOL};
use crate::platform::{APP, BASE, World, settings};

/// Enough for the small platform on both sides of a review, and not for [`bulk`].
const MEMORY_BYTES: u64 = 96 << 20;

fn office(limit: impl FnOnce(&mut WorkerSettings)) -> Office {
    let mut settings = settings();
    limit(&mut settings.worker);
    Office::with(World::new(), APP_TOKEN, settings)
}

fn little_memory(worker: &mut WorkerSettings) {
    worker.base.memory_bytes = MEMORY_BYTES;
    worker.review.memory_bytes = MEMORY_BYTES;
}

/// Files that each are small enough to be read, and together take more than the memory.
fn bulk() -> Vec<(String, String)> {
    let line = "# nothing\n".repeat(900_000);
    (0..12).map(|number| (format!("environments/{number}.txt"), format!("{number}\n{line}"))).collect()
}

/// Proposes a change to files; one without content is deleted.
fn propose(office: &Office, branch: &str, files: &[(String, String)], is_deletion: bool) -> u64 {
    office.world.git(&["branch", branch, BASE]);
    commit(office, branch, files, is_deletion);
    office.github.open(branch).unwrap()
}

fn commit(office: &Office, branch: &str, files: &[(String, String)], is_deletion: bool) {
    let content = |text| if is_deletion { None } else { Some(text) };
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), content(text.as_str()))).collect();
    office.world.commit(branch, "Change much at once", &files);
}

fn deaths(office: &Office) -> String {
    let mut text = String::new();
    for (purpose, death) in office.pipeline.borrow_mut().take_worker_deaths() {
        writeln!(text, "{}: {}", purpose.label(), death.label()).unwrap();
    }
    text
}

#[test]
fn a_pull_request_that_takes_too_much_memory_gets_that_as_its_verdict_and_the_next_one_is_reviewed() {
    let office = office(little_memory);
    let large = propose(&office, "large", &bulk(), false);
    let next = office.propose("pool", POOL);
    office.run();
    insta::assert_snapshot!(office.checks(large), @"fleetwright/review failure: It could not be rendered within 96 MiB of memory [0]");
    insta::assert_snapshot!(office.comments(large).join("\n"), @"
    ### This pull request could not be rendered

    The rendering was ended: it needs more than 96 MiB of memory. It is not tried again until something is pushed.

    The way out: loop over shorter lists, repeat less by YAML aliases, or describe fewer clusters in one change; `fleetwright render` shows on a clone what it comes to.

    <!-- fleetwright:review -->
    ");
    assert!(office.checks(next).starts_with("fleetwright/review success"), "{}", office.checks(next));
    assert_eq!(deaths(&office), "review: memory\n");
    // It is known, and not tried again as long as nothing is pushed.
    office.run();
    assert_eq!(deaths(&office), "");
    // A new process finds the same, and reports nothing new.
    let seen = office.seen(large);
    office.restart();
    office.run();
    assert_eq!(office.seen(large), seen);
    assert_eq!(deaths(&office), "review: memory\n");
}

#[test]
fn a_pull_request_that_nests_deeper_than_the_stack_gets_that_as_its_verdict() {
    let office = office(|worker| worker.review.stack_bytes = 48 << 10);
    let number = office.propose("pool", POOL);
    office.run();
    insta::assert_snapshot!(office.checks(number), @"fleetwright/review failure: It could not be rendered [0]");
    assert!(office.comments(number).join("").contains("nested too deeply"), "{:?}", office.comments(number));
    assert!(deaths(&office).lines().all(|death| death == "review: depth"));
}

#[test]
fn a_pull_request_that_takes_too_long_gets_that_as_its_verdict_until_another_process_looks() {
    let mut office = office(|worker| worker.review.time = Duration::ZERO);
    let number = office.propose("pool", POOL);
    office.run();
    insta::assert_snapshot!(office.checks(number), @"fleetwright/review failure: It could not be rendered within 0 seconds [0]");
    assert_eq!(deaths(&office), "review: time\n");
    office.settings = settings();
    office.restart();
    office.run();
    assert!(office.checks(number).contains("fleetwright/review success"), "{}", office.checks(number));
}

#[test]
fn a_base_that_cannot_be_rendered_is_tried_once_and_pull_requests_are_reviewed_all_the_same() {
    let mut office = office(|worker| worker.base.time = Duration::ZERO);
    let number = office.propose("pool", POOL);
    let branches = office.world.branches();
    for _ in 0..2 {
        let error = office.try_run().unwrap_err();
        assert!(!error.is_transient());
        let CommandError::Worker { revision, death: WorkerDeath::Time { .. } } = error else {
            panic!("{error:?}")
        };
        assert_eq!(revision, office.world.tip(BASE));
    }
    assert_eq!(deaths(&office), "base: time\n");
    assert!(office.checks(number).starts_with("fleetwright/review success"), "{}", office.checks(number));
    assert_eq!(office.world.branches(), branches);
    // What people push is tried.
    office.world.edit(APP, "192.168.64.120-192.168.64.140", "192.168.64.120-192.168.64.138");
    assert!(office.try_run().is_err());
    assert_eq!(deaths(&office), "base: time\n");
    office.settings = settings();
    office.restart();
    office.run();
    assert_ne!(office.world.branches(), branches);
}

#[test]
fn a_pull_request_that_makes_a_base_renderable_again_is_reported_as_rendering() {
    let office = office(little_memory);
    commit(&office, BASE, &bulk(), false);
    let number = propose(&office, "smaller", &bulk(), true);
    assert!(matches!(office.try_run(), Err(CommandError::Worker { .. })));
    insta::assert_snapshot!(office.checks(number), @"fleetwright/review success: It renders [0]");
    assert_eq!(deaths(&office), "base: memory\nreview: memory\n");
}

#[test]
fn a_stop_ends_a_rendering_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (program, begun) = (folder.path().join("program"), folder.path().join("begun"));
    let office = office(|worker| {
        // The first worker never answers.
        let (begun, worker_program) = (begun.display(), worker.program.display());
        let script = format!(
            "#!/bin/sh\n[ -e '{begun}' ] && exec '{worker_program}' \"$@\"\ntouch '{begun}'\nexec sleep 1000\n"
        );
        write_script(&program, &script);
        worker.program.clone_from(&program);
    });
    let cancel = Cancel::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !begun.exists() {
                std::thread::yield_now();
            }
            cancel.request();
        });
        let stopped = office.pipeline.borrow_mut().run(&cancel, &());
        assert!(matches!(stopped, Err(CommandError::Stopped(_))), "{stopped:?}");
    });
    assert_eq!(deaths(&office), "");
    office.run();
}
