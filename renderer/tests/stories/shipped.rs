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
        .replace("address: 192.168.64.30", "address: 192.168.64.40")
        .replace("192.168.64.31-192.168.64.39", "192.168.64.61-192.168.64.69")
        .replace("192.168.64.41-192.168.64.60", "192.168.64.71-192.168.64.90");
    world.with("environments/app-2.yaml", second)
}

/// Gives both clusters an address for clients from outside.
fn with_ingress_addresses(world: World) -> World {
    let world = world.hub_address("ingress", "192.168.64.110");
    world.edit(APP, "addresses:\n", "addresses:\n  ingress: 192.168.64.121\n")
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
    // What has an address is given one when it is switched on.
    let with_address = |world: World, addon: &str| match addon {
        "rancher" => world.edit(CONTROL, "addresses:\n", "addresses:\n  rancher: 192.168.64.108\n"),
        "istio-ingress" => world.edit(APP, "addresses:\n", "addresses:\n  ingress: 192.168.64.121\n"),
        _ => world,
    };
    assert_eq!(optional.keys().collect::<Vec<_>>(), ["fleetwright", "istio-ingress", "minio", "rancher"]);
    for (addon, file) in &optional {
        let before = World::shipped().render().file_count();
        let with = with_address(choose(World::shipped(), file, addon, "enabled: true"), addon);
        assert_eq!(with.problems(), SOUND, "{addon}");
        assert!(with.render().file_count() > before, "{addon} renders nothing");
        all = with_address(choose(all, file, addon, "enabled: true"), addon);
    }
    assert_eq!(all.problems(), SOUND);
}

