//! Who asks Vault must ask where it answers, and log in as the cluster that it is.

use insta::assert_snapshot;

use crate::world::World;

const VAULT: &str = "templates/addons/vault/values.yaml.hbs";
const INJECTOR: &str = "templates/addons/vault-injector/values.yaml.hbs";
const STORE: &str = "templates/addons/external-secrets/manifests/store.yaml.hbs";

/// The platform with Vault on the hub, and on the spoke the injector and a secret store.
fn platform() -> World {
    World::platform()
        .hub_address("vault", "192.168.64.106")
        .addon("vault", "vault", "control")
        .with(
            VAULT,
            "global:
  tlsDisable: false
server:
  ha:
    enabled: true
    raft:
      enabled: true
      config: |
        listener \"tcp\" {
          address = \"[::]:8200\"
          tls_cert_file = \"/vault/tls/tls.crt\"
        }
ui:
  enabled: true
  serviceType: LoadBalancer
  loadBalancerIP: {{cluster.addresses.vault}}
",
        )
        .addon("vault-injector", "vault", "app")
        .with(
            INJECTOR,
            "global:
  externalVaultAddr: https://{{hub.addresses.vault}}:8200
injector:
  authPath: auth/kubernetes-{{cluster.name}}
",
        )
        .addon("external-secrets", "external-secrets", "app")
        .with(
            STORE,
            "apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata:
  name: vault
spec:
  provider:
    vault:
      server: https://{{hub.addresses.vault}}:8200
      path: platform
      caProvider: {type: ConfigMap, name: ca, key: ca.crt, namespace: external-secrets}
      auth:
        kubernetes:
          mountPath: kubernetes-{{cluster.name}}
          role: external-secrets
",
        )
}

/// The same with a store on the hub that asks Vault by its name inside the cluster.
fn with_a_store_on_the_hub(mount: &str, server: &str) -> World {
    let addon = "templates/addons/external-secrets/addon.yaml";
    let server = format!(
        "{{{{#if (eq cluster.role \"app\")}}}}https://{{{{hub.addresses.vault}}}}:8200{{{{else}}}}{server}{{{{/if}}}}"
    );
    platform()
        .edit(addon, "roles: [app]", "roles: [app, control]")
        .edit(STORE, "https://{{hub.addresses.vault}}:8200", &server)
        .edit(STORE, "kubernetes-{{cluster.name}}", mount)
}

#[test]
fn a_vault_that_is_asked_where_it_answers_is_no_problem() {
    assert_eq!(platform().problems(), "no problems");
    let hub = with_a_store_on_the_hub("kubernetes-{{cluster.name}}", "https://vault.vault.svc:8200");
    assert_eq!(hub.problems(), "no problems");
}

