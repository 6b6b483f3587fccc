//! What follows from what Argo CD says: tables over one Application, each from one that is done with one thing changed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use renderer::path::RepoPath;
use renderer::snapshot::{Snapshot, Source, SourceId};
use serde_json::{Value, json};

use super::application::{Application, ApplicationSet, Destination};
use super::desired::{DesiredFleet, HubFleet};
use super::judge::{DEGRADED_FOR, Reach};
use super::rollout::{Observed, Question, Rollout, Silent, destinations, rollout};
use super::show;
use crate::cluster::Kind;

const NEW: &str = "2222222222222222222222222222222222222222";
const OLD: &str = "1111111111111111111111111111111111111111";
const GIT: &str = "https://git.example.com/fleet.git";
const CHARTS: &str = "https://charts.example.com";

/// 2026-01-01 12:00 in UTC.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(490_908)
}

fn snapshot(files: &[(&str, &str)]) -> Snapshot {
    let source = |(at, (path, text)): (usize, &(&str, &str))| {
        let id = SourceId([u8::try_from(at).unwrap(); 20]);
        (RepoPath::parse(path).unwrap(), Source { id, bytes: text.as_bytes().into() })
    };
    files.iter().enumerate().map(source).collect()
}

/// One hub with Loki and one spoke with a web server, as rendered files ask for them.
fn fleet() -> HubFleet {
    let sources = snapshot(&[
        (
            "environments/_fleet.yaml",
            "repository: {url: 'https://git.example.com/fleet.git', branch: main}\n",
        ),
        ("environments/hub.yaml", CLUSTER_HUB),
        ("environments/app.yaml", CLUSTER_APP),
    ]);
    let set = |cluster: &str, addon: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: {cluster}, namespace: argocd}}\n\
             spec:\n  goTemplate: true\n  generators: [{{list: {{elements: [{{name: {addon}}}]}}}}]\n  template:\n\
             \x20   metadata: {{name: '{cluster}-{{{{ .name }}}}'}}\n    spec:\n      sources:\n\
             \x20     - {{repoURL: '{CHARTS}', chart: '{{{{ .name }}}}', targetRevision: 1.0.0}}\n\
             \x20     - {{repoURL: '{GIT}', targetRevision: main, ref: values}}\n"
        )
    };
    let root = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: root, namespace: argocd}}\n\
         spec: {{source: {{repoURL: '{GIT}', targetRevision: main, path: argocd-apps}}}}\n"
    );
    let files = [
        ("argocd-apps/app/applicationset.yaml", set("app", "web")),
        ("argocd-apps/hub/applicationset.yaml", set("hub", "loki")),
        ("argocd-apps/hub/root.yaml", root),
    ];
    let files = files.map(|(path, text)| (RepoPath::parse(path).unwrap(), text.into_bytes().into()));
    DesiredFleet::read(&sources, &files).unwrap().hubs.remove(0)
}

const CLUSTER_HUB: &str = "role: control\nnetworks: {pods: 10.1.0.0/16, services: 10.2.0.0/16}\n";
const CLUSTER_APP: &str = "role: app\nhub: hub\nnetworks: {pods: 10.3.0.0/16, services: 10.4.0.0/16}\n";

/// An Application that is Synced at the wanted revision and Healthy.
fn done(name: &str, chart: &str) -> Value {
    let sources = json!([
        { "repoURL": CHARTS, "chart": chart, "targetRevision": "1.0.0" },
        { "repoURL": GIT, "targetRevision": "main", "ref": "values" },
    ]);
    json!({
        "metadata": { "name": name, "namespace": "argocd", "resourceVersion": "1" },
        "spec": { "sources": sources, "destination": { "name": "app" }, "syncPolicy": { "automated": { "prune": true } } },
        "status": {
            "sync": { "status": "Synced", "revisions": ["1.0.0", NEW], "comparedTo": { "sources": sources } },
            "health": { "status": "Healthy", "lastTransitionTime": "2026-01-01T09:00:00Z" },
            "operationState": {
                "phase": "Succeeded", "finishedAt": "2026-01-01T09:00:00Z",
                "syncResult": { "revisions": ["1.0.0", NEW] },
            },
        },
    })
}

fn root() -> Value {
    let source = json!({ "repoURL": GIT, "targetRevision": "main", "path": "argocd-apps" });
    let mut root = done("root", "");
    root["spec"] = json!({ "source": source, "syncPolicy": { "automated": {} } });
    root["status"]["sync"] =
        json!({ "status": "Synced", "revision": NEW, "comparedTo": { "source": source } });
    root
}

