//! Every rendered value must be one that its chart reads: most charts drop a misspelt key without a word.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Addon, Catalog};
use crate::charts::{self, ChartId, ChartLock, Others, Shape, Types};
use crate::checks::{Document, Finding, Part};
use crate::inventory::Inventory;
use crate::key_path::{Step, is_at_or_below, key, keys, owned, text_of};
use crate::path::AddonName;
use crate::plural::{alternatives, quoted};
use crate::problem::{Place, Problem, did_you_mean};
use crate::tree::Tree;
use crate::yaml::{self, Map, Value};

use super::images::begins_with_registry;

/// How many known keys a hint lists.
const MAX_LISTED: usize = 12;

/// A lock that is there must cover every version that is named. Without one, no keys are judged.
pub(in super::super) fn charts_are_locked(inventory: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    catalog
        .lock
        .as_ref()
        .map_or_else(Vec::new, |lock| not_locked(&charts_named(inventory, catalog), &lock.charts))
}

/// Returns the charts that add-ons and clusters name, each with the places of its version. What is turned off counts,
/// too: turning it on must not be the moment to find out.
#[must_use]
pub fn charts_named(inventory: &Inventory, catalog: &Catalog) -> BTreeMap<ChartId, BTreeSet<Place>> {
    let mut named: BTreeMap<ChartId, BTreeSet<Place>> = BTreeMap::new();
    let mut add = |addon: &Addon, version: &str, place: Place| {
        let Some(own) = &addon.facts.chart else { return };
        let chart = ChartId { version: version.to_owned(), ..own.clone() };
        named.entry(chart).or_default().insert(place);
    };
    for addon in catalog.addons.values() {
        if let Some(own) = &addon.facts.chart {
            add(addon, &own.version, addon.origin.place(&[key("chart"), key("version")]));
        }
        for (index, other) in addon.facts.versions.iter().enumerate() {
            let path = [key("versions"), Step::Index(index), key("version")];
            add(addon, &other.version, addon.origin.place(&path));
        }
    }
    for cluster in inventory.clusters.values() {
        for (name, choice) in &cluster.facts.addons {
            if let (Some(version), Some(addon)) = (&choice.version, catalog.addons.get(name.as_str())) {
                add(addon, version, addon.version_place(cluster));
            }
        }
    }
    named
}

/// Returns the problems of charts that are not in a lock, at each place where the version is written.
#[must_use]
pub fn not_locked(named: &BTreeMap<ChartId, BTreeSet<Place>>, lock: &ChartLock) -> Vec<Problem> {
    let unlocked = named.iter().filter(|(chart, _)| !lock.charts.contains_key(chart));
    unlocked
        .flat_map(|(chart, places)| places.iter().map(move |place| missing(chart, place.clone())))
        .collect()
}

fn missing(chart: &ChartId, place: Place) -> Problem {
    let message = format!(
        "chart `{}` {} of `{}` is not in `{}`",
        chart.name,
        chart.version,
        chart.repository,
        charts::LOCK
    );
    Problem::at(place, message).hint("run `fleetwright charts lock`")
}

pub(in super::super) fn keys_are_in_the_chart(document: &Document<'_>) -> Vec<Finding> {
    let Some((addon, values)) = document.values() else { return Vec::new() };
    addon.chart_on(document.cluster).map(|chart| misfits(addon, &chart, values)).unwrap_or_default()
}

/// Returns every place where values do not fit an add-on's chart, if that is locked. Where any key may stand, all fit.
pub(in super::super) fn misfits(addon: &Addon, chart: &ChartId, values: &Value) -> Vec<Finding> {
    let Some(locked) = addon.locked.get(chart) else { return Vec::new() };
    let mut misfits = judge(&addon.name, chart, &locked.values, values);
    let is_free = |path: &[Step]| addon.facts.free_form.iter().any(|place| is_at_or_below(path, place));
    misfits.retain(|misfit| !is_free(&misfit.path));
    misfits
}

