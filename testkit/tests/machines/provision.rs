//! Everything from nothing, by `provision-all`. What comes after the machines is a stand-in here: programs that are called.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use testkit::program::write_script;

use crate::databases;
use crate::world::{Counts, PASSWORD, World, has_terraform};

const APP: Counts = Counts { control_planes: 1, workers: 2 };
const CONTROL: Counts = Counts { control_planes: 2, workers: 0 };
/// How often it is killed.
const KILLS: u64 = 10;
/// Writes down that it is called, and does what others wait for.
const STAND_IN: &str = "#!/usr/bin/env bash\n\
    printf '%s\\n' \"$(basename \"$0\") $*\" >>\"$CALLED\"\n\
    case \"$(basename \"$0\") $*\" in\n\
      'fleetwright charts list') echo 'argo-cd 10.1.1 from https://charts.example.com' ;;\n\
      'fleetwright kubeconfig merge '*) cat >\"$CALLED.$3\" ;;\n\
      'fleetwright render '*) rm -rf \"$5\" && mkdir -p \"$5\" && cp -R small/. \"$5/\" ;;\n\
    esac\n";

fn world() -> World {
    let mut world = World::new();
    databases::render(&world);
    world.render_at("control", "192.168.64.10:6443", CONTROL);
    world.render_at("app", "192.168.64.30:6443", APP);
    for path in ["control/argo-cd/values.yaml", "control/root.yaml", "app/root.yaml"] {
        world.write(&format!("argocd-apps/{path}"), "{}\n");
    }
    let chart = json!({
        "name": "operator", "namespace": "network", "release": "pods", "repository": "https://network.example.com", "version": "v3.1.0",
    });
    world.write("infra/clusters/app/cni/chart.json", &serde_json::to_string_pretty(&chart).unwrap());
    world.write("infra/clusters/app/cni/values.yaml", "{}\n");
    for program in ["kubectl", "helm", "fleetwright"] {
        write_script(world.path(&format!("bin/{program}")), STAND_IN);
    }
    world.variables = vec![("MYSQL_PASSWORD", PASSWORD), ("REDIS_PASSWORD", PASSWORD)];
    world
}

fn command(world: &World, script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(world.path(&format!("infra/scripts/{script}")));
    world.prepare(command.args(arguments));
    command.env("CALLED", world.path("called"));
    command
}

fn succeeds(world: &World) -> String {
    let output = command(world, "provision-all", &[]).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    log
}

fn assert_whole(world: &World) {
    let host = world.host();
    let names = [
        "app-control-plane-1",
        "app-worker-1",
        "app-worker-2",
        "control-control-plane-1",
        "control-control-plane-2",
    ];
    assert_eq!(host.instances.keys().collect::<Vec<_>>(), [&names[..], &["mysql", "redis"]].concat());
    assert!(host.instances.values().all(|instance| instance.is_initialized && instance.state == "Running"));
    let nodes: Vec<_> = host.clusters.values().flat_map(|cluster| cluster.nodes.keys()).collect();
    assert_eq!(nodes.len(), names.len());
    assert_eq!(host.instances["redis"].password.as_deref(), Some(PASSWORD));
    for cluster in ["app", "control"] {
        assert!(
            fs::read_to_string(world.path(&format!("called.{cluster}")))
                .unwrap()
                .contains("kubernetes-admin")
        );
    }
}

