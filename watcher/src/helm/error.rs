//! How Helm can fail: there is none that can be used, or it refuses a chart.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use renderer::visible::visible;
use thiserror::Error;

/// There is no Helm that can be used.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct HelmError {
    message: String,
    hint: &'static str,
}

impl HelmError {
    pub(super) fn new(message: impl Into<String>, hint: &'static str) -> Self {
        Self { message: message.into(), hint }
    }

    /// Returns what to do about it.
    pub(crate) const fn hint(&self) -> &'static str {
        self.hint
    }
}

/// Why there is no rendering of a chart.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    /// What is wrong, in one line.
    pub message: String,
}

/// How much of what Helm reports is shown.
const SHOWN_CHARS: usize = 600;

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    pub(super) fn not_started(error: &io::Error) -> Self {
        Self::new(format!("it was not run: {error}"))
    }

    pub(super) fn of_time(time: Duration) -> Self {
        let time = match time.as_secs() {
            0 => format!("{} ms", time.as_millis()),
            seconds => format!("{seconds} seconds"),
        };
        Self::new(format!("it takes longer than {time}"))
    }

    /// Makes what Helm reports one line, without its advice and its warnings.
    pub(super) fn of_report(report: &str) -> Self {
        let is_noise =
            |line: &str| line.is_empty() || line.contains("Use --debug flag") || line.starts_with("level=");
        let lines = report.lines().map(str::trim).filter(|line| !is_noise(line));
        let text = lines.collect::<Vec<_>>().join(" ");
        let text = text.strip_prefix("Error: ").unwrap_or(&text);
        let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self::new(if shown.is_empty() {
            "it fails without a word".to_owned()
        } else {
            visible(&shown).into_owned()
        })
    }

    /// Names the chart that it is about.
    pub(super) fn about(&self, chart: impl Display) -> String {
        format!("Helm renders no objects of {chart}: {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helm_reports_is_one_line_that_is_not_long() {
        let report = "level=WARN msg=\"x\"\nError: template: a:1:2: nil\u{1b}[2J\n\nUse --debug flag to render out invalid YAML\n";
        assert_eq!(Refusal::of_report(report).message, "template: a:1:2: nil\\u{1b}[2J");
        assert_eq!(Refusal::of_report("").message, "it fails without a word");
        assert_eq!(Refusal::of_report(&"x".repeat(10_000)).message.chars().count(), SHOWN_CHARS + 1);
    }
}
