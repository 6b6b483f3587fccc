//! Settings that are maps: what a cluster sets is laid over the add-on's default, key by key.

use fleetwright_renderer::explain::{explain, reach};
use fleetwright_renderer::path::RepoPath;
use insta::assert_snapshot;

use crate::world::{World, files};

const APP: &str = "environments/app.yaml";
const ADDON: &str = "templates/addons/backup/addon.yaml";
const VALUES: &str = "argocd-apps/app/backup/values.yaml";

/// An add-on with schedules, of which a cluster sets something.
fn world(settings: &str) -> World {
    let declared = "\
settings:
  schedules:
    type: object
    additionalProperties:
      type: object
      required: [at, keep]
      additionalProperties: false
      properties: {at: {type: string}, keep: {type: integer}, to: {type: array}}
    default:
      daily: {at: d, keep: 1, to: [a, b]}
      weekly: {at: w, keep: 2}
";
    World::platform()
        .addon("backup", "velero", "app")
        .and(ADDON, declared)
        .with("templates/addons/backup/values.yaml.hbs", "schedules: {{addon.settings.schedules}}\n")
        .and(APP, &format!("\naddons:\n  backup:\n    settings:\n{settings}"))
}

fn rendered(settings: &str) -> String {
    let files = files(&world(settings).render());
    let (_, text) = files.into_iter().find(|(path, _)| path == VALUES).unwrap();
    text.lines().skip(1).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_entry_that_is_set_leaves_the_others() {
    assert_snapshot!(rendered("      schedules:\n        daily: {keep: 9}\n        monthly: {at: m, keep: 3}\n"), @"
    schedules:
      daily:
        at: d
        keep: 9
        to:
          - a
          - b
      monthly:
        at: m
        keep: 3
      weekly:
        at: w
        keep: 2
    ");
}

#[test]
fn a_list_replaces_the_default() {
    assert_snapshot!(rendered("      schedules: {daily: {to: [c]}, weekly: {to: []}}\n"), @"
    schedules:
      daily:
        at: d
        keep: 1
        to:
          - c
      weekly:
        at: w
        keep: 2
        to: []
    ");
}

#[test]
fn what_comes_of_the_merge_has_to_fit_the_schema() {
    assert_snapshot!(world("      schedules:\n        daily: {keep: long}\n        monthly: {at: m}\n").problems(), @"
    environments/app.yaml:21:23: `keep` must be an integer, not a string
    environments/app.yaml:22:18: missing key `keep`
    ");
    assert_snapshot!(world("      schedules: none\n").problems(), @"environments/app.yaml:20:18: `schedules` must be a map, not a string");
}

#[test]
fn each_part_of_a_merged_setting_is_explained_where_it_is_written() {
    let rendered = world("      schedules:\n        daily: {keep: 9}\n").render();
    let place = |key: &str| {
        let found = explain(&rendered, &RepoPath::parse(VALUES).unwrap(), Some(key)).unwrap();
        found[0].facts.iter().map(|fact| fact.place.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(place("schedules.daily.keep"), "environments/app.yaml:21:23");
    assert_eq!(place("schedules.daily.at"), "templates/addons/backup/addon.yaml:13:19");
    assert_eq!(place("schedules.weekly.keep"), "templates/addons/backup/addon.yaml:14:29");
    let reached = |key: &str| {
        let found = reach(&rendered, &RepoPath::parse(ADDON).unwrap(), key).unwrap();
        found.reached.into_iter().map(|reached| reached.path).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(reached("settings.schedules.default.weekly"), "schedules.weekly.at schedules.weekly.keep");
    assert_eq!(reached("settings.schedules.default.daily.keep"), "");
}

#[test]
fn null_drops_an_entry_of_the_default_and_nothing_else() {
    assert_snapshot!(rendered("      schedules: {weekly: null, daily: {to: null}}\n"), @"
    schedules:
      daily:
        at: d
        keep: 1
    ");
    assert_snapshot!(world("      schedules: {daily: {at: null}}\n").problems(), @"environments/app.yaml:20:26: missing key `at`");
    assert_snapshot!(world("      schedules: null\n").problems(), @"
    environments/app.yaml:20:18: `schedules` must be a map, not null
      hint: write a value or remove the key
    ");
}

#[test]
fn null_drops_what_a_farther_file_sets_and_the_default_with_it() {
    let everywhere = "\naddons:\n  backup:\n    settings:\n      schedules: {weekly: {at: x, keep: 5}, yearly: {at: z, keep: 6}}\n";
    let world = world("      schedules: {weekly: null, yearly: null}\n")
        .and("environments/_defaults.yaml", everywhere);
    let files = files(&world.render());
    let (_, text) = files.into_iter().find(|(path, _)| path == VALUES).unwrap();
    assert!(text.contains("daily:") && !text.contains("weekly") && !text.contains("yearly"), "{text}");
}
