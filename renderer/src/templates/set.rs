//! A set of templates: what they make of facts, and where each part of it was written.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::key_path::Step;
use crate::path::RepoPath;
use crate::problem::{Fault, Place, Position, Problem};
use crate::yaml::Value;

use super::budget::RenderBudget;
use super::compiled::{Compiled, compile};
use super::expand::{self, Capture, Expansion, Failure};
use super::lines::LineIndex;
use super::memory::Memory;
use super::refusal::Refusal;
use super::skeleton::{Located, Misfit, Skeleton};
use super::syntax::{Site, TemplateSource, Texts, or_else};
use super::token;

/// A set of templates and partials, compiled together.
#[derive(Debug)]
pub struct Templates {
    compiled: Compiled,
    skeletons: Memory,
}

/// The facts that templates are expanded with, and what these expansions may take together.
#[derive(Debug)]
pub struct Scope<'b> {
    facts: Json,
    budget: Option<&'b RenderBudget<'b>>,
}

impl<'b> Scope<'b> {
    /// Creates a scope from a map of facts; each expansion is bounded by itself alone.
    #[must_use]
    pub fn new(facts: Json) -> Self {
        Self { facts, budget: None }
    }

    /// Bounds all expansions with these facts together.
    #[must_use]
    pub fn within(self, budget: &'b RenderBudget<'b>) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// Returns the bound on all expansions together.
    #[must_use]
    pub fn budget(&self) -> Option<&'b RenderBudget<'b>> {
        self.budget
    }

    /// Returns the facts.
    #[must_use]
    pub fn facts(&self) -> &Json {
        &self.facts
    }

    /// Returns the facts for changing.
    pub fn facts_mut(&mut self) -> &mut Json {
        &mut self.facts
    }
}

/// One expansion to make: which template, with which facts, and which of the add-ons is `addon`.
#[derive(Clone, Copy, Debug)]
pub struct Expand<'a> {
    /// The template's path.
    pub template: &'a RepoPath,
    /// The facts.
    pub scope: &'a Scope<'a>,
    /// The index in `addons` of the add-on that the template belongs to.
    pub addon: Option<usize>,
}

/// Where a rendered value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The template inserted it here.
    Inserted(Vec<Site>),
    /// It stands in the template itself.
    Literal(Place),
}

/// The documents of a file, and the same with neutral values if any of them is watched.
#[derive(Debug, Default)]
pub struct Watched {
    /// The documents.
    pub documents: Vec<Value>,
    /// The same documents with each character of an inserted value that may mean something to another program replaced by a
    /// letter.
    pub neutral: Option<Vec<Value>>,
}

impl Templates {
    /// Compiles templates, partials and files to be inserted as text (each with the name it is called by), or returns
    /// every problem in them.
    pub fn compile(
        templates: Vec<TemplateSource>,
        partials: Vec<(String, TemplateSource)>,
        texts: &Texts,
    ) -> Result<Self, Vec<Problem>> {
        let compiled = compile(templates, partials, texts)?;
        Ok(Self { compiled, skeletons: Memory::default() })
    }

    /// Returns every name that a template reads, wherever it stands in a path. What is not in here is read by nothing.
    #[must_use]
    pub fn names_read(&self) -> &BTreeSet<String> {
        &self.compiled.names_read
    }

    /// Returns every name that some path ends in: a map among them is read as a whole, whatever stands in it.
    #[must_use]
    pub fn maps_read(&self) -> &BTreeSet<String> {
        &self.compiled.ends_read
    }

    /// Returns the partials that a template or partial calls itself, and the files whose text it inserts.
    pub fn parts(&self, source: &RepoPath) -> impl Iterator<Item = &RepoPath> {
        self.compiled.parts.get(source).into_iter().flatten()
    }

    /// Expands a template into its documents; none if it renders to nothing.
    pub fn render(&self, expand: Expand<'_>) -> Result<Vec<Value>, Vec<Problem>> {
        self.render_watched(expand, |_| false).map(|watched| watched.documents)
    }

    /// Renders a template, and all of its documents again with neutral values if `is_watched` says so of any: with each
    /// character of an inserted value that may mean something to another program replaced by a letter.
    pub fn render_watched(
        &self,
        expand: Expand<'_>,
        is_watched: impl Fn(&Value) -> bool,
    ) -> Result<Watched, Vec<Problem>> {
        let expansion = self.expand(expand, false)?;
        if expansion.text.trim().is_empty() {
            return Ok(Watched::default());
        }
        let skeleton = self.skeletons.skeleton(&expansion.text, Skeleton::parse).map_err(|faults| {
            self.located(expand, |traced| {
                faults.into_iter().map(|fault| yaml_problem(traced, expand, fault)).collect()
            })
        })?;
        let documents = skeleton.fill(&expansion.captures).map_err(|misfits| {
            self.located(expand, |traced| {
                misfits.into_iter().map(|misfit| misfit_problem(traced, expand, misfit)).collect()
            })
        })?;
        let neutral = documents.iter().any(is_watched).then(|| skeleton.fill_neutral(&expansion.captures));
        Ok(Watched { documents, neutral })
    }

    /// Finds what wrote the node at `path` of document `document`: the insertions in it, or the literal text.
    #[must_use]
    pub fn origin(&self, expand: Expand<'_>, document: usize, path: &[Step]) -> Option<Origin> {
        let (expansion, node) = self.node(expand, document, path)?;
        if node.tokens.is_empty() {
            return Some(Origin::Literal(place(&expansion, expand, node.position)));
        }
        let captures = node.tokens.iter().filter_map(|token| expansion.captures.get(*token));
        Some(Origin::Inserted(captures.map(|capture| capture.site.clone()).collect()))
    }

