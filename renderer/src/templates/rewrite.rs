//! Rewrites a parsed template into calls of our own helpers, and says what in it makes no sense.
//!
//! Walks handlebars' syntax tree beside the scanned tags, which alone know the true positions. Each element of the
//! rewritten tree carries its site in the place of a line number, so that every error knows where it happened.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::slice;

use handlebars::Template;
use handlebars::template::{
    BlockParam, DecoratorTemplate, HelperTemplate, Parameter, Subexpression, TemplateElement, TemplateMapping,
};
use serde_json::Value as Json;

use crate::path::RepoPath;
use crate::plural::{counted, quoted};
use crate::problem::{Fault, Place, Position, hint_at_near};

use super::functions::{self, FILE, FUNCTIONS};
use super::helpers::{BLOCK_HELPERS, INSERT, PARTIAL, VALUE};
use super::partials::PartialCall;
use super::source::{Compiled, LISTS, SourceKind, SourceText, TEXTS, TemplateLine, TemplateSource, Texts};
use super::syntax::{LineIndex, PathText, Scan, Tag, TagKind};

/// What a source calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub partials: Vec<PartialCall>,
    pub texts: BTreeSet<RepoPath>,
}

struct Rewriter<'a> {
    compiled: &'a mut Compiled,
    source: &'a SourceText,
    /// What may be inserted as text.
    texts: &'a Texts,
    lines: &'a LineIndex<'a>,
    tags: slice::Iter<'a, Tag>,
    /// What handlebars lets no one build from nothing.
    mapping: Option<TemplateMapping>,
    /// How many blocks stand around.
    level: usize,
    /// How many of them change what a path starts from.
    scopes: usize,
    calls: Calls,
    faults: Vec<Fault>,
}

/// Rewrites a template in place, and returns what it calls.
pub(super) fn rewrite(
    template: &mut Template,
    compiled: &mut Compiled,
    source: &SourceText,
    texts: &Texts,
    lines: &LineIndex<'_>,
    scan: &Scan,
) -> Result<Calls, Vec<Fault>> {
    let (tags, mapping) = (scan.tags.iter(), template.mapping.first().cloned());
    let (calls, faults) = (Calls::default(), Vec::new());
    let mut rewriter =
        Rewriter { compiled, source, texts, lines, tags, mapping, level: 0, scopes: 0, calls, faults };
    rewriter.template(template);
    if let Some(tag) = rewriter.next_tag() {
        let message = format!("cannot tell what `{}` belongs to", tag.text);
        let fault = Fault::new(lines.position(tag.range.start), message);
        rewriter.faults.push(fault.hint("check the braces before it"));
    }
    if rewriter.faults.is_empty() { Ok(rewriter.calls) } else { Err(rewriter.faults) }
}

impl<'a> Rewriter<'a> {
    fn template(&mut self, template: &mut Template) {
        template.mapping.clear();
        for element in &mut template.elements {
            let site = self.compiled.sites.len();
            self.element(element);
            template.mapping.extend(self.mapping.clone().map(|mut mapping| {
                mapping.0 = site;
                mapping
            }));
        }
    }

