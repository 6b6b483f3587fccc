use super::*;

#[test]
fn conditions_choose_among_branches() {
    let template = "a: {{#if x}}1{{else if y}}2{{else if (eq z \"c\")}}3{{else}}4{{/if}}\nb: {{#unless x}}1{{else}}2{{/unless}}\n";
    for (facts, a, b) in [
        (json!({"x": 1, "y": 1, "z": "c"}), 1, 2),
        (json!({"x": 0, "y": "1", "z": "c"}), 2, 1),
        (json!({"x": "", "y": [], "z": "c"}), 3, 1),
        (json!({"x": null, "y": {}, "z": "d"}), 4, 1),
    ] {
        assert_eq!(document(template, &facts), json!({"a": a, "b": b}), "{facts}");
    }
}

#[test]
fn a_loop_knows_where_it_is() {
    let template = "\
{{#each list}}
- i: {{@index}}
  v: {{this}}
  {{#if @first}}
  first: true
  {{/if}}
  {{#if @last}}
  last: true
  {{/if}}
{{else}}
- none
{{/each}}
";
    let expected = json!([{"i": 0, "v": "a", "first": true}, {"i": 1, "v": "b", "last": true}]);
    assert_eq!(document(template, &json!({"list": ["a", "b"]})), expected);
    assert_eq!(document(template, &json!({"list": []})), json!(["none"]));
}

#[test]
fn a_loop_over_a_map_knows_the_key() {
    let facts = json!({"map": {"b": 1, "a": {"x": 2}}});
    assert_eq!(
        document("{{#each map}}\n{{@key}}-{{@index}}: {{this}}\n{{/each}}", &facts),
        json!({"a-0": {"x": 2}, "b-1": 1})
    );
    let template = "{{#each map as |value key|}}\n{{key}}: {{value}}\n{{/each}}";
    assert_eq!(document(template, &facts), json!({"a": {"x": 2}, "b": 1}));
}

#[test]
fn loops_inside_loops_reach_out_with_dots_and_names() {
    let facts = json!({"n": "top", "rows": [{"n": "r", "cells": [{"n": "c"}]}]});
    let template = "\
{{#each rows as |row|}}
{{#each cells as |cell i|}}
- [{{n}}, {{../n}}, {{../../n}}, {{@root.n}}, {{row.n}}, {{cell.n}}, {{i}}, {{@../index}}, {{this.n}}, {{../this.n}}]
{{/each}}
{{/each}}
";
    assert_eq!(document(template, &facts), json!([["c", "r", "top", "top", "r", "c", 0, 0, "c", "r"]]));
}

#[test]
fn with_moves_to_a_value_and_back() {
    let template = "{{#with a}}\nx: {{b}}\n{{/with}}\ny: {{#with none as |n|}}{{n}}{{else}}none{{/with}}\nz: {{#with a as |n|}}{{n.b}}{{/with}}\n";
    assert_eq!(
        document(template, &json!({"a": {"b": 1}, "none": null})),
        json!({"x": 1, "y": "none", "z": 1})
    );
}

#[test]
fn loops_go_over_computed_lists() {
    let facts = json!({"maps": {"m": [{"v": 1, "l": ["a"]}]}, "k": "m", "n": 7});
    let template = "{{#each (lookup maps k)}}\n- v: {{v}}\n  n: {{@root.n}}\n  k: {{../k}}\n  l: [{{#each l}}{{this}}-{{../v}}{{/each}}]\n{{/each}}";
    assert_eq!(document(template, &facts), json!([{"v": 1, "n": 7, "k": "m", "l": ["a-1"]}]));
}

#[test]
fn a_partial_sees_its_argument_and_is_indented() {
    let partial = "name: {{name}}\nlabels:\n  {{#each labels}}\n  {{@key}}: {{this}}\n  {{/each}}\nnote: |\n  {{name}}\n  end\n";
    let template = "a:\n  b:\n    {{> meta cluster}}\n  c: 1\n";
    let expected = json!({"a": {
        "b": {"name": "eu-1", "labels": {"region": "local", "tier": "gold"}, "note": "eu-1\nend\n"},
        "c": 1,
    }});
    assert_eq!(document_with(template, &[("meta", partial)], &facts()), expected);
}

#[test]
fn a_partial_takes_named_arguments_with_or_without_a_map() {
    let partial = [("size", "{{size}}-{{default name \"none\"}}")];
    let template = "a: {{> size cluster size=cluster.count}}\nb: {{> size size=(len cluster.zones)}}\nc: {{> size size='x' name=hub.name}}\n";
    let expected = json!({"a": "3-eu-1", "b": "2-none", "c": "x-control"});
    assert_eq!(document_with(template, &partial, &facts()), expected);
}

#[test]
fn a_partial_in_a_loop_sees_the_item_and_the_turn() {
    let partials = [
        ("item", "- name: {{name}}\n  i: {{@index}}\n  {{> inner settings}}\n"),
        ("inner", "r: {{retention}}\n"),
    ];
    let expected = json!([{"name": "metallb", "i": 0, "r": "15d"}, {"name": "loki", "i": 1, "r": "1.10"}]);
    assert_eq!(document_with("{{#each addons}}\n{{> item this}}\n{{/each}}", &partials, &facts()), expected);
    let template = "{{#each addons as |one|}}\n{{> item one}}\n{{/each}}";
    assert_eq!(document_with(template, &partials, &facts()), expected);
}

#[test]
fn a_partial_does_not_see_the_names_of_its_callers() {
    // Both the block parameter `name` and the named argument `name` would hide the fact `name` otherwise.
    let partials = [("outer", "{{> inner hub}}"), ("inner", "{{name}}")];
    let template = "a: {{#each cluster.zones as |name|}}{{> inner @root.hub}}{{/each}}\nb: {{> outer hub=hub name=\"x\"}}\n";
    assert_eq!(document_with(template, &partials, &facts()), json!({"a": "controlcontrol", "b": "control"}));
}

#[test]
fn the_names_of_a_caller_are_there_again_after_a_partial() {
    let partials = [("p", "{{#each zones as |x|}}{{x}}{{/each}}")];
    let template = "{{#each addons as |x i|}}\n- \"{{i}}{{> p @root.cluster}}{{x.name}}{{@index}}{{../hub.name}}\"\n{{/each}}";
    assert_eq!(
        document_with(template, &partials, &facts()),
        json!(["0abmetallb0control", "1abloki1control"])
    );
}

#[test]
fn the_addon_at_hand_is_found_from_inside_blocks() {
    let file = RepoPath::parse(TEMPLATE).unwrap();
    let text = "a: {{addon.name}}\nb: [{{#each cluster.zones}}{{addon.settings.retention}},{{/each}}]\n";
    let source = TemplateSource { file: file.clone(), text: text.into() };
    let templates = Templates::compile(vec![source], vec![], Texts::new()).unwrap();
    let scope = Scope::new(facts());
    let rendered =
        templates.render(Expand { template: &file, scope: &scope, addon: Some(1), machine: None }).unwrap();
    assert_eq!(rendered[0].to_json(), json!({"a": "loki", "b": ["1.10", "1.10"]}));
    let misspelt = TemplateSource { file: file.clone(), text: "a: {{addon.setings.x}}".into() };
    let templates = Templates::compile(vec![misspelt], vec![], Texts::new()).unwrap();
    let problems = templates
        .render(Expand { template: &file, scope: &scope, addon: Some(1), machine: None })
        .unwrap_err();
    insta::assert_snapshot!(told(&problems), @"
    t.hbs:1:4: unknown value `addon.setings.x`: `addon` has no `setings`
      hint: did you mean `addon.settings`?
    ");
}

#[test]
fn the_names_that_templates_read_are_known() {
    let world = World::compile(
        "a: {{cluster.[a b].c}}\n{{#each (lookup x \"y\") as |i|}}{{@root/z}}{{> p q r=s}}{{/each}}{{#if (eq 1 t)}}{{else if u}}{{/if}}",
        &[("p", "{{../v}}{{w}}")],
    );
    assert!(told(&world.err().unwrap()).contains("leads out of the partial"));
    let world = World::compile(
        "a: {{cluster.[a b].c}}\n{{#each (lookup x \"y\") as |i|}}{{@root/z}}{{> p q r=s}}{{/each}}{{#if (eq 1 t)}}{{else if u}}{{/if}}",
        &[("p", "{{w}}")],
    );
    let world = world.unwrap_or_else(|problems| panic!("{}", told(&problems)));
    let names: Vec<_> = world.templates.names_read().iter().map(String::as_str).collect();
    assert_eq!(names, ["a b", "c", "cluster", "q", "s", "t", "u", "w", "x", "y", "z"]);
}
