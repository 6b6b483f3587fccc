//! Logs: structured, on standard error, in text for people or JSON for machines.
//!
//! Knows nothing of what is logged, so none of it can control a terminal, begin a line of its own or show a secret.

use std::env;
use std::fmt;
use std::io;

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;
use clap::ValueEnum;
use renderer::visible::{visible, visible_json, visible_lines};
use thiserror::Error;
use tracing::Level;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt::layer, registry};

use super::traces::{Receiver, TracesError, are_wanted};
#[cfg(feature = "otlp")]
use super::traces_otlp::{Sending as Traces, start as start_traces};
use crate::secrets::redacted;

/// The form of the logs, as `--log-format` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What the environment asks for cannot be done.
#[derive(Debug, Error)]
pub enum LogError {
    /// The value of `RUST_LOG` is no filter.
    #[error("`RUST_LOG` is not a valid filter")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Traces cannot be sent.
    #[error(transparent)]
    Traces(#[from] TracesError),
}

/// What sends traces in a build that sends none.
#[cfg(not(feature = "otlp"))]
pub type Traces = std::convert::Infallible;

#[cfg(not(feature = "otlp"))]
const fn start_traces() -> Result<(Receiver, Traces), TracesError> {
    Err(TracesError::Absent)
}

/// Sets up the logs of the process, and its traces, which are sent until what is returned is dropped.
///
/// `verbosity` counts the `-v`; each of them goes one level below `quietest`. `RUST_LOG` outweighs both.
pub fn start(format: LogFormat, quietest: Level, verbosity: u8) -> Result<Option<Traces>, LogError> {
    let wanted = env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = filter(&wanted.unwrap_or_else(|| directives(quietest, verbosity)))?;
    let has_color = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
    let (spans, traces) = are_wanted()?.then(start_traces).transpose()?.unzip();
    let lines = lines(format, filter, has_color, io::stderr);
    // Where logs are set up already, they stay as they are.
    let _ = registry().with(spans.into_iter().chain([lines]).collect::<Vec<_>>()).try_init();
    Ok(traces)
}

/// Crates that write out what goes over the wire, credentials and all, and the level above which they do not: one does
/// at its lowest level, one whenever an answer is not what it expects.
const LOUD_CRATES: [(&str, &str); 2] = [("ureq_proto", "warn"), ("kube", "off")];

/// Reads a filter, and removes what no log may have in it, whatever is asked for.
fn filter(directives: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let is_loud =
        |directive: &&str| LOUD_CRATES.iter().any(|(name, _)| directive.trim_start().starts_with(name));
    let kept = directives.split(',').filter(|directive| !is_loud(directive)).map(str::to_owned);
    let quiet = LOUD_CRATES.map(|(name, level)| format!("{name}={level}"));
    EnvFilter::builder().parse(kept.chain(quiet).collect::<Vec<_>>().join(","))
}

/// Writes lines of what passes a filter.
fn lines<W: io::Write + 'static>(
    format: LogFormat,
    filter: EnvFilter,
    has_color: bool,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> Receiver {
    let lines = layer().with_writer(move || Redacting { writer: writer(), format });
    match format {
        LogFormat::Text => {
            let lines = lines.fmt_fields(debug_fn(write_field).delimited(" "));
            lines.with_ansi(has_color).with_target(false).with_filter(filter).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    }
}

/// Writes a field of a line for people. Only a message may go on in further lines, which never look like the first.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    const ITALIC: Style = Style::new().italic();
    const DIMMED: Style = Style::new().dimmed();
    let (text, name) = (format!("{value:?}"), field.name());
    match name {
        "message" => write!(writer, "{}", visible_lines(&text).replace('\n', "\n    ")),
        _ if writer.has_ansi_escapes() => {
            write!(writer, "{ITALIC}{name}{ITALIC:#}{DIMMED}={DIMMED:#}{}", visible(&text))
        }
        _ => write!(writer, "{name}={}", visible(&text)),
    }
}

/// Writes whole lines, in which secrets are masked and, in JSON, hidden characters are written as escapes.
struct Redacting<W> {
    writer: W,
    format: LogFormat,
}

impl<W: io::Write> io::Write for Redacting<W> {
    /// Takes a whole line, as the subscriber writes it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let line = redacted(&text);
        match self.format {
            LogFormat::Text => self.writer.write_all(line.as_bytes())?,
            LogFormat::Json => self.writer.write_all(visible_json(&line).as_bytes())?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// The filter for `verbosity`: other people's crates stay at warnings until the third `-v`.
fn directives(quietest: Level, verbosity: u8) -> String {
    const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    let first = LEVELS.iter().position(|level| *level == quietest).unwrap_or_default();
    let ours = LEVELS[(first + usize::from(verbosity)).min(LEVELS.len() - 1)];
    let theirs = if verbosity < 3 { Level::WARN } else { ours };
    format!("{theirs},fleetwright={ours},fleetwright_renderer={ours}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, has_color: bool) -> String {
        written(format, has_color, || {
            let _run = tracing::info_span!("run", repository = "fleet").entered();
            tracing::debug!("not at this level");
            tracing::info!(pull_request.number = 7, "opened pull request #7");
        })
    }

    fn written(format: LogFormat, has_color: bool, log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let filter = EnvFilter::new(directives(Level::INFO, 0));
        let subscriber = registry().with(lines(format, filter, has_color, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, log);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn each_v_goes_one_level_down_and_the_third_opens_other_crates() {
        let table = [
            (Level::WARN, 0, "warn,fleetwright=warn,fleetwright_renderer=warn"),
            (Level::WARN, 1, "warn,fleetwright=info,fleetwright_renderer=info"),
            (Level::INFO, 1, "warn,fleetwright=debug,fleetwright_renderer=debug"),
            (Level::WARN, 3, "trace,fleetwright=trace,fleetwright_renderer=trace"),
            (Level::INFO, 200, "trace,fleetwright=trace,fleetwright_renderer=trace"),
        ];
        for (quietest, verbosity, expected) in table {
            assert_eq!(directives(quietest, verbosity), expected);
        }
    }

    #[test]
    fn a_text_line_carries_span_message_and_fields_without_colour_when_piped() {
        let line = logged(LogFormat::Text, false);
        assert!(
            line.ends_with(" INFO run{repository=\"fleet\"}: opened pull request #7 pull_request.number=7\n"),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
        assert!(!line.contains('\x1b'));
        assert!(logged(LogFormat::Text, true).contains('\x1b'));
    }

    /// A title and an author that would change a terminal, begin a line, reorder text or show a token.
    const HOSTILE: &str = "a\u{1b}[2J\u{9b}31m\rb\n2026-01-01T00:00:00Z ERROR forged\u{202e}\u{61c}\u{ad} ghp_0123456789abcdefghij";

    fn log_hostile() {
        let _run = tracing::info_span!("run", author = HOSTILE, shown = %HOSTILE).entered();
        tracing::warn!(title = HOSTILE, author = %HOSTILE, debug = ?HOSTILE, "left it alone: {HOSTILE}");
    }

    #[test]
    fn nothing_in_a_line_for_people_controls_a_terminal_or_begins_a_line() {
        for has_color in [false, true] {
            let line = written(LogFormat::Text, has_color, log_hostile);
            let own = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[3m", "\u{1b}[33m"];
            let bare = own.iter().fold(line.clone(), |line, code| line.replace(code, ""));
            assert!(bare.chars().all(|c| c == '\n' || !renderer::visible::is_hidden(c)), "{bare:?}");
            assert!(!line.contains("0123456789abcdefghij"), "{line}");
            let continued: Vec<&str> = line.lines().skip(1).collect();
            assert!(continued.iter().all(|line| line.starts_with("    ")), "{line}");
            assert_eq!(continued.len(), 1, "{line}");
        }
    }

    #[test]
    fn a_json_line_stays_one_line_and_keeps_its_data() {
        let line = written(LogFormat::Json, false, log_hostile);
        assert_eq!(line.lines().count(), 1);
        assert!(line.trim_end().chars().all(|c| !renderer::visible::is_hidden(c)), "{line:?}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = HOSTILE.replace("ghp_0123456789abcdefghij", "***");
        assert_eq!(read["title"], expected.as_str());
        assert_eq!(read["message"], format!("left it alone: {expected}"));
    }

    #[test]
    fn a_json_line_is_one_object() {
        let line: serde_json::Value = serde_json::from_str(&logged(LogFormat::Json, false)).unwrap();
        assert_eq!(line["message"], "opened pull request #7");
        assert_eq!(line["pull_request.number"], 7);
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["span"]["repository"], "fleet");
    }
}