    fn element(&mut self, element: &mut TemplateElement) {
        match element {
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                *element = self.expression(call);
            }
            TemplateElement::HelperBlock(call) => self.block(call),
            TemplateElement::PartialExpression(call) => {
                if let Some(partial) = self.partial(call) {
                    *element = partial;
                }
            }
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
            _ => {
                self.enter_site(&[TagKind::Expression, TagKind::Open, TagKind::Partial]);
                self.fault("decorators and partial blocks are not supported", "use a plain partial");
            }
        }
    }

    fn expression(&mut self, call: &mut HelperTemplate) -> TemplateElement {
        let (site, _) = self.enter_site(&[TagKind::Expression]);
        let is_path = call.params.is_empty() && call.hash.is_empty();
        let value = if is_path { self.parameter(call.name.clone()) } else { self.function(call) };
        let is_file = !is_path && call.name.as_name() == Some(FILE);
        let file = self.text_of(call).filter(|_| is_file);
        self.compiled.sites[site].text = file.map(|source| source.file.clone());
        call_of(INSERT, vec![literal(site), literal(file.is_some()), value], HashMap::new())
    }

    fn block(&mut self, call: &mut HelperTemplate) {
        let (_, tag) = self.enter_site(&[TagKind::Open, TagKind::ElseIf]);
        let name = call.name.as_name().unwrap_or("").to_owned();
        self.check_block(&name, call);
        let arguments = call.params.drain(..).map(|argument| self.parameter(argument)).collect();
        call.params = vec![value_of(&name, arguments)];
        let scopes = usize::from(matches!(name.as_str(), "each" | "with"));
        self.level += 1;
        self.scopes += scopes;
        match (&mut call.template, tag.and_then(|tag| tag.body.clone())) {
            (Some(body), Some(range)) => {
                // Handlebars loses the white space that a raw block begins with.
                let text = self.compiled.marks.in_text(&self.source.file, self.lines, range);
                body.elements = vec![TemplateElement::RawString(text)];
                // What is always true needs no helper of its own.
                (call.name, call.params) = (Parameter::Name("if".to_owned()), vec![literal(true)]);
            }
            (Some(body), None) => self.template(body),
            (None, _) => {}
        }
        self.scopes -= scopes;
        // Without another branch, handlebars takes it for a mistake that there is nothing to be `with`.
        self.template(call.inverse.get_or_insert_default());
        self.level -= 1;
    }

    fn check_block(&mut self, name: &str, call: &HelperTemplate) {
        if !BLOCK_HELPERS.contains(&name) {
            self.unknown_helper("block helper", name, &BLOCK_HELPERS);
            return;
        }
        let wanted = usize::from(name != "raw");
        let example = format!("{{{{#{name} (lookup a b)}}}}");
        self.check_number(&format!("{{{{#{name}}}}}"), &(wanted..=wanted), call, &example);
        let names = match (&call.block_param, name) {
            (None, _)
            | (Some(BlockParam::Single(_)), "each" | "with")
            | (Some(BlockParam::Pair(_)), "each") => return,
            (Some(_), "with") => "one name",
            (Some(_), _) => "no name",
        };
        let hint = "write `{{#each map as |value key|}}` or `{{#with value as |name|}}`";
        self.fault(format!("`{{{{#{name}}}}}` takes {names} after `as`"), hint);
    }

    fn partial(&mut self, call: &DecoratorTemplate) -> Option<TemplateElement> {
        let (_, tag) = self.enter_site(&[TagKind::Partial]);
        let Some(name) = call.name.as_name().map(str::to_owned) else {
            self.fault("the name of a partial must be written out", "choose with `{{#if}}` instead");
            return None;
        };
        self.check_arguments(&name, call);
        let (has_own_line, ends_line) = tag.map(|tag| self.own_line(tag)).unwrap_or_default();
        let indent = call.indent.as_deref().filter(|_| has_own_line).unwrap_or_default();
        let mut params = vec![literal(name.as_str()), literal(ends_line), literal(indent)];
        params.extend(call.params.iter().cloned().map(|param| self.parameter(param)));
        let named = call.hash.iter().map(|(key, value)| (key.clone(), self.parameter(value.clone())));
        let named = named.collect();
        self.calls.partials.push(PartialCall { name, position: self.position(), level: self.level });
        Some(call_of(PARTIAL, params, named))
    }

    /// Returns whether a call has a line to itself, and whether it has to end the line: handlebars has taken
    /// its break away.
    fn own_line(&self, tag: &Tag) -> (bool, bool) {
        let (before, after) = (&self.source.text[..tag.range.start], &self.source.text[tag.range.end..]);
        let [before, after] = [before.trim_end_matches([' ', '\t']), after.trim_start_matches([' ', '\t'])];
        let is_first = before.is_empty() || before.ends_with('\n');
        let is_followed = after.starts_with(['\n', '\r']);
        let joins_next = self.source.text[..tag.range.end].ends_with("~}}");
        (is_first && (is_followed || after.is_empty()), is_first && is_followed && !joins_next)
    }

    fn check_arguments(&mut self, name: &str, call: &DecoratorTemplate) {
        match call.params.len() {
            0 if call.hash.is_empty() => {
                let message = format!("partial `{name}` is called without an argument");
                self.fault(message, format!("pass what it needs, as in `{{{{> {name} cluster}}}}`"));
            }
            0 | 1 => {}
            _ => {
                let message = format!("partial `{name}` is called with more than one argument");
                self.fault(message, format!("name the others, as in `{{{{> {name} cluster size=2}}}}`"));
            }
        }
    }

    /// Returns the file that a call of `file` names.
    fn text_of(&self, call: &HelperTemplate) -> Option<&'a TemplateSource> {
        match call.params.as_slice() {
            [Parameter::Literal(Json::String(name))] => self.texts.get(name),
            _ => None,
        }
    }

    /// Notes the file that a call of `file` names, or says what is wrong with it.
    fn file(&mut self, call: &HelperTemplate) {
        if let Some(source) = self.text_of(call) {
            self.calls.texts.insert(source.file.clone());
            return;
        }
        let [Parameter::Literal(Json::String(name))] = call.params.as_slice() else {
            if call.params.len() == 1 {
                self.fault("the name of a file must be written out", "choose with `{{#if}}` instead");
            }
            return;
        };
        match RepoPath::parse(name) {
            Ok(path) => {
                let known = self.texts.keys().map(String::as_str);
                let hint = hint_at_near(path.as_str(), known, || format!("create `{TEXTS}/{path}`"));
                self.fault(format!("unknown file `{path}`"), hint);
            }
            Err(error) => {
                let hint = format!(
                    "write the path of a file below `{TEXTS}/`, as in `(file \"dashboards/a.json\")`"
                );
                self.fault(error.to_string(), hint);
            }
        }
    }

    fn function(&mut self, call: &HelperTemplate) -> Parameter {
        let name = call.name.as_name().unwrap_or("");
        if name == FILE {
            self.file(call);
        }
        if let Some(function) = functions::named(name) {
            self.check_number(name, &function.arguments, call, function.example);
        } else {
            let names = FUNCTIONS.each_ref().map(|function| function.name);
            self.unknown_helper("helper", name, &names);
        }
        let arguments = call.params.iter().cloned().map(|param| self.parameter(param));
        let arguments = arguments.collect();
        value_of(name, arguments)
    }

    /// Refuses a call with too many or too few arguments.
    fn check_number(
        &mut self,
        called: &str,
        wanted: &RangeInclusive<usize>,
        call: &HelperTemplate,
        example: &str,
    ) {
        self.refuse_named_arguments(call);
        if call.hash.is_empty() && !wanted.contains(&call.params.len()) {
            let least = if wanted.start() == wanted.end() { "" } else { "at least " };
            let (wanted, given) = (counted(*wanted.start(), "argument"), call.params.len());
            let message = format!("`{called}` takes {least}{wanted}, not {given}");
            self.fault(message, format!("write it like `{example}`"));
        }
    }

    fn parameter(&mut self, parameter: Parameter) -> Parameter {
        match &parameter {
            Parameter::Name(name) => match Parameter::parse(name) {
                Ok(path @ Parameter::Path(_)) => self.parameter(path),
                _ => parameter,
            },
            Parameter::Path(_) => {
                self.path(parameter.as_name().unwrap_or(""));
                parameter
            }
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(call) if call.params.is_empty() && call.hash.is_empty() => {
                    self.parameter(call.name.clone())
                }
                TemplateElement::Expression(call) => self.function(call),
                _ => parameter,
            },
            Parameter::Literal(Json::String(text)) => {
                self.compiled.names_read.insert(text.clone());
                parameter
            }
            _ => parameter,
        }
    }

    fn path(&mut self, raw: &str) {
        let path = PathText::parse(raw);
        if self.source.file.below(LISTS).is_none() {
            let names = path.segments.iter().map(|segment| segment.name.to_owned());
            self.compiled.names_read.extend(names);
            self.compiled.ends_read.extend(path.segments.last().map(|segment| segment.name.to_owned()));
        }
        if path.up > self.scopes {
            let around = match self.source.kind {
                SourceKind::Template => "the template",
                SourceKind::Partial => "the partial",
            };
            let hint =
                "write one `../` for each `{{#each}}` and `{{#with}}` around it, and none for `{{#if}}`";
            self.fault(format!("`{raw}` leads out of {around}"), hint);
        }
    }

    fn refuse_named_arguments(&mut self, call: &HelperTemplate) {
        if !call.hash.is_empty() {
            self.fault("helpers take no named arguments", "give the values one after the other");
        }
    }

    fn unknown_helper(&mut self, kind: &str, name: &str, known: &[&str]) {
        let hint = hint_at_near(name, known.iter().copied(), || {
            let names = quoted(known);
            format!(
                "there is {names}; none is needed for quoting or indentation, since values keep their type"
            )
        });
        self.fault(format!("unknown {kind} `{name}`"), hint);
    }

    fn next_tag(&mut self) -> Option<&'a Tag> {
        self.tags.find(|tag| tag.kind.is_in_tree())
    }

    /// Goes on to the tag that is to be rewritten, and returns its site.
    fn enter_site(&mut self, kinds: &[TagKind]) -> (usize, Option<&'a Tag>) {
        let tag = self.next_tag();
        let position = tag.map_or(Position::START, |tag| self.lines.position(tag.range.start));
        let place = Place { file: RepoPath::clone(&self.source.file), position };
        let expression = Some(tag.map_or_else(String::new, |tag| tag.text.clone()));
        self.compiled.sites.push(TemplateLine { place, expression, text: None });
        if tag.is_none_or(|tag| !kinds.contains(&tag.kind)) {
            self.fault("cannot tell what this belongs to", "check the braces before it");
        }
        (self.compiled.sites.len() - 1, tag)
    }

    /// Returns the position of the tag that is being rewritten.
    fn position(&self) -> Position {
        self.compiled.sites.last().map_or(Position::START, |site| site.place.position)
    }

    fn fault(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Fault::new(self.position(), message).hint(hint));
    }
}

fn literal(value: impl Into<Json>) -> Parameter {
    Parameter::Literal(value.into())
}

/// Returns the value of a function, or what a block works on.
fn value_of(operation: &str, arguments: Vec<Parameter>) -> Parameter {
    let params = std::iter::once(literal(operation)).chain(arguments).collect();
    Parameter::Subexpression(Subexpression::new(Parameter::Name(VALUE.to_owned()), params, HashMap::new()))
}

fn call_of(helper: &str, params: Vec<Parameter>, named: HashMap<String, Parameter>) -> TemplateElement {
    Subexpression::new(Parameter::Name(helper.to_owned()), params, named).as_element().clone()
}
