//! `explain`: from a value to the lines that made it, and from a fact to what it reaches.

use insta::assert_snapshot;

use crate::repo::Repo;

const VALUES: &str = "argocd-apps/eu-1/web/values.yaml";

#[test]
fn a_value_names_its_template_line_and_its_facts() {
    let repo = Repo::fleet();
    assert_snapshot!(repo.run(&["explain", VALUES, "env[0].value"]), @r#"
    argocd-apps/eu-1/web/values.yaml env[0].value = "http://10.9.0.10:8080"
      template  templates/addons/web/values.yaml.hbs:4:20  {{hub.addresses.web}}
      template  templates/addons/web/values.yaml.hbs:4:42  {{fleet.ports.web}}
      fact      environments/_fleet.yaml:4:8  fleet.ports.web = 8080
      fact      environments/hub.yaml:5:8  hub.addresses.web = "10.9.0.10"
    => 0
    "#);
    assert_snapshot!(repo.run(&["explain", VALUES, "replicas"]), @"
    argocd-apps/eu-1/web/values.yaml replicas = 3
      template  templates/addons/web/values.yaml.hbs:1:11  {{addon.settings.replicas}}
      fact      environments/prod/eu-1.yaml:9:26  addons[name=web].settings.replicas = 3
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
              "line": 4,
              "value": 8080
            },
            {
              "column": 8,
              "fact": "hub.addresses.web",
              "file": "environments/hub.yaml",
              "influence": "value",
              "line": 5,
              "value": "10.9.0.10"
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
          ],
          "value": "http://10.9.0.10:8080"
        }
      ]
    }
    => 0
    "#);
}

