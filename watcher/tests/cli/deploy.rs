//! `deploy`: a revision is followed until a group runs it, and people are told on GitHub, in Slack and in the summary.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};
use testkit::github::{self, GitHub};
use testkit::real::wait_until;
use testkit::slack::{self, Slack};

use crate::repo::{Told, bare, fleetwright};
use crate::rollout::Hub;
use crate::verify::{LOKI, vector};

/// The hub, and the pages on which its deployments are reported.
pub struct Office {
    pub hub: Hub,
    pub github: GitHub,
    pub slack: Slack,
}

impl Office {
    /// Everything is Healthy, and Argo CD compares with the tip what it is asked to; the tip moves an address of control.
    pub fn new() -> Self {
        let hub = Hub::current();
        hub.repo.edit("environments/control.yaml", "telemetry: 192.168.64.104", "telemetry: 192.168.64.109");
        assert_eq!(hub.repo.run(&["render"]).code, 0);
        hub.repo.commit("Move <!here> Loki");
        hub.compares_with(&hub.tip());
        let github = GitHub::start(&hub.repo.top).unwrap();
        Self { hub, github, slack: Slack::start().unwrap() }
    }

    /// Runs the command as a workflow does.
    fn deploy(&self, group: &str, more: &[&str]) -> Told {
        self.deploy_in("#deployments", group, more)
    }

    /// Does the same with another channel.
    fn deploy_in(&self, channel: &str, group: &str, more: &[&str]) -> Told {
        let arguments = ["deploy", "--group", group, "--revision", "HEAD"];
        let mut command = self.hub.repo.command(&[&arguments[..], more].concat());
        self.surround(&mut command).env("FLEETWRIGHT_SLACK_CHANNEL", channel);
        let mut told = self.hub.repo.told(command.env("KUBECONFIG", self.hub.kubeconfig()).output().unwrap());
        for text in [&mut told.out, &mut told.err] {
            *text = self.plain(text);
        }
        told
    }

    /// Gives a command what a workflow gives it.
    fn surround<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("GITHUB_TOKEN", github::ACTIONS_TOKEN)
            .env("GITHUB_API_URL", self.github.url())
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GITHUB_REPOSITORY", "acme/fleet")
            .env("GITHUB_RUN_ID", "7")
            .env("GITHUB_ACTOR", "mia")
            .env("GITHUB_STEP_SUMMARY", self.summary())
            .env("FLEETWRIGHT_SLACK_API", self.slack.api())
            .env("FLEETWRIGHT_SLACK_TOKEN", slack::TOKEN)
    }

    fn summary(&self) -> PathBuf {
        self.hub.kubeconfig().with_file_name("summary.md")
    }

    fn plain(&self, text: &str) -> String {
        let tip = self.hub.tip();
        text.replace(&tip, "<tip>").replace(&tip[..7], "<tip>").replace(&self.hub.server.url(), "http://hub")
    }

    /// Returns how each deployment stood, the oldest first.
    pub fn deployments(&self) -> String {
        let state = self.github.state();
        let lines = state.deployments.iter().flat_map(|made| {
            made.statuses.iter().map(|status| {
                format!("{} {}: {} ({})", made.environment, status.state, status.description, status.log_url)
            })
        });
        self.plain(&lines.collect::<Vec<_>>().join("\n"))
    }

    pub fn seen(&self) -> String {
        self.plain(&self.slack.seen())
    }
}

/// Every story holds its requests and replies to GitHub's own description, where that is here.
impl Drop for Office {
    fn drop(&mut self) {
        self.github.assert_described();
    }
}

fn degraded(it: &mut Value) {
    it["status"]["health"]["status"] = json!("Degraded");
    let health = json!({ "status": "Degraded", "message": "<!channel> exceeded its progress deadline" });
    it["status"]["resources"] =
        json!([{ "kind": "StatefulSet", "namespace": "logging", "name": "loki", "health": health }]);
}

fn progressing(it: &mut Value) {
    it["status"]["health"]["status"] = json!("Progressing");
}

