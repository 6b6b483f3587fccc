//! Whether values fit the shape that a chart gives them.
//!
//! Reports what does not fit and what was probably meant, in terms of the chart alone, and leaves the wording to callers.

use std::net::IpAddr;

use super::shape::{Others, Shape, Types};
use crate::key_path::{Step, key};
use crate::problem::did_you_mean;
use crate::yaml::{Map, Value};

/// A place where values do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The place.
    pub path: Vec<Step>,
    /// What does not fit there.
    pub kind: MisfitKind,
}

/// The ways in which a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MisfitKind {
    /// The chart has no such key.
    UnknownKey {
        /// Whether the chart refuses to render with it; otherwise it has no effect.
        is_refused: bool,
        /// The path that was probably meant.
        near: Option<Vec<Step>>,
        /// The keys that are known there.
        known: Vec<String>,
    },
    /// The chart takes other types there.
    WrongType {
        /// The types that it takes.
        wanted: Types,
    },
    /// The chart writes a registry before a name that begins with one.
    DoubledRegistry,
}

/// Returns every place where values do not fit, in their order.
#[must_use]
pub fn judge(values: &Value, shape: &Shape) -> Vec<Misfit> {
    let mut judge = Judge { root: shape, misfits: Vec::new() };
    judge.value(values, shape, None);
    judge.misfits
}

/// A path that grows on the stack, so that values which fit cost no allocation.
#[derive(Clone, Copy)]
struct At<'a> {
    above: Option<&'a At<'a>>,
    step: Step<&'a str>,
}

fn path(at: Option<&At<'_>>) -> Vec<Step> {
    let mut steps: Vec<_> = std::iter::successors(at, |at| at.above).map(|at| at.step.owned()).collect();
    steps.reverse();
    steps
}

struct Judge<'s> {
    root: &'s Shape,
    misfits: Vec<Misfit>,
}

impl Judge<'_> {
    fn value(&mut self, value: &Value, shape: &Shape, at: Option<&At<'_>>) {
        if !shape.types.has(value.into()) {
            self.add(at, MisfitKind::WrongType { wanted: shape.types });
            return;
        }
        match value {
            Value::Map(map) => {
                self.map(map, shape, at);
                self.image(map, shape, at);
            }
            Value::List(items) => {
                let Some(shape) = &shape.items else { return };
                for (index, item) in items.iter().enumerate() {
                    self.value(item, shape, Some(&At { above: at, step: Step::Index(index) }));
                }
            }
            _ => {}
        }
    }

    fn map(&mut self, map: &Map, shape: &Shape, at: Option<&At<'_>>) {
        for (name, value) in map.iter() {
            let here = At { above: at, step: Step::Key(name) };
            match (shape.entries.get(name), &shape.others) {
                (Some(entry), _) => self.value(value, entry, Some(&here)),
                (None, Others::Free) => {}
                (None, Others::Each(each)) => self.value(value, each, Some(&here)),
                (None, others) => {
                    let path = path(Some(&here));
                    let near = self.near(&path, name, shape);
                    let known = shape.entries.keys().map(ToString::to_string).collect();
                    let is_refused = *others == Others::Refused;
                    self.misfits
                        .push(Misfit { path, kind: MisfitKind::UnknownKey { is_refused, near, known } });
                }
            }
        }
    }

    fn add(&mut self, at: Option<&At<'_>>, kind: MisfitKind) {
        self.misfits.push(Misfit { path: path(at), kind });
    }

    /// Finds what was meant by a key that is not there: the same key in a like-named place or further up, or a sibling.
    fn near(&self, path: &[Step], name: &str, shape: &Shape) -> Option<Vec<Step>> {
        self.same_key(path, name).or_else(|| {
            let (_, above) = path.split_last()?;
            let sibling = did_you_mean(name, shape.entries.keys().map(AsRef::as_ref))?;
            Some([above, &[key(sibling)]].concat())
        })
    }

    fn same_key(&self, path: &[Step], name: &str) -> Option<Vec<Step>> {
        let (_, above) = path.split_last()?;
        let keys: Vec<&str> = above.iter().map(name_of).collect::<Option<_>>()?;
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
    fn image(&mut self, map: &Map, shape: &Shape, at: Option<&At<'_>>) {
        let Some(Value::String(repository)) = map.get("repository") else { return };
        let registry = match map.get("registry") {
            Some(Value::String(registry)) => !registry.is_empty(),
            Some(_) => false,
            // An empty default is of any scalar type, one that names a registry is text.
            None => shape.entries.get("registry").is_some_and(|registry| registry.types == Types::TEXT),
        };
        if registry && shape.entries.contains_key("registry") && begins_with_registry(repository) {
            let here = At { above: at, step: Step::Key("repository") };
            self.add(Some(&here), MisfitKind::DoubledRegistry);
        }
    }
}