fn objects<K: Kind>(objects: &[Value]) -> BTreeMap<crate::cluster::Key, K> {
    let read = |object: &Value| serde_json::from_value::<K>(object.clone()).unwrap();
    objects.iter().map(read).map(|object| (object.key(), object)).collect()
}

fn reach(commit: &str) -> Reach {
    match commit {
        NEW => Reach::Reached,
        OLD => Reach::Before,
        _ => Reach::Unknown,
    }
}

fn of(applications: &[Value], sets: &[Value]) -> Rollout {
    let (fleet, applications, sets) =
        (fleet(), objects::<Application>(applications), objects::<ApplicationSet>(sets));
    let question = Question { fleet: &fleet, revision: "2222222", silent: &Silent::default(), now: now() };
    rollout(question, Observed { applications: &applications, sets: &sets }, reach)
}

/// An edit of an Application.
type Change = fn(&mut Value);

/// Changes one Application that is done, and returns what becomes of it.
fn after(change: impl Fn(&mut Value)) -> String {
    let mut changed = done("app-web", "web");
    change(&mut changed);
    let rollout = of(&[root(), done("hub-loki", "loki"), changed], &[]);
    let state = rollout.applications.iter().find(|it| it.key.name == "app-web").unwrap();
    format!("{}: {}", state.state.word(), state.reason.as_deref().unwrap_or("-"))
}

