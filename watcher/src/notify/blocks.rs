//! A notice as Slack takes it: blocks of Block Kit within their limits ("Reference: Block Kit").
//!
//! Texts from outside go into objects of plain text, in which Slack sees neither markup nor mentions.

use renderer::visible::visible;
use serde_json::{Value, json};

use super::Notice;
use crate::secrets::redacted;

/// The longest text of a header and of a section, in characters.
const MAX_HEADER: usize = 150;
const MAX_SECTION: usize = 3_000;
/// The most fields of a section, and the longest of them.
const MAX_FIELDS: usize = 10;
const MAX_FIELD: usize = 2_000;
/// The longest line, so that one that is too long leaves room for the others.
const MAX_LINE: usize = 500;
/// The longest address of a link.
const MAX_LINK: usize = 1_000;
const MORE: &str = "…";

/// Returns a notice as the body of a message, with the text that notifications show.
pub(super) fn message(notice: &Notice) -> Value {
    let title = shown(&notice.title, MAX_HEADER);
    let mut blocks = vec![json!({ "type": "header", "text": plain(&title) })];
    let fact = |(name, value): &(&str, String)| plain(&shown(&format!("{name}: {value}"), MAX_FIELD));
    let facts: Vec<Value> = notice.facts.iter().map(fact).collect();
    blocks.extend(facts.chunks(MAX_FIELDS).map(|fields| json!({ "type": "section", "fields": fields })));
    if !notice.lines.is_empty() {
        blocks.push(json!({ "type": "section", "text": plain(&lines(&notice.lines)) }));
    }
    let links: Vec<String> = notice.links.iter().filter_map(link).collect();
    if !links.is_empty() {
        let text = json!({ "type": "mrkdwn", "text": links.join(" · ") });
        blocks.push(json!({ "type": "context", "elements": [text] }));
    }
    json!({ "text": escaped(&title), "blocks": blocks })
}

fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// Returns lines as one text, with what has no room counted.
fn lines(lines: &[String]) -> String {
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let line = shown(line, MAX_LINE);
        if text.chars().count() + line.chars().count() > MAX_SECTION - MAX_LINE && number + 1 < lines.len() {
            return format!("{text}and {} more", lines.len() - number);
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Returns a text without secrets, with what is hidden in it shown, and cut to a length; Slack takes no empty one.
fn shown(text: &str, longest: usize) -> String {
    let text = visible(&redacted(text.trim())).into_owned();
    match text.chars().count() {
        0 => "-".to_owned(),
        length if length > longest => text.chars().take(longest - 1).collect::<String>() + MORE,
        _ => text,
    }
}

/// Returns a link in Slack's own markup; nothing if the address does not fit into that.
fn link((words, address): &(&'static str, String)) -> Option<String> {
    let address = redacted(address);
    let is_plain = address.starts_with("https://") || address.starts_with("http://");
    let fits = is_plain && address.len() <= MAX_LINK && !address.contains(['|', '<', '>', ' ', '\n']);
    fits.then(|| format!("<{}|{words}>", escaped(&address)))
}

/// Escapes the three characters by which Slack knows markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
