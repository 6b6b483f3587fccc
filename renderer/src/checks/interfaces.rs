//! What an `addon.yaml` says of its chart must be true of it: values that the locked chart takes, and readers that exist.

use crate::catalog::{Addon, Catalog, ValuePath};
use crate::charts::{Misfit, judge};
use crate::inventory::{Fact, Inventory};
use crate::key_path::{Step, key};
use crate::problem::{Problem, did_you_mean};
use crate::yaml::Value;

use super::documents::keys;
use super::readers;

/// Where `addon.yaml` describes what the chart does.
const SECTIONS: [&str; 3] = ["provides", "receives", "sends"];
/// The keys below it that hold the path of a value.
const PATH_KEYS: [&str; 11] = [
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

pub(super) fn descriptions_fit(_: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    let problems = catalog.addons.values().flat_map(|addon| {
        let mut problems = unknown_values(addon);
        problems.extend(unknown_readers(addon));
        problems
    });
    problems.collect()
}

/// A value of the chart that no lock has would never be read, and what it decides never be judged.
fn unknown_values(addon: &Addon) -> Vec<Problem> {
    let Some(locked) = &addon.locked else { return Vec::new() };
    let mut problems = Vec::new();
    for Named { at, values, is_of_item } in named_values(addon) {
        // A list that the chart does not have is reported where it is named, and not for what is named of its items.
        let is_reported = |misfit: &Misfit| {
            !keys::is_free(addon, misfit) && (!is_of_item || misfit.path.contains(&Step::Index(0)))
        };
        let misfits = judge(&values, &locked.values).into_iter().filter(is_reported);
        problems.extend(misfits.take(1).map(|misfit| {
            let finding = keys::finding(addon, &misfit, &values);
            Problem { hint: finding.hint, ..Problem::at(addon.origin.place(&at), finding.message) }
        }));
    }
    problems
}

/// A value that `addon.yaml` names.
struct Named {
    /// Where.
    at: Vec<Step>,
    /// Values that hold nothing else.
    values: Value,
    /// Whether it lies in each item of a list or map that is named beside it.
    is_of_item: bool,
}

fn named_values(addon: &Addon) -> Vec<Named> {
    let path = |fact: &Fact| Some(ValuePath::from(fact.to_json().as_str()?.to_owned()));
    let all = addon.origin.all().into_iter();
    let named = all.filter_map(|(at, fact)| {
        let [Step::Key(section), .., Step::Key(name)] = at.as_slice() else { return None };
        if !SECTIONS.contains(&section.as_str()) || !PATH_KEYS.contains(&name.as_str()) {
            return None;
        }
        let holding = path(fact)?.holding(Value::Null);
        let each = addon.origin.at(&at[..at.len() - 1])?.at(&[key("each")]).filter(|_| name != "each");
        let (values, is_of_item) = match each {
            Some(each) => (path(each)?.holding(Value::List(vec![holding])), true),
            None => (holding, false),
        };
        Some(Named { at, values, is_of_item })
    });
    named.collect()
}

fn unknown_readers(addon: &Addon) -> Vec<Problem> {
    let facts = &addon.facts;
    let receives = facts.receives.iter().map(|(signal, it)| (["receives", signal, "reader"], &it.reader));
    let sends = facts.sends.iter().map(|(signal, it)| (["sends", signal, "reader"], &it.reader));
    let of_signals =
        receives.chain(sends).map(|(at, reader)| (at.map(key).to_vec(), reader, readers::names()));
    let signals =
        of_signals.filter_map(|(at, reader, known)| unknown_reader(addon, &at, reader.as_deref()?, known));
    let mesh =
        facts.mesh.as_deref().and_then(|it| unknown_reader(addon, &[key("mesh")], it, readers::mesh_names()));
    signals.chain(mesh).collect()
}

fn unknown_reader(
    addon: &Addon,
    at: &[Step],
    reader: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<Problem> {
    let known: Vec<_> = known.collect();
    if known.contains(&reader) {
        return None;
    }
    let hint = match did_you_mean(reader, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known readers: `{}`; where none fits, describe `targets`", known.join("`, `")),
    };
    Some(Problem::at(addon.origin.place(at), format!("there is no reader `{reader}`")).hint(hint))
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
