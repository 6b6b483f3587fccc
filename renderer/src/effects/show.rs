//! Effects as text and as markdown.
//!
//! Everything that comes from an object is made visible before it is measured and cut, and stands in code spans or
//! fenced blocks in markdown.

use std::fmt::Write as _;

use super::model::{Effect, EffectGroup, Effects, Noise, ObjectEvent, Restarts};
use crate::explain::SourceLine;
use crate::plan::Action;
use crate::plan::group::Group;
use crate::plan::show::markdown::{Body, code, section};
use crate::plan::show::text::{folded, group_lines};
use crate::plan::show::{FULL, Limits, Line, LineKind, SHORT, Shown, change, elide, on_counted};
use crate::plural::{agrees, counted};
use crate::visible::visible;

/// The page of the reference that explains the effects, in this repository.
pub const EFFECTS: &str = "docs/reference/effects.md";
/// The command that shows what is folded away.
const COMMAND: &str = "fleetwright diff --manifests --full";
/// How many texts of an effect are listed.
const MAX_TEXTS: usize = 4;
/// How many places of an effect are listed.
const MAX_PLACES: usize = 4;
/// How many lines to edit of an effect are listed.
const MAX_LINES: usize = 4;
/// How many effects the summary lists.
const MAX_EFFECTS: usize = 24;
/// How many groups the summary shows, and how many lines of each.
const MAX_GROUPS: usize = 6;
const MAX_GROUP_LINES: usize = 14;

impl Shown for ObjectEvent {
    const COMMAND: &'static str = COMMAND;

    fn heading(&self) -> Option<&str> {
        Some(self.addon().as_str())
    }

    fn lines(&self, limits: Limits) -> Vec<Line> {
        match self {
            Self::Object { object, action, fields, is_kept, .. } => {
                let kept = if *is_kept { ", and stays on the cluster" } else { "" };
                let text = format!(
                    "{} {}: {}{kept}",
                    visible(&object.to_string()),
                    action.past(),
                    counted(*fields, "field")
                );
                vec![Line { kind: LineKind::of(*action), text: elide(&text, limits.line) }]
            }
            Self::Field { change: field, is_immutable, .. } => {
                let mut lines = change(field, limits);
                let text = "(the API server refuses this change)".to_owned();
                lines.extend(is_immutable.then_some(Line { kind: LineKind::Risk, text }));
                lines
            }
        }
    }
}

impl Effects {
    /// Returns whether no object changes, apart from noise.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

/// Returns one line: how many objects come, change and go where.
#[must_use]
pub fn headline(effects: &Effects) -> String {
    let totals = effects.totals;
    let counts = [
        (totals.created, Action::Create),
        (totals.updated, Action::Update),
        (totals.deleted, Action::Delete),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, action)| format!("{} {}", counted(count, "object"), action.past()))
        .collect();
    if counts.is_empty() {
        return "No object changes.".to_owned();
    }
    format!("{} on {}", counts.join(", "), counted(totals.clusters, "cluster"))
}

/// Returns which pods are replaced: `14 pods restart on 3 clusters (1 DaemonSet, 2 Deployments)`.
fn restarts(Restarts { pods, clusters, workloads, on_every_node }: &Restarts) -> String {
    let daemon_sets = counted(*on_every_node, "DaemonSet");
    let who = match (pods, on_every_node) {
        (pods, 0) => counted(*pods, "pod"),
        (0, _) => format!("The pods of {daemon_sets} on every node"),
        (pods, _) => format!("{} and those of {daemon_sets} on every node", counted(*pods, "pod")),
    };
    let verb = if *pods == 1 && *on_every_node == 0 { "restarts" } else { "restart" };
    let kinds: Vec<String> = workloads.iter().map(|them| counted(them.count, &visible(&them.kind))).collect();
    format!("{who} {verb} {} ({})", on_counted(clusters), kinds.join(", "))
}

/// Returns what is folded since it changes nothing that runs.
fn receipt(noise: &Noise) -> Option<String> {
    let counts = [
        (noise.labels, "change of a label that tells a version", "changes of labels that tell a version"),
        (noise.annotations, "checksum in an annotation", "checksums in annotations"),
        (noise.descriptions, "description of a field", "descriptions of fields"),
        (noise.orders, "set in another order", "sets in another order"),
    ];
    let texts = counts.into_iter().filter(|(count, ..)| *count > 0);
    let texts: Vec<String> =
        texts.map(|(count, one, many)| format!("{count} {}", agrees(count, one, many))).collect();
    (!texts.is_empty())
        .then(|| format!("Folded, since nothing that runs changes by it: {}", texts.join(", ")))
}

