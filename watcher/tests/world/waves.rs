//! Waves: a group is released once those before it are synced and healthy. Argo CD is an API server at the wire that
//! shows what a test puts there.

use std::process::Command;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use renderer::argo::desired;
use serde_json::{Value, json};
use testkit::cluster::{Server, Trouble};
use testkit::github;
use testkit::slack::{self, Slack};

use crate::applications::{APPLICATIONS, REFRESH, SETS, application, compared};
use crate::github_service::Hosted;
use crate::groups::{FLEET, waves};
use crate::office::PROMETHEUS;
use crate::platform::{BASE, CONTROL, World};

const CLUSTERS: [&str; 4] = ["control", "eu-1", "eu-2", "app"];
const CANARY: &str = "eu-1-prometheus-agent";

/// A hub and three spokes in three groups, on GitHub, and the Argo CD that runs them.
pub struct Fleet {
    pub hosted: Hosted,
    pub hub: Server,
}

impl Fleet {
    /// Everything is published, synced and healthy, but for one fact that was edited.
    fn edited() -> Self {
        let world = waves();
        world.edit(FLEET, "name: canary", "name: canary\n  soak: 1h");
        let fleet = Self::of(world);
        fleet.install(&fleet.hub, &CLUSTERS);
        let [file, old, new] = PROMETHEUS;
        fleet.hosted.world.edit(file, old, new);
        fleet
    }

    /// A hub that runs nothing yet.
    pub fn of(world: World) -> Self {
        let fleet = Self { hosted: Hosted::with(world), hub: Server::start().unwrap() };
        std::fs::write(fleet.hosted.place("kubeconfig"), fleet.hub.kubeconfig()).unwrap();
        fleet
    }

    /// Lets the Argo CD of a hub run what is for some clusters, synced and healthy.
    pub fn install(&self, hub: &Server, clusters: &[&str]) {
        for cluster in clusters {
            hub.put(SETS, json!({ "metadata": { "name": cluster, "namespace": "argocd" } }));
            for wanted in self.wanted(cluster) {
                hub.put(APPLICATIONS, application(&wanted, &self.tip()));
            }
        }
    }

    fn tip(&self) -> String {
        self.hosted.world.tip(BASE).to_string()
    }

    /// What the rendered files of a cluster ask for.
    fn wanted(&self, cluster: &str) -> Vec<renderer::argo::Desired> {
        let files =
            self.hosted.world.git(&["ls-tree", "--name-only", BASE, &format!("argocd-apps/{cluster}/")]);
        let files =
            files.lines().filter(|file| file.split('/').nth(2).is_some_and(|name| name.contains(".yaml")));
        let read = |file: &str| desired(&self.hosted.world.read(BASE, file)).unwrap().applications;
        files.flat_map(read).collect()
    }

    /// Lets Argo CD sync what is for some clusters at the tip.
    fn sync(&self, clusters: &[&str]) {
        self.sync_on(&self.hub, "control", clusters);
    }

    pub fn sync_on(&self, hub: &Server, name: &str, clusters: &[&str]) {
        let root = self.wanted(name).into_iter().filter(|wanted| wanted.set.is_none());
        let wanted = clusters.iter().flat_map(|cluster| self.wanted(cluster)).chain(root);
        wanted.for_each(|wanted| change(hub, &wanted.name, |it| *it = compared(it, &self.tip())));
    }

    fn change(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        change(&self.hub, name, edit);
    }

    fn health(&self, name: &str, status: &str, ago: Duration) {
        let since = jiff::Timestamp::try_from(SystemTime::now() - ago).unwrap().to_string();
        self.change(name, |it| {
            it["status"]["health"] = json!({ "status": status, "lastTransitionTime": since });
        });
    }

    pub fn command(&self) -> Command {
        let mut command = self.hosted.service();
        command.env("KUBECONFIG", self.hosted.place("kubeconfig"));
        command
    }

    /// Makes a run of a process of its own, and returns the state of each open pull request's order.
    pub fn run(&self) -> String {
        self.run_with(&[])
    }

    fn run_with(&self, more: &[&str]) -> String {
        let mirror = self.hosted.place("mirror");
        let output = self
            .command()
            .args(["run", "--once", "--context", "hub", "--mirror", &mirror])
            .args(more)
            .args(self.hosted.arguments())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.orders()
    }

    fn orders(&self) -> String {
        let open = self.hosted.github.pulls().unwrap().into_iter().filter(github::Pull::is_open);
        let state = self.hosted.github.state();
        let order = |pull: &github::Pull| {
            let of_pull = |status: &&github::Status| {
                status.sha == pull.head_sha && status.context == "fleetwright/order"
            };
            let newest = state.statuses.iter().rfind(of_pull)?;
            let description = newest.description.clone().unwrap_or_default();
            Some(format!("#{} {}: {}", pull.number, newest.state, description.trim_end()))
        };
        let orders: Vec<_> = open.filter_map(|pull| order(&pull)).collect();
        orders.join("\n").replace(&self.hub.url(), "http://hub")
    }

