//! The plan as a page for a browser: everything that changes, folded over clusters, to be searched and drilled into.
//!
//! The page stays within a size at every fleet: equal changes stand once with their clusters, and what does not fit is
//! counted.

mod rows;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::key_path::Step;
use crate::page;
use crate::path::ClusterName;
use crate::plan::group::{Entry, Event, Group, RiskGroup, file_label};
use crate::plan::highlight::Overview;
use crate::plan::model::{Change, Plan};
use crate::plan::risk::kind::{Risk, RiskKind};
use crate::plan::show::markdown::capital;
use crate::plan::show::text::{folded, headline};
use crate::plan::show::{self, Line, LineKind, SHORT, names, on_clusters, on_counted};
use crate::plural::counted;
use crate::yaml::Value;

use rows::{Row, rows};
use sources::Source;

pub use sources::Sources;

const TEMPLATE: &str = include_str!("review.hbs");
/// How many bytes the changes have in the page; the rest of it has less than a fifth of that.
const MAX_BYTES: usize = 4 << 20;
/// How many of them what happens to what runs has at most.
const MAX_EFFECT_BYTES: usize = 1 << 20;
/// What the markup of a change, and of each row and line in it, takes.
const CHANGE_BYTES: usize = 280;
const ROW_BYTES: usize = 80;
/// What the markup of a group, an add-on, a file or an object takes.
const BOX_BYTES: usize = 420;
/// How many clusters are offered to choose from while typing.
const MAX_CHOICES: usize = 10_000;
/// How many places of one risk are named.
const MAX_PLACES: usize = 20;
/// How many groups are open at first, and how many changes these have at most.
const OPEN_GROUPS: usize = 3;
const MAX_OPEN_CHANGES: usize = 40;

/// What a page is about.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The title.
    pub title: String,
    /// What is compared, a line for each.
    pub lines: Vec<String>,
    /// What it does to what runs, if that is known.
    pub effects: Vec<Line>,
}

#[derive(Serialize)]
struct Review {
    about: Vec<String>,
    effects: String,
    headline: String,
    counts: Vec<Count>,
    highlights: Vec<String>,
    risks: Vec<NamedRisk>,
    groups: Vec<PageGroup>,
    more: Option<String>,
    addons: BTreeSet<String>,
    kinds: Vec<String>,
    clusters: Vec<ClusterName>,
    digest: String,
}

#[derive(Serialize)]
struct Count {
    number: usize,
    noun: String,
}

#[derive(Serialize)]
struct NamedRisk {
    kind: String,
    note: &'static str,
    places: Vec<RiskPlace>,
    more: Option<String>,
}

#[derive(Serialize)]
struct RiskPlace {
    place: String,
    on: String,
}

#[derive(Serialize)]
struct PageGroup {
    on: String,
    count: String,
    kinds: Vec<String>,
    names: String,
    is_many: bool,
    is_open: bool,
    addons: Vec<PageAddon>,
    more: Option<String>,
}

#[derive(Serialize)]
struct PageAddon {
    name: String,
    count: String,
    files: Vec<PageFile>,
}

#[derive(Serialize)]
struct PageFile {
    name: String,
    objects: Vec<PageObject>,
}

#[derive(Serialize)]
struct PageObject {
    name: String,
    changes: Vec<PageChange>,
}

#[derive(Serialize)]
struct PageChange {
    addon: String,
    setting: String,
    rows: Vec<Row>,
    more: Option<String>,
    variants: Option<String>,
    risk: Option<PageRisk>,
    lines: Vec<Source>,
}

#[derive(Serialize)]
struct PageRisk {
    kind: String,
    note: &'static str,
}

/// Writes the page. `sources` has the lines to edit, as far as they are known.
#[must_use]
pub fn review(plan: &Plan, about: &About, sources: &Sources) -> String {
    let overview = plan.overview();
    let effects = fitting(&about.effects);
    let mut room = Room(MAX_BYTES - page::escaped(&effects).len());
    let addons = Addons::of(plan);
    let mut groups: Vec<PageGroup> = Vec::new();
    let mut more = None;
    for (at, group) in overview.groups.iter().enumerate() {
        let Some(group) = page_group(group, at, &addons, sources, &mut room) else {
            more = Some(folded(&overview.groups[at..]));
            break;
        };
        groups.push(group);
    }
    let review = Review {
        about: about.lines.clone(),
        effects,
        headline: headline(plan),
        counts: if plan.is_empty() { Vec::new() } else { counts(plan, &overview) },
        highlights: show::highlights(&overview.highlights),
        risks: risks(&overview.risks),
        addons: groups.iter().flat_map(|group| &group.addons).map(|addon| addon.name.clone()).collect(),
        kinds: named(overview.risks.iter().map(|risk| risk.risk.kind)),
        clusters: plan.clusters.keys().take(MAX_CHOICES).cloned().collect(),
        groups,
        more,
        digest: format!("Plan {}", plan.digest().short()),
    };
    page::write(TEMPLATE, &about.title, &review)
}

