//! What is sent to GitHub has no secret in it, and nothing hidden in the texts that people read there.
//!
//! The last way out: texts are made visible where they are written, so that their length is known.

use renderer::visible::visible_lines;
use serde_json::Value;

use crate::secrets::redacted;

/// Keys whose text names something on GitHub, and has to arrive as it is.
const NAMES: [&str; 7] = ["base", "head", "head_sha", "path", "ref", "sha", "commit_id"];

/// Masks secrets in everything that is sent, and makes visible what is hidden in the texts that people read.
pub(super) fn make_harmless(value: &mut Value, key: &str) {
    match value {
        Value::String(text) => {
            let shown = redacted(text);
            let shown = if NAMES.contains(&key) { shown } else { visible_lines(&shown).into_owned().into() };
            if shown != *text {
                *text = shown.into_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| make_harmless(item, key)),
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| make_harmless(value, key)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use renderer::visible::is_hidden;
    use serde_json::json;
    use testkit::hostile::text::HIDDEN;

    use super::*;

    #[test]
    fn nothing_that_is_sent_hides_text_or_shows_a_token() {
        const TOKEN: &str = "ghp_0123456789abcdefghijklmnop";
        let text = format!("a{HIDDEN}b\n{TOKEN}");
        let mut body = json!({
            "title": text, "body": text, "description": text, "base": "ma\u{ad}in", "number": 7,
            "output": { "summary": text, "annotations": [{ "path": "a\u{202e}b", "message": text }] },
        });
        make_harmless(&mut body, "");
        assert!(!body.to_string().contains(TOKEN), "{body}");
        for shown in [&body["title"], &body["description"], &body["output"]["annotations"][0]["message"]] {
            let shown = shown.as_str().unwrap();
            assert!(shown.chars().all(|c| matches!(c, '\n' | '\t') || !is_hidden(c)), "{shown}");
        }
        assert_eq!((&body["base"], &body["number"]), (&json!("ma\u{ad}in"), &json!(7)));
        assert_eq!(body["output"]["annotations"][0]["path"], "a\u{202e}b");
    }
}
