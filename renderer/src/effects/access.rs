//! Who may do what with the API server: permissions that subjects gain and lose.
//!
//! Bindings are followed to the roles that stand beside them; any other role counts by its name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::kind::EffectKind;
use super::model::Effect;
use super::objects::Objects;
use super::pods::strings;
use crate::manifests::{Object, ObjectName};
use crate::yaml::Value;

const GROUP: &str = "rbac.authorization.k8s.io";
/// The beginning of labels by which a role is added to another one.
const AGGREGATED: &str = "rbac.authorization.k8s.io/aggregate-to-";
/// How many permissions of one side are compared.
const MAX_GRANTS: usize = 20_000;
/// Verbs that lead to other permissions.
const LEADING_VERBS: [&str; 3] = ["bind", "escalate", "impersonate"];
/// Resources that lead to other permissions: with what is in them, or by what runs in their name.
const LEADING_RESOURCES: [&str; 8] = [
    "*",
    "secrets",
    "serviceaccounts/token",
    "pods/exec",
    "pods/attach",
    "nodes/proxy",
    "certificatesigningrequests/approval",
    "clusterrolebindings",
];
/// Roles of every cluster that lead to other permissions.
const LEADING_ROLES: [&str; 2] = ["cluster-admin", "admin"];
/// Verbs that only see that something is there or goes away.
const HARMLESS_VERBS: [&str; 2] = ["delete", "deletecollection"];

/// A permission: a verb, what it is for, and the namespace, if it holds in one only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    on: String,
    namespace: Option<String>,
    verb: String,
    is_leading: bool,
}

/// What a subject may do, and an object by which it may.
type Subjects = BTreeMap<String, (Arc<ObjectName>, BTreeSet<Grant>)>;

/// Returns the permissions that the subjects of an add-on gain and lose.
pub(super) fn permissions(objects: &Objects<'_>) -> Vec<Effect> {
    if !objects.pairs.iter().any(|pair| pair.name.group() == GROUP) {
        return Vec::new();
    }
    let [old, new] = [objects.before, objects.after].map(|side| subjects(side.unwrap_or_default()));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let none = BTreeSet::new();
        let [before, after] = [&old, &new].map(|side| side.get(name).map_or(&none, |(_, grants)| grants));
        let object = new.get(name).or_else(|| old.get(name)).map(|(object, _)| object);
        let Some(object) = object else { continue };
        let effect = |kind, note, lost, gained| {
            let (addon, object) = (objects.addon.clone(), Arc::clone(object));
            let effect = Effect {
                kind,
                note,
                lost: Vec::new(),
                gained: Vec::new(),
                addon,
                object,
                part: String::new(),
                pods: None,
            };
            effect.of(name).with(lost, gained)
        };
        let gained: Vec<&Grant> = after.difference(before).collect();
        let (leading, plain): (Vec<&Grant>, Vec<&Grant>) =
            gained.into_iter().partition(|grant| grant.is_leading);
        let lost: Vec<&Grant> = before.difference(after).collect();
        let escalated = "the permissions lead to others: what they reach can be taken over";
        found.extend(
            (!leading.is_empty())
                .then(|| effect(EffectKind::RbacEscalated, escalated, vec![], texts(&leading))),
        );
        found.extend(
            (!plain.is_empty())
                .then(|| effect(EffectKind::RbacGained, "it may do more", vec![], texts(&plain))),
        );
        found.extend((!lost.is_empty()).then(|| {
            effect(EffectKind::RbacLost, "it may do less: what needs it fails", texts(&lost), vec![])
        }));
    }
    found
}

/// Writes permissions, those for the same thing and those of the same verbs together.
fn texts(grants: &[&Grant]) -> Vec<String> {
    let mut verbs: BTreeMap<(&str, Option<&str>), Vec<&str>> = BTreeMap::new();
    for grant in grants {
        verbs.entry((&grant.on, grant.namespace.as_deref())).or_default().push(&grant.verb);
    }
    let mut things: BTreeMap<(Option<&str>, Vec<&str>), Vec<&str>> = BTreeMap::new();
    for ((on, namespace), verbs) in verbs {
        things.entry((namespace, verbs)).or_default().push(on);
    }
    let text = |((namespace, verbs), on): ((Option<&str>, Vec<&str>), Vec<&str>)| {
        let namespace = namespace.map(|namespace| format!(" in {namespace}")).unwrap_or_default();
        format!("{} on {}{namespace}", verbs.join(", "), on.join(", "))
    };
    things.into_iter().map(text).collect()
}

