//! A cluster that is made, grown, shrunk, resized and destroyed.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::world::{Counts, World, has_terraform, machine};

const SMALL: Counts = Counts { control_planes: 1, workers: 1 };

#[test]
fn terraform_is_formatted_and_valid_and_every_cluster_has_the_same_root() {
    if !has_terraform() {
        return;
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/terraform");
    let formatted = Command::new("terraform")
        .args(["fmt", "-check", "-recursive", "-diff"])
        .arg(&shipped)
        .output()
        .unwrap();
    assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stdout));
    let root =
        |cluster: &str| fs::read_to_string(shipped.join("clusters").join(cluster).join("main.tf")).unwrap();
    assert_eq!(root("control"), root("app"));
    let world = World::with_cluster(SMALL);
    world.terraform("app", &["validate"]).unwrap();
    world.terraform("databases", &["init"]).unwrap();
    world.write("infra/fleet/terraform.tfvars.json", r#"{"image": "24.04", "machines": []}"#);
    world.terraform("databases", &["validate"]).unwrap();
}

#[test]
fn a_cluster_is_made_and_what_is_there_is_left_alone() {
    if !has_terraform() {
        return;
    }
    let counts = Counts { control_planes: 3, workers: 2 };
    let world = World::with_cluster(counts);
    world.apply("app").unwrap();
    world.assert_whole(counts);
    let host = world.host();
    let worker = &host.instances["app-worker-2"];
    assert_eq!((worker.cpus, worker.memory_bytes, worker.disk_bytes), (2, 8 << 30, 40 << 30));
    assert_eq!(host.instances["app-control-plane-3"].memory_bytes, 4 << 30);
    assert!(worker.cloud_init.contains("kubeadm"));
    assert!(world.apply("app").unwrap().contains("0 added, 0 changed, 0 destroyed"));
    assert_eq!(world.host().calls.len(), host.calls.len());
}

#[test]
fn the_shipped_machines_are_those_of_the_inventory() {
    if !has_terraform() {
        return;
    }
    let world = World::shipped();
    let mut expected = Vec::new();
    for (root, folder, module) in [
        ("control", "clusters/control", "module.cluster.module.machines"),
        ("app", "clusters/app", "module.cluster.module.machines"),
        ("databases", "fleet", "module.databases.module.machines"),
    ] {
        world.terraform(root, &["init"]).unwrap();
        world.terraform(root, &["apply", "-auto-approve", &format!("-target={module}")]).unwrap();
        let inputs =
            fs::read_to_string(world.path(&format!("infra/{folder}/terraform.tfvars.json"))).unwrap();
        let inputs: Value = serde_json::from_str(&inputs).unwrap();
        for machine in inputs["machines"].as_array().unwrap() {
            let text = |key: &str| machine[key].as_str().unwrap().to_owned();
            expected.push((text("name"), machine["cpus"].as_u64().unwrap(), text("memory"), text("disk")));
        }
    }
    expected.sort();
    let gibibytes = |bytes: u64| format!("{}Gi", bytes >> 30);
    let host = world.host();
    let made = host.instances.iter().map(|(name, instance)| {
        (name.clone(), instance.cpus.into(), gibibytes(instance.memory_bytes), gibibytes(instance.disk_bytes))
    });
    assert_eq!(made.collect::<Vec<_>>(), expected);
}

#[test]
fn the_number_of_workers_is_one_edit() {
    if !has_terraform() {
        return;
    }
    let of = |workers| Counts { control_planes: 1, workers };
    let world = World::with_cluster(of(6));
    world.apply("app").unwrap();
    world.assert_whole(of(6));
    for (workers, made, gone) in [(4, 0, 2), (7, 3, 0)] {
        world.render("app", of(workers));
        let before = world.host().calls.len();
        let plan = world.terraform("app", &["plan", "-no-color"]).unwrap();
        // A name and a machine each, and the members of the cluster are looked at again.
        let expected = format!("{} to add, 0 to change, {} to destroy", 2 * made + 1, 2 * gone + 1);
        assert!(plan.contains(&expected), "no {expected} in {plan}");
        world.apply("app").unwrap();
        world.assert_whole(of(workers));
        assert_left(&world, before, gone);
    }
    world.destroy("app").unwrap();
    assert!(world.instances().is_empty());
}

/// Asserts that each of the last of six workers was drained before it was removed, and no other one.
fn assert_left(world: &World, before: usize, gone: usize) {
    let calls = world.host().calls.split_off(before);
    let at = |wanted: [&str; 2]| {
        calls.iter().position(|call| wanted.iter().all(|word| call.iter().any(|found| found == word)))
    };
    for number in (1..=6).rev() {
        let name = format!("app-worker-{number}");
        let order = (at(["drain", &name]), at(["node", &name]), at(["--purge", &name]));
        if number > 6 - gone {
            assert!(
                order.0.is_some() && order.0 < at(["delete", &name]) && order.0 < order.2,
                "{name}: {order:?}"
            );
        } else {
            assert_eq!((order.0, order.2), (None, None), "{name}");
        }
    }
}

