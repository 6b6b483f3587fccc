//! The helpers behind a rewritten template: every value is looked for strictly, counted and recorded.
//!
//! `rewrite` turns each tag into a call of one of them. The blocks themselves are handlebars' own: they get
//! what they work on from [`VALUE`].

use std::collections::VecDeque;
use std::io;

use handlebars::{
    BlockContext, BlockParamHolder, Context, Handlebars, Helper, HelperDef, HelperResult, Output,
    PathAndJson, RenderContext, RenderError, Renderable, ScopedJson,
};
use serde_json::{Map, Value as Json};

use super::functions::{self, DEFAULT, FILE, is_truthy, kind_of};
use super::missing;
use super::recorder::{Recorder, weight};
use super::refusal::{Refusal, Refusals};
use super::source::Texts;

/// Inserts a value: `__insert SITE IS_FILE value`.
pub(super) const INSERT: &str = "__insert";
/// Computes a value: `__value FUNCTION argument …`, or checks what a block works on: `__value BLOCK argument`.
pub(super) const VALUE: &str = "__value";
/// Expands a partial: `__partial NAME ENDS_LINE INDENT argument name=argument …`.
pub(super) const PARTIAL: &str = "__partial";

/// The block helpers that people may write. Raw blocks are text once a template is compiled.
pub const BLOCK_HELPERS: [&str; 5] = ["each", "if", "raw", "unless", "with"];

/// How many steps a call of a partial takes.
const CALL_STEPS: usize = 20;

/// Registers the helpers for one expansion.
pub(super) fn register<'reg: 'rc, 'rc>(
    rc: &mut RenderContext<'reg, 'rc>,
    recorder: &'rc Recorder<'_>,
    texts: &'rc Texts,
) {
    rc.register_local_helper(INSERT, Box::new(Insert(recorder)));
    rc.register_local_helper(VALUE, Box::new(Value { recorder, texts }));
    rc.register_local_helper(PARTIAL, Box::new(Partial(recorder)));
}

/// Removes the helpers that come with handlebars, apart from blocks: they are lenient where a template must be strict.
pub(super) fn unregister_foreign(registry: &mut Handlebars<'static>) {
    for name in ["lookup", "raw", "log", "len", "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not"] {
        registry.unregister_helper(name);
    }
}

/// Refuses all arguments that lead nowhere.
fn require<'a, 'rc: 'a>(
    arguments: impl Iterator<Item = &'a PathAndJson<'rc>>,
    context: &'rc Context,
    rc: &RenderContext<'_, 'rc>,
) -> Result<(), Refusals> {
    let absent = arguments.filter(|argument| argument.is_value_missing());
    let paths = absent.map(|argument| argument.relative_path().map_or("", String::as_str));
    let refusals: Vec<_> = paths.map(|path| missing::refusal(path, context, rc)).collect();
    if refusals.is_empty() { Ok(()) } else { Err(Refusals(refusals)) }
}

struct Insert<'r>(&'r Recorder<'r>);

impl HelperDef for Insert<'_> {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let [site, is_file, value] = helper.params().as_slice() else { return Ok(()) };
        require(std::iter::once(value), context, rc)?;
        self.0.step(1, 0)?;
        let site = site.value().as_u64().map_or(usize::MAX, |site| site as usize);
        let token = self.0.insert(site, value.value(), is_file.value() == &Json::Bool(true))?;
        out.write(token.encode_utf8(&mut [0; 4]))?;
        Ok(())
    }
}

struct Value<'r> {
    recorder: &'r Recorder<'r>,
    /// What may be inserted as text.
    texts: &'r Texts,
}

impl HelperDef for Value<'_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let Some((operation, arguments)) = helper.params().split_first() else {
            return Ok(ScopedJson::Missing);
        };
        let operation = operation.value().as_str().unwrap_or_default();
        require(arguments.iter().skip(usize::from(operation == DEFAULT)), context, rc)?;
        match (operation, arguments) {
            ("if" | "unless", [condition]) => {
                self.recorder.step(1, 0)?;
                Ok(ScopedJson::Derived(is_truthy(condition.value()).into()))
            }
            ("each" | "with", [argument]) => Ok(self.entered(operation, argument, context)?),
            (FILE, [name]) => {
                let text = name.value().as_str().and_then(|name| self.texts.get(name));
                let text = text.map_or("", |source| &*source.text);
                self.recorder.step(1, text.len())?;
                Ok(ScopedJson::Derived(Json::from(text)))
            }
            (name, arguments) => {
                let values: Vec<&Json> = arguments.iter().map(PathAndJson::value).collect();
                self.recorder.step(1, values.iter().map(|value| weight(value)).sum())?;
                let function = functions::named(name);
                let function = function.ok_or_else(|| Refusal::new(format!("unknown helper `{name}`")))?;
                Ok(ScopedJson::Derived((function.call)(&values)?))
            }
        }
    }
}

