//! A set of templates: what they make of facts, and where each part of it was written.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, OnceLock};

use handlebars::{
    BlockParamHolder, Context, Output, RenderContext, RenderError, RenderErrorReason, Renderable,
};
use serde_json::Value as Json;

use crate::key_path::Step;
use crate::path::RepoPath;
use crate::problem::{Fault, Place, Position, Problem};
use crate::yaml::{self, Value};

use super::budget::{Budget, MAX_OUTPUT_BYTES};
use super::compile;
use super::compiled::{Compiled, Site};
use super::helpers::{self, Capture, Recorder};
use super::memory::Memory;
use super::refusal::Refusal;
use super::scan::LineIndex;
use super::skeleton::{Misfit, Skeleton};
use super::source::{SourceKind, SourceText, TemplateSource, Texts, Tracing};
use super::trace::Trail;
use super::{braces, token};

/// A set of templates and partials, compiled together.
#[derive(Debug)]
pub struct Templates {
    pub(super) compiled: Compiled,
    sources: HashMap<RepoPath, Arc<str>>,
    files: Vec<TemplateSource>,
    partials: Vec<(String, TemplateSource)>,
    pub(super) texts: Texts,
    skeletons: Memory,
    traced: OnceLock<Option<Compiled>>,
}

/// The facts that templates are expanded with, and what these expansions may take together.
#[derive(Debug)]
pub struct Scope<'b> {
    context: Context,
    budget: Option<&'b Budget<'b>>,
}

impl<'b> Scope<'b> {
    /// Creates a scope from a map of facts; each expansion is bounded by itself alone.
    #[must_use]
    pub fn new(facts: Json) -> Self {
        Self { context: Context::from(facts), budget: None }
    }

