use super::*;

#[test]
fn a_template_without_tags_is_plain_yaml() {
    assert_eq!(document("a: 1\nb: [x, true]\n", &json!({})), json!({"a": 1, "b": ["x", true]}));
}

#[test]
fn a_value_that_stands_alone_keeps_its_type() {
    for value in
        [json!(3), json!(0.5), json!(true), json!(null), json!("a"), json!(["a", {"b": 1}]), json!({"a": []})]
    {
        let facts = json!({"v": value});
        for template in
            ["a: {{v}}", "a: {{{v}}}", "a: {{&v}}", "a:   {{ v }}  ", "a:\n  {{v}}\n", "a: {{v}} # note"]
        {
            assert_eq!(document(template, &facts), json!({"a": value}), "{template}");
        }
        assert_eq!(document("{{v}}", &facts), value);
        assert_eq!(document("- {{v}}\n- - {{v}}", &facts), json!([value, [value]]));
        assert_eq!(document("[{{v}}, {a: {{v}}}]", &facts), json!([value, {"a": value}]));
    }
}

#[test]
fn a_string_that_looks_like_something_else_stays_a_string() {
    for text in [
        "no",
        "1.10",
        "0x1F",
        "null",
        "",
        " ",
        "~",
        "foo: bar\n- x",
        "{{x}}",
        "- a",
        "# a",
        "*a",
        "a\u{F0000}b",
        "\u{7}\0",
        "a\r\n\tb",
    ] {
        let facts = json!({"v": text, "n": 1});
        let template = "a: {{v}}\nb: '{{v}}'\nc: \"<{{v}}>\"\nd: x{{v}}y\ne: [{{v}}]\n\"{{v}}\": 1\nf: |-\n  {{v}}\n  {{n}}\n";
        let expected = json!({
            "a": text, "b": text, "c": format!("<{text}>"), "d": format!("x{text}y"), "e": [text], (text): 1,
            "f": format!("{text}\n1"),
        });
        assert_eq!(document(template, &facts), expected);
    }
}

#[test]
fn a_value_of_10_000_lines_stays_in_its_scalar() {
    let text = "line: [\n".repeat(10_000);
    let template = "a: {{v}}\nb: |\n  {{v}}\nc: 1\n";
    assert_eq!(document(template, &json!({"v": text})), json!({"a": text, "b": format!("{text}\n"), "c": 1}));
}

#[test]
fn a_value_inside_other_text_reads_as_it_would_alone() {
    let facts = json!({"i": 3, "f": 2.0, "big": 1e21, "t": true, "s": "x"});
    let template =
        "a: {{i}}{{t}}\nb: v{{f}}\nc: '{{big}}'\nd: \"{{s}}\\n{{i}}\"\ne: >\n  {{s}}\n  {{s}}\nf: {{f}}\n";
    let expected = json!({"a": "3true", "b": "v2", "c": "1.0e+21", "d": "x\n3", "e": "x x\n", "f": 2});
    assert_eq!(document(template, &facts), expected);
}

#[test]
fn a_key_is_made_from_a_value() {
    let facts = json!({"k": "a: b", "n": 1, "t": true});
    let expected = json!({"a: b": "x", "pre-a: b": 1, "1": 2, "true": 3});
    assert_eq!(document("{{k}}: x\n\"pre-{{k}}\": 1\n{{n}}: 2\n{{t}}: 3\n", &facts), expected);
    assert_eq!(document("a: { {{k}}: {{n}} }", &facts), json!({"a": {"a: b": 1}}));
}

#[test]
fn anchors_aliases_and_merges_carry_values() {
    let facts = json!({"v": [1], "s": "x"});
    let template = "a: &a {{v}}\nb: *a\nc: &c {k: \"{{s}}!\", l: 1}\nd:\n  <<: *c\n  l: {{s}}\n";
    let expected = json!({"a": [1], "b": [1], "c": {"k": "x!", "l": 1}, "d": {"k": "x!", "l": "x"}});
    assert_eq!(document(template, &facts), expected);
}

#[test]
fn a_value_that_spells_a_merge_is_an_ordinary_key() {
    let facts = json!({"k": "<<", "v": {"x": 1}});
    assert_eq!(document("{{k}}: {{v}}", &facts), json!({"<<": {"x": 1}}));
}

#[test]
fn a_file_has_as_many_documents_as_the_template_writes() {
    let documents = render_with(
        "a: {{v}}\n---\nb: {{v}}\n---\n{{#if no}}c: 1{{/if}}\n",
        &[],
        &json!({"v": 1, "no": false}),
    );
    let documents: Vec<_> = documents.unwrap().iter().map(Value::to_json).collect();
    assert_eq!(documents, [json!({"a": 1}), json!({"b": 1})]);
}

#[test]
fn a_template_that_renders_to_nothing_has_no_document() {
    for template in ["", "\n\n", "{{! note }}", "{{#if no}}a: 1{{/if}}\n", "# {{no}}\n", "---\n"] {
        assert_eq!(render_with(template, &[], &json!({"no": false})), Ok(vec![]), "{template:?}");
    }
}