#[test]
fn what_is_synced_at_the_revision_and_healthy_is_done() {
    assert_eq!(after(|_| {}), "done: -");
    let all = of(&[root(), done("hub-loki", "loki"), done("app-web", "web")], &[]);
    assert_snapshot!(show::text(&all, now(), false), @"
    control: 2 of 2 Applications done on 1 cluster
    app: 1 of 1 Application done on 1 cluster
    ");
}

#[test]
fn nothing_counts_that_argo_cd_said_of_something_else() {
    let table: [(&str, Change, &str); 10] = [
        (
            "an older revision, though Healthy",
            |it| it["status"]["sync"]["revisions"][1] = json!(OLD),
            "waiting: it is at 1111111 and not yet at 2222222",
        ),
        (
            "a commit that is not here",
            |it| it["status"]["sync"]["revisions"][1] = json!("3".repeat(40)),
            "waiting: it is at 3333333, a commit that is not known here",
        ),
        (
            "no revision at all",
            |it| it["status"]["sync"]["revisions"] = json!([]),
            "waiting: Argo CD does not say which revision it is at",
        ),
        (
            "a refresh that was requested and not made",
            |it| it["metadata"]["annotations"] = json!({ "argocd.argoproj.io/refresh": "normal" }),
            "waiting: Argo CD has not compared it since that was requested",
        ),
        (
            "a chart that git has replaced",
            |it| it["spec"]["sources"][0]["targetRevision"] = json!("0.9.0"),
            "waiting: it is not yet made of the charts and the repository that git names",
        ),
        (
            "a comparison with the chart of before",
            |it| it["status"]["sync"]["comparedTo"]["sources"][0]["targetRevision"] = json!("0.9.0"),
            "waiting: Argo CD has not compared it since it changed",
        ),
        (
            "a deletion",
            |it| it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
            "waiting: it is being deleted",
        ),
        (
            "a sync that is about to start",
            |it| it["operation"] = json!({ "sync": {} }),
            "progressing: a sync starts",
        ),
        ("no comparison yet", |it| it["status"] = json!({}), "waiting: Argo CD has not compared it yet"),
        (
            "a difference that a sync puts right",
            |it| {
                it["status"]["sync"]["status"] = json!("OutOfSync");
                it["status"]["resources"] = json!([
                    { "kind": "Service", "namespace": "web", "name": "web", "status": "OutOfSync" },
                    { "kind": "Service", "namespace": "web", "name": "other", "status": "Synced" },
                ]);
            },
            "waiting: a sync is due: Service web/web differs from git",
        ),
    ];
    for (what, change, expected) in table {
        assert_eq!(after(change), expected, "{what}");
    }
}

fn condition(kind: &str, message: &str) -> impl Fn(&mut Value) {
    move |it| {
        it["status"]["sync"]["status"] = json!("Unknown");
        it["status"]["conditions"] = json!([{ "type": kind, "message": message }]);
    }
}

#[test]
fn an_error_of_a_comparison_is_final_if_only_git_can_change_it() {
    let helm = "Failed to load target state: failed to generate manifest for source 1 of 2: rpc error: code = Unknown desc = \
                `helm template . --name-template web` failed exit status 1: Error: values don't meet the specifications";
    let shown = "ComparisonError: Failed to load target state: failed to generate manifest for source 1 of 2: rpc error: \
                 code = Unknown desc = `helm template . --name-template web` failed exit status 1: Error: values don't meet \
                 the specifications";
    assert_eq!(after(condition("ComparisonError", helm)), format!("failed: {shown}"));
    let passing = [
        "failed to fetch chart: dial tcp 10.0.0.1:443: connect: connection refused",
        "`helm template .` failed exit status 1: Error: Get \"https://x\": net/http: TLS handshake timeout",
        "rpc error: code = Unavailable desc = connection error",
    ];
    for message in passing {
        assert!(after(condition("ComparisonError", message)).starts_with("waiting: "), "{message}");
    }
    let unknown = "application destination can't have both: there are no clusters with this name: app";
    assert!(after(condition("InvalidSpecError", unknown)).starts_with("waiting: InvalidSpecError: "));
}

fn syncing(at: &str, retries: i64, message: &str) -> impl Fn(&mut Value) {
    move |it| {
        let result = json!({ "kind": "Deployment", "namespace": "web", "name": "web", "status": "SyncFailed", "message": message });
        it["status"]["sync"]["status"] = json!("OutOfSync");
        it["status"]["operationState"] = json!({
            "phase": "Running", "retryCount": retries, "message": "one or more objects failed to apply",
            "syncResult": { "revisions": ["1.0.0", at], "resources": [result] },
        });
    }
}

#[test]
fn a_sync_that_is_tried_without_end_fails_once_it_fails_the_same_way_again_and_again() {
    let invalid = "Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1";
    assert_eq!(
        after(syncing(NEW, 1, invalid)),
        format!("progressing: syncing: Deployment web/web: {invalid}")
    );
    assert_eq!(
        after(syncing(NEW, 3, invalid)),
        format!("failed: sync fails again and again: Deployment web/web: {invalid}")
    );
    // What is wrong at an older revision may be right at this one.
    assert_eq!(
        after(syncing(OLD, 3, invalid)),
        format!("progressing: syncing: Deployment web/web: {invalid}")
    );
    let other = after(|it| {
        syncing(OLD, 3, invalid)(it);
        it["status"]["operationState"]["operation"] =
            json!({ "sync": { "sources": [{ "repoURL": "elsewhere" }] } });
    });
    let expected = "failed: its sync is of sources that it no longer has, and has to be ended (`argocd app terminate-op`): \
                    one or more objects failed to apply";
    assert_eq!(other, expected);
    let crd = "the server could not find the requested resource";
    assert!(after(syncing(NEW, 30, crd)).starts_with("progressing: "), "a definition may still come");
}

#[test]
fn a_sync_that_is_not_tried_again_is_final_at_the_revision_and_nowhere_else() {
    let failed = |at: &'static str| {
        move |it: &mut Value| {
            it["status"]["sync"]["status"] = json!("OutOfSync");
            it["status"]["operationState"] = json!({
                "phase": "Failed", "message": "one or more synchronization tasks completed unsuccessfully",
                "syncResult": { "revisions": ["1.0.0", at], "resources": [
                    { "kind": "Job", "namespace": "web", "name": "migrate", "hookPhase": "Failed", "message": "BackoffLimitExceeded" },
                ] },
            });
        }
    };
    let expected = "failed: sync failed and is not tried again: Job web/migrate: BackoffLimitExceeded";
    assert_eq!(after(failed(NEW)), expected);
    assert_eq!(after(failed(OLD)), "waiting: a sync is due: it differs from git");
}

#[test]
fn a_difference_that_no_sync_removes_is_final() {
    let healing = |attempts: i64| {
        move |it: &mut Value| {
            it["status"]["sync"]["status"] = json!("OutOfSync");
            it["status"]["operationState"]["operation"] =
                json!({ "sync": { "autoHealAttemptsCount": attempts } });
        }
    };
    assert!(after(healing(4)).starts_with("waiting: "));
    let expected = "failed: 5 syncs in a row succeeded and changed nothing: it differs from git";
    assert_eq!(after(healing(5)), expected);
    let by_hand = after(|it| {
        it["status"]["sync"]["status"] = json!("OutOfSync");
        it["spec"]["syncPolicy"] = json!({});
    });
    assert_eq!(by_hand, "failed: it is not synced automatically: it differs from git");
}

