//! What pods run and what they may do: restarts, images, privileges and volumes.

use std::collections::BTreeMap;

use super::found::{Texts, delta, effect, of_sides};
use super::image::Image;
use super::kind::EffectKind;
use super::model::Effect;
use super::objects::{Objects, Pair};
use crate::manifests::pod_template;
use crate::tree::{Below, walk};
use crate::yaml::Value;

/// The lists of containers of a pod.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];
/// Kinds whose `image` is the name of no image.
const WITHOUT_IMAGES: [&str; 3] = ["ConfigMap", "Secret", "CustomResourceDefinition"];

/// Returns the pod template of an object.
pub(super) fn template<'v>(pair: &Pair<'_>, value: &'v Value) -> Option<&'v Value> {
    pod_template(pair.kind(), value).map(|(_, template)| template)
}

/// Pods of which the template changes are replaced by new ones.
pub(super) fn restarts(objects: &Objects<'_>, pair: &Pair<'_>) -> Vec<Effect> {
    let is_replacing = matches!(pair.kind(), ("apps", "Deployment" | "DaemonSet" | "StatefulSet"));
    let (Some(old), Some(new)) = (pair.old, pair.new) else { return Vec::new() };
    let sides = [template(pair, old), template(pair, new)];
    if !is_replacing || sides[0] == sides[1] {
        return Vec::new();
    }
    let without_metadata = |side: Option<&Value>| side.and_then(|template| template.get("spec")).cloned();
    let is_by_hand = new.text_at(&["spec", "updateStrategy", "type"]) == Some("OnDelete");
    let note = if is_by_hand {
        "the pods are replaced as soon as they are deleted by hand (`OnDelete`)"
    } else if without_metadata(sides[0]) == without_metadata(sides[1]) {
        "the pods are replaced, since labels or annotations of them change"
    } else {
        "the pods are replaced"
    };
    let pods = match pair.name.kind.as_str() {
        "DaemonSet" => objects.nodes,
        _ => Some(replicas(objects, pair, new)),
    };
    vec![Effect { pods, ..effect(objects.addon, pair, EffectKind::Restarted, note) }]
}

/// Returns how many pods an object asks for: its own number, or the least that its autoscaler keeps.
fn replicas(objects: &Objects<'_>, pair: &Pair<'_>, value: &Value) -> usize {
    if let Some(number) = number(value, &["spec", "replicas"]) {
        return number;
    }
    let mut scalers = objects.after.unwrap_or_default().iter().map(|object| &object.value).filter(|scaler| {
        let target = |key| scaler.text_at(&["spec", "scaleTargetRef", key]);
        target("name") == Some(&pair.name.name) && target("kind") == Some(&pair.name.kind)
    });
    scalers.find_map(|scaler| number(scaler, &["spec", "minReplicas"])).unwrap_or(1)
}

pub(super) fn number(value: &Value, path: &[&str]) -> Option<usize> {
    match value.at(path)? {
        Value::Number(number) => number.as_str().parse().ok(),
        _ => None,
    }
}

/// Images that come, go or change, each where it is named.
pub(super) fn images(objects: &Objects<'_>, pair: &Pair<'_>) -> Vec<Effect> {
    let [old, new] = pair.sides().map(|side| side.map(|value| images_of(pair, value)).unwrap_or_default());
    let mut found = Vec::new();
    for (place, new) in &new {
        let old = old.get(place);
        if old == Some(new) {
            continue;
        }
        let judged = Image::parse(new).judged(old.map(|old| Image::parse(old)).as_ref());
        found.extend(judged.into_iter().map(|(kind, note)| {
            effect(objects.addon, pair, kind, note)
                .of(place)
                .with(old.cloned().into_iter().collect(), vec![new.clone()])
        }));
    }
    let is_staying = pair.new.is_some();
    let gone = old.iter().filter(|(place, _)| is_staying && !new.contains_key(*place));
    found.extend(gone.map(|(place, old)| {
        let note = "the container goes, and its image with it";
        effect(objects.addon, pair, EffectKind::ImageChanged, note)
            .of(place)
            .with(vec![old.clone()], Vec::new())
    }));
    found
}

/// Returns the images of an object by where they are named: a container's name, or the keys that lead there.
fn images_of(pair: &Pair<'_>, value: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if WITHOUT_IMAGES.contains(&pair.name.kind.as_str()) {
        return found;
    }
    walk(value, &mut |visit| {
        if let Some(image) =
            visit.value.as_str().filter(|text| visit.key() == Some("image") && !text.is_empty())
        {
            let name = visit.parent().and_then(|parent| parent.get("name")).and_then(Value::as_str);
            let keys: Vec<&str> = visit.path.iter().filter_map(|step| step.key().copied()).collect();
            let place = name.map_or_else(|| keys.join("."), str::to_owned);
            let place =
                if found.contains_key(&place) { format!("{place} ({})", keys.join(".")) } else { place };
            found.insert(place, image.to_owned());
        }
        Below::Enter
    });
    found
}

/// Pods that may do more on their nodes than before; of a new object, than a plain pod may.
pub(super) fn privileges(objects: &Objects<'_>, pair: &Pair<'_>) -> Vec<Effect> {
    let [old, new] = of_sides(pair, |value| privileges_of(pair, value));
    let (lost, mut gained) = delta(&old, &new);
    if let (Some(old), Some(new)) = (pair.old, pair.new) {
        let [old, new] = [old, new].map(|value| guards_of(pair, value));
        // A guard of a container that goes guards nothing any more.
        let is_there = |guard: &&String| new.1.iter().any(|name| guard.starts_with(&format!("{name}: ")));
        gained.extend(old.0.difference(&new.0).filter(is_there).map(|guard| format!("{guard} no more")));
    }
    if gained.is_empty() {
        return Vec::new();
    }
    let note = "pods may do more on the node that they run on";
    vec![effect(objects.addon, pair, EffectKind::PrivilegeGained, note).with(lost, gained)]
}

