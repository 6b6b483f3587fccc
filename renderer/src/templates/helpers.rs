//! The helpers behind a rewritten template. All are ours, so that every one is strict and counted.
//!
//! `compile` turns each tag into a call of one of two helpers: [`VALUE`] for what has a value, [`BLOCK`] for what has a
//! body. The first argument says what to do. Both write to the [`Recorder`] of the file that is being expanded.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use handlebars::{
    BlockContext, BlockParams, Context, Handlebars, Helper, HelperDef, HelperResult, Output, PathAndJson,
    RenderContext, RenderError, Renderable, ScopedJson, Template,
};
use serde_json::Value as Json;

use super::budget::{Budget, MAX_OUTPUT_BYTES};
use super::functions::{self, DEFAULT, FILE, is_truthy, kind_of};
use super::missing;
use super::refusal::Refusal;
use super::source::Texts;
use super::token;

/// The helper of everything that has a value.
pub(super) const VALUE: &str = "__value";
/// The helper of everything that has a body.
pub(super) const BLOCK: &str = "__block";

/// Inserts a value: `__value "insert" SITE expression`.
pub(super) const INSERT: &str = "insert";
/// As [`INSERT`], of the text of a file.
pub(super) const INSERT_FILE: &str = "insert-file";
/// Marks literal text in the traced copy of a template: `__value "mark" STRETCH`.
pub(super) const MARK: &str = "mark";
/// Refuses missing arguments of a partial, and says whether its call has a line to itself: `__value "require" BOOL argument …`.
pub(super) const REQUIRE: &str = "require";
/// As [`REQUIRE`], for a partial with named arguments, which the first argument has to take in.
pub(super) const REQUIRE_MAP: &str = "require-map";
/// Shuts a partial's body off from the names that its caller gave to things.
pub(super) const ENCLOSE: &str = "enclose";

/// The block helpers that people may write.
pub const BLOCK_HELPERS: [&str; 5] = ["each", "if", "raw", "unless", "with"];

/// Steps that one file may take: calls, loop turns, and 512 bytes of values to look through or to copy. A template
/// has no clock; this is what bounds its time.
///
/// A large real file (a hub with 1,000 spokes) takes some 20,000.
pub const MAX_STEPS: usize = 1_000_000;
/// After how many steps the budget of the cluster is asked.
const STEPS_AT_ONCE: usize = 1_000;
/// The size of values that counts for one step.
const STEP_BYTES: usize = 512;
/// How many steps a call of a partial takes: handlebars copies what stands around it.
const CALL_STEPS: usize = 20;
/// What a value weighs besides its text, in bytes.
const VALUE_BYTES: usize = 8;

/// An inserted value and the site that inserted it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Capture {
    /// The index of the site in the compiled templates.
    pub site: usize,
    /// The value with its type.
    pub value: Json,
    /// Whether it is the text of a file, which belongs to the templates.
    pub is_file: bool,
}

/// What the expansion of one file collects: the inserted values, and what they and the work on them add up to.
#[derive(Debug)]
pub(super) struct Recorder<'b> {
    recording: Mutex<Recording>,
    /// What all files of a cluster may take together.
    budget: Option<&'b Budget<'b>>,
    /// What may be inserted as text.
    texts: &'b Texts,
}

#[derive(Debug, Default)]
struct Recording {
    captures: Vec<Capture>,
    steps: usize,
    /// How many of the steps are counted in the budget.
    spent: usize,
    bytes: usize,
    /// Whether the call of a partial that is about to be expanded has a line to itself.
    call_has_own_line: bool,
}

impl<'b> Recorder<'b> {
    pub(super) fn new(budget: Option<&'b Budget<'b>>, texts: &'b Texts) -> Self {
        Self { recording: Mutex::default(), budget, texts }
    }