    pub fn merge(&self, number: u64) {
        self.hosted.github.merge(number).unwrap();
    }
}

/// Lets Argo CD show something else of an Application.
pub fn change(hub: &Server, name: &str, edit: impl FnOnce(&mut Value)) {
    let mut object = hub.get(APPLICATIONS, "argocd", name).unwrap();
    edit(&mut object);
    hub.put(APPLICATIONS, object);
}

#[test]
fn a_group_is_released_once_those_before_it_are_synced_and_healthy_for_long_enough() {
    let fleet = Fleet::edited();
    assert_snapshot!(fleet.run(), @"
    #1 success: nothing has to be merged first
    #2 pending: waits until #1 is merged
    #3 pending: waits until #1 is merged
    ");
    fleet.merge(1);
    assert_snapshot!(fleet.run(), @"
    #2 pending: waits until control is synced and healthy
    #3 pending: waits until #2 is merged
    ");
    fleet.sync(&["control"]);
    assert_snapshot!(fleet.run(), @"
    #2 success: what comes first is merged, synced and healthy
    #3 pending: waits until #2 is merged
    ");
    fleet.merge(2);
    assert_snapshot!(fleet.run(), @"#3 pending: waits until canary is synced and healthy");
    fleet.sync(&["eu-1"]);
    fleet.health(CANARY, "Degraded", Duration::from_secs(30));
    assert_snapshot!(fleet.run(), @"#3 pending: waits until canary is synced and healthy");
    fleet.health(CANARY, "Degraded", Duration::from_mins(6));
    assert_snapshot!(fleet.run(), @"#3 failure: stopped by canary: eu-1-prometheus-agent: it is Degraded");
    fleet.health(CANARY, "Healthy", Duration::from_mins(6));
    let soaking = fleet.run();
    let (_, until) = soaking.split_once("waits until ").unwrap();
    let until = until.split_once(": canary").unwrap().0.parse::<jiff::Timestamp>().unwrap();
    assert!(
        (53..=54).contains(&(until.as_second() - jiff::Timestamp::now().as_second()).div_euclid(60)),
        "{soaking}"
    );
    fleet.health(CANARY, "Healthy", Duration::from_mins(61));
    assert_snapshot!(fleet.run(), @"#3 success: what comes first is merged, synced and healthy");

    // What turns bad later takes nothing back, and keeps the next one waiting.
    fleet.health("control-kube-prometheus-stack", "Degraded", Duration::from_mins(6));
    assert_snapshot!(fleet.run(), @"#3 failure: stopped by control: control-kube-prometheus-stack: it is Degraded");
}

#[test]
fn what_keeps_argo_cd_from_being_asked_keeps_all_but_the_first_group_waiting_and_is_named() {
    let fleet = Fleet::edited();
    fleet.run();
    fleet.merge(1);
    fleet.sync(&["control"]);
    fleet.hub.trouble(Trouble { forbidden: vec!["list"], ..Trouble::default() });
    let refused = fleet.run();
    assert!(
        refused.starts_with("#2 pending: waits: Argo CD cannot be asked: failed to list Application"),
        "{refused}"
    );
    fleet.hub.trouble(Trouble { status: Some(401), ..Trouble::default() });
    assert_snapshot!(fleet.run(), @"
    #2 pending: waits: Argo CD cannot be asked: failed to read Application `root` (context `hub`): the server is in trouble; log in again, or check the user
    #3 pending: waits until #2 is merged
    ");
    fleet.hub.trouble(Trouble::default());
    assert_snapshot!(fleet.run(), @"
    #2 success: what comes first is merged, synced and healthy
    #3 pending: waits until #2 is merged
    ");
}

#[test]
fn a_pause_is_a_label_on_one_pull_request_or_a_fact_of_a_group() {
    let fleet = Fleet::edited();
    fleet.run();
    fleet.hosted.github.label(1, "fleetwright: pause").unwrap();
    assert_snapshot!(fleet.run(), @"
    #1 pending: paused by the label `fleetwright: pause`
    #2 pending: waits until #1 is merged
    #3 pending: waits until #1 is merged
    ");
    fleet.hosted.github.edit(1, |pull| pull.labels.retain(|label| label != "fleetwright: pause")).unwrap();
    fleet.hosted.world.edit(FLEET, "name: control", "name: control\n  paused: true");
    assert_snapshot!(fleet.run(), @"
    #1 pending: paused in environments/_fleet.yaml
    #2 pending: waits until #1 is merged
    #3 pending: waits until #1 is merged
    ");
    fleet.hosted.world.edit(FLEET, "\n  paused: true", "");
    assert_snapshot!(fleet.run(), @"
    #1 success: nothing has to be merged first
    #2 pending: waits until #1 is merged
    #3 pending: waits until #1 is merged
    ");
}

#[test]
fn the_change_of_a_group_that_fails_can_be_taken_back_and_nothing_else_goes_on() {
    let fleet = Fleet::edited();
    let edited = fleet.tip();
    fleet.run();
    fleet.merge(1);
    fleet.sync(&["control"]);
    fleet.run();
    fleet.merge(2);
    fleet.sync(&["eu-1"]);
    fleet.health(CANARY, "Degraded", Duration::from_mins(6));
    fleet.run();
    let mirror = fleet.hosted.place("mirror");
    let output = fleet
        .command()
        .args(["rollback", &edited, "--mirror", &mirror])
        .args(fleet.hosted.arguments())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_snapshot!(fleet.run(), @"
    #3 failure: stopped by canary: eu-1-prometheus-agent: it is Degraded
    #4 success: what comes first is merged, synced and healthy
    ");
}

#[test]
fn a_service_releases_a_group_when_argo_cd_reports_it_and_not_before() {
    let fleet = Fleet::edited();
    // Argo CD takes off what asks for a comparison once it has compared.
    fleet.hub.react(|written| {
        let mut compared = written.clone();
        let annotations = compared.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
        let is_asked = annotations.is_some_and(|annotations| annotations.remove(REFRESH).is_some());
        if is_asked { vec![(APPLICATIONS, compared)] } else { Vec::new() }
    });
    let slack = Slack::start().unwrap();
    let mut command = fleet.command();
    command.env("FLEETWRIGHT_SLACK_API", slack.api()).env("FLEETWRIGHT_SLACK_TOKEN", slack::TOKEN);
    command.env("FLEETWRIGHT_SLACK_CHANNEL", slack::CHANNEL);
    let service = fleet.hosted.start_by(command, "mirror", "1", &["--context", "hub"]);
    let shows = |what: &str| fleet.hosted.wait_until(what, |_| fleet.orders().contains(what));
    shows("#2 pending: waits until #1 is merged");
    fleet.merge(1);
    shows("#2 pending: waits until control is synced and healthy");
    let is_root = |request: &String| request.starts_with("PATCH ") && request.ends_with("/applications/root");
    fleet.hosted.wait_until("a request to compare", |_| fleet.hub.requests().iter().any(is_root));
    // A rollout that another one takes the place of names it.
    fleet.hosted.world.edit(CONTROL, "alertmanager: 192.168.64.103", "alertmanager: 192.168.64.105");
    shows("#4 success: nothing has to be merged first");
    fleet.merge(4);
    let is_ended = |text: &String| text.contains("the rollout goes on with #4");
    fleet.hosted.wait_until("the end of the first rollout", |_| comments(&fleet, 1).iter().any(is_ended));
    fleet.health("control-argo-cd", "Degraded", Duration::from_mins(6));
    fleet.sync(&["control"]);
    shows("#2 failure: stopped by control: control-argo-cd: it is Degraded");
    fleet.health("control-argo-cd", "Healthy", Duration::from_secs(1));
    shows("#2 success: what comes first is merged, synced and healthy");
    let titles = || -> Vec<String> {
        let of = |message: &slack::Message| {
            format!("{} {}", if message.thread.is_some() { "↳" } else { "#" }, message.text)
        };
        slack.state().threads().map(of).collect()
    };
    fleet.hosted.wait_until("the last notice", |_| titles().contains(&"# control: deployed".to_owned()));
    assert_snapshot!(titles().join("\n"), @"
    # control: replaced before it was done
    ↳ control: replaced before it was done
    # control: deployed
    ↳ control: not deployed
    ↳ control: deployed
    ");
    assert_eq!(service.stop().0, Some(0));
}

/// What each deployment has come to, by environment.
fn deployments(fleet: &Fleet) -> String {
    let state = fleet.hosted.github.state();
    let line = |made: &github::Deployment| {
        let states: Vec<_> = made.statuses.iter().map(|status| status.state.as_str()).collect();
        format!("{} by {}: {}", made.environment, made.author, states.join(", "))
    };
    state.deployments.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub fn comments(fleet: &Fleet, number: u64) -> Vec<String> {
    let state = fleet.hosted.github.state();
    let of_pull = state.comments.iter().filter(|comment| comment.pull == number);
    of_pull.map(|comment| comment.body.clone()).collect()
}

#[test]
fn what_becomes_of_a_merge_is_a_comment_that_is_edited_in_place_and_a_deployment() {
    let fleet = Fleet::edited();
    fleet.run();
    let before = deployments(&fleet);
    fleet.merge(1);
    fleet.run();
    let [comment] = &comments(&fleet, 1)[..] else { panic!("{:?}", comments(&fleet, 1)) };
    assert!(comment.starts_with("`control`: `0 of 4 Applications synced and healthy at "), "{comment}");
    assert!(comment.contains("| `control` | `metallb` | waiting |"), "{comment}");
    fleet.sync(&["control"]);
    fleet.health("control-metallb", "Degraded", Duration::from_mins(6));
    fleet.run();
    let [comment] = &comments(&fleet, 1)[..] else { panic!("{:?}", comments(&fleet, 1)) };
    assert!(comment.contains("| `control` | `metallb` | failed | 6m"), "{comment}");
    fleet.health("control-metallb", "Healthy", Duration::from_mins(6));
    fleet.run();
    let [comment] = &comments(&fleet, 1)[..] else { panic!("{:?}", comments(&fleet, 1)) };
    assert!(comment.starts_with("`control`: `4 Applications are synced and healthy at "), "{comment}");
    let made = deployments(&fleet).replace(&before, "");
    assert_snapshot!(made.trim(), @"control by fleetwright: in_progress, failure, success");

    let writes = fleet.hosted.github.writes().len();
    fleet.run();
    assert_eq!(
        fleet.hosted.github.writes().len(),
        writes,
        "nothing is reported twice, by another process either"
    );

    // What a workflow has made already is reported on, too.
    let merge = fleet.hosted.github.merge(2).unwrap();
    let forge = fleet.hosted.github.state().deployments[0].clone();
    let of_workflow = github::Deployment {
        id: 9_999,
        sha: merge.clone(),
        reference: merge,
        environment: "canary".into(),
        author: "github-actions[bot]".into(),
        statuses: Vec::new(),
        ..forge
    };
    fleet.hosted.github.state().deployments.push(of_workflow);
    fleet.sync(&["eu-1"]);
    fleet.run();
    assert!(
        deployments(&fleet).ends_with("canary by github-actions[bot]: success"),
        "{}",
        deployments(&fleet)
    );
}

#[test]
fn a_rollout_that_another_one_takes_the_place_of_names_it_whoever_began_it() {
    let fleet = Fleet::edited();
    fleet.run();
    fleet.merge(1);
    fleet.run();
    let change = |from: &str, to: &str| {
        let address = |last: &str| format!("alertmanager: 192.168.64.{last}");
        fleet.hosted.world.edit(CONTROL, &address(from), &address(to));
        fleet.run();
        let number = fleet.hosted.github.pulls().unwrap().last().unwrap().number;
        fleet.merge(number);
        number
    };
    let comment = |number: u64| comments(&fleet, number).concat();
    // Each run is a process of its own, which saw none of those before.
    let second = change("103", "105");
    fleet.run();
    assert!(
        comment(1).starts_with(&format!("`control`: the rollout goes on with #{second}")),
        "{}",
        comment(1)
    );
    fleet.sync(&["control"]);
    fleet.run();
    let done = comment(second);
    assert!(done.starts_with("`control`: `4 Applications are synced and healthy"), "{done}");
    let third = change("105", "103");
    fleet.run();
    assert_eq!(comment(second), done, "what was done stays so");
    assert!(comment(third).starts_with("`control`: `0 of 4"), "{}", comment(third));
}

#[test]
fn the_service_merges_what_was_read_before_and_no_earlier_than_its_group_is_released() {
    let fleet = Fleet::edited();
    let world = &fleet.hosted.world;
    // The edit comes by a pull request that is read, and not onto the base branch.
    world.git(&["branch", "edit", BASE]);
    world.git(&["update-ref", &format!("refs/heads/{BASE}"), &format!("{BASE}~1")]);
    fleet.hosted.github.open("edit").unwrap();
    world.git(&["update-ref", "refs/pull/1/head", "edit"]);
    fleet.run();
    fleet.merge(1);
    let merged = || {
        let pulls = fleet.hosted.github.pulls().unwrap().into_iter();
        pulls.filter(|pull| pull.merged.is_some()).map(|pull| pull.number).collect::<Vec<_>>()
    };
    let run = || fleet.run_with(&["--merge-reviewed"]);
    for _ in 0..6 {
        run();
    }
    assert_eq!(merged(), [1, 2], "control is not synced yet");
    fleet.sync(&["control"]);
    for _ in 0..6 {
        run();
    }
    assert_eq!(merged(), [1, 2, 3], "the canary is not synced yet");
}
