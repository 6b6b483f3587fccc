//! The plan for a terminal: what a person reads in a minute, and all of it.
//!
//! Lines have a kind and no colour; colour is the shell's business.

use std::fmt;

use crate::path::ClusterName;
use crate::plan::group::{Group, RiskGroup};
use crate::plan::highlight::Overview;
use crate::plan::model::{Action, FilePlan, Plan};
use crate::plan::risk::kind::Risk;
use crate::plan::show::{self, FULL, FULL_COMMAND, Limits, SHORT, Shown, names, on_clusters, on_counted};
use crate::plural::counted;
use crate::visible::visible;

pub use crate::plan::show::{Line, LineKind};

/// How many lines the summary has at most, what is left out counted: what a person reads in a minute, on one screen.
const MAX_LINES: usize = 39;
/// How many entries of one group the summary has, and of one of several groups.
const MAX_ENTRIES: usize = 12;
const MAX_ENTRIES_OF_SEVERAL: usize = 6;
/// How many lines the risks of the summary take.
const MAX_RISKS: usize = 10;

/// Lines that are being written.
#[derive(Default)]
struct Page(Vec<Line>);

impl Page {
    fn push(&mut self, kind: LineKind, text: impl Into<String>) {
        self.0.push(Line { kind, text: text.into() });
    }

    fn blank(&mut self) {
        self.push(LineKind::Plain, "");
    }

    /// Adds a risk, and what it is about if that is not what stands above it.
    fn risk(&mut self, indent: &str, risk: Option<Risk>, place: &str) {
        if let Some(Risk { kind, note }) = risk {
            self.push(LineKind::Risk, format!("{indent}! {kind}: {place}{note}"));
        }
    }

    /// Adds lines with their signs behind an indentation.
    fn signed(&mut self, indent: &str, lines: Vec<Line>) {
        for line in lines {
            let text = format!("{indent}{} {}", line.kind.sign(), line.text);
            self.push(line.kind, text.trim_end());
        }
    }
}

/// Returns one line: how much changes where.
#[must_use]
pub fn headline(plan: &Plan) -> String {
    if plan.is_empty() {
        return "Nothing changes.".to_owned();
    }
    let clusters: Vec<ClusterName> = plan.clusters.keys().cloned().collect();
    let actions = |wanted: Action| plan.files().filter(|file| file.action == wanted).count();
    let counts: Vec<String> = [Action::Create, Action::Update, Action::Delete]
        .into_iter()
        .filter(|action| actions(*action) > 0)
        .map(|action| format!("{} {}", counted(actions(action), "file"), action.past()))
        .collect();
    format!("{} on {}: {}", counts.join(", "), counted(clusters.len(), "cluster"), names(&clusters))
}

/// Returns what a person reads in a minute: what it does in a few words, how much, the risks, the groups.
#[must_use]
pub fn summary(plan: &Plan) -> Vec<Line> {
    let mut page = Page::default();
    let Overview { highlights, risks, groups } = plan.overview();
    for line in show::highlights(&highlights) {
        page.push(LineKind::Heading, line);
    }
    if !page.0.is_empty() {
        page.blank();
    }
    page.push(LineKind::Heading, headline(plan));
    add_risks(&mut page, &risks);
    let most = if groups.len() > 1 { MAX_ENTRIES_OF_SEVERAL } else { MAX_ENTRIES };
    for (at, group) in groups.iter().enumerate() {
        let is_last = at + 1 == groups.len();
        // The line that counts the rest takes two, with the one before it.
        let room = MAX_LINES.saturating_sub(page.0.len() + if is_last { 0 } else { 2 });
        let Some(lines) = group_lines(group, most, room, SHORT) else {
            page.blank();
            page.push(LineKind::Plain, folded(&groups[at..]));
            break;
        };
        page.0.extend(lines);
    }
    page.0
}

/// Returns how much of the plan is not shown, and how to see it.
pub(crate) fn folded<T: Shown>(groups: &[Group<T>]) -> String {
    let entries: usize = groups.iter().map(|group| group.entries.len()).sum();
    let mut clusters: Vec<&ClusterName> = groups.iter().flat_map(|group| &group.clusters).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let (entries, clusters) = (counted(entries, "more change"), counted(clusters.len(), "cluster"));
    format!("… {entries} on {clusters}: `{}`", T::COMMAND)
}

