//! What a cluster has of its own: its name and its facts.
//!
//! By these, what is reported or changes on one cluster is known to be the same as on another, and an address
//! is known to be the cluster's own.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::OnceLock;

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use super::model::Cluster;
use crate::key_path::{Step, text_of};
use crate::network::{AddressRange, Network};
use crate::path::ClusterName;
use crate::rewritten::rewritten;
use crate::tree::leaves;

/// What the name of a cluster stands under.
const CLUSTER: &str = "cluster";
/// What stands in a message for whatever is the cluster's own.
const OWN: &str = "…";

/// Texts that are no cluster's own, whatever they are: sizes and versions stand in many rendered files.
const NOT_OWN: [&str; 7] = ["role", "name", "hub", "image", "memory", "disk", "version"];

/// The shortest fact that is looked for in rendered files; what is shorter stands in too many texts by chance.
const SHORTEST: usize = 3;
/// How many facts of a cluster are looked for in messages, and how long they are at most: people write fewer,
/// and shorter ones.
const MOST: usize = 1_000;
const LONGEST: usize = 256;

/// What one cluster has of its own: texts with what they stand for, the longest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnFacts {
    facts: Vec<(String, String)>,
    /// Finds each of the texts; made when they are first looked for.
    #[serde(skip)]
    finders: OnceLock<Vec<Finder<'static>>>,
}

impl OwnFacts {
    /// Returns what may stand in the rendered files of a cluster; `hub` is the one that serves it.
    #[must_use]
    pub fn of(cluster: &Cluster, hub: Option<&Cluster>) -> Self {
        let mut facts = vec![(cluster.name.to_string(), CLUSTER.to_owned())];
        facts.extend(texts(cluster));
        if let Some(hub) = hub.filter(|hub| hub.name != cluster.name) {
            facts.push((hub.name.to_string(), "hub".to_owned()));
            facts.extend(texts(hub).map(|(text, path)| (text, format!("hub.{path}"))));
        }
        facts.retain(|(text, label)| text.len() >= SHORTEST || label == CLUSTER);
        Self::new(facts)
    }

    /// Returns what a message about a cluster may quote: all that is written of it and its hub, settings and
    /// numbers included.
    pub(crate) fn written(cluster: &Cluster, hub: Option<&Cluster>) -> Self {
        let names = [&cluster.name, &cluster.hub].map(ToString::to_string);
        let written = [Some(cluster), hub].into_iter().flatten().flat_map(|cluster| leaves(&cluster.origin));
        let texts = written.filter_map(|(_, fact)| fact.text()).filter(|text| text.len() <= LONGEST);
        Self::new(names.into_iter().chain(texts).take(MOST).map(|text| (text, OWN.to_owned())).collect())
    }

    /// Returns what is known of a cluster whose facts can't be read: its name, and what stands at the place
    /// in question.
    pub(crate) fn named(name: &ClusterName, value: &str) -> Self {
        let words = value.split([' ', '"', '\'', ',', '[', ']', '{', '}']);
        let words = words.chain([value.trim_matches(['"', '\''])]).map(str::to_owned);
        let facts = std::iter::once((name.to_string(), CLUSTER.to_owned()));
        Self::new(facts.chain(words.map(|word| (word, OWN.to_owned()))).collect())
    }

    /// Of facts with the same text the first counts.
    fn new(mut facts: Vec<(String, String)>) -> Self {
        let mut seen = HashSet::new();
        facts.retain(|(text, _)| !text.is_empty() && seen.insert(text.clone()));
        facts.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        Self { facts, finders: OnceLock::new() }
    }

    /// Returns a text with what is the cluster's own in it replaced by what that stands for: `<cluster>-prometheus`.
    pub(crate) fn general<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.replaced(text, |_| true, |label, general| general.extend(["<", label, ">"]))
    }

    /// Returns a message with what is the cluster's own replaced: names and facts in backticks, and numbers anywhere.
    pub(crate) fn general_message(&self, message: &str) -> String {
        let parts = message.split('`').enumerate().map(|(number, part)| {
            let is_quoted = number % 2 == 1;
            let is_meant = |fact: &str| is_quoted || fact.bytes().all(|byte| byte.is_ascii_digit());
            self.replaced(part, is_meant, |_, general| general.push_str(OWN))
        });
        parts.collect::<Vec<_>>().join("`")
    }

    fn replaced<'t>(
        &self,
        text: &'t str,
        is_meant: impl Fn(&str) -> bool,
        write: impl Fn(&str, &mut String),
    ) -> Cow<'t, str> {
        let texts = || self.facts.iter().map(|(own, _)| own);
        let finders = self.finders.get_or_init(|| texts().map(|own| Finder::new(own).into_owned()).collect());
        let mut found: BTreeMap<usize, (usize, &str)> = BTreeMap::new();
        for ((own, label), finder) in self.facts.iter().zip(finders) {
            if own.len() > text.len() || !is_meant(own) {
                continue;
            }
            for at in finder.find_iter(text.as_bytes()) {
                let end = at + own.len();
                let before = found.range(..end).next_back();
                if before.is_none_or(|(_, (stop, _))| *stop <= at) && is_whole(text, at, end) {
                    found.insert(at, (end, label));
                }
            }
        }
        let parts = found.into_iter().map(|(at, (end, label))| (at..end, label));
        rewritten(text, parts, |general, label, _| write(label, general))
    }

    /// Returns whether an address is one of the cluster's own: named, out of its pool, or in one of its networks.
    pub(crate) fn has_address(&self, address: IpAddr) -> bool {
        let own = self.facts.iter().filter(|(_, label)| {
            let parts = ["addresses.", "networks.", "loadBalancer.", "apiServer.", "nodes["];
            parts.iter().any(|part| label.starts_with(part))
        });
        own.map(|(text, _)| text).any(|text| {
            text.parse() == Ok(address)
                || text.parse::<Network>().is_ok_and(|network| network.span().contains(address))
                || text.parse::<AddressRange>().is_ok_and(|range| range.span().contains(address))
        })
    }
}