/// Returns what goes and comes by an effect, and what that means.
fn meaning(effect: &Effect) -> String {
    let short = |text: &String| elide(&visible(text), SHORT.line);
    let joined = |texts: &[String]| {
        let shown = texts.iter().take(MAX_TEXTS).map(short).collect::<Vec<_>>().join("; ");
        match texts.len().saturating_sub(MAX_TEXTS) {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    };
    let what = match (effect.lost.as_slice(), effect.gained.as_slice()) {
        ([], []) => return effect.note.to_owned(),
        ([old], [new]) => format!("{} → {}", short(old), short(new)),
        (lost, []) => joined(lost),
        ([], gained) => joined(gained),
        (lost, gained) => format!("{} instead of {}", joined(gained), joined(lost)),
    };
    format!("{what}: {}", effect.note)
}

/// Returns which object and part of it an effect is about, and on which clusters.
fn place(EffectGroup { effect, clusters, .. }: &EffectGroup) -> (String, String) {
    let part = if effect.part.is_empty() { String::new() } else { format!(" {}", effect.part) };
    let place = elide(&visible(&format!("{} {}{part}", effect.addon, effect.object)), SHORT.line);
    let pods = effect.pods.map(|pods| format!(" ({} each)", counted(pods, "pod"))).unwrap_or_default();
    (place, format!("{}{pods}", on_counted(clusters)))
}

/// Returns the lines to edit behind an effect; nothing if none is known, or if the next effect has the same.
fn because(group: &EffectGroup, next: Option<&EffectGroup>, code: impl Fn(&str) -> String) -> Option<String> {
    let lines = &group.because;
    if lines.is_empty() || next.is_some_and(|next| next.because == *lines) {
        return None;
    }
    let shown = if lines.len() <= MAX_LINES + 1 { lines.len() } else { MAX_LINES };
    let text = |line: &SourceLine| {
        format!("{}{}", code(&line.place.to_string()), if line.is_former { " (before)" } else { "" })
    };
    let names = lines[..shown].iter().map(text).collect::<Vec<_>>().join(", ");
    let more = lines.len() - shown;
    Some(if more > 0 {
        format!("because {names} and {}", counted(more, "more line"))
    } else {
        format!("because {names}")
    })
}

/// Effects that are explained by the same words.
fn same(effects: &[EffectGroup]) -> impl Iterator<Item = &[EffectGroup]> {
    let key = |group: &EffectGroup| {
        let Effect { kind, note, lost, gained, .. } = &group.effect;
        (*kind, *note, lost.clone(), gained.clone())
    };
    effects.chunk_by(move |a, b| key(a) == key(b))
}

/// Returns what a person reads in a minute.
#[must_use]
pub fn summary(effects: &Effects) -> Vec<Line> {
    let mut lines = top(effects);
    for same in same(&effects.effects).take(MAX_EFFECTS) {
        let shown = if same.len() <= MAX_PLACES + 1 { same.len() } else { MAX_PLACES };
        lines.extend(effect_lines(same, shown));
    }
    let left = same(&effects.effects).count().saturating_sub(MAX_EFFECTS);
    if left > 0 {
        lines.push(plain(format!("  … {}: `{COMMAND}`", counted(left, "more effect"))));
    }
    let (shown, rest) = effects.groups.split_at(effects.groups.len().min(MAX_GROUPS));
    for group in shown {
        lines.extend(group_lines(group, MAX_GROUP_LINES, MAX_GROUP_LINES, SHORT).unwrap_or_default());
    }
    if !rest.is_empty() {
        lines.extend([plain(String::new()), plain(folded(rest))]);
    }
    lines
}

/// Returns everything: each effect at each place, each object and field, and the noise.
#[must_use]
pub fn full(effects: &Effects) -> Vec<Line> {
    let mut lines = top(effects);
    lines.extend(same(&effects.effects).flat_map(|same| effect_lines(same, same.len())));
    lines.extend(effects.groups.iter().flat_map(whole_group));
    if !effects.noise.groups.is_empty() {
        let text = "Nothing that runs changes by what follows".to_owned();
        lines.extend([plain(String::new()), Line { kind: LineKind::Heading, text }]);
        lines.extend(effects.noise.groups.iter().flat_map(whole_group));
    }
    lines
}

fn whole_group(group: &Group<ObjectEvent>) -> Vec<Line> {
    group_lines(group, usize::MAX, usize::MAX, FULL).unwrap_or_default()
}

/// Returns the lines above the effects.
fn top(effects: &Effects) -> Vec<Line> {
    let mut lines = vec![Line { kind: LineKind::Heading, text: headline(effects) }];
    lines
        .extend(effects.restarts.as_ref().map(|them| Line { kind: LineKind::Heading, text: restarts(them) }));
    lines.extend(receipt(&effects.noise).map(plain));
    lines
}

fn plain(text: String) -> Line {
    Line { kind: LineKind::Plain, text }
}

fn effect_lines(same: &[EffectGroup], shown: usize) -> Vec<Line> {
    let effect = &same[0].effect;
    let (kind, sign) = if effect.kind.is_risk() { (LineKind::Risk, '!') } else { (LineKind::Plain, '·') };
    let mut lines = vec![Line { kind, text: format!("  {sign} {}: {}", effect.kind, meaning(effect)) }];
    for (at, group) in same[..shown].iter().enumerate() {
        let (place, on) = place(group);
        lines.push(Line { kind, text: format!("      {place} {on}") });
        let because = because(group, same[..shown].get(at + 1), str::to_owned);
        lines.extend(because.map(|text| Line { kind, text: format!("      {text}") }));
    }
    if shown < same.len() {
        lines.push(Line {
            kind,
            text: format!("      … {}: `{COMMAND}`", counted(same.len() - shown, "more place")),
        });
    }
    lines
}

/// Returns what belongs into a pull request, in at most `limit` characters: the effects first, what is left out counted.
/// Each kind leads to its section of the page at `page`, if there is one.
#[must_use]
pub fn markdown(effects: &Effects, limit: usize, page: Option<&str>) -> String {
    const TAIL: usize = 256;
    let room = limit.saturating_sub(TAIL);
    let mut body = Body::default();
    body.try_push(&format!("{}\n", headline(effects)), room);
    if let Some(them) = &effects.restarts {
        body.try_push(&format!("\n{}\n", restarts(them)), room);
    }
    if !effects.effects.is_empty() {
        body.try_push("\n", room);
    }
    let share = room / 2;
    let all: Vec<&[EffectGroup]> = same(&effects.effects).collect();
    let shown = all.iter().take_while(|same| body.try_push(&item(same, page), share)).count();
    let mut tail = String::new();
    if shown < all.len() {
        tail = format!("\n… {}: `{COMMAND}`\n", counted(all.len() - shown, "more effect"));
    }
    let shown = effects.groups.iter().take_while(|group| body.try_push(&section(group), room)).count();
    if shown < effects.groups.len() {
        tail = format!("{tail}\n{}\n", folded(&effects.groups[shown..]));
    }
    tail.extend(receipt(&effects.noise).map(|receipt| format!("\n{receipt}.\n")));
    body.try_push(&tail, limit);
    body.into_text()
}

/// Writes effects that are explained by the same words as an item of a list.
fn item(same: &[EffectGroup], page: Option<&str>) -> String {
    let effect = &same[0].effect;
    let name = match page {
        Some(page) => format!("[{}]({page}#{})", effect.kind, effect.kind.anchor()),
        None => effect.kind.to_string(),
    };
    let name = if effect.kind.is_risk() { format!("**{name}**") } else { name };
    let meaning = meaning(effect);
    let (what, note) = meaning.split_at(meaning.len() - effect.note.len());
    let what = what.trim_end_matches(": ");
    let what = if what.is_empty() { String::new() } else { format!("{}: ", code(what)) };
    let mut text = format!("- {name}: {what}{note}\n");
    let shown = &same[..same.len().min(MAX_PLACES)];
    for (at, group) in shown.iter().enumerate() {
        let (place, on) = place(group);
        let _ = writeln!(text, "  - {} {on}", code(&place));
        let because = because(group, shown.get(at + 1), code);
        text.extend(because.map(|because| format!("  - {because}\n")));
    }
    if same.len() > MAX_PLACES {
        let _ = writeln!(text, "  - … {}", counted(same.len() - MAX_PLACES, "more place"));
    }
    text
}
