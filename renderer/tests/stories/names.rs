//! Names of what must be there in a cluster.

use insta::assert_snapshot;

use crate::world::World;

const LOKI: &str = "templates/addons/loki/values.yaml.hbs";
const USER: &str = "templates/addons/user/values.yaml.hbs";
const SECRET: &str = "templates/addons/user/manifests/secret.yaml.hbs";

/// The platform with a Loki on each hub, and an add-on beside it that uses what the story says.
fn using(values: &str) -> World {
    World::platform()
        .addon("loki", "loki", "control")
        .with(LOKI, "gateway:\n  service:\n    port: 8080\n")
        .addon("local-path-provisioner", "local-path-provisioner", "control")
        .edit(
            "environments/control.yaml",
            "      storage: 100Gi\n",
            "      storage: 100Gi\n      grafanaSecret: user\n",
        )
        .edit("templates/addons/kube-prometheus-stack/addon.yaml", "namespace: monitoring", "namespace: user")
        .addon("user", "some-chart", "control")
        .with(USER, values)
        .with(
            SECRET,
            "apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: user}
spec:
  secretStoreRef: {kind: ClusterSecretStore, name: vault}
  dataFrom:
    - extract: {key: user}
",
        )
}

fn outside(lines: &str) -> String {
    format!("outside:\n{lines}")
}

