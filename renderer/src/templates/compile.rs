//! Compiles template sources: rewrites every `{{expression}}` so that it inserts a token and records the typed value.
//!
//! Knows handlebars and nothing of YAML. All that could abort or mislead the renderer is refused here.

use std::collections::BTreeMap;

use handlebars::{Handlebars, Template, TemplateError};

use crate::path::RepoPath;
use crate::problem::{Fault, Position, Problem};
use crate::visible::shortened;

use super::functions::FUNCTIONS;
use super::helpers;
use super::partials::PartialCalls;
use super::rewrite::{Calls, rewrite};
use super::source::{Compiled, SourceKind, SourceText, Texts};
use super::syntax::{LineIndex, MAX_SOURCE_BYTES, Scan, Tag, TagKind, check_blocks, foreign, scan, token};

/// How many bytes all templates and partials may have together.
const MAX_SET_BYTES: usize = 16 * 1024 * 1024;
/// How many tags they may have: each takes about a kilobyte when it is compiled.
const MAX_SET_TAGS: usize = 100_000;

/// The longest tag that is shown in full.
const SHOWN_CHARS: usize = 60;

fn too_many_templates(file: &RepoPath) -> Problem {
    let message = format!(
        "the templates up to here have more than {} MiB or {MAX_SET_TAGS} tags together",
        MAX_SET_BYTES >> 20
    );
    Problem::in_whole_file(file, message)
        .found_by("limits")
        .hint("loop over lists of the inventory, and share partials")
}

/// Compiles all sources together, or returns every problem in them.
pub(super) fn compile(sources: &[SourceText], texts: &Texts) -> Result<Compiled, Vec<Problem>> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(handlebars::no_escape);
    helpers::unregister_foreign(&mut registry);
    let mut compiled = Compiled { registry, ..Compiled::default() };
    let mut problems = Vec::new();
    let mut calls = BTreeMap::new();
    let (mut bytes, mut tags) = (0, 0);
    for source in sources {
        // One that is too large by itself is reported as such.
        bytes += source.text.len().min(MAX_SOURCE_BYTES);
        if bytes > MAX_SET_BYTES || tags > MAX_SET_TAGS {
            problems.push(too_many_templates(&source.file));
            break;
        }
        match add(&mut compiled, source, texts, &mut tags) {
            Ok(made) => drop(calls.insert(source.name.as_str(), made)),
            Err(faults) => problems.extend(faults.into_iter().map(|fault| fault.in_file(&source.file))),
        }
    }
    let partials = sources.iter().filter(|source| source.kind == SourceKind::Partial);
    let partials: BTreeMap<_, _> = partials.map(|source| (source.name.as_str(), &*source.file)).collect();
    let made = calls.iter().map(|(name, calls)| (*name, calls.partials.as_slice()));
    let graph = PartialCalls { partials: partials.keys().copied().collect(), calls: made.collect() };
    let faulty = sources
        .iter()
        .flat_map(|source| graph.check(&source.name).into_iter().map(|fault| fault.in_file(&source.file)));
    problems.extend(once_for_all_calls(faulty));
    if !problems.is_empty() {
        return Err(problems);
    }
    for source in sources {
        let Some(Calls { partials: called, texts }) = calls.remove(source.name.as_str()) else { continue };
        let called = called.iter().filter_map(|call| partials.get(call.name.as_str()).copied().cloned());
        compiled.parts.insert(RepoPath::clone(&source.file), called.chain(texts).collect());
        let mark = source.text.lines().next().filter(|line| is_mark(line));
        compiled.first_lines.extend(mark.map(|line| (RepoPath::clone(&source.file), line.to_owned())));
    }
    Ok(compiled)
}

/// Returns whether a line is no comment for people: `#cloud-config`, `#!/bin/sh`.
fn is_mark(line: &str) -> bool {
    let mark = line.strip_prefix('#').filter(|rest| !line.contains("{{") && !rest.starts_with('#'));
    mark.is_some_and(|rest| rest.starts_with(|c: char| !c.is_whitespace()))
}

/// A partial that is missing is missed by every call of it: reported at the first, with the number of the others.
fn once_for_all_calls(faulty: impl Iterator<Item = Problem>) -> impl Iterator<Item = Problem> {
    let mut first: BTreeMap<String, (Problem, usize)> = BTreeMap::new();
    for problem in faulty {
        first.entry(problem.message.clone()).and_modify(|(_, more)| *more += 1).or_insert((problem, 0));
    }
    first.into_values().map(|(problem, more)| problem.and_in_more_places(more))
}

