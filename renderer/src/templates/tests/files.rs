//! Stories about files that are inserted as text.

use insta::assert_snapshot;

use super::*;

const HOSTILE: [&str; 10] = [
    "{\n  \"legend\": \"{{instance}} {{#if x}} {{{{raw}}}} \\{{ $x }}\"\n}\n",
    "---\na: b\n...\n--- c\n",
    "no newline at its end",
    "  indented\n\ttabs\n\n\n",
    "windows\r\nlines\r\n",
    "\u{F0000}\u{100000} \u{FFFD} \u{202e} 'quotes\" #x: |\n",
    "\n\n",
    "",
    "*a &b !c %d @e `f`\n",
    "{{file \"other\"}}\n",
];

fn inserted(template: &str, text: &str) -> Json {
    let world = World::compile_with(template, &[("p", "{{file \"a/x.json\"}}")], &[("a/x.json", text)]);
    let documents = world.and_then(|world| world.render(&facts()));
    documents.unwrap_or_else(|problems| panic!("{}", told(&problems)))[0].to_json()
}

#[test]
fn a_file_is_inserted_as_it_stands() {
    for text in HOSTILE {
        for template in [
            "a: {{file \"a/x.json\"}}\nb: 1\n",
            "a: '{{file \"a/x.json\"}}'\nb: 1\n",
            "a: {{> p cluster}}\nb: 1\n",
            "a: {{default cluster.x (file \"a/x.json\")}}\nb: 1\n",
            "a: |-\n  {{file 'a/x.json'}}\nb: 1\n",
        ] {
            assert_eq!(inserted(template, text), json!({"a": text, "b": 1}), "{template:?} {text:?}");
        }
        // A block scalar ends its last line, and a file that does so as well adds no second line break.
        let ended = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
        assert_eq!(inserted("a: |\n  {{file \"a/x.json\"}}\nb: 1\n", text), json!({"a": ended, "b": 1}));
        let template = "a: |\n  one\n  {{file \"a/x.json\"}}\n  two\nb: 1\n";
        assert_eq!(inserted(template, text), json!({"a": format!("one\n{ended}two\n"), "b": 1}));
    }
}

#[test]
fn a_written_file_holds_the_text_again() {
    let large = "    \"expr\": \"sum({{ x }}) by (\\\"y\\\")\",\n".repeat(7_000);
    for text in HOSTILE.into_iter().chain([large.as_str()]) {
        let document = Value::from(&inserted("data:\n  x.json: {{file \"a/x.json\"}}\n", text));
        let written = yaml::write(&document);
        assert_eq!(yaml::interpret(&yaml::parse(&written).unwrap()[0]).unwrap(), document, "{text:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_told_where_it_is_named() {
    let told = |template: &str| {
        let world = World::compile_with(template, &[], &[("dashboards/nodes.json", "{}")]);
        told(&world.err().unwrap_or_default())
    };
    assert_snapshot!(told("a: 1\nb: {{file \"dashboards/node.json\"}}\nc: {{file 'x.txt'}}\n"), @"
    t.hbs:2:4: unknown file `dashboards/node.json`
      hint: did you mean `dashboards/nodes.json`?
    t.hbs:3:4: unknown file `x.txt`
      hint: create `templates/_files/x.txt`
    ");
    assert_snapshot!(told("a: {{file '../../etc/passwd'}}\nb: {{file '/etc/passwd'}}\nc: {{file ''}}\nd: {{file 'a\\\\b'}}\n"), @r#"
    t.hbs:1:4: `../../etc/passwd` is not a path inside the repository: it has a `.` or `..` component
      hint: write the path of a file below `templates/_files/`, as in `(file "dashboards/a.json")`
    t.hbs:2:4: `/etc/passwd` is not a path inside the repository: it is absolute
      hint: write the path of a file below `templates/_files/`, as in `(file "dashboards/a.json")`
    t.hbs:3:4: `` is not a path inside the repository: it is empty
      hint: write the path of a file below `templates/_files/`, as in `(file "dashboards/a.json")`
    t.hbs:4:4: `a\\b` is not a path inside the repository: it contains a backslash
      hint: write the path of a file below `templates/_files/`, as in `(file "dashboards/a.json")`
    "#);
    assert_snapshot!(told("a: {{file cluster.name}}\nb: {{file}}\nc: {{file 'a' 'b'}}\nd: {{file 'a' b=1}}\ne: {{file 1}}\n"), @r#"
    t.hbs:1:4: the name of a file must be written out
      hint: choose with `{{#if}}` instead
    t.hbs:3:4: `file` takes 1 argument, not 2
      hint: write it like `(file "dashboards/a.json")`
    t.hbs:4:4: unknown file `a`
      hint: create `templates/_files/a`
    t.hbs:4:4: helpers take no named arguments
      hint: give the values one after the other
    t.hbs:5:4: the name of a file must be written out
      hint: choose with `{{#if}}` instead
    "#);
}

#[test]
fn a_file_in_a_loop_is_counted() {
    let large = "x".repeat(1024 * 1024);
    let rounds = vec!["x"; 10_000];
    let facts = json!({"rounds": rounds});
    for template in [
        "a:\n{{#each rounds}}\n  - {{file 'x'}}\n{{/each}}\n",
        "a:\n{{#each rounds}}{{#if (file 'x')}}{{/if}}{{/each}}\n",
        "a:\n{{#each rounds}}{{> p x=(file 'x')}}{{/each}}\n",
    ] {
        let world = World::compile_with(template, &[("p", "{{! }}")], &[("x", &large)]).unwrap();
        let told = told(&world.render(&facts).unwrap_err());
        assert!(told.contains("more than 1000000 steps") || told.contains("larger than 8 MiB"), "{told}");
    }
}

#[test]
fn a_template_knows_what_it_is_made_of_itself() {
    let partials = [("p", "{{> q this}}"), ("q", "{{file 'x'}}"), ("unused", "{{file 'y'}}")];
    let world = World::compile_with(
        "a: {{> p cluster}}{{file 'z'}}\n",
        &partials,
        &[("x", ""), ("y", ""), ("z", "")],
    );
    let world = world.unwrap();
    let parts: Vec<_> = world.templates.parts(&world.file).map(RepoPath::as_str).collect();
    assert_eq!(parts, ["_files/z", "_partials/p.hbs"]);
}
