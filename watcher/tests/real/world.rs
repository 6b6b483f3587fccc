//! Two real clusters with Argo CD, a platform in git for them with stand-ins for its charts, and those who work on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use renderer::render::Rendered;
use renderer::verify::{Question, checks};
use serde_json::{Value, json};
use testkit::real::{
    ARGO_CD_NAMESPACE, ChartRepository, Cluster, Operators, Rig, StandIn, Vault, definitions,
};
use testkit::smart_http::Server;

use crate::api_server::kind_of;
use crate::platform::{landing_on, shipped};
use crate::repo::{Repo, Told};

/// How long a group may take to be synced and healthy on a busy machine.
pub const PATIENCE: &str = "8m";
/// Which charts define which kinds, by the end of their API group. Argo CD's and `MetalLB`'s are there before their charts.
const DEFINED_BY: [(&str, &str); 7] = [
    ("base", "istio.io"),
    ("cert-manager", "cert-manager.io"),
    ("external-secrets", "external-secrets.io"),
    ("keda", "keda.sh"),
    ("kube-prometheus-stack", "monitoring.coreos.com"),
    ("kyverno", "kyverno.io"),
    ("velero", "velero.io"),
];
/// Which chart makes an account that a manifest of the platform names.
const ACCOUNTS: [(&str, &str); 2] =
    [("base", "istio-reader-service-account"), ("external-secrets", "external-secrets")];

/// A platform on its clusters.
pub struct World {
    // Dropped in this order.
    _operators: Operators,
    pub rig: Rig,
    pub repo: Repo,
    pub git: Server,
    _charts: ChartRepository,
    /// The commit that describes the platform at first.
    first: String,
}

impl World {
    /// The platform that this repository ships, described in git, on two clusters with nothing but Argo CD.
    pub fn shipped() -> Self {
        Self::shipped_with(given)
    }