/// Where the hub's control plane serves all clusters, it reads what is on the hub and nothing else.
#[test]
fn the_gateway_for_clients_is_described_where_its_control_plane_reads_it() {
    let on = |world: World| {
        let world = choose(with_ingress_addresses(world), APP, "istio-ingress", "enabled: true");
        let world = choose(world, CONTROL, "istio-ingress", "enabled: true");
        assert_eq!(world.problems(), SOUND);
        let of_clients =
            |(path, text): (String, String)| text.contains("serverCertificate: ").then_some(path);
        files(&world.render()).into_iter().filter_map(of_clients).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(on(World::shipped()), @"
    argocd-apps/app/ingress.yaml
    argocd-apps/control/istio-ingress/manifests/gateway.yaml
    ");
    assert_snapshot!(on(multi_primary(World::shipped())), @"
    argocd-apps/app/istio-ingress/manifests/gateway.yaml
    argocd-apps/control/istio-ingress/manifests/gateway.yaml
    ");
    let without_address = choose(World::shipped(), APP, "istio-ingress", "enabled: true").problems();
    assert!(without_address.contains("`cluster.addresses` has no `ingress`"), "{without_address}");
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
        (CONTROL, "telemetry-gateway"),
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

/// A hub that is degraded until its spokes are there would never release what its spokes wait for.
#[test]
fn what_the_hub_holds_for_a_spoke_is_no_part_of_the_hub() {
    for world in [World::shipped(), multi_primary(World::shipped())] {
        let before: BTreeMap<String, String> = files(&world.render()).into_iter().collect();
        let after: BTreeMap<String, String> = files(&with_second_spoke(world).render()).into_iter().collect();
        let of_first: Vec<_> = after.keys().filter(|path| path.starts_with("argocd-apps/app/")).collect();
        assert!(of_first.iter().all(|path| before.get(*path) == after.get(*path)));
        let changed = |path: &&String| {
            path.starts_with("argocd-apps/control/") && before.get(*path) != after.get(*path)
        };
        let changed: Vec<&str> = after.keys().filter(changed).map(String::as_str).collect();
        insta::allow_duplicates! {
            assert_snapshot!(changed.join("\n"), @"
            argocd-apps/control/kube-prometheus-stack/manifests/fleet-rules.yaml
            argocd-apps/control/root.yaml
            argocd-apps/control/telemetry-gateway/manifests/configuration.yaml
            argocd-apps/control/vault/manifests/configure.yaml
            argocd-apps/control/vault/manifests/scripts.yaml
            ");
        }
    }
}

/// What is applied in waves waits for the health of each: of a spoke, nothing is well before all of it is there.
#[test]
fn nothing_that_the_hub_holds_for_a_spoke_waits_for_another_part_of_it() {
    let rendered = files(&multi_primary(World::shipped()).render());
    let own = |path: &str| path.strip_prefix("argocd-apps/app/").is_some_and(|name| !name.contains('/'));
    let own: Vec<_> = rendered.iter().filter(|(path, _)| own(path)).collect();
    let held =
        own.iter().filter(|(path, _)| !["root.yaml", "appproject.yaml"].iter().any(|it| path.ends_with(it)));
    let in_waves = held.filter(|(_, text)| {
        text.contains("argocd.argoproj.io/sync-wave") || text.contains("argocd.argoproj.io/hook")
    });
    assert_eq!(in_waves.map(|(path, _)| path).collect::<Vec<_>>(), Vec::<&String>::new());
    let names: Vec<_> = own.iter().map(|(path, _)| path.trim_start_matches("argocd-apps/app/")).collect();
    assert_snapshot!(names.join(" "), @"applicationset.yaml appproject.yaml authority.yaml mesh.yaml registration.yaml reviewer.yaml root.yaml");
    let text = |path: &str| &rendered.iter().find(|(other, _)| other == path).unwrap().1;
    let directory = |path: &str| {
        text(path).split_once("    directory:\n").unwrap().1.split_once("  syncPolicy").unwrap().0.to_owned()
    };
    assert_snapshot!(directory("argocd-apps/app/root.yaml"), @r#"      exclude: "{root,appproject}.yaml""#);
    assert_snapshot!(directory("argocd-apps/control/root.yaml"), @r#"
    recurse: true
    include: "{control/root,control/appproject,control/applicationset,app/root,app/appproject}.yaml"
    "#);
}

/// The API server writes defaults into what it is given, and Argo CD takes that for a difference for good.
#[test]
fn every_relabeling_names_its_action() {
    let rendered = files(&World::shipped().render());
    let mut count = 0;
    for (path, text) in &rendered {
        for items in text.split("elabelings:\n").skip(1) {
            let first = items.lines().next().unwrap();
            assert!(first.contains("action: "), "{path}: {first}");
            count += 1;
        }
    }
    assert_ne!(count, 0);
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
        .without_folder("environments/_profiles")
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
fn what_is_outside_is_called_while_alerts_work_where_a_hub_names_its_address() {
    let watched = World::shipped().edit(
        CONTROL,
        "      retention: 31d",
        "      retention: 31d\n      watchdogSecret: alertmanager-watchdog",
    );
    assert_eq!(watched.problems(), SOUND);
    let before = files(&World::shipped().render());
    let after = files(&watched.render());
    let is_new = |file: &&(String, String)| !before.contains(*file);
    let changed: Vec<_> = after.iter().filter(is_new).map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        changed,
        [
            "argocd-apps/control/kube-prometheus-stack/manifests/alertmanager-watchdog.yaml",
            "argocd-apps/control/kube-prometheus-stack/values.yaml",
        ]
    );
    let values = &after.iter().find(|(path, _)| path == changed[1]).unwrap().1;
    let receiver = values.lines().skip_while(|line| !line.contains("- name: watchdog")).take(4);
    assert_snapshot!(receiver.collect::<Vec<_>>().join("\n"), @"
    - name: watchdog
      webhook_configs:
        - url_file: /etc/alertmanager/secrets/alertmanager-watchdog/url
          send_resolved: false
    ");
}

#[test]
fn the_address_of_telemetry_moves_by_one_edit_at_both_ends() {
    let before = files(&World::shipped().render());
    let moved = World::shipped().edit(CONTROL, "telemetry: 192.168.64.104", "telemetry: 192.168.64.110");
    let after: BTreeMap<String, String> = files(&moved.render()).into_iter().collect();
    let changed: Vec<String> =
        before.iter().filter(|(path, text)| after[path] != *text).map(|(path, _)| path.clone()).collect();
    assert_snapshot!(changed.join("\n"), @"
    argocd-apps/app/fluent-bit/values.yaml
    argocd-apps/app/opentelemetry-collector/values.yaml
    argocd-apps/app/prometheus-agent/values.yaml
    argocd-apps/control/fluent-bit/values.yaml
    argocd-apps/control/metallb/manifests/address-pool.yaml
    argocd-apps/control/telemetry-gateway/manifests/certificate.yaml
    argocd-apps/control/telemetry-gateway/manifests/gateway.yaml
    infra/fleet/hosts
    ");
    let has_it = |(path, text): (&String, &String)| text.contains("192.168.64.104").then(|| path.clone());
    let left: Vec<String> = after.iter().filter_map(has_it).collect();
    assert_eq!(left, ["argocd-apps/control/metallb/manifests/address-pool.yaml"], "it is free again");
}