#[test]
fn everything_comes_from_nothing_in_order_and_again_nothing_changes() {
    if !has_terraform() {
        return;
    }
    let world = world();
    let log = succeeds(&world);
    assert_whole(&world);
    for line in [
        "[1/8] the machines outside the clusters",
        "[2/8] control: its machines",
        "[8/8] all of it is synced",
    ] {
        assert!(log.contains(line), "no `{line}` in {log}");
    }
    let called = fs::read_to_string(world.path("called")).unwrap();
    let order = [
        "fleetwright kubeconfig merge control",
        "helm --kube-context control upgrade --install argocd argo-cd --repo https://charts.example.com --version 10.1.1",
        "kubectl --context control apply --filename ./argocd-apps/control/root.yaml",
        "helm --kube-context app upgrade --install pods operator --repo https://network.example.com --version v3.1.0",
        "fleetwright register-cluster app",
        "fleetwright wait --context control",
    ];
    let at = order.map(|line| called.find(line).unwrap_or_else(|| panic!("no `{line}` in {called}")));
    assert!(at.is_sorted(), "{called}");
    assert!(!called.contains("helm --kube-context app upgrade --install argocd"), "{called}");

    let before = world.host().calls;
    succeeds(&world);
    let changing = ["launch", "delete", "stop", "set", "start"];
    let later = world.host().calls.split_off(before.len());
    assert!(!later.iter().any(|call| changing.contains(&call[0].as_str())), "{later:?}");
}

/// What is rendered in a profile: fewer machines, and another branch that Argo CD reads.
fn render_small(world: &World, branch: &str) {
    for (folder, (endpoint, counts)) in [
        ("app", ("192.168.64.30:6443", Counts { control_planes: 1, workers: 1 })),
        ("control", ("192.168.64.10:6443", Counts { control_planes: 1, workers: 0 })),
    ] {
        world.render_at(folder, endpoint, counts);
        let root = format!("spec:\n  source:\n    targetRevision: {branch}\n");
        world.write(&format!("small/argocd-apps/{folder}/root.yaml"), &root);
    }
    world.write("small/argocd-apps/control/argo-cd/values.yaml", "{}\n");
    let infra = world.path("small/infra");
    fs::create_dir_all(&infra).unwrap();
    for folder in ["clusters", "fleet"] {
        let from = world.path(&format!("infra/{folder}"));
        assert!(Command::new("cp").arg("-R").arg(from).arg(&infra).status().unwrap().success());
    }
    world.render_at("control", "192.168.64.10:6443", CONTROL);
    world.render_at("app", "192.168.64.30:6443", APP);
}