#[test]
fn a_health_counts_by_how_long_it_lasts() {
    let health = |status: &'static str, ago: Duration| {
        move |it: &mut Value| {
            let since = jiff::Timestamp::try_from(now() - ago).unwrap();
            it["status"]["health"] = json!({ "status": status, "lastTransitionTime": since.to_string() });
            it["status"]["resources"] = json!([{
                "kind": "Deployment", "namespace": "web", "name": "web", "status": "Synced",
                "health": { "status": status, "message": "exceeded its\nprogress deadline" },
            }]);
        }
    };
    let (brief, long) = (Duration::from_secs(10), DEGRADED_FOR);
    let why = "Deployment web/web: exceeded its progress deadline";
    assert_eq!(after(health("Degraded", brief)), format!("progressing: it is Degraded: {why}"));
    assert_eq!(after(health("Degraded", long)), format!("failed: it is Degraded: {why}"));
    assert_eq!(after(health("Progressing", long)), format!("progressing: it becomes healthy: {why}"));
    assert!(after(health("Suspended", long)).starts_with("progressing: it is Suspended"));
    assert!(after(health("Missing", long)).starts_with("waiting: objects are missing"));
    assert!(after(health("Something", long)).starts_with("waiting: its health is not known"));
    let just_synced = after(|it| {
        health("Degraded", long)(it);
        it["status"]["operationState"]["finishedAt"] = json!("2026-01-01T11:59:50Z");
    });
    assert!(just_synced.starts_with("progressing: "), "the sync may have put it right: {just_synced}");
}

#[test]
fn what_is_not_there_yet_is_waited_for_with_the_reason() {
    let set = |conditions: Value| {
        json!({
            "metadata": { "name": "app", "namespace": "argocd", "labels": { "app.kubernetes.io/managed-by": "fleetwright" } },
            "status": { "conditions": conditions },
        })
    };
    let (ready, error) = (
        json!([{ "type": "ErrorOccurred", "status": "False", "message": "All applications have been generated" }]),
        json!([{ "type": "ErrorOccurred", "status": "True", "message": "there are no clusters with this name: app" }]),
    );
    let reason = |sets: &[Value]| {
        let rollout = of(&[root(), done("hub-loki", "loki")], sets);
        let web = rollout.applications.into_iter().find(|it| it.key.name == "app-web").unwrap();
        format!("{}: {}", web.state.word(), web.reason.unwrap())
    };
    assert_eq!(reason(&[]), "waiting: it is not there, and neither is ApplicationSet app");
    assert_eq!(reason(&[set(ready)]), "waiting: ApplicationSet app has not made it yet");
    let expected = "waiting: ApplicationSet app does not make it: there are no clusters with this name: app";
    assert_eq!(reason(&[set(error)]), expected);
}

#[test]
fn the_root_is_judged_by_its_sync_alone_and_belongs_to_every_group() {
    let mut degraded = root();
    degraded["status"]["health"] = json!({ "status": "Degraded" });
    degraded["status"]["operationState"] =
        json!({ "phase": "Running", "message": "waiting for healthy state" });
    let all = of(&[degraded.clone(), done("hub-loki", "loki"), done("app-web", "web")], &[]);
    assert_eq!(all.state(), super::State::Done, "what it brings in is judged by itself: {all:?}");
    degraded["status"]["sync"]["revision"] = json!(OLD);
    let older = of(&[degraded, done("hub-loki", "loki"), done("app-web", "web")], &[]);
    let app = older.of_group(Some("app"));
    let names: Vec<_> = app.applications.iter().map(|it| it.key.name.as_str()).collect();
    assert_eq!(names, ["root", "app-web"]);
    assert_eq!(app.state(), super::State::Waiting);
}

