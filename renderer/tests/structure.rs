//! A value that a template inserts can't change the structure around it: hostile texts and trees are put into
//! every kind of place, and what is written is read by other people's readers.
//!
//! Where none of them is there, our own reader judges alone, and the test says so.

#![expect(clippy::unwrap_used, reason = "a judgement that cannot be made fails")]

use fleetwright_renderer::path::RepoPath;
use fleetwright_renderer::templates::{
    Expand, Form, MAX_OUTPUT_BYTES, Scope, TemplateSource, Templates, Texts, write_file,
};
use fleetwright_renderer::yaml;
use serde_json::{Value, json};
use testkit::{hostile, readers};

const SEED: u64 = 23;
const RANDOM_TREES: usize = 300;

/// Every kind of place that takes a text.
const TEXT_PLACES: &str = r#"
plain: {{v}}
triple: {{{v}}}
single: '{{v}}'
double: "{{v}}"
inside: a {{v}} b
beside: {{v}}{{v}}
quoted: "a: {{v}}\n- '{{v}}'"
literal: |
  first
  {{v}}
stripped: |-
  {{v}}
kept: |+
  {{v}}

folded: >-
  {{v}} {{v}}
flow: [{{v}}, '{{v}}', {key: {{v}}}]
list:
  - {{v}}
  - - {{v}}
  - "{{v}}"
keys:
  {{v}}: 1
  "quoted {{v}}": 2
  plain {{v}}: {next: true}
flowKeys: { "{{v}}": {{v}} }
anchored: &anchor {{v}}
alias: *anchor
each:
  {{#each all as |item key|}}
  {{key}}-{{@index}}: {{item}}
  {{/each}}
  {{#if v}}
  last: {{v}}
  {{else}}
  last: {{v}}
  {{/if}}
partial:
  deeper:
    {{> part all}}
commented: true # {{v}}
end: true
"#;

const PARTIAL: &str = "name: {{v}}\ntext: |\n  {{v}}\n  end\nlist: [{{v}}]\n";

fn meant_text(v: &str) -> Value {
    json!({
        "plain": v, "triple": v, "single": v, "double": v, "inside": format!("a {v} b"), "beside": format!("{v}{v}"),
        "quoted": format!("a: {v}\n- '{v}'"), "literal": format!("first\n{v}\n"), "stripped": v, "kept": format!("{v}\n\n"),
        "folded": format!("{v} {v}"), "flow": [v, v, {"key": v}], "list": [v, [v], v],
        "keys": {(v): 1, format!("quoted {v}"): 2, format!("plain {v}"): {"next": true}}, "flowKeys": {(v): v},
        "anchored": v, "alias": v, "each": {"v-0": v, "last": v},
        "partial": {"deeper": {"name": v, "text": format!("{v}\nend\n"), "list": [v]}}, "commented": true, "end": true,
    })
}

/// Every kind of place that takes a whole tree.
const TREE_PLACES: &str = "alone: {{v}}\nlist:\n  - {{v}}\n  - end\nflow: {a: {{v}}, b: [{{v}}]}\nanchored: &a {{v}}\nalias: *a\nend: 1\n";

fn meant_tree(v: &Value) -> Value {
    json!({"alone": v, "list": [v, "end"], "flow": {"a": v, "b": [v]}, "anchored": v, "alias": v, "end": 1})
}

struct Written {
    meant: Value,
    text: String,
}

struct Engine {
    templates: Templates,
    text: RepoPath,
    tree: RepoPath,
}

impl Engine {
    fn new() -> Self {
        let path = |path: &str| RepoPath::parse(path).unwrap();
        let source = |file: &RepoPath, text: &str| TemplateSource { file: file.clone(), text: text.into() };
        let (text, tree) = (path("text.yaml.hbs"), path("tree.yaml.hbs"));
        let templates = vec![source(&text, TEXT_PLACES), source(&tree, TREE_PLACES)];
        let partials = vec![("part".to_owned(), source(&path("part.hbs"), PARTIAL))];
        Self { templates: Templates::compile(templates, partials, Texts::new()).unwrap(), text, tree }
    }

    fn write(&self, template: &RepoPath, facts: Value) -> String {
        let scope = Scope::new(facts);
        let documents = self.templates.render(Expand { template, scope: &scope, addon: None, machine: None });
        write_file(
            Form::Yaml,
            template,
            None,
            &documents.unwrap_or_else(|problems| panic!("{problems:?} for {:?}", scope.facts())),
        )
    }

    fn written(&self) -> Vec<Written> {
        // In every place at once, the text of 10,000 lines would be more than a file may hold.
        let texts = hostile::strings().into_iter().filter(|text| text.len() < MAX_OUTPUT_BYTES / 100);
        let texts = texts.map(|text| Written {
            text: self.write(&self.text, json!({"v": text, "all": {"v": text}})),
            meant: meant_text(&text),
        });
        let trees = hostile::random_documents(SEED, RANDOM_TREES).into_iter().map(|tree| Written {
            meant: meant_tree(&tree),
            text: self.write(&self.tree, json!({"v": tree})),
        });
        texts.chain(trees).collect()
    }
}

fn read_by_ourselves(text: &str) -> Value {
    let nodes = yaml::parse(text).unwrap_or_else(|faults| panic!("{faults:?} in {text:?}"));
    assert_eq!(nodes.len(), 1, "{text:?}");
    yaml::interpret(&nodes[0]).unwrap_or_else(|faults| panic!("{faults:?} in {text:?}")).to_json()
}

#[test]
fn no_value_changes_the_structure_around_it() {
    let written = Engine::new().written();
    for file in &written {
        assert_eq!(read_by_ourselves(&file.text), file.meant, "{:?}", file.text);
    }
    let texts: Vec<_> = written.iter().map(|file| file.text.as_str()).collect();
    for reader in readers::available() {
        for (file, verdict) in written.iter().zip(reader.read(&texts).unwrap()) {
            assert_eq!(verdict.as_ref(), Ok(&file.meant), "{} misreads {:?}", reader.name, file.text);
        }
    }
    if readers::available().is_empty() {
        println!("note: no reader but our own is there; install Go or PyYAML to have others judge");
    }
}
