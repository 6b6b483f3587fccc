//! Working trees as people have them: with files that Fleetwright did not write, sparse, with other line
//! endings, and with what editors leave. Each is made by the real `git`.

use std::fs;
use std::os::unix::fs::symlink;

use insta::assert_snapshot;
use serde_json::json;

use crate::repo::{Repo, Told};

const VALUES: &str = "argocd-apps/eu-1/web/values.yaml";

/// What is said of a tree with which nothing is wrong.
fn assert_quiet(repo: &Repo) {
    assert_eq!(repo.run(&["render", "--check"]).to_string(), "6 files are current\n=> 0");
    assert_eq!(repo.run(&["render"]).to_string(), "6 files are current\n=> 0");
    let told = repo.run(&["check"]);
    assert!(
        told.out.ends_with("no problems in 2 clusters, 6 rendered files\n") && told.err.is_empty(),
        "{told}"
    );
    assert_eq!(repo.run(&["diff", "--exit-code"]).to_string(), "Nothing changes.\n=> 0");
    assert_eq!(repo.git(&["status", "--porcelain", "-uno"]), "");
}

fn kept(told: &Told) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let kept = told.json()["kept"].as_array().unwrap().clone();
    kept.iter().map(|kept| (text(&kept["path"]), text(&kept["reason"]))).collect()
}

/// Takes the add-on `web` off the cluster `eu-1`, whose two files nothing renders then.
fn without_web(repo: &Repo) {
    repo.edit("environments/prod/eu-1.yaml", "settings: {replicas: 3}", "enabled: false");
}

