//! Rewrites a parsed template into calls of our own helpers, and says what in it makes no sense.
//!
//! Walks handlebars' syntax tree beside the scanned tags, which alone know the true positions. Each element of the
//! rewritten tree carries its site in the place of a line number, so that every error knows where it happened.

use std::collections::HashMap;
use std::ops::Range;
use std::slice;

use handlebars::Template;
use handlebars::template::{
    BlockParam, DecoratorTemplate, HelperTemplate, Parameter, Subexpression, TemplateElement, TemplateMapping,
};
use serde_json::Value as Json;

use crate::path::RepoPath;
use crate::plural::{agrees, counted};
use crate::problem::{Fault, Place, Position, did_you_mean};

use super::compiled::{Calls, Compiled, Site, Stretch};
use super::functions::{self, FILE, FUNCTIONS, Function};
use super::helpers::{BLOCK, BLOCK_HELPERS, ENCLOSE, INSERT, INSERT_FILE, MARK, REQUIRE, REQUIRE_MAP, VALUE};
use super::partials::PartialCall;
use super::scan::{LineIndex, Scan, Tag, TagKind};
use super::segments::PathText;
use super::source::{SourceKind, SourceText, TEXTS, TemplateSource, Texts, Tracing};

pub(super) struct Rewriter<'a, 's> {
    compiled: &'a mut Compiled,
    source: &'a SourceText<'s>,
    lines: LineIndex<'a>,
    tags: slice::Iter<'a, Tag>,
    texts: slice::Iter<'a, Range<usize>>,
    tracing: Tracing,
    /// What handlebars lets no one build from nothing.
    blank: Blank,
    /// How many blocks stand around.
    level: usize,
    /// How many of them change what a path starts from.
    scopes: usize,
    /// What may be inserted as text.
    texts_by_name: Option<&'a Texts>,
    calls: Calls,
    faults: Vec<Fault>,
}

/// Elements of a syntax tree that cannot be built from outside handlebars, to be cloned and filled.
struct Blank {
    call: HelperTemplate,
    mapping: TemplateMapping,
}

impl Blank {
    fn new() -> Self {
        let template = Template::compile("{{x}}").expect("`{{x}}` is a valid template");
        let mapping = template.mapping.into_iter().next();
        match (template.elements.into_iter().next(), mapping) {
            (Some(TemplateElement::Expression(call)), Some(mapping)) => Self { call: *call, mapping },
            _ => unreachable!("`{{{{x}}}}` compiles to one expression"),
        }
    }

    fn call(&self, helper: &str, params: Vec<Parameter>) -> HelperTemplate {
        let mut call = self.call.clone();
        call.name = Parameter::Name(helper.to_owned());
        call.params = params;
        call
    }

    fn value(&self, params: Vec<Parameter>) -> TemplateElement {
        TemplateElement::Expression(Box::new(self.call(VALUE, params)))
    }
}

impl<'a, 's> Rewriter<'a, 's> {
    pub(super) fn new(
        compiled: &'a mut Compiled,
        source: &'a SourceText<'s>,
        scan: &'a Scan,
        lines: LineIndex<'a>,
        tracing: Tracing,
    ) -> Self {
        Self {
            compiled,
            source,
            lines,
            tags: scan.tags.iter(),
            texts: scan.texts.iter(),
            tracing,
            blank: Blank::new(),
            level: 0,
            scopes: 0,
            texts_by_name: None,
            calls: Calls::default(),
            faults: Vec::new(),
        }
    }

    /// Names what `file` may insert.
    pub(super) fn inserting(self, texts: &'a Texts) -> Self {
        Self { texts_by_name: Some(texts), ..self }
    }

    /// Returns the rewritten template and what it calls.
    pub(super) fn rewrite(mut self, mut template: Template) -> Result<(Template, Calls), Vec<Fault>> {
        self.template(&mut template);
        if let Some(tag) = self.tags.find(|tag| tag.kind.is_in_tree()) {
            let message = format!("cannot tell what `{}` belongs to", tag.text);
            self.faults
                .push(Fault::new(self.lines.position(tag.start), message).hint("check the braces before it"));
        }
        if self.source.kind == SourceKind::Partial {
            template = self.enclosed(template);
        }
        if self.faults.is_empty() { Ok((template, self.calls)) } else { Err(self.faults) }
    }

    /// Makes a partial's body a block of its own, which sees nothing of its callers' blocks.
    fn enclosed(&self, mut partial: Template) -> Template {
        let mut body = Template::new();
        body.elements = std::mem::take(&mut partial.elements);
        body.mapping = std::mem::take(&mut partial.mapping);
        let mut call = self.blank.call(BLOCK, vec![literal(ENCLOSE)]);
        call.block = true;
        call.template = Some(body);
        partial.elements = vec![TemplateElement::HelperBlock(Box::new(call))];
        partial
    }

