//! The objects that are rendered, and the cluster that each lands on.

use renderer::path::ClusterName;
use renderer::render::Rendered;
use serde_json::Value;

/// An object of the fleet.
pub struct Landed {
    /// The cluster that it is applied to.
    pub cluster: ClusterName,
    /// The namespace that it is applied to.
    pub namespace: String,
    /// The template that it is made from.
    pub template: String,
    pub object: Value,
}

/// Returns all objects of the fleet. A cluster's own files are applied to its hub, those of its add-ons to itself.
pub fn all(rendered: &Rendered) -> Vec<Landed> {
    let mut landed = Vec::new();
    for (name, cluster) in &rendered.clusters {
        for file in cluster.files() {
            let path = file.path.as_str();
            let Some(addon) = &file.addon else {
                let hub = &rendered.inventory.clusters[name].hub;
                let template = format!("templates/cluster/{}.hbs", file.path.file_name());
                landed.extend(objects(&file.bytes).map(|object| at(hub, "", &template, object)));
                continue;
            };
            if let Some((_, manifest)) = path.split_once("/manifests/") {
                let namespace = &rendered.catalog.addons[addon].facts.namespace;
                let template = format!("templates/addons/{addon}/manifests/{manifest}.hbs");
                landed.extend(objects(&file.bytes).map(|object| at(name, namespace, &template, object)));
            }
        }
    }
    landed
}

fn objects(bytes: &[u8]) -> impl Iterator<Item = Value> + use<> {
    serde_yaml::from_multiple::<Value>(std::str::from_utf8(bytes).unwrap()).unwrap().into_iter()
}

fn at(cluster: &ClusterName, namespace: &str, template: &str, object: Value) -> Landed {
    let own = object.pointer("/metadata/namespace").and_then(Value::as_str);
    Landed {
        cluster: cluster.clone(),
        namespace: own.unwrap_or(namespace).to_owned(),
        template: template.to_owned(),
        object,
    }
}
