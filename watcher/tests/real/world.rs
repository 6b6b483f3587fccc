//! Two real clusters with Argo CD, a platform in git for them with stand-ins for its charts, and those who work on it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::real::{
    ARGO_CD_NAMESPACE, ARGO_CD_VERSION, ChartRepository, Operators, Rig, StandIn, Vault, definitions,
    wait_until,
};
use testkit::smart_http::Server;

use crate::api_server::kind_of;
use crate::platform::{landing_on, shipped};
use crate::repo::Repo;

/// How long a group may take to be synced and healthy on a busy machine.
const PATIENCE: Duration = Duration::from_mins(8);
/// How often Argo CD is asked.
const PAUSE: Duration = Duration::from_secs(4);
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
}

impl World {
    /// The platform that this repository ships, described in git, on two clusters with nothing but Argo CD.
    pub fn shipped() -> Self {
        let world = Self::of(Repo::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")));
        let (_, port) = world.rig.app.client().url().rsplit_once(':').unwrap();
        world.repo.edit("environments/app.yaml", "192.168.64.30", &format!("127.0.0.1\n  port: {port}"));
        world.repo.commit("Describe the platform");
        world
    }

    /// The small platform of the test kit, with everything merged, synced and healthy.
    pub fn small() -> Self {
        let world = Self::of(Repo::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/platform")));
        world.rig.control.client().apply(&world.rig.registration(), "").unwrap();
        let told = world.repo.run(&["render"]);
        assert_eq!(told.code, 0, "{told}");
        world.repo.commit("Describe the platform");
        world.hand_over();
        world.settle(&["control", "app"]);
        world
    }

    fn of(repo: Repo) -> Self {
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
        let operators = Operators::start(&[rig.control.client(), rig.app.client()], &vault(&rig));
        Self { _operators: operators, rig, repo, git, _charts: charts }
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

    /// Waits until every Application of these clusters is synced at the newest revision, and healthy.
    pub fn settle(&self, clusters: &[&str]) {
        let revision = self.repo.git(&["rev-parse", "HEAD"]);
        let wanted: BTreeSet<String> =
            clusters.iter().flat_map(|cluster| self.applications_of(cluster)).collect();
        let missing = RefCell::new(String::new());
        let settled = wait_until(PATIENCE, &format!("{clusters:?} was settled"), || {
            sleep(PAUSE);
            let applications = self.rig.applications()?;
            self.refresh();
            let of = |name: &String| applications.iter().find(|one| text(one, "/metadata/name") == name);
            let unsettled = |name: &String| Some(format!("{name}: {}", unsettled(of(name), &revision)?));
            *missing.borrow_mut() = wanted.iter().filter_map(unsettled).collect::<Vec<_>>().join("\n");
            Ok(missing.borrow().is_empty())
        });
        assert!(settled.is_ok(), "{}\n{}", settled.unwrap_err(), missing.borrow());
    }

    /// Waits until an Application is at the newest revision and degraded.
    pub fn degrade(&self, name: &str) {
        let revision = self.repo.git(&["rev-parse", "HEAD"]);
        let degraded = wait_until(PATIENCE, &format!("`{name}` was degraded"), || {
            sleep(PAUSE);
            self.refresh();
            let applications = self.rig.applications()?;
            let found = applications.iter().find(|one| text(one, "/metadata/name") == name);
            Ok(found.is_some_and(|one| {
                is_current(one, &revision) && text(one, "/status/health/status") == "Degraded"
            }))
        });
        degraded.unwrap();
    }

    /// Asks for every Application that is not settled to be compared with the newest revision, and every `ApplicationSet`
    /// to look again for its cluster.
    pub fn refresh(&self) {
        let client = self.rig.control.client();
        let ask =
            json!({"metadata": {"annotations": {"argocd.argoproj.io/application-set-refresh": "true"}}});
        for set in client.list(ARGO_CD_VERSION, "ApplicationSet").unwrap() {
            client.merge(&set, "", &ask).unwrap();
        }
        let revision = self.repo.git(&["rev-parse", "HEAD"]);
        for application in self.rig.applications().unwrap() {
            if unsettled(Some(&application), &revision).is_some() {
                self.rig.refresh(&application).unwrap();
            }
        }
    }

    /// The Applications that the rendered files of a cluster make, and the one that brings those in.
    fn applications_of(&self, cluster: &str) -> Vec<String> {
        let file = |name: &str| format!("argocd-apps/{cluster}/{name}.yaml");
        let object = |file: &str| -> Value { serde_yaml::from_str(&self.repo.read(file)).unwrap() };
        let set = object(&file("applicationset"));
        let elements = set.pointer("/spec/generators/0/list/elements").and_then(Value::as_array).unwrap();
        let made = elements.iter().map(|element| format!("{cluster}-{}", text(element, "/name")));
        let root = Some(file("root")).filter(|root| self.repo.path(root).exists());
        made.chain(root.map(|root| text(&object(&root), "/metadata/name").to_owned())).collect()
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

/// Says what is missing of an Application.
fn unsettled(application: Option<&Value>, revision: &str) -> Option<String> {
    let Some(application) = application else { return Some("is not there".to_owned()) };
    let status = &application["status"];
    let (sync, health) = (text(status, "/sync/status"), text(status, "/health/status"));
    let is_current = is_current(application, revision);
    let is_settled = is_current && (sync, health) == ("Synced", "Healthy");
    let message = status["operationState"]["message"].as_str().unwrap_or_default();
    (!is_settled).then(|| format!("current: {is_current}, {sync}, {health}, {message}"))
}

/// Returns whether an Application was compared with a revision.
fn is_current(application: &Value, revision: &str) -> bool {
    let sync = &application["status"]["sync"];
    let revisions = sync["revisions"].as_array().into_iter().flatten().chain([&sync["revision"]]);
    revisions.into_iter().any(|one| one == revision)
}

pub fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Puts a stand-in for every chart of the platform into its place below the mirror.
fn fill(charts: &ChartRepository, repo: &Repo) {
    let rendered = shipped();
    let landings = rendered.clusters.keys().flat_map(|cluster| landing_on(&rendered, cluster));
    let kinds: BTreeSet<_> = landings.filter_map(|landing| kind_of(&landing.object)).collect();
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

/// The one credential that a person gives.
fn vault(rig: &Rig) -> Vault {
    let place = |key: &str| ("control/cluster-app".to_owned(), key.to_owned());
    let app = rig.app.server();
    [(place("token"), app.token().to_owned()), (place("ca.crt"), app.authority().to_owned())].into()
}
