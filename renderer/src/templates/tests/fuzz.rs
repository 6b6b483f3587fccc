//! Random templates: whatever is written, the engine renders it or says what is wrong, and agrees with itself.

use std::sync::Arc;

use handlebars::Handlebars;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::syntax::{LineIndex, Scan, scan};
use super::super::trail::{Marks, Trail};
use super::*;

/// Tags that mostly make sense with the facts below.
const TAGS: &[&str] = &[
    "{{a}}",
    "{{{a}}}",
    "{{&s}}",
    "{{~s~}}",
    "{{this}}",
    "{{../a}}",
    "{{@index}}",
    "{{@root.m.k}}",
    "{{m}}",
    "{{l.0}}",
    "{{[odd key].x}}",
    "{{len l}}",
    "{{default nope 1}}",
    "{{eq a (len l)}}",
    "{{join l \", \"}}",
    "{{lookup m 'k'}}",
    "{{> p m}}",
    "  {{> p m}}\n",
    "{{> q s=s}}",
    "{{> q m s=a}}\n",
    "{{! c }}",
    "{{!-- {{x}} --}}",
    "\\{{ x }}",
    "\\\\{{s}}",
    "{{{{raw}}}} {{x}} {{{{/raw}}}}",
    "{{else}}",
    "{{else if a}}",
    "{{^}}",
];

/// What opens a block, and what closes it.
const BLOCKS: &[(&str, &str)] = &[
    ("{{#if a}}", "{{/if}}"),
    ("{{#if no}}\n", "{{/if}}\n"),
    ("{{#unless no}}", "{{/unless}}"),
    ("{{~#each l~}}", "{{~/each~}}"),
    ("{{#each l as |v i|}}\n", "{{/each}}\n"),
    ("{{#each m as |v|}}", "{{/each}}"),
    ("{{#with m}}", "{{/with}}"),
    ("  {{#with s as |t|}}\n", "  {{/with}}\n"),
];

/// Text that means something to YAML, and text that means something to handlebars.
const TEXTS: &[&str] = &[
    "k: ", "x: ", "\n", "\n  ", "\n    ", "- ", ": ", "[", "]", "{ ", " }", ", ", "'", "\"", "|\n  ",
    ">-\n  ", "&a ", "*a", "<<: ", "# c\n", "---\n", "yes", "0x1F", "1.10", "plain", "ü", " ", "\t", "\r\n",
    "\\", "!!str ", "? ",
];

/// Pieces of tags that do not fit together.
const SCRAPS: &[&str] = &[
    "{{", "}}", "{{{", "}}}", "{{{{", "}}}}", "{{#", "{{/", "{{>", "{{!", "{{!--", "--}}", "{{~", "~}}",
    "\\{{", "\\\\", "#if a", "/if", "each l", "as |x|", "else", "^", "> p m", "(", ")", "\"", "'", "[", "]",
    "..", "../", "@", "a", ".", "=", "|", "&", "*", " ",
];

/// A template that closes what it opens.
fn fitting() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![select(TAGS).prop_map(str::to_owned), select(TEXTS).prop_map(str::to_owned)];
    let block = |inner: BoxedStrategy<String>| {
        let body = prop::collection::vec(inner, 0..5).prop_map(|parts| parts.concat());
        (select(BLOCKS), body).prop_map(|((open, close), body)| format!("{open}{body}{close}"))
    };
    let part = leaf.prop_recursive(4, 40, 5, move |inner| block(inner.boxed()));
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// A template that is likely not to be one.
fn scraps() -> impl Strategy<Value = String> {
    let part = prop_oneof![select(SCRAPS), select(TAGS), select(TEXTS)];
    prop::collection::vec(part, 0..20).prop_map(|parts| parts.concat())
}

fn facts() -> Json {
    json!({"a": 1, "s": "text: {{x}}\n- y", "no": false, "l": ["p", "q"], "m": {"k": "v", "s": 2}, "odd key": {"x": null}})
}

const PARTIALS: [(&str, &str); 2] = [
    ("p", "{{! p }}\np: {{k}}\n{{#if s}}\n  q: \\{{ {{s}}\n{{/if}}\n"),
    ("q", "{{#with s}}\nr: {{this}}\n\n{{/with}}"),
];

/// Returns what handlebars makes of a template by itself, with each source written as `write` does.
fn by_handlebars(
    template: &str,
    mut write: impl FnMut(&Arc<RepoPath>, &str, &Scan) -> String,
) -> Option<String> {
    let mut registry = Handlebars::new();
    registry.register_escape_fn(handlebars::no_escape);
    let file = Arc::new(RepoPath::parse(TEMPLATE).unwrap());
    for (name, text) in PARTIALS.into_iter().chain([(TEMPLATE, template)]) {
        let text = write(&file, text, &scan(text).unwrap());
        registry.register_template_string(name, text).unwrap();
    }
    registry.render(TEMPLATE, &facts()).ok()
}

/// Renders a template, and checks what must hold for every one.
fn check(template: &str) -> Result<(), TestCaseError> {
    let Ok(world) = World::compile(template, &PARTIALS) else { return Ok(()) };
    let scope = Scope::new(facts());
    let expand = Expand { template: &world.file, scope: &scope, addon: None, machine: None };
    let first = world.templates.render(expand);
    prop_assert_eq!(&world.templates.render(expand), &first, "a second rendering differs");
    let unmarked = by_handlebars(template, |_, text, _| text.to_owned());
    let mut marks = Marks::default();
    let marked =
        by_handlebars(template, |file, text, scan| marks.in_source(file, &LineIndex::new(text), scan));
    prop_assert_eq!(marked.map(|text| Trail::read(&text).0), unmarked, "marks change the text");
    for problem in first.err().into_iter().flatten() {
        let file = problem.place.file.as_str();
        let name = file.strip_prefix("_partials/").and_then(|name| name.strip_suffix(".hbs"));
        let source =
            PARTIALS.iter().find(|(partial, _)| Some(*partial) == name).map_or(template, |(_, text)| text);
        let lines = source.split('\n').count() as u32;
        prop_assert!(problem.place.position.line <= lines, "{problem} is past the end of {file}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_template_that_fits_together_is_rendered_or_told_about(template in fitting()) {
        check(&template)?;
    }

    #[test]
    fn scraps_of_templates_never_panic(template in scraps()) {
        check(&template)?;
    }

    #[test]
    fn any_text_never_panics(template in "\\PC{0,60}") {
        check(&template)?;
    }
}
