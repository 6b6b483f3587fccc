//! Exit codes, text and JSON of the commands that read or write the working tree.

use insta::assert_snapshot;
use serde_json::json;

use crate::repo::Repo;

#[test]
fn a_current_fleet_is_current_for_every_command() {
    let repo = Repo::fleet();
    let before = repo.state();
    assert_snapshot!(repo.run(&["render"]), @"
    6 files are current
    => 0
    ");
    assert_snapshot!(repo.run(&["render", "--check"]), @"
    6 files are current
    => 0
    ");
    assert_snapshot!(repo.run(&["check"]), @"
    note: chart values are not judged, since there is no `templates/charts.lock`: run `fleetwright charts lock`
    no problems in 2 clusters, 6 rendered files
    => 0
    ");
    assert_snapshot!(repo.run(&["diff", "--exit-code"]), @"
    Nothing changes.
    => 0
    ");
    assert!(repo.state() == before, "a command that had nothing to do has changed something");
}

#[test]
fn render_writes_what_differs_and_check_only_says_so() {
    let repo = Repo::fleet();
    repo.edit("environments/prod/eu-1.yaml", "replicas: 3", "replicas: 4");
    repo.write("argocd-apps/eu-1/old/values.yaml", repo.read("argocd-apps/eu-1/web/values.yaml"));
    repo.git(&["add", "-A"]);
    std::fs::remove_file(repo.path("argocd-apps/hub/namespace.yaml")).unwrap();
    let before = repo.state();
    assert_snapshot!(repo.run(&["render", "--check"]), @"
    delete  argocd-apps/eu-1/old/values.yaml
    update  argocd-apps/eu-1/web/values.yaml
    create  argocd-apps/hub/namespace.yaml
    not current: 1 to create, 1 to update, 1 to delete
      hint: run `fleetwright render`
    => 3
    ");
    assert!(repo.state() == before, "`--check` has changed something");
    assert_snapshot!(repo.run(&["render"]), @"
    delete  argocd-apps/eu-1/old/values.yaml
    update  argocd-apps/eu-1/web/values.yaml
    create  argocd-apps/hub/namespace.yaml
    rendered 6 files: 1 created, 1 updated, 1 deleted
    => 0
    ");
    assert_snapshot!(repo.read("argocd-apps/eu-1/web/values.yaml"), @"
    # Rendered by Fleetwright from templates/addons/web/values.yaml.hbs; edit that file, not this one.
    replicas: 4
    env:
      - name: HUB
        value: http://10.9.0.10:8080
      - name: CLUSTER
        value: eu-1
    labels:
      example.com/role: app
    ");
    assert!(!repo.path("argocd-apps/eu-1/old").exists());
    assert_snapshot!(repo.run(&["render", "--check"]), @"
    6 files are current
    => 0
    ");
}

#[test]
fn render_and_its_check_as_json_list_every_file() {
    let repo = Repo::fleet();
    repo.edit("environments/prod/eu-1.yaml", "replicas: 3", "replicas: 4");
    let change = json!({ "path": "argocd-apps/eu-1/web/values.yaml", "action": "update" });
    let check = repo.run(&["render", "--check", "--format", "json"]);
    assert_eq!(check.json(), json!({ "files": 6, "changes": [change], "kept": [], "written": false }));
    assert_eq!(check.code, 3);
    let render = repo.run(&["render", "--format", "json"]);
    assert_eq!(render.json(), json!({ "files": 6, "changes": [change], "kept": [], "written": true }));
    assert_eq!(render.code, 0);
    let check = repo.run(&["render", "--check", "--format", "json"]);
    assert_eq!(check.json(), json!({ "files": 6, "changes": [], "kept": [], "written": false }));
    assert_eq!(check.code, 0);
}

#[test]
fn problems_are_shown_all_at_once_and_nothing_is_written() {
    let repo = Repo::fleet();
    repo.edit("environments/prod/eu-1.yaml", "count: 6", "count: six");
    repo.edit("environments/prod/eu-1.yaml", "machines:", "machnies:");
    repo.edit("templates/cluster/namespace.yaml.hbs", "cluster.name", "cluster.nmae");
    for command in ["check", "render", "clusters"] {
        assert_eq!(repo.refused(&[command]).code, 4);
    }
    assert_snapshot!(repo.refused(&["check"]), @"
    ! environments/prod/eu-1.yaml:3:1: unknown key `machnies`
    !   hint: known keys: `addons`, `addresses`, `apiServer`, `hub`, `kubernetes`, `labels`, `loadBalancer`, `machines`, `networks`, `publish`, `role`
    ! templates/cluster/namespace.yaml.hbs:4:9: unknown value `cluster.nmae`: `cluster` has no `nmae`
    !   hint: did you mean `cluster.name`?
    ! error: 2 problems
    => 4
    ");
    assert_snapshot!(repo.refused(&["render", "--check"]), @"
    ! environments/prod/eu-1.yaml:3:1: unknown key `machnies`
    !   hint: known keys: `addons`, `addresses`, `apiServer`, `hub`, `kubernetes`, `labels`, `loadBalancer`, `machines`, `networks`, `publish`, `role`
    ! templates/cluster/namespace.yaml.hbs:4:9: unknown value `cluster.nmae`: `cluster` has no `nmae`
    !   hint: did you mean `cluster.name`?
    ! error: 2 problems
    => 4
    ");
}

#[test]
fn problems_as_json_are_one_document_on_standard_output() {
    let repo = Repo::fleet();
    repo.edit("environments/prod/eu-1.yaml", "role: app", "role: ap");
    for command in ["check", "render", "clusters", "diff"] {
        let told = repo.refused(&[command, "--format", "json"]);
        assert_eq!(told.code, 4);
        assert_eq!(told.err, "");
        let problem = &told.json()["problems"][0];
        assert_eq!(problem["file"], "environments/prod/eu-1.yaml");
        assert_eq!((&problem["line"], &problem["column"]), (&json!(1), &json!(7)));
        assert!(problem["message"].is_string() && problem["hint"].is_string(), "{problem}");
        assert_eq!(problem["check"], "schema", "{problem}");
    }
    let sound = Repo::fleet().run(&["check", "--format", "json"]);
    let note = "chart values are not judged, since there is no `templates/charts.lock`: run `fleetwright charts lock`";
    assert_eq!(
        sound.json(),
        json!({ "problems": [], "notes": [note], "accepted": [], "clusters": 2, "files": 6 })
    );
}

#[test]
fn clusters_are_a_table() {
    let repo = Repo::fleet();
    assert_snapshot!(repo.run(&["clusters"]), @"
    CLUSTER  ROLE     GROUP    HUB  MACHINES  CPUS  MEMORY  DISK  PODS         SERVICES     POOL                 ADD-ONS
    eu-1     app      app      hub  3+6       -     -       -     10.3.0.0/16  10.4.0.0/16  10.9.0.20-10.9.0.29  web
    hub      control  control  hub  3+0       -     -       -     10.1.0.0/16  10.2.0.0/16  10.9.0.10-10.9.0.19  web
    => 0
    ");
}

#[test]
fn the_resources_that_machines_take_are_shown_of_each_cluster_and_in_sum() {
    let repo = Repo::shipped();
    let told = repo.run(&["clusters"]).out;
    assert!(
        told.lines().any(|line| line.starts_with("app ") && line.contains("  18    33Gi    360Gi  ")),
        "{told}"
    );
    let sum = "14 machines, 2 of them outside the clusters: 33 CPUs, 60Gi of memory, 890Gi of disk";
    assert_eq!(told.lines().last(), Some(sum));
    let total = repo.run(&["clusters", "--format", "json"]).json()["total"].clone();
    assert_eq!((&total["machines"], &total["memoryMebibytes"]), (&14.into(), &61_440.into()));
}

#[test]
fn clusters_are_a_document() {
    let repo = Repo::fleet();
    let told = repo.run(&["clusters", "--format", "json"]);
    assert_snapshot!(told, @r#"
    {
      "clusters": [
        {
          "addons": [
            "web"
          ],
          "addresses": {},
          "files": 3,
          "group": "app",
          "hub": "hub",
          "labels": {},
          "loadBalancer": {
            "pool": "10.9.0.20-10.9.0.29"
          },
          "machines": {
            "controlPlane": {
              "count": 3,
              "workloads": false
            },
            "workers": {
              "count": 6,
              "workloads": true
            }
          },
          "manifests": [],
          "name": "eu-1",
          "networks": {
            "pods": "10.3.0.0/16",
            "services": "10.4.0.0/16"
          },
          "nodes": [],
          "resources": {
            "cpus": 0,
            "diskMebibytes": 0,
            "machines": 0,
            "memoryMebibytes": 0
          },
          "role": "app"
        },
        {
          "addons": [
            "web"
          ],
          "addresses": {
            "web": "10.9.0.10"
          },
          "files": 3,
          "group": "control",
          "hub": "hub",
          "labels": {},
          "loadBalancer": {
            "pool": "10.9.0.10-10.9.0.19"
          },
          "machines": {
            "controlPlane": {
              "count": 3,
              "workloads": false
            },
            "workers": {
              "count": 0,
              "workloads": true
            }
          },
          "manifests": [],
          "name": "hub",
          "networks": {
            "pods": "10.1.0.0/16",
            "services": "10.2.0.0/16"
          },
          "nodes": [],
          "resources": {
            "cpus": 0,
            "diskMebibytes": 0,
            "machines": 0,
            "memoryMebibytes": 0
          },
          "role": "control"
        }
      ],
      "outside": {
        "cpus": 0,
        "diskMebibytes": 0,
        "machines": 0,
        "memoryMebibytes": 0
      },
      "total": {
        "cpus": 0,
        "diskMebibytes": 0,
        "machines": 0,
        "memoryMebibytes": 0
      }
    }
    => 0
    "#);
}

#[test]
fn the_fleet_is_a_diagram_of_what_flows_where() {
    let repo = Repo::shipped();
    let told = repo.run(&["clusters", "--format", "mermaid"]);
    assert!(told.out.starts_with("flowchart LR\n"), "{told}");
    // The label of an arrow is made of a rendered URL, and the arrow leads to the address that the hub gives it.
    let address = told.out.lines().find(|line| line.contains("telemetry<br>")).unwrap();
    let node = address.trim().split('[').next().unwrap();
    assert!(told.out.contains(&format!("-- \"metrics :443\" --> {node}\n")), "{told}");
    assert_eq!(repo.run(&["clusters", "--format", "mermaid"]).out, told.out);
}

#[test]
fn spokes_that_are_alike_are_drawn_as_one() {
    let repo = Repo::fleet();
    for number in 2..200 {
        let networks = format!("networks: {{pods: 172.16.{number}.0/24, services: 172.17.{number}.0/24}}");
        repo.write(
            &format!("environments/prod/eu-{number}.yaml"),
            format!("role: app\nhub: hub\n{networks}\n"),
        );
    }
    assert_snapshot!(repo.run(&["clusters", "--format", "mermaid"]), @r#"
    flowchart LR
        subgraph hub1 ["hub: control"]
            hub1a1["web<br>10.9.0.10"]
        end
        hub1s1["eu-1, eu-10, eu-100 and 196 more: app"]
        hub1 -. "Argo CD deploys" .-> hub1s1
    => 0
    "#);
}

#[test]
fn only_the_fleet_can_be_drawn() {
    assert_snapshot!(Repo::fleet().refused(&["check", "--format", "mermaid"]), @"
    ! error: `--format mermaid` is for `fleetwright clusters` only
    ! 
    ! Usage: fleetwright [OPTIONS] <COMMAND>
    ! 
    ! For more information, try '--help'.
    => 2
    ");
}

#[test]
fn a_version_that_one_cluster_names_is_listed_explained_and_planned() {
    let repo = Repo::shipped();
    let app = format!("{}\naddons:\n  keda: {{version: 3.0.0}}\n", repo.read("environments/app.yaml"));
    repo.write("environments/app.yaml", app);
    let listed = repo.run(&["charts", "list"]).out;
    let keda: Vec<_> = listed.lines().filter(|line| line.starts_with("keda ")).collect();
    assert_eq!(keda.len(), 2, "{listed}");
    let told = repo.run(&["charts", "check"]);
    assert_eq!(told.code, 4, "{told}");
    assert!(told.err.contains("chart `keda` 3.0.0 of"), "{told}");
    std::fs::remove_file(repo.path("templates/charts.lock")).unwrap();
    let explained = repo.run(&["explain", "environments/app.yaml", "addons.keda.version"]).out;
    let reached = "applicationset.yaml spec.generators[0].list.elements[name=keda].version  on app";
    assert!(explained.contains(reached), "{explained}");
    let planned = repo.run(&["diff"]).out;
    assert!(planned.starts_with("chart keda 2.20.2 → 3.0.0 on app\n"), "{planned}");
    assert!(planned.contains("! chart major version"), "{planned}");
}

#[test]
fn the_charts_are_listed_with_where_they_are_drawn_from() {
    let repo = Repo::fleet();
    assert_snapshot!(repo.run(&["charts", "list"]), @"
    web 1.2.3 from https://charts.example.com
    => 0
    ");
    let fleet = repo.read("environments/_fleet.yaml");
    repo.write(
        "environments/_fleet.yaml",
        format!("{fleet}charts: {{mirror: 'oci://registry.internal/charts'}}\n"),
    );
    assert_snapshot!(repo.run(&["charts", "list"]), @"
    web 1.2.3 from oci://registry.internal/charts/charts.example.com (a copy of https://charts.example.com)
    => 0
    ");
    let document = repo.run(&["charts", "list", "--format", "json"]).json();
    assert_eq!(document["charts"][0]["source"], "oci://registry.internal/charts/charts.example.com");
}

#[test]
fn a_command_works_from_every_folder_of_the_repository_and_by_name() {
    let repo = Repo::fleet();
    for folder in ["environments/prod", "argocd-apps", ".git/refs"] {
        let told = repo.run_in(folder, &["render", "--check"]);
        assert_eq!((told.code, told.out.as_str()), (0, "6 files are current\n"), "{folder}: {told}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    for given in [repo.top.clone(), repo.path("templates/addons")] {
        let mut command = repo.command(&["--repo", given.to_str().unwrap(), "check"]);
        let told = repo.told(command.current_dir(elsewhere.path()).output().unwrap());
        assert_eq!(told.code, 0, "{told}");
    }
    repo.edit("environments/prod/eu-1.yaml", "replicas: 3", "replicas: 4");
    let told = repo.run_in("environments/prod", &["render"]);
    assert_eq!(told.code, 0, "{told}");
    assert!(repo.read("argocd-apps/eu-1/web/values.yaml").contains("replicas: 4"));
}

#[test]
fn where_there_is_no_repository_a_command_says_so() {
    let repo = Repo::fleet();
    let outside = tempfile::tempdir().unwrap();
    let told = |arguments: &[&str]| {
        let mut told = repo.told(repo.command(arguments).current_dir(outside.path()).output().unwrap());
        told.err = told.err.replace(outside.path().to_str().unwrap(), "<outside>");
        told
    };
    assert_snapshot!(told(&["render"]), @"
    ! error: failed to open it (repository `<outside>`): no git repository is here or in a folder above
    !   hint: run inside a repository, name one with `--repo DIR`, or create one with `git init`
    => 5
    ");
    assert_snapshot!(told(&["diff"]), @"
    ! error: failed to open it (repository `.`): no git repository is here or in a folder above
    !   hint: run inside a repository, name one with `--repo DIR`, or create one with `git init`
    => 5
    ");
    assert_snapshot!(told(&["check", "--repo", "nowhere"]), @"
    ! error: failed to open it (repository `nowhere`): there is no such folder
    !   hint: name an existing folder with `--repo DIR`
    => 5
    ");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn an_unpacked_archive_can_be_rendered_without_git() {
    let repo = Repo::fleet();
    std::fs::remove_dir_all(repo.path(".git")).unwrap();
    assert_snapshot!(repo.run(&["render", "--check"]), @"
    6 files are current
    => 0
    ");
}

#[test]
fn a_bare_repository_has_nothing_to_render_but_revisions_to_compare() {
    let repo = Repo::fleet();
    repo.git(&["clone", "-q", "--bare", ".", "bare.git"]);
    assert_snapshot!(repo.run_in("bare.git", &["diff", "HEAD", "main"]), @"
    Nothing changes.
    => 0
    ");
    std::fs::rename(repo.path("bare.git"), repo.path("../bare.git")).unwrap();
    let told = repo.run_in("../bare.git", &["render"]);
    assert_eq!(told.code, 5);
    let parent = repo.top.parent().unwrap().to_str().unwrap();
    assert_snapshot!(told.err.replace(parent, "<folder>"), @"
    error: failed to read the working tree (repository `<folder>/bare.git/`): the repository is bare: it has no working tree
      hint: work in a clone of it, or compare two revisions with `fleetwright diff BASE HEAD`
    ");
    assert_eq!(repo.run_in("../bare.git", &["diff"]).code, 5);
}

#[test]
fn a_wrong_command_line_is_answered_with_the_nearest_right_one() {
    let repo = Repo::fleet();
    assert_snapshot!(repo.refused(&["rendr"]), @"
    ! error: unrecognized subcommand 'rendr'
    ! 
    !   tip: a similar subcommand exists: 'render'
    ! 
    ! Usage: fleetwright [OPTIONS] <COMMAND>
    ! 
    ! For more information, try '--help'.
    => 2
    ");
    assert_snapshot!(repo.refused(&["render", "--chek"]), @"
    ! error: unexpected argument '--chek' found
    ! 
    !   tip: a similar argument exists: '--check'
    ! 
    ! Usage: fleetwright render --check
    ! 
    ! For more information, try '--help'.
    => 2
    ");
    assert_snapshot!(repo.refused(&["check", "--format", "yaml"]), @"
    ! error: invalid value 'yaml' for '--format <FORMAT>'
    !   [possible values: text, json, mermaid, sarif, github, html]
    ! 
    ! For more information, try '--help'.
    => 2
    ");
    for wrong in
        [&["explain"][..], &["schema"], &["schema", "cluster"], &["completions", "tcsh"], &[], &["pulls"]]
    {
        assert_eq!(repo.refused(wrong).code, 2, "{wrong:?}");
    }
}

/// Serves the index of one chart repository on this machine until the test ends, and returns its address.
fn chart_index(index: &'static str) -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{index}",
                index.len()
            );
        }
    });
    address
}

#[test]
fn outdated_charts_are_listed_although_a_repository_cannot_be_reached() {
    let repo = Repo::fleet();
    let address = chart_index("entries: {web: [{version: 1.2.3, urls: [a]}, {version: 1.3.0, urls: [b]}]}");
    repo.write(
        "templates/addons/aside/addon.yaml",
        "chart: {repository: \"https://gone.example.com\", name: aside, version: 2.0.0}\nnamespace: aside\n",
    );
    repo.write("templates/addons/aside/values.yaml.hbs", "a: 1\n");
    let fleet = repo.read("environments/_fleet.yaml");
    let exceptions = format!(
        "charts: {{exceptions: {{'https://charts.example.com': '{address}', 'https://gone.example.com': 'http://127.0.0.1:1'}}}}\n"
    );
    repo.write("environments/_fleet.yaml", format!("{fleet}{exceptions}"));
    for arguments in [&["charts", "outdated"][..], &["charts", "outdated", "--exit-code"]] {
        let told = repo.run(arguments);
        assert_eq!(told.code, 1, "{told}");
        assert!(
            told.out
                .contains("aside 2.0.0: not known, since failed to fetch `http://127.0.0.1:1/index.yaml`: "),
            "{told}"
        );
        assert!(told.out.contains("\nweb 1.2.3: there is 1.3.0\n"), "{told}");
        assert!(told.err.contains("error: newer versions of `aside` are not known"), "{told}");
    }
    let told = repo.run(&["charts", "outdated", "--format", "json"]);
    assert_eq!(told.code, 1, "{told}");
    let charts = &told.json()["charts"];
    assert!(charts[0]["error"].as_str().unwrap().starts_with("failed to fetch"), "{told}");
    assert_eq!(charts[1]["newer"][0], "1.3.0");
    std::fs::remove_dir_all(repo.path("templates/addons/aside")).unwrap();
    assert_eq!(repo.run(&["charts", "outdated"]).code, 0);
    assert_eq!(repo.run(&["charts", "outdated", "--exit-code"]).code, 3);
}

#[test]
fn every_command_has_help() {
    let repo = Repo::empty();
    let commands =
        ["render", "check", "diff", "explain", "watch", "run", "pulls", "clusters", "demo", "schema"];
    for command in commands {
        let told = repo.run(&[command, "--help"]);
        assert_eq!(told.code, 0, "{told}");
        assert!(told.out.contains(&format!("Usage: fleetwright {command}")), "{told}");
        assert!(told.out.contains("Options of every command:"), "{told}");
    }
    assert_eq!(repo.run(&["--version"]).out, format!("fleetwright {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_are_scripts_that_name_the_commands() {
    let repo = Repo::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let told = repo.run(&["completions", shell]);
        assert_eq!(told.code, 0, "{told}");
        assert!(told.out.contains("explain") && told.out.contains("exit-code"), "{shell}");
    }
    let script = repo.run(&["completions", "bash"]).out;
    repo.write("completions.bash", script);
    let checked =
        std::process::Command::new("bash").args(["-n", "completions.bash"]).current_dir(&repo.top).status();
    assert!(checked.is_ok_and(|status| status.success()), "bash does not read its completions");
}

#[test]
fn the_demo_shows_the_whole_path_and_leaves_nothing_behind() {
    let repo = Repo::empty();
    let temporary = repo.path("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let told = repo.told(repo.command(&["demo"]).env("TMPDIR", &temporary).output().unwrap());
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told}");
    let scenes: Vec<_> = told
        .out
        .lines()
        .filter(|line| line.split_once(". ").is_some_and(|(n, _)| n.parse::<u8>().is_ok()))
        .collect();
    assert_snapshot!(scenes.join("\n"), @"
    1. Two clusters are described in `environments/`, what runs on them in `templates/`
    2. The first run renders them and opens one pull request per group; both are merged
    3. The hub's telemetry gateway moves to another address: one edit of one fact
    4. The run notices, renders both clusters, and shows what will change
    5. The pull request that a person reviews
    6. It is merged, and Argo CD syncs what is on the base branch
    7. The next run finds nothing to do
    ");
    assert!(told.out.contains("- telemetry: 192.168.64.104\n+ telemetry: 192.168.64.109\n"), "{told}");
    assert!(told.out.contains("remoteWrite[0].url"), "{told}");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    assert_eq!(repo.run(&["demo"]).out, told.out, "the demo tells the same story every time");
}

#[test]
fn the_demo_keeps_its_repository_where_it_is_told_to() {
    let repo = Repo::empty();
    let kept = repo.run(&["demo", "--keep", "kept.git"]);
    assert_eq!(kept.code, 0, "{kept}");
    let pulls = repo.run(&["--repo", "kept.git", "pulls", "list", "--all", "--format", "json"]);
    assert!(pulls.json()["pullRequests"].as_array().is_some_and(|pulls| pulls.len() >= 3), "{pulls}");
    assert_snapshot!(repo.refused(&["demo", "--keep", "kept.git"]), @"
    ! error: `kept.git` exists already
    !   hint: name a folder that does not exist
    => 2
    ");
}