fn containers(template: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let lists =
        CONTAINERS.into_iter().filter_map(|list| template.at(&["spec", list]).and_then(Value::as_list));
    lists.flatten().map(|container| (container.text_at(&["name"]).unwrap_or_default(), container))
}

/// Returns what the pods of an object may do beyond what a plain pod may.
fn privileges_of(pair: &Pair<'_>, value: &Value) -> Texts {
    let mut found = Texts::new();
    if pair.kind() == ("", "Namespace") {
        let level = value.text_at(&["metadata", "labels", "pod-security.kubernetes.io/enforce"]);
        let levels = ["restricted", "baseline", "privileged"];
        let allowed = levels.iter().position(|known| Some(*known) == level);
        found.extend(
            levels.iter().take(allowed.map_or(0, |at| at + 1)).map(|level| format!("level {level} of pods")),
        );
        return found;
    }
    let Some(template) = template(pair, value) else { return found };
    let spec = |key| template.at(&["spec", key]);
    let shared =
        ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|key| spec(key) == Some(&Value::Bool(true)));
    found.extend(shared.map(str::to_owned));
    let volumes = spec("volumes").and_then(Value::as_list).unwrap_or_default();
    let paths = volumes.iter().filter_map(|volume| volume.text_at(&["hostPath", "path"]));
    found.extend(paths.map(|path| format!("hostPath {path}")));
    let of_pod = spec("securityContext");
    found.extend(
        of_pod
            .and_then(|context| context.get("runAsUser"))
            .filter(|user| is_root(user))
            .map(|_| "runAsUser 0".to_owned()),
    );
    for (name, container) in containers(template) {
        let context = |key| container.at(&["securityContext", key]);
        let mut add = |what: String| found.insert(format!("{name}: {what}"));
        for key in ["privileged", "allowPrivilegeEscalation"] {
            if context(key) == Some(&Value::Bool(true)) {
                add(key.to_owned());
            }
        }
        if context("runAsUser").is_some_and(is_root) {
            add("runAsUser 0".to_owned());
        }
        if context("procMount").and_then(Value::as_str) == Some("Unmasked") {
            add("procMount Unmasked".to_owned());
        }
        for capability in strings(container.at(&["securityContext", "capabilities", "add"])) {
            add(format!("capability {capability}"));
        }
        for port in container.get("ports").and_then(Value::as_list).unwrap_or_default() {
            if let Some(port) = number(port, &["hostPort"]) {
                add(format!("hostPort {port}"));
            }
        }
    }
    found
}

fn is_root(user: &Value) -> bool {
    matches!(user, Value::Number(number) if number.as_str() == "0")
}

/// Returns what keeps the containers of an object from more, and the names of its containers and of its pod.
fn guards_of(pair: &Pair<'_>, value: &Value) -> (Texts, Texts) {
    let (mut guards, mut names) = (Texts::new(), Texts::new());
    let Some(template) = template(pair, value) else { return (guards, names) };
    let of_pod = template.at(&["spec", "securityContext"]).map(|context| ("pod", context));
    let of_containers = containers(template)
        .map(|(name, container)| (name, container.get("securityContext").unwrap_or(&Value::Null)));
    names.extend(["pod".to_owned()].into_iter().chain(containers(template).map(|(name, _)| name.to_owned())));
    for (name, context) in of_pod.into_iter().chain(of_containers) {
        let mut add = |what: &str| guards.insert(format!("{name}: {what}"));
        for (key, guarding) in
            [("runAsNonRoot", true), ("readOnlyRootFilesystem", true), ("allowPrivilegeEscalation", false)]
        {
            if context.get(key) == Some(&Value::Bool(guarding)) {
                add(&format!("{key} {guarding}"));
            }
        }
        strings(context.at(&["capabilities", "drop"])).for_each(|dropped| {
            add(&format!("drops capability {dropped}"));
        });
        if matches!(context.text_at(&["seccompProfile", "type"]), Some("RuntimeDefault" | "Localhost")) {
            add("seccompProfile");
        }
    }
    (guards, names)
}

pub(super) fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str)
}

/// Claims that the pods of an object no longer use.
pub(super) fn volumes(objects: &Objects<'_>, pair: &Pair<'_>) -> Vec<Effect> {
    let (Some(old), Some(new)) = (pair.old, pair.new) else { return Vec::new() };
    let [old, new] = [old, new].map(|value| {
        let volumes = template(pair, value).and_then(|template| template.at(&["spec", "volumes"]));
        let volumes = volumes.and_then(Value::as_list).unwrap_or_default().iter();
        let claims = volumes.filter_map(|volume| volume.text_at(&["persistentVolumeClaim", "claimName"]));
        let own =
            value.at(&["spec", "volumeClaimTemplates"]).and_then(Value::as_list).unwrap_or_default().iter();
        let own = own.filter_map(|claim| claim.text_at(&["metadata", "name"]));
        claims.chain(own).map(str::to_owned).collect::<Texts>()
    });
    let (lost, gained) = delta(&old, &new);
    if lost.is_empty() {
        return Vec::new();
    }
    let note = "the pods no longer use the claim: they begin without its data";
    vec![effect(objects.addon, pair, EffectKind::VolumeDropped, note).with(lost, gained)]
}
