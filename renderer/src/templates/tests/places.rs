//! Problems of the YAML around the values are told where they stand in the template.

use insta::assert_snapshot;

use super::*;

fn said(template: &str) -> String {
    problems(template, &facts())
}

#[test]
fn an_ambiguous_literal_is_told_at_its_place_in_the_template() {
    assert_snapshot!(said("a: {{cluster.labels}}\nb: yes\n"), @r#"
    t.hbs:2:4: plain `yes` is a boolean to YAML 1.1 readers and a string to 1.2 ones
      hint: write `true` or `false`, or quote it if text is meant: `"yes"`
    "#);
    assert_snapshot!(said("{{#each addons}}\n{{! note }}\n- ü{{name}}: {{settings}}\n  x:   0644\n{{/each}}\n"), @r#"
    t.hbs:4:8: plain `0644` is one number to some YAML readers and another, or a string, to others
      hint: quote it if text is meant: `"0644"`; write it in decimal digits if a number is meant
    "#);
    assert_snapshot!(said("{{#if cluster.spare}}\na: 1\n{{else if cluster.isHub}}\na: {x: {{cluster.name}}, y: 1.10}\n{{/if}}\n"), @r#"
    t.hbs:4:29: plain `1.10` is read as the number `1.1`
      hint: quote it if text is meant: `"1.10"`; write `1.1` if a number is meant
    "#);
    assert_snapshot!(said("a: {{#if cluster.isHub}}on{{else}}off{{/if}}\n"), @r#"
    t.hbs:1:25: plain `on` is a boolean to YAML 1.1 readers and a string to 1.2 ones
      hint: write `true` or `false`, or quote it if text is meant: `"on"`
    "#);
    assert_snapshot!(said("a: '\\{{ x }}\\{{ y }}'\nb: ['\\{{ x }}', no]\n"), @r#"
    t.hbs:2:17: plain `no` is a boolean to YAML 1.1 readers and a string to 1.2 ones
      hint: write `true` or `false`, or quote it if text is meant: `"no"`
    "#);
    assert_snapshot!(said("{{~#if cluster.isHub~}}   a: [  1_000  ]{{~/if~}}"), @r#"
    t.hbs:1:33: plain `1_000` is one number to some YAML readers and another, or a string, to others
      hint: quote it if text is meant: `"1_000"`; write it in decimal digits if a number is meant
    "#);
}

#[test]
fn a_place_in_an_indented_partial_is_told_in_the_partial() {
    let partials = [
        ("outer", "o:\n  p: {{name}}\n  {{> inner this}}\n  q: 12:30\n"),
        ("inner", "{{! note }}\ni: {{name}}\nj:\n  - k: yes\n"),
    ];
    assert_snapshot!(problems_with("a:\n  b:\n    {{> outer cluster}}\n  c: ~\n  d: 0x1F\n", &partials, &facts()), @r#"
    _partials/inner.hbs:4:8: plain `yes` is a boolean to YAML 1.1 readers and a string to 1.2 ones
      hint: write `true` or `false`, or quote it if text is meant: `"yes"`
    _partials/outer.hbs:4:6: plain `12:30` is a number in base 60 to YAML 1.1 readers and a string to 1.2 ones
      hint: quote it: `"12:30"`
    t.hbs:5:6: plain `0x1F` is one number to some YAML readers and another, or a string, to others
      hint: quote it if text is meant: `"0x1F"`; write it in decimal digits if a number is meant
    "#);
}

#[test]
fn a_place_in_an_indented_partial_counts_characters() {
    let partials = [("p", "a:\n  ü: yes\n")];
    let told = problems_with("x:\n  y:\n      {{> p cluster}}\n", &partials, &facts());
    assert!(told.starts_with("_partials/p.hbs:2:6: "), "{told}");
}

#[test]
fn a_backslash_before_braces_is_counted() {
    let template = r"a: {x: '\{{ b }}', y: '\{{ c', z: v}";
    let world = World::compile(template, &[]).unwrap();
    let scope = Scope::new(facts());
    let expand = Expand { template: &world.file, scope: &scope, addon: None, machine: None };
    for (key, place) in [("x", "t.hbs:1:8"), ("y", "t.hbs:1:23"), ("z", "t.hbs:1:35")] {
        let path = ["a", key].map(|key| Step::Key(key.to_owned()));
        let lines = world.templates.origin(expand, 0, &path).unwrap();
        assert_eq!(lines[0].place.to_string(), place);
        assert!(lines[0].expression.is_none() && lines.len() == 1);
    }
}

#[test]
fn a_syntax_error_is_told_at_its_place_in_the_template() {
    assert_snapshot!(said("a: [{{cluster.name}}\nb: 1\n"), @"
    t.hbs:2:2: a `:` stands where no key can be
      hint: check that the brackets before it are closed
    ");
    assert_snapshot!(said("{{#each addons}}\n- a: {{name}}\n   b: 1\n{{/each}}\n"), @"
    t.hbs:3:5: a `:` stands where no key can be
      hint: check the indentation, and quote the value if it holds `: `
    ");
    assert_snapshot!(said("a: {{cluster.name}}: x\n"), @"
    t.hbs:1:20: a `:` stands where no key can be
      hint: check the indentation, and quote the value if it holds `: `
    ");
    assert_snapshot!(said("a: \"{{cluster.name}}\" {{hub.name}}\n"), @r#"
    t.hbs:1:23: text follows the closing quote
      hint: quote all of the value; inside, write `''` or `\"`
    "#);
    assert_snapshot!(said("a: {{cluster.name}}\n\tb: 1\n"), @"
    t.hbs:1:4: a tab stands in the indentation
      hint: indent with spaces
    ");
    assert_snapshot!(said("a: {{ cluster.name }}{ {{hub.name}} }\nb: { {{hub.name}}\n"), @"
    t.hbs:2:4: `{` is not closed
      hint: close it, or quote a text that begins with it
    ");
    assert_snapshot!(said("a: {{cluster.name}}\n---\nb: }\n---\nc: 'x\n"), @r#"
    t.hbs:3:4: this is not YAML: misplaced bracket
    t.hbs:5:4: the quoted text is not closed
      hint: close the quotes; inside, write `''` or `\"`
    "#);
    assert_snapshot!(said("- {{cluster.name}}\nb: 1\n"), @"
    t.hbs:2:1: an item with `- ` is expected here
      hint: check the indentation
    ");
}

#[test]
fn every_value_knows_where_it_was_written() {
    let partials = [("meta", "{{! note }}\nname: {{name}}\nfixed: x\n")];
    let template =
        "a:\n  {{> meta cluster}}\n  more: \"{{hub.name}}-{{cluster.count}}\"\n  list: {{addons}}\n";
    let world = World::compile(template, &partials).unwrap();
    let scope = Scope::new(facts());
    let expand = Expand { template: &world.file, scope: &scope, addon: None, machine: None };
    let origin = |path: &[&str]| {
        let steps: Vec<_> = path.iter().map(|key| Step::Key((*key).to_owned())).collect();
        match world.templates.origin(expand, 0, &steps) {
            Some(lines) => {
                let written = |line: TemplateLine| match line.expression {
                    Some(expression) => format!("{} {expression}", line.place),
                    None => line.place.to_string(),
                };
                lines.into_iter().map(written).collect::<Vec<_>>().join(", ")
            }
            None => "nowhere".to_owned(),
        }
    };
    assert_snapshot!(origin(&["a", "name"]), @"_partials/meta.hbs:2:7 name");
    assert_snapshot!(origin(&["a", "fixed"]), @"_partials/meta.hbs:3:8");
    assert_snapshot!(origin(&["a", "more"]), @"t.hbs:3:10 hub.name, t.hbs:3:23 cluster.count");
    assert_snapshot!(origin(&["a", "list"]), @"t.hbs:4:9 addons");
    assert_snapshot!(origin(&["b"]), @"nowhere");
}