impl PartialEq for OwnFacts {
    fn eq(&self, other: &Self) -> bool {
        self.facts == other.facts
    }
}

impl Eq for OwnFacts {}

/// Returns whether a part of a text is a word of its own: `eu-1` in `eu-1-web`, and not in `eu-12`.
fn is_whole(text: &str, at: usize, end: usize) -> bool {
    let (before, own, after) = (&text[..at], &text[at..end], &text[end..]);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let goes_on = |c: char| is_word(c) || (c == ':' && own.contains(':'));
    let is_digit = |c: char| c.is_ascii_digit();
    // A number may go on behind a dot, and the prefix of Kubernetes' own labels is the name of no cluster.
    let is_number = own.ends_with(is_digit) && own.contains('.');
    let begins = before.strip_suffix('.').is_some_and(|rest| is_number && rest.ends_with(is_digit));
    let continues = after
        .strip_prefix('.')
        .is_some_and(|rest| (is_number && rest.starts_with(is_digit)) || rest.starts_with("kubernetes.io"));
    !before.ends_with(goes_on) && !after.starts_with(goes_on) && !begins && !continues
}

/// Returns the texts of a cluster with their paths; what a cluster is for, and which cluster, are no texts of its own.
fn texts(cluster: &Cluster) -> impl Iterator<Item = (String, String)> {
    let is_meant = |path: &[Step<&str>]| {
        let key = path.last().and_then(Step::key);
        !key.is_some_and(|key| NOT_OWN.contains(key))
    };
    let texts = leaves(&cluster.view).into_iter().filter(move |(path, _)| is_meant(path));
    texts.filter_map(|(path, fact)| Some((fact.as_str()?.to_owned(), text_of(&path))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(facts: &[(&str, &str)]) -> OwnFacts {
        OwnFacts::new(facts.iter().map(|(text, label)| ((*text).to_owned(), (*label).to_owned())).collect())
    }

    fn typical() -> OwnFacts {
        own(&[
            ("eu-1", "cluster"),
            ("10.0.0.1", "addresses.web"),
            ("10.0.0.0-10.0.0.9", "loadBalancer.pool"),
            ("10.244.0.0/16", "networks.pods"),
            ("fd00::1", "addresses.six"),
        ])
    }

    #[test]
    fn what_is_the_clusters_own_is_found_as_a_whole_word() {
        for (text, general) in [
            ("eu-1-web", "<cluster>-web"),
            ("/eu-1/eu-1.example.com", "/<cluster>/<cluster>.example.com"),
            ("eu-12 leu-1 eu-1_a", "eu-12 leu-1 eu-1_a"),
            ("http://10.0.0.1:9090/", "http://<addresses.web>:9090/"),
            ("10.0.0.10 110.0.0.1 1.10.0.0.1 10.0.0.1.1", "10.0.0.10 110.0.0.1 1.10.0.0.1 10.0.0.1.1"),
            ("10.0.0.0-10.0.0.9", "<loadBalancer.pool>"),
            ("http://[fd00::1]:80 fd00::1:2", "http://[<addresses.six>]:80 fd00::1:2"),
            ("eu-1.kubernetes.io/x", "eu-1.kubernetes.io/x"),
        ] {
            assert_eq!(typical().general(text), general);
        }
    }

    #[test]
    fn in_messages_names_and_facts_are_the_clusters_own_in_backticks_and_numbers_anywhere() {
        let facts = ["eu-1", "10.0.0.1", "10.0.0.0-10.0.0.9", "a", "3"].map(str::to_owned);
        let own = OwnFacts::new(facts.into_iter().map(|text| (text, OWN.to_owned())).collect());
        for (message, general) in [
            ("`10.0.0.1` lies outside `10.0.0.0-10.0.0.9`", "`…` lies outside `…`"),
            ("`http://10.0.0.1:80/` of `eu-1-web`", "`http://…:80/` of `…-web`"),
            (
                "`eu-12`, `10.0.0.10`, `110.0.0.1`, `10.0.0.1.1`",
                "`eu-12`, `10.0.0.10`, `110.0.0.1`, `10.0.0.1.1`",
            ),
            ("`replicas` is a list of 3, not eu-1", "`replicas` is a list of …, not eu-1"),
        ] {
            assert_eq!(own.general_message(message), general);
        }
    }

    #[test]
    fn of_a_cluster_without_facts_the_line_is_known() {
        let name = ClusterName::parse("eu-1").unwrap();
        let own = OwnFacts::named(&name, "{pool: \"10.0.0.300\"}");
        assert_eq!(own.general_message("`10.0.0.300` of `eu-1` is no address"), "`…` of `…` is no address");
    }

    #[test]
    fn an_address_is_the_clusters_own_by_name_pool_or_network() {
        for (address, is_own) in [
            ("10.0.0.1", true),
            ("10.0.0.9", true),
            ("10.244.3.4", true),
            ("fd00::1", true),
            ("10.0.1.1", false),
        ] {
            assert_eq!(typical().has_address(address.parse().unwrap()), is_own, "{address}");
        }
    }
}
