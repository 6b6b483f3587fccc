//! Every rendered value must be one that its chart reads: most charts drop a misspelt key without a word.

use crate::catalog::{Addon, Catalog};
use crate::charts::{self, Misfit, MisfitKind, Types};
use crate::inventory::Inventory;
use crate::key_path::{is_at_or_below, key, text_of};
use crate::problem::Problem;
use crate::yaml::{self, Value};

use super::super::document::Document;
use super::super::finding::{Finding, Part};

/// How many known keys a hint lists.
const MAX_LISTED: usize = 12;

/// A lock that is there must cover every add-on. Without one, no keys are judged.
pub(in super::super) fn charts_are_locked(_: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    if catalog.lock.is_none() {
        return Vec::new();
    }
    let unlocked = catalog.addons.values().filter(|addon| addon.locked.is_none());
    unlocked.map(|addon| not_locked(addon)).collect()
}

/// Returns the problem of an add-on whose chart is not in the lock.
#[must_use]
pub fn not_locked(addon: &Addon) -> Problem {
    let chart = &addon.facts.chart;
    let place = addon.origin.place(&[key("chart"), key("version")]);
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
    let Some(locked) = &addon.locked else { return Vec::new() };
    let misfits = charts::judge(values, &locked.values);
    let misfits = misfits.into_iter().filter(|misfit| !is_free(addon, misfit));
    misfits.map(|misfit| finding(addon, &misfit, values)).collect()
}

/// Returns whether the add-on says that any key may stand there.
pub(in super::super) fn is_free(addon: &Addon, misfit: &Misfit) -> bool {
    addon.facts.free_form.iter().any(|place| is_at_or_below(&misfit.path, place))
}

pub(in super::super) fn finding(addon: &Addon, misfit: &Misfit, values: &Value) -> Finding {
    let chart = format!("chart `{}` {}", addon.facts.chart.name, addon.facts.chart.version);
    let path = text_of(&misfit.path);
    match &misfit.kind {
        MisfitKind::UnknownKey { is_refused, near, known } => {
            let says = if *is_refused { "refuses this key" } else { "has no such key" };
            let message = format!("unknown key `{path}`: {chart} {says}");
            let hint = match near {
                Some(near) => format!("did you mean `{}`?", text_of(near)),
                None => key_hint(known, *is_refused, addon),
            };
            Finding::new(&misfit.path, message).hint(hint).on(Part::Key)
        }
        MisfitKind::WrongType { wanted } => {
            let given = values.at(&misfit.path).unwrap_or(&Value::Null);
            let message =
                format!("`{path}` must be {}, not {}: {chart}", in_words(*wanted), in_words(given.into()));
            let found = Finding::new(&misfit.path, message);
            match type_hint(*wanted, given) {
                Some(hint) => found.hint(hint),
                None => found,
            }
        }
        MisfitKind::DoubledRegistry => {
            let message = format!("`{path}` names a registry, and {chart} writes `registry` before it");
            Finding::new(&misfit.path, message)
                .hint("leave the registry out of `repository`, and set `registry` beside it if it differs")
        }
    }
}

fn key_hint(known: &[String], is_refused: bool, addon: &Addon) -> String {
    let first = if (1..=MAX_LISTED).contains(&known.len()) {
        let known: Vec<_> = known.iter().map(|key| format!("`{key}`")).collect();
        format!("known keys: {}", known.join(", "))
    } else {
        "leave it out".to_owned()
    };
    if is_refused {
        return first;
    }
    let file = addon.origin.place(&[]).file;
    format!("{first}; if the chart takes any key here, name the place under `freeForm` in `{file}`")
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
    let words: Vec<_> = words.iter().filter(|(one, _)| types.has(*one)).map(|(_, word)| *word).collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

fn type_hint(wanted: Types, given: &Value) -> Option<&'static str> {
    match given {
        Value::Bool(_) | Value::Number(_) if wanted.has(Types::TEXT) => Some("put the value in quotes"),
        Value::Map(_) if wanted == Types::TEXT => {
            Some("write it as text: `|` after the key, and the lines below")
        }
        Value::String(text) => {
            let unquoted = yaml::interpret_plain(text).ok()?;
            (!matches!(unquoted, Value::String(_)) && wanted.has(Types::from(&unquoted)))
                .then_some("write the value without quotes")
        }
        _ if wanted == Types::LIST => Some("start each item with `- `"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_said_as_a_person_would() {
        assert_eq!(in_words(Types::BOOL), "`true` or `false`");
        assert_eq!(in_words(Types::NUMBER.or(Types::TEXT)), "a number or text");
        assert_eq!(in_words(Types::ANY), "`true` or `false`, a number, text, a list or a map");
    }
}