    fn template(&mut self, template: &mut Template) {
        let elements = std::mem::take(&mut template.elements);
        template.mapping.clear();
        for mut element in elements {
            let first = self.compiled.sites.len();
            let before = self.element(&mut element);
            for element in before.into_iter().chain([element]) {
                template.elements.push(element);
                let mut mapping = self.blank.mapping.clone();
                mapping.0 = first;
                template.mapping.push(mapping);
            }
        }
    }

    /// Rewrites an element, and returns what is to stand before it.
    fn element(&mut self, element: &mut TemplateElement) -> Option<TemplateElement> {
        match element {
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                let inserted = self.expression(call);
                *element = inserted;
            }
            TemplateElement::HelperBlock(call) => self.block(call),
            TemplateElement::PartialExpression(call) => return self.partial(call),
            TemplateElement::RawString(text) if self.tracing == Tracing::On && !text.is_empty() => {
                return Some(self.mark(text));
            }
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
            _ => {
                self.next_site(&[TagKind::Expression, TagKind::Open, TagKind::Partial]);
                self.fault("decorators and partial blocks are not supported", "use a plain partial");
            }
        }
        None
    }

    fn expression(&mut self, call: &mut HelperTemplate) -> TemplateElement {
        let site = self.next_site(&[TagKind::Expression]);
        if call.params.is_empty() && call.hash.is_empty() {
            let value = self.parameter(call.name.clone());
            return self.blank.value(vec![literal(INSERT), literal(site), value]);
        }
        let value = self.function(call);
        let file = call.name.as_name().filter(|name| *name == FILE).and_then(|_| self.text_of(call));
        let operation = literal(if file.is_some() { INSERT_FILE } else { INSERT });
        self.compiled.sites[site].text = file.map(|source| source.file.clone());
        self.blank.value(vec![operation, literal(site), value])
    }

    fn block(&mut self, call: &mut HelperTemplate) {
        let raw = self.next_tag().and_then(|tag| tag.body.clone());
        self.next_site(&[TagKind::Open, TagKind::ElseIf]);
        let name = call.name.as_name().unwrap_or("").to_owned();
        self.check_block(&name, call);
        let params = std::mem::take(&mut call.params).into_iter().map(|param| self.parameter(param));
        call.params = std::iter::once(literal(name.as_str())).chain(params).collect();
        call.name = Parameter::Name(BLOCK.to_owned());
        let scopes = usize::from(matches!(name.as_str(), "each" | "with"));
        self.level += 1;
        self.scopes += scopes;
        match (&mut call.template, raw) {
            (Some(text), Some(range)) => self.raw_text(text, range),
            (Some(body), None) => self.template(body),
            (None, _) => {}
        }
        self.scopes -= scopes;
        if let Some(body) = &mut call.inverse {
            self.template(body);
        }
        self.level -= 1;
    }

    /// Puts the text of a raw block as it stands: handlebars loses the white space that it begins with.
    fn raw_text(&mut self, body: &mut Template, range: Range<usize>) {
        let text = TemplateElement::RawString(self.source.text[range.clone()].to_owned());
        let mark = (self.tracing == Tracing::On).then(|| self.mark_at(range.start));
        body.elements = mark.into_iter().chain([text]).collect();
        body.mapping = body.elements.iter().map(|_| self.blank.mapping.clone()).collect();
    }

    fn check_block(&mut self, name: &str, call: &mut HelperTemplate) {
        if !BLOCK_HELPERS.contains(&name) {
            self.unknown_helper("block helper", name, &BLOCK_HELPERS);
            return;
        }
        self.refuse_named_arguments(call);
        let wanted = usize::from(name != "raw");
        if call.params.len() != wanted {
            let given = counted(call.params.len(), "argument");
            let message =
                format!("`{{{{#{name}}}}}` takes {}, and {given} is given", counted(wanted, "argument"));
            self.fault(message, "put a function and its arguments in parentheses: `{{#if (eq a b)}}`");
        }
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

    /// Rewrites a call of a partial, and returns the check of its arguments.
    fn partial(&mut self, call: &mut DecoratorTemplate) -> Option<TemplateElement> {
        let has_own_line =
            self.tags.clone().find(|tag| tag.kind.is_in_tree()).is_some_and(|tag| tag.has_own_line);
        self.next_site(&[TagKind::Partial]);
        let Some(name) = call.name.as_name().map(str::to_owned) else {
            self.fault("the name of a partial must be written out", "choose with `{{#if}}` instead");
            return None;
        };
        self.check_arguments(&name, call);
        self.calls.partials.push(PartialCall { name, position: self.position(), level: self.level });
        call.params =
            std::mem::take(&mut call.params).into_iter().map(|param| self.parameter(param)).collect();
        call.hash = std::mem::take(&mut call.hash)
            .into_iter()
            .map(|(key, value)| (key, self.parameter(value)))
            .collect();
        let is_merged = !call.params.is_empty() && !call.hash.is_empty();
        let operation = literal(if is_merged { REQUIRE_MAP } else { REQUIRE });
        let arguments = call.params.iter().chain(call.hash.values()).cloned();
        let required =
            self.blank.value([operation, literal(has_own_line)].into_iter().chain(arguments).collect());
        if call.params.is_empty() {
            // Without a first argument handlebars would copy everything into the partial.
            call.params.push(Parameter::Literal(Json::Object(serde_json::Map::new())));
        }
        Some(required)
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
            [Parameter::Literal(Json::String(name))] => self.texts_by_name?.get(name),
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
                let known = self.texts_by_name.into_iter().flat_map(|texts| texts.keys().map(String::as_str));
                let hint = match did_you_mean(path.as_str(), known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("create `{TEXTS}/{path}`"),
                };
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
        let name = call.name.as_name().unwrap_or("").to_owned();
        if name == FILE {
            self.file(call);
        }
        if let Some(function) = functions::named(&name) {
            self.check_call(function, call);
        } else {
            let names = FUNCTIONS.each_ref().map(|function| function.name);
            self.unknown_helper("helper", &name, &names);
        }
        let params = call.params.iter().cloned().map(|param| self.parameter(param));
        let params = std::iter::once(literal(name.as_str())).chain(params).collect();
        Parameter::Subexpression(Subexpression::new(
            Parameter::Name(VALUE.to_owned()),
            params,
            HashMap::new(),
        ))
    }

    fn check_call(&mut self, function: &Function, call: &HelperTemplate) {
        self.refuse_named_arguments(call);
        let wanted = &function.arguments;
        if call.hash.is_empty() && !wanted.contains(&call.params.len()) {
            let least = if wanted.start() == wanted.end() { "" } else { "at least " };
            let message = format!(
                "`{}` takes {least}{}, and {}",
                function.name,
                counted(*wanted.start(), "argument"),
                given(call.params.len())
            );
            self.fault(message, format!("write it like `{}`", function.example));
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
        let names = path.segments.iter().map(|segment| segment.name.to_owned());
        self.compiled.names_read.extend(names);
        self.compiled.ends_read.extend(path.segments.last().map(|segment| segment.name.to_owned()));
        if path.up > self.scopes {
            let around = match self.source.kind {
                SourceKind::Template => "the template",
                SourceKind::Partial => "the partial",
            };
            let message = format!("`{raw}` leads out of {around}");
            self.fault(
                message,
                "write one `../` for each `{{#each}}` and `{{#with}}` around it, and none for `{{#if}}`",
            );
        }
    }

    fn refuse_named_arguments(&mut self, call: &HelperTemplate) {
        if !call.hash.is_empty() {
            self.fault("helpers take no named arguments", "give the values one after the other");
        }
    }

    fn unknown_helper(&mut self, kind: &str, name: &str, known: &[&str]) {
        let hint = if let Some(near) = did_you_mean(name, known.iter().copied()) {
            format!("did you mean `{near}`?")
        } else {
            let names = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            format!(
                "there is {names}; none is needed for quoting or indentation, since values keep their type"
            )
        };
        self.fault(format!("unknown {kind} `{name}`"), hint);
    }

    /// Returns the tag that is about to be rewritten.
    fn next_tag(&self) -> Option<&'a Tag> {
        self.tags.clone().find(|tag| tag.kind.is_in_tree())
    }

    fn next_site(&mut self, kinds: &[TagKind]) -> usize {
        let tag = self.tags.find(|tag| tag.kind.is_in_tree());
        let (position, expression) = match tag {
            Some(tag) => (self.lines.position(tag.start), tag.text.clone()),
            None => (Position::START, String::new()),
        };
        let place = Place { file: self.source.file.clone(), position };
        self.compiled.sites.push(Site { place, expression, text: None });
        if tag.is_none_or(|tag| !kinds.contains(&tag.kind)) {
            self.fault("cannot tell what this belongs to", "check the braces before it");
        }
        self.compiled.sites.len() - 1
    }

    /// Returns the position of the tag that is being rewritten.
    fn position(&self) -> Position {
        self.compiled.sites.last().map_or(Position::START, |site| site.place.position)
    }

    fn mark(&mut self, text: &str) -> TemplateElement {
        let offset = self.stretch_offset(text);
        self.mark_at(offset)
    }

    fn mark_at(&mut self, offset: usize) -> TemplateElement {
        let index = self.compiled.stretches.len();
        self.compiled.stretches.push(Stretch { file: self.source.file.clone(), offset });
        self.blank.value(vec![literal(MARK), literal(index)])
    }

    /// Finds the source of a stretch of text: handlebars trims white space around tags, so it is part of a scanned one.
    fn stretch_offset(&mut self, text: &str) -> usize {
        // Escaped braces have lost their backslash in the tree, so look for what stands before them.
        let needle = match text.find("{{") {
            Some(0) => "\\{{",
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

    fn fault(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Fault::new(self.position(), message).hint(hint));
    }
}

fn literal(value: impl Into<Json>) -> Parameter {
    Parameter::Literal(value.into())
}

fn given(number: usize) -> String {
    format!("{number} {} given", agrees(number, "is", "are"))
}
