//! Values and entries as lines, for text and markdown alike.
//!
//! Everything that comes from a value is made visible before it is measured and cut.

pub mod html;
pub mod markdown;
pub mod text;

use std::mem::discriminant;
use std::ops::Range;

use crate::path::ClusterName;
use crate::plan::compare;
use crate::plan::compare::sequence::gaps;
use crate::plan::group::{Entry, Event, Grouped, place};
use crate::plan::highlight::{Highlight, What};
use crate::plan::model::{Action, Change};
use crate::plural::{counted, listed};
use crate::secrets::MASK;
use crate::visible::visible;
use crate::yaml::Value;

/// What a line is, by which it may be coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// Names what the lines below it are about.
    Heading,
    /// Names a risk.
    Risk,
    /// Something that comes.
    Added,
    /// Something that goes.
    Removed,
    /// Everything else.
    Plain,
}

/// A line without its line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// Its text.
    pub text: String,
}

impl LineKind {
    pub(crate) fn of(action: Action) -> Self {
        match action {
            Action::Create => Self::Added,
            Action::Update => Self::Plain,
            Action::Delete => Self::Removed,
        }
    }

    /// Returns the first character of a line of this kind in a diff.
    pub(crate) fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Heading | Self::Risk | Self::Plain => ' ',
        }
    }
}

/// How much of values is shown.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// The longest line, in characters.
    pub line: usize,
    /// The most lines of one change.
    pub lines: usize,
    /// Whether what goes and what comes stand on lines of their own, which a diff colours.
    pub is_diff: bool,
}

/// What fits a terminal or a pull request.
pub(crate) const SHORT: Limits = Limits { line: 120, lines: 12, is_diff: false };
/// Everything.
pub(crate) const FULL: Limits = Limits { line: usize::MAX, lines: usize::MAX, is_diff: false };
/// Either of them as the lines of a diff.
pub(in crate::plan) const SHORT_DIFF: Limits = Limits { is_diff: true, ..SHORT };
pub(in crate::plan) const FULL_DIFF: Limits = Limits { is_diff: true, ..FULL };

/// The command that shows what is folded away of a plan.
pub(in crate::plan) const FULL_COMMAND: &str = "fleetwright diff --full";

/// How many clusters are named before the rest is counted.
const NAMED_CLUSTERS: usize = 5;

/// Names some clusters: `app, control` or `a, b, c, d, e and 407 more`.
pub(in crate::plan) fn names(clusters: &[ClusterName]) -> String {
    // One more takes no more room than its count.
    let is_short = clusters.len() <= NAMED_CLUSTERS + 1;
    listed(clusters, if is_short { clusters.len() } else { NAMED_CLUSTERS })
}

/// Names one cluster or a few, and counts many: `on app, control`, `on 412 clusters (a, b, c, d, e and 407 more)`.
pub(in crate::plan) fn on_clusters(clusters: &[ClusterName]) -> String {
    match clusters.len() {
        0..=3 => format!("on {}", names(clusters)),
        many => format!("on {many} clusters ({})", names(clusters)),
    }
}

/// Names one cluster or a few, and only counts many: `on app, control`, `on 412 clusters`.
pub(crate) fn on_counted(clusters: &[ClusterName]) -> String {
    match clusters.len() {
        0..=3 => format!("on {}", names(clusters)),
        many => format!("on {many} clusters"),
    }
}

/// How many highlights of one kind are shown.
const MAX_HIGHLIGHTS: usize = 3;

/// Writes what a plan does, a line for each, and counts what is too much of one kind.
pub(in crate::plan) fn highlights(highlights: &[Highlight]) -> Vec<String> {
    let mut lines = Vec::new();
    for same in highlights.chunk_by(|a, b| discriminant(&a.what) == discriminant(&b.what)) {
        let shown = if same.len() <= MAX_HIGHLIGHTS + 1 { same.len() } else { MAX_HIGHLIGHTS };
        lines.extend(same[..shown].iter().map(highlight));
        if shown < same.len() {
            let noun = match same[0].what {
                What::Rename { .. } => "more renamed cluster",
                What::Cluster { .. } => "more kind of clusters",
                What::Chart { .. } => "more chart",
                What::Addon { .. } => "more add-on",
                What::Value { .. } => "more value",
            };
            lines.push(format!("… {}", counted(same.len() - shown, noun)));
        }
    }
    lines
}

