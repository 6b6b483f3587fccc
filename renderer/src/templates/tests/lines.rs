//! Stories about line breaks: a tag that has a line to itself takes this line and no other.

use super::*;

/// Renders a template, in both kinds of line ends, with a partial as it is and with one more line break at its end.
fn documents_however_the_partial_ends(template: &str, partials: &[(&str, &str)]) -> Vec<Json> {
    let render = |line_end: &str, last: &str| -> Vec<Json> {
        let lines = |text: &str| text.replace('\n', line_end);
        let partials: Vec<_> =
            partials.iter().map(|(name, text)| (*name, lines(&format!("{text}{last}")))).collect();
        let partials: Vec<_> = partials.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let documents = render_with(&lines(template), &partials, &facts());
        let documents = documents.unwrap_or_else(|problems| panic!("{}", told(&problems)));
        documents.iter().map(Value::to_json).collect()
    };
    let bare = render("\n", "");
    for (line_end, last) in [("\n", "\n"), ("\r\n", ""), ("\r\n", "\n")] {
        assert_eq!(render(line_end, last), bare, "{template:?} with {line_end:?} and {last:?}");
    }
    bare
}

fn document_however_the_partial_ends(template: &str, partials: &[(&str, &str)]) -> Json {
    let mut documents = documents_however_the_partial_ends(template, partials);
    assert_eq!(documents.len(), 1, "{documents:?}");
    documents.remove(0)
}

#[test]
fn a_partial_on_a_line_of_its_own_ends_its_line() {
    let one = [("p", "- --one")];
    for template in [
        "args:\n  {{> p cluster}}\n  - --two",
        "args:\n{{> p cluster}}\n- --two\n",
        "args:\n  {{> p cluster}}  \n  - --two\n",
        "args:\n{{#if cluster}}\n  {{> p cluster}}\n{{/if}}\n  - --two\n",
        "args:\n  {{#if cluster}}\n  {{> p cluster}}\n  {{else}}\n  {{> p hub}}\n  {{/if}}\n  - --two\n",
        "args:\n  {{> p cluster}}\n  {{#if cluster}}\n  - --two\n  {{/if}}\n",
        "args:\n  {{> p cluster}}\n  {{! note }}\n  - --two\n",
        "args:\n  {{> p cluster}}\n  # note\n  - --two\n",
    ] {
        let expected = json!({"args": ["--one", "--two"]});
        assert_eq!(document_however_the_partial_ends(template, &one), expected, "{template:?}");
    }
}

#[test]
fn whatever_a_partial_ends_with_its_call_ends_the_line() {
    for partial in [
        "- {{name}}",
        "- {{name}}{{! note }}",
        "- \"{{name}}\"",
        "{{#if name}}- {{name}}{{/if}}",
        "{{#if name}}\n- {{name}}\n{{/if}}",
        "{{#each zones}}\n{{#if @first}}\n- {{../name}}\n{{/if}}\n{{/each}}",
        "{{#with name}}- {{this}}{{/with}}",
        "{{#unless name}}{{else}}- {{name}}{{/unless}}",
        "- eu-1",
        "- >-\n  eu-1",
    ] {
        let template = "a:\n  {{> p cluster}}\n  - two\n";
        let expected = json!({"a": ["eu-1", "two"]});
        assert_eq!(document_however_the_partial_ends(template, &[("p", partial)]), expected, "{partial:?}");
    }
}

#[test]
fn each_turn_of_a_loop_ends_its_lines() {
    let template = "a:\n{{#each cluster.zones}}\n  {{> p this}}\n{{/each}}\nb: 1\n";
    let expected = json!({"a": ["a", "b"], "b": 1});
    assert_eq!(document_however_the_partial_ends(template, &[("p", "- {{this}}")]), expected);
}

#[test]
fn partials_inside_partials_end_their_lines() {
    let expected = json!({"a": {"b": "eu-1", "c": "eu-1", "d": 2}, "e": 3});
    let template = "a:\n  {{> outer cluster}}\n  d: 2\ne: 3\n";
    for outer in ["b: {{name}}\n{{> inner this}}", "{{#if name}}\nb: {{name}}\n{{> inner this}}\n{{/if}}"] {
        let partials = [("outer", outer), ("inner", "c: {{name}}")];
        assert_eq!(document_however_the_partial_ends(template, &partials), expected, "{outer:?}");
    }
    let partials = [("outer", "{{> inner this}}\nb: {{name}}"), ("inner", "c: {{name}}")];
    assert_eq!(document_however_the_partial_ends(template, &partials), expected);
}

