//! A path as people write it between braces, taken apart: `../cluster.[a b].name`.
//!
//! Handlebars keeps the parsed form of a path to itself, so messages and checks work on the text. Knows
//! nothing of values.

/// A path of an expression.
#[derive(Debug, PartialEq, Eq)]
pub struct PathText<'a> {
    raw: &'a str,
    /// Whether it starts at the top: `@root.…`.
    pub from_root: bool,
    /// Whether it names what a loop sets: `@index`, `@key`, `@first`, `@last`.
    pub is_local: bool,
    /// How many `../` it starts with.
    pub up: usize,
    /// Where the first segment starts.
    start: usize,
    pub segments: Vec<Segment<'a>>,
}

/// A name in a path.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The name, without the brackets around it.
    pub name: &'a str,
    end: usize,
}

impl<'a> PathText<'a> {
    pub fn parse(raw: &'a str) -> Self {
        let mut rest = raw;
        strip_any(&mut rest, &["./", "this/", "this."]);
        let from_root = strip_any(&mut rest, &["@root/", "@root."]);
        let is_local = strip_any(&mut rest, &["@"]);
        let mut up = 0;
        while strip_any(&mut rest, &["../", "..."]) {
            up += 1;
        }
        let start = raw.len() - rest.len();
        Self { raw, from_root, is_local, up, start, segments: segments(raw, start) }
    }

    /// Returns the path up to and including segment `count`, counted from 1.
    pub fn prefix(&self, count: usize) -> &'a str {
        let end = count.checked_sub(1).and_then(|last| self.segments.get(last));
        &self.raw[..end.map_or(self.start, |segment| segment.end)]
    }

    /// Returns the path of the value that the first segment is looked up in.
    pub fn base(&self) -> String {
        format!("{}this", &self.raw[..self.start])
    }
}

fn strip_any(text: &mut &str, prefixes: &[&str]) -> bool {
    let stripped = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
    stripped.inspect(|rest| *text = rest).is_some()
}

fn segments(raw: &str, start: usize) -> Vec<Segment<'_>> {
    let mut segments = Vec::new();
    let mut at = start;
    while at < raw.len() {
        let rest = &raw[at..];
        let bracketed = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'));
        let (name, length) = match bracketed {
            Some((name, _)) => (name, name.len() + 2),
            None => rest.split(['.', '/']).next().map_or((rest, rest.len()), |name| (name, name.len())),
        };
        segments.push(Segment { name, end: at + length });
        at += length + 1;
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(raw: &str) -> Vec<&str> {
        PathText::parse(raw).segments.iter().map(|segment| segment.name).collect()
    }

    #[test]
    fn a_path_is_taken_apart_at_dots_and_slashes_outside_brackets() {
        assert_eq!(names("cluster.name"), ["cluster", "name"]);
        assert_eq!(names("cluster/labels.[a.b/c].x"), ["cluster", "labels", "a.b/c", "x"]);
        assert_eq!(names("./name"), ["name"]);
        assert_eq!(names("this.name"), ["name"]);
        assert_eq!(names("this"), ["this"]);
        assert_eq!(names(""), Vec::<&str>::new());
        assert_eq!(names("[open"), ["[open"]);
    }

    #[test]
    fn what_a_path_starts_from_is_told_apart_from_its_names() {
        let path = PathText::parse("../../cluster.name");
        assert_eq!((path.up, path.base().as_str()), (2, "../../this"));
        assert_eq!((path.prefix(1), path.prefix(2)), ("../../cluster", "../../cluster.name"));
        let path = PathText::parse("@root.fleet.ports");
        assert!(path.from_root);
        assert_eq!((path.prefix(1), path.base().as_str()), ("@root.fleet", "@root.this"));
        let path = PathText::parse("@../index");
        assert_eq!((path.is_local, path.up, path.segments[0].name), (true, 1, "index"));
    }
}
