//! Templates with structural interpolation: handlebars in, YAML documents out.
//!
//! `{{ … }}` inserts a value, not text. Knows nothing of clusters or of what a template is for; handlebars is named in
//! this folder and nowhere else.

mod compile;
mod helpers;
mod scan;
mod skeleton;
mod token;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use handlebars::{BlockParamHolder, Context, Output, RenderContext, RenderError, Renderable};
use serde_json::Value as Json;

use crate::key_path::Step;
use crate::path::RepoPath;
use crate::problem::{Fault, Place, Position, Problem};
use crate::yaml::{self, Value};

pub use compile::Site;
pub use helpers::{BLOCK_HELPERS, Capture, MAX_STEPS, VALUE_HELPERS};
pub use scan::{MAX_ELSE_IF, MAX_NESTING, MAX_PARENTHESES};
pub use token::MAX as MAX_VALUES;

use compile::{Compiled, SourceText, Tracing};
use helpers::{Recorder, SiteFault};
use scan::LineIndex;
use skeleton::{Misfit, Skeleton};

/// The text that one template may expand to, in bytes. Argo CD and a reviewer both choke on less.
pub const MAX_OUTPUT_BYTES: usize = 8 * 1024 * 1024;
/// Skeletons remembered for one template; a template that makes more of them varies too much for a memory to help.
const MAX_SKELETONS: usize = 4_096;

/// The text of a template or partial.
#[derive(Clone, Debug)]
pub struct TemplateSource {
    /// The file.
    pub file: RepoPath,
    /// Its text.
    pub text: Arc<str>,
}

/// A set of templates and partials, compiled together.
#[derive(Debug)]
pub struct Templates {
    compiled: Compiled,
    sources: HashMap<RepoPath, Arc<str>>,
    templates: Vec<TemplateSource>,
    partials: Vec<(String, TemplateSource)>,
    skeletons: RwLock<HashMap<Box<str>, Arc<Skeleton>>>,
    traced: OnceLock<Option<Compiled>>,
}

/// The facts that a template is expanded with.
#[derive(Debug)]
pub struct Scope {
    context: Context,
}

impl Scope {
    /// Creates a scope from a map of facts.
    #[must_use]
    pub fn new(facts: Json) -> Self {
        Self { context: Context::from(facts) }
    }

    /// Returns the facts.
    #[must_use]
    pub fn facts(&self) -> &Json {
        self.context.data()
    }
}

/// One expansion to make: which template, with which facts, and which of the add-ons is `addon`.
#[derive(Clone, Copy, Debug)]
pub struct Expand<'a> {
    /// The template's path.
    pub template: &'a RepoPath,
    /// The facts.
    pub scope: &'a Scope,
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

impl Templates {
    /// Compiles templates and partials (each with the name it is called by), or returns every problem in them.
    pub fn compile(
        templates: Vec<TemplateSource>,
        partials: Vec<(String, TemplateSource)>,
    ) -> Result<Self, Vec<Problem>> {
        let compiled = compile_all(&templates, &partials, Tracing::Off)?;
        let all = templates.iter().chain(partials.iter().map(|(_, partial)| partial));
        let sources = all.map(|source| (source.file.clone(), Arc::clone(&source.text))).collect();
        let skeletons = RwLock::default();
        Ok(Self { compiled, sources, templates, partials, skeletons, traced: OnceLock::new() })
    }

    /// Returns every name that a template reads, wherever it stands in a path. What is not in here is read by nothing.
    #[must_use]
    pub fn names_read(&self) -> &BTreeSet<String> {
        &self.compiled.names_read
    }

    /// Expands a template into its documents; none if it renders to nothing.
    pub fn render(&self, expand: Expand<'_>) -> Result<Vec<Value>, Vec<Problem>> {
        let (text, captures) = self.expand(expand)?;
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let skeleton = self.skeleton(expand, text)?;
        skeleton.fill(&captures).map_err(|misfits| {
            misfits.into_iter().map(|misfit| self.misfit(expand, misfit, &captures)).collect()
        })
    }

    /// Finds what wrote the node at `path` of document `document`: the insertions in it, or the literal text.
    #[must_use]
    pub fn origin(&self, expand: Expand<'_>, document: usize, path: &[Step]) -> Option<Origin> {
        let (text, captures) = self.expand(expand).ok()?;
        let skeleton = Skeleton::parse(&text).ok()?;
        let located = skeleton.locate(document, path, &captures)?;
        if located.tokens.is_empty() {
            return Some(Origin::Literal(self.place_in_template(expand, located.position)));
        }
        let sites = located.tokens.iter().filter_map(|token| captures.get(*token));
        Some(Origin::Inserted(sites.map(|capture| self.site(capture.site).clone()).collect()))
    }

