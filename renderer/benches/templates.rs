//! What the expansion of one template of 65 lines costs: loops, conditions, a partial, a block scalar and 37
//! inserted values.

use divan::{Bencher, black_box};
use fleetwright_renderer::path::RepoPath;
use fleetwright_renderer::templates::{Expand, Form, Scope, TemplateSource, Templates, Texts, write_file};
use serde_json::{Value, json};

const TEMPLATE: &str = include_str!("templates/values.yaml.hbs");
const PARTIAL: &str = "cluster: {{name}}\nregion: {{labels.region}}\ntier: {{labels.tier}}\n";

fn main() {
    divan::main();
}

fn templates() -> (Templates, RepoPath) {
    let file = RepoPath::parse("templates/addons/agent/values.yaml.hbs").expect("a path");
    let partial = RepoPath::parse("templates/_partials/labels.hbs").expect("a path");
    let source = TemplateSource { file: file.clone(), text: TEMPLATE.into() };
    let partials = vec![("labels".to_owned(), TemplateSource { file: partial, text: PARTIAL.into() })];
    (Templates::compile(vec![source], partials, Texts::new()).expect("the template compiles"), file)
}

/// The facts of a cluster, of about the size that a real one has.
fn facts(cluster: usize) -> Value {
    let addons: Vec<_> = (0..30)
        .map(|at| {
            json!({
                "name": format!("addon-{at}"), "namespace": format!("addon-{at}-system"), "release": format!("addon-{at}"),
                "wave": at, "serverSideApply": false, "manifests": at % 2 == 0,
                "chart": {"repository": "https://charts.example.com", "name": format!("addon-{at}"), "version": "1.2.3"},
                "settings": {"retention": "15d", "maxShards": 10, "buffer": "20Gi", "replicas": 2},
            })
        })
        .collect();
    json!({
        "cluster": {
            "name": format!("eu-{cluster:04}"), "role": "app",
            "labels": {"region": "local", "tier": "gold", "cluster": format!("eu-{cluster:04}")},
            "zones": ["a", "b", "c"], "addresses": {"prometheus": format!("10.0.{}.7", cluster % 250)},
            "networks": {"pods": "10.245.0.0/16", "services": "10.97.0.0/16"},
        },
        "hub": {"name": "control", "addresses": {"prometheus": "192.168.64.102", "loki": "192.168.64.103"}},
        "fleet": {"storageClass": "local-path", "ports": {"prometheus": 9090, "loki": 3100}},
        "addons": addons,
    })
}

fn scopes(count: usize) -> Vec<Scope<'static>> {
    (0..count).map(|cluster| Scope::new(facts(cluster))).collect()
}

#[divan::bench]
fn render_one_file_with_a_warm_memory(bencher: Bencher<'_, '_>) {
    let (templates, file) = templates();
    let scopes = scopes(100);
    let mut next = scopes.iter().cycle();
    bencher.bench_local(|| {
        let scope = next.next().expect("a cycle has no end");
        templates.render(Expand { template: black_box(&file), scope, addon: Some(7), machine: None })
    });
}

#[divan::bench]
fn render_and_write_one_file_with_a_warm_memory(bencher: Bencher<'_, '_>) {
    let (templates, file) = templates();
    let scopes = scopes(100);
    let mut next = scopes.iter().cycle();
    bencher.bench_local(|| {
        let scope = next.next().expect("a cycle has no end");
        let documents =
            templates.render(Expand { template: black_box(&file), scope, addon: Some(7), machine: None });
        write_file(Form::Yaml, &file, None, &documents.expect("the template renders"))
    });
}

#[divan::bench]
fn render_one_file_with_a_cold_memory(bencher: Bencher<'_, '_>) {
    let scopes = scopes(1);
    bencher.with_inputs(templates).bench_local_values(|(templates, file)| {
        templates.render(Expand { template: &file, scope: &scopes[0], addon: Some(7), machine: None })
    });
}

#[divan::bench]
fn compile_one_template(bencher: Bencher<'_, '_>) {
    bencher.bench_local(templates);
}