fn highlight(Highlight { what, clusters }: &Highlight) -> String {
    let on = on_counted(clusters);
    let text = match what {
        What::Rename { old, new } => {
            format!("cluster renamed: {old} → {new}; Applications of {old} stay until `fleetwright prune`")
        }
        What::Cluster { action } => {
            format!("{} {}: {}", counted(clusters.len(), "cluster"), action.past(), names(clusters))
        }
        What::Chart { chart, old, new, is_downgrade, elements } => {
            let elements = match elements.as_slice() {
                [] => String::new(),
                [one] => format!(" (add-on {one})"),
                several => format!(" (add-ons {})", several.join(", ")),
            };
            let downgrade = if *is_downgrade { ", a downgrade," } else { "" };
            format!("chart {chart} {old} → {new}{downgrade}{elements} {on}")
        }
        What::Addon { addon, action } => format!("add-on {addon} {} {on}", action.past()),
        What::Value { fact, old, new, variants, settings } => {
            let settings = counted(*settings, "setting");
            let edit = match variants {
                1 => format!("{old} → {new}"),
                several => format!("{several} different values"),
            };
            match fact {
                Some(fact) => format!("fact {fact}: {edit} {on}, {settings}"),
                None => format!("{edit} {on}, {settings}"),
            }
        }
    };
    elide(&visible(&text), SHORT.line)
}

/// Cuts a text in the middle, where the least is lost.
pub(crate) fn elide(text: &str, limit: usize) -> String {
    // A character has at most four bytes, so a text of so few bytes need not be counted.
    if text.len() <= limit || text.chars().count() <= limit {
        return text.to_owned();
    }
    let half = limit.saturating_sub(1) / 2;
    let head_end = text.char_indices().nth(half).map_or(text.len(), |(at, _)| at);
    let tail_start = text.char_indices().rev().nth(half.saturating_sub(1)).map_or(0, |(at, _)| at);
    format!("{}…{}", &text[..head_end], &text[tail_start..])
}

