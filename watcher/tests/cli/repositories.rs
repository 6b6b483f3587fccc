//! Repositories as people have them: with other refs, formats, owners and shapes than a fresh clone. Each is
//! made by the real `git`, as far as its version can.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use testkit::program;

use crate::repo::{Repo, Told, bare, fleetwright};

const VALUES: &str = "argocd-apps/eu-1/web/values.yaml";
const MODULE: &str = "160000,0123456789abcdef0123456789abcdef01234567";

/// A fleet of which one rendered file is missing, so that a run proposes it.
fn with_something_to_propose() -> Repo {
    let repo = Repo::fleet();
    repo.git(&["rm", "-q", VALUES]);
    repo.commit("Lose a file");
    repo
}

/// Lets a person merge who is known to git by the repository's configuration, as libgit2 reads it.
fn merge(repo: &Repo) -> Told {
    repo.git(&["config", "user.name", "Ann"]);
    repo.git(&["config", "user.email", "ann@example.com"]);
    repo.run(&["pulls", "merge", "1"])
}

fn git_in(folder: &Path, arguments: &[&str]) {
    let output = bare(program::command("git").args(arguments).current_dir(folder)).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A bare clone beside the repository.
fn upstream_of(repo: &Repo) -> PathBuf {
    let path = repo.top.with_file_name("upstream.git");
    repo.git(&["clone", "-q", "--bare", ".", path.to_str().unwrap()]);
    path
}

/// Says nothing in the words of libgit2 alone.
fn assert_plain(told: &Told) {
    assert!(!told.err.contains("class=") && !told.err.contains("code="), "{told}");
    assert!(told.err.contains("\n  hint: "), "{told}");
}

#[test]
fn a_branch_in_the_way_of_our_branches_is_named_here_and_upstream() {
    for taken in ["fleetwright", "fleetwright/app/mine"] {
        let repo = with_something_to_propose();
        repo.git(&["branch", taken]);
        let upstream = upstream_of(&repo);
        for arguments in
            [vec!["run", "--once"], vec!["run", "--once", "--upstream", upstream.to_str().unwrap()]]
        {
            let told = repo.run(&arguments);
            assert_plain(&told);
            let expected = format!("branch `{taken}` is in the way of branch `fleetwright/app`");
            assert!(told.code == 5 && told.err.contains(&expected), "{told}");
            assert!(told.err.contains(&format!("git branch -m {taken} ")), "{told}");
        }
        let hint = repo.run(&["run", "--once"]).err;
        let command = hint.rsplit('`').nth(1).unwrap().strip_prefix("git ").unwrap().to_owned();
        repo.git(&command.split(' ').collect::<Vec<_>>());
        let told = repo.run(&["run", "--once"]);
        assert!(told.out.contains("app      opened pull request #1"), "{told}");
    }
}

#[test]
fn a_base_that_stands_for_another_branch_moves_that_one_and_stays_as_it_is() {
    let repo = with_something_to_propose();
    repo.git(&["branch", "-m", "trunk"]);
    repo.git(&["symbolic-ref", "refs/heads/main", "refs/heads/trunk"]);
    for head in ["refs/heads/trunk", "refs/heads/main"] {
        repo.git(&["symbolic-ref", "HEAD", head]);
        assert_eq!(repo.run(&["run", "--once", "--base", "main"]).code, 0);
    }
    let told = merge(&repo);
    assert_eq!(told.code, 0, "{told}");
    assert_eq!(repo.git(&["symbolic-ref", "refs/heads/main"]), "refs/heads/trunk");
    assert_eq!(repo.git(&["log", "-1", "--format=%s", "trunk"]).split(' ').next(), Some("Merge"));
    assert_eq!(repo.git(&["status", "--porcelain"]), "", "the working tree has followed");
    assert!(repo.path(VALUES).exists());
}

#[test]
fn a_submodule_among_the_rendered_files_is_deleted_by_its_name() {
    let repo = Repo::fleet();
    repo.git(&["update-index", "--add", "--cacheinfo", &format!("{MODULE},argocd-apps/eu-1/module")]);
    repo.git(&["commit", "-qm", "Add a submodule"]);
    let told = repo.run(&["run", "--once"]);
    assert!(told.out.contains("opened pull request #1"), "{told}");
    let shown = repo.run(&["pulls", "show", "1"]).out;
    assert!(shown.contains("argocd-apps/eu-1/module"), "{shown}");
    assert_snapshot!(repo.run(&["render", "--check"]), @"
    keep    argocd-apps/eu-1/module: it is another repository
    not current: 1 kept
      hint: take it out with `git rm`, or move it away
    => 3
    ");
}

#[test]
fn a_submodule_where_a_folder_belongs_is_named() {
    let repo = Repo::fleet();
    repo.git(&["rm", "-rq", "argocd-apps/eu-1"]);
    repo.git(&["update-index", "--add", "--cacheinfo", &format!("{MODULE},argocd-apps/eu-1")]);
    repo.git(&["commit", "-qm", "Add a submodule"]);
    assert_snapshot!(repo.run(&["run", "--once"]), @"
    ! error: failed to compare the output folder at `c0d4cc7` (repository `<repo>/`): `argocd-apps/eu-1` is a submodule, not a folder
    !   hint: move it away in a commit of your own: the rendered files go into a folder there
    => 5
    ");
    assert_snapshot!(repo.refused(&["render"]), @"
    ! error: `<repo>/argocd-apps/eu-1` is not a folder of this repository
    !   hint: move it away: the rendered files go into a folder there, and no link is followed
    => 1
    ");
}

#[test]
fn what_nobody_rendered_is_in_the_pull_request_by_the_names_of_its_files() {
    let repo = Repo::fleet();
    repo.write("argocd-apps/legacy/app.yaml", "mine: true\n");
    repo.write("argocd-apps/eu-1/hand.yaml", "mine: true\n");
    repo.commit("Add files by hand");
    repo.edit("environments/prod/eu-1.yaml", "replicas: 3", "replicas: 4");
    repo.commit("Edit a fact later");
    // A folder goes that may have been a cluster's.
    let refused = repo.run(&["run", "--once"]);
    assert_eq!(refused.code, 4, "{refused}");
    let (_, hint) = refused.err.split_once("`--allow-deletions ").unwrap();
    let (digest, _) = hint.split_once('`').unwrap();
    assert_eq!(repo.run(&["run", "--once", "--allow-deletions", digest]).code, 0);
    let shown = repo.run(&["pulls", "show", "1"]).out;
    let (_, section) = shown.split_once("### Not written by Fleetwright\n").unwrap();
    assert!(section.contains("- `argocd-apps/eu-1/hand.yaml`\n- `argocd-apps/legacy/app.yaml`\n"), "{shown}");
}

#[test]
fn a_partial_clone_says_how_to_get_what_it_leaves_out() {
    let repo = Repo::fleet();
    repo.git(&["config", "uploadpack.allowFilter", "true"]);
    let clone = repo.top.with_file_name("partial");
    let url = format!("file://{}", repo.top.display());
    repo.git(&["clone", "-q", "--no-checkout", "--filter=blob:none", &url, clone.to_str().unwrap()]);
    let run = |arguments: &[&str]| repo.told(repo.command(arguments).current_dir(&clone).output().unwrap());
    let told = run(&["diff", "HEAD", "HEAD"]);
    assert_plain(&told);
    assert!(told.err.contains("this is a partial clone"), "{told}");
    let hint = told.err.rsplit('`').nth(1).unwrap().strip_prefix("git ").unwrap();
    git_in(&clone, &hint.split(' ').collect::<Vec<_>>());
    assert_eq!(run(&["diff", "HEAD", "HEAD"]).out, "Nothing changes.\n");
}

#[test]
fn what_a_partial_and_sparse_clone_has_not_fetched_is_no_damage() {
    let repo = Repo::fleet();
    repo.git(&["config", "uploadpack.allowFilter", "true"]);
    let clone = repo.top.with_file_name("partial");
    let url = format!("file://{}", repo.top.display());
    repo.git(&["clone", "-q", "--sparse", "--filter=blob:none", &url, clone.to_str().unwrap()]);
    let told = repo.told(repo.command(&["render", "--check"]).current_dir(&clone).output().unwrap());
    assert_plain(&told);
    assert!(told.code == 5 && told.err.contains("this is a partial clone"), "{told}");
    git_in(&clone, &["sparse-checkout", "set", "environments", "templates"]);
    let told = repo.told(repo.command(&["render", "--check"]).current_dir(&clone).output().unwrap());
    assert_eq!(told.out, "6 files are current\n", "what is compared by its id alone need not be there");
}

#[test]
fn a_repository_of_another_format_renders_and_says_what_else_it_lacks() {
    let sha256: fn(&Repo) = |repo| {
        fs::remove_dir_all(repo.path(".git")).unwrap();
        repo.git(&["init", "-q", "-b", "main", "--template=", "--object-format=sha256"]);
        repo.commit("Start");
    };
    // Only a newer git can make one of these, but any git can be told of it; what libgit2 then says is the same.
    let reftable: fn(&Repo) = |repo| {
        repo.git(&["config", "core.repositoryFormatVersion", "1"]);
        repo.git(&["config", "extensions.refStorage", "reftable"]);
    };
    let unknown: fn(&Repo) = |repo| {
        repo.git(&["config", "core.repositoryFormatVersion", "1"]);
        repo.git(&["config", "extensions.fromTheFuture", "true"]);
    };
    for (make, words) in [
        (sha256, "names its objects by SHA-256"),
        (reftable, "reftable"),
        (unknown, "an extension that libgit2 does not know"),
    ] {
        let repo = Repo::fleet();
        make(&repo);
        assert_eq!(repo.run(&["render", "--check"]).out, "6 files are current\n");
        repo.edit("environments/prod/eu-1.yaml", "settings: {replicas: 3}", "enabled: false");
        let told = repo.run(&["render"]);
        assert_eq!(told.out.lines().last(), Some("rendered 4 files: 2 deleted"), "{words}: {told}");
        for command in [&["diff"][..], &["run", "--once"], &["pulls", "list"]] {
            let told = repo.run(command);
            assert_plain(&told);
            assert!(told.code == 5 && told.err.contains(words), "{told}");
        }
    }
}

#[test]
fn an_index_that_libgit2_cannot_read_stops_a_merge_with_the_way_out() {
    for make in [
        &["update-index", "--split-index"][..],
        &["sparse-checkout", "set", "--sparse-index", "environments"],
    ] {
        let repo = with_something_to_propose();
        repo.run(&["run", "--once"]);
        repo.git(make);
        let told = merge(&repo);
        assert_plain(&told);
        let hint = told.err.rsplit('`').nth(1).unwrap().strip_prefix("git ").unwrap().to_owned();
        repo.git(&hint.split(' ').collect::<Vec<_>>());
        assert_eq!(merge(&repo).code, 0);
        assert_eq!(repo.git(&["status", "--porcelain"]), "");
    }
}

#[test]
fn a_merge_that_changes_what_a_sparse_checkout_leaves_out_says_so() {
    let repo = Repo::fleet();
    repo.edit("environments/prod/eu-1.yaml", "replicas: 3", "replicas: 4");
    repo.commit("Four");
    repo.run(&["run", "--once"]);
    repo.git(&["sparse-checkout", "set", "environments"]);
    let told = merge(&repo);
    assert_plain(&told);
    assert!(told.err.contains(&format!("the checkout is sparse and leaves out `{VALUES}`\n")), "{told}");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    repo.git(&["sparse-checkout", "add", "argocd-apps/eu-1"]);
    assert_eq!(merge(&repo).code, 0);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn linked_working_trees_and_submodules_are_read_as_any_other() {
    let repo = Repo::fleet();
    let linked = repo.top.with_file_name("linked");
    repo.git(&["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
    let around = repo.top.with_file_name("around");
    repo.git(&["init", "-q", around.to_str().unwrap()]);
    let url = repo.top.to_str().unwrap();
    git_in(&around, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "fleet"]);
    for tree in [linked, around.join("fleet")] {
        let run =
            |arguments: &[&str]| repo.told(repo.command(arguments).current_dir(&tree).output().unwrap());
        assert!(tree.join(".git").is_file());
        assert_eq!(run(&["render", "--check"]).out, "6 files are current\n");
        git_in(&tree, &["sparse-checkout", "set", "templates"]);
        assert_eq!(run(&["render", "--check"]).out, "6 files are current\n");
        assert_eq!(run(&["diff", "--exit-code"]).out, "Nothing changes.\n");
    }
}

#[test]
fn a_working_tree_whose_repository_is_gone_says_so() {
    let repo = Repo::fleet();
    let (linked, moved) = (repo.top.with_file_name("linked"), repo.top.with_file_name("moved"));
    repo.git(&["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
    fs::rename(&repo.top, &moved).unwrap();
    let told = Command::new(fleetwright()).arg("check").current_dir(&linked).output().unwrap();
    let told = repo.told(told);
    assert_plain(&told);
    assert!(told.code == 5 && told.err.contains("where no repository is"), "{told}");
    fs::rename(&moved, &repo.top).unwrap();
}

/// Gives a repository to another user, if this one may; says so otherwise.
fn given_away(repo: &Repo) -> bool {
    let is_given =
        Command::new("chown").args(["-R", "12345"]).arg(&repo.top).output().unwrap().status.success();
    if !is_given {
        eprintln!("left out: this user cannot give a file to another one");
    }
    is_given
}

#[test]
fn the_hint_for_a_repository_of_another_user_works_when_it_is_followed() {
    let shapes: [fn(&Repo) -> PathBuf; 4] = [
        |repo| repo.top.clone(),
        |repo| repo.path("environments"),
        |repo| {
            let linked = repo.top.join("it's a linked tree");
            repo.git(&["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
            linked
        },
        |repo| {
            let bare = repo.top.join("a bare one.git");
            repo.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
            bare
        },
    ];
    for shape in shapes {
        let repo = Repo::fleet();
        let folder = shape(&repo);
        if !given_away(&repo) {
            return;
        }
        chown(&repo.top, Some(12345), None).unwrap();
        let home = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| {
            let mut command = repo.command(arguments);
            command.current_dir(&folder).env_remove("GIT_CONFIG_GLOBAL").env("HOME", home.path());
            repo.told(command.output().unwrap())
        };
        let told = run(&["diff", "HEAD", "HEAD"]);
        assert!(told.code == 5 && told.err.contains("belongs to another user"), "{told}");
        let (_, hint) = told.err.split_once("hint: trust it with `").unwrap();
        let hint = hint.trim_end().strip_suffix('`').unwrap().replace("<repo>", repo.top.to_str().unwrap());
        let shell = Command::new("sh").args(["-c", &hint]).env("HOME", home.path()).output().unwrap();
        assert!(shell.status.success(), "{hint}");
        assert_eq!(run(&["diff", "HEAD", "HEAD"]).out, "Nothing changes.\n", "{hint}");
    }
}

#[test]
fn a_repository_of_another_user_is_rendered_all_the_same() {
    let repo = Repo::fleet();
    if given_away(&repo) {
        assert_eq!(repo.run(&["render", "--check"]).out, "6 files are current\n");
    }
}

#[test]
fn a_base_that_nobody_named_is_the_one_that_head_is_on_when_it_was_renamed() {
    let repo = with_something_to_propose();
    repo.git(&["branch", "-m", "main", "trunk"]);
    let told = repo.run(&["run", "--once"]);
    assert!(told.out.contains("opened pull request #1"), "{told}");
    assert!(repo.run(&["pulls", "list"]).out.contains("fleetwright/app → trunk"));
}