/// Returns lines as one text, as far as there is room for them.
fn fitting(lines: &[Line]) -> String {
    let mut room = Room(MAX_EFFECT_BYTES);
    let shown = lines.iter().take_while(|line| room.take(1, [line.text.as_str()])).count();
    let more = lines.len() - shown;
    let more = (more > 0).then(|| format!("… {}", counted(more, "more line")));
    lines[..shown].iter().map(|line| line.text.clone()).chain(more).collect::<Vec<_>>().join("\n")
}

fn counts(plan: &Plan, overview: &Overview) -> Vec<Count> {
    let addons: BTreeSet<_> = plan.clusters.values().flat_map(|cluster| cluster.addons.keys()).collect();
    let changes = overview.groups.iter().map(|group| group.entries.len()).sum();
    [
        (plan.clusters.len(), "cluster"),
        (addons.len(), "add-on"),
        (plan.files().count(), "file"),
        (changes, "different change"),
        (overview.risks.len(), "risk"),
    ]
    .map(|(number, noun)| {
        let text = counted(number, noun);
        let noun = text.split_once(' ').map_or(noun, |(_, noun)| noun).to_owned();
        Count { number, noun }
    })
    .into()
}

fn risks(risks: &[RiskGroup]) -> Vec<NamedRisk> {
    let named = |same: &[RiskGroup]| {
        let place = |group: &RiskGroup| RiskPlace {
            place: show::elide(&group.place, SHORT.line),
            on: on_counted(&group.clusters),
        };
        NamedRisk {
            kind: same[0].risk.kind.to_string(),
            note: same[0].risk.note,
            places: same.iter().take(MAX_PLACES).map(place).collect(),
            more: same
                .len()
                .checked_sub(MAX_PLACES + 1)
                .map(|more| format!("… {}", counted(more + 1, "more place"))),
        }
    };
    risks.chunk_by(|a, b| a.risk == b.risk).map(named).collect()
}

/// Returns the names of kinds of risks, most severe first.
fn named(kinds: impl Iterator<Item = RiskKind>) -> Vec<String> {
    kinds.collect::<BTreeSet<_>>().iter().map(ToString::to_string).collect()
}

/// How many bytes there is room for.
struct Room(usize);

