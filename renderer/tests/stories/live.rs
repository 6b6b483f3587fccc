//! What add-ons ask of live clusters: data, with the facts of each cluster in it.

use fleetwright_renderer::catalog::{Ask, Limit};
use fleetwright_renderer::verify::{Check, Question, checks};
use insta::assert_snapshot;

use crate::world::World;

const STORE: &str = "templates/addons/store/addon.yaml";
const STORE_VALUES: &str = "templates/addons/store/values.yaml.hbs";
const AGENT: &str = "templates/addons/agent/addon.yaml";
const APP: &str = "environments/app.yaml";

const ANSWERS: &str = "answers:
  profiles:
    language: promql
    service: <fullName>
    port: {value: service.port, default: 4040}
    tls: {value: tls.enabled}
    pathPrefix: prefix
    tenant: \"{{fleet.logs.tenant}}\"
provides:
  services:
    - name: <fullName>
";

const VERIFY: &str = "settings:
  oldest: {type: string, default: 5m}
verify:
  - name: arrive
    about: how old the newest profile is
    ask:
      signal: profiles
      of: hub
      query: age{cluster=\"{{cluster.name}}\", hub=\"{{ hub.name }}\"}
      atMost: \"{{addon.settings.oldest}}\"
  - name: things
    about: each thing is ready
    clusters: {labels: {region: eu}}
    ask: {apiVersion: example.com/v1, kind: Thing, holds: {condition: Ready}}
";

/// The platform with a store on the hub that answers queries, and an agent on the spoke that asks.
fn platform() -> World {
    World::platform()
        .addon("store", "store", "control")
        .and(STORE, ANSWERS)
        .with(STORE_VALUES, "nameOverride: x\n")
        .addon("agent", "agent", "app")
        .and(AGENT, VERIFY)
        .edit(APP, "role: app\n", "role: app\nlabels: {region: eu}\n")
}

fn asked(world: &World) -> String {
    let rendered = world.render();
    let checks = checks(&rendered, |_| true).unwrap();
    let line = |check: &Check| {
        let name = check.addon.as_ref().map_or_else(String::new, |addon| format!("{addon}/")) + &check.name;
        format!("{} {name}: {}", check.cluster, shown(&check.question))
    };
    checks.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn shown(question: &Question) -> String {
    match question {
        Question::Nodes(number) => format!("{number} nodes"),
        Question::Addresses(addresses) => format!("{addresses:?}"),
        Question::Objects(objects) => format!("{} {}", objects.api_version, objects.kind),
        Question::Query(query) => {
            let at = query.query.endpoint.as_ref().map_or_else(
                || "nothing".to_owned(),
                |it| {
                    let scheme = if it.is_encrypted { "https" } else { "http" };
                    format!(
                        "{scheme}://{}.{}:{}/{} as {:?}",
                        it.service, it.namespace, it.port, it.path_prefix, it.tenant
                    )
                },
            );
            let most = query.at_most.as_ref().and_then(Limit::value);
            format!("{} at {} of {at}, at most {most:?}", query.query.text, query.query.cluster)
        }
    }
}

#[test]
fn facts_are_filled_in_and_the_service_is_the_one_that_the_hubs_values_make() {
    assert_snapshot!(asked(&platform()), @r#"
    app nodes: 9 nodes
    app addresses: {}
    app agent/arrive: age{cluster="app", hub="control"} at control of http://store-x.store:4040/ as None, at most Some(300)
    app agent/things: example.com/v1 Thing
    control nodes: 3 nodes
    control addresses: {192.168.64.100, 192.168.64.101, 192.168.64.102, 192.168.64.103}
    "#);
    let values = "nameOverride: x\nservice: {port: 80}\ntls: {enabled: true}\nprefix: /a/\n";
    let moved = platform().with(STORE_VALUES, values);
    let moved = moved.edit(APP, "labels: {region: eu}\n", "labels: {region: us}\n").edit(
        AGENT,
        "region: eu",
        "region: us",
    );
    let off = moved.edit(APP, "role: app\n", "role: app\naddons: {agent: {settings: {oldest: 90s}}}\n");
    let lines = asked(&off);
    assert_snapshot!(lines.lines().find(|line| line.contains("arrive")).unwrap(), @r#"app agent/arrive: age{cluster="app", hub="control"} at control of https://store-x.store:80/a as None, at most Some(90)"#);
    let without =
        platform().edit("environments/control.yaml", "addons:\n", "addons:\n  store: {enabled: false}\n");
    assert!(asked(&without).contains("of nothing"), "{}", asked(&without));
}

#[test]
fn a_check_that_a_value_turns_on_is_asked_where_the_value_is() {
    let things = |values: &str| {
        let world = platform().with("templates/addons/agent/values.yaml.hbs", values);
        let world =
            world.edit(AGENT, "    clusters: {labels", "    when: [{value: things}]\n    clusters: {labels");
        asked(&world).contains("agent/things")
    };
    for (values, is_asked) in
        [("things: {daily: {}}\n", true), ("things: {}\n", false), ("other: 1\n", false), ("{}\n", false)]
    {
        assert_eq!(things(values), is_asked, "{values}");
    }
}

#[test]
fn what_cannot_be_asked_is_told_where_it_is_written() {
    assert_eq!(platform().problems(), "no problems");
    assert_snapshot!(platform().edit(AGENT, "{{cluster.name}}", "{{cluster.nam}}").problems(), @"
    templates/addons/agent/addon.yaml:12:14: there is no fact `cluster.nam`
      hint: a check names a single fact as templates do: `{{cluster.name}}`, `{{hub.name}}`, `{{fleet.mesh.id}}` or `{{addon.settings.<name>}}`, without helpers
    ");
    assert_snapshot!(platform().edit(AGENT, "signal: profiles", "signal: profile").problems(), @"
    templates/addons/agent/addon.yaml:10:15: no add-on answers queries about `profile`
      hint: did you mean `profiles`?
    ");
    assert_snapshot!(platform().edit(AGENT, "name: things", "name: arrive").problems(), @"
    templates/addons/agent/addon.yaml:14:11: two checks are called `arrive`
      hint: give each a name of its own
    ");
    assert_snapshot!(platform().edit(AGENT, "default: 5m", "default: often").problems(), @"
    templates/addons/agent/addon.yaml:7:5: with the facts of `app` a limit of check `arrive` is no number and no time
      hint: write a number and a unit, such as `90s`, `5m`, `26h` or `14d`
    ");
    assert_snapshot!(platform().edit(STORE, "service: <fullName>", "service: <fullName>-query").problems(), @"
    templates/addons/store/addon.yaml:7:14: `provides.services` has no `<fullName>-query`
      hint: did you mean `<fullName>`?
    ");
    assert_snapshot!(platform().edit(AGENT, "holds: {condition: Ready}", "holds: {left: status.at}").problems(), @"
    templates/addons/agent/addon.yaml:17:59: missing key `atLeast`
      hint: write a number and a unit, such as `90s`, `5m`, `26h` or `14d`
    ");
    assert_snapshot!(platform().edit(AGENT, "kind: Thing", "kind: thing").problems(), @"
    templates/addons/agent/addon.yaml:17:45: `thing` is not a valid `kind`
      hint: write the kind as in an object, such as `Certificate`
    ");
    assert_snapshot!(platform().edit(AGENT, "of: hub", "of: hubs").problems(), @"
    templates/addons/agent/addon.yaml:11:11: `of` must be one of `cluster`, `hub`
      hint: did you mean `hub`?
    ");
}

#[test]
fn a_setting_that_only_a_check_reads_is_read() {
    assert_eq!(platform().problems(), "no problems");
    let unread = platform().edit(AGENT, "\"{{addon.settings.oldest}}\"", "5m").problems();
    assert!(unread.contains("no template reads setting `oldest`"), "{unread}");
}

#[test]
fn the_kinds_of_questions_are_told_apart_by_their_keys() {
    let ask = |text: &str| serde_json::from_str::<Ask>(text);
    assert!(matches!(ask(r#"{"signal": "logs", "query": "x"}"#), Ok(Ask::Query(_))));
    let objects = r#"{"apiVersion": "v1", "kind": "Node", "holds": {"condition": "Ready"}}"#;
    assert!(matches!(ask(objects), Ok(Ask::Objects(_))));
    assert!(ask(r#"{"signal": "logs", "kind": "Node"}"#).is_err());
}