fn judge(addon: &AddonName, chart: &ChartId, root: &Shape, values: &Value) -> Vec<Finding> {
    let mut judge = Judge { addon, chart, root, path: Vec::new(), misfits: Vec::new() };
    judge.value(values, root);
    judge.misfits
}

struct Judge<'a> {
    addon: &'a AddonName,
    chart: &'a ChartId,
    /// What the chart takes as a whole.
    root: &'a Shape,
    /// Where in the values it is.
    path: Vec<Step<&'a str>>,
    misfits: Vec<Finding>,
}

impl<'a> Judge<'a> {
    fn value(&mut self, value: &'a Value, shape: &Shape) {
        if !shape.types.contains(value.into()) {
            return self.wrong_type(shape.types, value);
        }
        for (step, part) in value.children() {
            let known = match step {
                Step::Key(name) => shape.entries.get(name).or(match &shape.others {
                    Others::Each(each) => Some(each.as_ref()),
                    _ => None,
                }),
                _ => shape.items.as_deref(),
            };
            self.path.push(step);
            match (known, step) {
                (Some(known), _) => self.value(part, known),
                (None, Step::Key(name)) if shape.others != Others::Free => self.unknown_key(name, shape),
                _ => {}
            }
            self.path.pop();
        }
        if let Value::Map(map) = value {
            self.image(map, shape);
        }
    }

    fn chart(&self) -> String {
        format!("chart `{}` {}", self.chart.name, self.chart.version)
    }

    fn wrong_type(&mut self, wanted: Types, given: &Value) {
        let (path, chart) = (text_of(&self.path), self.chart());
        let message =
            format!("`{path}` must be {}, not {}: {chart}", in_words(wanted), in_words(given.into()));
        let hint = type_hint(wanted, given).map(str::to_owned);
        self.misfits.push(Finding { hint, ..Finding::new(&owned(&self.path), message) });
    }

    fn unknown_key(&mut self, name: &str, shape: &Shape) {
        let path = &owned(&self.path);
        let is_refused = shape.others == Others::Refused;
        let says = if is_refused { "refuses this key" } else { "has no such key" };
        let message = format!("unknown key `{}`: {} {says}", text_of(path), self.chart());
        let hint = match self.near(path, name, shape) {
            Some(near) => format!("did you mean `{}`?", text_of(&near)),
            None => self.known_keys(shape, is_refused),
        };
        self.misfits.push(Finding::new(path, message).hint(hint).on(Part::Key));
    }

    fn known_keys(&self, shape: &Shape, is_refused: bool) -> String {
        let first = match shape.entries.len() {
            1..=MAX_LISTED => format!("known keys: {}", quoted(shape.entries.keys())),
            _ => "leave it out".to_owned(),
        };
        if is_refused {
            return first;
        }
        let file = format!("templates/addons/{}/addon.yaml", self.addon);
        format!("{first}; if the chart takes any key here, name the place under `freeForm` in `{file}`")
    }

    /// Finds what was meant by a key that is not there: the same key in a like-named place or further up, or
    /// a sibling.
    fn near(&self, path: &[Step], name: &str, shape: &Shape) -> Option<Vec<Step>> {
        self.same_key(path, name).or_else(|| {
            let (_, above) = path.split_last()?;
            let sibling = did_you_mean(name, shape.entries.keys().map(AsRef::as_ref))?;
            Some([above, &[key(sibling)]].concat())
        })
    }

