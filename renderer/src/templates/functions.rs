//! The functions that a template may call in an expression: values in, a value out.
//!
//! What is given here is there: a path that leads nowhere is refused before.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::Value as Json;

use crate::network::{self, Address, AddressRange, Family};
use crate::plural::counted;
use crate::problem::did_you_mean;
use crate::yaml::Number;

use super::refusal::Refusal;

/// A function that people may call.
#[derive(Debug)]
pub(super) struct Function {
    pub name: &'static str,
    /// How many arguments it takes.
    pub arguments: RangeInclusive<usize>,
    /// A call of it.
    pub example: &'static str,
    /// Calls it with as many arguments as it takes.
    pub call: fn(&[&Json]) -> Result<Json, Refusal>,
}

/// The function that returns the text of a file, which takes the place of its name before it is called.
pub(super) const FILE: &str = "file";
/// The function whose first argument may lead nowhere.
pub(super) const DEFAULT: &str = "default";

/// All functions, by their names.
#[rustfmt::skip]
pub(super) static FUNCTIONS: [Function; 16] = [
    Function { name: "and", arguments: 2..=usize::MAX, example: "(and a b)",
        call: |all| Ok(all.iter().all(|value| is_truthy(value)).into()) },
    Function { name: DEFAULT, arguments: 2..=2, example: "(default cluster.labels.zone \"a\")",
        call: |it| Ok(Json::clone(if it[0].is_null() { it[1] } else { it[0] })) },
    Function { name: "eq", arguments: 2..=2, example: "(eq cluster.role \"app\")",
        call: |it| Ok(is_equal(it[0], it[1]).into()) },
    Function { name: "family", arguments: 1..=1, example: "(family cluster.addresses.grafana)",
        call: |it| family(it[0]) },
    Function { name: FILE, arguments: 1..=1, example: "(file \"dashboards/a.json\")",
        call: |it| Ok(it[0].clone()) },
    Function { name: "host", arguments: 1..=1, example: "(host cluster.addresses.grafana)",
        call: |it| host(it[0]) },
    Function { name: "join", arguments: 2..=2, example: "(join list \",\")", call: |it| join(it[0], it[1]) },
    Function { name: "len", arguments: 1..=1, example: "(len list)", call: |it| len(it[0]) },
    Function { name: "list", arguments: 1..=1, example: "(list cluster.loadBalancer.pool)",
        call: |it| Ok(if it[0].is_array() { it[0].clone() } else { vec![it[0].clone()].into() }) },
    Function { name: "lookup", arguments: 2..=2, example: "(lookup map \"key\")",
        call: |it| lookup(it[0], it[1]) },
    Function { name: "ne", arguments: 2..=2, example: "(ne cluster.role \"app\")",
        call: |it| Ok((!is_equal(it[0], it[1])).into()) },
    Function { name: "not", arguments: 1..=1, example: "(not a)", call: |it| Ok((!is_truthy(it[0])).into()) },
    Function { name: "or", arguments: 2..=usize::MAX, example: "(or a b)",
        call: |all| Ok(all.iter().any(|value| is_truthy(value)).into()) },
    Function { name: "outside", arguments: 2..=2, example: "(outside cluster.loadBalancer.pool cluster.addresses)",
        call: |it| outside(it[0], it[1]) },
    Function { name: "pluck", arguments: 2..=2, example: "(pluck addons \"namespace\")",
        call: |it| pluck(it[0], it[1]) },
    Function { name: "where", arguments: 3..=3, example: "(where addons \"name\" \"store\")",
        call: |it| matching(it[0], it[1], it[2]) },
];

/// Returns the function of a name.
pub(super) fn named(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Compares values; numbers by what they are and not by how they are spelled, so that `1` equals `1.0`.
fn is_equal(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(a), Json::Number(b)) => {
            a == b || ((a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64())
        }
        _ => left == right,
    }
}

fn len(value: &Json) -> Result<Json, Refusal> {
    match value {
        Json::Array(items) => Ok(items.len().into()),
        Json::Object(map) => Ok(map.len().into()),
        other => Err(needs("`len` needs a list or a map", other)),
    }
}