/// Writes a value on one line.
pub(crate) fn inline(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.as_str().to_owned(),
        Value::String(text) if is_bare(text) => visible(text).into_owned(),
        Value::String(text) => visible(&serde_json::Value::from(text.as_str()).to_string()).into_owned(),
        Value::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", visible(key), inline(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// Returns whether a string can stand without quotes and still be taken for a string.
fn is_bare(text: &str) -> bool {
    let is_word = matches!(text, "true" | "false" | "null" | "yes" | "no" | "on" | "off");
    (text.starts_with(|c: char| c.is_alphabetic() || c == '/') || text.starts_with(MASK))
        && !text.ends_with(' ')
        && !text.contains(['\n', '"'])
        && !is_word
}

/// What is shown in groups of clusters.
pub(crate) trait Shown: Grouped {
    /// The command that shows what is folded away.
    const COMMAND: &'static str;

    /// Returns what it is part of, which is named once above all of its parts.
    fn heading(&self) -> Option<&str>;

    /// Writes it as lines without indentation or sign; the kind of each line stands for its sign.
    fn lines(&self, limits: Limits) -> Vec<Line>;
}

/// Returns what an entry is part of, if it is not named before an entry above it.
pub(in crate::plan) fn heading<T: Shown>(entries: &[Entry<T>], at: usize) -> Option<&str> {
    let above = at.checked_sub(1).and_then(|above| entries[above].event.heading());
    entries[at].event.heading().filter(|heading| above != Some(heading))
}

impl Shown for Event {
    const COMMAND: &'static str = FULL_COMMAND;

    fn heading(&self) -> Option<&str> {
        self.file()
    }

    fn lines(&self, limits: Limits) -> Vec<Line> {
        event(self, limits)
    }
}

fn event(event: &Event, limits: Limits) -> Vec<Line> {
    let line = |action: Action, what: &str, counts: &[(usize, &str)]| {
        let counts: Vec<_> = counts.iter().map(|(count, noun)| counted(*count, noun)).collect();
        vec![Line {
            kind: LineKind::of(action),
            text: format!("{what} {}: {}", action.past(), counts.join(", ")),
        }]
    };
    match event {
        Event::Cluster { action, addons, files, .. } => {
            line(*action, "cluster", &[(*addons, "add-on"), (*files, "file")])
        }
        Event::Addon { addon, action, files, .. } => {
            line(*action, &format!("add-on {addon}"), &[(*files, "file")])
        }
        Event::File { file, action, leaves, .. } => line(*action, &visible(file), &[(*leaves, "setting")]),
        Event::Setting { change: setting, .. } => change(setting, limits),
    }
}

/// Writes what happens as lines without indentation or sign; the kind of each line stands for its sign.
pub(in crate::plan) fn entry<T: Shown>(entry: &Entry<T>, limits: Limits) -> Vec<Line> {
    let mut lines = entry.event.lines(limits);
    if entry.variants > 1 {
        let text = format!("({} different values; this is one of them)", entry.variants);
        lines.push(Line { kind: LineKind::Plain, text });
    }
    lines
}

/// Writes a change: on one line if it fits, else the setting and what goes and comes below it.
pub(crate) fn change(change: &Change, limits: Limits) -> Vec<Line> {
    let setting = place("", change);
    let setting = visible(setting.trim_start()).into_owned();
    let lines = match (&change.old, &change.new) {
        (Some(Value::String(old)), Some(Value::String(new))) if old.contains('\n') || new.contains('\n') => {
            return text_change(&setting, old, new, limits);
        }
        (Some(old), Some(new)) => {
            let (old, new) = (inline(old), inline(new));
            let is_short = |text: &str| setting.chars().count() + text.chars().count() <= SHORT.line;
            if limits.is_diff && !setting.is_empty() && is_short(&old) && is_short(&new) {
                return vec![
                    Line { kind: LineKind::Removed, text: format!("{setting}: {old}") },
                    Line { kind: LineKind::Added, text: format!("{setting}: {new}") },
                ];
            }
            let line = format!("{setting}: {old} → {new}");
            if !limits.is_diff && line.chars().count() <= limits.line.min(SHORT.line) {
                return vec![Line { kind: LineKind::Plain, text: line }];
            }
            vec![
                Line { kind: LineKind::Plain, text: format!("{setting}:") },
                Line { kind: LineKind::Removed, text: old },
                Line { kind: LineKind::Added, text: new },
            ]
        }
        (Some(old), None) => vec![whole(LineKind::Removed, &setting, old, limits)],
        (None, Some(new)) => vec![whole(LineKind::Added, &setting, new, limits)],
        (None, None) => Vec::new(),
    };
    lines.into_iter().map(|line| Line { text: elide(&line.text, limits.line), ..line }).collect()
}

/// Writes a value that comes or goes as a whole; what is too long for a line is counted.
fn whole(kind: LineKind, setting: &str, value: &Value, limits: Limits) -> Line {
    let separator = if setting.is_empty() { "" } else { ": " };
    let text = format!("{setting}{separator}{}", inline(value));
    let is_collection = matches!(value, Value::List(_) | Value::Map(_));
    if is_collection && text.chars().count() > limits.line {
        let settings = counted(compare::leaves(value), "setting");
        return Line { kind, text: format!("{setting}{separator}{settings}") };
    }
    Line { kind, text }
}

/// Writes the lines that go from a text and those that come.
fn text_change(setting: &str, old: &str, new: &str, limits: Limits) -> Vec<Line> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let lines = |(removed, added): (Range<usize>, Range<usize>)| {
        let removed = old[removed].iter().map(|line| (LineKind::Removed, *line));
        removed.chain(new[added].iter().map(|line| (LineKind::Added, *line)))
    };
    let changed: Vec<(LineKind, &str)> = gaps(&old, &new).into_iter().flat_map(lines).collect();
    let setting = if setting.is_empty() { "text:".to_owned() } else { format!("{setting}:") };
    let mut lines = vec![Line { kind: LineKind::Plain, text: elide(&setting, limits.line) }];
    let shown = if changed.len() <= limits.lines { changed.len() } else { limits.lines - 1 };
    lines.extend(
        changed[..shown]
            .iter()
            .map(|(kind, text)| Line { kind: *kind, text: elide(&visible(text), limits.line) }),
    );
    if changed.is_empty() {
        lines.push(Line { kind: LineKind::Plain, text: "(only the line breaks differ)".to_owned() });
    }
    if shown < changed.len() {
        let text = format!("… {}", counted(changed.len() - shown, "more line"));
        lines.push(Line { kind: LineKind::Plain, text });
    }
    lines
}