#[test]
fn what_is_there_may_be_named() {
    let values = "\
persistence: {storageClass: local-path, other: {storageClassName: \"\"}}
auth: {existingSecret: user, secretKeyRef: {name: not-yet, optional: true}}
urls: [\"http://loki-gateway.loki.svc:8080/x\", \"http://user.user.svc.cluster.local:1\", \"https://kubernetes.default.svc\"]
grafana: kube-prometheus-stack-grafana.user.svc:80
";
    assert_eq!(using(values).problems(), "no problems");
}

#[test]
fn a_service_that_no_release_brings_is_told() {
    assert_snapshot!(using("url: http://loki-gatewy.loki.svc:8080\n").problems(), @"
    templates/addons/user/values.yaml.hbs:1:6: nothing of `control` is called `loki-gatewy` in the namespace `loki`
      hint: did you mean `loki-gateway`?
    ");
    assert_snapshot!(using("url: http://loki-gateway.loki.svc:3100\n").problems(), @"
    templates/addons/user/values.yaml.hbs:1:6: Service `loki-gateway` of the namespace `loki` has no port `3100`
      hint: its ports: `8080`
    ");
    assert_snapshot!(using("url: http://loki-gateway.lokki.svc:8080\n").problems(), @"
    templates/addons/user/values.yaml.hbs:1:6: nothing of `control` is in the namespace `lokki`, where Service `loki-gateway` is to be
      hint: did you mean `loki`?
    ");
    assert_snapshot!(using("url: http://orders.shop.svc\n").problems(), @"
    templates/addons/user/values.yaml.hbs:1:6: nothing of `control` is in the namespace `shop`, where Service `orders` is to be
      hint: name one that comes from elsewhere as `shop/orders` under `outside.services` in `addon.yaml`
    ");
}

#[test]
fn a_name_that_is_made_out_of_the_release_is_told_where_it_is_used() {
    let world = using("url: http://loki-gateway.loki.svc:8080\n");
    let renamed = world.clone().and("templates/addons/loki/addon.yaml", "release: logs\n");
    assert_snapshot!(renamed.problems(), @"
    templates/addons/user/values.yaml.hbs:1:6: nothing of `control` is called `loki-gateway` in the namespace `loki`
      hint: did you mean `logs-loki-gateway`?
    ");
    let pinned = renamed.and(LOKI, "fullnameOverride: loki\n");
    assert_eq!(pinned.problems(), "no problems");
    let agent = "url: http://prometheus-agent-prometheus.monitoring.svc:9090\n";
    let world = using("{}").edit("templates/addons/user/addon.yaml", "[control]", "[app]").with(USER, agent);
    assert_eq!(world.problems(), "no problems");
    let unpinned = world.edit(
        "templates/addons/prometheus-agent/values.yaml.hbs",
        "fullnameOverride: {{addon.name}}\n",
        "",
    );
    assert_snapshot!(unpinned.problems(), @"
    templates/addons/user/values.yaml.hbs:1:6: nothing of `app` is called `prometheus-agent-prometheus` in the namespace `monitoring`
      hint: the chart calls Services of the release `prometheus-agent` `prometheus-agent-kube-prom-…`; set `fullnameOverride: prometheus-agent`
    ");
}

#[test]
fn services_of_written_objects_are_known_with_their_ports() {
    let object = "apiVersion: v1\nkind: Service\nmetadata: {name: mysql}\nspec: {ports: [{port: 3306}]}\n";
    let world =
        using("host: mysql.user.svc:3306\n").with("templates/addons/user/manifests/mysql.yaml.hbs", object);
    assert_eq!(world.problems(), "no problems");
    assert_snapshot!(world.edit(USER, "3306", "3307").problems(), @"
    templates/addons/user/values.yaml.hbs:1:7: Service `mysql` of the namespace `user` has no port `3307`
      hint: its ports: `3306`
    ");
}

#[test]
fn a_storage_class_that_nothing_provides_is_told() {
    assert_snapshot!(using("a: {storageClass: local-pth}\n").problems(), @"
    templates/addons/user/values.yaml.hbs:1:19: nothing provides the storage class `local-pth` on `control`
      hint: known: `local-path`; name one that comes from elsewhere under `outside.storageClasses` in `addon.yaml`
    ");
    let world = using("a: {storageClass: local-path}\n");
    let renamed = world
        .with("templates/addons/local-path-provisioner/values.yaml.hbs", "storageClass: {name: disks}\n");
    assert!(renamed.problems().contains("nothing provides the storage class `local-path` on `control`"));
    let elsewhere = using("a: {storageClass: gp3}\n")
        .and("templates/addons/user/addon.yaml", &outside("  storageClasses: [gp3]\n"));
    assert_eq!(elsewhere.problems(), "no problems");
}

#[test]
fn a_secret_that_nothing_provides_is_told() {
    assert_snapshot!(using("a: {existingSecret: usr}\n").problems(), @"
    templates/addons/user/values.yaml.hbs:1:21: nothing provides the Secret `usr` on `control`
      hint: write an ExternalSecret or a Certificate that makes it; name one that is put there by hand under `outside.secrets` in `addon.yaml`
    ");
    assert_snapshot!(using("env: [{name: X, valueFrom: {secretKeyRef: {name: usr, key: x}}}]\n").problems(), @"
    templates/addons/user/values.yaml.hbs:1:50: nothing provides the Secret `usr` on `control`
      hint: write an ExternalSecret or a Certificate that makes it; name one that is put there by hand under `outside.secrets` in `addon.yaml`
    ");
    assert_snapshot!(using("prometheus: {secrets: [user, usr]}\n").problems(), @"
    templates/addons/user/values.yaml.hbs:1:30: nothing provides the Secret `usr` on `control`
      hint: write an ExternalSecret or a Certificate that makes it; name one that is put there by hand under `outside.secrets` in `addon.yaml`
    ");
    let elsewhere = using("a: {existingSecret: usr}\n")
        .and("templates/addons/user/addon.yaml", &outside("  secrets: [usr]\n"));
    assert_eq!(elsewhere.problems(), "no problems");
}

#[test]
fn a_secret_is_seen_in_its_own_namespace_only() {
    let world =
        using("{}\n").edit(SECRET, "metadata: {name: user}", "metadata: {name: user, namespace: elsewhere}");
    assert_snapshot!(world.problems(), @"
    environments/control.yaml:25:22: Secret `user` is provided in the namespace `elsewhere` and not in `user`
      hint: a Secret is seen in its own namespace only: provide it there
    ");
}

#[test]
fn a_certificate_provides_its_secret() {
    let certificate = "apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web}
spec: {secretName: web-tls, dnsNames: [a.example.com], issuerRef: {name: ca, kind: ClusterIssuer}}
";
    let world = using("tls: {secretName: web-tls}\n");
    assert_eq!(
        world.with("templates/addons/user/manifests/web.yaml.hbs", certificate).problems(),
        "no problems"
    );
}

#[test]
fn objects_among_values_provide_what_they_make() {
    let values = "a: {existingSecret: extra}\nextraObjects:\n  - apiVersion: external-secrets.io/v1\n    kind: ExternalSecret\n    metadata: {name: extra}\n    spec: {}\n";
    assert_eq!(using(values).problems(), "no problems");
}

#[test]
fn where_nothing_is_provided_names_are_not_judged() {
    let world = World::platform().addon("user", "some-chart", "control");
    let values = "a: {existingSecret: by-hand, storageClass: of-the-cloud}\n";
    assert_eq!(world.with(USER, values).problems(), "no problems");
}

#[test]
fn a_secret_that_the_hub_pushes_is_provided() {
    let push = "apiVersion: external-secrets.io/v1alpha1
kind: PushSecret
metadata: {name: ca}
spec:
  secretStoreRefs: [{kind: ClusterSecretStore, name: app}]
  selector: {secret: {name: user}}
  data:
    - match: {remoteRef: {remoteKey: pushed}}
";
    let spoke = using("{}\n")
        .addon("other", "some-chart", "app")
        .with("templates/addons/other/values.yaml.hbs", "a: {existingSecret: own}\nb: {existingSecret: pushed}\n")
        .with("templates/addons/other/manifests/own.yaml.hbs", "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: own}\nspec: {dataFrom: [{extract: {key: own}}]}\n");
    assert!(spoke.problems().contains("nothing provides the Secret `pushed` on `app`"));
    assert_eq!(spoke.with("templates/addons/user/manifests/push.yaml.hbs", push).problems(), "no problems");
}

#[test]
fn what_the_control_plane_says_may_name_a_service_of_another_cluster() {
    let values = "meshConfig: {extensionProviders: [{name: otel, opentelemetry: {service: collector.tracing.svc.cluster.local, port: 4317}}]}\n";
    let world = World::platform()
        .addon("istiod", "istiod", "control")
        .with("templates/addons/istiod/values.yaml.hbs", values);
    assert!(
        world.problems().contains("nothing of `control` is in the namespace `tracing`"),
        "{}",
        world.problems()
    );
    let world = world
        .addon("tracing", "opentelemetry-collector", "app")
        .with("templates/addons/tracing/values.yaml.hbs", "fullnameOverride: collector\n");
    assert_eq!(world.problems(), "no problems");
}
