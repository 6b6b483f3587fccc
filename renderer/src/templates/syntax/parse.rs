//! From the tags of a source to its tree: which block holds what, and which white space goes with a tag.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value as Json;

use crate::problem::{Fault, Place, Position};

use super::super::lines::LineIndex;
use super::super::token;
use super::expression;
use super::partials::PartialCall;
use super::resolve::{Resolver, Words};
use super::source::{Site, SourceKind, TemplateSource, Texts};
use super::tags::{MAX_BRACKETS, MAX_NESTING, Tag, TagKind, begins_line, braces, line_break, scan};
use super::tree::{Block, BlockKind, Expression, Node, Partial, Tree};
use super::{foreign, unreadable};

/// Reads a source, or returns every fault in it.
pub(in crate::templates) fn parse(
    kind: SourceKind,
    source: &TemplateSource,
    texts: &Texts,
) -> Result<Tree, Vec<Fault>> {
    let lines = LineIndex::new(&source.text);
    let reserved: Vec<_> = reserved_characters(&source.text, &lines).collect();
    if !reserved.is_empty() {
        return Err(reserved);
    }
    let tags = scan(&source.text, &lines).map_err(|fault| vec![fault])?;
    let tree = Tree { tags: tags.len(), ..Tree::default() };
    let (position, faults) = (Position::START, Vec::new());
    let mut parser = Parser {
        source,
        lines: &lines,
        foreign: foreign::starts(&tags),
        resolver: Resolver { kind, texts, position, scopes: 0, tree, faults },
        levels: Vec::new(),
        text_start: 0,
        trims_start: false,
        misplaced: Vec::new(),
        unreadable: Vec::new(),
    };
    parser.tags(&tags);
    parser.finish()
}

/// Finds the characters that stand for values while a file is expanded.
fn reserved_characters<'a>(text: &'a str, lines: &'a LineIndex<'_>) -> impl Iterator<Item = Fault> + 'a {
    text.char_indices().filter(|(_, character)| token::is_reserved(*character)).map(|(offset, character)| {
        let message = format!("private-use character U+{:X} in a template", u32::from(character));
        Fault::new(lines.position(offset), message).hint("remove it, or write it into the inventory")
    })
}

struct Parser<'s> {
    source: &'s TemplateSource,
    lines: &'s LineIndex<'s>,
    /// Where the tags start that are meant for another program.
    foreign: BTreeSet<usize>,
    resolver: Resolver<'s>,
    /// The blocks that are open.
    levels: Vec<Level<'s>>,
    /// Where the text after the last tag begins.
    text_start: usize,
    /// Whether it loses the white space that it begins with.
    trims_start: bool,
    /// Faults of blocks that do not fit together, which hide all others.
    misplaced: Vec<Fault>,
    /// Tags that cannot be read, which hide what is wrong with the others.
    unreadable: Vec<Fault>,
}

/// A block that is open, or a branch of it with a condition of its own.
struct Level<'s> {
    tag: &'s Tag<'s>,
    block: Block,
    has_else: bool,
    is_branch: bool,
}

