//! Checks which partials call which, since handlebars follows a cycle until the stack overflows.
//!
//! Knows names and depths, and nothing of what a partial contains.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::problem::{Fault, Position, hint_at_near};

use super::syntax::MAX_NESTING;

/// A call of a partial.
#[derive(Clone, Debug)]
pub(super) struct PartialCall {
    pub name: String,
    pub position: Position,
    /// How many blocks stand around the call.
    pub level: usize,
}

/// All calls of partials, by the name of the template or partial that makes them.
#[derive(Debug)]
pub(super) struct PartialCalls<'a> {
    pub partials: BTreeSet<&'a str>,
    pub calls: BTreeMap<&'a str, &'a [PartialCall]>,
}

impl PartialCalls<'_> {
    /// Returns what is wrong with the calls that `from` makes.
    pub(super) fn check(&self, from: &str) -> Vec<Fault> {
        self.made_by(from).filter_map(|call| self.fault(from, call)).collect()
    }

    fn made_by(&self, name: &str) -> impl Iterator<Item = &PartialCall> {
        self.calls.get(name).copied().into_iter().flatten()
    }

    fn fault(&self, from: &str, call: &PartialCall) -> Option<Fault> {
        if !self.partials.contains(call.name.as_str()) {
            let known = self.partials.iter().copied();
            let create = || format!("create `templates/_partials/{}.hbs`", call.name);
            let fault = Fault::new(call.position, format!("unknown partial `{}`", call.name));
            return Some(fault.hint(hint_at_near(&call.name, known, create)));
        }
        if let Some(path) = self.way_back(from, &call.name) {
            // A cycle has no beginning: it is reported once, where the first name of it makes its call.
            if path.iter().any(|name| *name < from) {
                return None;
            }
            let path = path.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" → ");
            let message = format!("partial `{from}` includes itself: {path}");
            return Some(Fault::new(call.position, message).hint("break the cycle"));
        }
        let depth = call.level + 1 + self.depth(&call.name, MAX_NESTING);
        (depth > MAX_NESTING).then(|| {
            let message = format!("more than {MAX_NESTING} blocks and partials inside each other");
            Fault::new(call.position, message).hint("call fewer partials from partials")
        })
    }

    /// Returns the shortest chain of calls from `first` to `target`, both named.
    fn way_back<'s>(&'s self, target: &'s str, first: &'s str) -> Option<Vec<&'s str>> {
        let mut callers: BTreeMap<&str, Option<&str>> = BTreeMap::from([(first, None)]);
        let mut queue = VecDeque::from([first]);
        while let Some(name) = queue.pop_front() {
            if name == target {
                let mut path: Vec<_> =
                    std::iter::successors(Some(name), |name| callers.get(name).copied().flatten()).collect();
                path.reverse();
                return Some(path);
            }
            for call in self.made_by(name) {
                if !callers.contains_key(call.name.as_str()) {
                    callers.insert(&call.name, Some(name));
                    queue.push_back(&call.name);
                }
            }
        }
        None
    }

    /// Returns how many blocks and partials stand inside each other below `name`, or a little more than `limit`.
    ///
    /// Nothing below a cycle is counted: the cycle is reported where it is.
    fn depth(&self, name: &str, limit: usize) -> usize {
        let mut deepest = 0;
        let mut reached = BTreeMap::from([(name, 0)]);
        // Each round goes one call further from `name`: without a cycle, no more rounds than there are partials.
        for _ in 0..=self.partials.len() {
            if reached.is_empty() || deepest > limit {
                return deepest;
            }
            let mut next = BTreeMap::new();
            for (name, depth) in reached {
                for call in self.made_by(name) {
                    let below = depth + call.level + 1;
                    deepest = deepest.max(below);
                    let entry = next.entry(call.name.as_str()).or_insert(below);
                    *entry = below.max(*entry);
                }
            }
            reached = next;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(made: &[(&'static str, &[&str])]) -> PartialCalls<'static> {
        let call =
            |name: &&str| PartialCall { name: (*name).to_owned(), position: Position::START, level: 0 };
        PartialCalls {
            partials: made.iter().map(|(name, _)| *name).collect(),
            calls: made
                .iter()
                .map(|(name, called)| (*name, &*called.iter().map(call).collect::<Vec<_>>().leak()))
                .collect(),
        }
    }

    fn messages(calls: &PartialCalls<'_>, from: &str) -> Vec<String> {
        calls.check(from).into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn partials_may_share_partials() {
        let calls = calls(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])]);
        assert!(["a", "b", "c", "d"].iter().all(|name| calls.check(name).is_empty()));
    }

    #[test]
    fn a_cycle_is_told_once_at_a_call_that_is_part_of_it() {
        let calls = calls(&[("a", &["b"]), ("b", &["c", "d"]), ("c", &["b"]), ("d", &[])]);
        assert_eq!(messages(&calls, "b"), ["partial `b` includes itself: `c` → `b`"]);
        assert_eq!(messages(&calls, "c"), Vec::<String>::new());
        assert_eq!(messages(&calls, "d"), Vec::<String>::new());
    }

    #[test]
    fn partials_that_call_all_others_are_followed_in_no_time() {
        let names: Vec<&'static str> = ('a'..='z').map(|name| &*name.to_string().leak()).collect();
        let made: Vec<(&str, &[&str])> =
            names.iter().enumerate().map(|(at, name)| (*name, &names[at + 1..])).collect();
        assert!(calls(&made).check("a").is_empty());
    }

    #[test]
    fn a_chain_of_partials_has_an_end() {
        let names: Vec<&'static str> = (0..70).map(|at| &*format!("p{at}").leak()).collect();
        let made: Vec<(&str, &[&str])> = names
            .iter()
            .enumerate()
            .map(|(at, name)| (*name, names.get(at + 1..at + 2).unwrap_or(&[])))
            .collect();
        assert_eq!(messages(&calls(&made), "p0"), ["more than 64 blocks and partials inside each other"]);
        assert_eq!(messages(&calls(&made), "p10"), Vec::<String>::new());
    }
}
