//! Colours: the styles of text, and how text is painted.
//!
//! Knows nothing of where the text comes from, so none of it can control the terminal or show a secret. `anstream`
//! decides whether a stream shows colours; everything painted is printed through it.

use std::fmt::{self, Display};

use anstyle::{AnsiColor, Style};
use clap::ColorChoice;
use renderer::visible::visible_lines;

use crate::secrets::redacted;

/// Something that is created.
pub const ADDED: Style = AnsiColor::Green.on_default();
/// Something that is deleted.
pub const REMOVED: Style = AnsiColor::Red.on_default();
/// The start of a part.
pub const HEADING: Style = Style::new().bold();
/// Something to look at twice.
pub const RISK: Style = AnsiColor::Yellow.on_default().bold();
/// Everything else.
pub const PLAIN: Style = Style::new();
/// What went wrong.
pub const FAULT: Style = AnsiColor::Red.on_default().bold();
/// What to do next.
pub const HINT: Style = AnsiColor::Cyan.on_default();

/// Makes this the choice of the whole process, as `--color` takes it.
pub fn choose(color: ColorChoice) {
    choice(color).write_global();
}

const fn choice(color: ColorChoice) -> anstream::ColorChoice {
    match color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
}

/// Returns `text` painted in a style; each of its lines is painted on its own.
///
/// Hidden characters other than tab and line feed are shown escaped, so that a value from a repository cannot move the
/// cursor, change the window's title or reorder the text beside it; secrets are masked.
pub(crate) fn paint(style: Style, text: &str) -> impl Display + use<> {
    Painted { style, text: visible_lines(&redacted(text)).into_owned() }
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

    fn printed(color: ColorChoice, text: &dyn Display) -> String {
        let mut stream = AutoStream::new(Vec::new(), choice(color));
        write!(stream, "{text}").unwrap();
        String::from_utf8(stream.into_inner()).unwrap()
    }

    #[test]
    fn plain_text_is_not_painted() {
        assert_eq!(printed(ColorChoice::Always, &paint(PLAIN, "a\n\tb")), "a\n\tb");
    }

    #[test]
    fn each_line_is_painted_on_its_own() {
        let painted = paint(ADDED, "+ a\n\n+ b\n");
        assert_eq!(printed(ColorChoice::Always, &painted), "\x1b[32m+ a\x1b[0m\n\n\x1b[32m+ b\x1b[0m\n");
        assert_eq!(printed(ColorChoice::Never, &painted), "+ a\n\n+ b\n");
        assert_eq!(printed(ColorChoice::Auto, &painted), "+ a\n\n+ b\n", "a buffer is no terminal");
    }

    #[test]
    fn a_secret_does_not_reach_the_terminal() {
        let painted = printed(ColorChoice::Always, &paint(PLAIN, "a ghp_0123456789abcdefghij b"));
        assert_eq!(painted, "a *** b");
    }

    #[test]
    fn text_cannot_control_the_terminal() {
        let hostile = "\x1b]0;title\x07a\r\u{9b}31m\u{202e}\u{61c}";
        let painted = printed(ColorChoice::Always, &paint(PLAIN, hostile));
        assert_eq!(painted, "\\u{1b}]0;title\\u{7}a\\r\\u{9b}31m\\u{202e}\\u{61c}");
    }
}