    /// Returns the inserted values, and counts the last steps.
    pub(super) fn finish(self) -> Result<Vec<Capture>, Refusal> {
        let recording = self.recording.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = self.budget {
            budget.spend(recording.steps - recording.spent)?;
        }
        Ok(recording.captures)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Recording) -> T) -> T {
        change(&mut self.recording.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a step, and more for bytes that are looked through or copied.
    fn step(&self, bytes: usize) -> Result<(), Refusal> {
        let (steps, unspent) = self.change(|recording| {
            recording.steps += 1 + bytes / STEP_BYTES;
            let unspent = recording.steps - recording.spent;
            if unspent < STEPS_AT_ONCE {
                return (recording.steps, 0);
            }
            recording.spent = recording.steps;
            (recording.steps, unspent)
        });
        if let (Some(budget), 1..) = (self.budget, unspent) {
            budget.spend(unspent)?;
        }
        if steps <= MAX_STEPS {
            return Ok(());
        }
        let message = format!("the template takes more than {MAX_STEPS} steps");
        Err(Refusal::new(message).hint("loop over a shorter list, or use fewer loops inside each other"))
    }

    /// Keeps a value, and returns the character that stands for it.
    fn insert(&self, site: usize, value: &Json, is_file: bool) -> Result<char, Refusal> {
        self.change(|recording| {
            recording.bytes += weight(value);
            if recording.bytes > MAX_OUTPUT_BYTES {
                return Err(too_large());
            }
            let token = token::of(recording.captures.len()).ok_or_else(|| {
                Refusal::new(format!("the file inserts more than {} values", token::MAX))
                    .hint("insert a list or a map as a whole: `{{list}}` as a value of its own")
            })?;
            recording.captures.push(Capture { site, value: value.clone(), is_file });
            Ok(token)
        })
    }
}

/// Refuses a file that grows too large.
pub(super) fn too_large() -> Refusal {
    let message = format!("the file grows larger than {} MiB", MAX_OUTPUT_BYTES >> 20);
    Refusal::new(message).hint("split it, or insert less")
}

/// Returns about how many bytes a value takes.
pub(super) fn weight(value: &Json) -> usize {
    VALUE_BYTES
        + match value {
            Json::String(text) => text.len(),
            Json::Array(items) => items.iter().map(weight).sum(),
            Json::Object(map) => map.iter().map(|(key, value)| key.len() + weight(value)).sum(),
            Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        }
}

/// Registers the helpers for one expansion.
pub(super) fn register<'reg: 'rc, 'rc>(rc: &mut RenderContext<'reg, 'rc>, recorder: &'rc Recorder<'_>) {
    rc.register_local_helper(VALUE, Box::new(Values(recorder)));
    rc.register_local_helper(BLOCK, Box::new(Blocks(recorder)));
}

/// Removes all helpers that come with handlebars: they are lenient where a template must be strict.
pub(super) fn unregister_foreign(registry: &mut Handlebars<'static>) {
    for name in [
        "if", "unless", "each", "with", "lookup", "raw", "log", "len", "eq", "ne", "gt", "gte", "lt", "lte",
        "and", "or", "not",
    ] {
        registry.unregister_helper(name);
    }
}

/// Returns what a call does, and its arguments.
fn parts<'h, 'rc>(helper: &'h Helper<'rc>) -> (&'h str, &'h [PathAndJson<'rc>]) {
    match helper.params().split_first() {
        Some((operation, arguments)) => (operation.value().as_str().unwrap_or(""), arguments),
        None => ("", &[]),
    }
}

struct Values<'r>(&'r Recorder<'r>);

impl HelperDef for Values<'_> {
    // The default writes with the indent of a partial, and copies the text three times; most tokens need no indent.
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        if rc.get_indent_before_write() {
            return Indented(self).call(helper, registry, context, rc, out);
        }
        let value = self.call_inner(helper, registry, context, rc)?;
        if let Some(text) = value.as_json().as_str().filter(|text| !text.is_empty()) {
            out.write(text)?;
            rc.set_content_produced(true);
            rc.set_trailing_newline(false);
        }
        Ok(())
    }

    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let (operation, arguments) = parts(helper);
        if operation == MARK {
            return Ok(text(token::mark(number(arguments.first()))));
        }
        let optional = usize::from(operation == DEFAULT);
        if let Some(absent) = arguments.iter().skip(optional).find(|argument| argument.is_value_missing()) {
            return Err(
                missing::refusal(absent.relative_path().map_or("", String::as_str), context, rc).into()
            );
        }
        match (operation, arguments) {
            (INSERT | INSERT_FILE, [site, value]) => {
                self.0.step(0)?;
                let is_file = operation == INSERT_FILE;
                Ok(text(Some(self.0.insert(number(Some(site)), value.value(), is_file)?)))
            }
            (REQUIRE | REQUIRE_MAP, [has_own_line, arguments @ ..]) => {
                self.require(operation, arguments)?;
                let has_own_line = has_own_line.value() == &Json::Bool(true);
                self.0.change(|recording| recording.call_has_own_line = has_own_line);
                Ok(text(None))
            }
            (FILE, [name]) => {
                let text = name.value().as_str().and_then(|name| self.0.texts.get(name));
                let text = text.map_or("", |source| &*source.text);
                self.0.step(text.len())?;
                Ok(ScopedJson::Derived(Json::from(text)))
            }
            (name, arguments) => {
                let values: Vec<&Json> = arguments.iter().map(PathAndJson::value).collect();
                self.0.step(values.iter().map(|value| weight(value)).sum())?;
                let function = functions::named(name);
                let function = function.ok_or_else(|| Refusal::new(format!("unknown helper `{name}`")))?;
                Ok(ScopedJson::Derived((function.call)(&values)?))
            }
        }
    }
}

