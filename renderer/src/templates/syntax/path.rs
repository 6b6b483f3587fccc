//! A path as it is written between braces, taken apart: `../cluster.[a b].name`.

/// A path of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::templates) struct Path {
    /// The path as it is written.
    pub raw: String,
    /// Whether it starts at the top: `@root.…`.
    pub from_root: bool,
    /// Whether it names what a loop sets: `@index`, `@key`, `@first`, `@last`.
    pub is_local: bool,
    /// How many `../` it starts with.
    pub up: usize,
    /// The names in it, without the brackets around them.
    pub names: Vec<String>,
    /// Where each name ends in what is written; first, where the first one starts.
    ends: Vec<usize>,
}

impl Path {
    /// Reads a whole text as a path.
    pub(in crate::templates) fn parse(text: &str) -> Option<Self> {
        Self::read(text).filter(|path| path.raw.len() == text.len())
    }

    /// Reads the path that a text begins with.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut rest = text;
        strip_any(&mut rest, &["./", "this/", "this."]);
        let from_root = strip_any(&mut rest, &["@root/", "@root."]);
        let is_local = strip_any(&mut rest, &["@"]);
        let mut up = 0;
        while strip_any(&mut rest, &["../", "..."]) {
            up += 1;
        }
        let (mut names, mut ends) = (Vec::new(), vec![text.len() - rest.len()]);
        loop {
            let (name, length) = name(rest)?;
            rest = &rest[length..];
            names.push(name.to_owned());
            ends.push(text.len() - rest.len());
            if !strip_any(&mut rest, &[".", "/"]) {
                break;
            }
        }
        let raw = text[..text.len() - rest.len()].to_owned();
        Some(Self { raw, from_root, is_local, up, names, ends })
    }

    /// Returns what is written up to and including name `count`, counted from 1.
    pub(in crate::templates) fn prefix(&self, count: usize) -> &str {
        &self.raw[..self.ends[count]]
    }
}

/// Returns whether a character may stand in a name without brackets.
pub(super) fn is_symbol(character: char) -> bool {
    character.is_ascii_alphanumeric() || !character.is_ascii() || "-_$:".contains(character)
}

/// Returns the name that a text begins with, and how long it is in writing.
fn name(text: &str) -> Option<(&str, usize)> {
    if let Some((name, _)) = text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return Some((name, name.len() + 2));
    }
    let length = text.find(|c| !is_symbol(c)).unwrap_or(text.len());
    (length > 0).then(|| (&text[..length], length))
}

fn strip_any(text: &mut &str, prefixes: &[&str]) -> bool {
    let stripped = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
    stripped.inspect(|rest| *text = rest).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(raw: &str) -> Vec<String> {
        Path::parse(raw).map(|path| path.names).unwrap_or_default()
    }

    #[test]
    fn a_path_is_taken_apart_at_dots_and_slashes_outside_brackets() {
        assert_eq!(names("cluster.name"), ["cluster", "name"]);
        assert_eq!(names("cluster/labels.[a.b/c].x"), ["cluster", "labels", "a.b/c", "x"]);
        assert_eq!(names("./name"), ["name"]);
        assert_eq!(names("this.name"), ["name"]);
        assert_eq!(names("this"), ["this"]);
        for text in ["", "[open", "a..b", "a.", "..", ".", "a b", "a|b"] {
            assert_eq!(Path::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_path_starts_from_is_told_apart_from_its_names() {
        let path = Path::parse("../../cluster.name").unwrap();
        assert_eq!((path.up, path.prefix(0)), (2, "../../"));
        assert_eq!((path.prefix(1), path.prefix(2)), ("../../cluster", "../../cluster.name"));
        let path = Path::parse("@root.fleet.ports").unwrap();
        assert!(path.from_root);
        assert_eq!((path.prefix(1), path.prefix(0)), ("@root.fleet", "@root."));
        let path = Path::parse("@../index").unwrap();
        assert_eq!((path.is_local, path.up, path.names[0].as_str()), (true, 1, "index"));
    }
}
