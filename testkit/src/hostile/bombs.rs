//! Small inputs that cost much: files to lay over `testkit/platform`, each meant to take the process down.
//!
//! Sizes are arguments where a test has to show how the cost grows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Files by their path in the repository.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The facts that an app cluster of the platform needs besides its networks.
const APP_CLUSTER: &str = "role: app\nhub: control\n";

/// A chart that no repository has to hold.
const CHART: &str =
    "chart: {repository: https://charts.example.com, name: tree, version: 1.2.3}\nnamespace: tree\n";

fn one(path: &str, text: impl Into<Vec<u8>>) -> Files {
    Files::from([(path.to_owned(), text.into())])
}

/// Returns lines of anchors that each repeat the one before: `fan_out` to the power of `levels` scalars.
fn aliases(fan_out: usize, levels: usize, indent: &str) -> String {
    let repeat = |item: &str| vec![item; fan_out].join(", ");
    let mut text = format!("{indent}a0: &a0 [{}]\n", repeat("x"));
    for level in 1..levels {
        writeln!(text, "{indent}a{level}: &a{level} [{}]", repeat(&format!("*a{}", level - 1)))
            .expect("writing to a string does not fail");
    }
    text
}

/// Facts of `files` clusters, each of which repeats a list through aliases of aliases: 8 to the power of
/// `levels` times.
#[must_use]
pub fn many_files_with_aliases(files: usize, levels: usize) -> Files {
    let values = aliases(8, levels, "      ");
    let padding = "# padding\n".repeat(300);
    let text = |at: usize| {
        format!("{padding}{APP_CLUSTER}{}addons:\n  metallb:\n    values:\n{values}", networks(at))
    };
    (0..files).map(|at| (format!("environments/bomb-{at:04}.yaml"), text(at).into_bytes())).collect()
}

/// Maps that merge maps, each twice as large as the one before.
#[must_use]
pub fn merge_keys() -> Files {
    let mut text = format!("{APP_CLUSTER}{}addons:\n  metallb:\n    values:\n", networks(0));
    text.push_str("      m0: &m0 {a: x, b: x}\n");
    for level in 1..40 {
        let last = level - 1;
        writeln!(text, "      m{level}: &m{level}\n        <<: *m{last}\n        l{level}: *m{last}\n        r{level}: *m{last}")
            .expect("writing to a string does not fail");
    }
    one("environments/bomb.yaml", text)
}

/// One large map in `_defaults.yaml` that `clusters` clusters inherit.
#[must_use]
pub fn inherited_facts(clusters: usize) -> Files {
    let mut defaults = String::from("addons:\n  metallb:\n    values:\n");
    for key in 0..10_000 {
        writeln!(defaults, "      key-{key}: a value that is not short at all")
            .expect("writing to a string does not fail");
    }
    let cluster = |at: usize| format!("{APP_CLUSTER}{}", networks(at)).into_bytes();
    let mut files: Files =
        (0..clusters).map(|at| (format!("environments/bomb/bomb-{at:04}.yaml"), cluster(at))).collect();
    files.insert("environments/bomb/_defaults.yaml".to_owned(), defaults.into_bytes());
    files
}

/// Networks that no other cluster of the bomb has.
fn networks(at: usize) -> String {
    let (high, low) = (at / 64, at % 64 * 4);
    format!(
        "networks: {{pods: 10.{high}.{low}.0/24, services: 10.{high}.{next}.0/24}}\nloadBalancer: {{pool: 172.16.{high}.{low}-172.16.{high}.{low}}}\n",
        next = low + 1
    )
}

/// A schema of which every level of a value is judged twice: two to the power of the depth.
#[must_use]
pub fn doubling_schema() -> serde_json::Value {
    let child = serde_json::json!({"anyOf": [
        {"$ref": "#/$defs/tree", "required": ["a"]},
        {"$ref": "#/$defs/tree", "required": ["b"]},
    ]});
    serde_json::json!({"$ref": "#/$defs/tree", "$defs": {"tree": {"properties": {"child": child}}}})
}

/// The schema of a kind of objects that judges a document of `depth` levels twice per level.
#[must_use]
pub fn object_schema(depth: usize) -> Files {
    let schema = serde_json::json!({"properties": {"spec": doubling_schema()}});
    let schema = schema.to_string().replace("#/$defs", "#/properties/spec/$defs");
    let document = format!(
        "apiVersion: example.com/v1\nkind: Tree\nmetadata: {{name: tree, namespace: default}}\nspec: {}\n",
        nested(depth)
    );
    Files::from([
        ("templates/schemas/example.com_v1_Tree.json".to_owned(), schema.into_bytes()),
        ("templates/cluster/tree.yaml.hbs".to_owned(), document.into_bytes()),
    ])
}

fn nested(depth: usize) -> String {
    format!("{}{{c: 1}}{}", "{child: ".repeat(depth), "}".repeat(depth))
}

/// The same as [`object_schema`] in the settings of an add-on.
#[must_use]
pub fn settings_schema(depth: usize) -> Files {
    let schema = doubling_schema().to_string().replace("#/$defs", "#/properties/tree/$defs");
    let schema = schema.strip_suffix('}').unwrap_or_default();
    one(
        "templates/addons/tree/addon.yaml",
        format!("{CHART}settings:\n  tree: {schema}, default: {}}}\n", nested(depth)),
    )
}