impl Value<'_> {
    /// Returns what a block makes its own: a fact with its path, or a copy of a computed value.
    fn entered<'rc>(
        &self,
        block: &str,
        argument: &PathAndJson<'rc>,
        context: &'rc Context,
    ) -> Result<ScopedJson<'rc>, Refusal> {
        let value = argument.value();
        let turns = match value {
            _ if block == "with" => 0,
            Json::Array(items) => items.len(),
            Json::Object(map) => map.len(),
            other => {
                return Err(Refusal::new(format!("`each` needs a list or a map, not {}", kind_of(other)))
                    .hint("write `{{#if …}}` for a single value"));
            }
        };
        if let Some(path) = argument.context_path()
            && let Some(fact) = fact(context, path)
        {
            self.recorder.step(1 + turns, 0)?;
            return Ok(ScopedJson::Context(fact, path.clone()));
        }
        self.recorder.step(1 + turns, weight(value))?;
        Ok(ScopedJson::Derived(value.clone()))
    }
}

/// Returns the fact at a full path.
fn fact<'c>(context: &'c Context, path: &[String]) -> Option<&'c Json> {
    path.iter().try_fold(context.data(), |value, name| match value {
        Json::Array(items) => items.get(name.parse::<usize>().ok()?),
        value => value.get(name),
    })
}

struct Partial<'r>(&'r Recorder<'r>);

impl HelperDef for Partial<'_> {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let [name, ends_line, indent, arguments @ ..] = helper.params().as_slice() else { return Ok(()) };
        require(arguments.iter().chain(helper.hash().values()), context, rc)?;
        let block = self.block(helper, arguments.first(), rc)?;
        let Some(template) = name.value().as_str().and_then(|name| registry.get_template(name)) else {
            return Ok(());
        };
        let mut lines = Indented { out, indent: indent.value().as_str().unwrap_or_default(), last: None };
        // The names that blocks of its callers gave to things would hide facts of the same name.
        let callers = rc.replace_blocks(VecDeque::from([block]));
        let result = template.render(registry, context, rc, &mut lines);
        rc.replace_blocks(callers);
        result?;
        if ends_line.value() == &Json::Bool(true) && lines.last.is_some_and(|last| last != '\n') {
            out.write("\n")?;
        }
        Ok(())
    }
}

impl Partial<'_> {
    /// Returns what a partial sees: its argument, named arguments, and the turn of the loop that it is called in.
    fn block<'rc>(
        &self,
        helper: &Helper<'rc>,
        argument: Option<&PathAndJson<'rc>>,
        rc: &RenderContext<'_, 'rc>,
    ) -> Result<BlockContext<'rc>, Refusal> {
        let mut block = BlockContext::new();
        if let Some(caller) = rc.block() {
            block.local_variables_mut().clone_from(caller.local_variables());
        }
        let named = helper.hash();
        if let (Some(path), true) = (argument.and_then(PathAndJson::context_path), named.is_empty()) {
            self.0.step(CALL_STEPS, 0)?;
            block.base_path_mut().clone_from(path);
            return Ok(block);
        }
        let copied = argument.into_iter().chain(named.values()).map(|argument| weight(argument.value()));
        self.0.step(CALL_STEPS, copied.sum())?;
        let mut value = argument.map_or_else(|| Map::new().into(), |argument| argument.value().clone());
        if !named.is_empty() {
            let Json::Object(map) = &mut value else {
                let message = format!("named arguments cannot be added to {}", kind_of(&value));
                return Err(Refusal::new(message).hint("pass a map first, or name every argument"));
            };
            for (name, argument) in named {
                map.insert((*name).to_owned(), argument.value().clone());
                // Blocks inside the partial see it, too.
                block.set_block_param(name, BlockParamHolder::Value(argument.value().clone()));
            }
        }
        block.set_base_value(value);
        Ok(block)
    }
}

/// Writes each line of a partial at the indentation of its call.
struct Indented<'o> {
    out: &'o mut dyn Output,
    indent: &'o str,
    /// The last character that was written.
    last: Option<char>,
}

impl Output for Indented<'_> {
    fn write(&mut self, text: &str) -> io::Result<()> {
        for line in text.split_inclusive('\n') {
            if matches!(self.last, None | Some('\n')) && !matches!(line, "\n" | "\r\n") {
                self.out.write(self.indent)?;
            }
            self.out.write(line)?;
            self.last = line.chars().next_back();
        }
        Ok(())
    }
}
