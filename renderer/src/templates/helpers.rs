//! The helpers that a template may call. All are ours, so that every one is strict, counted and knows where it stands.
//!
//! Each call carries its site in the hash argument `__site`; the rewriting in `compile` puts it there.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use handlebars::{
    BlockContext, BlockParams, Context, Handlebars, Helper, HelperDef, HelperResult, Output, PathAndJson,
    RenderContext, RenderError, RenderErrorReason, Renderable, ScopedJson, Template,
};
use serde_json::Value as Json;
use thiserror::Error;

use crate::problem::did_you_mean;

use super::token;

/// The helper that stands in every `{{expression}}` after rewriting.
pub(super) const CAPTURE: &str = "__value";
/// The helper that marks literal text in the traced copy of a template.
pub(super) const MARK: &str = "__mark";
/// The hash argument that carries the site of a call.
pub(super) const SITE: &str = "__site";

/// The block helpers that people may write.
pub const BLOCK_HELPERS: [&str; 5] = ["each", "if", "raw", "unless", "with"];
/// The helpers that people may write in an expression.
pub const VALUE_HELPERS: [&str; 9] = ["and", "default", "eq", "join", "len", "lookup", "ne", "not", "or"];

/// Helper calls and loop turns that one file may take. A template has no clock; this is what bounds its time.
///
/// A large real file (a hub with 1,000 spokes) takes some 20,000.
pub const MAX_STEPS: u32 = 1_000_000;

/// A fault in an expression, on its way through handlebars' own error type.
#[derive(Debug, Error)]
#[error("{message}")]
pub(super) struct SiteFault {
    pub site: u32,
    pub message: String,
    pub hint: Option<String>,
}

/// An inserted value and the site that inserted it.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// The index of the site in the compiled templates.
    pub site: u32,
    /// The value with its type.
    pub value: Json,
}

/// What one file's rendering collects: the inserted values and the steps taken.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    captures: Mutex<Vec<Capture>>,
    steps: AtomicU32,
}

impl Recorder {
    pub(super) fn take(&self) -> Vec<Capture> {
        std::mem::take(&mut *self.captures.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn step(&self, call: &Call<'_, '_>) -> Result<(), RenderError> {
        if self.steps.fetch_add(1, Ordering::Relaxed) < MAX_STEPS {
            return Ok(());
        }
        Err(call.fault_with_hint(
            format!("the template takes more than {MAX_STEPS} steps"),
            "loop over a shorter list, or fewer loops inside each other",
        ))
    }
}

/// A helper call with its site.
struct Call<'a, 'rc> {
    helper: &'a Helper<'rc>,
    site: u32,
}

impl<'a, 'rc> Call<'a, 'rc> {
    fn new(helper: &'a Helper<'rc>) -> Self {
        let site = helper.hash_get(SITE).and_then(|site| site.value().as_u64()).unwrap_or(0) as u32;
        Self { helper, site }
    }

    fn fault(&self, message: impl Into<String>) -> RenderError {
        fault(self.site, message.into(), None)
    }

    fn fault_with_hint(&self, message: impl Into<String>, hint: impl Into<String>) -> RenderError {
        fault(self.site, message.into(), Some(hint.into()))
    }

    /// Returns argument `index`, which must be there and must not be missing from the inventory.
    fn argument(&self, index: usize, context: &Context) -> Result<&'a PathAndJson<'rc>, RenderError> {
        let argument = self.optional_argument(index)?;
        if argument.is_value_missing() { Err(self.missing(argument, context)) } else { Ok(argument) }
    }

    /// Returns argument `index`, which must be written but may be missing from the inventory.
    fn optional_argument(&self, index: usize) -> Result<&'a PathAndJson<'rc>, RenderError> {
        self.helper.param(index).ok_or_else(|| {
            let name = self.helper.name();
            self.fault(format!("`{name}` needs at least {}", count(index + 1, "argument")))
        })
    }

    fn arguments(&self, context: &Context) -> Result<Vec<&'a Json>, RenderError> {
        (0..self.helper.params().len())
            .map(|index| self.argument(index, context).map(PathAndJson::value))
            .collect()
    }

    fn missing(&self, argument: &PathAndJson<'_>, context: &Context) -> RenderError {
        missing(self.site, argument, context)
    }
}

fn fault(site: u32, message: String, hint: Option<String>) -> RenderError {
    RenderErrorReason::NestedError(Box::new(SiteFault { site, message, hint })).into()
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("{number} {noun}") } else { format!("{number} {noun}s") }
}

