//! A set of templates: what they make of facts, and where each part of it was written.

use std::collections::BTreeSet;
use std::sync::Arc;

use handlebars::{BlockParamHolder, Context, RenderContext, RenderError, RenderErrorReason, Renderable};
use serde_json::Value as Json;

use crate::key_path::Step;
use crate::path::RepoPath;
use crate::problem::{Fault, Place, Position, Problem};
use crate::yaml::Value;

use super::budget::RenderBudget;
use super::compile;
use super::helpers;
use super::memory::Memory;
use super::recorder::{BoundedOutput, Capture, Recorder, too_large};
use super::refusal::{Refusal, Refusals};
use super::skeleton::{Located, Misfit, Skeleton, neutral};
use super::source::{Compiled, SourceKind, SourceText, TemplateLine, TemplateSource, Texts};
use super::syntax::{LineIndex, foreign, token};
use super::trail::Trail;

/// A set of templates and partials, compiled together.
#[derive(Debug)]
pub struct Templates {
    compiled: Compiled,
    texts: Texts,
    skeletons: Memory,
}

/// The facts that templates are expanded with, and what these expansions may take together.
#[derive(Clone, Debug)]
pub struct Scope<'b> {
    context: Context,
    budget: Option<&'b RenderBudget<'b>>,
}

impl<'b> Scope<'b> {
    /// Creates a scope from a map of facts; each expansion is bounded by itself alone.
    #[must_use]
    pub fn new(facts: Json) -> Self {
        Self { context: Context::from(facts), budget: None }
    }

    /// Bounds all expansions with these facts together.
    pub(crate) fn within(self, budget: &'b RenderBudget<'b>) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// Returns the facts.
    #[must_use]
    pub fn facts(&self) -> &Json {
        self.context.data()
    }

    /// Returns the facts for changing.
    pub fn facts_mut(&mut self) -> &mut Json {
        self.context.data_mut()
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
    /// The path in the facts of the machine that the template is expanded for.
    pub machine: Option<&'a [String]>,
}

/// The documents of a file, and the same with neutral values if any of them is watched.
#[derive(Debug, Default)]
pub struct Watched {
    /// The documents.
    pub documents: Vec<Value>,
    /// The same documents with each character of an inserted value that may mean something to another program
    /// replaced by a letter.
    pub neutral: Option<Vec<Value>>,
}

impl Templates {
    /// Compiles templates, partials and files to be inserted as text (each with the name it is called by), or returns
    /// every problem in them.
    pub fn compile(
        templates: Vec<TemplateSource>,
        partials: Vec<(String, TemplateSource)>,
        texts: Texts,
    ) -> Result<Self, Vec<Problem>> {
        let source =
            |kind, name, TemplateSource { file, text }| SourceText { kind, name, file: Arc::new(file), text };
        let templates = templates.into_iter().map(|it| source(SourceKind::Template, it.file.to_string(), it));
        let partials = partials.into_iter().map(|(name, it)| source(SourceKind::Partial, name, it));
        let sources: Vec<_> = templates.chain(partials).collect();
        let compiled = compile::compile(&sources, &texts)?;
        Ok(Self { compiled, texts, skeletons: Memory::default() })
    }

    /// Returns every name that a template reads, wherever it stands in a path. What is not in here is read by nothing.
    pub(crate) fn names_read(&self) -> &BTreeSet<String> {
        &self.compiled.names_read
    }

    /// Returns every name that some path ends in: a map among them is read as a whole, whatever stands in it.
    pub(crate) fn maps_read(&self) -> &BTreeSet<String> {
        &self.compiled.ends_read
    }

    /// Returns the first line of a template if it is a mark for the program that reads what is rendered, such as
    /// `#cloud-config`: a comment begins with a space.
    pub(crate) fn mark(&self, template: &RepoPath) -> Option<&str> {
        self.compiled.first_lines.get(template).map(String::as_str)
    }

    /// Returns the partials that a template or partial calls itself, and the files whose text it inserts.
    pub fn parts(&self, source: &RepoPath) -> impl Iterator<Item = &RepoPath> {
        self.compiled.parts.get(source).into_iter().flatten()
    }

    /// Expands a template into its documents; none if it renders to nothing.
    pub fn render(&self, expand: Expand<'_>) -> Result<Vec<Value>, Vec<Problem>> {
        self.render_watched(expand, |_| false).map(|watched| watched.documents)
    }

