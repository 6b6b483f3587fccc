//! What differs between two renderings of the same call: Argo CD would write it anew at each refresh.

use std::collections::BTreeMap;

use crate::catalog::Addon;
use crate::inventory::Cluster;
use crate::key_path::{Step, key, text_of};
use crate::manifests::{Object, ObjectName};
use crate::path::ClusterName;
use crate::problem::{Place, Problem};
use crate::yaml::{Map, Value};

use super::functions::Unsteady;

/// The name of the check.
const CHECK: &str = "repeatable";
/// How many differences of one rendering are named.
const MAX_NAMED: usize = 20;
/// What stands in the place of a value that differs each time, and that an add-on accepts.
pub const EACH_TIME: &str = "(differs each time)";

/// A part of an object that differs between two renderings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The object.
    pub object: ObjectName,
    /// Where in it; all of it if the path is empty.
    pub path: Vec<Step>,
}

/// Returns what differs between two renderings of one call.
#[must_use]
pub fn differences(first: &[Object], second: &[Object]) -> Vec<Difference> {
    let by_name = |objects| -> BTreeMap<ObjectName, &Value> {
        let objects: &[Object] = objects;
        objects.iter().map(|object| (object.name.clone(), &object.value)).collect()
    };
    let (first, second) = (by_name(first), by_name(second));
    let mut found = Vec::new();
    for (name, one) in &first {
        match second.get(name) {
            Some(other) => compare(name, one, other, &mut Vec::new(), &mut found),
            None => found.push(Difference { object: name.clone(), path: Vec::new() }),
        }
    }
    let only_second = second.keys().filter(|name| !first.contains_key(*name));
    found.extend(only_second.map(|name| Difference { object: name.clone(), path: Vec::new() }));
    found
}

fn compare(name: &ObjectName, one: &Value, other: &Value, path: &mut Vec<Step>, found: &mut Vec<Difference>) {
    let mut below = |step: Step, one: &Value, other: &Value| {
        path.push(step);
        compare(name, one, other, path, found);
        path.pop();
    };
    match (one, other) {
        _ if one == other => {}
        (Value::Map(one), Value::Map(other)) if has_same_keys(one, other) => {
            for (name, one) in one.iter() {
                below(key(name), one, other.get(name).unwrap_or(&Value::Null));
            }
        }
        (Value::List(one), Value::List(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                below(Step::Index(index), one, other);
            }
        }
        _ => found.push(Difference { object: name.clone(), path: path.clone() }),
    }
}

fn has_same_keys(one: &Map, other: &Map) -> bool {
    one.len() == other.len() && one.iter().all(|(name, _)| other.get(name).is_some())
}

/// Parts the differences from those that an add-on accepts, and puts a constant text in the place of the latter.
pub fn steadied(
    objects: &mut [Object],
    differences: Vec<Difference>,
    addon: Option<&Addon>,
) -> Vec<Difference> {
    let is_accepted = |difference: &Difference| {
        let object = format!("{}/{}", difference.object.kind, difference.object.name);
        addon.is_some_and(|addon| addon.answers_object(CHECK, &object, &difference.path))
    };
    let (accepted, left): (Vec<_>, Vec<_>) = differences.into_iter().partition(is_accepted);
    for difference in accepted.iter().filter(|difference| !difference.path.is_empty()) {
        let same = objects.iter_mut().filter(|object| object.name == difference.object);
        same.for_each(|object| replace(&mut object.value, &difference.path));
    }
    left
}

fn replace(value: &mut Value, path: &[Step]) {
    let Some((step, rest)) = path.split_first() else {
        *value = Value::String(EACH_TIME.to_owned());
        return;
    };
    match (value, step) {
        (Value::List(items), Step::Index(index)) => {
            if let Some(item) = items.get_mut(*index) {
                replace(item, rest);
            }
        }
        (Value::Map(map), Step::Key(name)) => {
            let Some(mut entry) = map.get(name).cloned() else { return };
            replace(&mut entry, rest);
            map.insert(name.as_str(), entry);
        }
        _ => {}
    }
}

/// Returns where the version of an add-on's chart on a cluster is written.
#[must_use]
pub fn chart_place(addon: &Addon, cluster: &Cluster) -> Place {
    addon.version_place(cluster)
}