    /// Finds where the key of the node at `path` of document `document` stands; nothing if a value brought it along.
    #[must_use]
    pub fn key_place(&self, expand: Expand<'_>, document: usize, path: &[Step]) -> Option<Place> {
        let (text, captures) = self.expand(expand).ok()?;
        let located = Skeleton::parse(&text).ok()?.locate(document, path, &captures)?;
        Some(self.place_in_template(expand, located.key?))
    }

    fn site(&self, index: u32) -> &Site {
        &self.compiled.sites[index as usize]
    }

    fn skeleton(&self, expand: Expand<'_>, text: String) -> Result<Arc<Skeleton>, Vec<Problem>> {
        let known = self.skeletons.read().unwrap_or_else(PoisonError::into_inner).get(text.as_str()).cloned();
        if let Some(skeleton) = known {
            return Ok(skeleton);
        }
        let parsed = Skeleton::parse(&text).map_err(|faults| {
            faults.into_iter().map(|fault| self.yaml_fault(expand, fault)).collect::<Vec<_>>()
        })?;
        let skeleton = Arc::new(parsed);
        let mut memory = self.skeletons.write().unwrap_or_else(PoisonError::into_inner);
        if memory.len() >= MAX_SKELETONS {
            memory.clear();
        }
        memory.insert(text.into(), Arc::clone(&skeleton));
        Ok(skeleton)
    }

    fn expand(&self, expand: Expand<'_>) -> Result<(String, Vec<Capture>), Vec<Problem>> {
        let recorder = Arc::new(Recorder::default());
        let result = render_with(&self.compiled, expand, &recorder, Tracing::Off);
        match result {
            Ok(text) => Ok((text, recorder.take())),
            Err(error) => Err(vec![self.render_problem(expand, &error)]),
        }
    }

    fn render_problem(&self, expand: Expand<'_>, error: &RenderError) -> Problem {
        if let Some(fault) = find_cause::<SiteFault>(error) {
            let problem = Problem::at(self.site(fault.site).place.clone(), fault.message.clone());
            return Problem { hint: fault.hint.clone(), ..problem };
        }
        if find_cause::<OutputFull>(error).is_some() {
            let message = format!("the template writes more than {} MiB", MAX_OUTPUT_BYTES >> 20);
            return Problem::in_whole_file(expand.template, message).hint("split it, or loop over less");
        }
        // Our helpers say where they stand, so only faults of a partial's argument are left.
        let position = match (error.line_no, error.column_no) {
            (Some(line), Some(column)) => Position::new(line as u32, column as u32),
            _ => Position::START,
        };
        let file =
            error.template_name.as_deref().and_then(|name| self.file_of(name)).unwrap_or(expand.template);
        Fault::new(position, error.reason().to_string().to_lowercase()).in_file(file)
    }

    fn file_of(&self, name: &str) -> Option<&RepoPath> {
        let partial =
            self.partials.iter().find(|(partial, _)| partial == name).map(|(_, source)| &source.file);
        partial
            .or_else(|| self.templates.iter().map(|source| &source.file).find(|file| file.as_str() == name))
    }

    fn misfit(&self, expand: Expand<'_>, misfit: Misfit, captures: &[Capture]) -> Problem {
        let site =
            misfit.capture.and_then(|token| captures.get(token)).map(|capture| self.site(capture.site));
        match site {
            Some(site) => Problem::at(
                site.place.clone(),
                format!("`{{{{{}}}}}` is {}", site.expression, misfit.message),
            ),
            None => Problem::at(self.place_in_template(expand, misfit.position), misfit.message),
        }
        .hint(misfit.hint)
    }

    fn yaml_fault(&self, expand: Expand<'_>, fault: Fault) -> Problem {
        let place = self.place_in_template(expand, fault.position);
        let message = self.without_tokens(&fault.message);
        Problem { place, message, hint: fault.hint.map(|hint| self.without_tokens(&hint)) }
    }

    /// Writes `{{…}}` where a message quotes a token.
    fn without_tokens(&self, message: &str) -> String {
        let mut text = String::with_capacity(message.len());
        for character in message.chars() {
            if token::index(character).is_some() { text.push_str("{{…}}") } else { text.push(character) }
        }
        text
    }

    /// Maps a position in the expanded text back to the template line that wrote it.
    ///
    /// The text is expanded once more from a copy of the templates that marks every stretch of literal text; this
    /// happens only for problems and explanations.
    fn place_in_template(&self, expand: Expand<'_>, position: Position) -> Place {
        self.trace(expand, position)
            .unwrap_or_else(|| Place { file: expand.template.clone(), position: Position::START })
    }