#[test]
fn a_vault_that_is_asked_elsewhere_is_told() {
    assert_snapshot!(platform().edit(INJECTOR, "https:", "http:").problems(), @"
    templates/addons/vault-injector/values.yaml.hbs:2:29: `http://192.168.64.106:8200` is not an endpoint for secrets
      hint: hub `control` has `https://192.168.64.106:8200`; a machine outside the clusters is named in `_fleet.yaml`
    ");
    assert_snapshot!(platform().edit(STORE, ":8200", ":8300").problems(), @"
    templates/addons/external-secrets/manifests/store.yaml.hbs:8:23: `https://192.168.64.106:8300` is not an endpoint for secrets
      hint: hub `control` has `https://192.168.64.106:8200`; a machine outside the clusters is named in `_fleet.yaml`
    ");
}

#[test]
fn a_vault_asked_by_name_with_the_wrong_scheme_is_told() {
    let hub = with_a_store_on_the_hub("kubernetes-{{cluster.name}}", "http://vault.vault.svc:8200");
    assert_snapshot!(hub.problems(), @"
    templates/addons/external-secrets/manifests/store.yaml.hbs:8:90: `http://vault.vault.svc:8200` is used for secrets, and the receiver there speaks `https`
      hint: write its scheme, or change whether it is encrypted
    ");
}

#[test]
fn a_vault_without_an_address_is_told_where_it_is_deaf() {
    assert_snapshot!(platform().edit(VAULT, "LoadBalancer", "ClusterIP").problems(), @"
    templates/addons/vault/values.yaml.hbs:15:16: spokes cannot reach the endpoint for secrets here
      hint: set `ui.serviceType: LoadBalancer`, and `loadBalancerIP` to an address of the pool
    ");
    assert_snapshot!(platform().edit(VAULT, "  enabled: true\n  serviceType", "  serviceType").problems(), @"
    templates/addons/vault/values.yaml.hbs:14:3: spokes cannot reach the endpoint for secrets here
      hint: set `ui.enabled: true`: it is the one Service of the chart that can have an address
    ");
}

#[test]
fn a_listener_must_agree_with_what_the_chart_takes_it_to_do() {
    let plain = "          tls_disable = true\n        }";
    assert_snapshot!(platform().edit(VAULT, "        }", plain).problems(), @"
    templates/addons/vault/values.yaml.hbs:12:11: Vault listens without TLS, and the chart takes it to listen with TLS
      hint: make `tls_disable` in `server.ha.raft.config` agree with `global.tlsDisable`
    ");
    let world = platform().with(VAULT, "global: {tlsDisable: false}\nui: {enabled: true, serviceType: LoadBalancer, loadBalancerIP: \"{{cluster.addresses.vault}}\"}\n");
    assert_snapshot!(world.problems(), @"
    templates/addons/vault/values.yaml.hbs:1:22: Vault listens without TLS, and the chart takes it to listen with TLS
      hint: make `tls_disable` in `server.standalone.config` agree with `global.tlsDisable`
    ");
}

#[test]
fn a_certificate_of_our_own_needs_an_authority() {
    let provider =
        "      caProvider: {type: ConfigMap, name: ca, key: ca.crt, namespace: external-secrets}\n";
    assert_snapshot!(platform().edit(STORE, provider, "").problems(), @"
    templates/addons/external-secrets/manifests/store.yaml.hbs:8:23: no CA is named for the certificate of `https://192.168.64.106:8200`
      hint: add `caProvider` with the Secret or ConfigMap that holds it
    ");
    assert_snapshot!(platform().edit(STORE, ", namespace: external-secrets}", "}").problems(), @"
    templates/addons/external-secrets/manifests/store.yaml.hbs:10:19: a ClusterSecretStore must say in which namespace its certificate lies
      hint: add `namespace:`
    ");
}

#[test]
fn each_cluster_logs_in_by_one_mount_of_its_own() {
    assert_snapshot!(platform().edit(INJECTOR, "kubernetes-{{cluster.name}}", "kubernets-{{cluster.name}}").problems(), @"
    templates/addons/vault-injector/values.yaml.hbs:4:28: `app` logs in for secrets by `kubernets-app`, and elsewhere by `kubernetes-app`
      hint: use one login for all of a cluster
    ");
    let shared = with_a_store_on_the_hub("kubernetes-app", "https://vault.vault.svc:8200");
    assert_snapshot!(shared.problems(), @"
    templates/addons/external-secrets/manifests/store.yaml.hbs:13:22: `control` logs in for secrets by `kubernetes-app`, and so does `app`
      hint: give each cluster a login of its own: by a login, one cluster is known
    ");
}

#[test]
fn a_mount_is_written_as_its_reader_wants_it() {
    assert_snapshot!(platform().edit(INJECTOR, "auth/", "").problems(), @"
    templates/addons/vault-injector/values.yaml.hbs:4:24: `kubernetes-app` does not begin with `auth/`
      hint: write `auth/kubernetes-app`
    ");
    assert_snapshot!(platform().edit(STORE, "mountPath: ", "mountPath: auth/").problems(), @"
    templates/addons/external-secrets/manifests/store.yaml.hbs:13:38: `auth/kubernetes-app` would be looked for at `auth/auth/kubernetes-app`
      hint: write `kubernetes-app`
    ");
}
