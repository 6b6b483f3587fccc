//! What `diff` says of the commonest changes of a large fleet: first what happens, in few lines.

use insta::assert_snapshot;
use testkit::fleet;

use crate::repo::Repo;

/// The most lines of a plan that a person reads.
const FEW: usize = 40;

/// A generated fleet with a bumped chart, a new add-on and an edited fact of the fleet that are not committed.
fn fleet_with_changes(clusters: usize) -> Repo {
    let repo = Repo::empty();
    for (path, text) in fleet::files(clusters, 5) {
        repo.write(&path, text);
    }
    repo.commit("Describe the fleet");
    repo.edit("templates/addons/addon-01/addon.yaml", "version: 1.1.0", "version: 1.2.0");
    for file in ["addon.yaml", "values.yaml.hbs"] {
        let text = repo.read(&format!("templates/addons/addon-02/{file}"));
        repo.write(&format!("templates/addons/quota/{file}"), text.replace("addon-02", "quota"));
    }
    repo.edit("environments/_fleet.yaml", "storageClass: fast", "storageClass: faster");
    repo
}

#[test]
fn a_chart_an_addon_and_a_fact_are_said_first_and_in_few_lines_of_a_thousand_clusters() {
    let repo = fleet_with_changes(1_000);
    let told = repo.run(&["diff"]);
    let first: Vec<&str> = told.out.lines().take(3).collect();
    assert_snapshot!(first.join("\n"), @"
    chart addon-01 1.1.0 → 1.2.0 on 1000 clusters
    add-on quota added on 1000 clusters
    fact storageClass: fast → faster on 1000 clusters, 8 settings
    ");
    assert!(told.out.lines().count() < FEW, "{told}");
    let markdown = repo.run(&["diff", "--markdown"]).out;
    let first: Vec<&str> = markdown.lines().take(3).collect();
    assert_snapshot!(first.join("\n"), @"
    - `chart addon-01 1.1.0 → 1.2.0 on 1000 clusters`
    - `add-on quota added on 1000 clusters`
    - `fact storageClass: fast → faster on 1000 clusters, 8 settings`
    ");
    let json = repo.run(&["diff", "--format", "json"]).json();
    let whats: Vec<&str> =
        json["highlights"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["chart", "addon", "value"]);
    assert_eq!(json["highlights"][0]["clusters"].as_array().unwrap().len(), 1_000);
    assert!(json["groups"].as_array().unwrap().len() < 10, "{}", json["groups"].as_array().unwrap().len());
}

/// The shipped platform with 42 app clusters.
fn platform_of_42() -> Repo {
    let repo = Repo::shipped();
    let app = repo.read("environments/app.yaml");
    for number in 1..42 {
        let text = app
            .replace("10.245.0.0/16", &format!("10.100.{number}.0/24"))
            .replace("10.97.0.0/16", &format!("10.101.{number}.0/24"))
            .replace("  controlPlane:\n    addresses: 192.168.64.31-192.168.64.39\n", "")
            .replace("    addresses: 192.168.64.41-192.168.64.60\n", "")
            .replace("192.168.64.30", &format!("192.168.{}.5", 65 + number))
            .replace(
                "192.168.64.120-192.168.64.140",
                &format!("192.168.{}.10-192.168.{}.20", 65 + number, 65 + number),
            )
            .replace("192.168.64.120", &format!("192.168.{}.10", 65 + number));
        repo.write(&format!("environments/app-{number}.yaml"), text);
    }
    let told = repo.run(&["render"]);
    assert_eq!(told.code, 0, "{told}");
    repo.commit("42 clusters");
    repo
}

#[test]
fn a_chart_bump_of_the_platform_on_42_clusters_is_one_line_and_one_group() {
    let repo = platform_of_42();
    let addon = "templates/addons/cert-manager/addon.yaml";
    let text = repo.read(addon);
    let version = text.lines().find_map(|line| line.trim().strip_prefix("version: ")).unwrap().to_owned();
    repo.write(addon, text.replace(&version, "v99.0.0"));
    let lock = "templates/charts.lock";
    repo.write(lock, repo.read(lock).replace(&format!("version: {version}"), "version: v99.0.0"));
    repo.edit("environments/control.yaml", "telemetry: 192.168.64.104", "telemetry: 192.168.64.109");
    assert_snapshot!(repo.run(&["diff"]), @r#"
    chart cert-manager v1.21.1 → v99.0.0 on 43 clusters
    fact addresses.telemetry: 192.168.64.104 → 192.168.64.109 on 43 clusters, 5 settings

    174 files changed on 43 clusters: app, app-1, app-10, app-11, app-12 and 38 more

    Risks
      ! exposed address: an address appears that others may reach or depend on
          metallb/manifests/address-pool.yaml IPAddressPool metallb-system/default spec.addresses[2] on control
      ! exposed address: an address moves that others may depend on
          metallb/manifests/address-pool.yaml IPAddressPool metallb-system/default spec.addresses[0] on control
          metallb/manifests/address-pool.yaml IPAddressPool metallb-system/default spec.addresses[1] on control
          … 3 more places: `fleetwright diff --full`
      ! chart major version: keys may have been renamed or removed: read the chart's notes on upgrading
          applicationset.yaml Application <cluster>-cert-manager version on 43 clusters

    on 42 clusters (app, app-1, app-10, app-11, app-12 and 37 more)
      fluent-bit/values.yaml
          config.outputs:
        -     Host                     192.168.64.104
        +     Host                     <hub.addresses.telemetry>
      opentelemetry-collector/values.yaml
          config.exporters.otlp.endpoint: "192.168.64.104:443" → "192.168.64.109:443"
      prometheus-agent/values.yaml
          prometheus.prometheusSpec.remoteWrite[0].url:
        - https://192.168.64.104:443/api/v1/write
        + https://192.168.64.109:443/api/v1/write

    on control
      fluent-bit/values.yaml
          config.outputs:
        -     Host                     192.168.64.104
        +     Host                     192.168.64.109
      infra/fleet/hosts
          [103]: "192.168.64.104 telemetry.control.platform.internal" → "192.168.64.109 telemetry.control.platform.internal"
      … 6 more changes: `fleetwright diff --full`

    on 43 clusters (app, app-1, app-10, app-11, app-12 and 38 more)
      applicationset.yaml
          ApplicationSet argocd/<cluster> spec.generators[0].list.elements[name=cert-manager].version: v1.21.1 → v99.0.0
    => 0
    "#);
    repo.commit("Bump");
    repo.edit("environments/app.yaml", "role: app\n", "role: app\naddons: {minio: {enabled: true}}\n");
    let told = repo.run(&["diff"]).out;
    assert!(told.contains("! backup inside"), "{told}");
}