/// Writes what [`Values`] computes in handlebars' own way.
struct Indented<'v, 'r>(&'v Values<'r>);

impl HelperDef for Indented<'_, '_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        self.0.call_inner(helper, registry, context, rc)
    }
}

impl Values<'_> {
    fn require(&self, operation: &str, arguments: &[PathAndJson<'_>]) -> Result<(), Refusal> {
        // A partial gets a copy of its arguments.
        self.0.step(arguments.iter().map(|argument| weight(argument.value())).sum())?;
        match arguments.first().map(PathAndJson::value) {
            Some(argument) if operation == REQUIRE_MAP && !argument.is_object() => {
                let message = format!("named arguments cannot be added to {}", kind_of(argument));
                Err(Refusal::new(message).hint("pass a map first, or name every argument"))
            }
            _ => Ok(()),
        }
    }
}

fn number(argument: Option<&PathAndJson<'_>>) -> usize {
    argument.and_then(|argument| argument.value().as_u64()).map_or(usize::MAX, |number| number as usize)
}

fn text<'rc>(character: Option<char>) -> ScopedJson<'rc> {
    ScopedJson::Derived(Json::String(character.map(String::from).unwrap_or_default()))
}

struct Blocks<'r>(&'r Recorder<'r>);

impl HelperDef for Blocks<'_> {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let (operation, arguments) = parts(helper);
        self.0.step(if operation == ENCLOSE { CALL_STEPS * STEP_BYTES } else { 0 })?;
        let mut block = Block { recorder: self.0, helper, registry, context, rc, out };
        let argument = match (operation, arguments.first()) {
            (ENCLOSE, _) => return block.enclose(),
            (_, Some(argument)) => argument,
            (_, None) => return block.body(),
        };
        if argument.is_value_missing() {
            let path = argument.relative_path().map_or("", String::as_str);
            return Err(missing::refusal(path, context, block.rc).into());
        }
        match operation {
            "unless" => block.choose(!is_truthy(argument.value())),
            "with" => block.with(argument),
            "each" => block.each(argument),
            _ => block.choose(is_truthy(argument.value())),
        }
    }
}

/// One turn of a loop: the key or index for templates, the same as a path segment, and the item.
type Turn<'a> = (Json, String, &'a Json);

/// A block that is being expanded.
struct Block<'b, 'reg: 'rc, 'rc> {
    recorder: &'b Recorder<'b>,
    helper: &'b Helper<'rc>,
    registry: &'reg Handlebars<'reg>,
    context: &'rc Context,
    rc: &'b mut RenderContext<'reg, 'rc>,
    out: &'b mut dyn Output,
}

impl<'reg: 'rc, 'rc> Block<'_, 'reg, 'rc> {
    fn body(&mut self) -> HelperResult {
        self.expand(self.helper.template())
    }

    fn otherwise(&mut self) -> HelperResult {
        self.expand(self.helper.inverse())
    }

    fn expand(&mut self, template: Option<&'rc Template>) -> HelperResult {
        template.map_or(Ok(()), |template| template.render(self.registry, self.context, self.rc, self.out))
    }

    fn choose(&mut self, condition: bool) -> HelperResult {
        if condition { self.body() } else { self.otherwise() }
    }

