//! How results and reports are printed: made harmless, painted, and with failures to write kept for the end.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use anstyle::Style;
use renderer::plan::text::{Line, LineKind};
use renderer::visible::visible_json;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::output::style;
use crate::secrets::redacted;

/// Why a result was not written; the command itself has gone on.
static LOST_OUTPUT: OnceLock<io::Error> = OnceLock::new();

/// Returns why a result was not written, if one was not.
pub(super) fn lost_output() -> Option<&'static io::Error> {
    LOST_OUTPUT.get()
}

/// Prints a value as JSON on standard output, with a line break at the end. What is hidden is written as escapes of
/// JSON.
pub(super) fn print_json(value: &impl Serialize) {
    let text = serde_json::to_string_pretty(value).expect("our own types serialise");
    write_out(&format!("{}\n", visible_json(&redacted(&text))));
}

/// Prints a page on standard output, as it is: everything in it was made visible when it was written.
pub(super) fn print_page(page: &str) {
    write_out(&redacted(page));
}

/// Prints text on standard output, made harmless: it may hold text from source files.
pub(super) fn print_text(text: &str) {
    print_painted(style::PLAIN, text);
}

/// Prints a secret on standard output, as it is: it was asked for.
pub(super) fn print_secret(secret: &SecretString) {
    write_out(secret.expose_secret());
}

/// Prints text on standard output in a style, made harmless.
pub(super) fn print_painted(style: Style, text: &str) {
    write_out(&style::paint(style, text).to_string());
}

/// Prints the lines of a plan on standard output.
pub(super) fn print_lines(lines: &[Line]) {
    let style = |kind| match kind {
        LineKind::Heading => style::HEADING,
        LineKind::Risk => style::RISK,
        LineKind::Added => style::ADDED,
        LineKind::Removed => style::REMOVED,
        LineKind::Plain => style::PLAIN,
    };
    let paint = |line: &Line| format!("{}\n", style::paint(style(line.kind), &line.text));
    write_out(&lines.iter().map(paint).collect::<String>());
}

/// Prints lines on standard error, made harmless; those of errors and hints are painted.
pub(super) fn print_report(report: &str) {
    let style = |line: &str| match line {
        _ if line.starts_with("error: ") => style::FAULT,
        _ if line.starts_with("  hint: ") => style::HINT,
        _ => style::PLAIN,
    };
    for line in report.lines() {
        let _ = writeln!(anstream::stderr(), "{}", style::paint(style(line), line));
    }
}

/// Writes to standard output. A reader that has gone away is no failure of ours.
fn write_out(text: &str) {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            // Only the first failure is reported.
            let _ = LOST_OUTPUT.set(error);
        }
        _ => {}
    }
}