    /// Bounds all expansions with these facts together.
    #[must_use]
    pub fn within(self, budget: &'b Budget<'b>) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// Returns the bound on all expansions together.
    #[must_use]
    pub fn budget(&self) -> Option<&'b Budget<'b>> {
        self.budget
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
        texts: Texts,
    ) -> Result<Self, Vec<Problem>> {
        let compiled = compile_all(&templates, &partials, &texts, Tracing::Off)?;
        let all = templates.iter().chain(partials.iter().map(|(_, partial)| partial));
        let sources = all.map(|source| (source.file.clone(), Arc::clone(&source.text))).collect();
        let (skeletons, traced) = (Memory::default(), OnceLock::new());
        Ok(Self { compiled, sources, files: templates, partials, texts, skeletons, traced })
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

    /// Renders a template, and all of its documents once more with neutral values if `is_watched` says so of any: with each
    /// character of an inserted value that may mean something to another program replaced by a letter.
    pub fn render_watched(
        &self,
        expand: Expand<'_>,
        is_watched: impl Fn(&Value) -> bool,
    ) -> Result<Watched, Vec<Problem>> {
        let (text, captures) = self.expand(expand)?;
        if text.trim().is_empty() {
            return Ok(Watched::default());
        }
        let skeleton = self.skeletons.skeleton(text, Skeleton::parse).map_err(|faults| {
            once_each(faults.into_iter().map(|fault| self.yaml_problem(expand, fault, &captures)))
        })?;
        let documents = skeleton.fill(&captures).map_err(|misfits| {
            once_each(misfits.into_iter().map(|misfit| self.misfit_problem(expand, misfit, &captures)))
        })?;
        let neutral = documents.iter().any(is_watched).then(|| skeleton.fill_neutral(&captures));
        Ok(Watched { documents, neutral })
    }

    /// Finds what wrote the node at `path` of document `document`: the insertions in it, or the literal text.
    #[must_use]
    pub fn origin(&self, expand: Expand<'_>, document: usize, path: &[Step]) -> Option<Origin> {
        let (text, captures) = self.expand(expand).ok()?;
        let skeleton = self.skeletons.skeleton(text, Skeleton::parse).ok()?;
        let located = skeleton.locate(document, path, &captures)?;
        if located.tokens.is_empty() {
            return Some(Origin::Literal(self.place_in_template(expand, located.position)));
        }
        let sites = located.tokens.iter().filter_map(|token| self.captured_at(&captures, *token));
        Some(Origin::Inserted(sites.cloned().collect()))
    }

    /// Finds where the key of the node at `path` of document `document` is written.
    #[must_use]
    pub fn key_place(&self, expand: Expand<'_>, document: usize, path: &[Step]) -> Option<Place> {
        let (text, captures) = self.expand(expand).ok()?;
        let skeleton = self.skeletons.skeleton(text, Skeleton::parse).ok()?;
        let located = skeleton.locate(document, path, &captures)?;
        Some(self.place_in_template(expand, located.key?))
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
        let (text, captures) = self.expand(expand).ok()?;
        let lines = LineIndex::new(&text);
        let skeleton = self.skeletons.skeleton(text.clone(), Skeleton::parse).ok()?;
        let header = skeleton.locate(document, path, &captures)?.key?;
        if !opens_literal_block(lines.line(header.line)) {
            return None;
        }
        let row = header.line + 1 + u32::try_from(line).ok()?;
        let written = lines.line(row);
        let indent = written.chars().take_while(|character| *character == ' ').count();
        Some(self.place_in_template(expand, Position::new(row, u32::try_from(indent).ok()? + 1)))
    }

    fn captured_at(&self, captures: &[Capture], token: usize) -> Option<&Site> {
        self.compiled.sites.get(captures.get(token)?.site)
    }

    fn expand(&self, expand: Expand<'_>) -> Result<(String, Vec<Capture>), Vec<Problem>> {
        expand_with(&self.compiled, &self.texts, expand)
            .map_err(|error| vec![self.expansion_problem(expand, &error)])
    }

    fn expansion_problem(&self, expand: Expand<'_>, error: &RenderError) -> Problem {
        // The rewriting put sites where handlebars keeps line numbers.
        let site = error.line_no.and_then(|site| self.compiled.sites.get(site));
        if let Some(refusal) = find_cause::<OutputFull>(error).map(|_| helpers::too_large()) {
            let problem = Problem::in_whole_file(expand.template, refusal.message);
            return Problem { hint: refusal.hint, ..problem };
        }
        let refusal = match (find_cause::<Refusal>(error), error.reason()) {
            (Some(Refusal { message, hint }), _) => Refusal { message: message.clone(), hint: hint.clone() },
            (None, RenderErrorReason::InvalidJsonIndex(name)) => not_in_a_list(name, site),
            (None, reason) => Refusal::new(reason.to_string().to_lowercase()),
        };
        let place = site.map_or_else(|| start_of(expand.template), |site| site.place.clone());
        Problem { hint: refusal.hint, ..Problem::at(place, refusal.message) }
    }

    fn misfit_problem(&self, expand: Expand<'_>, misfit: Misfit, captures: &[Capture]) -> Problem {
        match misfit.capture.and_then(|token| self.captured_at(captures, token)) {
            Some(site) => {
                let message = format!("`{{{{{}}}}}` {}", site.expression, misfit.message);
                // What Grafana calls `cluster` is a map of ours, too.
                let is_whole_fact = expand.scope.facts().get(&site.expression).is_some();
                let is_in_text = misfit.message.starts_with("is a map");
                let hint =
                    if is_whole_fact && is_in_text { braces::or_else(&misfit.hint) } else { misfit.hint };
                Problem::at(site.place.clone(), message).hint(hint)
            }
            None => {
                Problem::at(self.place_in_template(expand, misfit.position), misfit.message).hint(misfit.hint)
            }
        }
    }

    fn yaml_problem(&self, expand: Expand<'_>, fault: Fault, captures: &[Capture]) -> Problem {
        let place = self.place_in_template(expand, fault.position);
        let message = self.with_expressions(&fault.message, captures);
        let message = match fault.first.map(|first| self.place_in_template(expand, first)) {
            None => message,
            Some(first) if first == place => format!("{message}, written by the same line"),
            Some(first) if first.file == place.file => {
                format!("{message}, first on line {}", first.position.line)
            }
            Some(first) => format!("{message}, first at {first}"),
        };
        let hint = fault.hint.map(|hint| self.with_expressions(&hint, captures));
        Problem { hint, ..Problem::at(place, message) }
    }

    /// Writes the expressions where a message quotes the tokens that stand for their values.
    fn with_expressions(&self, message: &str, captures: &[Capture]) -> String {
        let mut text = String::with_capacity(message.len());
        for character in message.chars() {
            match token::index(character).and_then(|token| self.captured_at(captures, token)) {
                Some(site) => text.extend(["{{", &site.expression, "}}"]),
                None => text.push(character),
            }
        }
        text
    }

    fn place_in_template(&self, expand: Expand<'_>, position: Position) -> Place {
        self.trace(expand, position).unwrap_or_else(|| start_of(expand.template))
    }

    fn trace(&self, expand: Expand<'_>, position: Position) -> Option<Place> {
        let traced = self.traced()?;
        let (marked, captures) = expand_with(traced, &self.texts, expand).ok()?;
        Trail::new(&marked).place(position, traced, &captures, &self.sources)
    }

    pub(super) fn traced(&self) -> Option<&Compiled> {
        self.traced
            .get_or_init(|| compile_all(&self.files, &self.partials, &self.texts, Tracing::On).ok())
            .as_ref()
    }
}

/// Returns whether a line such as `key: |-` puts the lines below it into a text as they are.
fn opens_literal_block(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or(line);
    line.trim_end().rsplit(' ').next().is_some_and(|word| word.starts_with('|'))
}

fn start_of(file: &RepoPath) -> Place {
    Place { file: file.clone(), position: Position::START }
}

fn not_in_a_list(name: &str, site: Option<&Site>) -> Refusal {
    let expression = site.map_or("", |site| site.expression.as_str());
    Refusal::new(format!("`{name}` in `{expression}` is looked up in a list"))
        .hint("loop over the list with `{{#each …}}`, or take an item by its number, as in `list.0`")
}

/// Leaves out what a loop repeats.
fn once_each(problems: impl Iterator<Item = Problem>) -> Vec<Problem> {
    let mut told = BTreeSet::new();
    problems.filter(|problem| told.insert(problem.clone())).collect()
}

fn compile_all(
    templates: &[TemplateSource],
    partials: &[(String, TemplateSource)],
    texts: &Texts,
    tracing: Tracing,
) -> Result<Compiled, Vec<Problem>> {
    let templates = templates.iter().map(|source| (SourceKind::Template, source.file.to_string(), source));
    let partials = partials.iter().map(|(name, source)| (SourceKind::Partial, name.clone(), source));
    let sources: Vec<_> = templates
        .chain(partials)
        .map(|(kind, name, source)| SourceText { kind, name, file: &source.file, text: &source.text })
        .collect();
    compile::compile(&sources, texts, tracing)
}

/// Expands a template, and returns the text with a token for each inserted value, and the values.
pub(super) fn expand_with(
    compiled: &Compiled,
    texts: &Texts,
    expand: Expand<'_>,
) -> Result<(String, Vec<Capture>), RenderError> {
    let template = compiled
        .registry
        .get_template(expand.template.as_str())
        .ok_or_else(|| RenderErrorReason::TemplateNotFound(expand.template.to_string()))?;
    let recorder = Recorder::new(expand.scope.budget, texts);
    let mut out = BoundedOutput::default();
    {
        let mut rc = RenderContext::new(None);
        helpers::register(&mut rc, &recorder);
        if let (Some(index), Some(block)) = (expand.addon, rc.block_mut()) {
            let path = vec!["addons".to_owned(), index.to_string()];
            block.set_block_param("addon", BlockParamHolder::Path(path));
        }
        template.render(&compiled.registry, &expand.scope.context, &mut rc, &mut out)?;
    }
    let captures = recorder.finish()?;
    Ok((out.text, captures))
}

#[derive(Debug, Default)]
struct BoundedOutput {
    text: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the output is too large")]
struct OutputFull;

impl Output for BoundedOutput {
    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.text.len() + text.len() > MAX_OUTPUT_BYTES {
            return Err(io::Error::other(OutputFull));
        }
        self.text.push_str(text);
        Ok(())
    }
}

fn find_cause<E: std::error::Error + 'static>(error: &RenderError) -> Option<&E> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error.reason());
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        if let Some(io) = current.downcast_ref::<io::Error>()
            && let Some(found) = io.get_ref().and_then(|inner| inner.downcast_ref::<E>())
        {
            return Some(found);
        }
        cause = current.source();
    }
    None
}

/// How the first line of every rendered file begins.
const HEADER: &str = "# Rendered by Fleetwright from ";

/// Returns whether a file says of itself that it was rendered. After a merge with conflicts that may stand behind git's mark.
#[must_use]
pub fn has_header(file: &[u8]) -> bool {
    let mark =
        |file: &[u8]| file.starts_with(b"<<<<<<< ").then(|| file.iter().position(|byte| *byte == b'\n'));
    let start = mark(file).flatten().map_or(0, |line_break| line_break + 1);
    file[start..].starts_with(HEADER.as_bytes())
}

/// Writes documents as one file under a header that names its template.
#[must_use]
pub fn write_file(template: &RepoPath, documents: &[Value]) -> String {
    let mut text = format!("{HEADER}{template}; edit that file, not this one.\n");
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            text.push_str("---\n");
        }
        yaml::write_to(&mut text, document);
    }
    text
}
