//! What people get wrong: each story shows the message, and that nothing has changed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use insta::assert_snapshot;

use crate::repo::{Repo, Told};

const CLUSTER: &str = "environments/prod/eu-1.yaml";
const TEMPLATE: &str = "templates/addons/web/values.yaml.hbs";

/// Shows what `check` says, after `render` has refused in the same words.
fn problems(repo: &Repo) -> Told {
    let rendered = repo.refused(&["render"]);
    let checked = repo.refused(&["check"]);
    assert_eq!((rendered.code, checked.code), (4, 4), "{rendered}");
    assert_eq!(rendered.err, checked.err);
    checked
}

/// The fleet with another template for the add-on's values, which still reads what it did read.
fn with_template(text: &str) -> Repo {
    let repo = Repo::fleet();
    let facts = ["hub.addresses.web", "fleet.ports.web", "addon.settings.replicas"]
        .map(|fact| format!("{{{{{fact}}}}}"));
    repo.write(TEMPLATE, format!("facts: [{}]\n{text}", facts.join(", ")));
    repo
}

/// The fleet with one more fact, as it is written in a file, and a template that inserts it everywhere.
fn with_fact(written: &str) -> Repo {
    let repo = with_template(
        "plain: {{cluster.labels.fact}}\n\
         text: \"<{{cluster.labels.fact}}>\"\n\
         \"key {{cluster.labels.fact}}\": 1\n\
         block: |\n\
         \x20 {{cluster.labels.fact}}\n\
         flow: [a, {{cluster.labels.fact}}]\n",
    );
    for file in [CLUSTER, "environments/hub.yaml"] {
        let text = repo.read(file);
        repo.write(file, format!("labels:\n  fact: {written}\n{text}"));
    }
    repo
}

/// What the add-on's values on `eu-1` are once rendered, without the header.
fn rendered(repo: &Repo) -> String {
    let told = repo.run(&["render"]);
    assert_eq!(told.code, 0, "{told}");
    let text = repo.read("argocd-apps/eu-1/web/values.yaml");
    text.split_inclusive('\n').skip(5).collect()
}