#[test]
fn control_planes_leave_etcd_before_their_machines_go() {
    if !has_terraform() {
        return;
    }
    let of = |control_planes| Counts { control_planes, workers: 1 };
    let world = World::with_cluster(of(3));
    world.apply("app").unwrap();
    for control_planes in [1, 3] {
        world.render("app", of(control_planes));
        world.apply("app").unwrap();
        world.assert_whole(of(control_planes));
    }
    // The one that began the cluster may be another machine tomorrow.
    let first = "module.cluster.module.machines.terraform_data.machine[\"app-control-plane-1\"]";
    world.terraform("app", &["apply", "-auto-approve", &format!("-replace={first}")]).unwrap();
    world.assert_whole(of(3));
}

#[test]
fn the_only_control_plane_cannot_be_taken_away() {
    if !has_terraform() {
        return;
    }
    let world = World::with_cluster(SMALL);
    world.apply("app").unwrap();
    let first = "module.cluster.module.machines.terraform_data.machine[\"app-control-plane-1\"]";
    let refused =
        world.terraform("app", &["apply", "-auto-approve", &format!("-replace={first}")]).unwrap_err();
    assert!(refused.contains("`app-control-plane-1` is the only control plane of its cluster"), "{refused}");
    world.assert_whole(SMALL);
}

#[test]
fn another_size_is_given_to_a_machine_that_stays() {
    if !has_terraform() {
        return;
    }
    let counts = Counts { control_planes: 2, workers: 1 };
    let world = World::with_cluster(counts);
    world.apply("app").unwrap();
    let calls = world.host().calls.len();
    let machines = json!([
        machine("app", "control-plane", 1, "6Gi"),
        machine("app", "control-plane", 2, "4096Mi"),
        machine("app", "worker", 1, "8Gi"),
    ]);
    world.render_machines("app", "192.168.64.30:6443", &machines);
    world.apply("app").unwrap();
    world.assert_whole(counts);
    let host = world.host();
    assert_eq!(host.instances["app-control-plane-1"].memory_bytes, 6 << 30);
    let stopped: Vec<_> = host.calls[calls..].iter().filter(|call| call[0] == "stop").collect();
    assert_eq!(stopped, [&["stop", "app-control-plane-1"]], "no other machine is stopped");
}

#[test]
fn destroying_removes_what_was_made_and_nothing_else() {
    if !has_terraform() {
        return;
    }
    let world = World::with_cluster(SMALL);
    world.multipass.run(&["launch", "24.04", "--name", "app-worker-10"]).unwrap();
    world.multipass.run(&["launch", "24.04", "--name", "app-worker"]).unwrap();
    world.multipass.run(&["launch", "24.04", "--name", "trash"]).unwrap();
    world.multipass.run(&["delete", "trash"]).unwrap();
    world.apply("app").unwrap();
    world.destroy("app").unwrap();
    assert_eq!(world.instances(), ["app-worker", "app-worker-10", "trash"]);
    let calls = world.host().calls;
    assert!(!calls.iter().any(|call| call.contains(&"drain".to_owned())), "nothing is drained when all goes");
}

#[test]
fn a_machine_that_others_made_is_neither_taken_nor_removed() {
    if !has_terraform() {
        return;
    }
    let world = World::with_cluster(SMALL);
    world.multipass.run(&["launch", "24.04", "--name", "app-worker-1"]).unwrap();
    let refused = world.apply("app").unwrap_err();
    assert!(refused.contains("there is an instance `app-worker-1` that was not made from here"), "{refused}");
    world.destroy("app").unwrap();
    assert_eq!(world.instances(), ["app-worker-1"]);
    // One that takes the place of ours is not ours.
    world.multipass.run(&["delete", "--purge", "app-worker-1"]).unwrap();
    world.apply("app").unwrap();
    world.multipass.run(&["delete", "--purge", "app-worker-1"]).unwrap();
    world.multipass.run(&["launch", "24.04", "--name", "app-worker-1"]).unwrap();
    let refused = world.destroy("app").unwrap_err();
    assert!(refused.contains("there is an instance `app-worker-1` that was not made from here"), "{refused}");
    assert!(world.instances().contains(&"app-worker-1".to_owned()));
}

#[test]
fn no_token_or_key_is_on_a_command_line_in_a_plan_in_a_state_or_in_a_log() {
    if !has_terraform() {
        return;
    }
    let world = World::with_cluster(Counts { control_planes: 2, workers: 1 });
    world.terraform("app", &["plan", "-out=plan"]).unwrap();
    let plan = world.terraform("app", &["show", "-json", "plan"]).unwrap();
    let log = world.apply("app").unwrap();
    let host = world.host();
    let cluster = host.clusters.values().next().unwrap();
    let calls = Value::from(host.calls.iter().map(|call| call.join(" ")).collect::<Vec<_>>()).to_string();
    let secrets: Vec<_> = cluster.tokens.iter().chain(&cluster.certificate_key).collect();
    assert!(secrets.len() >= 3, "{secrets:?}");
    for secret in secrets {
        for (place, text) in
            [("calls", &calls), ("plan", &plan), ("log", &log), ("state", &world.state("app"))]
        {
            assert!(!text.contains(secret.as_str()), "`{secret}` is in the {place}: {text}");
        }
    }
    let files = host.instances.values().flat_map(|instance| instance.files.keys());
    assert!(!files.into_iter().any(|path| path.ends_with("kubeadm.yaml")), "a token is left on a machine");
}
