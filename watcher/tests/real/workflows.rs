//! The shipped workflows, run by `act`: what becomes of a merge on two real clusters, as it is seen on GitHub and in Slack.

use std::fs;
use std::path::Path;

use serde_json::json;
use testkit::github::GitHub;
use testkit::real::{Actions, Ended, Event};
use testkit::slack::Slack;

use crate::case::case;
use crate::chaos::{CRASH, TEMPLATE, limit_pods};
use crate::repo::{copy, fleetwright};
use crate::world::World;

const PART: &str = "Workflows";
const APP: &str = "environments/app.yaml";

/// The small platform with the shipped workflows, and the pages on which they report.
struct Office {
    world: World,
    github: GitHub,
    slack: Slack,
}

impl Office {
    fn start() -> Self {
        let world = World::small();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github"), &world.repo.path(".github"));
        world.repo.commit("Add the workflows");
        let github = GitHub::start(&world.repo.path(".git")).unwrap();
        Self { world, github, slack: Slack::start().unwrap() }
    }

    /// Runs the workflow of a group because of a push, or by hand with a timeout.
    fn deploy(&self, group: &str, timeout: Option<&str>) -> Ended {
        let actions = Actions {
            repository: &self.world.repo.top,
            program: Path::new(fleetwright()),
            kubeconfig: fs::read_to_string(self.world.rig.kubeconfig()).unwrap(),
            github: &self.github,
            slack: &self.slack,
            server: None,
        };
        let event = Event {
            workflow: &format!("deploy-{group}"),
            job: group,
            name: if timeout.is_some() { "workflow_dispatch" } else { "push" },
            payload: json!({
                "ref": "refs/heads/main",
                "repository": {"default_branch": "main"},
                "inputs": {"timeout": timeout},
            }),
        };
        actions.run(&event).unwrap()
    }

    /// Returns how the newest deployment stands.
    fn deployment(&self) -> String {
        let state = self.github.state();
        let newest = state.deployments.last().unwrap();
        let status = newest.statuses.last().unwrap();
        format!("{} {}: {}", newest.environment, status.state, status.description)
    }

    /// Shows that a workflow failed, and that each place where it reports has this title, this description or this reason.
    fn assert_failed(&self, ended: &Ended, title: &str, description: &str, reason: &str) {
        assert!(!ended.is_success, "{ended:?}");
        let (group, _) = title.split_once(':').unwrap();
        let deployment = self.deployment();
        assert!(deployment.starts_with(&format!("{group} failure: {description}")), "{deployment}");
        let state = self.slack.state();
        let (result, message) = (state.messages.last().unwrap(), &state.messages[state.messages.len() - 2]);
        assert_eq!(result.thread.as_ref(), Some(&message.ts), "{:?}", state.messages);
        assert_eq!((message.text.as_str(), message.edits), (title, 1));
        for (place, text) in [("log", &ended.log), ("page", &ended.summary), ("thread", &result.shown)] {
            assert!(text.contains(reason), "{place}: {text}");
        }
    }
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn a_workflow_follows_a_merge_to_its_end_and_reports_each_way_in_which_it_ends() {
    let office = Office::start();
    both_end_in_success(&office);
    a_check_that_does_not_hold_fails_what_is_healthy(&office);
    pods_that_crash_are_a_timeout(&office);
    what_is_refused_fails_and_the_apps_do_not_go_before_it(&office);
}

fn both_end_in_success(office: &Office) {
    case(PART, "`deploy-control` and `deploy-app` follow a merge on both clusters to their success", || {
        office.world.move_prometheus();
        for group in ["control", "app"] {
            let ended = office.deploy(group, None);
            assert!(ended.is_success, "{ended:?}");
            assert!(ended.summary.starts_with(&format!("### `{group}`: deployed\n")), "{ended:?}");
            let deployment = office.deployment();
            assert!(deployment.starts_with(&format!("{group} success: ")), "{deployment}");
            let seen = office.slack.seen();
            assert!(seen.contains(&format!("# deployments (1 edits): {group}: deployed")), "{seen}");
        }
    });
}

fn a_check_that_does_not_hold_fails_what_is_healthy(office: &Office) {
    case(PART, "a described node is not there: `deploy-app` fails with what `verify` found", || {
        office.world.repo.edit(APP, "count: 6", "count: 7");
        office.world.repo.commit("Describe a worker");
        let ended = office.deploy("app", Some("10s"));
        office.assert_failed(
            &ended,
            "app: deployed, but not verified",
            "1 check does not hold",
            "9 of 10 nodes ready",
        );
        office.world.repo.edit(APP, "count: 7", "count: 6");
        office.world.repo.commit("Describe it no more");
    });
}

fn pods_that_crash_are_a_timeout(office: &Office) {
    let repo = &office.world.repo;
    let template = repo.read(TEMPLATE);
    case(PART, "pods crash: `deploy-control` ends with its timeout", || {
        repo.write(TEMPLATE, template.clone() + CRASH);
        repo.commit("Let pods crash");
        office.world.merge("fleetwright/control");
        let ended = office.deploy("control", Some("30s"));
        let reason = "kube-prometheus-stack";
        office.assert_failed(
            &ended,
            "control: not deployed",
            "1 Application is not synced and healthy in time",
            reason,
        );
    });
    repo.write(TEMPLATE, template);
}

fn what_is_refused_fails_and_the_apps_do_not_go_before_it(office: &Office) {
    let repo = &office.world.repo;
    let reason = "LimitRange";
    case(PART, "the API server refuses an object: `deploy-control` fails with the reason", || {
        limit_pods(repo);
        repo.commit("Limit pods");
        office.world.merge("fleetwright/control");
        let ended = office.deploy("control", None);
        office.assert_failed(
            &ended,
            "control: not deployed",
            "1 Application is not synced and healthy at ",
            reason,
        );
    });
    case(PART, "control is not ready: `deploy-app` fails and names it", || {
        office.world.merge("fleetwright/app");
        let ended = office.deploy("app", None);
        office.assert_failed(&ended, "app: not deployed", "control comes first: 1 Application", reason);
    });
}