fn missing(site: u32, argument: &PathAndJson<'_>, context: &Context) -> RenderError {
    let path = argument.relative_path().map_or("", String::as_str);
    let (known, unknown, siblings) = resolve_prefix(path, context.data());
    let whole = if path.is_empty() { "this value".to_owned() } else { format!("`{path}`") };
    let message = match known {
        "" => format!("unknown value {whole}"),
        known => format!("unknown value {whole}: `{known}` has no `{unknown}`"),
    };
    let hint = match did_you_mean(unknown, siblings.iter().copied()) {
        Some(near) if known.is_empty() => format!("did you mean `{near}`?"),
        Some(near) => format!("did you mean `{known}.{near}`?"),
        None if siblings.is_empty() || siblings.len() > 12 => {
            "write `(default path value)` where it may be absent".into()
        }
        None => {
            let list: Vec<_> = siblings.iter().map(|name| format!("`{name}`")).collect();
            format!("there is {}; write `(default path value)` where it may be absent", list.join(", "))
        }
    };
    fault(site, message, Some(hint))
}

/// Splits a path where it leaves the known values: what is known, the first unknown name, and what stands beside it.
fn resolve_prefix<'p>(path: &'p str, root: &'p Json) -> (&'p str, &'p str, Vec<&'p str>) {
    let path = path.trim_start_matches("@root.").trim_start_matches("@root/");
    let mut value = root;
    let mut at = 0;
    for segment in path.split(['.', '/']) {
        let end = at + segment.len();
        let next = match value {
            Json::Object(map) => map.get(segment.trim_matches(['[', ']'])),
            Json::Array(items) => {
                segment.trim_matches(['[', ']']).parse::<usize>().ok().and_then(|index| items.get(index))
            }
            _ => None,
        };
        match next {
            Some(next) => value = next,
            None => {
                let siblings =
                    value.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
                return (path[..at].trim_end_matches(['.', '/']), segment, siblings);
            }
        }
        at = (end + 1).min(path.len());
    }
    ("", path, Vec::new())
}

/// Registers the helpers that keep nothing from one file to the next.
pub(super) fn register(registry: &mut Handlebars<'static>) {
    for name in [
        "if", "unless", "each", "with", "lookup", "raw", "log", "len", "eq", "ne", "gt", "gte", "lt", "lte",
        "and", "or", "not",
    ] {
        registry.unregister_helper(name);
    }
    registry.register_helper("if", Box::new(Choose { when: true }));
    registry.register_helper("unless", Box::new(Choose { when: false }));
    registry.register_helper("with", Box::new(With));
    registry.register_helper("raw", Box::new(Raw));
    for (name, function) in FUNCTIONS {
        registry.register_helper(name, Box::new(Function(function)));
    }
}

/// Registers the helpers that record into `recorder`.
pub(super) fn register_recording<'reg: 'rc, 'rc>(
    rc: &mut RenderContext<'reg, 'rc>,
    recorder: &Arc<Recorder>,
) {
    rc.register_local_helper(CAPTURE, Box::new(CaptureValue(Arc::clone(recorder))));
    rc.register_local_helper("each", Box::new(Each(Arc::clone(recorder))));
}

/// Registers the helper that marks literal text, for the traced copy.
pub(super) fn register_marking<'reg: 'rc, 'rc>(rc: &mut RenderContext<'reg, 'rc>) {
    rc.register_local_helper(MARK, Box::new(Mark));
}

struct CaptureValue(Arc<Recorder>);

impl HelperDef for CaptureValue {
    // `call_inner` and not `call`: the default `call` writes with the indent of a partial.
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let call = Call::new(helper);
        self.0.step(&call)?;
        let argument = call.argument(0, context)?;
        let mut captures = self.0.captures.lock().unwrap_or_else(PoisonError::into_inner);
        let token = token::of(captures.len()).ok_or_else(|| {
            call.fault_with_hint(
                format!("the file inserts more than {} values", token::MAX),
                "insert a list or a map as a whole: `{{list}}` as a value of its own",
            )
        })?;
        captures.push(Capture { site: call.site, value: argument.value().clone() });
        Ok(ScopedJson::Derived(Json::String(token.to_string())))
    }
}

struct Mark;

