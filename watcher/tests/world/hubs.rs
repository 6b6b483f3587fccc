//! Several hubs: each has an Argo CD of its own, and a context of its name in the kubeconfig leads to it.

use std::process::Output;

use insta::assert_snapshot;
use serde_json::{Value, json};
use testkit::cluster::{Server, Trouble};

use crate::groups::waves;
use crate::office::PROMETHEUS;
use crate::platform::{BASE, CONTROL, World};
use crate::waves::{Fleet, change, comments};

/// A second hub, `west`, which `eu-2` belongs to; everything is published.
fn two_hubs() -> World {
    let world = waves();
    let west = world.read(BASE, CONTROL).replace("10.244.", "10.70.").replace("10.96.", "10.71.");
    let west = west.replace("192.168.64.", "192.168.70.");
    let eu_2 = world.read(BASE, "environments/eu-2.yaml").replace("hub: control", "hub: west");
    let files = [("environments/west.yaml", Some(&*west)), ("environments/eu-2.yaml", Some(&*eu_2))];
    world.commit(BASE, "Add a hub", &files);
    world.run();
    world.merge_all();
    world.restart();
    world
}

/// Both hubs are well, and one fact of each was edited.
struct Two {
    fleet: Fleet,
    west: Server,
}

impl Two {
    fn edited() -> Self {
        let two = Self { fleet: Fleet::of(two_hubs()), west: Server::start().unwrap() };
        two.fleet.install(&two.fleet.hub, &["control", "eu-1", "app"]);
        two.fleet.install(&two.west, &["west", "eu-2"]);
        let [file, old, new] = PROMETHEUS;
        two.fleet.hosted.world.edit(file, old, new);
        two.fleet.hosted.world.edit("environments/west.yaml", "192.168.70.102", "192.168.70.105");
        two
    }

    /// Gives the kubeconfig these contexts, of which the first is the current one.
    fn contexts(&self, contexts: &[(&str, &Server)]) {
        std::fs::write(self.fleet.hosted.place("kubeconfig"), Server::kubeconfig_of(contexts)).unwrap();
    }

    fn run(&self) -> String {
        self.fleet.run().replace(&self.west.url(), "http://west")
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        let (tip, mirror) =
            (self.fleet.hosted.world.git(&["rev-parse", BASE]), self.fleet.hosted.place("mirror"));
        let mut command = self.fleet.command();
        command.args(arguments).args(["--context", "hub", "--revision", &tip, "--mirror", &mirror]);
        command.args(["--upstream", &self.fleet.hosted.arguments()[1]]);
        command.output().unwrap()
    }
}

/// What a command prints, without the table of what is not done.
fn text(output: &Output) -> String {
    let shown = String::from_utf8_lossy(&output.stdout);
    format!(
        "{}\n{}=> {}",
        shown.split("\n\n").next().unwrap().trim_end(),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap()
    )
    // Which of the two lists fails first is open.
    .replace("ApplicationSets", "Applications")
}

#[test]
fn a_group_waits_for_its_clusters_on_every_hub_that_has_a_context() {
    let two = Two::edited();
    two.contexts(&[("hub", &two.fleet.hub), ("west", &two.west)]);
    two.run();
    two.fleet.merge(1);
    assert_snapshot!(two.run(), @"
    #2 pending: waits until control is synced and healthy
    #3 pending: waits until #2 is merged
    ");
    two.fleet.sync_on(&two.fleet.hub, "control", &["control"]);
    assert_snapshot!(two.run(), @"
    #2 pending: waits until control is synced and healthy
    #3 pending: waits until #2 is merged
    ");
    two.fleet.sync_on(&two.west, "west", &["west"]);
    assert_snapshot!(two.run(), @"
    #2 success: what comes first is merged, synced and healthy
    #3 pending: waits until #2 is merged
    ");
    change(&two.west, "west-argo-cd", |it| {
        it["status"]["health"] =
            json!({ "status": "Degraded", "lastTransitionTime": "2026-01-01T00:00:00Z" });
    });
    assert_snapshot!(two.run(), @"
    #2 failure: stopped by control: west-argo-cd: it is Degraded
    #3 pending: waits until #2 is merged
    ");
}

#[test]
fn a_hub_without_a_context_is_named_wherever_its_clusters_are_waited_for() {
    let two = Two::edited();
    two.run();
    two.fleet.merge(1);
    two.fleet.sync_on(&two.fleet.hub, "control", &["control"]);
    assert_snapshot!(two.run(), @"
    #2 success: what comes first is merged, and synced and healthy where that is asked; the merge counts: west is not asked
    #3 pending: waits until #2 is merged
    ");
    let comment = &comments(&two.fleet, 1)[0];
    assert!(comment.contains("is not asked"), "{comment}");
    assert_snapshot!(text(&two.ask(&["status"])), @"
    at eca7840
    control: 4 of 4 Applications done on 1 cluster
    canary: 0 of 2 Applications done on 1 cluster, 2 waiting
    rest: 0 of 2 Applications done on 1 cluster, 2 waiting
    eu-2, west: the merge counts: west is not asked: no context of the kubeconfig is called `west`
    => 0
    ");
    let json: Value = serde_json::from_slice(&two.ask(&["status", "--format", "json"]).stdout).unwrap();
    assert_eq!(json["notAsked"][0]["clusters"], json!(["eu-2", "west"]));
    assert_snapshot!(text(&two.ask(&["wait", "--group", "control"])), @"
    control: 4 of 4 Applications done on 1 cluster
    west: the merge counts: west is not asked: no context of the kubeconfig is called `west`
    => 0
    ");
}

#[test]
fn a_hub_that_does_not_answer_holds_what_it_runs_and_is_no_reason_not_to_show_the_others() {
    let two = Two::edited();
    two.contexts(&[("hub", &two.fleet.hub), ("west", &two.west)]);
    two.run();
    two.fleet.merge(1);
    two.fleet.sync_on(&two.fleet.hub, "control", &["control"]);
    two.west.trouble(Trouble { status: Some(401), ..Trouble::default() });
    assert_snapshot!(two.run(), @"
    #2 pending: waits: Argo CD cannot be asked: failed to read Application `root` (context `west`): the server is in trouble; log in again, or check the use
    #3 pending: waits until #2 is merged
    ");
    assert_snapshot!(text(&two.ask(&["status"])), @"
    at eca7840
    control: 4 of 4 Applications done on 1 cluster
    canary: 0 of 2 Applications done on 1 cluster, 2 waiting
    rest: 0 of 2 Applications done on 1 cluster, 2 waiting
    eu-2, west: not known: failed to list Applications in namespace `argocd` (context `west`): the server is in trouble
    => 0
    ");
    assert_snapshot!(text(&two.ask(&["wait", "--group", "control"])), @"
    error: failed to list Applications in namespace `argocd` (context `west`): the server is in trouble
      hint: log in again, or check the user of the context
    => 7
    ");
}