    fn with(&mut self, argument: &PathAndJson<'rc>) -> HelperResult {
        if !is_truthy(argument.value()) {
            return self.otherwise();
        }
        let standpoint = self.standpoint(argument)?;
        let mut block = standpoint.block();
        if let Some(name) = self.helper.block_param() {
            block.set_block_params(standpoint.params(name, None)?);
        }
        self.rc.push_block(block);
        let result = self.body();
        self.rc.pop_block();
        result
    }

    fn each(&mut self, argument: &PathAndJson<'rc>) -> HelperResult {
        let turns = turns(argument.value())?;
        if turns.is_empty() {
            return self.otherwise();
        }
        let standpoint = self.standpoint(argument)?;
        self.rc.push_block(standpoint.block());
        let result = self.turns(&standpoint, turns);
        self.rc.pop_block();
        result
    }

    fn turns(&mut self, around: &Standpoint, turns: Vec<Turn<'_>>) -> HelperResult {
        let last = turns.len() - 1;
        for (index, (key, segment, item)) in turns.into_iter().enumerate() {
            let standpoint = around.below(segment, item);
            self.recorder.step(standpoint.copied_bytes())?;
            let mut block = standpoint.block();
            block.set_local_var("first", Json::Bool(index == 0));
            block.set_local_var("last", Json::Bool(index == last));
            block.set_local_var("index", Json::from(index));
            if key.is_string() {
                block.set_local_var("key", key.clone());
            }
            if let Some(name) = self.helper.block_param() {
                block.set_block_params(standpoint.params(name, None)?);
            } else if let Some((name, key_name)) = self.helper.block_param_pair() {
                block.set_block_params(standpoint.params(name, Some((key_name, key)))?);
            }
            if let Some(current) = self.rc.block_mut() {
                *current = block;
            }
            self.body()?;
        }
        Ok(())
    }

    /// Expands the body of a partial with its own block alone: the names that blocks of its callers gave to things and
    /// what stands around them would otherwise hide facts of the same name.
    ///
    /// A call that has a line to itself ends it, whether or not the partial does.
    fn enclose(&mut self) -> HelperResult {
        let has_own_line = self.recorder.change(|recording| std::mem::take(&mut recording.call_has_own_line));
        let mut callers = self.rc.replace_blocks(VecDeque::new());
        let own = callers.pop_front();
        self.rc.replace_blocks(own.into_iter().collect());
        let result = self.body();
        if let Some(own) = self.rc.replace_blocks(VecDeque::new()).pop_front() {
            callers.push_front(own);
        }
        self.rc.replace_blocks(callers);
        result?;
        if has_own_line && self.rc.get_content_produced() && !self.rc.get_trailine_newline() {
            self.out.write("\n")?;
            self.rc.set_trailing_newline(true);
        }
        Ok(())
    }

    fn standpoint(&self, argument: &PathAndJson<'_>) -> Result<Standpoint, Refusal> {
        let standpoint = match argument.context_path() {
            Some(path) => Standpoint::Path(path.clone()),
            None => Standpoint::Value(argument.value().clone()),
        };
        self.recorder.step(standpoint.copied_bytes())?;
        Ok(standpoint)
    }
}

fn turns(value: &Json) -> Result<Vec<Turn<'_>>, Refusal> {
    match value {
        Json::Array(items) => Ok(items
            .iter()
            .enumerate()
            .map(|(index, item)| (Json::from(index), index.to_string(), item))
            .collect()),
        Json::Object(map) => {
            Ok(map.iter().map(|(key, item)| (Json::from(key.as_str()), key.clone(), item)).collect())
        }
        other => Err(Refusal::new(format!("`each` needs a list or a map, not {}", kind_of(other)))
            .hint("write `{{#if …}}` for a single value")),
    }
}

/// What `this` is inside a block: a path into the facts, or a computed value.
enum Standpoint {
    Path(Vec<String>),
    Value(Json),
}

impl Standpoint {
    fn below(&self, segment: String, item: &Json) -> Self {
        match self {
            Self::Path(path) => {
                let mut below = Vec::with_capacity(path.len() + 1);
                below.extend_from_slice(path);
                below.push(segment);
                Self::Path(below)
            }
            Self::Value(_) => Self::Value(item.clone()),
        }
    }

    fn copied_bytes(&self) -> usize {
        match self {
            Self::Path(_) => 0,
            Self::Value(value) => weight(value),
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