    fn same_key(&self, path: &[Step], name: &str) -> Option<Vec<Step>> {
        let (_, above) = path.split_last()?;
        let keys: Vec<&str> =
            above.iter().map(|step| step.key().map(String::as_str)).collect::<Option<_>>()?;
        let (parent, grand) = keys.split_last()?;
        let parents = self.root.at(grand.iter().copied())?;
        let like_named = parents.entries.iter().find(|(other, shape)| {
            *other.as_ref() != **parent && is_alike(other, parent) && shape.entries.contains_key(name)
        });
        if let Some((other, _)) = like_named {
            return Some([&path[..grand.len()], &[key(other), key(name)]].concat());
        }
        let higher = (0..keys.len()).rev().find(|depth| {
            self.root.at(keys[..*depth].iter().copied()).is_some_and(|shape| shape.entries.contains_key(name))
        });
        higher.map(|depth| [&path[..depth], &[key(name)]].concat())
    }

    /// A chart that keeps the registry apart writes `registry/repository`.
    fn image(&mut self, map: &Map, shape: &Shape) {
        let written = map.get("repository").and_then(Value::as_str).zip(shape.entries.get("registry"));
        let Some((repository, known)) = written else { return };
        let has_registry = match map.get("registry") {
            Some(registry) => registry.as_str().is_some_and(|registry| !registry.is_empty()),
            // An empty default is of any scalar type, one that names a registry is text.
            None => known.types == Types::TEXT,
        };
        if has_registry && begins_with_registry(repository) {
            let path = [owned(&self.path), keys(&["repository"])].concat();
            let (at, chart) = (text_of(&path), self.chart());
            let message = format!("`{at}` names a registry, and {chart} writes `registry` before it");
            let hint = "leave the registry out of `repository`, and set `registry` beside it if it differs";
            self.misfits.push(Finding::new(&path, message).hint(hint));
        }
    }
}

