//! Walks the tree of a template and writes what it says.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::super::budget::{Meter, RenderBudget, weight};
use super::super::compiled::Parsed;
use super::super::functions::{DEFAULT, Function, is_truthy, kind_of};
use super::super::refusal::Refusal;
use super::super::syntax::{Block, BlockKind, Expression, Node, Partial, Path, Site, TemplateSource};
use super::frames::{Data, Frame, Frames, NoIndex, Turn};
use super::missing;
use super::output::{Expansion, Output};

/// How many steps a call of a partial takes besides its arguments.
const CALL_STEPS: usize = 5;

/// What keeps a template from being expanded, and where; nowhere in particular if the file is too large.
pub(in crate::templates) struct Failure<'c> {
    pub site: Option<&'c Site>,
    pub refusal: Refusal,
}

/// Expands a template, with `names` for some values; if `is_traced`, it is known afterwards what wrote what.
pub(in crate::templates) fn expand<'c>(
    template: &'c Parsed,
    partials: &'c BTreeMap<String, Parsed>,
    facts: &'c Json,
    names: Vec<(&'c str, Data<'c>)>,
    budget: Option<&'c RenderBudget<'c>>,
    is_traced: bool,
) -> Result<Expansion<'c>, Failure<'c>> {
    let mut expander = Expander {
        partials,
        source: &template.source,
        frames: Frames::new(facts, names),
        meter: Meter::new(budget),
        output: Output::new(is_traced),
    };
    expander.nodes(&template.tree.nodes)?;
    expander.meter.finish().map_err(|refusal| Failure { site: None, refusal })?;
    Ok(expander.output.finish())
}

struct Expander<'c> {
    partials: &'c BTreeMap<String, Parsed>,
    /// The source of the template or partial at hand.
    source: &'c TemplateSource,
    frames: Frames<'c>,
    meter: Meter<'c>,
    output: Output<'c>,
}

type Expanded<'c, T = ()> = Result<T, Failure<'c>>;

/// Names the site of a refusal.
fn at<'c>(site: &'c Site) -> impl Fn(Refusal) -> Failure<'c> {
    move |refusal| Failure { site: Some(site), refusal }
}

impl<'c> Expander<'c> {
    fn nodes(&mut self, nodes: &'c [Node]) -> Expanded<'c> {
        for node in nodes {
            match node {
                Node::Text(range) => self
                    .output
                    .text(self.source, range.clone())
                    .map_err(|refusal| Failure { site: None, refusal })?,
                Node::Value(site, expression) => {
                    let value = self.evaluate(expression, site)?;
                    self.meter.insert(weight(&value)).map_err(at(site))?;
                    self.output.value(site, value).map_err(at(site))?;
                }
                Node::Block(block) => self.block(block)?,
                Node::Partial(partial) => self.partial(partial)?,
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, expression: &'c Expression, site: &'c Site) -> Expanded<'c, Data<'c>> {
        match expression {
            Expression::Literal(literal) => Ok(Cow::Borrowed(literal)),
            Expression::File(_, text) => {
                self.meter.step(weight(text)).map_err(at(site))?;
                Ok(Cow::Borrowed(text))
            }
            Expression::Path(path) => match self.path(path, site)? {
                Some(value) => Ok(value),
                None => Err(at(site)(missing::refusal(path, &self.frames))),
            },
            Expression::Call(function, arguments) => self.call(function, arguments, site),
        }
    }

    fn path(&mut self, path: &'c Path, site: &'c Site) -> Expanded<'c, Option<Data<'c>>> {
        let value = self.frames.value(path).map_err(|NoIndex(name)| {
            let message = format!("`{name}` in `{}` is looked up in a list", site.expression);
            let hint = "loop over the list with `{{#each …}}`, or take an item by its number, as in `list.0`";
            at(site)(Refusal::new(message).hint(hint))
        })?;
        if let Some(Cow::Owned(copy)) = &value {
            self.meter.step(weight(copy)).map_err(at(site))?;
        }
        Ok(value)
    }

    fn call(
        &mut self,
        function: &'static Function,
        arguments: &'c [Expression],
        site: &'c Site,
    ) -> Expanded<'c, Data<'c>> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(match argument {
                Expression::Path(path) if function.name == DEFAULT && values.is_empty() => {
                    self.path(path, site)?.unwrap_or(Cow::Owned(Json::Null))
                }
                argument => self.evaluate(argument, site)?,
            });
        }
        let values: Vec<&Json> = values.iter().map(AsRef::as_ref).collect();
        self.meter.step(values.iter().map(|value| weight(value)).sum()).map_err(at(site))?;
        (function.call)(&values).map(Cow::Owned).map_err(at(site))
    }

    fn block(&mut self, block: &'c Block) -> Expanded<'c> {
        let site = &block.site;
        self.meter.step(0).map_err(at(site))?;
        let argument = self.evaluate(&block.argument, site)?;
        let is_chosen = match block.kind {
            BlockKind::Each => return self.each(block, argument),
            BlockKind::If | BlockKind::With => is_truthy(&argument),
            BlockKind::Unless => !is_truthy(&argument),
            BlockKind::Raw => true,
        };
        match block.kind {
            _ if !is_chosen => self.nodes(&block.otherwise),
            BlockKind::With => {
                let names = names(block, &argument, || Json::Null);
                self.within(block, Frame { this: argument, names, turn: None })
            }
            _ => self.nodes(&block.body),
        }
    }

    fn each(&mut self, block: &'c Block, argument: Data<'c>) -> Expanded<'c> {
        let items = items(argument).map_err(at(&block.site))?;
        if items.is_empty() {
            return self.nodes(&block.otherwise);
        }
        let last = items.len() - 1;
        for (index, (key, this)) in items.into_iter().enumerate() {
            let copied = if matches!(this, Cow::Owned(_)) { weight(&this) } else { 0 };
            self.meter.step(copied).map_err(at(&block.site))?;
            let names = names(block, &this, || key.as_deref().map_or_else(|| index.into(), Json::from));
            let turn = Some(Turn { index, is_last: index == last, key });
            self.within(block, Frame { this, names, turn })?;
        }
        Ok(())
    }

    fn within(&mut self, block: &'c Block, frame: Frame<'c>) -> Expanded<'c> {
        self.frames.push(frame);
        self.nodes(&block.body)?;
        self.frames.pop();
        Ok(())
    }

