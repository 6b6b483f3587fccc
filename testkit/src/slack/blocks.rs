//! Block Kit: what a message may hold, and what a person sees of it.

use serde_json::Value;

/// The most blocks of a message.
const MAX_BLOCKS: usize = 50;
/// The longest text of a message, in characters.
pub const MAX_MESSAGE: usize = 40_000;
const MAX_SECTION: usize = 3_000;
const MAX_HEADER: usize = 150;
const MAX_FIELDS: usize = 10;
const MAX_FIELD: usize = 2_000;
const MAX_ELEMENTS: usize = 10;

/// Returns what is shown of some blocks, one a line, or what is wrong with them.
pub fn show(blocks: &[Value]) -> Result<String, Vec<String>> {
    if blocks.len() > MAX_BLOCKS {
        return Err(vec![format!("[ERROR] no more than {MAX_BLOCKS} items allowed [json-pointer:/blocks]")]);
    }
    let (mut shown, mut faults) = (String::new(), Vec::new());
    for (number, block) in blocks.iter().enumerate() {
        match line(block) {
            Ok(line) => shown.extend(["  ", &line, "\n"]),
            Err(fault) => faults.push(format!("[ERROR] {fault} [json-pointer:/blocks/{number}]")),
        }
    }
    if faults.is_empty() { Ok(shown) } else { Err(faults) }
}

fn line(block: &Value) -> Result<String, String> {
    match block["type"].as_str().unwrap_or_default() {
        "divider" => Ok("---".to_owned()),
        "header" if block["text"]["type"] != "plain_text" => Err("must be plain text".to_owned()),
        "header" => Ok(format!("[{}]", text(&block["text"], MAX_HEADER)?)),
        "section" => section(block),
        "context" => list(&block["elements"], MAX_ELEMENTS, MAX_SECTION),
        kind => Err(format!("unsupported type: {kind}")),
    }
}

fn section(block: &Value) -> Result<String, String> {
    let mut parts = Vec::new();
    if block.get("text").is_some() {
        parts.push(text(&block["text"], MAX_SECTION)?);
    }
    if block.get("fields").is_some() {
        parts.push(list(&block["fields"], MAX_FIELDS, MAX_FIELD)?);
    }
    if parts.is_empty() { Err("missing required field: text".to_owned()) } else { Ok(parts.join(" | ")) }
}

fn list(items: &Value, most: usize, longest: usize) -> Result<String, String> {
    let items = items.as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() || items.len() > most {
        return Err(format!("must have between 1 and {most} items"));
    }
    let texts: Result<Vec<_>, _> = items.iter().map(|item| text(item, longest)).collect();
    Ok(texts?.join(" | "))
}

fn text(object: &Value, longest: usize) -> Result<String, String> {
    let kind = object["type"].as_str().unwrap_or_default();
    if !matches!(kind, "plain_text" | "mrkdwn") {
        return Err("must be a text object".to_owned());
    }
    let text = object["text"].as_str().unwrap_or_default();
    match text.chars().count() {
        0 => Err("must be more than 0 characters".to_owned()),
        length if length > longest => Err(format!("must be less than {} characters", longest + 1)),
        // Plain text shows everything as it is.
        _ if kind == "plain_text" => Ok(format!("\u{201c}{text}\u{201d}")),
        _ => Ok(text.to_owned()),
    }
}