fn git(world: &World, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(world.path(".")).args(["-c", "user.name=A", "-c", "user.email=a@example.com"]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn with_a_profile_all_of_it_is_made_as_that_says_and_what_is_published_stays() {
    if !has_terraform() {
        return;
    }
    let world = world();
    for cluster in ["control", "app"] {
        world.write(
            &format!("argocd-apps/{cluster}/root.yaml"),
            "spec:\n  source:\n    targetRevision: main\n",
        );
    }
    render_small(&world, "small");
    world.write(
        ".gitignore",
        "/infra/profiles/\n/small/\n/bin/\n/called*\n/upstream/\n.terraform/\n.machines/\n*.tfstate*\n",
    );
    world.write("environments/app.yaml", "role: app\n");
    git(&world, &["init", "--quiet", "--bare", "upstream"]);
    git(&world, &["init", "--quiet", "--initial-branch", "main"]);
    git(&world, &["remote", "add", "origin", "./upstream"]);
    git(&world, &["config", "user.name", "A"]);
    git(&world, &["config", "user.email", "a@example.com"]);
    git(&world, &["add", "."]);
    git(&world, &["commit", "--quiet", "-m", "Start"]);
    git(&world, &["push", "--quiet", "origin", "main"]);
    let provision = || {
        let output = command(&world, "provision-all", &["--profile", "small"]).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (is_success, log) = provision();
    assert!(is_success && log.contains("[1/9] profile small"), "{log}");
    let names = ["app-control-plane-1", "app-worker-1", "control-control-plane-1", "mysql", "redis"];
    assert_eq!(world.instances(), names);
    let called = fs::read_to_string(world.path("called")).unwrap();
    for line in [
        "fleetwright render --profile small --out infra/profiles/small --prune",
        "kubectl --context control apply --filename infra/profiles/small/argocd-apps/control/root.yaml",
        "fleetwright register-cluster app --profile small",
        "fleetwright wait --context control --timeout 60m --revision small",
    ] {
        assert!(called.contains(line), "no `{line}` in {called}");
    }
    let read = |path: &str| git(&world, &["show", &format!("refs/remotes/origin/{path}")]);
    git(&world, &["fetch", "--quiet", "origin"]);
    assert!(read("small:argocd-apps/app/root.yaml").contains("targetRevision: small"));
    assert!(!read("small:infra/clusters/app/terraform.tfvars.json").contains("app-worker-2"));
    assert_eq!(read("small:environments/app.yaml"), "role: app\n");
    assert!(read("main:argocd-apps/app/root.yaml").contains("targetRevision: main"));
    assert_eq!(git(&world, &["status", "--porcelain"]), "");

    let before = git(&world, &["rev-parse", "refs/remotes/origin/small"]);
    assert!(provision().0);
    git(&world, &["fetch", "--quiet", "origin"]);
    assert_eq!(git(&world, &["rev-parse", "refs/remotes/origin/small"]), before, "nothing new is pushed");

    render_small(&world, "main");
    let (is_success, log) = provision();
    assert!(!is_success && log.contains("profile `small` has no branch of its own"), "{log}");
}

#[test]
fn a_machine_that_was_removed_by_hand_is_made_again_and_one_that_is_whole_is_not_removed() {
    if !has_terraform() {
        return;
    }
    let world = world();
    succeeds(&world);
    world.multipass.run(&["delete", "--purge", "app-worker-2"]).unwrap();
    succeeds(&world);
    assert_whole(&world);
    world.render_at("app", "192.168.64.30:6443", Counts { workers: 1, ..APP });
    let refused = command(&world, "provision-all", &[]).output().unwrap();
    let log = String::from_utf8(refused.stderr).unwrap();
    assert!(log.contains("machine `app-worker-2` would be removed") && !refused.status.success(), "{log}");
    assert_whole(&world);
}

#[test]
fn a_hub_is_not_removed_before_its_spokes_and_nothing_is_without_an_answer() {
    if !has_terraform() {
        return;
    }
    let world = world();
    succeeds(&world);
    let uninstall = |names: &[&str], answer: &str| {
        world.write("answer", answer);
        let input = fs::File::open(world.path("answer")).unwrap();
        let output = command(&world, "uninstall", names).stdin(input).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (is_success, log) = uninstall(&["control"], "control\n");
    assert!(!is_success && log.contains("`app` would be without its hub `control`"), "{log}");
    let (is_success, log) = uninstall(&["app"], "yes\n");
    assert!(!is_success && log.contains("nothing was removed"), "{log}");
    assert_whole(&world);
    let (is_success, log) = uninstall(&["databases", "control", "app"], "databases control app\n");
    assert!(is_success, "{log}");
    assert!(world.instances().is_empty());
    let at = |line: &str| log.find(line).unwrap();
    assert!(
        at("app: is removed") < at("control: is removed")
            && at("control: is removed") < at("databases: is removed")
    );
}

#[test]
#[ignore = "takes minutes: `.ci/run infra` runs it"]
fn killed_at_ten_random_moments_it_ends_right() {
    let begun = Instant::now();
    succeeds(&world());
    let whole = begun.elapsed();
    let seed: u64 = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
    eprintln!("seed {seed}, a whole run takes {whole:?}");
    let world = world();
    for kill in 0..KILLS {
        let delay = whole.mul_f64(random(seed + kill) / 2.0);
        let killed = kill_after(&world, delay);
        eprintln!("after {delay:?}: {}", if killed { "killed" } else { "it was over" });
    }
    succeeds(&world);
    assert_whole(&world);
}

/// Returns a number between 0 and 1.
fn random(seed: u64) -> f64 {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from((state >> 32) as u32) / f64::from(u32::MAX)
}

/// Kills it with all that it started, and returns whether it still ran.
fn kill_after(world: &World, delay: Duration) -> bool {
    let mut command = command(world, "provision-all", &[]);
    let mut running = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(delay);
    let runs = running.try_wait().unwrap().is_none();
    World::kill_group(running.id());
    running.wait().unwrap();
    runs
}
