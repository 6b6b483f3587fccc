//! Compiles template sources: rewrites every `{{expression}}` so that it inserts a token and records the typed value.
//!
//! Knows handlebars' syntax tree and nothing of YAML. All that could abort or mislead the renderer is refused here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use handlebars::template::{DecoratorTemplate, HelperTemplate, Parameter, Subexpression, TemplateElement};
use handlebars::{Handlebars, Template, TemplateError};
use serde_json::Value as Json;

use crate::path::RepoPath;
use crate::problem::{Fault, Place, Position, Problem, did_you_mean};

use super::helpers::{self, BLOCK_HELPERS, CAPTURE, MARK, SITE, VALUE_HELPERS};
use super::scan::{LineIndex, Scan, Tag, TagKind, scan};
use super::token;

/// Partials inside partials, at most.
const MAX_PARTIAL_DEPTH: usize = 8;

/// A place in a template where a value is inserted or a block decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The template file and the position of the opening braces.
    pub place: Place,
    /// What stands between the braces.
    pub expression: String,
}

/// A stretch of literal text of a template, for tracing output back to its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub file: RepoPath,
    /// The byte offset in the source.
    pub offset: usize,
}

/// Compiled templates, ready to expand.
#[derive(Debug)]
pub(super) struct Compiled {
    pub registry: Handlebars<'static>,
    pub sites: Vec<Site>,
    /// Filled only in a traced copy.
    pub stretches: Vec<Stretch>,
    /// Every name that occurs as a segment of a path in some template.
    pub names_read: BTreeSet<String>,
}

/// Whether to mark literal text for tracing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tracing {
    Off,
    On,
}

/// A source to compile under a name: a template by its path, a partial by the name it is called by.
#[derive(Clone, Debug)]
pub(super) struct SourceText<'a> {
    pub name: String,
    pub file: &'a RepoPath,
    pub text: &'a str,
}

/// Compiles all sources together, or returns every problem in them.
pub(super) fn compile(
    templates: &[SourceText<'_>],
    partials: &[SourceText<'_>],
    tracing: Tracing,
) -> Result<Compiled, Vec<Problem>> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(handlebars::no_escape);
    helpers::register(&mut registry);
    let mut compiled =
        Compiled { registry, sites: Vec::new(), stretches: Vec::new(), names_read: BTreeSet::new() };
    let mut problems = Vec::new();
    let mut calls: BTreeMap<&str, Vec<PartialCall>> = BTreeMap::new();
    for source in templates.iter().chain(partials) {
        match compiled.add(source, tracing) {
            Ok(made) => {
                calls.insert(&source.name, made);
            }
            Err(faults) => problems.extend(faults.into_iter().map(|fault| fault.in_file(source.file))),
        }
    }
    let partial_names: BTreeSet<&str> = partials.iter().map(|partial| partial.name.as_str()).collect();
    for source in templates.iter().chain(partials) {
        let faults = check_partial_calls(&source.name, &calls, &partial_names);
        problems.extend(faults.into_iter().map(|fault| fault.in_file(source.file)));
    }
    if problems.is_empty() { Ok(compiled) } else { Err(problems) }
}

impl Compiled {
    fn add(&mut self, source: &SourceText<'_>, tracing: Tracing) -> Result<Vec<PartialCall>, Vec<Fault>> {
        let lines = LineIndex::new(source.text);
        if let Some((offset, character)) = source.text.char_indices().find(|(_, c)| token::is_reserved(*c)) {
            let message = format!("private-use character {} in a template", character.escape_unicode());
            return Err(vec![Fault::new(lines.position(offset), message).hint("remove it")]);
        }
        let scanned = scan(source.text)?;
        self.registry
            .register_template_string(&source.name, source.text)
            .map_err(|error| vec![syntax_fault(&error, &scanned, &lines)])?;
        let mut template = self.registry.get_template(&source.name).cloned().unwrap_or_default();
        let mut rewriter = Rewriter {
            source,
            lines,
            tags: scanned.tags.iter(),
            texts: scanned.texts.iter(),
            tracing,
            compiled: self,
            calls: Vec::new(),
            faults: Vec::new(),
        };
        rewriter.template(&mut template);
        let (calls, faults) = (rewriter.calls, rewriter.faults);
        self.registry.register_template(&source.name, template);
        if faults.is_empty() { Ok(calls) } else { Err(faults) }
    }
}

/// Says what handlebars' parser did not like, at the tag it stopped in.
fn syntax_fault(error: &TemplateError, scan: &Scan, lines: &LineIndex<'_>) -> Fault {
    let position = match error.pos() {
        Some((line, column)) => Position::new(line as u32, column as u32),
        None => Position::START,
    };
    let at = lines.offset(position);
    let tag = scan.tags.iter().rev().find(|tag| tag.start <= at);
    match tag {
        Some(tag) => Fault::new(lines.position(tag.start), format!("cannot read the expression `{}`", tag.text)),
        None => Fault::new(position, "cannot read the template here"),
    }
    .hint("an expression is a path (`cluster.name`), or a helper with arguments (`default cluster.labels.zone \"a\"`)")
}

/// A call of a partial and where it stands.
#[derive(Clone, Debug)]
struct PartialCall {
    name: String,
    position: Position,
}

fn check_partial_calls(
    from: &str,
    calls: &BTreeMap<&str, Vec<PartialCall>>,
    known: &BTreeSet<&str>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for call in calls.get(from).into_iter().flatten() {
        if !known.contains(call.name.as_str()) {
            let fault = Fault::new(call.position, format!("unknown partial `{}`", call.name));
            faults.push(match did_you_mean(&call.name, known.iter().copied()) {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None => fault.hint(format!("create `templates/_partials/{}.hbs`", call.name)),
            });
            continue;
        }
        let mut chain = vec![call.name.as_str()];
        if let Some(fault) = follow(from, &mut chain, calls, call.position) {
            faults.push(fault);
        }
    }
    faults
}

/// Follows a chain of partial calls, and returns a fault if it comes back to `from` or grows too deep.
fn follow<'a>(
    from: &str,
    chain: &mut Vec<&'a str>,
    calls: &'a BTreeMap<&str, Vec<PartialCall>>,
    position: Position,
) -> Option<Fault> {
    let current = *chain.last()?;
    if current == from {
        let path = chain.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" → ");
        return Some(
            Fault::new(position, format!("partial `{from}` includes itself: {path}")).hint("break the cycle"),
        );
    }
    if chain.len() > MAX_PARTIAL_DEPTH {
        let message = format!("more than {MAX_PARTIAL_DEPTH} partials inside each other");
        return Some(Fault::new(position, message).hint("call fewer partials from partials"));
    }
    for call in calls.get(current).into_iter().flatten() {
        // A cycle that does not pass through `from` is reported where it starts.
        if chain.contains(&call.name.as_str()) && call.name != from {
            continue;
        }
        chain.push(&call.name);
        let fault = follow(from, chain, calls, position);
        chain.pop();
        if fault.is_some() {
            return fault;
        }
    }
    None
}