impl<'s> Parser<'s> {
    fn tags(&mut self, tags: &'s [Tag<'s>]) {
        for tag in tags {
            self.text(tag);
            self.resolver.position = self.lines.position(tag.start);
            self.resolver.scopes = self.scopes();
            if tag.text.matches(['(', '[', '{']).count() > MAX_BRACKETS {
                // All of them are counted, not how deep they stand: a bracket in a quoted text must not hide another.
                let message = format!("more than {MAX_BRACKETS} brackets in one expression");
                return self.misplace(tag, message, "split the expression");
            }
            match tag.kind {
                TagKind::Expression => self.value(tag),
                TagKind::Open => self.open(tag),
                TagKind::ElseIf | TagKind::Else => self.branch(tag),
                TagKind::Close => self.close(tag),
                TagKind::Partial => self.partial(tag),
                TagKind::Comment => {}
            }
            if self.levels.len() > MAX_NESTING {
                let message =
                    format!("more than {MAX_NESTING} blocks and `else if` branches inside each other");
                let hint = "use `lookup` in a map of the inventory, or move the inner ones into a partial";
                return self.misplace(tag, message, hint);
            }
        }
        let open = self.levels.iter().filter(|level| !level.is_branch);
        let unclosed = open.map(|level| {
            let name = block_name(level.tag);
            let message = format!("`{{{{#{name}}}}}` is never closed");
            Fault::new(self.lines.position(level.tag.start), message)
                .hint(format!("close it with `{{{{/{name}}}}}`"))
        });
        self.misplaced.extend(unclosed);
    }

    fn finish(mut self) -> Result<Tree, Vec<Fault>> {
        if !self.misplaced.is_empty() {
            let is_foreign = |fault: &Fault| {
                self.foreign.iter().any(|start| self.lines.position(*start) == fault.position)
            };
            self.misplaced.retain(|fault| !is_foreign(fault));
            self.unreadable.retain(is_foreign);
            self.misplaced.append(&mut self.unreadable);
            self.misplaced.sort_by_key(|fault| fault.position);
            return Err(self.misplaced);
        }
        if !self.unreadable.is_empty() {
            return Err(self.unreadable);
        }
        if !self.resolver.faults.is_empty() {
            return Err(self.resolver.faults);
        }
        self.last_text();
        Ok(self.resolver.tree)
    }

    /// Adds the text before a tag, without the white space that goes with tags.
    fn text(&mut self, next: &Tag<'_>) {
        let mut text = &self.source.text[self.text_start..next.start];
        if self.trims_start {
            text = text.trim_start();
        }
        let start = next.start - text.len();
        let next_line = self.line_of_its_own(next);
        if next.trims.0 {
            text = text.trim_end();
        } else if next_line.is_some() {
            text = text.trim_end_matches([' ', '\t']);
        }
        self.text_start = next_line.unwrap_or(next.end);
        if next.kind != TagKind::Comment {
            self.trims_start = next.trims.1;
        }
        match &next.body {
            Some(body) => self.push(Node::Text(body.clone())),
            None => self.add_text(start..start + text.len()),
        }
    }

    /// Adds the text after the last tag.
    fn last_text(&mut self) {
        let text = &self.source.text[self.text_start..];
        let text = if self.trims_start { text.trim_start() } else { text };
        let end = self.source.text.len();
        self.add_text(end - text.len()..end);
    }

    /// Adds literal text: a backslash before braces says that they are text, and of several one goes.
    fn add_text(&mut self, text: Range<usize>) {
        let source = &*self.source.text;
        let Range { mut start, end } = text;
        let mut at = start;
        while let Some(backslash) = source[at..end].find("\\{{").map(|found| at + found) {
            self.push(Node::Text(start..backslash));
            start = backslash + 1;
            at = start + braces(&source[start..]);
        }
        let is_escaped = source[start..end].ends_with("\\\\") && source[end..].starts_with("{{");
        self.push(Node::Text(start..end - usize::from(is_escaped)));
    }

    fn push(&mut self, node: Node) {
        if matches!(&node, Node::Text(range) if range.is_empty()) {
            return;
        }
        let nodes = match self.levels.last_mut() {
            None => &mut self.resolver.tree.nodes,
            Some(level) if level.has_else => &mut level.block.otherwise,
            Some(level) => &mut level.block.body,
        };
        nodes.push(node);
    }

    /// Returns where the line after a tag begins, if nothing but the tag stands on its own, and it writes nothing there itself.
    fn line_of_its_own(&self, tag: &Tag<'_>) -> Option<usize> {
        let source = &*self.source.text;
        let is_alone = tag.kind != TagKind::Expression && begins_line(source, tag.start);
        let at_end = (tag.end == source.len()).then_some(tag.end);
        line_break(source, tag.end).or(at_end).filter(|_| is_alone)
    }

    fn value(&mut self, tag: &'s Tag<'s>) {
        let Some(expression) = self.readable(tag, expression::expression) else { return };
        let text = match &expression {
            Expression::File(file, _) => Some(file.clone()),
            _ => None,
        };
        let site = Site { text, ..self.site(tag) };
        self.push(Node::Value(site, expression));
    }

    /// Reads what stands in a tag, or adds that it cannot be read.
    fn readable<T>(
        &mut self,
        tag: &'s Tag<'s>,
        read: impl FnOnce(&'s str, &mut Resolver<'s>) -> Option<T>,
    ) -> Option<T> {
        if self.foreign.contains(&tag.start) {
            self.unreadable.push(unreadable::foreign_tag(tag, self.lines));
            return None;
        }
        let found = read(tag.text, &mut self.resolver);
        if found.is_none() {
            self.unreadable.push(unreadable::tag(tag, self.lines));
        }
        found
    }

    fn site(&self, tag: &Tag<'_>) -> Site {
        let place = Place { file: self.source.file.clone(), position: self.resolver.position };
        Site { place, expression: tag.text.to_owned(), text: None }
    }

    fn open(&mut self, tag: &'s Tag<'s>) {
        let words = if tag.text.starts_with(['>', '*']) {
            let message = format!("`{{{{#{} …}}}}` is not supported", &tag.text[..1]);
            self.misplace(tag, message, "put the text into a file of its own under `templates/_partials/`");
            None
        } else {
            self.readable(tag, expression::block)
        };
        self.enter(tag, words, false);
    }

    fn enter(&mut self, tag: &'s Tag<'s>, words: Option<Words<'_>>, is_branch: bool) {
        let site = self.site(tag);
        let mut block = Block {
            site,
            kind: BlockKind::Raw,
            argument: Expression::Literal(Json::Null),
            names: Vec::new(),
            body: Vec::new(),
            otherwise: Vec::new(),
        };
        if let Some(words) = words {
            block.kind = self.resolver.block(&words);
            block.names = words.names;
            block.argument = words.arguments.into_iter().next().unwrap_or(block.argument);
        }
        self.levels.push(Level { tag, block, has_else: false, is_branch });
    }

    /// Begins another branch of the innermost block.
    fn branch(&mut self, tag: &'s Tag<'s>) {
        let is_else = tag.kind == TagKind::Else;
        let name = if is_else { "else" } else { "else if" };
        let opened = self.levels.iter().rfind(|level| !level.is_branch).map(|level| level.tag.start);
        let innermost = self.levels.last_mut();
        let is_late = innermost.is_some_and(|level| std::mem::replace(&mut level.has_else, true));
        self.resolver.scopes = self.scopes();
        let words = if is_else { None } else { self.readable(tag, expression::block) };
        match opened {
            None => {
                let hint = foreign::or_else("open it with `{{#if …}}`");
                self.misplace(tag, format!("`{name}` outside a block"), hint);
            }
            Some(start) if is_late => {
                let line = self.lines.position(start).line;
                let message = format!("`{name}` after the `else` of the block of line {line}");
                self.misplace(tag, message, "write `{{else}}` once, as the last branch");
            }
            Some(_) if is_else => {}
            Some(_) => self.enter(tag, words, true),
        }
    }

    fn close(&mut self, tag: &Tag<'_>) {
        while let Some(level) = self.levels.pop() {
            self.push(Node::Block(Box::new(level.block)));
            if level.is_branch {
                continue;
            }
            let opened = block_name(level.tag);
            if opened != tag.text {
                let line = self.lines.position(level.tag.start).line;
                let message = format!("`{{{{/{}}}}}` closes `{{{{#{opened}}}}}` of line {line}", tag.text);
                let hint = format!("write `{{{{/{opened}}}}}` here, or close the inner block first");
                self.misplace(tag, message, hint);
            }
            return;
        }
        self.misplace(tag, format!("`{{{{/{}}}}}` closes nothing", tag.text), "remove it or open the block");
    }

    fn partial(&mut self, tag: &'s Tag<'s>) {
        let Some(words) = self.readable(tag, expression::partial) else { return };
        if words.name.is_empty() {
            let message = "the name of a partial must be written out";
            return self.resolver.fault(message, "choose with `{{#if}}` instead");
        }
        self.resolver.check_partial(&words);
        let name = words.name.to_owned();
        let call =
            PartialCall { name: name.clone(), position: self.resolver.position, level: self.levels.len() };
        self.resolver.tree.partials.push(call);
        let (argument, named) = (words.arguments.into_iter().next(), words.named);
        let source = &*self.source.text;
        let before = &source[..tag.start];
        let is_alone = self.line_of_its_own(tag).is_some();
        let indent = before[before.trim_end_matches([' ', '\t']).len()..].to_owned();
        let indent = if is_alone && !tag.trims.0 { indent } else { String::new() };
        let has_own_line = is_alone && !tag.trims.1 && line_break(source, tag.end).is_some();
        let site = self.site(tag);
        self.push(Node::Partial(Box::new(Partial { site, name, argument, named, indent, has_own_line })));
    }

    /// Returns how many blocks around change what a path starts from.
    fn scopes(&self) -> usize {
        self.levels.iter().filter(|level| level.block.kind.is_scope() && !level.has_else).count()
    }

    fn misplace(&mut self, tag: &Tag<'_>, message: impl Into<String>, hint: impl Into<String>) {
        self.misplaced.push(Fault::new(self.lines.position(tag.start), message).hint(hint));
    }
}

/// Returns the name that closes a block.
fn block_name<'s>(open: &Tag<'s>) -> &'s str {
    open.text.trim_start_matches(['>', '*', ' ']).split_whitespace().next().unwrap_or("")
}