#[test]
fn what_argo_cd_says_of_a_silent_cluster_is_its_last_word() {
    let on = |name: &str, state: Change| {
        let mut live = done(name, name.split_once('-').unwrap().1);
        live["spec"]["destination"] = json!({ "name": if name == "app-web" { "app" } else { "in-cluster" } });
        state(&mut live);
        live
    };
    let after = |state: Change| {
        let live = objects::<Application>(&[root(), on("hub-loki", |_| {}), on("app-web", state)]);
        let (fleet, sets) = (fleet(), BTreeMap::new());
        let observed = Observed { applications: &live, sets: &sets };
        let spokes = destinations(&fleet, observed, Some("app"));
        assert_eq!(spokes.iter().map(Destination::label).collect::<Vec<_>>(), ["app"]);
        let silent: Silent =
            spokes.into_iter().map(|spoke| (spoke, "app does not answer".to_owned())).collect();
        let question = Question { fleet: &fleet, revision: "2222222", silent: &silent, now: now() };
        let states = rollout(question, observed, reach).applications;
        states.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let table: [(Change, &str); 4] = [
        (|_| {}, "app-web: waiting: app does not answer"),
        (
            |it| it["status"]["health"]["status"] = json!("Progressing"),
            "app-web: waiting: app does not answer",
        ),
        (
            |it| it["metadata"]["annotations"] = json!({ "argocd.argoproj.io/refresh": "normal" }),
            "app-web: waiting: app does not answer",
        ),
        (condition_of_git, "app-web: failed: ComparisonError: failed exit status 1"),
    ];
    for (state, expected) in table {
        assert_eq!(after(state), format!("root: done, hub-loki: done, {expected}"));
    }
}

/// An error that only git can change.
fn condition_of_git(it: &mut Value) {
    condition("ComparisonError", "failed exit status 1")(it);
}

#[test]
fn a_set_lags_as_long_as_an_application_is_not_made_of_what_git_names() {
    let lags = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut live = vec![root(), done("hub-loki", "loki"), done("app-web", "web")];
        change(&mut live);
        let states = of(&live, &[]).applications;
        let names = states.into_iter().filter_map(|it| it.lagging_set).map(|set| set.name);
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(lags(&|_| {}), "");
    assert_eq!(lags(&|live| live.truncate(1)), "hub app");
    assert_eq!(lags(&|live| live[2]["spec"]["sources"][0]["targetRevision"] = json!("0.9.0")), "app");
    assert_eq!(lags(&|live| live[0]["spec"]["source"]["targetRevision"] = json!("other")), "");
}

#[test]
fn what_git_no_longer_wants_is_left_over_and_no_failure() {
    let mut root = root();
    root["status"]["sync"]["status"] = json!("OutOfSync");
    root["status"]["resources"] = json!([
        { "group": "argoproj.io", "kind": "AppProject", "namespace": "argocd", "name": "gone", "status": "OutOfSync", "requiresPruning": true },
        { "group": "argoproj.io", "kind": "ApplicationSet", "namespace": "argocd", "name": "gone", "status": "OutOfSync", "requiresPruning": true },
    ]);
    let mut minio = done("app-minio", "minio");
    minio["metadata"]["ownerReferences"] = json!([{ "kind": "ApplicationSet", "name": "app" }]);
    let mut orphan = done("gone-web", "web");
    orphan["spec"]["sources"][0]["helm"] =
        json!({ "valueFiles": ["$values/argocd-apps/gone/web/values.yaml"] });
    let foreign = done("someone-elses", "web");
    let set = |name: &str| {
        let labels = json!({ "app.kubernetes.io/managed-by": "fleetwright" });
        json!({ "metadata": { "name": name, "namespace": "argocd", "labels": labels } })
    };
    let applications = [root, done("hub-loki", "loki"), done("app-web", "web"), minio, orphan, foreign];
    let all = of(&applications, &[set("app"), set("hub"), set("gone")]);
    assert_eq!(all.state(), super::State::Done);
    assert_snapshot!(show::text(&all, now(), false), @"
    control: 2 of 2 Applications done on 1 cluster
    app: 1 of 1 Application done on 1 cluster

    left over, which git no longer wants (`fleetwright prune` removes it):
      AppProject gone
      Application app-minio on app
      Application gone-web on app
      ApplicationSet gone
    ");
}

#[test]
fn what_a_cluster_says_is_no_markup_and_is_bounded() {
    let hostile = format!("a | b `c` @all\n# d {}", "x".repeat(10_000));
    let mut web = done("app-web", "web");
    condition("ComparisonError", &hostile)(&mut web);
    let all = of(&[root(), done("hub-loki", "loki"), web], &[]);
    let page = show::markdown(&all, now());
    let row = page.lines().find(|line| line.contains("ComparisonError")).unwrap();
    assert!(row.contains("``ComparisonError: a \\| b `c` @all # d xxx"), "{row}");
    assert!(row.len() < 600, "{}", row.len());
}

#[test]
fn an_object_with_anything_in_it_is_read() {
    let odd = json!({
        "metadata": { "name": "x", "namespace": "argocd", "managedFields": [{}] },
        "status": {
            "sync": { "status": "Strange" }, "health": { "status": "Odd", "lastTransitionTime": "yesterday" },
            "resources": (0..1_000).map(|at| json!({ "kind": "A", "name": at.to_string(), "status": "OutOfSync" })).collect::<Vec<_>>(),
            "conditions": [{ "type": "XError", "message": "é".repeat(100_000) }],
        },
    });
    let read: Application = serde_json::from_value(odd).unwrap();
    assert_eq!(read.status.resources.len(), 200);
    assert!(read.status.conditions[0].message.len() < 9_000);
    assert_eq!(read.status.health.last_transition_time, None);
}