impl Room {
    /// Takes the room that texts need beside markup of `bytes`, if it is there.
    fn take<'t>(&mut self, bytes: usize, texts: impl IntoIterator<Item = &'t str>) -> bool {
        let texts: usize = texts.into_iter().map(|text| page::escaped(text).len()).sum();
        let left = self.0.checked_sub(bytes + texts);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// Which add-on a file belongs to, by its path below the cluster's folder, and which add-ons the elements of a
/// cluster's own files are.
struct Addons {
    of_files: BTreeMap<String, String>,
    elements: BTreeSet<String>,
    /// What is risky about an element, by its name and what a setting of it becomes.
    risks: BTreeMap<(String, Option<String>), Risk>,
}

/// What stands for an add-on where there is none.
const OWN_FILES: &str = "the cluster's own files";

impl Addons {
    fn of(plan: &Plan) -> Self {
        let (of_files, elements, risks) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let mut addons = Self { of_files, elements, risks };
        for (name, cluster) in &plan.clusters {
            for (addon, of_addon) in &cluster.addons {
                let labels = of_addon.files.iter().map(|file| file_label(&file.path, name));
                addons.of_files.extend(labels.map(|label| (label, addon.to_string())));
            }
            for change in cluster.files().flat_map(|file| &file.applications) {
                let Some(element) = &change.element else { continue };
                addons.elements.insert(element.clone());
                let key = (element.clone(), change.new.clone());
                addons.risks.extend(change.risk.map(|risk| (key, risk)));
            }
        }
        addons
    }

    fn of_event(&self, event: &Event) -> String {
        let of_file = |file: &String| self.of_files.get(file).cloned();
        let found = match event {
            Event::Cluster { .. } => None,
            Event::Addon { addon, .. } => Some(addon.to_string()),
            Event::File { file, .. } => of_file(file),
            Event::Setting { file, change } => of_file(file).or_else(|| self.element(change).cloned()),
        };
        found.unwrap_or_else(|| OWN_FILES.to_owned())
    }

    /// Returns the element that a setting of a cluster's own file is in.
    fn element(&self, change: &Change) -> Option<&String> {
        change.path.iter().find_map(|step| match step {
            Step::Item { id, .. } => self.elements.get(id),
            Step::Key(_) | Step::Index(_) => None,
        })
    }

    /// Returns the risk of what happens, or of what it makes of an element.
    fn risk_of(&self, event: &Event) -> Option<Risk> {
        let of_element = || {
            let Event::Setting { change, .. } = event else { return None };
            let new = match &change.new {
                Some(Value::String(text)) => Some(text.clone()),
                _ => None,
            };
            self.risks.get(&(self.element(change)?.clone(), new)).copied()
        };
        event.risk().or_else(of_element)
    }
}

/// Returns a group as far as there is room for it; nothing if there is room for none of its changes.
fn page_group(
    group: &Group,
    at: usize,
    addons: &Addons,
    sources: &Sources,
    room: &mut Room,
) -> Option<PageGroup> {
    let names_of_all = group.clusters.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if !room.take(BOX_BYTES, [names_of_all.as_str()]) {
        return None;
    }
    let mut placed: BTreeMap<(bool, String), Vec<(&Entry, PageChange)>> = BTreeMap::new();
    let mut shown = 0;
    for entry in &group.entries {
        let addon = addons.of_event(&entry.event);
        let risk = addons.risk_of(&entry.event);
        let change = page_change(entry, addon.clone(), risk, sources);
        let opens = shown == 0 || place_of(entry) != place_of(&group.entries[shown - 1]);
        if !has_room(&change, entry, opens, room) {
            break;
        }
        shown += 1;
        placed.entry((addon == OWN_FILES, addon)).or_default().push((entry, change));
    }
    let left = group.entries.len() - shown;
    let more = (left > 0).then(|| format!("… {}: `{}`", counted(left, "more change"), show::FULL_COMMAND));
    let kinds = named(group.entries.iter().filter_map(|entry| Some(addons.risk_of(&entry.event)?.kind)));
    let addons = placed.into_iter().map(|((_, name), changes)| PageAddon {
        name,
        count: counted(changes.len(), "change"),
        files: files(changes),
    });
    (shown > 0).then(|| PageGroup {
        on: capital(&on_clusters(&group.clusters)),
        count: counted(group.entries.len(), "change"),
        kinds,
        names: names_of_all,
        is_many: group.clusters.len() > names_shown(&group.clusters),
        is_open: at < OPEN_GROUPS && shown <= MAX_OPEN_CHANGES,
        addons: addons.collect(),
        more,
    })
}

/// Returns how many clusters the heading of a group names itself.
fn names_shown(clusters: &[ClusterName]) -> usize {
    if names(clusters).contains(" more") { 0 } else { clusters.len() }
}

fn has_room(change: &PageChange, entry: &Entry, opens: bool, room: &mut Room) -> bool {
    let (file, object) = if opens { place_of(entry) } else { ("", String::new()) };
    let boxes = if opens { 2 * BOX_BYTES } else { 0 };
    let markup = CHANGE_BYTES + boxes + ROW_BYTES * (change.rows.len() + change.lines.len());
    let texts = [change.setting.as_str(), file, file, &object, &object, change.addon.as_str()];
    let sides = change.rows.iter().flat_map(Row::texts);
    let lines = change.lines.iter().flat_map(|line| [line.place.as_str(), line.what.as_str()]);
    room.take(markup, texts.into_iter().chain(sides).chain(lines))
}

/// Returns the file and the object that an entry is in; both are empty for what comes or goes as a whole.
fn place_of(entry: &Entry) -> (&str, String) {
    match &entry.event {
        Event::Setting { file, change } => {
            (file, change.object.as_ref().map(ToString::to_string).unwrap_or_default())
        }
        Event::Cluster { .. } | Event::Addon { .. } | Event::File { .. } => ("", String::new()),
    }
}

/// Puts the changes of an add-on below their files and objects, which stand together already.
fn files(changes: Vec<(&Entry, PageChange)>) -> Vec<PageFile> {
    let mut files: Vec<PageFile> = Vec::new();
    for (entry, change) in changes {
        let (name, object) = place_of(entry);
        if files.last().is_none_or(|file| file.name != name) {
            files.push(PageFile { name: name.to_owned(), objects: Vec::new() });
        }
        let objects = &mut files.last_mut().expect("one was added").objects;
        match objects.last_mut().filter(|last| last.name == object) {
            Some(last) => last.changes.push(change),
            None => objects.push(PageObject { name: object, changes: vec![change] }),
        }
    }
    files
}

fn page_change(entry: &Entry, addon: String, risk: Option<Risk>, sources: &Sources) -> PageChange {
    let risk = risk.map(|Risk { kind, note }| PageRisk { kind: kind.to_string(), note });
    let variants = (entry.variants > 1)
        .then(|| format!("{} different values; this is the one on {}", entry.variants, entry.example));
    let (setting, (rows, more)) = match &entry.event {
        Event::Setting { change, .. } => (change.path.to_string(), rows(change)),
        Event::Cluster { .. } | Event::Addon { .. } | Event::File { .. } => {
            let lines = show::entry(&Entry { variants: 1, ..entry.clone() }, SHORT);
            let row = |line: Line| Row::side(line.kind == LineKind::Removed, line.text);
            (String::new(), (lines.into_iter().map(row).collect(), None))
        }
    };
    let lines = sources.of(entry).to_vec();
    PageChange { addon, setting, rows, more, variants, risk, lines }
}
