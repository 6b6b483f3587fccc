//! Where objects hold the templates of pods.

use crate::yaml::Value;

/// Where a kind of object holds its pod template.
const TEMPLATES: [(&str, &str, &[&str]); 8] = [
    ("", "Pod", &[]),
    ("", "ReplicationController", &["spec", "template"]),
    ("apps", "DaemonSet", &["spec", "template"]),
    ("apps", "Deployment", &["spec", "template"]),
    ("apps", "ReplicaSet", &["spec", "template"]),
    ("apps", "StatefulSet", &["spec", "template"]),
    ("batch", "Job", &["spec", "template"]),
    ("batch", "CronJob", &["spec", "jobTemplate", "spec", "template"]),
];

/// Returns the pod template of an object of a group and kind, if it has one, and its path.
pub(crate) fn pod_template<'v>(
    kind: (&str, &str),
    value: &'v Value,
) -> Option<(&'static [&'static str], &'v Value)> {
    let (.., path) = TEMPLATES.iter().find(|(group, name, _)| (*group, *name) == kind)?;
    Some((path, value.at(path)?))
}