/// A schema in which each of `levels` definitions applies the next one twice to the same value.
#[must_use]
pub fn chained_schema(levels: usize) -> serde_json::Value {
    let mut definitions = serde_json::Map::new();
    for level in 1..levels {
        let next = serde_json::json!({"$ref": format!("#/$defs/d{}", level - 1)});
        definitions.insert(format!("d{level}"), serde_json::json!({"allOf": [next, next]}));
    }
    definitions.insert("d0".to_owned(), serde_json::json!({"type": "object"}));
    serde_json::json!({"$defs": definitions, "$ref": format!("#/$defs/d{}", levels - 1)})
}

/// A schema of objects that is a [`chained_schema`], and a document to judge.
#[must_use]
pub fn chained_object_schema() -> Files {
    let mut files = object_schema(1);
    let schema = chained_schema(40).to_string().into_bytes();
    files.insert("templates/schemas/example.com_v1_Tree.json".to_owned(), schema);
    files
}

/// A chart, by paths in its folder, whose `values.schema.json` is a [`chained_schema`] at one of its keys.
#[must_use]
pub fn chart_with_chained_schema() -> Files {
    let mut schema = chained_schema(40);
    schema["properties"] = serde_json::json!({"tree": {"$ref": "#/$defs/d39"}});
    chart(schema.to_string())
}

/// A chart whose schema has `width` keys at each of the levels that it repeats without end.
#[must_use]
pub fn chart_with_wide_schema(width: usize) -> Files {
    let definition = |at: usize| {
        let properties: serde_json::Map<_, _> = (0..width)
            .map(|key| (format!("k{key}"), serde_json::json!({"$ref": format!("#/$defs/d{key}")})))
            .collect();
        (format!("d{at}"), serde_json::json!({"properties": properties}))
    };
    let definitions: serde_json::Map<_, _> = (0..width).map(definition).collect();
    chart(serde_json::json!({"$defs": definitions, "$ref": "#/$defs/d0"}).to_string())
}

fn chart(schema: String) -> Files {
    Files::from([
        ("Chart.yaml".to_owned(), b"apiVersion: v2\nname: tree\nversion: 1.2.3\n".to_vec()),
        ("values.yaml".to_owned(), b"tree: {}\n".to_vec()),
        ("values.schema.json".to_owned(), schema.into_bytes()),
    ])
}

/// A file `levels` folders deep in `environments/`: the stack of a walk that calls itself per folder ends before.
#[must_use]
pub fn deep_folders(levels: usize) -> Files {
    one(&format!("environments/{}bomb.yaml", "d/".repeat(levels)), APP_CLUSTER)
}

/// `templates` templates of some 120 bytes, each of which calls a tree of partials: every one calls the next
/// one twice.
#[must_use]
pub fn tree_of_partials(templates: usize) -> Files {
    let mut files: Files = (0..41)
        .map(|at| {
            let next = format!("{{{{> p{} x=x}}}}", at + 1);
            (format!("templates/_partials/p{at}.hbs"), next.repeat(2).into_bytes())
        })
        .collect();
    files.insert("templates/_partials/p41.hbs".to_owned(), Vec::new());
    for at in 0..templates {
        let text = "{{> p0 x=1}}\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: bomb\n  namespace: default\ndata: {}\n";
        files.insert(format!("templates/cluster/bomb-{at}.yaml.hbs"), text.as_bytes().to_vec());
    }
    files
}

/// `templates` templates that each write nearly a megabyte, all for the same cluster.
#[must_use]
pub fn large_output(templates: usize) -> Files {
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: bomb\n  namespace: default\ndata:\n";
    let lines = "    a line of some length, as they are\n".repeat(1_500);
    let repeated: Vec<_> = (0..15).map(|at| format!("  b{at}: *a\n")).collect();
    let text = format!("{object}  a: &a |\n{lines}{}", repeated.concat());
    (0..templates)
        .map(|at| (format!("templates/cluster/bomb-{at}.yaml.hbs"), text.clone().into_bytes()))
        .collect()
}

/// Templates whose aliases repeat what was repeated.
#[must_use]
pub fn templates_with_aliases(templates: usize) -> Files {
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: bomb\n  namespace: default\ndata:\n{}",
        aliases(8, 6, "  ")
    );
    (0..templates)
        .map(|at| (format!("templates/cluster/bomb-{at}.yaml.hbs"), format!("{text}# {at}\n").into_bytes()))
        .collect()
}

/// A published file of so many bytes: lists in lists, of which each byte costs a parser a hundred.
#[must_use]
pub fn published_file(size_bytes: usize) -> Files {
    let line = "- [[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]\n";
    one("argocd-apps/app/metallb/values.yaml", line.repeat(size_bytes / line.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs_are_small() {
        let bombs = [
            merge_keys(),
            object_schema(18),
            settings_schema(18),
            chained_object_schema(),
            chart_with_chained_schema(),
            tree_of_partials(16),
        ];
        for bomb in bombs {
            let size_bytes: usize = bomb.values().map(Vec::len).sum();
            assert!(size_bytes < 8 * 1024, "{:?}", bomb.keys());
        }
        assert!(many_files_with_aliases(100, 6).values().all(|file| file.len() < 4 * 1024));
    }
}