    fn partial(&mut self, partial: &'c Partial) -> Expanded<'c> {
        let site = &partial.site;
        let argument = partial.argument.as_ref().map(|argument| self.evaluate(argument, site)).transpose()?;
        let mut named = Vec::with_capacity(partial.named.len());
        for (name, argument) in &partial.named {
            named.push((name.as_str(), self.evaluate(argument, site)?));
        }
        let this = with_named(argument, &named).map_err(at(site))?;
        let copied = if matches!(this, Cow::Owned(_)) { weight(&this) } else { 0 };
        self.meter.steps(CALL_STEPS, copied).map_err(at(site))?;
        let Some(body) = self.partials.get(&partial.name) else { return Ok(()) };
        let caller = std::mem::replace(&mut self.source, &body.source);
        let (first, begun) = (self.frames.enter(this, named), self.output.begin_partial(&partial.indent));
        self.nodes(&body.tree.nodes)?;
        self.frames.leave(first);
        self.source = caller;
        self.output.end_partial(&begun, partial.has_own_line).map_err(at(site))
    }
}

/// Returns the names that a block gives to an item and its key.
fn names<'c>(block: &'c Block, item: &Data<'c>, key: impl FnOnce() -> Json) -> Vec<(&'c str, Data<'c>)> {
    match block.names.as_slice() {
        [] => Vec::new(),
        [name] => vec![(name, item.clone())],
        [name, key_name, ..] => vec![(name, item.clone()), (key_name, Cow::Owned(key()))],
    }
}

/// An item of a list or map, with its key if it is a map.
type Item<'c> = (Option<Cow<'c, str>>, Data<'c>);

/// Returns the items of a list or map, with their keys if it is a map.
fn items(list: Data<'_>) -> Result<Vec<Item<'_>>, Refusal> {
    Ok(match list {
        Cow::Borrowed(Json::Array(items)) => items.iter().map(|item| (None, Cow::Borrowed(item))).collect(),
        Cow::Owned(Json::Array(items)) => items.into_iter().map(|item| (None, Cow::Owned(item))).collect(),
        Cow::Borrowed(Json::Object(map)) => {
            map.iter().map(|(key, item)| (Some(key.as_str().into()), Cow::Borrowed(item))).collect()
        }
        Cow::Owned(Json::Object(map)) => {
            map.into_iter().map(|(key, item)| (Some(key.into()), Cow::Owned(item))).collect()
        }
        other => {
            let message = format!("`each` needs a list or a map, not {}", kind_of(&other));
            return Err(Refusal::new(message).hint("write `{{#if …}}` for a single value"));
        }
    })
}

/// Returns what a partial sees: its argument, which takes in those that have names.
fn with_named<'c>(argument: Option<Data<'c>>, named: &[(&str, Data<'c>)]) -> Result<Data<'c>, Refusal> {
    let mut map = match argument {
        Some(argument) if named.is_empty() => return Ok(argument),
        None => Map::new(),
        Some(Cow::Borrowed(Json::Object(map))) => map.clone(),
        Some(Cow::Owned(Json::Object(map))) => map,
        Some(other) => {
            let message = format!("named arguments cannot be added to {}", kind_of(&other));
            return Err(Refusal::new(message).hint("pass a map first, or name every argument"));
        }
    };
    map.extend(named.iter().map(|(name, value)| ((*name).to_owned(), Json::clone(value))));
    Ok(Cow::Owned(map.into()))
}