#[test]
fn an_empty_repository_has_no_fleet() {
    assert_snapshot!(problems(&Repo::empty()), @"
    ! environments:1:1: no cluster is described
    !   hint: describe one in `environments/<cluster>.yaml`, starting with `role: control`
    ! environments/_fleet.yaml:1:1: the fleet's shared facts are missing
    !   hint: create the file with `repository: {url: …, branch: main}`, the repository that Argo CD reads
    ! error: 2 problems
    => 4
    ");
}

#[test]
fn inputs_that_are_gone_do_not_take_the_rendered_files_along() {
    let repo = Repo::fleet();
    fs::remove_dir_all(repo.path("environments")).unwrap();
    assert_snapshot!(problems(&repo), @"
    ! environments:1:1: no cluster is described
    !   hint: describe one in `environments/<cluster>.yaml`, starting with `role: control`
    ! environments/_fleet.yaml:1:1: the fleet's shared facts are missing
    !   hint: create the file with `repository: {url: …, branch: main}`, the repository that Argo CD reads
    ! error: 2 problems
    => 4
    ");
    let repo = Repo::fleet();
    fs::remove_dir_all(repo.path("templates")).unwrap();
    assert_snapshot!(repo.run(&["render", "--check"]), @"
    ! templates:1:1: there is no template
    !   hint: add an add-on, `templates/addons/<addon>/addon.yaml`; rendering nothing would delete all that is there
    ! error: 1 problem
    => 4
    ");
}

#[test]
fn a_hub_that_is_not_there() {
    let repo = Repo::fleet();
    repo.edit(CLUSTER, "hub: hub", "hub: hbu");
    assert_snapshot!(problems(&repo), @"
    ! environments/prod/eu-1.yaml:2:6: unknown hub `hbu`
    !   hint: known hubs: `hub`
    ! error: 1 problem
    => 4
    ");
}

#[test]
fn two_clusters_of_one_name() {
    let repo = Repo::fleet();
    repo.write("environments/test/eu-1.yaml", repo.read(CLUSTER));
    assert_snapshot!(problems(&repo), @"
    ! environments/test/eu-1.yaml:1:1: cluster `eu-1` is described twice
    !   hint: it is also described by `environments/prod/eu-1.yaml`; rename or remove one
    ! error: 1 problem
    => 4
    ");
}

#[test]
fn a_template_that_includes_itself_through_another() {
    let repo = with_template("{{> one cluster}}\n");
    repo.write("templates/_partials/one.hbs", "{{> two this}}\n");
    repo.write("templates/_partials/two.hbs", "a: b\n{{> one this}}\n");
    let told = problems(&repo);
    assert_snapshot!(told.err.lines().take(2).collect::<Vec<_>>().join("\n"), @"
    templates/_partials/one.hbs:1:1: partial `one` includes itself: `two` → `one`
      hint: break the cycle
    ");
}

#[test]
fn a_template_that_writes_without_end() {
    let line = format!("# {}\n", "0123456789".repeat(10));
    let repo = with_template(&format!(
        "{{{{#each addon.settings.many}}}}\n{{{{#each addon.settings.many}}}}\n{line}{{{{/each}}}}\n{{{{/each}}}}\n"
    ));
    let many = (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let settings = format!("settings:\n  many: {{type: array, default: [{many}]}}\n");
    repo.edit("templates/addons/web/addon.yaml", "settings:\n", &settings);
    assert_snapshot!(problems(&repo), @"
    ! templates/addons/web/values.yaml.hbs:1:1: the file grows larger than 8 MiB (on `eu-1` and `hub`)
    !   hint: split it, or insert less
    ! error: 1 problem
    => 4
    ");
}

#[test]
fn values_that_readers_disagree_about_must_be_quoted() {
    assert_snapshot!(problems(&with_fact("no")), @r#"
    ! environments/hub.yaml:2:9: plain `no` is a boolean to YAML 1.1 readers and a string to 1.2 ones
    !   hint: write `true` or `false`, or quote it if text is meant: `"no"`
    ! environments/prod/eu-1.yaml:2:9: plain `no` is a boolean to YAML 1.1 readers and a string to 1.2 ones
    !   hint: write `true` or `false`, or quote it if text is meant: `"no"`
    ! error: 2 problems
    => 4
    "#);
    assert_snapshot!(problems(&with_fact("0x1F")), @r#"
    ! environments/hub.yaml:2:9: plain `0x1F` is one number to some YAML readers and another, or a string, to others
    !   hint: quote it if text is meant: `"0x1F"`; write it in decimal digits if a number is meant
    ! environments/prod/eu-1.yaml:2:9: plain `0x1F` is one number to some YAML readers and another, or a string, to others
    !   hint: quote it if text is meant: `"0x1F"`; write it in decimal digits if a number is meant
    ! error: 2 problems
    => 4
    "#);
    assert_snapshot!(problems(&with_fact("1.10")), @r#"
    ! environments/hub.yaml:2:9: plain `1.10` is read as the number `1.1`
    !   hint: quote it if text is meant: `"1.10"`; write `1.1` if a number is meant
    ! environments/prod/eu-1.yaml:2:9: plain `1.10` is read as the number `1.1`
    !   hint: quote it if text is meant: `"1.10"`; write `1.1` if a number is meant
    ! error: 2 problems
    => 4
    "#);
}

#[test]
fn quoted_values_stay_what_they_are_in_every_place() {
    assert_snapshot!(rendered(&with_fact("\"no\"")), @r#"
    plain: "no"
    text: "<no>"
    key no: 1
    block: |
      no
    flow:
      - a
      - "no"
    "#);
    assert_snapshot!(rendered(&with_fact("\"1.10\"")), @r#"
    plain: "1.10"
    text: "<1.10>"
    key 1.10: 1
    block: |
      1.10
    flow:
      - a
      - "1.10"
    "#);
    assert_snapshot!(rendered(&with_fact("\"0x1F\"")), @r#"
    plain: "0x1F"
    text: "<0x1F>"
    key 0x1F: 1
    block: |
      0x1F
    flow:
      - a
      - "0x1F"
    "#);
    assert_snapshot!(rendered(&with_fact("\"{{x}}\"")), @r#"
    plain: "{{x}}"
    text: "<{{x}}>"
    key {{x}}: 1
    block: |
      {{x}}
    flow:
      - a
      - "{{x}}"
    "#);
    assert_snapshot!(rendered(&with_fact("\"foo: bar\\n- x\"")), @r#"
    plain: |-
      foo: bar
      - x
    text: |-
      <foo: bar
      - x>
    "key foo: bar\n- x": 1
    block: |
      foo: bar
      - x
    flow:
      - a
      - |-
        foo: bar
        - x
    "#);
    assert_snapshot!(rendered(&with_fact("\"a\\u0007\\u001b[31m\\u2028b\"")), @r#"
    plain: "a\u0007\u001B[31m\u2028b"
    text: "<a\u0007\u001B[31m\u2028b>"
    "key a\u0007\u001B[31m\u2028b": 1
    block: "a\u0007\u001B[31m\u2028b\n"
    flow:
      - a
      - "a\u0007\u001B[31m\u2028b"
    "#);
}

#[test]
fn a_value_of_ten_thousand_lines_is_one_value() {
    let lines = "line: [x\\n".repeat(10_000);
    let text = rendered(&with_fact(&format!("\"{lines}\"")));
    assert_eq!(text.matches("line: [x").count(), 5 * 10_000);
    assert_eq!(text.lines().filter(|line| !line.starts_with(' ') && line.starts_with("plain:")).count(), 1);
}

#[test]
fn file_names_that_are_no_names() {
    let repo = Repo::fleet();
    let text = repo.read(CLUSTER);
    for name in ["EU_2.yaml", "eu 3.yaml", "back\\slash.yaml", "new\nline.yaml", "eu-4.yml", "_eu.yaml"] {
        repo.write(&format!("environments/{name}"), &text);
    }
    fs::write(repo.path("environments").join(OsStr::from_bytes(b"\xff.yaml")), &text).unwrap();
    assert_snapshot!(problems(&repo), @r"
    ! environments:1:1: the file name `back\\slash.yaml` cannot be used: it contains a backslash
    !   hint: rename the file
    ! environments:1:1: the file name `new\nline.yaml` cannot be used: it contains a control character
    !   hint: rename the file
    ! environments:1:1: the file name `�.yaml` cannot be used: it is not UTF-8
    !   hint: rename the file
    ! environments/EU_2.yaml:1:1: `EU_2` is not a valid name
    !   hint: use at most 63 lower-case letters, digits and hyphens, with a letter or digit at both ends
    ! environments/_eu.yaml:1:1: `_eu.yaml` is not a file that is read
    !   hint: there is only one, `environments/_fleet.yaml`
    ! environments/eu 3.yaml:1:1: `eu 3` is not a valid name
    !   hint: use at most 63 lower-case letters, digits and hyphens, with a letter or digit at both ends
    ! environments/eu-4.yml:1:1: the file's name ends in `.yml` and is not read
    !   hint: rename it to `eu-4.yaml`
    ! error: 7 problems
    => 4
    ");
}

#[test]
fn links_out_of_the_repository_are_not_read() {
    let repo = Repo::fleet();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.yaml"), "role: app\n").unwrap();
    symlink(outside.path().join("secret.yaml"), repo.path("environments/linked.yaml")).unwrap();
    symlink(outside.path(), repo.path("templates/addons/linked")).unwrap();
    assert_snapshot!(problems(&repo), @"
    ! environments/linked.yaml:1:1: `linked.yaml` is a symbolic link
    !   hint: replace it with a copy of the file: what a link names may lie outside the repository
    ! templates/addons/linked:1:1: `linked` is a symbolic link
    !   hint: replace it with a copy of the file: what a link names may lie outside the repository
    ! error: 2 problems
    => 4
    ");
}

#[test]
fn the_input_folders_themselves_must_not_be_links() {
    let repo = Repo::fleet();
    fs::rename(repo.path("environments"), repo.path("elsewhere")).unwrap();
    symlink("elsewhere", repo.path("environments")).unwrap();
    let told = problems(&repo);
    assert!(told.err.starts_with("environments:1:1: `environments` is a symbolic link\n"), "{told}");
}

#[test]
fn files_that_are_not_text() {
    let repo = Repo::fleet();
    repo.write(CLUSTER, b"role: app\nhub: \xff\xfe\n");
    repo.write(TEMPLATE, b"a: b\nc: \xe9\n");
    assert_snapshot!(problems(&repo), @"
    ! environments/prod/eu-1.yaml:2:6: byte 0xFF is not UTF-8 text
    !   hint: save the file as UTF-8
    ! templates/addons/web/values.yaml.hbs:2:4: byte 0xE9 is not UTF-8 text
    !   hint: save the file as UTF-8
    ! error: 2 problems
    => 4
    ");
}

#[test]
fn line_breaks_of_windows_change_nothing() {
    let repo = Repo::fleet();
    for file in [CLUSTER, TEMPLATE, "templates/addons/web/addon.yaml", "environments/_fleet.yaml"] {
        repo.write(file, repo.read(file).replace('\n', "\r\n"));
    }
    assert_eq!(repo.run(&["render", "--check"]).out, "6 files are current\n");
}

#[test]
fn files_of_fifty_megabytes_are_not_read() {
    let repo = Repo::fleet();
    let huge = vec![b'#'; 50 * 1024 * 1024];
    repo.write("environments/huge.yaml", &huge);
    repo.write("templates/addons/web/manifests/huge.yaml.hbs", &huge);
    assert_snapshot!(problems(&repo), @"
    ! environments/huge.yaml:1:1: `huge.yaml` has 52428800 bytes, more than the 10 MiB that are read
    !   hint: split it, or move it out of this folder if it is not an input
    ! templates/addons/web/manifests/huge.yaml.hbs:1:1: `huge.yaml.hbs` has 52428800 bytes, more than the 10 MiB that are read
    !   hint: split it, or move it out of this folder if it is not an input
    ! error: 2 problems
    => 4
    ");
}

#[test]
fn files_larger_than_anything_people_write_are_not_parsed() {
    let repo = Repo::fleet();
    let large = vec![b'#'; 2 * 1024 * 1024];
    repo.write("environments/large.yaml", &large);
    repo.write("templates/addons/web/manifests/large.yaml.hbs", &large);
    assert_snapshot!(problems(&repo), @"
    ! environments/large.yaml:1:1: the file has 2097152 bytes; at most 1048576 are read
    !   hint: facts are written by people: split the file
    ! templates/addons/web/manifests/large.yaml.hbs:1:1: the template has 2097152 bytes; at most 131072 are read
    !   hint: split it into partials
    ! error: 2 problems
    => 4
    ");
}

#[test]
fn a_run_on_a_detached_head_asks_for_the_base_branch() {
    let repo = Repo::fleet();
    repo.git(&["checkout", "-q", "--detach"]);
    let told = repo.refused(&["run", "--once"]);
    assert_snapshot!(told.err.replace(&repo.git(&["rev-parse", "--short", "HEAD"]), "<revision>"), @"
    error: failed to find the branch that HEAD is on (repository `<repo>/`): HEAD is detached at <revision>
      hint: name the base branch, or check one out with `git switch BRANCH`
    ");
    assert_eq!(told.code, 5);
    assert_eq!(repo.run(&["run", "--once", "--base", "main"]).code, 0);
    assert_eq!(repo.run(&["render", "--check"]).code, 0, "what needs no branch works");
}

#[test]
fn problems_stop_a_run_before_it_writes() {
    let repo = Repo::fleet();
    repo.edit(CLUSTER, "role: app", "role: ap");
    repo.commit("Break a cluster");
    assert_eq!(repo.refused(&["run", "--once"]).code, 4);
}

#[test]
fn a_folder_where_a_rendered_file_belongs_makes_room() {
    let repo = Repo::fleet();
    let file = "argocd-apps/eu-1/namespace.yaml";
    let expected = repo.read(file);
    fs::remove_file(repo.path(file)).unwrap();
    repo.write("argocd-apps/eu-1/namespace.yaml/stale/a.yaml", "a: b\n");
    fs::create_dir_all(repo.path("argocd-apps/eu-1/namespace.yaml/empty/below")).unwrap();
    let told = repo.refused(&["render"]);
    assert!(told.err.contains("git does not have: `argocd-apps/eu-1/namespace.yaml/stale/a.yaml`"), "{told}");
    repo.git(&["add", "argocd-apps"]);
    assert_snapshot!(repo.run(&["render"]), @"
    create  argocd-apps/eu-1/namespace.yaml
    delete  argocd-apps/eu-1/namespace.yaml/stale/a.yaml
    rendered 6 files: 1 created, 1 deleted
    => 0
    ");
    assert_eq!(repo.read(file), expected);
}

#[test]
fn a_file_where_a_folder_belongs_makes_room_once_git_has_it() {
    let repo = Repo::fleet();
    fs::remove_dir_all(repo.path("argocd-apps/eu-1/web")).unwrap();
    repo.write("argocd-apps/eu-1/web", "in the way\n");
    assert_snapshot!(repo.refused(&["render"]), @"
    ! error: rendering would overwrite what Fleetwright did not write and git does not have: `argocd-apps/eu-1/web`
    !   hint: move it away; or commit it, so that git can bring it back
    => 1
    ");
    repo.commit("Add a file");
    assert_snapshot!(repo.run(&["render"]), @"
    delete  argocd-apps/eu-1/web
    create  argocd-apps/eu-1/web/manifests/settings.yaml
    create  argocd-apps/eu-1/web/values.yaml
    rendered 6 files: 2 created, 1 deleted
    => 0
    ");
    assert_eq!(repo.run(&["render", "--check"]).code, 0);
}

#[test]
fn links_among_the_rendered_files_are_never_written_through_and_replaced_once_git_has_them() {
    let repo = Repo::fleet();
    let outside = tempfile::tempdir().unwrap();
    let values = repo.read("argocd-apps/eu-1/web/values.yaml");
    fs::write(outside.path().join("values.yaml"), "mine: true\n").unwrap();
    // A link to a folder, one to a file with the very content, one that nothing renders, and one that leads nowhere.
    fs::remove_dir_all(repo.path("argocd-apps/hub/web")).unwrap();
    symlink(outside.path(), repo.path("argocd-apps/hub/web")).unwrap();
    fs::write(outside.path().join("same.yaml"), &values).unwrap();
    fs::remove_file(repo.path("argocd-apps/eu-1/web/values.yaml")).unwrap();
    symlink(outside.path().join("same.yaml"), repo.path("argocd-apps/eu-1/web/values.yaml")).unwrap();
    symlink(outside.path(), repo.path("argocd-apps/eu-1/more")).unwrap();
    symlink("nowhere", repo.path("argocd-apps/eu-1/broken")).unwrap();
    assert_snapshot!(repo.refused(&["render"]), @"
    ! error: rendering would overwrite what Fleetwright did not write and git does not have: `argocd-apps/eu-1/web/values.yaml`, `argocd-apps/hub/web`
    !   hint: move it away; or commit it, so that git can bring it back
    => 1
    ");
    repo.git(&["add", "-A"]);
    assert_snapshot!(repo.run(&["render", "--prune"]), @"
    delete  argocd-apps/eu-1/broken
    delete  argocd-apps/eu-1/more
    update  argocd-apps/eu-1/web/values.yaml
    delete  argocd-apps/hub/web
    create  argocd-apps/hub/web/manifests/settings.yaml
    create  argocd-apps/hub/web/values.yaml
    rendered 6 files: 2 created, 1 updated, 3 deleted
    => 0
    ");
    let mine = fs::read_to_string(outside.path().join("values.yaml")).unwrap();
    assert_eq!((mine.as_str(), fs::read_dir(outside.path()).unwrap().count()), ("mine: true\n", 2));
    assert!(repo.path("argocd-apps/eu-1/web/values.yaml").symlink_metadata().unwrap().is_file());
    assert!(repo.path("argocd-apps/hub/web").symlink_metadata().unwrap().is_dir());
    assert_eq!(repo.run(&["render", "--check"]).code, 0);
}

#[test]
fn a_link_in_place_of_the_output_folder_or_of_a_clusters_is_refused() {
    let repo = Repo::fleet();
    let outside = tempfile::tempdir().unwrap();
    for folder in ["argocd-apps/eu-1", "argocd-apps"] {
        let aside = repo.path("aside");
        fs::rename(repo.path(folder), &aside).unwrap();
        symlink(outside.path(), repo.path(folder)).unwrap();
        repo.edit(CLUSTER, "replicas: ", "replicas: 1");
        let told = repo.refused(&["render"]);
        let expected = format!("error: `<repo>/{folder}` is not a folder of this repository\n");
        assert!(told.code == 1 && told.err.starts_with(&expected), "{told}");
        assert_eq!(repo.refused(&["render", "--check"]).code, 1);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        fs::remove_file(repo.path(folder)).unwrap();
        fs::rename(&aside, repo.path(folder)).unwrap();
    }
}

#[test]
fn what_nobody_renders_stays_and_is_named() {
    let repo = Repo::fleet();
    repo.write("argocd-apps/README.md", "Rendered; see the top of the repository.\n");
    repo.write("argocd-apps/gone/web/values.yaml", "a: b\n");
    fs::write(repo.path("argocd-apps/eu-1").join(OsStr::from_bytes(b"\xff\x1b.yaml")), "a: b\n").unwrap();
    symlink("README.md", repo.path("argocd-apps/link.md")).unwrap();
    assert_snapshot!(repo.run(&["render"]), @r"
    keep    argocd-apps/eu-1/�\u{1b}.yaml: Fleetwright did not write it, and git does not have it
    keep    argocd-apps/gone/web/values.yaml: Fleetwright did not write it, and git does not have it
    6 files are current
      hint: move or delete it yourself: git could not bring it back
    => 0
    ");
    let mut left: Vec<_> =
        fs::read_dir(repo.path("argocd-apps")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["README.md", "eu-1", "gone", "hub", "link.md"]);
}

#[test]
fn a_rendered_file_is_as_readable_as_any_other_file() {
    use std::os::unix::fs::PermissionsExt;
    let repo = Repo::fleet();
    let mode = |path: &str| repo.path(path).metadata().unwrap().permissions().mode();
    assert_eq!(mode("argocd-apps/eu-1/web/values.yaml"), mode(CLUSTER));
    assert_eq!(mode("argocd-apps/eu-1/web"), mode("environments/prod"));
}
