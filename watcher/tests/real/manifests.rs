//! The final objects that `fleetwright manifests` prints are those that Argo CD makes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use testkit::real::Helm;

use crate::case::case;
use crate::world::{World, text};

/// Holds the objects of every add-on of both clusters against those of Argo CD's repository server, and their places against
/// those that its controller wants.
pub fn compare(world: &World) {
    let helm = Helm::find().unwrap().folder().join("helm");
    let cache = tempfile::tempdir().unwrap();
    let mut command =
        world.repo.command(&["manifests", "--format", "json", "--helm", helm.to_str().unwrap()]);
    let told = world.repo.told(command.env("XDG_CACHE_HOME", cache.path()).output().unwrap());
    assert_eq!(told.code, 0, "{told}");
    let ours = told.json();
    let ours = ours["applications"].as_array().unwrap();
    let compared = case("Final objects", "those of each add-on are the ones that Argo CD makes", || {
        let of_addons = ours.iter().filter(|one| !one["addon"].is_null());
        of_addons.map(|one| compare_one(world, one)).collect::<Vec<_>>()
    });
    // Each Application of an add-on, and none of them without objects.
    let applications = world.rig.applications().unwrap();
    let roots = applications.iter().filter(|one| text(one, "/metadata/name").ends_with("root")).count();
    assert_eq!(compared.len(), applications.len() - roots);
    assert!(compared.iter().all(|count| *count > 0) && compared.iter().sum::<usize>() > 150, "{compared:?}");
}

/// Compares the objects of one Application, and returns how many there are.
fn compare_one(world: &World, ours: &Value) -> usize {
    let name = text(ours, "/application");
    let mine = by_name(ours["objects"].as_array().unwrap());
    let theirs = world.rig.argo_cd.manifests(name).unwrap();
    let theirs = by_name(&theirs);
    assert_eq!(mine.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{name}");
    let mut masked = 0;
    for (id, theirs) in &theirs {
        for (mine, theirs) in mine[id].iter().zip(theirs) {
            let (mut ours, theirs) = (comparable(mine, theirs), comparable(theirs, mine));
            masked += unmask(&mut ours, &theirs);
            assert_eq!(ours, theirs, "{name}: {id:?}");
        }
    }
    assert!(masked <= 3, "{name}: {masked} texts are masked and not compared");
    let wanted: BTreeSet<_> = world.rig.argo_cd.wanted(name).unwrap().into_iter().collect();
    let is_hook = |object: &&Value| {
        let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
        annotations.is_some_and(|them| {
            them.contains_key("helm.sh/hook") || them.contains_key("argocd.argoproj.io/hook")
        })
    };
    let places = ours["objects"].as_array().unwrap().iter().filter(|object| !is_hook(object)).map(place);
    assert_eq!(places.collect::<BTreeSet<_>>(), wanted, "{name}");
    mine.len()
}

/// The objects by version, kind and name; several with the same in several namespaces are in their order.
fn by_name(objects: &[Value]) -> BTreeMap<[&str; 3], Vec<&Value>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for object in objects {
        let id = ["/apiVersion", "/kind", "/metadata/name"].map(|pointer| text(object, pointer));
        found.entry(id).or_default().push(object);
    }
    found
}

/// Puts what is there where a text of ours is masked, and returns how many texts that are.
fn unmask(ours: &mut Value, theirs: &Value) -> usize {
    match ours {
        Value::String(text) if text.contains("***") && theirs.is_string() => {
            *ours = theirs.clone();
            1
        }
        Value::Array(items) => items.iter_mut().enumerate().map(|(at, item)| unmask(item, &theirs[at])).sum(),
        Value::Object(map) => map.iter_mut().map(|(key, item)| unmask(item, &theirs[key.as_str()])).sum(),
        _ => 0,
    }
}

/// An object without what only one of both sides has for good reasons: the mark by which Argo CD tracks it, the masks of
/// secrets, and a namespace that the other side leaves to the controller.
fn comparable(object: &Value, other: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    let mut is_empty = false;
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("argocd.argoproj.io/tracking-id");
        is_empty = annotations.is_empty();
    }
    if is_empty {
        metadata.remove("annotations");
    }
    if other.pointer("/metadata/namespace").is_none() {
        metadata.remove("namespace");
    }
    if object["kind"] == "Secret" {
        for key in ["data", "stringData"] {
            if let Some(values) = object.get(key).and_then(Value::as_object) {
                object[key] = Value::Object(
                    values.keys().map(|key| (key.clone(), json!("***"))).collect::<Map<_, _>>(),
                );
            }
        }
    }
    object
}

/// Where an object is: its group, its kind, its namespace and its name.
fn place(object: &Value) -> [String; 4] {
    let group = text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
    [group, text(object, "/kind"), text(object, "/metadata/namespace"), text(object, "/metadata/name")]
        .map(str::to_owned)
}
