//! Files that templates insert as text.

use std::sync::Arc;

use fleetwright_renderer::render::Renderer;
use insta::assert_snapshot;

use crate::world::{World, files};

const TEMPLATE: &str = "templates/addons/metallb/manifests/dashboard.yaml.hbs";
const FILE: &str = "templates/_files/dashboards/a.json";

fn world(text: impl AsRef<[u8]>) -> World {
    let template = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: {{addon.namespace}}}
data:
  a.json: {{file \"dashboards/a.json\"}}
";
    World::platform().with(TEMPLATE, template).with(FILE, text)
}

fn dashboard(world: &World) -> String {
    let files = files(&world.render());
    let (_, text) =
        files.into_iter().find(|(path, _)| path.ends_with("app/metallb/manifests/dashboard.yaml")).unwrap();
    text
}

#[test]
fn a_file_goes_into_a_config_map_as_it_stands() {
    assert_snapshot!(dashboard(&world("{\n  \"legend\": \"{{instance}}\"\n}\n")), @r#"
    # Rendered by Fleetwright from templates/addons/metallb/manifests/dashboard.yaml.hbs; edit that file, not this one.
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: a
      namespace: metallb-system
    data:
      a.json: |
        {
          "legend": "{{instance}}"
        }
    "#);
}

#[test]
fn only_what_inserts_a_file_is_rendered_again_when_it_changes() {
    let mut renderer = Renderer::new();
    let before = renderer.render(&world("{}\n").snapshot(), &()).unwrap();
    let after = renderer.render(&world("[]\n").snapshot(), &()).unwrap();
    assert_eq!(files(&after), files(&world("[]\n").render()));
    for (name, cluster) in &after.clusters {
        let units = cluster.units().iter().zip(before.clusters[name].units());
        let again: Vec<_> =
            units.filter(|(new, old)| !Arc::ptr_eq(new, old)).map(|(unit, _)| &unit.addon).collect();
        assert_eq!(again.len(), 1, "{again:?}");
        assert_eq!(again[0].as_ref().map(ToString::to_string).as_deref(), Some("metallb"));
    }
}

#[test]
fn only_what_calls_a_partial_is_rendered_again_when_it_changes() {
    let world = World::platform()
        .with("templates/_partials/inner.hbs", "a: 1\n")
        .with("templates/_partials/outer.hbs", "{{> inner this}}\n")
        .with(TEMPLATE, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: x}\ndata:\n  b: |\n    {{> outer cluster}}\n");
    let mut renderer = Renderer::new();
    let before = renderer.render(&world.snapshot(), &()).unwrap();
    let changed = world.with("templates/_partials/inner.hbs", "a: 2\n");
    let after = renderer.render(&changed.snapshot(), &()).unwrap();
    assert_eq!(files(&after), files(&changed.render()));
    let units = after
        .clusters
        .iter()
        .flat_map(|(name, cluster)| cluster.units().iter().zip(before.clusters[name].units()));
    let again = units.filter(|(new, old)| !Arc::ptr_eq(new, old)).count();
    assert_eq!(again, after.clusters.len());
}

#[test]
fn a_file_that_cannot_be_inserted_is_told() {
    assert_snapshot!(World::platform().with(TEMPLATE, world("").text(TEMPLATE)).problems(), @"
    templates/addons/metallb/manifests/dashboard.yaml.hbs:5:11: unknown file `dashboards/a.json`
      hint: create `templates/_files/dashboards/a.json`
    ");
    assert_snapshot!(world(b"ab\xFF").problems(), @"
    templates/_files/dashboards/a.json:1:3: byte 0xFF is not UTF-8 text
      hint: save the file as UTF-8
    ");
    assert_snapshot!(world("x".repeat(1024 * 1024 + 1)).problems(), @"
    templates/_files/dashboards/a.json:1:1: the files to insert up to here are too large: one may have 1 MiB, all together 16
      hint: split it, or remove what no template inserts: a ConfigMap takes no more than 1 MiB either
    ");
    let elsewhere = World::platform().with("templates/files/a.json", "{}").problems();
    assert!(elsewhere.starts_with("templates/files/a.json:1:1: nothing reads this file"), "{elsewhere}");
    assert!(elsewhere.contains("`_files/<name>`"), "{elsewhere}");
}

#[test]
fn a_secret_in_a_file_is_told_in_the_file() {
    let token = ["ghp_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    assert_snapshot!(world(format!("a\nb: {token}\n")).problems(), @"
    templates/_files/dashboards/a.json:1:1: a secret in plain text (on `app` and `control`)
      hint: keep it in a secret store and refer to it, by an ExternalSecret and the chart's `existingSecret`
    ");
}
