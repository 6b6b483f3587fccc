//! Another shape of the fleet: by the commands that take a profile, and in no other way.

use insta::assert_snapshot;

use crate::repo::Repo;

const SMALL: &str = "environments/_profiles/small.yaml";
const VALUES: &str = "argocd-apps/eu-1/web/values.yaml";
/// The small fleet, in a profile with one replica.
const FACTS: &str = "clusters:\n  eu-1:\n    addons:\n      web:\n        settings: {replicas: 1}\n";

fn fleet(profile: &str) -> Repo {
    let repo = Repo::fleet();
    repo.write(SMALL, profile);
    repo
}

#[test]
fn a_profile_is_rendered_beside_what_is_published_and_never_in_its_place() {
    let repo = fleet(FACTS);
    let before = repo.state();
    for arguments in [&["render"][..], &["render", "--check"], &["check"]] {
        assert_eq!(repo.run(arguments).code, 0, "{arguments:?}");
    }
    for out in [&[][..], &["--out", "."], &["--check"]] {
        let told = repo.run(&[&["render", "--profile", "small"], out].concat());
        let reason = "the files of a profile would take the place of those that are published";
        assert!(told.code == 2 && told.err.contains(reason), "{told}");
    }
    assert!(repo.state() == before, "a command has changed something");
    let told = repo.run(&["render", "--profile", "small", "--out", "of/small"]);
    assert!(told.code == 0 && told.out.ends_with("rendered 6 files: 6 created\n"), "{told}");
    assert!(repo.read(&format!("of/small/{VALUES}")).contains("replicas: 1\n"));
    assert!(repo.read(VALUES).contains("replicas: 3\n"));
    let again = repo.run(&["render", "--profile", "small", "--out", "of/small", "--check"]);
    assert_eq!((again.code, again.out.as_str()), (0, "6 files are current\n"));
    repo.write(SMALL, FACTS.replace("replicas: 1", "replicas: 2"));
    assert_eq!(repo.run(&["render", "--profile", "small", "--out", "of/small", "--check"]).code, 3);
}

#[test]
fn what_a_profile_changes_is_explained_by_its_line() {
    let repo = fleet(FACTS);
    assert_snapshot!(repo.run(&["explain", VALUES, "replicas", "--profile", "small"]), @"
    argocd-apps/eu-1/web/values.yaml replicas = 1
      template  templates/addons/web/values.yaml.hbs:1:11  {{addon.settings.replicas}}
      fact      environments/_profiles/small.yaml:5:30  addons[name=web].settings.replicas = 1
    => 0
    ");
    let clusters = repo.run(&["clusters", "--profile", "small", "--format", "json"]);
    assert_eq!(clusters.code, 0, "{clusters}");
}

#[test]
fn a_profile_that_there_is_not_is_named_with_those_that_there_are() {
    let repo = fleet(FACTS);
    assert_snapshot!(repo.run(&["check", "--profile", "smal"]), @"
    ! error: there is no profile `smal`
    !   hint: did you mean `small`?
    => 2
    ");
    assert_snapshot!(repo.run(&["check", "--profile", "x/../y"]), @"
    ! error: there is no profile `x/../y`
    !   hint: the profiles are `small`
    => 2
    ");
    assert_snapshot!(Repo::fleet().run(&["clusters", "--profile", "small"]), @"
    ! error: there is no profile `small`
    !   hint: a profile is a file `environments/_profiles/<name>.yaml`
    => 2
    ");
}

#[test]
fn check_finds_what_is_wrong_in_a_profile_and_render_only_what_is_wrong_by_itself() {
    let repo = fleet(&FACTS.replace("replicas: 1", "replicas: many"));
    assert_eq!(repo.run(&["render", "--check"]).code, 0);
    let told = repo.run(&["check"]);
    assert_eq!(told.code, 4, "{told}");
    let place = "environments/_profiles/small.yaml:5:30: in profile `small`: ";
    assert!(told.err.contains(place), "{told}");

    repo.write(SMALL, "cluster: {}\n");
    for command in ["render", "check"] {
        let told = repo.run(&[command]);
        assert_eq!(told.code, 4, "{told}");
        assert!(told.err.contains("small.yaml:1:1: unknown key `cluster`"), "{told}");
    }
}

#[test]
fn the_shipped_profile_is_sound_and_small() {
    let repo = Repo::shipped();
    let told = repo.run(&["check"]);
    assert_eq!(told.code, 0, "{told}");
    let clusters = repo.run(&["clusters", "--profile", "laptop", "--format", "json"]).json();
    let total = &clusters["total"];
    assert_eq!(total["machines"], 6, "{total}");
    assert!(total["memoryMebibytes"].as_u64().unwrap() <= 16 << 10, "{total}");
    let told = repo.run(&["render", "--profile", "laptop", "--out", "small"]);
    assert_eq!(told.code, 0, "{told}");
    assert!(repo.read("small/argocd-apps/control/root.yaml").contains("targetRevision: laptop"));
    // One of each is all that there is.
    let vault = repo.read("small/argocd-apps/control/vault/values.yaml");
    assert!(vault.contains("    replicas: 1\n"), "{vault}");
}
