//! What goes away comes back, with nothing lost and nothing done twice. The platform is the small one of the test kit.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::real::{Server, wait_until};

use crate::case::case;
use crate::repo::Repo;
use crate::rollout::CRASHED;
use crate::world::{PATIENCE, World, text};

const PART: &str = "Chaos";
/// A fact of the hub that both clusters' files show.
const PROMETHEUS: [&str; 3] =
    ["environments/control.yaml", "prometheus: 192.168.64.102", "prometheus: 192.168.64.109"];

impl World {
    /// Moves Prometheus, and merges what that changes on both clusters.
    pub fn move_prometheus(&self) {
        let [file, old, new] = PROMETHEUS;
        self.repo.edit(file, old, new);
        self.repo.commit("Move Prometheus");
        self.merge("fleetwright/control");
        self.merge("fleetwright/app");
    }

    /// Shows that both clusters get to where the move leads, and that each Application was synced once for it.
    fn settle_once(&self, before: &BTreeMap<String, usize>) {
        self.settle(&[]);
        let after = self.syncs();
        let syncs = |name: &str| after[name] - before[name];
        assert_eq!(syncs("control-kube-prometheus-stack"), 1);
        assert_eq!(syncs("app-prometheus-agent"), 1);
        let others = after.keys().filter(|name| !name.contains("prometheus"));
        assert!(others.clone().all(|name| syncs(name) == 0), "{before:?} {after:?}");
    }

    /// Merges a change that never gets healthy, and returns what is reported of it.
    fn break_control(&self, title: &str, timeout: &str) -> String {
        self.repo.commit(title);
        self.merge("fleetwright/control");
        let told = self.ask(&["wait", "--group", "control", "--timeout", timeout]);
        assert_eq!(told.code, 7, "{told}");
        told.to_string()
    }

    /// Takes the last change back, and shows that everything is as it was at a commit.
    fn roll_back_to(&self, first: &str) {
        let told = self.repo.run(&["rollback"]);
        assert_eq!(told.code, 0, "{told}");
        let pulls = self.pulls();
        let (_, number) = pulls.iter().find(|(head, _)| head.starts_with("rollback/")).unwrap();
        self.merge_number(number);
        assert!(self.propose().is_empty(), "what was taken back leaves nothing to render");
        self.settle(&[]);
        assert_eq!(self.repo.git(&["diff", "--stat", first, "HEAD"]), "");
    }

    fn revision(&self) -> String {
        self.repo.git(&["rev-parse", "HEAD"])
    }

    /// The pods that run on the spoke.
    fn pods_of_app(&self) -> BTreeSet<String> {
        let pods = self.rig.app.client().list("v1", "Pod").unwrap();
        let runs = |pod: &&Value| text(pod, "/status/phase") == "Running";
        pods.iter().filter(runs).map(|pod| text(pod, "/metadata/name").to_owned()).collect()
    }
}

fn a_spoke_whose_api_server_was_away_gets_what_it_missed(world: &World) {
    case(PART, "a spoke's API server is away during a change", || {
        let before = world.syncs();
        world.rig.app.server().kill().unwrap();
        world.move_prometheus();
        world.settle(&["--group", "control"]);
        // The hub's own kubeconfig knows no spoke: its registration says where it is.
        let mut command = world.repo.command(&["wait", "--group", "app", "--timeout", "40s"]);
        let hub = world.rig.control.server().kubeconfig();
        let told = world.repo.told(command.env("KUBECONFIG", hub).output().unwrap());
        assert_eq!(told.code, 7, "{told}");
        assert!(told.out.contains("the API server of app does not answer"), "{told}");
        world.rig.app.server().start_again().unwrap();
        world.settle_once(&before);
    });
}

fn an_argo_cd_that_was_killed_while_it_synced_completes_it(world: &World) {
    case(PART, "Argo CD's controller is killed in the middle of a sync", || {
        let before = world.syncs();
        world.move_prometheus();
        world.refresh();
        world.rig.argo_cd.kill(Server::Application).unwrap();
        world.rig.argo_cd.start_again(Server::Application).unwrap();
        world.settle_once(&before);
    });
}

fn a_git_server_that_was_away_loses_nothing(world: &World) {
    case(PART, "the git server is away during a change", || {
        let before = world.syncs();
        world.git.set_away(true);
        world.move_prometheus();
        world.refresh();
        world.git.set_away(false);
        world.settle_once(&before);
    });
}

