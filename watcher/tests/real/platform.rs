//! The platform that this repository ships, rendered, and what of it lands on each cluster.

use std::collections::BTreeSet;
use std::path::Path;

use fleetwright::working_tree::read_working_tree;
use renderer::path::{ClusterName, RepoPath};
use renderer::render::{Rendered, RenderedFile, Renderer};
use renderer::snapshot::{Snapshot, Source, SourceId};
use serde_json::{Value, json};

/// Where Argo CD runs, and with it what it reads itself.
const ARGO_CD: &str = "argocd";

/// An object as it lands on a cluster.
#[derive(Clone, Debug)]
pub struct Landing {
    /// The rendered file, and the number of the object in it.
    pub origin: String,
    /// The namespace that it lands in if it names none.
    pub namespace: String,
    pub object: Value,
    /// Smaller ones land first.
    order: (i64, bool, i64, String),
}

/// The facts of the hub.
const HUB: &str = "environments/control.yaml";

/// Renders what is described in a folder.
pub fn rendered(top: &Path) -> Rendered {
    Renderer::new().render(&described(top), &()).unwrap()
}

/// Renders what this repository ships, and what it ships for its hub and leaves off.
pub fn shipped() -> Rendered {
    Renderer::new().render(&shipped_snapshot(), &()).unwrap()
}

/// The files of what this repository ships, with what it ships for its hub and leaves off.
pub fn shipped_snapshot() -> Snapshot {
    let mut snapshot = described(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let text = String::from_utf8(snapshot.get(HUB).unwrap().bytes.to_vec()).unwrap();
    let text = text.replace("\naddons:\n", "\naddons:\n  fleetwright: {enabled: true}\n");
    let source = Source { id: SourceId([1; 20]), bytes: text.into_bytes().into() };
    snapshot.insert(RepoPath::parse(HUB).unwrap(), source);
    snapshot
}

fn described(top: &Path) -> Snapshot {
    let (snapshot, problems) = read_working_tree(top).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    snapshot
}

/// Returns every object that lands on a cluster, in the order in which Argo CD applies them: first the
/// namespaces that it makes itself, then by the wave of the add-on and of the object.
pub fn landing_on(rendered: &Rendered, cluster: &ClusterName) -> Vec<Landing> {
    let mut landings = Vec::new();
    for (name, other) in &rendered.clusters {
        let own_files_land_here = rendered.inventory.clusters[name].hub == *cluster;
        for file in other.files() {
            let lands_here = if file.addon.is_some() { name == cluster } else { own_files_land_here };
            if lands_here && is_of_objects(file) {
                landings.extend(landings_of(rendered, file));
            }
        }
    }
    landings.sort_by(|a, b| a.order.cmp(&b.order));
    let made: BTreeSet<String> = namespaces(rendered, cluster);
    made.into_iter().map(namespace).chain(landings).collect()
}

/// Values are for a chart; everything else in a cluster's folder is made of objects.
fn is_of_objects(file: &RenderedFile) -> bool {
    file.path.as_str().starts_with("argocd-apps/")
        && (file.addon.is_none() || file.path.as_str().contains("/manifests/"))
}

fn landings_of(rendered: &Rendered, file: &RenderedFile) -> Vec<Landing> {
    let text = std::str::from_utf8(&file.bytes).unwrap();
    let documents: Vec<Value> = serde_yaml::from_multiple(text).unwrap();
    let addon = file.addon.as_ref().map(|name| &rendered.catalog.addons[name].facts);
    let landing = |(number, object): (usize, Value)| {
        let wave = object.pointer("/metadata/annotations/argocd.argoproj.io~1sync-wave");
        let wave = wave.and_then(Value::as_str).map_or(0, |wave| wave.parse().unwrap());
        let origin = format!("{}[{number}]", file.path);
        Landing {
            namespace: addon.map_or(ARGO_CD, |addon| addon.namespace.as_str()).to_owned(),
            order: (
                addon.map_or(-1, |addon| addon.wave.into()),
                object["kind"] != "Namespace",
                wave,
                origin.clone(),
            ),
            origin,
            object,
        }
    };
    documents.into_iter().enumerate().map(landing).collect()
}

/// The namespaces that Argo CD makes for add-ons, by `CreateNamespace=true`, and its own on a hub.
fn namespaces(rendered: &Rendered, cluster: &ClusterName) -> BTreeSet<String> {
    let addons = rendered.clusters[cluster].addons();
    let of_addons = addons.map(|name| rendered.catalog.addons[name].facts.namespace.clone());
    let own = rendered.inventory.clusters[cluster].is_hub().then(|| ARGO_CD.to_owned());
    of_addons.chain(own).collect()
}

fn namespace(name: String) -> Landing {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    Landing {
        origin: "CreateNamespace=true".to_owned(),
        namespace: String::new(),
        object,
        order: (-1, false, 0, name),
    }
}