fn add_risks(page: &mut Page, risks: &[RiskGroup]) {
    if risks.is_empty() {
        return;
    }
    page.blank();
    page.push(LineKind::Heading, "Risks");
    let (kinds, mut room) = (risks.chunk_by(|a, b| a.risk == b.risk).count(), MAX_RISKS);
    // The same risk at several places is explained once; each has its share of what room there is.
    for (at, same) in risks.chunk_by(|a, b| a.risk == b.risk).enumerate() {
        if room < 2 {
            let left = risks.iter().filter(|risk| risk.risk >= same[0].risk).count();
            page.push(LineKind::Risk, format!("  … {}: `{FULL_COMMAND}`", counted(left, "more risk")));
            return;
        }
        page.risk("  ", Some(same[0].risk), "");
        let share = ((room + 1) / (kinds - at)).saturating_sub(1).max(1);
        let shown = if same.len() <= share { same.len() } else { share.saturating_sub(1).max(1) };
        for group in &same[..shown] {
            let place = show::elide(&visible(&group.place), SHORT.line);
            page.push(LineKind::Risk, format!("      {place} {}", on_counted(&group.clusters)));
        }
        if shown < same.len() {
            let more = counted(same.len() - shown, "more place");
            page.push(LineKind::Risk, format!("      … {more}: `{FULL_COMMAND}`"));
        }
        room = room.saturating_sub(1 + shown + usize::from(shown < same.len()));
    }
}

/// Returns a group in at most so many entries and lines, with a blank line before it; nothing if there is no room.
pub(crate) fn group_lines<T: Shown>(
    group: &Group<T>,
    most: usize,
    room: usize,
    limits: Limits,
) -> Option<Vec<Line>> {
    let mut page = Page::default();
    page.blank();
    page.push(LineKind::Heading, on_clusters(&group.clusters));
    let mut shown = 0;
    for (at, entry) in group.entries.iter().enumerate().take(most) {
        let before = page.0.len();
        if let Some(heading) = show::heading(&group.entries, at) {
            page.push(LineKind::Plain, format!("  {}", visible(heading)));
        }
        page.signed(if entry.event.heading().is_some() { "    " } else { "  " }, show::entry(entry, limits));
        let is_last = shown + 1 == group.entries.len();
        if page.0.len() + usize::from(!is_last) > room {
            page.0.truncate(before);
            break;
        }
        shown += 1;
    }
    if shown < group.entries.len() {
        let more = counted(group.entries.len() - shown, "more change");
        page.push(LineKind::Plain, format!("  … {more}: `{}`", T::COMMAND));
    }
    (shown > 0).then_some(page.0)
}

/// Returns everything: each cluster, each file, each change, nothing folded and nothing cut.
#[must_use]
pub fn full(plan: &Plan) -> Vec<Line> {
    full_within(plan, FULL)
}

pub(in crate::plan) fn full_within(plan: &Plan, limits: Limits) -> Vec<Line> {
    let mut page = Page::default();
    page.push(LineKind::Heading, headline(plan));
    for (name, cluster) in &plan.clusters {
        page.blank();
        page.push(LineKind::Heading, format!("cluster {name} {}", cluster.action.past()));
        page.risk("  ", cluster.risk, "");
        for (addon, plan) in &cluster.addons {
            page.push(LineKind::Heading, format!("  add-on {addon} {}", plan.action.past()));
            page.risk("    ", plan.risk, "");
            plan.files.iter().for_each(|file| add_file(&mut page, "    ", file, limits));
        }
        cluster.files.iter().for_each(|file| add_file(&mut page, "  ", file, limits));
    }
    page.0
}

fn add_file(page: &mut Page, indent: &str, file: &FilePlan, limits: Limits) {
    let path = visible(file.path.as_str());
    let what = match file.action {
        Action::Update => format!("{indent}  {path}"),
        action => {
            let sign = LineKind::of(action).sign();
            format!("{indent}{sign} {path} {}: {}", action.past(), counted(file.leaves, "setting"))
        }
    };
    page.push(LineKind::of(file.action), what);
    let below = format!("{indent}  ");
    for risk in &file.risks {
        page.risk(&below, Some(*risk), "");
    }
    for change in &file.changes {
        page.signed(&below, show::change(change, limits));
        page.risk(&format!("{below}  "), change.risk, "");
    }
    for change in &file.applications {
        page.risk(&below, change.risk, &format!("{}: ", visible(&change.place())));
    }
}

impl fmt::Display for Plan {
    /// Writes what a person reads on a terminal in a minute; [`full`] has every file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary(self).iter().try_for_each(|line| writeln!(f, "{}", line.text))
    }
}
