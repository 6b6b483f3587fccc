//! What stands between the braces of a tag: terms, calls, named arguments, names after `as`.

use serde_json::Value as Json;

use super::path::{Path, is_symbol};
use super::resolve::{Resolver, Words};
use super::tree::Expression;

/// Reads `path`, `(call)` or `function argument …`.
pub(super) fn expression(text: &str, resolver: &mut Resolver<'_>) -> Option<Expression> {
    Reader { rest: text, resolver }.whole(Reader::call_or_term)
}

/// Reads the beginning of a block: `name argument … as |item key|`.
pub(super) fn block<'s>(text: &'s str, resolver: &mut Resolver<'_>) -> Option<Words<'s>> {
    Reader { rest: text, resolver }.whole(|reader| {
        let name = reader.identifier()?;
        let words = reader.words(name)?;
        Some(Words { names: reader.names_after_as()?, ..words })
    })
}

/// Reads the call of a partial; its name is empty where it is computed.
pub(super) fn partial<'s>(text: &'s str, resolver: &mut Resolver<'_>) -> Option<Words<'s>> {
    Reader { rest: text, resolver }.whole(|reader| {
        let name = reader.take(|c| "@/.".contains(c) || is_symbol(c) && !"$:".contains(c));
        if name.is_empty() {
            reader.parenthesized()?;
        }
        reader.words(name)
    })
}

struct Reader<'s, 'r, 'a> {
    rest: &'s str,
    resolver: &'r mut Resolver<'a>,
}

impl<'s> Reader<'s, '_, '_> {
    fn whole<T>(mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let found = read(&mut self)?;
        self.skip_blanks();
        self.rest.is_empty().then_some(found)
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'s str {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn eat(&mut self, sign: char) -> Option<()> {
        self.skip_blanks();
        self.rest = self.rest.strip_prefix(sign)?;
        Some(())
    }

    fn identifier(&mut self) -> Option<&'s str> {
        self.skip_blanks();
        Some(self.take(is_symbol)).filter(|word| !word.is_empty())
    }

    /// Reads a call if a name has arguments, and otherwise a path.
    fn call_or_term(&mut self) -> Option<Expression> {
        let start = self.rest;
        if let Some(words) = self.identifier().and_then(|name| self.words(name))
            && !(words.arguments.is_empty() && words.named.is_empty())
        {
            return Some(self.resolver.call(words));
        }
        self.rest = start;
        self.skip_blanks();
        if self.rest.starts_with('(') { self.parenthesized() } else { self.path() }
    }

    fn parenthesized(&mut self) -> Option<Expression> {
        self.eat('(')?;
        let inner = self.call_or_term()?;
        self.eat(')')?;
        Some(inner)
    }

    fn words(&mut self, name: &'s str) -> Option<Words<'s>> {
        let mut words = Words { name, arguments: Vec::new(), named: Vec::new(), names: Vec::new() };
        loop {
            self.skip_blanks();
            if self.rest.is_empty() || self.rest.starts_with(')') || self.is_keyword("as") {
                return Some(words);
            }
            match self.name_of_argument() {
                Some(name) => words.named.push((name.to_owned(), self.term()?)),
                None => words.arguments.push(self.term()?),
            }
        }
    }

    /// Reads `name=`.
    fn name_of_argument(&mut self) -> Option<&'s str> {
        let start = self.rest;
        let name = self.identifier().filter(|_| self.eat('=').is_some());
        if name.is_none() {
            self.rest = start;
        }
        name
    }

    fn names_after_as(&mut self) -> Option<Vec<String>> {
        if !self.is_keyword("as") {
            return Some(Vec::new());
        }
        self.rest = &self.rest["as".len()..];
        self.eat('|')?;
        let first = self.identifier()?;
        let second = self.identifier();
        self.eat('|')?;
        Some(std::iter::once(first).chain(second).map(str::to_owned).collect())
    }

    fn is_keyword(&self, word: &str) -> bool {
        self.rest.strip_prefix(word).is_some_and(|rest| !rest.starts_with(is_symbol))
    }

    fn term(&mut self) -> Option<Expression> {
        self.skip_blanks();
        if self.is_keyword("as") || self.is_keyword("else") {
            return None;
        }
        let literal = match self.rest.chars().next()? {
            '(' => return self.parenthesized(),
            '\'' => Some(self.quoted()?),
            '"' | '{' => Some(self.json()?),
            '[' => self.json(),
            _ => self.plain_literal(),
        };
        literal.map(|literal| self.resolver.literal(literal)).or_else(|| self.path())
    }

    fn path(&mut self) -> Option<Expression> {
        let path = Path::read(self.rest)?;
        self.rest = &self.rest[path.raw.len()..];
        Some(self.resolver.path(path))
    }

    /// Reads a literal that says itself where it ends.
    fn json(&mut self) -> Option<Json> {
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter();
        let value = values.next()?.ok()?;
        self.rest = &self.rest[values.byte_offset()..];
        Some(value)
    }

    /// Reads a text in single quotes, with the escapes of JSON.
    fn quoted(&mut self) -> Option<Json> {
        let inner = &self.rest[1..];
        let mut was_backslash = false;
        let is_end = |c: char| {
            let is_end = c == '\'' && !was_backslash;
            was_backslash = c == '\\' && !was_backslash;
            is_end
        };
        let end = inner.find(is_end)?;
        self.rest = &inner[end + 1..];
        serde_json::from_str(&format!("\"{}\"", inner[..end].replace("\\'", "'").replace('"', "\\\""))).ok()
    }

    /// Reads a number, `true`, `false` or `null`.
    fn plain_literal(&mut self) -> Option<Json> {
        let end = self.rest.find(|c| !is_symbol(c) && c != '.').unwrap_or(self.rest.len());
        let literal = serde_json::from_str(&self.rest[..end]).ok()?;
        self.rest = &self.rest[end..];
        Some(literal)
    }
}
