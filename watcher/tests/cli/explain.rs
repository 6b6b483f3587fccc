//! `explain`: from a value to the lines that made it, and from a fact to what it reaches.

use insta::assert_snapshot;

use crate::repo::Repo;

const VALUES: &str = "argocd-apps/eu-1/web/values.yaml";

#[test]
fn a_value_names_its_template_line_and_its_facts() {
    let repo = Repo::fleet();
    assert_snapshot!(repo.run(&["explain", VALUES, "env[0].value"]), @"
    argocd-apps/eu-1/web/values.yaml env[0].value
      template  templates/addons/web/values.yaml.hbs:4:20  {{hub.addresses.web}}
      template  templates/addons/web/values.yaml.hbs:4:42  {{fleet.ports.web}}
      fact      environments/_fleet.yaml:4:8  fleet.ports.web
      fact      environments/hub.yaml:5:8  hub.addresses.web
    => 0
    ");
    assert_snapshot!(repo.run(&["explain", VALUES, "replicas"]), @"
    argocd-apps/eu-1/web/values.yaml replicas
      template  templates/addons/web/values.yaml.hbs:1:11  {{addon.settings.replicas}}
      fact      environments/prod/eu-1.yaml:9:26  addons[0].settings.replicas
    => 0
    ");
    assert_snapshot!(repo.run(&["explain", VALUES, "env[0].value", "--format", "json"]), @r#"
    {
      "values": [
        {
          "document": 0,
          "facts": [
            {
              "column": 8,
              "fact": "fleet.ports.web",
              "file": "environments/_fleet.yaml",
              "influence": "value",
              "line": 4
            },
            {
              "column": 8,
              "fact": "hub.addresses.web",
              "file": "environments/hub.yaml",
              "influence": "value",
              "line": 5
            }
          ],
          "file": "argocd-apps/eu-1/web/values.yaml",
          "path": "env[0].value",
          "templates": [
            {
              "column": 20,
              "expression": "hub.addresses.web",
              "file": "templates/addons/web/values.yaml.hbs",
              "line": 4
            },
            {
              "column": 42,
              "expression": "fleet.ports.web",
              "file": "templates/addons/web/values.yaml.hbs",
              "line": 4
            }
          ]
        }
      ]
    }
    => 0
    "#);
}

#[test]
fn a_fact_names_every_place_that_it_reaches() {
    let repo = Repo::fleet();
    assert_snapshot!(repo.run(&["explain", "environments/hub.yaml", "addresses.web"]), @"
    environments/hub.yaml:5:8  addresses.web
      argocd-apps/eu-1/web/values.yaml env[0].value
      argocd-apps/hub/web/values.yaml env[0].value
    => 0
    ");
    assert_snapshot!(repo.run(&["explain", "environments/_defaults.yaml", "machines.controlPlane.count"]), @"
    environments/_defaults.yaml:2:25  machines.controlPlane.count
      reaches no rendered file
    => 0
    ");
    assert_snapshot!(repo.run(&["explain", "environments/hub.yaml", "addresses.web", "--format", "json"]), @r#"
    {
      "fact": {
        "key": "addresses.web",
        "place": {
          "column": 8,
          "file": "environments/hub.yaml",
          "line": 5
        }
      },
      "reached": [
        {
          "file": "argocd-apps/eu-1/web/values.yaml",
          "path": "env[0].value"
        },
        {
          "file": "argocd-apps/hub/web/values.yaml",
          "path": "env[0].value"
        }
      ]
    }
    => 0
    "#);
}

#[test]
fn a_path_may_be_written_as_a_plan_prints_it() {
    let repo = Repo::fleet();
    let by_index = repo.run(&["explain", VALUES, "env[0].value"]).out;
    assert_eq!(repo.run(&["explain", VALUES, "env[name=HUB].value"]).out, by_index);
    let quoted = repo.run(&["explain", VALUES, "labels.\"example.com/role\""]).out;
    assert_eq!(repo.run(&["explain", VALUES, "labels.example.com/role"]).out, quoted);
    let settings = "argocd-apps/eu-1/web/manifests/settings.yaml";
    let object = repo.run(&["explain", settings, "ConfigMap web/machines data.workers"]);
    assert_snapshot!(object, @"
    argocd-apps/eu-1/web/manifests/settings.yaml data.workers
      template  templates/addons/web/manifests/settings.yaml.hbs:9:18  {{cluster.machines.workers.count}}
      fact      environments/prod/eu-1.yaml:4:20  cluster.machines.workers.count
    => 0
    ");
    assert_eq!(repo.run(&["explain", settings, "[1].data.workers"]).out, object.out);
}

#[test]
fn every_path_that_a_plan_prints_can_be_explained() {
    let repo = Repo::fleet();
    repo.edit("environments/hub.yaml", "web: 10.9.0.10", "web: 10.9.0.11");
    repo.edit("environments/prod/eu-1.yaml", "count: 6", "count: 7");
    repo.edit("environments/_fleet.yaml", "storageClass: fast", "storageClass: slow");
    let plan = repo.run(&["diff", "--format", "json"]).json();
    let mut explained = 0;
    for cluster in plan["plan"]["clusters"].as_object().unwrap().values() {
        for file in cluster["addons"]["web"]["files"].as_array().unwrap() {
            for change in file["changes"].as_array().unwrap() {
                let object = &change["object"];
                let key = match object["kind"].as_str() {
                    Some(kind) => {
                        let text = |key: &str| object[key].as_str().unwrap().to_owned();
                        format!(
                            "{kind} {}/{} {}",
                            text("namespace"),
                            text("name"),
                            change["path"].as_str().unwrap()
                        )
                    }
                    None => change["path"].as_str().unwrap().to_owned(),
                };
                let told = repo.run(&["explain", file["path"].as_str().unwrap(), &key]);
                assert!(told.code == 0 && told.out.contains("fact  "), "{key}: {told}");
                explained += 1;
            }
        }
    }
    assert!(explained >= 5, "only {explained} changes were explained");
}

#[test]
fn a_file_may_be_named_from_the_current_folder() {
    let repo = Repo::fleet();
    let expected = repo.run(&["explain", VALUES, "replicas"]).out;
    let absolute = repo.path(VALUES);
    for (folder, file) in [
        ("argocd-apps/eu-1", "web/values.yaml"),
        ("argocd-apps/hub/web", "../../eu-1/web/values.yaml"),
        ("environments", VALUES),
        ("", "./argocd-apps/eu-1/web/values.yaml"),
        ("templates", absolute.to_str().unwrap()),
    ] {
        assert_eq!(repo.run_in(folder, &["explain", file, "replicas"]).out, expected, "{folder} {file}");
    }
}

#[test]
fn a_whole_file_is_explained_leaf_by_leaf() {
    let repo = Repo::fleet();
    assert_snapshot!(repo.run(&["explain", "argocd-apps/eu-1/web/manifests/settings.yaml"]), @"
    argocd-apps/eu-1/web/manifests/settings.yaml [0].apiVersion
      template  templates/addons/web/manifests/settings.yaml.hbs:1:13
    argocd-apps/eu-1/web/manifests/settings.yaml [0].kind
      template  templates/addons/web/manifests/settings.yaml.hbs:2:7
    argocd-apps/eu-1/web/manifests/settings.yaml [0].metadata.name
      template  templates/addons/web/manifests/settings.yaml.hbs:3:18
    argocd-apps/eu-1/web/manifests/settings.yaml [0].metadata.namespace
      template  templates/addons/web/manifests/settings.yaml.hbs:3:39
    argocd-apps/eu-1/web/manifests/settings.yaml [0].data.storageClass
      template  templates/addons/web/manifests/settings.yaml.hbs:4:23  {{fleet.storageClass}}
      fact      environments/_fleet.yaml:2:15  fleet.storageClass
    argocd-apps/eu-1/web/manifests/settings.yaml [1].apiVersion
      template  templates/addons/web/manifests/settings.yaml.hbs:6:13
    argocd-apps/eu-1/web/manifests/settings.yaml [1].kind
      template  templates/addons/web/manifests/settings.yaml.hbs:7:7
    argocd-apps/eu-1/web/manifests/settings.yaml [1].metadata.name
      template  templates/addons/web/manifests/settings.yaml.hbs:8:18
    argocd-apps/eu-1/web/manifests/settings.yaml [1].metadata.namespace
      template  templates/addons/web/manifests/settings.yaml.hbs:8:39
    argocd-apps/eu-1/web/manifests/settings.yaml [1].data.workers
      template  templates/addons/web/manifests/settings.yaml.hbs:9:18  {{cluster.machines.workers.count}}
      fact      environments/prod/eu-1.yaml:4:20  cluster.machines.workers.count
    => 0
    ");
}

#[test]
fn a_slip_is_answered_with_what_is_near() {
    let repo = Repo::fleet();
    let explain = |arguments: &[&str]| {
        let told = repo.refused(&[&["explain"], arguments].concat());
        assert_eq!(told.code, 2);
        told.err
    };
    assert_snapshot!(explain(&["argocd-apps/eu-1/web/value.yaml"]), @"
    error: `argocd-apps/eu-1/web/value.yaml` is neither a rendered file nor one with facts
      hint: did you mean `argocd-apps/eu-1/web/values.yaml`?
    ");
    assert_snapshot!(explain(&["argocd-apps/eu-1/web"]), @"
    error: `argocd-apps/eu-1/web` is a folder
      hint: name a file in it: `argocd-apps/eu-1/web/manifests/settings.yaml`, `argocd-apps/eu-1/web/values.yaml`
    ");
    assert_snapshot!(explain(&["../elsewhere.yaml"]), @"
    error: `../elsewhere.yaml` is not in this repository
      hint: name a file below `argocd-apps/`, or one below `environments/` and a key of it
    ");
    assert_snapshot!(explain(&["README.md"]), @"
    error: `README.md` is neither a rendered file nor one with facts
      hint: name a file below `argocd-apps/`, or one below `environments/` and a key of it
    ");
    assert_snapshot!(explain(&[VALUES, "env[0].vlaue"]), @"
    error: there is no `vlaue` below `env[0]` in `argocd-apps/eu-1/web/values.yaml`
      hint: did you mean `env[0].value`?
    ");
    assert_snapshot!(explain(&[VALUES, "env[name=HBU]"]), @"
    error: there is no `[name=HBU]` below `env` in `argocd-apps/eu-1/web/values.yaml`
      hint: `fleetwright explain argocd-apps/eu-1/web/values.yaml` shows every key
    ");
    assert_snapshot!(explain(&["environments/hub.yaml"]), @"
    error: `environments/hub.yaml` holds facts: name one of them
      hint: its keys are `addresses.web`, `loadBalancer.pool`, `networks.pods`, `networks.services`, `role`
    ");
    assert_snapshot!(explain(&["environments/hub.yaml", "addresses.wbe"]), @"
    error: `environments/hub.yaml` has no `addresses.wbe`
      hint: did you mean `addresses.web`?
    ");
    assert_snapshot!(explain(&["environments/hub.yaml", "nothing"]), @"
    error: `environments/hub.yaml` has no `nothing`
      hint: its keys are `addresses.web`, `loadBalancer.pool`, `networks.pods`, `networks.services`, `role`
    ");
}
