//! The plan for a terminal: what a person reads in a minute, and all of it.
//!
//! Lines have a kind and no colour; colour is the shell's business.

use super::group::{Event, Group, RiskGroup};
use super::show::{self, FULL, Limits, SHORT, names, on_clusters, on_counted};
use super::{Action, Change, Entry, FilePlan, Plan};
use crate::path::ClusterName;
use crate::plural::counted;
use crate::visible::visible;

/// How many groups the summary has; what a person reads in a minute.
const MAX_GROUPS: usize = 10;
/// How many entries of one group the summary has.
const MAX_ENTRIES: usize = 12;
/// How many risks the summary has.
const MAX_RISKS: usize = 15;

/// The command that shows what is folded away.
pub(super) const FULL_COMMAND: &str = "fleetwright diff --full";

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
    pub(super) fn of(action: Action) -> Self {
        match action {
            Action::Create => Self::Added,
            Action::Update => Self::Plain,
            Action::Delete => Self::Removed,
        }
    }

    /// Returns the first character of a line of this kind in a diff.
    pub(super) fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Heading | Self::Risk | Self::Plain => ' ',
        }
    }
}

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

    /// Adds lines with their signs behind an indentation.
    fn signed(&mut self, indent: &str, lines: Vec<Line>) {
        for line in lines {
            let text = format!("{indent}{} {}", line.kind.sign(), line.text);
            self.push(line.kind, text.trim_end());
        }
    }
}

/// Returns one line that says how much changes where.
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

/// Returns what a person reads in a minute: the headline, the risks, the groups.
#[must_use]
pub fn summary(plan: &Plan) -> Vec<Line> {
    let mut page = Page::default();
    page.push(LineKind::Heading, headline(plan));
    add_risks(&mut page, &plan.risks());
    let groups = plan.groups();
    for group in groups.iter().take(MAX_GROUPS) {
        page.blank();
        add_group(&mut page, group);
    }
    if groups.len() > MAX_GROUPS {
        page.blank();
        page.push(LineKind::Plain, folded(&groups[MAX_GROUPS..]));
    }
    page.0
}

/// Says how much of the plan is not shown, and how to see it.
pub(super) fn folded(groups: &[Group]) -> String {
    let entries: usize = groups.iter().map(|group| group.entries.len()).sum();
    let mut clusters: Vec<&ClusterName> = groups.iter().flat_map(|group| &group.clusters).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let (entries, clusters) = (counted(entries, "more change"), counted(clusters.len(), "cluster"));
    format!("… {entries} on {clusters}: `{FULL_COMMAND}`")
}

fn add_risks(page: &mut Page, risks: &[RiskGroup]) {
    if risks.is_empty() {
        return;
    }
    page.blank();
    page.push(LineKind::Heading, "Risks");
    // The same risk at several places is explained once.
    let mut shown = 0;
    for same in risks.chunk_by(|a, b| a.risk == b.risk) {
        if shown == MAX_RISKS {
            break;
        }
        page.push(LineKind::Risk, format!("  ! {}: {}", same[0].risk.kind, same[0].risk.note));
        for group in same.iter().take(MAX_RISKS - shown) {
            let place = show::elide(&visible(&group.place), SHORT.line);
            page.push(LineKind::Risk, format!("      {place} {}", on_counted(&group.clusters)));
            shown += 1;
        }
    }
    if shown < risks.len() {
        page.push(
            LineKind::Risk,
            format!("  … {}: `{FULL_COMMAND}`", counted(risks.len() - shown, "more risk")),
        );
    }
}

fn add_group(page: &mut Page, group: &Group) {
    page.push(LineKind::Heading, on_clusters(&group.clusters));
    let mut file = None;
    for entry in group.entries.iter().take(MAX_ENTRIES) {
        add_file_heading(page, &mut file, entry);
        page.signed(if file.is_some() { "    " } else { "  " }, show::entry(entry, SHORT));
    }
    if group.entries.len() > MAX_ENTRIES {
        let more = counted(group.entries.len() - MAX_ENTRIES, "more change");
        page.push(LineKind::Plain, format!("  … {more}: `{FULL_COMMAND}`"));
    }
}

/// Names the file of a setting, if it is not the one named before.
fn add_file_heading<'g>(page: &mut Page, shown: &mut Option<&'g str>, entry: &'g Entry) {
    let Event::Setting { file, .. } = &entry.event else {
        *shown = None;
        return;
    };
    if *shown != Some(file) {
        page.push(LineKind::Plain, format!("  {}", visible(file)));
        *shown = Some(file);
    }
}

/// Returns everything: each cluster, each file, each change, nothing folded and nothing cut.
#[must_use]
pub fn full(plan: &Plan) -> Vec<Line> {
    let mut page = Page::default();
    page.push(LineKind::Heading, headline(plan));
    for (name, cluster) in &plan.clusters {
        page.blank();
        page.push(LineKind::Heading, format!("cluster {name} {}", cluster.action.past()));
        if let Some(risk) = cluster.risk {
            page.push(LineKind::Risk, format!("  ! {}: {}", risk.kind, risk.note));
        }
        for (addon, plan) in &cluster.addons {
            page.push(LineKind::Heading, format!("  add-on {addon} {}", plan.action.past()));
            if let Some(risk) = plan.risk {
                page.push(LineKind::Risk, format!("    ! {}: {}", risk.kind, risk.note));
            }
            plan.files.iter().for_each(|file| add_file(&mut page, "    ", file));
        }
        cluster.files.iter().for_each(|file| add_file(&mut page, "  ", file));
    }
    page.0
}

fn add_file(page: &mut Page, indent: &str, file: &FilePlan) {
    let path = visible(file.path.as_str());
    let what = match file.action {
        Action::Update => format!("{indent}  {path}"),
        action => {
            let sign = LineKind::of(action).sign();
            format!("{indent}{sign} {path} {}: {}", action.past(), counted(file.leaves, "setting"))
        }
    };
    page.push(LineKind::of(file.action), what);
    for risk in &file.risks {
        page.push(LineKind::Risk, format!("{indent}  ! {}: {}", risk.kind, risk.note));
    }
    for change in &file.changes {
        add_change(page, &format!("{indent}  "), change, FULL);
    }
}

fn add_change(page: &mut Page, indent: &str, change: &Change, limits: Limits) {
    page.signed(indent, show::change(change, limits));
    if let Some(risk) = change.risk {
        page.push(LineKind::Risk, format!("{indent}  ! {}: {}", risk.kind, risk.note));
    }
}
