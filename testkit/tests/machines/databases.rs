//! Machines with a database each.

use std::fs;

use serde_json::json;

use crate::world::{PASSWORD, World, has_terraform};

/// Writes what is rendered for both databases.
pub fn render(world: &World) {
    let machine = |name: &str, engine: &str| {
        world.write(&format!("infra/fleet/cloud-init/{name}.yaml"), "#cloud-config\n{}\n");
        json!({
            "name": name, "engine": engine, "address": "192.168.64.21", "port": 3306, "metrics_port": 9104,
            "cpus": 1, "memory": "2Gi", "disk": "20Gi", "cloud_init": format!("cloud-init/{name}.yaml"),
        })
    };
    let inputs =
        json!({"image": "24.04", "machines": [machine("mysql", "mysql"), machine("redis", "redis")]});
    world.write("infra/fleet/terraform.tfvars.json", &inputs.to_string());
}

fn world() -> World {
    let mut world = World::new();
    render(&world);
    world.terraform("databases", &["init"]).unwrap();
    world.variables = vec![("MYSQL_PASSWORD", PASSWORD), ("REDIS_PASSWORD", PASSWORD)];
    world
}

#[test]
fn a_database_gets_its_password_and_no_one_else_sees_it() {
    if !has_terraform() {
        return;
    }
    let world = world();
    world.terraform("databases", &["plan", "-out=plan"]).unwrap();
    let plan = world.terraform("databases", &["show", "-json", "plan"]).unwrap();
    let log = world.apply("databases").unwrap();
    let host = world.host();
    for instance in host.instances.values() {
        assert_eq!(instance.password.as_deref(), Some(PASSWORD));
    }
    let calls = host.calls.iter().map(|call| call.join(" ")).collect::<Vec<_>>().join("\n");
    for (place, text) in [("calls", calls), ("plan", plan), ("log", log), ("state", world.state("databases"))]
    {
        assert!(!text.contains("secret"), "the password is in the {place}: {text}");
    }
    world.destroy("databases").unwrap();
    assert!(world.instances().is_empty());
}

#[test]
fn a_database_keeps_its_machine_when_its_size_changes() {
    if !has_terraform() {
        return;
    }
    let world = world();
    world.apply("databases").unwrap();
    let path = "infra/fleet/terraform.tfvars.json";
    let inputs = fs::read_to_string(world.path(path)).unwrap();
    world.write(path, &inputs.replacen("2Gi", "3Gi", 1));
    let before = world.host().calls.len();
    world.apply("databases").unwrap();
    let host = world.host();
    assert_eq!(host.instances["mysql"].memory_bytes, 3 << 30);
    let changing = |call: &&Vec<String>| ["launch", "delete", "stop", "set"].contains(&call[0].as_str());
    let changes: Vec<_> = host.calls[before..].iter().filter(changing).map(|call| call.join(" ")).collect();
    assert_eq!(changes, ["stop mysql", "set local.mysql.memory=3GiB"]);
    // A disk never becomes smaller, and the reason is shown.
    world.write(path, &inputs.replacen("20Gi", "10Gi", 1));
    let refused = world.apply("databases").unwrap_err();
    assert!(refused.contains("Disk can only be expanded"), "{refused}");
}

#[test]
fn a_password_that_is_missing_is_named_with_both_ways_to_give_it() {
    if !has_terraform() {
        return;
    }
    let mut world = world();
    world.variables.remove(0);
    let refused = world.apply("databases").unwrap_err();
    assert!(refused.contains("there is no password for `mysql`"), "{refused}");
    assert!(refused.contains("MYSQL_PASSWORD_IN_VAULT"), "{refused}");
    world.variables.push(("MYSQL_PASSWORD", PASSWORD));
    world.apply("databases").unwrap();
    assert_eq!(world.host().instances["mysql"].password.as_deref(), Some(PASSWORD));
}
