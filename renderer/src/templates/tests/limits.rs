//! Nothing that a template does takes the process down, all memory, or for ever.

use std::fmt::Write as _;

use insta::assert_snapshot;

use super::*;

fn said(template: &str, facts: &Json) -> String {
    problems(template, facts)
}

fn numbers(count: usize) -> Json {
    json!({"list": (0..count).collect::<Vec<_>>()})
}

#[test]
fn a_template_that_writes_100_mb_is_stopped() {
    let template = format!("a: |\n{{{{#each list}}}}\n  {}\n{{{{/each}}}}\n", "x".repeat(10_000));
    assert_snapshot!(said(&template, &numbers(10_000)), @"
    t.hbs:1:1: the file grows larger than 8 MiB
      hint: split it, or insert less
    ");
    let facts = json!({"list": vec![0; 10_000], "text": "x".repeat(10_000)});
    assert_snapshot!(said("{{#each list}}\n- {{@root.text}}\n{{/each}}\n", &facts), @"
    t.hbs:2:3: the file grows larger than 8 MiB
      hint: split it, or insert less
    ");
}

#[test]
fn an_alias_that_repeats_a_large_value_is_stopped() {
    let mut template = String::from("a: &a {{text}}\nb:\n");
    for _ in 0..10_000 {
        template.push_str("  - *a\n");
    }
    let facts = json!({"text": "x".repeat(10_000)});
    assert_snapshot!(said(&template, &facts), @"
    t.hbs:1:7: `{{text}}` stands in many places: the file grows larger than 8 MiB
      hint: split it, or insert less
    ");
    let template = template.replace("{{text}}", "\"{{text}}!\"");
    assert_snapshot!(said(&template, &facts), @"
    t.hbs:1:8: `{{text}}` stands in many places: the file grows larger than 8 MiB
      hint: split it, or insert less
    ");
}

#[test]
fn loops_inside_loops_are_stopped() {
    let template = "{{#each list}}{{#each @root.list}}{{/each}}{{/each}}";
    assert_snapshot!(said(template, &numbers(10_000)), @"
    t.hbs:1:15: the template takes more than 1000000 steps
      hint: loop over a shorter list, or use fewer loops inside each other
    ");
    // In a partial, a list is a copy, and so is each value that is taken from it.
    let partials = [("p", "{{#each list}}{{#if (len ../list)}}{{/if}}{{/each}}")];
    assert_snapshot!(problems_with("{{> p list=list}}", &partials, &numbers(10_000)), @"
    _partials/p.hbs:1:15: the template takes more than 1000000 steps
      hint: loop over a shorter list, or use fewer loops inside each other
    ");
}

#[test]
fn a_call_costs_what_it_looks_through() {
    let template = "{{#each list}}{{#if (eq @root.list @root.list)}}{{/if}}{{/each}}";
    assert!(render_with(template, &[], &numbers(1_000)).is_ok());
    assert_snapshot!(said(template, &numbers(20_000)), @"
    t.hbs:1:15: the template takes more than 1000000 steps
      hint: loop over a shorter list, or use fewer loops inside each other
    ");
}

#[test]
fn partials_that_multiply_are_stopped() {
    let names = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"];
    let texts: Vec<String> =
        (1..9).map(|next| format!("{{{{> p{next} x=1}}}}").repeat(10)).chain([String::new()]).collect();
    let partials: Vec<_> = names.iter().zip(&texts).map(|(name, text)| (*name, text.as_str())).collect();
    assert_snapshot!(problems_with("{{> p0 x=1}}", &partials, &json!({})), @"
    _partials/p7.hbs:1:73: the template takes more than 1000000 steps
      hint: loop over a shorter list, or use fewer loops inside each other
    ");
}

#[test]
fn a_file_inserts_as_many_values_as_there_are_tokens() {
    let template = "{{#each list}}\n- {{this}}\n{{/each}}";
    assert_eq!(document(template, &numbers(MAX_VALUES)).as_array().map(Vec::len), Some(MAX_VALUES));
    assert_snapshot!(said(template, &numbers(MAX_VALUES + 1)), @"
    t.hbs:2:3: the file inserts more than 65520 values
      hint: insert a list or a map as a whole: `{{list}}` as a value of its own
    ");
}

#[test]
fn many_keys_from_values_are_compared_quickly() {
    let map: serde_json::Map<_, _> = (0..60_000).map(|n| (format!("k{n}"), json!(1))).collect();
    assert_eq!(document("{{#each map}}\n{{@key}}: 1\n{{/each}}", &json!({"map": map})), Json::Object(map));
}

#[test]
fn the_deepest_templates_that_are_taken_fit_the_stack() {
    let blocks = |levels: usize, inner: &str| "{{#if x}}".repeat(levels) + inner + &"{{/if}}".repeat(levels);
    let template = format!("a: {}", blocks(MAX_NESTING, "1"));
    assert_eq!(document(&template, &json!({"x": 1})), json!({"a": 1}));
    let loops =
        "{{#each this}}".repeat(MAX_NESTING) + "a: {{default nope 1}}" + &"{{/each}}".repeat(MAX_NESTING);
    let nested = (0..MAX_NESTING).fold(json!({}), |inner, _| json!([inner]));
    assert_eq!(document(&loops, &nested), json!({"a": 1}));
    let chain = format!(
        "a: {{{{#if y}}}}0{}{{{{/if}}}}",
        "{{else if y}}0".repeat(MAX_NESTING - 2) + "{{else if x}}1"
    );
    assert_eq!(document(&chain, &json!({"x": 1, "y": 0})), json!({"a": 1}));
    let mut partials: Vec<_> =
        (1..MAX_NESTING).map(|at| (format!("p{at}"), format!("{{{{> p{} x=x}}}}", at + 1))).collect();
    partials.push((format!("p{MAX_NESTING}"), blocks(MAX_NESTING, "a: 1")));
    let partials: Vec<_> = partials.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(document_with("{{> p1 x=x}}", &partials, &json!({"x": 1})), json!({"a": 1}));
}

#[test]
fn templates_that_are_too_deep_are_refused() {
    let deep = "{{#if x}}".repeat(2_000) + &"{{/if}}".repeat(2_000);
    assert_snapshot!(said(&deep, &json!({})), @"
    t.hbs:1:577: more than 64 blocks and `else if` branches inside each other
      hint: use `lookup` in a map of the inventory, or move the inner ones into a partial
    ");
    let chain = format!("{{{{#if x}}}}{}{{{{/if}}}}", "{{else if x}}".repeat(2_000));
    assert_snapshot!(said(&chain, &json!({})), @"
    t.hbs:1:829: more than 64 blocks and `else if` branches inside each other
      hint: use `lookup` in a map of the inventory, or move the inner ones into a partial
    ");
    let brackets = format!("{{{{len {}x{}}}}}", "(len ".repeat(2_000), ")".repeat(2_000));
    assert_snapshot!(said(&brackets, &json!({})), @"
    t.hbs:1:1: more than 32 brackets in one expression
      hint: split the expression
    ");
    let hidden = format!("{{{{len {}x{}}}}}", "(len \")\" ".repeat(2_000), ")".repeat(2_000));
    assert_snapshot!(said(&hidden, &json!({})), @"
    t.hbs:1:1: more than 32 brackets in one expression
      hint: split the expression
    ");
    let maps = format!("{{{{len {}", "{\"a\":".repeat(2_000));
    assert_snapshot!(said(&maps, &json!({})), @r#"
    t.hbs:1:1: `{{` is never closed
      hint: close it and the quotes in it, or write `\{{` for braces that are meant as text
    "#);
    let lists = format!("{{{{len {}1{} }}}}", "[".repeat(2_000), "]".repeat(2_000));
    assert_snapshot!(said(&lists, &json!({})), @"
    t.hbs:1:1: more than 32 brackets in one expression
      hint: split the expression
    ");
    let flow = format!("a: {}{{{{x}}}}{}", "[".repeat(2_000), "]".repeat(2_000));
    assert_snapshot!(said(&flow, &json!({"x": 1})), @"
    t.hbs:1:259: lists and maps are nested more than 128 deep
      hint: check the indentation and the brackets
    ");
}

#[test]
fn partials_that_are_too_deep_are_refused() {
    let calls = (0..=MAX_NESTING)
        .map(|at| (format!("p{at}"), format!("{{{{#if x}}}}{{{{> p{} x=x}}}}{{{{/if}}}}", at + 1)));
    let mut partials: Vec<_> = calls.collect();
    partials.push((format!("p{}", MAX_NESTING + 1), String::new()));
    let partials: Vec<_> = partials.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let said = problems_with("{{> p0 x=x}}", &partials, &json!({"x": 1}));
    assert_snapshot!(said.lines().take(2).collect::<Vec<_>>().join("\n"), @"
    t.hbs:1:1: more than 64 blocks and partials inside each other (and in 33 more places)
      hint: call fewer partials from partials
    ");
}

#[test]
fn a_template_has_room_for_thousands_of_values_and_not_for_more() {
    let mut template = String::new();
    for at in 0..MAX_TAGS {
        writeln!(template, "k{at}: {{{{x}}}}").unwrap();
    }
    assert_eq!(document(&template, &json!({"x": 1})).as_object().map(serde_json::Map::len), Some(MAX_TAGS));
    assert_snapshot!(said(&format!("{template}a: {{{{x}}}}\n"), &json!({"x": 1})), @"
    t.hbs:4097:4: more than 4096 tags in one template
      hint: loop over a list of the inventory, or insert a map as a whole
    ");
    assert_snapshot!(said(&"a: 1\n".repeat(10_000_000), &json!({})), @"
    t.hbs:1:1: the template is larger than 128 KiB
      hint: split it, or move data into the inventory
    ");
}
