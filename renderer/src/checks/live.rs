//! Checks on live clusters must be askable: each fact that they name exists, and each signal is answered by some add-on.

use std::collections::BTreeSet;

use crate::catalog::{Addon, Catalog, LiveFacts};
use crate::inventory::{Inventory, key};
use crate::key_path::Step;
use crate::plural::quoted;
use crate::problem::{Problem, did_you_mean, hint_at_near};

pub(super) fn live_checks_can_be_asked(inventory: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    let asking = catalog.addons.values().filter(|addon| !addon.facts.verify.is_empty());
    let of_checks = asking.flat_map(|addon| {
        let twice = named_twice(addon);
        let signals = unanswered(addon, catalog);
        signals.into_iter().chain(twice).chain(unfilled(addon, inventory))
    });
    of_checks.chain(catalog.addons.values().flat_map(|addon| undescribed(addon))).collect()
}

/// The same problem on many clusters is one.
fn unfilled(addon: &Addon, inventory: &Inventory) -> Vec<Problem> {
    let on = inventory.clusters.values().filter(|cluster| addon.is_on(cluster));
    let all = on.filter_map(|cluster| {
        let hub = inventory.hub_of(cluster)?;
        addon.live_checks(&LiveFacts { cluster, hub, fleet: &inventory.fleet, addon }).err()
    });
    let mut seen = BTreeSet::new();
    all.flatten().filter(|problem| seen.insert(problem.place.clone())).collect()
}

/// A signal that nothing answers is not asked about, as in a fleet without metrics. One that is nearly called as another that
/// is answered is more likely a slip.
fn unanswered(addon: &Addon, catalog: &Catalog) -> Vec<Problem> {
    let answered: BTreeSet<&str> =
        catalog.addons.values().flat_map(|addon| addon.facts.answers.keys()).map(String::as_str).collect();
    let checks = addon.facts.verify.iter().enumerate();
    let signals = checks.flat_map(|(index, check)| {
        let signals = check.signals().into_iter();
        signals.map(move |(signal, at)| (signal, [vec![key("verify"), Step::Index(index)], at].concat()))
    });
    let unknown = signals.filter(|(signal, _)| !answered.contains(signal));
    let problems = unknown.filter_map(|(signal, at)| {
        let near = did_you_mean(signal, answered.iter().copied())?;
        let problem =
            Problem::at(addon.origin.place(&at), format!("no add-on answers queries about `{signal}`"));
        Some(problem.hint(format!("did you mean `{near}`?")))
    });
    problems.collect()
}

fn named_twice(addon: &Addon) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let twice = addon.facts.verify.iter().enumerate().filter(|(_, check)| !seen.insert(check.name.as_str()));
    let problem = |(index, check): (usize, &crate::catalog::LiveCheck)| {
        let place = addon.origin.place(&[key("verify"), Step::Index(index), key("name")]);
        Problem::at(place, format!("two checks are called `{}`", check.name))
            .hint("give each a name of its own")
    };
    twice.map(problem).collect()
}

/// The Service that answers has to be one that is described, or it would be asked at a name that nothing has.
fn undescribed(addon: &Addon) -> impl Iterator<Item = Problem> {
    let described = addon.facts.provides.services.as_ref();
    let unknown = addon.facts.answers.iter().filter(move |(_, answers)| {
        described.is_some_and(|services| services.iter().all(|service| service.name != answers.service))
    });
    unknown.map(move |(signal, answers)| {
        let names = || described.into_iter().flatten().map(|service| service.name.as_str());
        let hint =
            hint_at_near(&answers.service, names(), || format!("these are described: {}", quoted(names())));
        let place = addon.origin.place(&[key("answers"), key(signal), key("service")]);
        Problem::at(place, format!("`provides.services` has no `{}`", answers.service)).hint(hint)
    })
}
