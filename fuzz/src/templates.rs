//! Templates: whatever is written, it is rendered or refused, the same on every call, and no value changes
//! the structure.

use renderer::path::RepoPath;
use renderer::templates::{Expand, Scope, TemplateSource, Templates, Texts};
use renderer::yaml;
use serde_json::json;

pub(crate) const WORDS: &[&str] = &[
    "{{a}}",
    "{{{a}}}",
    "{{~s~}}",
    "{{this}}",
    "{{../a}}",
    "{{@index}}",
    "{{@root.m.k}}",
    "{{m}}",
    "{{l.0}}",
    "{{len l}}",
    "{{default nope 1}}",
    "{{eq a (len l)}}",
    "{{join l \", \"}}",
    "{{lookup m 'k'}}",
    "{{> p m}}",
    "{{> q s=s}}",
    "{{! c }}",
    "{{!--",
    "--}}",
    "\\{{",
    "{{{{raw}}}}",
    "{{{{/raw}}}}",
    "{{else}}",
    "{{else if a}}",
    "{{^}}",
    "{{#if a}}",
    "{{/if}}",
    "{{#unless no}}",
    "{{/unless}}",
    "{{#each l as |v i|}}",
    "{{#each big}}",
    "{{/each}}",
    "{{#with m}}",
    "{{/with}}",
    "{{where",
    "{{pluck",
    "k: ",
    "\n",
    "\n  ",
    "- ",
    "|\n  ",
    "&a ",
    "*a",
    "<<: ",
    "---\n",
    "{{",
    "}}",
    "(",
    ")",
    "=",
    "'",
    "\"",
];

/// Templates and partials of an input are divided by this line; the first is the template.
const NEXT: &str = "\n=== ";

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut parts = text.split(NEXT);
    let path = RepoPath::parse("templates/t.hbs").unwrap();
    let template = TemplateSource { file: path.clone(), text: parts.next().unwrap_or_default().into() };
    let partials = parts.filter_map(|part| {
        let (name, text) = part.split_once('\n')?;
        let file = RepoPath::parse(&format!("_partials/{name}.hbs")).ok()?;
        Some((name.to_owned(), TemplateSource { file, text: text.into() }))
    });
    let Ok(templates) = Templates::compile(vec![template], partials.collect(), Texts::new()) else { return };
    let scope = Scope::new(json!({
        "a": 1, "s": "text: {{x}}\n- y", "no": false, "l": ["p", "q"], "m": {"k": "v", "s": 2}, "x": {"x": {"x": null}},
        "big": (0..100).collect::<Vec<_>>(),
    }));
    let expand = Expand { template: &path, scope: &scope, addon: None, machine: None };
    let rendered = templates.render(expand);
    assert_eq!(templates.render(expand), rendered);
    for document in rendered.unwrap_or_default() {
        let written = yaml::write(&document);
        let again = yaml::parse(&written).unwrap();
        assert_eq!(yaml::interpret(&again[0]).unwrap(), document);
    }
}
