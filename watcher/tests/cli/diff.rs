//! `diff`: two revisions, or a revision and the working tree.

use insta::assert_snapshot;
use renderer::page::policy;

use crate::repo::Repo;

fn moved_hub() -> Repo {
    let repo = Repo::fleet();
    repo.edit("environments/hub.yaml", "web: 10.9.0.10", "web: 10.9.0.11");
    repo
}

#[test]
fn an_edit_of_the_hub_shows_what_it_reaches_on_both_clusters() {
    let repo = moved_hub();
    let before = repo.state();
    assert_snapshot!(repo.run(&["diff"]), @"
    fact addresses.web: 10.9.0.10 → 10.9.0.11 on eu-1, hub, 1 setting

    2 files changed on 2 clusters: eu-1, hub

    on eu-1, hub
      web/values.yaml
          env[name=HUB].value: http://10.9.0.10:8080 → http://10.9.0.11:8080
    => 0
    ");
    assert_eq!(repo.run(&["diff", "--exit-code"]).code, 3);
    assert_snapshot!(repo.run(&["diff", "--full"]), @"
    2 files changed on 2 clusters: eu-1, hub

    cluster eu-1 changed
      add-on web changed
          argocd-apps/eu-1/web/values.yaml
            env[name=HUB].value: http://10.9.0.10:8080 → http://10.9.0.11:8080

    cluster hub changed
      add-on web changed
          argocd-apps/hub/web/values.yaml
            env[name=HUB].value: http://10.9.0.10:8080 → http://10.9.0.11:8080
    => 0
    ");
    assert_snapshot!(repo.run(&["diff", "--markdown"]), @"
    - `fact addresses.web: 10.9.0.10 → 10.9.0.11 on eu-1, hub, 1 setting`

    2 files changed on 2 clusters: eu-1, hub

    ### On eu-1, hub

    ```diff
    # web/values.yaml
    - env[name=HUB].value: http://10.9.0.10:8080
    + env[name=HUB].value: http://10.9.0.11:8080
    ```
    => 0
    ");
    assert!(repo.state() == before, "`diff` has changed something");
}

#[test]
fn a_page_holds_the_change_with_the_line_to_edit() {
    let repo = moved_hub();
    let ended = repo.run(&["diff", "--format", "html", "--exit-code"]);
    assert_eq!(ended.code, 3);
    let page = ended.out;
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"), "{page}");
    for part in [
        "<p class=\"about\">From HEAD to the working tree</p>",
        "fact addresses.web: 10.9.0.10 → 10.9.0.11 on eu-1, hub, 1 setting",
        "<del>http://10.9.0.10:8080</del><ins>http://10.9.0.11:8080</ins>",
        "<code>environments/hub.yaml:",
        "<code>templates/addons/web/values.yaml.hbs:",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    // What masks secrets leaves the hashes of the policy.
    assert!(page.contains(&policy().replace('\'', "&#39;")), "{page}");
    repo.commit("Move the hub");
    let page = repo.run(&["diff", "--format", "html"]);
    assert!(page.code == 0 && page.out.contains("Nothing changes."), "{}", page.out);
    assert_eq!(repo.run(&["check", "--format", "html"]).code, 2);
}

#[test]
fn base_and_head_may_be_any_revisions() {
    let repo = moved_hub();
    repo.commit("Move the hub");
    assert_eq!(repo.run(&["diff"]).out, "Nothing changes.\n");
    let forth = repo.run(&["diff", "HEAD~1"]).out;
    assert_eq!(repo.run(&["diff", "main~1", "main"]).out, forth);
    assert!(forth.contains("10.9.0.10:8080 → http://10.9.0.11:8080"), "{forth}");
    let back = repo.run(&["diff", "main", "main~1"]).out;
    assert!(back.contains("10.9.0.11:8080 → http://10.9.0.10:8080"), "{back}");
    assert_eq!(repo.run(&["diff", "main~1", "main", "--exit-code"]).code, 3);
}

#[test]
fn ranges_are_what_they_are_in_git() {
    let repo = moved_hub();
    repo.git(&["checkout", "-qb", "feature/v1.2"]);
    repo.commit("Move the hub");
    repo.git(&["checkout", "-q", "main"]);
    repo.edit("environments/hub.yaml", "role: control\n", "role: control\nlabels: {new: x}\n");
    repo.edit("templates/addons/web/values.yaml.hbs", "env:", "extra: 1\nenv:");
    repo.commit("Add a value");
    let told = |range: &str| repo.run(&["diff", range]).out;
    assert_eq!(told("main..feature/v1.2"), repo.run(&["diff", "main", "feature/v1.2"]).out);
    assert!(told("main..feature/v1.2").contains("extra"));
    let own = told("main...feature/v1.2");
    assert!(!own.contains("extra") && own.contains("10.9.0.10:8080 → http://10.9.0.11:8080"), "{own}");
    assert_eq!(told("...feature/v1.2"), own);
    assert_eq!(told("..feature/v1.2"), told("main..feature/v1.2"));
    assert_eq!(told("feature/v1.2.."), told("feature/v1.2..main"));
    assert!(told("feature/v1.2...").contains("extra: 1"));
    assert_eq!(told("HEAD^{/Add...value}"), "Nothing changes.\n");
    repo.git(&["checkout", "-q", "--orphan", "other"]);
    repo.commit("Begin again");
    for wrong in [
        &["diff", "main..nope"][..],
        &["diff", "nope...main"],
        &["diff", ".."],
        &["diff", "main..other", "main"],
        &["diff", "main", "main..other"],
    ] {
        assert!([2, 5].contains(&repo.refused(wrong).code), "{wrong:?}");
    }
    assert_snapshot!(repo.refused(&["diff", "main..nope"]), @"
    ! error: failed to find revision `nope` (repository `<repo>/`): `nope` names no commit
    !   hint: list what there is with `git log --oneline --all`
    => 5
    ");
    assert_snapshot!(repo.refused(&["diff", "main...other"]), @"
    ! error: `main` and `other` have no commit in common
    !   hint: compare both as they are with `fleetwright diff main..other`; a shallow clone may lack the commit: `git fetch --unshallow`
    => 2
    ");
    assert_snapshot!(repo.refused(&["diff", "main..other", "main"]), @"
    ! error: the range `main..other` names both revisions already
    !   hint: leave out the other revision, or write `BASE HEAD`
    => 2
    ");
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is one document")]
fn the_document_has_the_plan_and_what_is_folded_out_of_it() {
    let told = moved_hub().run(&["diff", "--format", "json"]);
    assert_snapshot!(told, @r#"
    {
      "digest": "bde144a322eded698ce6ebb632706a721865c801ca594bd2a0077d7cecb7d0d0",
      "highlights": [
        {
          "what": "value",
          "fact": "addresses.web",
          "old": "10.9.0.10",
          "new": "10.9.0.11",
          "variants": 1,
          "settings": 1,
          "clusters": [
            "eu-1",
            "hub"
          ]
        }
      ],
      "risks": [],
      "groups": [
        {
          "clusters": [
            "eu-1",
            "hub"
          ],
          "entries": [
            {
              "what": "setting",
              "file": "web/values.yaml",
              "change": {
                "path": "env[name=HUB].value",
                "old": "http://10.9.0.10:8080",
                "new": "http://10.9.0.11:8080"
              },
              "variants": 1
            }
          ]
        }
      ],
      "plan": {
        "clusters": {
          "eu-1": {
            "action": "update",
            "addons": {
              "web": {
                "action": "update",
                "files": [
                  {
                    "path": "argocd-apps/eu-1/web/values.yaml",
                    "action": "update",
                    "leaves": 0,
                    "changes": [
                      {
                        "path": "env[name=HUB].value",
                        "old": "http://10.9.0.10:8080",
                        "new": "http://10.9.0.11:8080"
                      }
                    ]
                  }
                ]
              }
            },
            "files": []
          },
          "hub": {
            "action": "update",
            "addons": {
              "web": {
                "action": "update",
                "files": [
                  {
                    "path": "argocd-apps/hub/web/values.yaml",
                    "action": "update",
                    "leaves": 0,
                    "changes": [
                      {
                        "path": "env[name=HUB].value",
                        "old": "http://10.9.0.10:8080",
                        "new": "http://10.9.0.11:8080"
                      }
                    ]
                  }
                ]
              }
            },
            "files": []
          }
        },
        "published": {
          "clusters": 2,
          "addons": 2,
          "files": 6
        },
        "deleted": {
          "clusters": 0,
          "addons": 0,
          "files": 0
        },
        "remainingFiles": 6
      }
    }
    => 0
    "#);
}

#[test]
fn an_empty_document_has_the_same_keys() {
    let told = Repo::fleet().run(&["diff", "--format", "json", "--exit-code"]);
    assert_snapshot!(told, @r#"
    {
      "digest": "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
      "highlights": [],
      "risks": [],
      "groups": [],
      "plan": {
        "clusters": {},
        "published": {
          "clusters": 2,
          "addons": 2,
          "files": 6
        },
        "deleted": {
          "clusters": 0,
          "addons": 0,
          "files": 0
        },
        "remainingFiles": 6
      }
    }
    => 0
    "#);
}

#[test]
fn a_revision_that_is_not_there_or_has_problems_is_named() {
    let repo = moved_hub();
    assert_snapshot!(repo.refused(&["diff", "mian"]), @"
    ! error: failed to find revision `mian` (repository `<repo>/`): `mian` names no commit
    !   hint: list what there is with `git log --oneline --all`
    => 5
    ");
    repo.edit("environments/prod/eu-1.yaml", "role: app", "role: ap");
    repo.commit("Break a cluster");
    repo.edit("environments/prod/eu-1.yaml", "role: ap\n", "role: app\n");
    assert_snapshot!(repo.refused(&["diff"]), @"
    ! environments/prod/eu-1.yaml:1:7: `role` must be one of `control`, `app`
    !   hint: did you mean `app`?
    ! error: 1 problem in revision `HEAD`
    !   hint: name a revision without problems, or fix them there first
    => 4
    ");
    let told = repo.refused(&["diff", "--format", "json"]);
    assert_eq!((told.code, told.json()["revision"].as_str()), (4, Some("HEAD")));
    assert_eq!(repo.run(&["diff", "HEAD~1"]).code, 0);
}

#[test]
fn a_repository_without_commits_has_nothing_to_compare_with() {
    assert_snapshot!(Repo::empty().refused(&["diff"]), @"
    ! error: failed to find revision `HEAD` (repository `<repo>/`): the repository has no commits yet
    !   hint: make a first commit, for instance `git commit --allow-empty -m start`
    => 5
    ");
}

#[test]
fn a_shallow_clone_compares_what_it_has() {
    let repo = moved_hub();
    repo.commit("Move the hub");
    let url = format!("file://{}", repo.top.display());
    repo.git(&["clone", "-q", "--depth", "1", &url, "shallow"]);
    assert_eq!(repo.run_in("shallow", &["diff", "HEAD"]).code, 0);
    let told = repo.run_in("shallow", &["diff", "HEAD~1"]);
    assert_snapshot!(told, @"
    ! error: failed to find revision `HEAD~1` (repository `<repo>/shallow/`): `HEAD~1` names no commit
    !   hint: this is a shallow clone: get the rest of its history with `git fetch --unshallow`
    => 5
    ");
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let repo = Repo::fleet();
    for wrong in [["--markdown", "--full"], ["--markdown", "--format=json"]] {
        assert_eq!(repo.refused(&[&["diff"], &wrong[..]].concat()).code, 2, "{wrong:?}");
    }
}
