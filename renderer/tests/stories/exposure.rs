//! Who reaches what is exposed, and by what clusters prove themselves to their hub: on the shipped platform, whose facts grow, so
//! that no line numbers are shown.

use crate::world::{World, files};

const FLEET: &str = "environments/_fleet.yaml";
const CONTROL: &str = "environments/control.yaml";
const APP: &str = "environments/app.yaml";
const ARGO_CD: &str = "templates/addons/argo-cd/manifests/network-policy.yaml.hbs";
const VAULT: &str = "templates/addons/vault/manifests/network-policy.yaml.hbs";

fn is_told(world: &World, message: &str, hint: &str) {
    let told = world.problems();
    let problems: Vec<&str> = told.lines().filter(|line| !line.starts_with("  hint: ")).collect();
    assert!(problems.len() == 1 && problems[0].ends_with(message) && told.contains(hint), "{told}");
}

#[test]
fn pods_behind_an_address_without_a_policy_are_told() {
    is_told(
        &World::shipped().without(ARGO_CD),
        "whatever asks reaches the pods behind `192.168.64.100`",
        "write a `NetworkPolicy` in `argocd` for pods with `app.kubernetes.io/name: argocd-server`",
    );
}

#[test]
fn a_policy_of_other_pods_or_of_another_namespace_limits_nothing() {
    let others = [
        ("app=\"argocd-server\"", "app=\"argocd-repo-server\""),
        ("app=\"argocd-server\" port=8080", "app=\"argocd-server\" port=8080 namespace=\"default\""),
    ];
    for (old, new) in others {
        let told = World::shipped().edit(ARGO_CD, old, new).problems();
        assert!(told.contains("whatever asks reaches the pods behind `192.168.64.100`"), "{told}");
    }
}

#[test]
fn a_rule_that_lets_in_whatever_asks_is_told_whatever_else_there_is() {
    let open = World::shipped().edit(
        VAULT,
        "  ingress:\n",
        "  ingress:\n    - ports:\n        - port: 8200\n          protocol: TCP\n",
    );
    is_told(
        &open,
        "by this rule, whatever asks reaches the pods behind `192.168.64.106`",
        "name who may in `from`",
    );
    let everywhere = World::shipped().edit(FLEET, "  - 192.168.64.1/32", "  - 0.0.0.0/0");
    let told = everywhere.problems();
    assert!(told.contains("by this rule, whatever asks reaches the pods behind `192.168.64.102`"), "{told}");
    let of_the_chart = World::shipped().edit(
        "templates/addons/argo-cd/values.yaml.hbs",
        "    # Of each component but the server, which has one of ours.\n    create: false",
        "    create: true",
    );
    is_told(
        &of_the_chart,
        "by a policy of the chart, whatever asks reaches the pods behind `192.168.64.100`",
        "set `global.networkPolicy.create: false`",
    );
}

#[test]
fn a_service_whose_pods_are_not_described_is_told() {
    let described = "provides:\n  exposed:\n    - service: service\n      pods: {istio: eastwestgateway}\n";
    let told = World::shipped().edit("templates/addons/istio-gateway/addon.yaml", described, "").problems();
    assert!(told.contains("it is not known which pods are behind `192.168.64.107`"), "{told}");
}

#[test]
fn an_address_that_no_service_asks_for_is_told() {
    let kept = World::shipped().edit(CONTROL, "addresses:\n", "addresses:\n  rancher: 192.168.64.108\n");
    is_told(
        &kept,
        "no Service on `control` asks for the address `192.168.64.108`",
        "remove it, or turn on the add-on that it is for",
    );
}

#[test]
fn nothing_is_judged_where_the_fleet_does_not_say_where_its_people_come_from() {
    let networks = "operatorNetworks:\n  - 192.168.64.1/32\n";
    assert_eq!(World::shipped().without(ARGO_CD).edit(FLEET, networks, "").problems(), "no problems");
}

#[test]
fn what_is_sent_without_a_certificate_is_told_at_its_sender() {
    for (file, line, signal, by) in [
        (
            "templates/addons/prometheus-agent/values.yaml.hbs",
            "          certFile: \"/etc/prometheus/secrets/{{addon.name}}-telemetry/tls.crt\"\n",
            "metrics",
            "tlsConfig.certFile",
        ),
        (
            "templates/addons/opentelemetry-collector/values.yaml.hbs",
            "        cert_file: /etc/otelcol-tls/tls.crt\n",
            "traces",
            "tls.cert_file",
        ),
        (
            "templates/addons/fluent-bit/values.yaml.hbs",
            "        tls.crt_file             /etc/fluent-bit-tls/tls.crt\n",
            "logs",
            "tls.crt_file",
        ),
    ] {
        let told = World::shipped().edit(file, line, "").problems();
        assert!(told.contains(&format!("{signal} are sent to `")), "{told}");
        assert!(
            told.contains("without a certificate of the sender, and hub `control` requires one"),
            "{told}"
        );
        assert!(told.contains(&format!("name one by `{by}`")), "{told}");
    }
    let plain = World::shipped().edit(
        "templates/addons/fluent-bit/values.yaml.hbs",
        "        tls                      On\n",
        "        tls                      Off\n",
    );
    let told = plain.problems();
    assert!(
        told.contains("`http://192.168.64.104:443/loki/api/v1/push` is not an endpoint for logs"),
        "{told}"
    );
    assert!(told.contains("`https://192.168.64.104:443/loki/api/v1/push`"), "{told}");
}

#[test]
fn the_gateway_knows_each_cluster_of_its_hub_by_the_name_in_its_certificate() {
    let rendered = files(&World::shipped().render());
    let text = |path: &str| &rendered.iter().find(|(file, _)| file == path).unwrap().1;
    let known = text("argocd-apps/control/telemetry-gateway/manifests/configuration.yaml");
    let names = known.lines().filter_map(|line| line.trim().strip_prefix("exact: \"fleet://"));
    assert_eq!(names.collect::<Vec<_>>(), ["control/telemetry\"", "app/telemetry\""]);
    let senders = [
        ("app", "prometheus-agent"),
        ("app", "fluent-bit"),
        ("app", "opentelemetry-collector"),
        ("control", "fluent-bit"),
    ];
    for (cluster, addon) in senders {
        let certificate = text(&format!("argocd-apps/{cluster}/{addon}/manifests/certificate.yaml"));
        assert!(certificate.contains(&format!("- fleet://{cluster}/telemetry\n")), "{certificate}");
    }
    let alone = files(&World::shipped().without_folder("environments/_profiles").without(APP).render());
    assert!(!alone.iter().any(|(_, text)| text.contains("fleet://app/")));
}