fn name_of(step: &Step) -> Option<&str> {
    step.key().map(String::as_str)
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

/// Returns whether the first part of an image's name is a host: it has a dot or a port, as no other part has there.
pub(crate) fn begins_with_registry(image: &str) -> bool {
    image.split_once('/').is_some_and(|(host, _)| is_registry(host))
}

/// Returns whether a part of an image's name is a registry's host: a name with a top level, an address, or anything with a port.
/// A folder such as `..` or a version such as `v1.2` is none.
pub(crate) fn is_registry(part: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let before_port = part.rsplit_once(':').filter(|(_, port)| is_number(port)).map(|(host, _)| host);
    let host = before_port.unwrap_or(part);
    let is_address = || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_name = host.split('.').all(is_label);
    let has_top_level = host
        .rsplit_once('.')
        .is_some_and(|(_, top)| top.len() > 1 && top.starts_with(|first: char| first.is_ascii_alphabetic()));
    host == "localhost" || is_address() || is_name && (before_port.is_some() || has_top_level)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::charts::notation;
    use crate::key_path::text_of;
    use crate::yaml;

    const SHAPE: &str = "
_Odd: odd
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
        let shape = &yaml::parse(&SHAPE.replace("_Odd: odd\n", "")).unwrap()[0];
        let shape = notation::read(shape, None, &mut notation::MAX_KEYS.clone()).unwrap();
        let values = yaml::interpret(&yaml::parse(values).unwrap()[0]).unwrap();
        let lines = judge(&values, &shape).into_iter().map(|misfit| {
            let kind = match misfit.kind {
                MisfitKind::UnknownKey { is_refused, near, known } => {
                    let verb = if is_refused { "refused" } else { "unknown" };
                    let near =
                        near.map_or_else(|| format!("known: {}", known.join(" ")), |near| text_of(&near));
                    format!("{verb} -> {near}")
                }
                MisfitKind::WrongType { wanted } => format!("wants {wanted}"),
                MisfitKind::DoubledRegistry => "doubled".to_owned(),
            };
            format!("{}: {kind}\n", text_of(&misfit.path))
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
        replica: unknown -> replicas
        prometheus-node-exporter.enabled: unknown -> nodeExporter.enabled
        tempo.persistence: unknown -> persistence
        tempo.zebra: unknown -> known: retention
        ports.http.prot: refused -> ports.http.port
        hosts[1].path: refused -> known: host
        ");
    }

    #[test]
    fn a_value_of_another_type_is_told() {
        assert_snapshot!(judged("enabled: 1\nreplicas: '3'\nconfig: {a: b}\nlabels: {a: true}\npersistence: []\n"), @"
        enabled: wants bool
        replicas: wants number
        config: wants text
        labels.a: wants text
        persistence: wants map
        ");
    }

    #[test]
    fn a_registry_that_the_chart_writes_itself_is_doubled() {
        assert_snapshot!(judged("image: {repository: ghcr.io/kedacore/keda}\n"), @"image.repository: doubled");
        assert_eq!(judged("image: {repository: ghcr.io/kedacore/keda, registry: ''}\n"), "");
        assert_eq!(judged("image: {repository: kedacore/keda}\nmirrored: {repository: ghcr.io/a}\n"), "");
    }
}