/// Returns whether two names are the same in another spelling, or one of them is more specific: `nodeExporter` and
/// `prometheus-node-exporter`.
fn is_alike(a: &str, b: &str) -> bool {
    let folded = |name: &str| -> String {
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let (a, b) = (folded(a), folded(b));
    a.len().min(b.len()) > 3 && (a.contains(&b) || b.contains(&a))
}

/// Says types the way a person would: `true` or `false`, `a number or text`.
fn in_words(types: Types) -> String {
    if types == Types::SCALAR {
        return "a single value".to_owned();
    }
    let words = [
        (Types::BOOL, "`true` or `false`"),
        (Types::NUMBER, "a number"),
        (Types::TEXT, "text"),
        (Types::LIST, "a list"),
        (Types::MAP, "a map"),
    ];
    alternatives(words.iter().filter(|(one, _)| types.contains(*one)).map(|(_, word)| *word))
}

fn type_hint(wanted: Types, given: &Value) -> Option<&'static str> {
    match given {
        Value::Bool(_) | Value::Number(_) if wanted.contains(Types::TEXT) => Some("put the value in quotes"),
        Value::Map(_) if wanted == Types::TEXT => {
            Some("write it as text: `|` after the key, and the lines below")
        }
        Value::String(text) => {
            let unquoted = yaml::interpret_plain(text).ok()?;
            (!matches!(unquoted, Value::String(_)) && wanted.contains(Types::from(&unquoted)))
                .then_some("write the value without quotes")
        }
        _ if wanted == Types::LIST => Some("start each item with `- `"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::charts::ChartLock;

    const SHAPE: &str = "
_bool: enabled
_number: replicas
_text: config
_map of text: labels
prometheus-node-exporter: {_map: podLabels}
nodeExporter: {_bool: enabled}
persistence: {_text: size}
tempo: {_text: retention}
image: {_text: registry repository, _scalar: tag}
mirrored: {_text: repository, _scalar: registry}
ports: {_others: {_others: refused, _number: port}}
hosts: {_items: {_others: refused, _text: host}}
global: {_others: any, _text: domain}
";

    fn judged(values: &str) -> String {
        let lock = format!(
            "- name: x\n  version: 1.2.3\n  repository: https://example.com\n  values:{}",
            SHAPE.replace('\n', "\n    ")
        );
        let lock = ChartLock::read(lock.as_bytes()).unwrap();
        let (chart, locked) = lock.charts.first_key_value().unwrap();
        let values = yaml::interpret(&yaml::parse(values).unwrap()[0]).unwrap();
        let misfits = judge(&AddonName::parse("x").unwrap(), chart, &locked.values, &values);
        let lines = misfits.into_iter().map(|misfit| {
            let hint = misfit.hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
            format!("{}: {}{hint}\n", text_of(&misfit.path), misfit.message)
        });
        lines.collect()
    }

    #[test]
    fn values_that_fit_say_nothing() {
        assert_eq!(
            judged(
                "enabled: true\nreplicas: ~\nlabels: {a/b: c}\nglobal: {domain: x, y: [1]}\n\
                 ports: {http: {port: 80}}\nhosts: [{host: a}]\nimage: {repository: a/b, tag: 3}\n"
            ),
            ""
        );
    }

    #[test]
    fn a_key_that_the_chart_has_not_is_told_with_what_was_meant() {
        let values = "\
replica: 3
prometheus-node-exporter: {enabled: false}
tempo: {persistence: {size: 1Gi}, zebra: 1}
ports: {http: {prot: 80}}
hosts: [{host: a}, {path: b}]
";
        assert_snapshot!(judged(values), @"
        replica: unknown key `replica`: chart `x` 1.2.3 has no such key
          hint: did you mean `replicas`?
        prometheus-node-exporter.enabled: unknown key `prometheus-node-exporter.enabled`: chart `x` 1.2.3 has no such key
          hint: did you mean `nodeExporter.enabled`?
        tempo.persistence: unknown key `tempo.persistence`: chart `x` 1.2.3 has no such key
          hint: did you mean `persistence`?
        tempo.zebra: unknown key `tempo.zebra`: chart `x` 1.2.3 has no such key
          hint: known keys: `retention`; if the chart takes any key here, name the place under `freeForm` in `templates/addons/x/addon.yaml`
        ports.http.prot: unknown key `ports.http.prot`: chart `x` 1.2.3 refuses this key
          hint: did you mean `ports.http.port`?
        hosts[1].path: unknown key `hosts[1].path`: chart `x` 1.2.3 refuses this key
          hint: known keys: `host`
        ");
    }

    #[test]
    fn a_value_of_another_type_is_told() {
        assert_snapshot!(judged("enabled: 1\nreplicas: '3'\nconfig: {a: b}\nlabels: {a: true}\npersistence: []\n"), @"
        enabled: `enabled` must be `true` or `false`, not a number: chart `x` 1.2.3
        replicas: `replicas` must be a number, not text: chart `x` 1.2.3
          hint: write the value without quotes
        config: `config` must be text, not a map: chart `x` 1.2.3
          hint: write it as text: `|` after the key, and the lines below
        labels.a: `labels.a` must be text, not `true` or `false`: chart `x` 1.2.3
          hint: put the value in quotes
        persistence: `persistence` must be a map, not a list: chart `x` 1.2.3
        ");
    }

    #[test]
    fn a_registry_that_the_chart_writes_itself_is_doubled() {
        assert_snapshot!(judged("image: {repository: ghcr.io/kedacore/keda}\n"), @"
        image.repository: `image.repository` names a registry, and chart `x` 1.2.3 writes `registry` before it
          hint: leave the registry out of `repository`, and set `registry` beside it if it differs
        ");
        assert_eq!(judged("image: {repository: ghcr.io/kedacore/keda, registry: ''}\n"), "");
        assert_eq!(judged("image: {repository: kedacore/keda}\nmirrored: {repository: ghcr.io/a}\n"), "");
    }

    #[test]
    fn types_are_said_as_a_person_would() {
        assert_eq!(in_words(Types::BOOL), "`true` or `false`");
        assert_eq!(in_words(Types::NUMBER | Types::TEXT), "a number or text");
        assert_eq!(in_words(Types::all()), "`true` or `false`, a number, text, a list or a map");
    }
}