/// Returns an address as it is written in a URL and before a port.
fn host(value: &Json) -> Result<Json, Refusal> {
    match value {
        Json::String(text) => Ok(network::bracketed(text).into()),
        other => Err(needs("`host` needs an address or a name", other)),
    }
}

/// Returns the family of an address, a network or a range.
fn family(value: &Json) -> Result<Json, Refusal> {
    let text = value.as_str();
    let family = text.and_then(Family::of_text).map(|family| family.as_str().into());
    family.ok_or_else(|| {
        let given = text.map_or_else(|| kind_of(value).to_owned(), |text| format!("`{text}`"));
        Refusal::new(format!("`family` needs an address or a network, not {given}"))
            .hint("where there may be several, look at one: `(family (lookup (list networks) 0))`")
    })
}

fn join(list: &Json, separator: &Json) -> Result<Json, Refusal> {
    const HINT: &str = "write `(join list \",\")`";
    let Json::Array(items) = list else {
        return Err(needs("`join` needs a list", list).hint(HINT));
    };
    let Json::String(separator) = separator else {
        return Err(needs("`join` needs a string between the items", separator).hint(HINT));
    };
    let text = |item| {
        scalar_text(item).ok_or_else(|| {
            Refusal::new(format!(
                "`join` needs a list of strings, numbers or booleans, and {} is in it",
                kind_of(item)
            ))
        })
    };
    let texts: Vec<_> = items.iter().map(text).collect::<Result<_, _>>()?;
    Ok(texts.join(separator).into())
}

fn lookup(container: &Json, key: &Json) -> Result<Json, Refusal> {
    let found = match (container, key) {
        (Json::Object(map), Json::String(key)) => map.get(key),
        (Json::Array(items), Json::Number(index)) => {
            index.as_u64().and_then(|index| items.get(usize::try_from(index).ok()?))
        }
        (Json::Object(_), key) => return Err(needs("`lookup` in a map needs a string", key)),
        (Json::Array(_), key) => return Err(needs("`lookup` in a list needs a number", key)),
        (other, _) => return Err(needs("`lookup` needs a map or a list", other)),
    };
    found.cloned().ok_or_else(|| not_found("lookup", container, key))
}

/// Returns the items of a list that have a value under a key.
fn matching(list: &Json, key: &Json, wanted: &Json) -> Result<Json, Refusal> {
    let mut found = Vec::new();
    for (item, value) in under("where", list, key)? {
        if is_equal(value, wanted) {
            found.push(item.clone());
        }
    }
    Ok(found.into())
}

/// Returns what is left of ranges without some addresses. A range that has none of them stays as it is written.
fn outside(ranges: &Json, addresses: &Json) -> Result<Json, Refusal> {
    let ranges = parsed::<AddressRange>(ranges, "`outside` needs ranges of addresses first")?;
    let addresses = parsed::<Address>(addresses, "`outside` needs addresses to leave out")?;
    let mut left: Vec<Json> = Vec::new();
    for range in ranges {
        match range.span().without(addresses.iter().map(|address| address.ip())) {
            Some(spans) => left.extend(spans.iter().map(|span| Json::from(span.to_string()))),
            None => left.push(range.to_string().into()),
        }
    }
    Ok(left.into())
}

/// Reads a text, or each text in a list or a map.
fn parsed<T: FromStr>(value: &Json, needed: &str) -> Result<Vec<T>, Refusal> {
    let items: Vec<&Json> = match value {
        Json::Array(items) => items.iter().collect(),
        Json::Object(map) => map.values().collect(),
        one => vec![one],
    };
    let read = |item: &Json| {
        let text = item.as_str();
        let given = || text.map_or_else(|| kind_of(item).to_owned(), |text| format!("`{text}`"));
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| Refusal::new(format!("{needed}, not {}", given())))
    };
    items.into_iter().map(read).collect()
}

