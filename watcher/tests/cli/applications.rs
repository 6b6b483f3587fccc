//! Applications as Argo CD was seen to write them.

use renderer::argo::Desired;
use serde_json::{Value, json};

pub const APPLICATIONS: &str = "apis/argoproj.io/v1alpha1/applications";
pub const SETS: &str = "apis/argoproj.io/v1alpha1/applicationsets";
pub const REFRESH: &str = "argocd.argoproj.io/refresh";

/// An Application that is Synced at a revision and Healthy.
pub fn application(desired: &Desired, revision: &str) -> Value {
    let source = |source: &renderer::argo::DesiredSource| {
        json!({
            "repoURL": source.repository, "chart": source.chart, "targetRevision": source.revision, "path": source.path,
        })
    };
    let mut sources: Vec<Value> = desired.sources.iter().map(source).collect();
    for source in &mut sources {
        source.as_object_mut().unwrap().retain(|_, value| !value.is_null() && value != "");
    }
    let owners: Vec<_> =
        desired.set.iter().map(|set| json!({ "kind": "ApplicationSet", "name": set })).collect();
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": { "name": desired.name, "namespace": "argocd", "ownerReferences": owners },
        "spec": { "sources": sources, "syncPolicy": { "automated": {} } },
        "status": { "health": { "status": "Healthy", "lastTransitionTime": "2026-01-01T00:00:00Z" } },
    });
    compared(&object, revision)
}

/// Returns what Argo CD makes of an Application when it compares.
pub fn compared(object: &Value, revision: &str) -> Value {
    let mut object = object.clone();
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(REFRESH);
    }
    let sources = object["spec"]["sources"].clone();
    let at = |source: &Value| {
        source["chart"].as_str().map_or(json!(revision), |_| source["targetRevision"].clone())
    };
    let revisions: Vec<_> = sources.as_array().unwrap().iter().map(at).collect();
    object["status"]["sync"] =
        json!({ "status": "Synced", "revisions": revisions, "comparedTo": { "sources": sources } });
    object
}