    fn trace(&self, expand: Expand<'_>, position: Position) -> Option<Place> {
        let traced =
            self.traced.get_or_init(|| compile_all(&self.templates, &self.partials, Tracing::On).ok());
        let traced = traced.as_ref()?;
        let recorder = Arc::new(Recorder::default());
        let marked = render_with(traced, expand, &recorder, Tracing::On).ok()?;
        let captures = recorder.take();
        let trail = Trail::new(&marked);
        let lines = LineIndex::new(&trail.text);
        let offset = lines.offset(position);
        let (start, source) = trail.at(offset)?;
        match source {
            Mark::Token(token) => Some(self.site(captures.get(token)?.site).place.clone()),
            Mark::Stretch(index) => {
                let stretch = traced.stretches.get(index)?;
                let text = self.sources.get(&stretch.file)?;
                let source_lines = LineIndex::new(text);
                let from = source_lines.position(stretch.offset);
                let rows = trail.text[start..offset].matches('\n').count() as u32;
                let column = if rows == 0 {
                    from.column + trail.text[start..offset].chars().count() as u32
                } else {
                    // A partial may have been indented: count from the first character that is not a space.
                    let indent = |line: &str| (line.len() - line.trim_start_matches(' ').len()) as u32;
                    let written = indent(source_lines.line(from.line + rows));
                    (position.column + written).saturating_sub(indent(lines.line(position.line))).max(1)
                };
                Some(Place { file: stretch.file.clone(), position: Position::new(from.line + rows, column) })
            }
        }
    }
}

fn compile_all(
    templates: &[TemplateSource],
    partials: &[(String, TemplateSource)],
    tracing: Tracing,
) -> Result<Compiled, Vec<Problem>> {
    let templates: Vec<_> = templates
        .iter()
        .map(|source| SourceText { name: source.file.to_string(), file: &source.file, text: &source.text })
        .collect();
    let partials: Vec<_> = partials
        .iter()
        .map(|(name, source)| SourceText { name: name.clone(), file: &source.file, text: &source.text })
        .collect();
    compile::compile(&templates, &partials, tracing)
}

fn render_with(
    compiled: &Compiled,
    expand: Expand<'_>,
    recorder: &Arc<Recorder>,
    tracing: Tracing,
) -> Result<String, RenderError> {
    let template = compiled
        .registry
        .get_template(expand.template.as_str())
        .ok_or_else(|| handlebars::RenderErrorReason::TemplateNotFound(expand.template.to_string()))?;
    let mut rc = RenderContext::new(None);
    helpers::register_recording(&mut rc, recorder);
    if tracing == Tracing::On {
        helpers::register_marking(&mut rc);
    }
    if let (Some(index), Some(block)) = (expand.addon, rc.block_mut()) {
        block.set_block_param("addon", BlockParamHolder::Path(vec!["addons".to_owned(), index.to_string()]));
    }
    let mut out = BoundedOutput::default();
    template.render(&compiled.registry, &expand.scope.context, &mut rc, &mut out)?;
    Ok(out.text)
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

fn find_cause<'e, E: std::error::Error + 'static>(error: &'e RenderError) -> Option<&'e E> {
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

#[derive(Clone, Copy, Debug)]
enum Mark {
    Token(usize),
    Stretch(usize),
}

/// A traced text without its marks, and which mark each part of it follows.
struct Trail {
    text: String,
    marks: Vec<(usize, Mark)>,
}

impl Trail {
    fn new(marked: &str) -> Self {
        let mut trail = Self { text: String::with_capacity(marked.len()), marks: Vec::new() };
        for character in marked.chars() {
            if let Some(index) = token::marked(character) {
                trail.marks.push((trail.text.len(), Mark::Stretch(index)));
                continue;
            }
            if let Some(index) = token::index(character) {
                trail.marks.push((trail.text.len(), Mark::Token(index)));
            }
            trail.text.push(character);
        }
        trail
    }

    fn at(&self, offset: usize) -> Option<(usize, Mark)> {
        let after = self.marks.partition_point(|(start, _)| *start <= offset);
        after.checked_sub(1).map(|index| self.marks[index])
    }
}

/// Writes documents as one file under a header that names its template.
#[must_use]
pub fn write_file(template: &RepoPath, documents: &[Value]) -> String {
    let mut text = format!("# Rendered by Fleetwright from {template}; edit that file, not this one.\n");
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            text.push_str("---\n");
        }
        text.push_str(&yaml::write(document));
    }
    text
}
