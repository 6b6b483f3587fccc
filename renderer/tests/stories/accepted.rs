//! A check that guesses may be answered: what it finds is meant, and that is said and counted.

use fleetwright_renderer::catalog::{ACCEPTABLE, FINAL_CHECKS};
use fleetwright_renderer::render::{Renderer, check_names};
use insta::assert_snapshot;

use crate::world::World;

const ADDON: &str = "templates/addons/metallb/addon.yaml";
const VALUES: &str = "templates/addons/metallb/values.yaml.hbs";

/// The platform with an image of a add-on that names no version, in its values and in one of its objects.
fn unversioned() -> World {
    let job = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {name: b}\nspec: {image: quay.io/a/b}\n";
    World::platform()
        .and(VALUES, "\nextra: {image: quay.io/a/b}\n")
        .with("templates/addons/metallb/manifests/w.yaml.hbs", job)
}

fn answered(world: World, answers: &str) -> World {
    world.and(ADDON, &format!("accept:\n{answers}"))
}

const BOTH: &str = "  - {check: images, path: extra, reason: built here}\n  - {check: images, path: \"manifests/w.yaml [1].spec.image\", reason: built there}\n";

fn accepted(world: &World) -> String {
    serde_json::to_string_pretty(&world.render().accepted).unwrap()
}

