//! What expressions refer to: which function is called, which file is inserted, and what in it makes no sense.

use serde_json::Value as Json;

use crate::path::RepoPath;
use crate::plural::{agrees, counted};
use crate::problem::{Fault, Position, did_you_mean};

use super::super::functions::{self, FILE, FUNCTIONS};
use super::path::Path;
use super::source::{SourceKind, TEXTS, Texts};
use super::tree::{BlockKind, Expression, Tree};

/// A name with what follows it.
#[derive(Debug)]
pub(super) struct Words<'s> {
    pub name: &'s str,
    pub arguments: Vec<Expression>,
    /// Arguments with names: `size=2`.
    pub named: Vec<(String, Expression)>,
    /// The names after `as`, between bars.
    pub names: Vec<String>,
}

/// Resolves what one source refers to, and collects it.
pub(super) struct Resolver<'a> {
    pub kind: SourceKind,
    /// What may be inserted as text.
    pub texts: &'a Texts,
    /// Where the tag at hand stands.
    pub position: Position,
    /// How many blocks around it change what a path starts from.
    pub scopes: usize,
    pub tree: Tree,
    pub faults: Vec<Fault>,
}

impl Resolver<'_> {
    pub(super) fn literal(&mut self, literal: Json) -> Expression {
        self.tree.names_read.extend(literal.as_str().map(str::to_owned));
        Expression::Literal(literal)
    }

    pub(super) fn path(&mut self, path: Path) -> Expression {
        self.tree.names_read.extend(path.names.iter().cloned());
        self.tree.ends_read.extend(path.names.last().cloned());
        if path.up > self.scopes {
            let around = match self.kind {
                SourceKind::Template => "template",
                SourceKind::Partial => "partial",
            };
            self.fault(
                format!("`{}` leads out of the {around}", path.raw),
                "write one `../` for each `{{#each}}` and `{{#with}}` around it, and none for `{{#if}}`",
            );
        }
        Expression::Path(path)
    }

    pub(super) fn call(&mut self, words: Words<'_>) -> Expression {
        let Some(function) = functions::named(words.name) else {
            self.unknown_helper("helper", words.name, FUNCTIONS.iter().map(|function| function.name));
            return Expression::Literal(Json::Null);
        };
        if function.name == FILE
            && let [name] = words.arguments.as_slice()
            && let Some(file) = self.file(name)
        {
            return file;
        }
        let (wanted, given) = (&function.arguments, words.arguments.len());
        if !words.named.is_empty() {
            self.refuse_named_arguments();
        } else if !wanted.contains(&given) {
            let least = if wanted.start() == wanted.end() { "" } else { "at least " };
            let wanted = counted(*wanted.start(), "argument");
            let message = format!("`{}` takes {least}{wanted}, and {}", function.name, number_given(given));
            self.fault(message, format!("write it like `{}`", function.example));
        }
        Expression::Call(function, words.arguments)
    }

    /// Returns the text of the file that is named, or adds what is wrong with the name.
    fn file(&mut self, name: &Expression) -> Option<Expression> {
        let Expression::Literal(Json::String(name)) = name else {
            self.fault("the name of a file must be written out", "choose with `{{#if}}` instead");
            return None;
        };
        if let Some(source) = self.texts.get(name) {
            self.tree.texts.insert(source.file.clone());
            return Some(Expression::File(source.file.clone(), source.text.as_ref().into()));
        }
        match RepoPath::parse(name) {
            Ok(path) => {
                let hint = match did_you_mean(path.as_str(), self.texts.keys().map(String::as_str)) {
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
        None
    }

    /// Returns what a block does, or adds what is wrong with the way in which it is opened.
    pub(super) fn block(&mut self, words: &Words<'_>) -> BlockKind {
        let name = words.name;
        let Some((_, kind)) = BlockKind::ALL.iter().find(|(known, _)| *known == name) else {
            self.unknown_helper("block helper", name, BlockKind::ALL.iter().map(|(name, _)| *name));
            return BlockKind::Raw;
        };
        if !words.named.is_empty() {
            self.refuse_named_arguments();
        }
        let (wanted, given) = (usize::from(*kind != BlockKind::Raw), words.arguments.len());
        if given != wanted {
            let wanted = counted(wanted, "argument");
            let message = format!("`{{{{#{name}}}}}` takes {wanted}, and {}", number_given(given));
            self.fault(message, "put a function and its arguments in parentheses: `{{#if (eq a b)}}`");
        }
        if words.names.len() > kind.most_names() {
            let most = if kind.is_scope() { "one name" } else { "no name" };
            let hint = "write `{{#each map as |value key|}}` or `{{#with value as |name|}}`";
            self.fault(format!("`{{{{#{name}}}}}` takes {most} after `as`"), hint);
        }
        *kind
    }

    /// Adds what is wrong with the number of arguments that a partial gets.
    pub(super) fn check_partial(&mut self, words: &Words<'_>) {
        let name = words.name;
        match words.arguments.len() {
            0 if words.named.is_empty() => self.fault(
                format!("partial `{name}` is called without an argument"),
                format!("pass what it needs, as in `{{{{> {name} cluster}}}}`"),
            ),
            0 | 1 => {}
            _ => self.fault(
                format!("partial `{name}` is called with more than one argument"),
                format!("name the others, as in `{{{{> {name} cluster size=2}}}}`"),
            ),
        }
    }

    fn refuse_named_arguments(&mut self) {
        self.fault("helpers take no named arguments", "give the values one after the other");
    }

    fn unknown_helper<'n>(&mut self, kind: &str, name: &str, known: impl Iterator<Item = &'n str>) {
        let known: Vec<_> = known.collect();
        let hint = match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "there is `{}`; none is needed for quoting or indentation, since values keep their type",
                known.join("`, `")
            ),
        };
        self.fault(format!("unknown {kind} `{name}`"), hint);
    }

    pub(super) fn fault(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Fault::new(self.position, message).hint(hint));
    }
}

fn number_given(number: usize) -> String {
    format!("{number} {} given", agrees(number, "is", "are"))
}
