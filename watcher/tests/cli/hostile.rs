//! Text that people wrote is shown and never obeyed, and what is secret is not shown at all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use renderer::visible::is_hidden;
use testkit::hostile::text::HIDDEN;

use crate::repo::{Repo, Told};

const TOKEN: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
/// A token without a form of its own.
const PLAIN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const VALUES: &str = "argocd-apps/eu-1/web/values.yaml";

fn assert_harmless(told: &Told) {
    let hidden = |text: &str| text.chars().any(|c| !matches!(c, '\n' | '\t') && is_hidden(c));
    assert!(!hidden(&told.out) && !hidden(&told.err), "{told}");
}

/// Characters that a commit of git and a file name can hold.
fn hidden() -> String {
    HIDDEN.chars().filter(|c| !matches!(c, '\0' | '\n' | '\t')).collect()
}

#[test]
fn a_file_name_does_not_reorder_what_check_prints() {
    let repo = Repo::fleet();
    let name: String = hidden().chars().filter(|c| !c.is_control()).collect();
    repo.write(&format!("environments/prod/a{name}lmay.yaml"), "role: [\n");
    let told = repo.run(&["check"]);
    assert_eq!(told.code, 4);
    assert!(told.err.contains("\\u{202e}"), "{told}");
    assert_harmless(&told);
    let json = repo.run(&["check", "--format", "json"]);
    assert_harmless(&json);
    let files: Vec<_> =
        json.json()["problems"].as_array().unwrap().iter().map(|it| it["file"].clone()).collect();
    assert!(files.iter().any(|file| file.as_str().unwrap().contains('\u{202e}')), "{json}");
}

#[test]
fn an_author_and_a_title_are_shown_with_what_is_hidden_in_them() {
    let repo = Repo::fleet();
    repo.edit(VALUES, "replicas: 3", "replicas: 9");
    let hidden = hidden();
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "-qm", &format!("Scale{hidden}it"), "--author", &format!("Ann{hidden}Bob <a@b>")]);
    for arguments in [&["run", "--once", "-v"][..], &["pulls", "list"], &["pulls", "show", "1"]] {
        let told = repo.run(arguments);
        assert_eq!(told.code, 0, "{told}");
        assert_harmless(&told);
    }
    let shown = repo.run(&["pulls", "show", "1"]).out;
    assert!(shown.contains("Changed by hand") && shown.contains("Scale\\r\\u{1b}"), "{shown}");

    let branch = repo.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/fleetwright/"]);
    repo.git(&["checkout", "-q", branch.lines().next().unwrap()]);
    repo.write("note", "x");
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "-qm", &format!("Add{hidden}it"), "--author", &format!("Ann{hidden}Bob <a@b>")]);
    repo.git(&["checkout", "-q", "main"]);
    repo.edit("environments/hub.yaml", "web: 10.9.0.10", "web: 10.9.0.11");
    repo.commit("Move the hub");
    for format in ["text", "json"] {
        let told = repo.run(&["run", "--once", "-v", "--log-format", format]);
        assert_harmless(&told);
        assert!(told.out.contains("left `") || told.err.contains("left alone"), "{told}");
    }
}

#[test]
fn a_secret_that_is_published_is_not_shown_when_it_goes() {
    let repo = Repo::fleet();
    let published = format!("{}adminPassword: hunter2hunter2\nnote: {TOKEN}\n", repo.read(VALUES));
    repo.write(VALUES, published);
    repo.commit("Publish a password");
    for arguments in [
        &["run", "--once", "--format", "json", "-vv"][..],
        &["pulls", "show", "1"],
        &["pulls", "show", "1", "--format", "json"],
    ] {
        let told = repo.run(arguments);
        assert_eq!(told.code, 0, "{told}");
        assert!(!told.to_string().contains("hunter2") && !told.to_string().contains(TOKEN), "{told}");
        assert!(told.out.contains("adminPassword") && told.out.contains("***"), "{told}");
    }
    let fresh = Repo::fleet();
    fresh.write("templates/addons/web/values.yaml.hbs", "adminPassword: hunter2hunter2\n");
    let told = fresh.run(&["check"]);
    assert!(told.err.contains("`adminPassword` holds a secret") && !told.err.contains("hunter2"), "{told}");
}

#[test]
fn a_token_that_stands_where_a_setting_belongs_is_not_repeated() {
    let repo = Repo::fleet();
    let address = format!("https://127.0.0.1:9/x.git?token={PLAIN}");
    for arguments in [
        &["run", "--poll", TOKEN][..],
        &["run", "--forge", TOKEN],
        &["run", "--once", "--base", TOKEN],
        &["run", "--once", "--upstream", &address],
        &["run", "--once", "--upstream", &format!("https://u:{PLAIN}@127.0.0.1:9/x.git")],
        &["diff", TOKEN],
        &["explain", TOKEN, "x"],
        &["run", "--poll", PLAIN],
        &["run", "--once", "--base", PLAIN],
        &["--no-such-option", PLAIN],
    ] {
        let mut command = repo.command(arguments);
        command.envs([
            ("FLEETWRIGHT_TOKEN", PLAIN),
            ("HOME", "/nonexistent"),
            ("XDG_CACHE_HOME", "/nonexistent"),
        ]);
        let told = repo.told(command.output().unwrap());
        assert_ne!(told.code, 0, "{told}");
        let text = told.to_string();
        assert!(!text.contains("0123456789abcdef") && !text.contains(PLAIN), "{arguments:?}: {told}");
    }
    let told = repo.told(repo.command(&["check"]).env("RUST_LOG", format!("{TOKEN}=x=y")).output().unwrap());
    assert!(!told.to_string().contains(TOKEN), "{told}");
}

#[test]
fn an_argument_cannot_control_the_terminal() {
    let repo = Repo::fleet();
    let hidden: String = HIDDEN.chars().filter(|c| *c != '\0').collect();
    for arguments in [&["run", "--poll", &hidden][..], &["diff", &hidden], &["explain", &hidden], &[&hidden]]
    {
        let told = repo.run(arguments);
        assert_ne!(told.code, 0, "{told}");
        assert_harmless(&told);
    }
}

#[test]
fn a_file_with_a_secret_that_others_may_write_to_is_refused() {
    let repo = Repo::fleet();
    repo.write("token", PLAIN);
    let with = |mode: u32| {
        fs::set_permissions(repo.path("token"), fs::Permissions::from_mode(mode)).unwrap();
        repo.run(&["pulls", "list", "--upstream", repo.top.to_str().unwrap(), "--token-file", "token"])
    };
    assert_eq!((with(0o600).code, with(0o600).err.as_str()), (0, ""));
    assert!(with(0o644).err.contains("every user of this machine may read `token`"));
    let told = with(0o666);
    assert!(told.code == 5 && told.err.contains("may write to it (mode 0666)"), "{told}");
}
