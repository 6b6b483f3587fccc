//! What Argo CD executes or takes for a pattern is written by templates, and never brought by a fact.

use crate::world::World;

const FLEET: &str = "environments/_fleet.yaml";
const URL: &str = "url: https://git.example.com/platform/fleet.git";
const SET: &str = "templates/cluster/applicationset.yaml.hbs";
const PROJECT: &str = "templates/cluster/appproject.yaml.hbs";
const NAME: &str = "name: \"{{cluster.name}}-\\{{ .name }}\"";

/// The problems of the shipped platform with another address of its repository, as the fact is written.
fn with_url(url: &str) -> String {
    World::shipped().edit(FLEET, URL, &format!("url: {url}")).problems()
}

#[test]
fn the_shipped_platform_writes_its_patterns_itself() {
    assert_eq!(World::shipped().problems(), "no problems");
    assert_eq!(with_url("https://git.example.com/a-b_c/d.e~f.git"), "no problems");
}

#[test]
fn braces_in_a_fact_do_not_reach_what_argo_cd_executes() {
    for url in
        ["\"https://x/{{ .name }}\"", "\"https://x/{{.name\"", "\"https://x/}}\"", "'{{ env \"HOME\" }}'"]
    {
        let problems = with_url(url);
        assert!(problems.contains("which Argo CD executes"), "{url}: {problems}");
        assert!(problems.contains("environments/_fleet.yaml:5:8: "), "{url}: {problems}");
    }
}

#[test]
fn braces_that_a_value_and_its_neighbours_make_together_are_found() {
    let fact = "{{fleet.storageClass}}";
    for (value, name) in [
        ("'{'", format!("'a{fact}{fact} .name }}}}'")),
        ("\" .name | evil\"", format!("'a\\{{{{ .a {fact} }}}}'")),
        ("'\" }}'", format!("'a\\{{{{ index .a \"{fact}\" }}}}'")),
    ] {
        let world = World::shipped().edit(SET, NAME, &format!("name: {name}")).edit(
            FLEET,
            "storageClass: local-path",
            &format!("storageClass: {value}"),
        );
        let problems = world.problems();
        assert!(problems.contains("which Argo CD executes"), "{name}: {problems}");
    }
}

#[test]
fn braces_that_the_template_escapes_stay() {
    let world = World::shipped().edit(SET, NAME, "name: '{{cluster.name}}-\\{{ index . \"name\" }}'");
    assert_eq!(world.problems(), "no problems");
}

#[test]
fn a_pattern_in_a_fact_does_not_widen_a_project() {
    for url in [
        "https://*",
        "\"*\"",
        "https://git.example.com/[a-z]*",
        "\"!https://x\"",
        "https://x/{a,b}",
        "https://x/a?",
    ] {
        let problems = with_url(url);
        assert!(problems.contains("which is a pattern of `AppProject`"), "{url}: {problems}");
        assert!(problems.contains("environments/_fleet.yaml:5:8: "), "{url}: {problems}");
    }
}

#[test]
fn a_pattern_that_the_template_writes_stays() {
    let world = World::shipped().edit(
        PROJECT,
        "- {{fleet.repository.url}}",
        "- {{fleet.repository.url}}\n    - https://git.example.com/*",
    );
    assert_eq!(world.problems(), "no problems");
    let world =
        World::shipped().edit(PROJECT, "- {{fleet.repository.url}}", "- \"{{fleet.repository.url}}*\"");
    assert_eq!(world.problems(), "no problems");
}

#[test]
fn a_pattern_in_a_fact_does_not_widen_a_role() {
    let role = |resource: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: reader}}\nrules:\n  - apiGroups: [\"\"]\n    resources: [{resource}]\n    verbs: [get]\n"
        )
    };
    let with = |resource: &str, fact: &str| {
        let file = "templates/addons/metallb/manifests/reader.yaml.hbs";
        let fact = format!("storageClass: {fact}");
        World::shipped().with(file, role(resource)).edit(FLEET, "storageClass: local-path", &fact).problems()
    };
    let problems = with("\"{{fleet.storageClass}}\"", "\"*\"");
    assert!(problems.contains("a value brings `*` here, which is a pattern of `ClusterRole`"), "{problems}");
    for problems in [with("\"{{fleet.storageClass}}\"", "pods"), with("\"*\"", "local-path")] {
        assert!(!problems.contains("pattern"), "{problems}");
    }
}
