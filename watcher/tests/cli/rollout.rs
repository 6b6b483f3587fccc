//! `status` and `wait`: the shipped fleet, and an API server at the wire on which Argo CD does what it was seen to do.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use insta::assert_snapshot;
use renderer::argo::{Desired, desired};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::cluster::{Server, Trouble};

use crate::applications::{APPLICATIONS, REFRESH, SETS, application, compared};
use crate::repo::{Repo, Told};
use crate::verify::well_hub;

/// The shipped fleet, rendered and committed, and the hub that runs it.
pub struct Hub {
    pub repo: Repo,
    pub server: Server,
    folder: TempDir,
}

impl Hub {
    /// Everything is Synced at the tip and Healthy.
    pub fn current() -> Self {
        let hub = Self {
            repo: Repo::shipped(),
            server: Server::start().unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(hub.kubeconfig(), hub.server.kubeconfig()).unwrap();
        well_hub(&hub.server);
        for cluster in ["control", "app"] {
            let labels = json!({ "app.kubernetes.io/managed-by": "fleetwright" });
            hub.server.put(
                SETS,
                json!({ "metadata": { "name": cluster, "namespace": "argocd", "labels": labels } }),
            );
        }
        let tip = hub.tip();
        hub.desired().values().for_each(|it| hub.server.put(APPLICATIONS, application(it, &tip)));
        hub
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    pub fn tip(&self) -> String {
        self.repo.git(&["rev-parse", "main"])
    }

    /// Commits something that changes no rendered file, and returns the tip.
    fn commit(&self) -> String {
        self.repo.write("README.md", "a note");
        self.repo.commit("Add a note");
        self.tip()
    }

    fn desired(&self) -> BTreeMap<String, Desired> {
        let files = ["control/root", "control/applicationset", "app/root", "app/applicationset"];
        let read =
            |file: &str| desired(&self.repo.read(&format!("argocd-apps/{file}.yaml"))).unwrap().applications;
        files.into_iter().flat_map(read).map(|it| (it.name.clone(), it)).collect()
    }

    /// Lets Argo CD compare with a revision what it is asked to, and note who was asked.
    pub fn compares_with(&self, revision: &str) {
        let revision = revision.to_owned();
        self.server.react(move |written| match written["metadata"]["annotations"][REFRESH].as_str() {
            Some(_) => vec![(APPLICATIONS, compared(written, &revision))],
            None => Vec::new(),
        });
    }

    pub fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.server.get(APPLICATIONS, "argocd", name).unwrap();
        change(&mut object);
        self.server.put(APPLICATIONS, object);
    }

    fn run(&self, arguments: &[&str]) -> Told {
        let output = self.repo.command(arguments).env("KUBECONFIG", self.kubeconfig()).output().unwrap();
        let mut told = self.repo.told(output);
        for text in [&mut told.out, &mut told.err] {
            *text = text.replace(&self.server.url(), "http://hub").replace(&self.tip()[..7], "<tip>");
        }
        told
    }

    /// Returns the names of the Applications that were asked, in order.
    fn asked(&self) -> Vec<String> {
        let patches = self.server.requests().into_iter().filter(|request| request.starts_with("PATCH "));
        patches.map(|request| request.rsplit('/').next().unwrap().to_owned()).collect()
    }
}

#[test]
fn a_fleet_that_is_current_is_a_line_for_each_group() {
    let hub = Hub::current();
    assert_snapshot!(hub.run(&["status"]), @"
    at <tip>
    control: 17 of 17 Applications done on 1 cluster
    app: 16 of 16 Applications done on 1 cluster
    => 0
    ");
    assert_snapshot!(hub.run(&["wait", "--context", "hub", "--group", "app"]), @"
    control: 1 of 1 Application done on 1 cluster
    app: 16 of 16 Applications done on 1 cluster
    => 0
    ");
    assert_eq!(hub.asked(), [""; 0], "what is done is left alone");
}

#[test]
fn status_names_what_is_not_done_and_what_is_left_over() {
    let hub = Hub::current();
    hub.change("control-loki", |it| {
        let since = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(400 * 24);
        it["status"]["health"] = json!({ "status": "Degraded", "lastTransitionTime": since.to_string() });
        let health = json!({ "status": "Degraded", "message": "exceeded its progress deadline" });
        it["status"]["resources"] =
            json!([{ "kind": "StatefulSet", "namespace": "logging", "name": "loki", "health": health }]);
    });
    hub.server.remove(APPLICATIONS, "argocd", "app-keda");
    let mut left = hub.server.get(APPLICATIONS, "argocd", "app-velero").unwrap();
    left["metadata"]["name"] = json!("app-gone");
    hub.server.put(APPLICATIONS, left);
    let told = hub.run(&["status"]);
    let told = told.out.replace(char::is_numeric, "#");
    assert_snapshot!(told, @"
    at <tip>
    control: ## of ## Applications done on # cluster, # failed
    app: ## of ## Applications done on # cluster, # waiting

    CLUSTER  ADD-ON  STATE    SYNC    HEALTH    AT       SINCE  WHY
    control  loki    failed   Synced  Degraded  <tip>  ###d   it is Degraded: StatefulSet logging/loki: exceeded its progress deadline
    app      keda    waiting  -       -         -        -      ApplicationSet app has not made it yet

    left over, which git no longer wants (`fleetwright prune` removes it):
      Application app-gone
    ");
    let json = hub.run(&["status", "--format", "json"]).json();
    assert_eq!(json["revision"].as_str().unwrap(), format!("<tip>{}", &hub.tip()[7..]));
    assert_eq!(json["state"], "failed");
    assert_eq!(json["leftovers"][0]["name"], "app-gone");
    let keda = json["applications"].as_array().unwrap().iter().find(|it| it["name"] == "app-keda").unwrap();
    assert_eq!(keda["reason"], "ApplicationSet app has not made it yet");
    assert!(hub.run(&["status", "--markdown"]).out.contains("| `control` | `loki` | failed |"));
}

#[test]
fn wait_asks_the_root_first_and_ends_once_all_are_at_the_revision() {
    let hub = Hub::current();
    let tip = hub.commit();
    hub.compares_with(&tip);
    let told = hub.run(&["wait", "--revision", "main"]);
    assert_eq!(told.code, 0, "{told}");
    let asked = hub.asked();
    assert_eq!(asked[0], "root");
    assert_eq!(asked.len(), hub.desired().len(), "each is asked once: {asked:?}");
}

#[test]
fn a_later_commit_counts_and_an_earlier_one_does_not() {
    let hub = Hub::current();
    let first = hub.tip();
    hub.commit();
    hub.compares_with(&first);
    let told = hub.run(&["wait", "--timeout", "1s"]);
    assert_eq!(told.code, 7, "{told}");
    assert!(told.err.contains("root: waiting: it is at "), "{told}");
    assert!(told.err.contains("error: 33 Applications are not synced and healthy in time"), "{told}");
    assert_eq!(hub.asked(), ["root"], "the others change by it");
    assert_eq!(hub.run(&["wait", "--revision", &first]).code, 0);
    hub.compares_with(&hub.tip());
    assert_eq!(hub.run(&["wait", "--revision", &first]).code, 0);
}

#[test]
fn an_application_that_is_not_there_yet_is_waited_for() {
    let hub = Hub::current();
    let missing = hub.server.get(APPLICATIONS, "argocd", "app-cert-manager").unwrap();
    hub.server.remove(APPLICATIONS, "argocd", "app-cert-manager");
    let tip = hub.commit();
    hub.server.react(move |written| {
        let mut made = vec![(APPLICATIONS, compared(written, &tip))];
        // The root brings in the ApplicationSet, which makes the Application.
        if written["metadata"]["name"] == "root" {
            made.push((APPLICATIONS, compared(&missing, &tip)));
        }
        made
    });
    let told = hub.run(&["wait"]);
    assert_eq!(told.code, 0, "{told}");
    assert!(told.err.contains("app-cert-manager: waiting: ApplicationSet app has not made it yet"), "{told}");
}

#[test]
fn wait_ends_at_once_on_what_will_not_heal() {
    let hub = Hub::current();
    let tip = hub.commit();
    hub.server.react(move |written| {
        let mut object = compared(written, &tip);
        if object["metadata"]["name"] == "app-keda" {
            object["status"]["sync"]["status"] = json!("Unknown");
            let message =
                "failed to generate manifest: `helm template` failed exit status 1: Error: no such value";
            object["status"]["conditions"] = json!([{ "type": "ComparisonError", "message": message }]);
        }
        vec![(APPLICATIONS, object)]
    });
    let told = hub.run(&["wait", "--group", "app", "--format", "json"]);
    assert_eq!(told.code, 7, "{told}");
    assert!(told.err.contains("app-keda: failed: ComparisonError: failed to generate manifest"), "{told}");
    assert!(
        told.err.contains("error: 1 Application will not become synced and healthy without a change"),
        "{told}"
    );
    assert_eq!(told.json()["state"], "failed");
    assert_eq!(hub.run(&["wait", "--group", "control"]).code, 0, "the other group is not concerned");
}

#[test]
fn a_failure_of_an_earlier_revision_does_not_count() {
    let hub = Hub::current();
    hub.change("app-keda", |it| {
        it["status"]["sync"]["status"] = json!("Unknown");
        it["status"]["conditions"] =
            json!([{ "type": "ComparisonError", "message": "failed exit status 1" }]);
    });
    let tip = hub.commit();
    hub.server.react(move |written| {
        let mut object = compared(written, &tip);
        object["status"].as_object_mut().unwrap().remove("conditions");
        vec![(APPLICATIONS, object)]
    });
    let told = hub.run(&["wait"]);
    assert_eq!(told.code, 0, "{told}");
}

#[test]
fn lists_that_expire_and_connections_that_end_change_nothing() {
    let hub = Hub::current();
    let tip = hub.commit();
    hub.compares_with(&tip);
    hub.server.trouble(Trouble { cut: 3, watch_events: Some(3), ..Trouble::default() });
    let told = hub.run(&["wait", "--timeout", "60s"]);
    assert_eq!(told.code, 0, "{told}");
}

#[test]
fn without_the_right_to_ask_wait_says_so_and_goes_on() {
    let hub = Hub::current();
    hub.commit();
    hub.server.trouble(Trouble { forbidden: vec!["patch"], ..Trouble::default() });
    let told = hub.run(&["wait", "--timeout", "1s"]);
    assert_eq!(told.code, 7, "{told}");
    assert!(told.err.contains("Argo CD notices the revision in its own time"), "{told}");
    assert_eq!(hub.asked(), ["root"], "it is not asked again");
}

#[test]
fn a_cluster_that_is_not_reached_or_refuses_is_named_with_what_to_do() {
    let hub = Hub::current();
    // Which of the two lists is refused first is no matter.
    let shown = |arguments: &[&str]| {
        hub.run(arguments)
            .to_string()
            .replace("ApplicationSets", "Applications")
            .replace("applicationsets", "applications")
    };
    assert_snapshot!(shown(&["status", "--context", "other"]), @"
    ! error: no context of the kubeconfig is called `other`
    !   hint: list the contexts with `kubectl config get-contexts`
    => 2
    ");
    assert_snapshot!(shown(&["wait", "--group", "canary"]), @"
    ! error: there is no group `canary`
    !   hint: the groups are `control`, `app`
    => 2
    ");
    hub.server.trouble(Trouble { forbidden: vec!["list"], ..Trouble::default() });
    assert_snapshot!(shown(&["status"]), @r#"
    ! error: failed to list Applications in namespace `argocd` (http://hub/): applications is forbidden: User "ann" cannot list resource "applications"
    !   hint: give the user of the context, or the account of the pod, that right by a Role in this namespace
    => 7
    "#);
    hub.server.trouble(Trouble { status: Some(401), ..Trouble::default() });
    assert_snapshot!(shown(&["status"]), @"
    ! error: failed to list Applications in namespace `argocd` (http://hub/): the server is in trouble
    !   hint: log in again, or check the user of the context
    => 7
    ");
    hub.server.trouble(Trouble { status: Some(404), ..Trouble::default() });
    assert_snapshot!(shown(&["status"]), @"
    ! error: failed to list Applications in namespace `argocd` (http://hub/): the server is in trouble
    !   hint: check that Argo CD is installed there, and that `--context` names the hub
    => 7
    ");
    // What is around the fault may be a credential.
    fs::write(hub.kubeconfig(), "users: [{name: ann, user: {token: the-token-of-ann}]").unwrap();
    assert_snapshot!(shown(&["status"]), @"
    ! error: failed to find a cluster: the kubeconfig is not valid at line 1, column 9
    !   hint: name the kubeconfig in `KUBECONFIG`, and a context in it with `--context NAME`
    => 2
    ");
    fs::write(hub.kubeconfig(), "\n").unwrap();
    assert_snapshot!(shown(&["status"]), @"
    ! error: failed to find a cluster: failed to determine current context
    !   hint: name a context with `--context NAME`, and check that `KUBECONFIG` names a kubeconfig that has one
    => 2
    ");
    fs::remove_file(hub.kubeconfig()).unwrap();
    let told = shown(&["status"]).replace(hub.folder.path().to_str().unwrap(), "<folder>");
    assert_snapshot!(told, @r#"
    ! error: failed to find a cluster: failed to read kubeconfig from '"<folder>/config"': No such file or directory (os error 2)
    !   hint: name the kubeconfig in `KUBECONFIG`, and a context in it with `--context NAME`
    => 2
    "#);
}

/// Lets Applications be deployed where they are described, and returns an address at which nothing listens.
fn away(hub: &Hub) -> String {
    for (name, desired) in hub.desired() {
        let is_on_spoke = desired.set.as_deref() == Some("app");
        let destination = if is_on_spoke { "app" } else { "in-cluster" };
        hub.change(&name, |it| it["spec"]["destination"] = json!({ "name": destination }));
    }
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

/// Registers a cluster with Argo CD.
fn register(hub: &Hub, name: &str, server: &str) {
    let data = |text: &str| json!(STANDARD.encode(text));
    let config = data(r#"{"bearerToken": "the-token-of-argo-cd", "tlsClientConfig": {"insecure": true}}"#);
    let metadata = json!({
        "name": format!("cluster-{name}"), "namespace": "argocd",
        "labels": { "argocd.argoproj.io/secret-type": "cluster" },
    });
    let data = json!({ "name": data(name), "server": data(server), "config": config });
    hub.server.put("api/v1/secrets", json!({ "metadata": metadata, "data": data }));
}

#[test]
fn a_cluster_whose_api_server_does_not_answer_is_never_done() {
    let hub = Hub::current();
    let gone = away(&hub);
    hub.compares_with(&hub.tip());
    register(&hub, "app", &gone);
    let told = hub.run(&["status"]);
    assert!(told.out.contains("control: 17 of 17 Applications done"), "{told}");
    assert!(told.out.contains("app: 1 of 16 Applications done on 1 cluster, 15 waiting"), "{told}");
    assert!(
        told.out.contains("the API server of app does not answer: failed to ask for the version"),
        "{told}"
    );
    let told = hub.run(&["wait", "--timeout", "1s", "--group", "app"]);
    assert_eq!(told.code, 7, "{told}");
    assert!(told.err.contains("app-keda: waiting: the API server of app does not answer"), "{told}");
    assert_eq!(hub.run(&["wait", "--timeout", "20s", "--group", "control"]).code, 0, "that is another group");
    register(&hub, "app", &hub.server.url());
    let told = hub.run(&["wait", "--timeout", "20s", "--group", "app"]);
    assert_eq!(told.code, 0, "{told}");
    assert!(hub.server.requests().iter().any(|request| request == "GET /version"));
}

#[test]
fn a_context_with_the_name_of_a_cluster_says_where_it_is_and_goes_before_its_registration() {
    let hub = Hub::current();
    let gone = away(&hub);
    register(&hub, "app", &hub.server.url());
    let more = format!(
        "{}clusters: [{{name: c, cluster: {{server: '{}'}}}}, {{name: app, cluster: {{server: '{gone}'}}}}]\n\
         contexts: [{{name: hub, context: {{cluster: c, user: ann}}}}, {{name: app, context: {{cluster: app}}}}]\n",
        hub.server
            .kubeconfig()
            .lines()
            .filter(|line| !line.starts_with(['c']))
            .collect::<Vec<_>>()
            .join("\n")
            + "\n",
        hub.server.url(),
    );
    fs::write(hub.kubeconfig(), more).unwrap();
    let told = hub.run(&["status", "--context", "hub"]);
    assert!(told.out.contains("app: 1 of 16 Applications done on 1 cluster, 15 waiting"), "{told}");
}

#[test]
fn a_cluster_whose_registration_may_not_be_read_is_not_asked() {
    let hub = Hub::current();
    away(&hub);
    assert_eq!(hub.run(&["wait", "--timeout", "20s"]).code, 0, "nothing is known of where it is");
}

#[test]
fn a_set_that_lags_is_asked_to_make_its_applications_again() {
    let hub = Hub::current();
    let keda = hub.server.get(APPLICATIONS, "argocd", "app-keda").unwrap();
    hub.server.remove(APPLICATIONS, "argocd", "app-keda");
    hub.server.react(move |written| {
        let is_set =
            written["metadata"]["annotations"]["argocd.argoproj.io/application-set-refresh"] == "true";
        if is_set { vec![(APPLICATIONS, keda.clone())] } else { Vec::new() }
    });
    let told = hub.run(&["wait", "--timeout", "20s"]);
    assert_eq!(told.code, 0, "{told}");
    assert_eq!(hub.asked(), ["app"], "the ApplicationSet, and nothing else");
}

#[test]
fn a_hub_that_does_not_answer_at_all_ends_the_wait_with_its_time() {
    let hub = Hub::current();
    let gone = away(&hub);
    fs::write(hub.kubeconfig(), hub.server.kubeconfig().replace(&hub.server.url(), &gone)).unwrap();
    let told = hub.run(&["wait", "--timeout", "1s"]);
    assert_eq!(told.code, 7, "{told}");
    assert!(told.err.contains("error: failed to list Application"), "{told}");
    assert!(told.err.contains("hint: check that the API server runs and can be reached from here"), "{told}");
}

#[test]
fn a_hub_that_answers_nothing_holds_up_no_stop() {
    let hub = Hub::current();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    fs::write(hub.kubeconfig(), hub.server.kubeconfig().replace(&hub.server.url(), &silent)).unwrap();
    for command in [["status"].as_slice(), &["prune"], &["wait"]] {
        let mut command = hub.repo.command(command);
        command.env("KUBECONFIG", hub.kubeconfig()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = command.spawn().unwrap();
        let _connection = listener.accept().unwrap();
        let sent = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let told = hub.repo.told(running.wait_with_output().unwrap());
        assert!(told.err.contains("stopped before it was complete"), "{command:?}: {told}");
    }
}

#[test]
fn a_revision_without_rendered_files_is_named() {
    let hub = Hub::current();
    hub.repo.git(&["rm", "-rq", "argocd-apps"]);
    hub.repo.commit("Remove what is rendered");
    assert_snapshot!(hub.run(&["status"]), @"
    ! error: there are no Applications below `argocd-apps` at <tip>
    !   hint: name a revision after the first rendered files were merged
    => 2
    ");
    hub.repo.write("argocd-apps/control/root.yaml", "a: [");
    hub.repo.commit("Break a file");
    assert_snapshot!(hub.run(&["status"]), @"
    ! argocd-apps/control/root.yaml:1:1: the rendered file is not YAML
    !   hint: merge the next pull request of Fleetwright, or commit what `fleetwright render` writes
    ! error: 1 problem in revision `<tip>`
    !   hint: name a revision without problems, or fix them there first
    => 4
    ");
}

/// What is left over: an add-on that was turned off, and all of a cluster that was removed.
fn with_leftovers() -> Hub {
    let hub = Hub::current();
    let copy = |of: &str, name: &str| {
        let mut object = hub.server.get(APPLICATIONS, "argocd", of).unwrap();
        object["metadata"]["name"] = json!(name);
        object
    };
    let mut minio = copy("app-velero", "app-minio");
    minio["spec"]["destination"] = json!({ "name": "app" });
    minio["status"]["operationState"] = json!({ "phase": "Running", "retryCount": 9 });
    let mut web = copy("app-velero", "gone-web");
    web["metadata"]["ownerReferences"] = json!([{ "kind": "ApplicationSet", "name": "gone" }]);
    let mut root = copy("app-root", "gone-root");
    root["spec"]["sources"][0]["path"] = json!("argocd-apps/gone");
    for object in [minio, web, root] {
        hub.server.put(APPLICATIONS, object);
    }
    let labels = json!({ "app.kubernetes.io/managed-by": "fleetwright" });
    hub.server.put(SETS, json!({ "metadata": { "name": "gone", "namespace": "argocd", "labels": labels } }));
    hub.change("root", |it| {
        it["status"]["sync"]["status"] = json!("OutOfSync");
        it["status"]["resources"] = json!([{
            "group": "argoproj.io", "kind": "AppProject", "namespace": "argocd", "name": "gone",
            "status": "OutOfSync", "requiresPruning": true,
        }]);
    });
    hub
}

/// Argo CD deletes what an Application deployed once no sync runs, and prunes what it is asked to.
fn deletes(written: &Value) -> Vec<(&'static str, Value)> {
    let mut object = written.clone();
    if object["operation"]["sync"]["prune"] == true {
        object["operation"] = Value::Null;
        object["status"]["resources"] = json!([]);
        return vec![(APPLICATIONS, object)];
    }
    if object["metadata"]["deletionTimestamp"].is_string()
        && object["status"]["operationState"]["phase"] != "Running"
    {
        object["metadata"]["finalizers"] = json!([]);
        return vec![(APPLICATIONS, object)];
    }
    Vec::new()
}

/// Returns the digest that a plan names.
fn digest(told: &Told) -> String {
    told.out.rsplit_once(' ').unwrap().1.chars().take_while(char::is_ascii_hexdigit).collect()
}

#[test]
fn where_nothing_is_left_over_nothing_is_removed() {
    let hub = Hub::current();
    assert_snapshot!(hub.run(&["prune", "--confirm", "1234"]), @"
    nothing is left over
    => 0
    ");
}

#[test]
fn a_plan_is_shown_and_nothing_is_removed_until_it_is_confirmed() {
    let hub = with_leftovers();
    let told = hub.run(&["prune"]);
    let digest = digest(&told);
    assert_snapshot!(told.to_string().replace(&digest, "<digest>"), @"
    git no longer wants these, which are removed in this order:
      ApplicationSet gone, without its Applications
      Application app-minio on app; what it deployed stays
      Application gone-web; what it deployed stays
      Application gone-root, with what the hub holds for the cluster
      AppProject gone
    remove them with `fleetwright prune --confirm <digest>`
    => 0
    ");
    let other = hub.run(&["prune", "--resources", "delete", "--confirm", &digest]);
    assert_eq!(other.code, 2, "what is deleted is part of the plan: {other}");
    let requests = hub.server.requests();
    assert!(requests.iter().all(|request| request.starts_with("GET ")), "{requests:?}");
    assert_eq!(hub.run(&["status"]).code, 0);
}

#[test]
fn what_is_left_over_is_removed_in_a_safe_order_and_what_it_deployed_is_kept() {
    let hub = with_leftovers();
    hub.server.react(deletes);
    let digest = digest(&hub.run(&["prune"]));
    assert_snapshot!(hub.run(&["prune", "--confirm", &digest, "--timeout", "60s"]), @"
    removed 5 objects
    ! removed ApplicationSet gone, without its Applications
    ! removed Application app-minio on app; what it deployed stays
    ! removed Application gone-web; what it deployed stays
    ! removed Application gone-root, with what the hub holds for the cluster
    ! removed AppProject gone
    => 0
    ");
    let deleted: Vec<_> = hub.server.requests().into_iter().filter(|it| it.starts_with("DELETE ")).collect();
    assert!(
        deleted[0].ends_with("/applicationsets/gone"),
        "what would make them again goes first: {deleted:?}"
    );
    assert_snapshot!(hub.run(&["prune"]), @"
    nothing is left over
    => 0
    ");
}

#[test]
fn what_was_deployed_is_deleted_on_request_although_a_sync_never_ends() {
    let hub = with_leftovers();
    hub.server.react(deletes);
    let digest = digest(&hub.run(&["prune", "--resources", "delete"]));
    let told = hub.run(&["prune", "--resources", "delete", "--confirm", &digest, "--timeout", "60s"]);
    assert_eq!(told.code, 0, "{told}");
    assert!(told.err.contains("removed Application app-minio on app, with all that it deployed"), "{told}");
}

#[test]
fn what_cannot_be_removed_in_time_is_named() {
    let hub = with_leftovers();
    let digest = digest(&hub.run(&["prune", "--resources", "delete"]));
    let told = hub.run(&["prune", "--resources", "delete", "--confirm", &digest, "--timeout", "1s"]);
    assert_eq!(told.code, 7, "{told}");
    assert!(told.err.contains("left: Application app-minio on app, with all that it deployed"), "{told}");
    assert!(told.err.contains("start it again, and it goes on where it was"), "{told}");
}
