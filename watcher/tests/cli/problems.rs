//! Problems as people and machines see them: the line with a caret, what is equal on many clusters, and how
//! many are shown.

use std::fmt::Write as _;

use insta::assert_snapshot;

use crate::repo::Repo;

const CLUSTER: &str = "environments/prod/eu-1.yaml";
const TEMPLATE: &str = "templates/addons/web/values.yaml.hbs";

/// What a command writes on standard error, all of it.
fn shown(repo: &Repo, arguments: &[&str]) -> String {
    String::from_utf8(repo.command(arguments).output().unwrap().stderr).unwrap()
}

/// The small fleet with so many more clusters.
fn fleet_of(count: usize) -> Repo {
    let repo = Repo::fleet();
    for n in 0..count {
        let facts = format!(
            "role: app\nhub: hub\nlabels: {{site: site-{n}}}\nnetworks: {{pods: 10.{}.0.0/16, services: 10.{}.0.0/16}}\n",
            20 + 2 * n,
            21 + 2 * n
        );
        repo.write(&format!("environments/many/c{n:02}.yaml"), facts);
    }
    repo
}

#[test]
fn a_problem_shows_its_line_with_a_caret_in_every_command() {
    let repo = Repo::fleet();
    repo.edit(CLUSTER, "workers: {count: 6}", "workers: {cuont: 6}");
    let told = shown(&repo, &["check"]);
    assert_snapshot!(told, @"
    environments/prod/eu-1.yaml:4:13: unknown key `cuont`
      |
    4 |   workers: {cuont: 6}
      |             ^
      hint: did you mean `count`?
    error: 1 problem
    ");
    for arguments in [&["render"][..], &["diff"], &["clusters"], &["explain", CLUSTER]] {
        assert_eq!(shown(&repo, arguments), told, "{arguments:?}");
    }
}

#[test]
fn what_a_check_guesses_comes_with_its_answer() {
    let repo = Repo::fleet();
    repo.edit(TEMPLATE, "replicas:", "sidecars: [{image: team/sidecar}]\nreplicas:");
    let told = shown(&repo, &["check"]);
    assert_snapshot!(told, @r#"
    templates/addons/web/values.yaml.hbs:1:20: image `team/sidecar` names no version (on `eu-1` and `hub`)
      |
    1 | sidecars: [{image: team/sidecar}]
      |                    ^
      hint: name a version, as a tag or as a digest: otherwise it is another image tomorrow
      or: in `addon.yaml`, accept: [{check: images, path: "sidecars[0].image", reason: …}]
    error: 1 problem
    "#);
    let (_, answer) = told.split_once("accept: ").unwrap();
    let answer = answer.lines().next().unwrap().replace('…', "built on the machine");
    let addon = "templates/addons/web/addon.yaml";
    repo.write(addon, format!("{}\naccept: {answer}\n", repo.read(addon)));
    assert_eq!(shown(&repo, &["check"]), "");
}

#[test]
fn the_line_is_that_of_the_revision_which_has_the_problem() {
    let repo = Repo::fleet();
    repo.edit(CLUSTER, "role: app", "role: ap");
    repo.commit("Break a cluster");
    repo.write(CLUSTER, "# nothing is left here\n");
    assert_snapshot!(shown(&repo, &["diff", "HEAD~", "HEAD"]), @"
    environments/prod/eu-1.yaml:1:7: `role` must be one of `control`, `app`
      |
    1 | role: ap
      |       ^
      hint: did you mean `app`?
    error: 1 problem in revision `HEAD`
      hint: name a revision without problems, or fix them there first
    ");
}

#[test]
fn colour_is_for_terminals_and_the_words_are_the_same() {
    let repo = Repo::fleet();
    repo.edit(CLUSTER, "role: app", "role: ap");
    let plain = shown(&repo, &["check"]);
    assert!(!plain.contains('\x1b'), "{plain:?}");
    let painted = shown(&repo, &["check", "--color", "always"]);
    assert!(painted.contains("\x1b[1m\x1b[31m  |       ^"), "{painted:?}");
    let words: String = painted
        .split('\x1b')
        .enumerate()
        .map(|(at, part)| if at == 0 { part } else { part.split_once('m').unwrap().1 })
        .collect();
    assert_eq!(words, plain);
}

#[test]
fn a_wrong_template_is_one_problem_on_all_clusters() {
    let repo = fleet_of(100);
    repo.write(TEMPLATE, repo.read(TEMPLATE) + "site: {{cluster.labels.stie}}\n");
    assert_snapshot!(shown(&repo, &["check"]), @"
    templates/addons/web/values.yaml.hbs:9:7: unknown value `cluster.labels.stie`: `cluster.labels` has no `stie` (on 102 clusters, such as `c00`)
      |
    9 | site: {{cluster.labels.stie}}
      |       ^
      hint: did you mean `cluster.labels.site`?
    error: 1 problem
    ");
    let problems = repo.run(&["check", "--format", "json"]).json()["problems"].clone();
    assert_eq!(problems.as_array().unwrap().len(), 1, "{problems}");
    assert_eq!(problems[0]["clusters"].as_array().unwrap().len(), 102, "{problems}");
    assert_eq!(problems[0]["excerpt"]["text"], "site: {{cluster.labels.stie}}");
}

#[test]
fn what_is_the_same_in_the_files_of_many_clusters_is_one_problem_with_all_places() {
    let repo = fleet_of(5);
    for n in 0..5 {
        repo.edit(
            &format!("environments/many/c0{n}.yaml"),
            &format!("10.{}.0.0/16,", 20 + 2 * n),
            &format!("10.{}.0.1/16,", 20 + 2 * n),
        );
    }
    assert_snapshot!(shown(&repo, &["check"]), @"
    environments/many/c00.yaml:4:18: `pods` must be a network such as `10.244.0.0/16`, with no bits set after the prefix, not `10.20.0.1/16` (on 5 clusters)
      |
    4 | networks: {pods: 10.20.0.1/16, services: 10.21.0.0/16}
      |                  ^
      also: environments/many/c01.yaml:4:18, environments/many/c02.yaml:4:18, environments/many/c03.yaml:4:18 and 1 more
      hint: the network of that address is `10.20.0.0/16`
    error: 1 problem
    ");
    assert!(shown(&repo, &["check", "--all"]).contains(", environments/many/c04.yaml:4:18\n"));
    let problems = repo.run(&["check", "--format", "json"]).json()["problems"].clone();
    assert_eq!(problems[0]["also"].as_array().unwrap().len(), 4, "{problems}");
}

#[test]
fn more_than_a_screenful_ends_with_a_count() {
    let repo = Repo::fleet();
    let mut text = repo.read(CLUSTER);
    for n in 0..30 {
        let _ = writeln!(text, "unknown{n}: 1");
    }
    repo.write(CLUSTER, text);
    let told = shown(&repo, &["check"]);
    assert_eq!(told.matches(": unknown key `").count(), 20, "{told}");
    assert!(told.ends_with("… 10 more problems: `--all` shows them\nerror: 30 problems\n"), "{told}");
    for arguments in [&["check", "--all"][..], &["--all", "render"], &["run", "--once", "--all"]] {
        if arguments[0] == "run" {
            repo.commit("Break a cluster");
        }
        let told = shown(&repo, arguments);
        assert_eq!(told.matches(": unknown key `").count(), 30, "{told}");
        assert!(!told.contains("--all"), "{told}");
    }
    assert_eq!(repo.run(&["check", "--format", "json"]).json()["problems"].as_array().unwrap().len(), 30);
}

#[test]
fn a_secret_on_the_line_is_not_shown() {
    let repo = Repo::fleet();
    repo.write(TEMPLATE, repo.read(TEMPLATE) + "admin: {password: hunter2, plain: {{cluster.labls}}}\n");
    let told = shown(&repo, &["check"]);
    assert!(told.contains("9 | admin: {password: ***\n"), "{told}");
    let found = repo.run(&["check", "--format", "json"]).out;
    assert!(!told.contains("hunter2") && !found.contains("hunter2"), "{told}{found}");
    repo.edit(TEMPLATE, "plain: {{cluster.labls}}", "port: 80");
    let told = shown(&repo, &["check"]);
    assert!(told.contains("plain text") && !told.contains("hunter2"), "{told}");
}

#[test]
fn problems_are_findings_for_code_scanning_and_commands_for_a_workflow() {
    let repo = Repo::fleet();
    repo.edit(CLUSTER, "role: app", "role: ap");
    let told = repo.refused(&["check", "--format", "sarif"]);
    let log = told.json();
    assert_eq!((told.code, told.err.as_str(), &log["version"]), (4, "", &"2.1.0".into()));
    let run = &log["runs"][0];
    let [result] = run["results"].as_array().unwrap().as_slice() else { panic!("{log}") };
    let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
    assert_eq!(rule["id"], result["ruleId"]);
    assert!(rule["help"]["text"].as_str().unwrap().len() > 20, "{rule}");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], CLUSTER);
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&1.into(), &7.into()));
    assert_snapshot!(repo.refused(&["check", "--format", "github"]), @"
    ::error file=environments/prod/eu-1.yaml,line=1,col=7,title=fleetwright schema::`role` must be one of `control`, `app`%0Ahint: did you mean `app`?
    => 4
    ");
    let sound = Repo::fleet();
    let told = sound.run(&["check", "--format", "sarif"]);
    assert_eq!((told.code, &told.json()["runs"][0]["results"]), (0, &serde_json::json!([])));
    assert_snapshot!(sound.run(&["check", "--format", "github"]), @"=> 0");
    let refused = sound.refused(&["render", "--format", "sarif"]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.starts_with("error: `--format sarif` is for `fleetwright check` only\n"),
        "{refused}"
    );
}
