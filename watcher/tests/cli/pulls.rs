//! `pulls`: what a person does with the pull requests of the local forge.

use insta::assert_snapshot;

use crate::repo::Repo;

/// The small fleet after a run on an edit that reaches both groups: #1 is control's, #2 the apps'.
fn proposed() -> Repo {
    let repo = Repo::fleet();
    repo.git(&["config", "user.name", "Ann"]);
    repo.git(&["config", "user.email", "ann@example.com"]);
    repo.edit("environments/hub.yaml", "web: 10.9.0.10", "web: 10.9.0.11");
    repo.commit("Move the hub");
    let told = repo.run(&["run", "--once"]);
    assert_eq!(told.code, 0, "{told}");
    repo
}

fn list(repo: &Repo) -> String {
    let pulls = repo.run(&["pulls", "list", "--all", "--format", "json"]).json();
    let state =
        |pull: &serde_json::Value| format!("#{} {}", pull["number"], pull["state"]["is"].as_str().unwrap());
    pulls["pullRequests"].as_array().unwrap().iter().map(state).collect::<Vec<_>>().join(", ")
}

#[test]
fn apps_are_not_merged_before_control() {
    let repo = proposed();
    assert_snapshot!(repo.run(&["pulls", "merge", "2"]), @"
    ! error: pull request #2 waits for #1, which is not merged
    !   hint: merge #1 first; if it was closed, open it again or take back what it was rendered from
    => 6
    ");
    assert_eq!(list(&repo), "#1 open, #2 open");
    assert_eq!(repo.run(&["pulls", "merge", "1"]).code, 0);
    assert_eq!(repo.run(&["pulls", "merge", "2"]).code, 0);
    let repo = proposed();
    repo.run(&["pulls", "close", "1"]);
    assert_eq!(repo.run(&["pulls", "merge", "2"]).code, 6, "what was closed by hand is still missing");
    let repo = proposed();
    repo.git(&["cherry-pick", "fleetwright/control"]);
    assert_eq!(repo.run(&["pulls", "merge", "2"]).code, 0, "control's change came another way");
}

#[test]
fn groups_are_merged_in_the_order_of_the_list() {
    let repo = Repo::fleet();
    repo.git(&["config", "user.name", "Ann"]);
    repo.git(&["config", "user.email", "ann@example.com"]);
    let fleet = "environments/_fleet.yaml";
    let apps_first = "groups:\n- {name: apps, clusters: {roles: [app]}}\n- {name: hubs}\n";
    repo.edit(fleet, "repository:", &format!("{apps_first}repository:"));
    repo.edit("environments/hub.yaml", "web: 10.9.0.10", "web: 10.9.0.11");
    repo.commit("Release the apps first");
    repo.run(&["run", "--once"]);
    assert_snapshot!(repo.run(&["pulls", "merge", "2"]), @"
    ! error: pull request #2 waits for #1, which is not merged
    !   hint: merge #1 first; if it was closed, open it again or take back what it was rendered from
    => 6
    ");
    assert_eq!(repo.run(&["pulls", "merge", "1"]).code, 0);
    assert_eq!(repo.run(&["pulls", "merge", "2"]).code, 0);
}

#[test]
fn what_is_paused_is_not_merged_until_the_fact_is_taken_away() {
    let repo = proposed();
    let groups = "groups:\n- {name: control, clusters: {roles: [control]}, paused: true}\n- {name: app}\n";
    let fleet = "environments/_fleet.yaml";
    repo.edit(fleet, "repository:", &format!("{groups}repository:"));
    repo.commit("Pause control");
    assert_snapshot!(repo.run(&["pulls", "merge", "1"]), @"
    ! error: pull request #1 is not to be merged now: group `control` is paused
    !   hint: take `paused` off the group in `environments/_fleet.yaml` first
    => 6
    ");
    repo.edit(fleet, ", paused: true", "");
    repo.commit("Go on");
    assert_eq!(repo.run(&["pulls", "merge", "1"]).code, 0);
}

#[test]
fn a_soak_that_is_no_span_of_time_is_named_with_what_to_write() {
    let repo = proposed();
    let groups =
        "groups:\n- {name: control, clusters: {roles: [control]}, soak: half an hour}\n- {name: app}\n";
    repo.edit("environments/_fleet.yaml", "repository:", &format!("{groups}repository:"));
    assert_snapshot!(repo.run(&["check"]), @"
    ! environments/_fleet.yaml:2:55: `half an hour` is not a valid `soak`
    !   hint: write a number up to 9999 and a unit: `90s`, `30m`, `2h` or `1d`
    ! error: 1 problem
    => 4
    ");
}

#[test]
fn a_closed_pull_request_is_opened_again_where_it_was() {
    let repo = proposed();
    let tip = repo.git(&["rev-parse", "fleetwright/app"]);
    assert_eq!(repo.run(&["pulls", "close", "2"]).code, 0);
    assert_eq!(list(&repo), "#1 open, #2 closed");
    assert_snapshot!(repo.run(&["pulls", "reopen", "2"]), @"
    opened pull request #2 again
    => 0
    ");
    assert_eq!(list(&repo), "#1 open, #2 open");
    assert_eq!(repo.git(&["rev-parse", "fleetwright/app"]), tip);
    assert_eq!(repo.run(&["pulls", "reopen", "2"]).code, 0, "it is open");
    assert!(repo.run(&["run", "--once"]).out.contains("#2"));
    assert_eq!(list(&repo), "#1 open, #2 open");
    assert_eq!(repo.run(&["pulls", "merge", "1"]).code, 0);
    assert_eq!(repo.run(&["pulls", "merge", "2"]).code, 0);
    assert_snapshot!(repo.run(&["pulls", "reopen", "2"]), @"
    ! error: pull request #2 is merged already
    => 6
    ");
    assert_snapshot!(repo.run(&["pulls", "reopen", "9"]), @"
    ! error: there is no pull request #9
    !   hint: list them with `fleetwright pulls list`
    => 6
    ");
}

#[test]
fn a_pull_request_whose_branch_is_in_use_is_not_opened_again() {
    let repo = proposed();
    repo.run(&["pulls", "close", "2"]);
    repo.edit("environments/hub.yaml", "web: 10.9.0.11", "web: 10.9.0.12");
    repo.commit("Move the hub again");
    repo.run(&["run", "--once"]);
    assert_eq!(list(&repo), "#1 open, #2 closed, #3 open");
    assert_snapshot!(repo.run(&["pulls", "reopen", "2"]), @"
    ! error: pull request #2 cannot be opened again, since #3 is open for the same branch
    !   hint: look at it with `fleetwright pulls show 3`
    => 6
    ");
    repo.run(&["pulls", "close", "3"]);
    repo.git(&["branch", "fleetwright/app", "main"]);
    assert_snapshot!(repo.run(&["pulls", "reopen", "2"]).err.replace(&repo.git(&["rev-parse", "main"])[..7], "<main>"), @"
    error: branch `fleetwright/app` is not at `0768a93`
      hint: look at what is on `fleetwright/app` now and try again
    ");
}