/// Returns a problem for what differs each time on a cluster, at the version of the add-on's chart.
#[must_use]
pub fn problems(
    differences: &[Difference],
    addon: &Addon,
    cluster: &Cluster,
    unsteady: &[Unsteady],
) -> Vec<Problem> {
    let place = chart_place(addon, cluster);
    let more = differences.len().saturating_sub(MAX_NAMED);
    let problem = |(index, difference): (usize, &Difference)| {
        let Difference { object, path } = difference;
        let what = if path.is_empty() { "all of it".to_owned() } else { format!("`{}`", text_of(path)) };
        let message = format!(
            "each rendering gives another {object} of `{}`: {what} differs{}, so that Argo CD never sees it synced",
            addon.name,
            from(object, unsteady),
        );
        let accept = format!(
            "give the chart a fixed value for it, or accept it: `accept: [{{check: {CHECK}, path: \"{}/{} {}\", reason: …}}]`",
            object.kind,
            object.name,
            if path.is_empty() { ".".to_owned() } else { text_of(path) },
        );
        let mut problem = Problem::at(place.clone(), message).hint(accept).found_by(CHECK);
        problem.clusters = vec![cluster.name.clone()];
        if index + 1 == MAX_NAMED { problem.and_in_more_places(more) } else { problem }
    };
    differences.iter().take(MAX_NAMED).enumerate().map(problem).collect()
}

/// Names what may be the cause: the functions in the template that is called like the object's kind, or else all of them.
fn from(object: &ObjectName, unsteady: &[Unsteady]) -> String {
    let kind = object.kind.to_lowercase();
    let is_near = |it: &&Unsteady| it.file.to_lowercase().contains(&kind);
    let near = unsteady.iter().find(is_near).or(match unsteady {
        [one] => Some(one),
        _ => None,
    });
    let shown = |it: &Unsteady| format!("`{}` at {}:{} of the chart", it.function, it.file, it.line);
    match (near, unsteady) {
        (Some(it), _) => format!(", by {}", shown(it)),
        (None, []) => String::new(),
        (None, [first, ..]) => format!(", by one of {} functions such as {}", unsteady.len(), shown(first)),
    }
}

/// Merges the problems of several clusters that are the same up to the clusters' names: the first stands for the others.
#[must_use]
pub fn merged(problems: Vec<Problem>) -> Vec<Problem> {
    let mut merged: BTreeMap<(Place, String), Problem> = BTreeMap::new();
    for problem in problems {
        let clusters: Vec<ClusterName> = problem.clusters.clone();
        let general = |message: String, cluster| message.replace(&format!("`{cluster}`"), "`…`");
        let message = clusters.iter().fold(problem.message.clone(), general);
        let same = merged.entry((problem.place.clone(), message)).or_insert(problem);
        same.clusters.extend(clusters);
        same.clusters.sort();
        same.clusters.dedup();
    }
    merged.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::read;

    fn found(one: &str, other: &str) -> Vec<String> {
        let differences = differences(&read(one).unwrap(), &read(other).unwrap());
        differences.iter().map(|it| format!("{}: {}", it.object, text_of(&it.path))).collect()
    }

    #[test]
    fn what_is_the_same_twice_does_not_differ() {
        let text = "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {a: eA==}}\n";
        assert_eq!(found(text, text), [""; 0]);
    }

    #[test]
    fn a_difference_is_named_by_its_object_and_its_path() {
        let secret = |a: &str, b: &str| {
            format!(
                "{{apiVersion: v1, kind: Secret, metadata: {{name: {a}}}, data: {{a: {b}, c: [1, {b}]}}}}\n"
            )
        };
        assert_eq!(found(&secret("a", "x"), &secret("a", "y")), ["Secret a: data.a", "Secret a: data.c[1]"]);
        assert_eq!(found(&secret("a", "x"), &secret("b", "x")), ["Secret a: ", "Secret b: "]);
        let map = |text: &str| format!("{{apiVersion: v1, kind: A, metadata: {{name: a}}, spec: {text}}}\n");
        assert_eq!(found(&map("{a: 1}"), &map("{b: 1}")), ["A a: spec"]);
        assert_eq!(found(&map("[a, b]"), &map("[a]")), ["A a: spec"]);
        // The order of keys means nothing to Kubernetes.
        assert_eq!(found(&map("{a: 1, b: 2}"), &map("{b: 2, a: 1}")), [""; 0]);
    }

    #[test]
    fn a_part_is_replaced_where_it_stands() {
        let text = "{apiVersion: v1, kind: A, metadata: {name: a}, spec: {a: [{b: 1}, {b: 2}], c: 3}}\n";
        let mut objects = read(text).unwrap();
        let path = [key("spec"), key("a"), Step::Index(1), key("b")];
        replace(&mut objects[0].value, &path);
        assert_eq!(
            objects[0].value.get("spec").unwrap().to_json().to_string(),
            r#"{"a":[{"b":1},{"b":"(differs each time)"}],"c":3}"#
        );
    }
}