fn add(
    compiled: &mut Compiled,
    source: &SourceText,
    texts: &Texts,
    tags: &mut usize,
) -> Result<Calls, Vec<Fault>> {
    let lines = LineIndex::new(&source.text);
    let reserved: Vec<_> = reserved_characters(&source.text, &lines).collect();
    if !reserved.is_empty() {
        return Err(reserved);
    }
    let scanned = scan(&source.text)?;
    *tags += scanned.tags.len();
    let foreign = foreign::tags(&scanned.tags);
    let mut faults: Vec<_> = foreign.iter().map(|tag| unreadable(tag, foreign::HINT, &lines)).collect();
    let unfit = check_blocks(&scanned, &lines);
    if !unfit.is_empty() {
        let is_foreign =
            |fault: &Fault| foreign.iter().any(|tag| lines.position(tag.range.start) == fault.position);
        faults.extend(unfit.into_iter().filter(|fault| !is_foreign(fault)));
        faults.sort_by_key(|fault| fault.position);
        return Err(faults);
    }
    let marked = compiled.marks.in_source(&source.file, &lines, &scanned);
    let template = Template::compile_with_name(&marked, source.name.clone());
    // Marks move the place that an error names.
    let template = template.map_err(|error| {
        let error = Template::compile(&source.text).err().unwrap_or(error);
        syntax_faults(&error, &scanned, &foreign, &lines)
    });
    let mut template = template?;
    if !faults.is_empty() {
        return Err(faults);
    }
    let calls = rewrite(&mut template, compiled, source, texts, &lines, &scanned)?;
    compiled.registry.register_template(&source.name, template);
    Ok(calls)
}

/// Finds the characters that stand for values while a file is expanded.
fn reserved_characters<'a>(text: &'a str, lines: &'a LineIndex<'_>) -> impl Iterator<Item = Fault> + 'a {
    text.char_indices().filter(|(_, character)| token::is_reserved(*character)).map(|(offset, character)| {
        let message = format!("private-use character U+{:X} in a template", u32::from(character));
        Fault::new(lines.position(offset), message).hint("remove it, or write it into the inventory")
    })
}

/// Says which tags are meant for another program, and which handlebars' parser does not like, by trying each
/// on its own.
fn syntax_faults(error: &TemplateError, scan: &Scan, foreign: &[&Tag], lines: &LineIndex<'_>) -> Vec<Fault> {
    let fault = |tag: &Tag| {
        if foreign.contains(&tag) {
            return Some(unreadable(tag, foreign::HINT, lines));
        }
        (!is_readable(tag)).then(|| unreadable(tag, &expression_hint(tag), lines))
    };
    let faults: Vec<_> = scan.tags.iter().filter_map(fault).collect();
    if !faults.is_empty() {
        return faults;
    }
    let position =
        error.pos().map_or(Position::START, |(line, column)| Position::new(line as u32, column as u32));
    vec![Fault::new(position, "cannot read the template here").hint("check the braces around this place")]
}

fn unreadable(tag: &Tag, hint: &str, lines: &LineIndex<'_>) -> Fault {
    Fault::new(
        lines.position(tag.range.start),
        format!("cannot read `{}`", shortened(&as_written(tag), SHOWN_CHARS)),
    )
    .hint(hint)
}

fn is_readable(tag: &Tag) -> bool {
    let alone = as_written(tag);
    match tag.kind {
        // With `~` in front it is no comment to handlebars, and nothing else either.
        TagKind::Expression if tag.text.starts_with('!') => false,
        TagKind::Expression | TagKind::Partial => Template::compile(&alone).is_ok(),
        TagKind::Open | TagKind::ElseIf => {
            let name = tag.text.split_whitespace().next().unwrap_or("");
            let open = alone.replacen("else ", "#", 1);
            Template::compile(&format!("{open}{{{{/{name}}}}}")).is_ok()
        }
        TagKind::Else | TagKind::Close | TagKind::Comment => true,
    }
}

fn as_written(tag: &Tag) -> String {
    let sign = match tag.kind {
        TagKind::Expression | TagKind::Else | TagKind::Comment => "",
        TagKind::Open => "#",
        TagKind::ElseIf => "else ",
        TagKind::Close => "/",
        TagKind::Partial => "> ",
    };
    format!("{{{{{sign}{}}}}}", tag.text)
}

/// Returns the way out for what people write by habit from other template languages.
fn expression_hint(tag: &Tag) -> String {
    let text = tag.text.as_str();
    let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    let hint = match text {
        "" if tag.kind == TagKind::Partial => "name the partial and its argument: `{{> name cluster}}`",
        "" => "write a path between the braces: `{{cluster.name}}`",
        "." | ".." => "write `this` for the item of a loop, and `../this` for what stands around it",
        _ if text.starts_with('!') => "a comment is written `{{! … }}`, without `~`",
        _ if has(&["../@"]) => "write `@../index` for the index of the outer loop",
        _ if has(&["==", "!=", "&&", "||", " > ", " < "]) => {
            "there are no operators: write `(eq a b)`, `(ne a b)`, `(and a b)`, `(or a b)` or `(not a)`"
        }
        _ if has(&["|"]) && !has(&[" as |"]) => {
            "there are no filters, and none is needed for quoting or indentation: values keep their type"
        }
        _ => {
            "write a path, as in `{{cluster.name}}`, or a helper with its arguments, as in \
             `{{default cluster.labels.zone \"a\"}}`"
        }
    };
    let is_meant_for_us = tag.kind != TagKind::Expression
        || text.len() < 3
        || text.starts_with('!')
        || FACTS.iter().any(|name| text.contains(name))
        || FUNCTIONS.iter().any(|function| text.split_whitespace().next() == Some(function.name));
    if is_meant_for_us { hint.to_owned() } else { foreign::or_else(hint) }
}

/// The names by which templates call facts.
const FACTS: [&str; 8] = ["cluster", "hub", "spokes", "fleet", "addon", "namespaces", "this", "@"];