/// Returns what each item of a list has under a key: each value once, in the order of the list, and no null.
fn pluck(list: &Json, key: &Json) -> Result<Json, Refusal> {
    let mut values: Vec<Json> = Vec::new();
    for (_, value) in under("pluck", list, key)? {
        if !value.is_null() && !values.contains(value) {
            values.push(value.clone());
        }
    }
    Ok(values.into())
}

/// Returns each item of a list with what it has under a key, which each must have.
fn under<'v>(function: &str, list: &'v Json, key: &Json) -> Result<Vec<(&'v Json, &'v Json)>, Refusal> {
    let (Json::Array(items), Json::String(name)) = (list, key) else {
        let given = format!("{} and {}", kind_of(list), kind_of(key));
        let example = named(function).map_or("", |function| function.example);
        return Err(Refusal::new(format!("`{function}` needs a list and a string, not {given}"))
            .hint(format!("write `{example}`")));
    };
    let value = |item: &'v Json| Ok((item, item.get(name).ok_or_else(|| not_found(function, item, key))?));
    items.iter().map(value).collect()
}

/// Refuses a value that is not what a function needs.
fn needs(what: &str, given: &Json) -> Refusal {
    Refusal::new(format!("{what}, not {}", kind_of(given)))
}

fn not_found(function: &str, container: &Json, key: &Json) -> Refusal {
    let key = scalar_text(key).unwrap_or_default();
    let known = container.as_object().into_iter().flat_map(|map| map.keys().map(String::as_str));
    let refusal = Refusal::new(format!("`{function}` finds no `{key}`"));
    match (did_you_mean(&key, known), container.as_array()) {
        (Some(near), _) => refusal.hint(format!("did you mean `{near}`?")),
        (None, Some(items)) => {
            refusal.hint(format!("the list has {}, and the first is number 0", counted(items.len(), "item")))
        }
        (None, None) => refusal.hint("write `(default path value)` where it may be absent"),
    }
}

/// Returns whether a condition holds: not for `false`, `null`, `0`, the empty string, list and map.
pub(super) fn is_truthy(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(flag) => *flag,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(map) => !map.is_empty(),
    }
}

