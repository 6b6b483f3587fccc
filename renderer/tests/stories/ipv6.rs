//! Both families: what holds for IPv4 holds for IPv6 and for clusters with both.

use std::net::Ipv6Addr;

use fleetwright_renderer::explain::explain;
use fleetwright_renderer::path::RepoPath;
use insta::assert_snapshot;

use crate::world::{World, files};

const FLEET: &str = "environments/_fleet.yaml";
const CONTROL: &str = "environments/control.yaml";
const APP: &str = "environments/app.yaml";
const SOUND: &str = "no problems";

/// The shipped platform with every address and network of its facts in IPv6.
fn only_ipv6() -> World {
    let network = |text: &str, number: &str| {
        text.replace(&format!("10.24{number}.0.0/16"), &format!("fd00:24{number}::/56"))
            .replace(&format!("10.9{number}.0.0/16"), &format!("fd00:9{number}::/112"))
    };
    [FLEET, CONTROL, APP].into_iter().fold(World::shipped(), |world, file| {
        let text = world.text(file).replace("http://192.168.64.22:9000", "http://[fd00:64::22]:9000");
        let text = text
            .replace("192.168.64.0/24", "fd00:64::/64")
            .replace("192.168.64.1/32", "fd00:64::1/128")
            .replace("192.168.64.", "fd00:64::");
        let text = ["4", "5", "6", "7"].into_iter().fold(text, |text, number| network(&text, number));
        world.with(file, text)
    })
}

/// The shipped platform on clusters with both families.
fn both_families() -> World {
    World::shipped()
        .edit(CONTROL, "pods: 10.244.0.0/16", "pods: [10.244.0.0/16, fd00:244::/56]")
        .edit(CONTROL, "services: 10.96.0.0/16", "services: [10.96.0.0/16, fd00:96::/112]")
        .edit(
            CONTROL,
            "pool: 192.168.64.100-192.168.64.110",
            "pool:\n    - 192.168.64.100-192.168.64.110\n    - fd00:64::/120",
        )
        .edit(CONTROL, "grafana: 192.168.64.101", "grafana: fd00:64::1")
        .edit(APP, "pods: 10.245.0.0/16", "pods: [fd00:245::/56, 10.245.0.0/16]")
        .edit(APP, "services: 10.97.0.0/16", "services: [fd00:97::/112, 10.97.0.0/16]")
        .edit(
            APP,
            "pool: 192.168.64.120-192.168.64.140",
            "pool: [192.168.64.120/31, 192.168.64.122-192.168.64.140]",
        )
        .edit(FLEET, "  - 192.168.64.0/24", "  - 192.168.64.0/24\n  - fd00:64::/64")
}

