//! The handlebars crate, a reader that is not ours, expands what both languages share to the same text.

use handlebars::{Handlebars, no_escape};
use proptest::prelude::*;

use super::fuzz::{facts, fitting};
use super::*;
use crate::templates::functions::scalar_text;

/// Tags whose meaning is ours alone, or that the crate is lenient about.
const OURS: [&str; 6] = ["{{>", "{{{{", "{{default", "{{join", "{{len", "{{eq"];

/// Expands a template by the crate.
fn reference(template: &str) -> Option<String> {
    let mut handlebars = Handlebars::new();
    handlebars.register_escape_fn(no_escape);
    handlebars.render_template(template, &facts()).ok()
}

/// Expands a template by our engine, and writes the text of each value in the place of its token.
fn expanded(world: &World) -> Option<String> {
    let scope = Scope::new(facts());
    let expand = Expand { template: &world.file, scope: &scope, addon: None };
    let expansion = world.templates.expand(expand, false).ok()?;
    let mut text = String::new();
    for character in expansion.text.chars() {
        match token::index(character) {
            Some(token) => text.push_str(&scalar_text(&expansion.captures[token].value)?),
            None => text.push(character),
        }
    }
    Some(text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_both_languages_share_is_the_same_text(template in fitting()) {
        let is_shared = !OURS.iter().any(|tag| template.contains(tag));
        let world = is_shared.then(|| World::compile(&template, &[]).ok()).flatten();
        if let Some(text) = world.and_then(|world| expanded(&world)) {
            prop_assert_eq!(Some(text), reference(&template));
        }
    }
}
