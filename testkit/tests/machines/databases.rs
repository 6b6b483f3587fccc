//! Machines with a database each.

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