#[test]
fn what_looks_like_a_key_of_a_path_or_a_helper_is_found_by_its_path() {
    let facts = json!({"if": 1, "a.b": {"c d": 2}, "list": [{"x": 3}], "it's": 4, "len": 5});
    let template = "a: {{if}}\nb: {{[a.b].[c d]}}\nc: {{list.0.x}}\nd: {{list.[0].x}}\ne: {{this.[it's]}}\nf: {{len}}\ng: {{list/0/x}}\n";
    let expected = json!({"a": 1, "b": 2, "c": 3, "d": 3, "e": 4, "f": 5, "g": 3});
    assert_eq!(document(template, &facts), expected);
}

#[test]
fn functions_keep_types_and_nest() {
    let template = "\
a: {{default cluster.nope 5}}
b: {{default cluster.spare cluster.zones}}
c: {{len cluster.zones}}
d: {{join cluster.zones \"}}\"}}
e: {{and cluster.isHub (not (eq cluster.role \"app\"))}}
f: {{lookup cluster.labels 'tier'}}
";
    let mut facts = facts();
    facts["cluster"]["role"] = json!("control");
    let expected = json!({"a": 5, "b": ["a", "b"], "c": 2, "d": "a}}b", "e": true, "f": "gold"});
    assert_eq!(document(template, &facts), expected);
}

#[test]
fn braces_for_other_engines_are_text() {
    let template = "a: '\\{{ .name }}-{{n}}'\nb: \"{{{{raw}}}}{{ x }}{{{{/raw}}}}\"\nc: '\\\\{{n}}'\n";
    assert_eq!(
        document(template, &json!({"n": 1})),
        json!({"a": "{{ .name }}-1", "b": "{{ x }}", "c": "\\1"})
    );
}

#[test]
fn comments_of_both_languages_write_nothing() {
    let template = "{{!-- {{nope}} }} --}}\n# {{v}}: [\na: {{v}} # {{v}}\n{{! short }}\n{{!--}} x --}}\n";
    assert_eq!(document(template, &json!({"v": 1})), json!({"a": 1}));
}

#[test]
fn white_space_control_takes_the_space_beside_a_tag() {
    assert_eq!(document("a: \"x  {{~v~}}  y\"\n", &json!({"v": 1})), json!({"a": "x1y"}));
    assert_eq!(
        document("a: [\n{{~#each v~}}\n {{this}}, {{~/each~}}\n]\n", &json!({"v": [1, 2]})),
        json!({"a": [1, 2]})
    );
}

#[test]
fn windows_line_ends_make_no_difference() {
    let template = "a: {{v}}\r\nb:\r\n  {{#each l}}\r\n  - {{this}}\r\n  {{/each}}\r\nc: |\r\n  x\r\n";
    assert_eq!(document(template, &json!({"v": 1, "l": [1]})), json!({"a": 1, "b": [1], "c": "x\n"}));
}

#[test]
fn an_ipv6_address_stands_in_brackets_where_a_host_does() {
    for (template, with_v6) in [
        ("http://{{a}}:{{p}}/x", "http://[fd00::1]:9090/x"),
        ("https://{{a}}", "https://[fd00::1]"),
        ("'{{a}}:{{p}}'", "[fd00::1]:9090"),
        ("\"{{a}}:9104\"", "[fd00::1]:9104"),
        ("'[{{a}}]:{{p}}'", "[fd00::1]:9090"),
        ("https://{{u}}@{{a}}/{{a}}", "https://reader@[fd00::1]/fd00::1"),
        ("{{a}}", "fd00::1"),
        ("'{{a}}'", "fd00::1"),
        ("'{{a}}/128'", "fd00::1/128"),
        ("'{{a}}: {{p}}'", "fd00::1: 9090"),
        ("at {{a}}, {{a}}:{{p}} and {{a}}", "at fd00::1, [fd00::1]:9090 and fd00::1"),
        ("http://{{host a}}:{{p}}", "http://[fd00::1]:9090"),
        ("{{host a}}", "[fd00::1]"),
    ] {
        let facts = |address: &str| json!({"a": address, "p": 9090, "u": "reader"});
        let rendered = document(&format!("v: {template}\n"), &facts("fd00::1"));
        assert_eq!(rendered, json!({"v": with_v6}), "{template}");
        if !template.contains('[') {
            let rendered = document(&format!("v: {template}\n"), &facts("10.0.0.1"));
            let with_v4 = with_v6.replace("[fd00::1]", "10.0.0.1").replace("fd00::1", "10.0.0.1");
            assert_eq!(rendered, json!({"v": with_v4}), "{template}");
        }
    }
    let script =
        "v: |\n  curl http://{{a}}:{{p}}/\n  ping {{a}}\n{{#if p}}w: '{{a}}{{#if p}}:{{p}}{{/if}}'{{/if}}\n";
    assert_eq!(
        document(script, &json!({"a": "fd00::1", "p": 80})),
        json!({"v": "curl http://[fd00::1]:80/\nping fd00::1\n", "w": "[fd00::1]:80"})
    );
}