    /// The same with what Vault holds.
    pub fn shipped_with(vault: impl FnOnce(&Rig) -> Vault) -> Self {
        let world = Self::of(Repo::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")), vault);
        let (_, port) = world.rig.app.client().url().rsplit_once(':').unwrap();
        world.repo.edit("environments/app.yaml", "192.168.64.30", &format!("127.0.0.1\n  port: {port}"));
        world.repo.commit("Describe the platform");
        make_nodes_as_kubeadm_does("control", &world.rig.control);
        make_nodes_as_kubeadm_does("app", &world.rig.app);
        world
    }

    /// The small platform of the test kit, with everything merged, synced and healthy.
    pub fn small() -> Self {
        let world = Self::undeployed();
        world.rig.control.client().apply(&world.rig.registration(), "").unwrap();
        world.hand_over();
        world.settle(&[]);
        Self { first: world.repo.git(&["rev-parse", "HEAD"]), ..world }
    }

    /// The small platform, rendered and committed, on two clusters with nothing but Argo CD.
    pub fn undeployed() -> Self {
        Self::undeployed_with(given)
    }

    /// The same with what Vault holds.
    pub fn undeployed_with(vault: impl FnOnce(&Rig) -> Vault) -> Self {
        let world =
            Self::of(Repo::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/platform")), vault);
        // As on the shipped platform: what was taken back is not tried on and on.
        for (file, indent) in [("applicationset", 10), ("root", 6)] {
            let (file, old) = (format!("templates/cluster/{file}.yaml.hbs"), "limit: 10\n");
            world.repo.edit(&file, old, &format!("{old}{:indent$}refresh: true\n", ""));
        }
        let told = world.repo.run(&["render"]);
        assert_eq!(told.code, 0, "{told}");
        world.repo.commit("Describe the platform");
        world
    }

    /// Puts back what the platform was at first.
    pub fn start_over(&self) {
        self.repo.git(&["read-tree", "-u", "--reset", &self.first]);
        if !self.repo.git(&["status", "--porcelain"]).is_empty() {
            self.repo.commit("Start over");
        }
        self.propose();
        self.settle(&[]);
    }

    fn of(repo: Repo, vault: impl FnOnce(&Rig) -> Vault) -> Self {
        repo.git(&["config", "user.name", "Ann"]);
        repo.git(&["config", "user.email", "ann@example.com"]);
        let rig = Rig::start().unwrap();
        let charts = ChartRepository::start().unwrap();
        let git = Server::plain(repo.top.parent().unwrap()).unwrap();
        let place = "https://git.example.com/platform/fleet.git";
        repo.edit("environments/_fleet.yaml", place, &git.url("repository/.git"));
        let facts = repo.read("environments/_fleet.yaml");
        let mirror = format!("\ncharts:\n  mirror: {}\n", charts.url("mirror"));
        repo.write("environments/_fleet.yaml", facts + &mirror);
        fill(&charts, &repo);
        not_described(&repo);
        let operators = Operators::start(&[rig.control.client(), rig.app.client()], &vault(&rig));
        Self { _operators: operators, rig, repo, git, _charts: charts, first: String::new() }
    }

    /// Returns the address that a chart comes from.
    pub fn mirror_of(&self, chart: &str) -> String {
        let list = self.repo.run(&["charts", "list", "--format", "json"]).json();
        let found = list["charts"].as_array().unwrap().iter().find(|it| it["name"] == chart);
        text(found.unwrap(), "/source").to_owned()
    }

    /// Makes a run of the service, and returns the pull requests that are open afterwards.
    pub fn propose(&self) -> BTreeMap<String, String> {
        let told = self.repo.run(&["run", "--once"]);
        assert_eq!(told.code, 0, "{told}");
        self.pulls()
    }

    /// Returns the numbers of the pull requests that are open, by their head branches.
    pub fn pulls(&self) -> BTreeMap<String, String> {
        let pulls = self.repo.run(&["pulls", "list", "--format", "json"]).json();
        let pull = |pull: &Value| (text(pull, "/head").to_owned(), pull["number"].to_string());
        pulls["pullRequests"].as_array().unwrap().iter().map(pull).collect()
    }

    /// Proposes what is to be rendered, and merges the pull request of one group.
    pub fn merge(&self, head: &str) {
        self.merge_number(&self.propose()[head]);
    }

    /// Merges a pull request.
    pub fn merge_number(&self, number: &str) {
        let told = self.repo.run(&["pulls", "merge", number]);
        assert_eq!(told.code, 0, "{told}");
    }

    /// Hands the fleet over to Argo CD, as a person does once.
    pub fn hand_over(&self) {
        let root: Value = serde_yaml::from_str(&self.repo.read("argocd-apps/control/root.yaml")).unwrap();
        self.rig.control.client().apply(&root, ARGO_CD_NAMESPACE).unwrap();
    }

    /// Waits by the command, with these options, until what was merged is synced and healthy.
    pub fn settle(&self, options: &[&str]) {
        let told = self.ask(&[&["wait", "--timeout", PATIENCE][..], options].concat());
        assert_eq!(told.code, 0, "{told}");
    }

    /// Runs a command that asks the hub.
    pub fn ask(&self, arguments: &[&str]) -> Told {
        self.repo.told(self.command(arguments).output().unwrap())
    }

    /// A command that asks the hub.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.repo.command(&[arguments, &["--context", "control"]].concat());
        command.env("KUBECONFIG", self.rig.kubeconfig());
        command
    }

    /// Asks for every Application to be compared now.
    pub fn refresh(&self) {
        self.rig.applications().unwrap().iter().for_each(|one| self.rig.refresh(one).unwrap());
    }

    /// How often each Application was synced.
    pub fn syncs(&self) -> BTreeMap<String, usize> {
        let count = |one: &Value| {
            let history = one.pointer("/status/history").and_then(Value::as_array);
            (text(one, "/metadata/name").to_owned(), history.map_or(0, Vec::len))
        };
        self.rig.applications().unwrap().iter().map(count).collect()
    }
}

pub fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Gives the nodes of the shipped platform the sizes of the machines that they would be, and control planes the marks that kubeadm
/// sets by its configuration.
fn make_nodes_as_kubeadm_does(name: &str, cluster: &Cluster) {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/clusters").join(name);
    let read = |file: &str| fs::read_to_string(place.join(file)).unwrap();
    let machines: Value = serde_json::from_str(&read("terraform.tfvars.json")).unwrap();
    let joins: Value = serde_yaml::from_str(&read("kubeadm/join-control-plane.yaml")).unwrap();
    let mark = "node-role.kubernetes.io/control-plane";
    let taints = match &joins["nodeRegistration"]["taints"] {
        Value::Null => json!([{"key": mark, "effect": "NoSchedule"}]),
        taints => taints.clone(),
    };
    let nodes = cluster.client().list("v1", "Node").unwrap();
    let machines = machines["machines"].as_array().unwrap();
    assert_eq!(nodes.len(), machines.len());
    for (node, machine) in nodes.iter().zip(machines) {
        let room = json!({"cpu": machine["cpus"], "memory": machine["memory"], "pods": "110"});
        let status = json!({"status": {"capacity": room, "allocatable": room}});
        cluster.client().merge(node, "status", &status).unwrap();
        if machine["role"] == "control-plane" {
            let labels = json!({mark: "", "node.kubernetes.io/exclude-from-external-load-balancers": ""});
            let marks = json!({"metadata": {"labels": labels}, "spec": {"taints": taints}});
            cluster.client().merge(node, "", &marks).unwrap();
        }
    }
}

/// What add-ons say of their charts is not true of stand-ins.
fn not_described(repo: &Repo) {
    for folder in fs::read_dir(repo.path("templates/addons")).unwrap() {
        let path = folder.unwrap().path().join("addon.yaml");
        fs::write(&path, accepting_a_stand_in(&fs::read_to_string(&path).unwrap())).unwrap();
    }
}

/// Answers the check of what an `addon.yaml` says of its chart.
pub fn accepting_a_stand_in(text: &str) -> String {
    let answer = "\naccept:\n  - {check: final-interfaces, path: ., reason: its chart is a stand-in}\n";
    if text.contains("\naccept:\n") {
        text.replacen("\naccept:\n", answer, 1)
    } else {
        format!("{text}{answer}")
    }
}

/// Puts a stand-in for every chart of the platform into its place below the mirror.
fn fill(charts: &ChartRepository, repo: &Repo) {
    let rendered = shipped();
    let landings = rendered.clusters.keys().flat_map(|cluster| landing_on(&rendered, cluster));
    let mut kinds: BTreeSet<_> = landings.filter_map(|landing| kind_of(&landing.object)).collect();
    kinds.extend(asked_for(&rendered));
    let definitions = definitions().unwrap();
    let list = repo.run(&["charts", "list", "--format", "json"]).json();
    for chart in list["charts"].as_array().unwrap() {
        let (name, source) = (text(chart, "/name"), text(chart, "/source"));
        let mut stand_in = StandIn::named(name, text(chart, "/version"));
        let groups: Vec<_> =
            DEFINED_BY.iter().filter(|(by, _)| *by == name).map(|(_, group)| *group).collect();
        let is_defined = |definition: &&Value| {
            let (group, kind) = (text(definition, "/spec/group"), text(definition, "/spec/names/kind"));
            groups.iter().any(|own| group.ends_with(own))
                && kinds.contains(&(group.to_owned(), kind.to_owned()))
        };
        stand_in.definitions = definitions.iter().filter(is_defined).cloned().collect();
        let accounts = ACCOUNTS.iter().filter(|(by, _)| *by == name);
        stand_in.accounts = accounts.map(|(_, account)| (*account).to_owned()).collect();
        charts.add(source.strip_prefix(&charts.url("")).unwrap(), &stand_in).unwrap();
    }
}

/// The groups and kinds of what `verify` asks for, which charts make.
fn asked_for(rendered: &Rendered) -> impl Iterator<Item = (String, String)> {
    checks(rendered, |_| true).unwrap().into_iter().filter_map(|check| match check.question {
        Question::Objects(objects) => Some((objects.api_version.split_once('/')?.0.to_owned(), objects.kind)),
        _ => None,
    })
}

/// The one credential that a person gives; every other value is `stand-in`.
fn given(rig: &Rig) -> Vault {
    let app = rig.app.server();
    let (token, authority) = (app.token().to_owned(), app.authority().to_owned());
    Arc::new(move |path, key| {
        Some(match (path, key) {
            ("control/cluster-app", "token") => token.clone(),
            ("control/cluster-app", "ca.crt") => authority.clone(),
            _ => "stand-in".to_owned(),
        })
    })
}