    /// Renders a template, and all of its documents once more with neutral values if `is_watched` says so of
    /// any: with each character of an inserted value that may mean something to another program replaced by a
    /// letter.
    pub fn render_watched(
        &self,
        expand: Expand<'_>,
        is_watched: impl Fn(&Value) -> bool,
    ) -> Result<Watched, Vec<Problem>> {
        let (marked, expanded) = self.expand(expand)?;
        if marked.trim().is_empty() {
            return Ok(Watched::default());
        }
        let skeleton = self.skeletons.skeleton(marked, Skeleton::parse).map_err(|(faults, trail)| {
            once_each(faults.into_iter().map(|fault| expanded.yaml_problem(&trail, fault)))
        })?;
        let (documents, misfits) = skeleton.fill(&expanded.captures);
        if !misfits.is_empty() {
            return Err(once_each(misfits.into_iter().filter_map(|misfit| expanded.misfit_problem(misfit))));
        }
        let is_watched = documents.iter().any(is_watched);
        let neutral = is_watched.then(|| skeleton.fill(&neutral(&expanded.captures)).0);
        Ok(Watched { documents, neutral })
    }

    /// Finds the lines that wrote the node at `path` of document `document`: of the tags in it, or of the text.
    #[must_use]
    pub fn origin(&self, expand: Expand<'_>, document: usize, path: &[Step]) -> Option<Vec<TemplateLine>> {
        let (expanded, skeleton, located) = self.locate(expand, document, path)?;
        if located.tokens.is_empty() {
            let place = expanded.place(&skeleton.trail, located.position);
            return Some(vec![TemplateLine { place, expression: None, text: None }]);
        }
        Some(located.tokens.iter().filter_map(|token| expanded.site(*token)).cloned().collect())
    }

    /// Finds where the key of the node at `path` of document `document` is written.
    pub(crate) fn key_place(&self, expand: Expand<'_>, document: usize, path: &[Step]) -> Option<Place> {
        let (expanded, skeleton, located) = self.locate(expand, document, path)?;
        Some(expanded.place(&skeleton.trail, located.key?))
    }

    /// Finds where a line of the text at `path` of document `document` is written, counted from 0.
    ///
    /// Nothing unless the text is written with its own lines, as a literal block.
    pub(crate) fn line_place(
        &self,
        expand: Expand<'_>,
        document: usize,
        path: &[Step],
        line: usize,
    ) -> Option<Place> {
        let (_, _, located) = self.locate(expand, document, path)?;
        let (marked, expanded) = self.expand(expand).ok()?;
        let (text, trail) = Trail::read(&marked);
        let lines = LineIndex::new(&text);
        let header = located.key?;
        if !opens_literal_block(lines.line(header.line)) {
            return None;
        }
        let row = header.line + 1 + u32::try_from(line).ok()?;
        let written = lines.line(row);
        let indent = written.chars().take_while(|character| *character == ' ').count();
        Some(expanded.place(&trail, Position::new(row, u32::try_from(indent).ok()? + 1)))
    }

    fn locate<'a>(
        &'a self,
        expand: Expand<'a>,
        document: usize,
        path: &[Step],
    ) -> Option<(Expanded<'a>, Arc<Skeleton>, Located)> {
        let (marked, expanded) = self.expand(expand).ok()?;
        let skeleton = self.skeletons.skeleton(marked, Skeleton::parse).ok()?;
        let located = skeleton.locate(document, path, &expanded.captures)?;
        Some((expanded, skeleton, located))
    }

    /// Expands a template into a text with marks for its lines and a token for each inserted value.
    pub(super) fn expand<'a>(&'a self, expand: Expand<'a>) -> Result<(String, Expanded<'a>), Vec<Problem>> {
        let Expand { template, scope, addon, machine } = expand;
        let recorder = Recorder::new(scope.budget);
        let mut out = BoundedOutput::default();
        let rendered = {
            let mut rc = RenderContext::new(None);
            helpers::register(&mut rc, &recorder, &self.texts);
            let addon = addon.map(|index| vec!["addons".to_owned(), index.to_string()]);
            let machine = machine.map(<[String]>::to_vec);
            for (name, path) in [("addon", addon), ("machine", machine)] {
                if let (Some(path), Some(block)) = (path, rc.block_mut()) {
                    block.set_block_param(name, BlockParamHolder::Path(path));
                }
            }
            let registry = &self.compiled.registry;
            let known = registry.get_template(template.as_str());
            known
                .ok_or_else(|| RenderErrorReason::TemplateNotFound(template.to_string()).into())
                .and_then(|known| known.render(registry, &scope.context, &mut rc, &mut out))
        };
        if out.is_full {
            let Refusal { message, hint } = too_large();
            return Err(vec![Problem { hint, ..Problem::in_whole_file(template, message) }]);
        }
        let captures = rendered.and_then(|()| Ok(recorder.finish()?));
        let captures = captures.map_err(|error| self.refused(template, &error))?;
        Ok((out.text, Expanded { compiled: &self.compiled, template, scope, captures }))
    }

    fn refused(&self, template: &RepoPath, error: &RenderError) -> Vec<Problem> {
        // The rewriting put sites where handlebars keeps line numbers.
        let site = error.line_no.and_then(|site| self.compiled.sites.get(site));
        let place = site.map_or_else(|| Place::start_of(template), |site| site.place.clone());
        let refusals = match error.reason() {
            RenderErrorReason::NestedError(cause) => cause.downcast_ref::<Refusals>().cloned(),
            RenderErrorReason::InvalidJsonIndex(name) => Some(Refusals(vec![not_in_a_list(name, site)])),
            _ => None,
        };
        let unknown = || Refusals(vec![Refusal::new(error.reason().to_string().to_lowercase())]);
        let refusals = refusals.unwrap_or_else(unknown).0.into_iter();
        once_each(
            refusals.map(|Refusal { message, hint }| Problem { hint, ..Problem::at(place.clone(), message) }),
        )
    }
}

