//! The platform that is shipped: whatever is switched, moved or added by its facts, it stays sound.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use insta::assert_snapshot;

use crate::world::{World, files};

const FLEET: &str = "environments/_fleet.yaml";
const CONTROL: &str = "environments/control.yaml";
const APP: &str = "environments/app.yaml";
const SOUND: &str = "no problems";

fn multi_primary(world: World) -> World {
    world.edit(FLEET, "topology: primary-remote", "topology: multi-primary")
}

/// One more spoke, by one file: that of the first with names and numbers of its own.
fn with_second_spoke(world: World) -> World {
    let second = world
        .text(APP)
        .replace("10.245.", "10.247.")
        .replace("10.97.", "10.99.")
        .replace("192.168.64.120-192.168.64.140", "192.168.64.150-192.168.64.160")
        .replace("eastWest: 192.168.64.120", "eastWest: 192.168.64.150")
        .replace("address: 192.168.64.30", "address: 192.168.64.40");
    world.with("environments/app-2.yaml", second)
}

/// Gives an add-on of a cluster lines of its own.
fn choose(world: World, file: &str, addon: &str, lines: &str) -> World {
    let text = world.text(file);
    let entry = format!("  {addon}:\n    {lines}\n");
    let text = match text.split_once("\naddons:\n") {
        Some((before, after)) => format!("{before}\naddons:\n{entry}{after}"),
        None => format!("{text}\naddons:\n{entry}"),
    };
    world.with(file, text)
}

fn optional_addons(world: &World) -> BTreeMap<String, String> {
    let addons =
        world.paths().filter_map(|path| path.strip_prefix("templates/addons/")?.strip_suffix("/addon.yaml"));
    let text = |addon: &str| world.text(&format!("templates/addons/{addon}/addon.yaml"));
    addons
        .filter(|addon| text(addon).contains("enabledByDefault: false"))
        .map(|addon| {
            let file = if text(addon).contains("roles: [control]") { CONTROL } else { APP };
            (addon.to_owned(), file.to_owned())
        })
        .collect()
}

#[test]
fn the_shipped_platform_is_sound() {
    assert_eq!(World::shipped().problems(), SOUND);
}

#[test]
fn every_optional_addon_can_be_switched_on_alone_and_with_the_others() {
    let mut all = World::shipped();
    let optional = optional_addons(&all);
    assert_eq!(optional.keys().collect::<Vec<_>>(), ["minio", "rancher"]);
    for (addon, file) in &optional {
        let before = World::shipped().render().file_count();
        let with = choose(World::shipped(), file, addon, "enabled: true");
        assert_eq!(with.problems(), SOUND, "{addon}");
        assert!(with.render().file_count() > before, "{addon} renders nothing");
        all = choose(all, file, addon, "enabled: true");
    }
    assert_eq!(all.problems(), SOUND);
}

#[test]
fn what_only_serves_workloads_can_be_switched_off() {
    for addon in ["keda", "kyverno-policies", "velero", "fluent-bit"] {
        let without = choose(World::shipped(), APP, addon, "enabled: false");
        assert_eq!(without.problems(), SOUND, "{addon}");
    }
}

#[test]
fn a_receiver_that_is_switched_off_is_missed_by_who_sends_to_it() {
    let receivers = [
        (CONTROL, "loki"),
        (CONTROL, "tempo"),
        (CONTROL, "vault"),
        (CONTROL, "istiod"),
        (APP, "opentelemetry-collector"),
    ];
    for (file, addon) in receivers {
        let without = choose(World::shipped(), file, addon, "enabled: false");
        assert_ne!(without.problems(), SOUND, "nobody misses {addon}");
    }
}

#[test]
fn the_mesh_has_two_shapes_and_a_third_cluster_is_one_file() {
    assert_eq!(multi_primary(World::shipped()).problems(), SOUND);
    assert_eq!(with_second_spoke(World::shipped()).problems(), SOUND);
    assert_eq!(with_second_spoke(multi_primary(World::shipped())).problems(), SOUND);
}

#[test]
fn no_template_holds_an_address() {
    // All addresses of a machine, and the machine itself.
    let neutral = BTreeSet::from([Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST]);
    let world = World::shipped();
    for path in
        world.paths().filter(|path| path.starts_with("templates/") && *path != "templates/charts.lock")
    {
        let text = world.text(path);
        let words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
        let found: Vec<Ipv4Addr> = words
            .filter_map(|word| word.trim_matches('.').parse().ok())
            .filter(|it| !neutral.contains(it))
            .collect();
        assert_eq!(found, Vec::<Ipv4Addr>::new(), "{path}");
    }
}

#[test]
fn no_template_holds_the_name_of_a_cluster() {
    let world = World::shipped();
    let renamed = world
        .clone()
        .moved(CONTROL, "environments/zulu.yaml")
        .moved(APP, "environments/yankee.yaml")
        .edit("environments/yankee.yaml", "hub: control", "hub: zulu");
    let renamed: BTreeMap<String, String> = files(&renamed.render()).into_iter().collect();
    let before: BTreeMap<String, String> = files(&world.render()).into_iter().collect();
    let back = |text: &str| text.replace("zulu", "control").replace("yankee", "app");
    let words = |text: &str| {
        // Lists of clusters are in the order of their names.
        let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        words.sort();
        words
    };
    let again: BTreeMap<String, Vec<String>> =
        renamed.iter().map(|(path, text)| (back(path), words(&back(text)))).collect();
    assert_eq!(again.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    for (path, text) in &before {
        assert_eq!(again[path], words(text), "{path}");
    }
}

#[test]
fn the_address_of_loki_moves_by_one_edit_at_both_ends() {
    let before = files(&World::shipped().render());
    let moved = World::shipped().edit(CONTROL, "loki: 192.168.64.104", "loki: 192.168.64.110");
    let after: BTreeMap<String, String> = files(&moved.render()).into_iter().collect();
    let changed: Vec<String> =
        before.iter().filter(|(path, text)| after[path] != *text).map(|(path, _)| path.clone()).collect();
    assert_snapshot!(changed.join("\n"), @"
    argocd-apps/app/fluent-bit/values.yaml
    argocd-apps/control/loki/values.yaml
    ");
    assert!(
        after.values().all(|text| !text.contains("192.168.64.104")),
        "the old address is still somewhere"
    );
}