#[test]
fn what_was_rendered_and_committed_goes_when_nothing_renders_it() {
    let repo = Repo::fleet();
    without_web(&repo);
    assert_snapshot!(repo.run(&["render"]), @"
    delete  argocd-apps/eu-1/web/manifests/settings.yaml
    delete  argocd-apps/eu-1/web/values.yaml
    rendered 4 files: 2 deleted
    => 0
    ");
    assert_eq!(repo.run(&["render", "--check"]).code, 0);
    repo.git(&["checkout", "-q", "--", "argocd-apps"]);
    assert!(repo.path(VALUES).exists(), "git brings back what goes");
}

#[test]
fn a_file_that_git_does_not_have_is_never_deleted() {
    let repo = Repo::fleet();
    repo.write("argocd-apps/legacy/app.yaml", "mine: true\n");
    repo.write("argocd-apps/eu-1/notes.txt", "mine\n");
    symlink("notes.txt", repo.path("argocd-apps/eu-1/link")).unwrap();
    repo.write(".gitignore", "*.log\n");
    repo.write("argocd-apps/eu-1/debug.log", "mine\n");
    let told = repo.run(&["render", "--prune"]);
    assert_eq!(told.to_string(), repo.run(&["render"]).to_string());
    assert_snapshot!(told, @"
    keep    argocd-apps/eu-1/debug.log: Fleetwright did not write it, and git does not have it
    keep    argocd-apps/eu-1/link: Fleetwright did not write it, and git does not have it
    keep    argocd-apps/eu-1/notes.txt: Fleetwright did not write it, and git does not have it
    keep    argocd-apps/legacy/app.yaml: Fleetwright did not write it, and git does not have it
    6 files are current
      hint: move or delete it yourself: git could not bring it back
    => 0
    ");
    assert_eq!(repo.run(&["render", "--check"]).code, 0, "what nobody commits is no reason to fail");
    for file in ["legacy/app.yaml", "eu-1/notes.txt", "eu-1/link", "eu-1/debug.log"] {
        assert!(repo.path("argocd-apps").join(file).symlink_metadata().is_ok(), "{file}");
    }
}

#[test]
fn a_committed_file_that_fleetwright_did_not_write_goes_with_prune_only() {
    let repo = Repo::fleet();
    repo.write("argocd-apps/legacy/app.yaml", "mine: true\n");
    symlink("app.yaml", repo.path("argocd-apps/legacy/link")).unwrap();
    repo.commit("Add a folder by hand");
    assert_snapshot!(repo.run(&["render", "--check"]), @"
    keep    argocd-apps/legacy/app.yaml: Fleetwright did not write it
    keep    argocd-apps/legacy/link: Fleetwright did not write it
    not current: 2 kept
      hint: `fleetwright render --prune` deletes what it wrote or git can bring back; move or delete other files yourself
    => 3
    ");
    assert_snapshot!(repo.run(&["render"]), @"
    keep    argocd-apps/legacy/app.yaml: Fleetwright did not write it
    keep    argocd-apps/legacy/link: Fleetwright did not write it
    rendered 6 files: 2 kept
      hint: `fleetwright render --prune` deletes what it wrote or git can bring back; move or delete other files yourself
    => 0
    ");
    assert_snapshot!(repo.run(&["render", "--prune"]), @"
    delete  argocd-apps/legacy/app.yaml
    delete  argocd-apps/legacy/link
    rendered 6 files: 2 deleted
    => 0
    ");
    assert!(!repo.path("argocd-apps/legacy").exists());
    assert_eq!(repo.run(&["render", "--check"]).code, 0);
}

#[test]
fn what_nothing_renders_and_git_could_not_bring_back_is_kept_and_named_by_its_reason() {
    let repo = Repo::fleet();
    without_web(&repo);
    repo.edit(VALUES, "replicas: 3", "replicas: 5");
    repo.write("argocd-apps/eu-1/fresh.yaml", repo.read("argocd-apps/eu-1/namespace.yaml"));
    repo.write("argocd-apps/hub/hand.yaml", "a: 1\n");
    repo.git(&["add", "argocd-apps/hub/hand.yaml"]);
    repo.write("argocd-apps/hub/hand.yaml", "a: 2\n");
    repo.write("argocd-apps/hub/named.yaml", "a: 1\n");
    repo.git(&["add", "-N", "argocd-apps/hub/named.yaml"]);
    repo.git(&["init", "-q", "argocd-apps/hub/nested"]);
    let named = |path: &str, reason: &str| (path.to_owned(), reason.to_owned());
    let told = repo.run(&["render", "--check", "--format", "json"]);
    assert_eq!(told.code, 3);
    assert_eq!(
        kept(&told),
        [
            named("argocd-apps/eu-1/fresh.yaml", "ours-untracked"),
            named(VALUES, "edited"),
            named("argocd-apps/hub/hand.yaml", "edited"),
            named("argocd-apps/hub/named.yaml", "untracked"),
            named("argocd-apps/hub/nested", "repository"),
        ]
    );
    let deleted = "argocd-apps/eu-1/web/manifests/settings.yaml";
    assert_eq!(told.json()["changes"], json!([{ "path": deleted, "action": "delete" }]));
    let told = repo.run(&["render", "--prune", "--format", "json"]);
    assert_eq!(
        kept(&told),
        [
            named("argocd-apps/hub/hand.yaml", "edited"),
            named("argocd-apps/hub/named.yaml", "untracked"),
            named("argocd-apps/hub/nested", "repository"),
        ]
    );
    assert!(repo.path("argocd-apps/hub/nested/.git/HEAD").exists());
}

#[test]
fn a_mode_is_no_reason_to_keep_or_to_write_a_file() {
    use std::os::unix::fs::PermissionsExt;
    let repo = Repo::fleet();
    fs::set_permissions(repo.path(VALUES), fs::Permissions::from_mode(0o755)).unwrap();
    repo.commit("Make it executable");
    assert_quiet(&repo);
    without_web(&repo);
    assert_eq!(repo.run(&["render"]).code, 0);
    assert!(!repo.path(VALUES).exists());
}

#[test]
fn a_rendered_file_with_conflicts_is_rendered_again() {
    let repo = Repo::fleet();
    repo.git(&["switch", "-qc", "other"]);
    repo.edit("environments/prod/eu-1.yaml", "replicas: 3", "replicas: 4");
    repo.run(&["render"]);
    repo.commit("Four");
    repo.git(&["switch", "-q", "main"]);
    repo.edit("environments/prod/eu-1.yaml", "replicas: 3", "replicas: 5");
    repo.run(&["render"]);
    repo.commit("Five");
    assert!(repo.try_git(&["merge", "-q", "other"]).is_err());
    assert!(repo.read(VALUES).contains("<<<<<<<"));
    repo.git(&["checkout", "-q", "--ours", "environments"]);
    assert_eq!(repo.run(&["render"]).out, format!("update  {VALUES}\nrendered 6 files: 1 updated\n"));
    assert!(repo.read(VALUES).contains("replicas: 5"));
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_read_from_git() {
    let patterns: [&[&str]; 3] = [
        &["set", "--cone", "templates", "argocd-apps"],
        &["set", "--no-cone", "/*", "!/environments/prod/", "!/argocd-apps/eu-1/"],
        &["set", "--cone", "--sparse-index", "docs"],
    ];
    for pattern in patterns {
        let repo = Repo::fleet();
        repo.git(&[&["sparse-checkout"], pattern].concat());
        assert!(!repo.path("environments/prod/eu-1.yaml").exists());
        assert_quiet(&repo);
        assert!(!repo.path("environments/prod/eu-1.yaml").exists());
    }
}

#[test]
fn an_edit_in_a_sparse_checkout_reaches_what_is_outside_of_it() {
    let repo = Repo::fleet();
    repo.git(&["sparse-checkout", "set", "environments", "templates"]);
    repo.edit("environments/prod/eu-1.yaml", "replicas: 3", "replicas: 4");
    assert_snapshot!(repo.run(&["render"]), @"
    update  argocd-apps/eu-1/web/values.yaml
    rendered 6 files: 1 updated
    => 0
    ");
    assert!(repo.read(VALUES).contains("replicas: 4"));
    assert_eq!(
        repo.git(&["status", "--porcelain"]),
        " M argocd-apps/eu-1/web/values.yaml\n M environments/prod/eu-1.yaml"
    );
}

#[test]
fn what_nothing_renders_outside_of_a_sparse_checkout_is_named() {
    let repo = Repo::fleet();
    repo.git(&["sparse-checkout", "set", "environments", "templates"]);
    without_web(&repo);
    assert_snapshot!(repo.run(&["render", "--check"]), @"
    keep    argocd-apps/eu-1/web/manifests/settings.yaml: nothing renders it, and it is outside the sparse checkout
    keep    argocd-apps/eu-1/web/values.yaml: nothing renders it, and it is outside the sparse checkout
    not current: 2 kept
      hint: delete it with `git rm --sparse`, or check it out with `git sparse-checkout add FOLDER`
    => 3
    ");
    repo.git(&["rm", "-q", "--sparse", "-r", "argocd-apps/eu-1/web"]);
    assert_eq!(repo.run(&["render", "--check"]).code, 0);
}

#[test]
fn a_file_that_is_assumed_to_be_unchanged_is_read_from_git_when_it_is_missing() {
    let repo = Repo::fleet();
    for file in ["environments/prod/eu-1.yaml", VALUES] {
        repo.git(&["update-index", "--assume-unchanged", file]);
        fs::remove_file(repo.path(file)).unwrap();
    }
    assert_quiet(&repo);
}

#[test]
fn what_is_deleted_from_a_whole_checkout_is_deleted() {
    let repo = Repo::fleet();
    fs::remove_file(repo.path("environments/prod/eu-1.yaml")).unwrap();
    assert_eq!(repo.run(&["render"]).out.lines().last(), Some("rendered 3 files: 3 deleted"));
}

#[test]
fn every_kind_of_index_is_read() {
    let changes: [&[&[&str]]; 5] = [
        &[&["update-index", "--split-index"]],
        &[&["config", "core.splitIndex", "true"], &["rm", "-q", "README.md"], &["commit", "-qm", "x"]],
        &[&["update-index", "--index-version", "4"]],
        &[&["update-index", "--untracked-cache"]],
        &[&["config", "core.fsmonitor", "false"], &["update-index", "--fsmonitor"]],
    ];
    for change in changes {
        let repo = Repo::fleet();
        repo.write("README.md", "hi\n");
        repo.commit("Say hello");
        for arguments in change {
            repo.git(arguments);
        }
        assert_quiet(&repo);
        without_web(&repo);
        let told = repo.run(&["render"]);
        assert_eq!(told.out.lines().last(), Some("rendered 4 files: 2 deleted"), "{change:?}: {told}");
    }
}

#[test]
fn an_index_without_a_checksum_is_read() {
    let repo = Repo::fleet();
    // As `index.skipHash` leaves it, which git knows since version 2.40.
    let mut index = fs::read(repo.path(".git/index")).unwrap();
    let hash = index.len() - 20..;
    index[hash].fill(0);
    fs::write(repo.path(".git/index"), index).unwrap();
    assert_quiet(&repo);
}

#[test]
fn a_split_index_has_what_was_staged_changed_and_removed_since_it_was_split() {
    let repo = Repo::fleet();
    repo.git(&["update-index", "--split-index"]);
    repo.git(&["config", "splitIndex.maxPercentChange", "100"]);
    repo.git(&["rm", "-q", "--cached", "argocd-apps/eu-1/namespace.yaml"]);
    repo.edit(VALUES, "replicas: 3", "replicas: 9");
    repo.write("argocd-apps/eu-1/new.yaml", "a: b\n");
    repo.git(&["add", VALUES, "argocd-apps/eu-1/new.yaml"]);
    fs::remove_file(repo.path("environments/prod/eu-1.yaml")).unwrap();
    let named = |path: &str, reason: &str| (path.to_owned(), reason.to_owned());
    assert_eq!(
        kept(&repo.run(&["render", "--check", "--format", "json"])),
        [
            named("argocd-apps/eu-1/namespace.yaml", "ours-untracked"),
            named("argocd-apps/eu-1/new.yaml", "not-ours"),
        ]
    );
}

#[test]
fn an_index_that_cannot_be_read_is_named_with_the_way_out() {
    let repo = Repo::fleet();
    repo.write(".git/index", "DIRC");
    assert_snapshot!(repo.refused(&["render"]), @"
    ! error: failed to read what git has of the working tree (repository `<repo>`): its index cannot be read: .git/index: index file smaller than expected
    !   hint: see what `git status` reports; `git reset` writes the index again if its file is removed
    => 5
    ");
    fs::remove_file(repo.path(".git/index")).unwrap();
    repo.git(&["reset", "-q"]);
    assert_quiet(&repo);
}

#[test]
fn line_endings_of_the_checkout_change_nothing() {
    let settings: [(&[&str], &str); 5] = [
        (&["core.autocrlf", "true"], ""),
        (&["core.eol", "crlf"], "* text=auto\n"),
        (&["core.autocrlf", "false"], "* text=auto eol=crlf\n"),
        (&["core.autocrlf", "false"], "*.yaml eol=crlf\n*.hbs text eol=crlf\n"),
        (&["core.autocrlf", "true"], "argocd-apps/** -text\n"),
    ];
    for (setting, attributes) in settings {
        let repo = Repo::fleet();
        repo.write(".gitattributes", attributes);
        repo.commit("Say how lines end");
        repo.git(&[&["config"], setting].concat());
        fs::remove_dir_all(repo.path("environments")).unwrap();
        fs::remove_dir_all(repo.path("templates")).unwrap();
        fs::remove_dir_all(repo.path("argocd-apps")).unwrap();
        repo.git(&["checkout", "-q", "--", "."]);
        assert!(repo.read("environments/prod/eu-1.yaml").contains("\r\n"));
        assert_quiet(&repo);
        repo.edit("environments/prod/eu-1.yaml", "replicas: 3", "replicas: 4");
        assert_eq!(repo.run(&["render"]).out, format!("update  {VALUES}\nrendered 6 files: 1 updated\n"));
        assert_eq!(repo.read(VALUES).contains("\r\n"), !attributes.contains("-text"), "{setting:?}");
        without_web_again(&repo);
    }
}

/// What was committed with other line endings on the disk goes as any other file.
fn without_web_again(repo: &Repo) {
    repo.commit("Four");
    repo.edit("environments/prod/eu-1.yaml", "settings: {replicas: 4}", "enabled: false");
    assert_eq!(repo.run(&["render"]).out.lines().last(), Some("rendered 4 files: 2 deleted"));
}

#[test]
fn other_line_endings_than_git_makes_are_a_change() {
    let repo = Repo::fleet();
    repo.git(&["config", "core.autocrlf", "false"]);
    repo.write(VALUES, repo.read(VALUES).replace('\n', "\r\n"));
    let told = repo.run(&["render"]);
    assert_eq!(told.out, format!("update  {VALUES}\nrendered 6 files: 1 updated\n"));
}

#[test]
fn what_editors_leave_is_neither_an_input_nor_in_the_way() {
    let repo = Repo::fleet();
    for folder in [
        "environments",
        "environments/prod",
        "templates/addons/web",
        "templates/cluster",
        "argocd-apps/eu-1/web",
    ] {
        symlink("ann@host.1234:1", repo.path(folder).join(".#x.yaml")).unwrap();
        for name in ["#x.yaml#", "x.yaml~", ".x.yaml.swp", "4913", ".DS_Store", "x.yaml___jb_tmp___"] {
            repo.write(&format!("{folder}/{name}"), "replicas: [\n");
        }
    }
    assert_quiet(&repo);
    assert!(repo.path("argocd-apps/eu-1/web/x.yaml~").exists());
    repo.commit("Take them along");
    let told = repo.run(&["check"]);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told}");
    let told = repo.run(&["run", "--once"]);
    assert!(!told.err.contains("swp") && told.code == 0, "{told}");
}

#[test]
fn what_a_person_or_a_merge_leaves_is_a_problem_at_its_file() {
    let repo = Repo::fleet();
    for name in ["hub.yaml.orig", "hub.yaml.rej", "hub.yaml.bak"] {
        repo.write(&format!("environments/{name}"), "role: app\n");
        let told = repo.run(&["check"]);
        assert!(
            told.err.starts_with(&format!("environments/{name}:1:1: nothing reads this file\n")),
            "{told}"
        );
        assert!(told.err.ends_with("error: 1 problem\n"), "{told}");
        fs::remove_file(repo.path("environments").join(name)).unwrap();
    }
}
