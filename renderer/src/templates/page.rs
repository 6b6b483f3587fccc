//! Templates of our own pages: text in, HTML out.
//!
//! The one place where a value becomes HTML: each inserted value is made visible and escaped here, whatever it is.

use std::borrow::Cow;
use std::fmt::Write as _;

use handlebars::Handlebars;
use serde::Serialize;

use crate::visible::visible_lines;

/// Writes a page: the template named `name` with `data`. `parts` are all templates by their names, and each may call
/// the others.
///
/// # Panics
///
/// If one of them is no template or asks for what is not in the data: all of them are in this repository.
pub(crate) fn write_page(parts: &[(&str, &str)], name: &str, data: &impl Serialize) -> String {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(|text| escaped(text).into_owned());
    for (name, text) in parts {
        registry.register_template_string(name, text).expect("our own template");
    }
    registry.render(name, data).expect("our own template and its data")
}

/// Returns a text as it stands in a page: nothing in it is markup, ends an attribute or is hidden.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    let text = visible_lines(text);
    if !text.contains(['&', '<', '>', '"', '\'', '`']) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' | '<' | '>' | '"' | '\'' | '`' => {
                let _ = write!(out, "&#{};", u32::from(character));
            }
            plain => out.push(plain),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::hostile::text::{HIDDEN, MARKUP};

    use super::*;
    use crate::visible::is_hidden;

    #[test]
    fn a_value_is_text_wherever_it_is_inserted() {
        let parts = [("a", "<p title=\"{{x}}\">{{> b}}</p>"), ("b", "{{x}}")];
        for text in MARKUP.into_iter().chain([HIDDEN, "\"><img src=x onerror=alert(1)>", "'`&"]) {
            let page = write_page(&parts, "a", &json!({ "x": text }));
            let inner = page.strip_prefix("<p title=\"").and_then(|rest| rest.strip_suffix("</p>")).unwrap();
            let (attribute, content) = inner.split_once("\">").unwrap();
            assert_eq!(attribute, content);
            assert!(!content.contains(['<', '>', '"', '\'', '`']), "{page}");
            assert!(content.chars().all(|c| matches!(c, '\n' | '\t') || !is_hidden(c)), "{page}");
        }
        assert_eq!(write_page(&parts, "b", &json!({"x": "a&b\n\u{202e}"})), "a&#38;b\n\\u{202e}");
    }
}