impl HelperDef for Mark {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let index = Call::new(helper).site as usize;
        Ok(ScopedJson::Derived(Json::String(token::mark(index).map(String::from).unwrap_or_default())))
    }
}

struct Choose {
    when: bool,
}

impl HelperDef for Choose {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let condition = is_truthy(Call::new(helper).argument(0, context)?.value());
        let branch = if condition == self.when { helper.template() } else { helper.inverse() };
        branch.map_or(Ok(()), |branch| branch.render(registry, context, rc, out))
    }
}

struct With;

impl HelperDef for With {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let argument = Call::new(helper).argument(0, context)?;
        if !is_truthy(argument.value()) {
            return helper.inverse().map_or(Ok(()), |branch| branch.render(registry, context, rc, out));
        }
        let standpoint = Standpoint::of(argument);
        let mut block = standpoint.block();
        if let Some(name) = helper.block_param() {
            block.set_block_params(standpoint.params(name, None)?);
        }
        rc.push_block(block);
        let result = render_body(helper.template(), registry, context, rc, out);
        rc.pop_block();
        result
    }
}

/// One turn of a loop: the key or index for templates, the same as a path segment, and the item.
type Turn<'a> = (Json, String, &'a Json);

struct Each(Arc<Recorder>);

impl HelperDef for Each {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let call = Call::new(helper);
        let argument = call.argument(0, context)?;
        let turns: Vec<Turn<'_>> = match argument.value() {
            Json::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (Json::from(index), index.to_string(), item))
                .collect(),
            Json::Object(map) => {
                map.iter().map(|(key, item)| (Json::from(key.as_str()), key.clone(), item)).collect()
            }
            other => {
                let message = format!("`each` needs a list or a map, not {}", kind_of(other));
                return Err(call.fault(message));
            }
        };
        if turns.is_empty() {
            return helper.inverse().map_or(Ok(()), |branch| branch.render(registry, context, rc, out));
        }
        rc.push_block(Standpoint::of(argument).block());
        let result = self.turns(&call, argument, turns, registry, context, rc, out);
        rc.pop_block();
        result
    }
}

impl Each {
    #[expect(clippy::too_many_arguments, reason = "handlebars hands every helper these five")]
    fn turns<'reg: 'rc, 'rc>(
        &self,
        call: &Call<'_, 'rc>,
        list: &PathAndJson<'rc>,
        turns: Vec<Turn<'_>>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let last = turns.len() - 1;
        for (index, (key, segment, item)) in turns.into_iter().enumerate() {
            self.0.step(call)?;
            let at = match list.context_path() {
                Some(path) => {
                    let mut path = path.clone();
                    path.push(segment);
                    Standpoint::Path(path)
                }
                None => Standpoint::Value(item.clone()),
            };
            let mut block = at.block();
            block.set_local_var("first", Json::Bool(index == 0));
            block.set_local_var("last", Json::Bool(index == last));
            block.set_local_var("index", Json::from(index));
            if key.is_string() {
                block.set_local_var("key", key.clone());
            }
            if let Some(name) = call.helper.block_param() {
                block.set_block_params(at.params(name, None)?);
            } else if let Some((name, key_name)) = call.helper.block_param_pair() {
                block.set_block_params(at.params(name, Some((key_name, key)))?);
            }
            if let Some(current) = rc.block_mut() {
                *current = block;
            }
            render_body(call.helper.template(), registry, context, rc, out)?;
        }
        Ok(())
    }
}

struct Raw;

impl HelperDef for Raw {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        render_body(helper.template(), registry, context, rc, out)
    }
}

fn render_body<'reg: 'rc, 'rc>(
    template: Option<&'rc Template>,
    registry: &'reg Handlebars<'reg>,
    context: &'rc Context,
    rc: &mut RenderContext<'reg, 'rc>,
    out: &mut dyn Output,
) -> HelperResult {
    template.map_or(Ok(()), |template| template.render(registry, context, rc, out))
}

/// What `this` is inside a block: a path into the facts, or a computed value.
enum Standpoint {
    Path(Vec<String>),
    Value(Json),
}

impl Standpoint {
    fn of(argument: &PathAndJson<'_>) -> Self {
        match argument.context_path() {
            Some(path) => Self::Path(path.clone()),
            None => Self::Value(argument.value().clone()),
        }
    }

    fn block<'rc>(&self) -> BlockContext<'rc> {
        let mut block = BlockContext::new();
        match self {
            Self::Path(path) => block.base_path_mut().clone_from(path),
            Self::Value(value) => block.set_base_value(value.clone()),
        }
        block
    }