#[test]
fn lines_of_a_script_stay_apart() {
    let template =
        "run: |\n  {{> p cluster}}\n  two\n    {{> p cluster}}\n  {{> p cluster}}\n\n  three\nnext: 1\n";
    let expected =
        json!({"run": "one\nmore eu-1\ntwo\n  one\n  more eu-1\none\nmore eu-1\n\nthree\n", "next": 1});
    assert_eq!(document_however_the_partial_ends(template, &[("p", "one\nmore {{name}}")]), expected);
    let template =
        "run: |-\n  {{#each cluster.zones}}\n  {{> p this}}\n  {{/each}}\nnext: >\n  {{> p hub.name}}\n  x\n";
    let expected = json!({"run": "echo a\necho b", "next": "echo control x\n"});
    assert_eq!(document_however_the_partial_ends(template, &[("p", "echo {{this}}")]), expected);
}

#[test]
fn documents_stay_apart() {
    let template = "a: 1\n{{> p cluster}}\n---\nb: 2\n";
    let expected = [json!({"a": 1, "name": "eu-1"}), json!({"b": 2})];
    assert_eq!(documents_however_the_partial_ends(template, &[("p", "name: {{name}}")]), expected);
    let template = "{{#each cluster.zones}}\n{{> p this}}\n---\n{{/each}}\n";
    let expected = [json!({"zone": "a"}), json!({"zone": "b"})];
    assert_eq!(documents_however_the_partial_ends(template, &[("p", "zone: {{this}}")]), expected);
}

#[test]
fn a_partial_that_writes_nothing_takes_its_line_away() {
    for partial in
        ["", "{{! note }}", "{{!-- note --}}\n", "{{#if spare}}\nx\n{{/if}}", "{{#if spare}}x{{/if}}"]
    {
        let template = "{{> p cluster}}\nrun: |\n  one\n  {{> p cluster}}\n  two\n";
        let documents = document_with(template, &[("p", partial)], &facts());
        assert_eq!(documents, json!({"run": "one\ntwo\n"}), "{partial:?}");
    }
}

#[test]
fn the_last_line_of_a_file_may_be_a_partial() {
    for template in ["run: |\n  one\n  {{> p cluster}}", "run: |\n  one\n  {{> p cluster}}\n"] {
        assert_eq!(
            document_with(template, &[("p", "two\n")], &facts()),
            json!({"run": "one\ntwo\n"}),
            "{template:?}"
        );
    }
    let template = "run: |\n  one\n  {{> p cluster}}\n";
    assert_eq!(document_with(template, &[("p", "two")], &facts()), json!({"run": "one\ntwo\n"}));
}

#[test]
fn a_partial_within_a_line_stays_within_it() {
    let partials = [("outer", "{{> inner this}}"), ("inner", "{{name}}"), ("empty", "")];
    let template = "a: x-{{> outer cluster}}-y\nb: \"{{> inner cluster}}{{> inner hub}}\"\n{{> outer cluster}}: {{> empty hub}}z\n";
    let expected = json!({"a": "x-eu-1-y", "b": "eu-1control", "eu-1": "z"});
    assert_eq!(document_with(template, &partials, &facts()), expected);
    // What joins lines on purpose still does.
    let template = "a: {{> inner cluster ~}}\n  -y\nb:\n  - x\n  - {{> inner cluster ~}}\n  y\n";
    assert_eq!(document_with(template, &partials, &facts()), json!({"a": "eu-1-y", "b": ["x", "eu-1y"]}));
}

