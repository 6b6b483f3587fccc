//! Files that can't be read, or that nothing reads.

use insta::assert_snapshot;

use crate::world::World;

const APP: &str = "environments/app.yaml";

fn app(content: impl AsRef<[u8]>) -> String {
    World::platform().with(APP, content).problems()
}

#[test]
fn an_empty_repository_says_what_to_write_first() {
    assert_snapshot!(World::default().problems(), @"
    environments:1:1: no cluster is described
      hint: describe one in `environments/<cluster>.yaml`, starting with `role: control`
    environments/_fleet.yaml:1:1: the fleet's shared facts are missing
      hint: create the file with `repository: {url: …, branch: main}`, the repository that Argo CD reads
    ");
}

#[test]
fn a_repository_without_clusters_says_how_to_describe_one() {
    let world = World::platform().without(APP).without("environments/control.yaml");
    assert_snapshot!(world.problems(), @"
    environments:1:1: no cluster is described
      hint: describe one in `environments/<cluster>.yaml`, starting with `role: control`
    ");
}

#[test]
fn without_shared_facts_no_template_is_blamed() {
    assert_snapshot!(World::platform().without("environments/_fleet.yaml").problems(), @"
    environments/_fleet.yaml:1:1: the fleet's shared facts are missing
      hint: create the file with `repository: {url: …, branch: main}`, the repository that Argo CD reads
    ");
}

#[test]
fn a_file_with_another_name_is_not_read_and_that_is_said() {
    let world = World::platform()
        .moved(APP, "environments/app.yml")
        .with("environments/_x.yaml", "")
        .with("environments/eu/_default.yaml", "")
        .with("environments/eu/_fleet.yaml", "")
        .with("environments/eu/app.json", "{}")
        .with("environments/eu/App.yaml", "")
        .with("environments/eu/README.md", "kept")
        .with("environments/eu/.gitkeep", "");
    assert_snapshot!(world.problems(), @"
    environments/_x.yaml:1:1: `_x.yaml` is not a file that is read
      hint: there is `_defaults.yaml` in every folder and one `environments/_fleet.yaml`
    environments/app.yml:1:1: the file's name ends in `.yml` and is not read
      hint: rename it to `app.yaml`
    environments/eu/App.yaml:1:1: `App` is not a valid name
      hint: use at most 63 lower-case letters, digits and hyphens, with a letter or digit at both ends
    environments/eu/_default.yaml:1:1: `_default.yaml` is not a file that is read
      hint: did you mean `_defaults.yaml`?
    environments/eu/_fleet.yaml:1:1: `_fleet.yaml` is not a file that is read
      hint: there is only one, `environments/_fleet.yaml`
    environments/eu/app.json:1:1: nothing reads this file
      hint: a cluster is described in `<cluster>.yaml`; remove other files, or make them `.md`
    ");
}

#[test]
fn a_file_that_no_template_is_is_told() {
    let world = World::platform()
        .with("templates/addons/metallb/value.yaml.hbs", "")
        .with("templates/addons/metallb/manifests/x.yaml", "")
        .with("templates/addons/metallb/README.md", "kept")
        .with("templates/.editorconfig", "kept")
        .with("templates/cluster/x.hbs", "");
    assert_snapshot!(world.problems(), @"
    templates/addons/metallb/manifests/x.yaml:1:1: nothing reads this file
      hint: templates are `addons/<addon>/addon.yaml`, `values.yaml.hbs` and `manifests/<name>.yaml.hbs`, `cluster/<name>.yaml.hbs`, `infra/cluster/<name>.hbs`, `infra/fleet/<name>.hbs` and `_partials/<name>.hbs`; files to insert are `_files/<name>`, schemas of objects `schemas/<group>_<version>_<Kind>.json`
    templates/addons/metallb/value.yaml.hbs:1:1: nothing reads this file
      hint: templates are `addons/<addon>/addon.yaml`, `values.yaml.hbs` and `manifests/<name>.yaml.hbs`, `cluster/<name>.yaml.hbs`, `infra/cluster/<name>.hbs`, `infra/fleet/<name>.hbs` and `_partials/<name>.hbs`; files to insert are `_files/<name>`, schemas of objects `schemas/<group>_<version>_<Kind>.json`
    templates/cluster/x.hbs:1:1: nothing reads this file
      hint: templates are `addons/<addon>/addon.yaml`, `values.yaml.hbs` and `manifests/<name>.yaml.hbs`, `cluster/<name>.yaml.hbs`, `infra/cluster/<name>.hbs`, `infra/fleet/<name>.hbs` and `_partials/<name>.hbs`; files to insert are `_files/<name>`, schemas of objects `schemas/<group>_<version>_<Kind>.json`
    ");
}

#[test]
fn an_addon_needs_its_description() {
    assert_snapshot!(World::platform().without("templates/addons/metallb/addon.yaml").problems(), @"
    templates/addons/metallb/values.yaml.hbs:1:1: add-on `metallb` has no `addon.yaml`
      hint: create it beside the templates, with `namespace`, and `chart` if it has one
    ");
    let addon = "templates/addons/metallb/addon.yaml";
    assert_snapshot!(World::platform().moved(addon, "templates/addons/metallb/addon.yml").problems(), @"
    templates/addons/metallb/addon.yml:1:1: nothing reads this file
      hint: templates are `addons/<addon>/addon.yaml`, `values.yaml.hbs` and `manifests/<name>.yaml.hbs`, `cluster/<name>.yaml.hbs`, `infra/cluster/<name>.hbs`, `infra/fleet/<name>.hbs` and `_partials/<name>.hbs`; files to insert are `_files/<name>`, schemas of objects `schemas/<group>_<version>_<Kind>.json`
    ");
}

#[test]
fn facts_are_one_map_in_one_document() {
    assert_snapshot!(app("- role: app\n"), @"
    environments/app.yaml:1:1: the file is not a map
      hint: write `key: value` lines
    ");
    assert_snapshot!(app("role: app\nhub: control\n---\nrole: app\n"), @"
    environments/app.yaml:4:1: a second document in one file
      hint: remove `---` or split the file
    ");
    assert_snapshot!(app("role: app\nhub: control\nhub: control\n"), @"
    environments/app.yaml:3:1: key `hub` is there twice, first on line 2
      hint: keep one of the two
    ");
    assert_snapshot!(app(""), @"
    environments/app.yaml:1:1: missing key `networks`
      hint: write for example `{pods: 10.244.0.0/16, services: 10.96.0.0/16}`
    environments/app.yaml:1:1: missing key `role`
      hint: write `role: control` or `role: app`
    ");
}

#[test]
fn what_is_no_text_is_told_with_its_place() {
    assert_snapshot!(app(b"role: app\nhub: \xFF\n"), @"
    environments/app.yaml:2:6: byte 0xFF is not UTF-8 text
      hint: save the file as UTF-8
    ");
    assert_snapshot!(app("role: app\nhub: a\0b\n"), @"
    environments/app.yaml:2:7: a NUL character stands in the file
      hint: save the file as UTF-8 text, and leave out the character
    ");
    assert_snapshot!(app("role: app\nhub: {\n"), @"
    environments/app.yaml:2:6: `{` is not closed
      hint: close it, or quote a text that begins with it
    ");
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_change_nothing() {
    let text = World::platform().text(APP);
    let rendered = crate::world::files(&World::platform().render());
    let windows = World::platform().with(APP, text.replace('\n', "\r\n"));
    assert_eq!(crate::world::files(&windows.render()), rendered);
    let marked = World::platform().with(APP, format!("\u{FEFF}{text}"));
    assert_eq!(crate::world::files(&marked.render()), rendered);
    let wrong = format!("\u{FEFF}{}", text.replace("hub: control", "hub: zebra").replace('\n', "\r\n"));
    assert_snapshot!(app(wrong), @"
    environments/app.yaml:4:6: unknown hub `zebra`
      hint: known hubs: `control`
    ");
}

#[test]
fn a_file_of_50_megabytes_is_not_read() {
    assert_snapshot!(app(vec![b'#'; 50 << 20]), @"
    environments/app.yaml:1:1: the file has 52428800 bytes; at most 1048576 are read
      hint: facts are written by people: split the file
    ");
    let template = "templates/addons/metallb/values.yaml.hbs";
    assert_snapshot!(World::platform().with(template, vec![b'#'; 50 << 20]).problems(), @"
    templates/addons/metallb/values.yaml.hbs:1:1: the template has 52428800 bytes; at most 131072 are read
      hint: split it into partials
    ");
}

#[test]
fn scalars_that_readers_differ_on_are_quoted() {
    assert_snapshot!(app(World::platform().text(APP).replace("role: app", "role: app\nlabels: {a: yes, b: 1.10}")), @r#"
    environments/app.yaml:4:13: plain `yes` is a boolean to YAML 1.1 readers and a string to 1.2 ones
      hint: write `true` or `false`, or quote it if text is meant: `"yes"`
    environments/app.yaml:4:21: plain `1.10` is read as the number `1.1`
      hint: quote it if text is meant: `"1.10"`; write `1.1` if a number is meant
    "#);
}