/// Returns the text of a scalar as it reads inside a longer string, spelled as it is on its own; nothing for
/// `null`, a list or a map.
pub(super) fn scalar_text(value: &Json) -> Option<Cow<'_, str>> {
    match value {
        Json::Bool(flag) => Some(if *flag { "true" } else { "false" }.into()),
        Json::Number(number) => Some(Number::from(number).as_str().to_owned().into()),
        Json::String(text) => Some(text.into()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// Returns how a message calls a value of this kind.
pub(super) fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn called(name: &str, arguments: &[Json]) -> Result<Json, String> {
        let call = named(name).unwrap().call;
        call(&arguments.iter().collect::<Vec<_>>()).map_err(|refusal| refusal.message)
    }

    #[test]
    fn each_function_computes_a_typed_value() {
        for (name, arguments, value) in [
            ("and", json!([1, "a", true]), json!(true)),
            ("and", json!([1, ""]), json!(false)),
            ("or", json!([0, [], {}, null]), json!(false)),
            ("or", json!([0, [0]]), json!(true)),
            ("not", json!([{}]), json!(true)),
            ("eq", json!([1, 1.0]), json!(true)),
            ("eq", json!([1, "1"]), json!(false)),
            ("eq", json!([u64::MAX, u64::MAX - 1]), json!(false)),
            ("ne", json!(["a", "b"]), json!(true)),
            ("default", json!([null, [1]]), json!([1])),
            ("default", json!([false, 1]), json!(false)),
            ("len", json!([{"a": 1, "b": 2}]), json!(2)),
            ("join", json!([["a", 1, true], ", "]), json!("a, 1, true")),
            ("list", json!(["a"]), json!(["a"])),
            ("list", json!([["a", "b"]]), json!(["a", "b"])),
            ("host", json!(["192.168.64.1"]), json!("192.168.64.1")),
            ("host", json!(["fd00::1"]), json!("[fd00::1]")),
            ("host", json!(["[fd00::1]"]), json!("[fd00::1]")),
            ("host", json!(["db.internal"]), json!("db.internal")),
            ("family", json!(["192.168.64.0/24"]), json!("IPv4")),
            ("family", json!(["fd00::1-fd00::9"]), json!("IPv6")),
            ("lookup", json!([{"a": {"b": 1}}, "a"]), json!({"b": 1})),
            ("lookup", json!([[10, 20], 1]), json!(20)),
            ("pluck", json!([[{"a": 2}, {"a": 1}, {"a": 2, "b": 3}], "a"]), json!([2, 1])),
            ("pluck", json!([[], "a"]), json!([])),
            (
                "outside",
                json!(["10.0.0.1-10.0.0.9", ["10.0.0.2", "10.1.0.1"]]),
                json!(["10.0.0.1-10.0.0.1", "10.0.0.3-10.0.0.9"]),
            ),
            (
                "outside",
                json!([["10.0.0.0/30", "fd00::/126"], {"a": "fd00::", "b": "fd00::3"}]),
                json!(["10.0.0.0/30", "fd00::1-fd00::2"]),
            ),
            ("outside", json!(["10.0.0.1-10.0.0.2", ["10.0.0.2", "10.0.0.1", "10.0.0.1"]]), json!([])),
            (
                "outside",
                json!(["255.255.255.254-255.255.255.255", "255.255.255.255"]),
                json!(["255.255.255.254-255.255.255.254"]),
            ),
            ("where", json!([[{"a": 1}, {"a": 2, "b": 3}], "a", 2]), json!([{"a": 2, "b": 3}])),
            ("where", json!([[{"a": 1}], "a", "1"]), json!([])),
        ] {
            assert_eq!(called(name, arguments.as_array().unwrap()), Ok(value), "{name} {arguments}");
        }
    }

    #[test]
    fn a_call_that_makes_no_sense_says_what_is_needed() {
        for (name, arguments, message) in [
            ("len", json!(["a"]), "`len` needs a list or a map, not a string"),
            ("join", json!(["a", ","]), "`join` needs a list, not a string"),
            ("join", json!([[], 1]), "`join` needs a string between the items, not a number"),
            (
                "join",
                json!([[null], ","]),
                "`join` needs a list of strings, numbers or booleans, and null is in it",
            ),
            ("lookup", json!([{}, 1]), "`lookup` in a map needs a string, not a number"),
            ("lookup", json!([[], "a"]), "`lookup` in a list needs a number, not a string"),
            ("lookup", json!([1, 1]), "`lookup` needs a map or a list, not a number"),
            ("lookup", json!([[1], 1]), "`lookup` finds no `1`"),
            ("lookup", json!([[1], -1]), "`lookup` finds no `-1`"),
            ("pluck", json!([{"a": 1}, "a"]), "`pluck` needs a list and a string, not a map and a string"),
            ("pluck", json!([[{"a": 1}, {"b": 1}], "a"]), "`pluck` finds no `a`"),
            ("host", json!([80]), "`host` needs an address or a name, not a number"),
            ("family", json!(["db.internal"]), "`family` needs an address or a network, not `db.internal`"),
            ("family", json!([["fd00::1"]]), "`family` needs an address or a network, not a list"),
            ("outside", json!(["10.0.0.1", []]), "`outside` needs ranges of addresses first, not `10.0.0.1`"),
            ("outside", json!(["10.0.0.0/8", [1]]), "`outside` needs addresses to leave out, not a number"),
            ("where", json!([[], 1, 1]), "`where` needs a list and a string, not a list and a number"),
        ] {
            assert_eq!(called(name, arguments.as_array().unwrap()), Err(message.to_owned()));
        }
    }

    #[test]
    fn every_function_has_its_number_of_arguments() {
        for Function { name, arguments, example, .. } in &FUNCTIONS {
            assert!(example.starts_with(&format!("({name} ")), "{name}");
            // It is called with as many, whatever comes of it.
            let _ = called(name, &vec![json!({}); *arguments.start()]);
        }
        assert!(FUNCTIONS.is_sorted_by_key(|function| function.name));
    }
}