    /// The names of `as |item key|`.
    fn params<'rc>(
        &self,
        item: &'rc str,
        key: Option<(&'rc str, Json)>,
    ) -> Result<BlockParams<'rc>, RenderError> {
        let mut params = BlockParams::new();
        match self {
            // A path relative to the block's own: the item itself.
            Self::Path(_) => params.add_path(item, Vec::new())?,
            Self::Value(value) => params.add_value(item, value.clone())?,
        }
        if let Some((name, key)) = key {
            params.add_value(name, key)?;
        }
        Ok(params)
    }
}

/// A helper that computes a value from its arguments alone.
struct Function(fn(&Call<'_, '_>, &Context) -> Result<Json, RenderError>);

impl HelperDef for Function {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        (self.0)(&Call::new(helper), context).map(ScopedJson::Derived)
    }
}

type NamedFunction = (&'static str, fn(&Call<'_, '_>, &Context) -> Result<Json, RenderError>);

const FUNCTIONS: [NamedFunction; 9] = [
    ("and", |call, context| Ok(call.arguments(context)?.into_iter().all(is_truthy).into())),
    ("default", |call, context| {
        let value = call.optional_argument(0)?;
        let fallback = call.argument(1, context)?;
        let absent = value.is_value_missing() || value.value().is_null();
        Ok(if absent { fallback.value().clone() } else { value.value().clone() })
    }),
    ("eq", |call, context| {
        Ok((call.argument(0, context)?.value() == call.argument(1, context)?.value()).into())
    }),
    ("join", join),
    ("len", |call, context| match call.argument(0, context)?.value() {
        Json::Array(items) => Ok(items.len().into()),
        Json::Object(map) => Ok(map.len().into()),
        other => Err(call.fault(format!("`len` needs a list or a map, not {}", kind_of(other)))),
    }),
    ("lookup", lookup),
    ("ne", |call, context| {
        Ok((call.argument(0, context)?.value() != call.argument(1, context)?.value()).into())
    }),
    ("not", |call, context| Ok((!is_truthy(call.argument(0, context)?.value())).into())),
    ("or", |call, context| Ok(call.arguments(context)?.into_iter().any(is_truthy).into())),
];

fn join(call: &Call<'_, '_>, context: &Context) -> Result<Json, RenderError> {
    let list = call.argument(0, context)?.value();
    let separator = call.argument(1, context)?.value();
    let (Json::Array(items), Json::String(separator)) = (list, separator) else {
        return Err(call.fault("`join` needs a list and a separator: `(join list \",\")`"));
    };
    let texts: Option<Vec<String>> = items.iter().map(scalar_text).collect();
    match texts {
        Some(texts) => Ok(texts.join(separator).into()),
        None => Err(call.fault("`join` needs a list of strings, numbers or booleans")),
    }
}

fn lookup(call: &Call<'_, '_>, context: &Context) -> Result<Json, RenderError> {
    let container = call.argument(0, context)?.value();
    let key = call.argument(1, context)?.value();
    let found = match (container, key) {
        (Json::Object(map), Json::String(key)) => map.get(key),
        (Json::Array(items), Json::Number(index)) => {
            index.as_u64().and_then(|index| items.get(index as usize))
        }
        (other, _) => {
            return Err(call.fault(format!("`lookup` needs a map or a list, not {}", kind_of(other))));
        }
    };
    found.cloned().ok_or_else(|| {
        let keys = container.as_object().into_iter().flat_map(|map| map.keys().map(String::as_str));
        let key = scalar_text(key).unwrap_or_default();
        let message = format!("`lookup` finds no `{key}`");
        match did_you_mean(&key, keys) {
            Some(near) => call.fault_with_hint(message, format!("did you mean `{near}`?")),
            None => call.fault(message),
        }
    })
}

/// Returns whether a condition holds: not for `false`, `null`, `0`, the empty string, list and map.
fn is_truthy(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(flag) => *flag,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(map) => !map.is_empty(),
    }
}

/// Returns the text of a scalar as it reads inside a longer string; nothing for `null`, a list or a map.
pub(super) fn scalar_text(value: &Json) -> Option<String> {
    match value {
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Number(number) => Some(number.to_string()),
        Json::String(text) => Some(text.clone()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// Returns how a message calls a value of this kind.
pub(super) fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "a map",
    }
}