/// An expansion: the values that its tokens stand for, and where they come from.
pub(super) struct Expanded<'a> {
    compiled: &'a Compiled,
    template: &'a RepoPath,
    scope: &'a Scope<'a>,
    pub captures: Vec<Capture>,
}

impl Expanded<'_> {
    /// Returns the tag that inserted a value.
    fn site(&self, token: usize) -> Option<&TemplateLine> {
        self.compiled.sites.get(self.captures.get(token)?.site)
    }

    /// Returns where a part of the expanded text is written.
    fn place(&self, trail: &Trail, position: Position) -> Place {
        let inserted = |token| Some(self.site(token)?.place.clone());
        trail
            .place(position, &self.compiled.marks, inserted)
            .unwrap_or_else(|| Place::start_of(self.template))
    }

    fn misfit_problem(&self, (token, fault): Misfit) -> Option<Problem> {
        let site = self.site(token)?;
        let expression = site.expression.as_deref().unwrap_or_default();
        // What Grafana calls `cluster` is a map of ours, too.
        let is_whole_fact = self.scope.facts().get(expression).is_some();
        let is_map = fault.message.starts_with("is a map");
        let hint = fault.hint.map(|it| if is_whole_fact && is_map { foreign::or_else(&it) } else { it });
        let message = format!("`{{{{{expression}}}}}` {}", fault.message);
        Some(Problem { hint, ..Problem::at(site.place.clone(), message) })
    }

    fn yaml_problem(&self, trail: &Trail, fault: Fault) -> Problem {
        let place = self.place(trail, fault.position);
        let message = self.with_expressions(&fault.message);
        let message = match fault.first.map(|first| self.place(trail, first)) {
            None => message,
            Some(first) if first == place => format!("{message}, written by the same line"),
            Some(first) if first.file == place.file => {
                format!("{message}, first on line {}", first.position.line)
            }
            Some(first) => format!("{message}, first at {first}"),
        };
        let hint = fault.hint.map(|hint| self.with_expressions(&hint));
        Problem { hint, ..Problem::at(place, message) }
    }

    /// Writes the expressions where a message quotes the tokens that stand for their values.
    fn with_expressions(&self, message: &str) -> String {
        let mut text = String::with_capacity(message.len());
        let mut rest = message;
        while let Some((before, token, after)) = token::split(rest) {
            let expression = self.site(token).and_then(|site| site.expression.as_deref());
            text.extend([before, "{{", expression.unwrap_or_default(), "}}"]);
            rest = after;
        }
        text + rest
    }
}

/// Returns whether a line such as `key: |-` puts the lines below it into a text as they are.
fn opens_literal_block(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or(line);
    line.trim_end().rsplit(' ').next().is_some_and(|word| word.starts_with('|'))
}

fn not_in_a_list(name: &str, site: Option<&TemplateLine>) -> Refusal {
    let expression = site.and_then(|site| site.expression.as_deref()).unwrap_or_default();
    Refusal::new(format!("`{name}` in `{expression}` is looked up in a list"))
        .hint("loop over the list with `{{#each …}}`, or take an item by its number, as in `list.0`")
}

/// Leaves out what a loop repeats.
fn once_each(problems: impl Iterator<Item = Problem>) -> Vec<Problem> {
    let mut told = BTreeSet::new();
    problems.filter(|problem| told.insert(problem.clone())).collect()
}