#[test]
fn what_is_accepted_is_no_problem_and_counted() {
    assert_snapshot!(unversioned().problems(), @"
    templates/addons/metallb/manifests/w.yaml.hbs:8:15: image `quay.io/a/b` names no version (on `app` and `control`)
      hint: name a version, as a tag or as a digest: otherwise it is another image tomorrow
    templates/addons/metallb/values.yaml.hbs:7:16: image `quay.io/a/b` names no version (on `app` and `control`)
      hint: name a version, as a tag or as a digest: otherwise it is another image tomorrow
    ");
    assert_eq!(answered(unversioned(), BOTH).problems(), "no problems");
    assert_snapshot!(accepted(&answered(unversioned(), BOTH)), @r#"
    [
      {
        "addon": "metallb",
        "check": "images",
        "path": "extra",
        "reason": "built here",
        "file": "templates/addons/metallb/addon.yaml",
        "line": 10,
        "column": 5,
        "clusters": [
          "app",
          "control"
        ]
      },
      {
        "addon": "metallb",
        "check": "images",
        "path": "manifests/w.yaml [1].spec.image",
        "reason": "built there",
        "file": "templates/addons/metallb/addon.yaml",
        "line": 11,
        "column": 5,
        "clusters": [
          "app",
          "control"
        ]
      }
    ]
    "#);
    assert_eq!(accepted(&World::platform()), "[]");
}

#[test]
fn a_problem_says_the_path_to_accept() {
    let problems = unversioned().try_render().unwrap_err();
    let paths: Vec<_> = problems.iter().filter_map(|problem| problem.accept.as_deref()).collect();
    assert_eq!(paths, ["manifests/w.yaml [1].spec.image", "extra.image"]);
    for path in paths {
        let rest = answered(unversioned(), &format!("  - {{check: images, path: '{path}', reason: x}}\n"));
        assert_eq!(rest.try_render().unwrap_err().len(), 1, "{path}");
    }
}

#[test]
fn an_answer_to_nothing_is_told() {
    let gone = answered(World::platform(), BOTH);
    assert_snapshot!(gone.problems(), @"
    templates/addons/metallb/addon.yaml:10:27: the check `images` finds nothing at `extra`
      hint: remove this answer, or correct its path
    templates/addons/metallb/addon.yaml:11:27: the check `images` finds nothing at `manifests/w.yaml [1].spec.image`
      hint: remove this answer, or correct its path
    ");
    // Of another check, of another place.
    let beside = answered(
        unversioned(),
        &format!(
            "{BOTH}  - {{check: keys, path: extra, reason: x}}\n  - {{check: images, path: extr, reason: x}}\n"
        ),
    );
    assert_snapshot!(beside.problems(), @"
    templates/addons/metallb/addon.yaml:13:27: the check `images` finds nothing at `extr`
      hint: remove this answer, or correct its path
    ");
    let off = answered(World::platform(), BOTH).and(ADDON, "enabledByDefault: false\n");
    assert!(!off.problems().contains("accept"), "{}", off.problems());
}

#[test]
fn only_a_check_that_guesses_can_be_answered_and_only_with_a_reason() {
    let secret = World::platform().and(VALUES, "\nadminPassword: hunter2\n");
    let answer = "  - {check: secrets, path: adminPassword, reason: x}\n";
    assert_snapshot!(answered(secret.clone(), answer).problems(), @"
    templates/addons/metallb/addon.yaml:10:13: what `secrets` finds cannot be accepted
      hint: these checks guess and can be answered: `cluster-labels`, `deployed`, `exposure`, `final-addresses`, `final-config-maps`, `final-images`, `final-interfaces`, `final-objects`, `final-secrets`, `final-services`, `final-storage-classes`, `flows`, `images`, `keys`, `logs`, `mesh`, `metrics`, `repeatable`, `secret-names`, `service-names`, `storage-classes`, `traces`; what others find is changed
    ");
    let answers = "  - {check: images, path: a, reason: ' '}\n  - {check: images, path: a}\n";
    assert_snapshot!(answered(secret, answers).problems(), @"
    templates/addons/metallb/addon.yaml:10:38: ` ` is not a valid `reason`
      hint: say why it is meant
    templates/addons/metallb/addon.yaml:11:5: missing key `reason`
      hint: say why it is meant
    ");
    let all = &check_names() | &FINAL_CHECKS.into();
    assert!(ACCEPTABLE.iter().all(|check| all.contains(check)));
}

#[test]
fn what_documents_do_to_each_other_can_be_accepted_and_is_remembered() {
    let agent = "templates/addons/prometheus-agent/values.yaml.hbs";
    let set = "templates/cluster/applicationset.yaml.hbs";
    let world = World::platform()
        .edit(agent, "/api/v1/write", "/api/v2/write")
        .addon("tool", "chart-tool", "app")
        .edit(
            set,
            "          {{#each addons}}\n          - name",
            "          {{#each addons}}\n          {{#if (ne name \"tool\")}}\n          - name",
        )
        .edit(set, "          {{else}}\n", "          {{/if}}\n          {{else}}\n");
    let answer = |world: World, problem: &fleetwright_renderer::problem::Problem, addon: &str| {
        let lines = format!(
            "accept: [{{check: {}, path: '{}', reason: x}}]\n",
            problem.check,
            problem.accept.as_deref().unwrap()
        );
        world.and(&format!("templates/addons/{addon}/addon.yaml"), &lines)
    };
    let problems = world.try_render().unwrap_err();
    let found: Vec<_> =
        problems.iter().map(|it| (&*it.check, it.accept.as_deref().unwrap_or_default())).collect();
    assert_eq!(found, [("metrics", "prometheus.prometheusSpec.remoteWrite[0].url"), ("deployed", ".")]);
    let world = answer(answer(world, &problems[0], "prometheus-agent"), &problems[1], "tool");
    let mut renderer = Renderer::new();
    let cold = renderer.render(&world.snapshot(), &()).unwrap().accepted;
    assert_eq!(cold.iter().map(|it| it.addon.as_str()).collect::<Vec<_>>(), ["prometheus-agent", "tool"]);
    // Nothing has changed, and then something that none of both depends on.
    assert_eq!(renderer.render(&world.snapshot(), &()).unwrap().accepted, cold);
    let world = world.edit("environments/control.yaml", "retention: 31d", "retention: 30d");
    assert_eq!(renderer.render(&world.snapshot(), &()).unwrap().accepted, cold);
    let mended = world.edit(agent, "/api/v2/write", "/api/v1/write");
    let problems = renderer.render(&mended.snapshot(), &()).unwrap_err();
    assert_eq!(problems.iter().map(|it| &*it.check).collect::<Vec<_>>(), ["accept"], "{problems:?}");
}