/// Returns what each subject may do by the objects of an add-on. What a role allows that nothing beside it binds counts
/// for whatever is bound to it.
fn subjects(objects: &[Object]) -> Subjects {
    let of_kinds = |kinds: [&'static str; 2]| {
        objects
            .iter()
            .filter(move |object| object.name.group() == GROUP && kinds.contains(&object.name.kind.as_str()))
    };
    let namespace = |object: &Object| object.name.namespace.clone().unwrap_or_default();
    let roles: BTreeMap<(bool, String, &str), &Object> = of_kinds(["Role", "ClusterRole"])
        .map(|role| {
            let is_of_cluster = role.name.kind == "ClusterRole";
            (
                (
                    is_of_cluster,
                    if is_of_cluster { String::new() } else { namespace(role) },
                    role.name.name.as_str(),
                ),
                role,
            )
        })
        .collect();
    let (mut found, mut bound, mut room) = (Subjects::new(), BTreeSet::new(), MAX_GRANTS);
    for binding in of_kinds(["RoleBinding", "ClusterRoleBinding"]) {
        let of_role = |key| binding.value.text_at(&["roleRef", key]).unwrap_or_default();
        let is_of_cluster = of_role("kind") == "ClusterRole";
        let key =
            (is_of_cluster, if is_of_cluster { String::new() } else { namespace(binding) }, of_role("name"));
        let scope = (binding.name.kind == "RoleBinding").then(|| namespace(binding));
        let grants = match roles.get(&key) {
            Some(role) => grants(&role.value, scope.as_deref(), &mut room),
            None => vec![Grant {
                on: format!("what {} {} names", of_role("kind"), of_role("name")),
                verb: "everything".to_owned(),
                is_leading: is_of_cluster && LEADING_ROLES.contains(&of_role("name")),
                namespace: scope,
            }],
        };
        bound.insert(key);
        for subject in binding.value.get("subjects").and_then(Value::as_list).unwrap_or_default() {
            let text = |key| subject.text_at(&[key]);
            let of_namespace = text("namespace").map(|namespace| format!("{namespace}/")).unwrap_or_default();
            let name = format!(
                "{} {of_namespace}{}",
                text("kind").unwrap_or_default(),
                text("name").unwrap_or_default()
            );
            let entry =
                found.entry(name).or_insert_with(|| (Arc::new(binding.name.clone()), BTreeSet::new()));
            entry.1.extend(grants.iter().cloned());
        }
    }
    for (key, role) in roles.iter().filter(|(key, _)| !bound.contains(*key)) {
        let labels = role.value.at(&["metadata", "labels"]).and_then(Value::as_map);
        let added = labels.into_iter().flat_map(crate::yaml::Map::iter).filter_map(|(label, value)| {
            label.strip_prefix(AGGREGATED).filter(|_| value.as_str() == Some("true"))
        });
        let mut names: Vec<String> = added.map(|name| format!("ClusterRole {name}")).collect();
        if names.is_empty() {
            names.push(role.name.to_string());
        }
        let scope = (!key.0).then(|| namespace(role));
        let grants = grants(&role.value, scope.as_deref(), &mut room);
        for name in names {
            let name = format!("whatever is bound to {name}");
            let entry = found.entry(name).or_insert_with(|| (Arc::new(role.name.clone()), BTreeSet::new()));
            entry.1.extend(grants.iter().cloned());
        }
    }
    found
}

/// Returns whether a resource is one of Kubernetes itself: every verb for another one leads to nothing else.
fn is_of_kubernetes(resource: &str) -> bool {
    let group = resource.split_once('.').map_or("", |(_, group)| group);
    !group.contains('.') || group.ends_with(".k8s.io")
}

/// Returns what a role allows, as long as there is room; what is beyond counts as one.
fn grants(role: &Value, namespace: Option<&str>, room: &mut usize) -> Vec<Grant> {
    let mut found = Vec::new();
    for rule in role.get("rules").and_then(Value::as_list).unwrap_or_default() {
        let names: Vec<&str> = strings(rule.get("resourceNames")).collect();
        let names = if names.is_empty() { String::new() } else { format!(" named {}", names.join(", ")) };
        let resources = strings(rule.get("resources")).flat_map(|resource| {
            let groups = strings(rule.get("apiGroups"));
            groups.map(move |group| {
                (resource, if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") })
            })
        });
        let addresses =
            strings(rule.get("nonResourceURLs")).map(|address| (address, format!("address {address}")));
        for (resource, on) in resources.chain(addresses) {
            for verb in strings(rule.get("verbs")) {
                let Some(left) = room.checked_sub(1) else {
                    let whole = crate::yaml::write(role);
                    let on =
                        format!("more than is compared ({})", &blake3::hash(whole.as_bytes()).to_hex()[..12]);
                    found.push(Grant {
                        on,
                        namespace: None,
                        verb: "everything".to_owned(),
                        is_leading: true,
                    });
                    return found;
                };
                *room = left;
                let is_leading = LEADING_VERBS.contains(&verb)
                    || (verb == "*" && is_of_kubernetes(&on))
                    || (LEADING_RESOURCES.contains(&resource) && !HARMLESS_VERBS.contains(&verb));
                let (on, verb, namespace) =
                    (format!("{on}{names}"), verb.to_owned(), namespace.map(str::to_owned));
                found.push(Grant { on, namespace, verb, is_leading });
            }
        }
    }
    found
}
