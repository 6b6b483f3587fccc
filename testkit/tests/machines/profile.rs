//! The shipped platform in its small shape, rendered by the real command.

use std::path::Path;
use std::process::Command;

use crate::world::{World, has_terraform};

/// Renders the shipped platform in a profile, and returns the folder of it; or says that the command is not built.
fn rendered(world: &World, profile: &str) -> Option<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_multipass")).with_file_name("fleetwright");
    if !program.is_file() {
        eprintln!("left out: there is no `{}`; build the workspace", program.display());
        return None;
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = world.path(profile);
    let render = Command::new(program)
        .args(["render", "--profile", profile, "--repo"])
        .args([&top, Path::new("--out"), &folder])
        .output()
        .unwrap();
    assert!(render.status.success(), "{}", String::from_utf8_lossy(&render.stderr));
    Some(folder.to_str().unwrap().to_owned())
}

#[test]
fn the_machines_of_a_profile_are_made_by_the_same_terraform() {
    if !has_terraform() {
        return;
    }
    let world = World::new();
    let Some(folder) = rendered(&world, "laptop") else { return };
    let given = [format!("rendered={folder}/infra/clusters"), format!("folder={folder}/infra/fleet")];
    let [clusters, fleet] = &given;
    for (root, given, module) in [
        ("control", clusters, "module.cluster.module.machines"),
        ("app", clusters, "module.cluster.module.machines"),
        ("databases", fleet, "module.databases.module.machines"),
    ] {
        world.terraform(root, &["init"]).unwrap();
        let target = format!("-target={module}");
        world.terraform(root, &["apply", "-auto-approve", "-var", given, &target]).unwrap();
    }
    let host = world.host();
    let made: Vec<_> = host
        .instances
        .iter()
        .map(|(name, it)| (name.as_str(), it.cpus, it.memory_bytes >> 20, it.disk_bytes >> 30))
        .collect();
    assert_eq!(
        made,
        [
            ("app-control-plane-1", 2, 2048, 20),
            ("app-worker-1", 2, 4096, 30),
            ("control-control-plane-1", 2, 4096, 30),
            ("control-worker-1", 2, 4096, 30),
            ("mysql", 1, 1024, 10),
            ("redis", 1, 512, 5),
        ]
    );
    assert!(host.instances["control-worker-1"].cloud_init.contains("control-worker-1.platform.internal"));
}