/// The problems of a world without lines and columns: the shipped facts grow.
fn told(world: &World) -> String {
    let lines = world.problems();
    let shown = lines.lines().map(|line| {
        let mut parts = line.splitn(4, ':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(file), Some(row), Some(_), Some(message)) if row.parse::<u32>().is_ok() => {
                format!("{file}:{message}")
            }
            _ => line.split(" at environments").next().unwrap_or_default().to_owned(),
        }
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// Finds addresses with a port or in a URL that have no brackets, in another way than the check does.
fn bare_hosts(text: &str) -> Vec<&str> {
    let is_address = |word: &str| word.contains(':') && word.parse::<Ipv6Addr>().is_ok();
    let words = text.split(|c: char| c.is_whitespace() || "\"',".contains(c));
    let is_bare = |word: &&str| {
        let in_url = word.split_once("://").is_some_and(|(_, rest)| {
            rest.split('/').next().is_some_and(|host| !host.starts_with('[') && host.matches(':').count() > 1)
        });
        // All addresses of the story end in the number of the IPv4 address: a fourth group is a port.
        let groups = word.strip_prefix("fd00:64::").map(|rest| rest.split('/').next().unwrap_or(rest));
        in_url || (groups.is_some_and(|rest| rest.contains(':')) && !word.contains('-')) || {
            let before_port = word.rsplit_once(':').map(|(host, _)| host);
            !is_address(word) && before_port.is_some_and(is_address)
        }
    };
    words.filter(is_bare).collect()
}

#[test]
fn the_shipped_platform_is_sound_with_ipv6_alone() {
    let world = only_ipv6();
    assert_eq!(world.problems(), SOUND);
    let mut with_brackets = 0;
    for (path, text) in files(&world.render()) {
        assert_eq!(bare_hosts(&text), Vec::<&str>::new(), "{path}");
        assert!(!text.contains("192.168."), "{path}");
        with_brackets += text.matches("[fd00:64::").count();
    }
    assert!(with_brackets > 15, "{with_brackets}");
}

#[test]
fn the_shipped_platform_writes_each_address_as_its_reader_takes_it() {
    let rendered: std::collections::BTreeMap<_, _> = files(&only_ipv6().render()).into_iter().collect();
    let lines = |file: &str, words: &[&str]| -> String {
        let text = &rendered[&format!("argocd-apps/{file}")];
        let found: Vec<&str> =
            text.lines().filter(|line| words.iter().any(|word| line.contains(word))).collect();
        found.join("\n")
    };
    assert_snapshot!(lines("app/prometheus-agent/values.yaml", &["url:"]), @"      - url: https://[fd00:64::104]:443/api/v1/write");
    assert_snapshot!(lines("app/opentelemetry-collector/values.yaml", &["fd00"]), @r#"      endpoint: "[fd00:64::104]:443""#);
    assert_snapshot!(lines("app/fluent-bit/values.yaml", &["Host ", "HTTP_Listen"]), @"
            HTTP_Listen               ::
            Host                     fd00:64::104
    ");
    assert_snapshot!(lines("app/registration.yaml", &["server:"]), @"        server: https://[fd00:64::30]:6443");
    assert_snapshot!(lines("control/argo-cd/values.yaml", &["domain:", "loadBalancerIP"]), @r#"
      domain: "[fd00:64::100]"
        loadBalancerIP: fd00:64::100
    "#);
    assert_snapshot!(lines("control/kube-prometheus-stack/manifests/machines.yaml", &["fd00"]), @r#"
        - "[fd00:64::21]:9104"
        - "[fd00:64::20]:9121"
    "#);
    assert_snapshot!(lines("app/istiod/manifests/machines.yaml", &["addressType", "fd00"]), @r#"
    addressType: IPv6
          - fd00:64::21
    addressType: IPv6
          - fd00:64::20
    "#);
}

#[test]
fn the_shipped_platform_is_sound_with_both_families() {
    let world = both_families();
    assert_eq!(world.problems(), SOUND);
    let rendered = files(&world.render());
    let pools: Vec<_> = rendered.iter().filter(|(path, _)| path.ends_with("address-pool.yaml")).collect();
    let addresses = |text: &str| {
        let list = text.split("addresses:\n").nth(1).unwrap_or_default();
        list.lines()
            .take_while(|line| line.trim_start().starts_with('-'))
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let pools: Vec<_> = pools.iter().map(|(_, text)| addresses(text)).collect();
    assert_snapshot!(pools.join("\n--\n"), @r#"
    - "192.168.64.121-192.168.64.121"
    - "192.168.64.122-192.168.64.140"
    --
    - "192.168.64.101-192.168.64.101"
    - "192.168.64.105-192.168.64.105"
    - "192.168.64.108-192.168.64.110"
    - "fd00:64::-fd00:64::"
    - fd00:64::2-fd00:64::ff
    "#);
}

#[test]
fn an_address_has_one_spelling_wherever_it_is_written() {
    let spelled = only_ipv6()
        .edit(CONTROL, "prometheus: fd00:64::102", "prometheus: FD00:0064:0:0::0102")
        .edit(CONTROL, "pool: fd00:64::100-fd00:64::110", "pool: FD00:64:0::100-fd00:64::0110");
    assert_eq!(spelled.problems(), SOUND);
    assert_eq!(files(&spelled.render()), files(&only_ipv6().render()));
    let twice = only_ipv6().edit(CONTROL, "grafana: fd00:64::101", "grafana: FD00:64::0100");
    assert_snapshot!(told(&twice), @"
    environments/control.yaml: address `fd00:64::100` is given twice
      hint: it is also given
    ");
}

#[test]
fn pools_and_networks_of_both_families_are_held_against_each_other() {
    let outside = both_families().edit(CONTROL, "grafana: fd00:64::1", "grafana: fd00:65::1");
    assert_snapshot!(told(&outside), @"
    environments/control.yaml: address `fd00:65::1` is outside the pool `192.168.64.100-192.168.64.110, fd00:64::/120` of `control`
      hint: choose an address of the pool, or widen `loadBalancer.pool`
    ");
    let overlapping = both_families().edit(APP, "192.168.64.120/31,", "192.168.64.104/29, fd00:64::/126,");
    assert_snapshot!(told(&overlapping), @"
    environments/app.yaml: address `192.168.64.120` is outside the pool `192.168.64.104/29, fd00:64::/126, 192.168.64.122-192.168.64.140` of `app`
      hint: choose an address of the pool, or widen `loadBalancer.pool`
    environments/control.yaml: address pool `192.168.64.100-192.168.64.110` of `control` overlaps address pool `192.168.64.104/29` of `app`
      hint: the other one is
    environments/control.yaml: address pool `fd00:64::/120` of `control` overlaps address pool `fd00:64::/126` of `app`
      hint: the other one is
    ");
    let two = both_families().edit(
        APP,
        "pods: [fd00:245::/56, 10.245.0.0/16]",
        "pods: [10.245.0.0/16, 10.247.0.0/16]",
    );
    assert_snapshot!(told(&two), @"
    environments/app.yaml: `app` has two pod networks of IPv4
      hint: a cluster has one network, or one of each family
    ");
    let three = both_families().edit(APP, "10.245.0.0/16]", "10.245.0.0/16, 10.247.0.0/16]");
    assert_snapshot!(told(&three), @"
    environments/app.yaml: `pods` must have at most 2 items, not 3
      hint: write the network itself, such as `10.244.0.0/16` or `fd00:244::/56`
    ");
    let none = both_families().edit(APP, "[192.168.64.120/31, 192.168.64.122-192.168.64.140]", "[]");
    assert_snapshot!(told(&none), @"
    environments/app.yaml: `pool` must not be empty
      hint: write the first and the last address, such as `192.168.64.100-192.168.64.110`, or a network, such as `192.168.64.96/28`
    ");
    let machine = both_families().edit(FLEET, "address: 192.168.64.20", "address: fd00:64::7");
    assert_snapshot!(told(&machine), @"
    environments/_fleet.yaml: machine `redis` has address `fd00:64::7`, which lies in the address pool `fd00:64::/120` of `control`
      hint: give it an address outside every pool and every cluster's networks
    ");
}

#[test]
fn an_address_that_is_written_out_needs_its_brackets() {
    let written = only_ipv6().and(
        CONTROL,
        "  vault:\n    values:\n      server:\n        extraEnvironmentVars:\n          A: http://fd00:64::21:9104/\n          B: fd00:64::20:9121\n          C: \"http://[fd00:64::21]:9104/\"\n          D: fd00:64::9:9121\n",
    );
    assert_snapshot!(told(&written), @"
    environments/control.yaml: `fd00:64::21:9104` is an IPv6 address without brackets where a host stands
      hint: write `[fd00:64::21]:9104`; what a template inserts gets them by itself
    environments/control.yaml: `fd00:64::20:9121` is an IPv6 address without brackets where a host stands
      hint: write `[fd00:64::20]:9121`; what a template inserts gets them by itself
    ");
    let joined = only_ipv6().edit(
        "templates/addons/kube-prometheus-stack/manifests/machines.yaml.hbs",
        "\"{{address}}:{{metricsPort}}\"",
        "\"{{join (list address) \",\"}}:{{metricsPort}}\"",
    );
    assert_eq!(joined.problems(), SOUND, "what a function returns is inserted like a fact");
    let url = only_ipv6().edit(FLEET, "http://[fd00:64::22]:9000", "http://fd00:64::22:9000");
    assert_snapshot!(told(&url), @"
    environments/_fleet.yaml: `fd00:64::22:9000` is an IPv6 address without brackets where a host stands (on `app` and `control`)
      hint: write `[address]:port`; what a template inserts gets the brackets by itself
    ");
}

#[test]
fn an_explanation_knows_what_asks_for_the_family() {
    let rendered = only_ipv6().render();
    let why = |file: &str, path: &str| -> Vec<String> {
        let file = RepoPath::parse(&format!("argocd-apps/{file}")).unwrap();
        let found = explain(&rendered, &file, Some(path)).unwrap();
        let lines = found.iter().flat_map(|found| &found.facts);
        lines.map(|line| format!("{} {:?}", line.fact, line.influence)).collect()
    };
    assert_eq!(
        why("app/istiod/manifests/machines.yaml", "addressType").first().map(String::as_str),
        Some("fleet.machines.mysql.address Value")
    );
    assert_eq!(why("control/loki/values.yaml", "loki.commonConfig.ring"), ["cluster.networks.pods Presence"]);
    let url = why("app/prometheus-agent/values.yaml", "prometheus.prometheusSpec.remoteWrite[0].url");
    assert!(url.contains(&"hub.addresses.telemetry Value".to_owned()), "{url:?}");
}

#[test]
fn what_is_sent_in_ipv6_arrives_or_is_missed() {
    let elsewhere = only_ipv6().edit(
        "templates/addons/prometheus-agent/values.yaml.hbs",
        "{{hub.addresses.telemetry}}",
        "{{hub.addresses.grafana}}",
    );
    assert_snapshot!(told(&elsewhere), @"
    templates/addons/prometheus-agent/values.yaml.hbs: `https://[fd00:64::101]:443/api/v1/write` is not an endpoint for metrics
      hint: hub `control` has `https://[fd00:64::104]:443/api/v1/write`; a machine outside the clusters is named in `_fleet.yaml`
    ");
}