fn a_spoke_runs_without_its_hub_which_takes_up_what_it_missed(world: &World) {
    let before = world.syncs();
    let pods = world.pods_of_app();
    assert!(!pods.is_empty());
    world.rig.lose_hub().unwrap();
    case("App alone", "without a hub its pods run on, and one that is deleted is made again", || {
        let pod = pods.first().unwrap();
        let app = world.rig.app.client();
        let all = app.list("v1", "Pod").unwrap();
        app.delete(all.iter().find(|one| text(one, "/metadata/name") == pod).unwrap()).unwrap();
        wait_until(Duration::from_mins(1), "the pod was made again", || {
            let now = world.pods_of_app();
            Ok(!now.contains(pod) && now.len() == pods.len())
        })
        .unwrap();
    });
    case(PART, "the hub is lost: `status` names it with the way out, and ends with 7", || {
        let told = world.ask(&["status"]);
        assert_eq!((told.code, &*told.out), (7, ""), "{told}");
        assert!(told.err.contains("(context `control`)"), "{told}");
        assert!(
            told.err.contains("hint: check that the API server runs and can be reached from here"),
            "{told}"
        );
    });
    case(PART, "the hub is lost: changes are rendered, reviewed and merged", || {
        world.move_prometheus();
    });
    case(PART, "the hub is back: nothing is lost, nothing is done twice", || {
        world.rig.restore_hub().unwrap();
        world.settle_once(&before);
    });
}

fn waiting_goes_on_when_the_hub_is_away_for_a_while(world: &World) {
    case(PART, "the hub is away while it is waited for", || {
        let before = world.syncs();
        world.rig.argo_cd.kill(Server::Application).unwrap();
        world.move_prometheus();
        let mut wait = world.command(&["wait", "--timeout", PATIENCE]);
        let wait = wait.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Without the controller it cannot end before this.
        sleep(Duration::from_secs(3));
        world.rig.control.kill().unwrap();
        world.rig.control.start_again().unwrap();
        world.rig.argo_cd.start_again(Server::Application).unwrap();
        let told = world.repo.told(wait.wait_with_output().unwrap());
        assert_eq!(told.code, 0, "{told}");
        world.settle_once(&before);
    });
}

/// What happens to the same world, one after the other: to start one takes longer than most of it.
const CASES: [fn(&World); 7] = [
    a_spoke_whose_api_server_was_away_gets_what_it_missed,
    an_argo_cd_that_was_killed_while_it_synced_completes_it,
    a_git_server_that_was_away_loses_nothing,
    a_spoke_runs_without_its_hub_which_takes_up_what_it_missed,
    waiting_goes_on_when_the_hub_is_away_for_a_while,
    a_change_whose_pods_crash_is_named_and_taken_back,
    a_bad_render_that_was_merged_is_named_and_taken_back,
];

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn what_goes_away_comes_back_with_nothing_lost_and_nothing_done_twice() {
    let world = World::small();
    for case in CASES {
        case(&world);
        world.start_over();
    }
}

/// Pods with this label crash.
pub const CRASH: &str = "\ncommonLabels:\n  crash: \"true\"\n";
pub const TEMPLATE: &str = "templates/addons/kube-prometheus-stack/values.yaml.hbs";

fn a_change_whose_pods_crash_is_named_and_taken_back(world: &World) {
    let first = world.revision();
    case(PART, "pods crash: `wait` names Application, object and reason, and ends with 7", || {
        world.repo.write(TEMPLATE, world.repo.read(TEMPLATE) + CRASH);
        let told = world.break_control("Let pods crash", "1m");
        assert!(told.contains(&format!("control-kube-prometheus-stack: progressing: {CRASHED}")), "{told}");
    });
    case(PART, "`rollback` puts back what ran before, and it is healthy", || world.roll_back_to(&first));
}

fn a_bad_render_that_was_merged_is_named_and_taken_back(world: &World) {
    let first = world.revision();
    case(
        PART,
        "a merged change is refused by the API server: `wait` names object and reason, and ends with 7",
        || {
            limit_pods(&world.repo);
            let told = world.break_control("Limit pods", "4m");
            assert!(
                told.contains("control-metallb: failed: sync fails again and again: LimitRange"),
                "{told}"
            );
        },
    );
    case(PART, "`rollback` takes the refused change back", || world.roll_back_to(&first));
}

/// Describes an object that the API server refuses.
pub fn limit_pods(repo: &Repo) {
    // No schema says that the smallest must not be larger than the largest.
    let limits = json!({
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "limits", "namespace": "metallb-system"},
        "spec": {"limits": [{"type": "Pod", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]},
    });
    repo.write("templates/addons/metallb/manifests/limits.yaml.hbs", limits.to_string());
}
