//! What a cluster has of its own: by it, what is said of one cluster is known to be the same as what is said of another.

use std::collections::BTreeSet;

use memchr::memmem;
use serde_json::Value as Json;

use super::Cluster;
use crate::path::ClusterName;

/// What stands for a name or a fact of the cluster's own.
const OWN: &str = "…";

/// How many facts of a cluster are looked at, and how long they are at most: people write fewer, and shorter ones.
const MOST: usize = 1_000;
const LONGEST: usize = 256;

/// The names and facts of a cluster, the longest first.
#[derive(Clone, Debug)]
pub struct OwnFacts(Vec<String>);

impl OwnFacts {
    /// Returns what a cluster has of its own, what it sees of its hub included.
    #[must_use]
    pub fn of(cluster: &Cluster, hub: Option<&Cluster>) -> Self {
        let mut found = BTreeSet::from([cluster.name.to_string(), cluster.hub.to_string()]);
        for cluster in [Some(cluster), hub].into_iter().flatten() {
            collect(&cluster.origin.to_json(), &mut found);
        }
        Self::new(found)
    }

    /// Returns what is known of a cluster whose facts can't be read: its name, and what stands at the place in question.
    #[must_use]
    pub fn named(name: &ClusterName, value: &str) -> Self {
        let words = value.split([' ', '"', '\'', ',', '[', ']', '{', '}']).map(str::to_owned);
        Self::new(words.chain([name.to_string(), value.trim_matches(['"', '\'']).to_owned()]).collect())
    }

    fn new(found: BTreeSet<String>) -> Self {
        let mut facts: Vec<_> = found.into_iter().filter(|fact| !fact.is_empty()).collect();
        facts.sort_by_key(|fact| std::cmp::Reverse(fact.len()));
        Self(facts)
    }

    /// Returns a message with what is the cluster's own replaced: names and facts in backticks, and numbers anywhere.
    #[must_use]
    pub fn general(&self, message: &str) -> String {
        let parts = message.split('`').enumerate().map(|(number, part)| {
            let is_quoted = number % 2 == 1;
            self.replaced(part, |fact| is_quoted || fact.bytes().all(|byte| byte.is_ascii_digit()))
        });
        parts.collect::<Vec<_>>().join("`")
    }

    fn replaced(&self, part: &str, is_looked_for: impl Fn(&str) -> bool) -> String {
        let mut text = part.to_owned();
        for fact in self.0.iter().filter(|fact| is_looked_for(fact)) {
            let found = memmem::find_iter(text.as_bytes(), fact.as_str());
            let found: Vec<_> = found.filter(|at| is_whole(&text, *at, at + fact.len())).collect();
            for at in found.into_iter().rev() {
                text.replace_range(at..at + fact.len(), OWN);
            }
        }
        text
    }
}

/// Returns whether a part of a text is a word of its own: `eu-1` in `eu-1-web`, and not in `eu-12`.
fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let is_digit = |c: char| c.is_ascii_digit();
    let (before, own, after) = (&text[..start], &text[start..end], &text[end..]);
    // An address goes on behind a dot.
    let goes_on =
        own.ends_with(is_digit) && after.strip_prefix('.').is_some_and(|rest| rest.starts_with(is_digit));
    !before.ends_with(is_word) && !after.starts_with(is_word) && !goes_on
}

/// Finds the texts and numbers of facts, of very many only the first.
fn collect(fact: &Json, found: &mut BTreeSet<String>) {
    if found.len() > MOST {
        return;
    }
    match fact {
        Json::Object(entries) => entries.values().for_each(|fact| collect(fact, found)),
        Json::Array(items) => items.iter().for_each(|fact| collect(fact, found)),
        Json::String(text) if text.len() <= LONGEST => drop(found.insert(text.clone())),
        Json::Number(number) => drop(found.insert(number.to_string())),
        Json::String(_) | Json::Bool(_) | Json::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_facts_are_the_clusters_own_as_whole_words_in_backticks() {
        let facts = ["eu-1", "10.0.0.1", "10.0.0.0-10.0.0.9", "a", "3"].map(str::to_owned);
        let own = OwnFacts::new(facts.into());
        for (message, general) in [
            ("`10.0.0.1` lies outside `10.0.0.0-10.0.0.9`", "`…` lies outside `…`"),
            ("`http://10.0.0.1:80/` of `eu-1-web`", "`http://…:80/` of `…-web`"),
            (
                "`eu-12`, `10.0.0.10`, `110.0.0.1`, `10.0.0.1.1`",
                "`eu-12`, `10.0.0.10`, `110.0.0.1`, `10.0.0.1.1`",
            ),
            ("`replicas` is a list of 3, not eu-1", "`replicas` is a list of …, not eu-1"),
        ] {
            assert_eq!(own.general(message), general);
        }
    }

    #[test]
    fn of_a_cluster_without_facts_the_line_is_known() {
        let name = ClusterName::parse("eu-1").unwrap();
        let own = OwnFacts::named(&name, "{pool: \"10.0.0.300\"}");
        assert_eq!(own.general("`10.0.0.300` of `eu-1` is no address"), "`…` of `…` is no address");
    }
}
