//! Colour: which kinds of line there are, and when they are painted.
//!
//! Knows nothing of where the text comes from, and so lets none of it control the terminal or show a secret. Whether a stream shows
//! colours is decided by `anstream`, through which everything painted is to be printed.

use std::fmt::{self, Display};

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use renderer::visible::visible_lines;

use crate::secrets::redacted;

/// When to use colours, as `--color` takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise.
    #[default]
    Auto,
    /// Also into files and pipes.
    Always,
    /// Nowhere.
    Never,
}

impl Color {
    /// Makes this the choice of the whole process.
    pub fn apply(self) {
        self.choice().write_global();
    }

    fn choice(self) -> ColorChoice {
        match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        }
    }
}

/// What a line says, by which it is painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that comes.
    Added,
    /// Something that goes.
    Removed,
    /// The start of a part.
    Heading,
    /// Something to look at twice.
    Risk,
    /// Everything else.
    Plain,
    /// What went wrong.
    Fault,
    /// What to do next.
    Hint,
}

impl Kind {
    const fn style(self) -> Style {
        match self {
            Self::Added => AnsiColor::Green.on_default(),
            Self::Removed => AnsiColor::Red.on_default(),
            Self::Heading => Style::new().bold(),
            Self::Risk => AnsiColor::Yellow.on_default().bold(),
            Self::Plain => Style::new(),
            Self::Fault => AnsiColor::Red.on_default().bold(),
            Self::Hint => AnsiColor::Cyan.on_default(),
        }
    }
}

/// Returns `text` painted by its kind; each of its lines is painted on its own.
///
/// Hidden characters other than tab and line feed are shown escaped, so that a value from a repository cannot move the
/// cursor, change the window's title or reorder what stands beside it; secrets are masked.
#[must_use]
pub fn paint(kind: Kind, text: &str) -> impl Display + use<> {
    Painted { style: kind.style(), text: visible_lines(&redacted(text)).into_owned() }
}

struct Painted {
    style: Style,
    text: String,
}

impl Display for Painted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.text.split_inclusive('\n') {
            let text = line.strip_suffix('\n').unwrap_or(line);
            if !text.is_empty() {
                write!(f, "{}{text}{:#}", self.style, self.style)?;
            }
            f.write_str(&line[text.len()..])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use anstream::AutoStream;

    use super::*;

    fn printed(choice: Color, text: &dyn Display) -> String {
        let mut stream = AutoStream::new(Vec::new(), choice.choice());
        write!(stream, "{text}").unwrap();
        String::from_utf8(stream.into_inner()).unwrap()
    }

    #[test]
    fn plain_text_is_not_painted() {
        assert_eq!(printed(Color::Always, &paint(Kind::Plain, "a\n\tb")), "a\n\tb");
    }

    #[test]
    fn each_line_is_painted_on_its_own() {
        let painted = paint(Kind::Added, "+ a\n\n+ b\n");
        assert_eq!(printed(Color::Always, &painted), "\x1b[32m+ a\x1b[0m\n\n\x1b[32m+ b\x1b[0m\n");
        assert_eq!(printed(Color::Never, &painted), "+ a\n\n+ b\n");
        assert_eq!(printed(Color::Auto, &painted), "+ a\n\n+ b\n", "a buffer is no terminal");
    }

    #[test]
    fn a_secret_does_not_reach_the_terminal() {
        let painted = printed(Color::Always, &paint(Kind::Plain, "a ghp_0123456789abcdefghij b"));
        assert_eq!(painted, "a *** b");
    }

    #[test]
    fn text_cannot_control_the_terminal() {
        let hostile = "\x1b]0;title\x07a\r\u{9b}31m\u{202e}\u{61c}";
        let painted = printed(Color::Always, &paint(Kind::Plain, hostile));
        assert_eq!(painted, "\\u{1b}]0;title\\u{7}a\\r\\u{9b}31m\\u{202e}\\u{61c}");
    }
}