#[test]
fn what_runs_is_reported_with_who_changed_what() {
    let office = Office::new();
    let told = office.deploy("app", &["--environment-url", "https://argocd.example.com"]);
    assert_eq!(told.code, 0, "{told}");
    assert_snapshot!(told.out, @"
    control: 1 of 1 Application done on 1 cluster
    app: 16 of 16 Applications done on 1 cluster

    12 checks: 4 passed, 8 not asked

    CLUSTER  CHECK                           VERDICT    LOOKED AT                                                                             FOUND
    app      nodes                           not asked  the nodes that are described are there and ready                                      no context of the kubeconfig is called `app`
    app      addresses                       not asked  each address that is described or asked for is assigned to its Service                no context of the kubeconfig is called `app`
    app      cert-manager/issued             not asked  each Certificate is issued                                                            no context of the kubeconfig is called `app`
    app      cert-manager/remaining          not asked  how long each Certificate is still valid                                              no context of the kubeconfig is called `app`
    app      external-secrets/stores         not asked  each ClusterSecretStore reaches its secret store                                      no context of the kubeconfig is called `app`
    app      external-secrets/secrets        not asked  each ExternalSecret is synced                                                         no context of the kubeconfig is called `app`
    app      fluent-bit/lines                passed     how many lines with the cluster's label its hub got in a quarter of an hour           4711
    app      istiod/peers                    passed     the control plane of the hub has read the cluster's Services                          1
    app      opentelemetry-collector/traces  passed     traces of the cluster on its hub within the hour, where the collectors took spans in  1
    app      prometheus-agent/samples        passed     how old the newest sample with the cluster's label is on its hub                      15s
    app      velero/scheduled                not asked  how long ago a backup was begun by a schedule, or the newest schedule was made        no context of the kubeconfig is called `app`
    app      velero/backups                  not asked  how old the newest complete backup is                                                 no context of the kubeconfig is called `app`
    ");
    assert_snapshot!(office.deployments(), @"
    app in_progress: waiting for app at <tip> (https://github.com/acme/fleet/actions/runs/7)
    app success: 17 Applications are synced and healthy at <tip> (https://github.com/acme/fleet/actions/runs/7)
    ");
    assert_eq!(
        office.github.state().deployments[0].statuses[1].environment_url,
        "https://argocd.example.com"
    );
    assert_snapshot!(office.seen(), @"
    # deployments (1 edits): app: deployed
      [“app: deployed”]
      “Change: Move <!here> Loki” | “Author: Ann” | “Revision: <tip>” | “Started by: mia” | “Result: 17 Applications are synced and healthy at <tip>”
      “3 files on app: fluent-bit, opentelemetry-collector, prometheus-agent
    ”
      <https://github.com/acme/fleet/actions/runs/7|the run> · <https://github.com/acme/fleet/commit/<tip>|the commit>

    ↳ deployments: app: deployed
      [“app: deployed”]
      “17 Applications are synced and healthy at <tip>
    ”
    ");
    assert_snapshot!(office.plain(&fs::read_to_string(office.summary()).unwrap()), @"
    ### `app`: deployed

    `17 Applications are synced and healthy at <tip>`

    [`<tip>`](https://github.com/acme/fleet/commit/<tip>): `Move <!here> Loki` by `Ann`

    - `3 files on app: fluent-bit, opentelemetry-collector, prometheus-agent`

    | group | state | Applications |
    |---|---|---|
    | `control` | done | 1 of 1 Application done on 1 cluster |
    | `app` | done | 16 of 16 Applications done on 1 cluster |

    12 checks: 4 passed, 8 not asked

    | cluster | check | verdict | looked at | found |
    |---|---|---|---|---|
    | `app` | `nodes` | not asked | `the nodes that are described are there and ready` | `` no context of the kubeconfig is called `app` `` |
    | `app` | `addresses` | not asked | `each address that is described or asked for is assigned to its Service` | `` no context of the kubeconfig is called `app` `` |
    | `app` | `cert-manager/issued` | not asked | `each Certificate is issued` | `` no context of the kubeconfig is called `app` `` |
    | `app` | `cert-manager/remaining` | not asked | `how long each Certificate is still valid` | `` no context of the kubeconfig is called `app` `` |
    | `app` | `external-secrets/stores` | not asked | `each ClusterSecretStore reaches its secret store` | `` no context of the kubeconfig is called `app` `` |
    | `app` | `external-secrets/secrets` | not asked | `each ExternalSecret is synced` | `` no context of the kubeconfig is called `app` `` |
    | `app` | `fluent-bit/lines` | passed | `how many lines with the cluster's label its hub got in a quarter of an hour` | `4711` |
    | `app` | `istiod/peers` | passed | `the control plane of the hub has read the cluster's Services` | `1` |
    | `app` | `opentelemetry-collector/traces` | passed | `traces of the cluster on its hub within the hour, where the collectors took spans in` | `1` |
    | `app` | `prometheus-agent/samples` | passed | `how old the newest sample with the cluster's label is on its hub` | `15s` |
    | `app` | `velero/scheduled` | not asked | `how long ago a backup was begun by a schedule, or the newest schedule was made` | `` no context of the kubeconfig is called `app` `` |
    | `app` | `velero/backups` | not asked | `how old the newest complete backup is` | `` no context of the kubeconfig is called `app` `` |
    ");
    office.deploy("app", &[]);
    assert_eq!(office.github.state().deployments.len(), 1, "the same revision is the same deployment");
}

#[test]
fn each_cluster_that_is_changed_has_its_channel_if_it_is_named_by_it() {
    let office = Office::new();
    let channels = ["on-app", "on-control"].map(|name| (name.to_uppercase(), (name.to_owned(), true)));
    office.slack.state().channels = channels.into();
    assert_eq!(office.deploy_in("#on-{cluster}", "app", &[]).code, 0);
    let state = office.slack.state();
    let posted: Vec<_> = state.messages.iter().map(|message| message.channel.as_str()).collect();
    assert_eq!(posted, ["ON-APP", "ON-APP"], "the message and the result in its thread");
}

#[test]
fn a_group_that_fails_is_named_with_the_reason_and_nothing_in_it_is_a_mention() {
    let office = Office::new();
    office.hub.change("control-loki", degraded);
    let told = office.deploy("control", &[]);
    assert_eq!(told.code, 7, "{told}");
    assert_snapshot!(told.err.lines().rev().take(3).collect::<Vec<_>>().join("\n"), @"
      hint: the reasons are above; correct them in git, or take the change back with `fleetwright rollback`
    error: 1 Application is not synced and healthy at <tip>
    control-velero: done
    ");
    assert_snapshot!(office.deployments(), @"
    control in_progress: waiting for control at <tip> (https://github.com/acme/fleet/actions/runs/7)
    control failure: 1 Application is not synced and healthy at <tip> (https://github.com/acme/fleet/actions/runs/7)
    ");
    assert_snapshot!(office.seen(), @"
    # deployments (1 edits): control: not deployed
      [“control: not deployed”]
      “Change: Move <!here> Loki” | “Author: Ann” | “Revision: <tip>” | “Started by: mia” | “Result: 1 Application is not synced and healthy at <tip>”
      “4 files on control: fluent-bit, metallb, telemetry-gateway
    ”
      <https://github.com/acme/fleet/actions/runs/7|the run> · <https://github.com/acme/fleet/commit/<tip>|the commit>

    ↳ deployments: control: not deployed
      [“control: not deployed”]
      “1 Application is not synced and healthy at <tip>
    control-loki: failed: it is Degraded: StatefulSet logging/loki: <!channel> exceeded its progress deadline
    ”
    ");
}

#[test]
fn the_apps_wait_for_control_and_do_not_go_before_it() {
    let office = Office::new();
    office.hub.change("control-loki", degraded);
    let told = office.deploy("app", &["--format", "json"]);
    assert_eq!(told.code, 7, "{told}");
    let json = told.json();
    assert_eq!([&json["outcome"], &json["blockedBy"], &json["group"]], ["blocked", "control", "app"]);
    assert_snapshot!(office.deployments(), @"
    app in_progress: waiting for app at <tip> (https://github.com/acme/fleet/actions/runs/7)
    app failure: control comes first: 1 Application is not synced and healthy at <tip> (https://github.com/acme/fleet/actions/runs/7)
    ");
}

#[test]
fn what_is_not_healthy_in_time_is_a_failure_and_says_how_long_was_waited() {
    let office = Office::new();
    office.hub.change("app-keda", progressing);
    let told = office.deploy("app", &["--timeout", "3s"]);
    assert_eq!(told.code, 7, "{told}");
    assert_snapshot!(office.deployments(), @"
    app in_progress: waiting for app at <tip> (https://github.com/acme/fleet/actions/runs/7)
    app failure: 1 Application is not synced and healthy in time (https://github.com/acme/fleet/actions/runs/7)
    ");
}

#[test]
fn rendered_files_that_are_edited_by_hand_are_not_deployed() {
    let office = Office::new();
    let file = "argocd-apps/app/keda/values.yaml";
    office.hub.repo.write(file, office.hub.repo.read(file) + "# by hand\n");
    office.hub.repo.commit("Edit by hand");
    let told = office.deploy("app", &[]);
    assert_eq!(told.code, 3, "{told}");
    assert_snapshot!(told, @"
    argocd-apps/app/keda/values.yaml
    ! error: 1 rendered file is not what the inputs render to at <tip>
    !   hint: merge the pull request that the next run opens, or commit what `fleetwright render` writes
    => 3
    ");
    assert_snapshot!(office.deployments(), @"
    app in_progress: waiting for app at <tip> (https://github.com/acme/fleet/actions/runs/7)
    app failure: 1 rendered file is not what the inputs render to at <tip> (https://github.com/acme/fleet/actions/runs/7)
    ");
}

#[test]
fn reports_that_do_not_arrive_change_nothing_but_the_log() {
    let office = Office::new();
    office.slack.state().is_down = true;
    office.github.state().tokens.clear();
    let told = office.deploy("control", &[]);
    assert_eq!(told.code, 0, "{told}");
    assert!(told.err.contains("nothing was posted to Slack"), "{told}");
    assert!(told.err.contains("the deployment is not recorded"), "{told}");
    office.slack.state().is_down = false;
    office.slack.state().channels.clear();
    let told = office.deploy("control", &[]);
    assert!(told.err.contains("Slack answers `channel_not_found`"), "{told}");
    assert_eq!(told.code, 0, "{told}");
}

/// Returns what the last step of the workflow of deployments runs.
fn step() -> String {
    let workflow = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows/deploy.yml");
    let workflow: Value = serde_yaml::from_str(&fs::read_to_string(workflow).unwrap()).unwrap();
    let steps = workflow["jobs"]["deploy"]["steps"].as_array().unwrap();
    steps.last().unwrap()["run"].as_str().unwrap().to_owned()
}

#[test]
fn a_workflow_that_is_cancelled_reports_that_it_ended_early() {
    let office = Office::new();
    office.hub.change("app-keda", progressing);
    let hub = office.hub.kubeconfig();
    let script = hub.with_file_name("script.sh");
    fs::write(&script, step()).unwrap();
    let mut command = Command::new("bash");
    bare(command.arg("-e").arg(script).current_dir(&office.hub.repo.top));
    let programs = Path::new(fleetwright()).parent().unwrap().display();
    office
        .surround(&mut command)
        .env("PATH", format!("{programs}:{}", env::var("PATH").unwrap()))
        .env("FLEETWRIGHT_SLACK_CHANNEL", "#deployments")
        .env("RUNNER_TEMP", hub.with_file_name(""))
        .env("HUB_KUBECONFIG", fs::read_to_string(&hub).unwrap())
        .envs([("GROUP", "app"), ("REVISION", "HEAD"), ("TIMEOUT", "30s")]);
    let mut child = command.spawn().unwrap();
    wait_until(Duration::from_mins(1), "the deployment began", || {
        Ok(!office.slack.state().messages.is_empty())
    })
    .unwrap();
    // As a runner does: the shell alone gets it.
    let sent = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert!(!child.wait().unwrap().success());
    assert_snapshot!(office.deployments(), @"
    app in_progress: waiting for app at <tip> (https://github.com/acme/fleet/actions/runs/7)
    app error: stopped before it was complete (https://github.com/acme/fleet/actions/runs/7)
    ");
    assert!(office.seen().contains("[“app: ended early”]"), "{}", office.seen());
}

#[test]
fn outside_of_a_workflow_nothing_is_reported() {
    let hub = Hub::current();
    let mut command = hub.repo.command(&["deploy", "--group", "control", "--timeout", "1s"]);
    let output = command.env("KUBECONFIG", hub.kubeconfig()).output().unwrap();
    let told = hub.repo.told(output);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told}");
}

#[test]
fn what_is_healthy_and_does_not_hold_is_no_success() {
    let office = Office::new();
    office.hub.server.service(LOKI, |_| (200, vector("0")));
    let told = office.deploy("app", &["--timeout", "3s"]);
    assert_eq!(told.code, 7, "{told}");
    let (_, error) = told.err.split_at(told.err.find("error: ").unwrap());
    assert_snapshot!(error, @"
    error: 1 check does not hold at <tip>
      hint: what was found is above; `fleetwright verify` asks again, and the change can be taken back with `fleetwright rollback`
    ");
    assert_snapshot!(office.deployments(), @"
    app in_progress: waiting for app at <tip> (https://github.com/acme/fleet/actions/runs/7)
    app failure: 1 check does not hold at <tip> (https://github.com/acme/fleet/actions/runs/7)
    ");
    assert!(office.seen().contains("fluent-bit/lines: failed: 0, and not at least 1"), "{}", office.seen());
    let summary = fs::read_to_string(office.summary()).unwrap();
    assert!(summary.contains("| `app` | `fluent-bit/lines` | failed |"), "{summary}");
}