#[test]
fn a_fact_names_every_place_that_it_reaches() {
    let repo = Repo::fleet();
    assert_snapshot!(repo.run(&["explain", "environments/hub.yaml", "addresses.web"]), @r#"
    environments/hub.yaml:5:8  addresses.web = "10.9.0.10"
      web/values.yaml env[name=HUB].value  on eu-1, hub
    => 0
    "#);
    assert_snapshot!(repo.run(&["explain", "environments/_defaults.yaml", "machines.controlPlane.count"]), @"
    environments/_defaults.yaml:2:25  machines.controlPlane.count = 3
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
        },
        "value": "10.9.0.10"
      },
      "groups": [
        {
          "clusters": [
            "eu-1",
            "hub"
          ],
          "file": "web/values.yaml",
          "influence": "value",
          "path": "env[name=HUB].value"
        }
      ],
      "reached": [
        {
          "file": "argocd-apps/eu-1/web/values.yaml",
          "influence": "value",
          "path": "env[name=HUB].value"
        },
        {
          "file": "argocd-apps/hub/web/values.yaml",
          "influence": "value",
          "path": "env[name=HUB].value"
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
    assert_snapshot!(object, @r#"
    argocd-apps/eu-1/web/manifests/settings.yaml data.workers = "6"
      template  templates/addons/web/manifests/settings.yaml.hbs:9:18  {{cluster.machines.workers.count}}
      fact      environments/prod/eu-1.yaml:4:20  cluster.machines.workers.count = 6
    => 0
    "#);
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
    assert_snapshot!(repo.run(&["explain", "argocd-apps/eu-1/web/manifests/settings.yaml"]), @r#"
    argocd-apps/eu-1/web/manifests/settings.yaml [0].apiVersion = "v1"
      template  templates/addons/web/manifests/settings.yaml.hbs:1:13
    argocd-apps/eu-1/web/manifests/settings.yaml [0].kind = "ConfigMap"
      template  templates/addons/web/manifests/settings.yaml.hbs:2:7
    argocd-apps/eu-1/web/manifests/settings.yaml [0].metadata.name = "settings"
      template  templates/addons/web/manifests/settings.yaml.hbs:3:18
    argocd-apps/eu-1/web/manifests/settings.yaml [0].metadata.namespace = "web"
      template  templates/addons/web/manifests/settings.yaml.hbs:3:39
    argocd-apps/eu-1/web/manifests/settings.yaml [0].data.storageClass = "fast"
      template  templates/addons/web/manifests/settings.yaml.hbs:4:23  {{fleet.storageClass}}
      fact      environments/_fleet.yaml:2:15  fleet.storageClass = "fast"
    argocd-apps/eu-1/web/manifests/settings.yaml [1].apiVersion = "v1"
      template  templates/addons/web/manifests/settings.yaml.hbs:6:13
    argocd-apps/eu-1/web/manifests/settings.yaml [1].kind = "ConfigMap"
      template  templates/addons/web/manifests/settings.yaml.hbs:7:7
    argocd-apps/eu-1/web/manifests/settings.yaml [1].metadata.name = "machines"
      template  templates/addons/web/manifests/settings.yaml.hbs:8:18
    argocd-apps/eu-1/web/manifests/settings.yaml [1].metadata.namespace = "web"
      template  templates/addons/web/manifests/settings.yaml.hbs:8:39
    argocd-apps/eu-1/web/manifests/settings.yaml [1].data.workers = "6"
      template  templates/addons/web/manifests/settings.yaml.hbs:9:18  {{cluster.machines.workers.count}}
      fact      environments/prod/eu-1.yaml:4:20  cluster.machines.workers.count = 6
    => 0
    "#);
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
    error: `argocd-apps/eu-1/web/value.yaml` is neither a rendered file nor one that is rendered from
      hint: did you mean `argocd-apps/eu-1/web/values.yaml`?
    ");
    assert_snapshot!(explain(&["argocd-apps/eu-1/web"]), @"
    error: `argocd-apps/eu-1/web` is a folder
      hint: name a file in it: `argocd-apps/eu-1/web/manifests/settings.yaml`, `argocd-apps/eu-1/web/values.yaml`
    ");
    assert_snapshot!(explain(&["../elsewhere.yaml"]), @"
    error: `../elsewhere.yaml` is not in this repository
      hint: name a file below `argocd-apps/` or `templates/`, or one below `environments/` and a key of it
    ");
    assert_snapshot!(explain(&["README.md"]), @"
    error: `README.md` is neither a rendered file nor one that is rendered from
      hint: name a file below `argocd-apps/` or `templates/`, or one below `environments/` and a key of it
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

#[test]
fn a_file_below_templates_names_its_callers_and_what_is_rendered_from_it() {
    let repo = Repo::fleet();
    repo.write("templates/_partials/inner.hbs", "n: {{name}}\n");
    repo.write("templates/_partials/outer.hbs", "{{> inner this}}\nt: {{file \"notes/a.txt\"}}\n");
    repo.write("templates/_files/notes/a.txt", "{{ a }}\n");
    let settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more, namespace: web}\ndata:\n  {{> outer cluster}}\n";
    repo.write("templates/addons/web/manifests/more.yaml.hbs", settings);
    assert_snapshot!(repo.run(&["explain", "templates/_partials/inner.hbs"]), @"
    templates/_partials/inner.hbs
      called by  templates/_partials/outer.hbs
      web/manifests/more.yaml  on eu-1, hub
    => 0
    ");
    assert_snapshot!(repo.run(&["explain", "templates/_files/notes/a.txt"]), @"
    templates/_files/notes/a.txt
      called by  templates/_partials/outer.hbs
      web/manifests/more.yaml  on eu-1, hub
    => 0
    ");
    assert_snapshot!(repo.run(&["explain", "templates/addons/web/manifests/more.yaml.hbs"]), @"
    templates/addons/web/manifests/more.yaml.hbs
      calls      templates/_partials/outer.hbs
      web/manifests/more.yaml  on eu-1, hub
    => 0
    ");
    assert_snapshot!(repo.run(&["explain", "templates/_partials/outer.hbs", "--format", "json"]), @r#"
    {
      "groups": [
        {
          "clusters": [
            "eu-1",
            "hub"
          ],
          "file": "web/manifests/more.yaml",
          "influence": "presence",
          "path": ""
        }
      ],
      "reached": [
        {
          "file": "argocd-apps/eu-1/web/manifests/more.yaml",
          "influence": "presence",
          "path": ""
        },
        {
          "file": "argocd-apps/hub/web/manifests/more.yaml",
          "influence": "presence",
          "path": ""
        }
      ],
      "source": {
        "calledBy": [
          "templates/addons/web/manifests/more.yaml.hbs"
        ],
        "calls": [
          "templates/_files/notes/a.txt",
          "templates/_partials/inner.hbs"
        ],
        "file": "templates/_partials/outer.hbs"
      }
    }
    => 0
    "#);
    assert_snapshot!(repo.run(&["explain", "argocd-apps/eu-1/web/manifests/more.yaml", "data.t"]), @r#"
    argocd-apps/eu-1/web/manifests/more.yaml data.t = "{{ a }}\n"
      template  templates/_partials/outer.hbs:2:4  {{file "notes/a.txt"}}
      file      templates/_files/notes/a.txt
    => 0
    "#);
    assert_snapshot!(repo.refused(&["explain", "templates/_partials/outer.hbs", "n"]), @"
    ! error: `templates/_partials/outer.hbs` has no keys
    !   hint: `fleetwright explain templates/_partials/outer.hbs` shows what is rendered from it, and a rendered file has keys
    => 2
    ");
}

#[test]
fn an_addon_names_where_it_runs_and_what_its_facts_reach() {
    let repo = Repo::fleet();
    let addon = "templates/addons/web/addon.yaml";
    assert_snapshot!(repo.run(&["explain", addon]), @"
    templates/addons/web/addon.yaml
      web/manifests/settings.yaml  on eu-1, hub
      web/values.yaml  on eu-1, hub
    => 0
    ");
    assert_snapshot!(repo.run(&["explain", addon, "namespace"]), @r#"
    templates/addons/web/addon.yaml:2:12  namespace = "web"
      reaches no rendered file
    => 0
    "#);
    assert_snapshot!(repo.run(&["explain", addon, "settings.replicas.default"]), @"
    templates/addons/web/addon.yaml:4:38  settings.replicas.default = 2
      web/values.yaml replicas  on hub
    => 0
    ");
    assert_snapshot!(repo.refused(&["explain", addon, "namespase"]), @"
    ! error: `templates/addons/web/addon.yaml` has no `namespase`
    !   hint: did you mean `namespace`?
    => 2
    ");
}

#[test]
fn a_fact_that_places_an_addon_reaches_its_files() {
    let repo = Repo::fleet();
    let addon = "templates/addons/web/addon.yaml";
    let text = std::fs::read_to_string(repo.path(addon)).unwrap();
    repo.write(addon, format!("{text}enabledByDefault: true\n"));
    assert_snapshot!(repo.run(&["explain", addon, "enabledByDefault"]), @"
    templates/addons/web/addon.yaml:5:19  enabledByDefault = true
      web/manifests/settings.yaml  on eu-1, hub
      web/values.yaml  on eu-1, hub
    => 0
    ");
}