#[test]
fn the_lines_of_a_partial_within_a_line_keep_their_indentation() {
    let partials = [("p", "one\n  {{name}}")];
    let template = "a: |\n  x {{> p cluster}}\n   y {{> p cluster}} z\nb: 1\n";
    let expected = json!({"a": "x one\neu-1\n y one\neu-1 z\n", "b": 1});
    assert_eq!(document_with(template, &partials, &facts()), expected);
    // On a line of its own at the end of a file they are indented.
    let template = "b: 1\na: |\n  {{> p cluster}}";
    assert_eq!(document_with(template, &partials, &facts()), json!({"a": "one\n  eu-1", "b": 1}));
}

#[test]
fn what_stands_after_a_partial_keeps_its_place() {
    let partials = [("p", "- --one")];
    assert_eq!(
        problems_with("args:\n  {{> p cluster}}\n  - {{cluster.nmae}}\n", &partials, &facts()),
        "t.hbs:3:5: unknown value `cluster.nmae`: `cluster` has no `nmae`\n  hint: did you mean `cluster.name`?"
    );
    assert_eq!(
        problems_with("args:\n  {{> p cluster}}\n  - yes\n", &partials, &facts()).lines().next(),
        problems_with("args:\n  - --one\n  - yes\n", &partials, &facts()).lines().next()
    );
}
#[test]
fn a_raw_block_may_have_lines_of_its_own() {
    for (template, expected) in [
        ("a: |\n  one\n  {{{{raw}}}}\n  {{ $x }}\n  {{{{/raw}}}}\n  two\nb: 1\n", "one\n{{ $x }}\ntwo\n"),
        ("a: |\n  {{{{raw}}}}\n  {{ $x }}\n\n    {{y}}\n  {{{{/raw}}}}\nb: 1", "{{ $x }}\n\n  {{y}}\n"),
        ("a: |\n{{{{raw}}}}\n  {{ $x }}\n{{{{/raw}}}}\nb: 1", "{{ $x }}\n"),
        ("a: |\n  {{{{ raw }}}}  \n  {{ $x }}\n  {{{{ /raw }}}} \n  two\nb: 1", "{{ $x }}\ntwo\n"),
        ("a: |\n  {{{{raw}}}}\n  {{{{/raw}}}}\n  two\nb: 1", "two\n"),
        ("a: |\n  {{#if cluster}}\n  {{{{raw}}}}\n  {{ $x }}\n  {{{{/raw}}}}\n  {{/if}}\nb: 1", "{{ $x }}\n"),
        ("a: |\n  {{> p cluster}}\n  two\nb: 1", "one\n  {{ $x }}\n    {{ $y }}\ntwo\n"),
        ("b: 1\na: |\n  {{{{raw}}}}\n  {{ $x }}\n  {{{{/raw}}}}", "{{ $x }}\n"),
        ("{{{{raw}}}}\na: '{{ $x }}'\n{{{{/raw}}}}\nb: 1\n", "{{ $x }}"),
        ("a: |\n  {{{{raw}}}}\n  \\{{ $x }} \\\\{{ y }}\n  {{{{/raw}}}}\nb: 1", "\\{{ $x }} \\\\{{ y }}\n"),
        // Within a line nothing is lost, and `~` takes white space away as it does elsewhere.
        ("a: '{{{{raw}}}} {{ $x }} {{{{/raw}}}}'\nb: 1", " {{ $x }} "),
        ("a: |\n  x{{{{raw}}}} {{ $x }}{{{{/raw}}}}\n  two\nb: 1", "x {{ $x }}\ntwo\n"),
        ("a: x{{{{raw~}}}}\n  {{ $x }} {{{{~/raw}}}}\nb: 1", "x{{ $x }}"),
    ] {
        for template in [template.to_owned(), template.replace('\n', "\r\n")] {
            let partials = [("p", "one\n{{{{raw}}}}\n  {{ $x }}\n    {{ $y }}\n{{{{/raw}}}}")];
            let document = document_with(&template, &partials, &facts());
            assert_eq!(document, json!({"a": expected, "b": 1}), "{template:?}");
        }
    }
}

#[test]
fn a_place_inside_a_raw_block_is_found() {
    let template = "a: 1\n{{{{raw}}}}\nb: '{{ x }}'\n\nc: yes\n{{{{/raw}}}}\nd: yes\n";
    let told = problems(template, &facts());
    assert!(told.starts_with("t.hbs:5:4: "), "{told}");
}
