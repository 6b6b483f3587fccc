//! What an `addon.yaml` says of its chart must be true of it: values that the locked chart takes, and readers
//! that exist.

use crate::catalog::{Addon, Catalog, ValuePath};
use crate::charts::ChartId;
use crate::checks::Finding;
use crate::inventory::{Fact, Inventory};
use crate::key_path::{self, Step, key};
use crate::plural::quoted;
use crate::problem::{Problem, hint_at_near};
use crate::yaml::Value;

use super::documents::keys;
use super::readers;

/// Where `addon.yaml` describes what the chart does.
const SECTIONS: [&str; 4] = ["answers", "provides", "receives", "sends"];
/// The keys below it that hold the path of a value.
const PATH_KEYS: [&str; 12] = [
    "certificate",
    "clusterLabel",
    "each",
    "keysOf",
    "listen",
    "pathPrefix",
    "service",
    "subchart",
    "tenant",
    "type",
    "url",
    "value",
];
/// Those of them that name something else where an add-on answers queries.
const NAMED: [&str; 2] = ["service", "tenant"];

pub(super) fn descriptions_fit(_: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    let addons = catalog.addons.values();
    addons.flat_map(|addon| unknown_values(addon).chain(unknown_readers(addon))).collect()
}

/// A value of the chart that no lock has would never be read, and what it decides never be judged.
fn unknown_values(addon: &Addon) -> impl Iterator<Item = Problem> {
    let path = |fact: &Fact| Some(ValuePath::from(fact.to_json().as_str()?.to_owned()));
    addon.origin.all().into_iter().filter_map(move |(at, fact)| {
        let [Step::Key(section), .., Step::Key(name)] = at.as_slice() else { return None };
        let is_of_values = !(section == "answers" && NAMED.contains(&name.as_str()));
        if !SECTIONS.contains(&section.as_str()) || !PATH_KEYS.contains(&name.as_str()) || !is_of_values {
            return None;
        }
        let value = path(fact)?.holding(Value::Null);
        // The list or map that is named beside it, in each item of which it lies.
        let each = addon.origin.at(&at[..at.len() - 1])?.at(&[key("each")]).filter(|_| name != "each");
        let values = match each {
            Some(each) => path(each)?.holding(Value::List(vec![value])),
            None => value,
        };
        // A list that the chart does not have is reported where it is named, and not for what is named of its items.
        let is_reported = |misfit: &Finding| each.is_none() || misfit.path.contains(&Step::Index(0));
        // What one version takes is no slip where another one does not: clusters move from one to the other in turn.
        let of_version = |chart: &ChartId| keys::misfits(addon, chart, &values).into_iter().find(is_reported);
        let misfits = addon.locked.keys().map(of_version).collect::<Option<Vec<_>>>()?;
        let misfit = misfits.into_iter().last()?;
        Some(Problem { hint: misfit.hint, ..Problem::at(addon.origin.place(&at), misfit.message) })
    })
}

fn unknown_readers(addon: &Addon) -> impl Iterator<Item = Problem> {
    let facts = &addon.facts;
    let receives = facts.receives.iter().map(|(signal, it)| (vec!["receives", signal, "reader"], &it.reader));
    let sends = facts.sends.iter().map(|(signal, it)| (vec!["sends", signal, "reader"], &it.reader));
    let of_signals = receives.chain(sends).map(|(at, reader)| (at, reader, readers::names()));
    let all = of_signals.chain([(vec!["mesh"], &facts.mesh, readers::MESH_READERS.to_vec())]);
    all.filter_map(|(at, reader, known)| {
        let reader = reader.as_deref().filter(|reader| !known.contains(reader))?;
        let other = || format!("known readers: {}; where none fits, describe `targets`", quoted(&known));
        let hint = hint_at_near(reader, known.iter().copied(), other);
        let place = addon.origin.place(&key_path::keys(&at));
        Some(Problem::at(place, format!("there is no reader `{reader}`")).hint(hint))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value as Json;

    use super::*;
    use crate::catalog::addon_schema;

    fn paths_in(schema: &Json, found: &mut BTreeSet<String>) {
        for (name, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            if property.get("format").and_then(Json::as_str) == Some(ValuePath::FORMAT) {
                found.insert(name.clone());
            }
        }
        match schema {
            Json::Object(entries) => entries.values().for_each(|value| paths_in(value, found)),
            Json::Array(items) => items.iter().for_each(|item| paths_in(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_path_of_a_value_is_held_against_the_chart() {
        let mut found = BTreeSet::new();
        paths_in(&addon_schema(), &mut found);
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), PATH_KEYS);
    }
}
