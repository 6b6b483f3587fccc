//! What paths start from: the facts, and the blocks that stand around.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::super::syntax::Path;

/// A value: a part of the facts or of the template, or computed.
pub(super) type Data<'c> = Cow<'c, Json>;

/// What stands around inside a block or a partial.
#[derive(Debug)]
pub(super) struct Frame<'c> {
    pub this: Data<'c>,
    /// The values that the block, or the call of the partial, gives names to.
    pub names: Vec<(&'c str, Data<'c>)>,
    pub turn: Option<Turn<'c>>,
}

/// Where a loop is.
#[derive(Clone, Debug)]
pub(super) struct Turn<'c> {
    pub index: usize,
    pub is_last: bool,
    /// The key, in a loop over a map.
    pub key: Option<Cow<'c, str>>,
}

/// The frames of one expansion.
#[derive(Debug)]
pub(super) struct Frames<'c> {
    facts: &'c Json,
    all: Vec<Frame<'c>>,
    /// The first frame that is seen: a partial sees none of its callers'.
    first: usize,
}

/// The name that was looked up in a list, and is no number.
pub(super) struct NoIndex<'p>(pub &'p str);

impl<'c> Frames<'c> {
    pub(super) fn new(facts: &'c Json, names: Vec<(&'c str, Data<'c>)>) -> Self {
        let root = Frame { this: Cow::Borrowed(facts), names, turn: None };
        Self { facts, all: vec![root], first: 0 }
    }

    pub(super) fn push(&mut self, frame: Frame<'c>) {
        self.all.push(frame);
    }

    pub(super) fn pop(&mut self) {
        self.all.pop();
    }

    /// Begins a partial, and returns what [`Self::leave`] takes.
    ///
    /// It sees what its call gives it, and the turn of the loop that the call stands in.
    pub(super) fn enter(&mut self, this: Data<'c>, names: Vec<(&'c str, Data<'c>)>) -> usize {
        let turn = self.all.last().and_then(|frame| frame.turn.clone());
        self.all.push(Frame { this, names, turn });
        std::mem::replace(&mut self.first, self.all.len() - 1)
    }

    pub(super) fn leave(&mut self, first: usize) {
        self.first = first;
        self.pop();
    }

    /// Returns whether a fact has this name.
    pub(super) fn is_fact(&self, name: &str) -> bool {
        self.facts.get(name).is_some()
    }

    /// Returns the value of a path.
    pub(super) fn value<'p>(&self, path: &'p Path) -> Result<Option<Data<'c>>, NoIndex<'p>> {
        self.value_of(path, path.names.len())
    }

    /// Returns the value of the first names of a path; without any, of what the first one is looked up in.
    pub(super) fn value_of<'p>(&self, path: &'p Path, count: usize) -> Result<Option<Data<'c>>, NoIndex<'p>> {
        let names = &path.names[..count];
        if path.is_local {
            return Ok(self.frame(path.up).and_then(|frame| frame.turn.as_ref()?.value(names)));
        }
        if path.from_root {
            return below(&Cow::Borrowed(self.facts), names);
        }
        if let [first, rest @ ..] = names
            && let Some(named) = self.named(first)
        {
            return below(named, rest);
        }
        self.frame(path.up).map_or(Ok(None), |frame| below(&frame.this, names))
    }

    fn frame(&self, up: usize) -> Option<&Frame<'c>> {
        self.all[self.first..].iter().rev().nth(up)
    }

    fn named(&self, name: &str) -> Option<&Data<'c>> {
        let mut names = self.all[self.first..].iter().rev().flat_map(|frame| frame.names.iter().rev());
        names.find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

impl Turn<'_> {
    fn value<'c>(&self, names: &[String]) -> Option<Data<'c>> {
        let [name] = names else { return None };
        Some(Cow::Owned(match name.as_str() {
            "index" => self.index.into(),
            "first" => (self.index == 0).into(),
            "last" => self.is_last.into(),
            "key" => self.key.as_deref()?.into(),
            _ => return None,
        }))
    }
}

fn below<'c, 'p>(value: &Data<'c>, names: &'p [String]) -> Result<Option<Data<'c>>, NoIndex<'p>> {
    match value {
        Cow::Borrowed(value) => Ok(part(value, names)?.map(Cow::Borrowed)),
        Cow::Owned(value) => Ok(part(value, names)?.cloned().map(Cow::Owned)),
    }
}

fn part<'v, 'p>(value: &'v Json, names: &'p [String]) -> Result<Option<&'v Json>, NoIndex<'p>> {
    let mut part = Some(value);
    for name in names.iter().filter(|name| *name != "this") {
        part = match part {
            Some(Json::Array(items)) => items.get(name.parse::<usize>().map_err(|_| NoIndex(name))?),
            Some(Json::Object(map)) => map.get(name),
            _ => None,
        };
    }
    Ok(part)
}