    /// Finds where the key of the node at `path` of document `document` is written.
    #[must_use]
    pub fn key_place(&self, expand: Expand<'_>, document: usize, path: &[Step]) -> Option<Place> {
        let (expansion, node) = self.node(expand, document, path)?;
        Some(place(&expansion, expand, node.key?))
    }

    /// Finds where a line of the text at `path` of document `document` is written, counted from 0.
    ///
    /// Nothing unless the text is written with its own lines, as a literal block.
    #[must_use]
    pub fn line_place(
        &self,
        expand: Expand<'_>,
        document: usize,
        path: &[Step],
        line: usize,
    ) -> Option<Place> {
        let (expansion, node) = self.node(expand, document, path)?;
        let (lines, header) = (LineIndex::new(&expansion.text), node.key?);
        if !opens_literal_block(lines.line(header.line)) {
            return None;
        }
        let row = header.line + 1 + u32::try_from(line).ok()?;
        let indent = lines.line(row).chars().take_while(|character| *character == ' ').count();
        Some(place(&expansion, expand, Position::new(row, u32::try_from(indent).ok()? + 1)))
    }

    fn node<'c>(
        &'c self,
        expand: Expand<'c>,
        document: usize,
        path: &[Step],
    ) -> Option<(Expansion<'c>, Located)> {
        let expansion = self.expand(expand, true).ok()?;
        let skeleton = self.skeletons.skeleton(&expansion.text, Skeleton::parse).ok()?;
        let node = skeleton.locate(document, path, &expansion.captures)?;
        Some((expansion, node))
    }

    pub(super) fn expand<'c>(
        &'c self,
        expand: Expand<'c>,
        is_traced: bool,
    ) -> Result<Expansion<'c>, Vec<Problem>> {
        let Expand { template, scope: Scope { facts, budget }, addon } = expand;
        let Some(parsed) = self.compiled.templates.get(template) else {
            return Err(vec![Problem::in_whole_file(template, "there is no such template")]);
        };
        let addon = addon.and_then(|index| facts.get("addons")?.get(index));
        let names = addon.map(|addon| ("addon", Cow::Borrowed(addon))).into_iter().collect();
        expand::expand(parsed, &self.compiled.partials, facts, names, *budget, is_traced)
            .map_err(|failure| vec![failure_problem(template, failure)])
    }

    /// Expands a template again, so that it is known what wrote what, and returns each problem of it once.
    fn located(
        &self,
        expand: Expand<'_>,
        problems: impl FnOnce(&Expansion<'_>) -> Vec<Problem>,
    ) -> Vec<Problem> {
        let problems = self.expand(expand, true).map_or_else(|failed| failed, |traced| problems(&traced));
        let mut reported = BTreeSet::new();
        problems.into_iter().filter(|problem| reported.insert(problem.clone())).collect()
    }
}

fn place(traced: &Expansion<'_>, expand: Expand<'_>, position: Position) -> Place {
    traced.place(position).unwrap_or_else(|| start_of(expand.template))
}

fn failure_problem(template: &RepoPath, failure: Failure<'_>) -> Problem {
    let Refusal { message, hint } = failure.refusal;
    let problem = match failure.site {
        Some(site) => Problem::at(site.place.clone(), message),
        None => Problem::in_whole_file(template, message),
    };
    Problem { hint, ..problem }
}

fn misfit_problem(traced: &Expansion<'_>, expand: Expand<'_>, misfit: Misfit) -> Problem {
    let Misfit { capture, position, message, hint } = misfit;
    let Some(Capture { site, .. }) = capture.and_then(|token| traced.captures.get(token)) else {
        return Problem::at(place(traced, expand, position), message).hint(hint);
    };
    // What Grafana calls `cluster` is a map of ours, too.
    let is_whole_fact = expand.scope.facts().get(&site.expression).is_some();
    let is_in_text = message.starts_with("is a map");
    let hint = if is_whole_fact && is_in_text { or_else(&hint) } else { hint };
    Problem::at(site.place.clone(), format!("`{{{{{}}}}}` {message}", site.expression)).hint(hint)
}

fn yaml_problem(traced: &Expansion<'_>, expand: Expand<'_>, fault: Fault) -> Problem {
    let at = place(traced, expand, fault.position);
    let message = with_expressions(&fault.message, &traced.captures);
    let message = match fault.first.map(|first| place(traced, expand, first)) {
        None => message,
        Some(first) if first == at => format!("{message}, written by the same line"),
        Some(first) if first.file == at.file => format!("{message}, first on line {}", first.position.line),
        Some(first) => format!("{message}, first at {first}"),
    };
    let hint = fault.hint.map(|hint| with_expressions(&hint, &traced.captures));
    Problem { hint, ..Problem::at(at, message) }
}

/// Writes the expressions where a message quotes the tokens that stand for their values.
fn with_expressions(message: &str, captures: &[Capture<'_>]) -> String {
    let mut text = String::with_capacity(message.len());
    for character in message.chars() {
        match token::index(character).and_then(|token| captures.get(token)) {
            Some(capture) => text.extend(["{{", &capture.site.expression, "}}"]),
            None => text.push(character),
        }
    }
    text
}

/// Returns whether a line such as `key: |-` puts the lines below it into a text as they are.
fn opens_literal_block(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or(line);
    line.trim_end().rsplit(' ').next().is_some_and(|word| word.starts_with('|'))
}

fn start_of(file: &RepoPath) -> Place {
    Place { file: file.clone(), position: Position::START }
}
