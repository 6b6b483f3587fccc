//! The workflows themselves, run by `act` on this machine: with the shipped workflow files, the real program, and GitHub,
//! Slack and the hub's API server of the test kit.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use testkit::github;
use testkit::real;
use testkit::slack;

use crate::deploy::{Office, degraded, progressing};
use crate::repo::{bare, fleetwright};

const CACHE: &str = "Swatinem/rust-cache@6323deb102c322ba6fcbdcafc7e3dddab59af2b6";
/// An action that does nothing, in place of one that is of no use here.
const STAND_IN: &str =
    "name: Stand-in\ndescription: Nothing\nruns: {using: composite, steps: [{run: 'true', shell: bash}]}\n";

/// A push to main.
const PUSH: (&str, &str) = ("push", "20m");

/// Runs a workflow because of an event with this timeout as its input, and returns whether it succeeded, with its log.
fn run(office: &Office, workflow: &str, (event, timeout): (&str, &str)) -> (bool, String) {
    let (repo, beside) = (&office.hub.repo, office.hub.kubeconfig().with_file_name("act"));
    let (program, action, home) = (beside.join("bin"), beside.join("action"), beside.join("home"));
    for folder in [&program, &action, &home] {
        fs::create_dir_all(folder).unwrap();
    }
    symlink(fleetwright(), program.join("fleetwright")).unwrap();
    fs::write(action.join("action.yml"), STAND_IN).unwrap();
    let payload = json!({ "ref": "refs/heads/main", "repository": { "default_branch": "main" }, "inputs": { "timeout": timeout } });
    fs::write(beside.join("event.json"), payload.to_string()).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new(real::act().unwrap());
    let output = bare(command.current_dir(&repo.top))
        .env("PATH", format!("{}:{path}", program.display()))
        .env("HOME", &home)
        .arg(event)
        .args(["--platform", "ubuntu-24.04=-self-hosted"])
        .args(["--workflows", &format!(".github/workflows/{workflow}.yml")])
        .arg("--eventpath")
        .arg(beside.join("event.json"))
        .args(["--local-repository", &format!("{CACHE}={}", action.display())])
        .args(["--secret", &format!("HUB_KUBECONFIG={}", office.hub.server.kubeconfig())])
        .args(["--secret", &format!("SLACK_TOKEN={}", slack::TOKEN)])
        .args(["--secret", &format!("GITHUB_TOKEN={}", github::ACTIONS_TOKEN)])
        .args(["--var", "SLACK_CHANNEL=#deployments"])
        .args(["--env", &format!("GITHUB_API_URL={}", office.github.url())])
        .args(["--env", &format!("FLEETWRIGHT_SLACK_API={}", office.slack.api())])
        .output()
        .unwrap();
    let log = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(!log.contains(slack::TOKEN) && !log.contains(github::ACTIONS_TOKEN), "a secret is in {log}");
    (output.status.success(), log)
}

/// The shipped fleet with the shipped workflows, at a repository that looks like one of GitHub's.
fn office() -> Office {
    let office = Office::new();
    let repo = &office.hub.repo;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github");
    for file in [
        "workflows/deploy.yml",
        "workflows/deploy-control.yml",
        "workflows/deploy-app.yml",
        "actions/fleetwright/action.yml",
    ] {
        repo.write(&format!(".github/{file}"), fs::read(source.join(file)).unwrap());
    }
    repo.commit("Add the workflows");
    repo.git(&["remote", "add", "origin", "https://github.com/acme/fleet.git"]);
    office.hub.compares_with(&office.hub.tip());
    office
}

#[test]
#[ignore = "needs `act`: `.ci/run real` builds it and runs this"]
fn both_workflows_end_in_success_once_everything_is_healthy() {
    let office = office();
    for workflow in ["deploy-control", "deploy-app"] {
        let (is_success, log) = run(&office, workflow, PUSH);
        assert!(is_success, "{log}");
        fs::remove_dir_all(office.hub.kubeconfig().with_file_name("act")).unwrap();
    }
    let deployments = office.deployments();
    assert!(
        deployments.contains("control success: ") && deployments.contains("app success: "),
        "{deployments}"
    );
    assert!(office.seen().contains("[“control: deployed”]"), "{}", office.seen());
    assert!(office.seen().contains("[“app: deployed”]"), "{}", office.seen());
}

#[test]
#[ignore = "needs `act`: `.ci/run real` builds it and runs this"]
fn a_sync_that_fails_fails_the_workflow_and_the_deployment() {
    let office = office();
    office.hub.change("control-loki", degraded);
    let (is_success, log) = run(&office, "deploy-control", PUSH);
    assert!(!is_success && log.contains("exceeded its progress deadline"), "{log}");
    assert!(office.deployments().contains("control failure: "), "{}", office.deployments());
    assert!(office.seen().contains("[“control: not deployed”]"), "{}", office.seen());
}

#[test]
#[ignore = "needs `act`: `.ci/run real` builds it and runs this"]
fn control_that_is_not_ready_fails_the_workflow_of_the_apps() {
    let office = office();
    office.hub.change("control-loki", degraded);
    let (is_success, log) = run(&office, "deploy-app", PUSH);
    assert!(!is_success && log.contains("control comes first"), "{log}");
    assert!(office.deployments().contains("app failure: control comes first"), "{}", office.deployments());
}

#[test]
#[ignore = "needs `act`: `.ci/run real` builds it and runs this"]
fn what_takes_longer_than_the_workflow_waits_fails_it() {
    let office = office();
    office.hub.change("app-keda", progressing);
    let (is_success, log) = run(&office, "deploy-app", ("workflow_dispatch", "5s"));
    assert!(!is_success && log.contains("not synced and healthy in time"), "{log}");
    assert!(office.deployments().contains("app failure: "), "{}", office.deployments());
}
