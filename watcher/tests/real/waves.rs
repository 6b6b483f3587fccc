//! Waves on a real Argo CD: what fails on the canary never reaches the rest.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use testkit::github::{self, GitHub};

use crate::case::case;
use crate::repo::Told;
use crate::world::{World, text};

/// How many runs are made while the canary fails.
const RUNS: usize = 100;
/// The hub, then the spoke, then one whose cluster is not there yet: nothing may be released to it.
const WAVES: &str = "\ngroups:\n- name: control\n  clusters: {names: [control]}\n\
                     - name: canary\n  clusters: {names: [app]}\n- name: rest\n";
/// Pods with this label crash.
const CRASH: &str =
    "\naddons:\n  prometheus-agent:\n    values:\n      commonLabels:\n        crash: \"true\"\n";
const APP: &str = "environments/app.yaml";

/// The small platform in three groups, with its pull requests on GitHub.
struct Waves {
    world: World,
    github: GitHub,
}

impl Waves {
    fn start() -> Self {
        let world = World::small();
        let fleet = world.repo.read("environments/_fleet.yaml");
        world.repo.write("environments/_fleet.yaml", fleet + WAVES);
        let spoke = world.repo.read(APP);
        let spoke = spoke.replace("10.245.0.0", "10.65.0.0").replace("10.97.0.0", "10.66.0.0");
        world.repo.write("environments/eu-1.yaml", spoke.replace("192.168.64.1", "192.168.65.1"));
        world.repo.commit("Describe waves");
        let folder = world.repo.top.parent().unwrap().join(github::OWNER);
        std::fs::create_dir(&folder).unwrap();
        symlink(world.repo.path(".git"), folder.join(github::NAME)).unwrap();
        let github = GitHub::start(&world.repo.path(".git")).unwrap();
        Self { world, github }
    }

    /// Makes a run by a process of its own, with a mirror that the last one left.
    fn run(&self) {
        let told = self.tell(&["run", "--once", "--context", "control"]);
        assert_eq!(told.code, 0, "{told}");
    }

    fn tell(&self, arguments: &[&str]) -> Told {
        let repo = &self.world.repo;
        let mirror = repo.top.parent().unwrap().join("mirror");
        let upstream = self.world.git.url(&format!("{}/{}", github::OWNER, github::NAME));
        let mut command = repo.command(arguments);
        command.args(["--upstream", &upstream, "--forge", "github", "--api", &self.github.url()]);
        command.arg("--mirror").arg(mirror).env("FLEETWRIGHT_TOKEN", github::TOKEN);
        repo.told(command.env("KUBECONFIG", self.world.rig.kubeconfig()).output().unwrap())
    }

    /// The open pull request of a group, with the state of its order.
    fn order(&self, group: &str) -> Option<(u64, String)> {
        let head = format!("fleetwright/{group}");
        let pulls = self.github.pulls().unwrap();
        let pull = pulls.into_iter().find(|pull| pull.is_open() && pull.head == head)?;
        let state = self.github.state();
        let is_its =
            |status: &&github::Status| status.sha == pull.head_sha && status.context == "fleetwright/order";
        let newest = state.statuses.iter().rfind(is_its)?;
        Some((pull.number, format!("{}: {}", newest.state, newest.description.clone().unwrap_or_default())))
    }

    /// Merges the pull request of a group, if it has one, once it is released.
    fn merge(&self, group: &str) {
        self.run();
        let Some((number, order)) = self.order(group) else { return };
        assert!(order.starts_with("success: "), "{group}: {order}");
        self.github.merge(number).unwrap();
        self.world.repo.git(&["reset", "-q", "--hard"]);
        self.github.advance(std::time::Duration::from_hours(1));
    }
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn what_fails_on_the_canary_is_never_released_to_the_rest() {
    let waves = Waves::start();
    waves.merge("control");
    waves.world.settle(&["--group", "control"]);
    waves.merge("canary");
    waves.world.settle(&["--group", "canary"]);
    waves.run();
    let (rest, order) = waves.order("rest").unwrap();
    assert_eq!(order, "success: what comes first is merged, synced and healthy");

    let facts = waves.world.repo.read(APP);
    waves.world.repo.write(APP, facts.trim_end().to_owned() + CRASH);
    waves.world.repo.commit("Let pods crash");
    waves.merge("canary");
    case("Cross-cluster", "one hundred runs while the canary fails: the rest is never released", || {
        let mut orders = Vec::new();
        for round in 0..RUNS {
            waves.run();
            waves.github.advance(std::time::Duration::from_hours(1));
            orders.extend(waves.order("rest").filter(|(number, _)| *number == rest).map(|(_, order)| order));
            if round % 10 == 0 {
                waves.world.refresh();
            }
        }
        assert_eq!(orders.len(), RUNS);
        let released: Vec<_> = orders.iter().filter(|order| order.starts_with("success")).collect();
        assert!(released.is_empty(), "{released:?}");
    });
    let applications = waves.world.rig.applications().unwrap();
    let agent = applications.iter().find(|it| text(it, "/metadata/name") == "app-prometheus-agent").unwrap();
    assert_ne!(text(agent, "/status/health/status"), "Healthy", "{agent}");

    // The repair of the canary waits for no canary.
    waves.world.repo.write(APP, facts);
    waves.world.repo.commit("Let pods run again");
    waves.merge("canary");
    waves.world.settle(&["--group", "canary"]);
    waves.run();
    assert_eq!(waves.order("rest").unwrap().1, "success: what comes first is merged, synced and healthy");
    let deployments = waves.github.state().deployments.clone();
    let states = |it: &github::Deployment| -> Vec<Value> {
        it.statuses.iter().map(|status| json!(status.state)).collect()
    };
    let last = deployments.iter().rfind(|it| it.environment == "canary").unwrap();
    assert_eq!(states(last).last().unwrap(), "success", "{deployments:?}");
}