/// Walks a syntax tree in source order beside the scanned tags, which know the true positions.
struct Rewriter<'a, 's> {
    source: &'a SourceText<'s>,
    lines: LineIndex<'a>,
    tags: std::slice::Iter<'a, Tag>,
    texts: std::slice::Iter<'a, std::ops::Range<usize>>,
    tracing: Tracing,
    compiled: &'a mut Compiled,
    calls: Vec<PartialCall>,
    faults: Vec<Fault>,
}

impl Rewriter<'_, '_> {
    fn template(&mut self, template: &mut Template) {
        let elements = std::mem::take(&mut template.elements);
        template.mapping.clear();
        for mut element in elements {
            self.element(&mut element);
            if let (TemplateElement::RawString(text), Tracing::On) = (&element, self.tracing) {
                template.elements.push(self.mark(text));
            }
            template.elements.push(element);
        }
    }

    fn element(&mut self, element: &mut TemplateElement) {
        match element {
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                self.expression(call)
            }
            TemplateElement::HelperBlock(call) => self.block(call),
            TemplateElement::PartialExpression(call) => self.partial(call),
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
            _ => {
                let site = self.next_site(&[TagKind::Expression, TagKind::Open, TagKind::Partial]);
                self.fault(site, "decorators and partial blocks are not supported", "use a plain partial");
            }
        }
    }

    fn expression(&mut self, call: &mut HelperTemplate) {
        let site = self.next_site(&[TagKind::Expression]);
        let value = if call.params.is_empty() && call.hash.is_empty() {
            self.name_as_value(&call.name, site)
        } else {
            let name = call.name.clone();
            self.helper_name(&name, &VALUE_HELPERS, site);
            let params = call.params.drain(..).map(|param| self.parameter(param, site)).collect();
            let hash = self.hash(std::mem::take(&mut call.hash), site);
            Parameter::Subexpression(Subexpression::new(name, params, hash))
        };
        call.name = Parameter::Name(CAPTURE.to_owned());
        call.params = vec![value];
        call.hash = HashMap::from([site_argument(site)]);
    }

    fn block(&mut self, call: &mut HelperTemplate) {
        let site = self.next_site(&[TagKind::Open, TagKind::ElseIf]);
        let name = call.name.clone();
        self.helper_name(&name, &BLOCK_HELPERS, site);
        call.params = call.params.drain(..).map(|param| self.parameter(param, site)).collect();
        call.hash = self.hash(std::mem::take(&mut call.hash), site);
        for body in [&mut call.template, &mut call.inverse].into_iter().flatten() {
            self.template(body);
        }
    }

    fn partial(&mut self, call: &mut DecoratorTemplate) {
        let site = self.next_site(&[TagKind::Partial]);
        let Some(name) = call.name.as_name().map(str::to_owned) else {
            self.fault(site, "the name of a partial must be written out", "choose with `{{#if}}` instead");
            return;
        };
        if call.params.is_empty() && call.hash.is_empty() {
            let hint =
                format!("pass what it needs, as in `{{{{> {name} cluster}}}}`: it is copied at every call");
            self.fault(site, &format!("partial `{name}` is called without an argument"), &hint);
        }
        let position = self.compiled.sites[site as usize].place.position;
        self.calls.push(PartialCall { name, position });
        call.params = call.params.drain(..).map(|param| self.parameter(param, site)).collect();
        for (key, value) in std::mem::take(&mut call.hash) {
            let value = self.parameter(value, site);
            call.hash.insert(key, value);
        }
    }

    /// `{{name}}`: a path, even where a helper has the same name.
    fn name_as_value(&mut self, name: &Parameter, site: u32) -> Parameter {
        let parsed = match name {
            Parameter::Name(text) => Parameter::parse(text).unwrap_or_else(|_| name.clone()),
            other => other.clone(),
        };
        self.parameter(parsed, site)
    }

    fn parameter(&mut self, parameter: Parameter, site: u32) -> Parameter {
        match parameter {
            Parameter::Path(_) => {
                let segments = parameter.as_name().unwrap_or("").split(['.', '/']);
                self.compiled
                    .names_read
                    .extend(segments.map(|name| name.trim_matches(['[', ']']).to_owned()));
                parameter
            }
            Parameter::Subexpression(inner) => self.subexpression(&inner, site),
            Parameter::Literal(Json::String(text)) => {
                self.compiled.names_read.insert(text.clone());
                Parameter::Literal(Json::String(text))
            }
            other => other,
        }
    }

    fn subexpression(&mut self, inner: &Subexpression, site: u32) -> Parameter {
        let (TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call)) = inner.as_element()
        else {
            return Parameter::Subexpression(inner.clone());
        };
        if call.params.is_empty() && call.hash.is_empty() {
            return self.name_as_value(&call.name, site);
        }
        self.helper_name(&call.name, &VALUE_HELPERS, site);
        let params = call.params.iter().cloned().map(|param| self.parameter(param, site)).collect();
        let hash = self.hash(call.hash.clone(), site);
        Parameter::Subexpression(Subexpression::new(call.name.clone(), params, hash))
    }

    fn hash(&mut self, hash: HashMap<String, Parameter>, site: u32) -> HashMap<String, Parameter> {
        if !hash.is_empty() {
            self.fault(site, "helpers take no named arguments", "give the values one after the other");
        }
        HashMap::from([site_argument(site)])
    }

    fn helper_name(&mut self, name: &Parameter, known: &[&str], site: u32) {
        let name = name.as_name().unwrap_or("");
        if known.contains(&name) {
            return;
        }
        let kind = if known.len() == BLOCK_HELPERS.len() { "block helper" } else { "helper" };
        let hint = match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                format!("there is {}; values keep their type, so none is needed for quoting", list(known))
            }
        };
        self.fault(site, &format!("unknown {kind} `{name}`"), &hint);
    }

    fn next_site(&mut self, kinds: &[TagKind]) -> u32 {
        let tag = self.tags.find(|tag| kinds.contains(&tag.kind));
        let (position, expression) = match tag {
            Some(tag) => (self.lines.position(tag.start), tag.text.clone()),
            None => (Position::START, String::new()),
        };
        let place = Place { file: self.source.file.clone(), position };
        self.compiled.sites.push(Site { place, expression });
        self.compiled.sites.len() as u32 - 1
    }

    fn mark(&mut self, text: &str) -> TemplateElement {
        let offset = self.stretch_offset(text);
        let index = self.compiled.stretches.len();
        self.compiled.stretches.push(Stretch { file: self.source.file.clone(), offset });
        let mut call = blank_call();
        call.name = Parameter::Name(MARK.to_owned());
        call.hash = HashMap::from([site_argument(index as u32)]);
        TemplateElement::Expression(Box::new(call))
    }

    /// Finds the source of a stretch of text: handlebars trims white space around tags, so it is part of a scanned one.
    fn stretch_offset(&mut self, text: &str) -> usize {
        // Escaped braces have lost their backslash in the tree, so look for what stands before them.
        let needle = match text.find("{{") {
            Some(0) => "{{",
            Some(braces) => &text[..braces],
            None => text,
        };
        let mut ahead = self.texts.clone();
        while let Some(range) = ahead.next() {
            if let Some(at) = self.source.text[range.clone()].find(needle) {
                self.texts = ahead;
                return range.start + at;
            }
        }
        self.texts.as_slice().first().map_or(self.source.text.len(), |range| range.start)
    }

    fn fault(&mut self, site: u32, message: &str, hint: &str) {
        let position = self.compiled.sites[site as usize].place.position;
        self.faults.push(Fault::new(position, message).hint(hint));
    }
}

fn site_argument(site: u32) -> (String, Parameter) {
    (SITE.to_owned(), Parameter::Literal(Json::from(site)))
}

/// `HelperTemplate` cannot be built from outside; a compiled `{{x}}` is one.
fn blank_call() -> HelperTemplate {
    let template = Template::compile("{{x}}").expect("`{{x}}` is a valid template");
    match template.elements.into_iter().next() {
        Some(TemplateElement::Expression(mut call)) => {
            call.params.clear();
            *call
        }
        _ => unreachable!("`{{{{x}}}}` compiles to one expression"),
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
