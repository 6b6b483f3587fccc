//! Edits of rendered files by hand, in pull requests: Argo CD applies what is merged, so each is shown and fails.

use std::time::Duration;

use fleetwright::run::ACCEPT_LABEL;
use insta::assert_snapshot;
use testkit::github;
use testkit::hostile::edits;

use crate::office::{APP_TOKEN, Office, POOL};
use crate::platform::{APP_HEAD, BASE, World, settings};

/// The Application that brings in all others.
const ROOT: &str = "argocd-apps/control/root.yaml";

/// Opens a pull request whose branch is edited by commands of `git fast-import`.
fn edited(office: &Office, branch: &str, commands: &str) -> u64 {
    office.commit_raw(branch, commands);
    office.github.open(branch).unwrap()
}

fn root_elsewhere(office: &Office) -> String {
    let text = office.world.read(BASE, ROOT);
    let elsewhere =
        text.replace("https://git.example.com/platform/fleet.git", "https://evil.example.com/fleet.git");
    assert_ne!(text, elsewhere);
    format!("M 644 inline {ROOT}\ndata {}\n{elsewhere}", elsewhere.len())
}

#[test]
fn a_head_that_holds_what_its_inputs_render_to_is_no_edit_by_hand() {
    let office = Office::new();
    let number = office.propose("pool", POOL);
    let [_, old, new] = POOL;
    let file = "argocd-apps/app/metallb/manifests/address-pool.yaml";
    let rendered = office.world.read(BASE, file).replace(old, new);
    office.world.commit("pool", "Render", &[(file, Some(&rendered))]);
    office.settle();
    assert_snapshot!(office.verdicts(number), @r"
    fleetwright/order success: what comes first is merged (Argo CD is not asked)
    fleetwright/review success: 1 file changed on 1 cluster: app
    ");
}

#[test]
fn an_application_that_is_pointed_at_another_repository_is_called_what_it_is() {
    for token in [APP_TOKEN, github::TOKEN] {
        let office = Office::with(World::new(), token, settings());
        let number = edited(&office, "quick-fix", &root_elsewhere(&office));
        office.settle();
        if token == APP_TOKEN {
            assert_snapshot!(office.comments(number).join("\n===\n"), @"
            ### Rendered files are edited by hand

            **Argo CD applies what stands below `argocd-apps/`**, and these files are not what the inputs of this head render to. Take the edits back and change the lines that are named; or a maintainer who has read the edits sets the label `fleetwright: accept-edits`, which counts until the next push.

            - `argocd-apps/control/root.yaml` is not as it is rendered; **other repository**: Argo CD reads what it applies from another repository
              - `Application argocd/root spec.source.repoURL` comes from `environments/_fleet.yaml:5:8`

            From what is rendered to what is committed instead:

            1 file changed on 1 cluster: control

            ### Risks

            - **other repository**: Argo CD reads what it applies from another repository
              - `root.yaml Application argocd/root spec.source.repoURL` on control

            ### On control

            ```diff
            # root.yaml
            - Application argocd/root spec.source.repoURL: https://git.example.com/platform/fleet.git
            + Application argocd/root spec.source.repoURL: https://evil.example.com/fleet.git
            ```

            This pull request changes nothing in what is rendered.

            Digest of the rendered tree: `04c55ff1085f`.

            <!-- fleetwright:review -->
            ");
            let annotations = office.github.state().check_runs[0].annotations.clone();
            assert_snapshot!(format!("{} {}", annotations[0]["path"], annotations[0]["message"]), @r#""argocd-apps/control/root.yaml" "edited by hand: is not as it is rendered\nchange instead: environments/_fleet.yaml:5:8""#);
        }
        let verdicts = office.verdicts(number);
        assert!(
            verdicts.contains("fleetwright/review failure: 1 rendered file edited by hand; "),
            "{verdicts}"
        );
    }
}

#[test]
fn an_edit_beside_a_change_of_inputs_comes_first() {
    let office = Office::new();
    let number = office.propose("pool", POOL);
    office.commit_raw("pool", &root_elsewhere(&office));
    office.settle();
    let comment = office.comments(number).join("\n===\n");
    let (edit, change) =
        (comment.find(ROOT).unwrap(), comment.find("### What this pull request changes").unwrap());
    assert!(comment.starts_with("### Rendered files are edited by hand") && edit < change, "{comment}");
    assert!(comment.contains(POOL[2]), "{comment}");
    assert_snapshot!(office.verdicts(number), @r"
    fleetwright/order success: nothing has to be merged first
    fleetwright/review failure: 1 rendered file edited by hand; 1 file changed on 1 cluster: app
    fleetwright/review 2 neutral: Part 2 of 2 of what changes
    ");
}

#[test]
fn a_maintainers_label_accepts_an_edit_as_it_is_and_no_later_one() {
    let office = Office::new();
    let number = edited(&office, "quick-fix", &root_elsewhere(&office));
    // Both in the same second: the push may have come after the look.
    office.github.label(number, ACCEPT_LABEL).unwrap();
    office.settle();
    assert_eq!(office.labels(number), "");
    assert!(office.verdicts(number).contains("fleetwright/review failure"));

    office.github.advance(Duration::from_secs(1));
    office.github.label(number, ACCEPT_LABEL).unwrap();
    office.settle();
    assert_snapshot!(office.verdicts(number), @r"
    fleetwright/order success: nothing has to be merged first
    fleetwright/review success: Accepted: 1 rendered file edited by hand; Nothing changes in what is rendered
    ");
    let accepted = office.queue(&["quick-fix"]);
    office.settle();
    assert!(office.verdicts_on(&accepted).contains("fleetwright/review success: Accepted: "));
    office.restart();
    office.settle();
    assert!(office.verdicts(number).contains("fleetwright/review success: Accepted: "));

    office.github.advance(Duration::from_secs(1));
    let worse = "M 644 inline argocd-apps/app/extra.yaml\ndata 5\na: 1\n";
    office.commit_raw("quick-fix", worse);
    office.settle();
    assert_eq!(office.labels(number), "");
    assert!(
        office.verdicts(number).contains("failure: 2 rendered files edited by hand"),
        "{}",
        office.verdicts(number)
    );
}

#[test]
fn whatever_is_edited_below_the_output_folder_is_named_and_fails() {
    let mut told = Vec::new();
    for edit in edits::all("argocd-apps") {
        let office = Office::new();
        let number = edited(&office, "quick-fix", &edit.commands);
        office.settle();
        let (comments, verdicts) = (office.comments(number), office.verdicts(number));
        assert!(verdicts.contains("fleetwright/review failure: "), "{}: {verdicts}", edit.name);
        let list = comments[0].split("\nFrom what is rendered").next().unwrap();
        let files = list.lines().filter(|line| line.starts_with("- `") || line.starts_with("- and"));
        let files: Vec<_> = files.map(|line| line.split(';').next().unwrap_or(line)).collect();
        let shown = &files[..files.len().min(2)];
        told.push(format!("{}: {} files\n  {}", edit.name, files.len(), shown.join("\n  ")));
        assert!(comments[0].chars().count() <= 65_536, "{}", edit.name);
        office.restart();
        office.settle();
        assert_eq!(office.verdicts(number), verdicts, "{}", edit.name);
    }
    assert_snapshot!(told.join("\n"), @r"
    add an object beside rendered ones: 1 files
      - `argocd-apps/app/metallb/manifests/job.yaml` is added, and nothing renders it
    add an Application where no cluster is: 1 files
      - `argocd-apps/stray/root.yaml` is added, and nothing renders it
    add a file beside the clusters' folders: 1 files
      - `argocd-apps/root.yaml` is added, and nothing renders it
    let Argo CD override a source: 1 files
      - `argocd-apps/app/metallb/.argocd-source.yaml` is added, and nothing renders it
    delete a rendered file: 1 files
      - `argocd-apps/control/root.yaml` is rendered, and missing
    delete all of a cluster: 6 files
      - `argocd-apps/app/applicationset.yaml` is rendered, and missing
      - `argocd-apps/app/appproject.yaml` is rendered, and missing
    empty a rendered file: 1 files
      - `argocd-apps/control/root.yaml` is not as it is rendered
    replace a rendered file by what is no YAML: 1 files
      - `argocd-apps/control/root.yaml` is not as it is rendered
    rename a rendered file: 2 files
      - `argocd-apps/app/metallb/manifests/address-pool.yaml` is rendered, and missing
      - `argocd-apps/app/metallb/manifests/pool.yml` is added, and nothing renders it
    move a folder of another cluster in place: 7 files
      - `argocd-apps/app/applicationset.yaml` is not as it is rendered
      - `argocd-apps/app/appproject.yaml` is not as it is rendered
    make a rendered file executable: 1 files
      - `argocd-apps/control/root.yaml` is an executable file
    replace a rendered file by a symbolic link: 1 files
      - `argocd-apps/control/root.yaml` is a symbolic link
    replace a cluster's folder by a symbolic link: 7 files
      - `argocd-apps/app` is a symbolic link
      - `argocd-apps/app/applicationset.yaml` is rendered, and missing
    replace the whole folder by a symbolic link: 15 files
      - `argocd-apps` is a symbolic link
      - `argocd-apps/app/applicationset.yaml` is rendered, and missing
    replace a cluster's folder by a submodule: 7 files
      - `argocd-apps/app` is a submodule
      - `argocd-apps/app/applicationset.yaml` is rendered, and missing
    name a file so that it breaks a line or a code span: 5 files
      - `argocd-apps/@everyone #1` is added, and nothing renders it
      - ``argocd-apps/a`</details>`b`` is added, and nothing renders it
    add very many files: 53 files
      - `argocd-apps/app/longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong/0.yaml` is added, and nothing renders it
      - `argocd-apps/app/longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong/1.yaml` is added, and nothing renders it
    ");
}

#[test]
fn an_edit_in_a_head_that_does_not_render_is_named_too() {
    let office = Office::new();
    let number = office.propose("broken", crate::office::BROKEN);
    office.commit_raw("broken", &root_elsewhere(&office));
    office.settle();
    let comment = office.comments(number).join("\n");
    assert!(
        comment.starts_with("### Rendered files are edited by hand") && comment.contains(ROOT),
        "{comment}"
    );
    assert_snapshot!(office.verdicts(number), @r"
    fleetwright/order success: nothing has to be merged first
    fleetwright/review failure: 1 rendered file edited by hand; It does not render: 1 problem
    ");
}

#[test]
fn a_merge_queue_does_not_take_an_edit_that_nobody_accepted() {
    let office = Office::new();
    edited(&office, "quick-fix", &root_elsewhere(&office));
    let head = office.queue(&["quick-fix"]);
    office.settle();
    assert!(office.verdicts_on(&head).contains("fleetwright/review failure: 1 rendered file edited by hand"));
}

#[test]
fn our_name_on_a_commit_makes_no_edit_ours() {
    let office = Office::new();
    office.edit(BASE, POOL);
    office.settle();
    let name = ["-c", "user.name=Fleetwright", "-c", "user.email=fleetwright@fleetwright.invalid"];
    office.commit_raw("forged", &root_elsewhere(&office));
    let message = office.world.git(&["log", "-1", "--format=%B", APP_HEAD]);
    let commit = ["commit-tree", "forged^{tree}", "-p", BASE, "-m", &message];
    let forged = office.world.git(&[&name[..], &commit[..]].concat());
    office.world.git(&["update-ref", &format!("refs/heads/{APP_HEAD}"), &forged]);
    office.settle();
    assert!(
        office.verdicts_on(&forged).contains("fleetwright/review failure: "),
        "{}",
        office.verdicts_on(&forged)
    );
}
