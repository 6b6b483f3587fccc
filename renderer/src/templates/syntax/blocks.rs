//! Whether every block is closed where it can be, and whether anything is nested deeper than handlebars'
//! parser can bear.

use crate::problem::Fault;

use super::foreign;
use super::lines::LineIndex;
use super::scan::{Scan, Tag, TagKind};

/// Blocks, `else if` branches and partials inside each other, at most: each is one more level of the parsed
/// tree. Deeper nesting is unreadable long before it is dangerous.
pub const MAX_NESTING: usize = 64;
/// Opening brackets of any kind in one expression, at most.
pub const MAX_BRACKETS: usize = 32;

/// Returns everything about the tags that handlebars would stop at or explain badly.
pub fn check_blocks(scan: &Scan, lines: &LineIndex<'_>) -> Vec<Fault> {
    let mut blocks = Blocks { lines, open: Vec::new(), levels: 0, faults: Vec::new() };
    for tag in &scan.tags {
        blocks.tag(tag);
        if blocks.is_too_deep(tag) {
            return blocks.faults;
        }
    }
    blocks.report_unclosed();
    blocks.faults
}

struct Blocks<'a> {
    lines: &'a LineIndex<'a>,
    open: Vec<OpenBlock<'a>>,
    levels: usize,
    faults: Vec<Fault>,
}

struct OpenBlock<'a> {
    tag: &'a Tag,
    /// How many levels its end takes away: itself and its `else if` branches, each of which stands inside the
    /// one before.
    levels: usize,
    has_else: bool,
}

impl<'a> Blocks<'a> {
    fn tag(&mut self, tag: &'a Tag) {
        match tag.kind {
            TagKind::Open => self.open(tag),
            TagKind::ElseIf | TagKind::Else => self.branch(tag),
            TagKind::Close => self.close(tag),
            TagKind::Expression | TagKind::Partial | TagKind::Comment => {}
        }
    }

    fn open(&mut self, tag: &'a Tag) {
        if tag.text.starts_with(['>', '*']) {
            let message = format!("`{{{{#{} …}}}}` is not supported", &tag.text[..1]);
            self.fault(tag, message, "put the text into a file of its own under `templates/_partials/`");
        }
        self.open.push(OpenBlock { tag, levels: 1, has_else: false });
        self.levels += 1;
    }

    fn branch(&mut self, tag: &Tag) {
        let name = if tag.kind == TagKind::Else { "else" } else { "else if" };
        match self.open.last_mut() {
            None => {
                let hint = foreign::or_else("open it with `{{#if …}}`");
                self.fault(tag, format!("`{name}` outside a block"), &hint);
            }
            Some(block) if block.has_else => {
                let line = self.lines.position(block.tag.range.start).line;
                let message = format!("`{name}` after the `else` of the block of line {line}");
                self.fault(tag, message, "write `{{else}}` once, as the last branch");
            }
            Some(block) if tag.kind == TagKind::Else => block.has_else = true,
            Some(block) => {
                block.levels += 1;
                self.levels += 1;
            }
        }
    }

    fn close(&mut self, tag: &Tag) {
        let Some(block) = self.open.pop() else {
            self.fault(tag, format!("`{{{{/{}}}}}` closes nothing", tag.text), "remove it or open the block");
            return;
        };
        self.levels -= block.levels;
        let opened = block_name(block.tag);
        if opened != tag.text {
            let line = self.lines.position(block.tag.range.start).line;
            let message = format!("`{{{{/{}}}}}` closes `{{{{#{opened}}}}}` of line {line}", tag.text);
            let hint = format!("write `{{{{/{opened}}}}}` here, or close the inner block first");
            self.fault(tag, message, &hint);
        }
    }

    fn is_too_deep(&mut self, tag: &Tag) -> bool {
        if self.levels > MAX_NESTING {
            let message = format!("more than {MAX_NESTING} blocks and `else if` branches inside each other");
            self.fault(
                tag,
                message,
                "use `lookup` in a map of the inventory, or move the inner ones into a partial",
            );
            return true;
        }
        // All of them are counted, not how deep they stand: a bracket in a quoted text must not hide another.
        if tag.text.matches(['(', '[', '{']).count() > MAX_BRACKETS {
            let message = format!("more than {MAX_BRACKETS} brackets in one expression");
            self.fault(tag, message, "split the expression");
            return true;
        }
        false
    }

    fn report_unclosed(&mut self) {
        for block in std::mem::take(&mut self.open) {
            let name = block_name(block.tag);
            let message = format!("`{{{{#{name}}}}}` is never closed");
            self.fault(block.tag, message, &format!("close it with `{{{{/{name}}}}}`"));
        }
    }

    fn fault(&mut self, tag: &Tag, message: impl Into<String>, hint: &str) {
        self.faults.push(Fault::new(self.lines.position(tag.range.start), message).hint(hint));
    }
}

/// Returns the name that closes a block.
fn block_name(open: &Tag) -> &str {
    open.text.trim_start_matches(['>', '*', ' ']).split_whitespace().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::super::scan::scan;
    use super::*;

    fn fault(source: &str) -> String {
        let faults = scan(source).map(|scan| check_blocks(&scan, &LineIndex::new(source)));
        let fault = faults.unwrap_or_else(|faults| faults).remove(0);
        format!("{}: {}", fault.position, fault.message)
    }

    #[test]
    fn a_block_that_is_not_closed_is_reported_where_it_opens() {
        assert_eq!(fault("a: 1\n  {{#if x}}\nb: 2\n"), "2:3: `{{#if}}` is never closed");
        assert_eq!(
            fault("{{#each x}}{{#if y}}\n{{/each}}{{/if}}"),
            "2:1: `{{/each}}` closes `{{#if}}` of line 1"
        );
        assert_eq!(fault("{{/if}}"), "1:1: `{{/if}}` closes nothing");
        assert_eq!(fault("x\ny {{ a"), "2:3: `{{` is never closed");
    }

    #[test]
    fn nesting_that_would_overflow_the_parser_is_refused() {
        let deep = "{{#if a}}".repeat(2_000) + &"{{/if}}".repeat(2_000);
        assert_eq!(fault(&deep), "1:577: more than 64 blocks and `else if` branches inside each other");
        let parentheses = format!("{{{{len {}a{}}}}}", "(".repeat(5_000), ")".repeat(5_000));
        assert_eq!(fault(&parentheses), "1:1: more than 32 brackets in one expression");
        let chain = format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}".repeat(4_000));
        assert!(fault(&chain).ends_with("more than 64 blocks and `else if` branches inside each other"));
        let maps = format!("{{{{len {}1{}}}}}", "{\"a\": ".repeat(5_000), " }".repeat(5_000));
        assert_eq!(fault(&maps), "1:1: more than 32 brackets in one expression");
    }
}
