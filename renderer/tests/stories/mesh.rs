//! The control planes of a mesh must agree.

use insta::assert_snapshot;

use crate::world::World;

const HUB: &str = "templates/addons/istiod/values.yaml.hbs";
const REMOTE: &str = "templates/addons/istiod-remote/values.yaml.hbs";
const GATEWAY: &str = "templates/addons/east-west/values.yaml.hbs";
const NAMESPACE: &str = "templates/addons/istiod-remote/manifests/namespace.yaml.hbs";
const SECRETS: &str = "templates/addons/istiod/manifests/remote-secrets.yaml.hbs";

/// The platform with a control plane on the hub, which the spoke uses, too.
fn platform() -> World {
    World::platform()
        .hub_address("eastWest", "192.168.64.107")
        .and("templates/addons/kube-prometheus-stack/addon.yaml", "outside: {secrets: [grafana-admin]}\n")
        .and("environments/app.yaml", "addresses:\n  eastWest: 192.168.64.120\n")
        .addon("istiod", "istiod", "control")
        .with(
            HUB,
            "global:
  meshID: fleet
  externalIstiod: true
  network: {{cluster.name}}
  multiCluster:
    clusterName: {{cluster.name}}
meshConfig:
  trustDomain: example.internal
",
        )
        .with(
            SECRETS,
            "{{#each spokes}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: istio-remote-secret-{{name}}
spec:
  secretStoreRef: {kind: ClusterSecretStore, name: vault}
  target:
    template:
      metadata:
        labels:
          istio/multiCluster: \"true\"
        annotations:
          networking.istio.io/cluster: {{name}}
  dataFrom:
    - extract: {key: \"istio/{{name}}\"}
{{/each}}
",
        )
        .addon("istiod-remote", "istiod", "app")
        .with(
            REMOTE,
            "profile: remote
global:
  meshID: fleet
  network: {{cluster.name}}
  multiCluster:
    clusterName: {{cluster.name}}
  remotePilotAddress: {{hub.addresses.eastWest}}
istiodRemote:
  injectionPath: /inject/cluster/{{cluster.name}}/net/{{cluster.name}}
meshConfig:
  trustDomain: example.internal
",
        )
        .with(
            NAMESPACE,
            "apiVersion: v1
kind: Namespace
metadata:
  name: istio-system
  labels:
    topology.istio.io/network: {{cluster.name}}
",
        )
        .addon("east-west", "gateway", "control")
        .edit("templates/addons/east-west/addon.yaml", "[control]", "[control, app]")
        .with(
            GATEWAY,
            "networkGateway: {{cluster.name}}\nservice:\n  loadBalancerIP: {{cluster.addresses.eastWest}}\n",
        )
}

/// The same with a control plane on each cluster.
fn multi_primary() -> World {
    let own = platform().text(HUB);
    platform().with(REMOTE, own)
}

#[test]
fn a_mesh_whose_clusters_agree_is_no_problem() {
    assert_eq!(platform().problems(), "no problems");
}

#[test]
fn clusters_of_one_mesh_share_its_name() {
    assert_snapshot!(platform().edit(REMOTE, "meshID: fleet", "meshID: app").problems(), @"
    templates/addons/istiod-remote/values.yaml.hbs:3:11: `app` has the mesh ID `app`, and `control` `fleet`
      hint: clusters of one mesh share the mesh ID
    ");
    assert_snapshot!(platform().edit(HUB, "meshConfig:\n  trustDomain: example.internal\n", "").problems(), @"
    templates/addons/istiod-remote/values.yaml.hbs:11:16: `app` has the trust domain `example.internal`, and `control` none
      hint: clusters of one mesh share the trust domain
    ");
    let silent = platform().edit(REMOTE, "meshConfig:\n  trustDomain: example.internal\n", "");
    assert_eq!(silent.problems(), "no problems");
}

#[test]
fn clusters_and_networks_of_one_mesh_have_names_of_their_own() {
    let world = platform().edit(REMOTE, "clusterName: {{cluster.name}}", "clusterName: {{hub.name}}");
    assert_snapshot!(world.problems(), @"
    templates/addons/istiod-remote/values.yaml.hbs:6:18: `app` has the cluster name `control`, and so has `control`
      hint: give each cluster a cluster name of its own
    templates/addons/istiod-remote/values.yaml.hbs:9:34: sidecars would be injected by `/inject/cluster/app/net/app`, which names another cluster or network
      hint: write `/inject/cluster/control/net/app`
    ");
    let flat = platform()
        .edit(HUB, "network: {{cluster.name}}", "network: flat")
        .edit(REMOTE, "network: {{cluster.name}}", "network: flat")
        .edit(REMOTE, "net/{{cluster.name}}", "net/flat")
        .edit(GATEWAY, "networkGateway: {{cluster.name}}", "networkGateway: flat")
        .edit(NAMESPACE, "network: {{cluster.name}}", "network: flat");
    assert_snapshot!(flat.problems(), @"
    templates/addons/istiod-remote/values.yaml.hbs:4:12: `app` has the network name `flat`, and so has `control`
      hint: give each cluster a network name of its own
    ");
}

#[test]
fn a_network_has_the_same_name_wherever_it_is_named() {
    assert_snapshot!(platform().edit(GATEWAY, "networkGateway: {{cluster.name}}", "networkGateway: {{hub.name}}").problems(), @"
    templates/addons/east-west/values.yaml.hbs:1:17: the gateway lies in the network `control`, and istiod's `global.network` is `app`
      hint: write the same name in both; from a fact, it can't differ
    ");
    assert_snapshot!(platform().edit(NAMESPACE, "network: {{cluster.name}}", "network: {{hub.name}}").problems(), @"
    templates/addons/istiod-remote/manifests/namespace.yaml.hbs:6:32: the namespace lies in the network `control`, and istiod's `global.network` is `app`
      hint: write the same name in both; from a fact, it can't differ
    ");
    assert_snapshot!(platform().edit(REMOTE, "net/{{cluster.name}}", "net/{{hub.name}}").problems(), @"
    templates/addons/istiod-remote/values.yaml.hbs:9:34: sidecars would be injected by `/inject/cluster/app/net/control`, which names another cluster or network
      hint: write `/inject/cluster/app/net/app`
    ");
}

#[test]
fn a_remote_finds_its_control_plane_at_the_hubs_gateway() {
    assert_snapshot!(platform().edit(REMOTE, "{{hub.addresses.eastWest}}", "{{cluster.addresses.eastWest}}").problems(), @"
    templates/addons/istiod-remote/values.yaml.hbs:7:23: the control plane is looked for at `192.168.64.120`, where no gateway is
      hint: the gateway of hub `control` is `192.168.64.107`
    ");
    assert_snapshot!(platform().edit(HUB, "  externalIstiod: true\n", "").problems(), @"
    templates/addons/istiod/values.yaml.hbs:2:3: `app` has its control plane here, and istiod does not serve other clusters
      hint: set `global.externalIstiod: true`
    ");
    assert_eq!(
        platform().edit(REMOTE, "{{hub.addresses.eastWest}}", "istiod.example.com").problems(),
        "no problems"
    );
}

#[test]
fn a_remote_needs_a_control_plane() {
    assert_snapshot!(platform().without(SECRETS).addon("istiod", "base", "control").problems(), @"
    templates/addons/istiod-remote/values.yaml.hbs:1:10: the control plane is to be on hub `control`, which runs no istiod
      hint: run istiod there, or leave out `profile: remote`
    ");
}

#[test]
fn a_control_plane_has_a_secret_for_each_other_cluster() {
    assert_snapshot!(platform().without(SECRETS).problems(), @r#"
    templates/addons/istiod/values.yaml.hbs:1:1: the control plane of `control` has no Secret that leads to `app`
      hint: let an ExternalSecret make `istio-remote-secret-app` with the label `istio/multiCluster: "true"`
    "#);
    assert_snapshot!(platform().edit(SECRETS, "cluster: {{name}}", "cluster: {{name}}-1").problems(), @r#"
    templates/addons/istiod/manifests/remote-secrets.yaml.hbs:15:40: no cluster of the mesh has the name `app-1`
      hint: it is the `global.multiCluster.clusterName` of `app`
    templates/addons/istiod/values.yaml.hbs:1:1: the control plane of `control` has no Secret that leads to `app`
      hint: let an ExternalSecret make `istio-remote-secret-app` with the label `istio/multiCluster: "true"`
    "#);
    let named = platform().edit(
        SECRETS,
        "        annotations:\n          networking.istio.io/cluster: {{name}}\n",
        "",
    );
    assert_eq!(named.problems(), "no problems");
    assert_snapshot!(multi_primary().problems(), @r#"
    templates/addons/istiod-remote/values.yaml.hbs:1:1: the control plane of `app` has no Secret that leads to `control`
      hint: let an ExternalSecret make `istio-remote-secret-control` with the label `istio/multiCluster: "true"`
    "#);
}

#[test]
fn what_leads_to_a_spoke_may_be_among_what_the_hub_holds_for_it() {
    let secret = platform().text(SECRETS).replace("{{#each spokes}}\n---\n", "").replace("{{/each}}\n", "");
    let secret = secret.replace("{{name}}", "{{cluster.name}}");
    let of_spokes = format!("{{{{#if (ne cluster.name hub.name)}}}}\n{secret}{{{{/if}}}}\n");
    let world = platform().without(SECRETS).with("templates/cluster/mesh.yaml.hbs", of_spokes);
    assert_eq!(world.problems(), "no problems");
    let other = world.edit(
        "templates/cluster/mesh.yaml.hbs",
        "networking.istio.io/cluster: {{cluster.name}}",
        "networking.istio.io/cluster: x",
    );
    assert_snapshot!(other.problems(), @r#"
    templates/addons/istiod/values.yaml.hbs:1:1: the control plane of `control` has no Secret that leads to `app`
      hint: let an ExternalSecret make `istio-remote-secret-app` with the label `istio/multiCluster: "true"`
    templates/cluster/mesh.yaml.hbs:14:40: no cluster of the mesh has the name `x`
      hint: it is the `global.multiCluster.clusterName` of `app`
    "#);
}

#[test]
fn a_hub_may_hand_control_planes_their_secrets() {
    let push = "apiVersion: external-secrets.io/v1alpha1
kind: PushSecret
metadata: {name: hub}
spec:
  secretStoreRefs: [{kind: ClusterSecretStore, name: app}]
  selector: {secret: {name: istio-remote-secret-app}}
  data:
    - match: {remoteRef: {remoteKey: \"istio-remote-secret-{{cluster.name}}\"}}
";
    let world = multi_primary().with("templates/addons/istiod/manifests/push.yaml.hbs", push);
    assert_eq!(world.problems(), "no problems");
}
