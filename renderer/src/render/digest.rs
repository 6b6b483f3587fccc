//! Identities of what is rendered, made of the identities of all that it depends on.

use crate::catalog::Catalog;
use crate::inventory::{Cluster, Fleet};
use crate::provenance::UnitTemplates;

/// The identity of something rendered, made of the identities of all that it depends on.
pub type Digest = [u8; 32];

/// The identity of what all templates of all clusters depend on.
pub(super) fn of_shared(fleet: &Fleet, catalog: &Catalog) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&fleet.id.0);
    // What passed by one lock may not pass by another.
    if let Some(lock) = &catalog.lock {
        hasher.update(&lock.id.0);
    }
    for (path, id) in &catalog.schemas.ids {
        hasher.update(path.as_str().as_bytes()).update(&id.0);
    }
    for addon in catalog.addons.values() {
        hasher.update(addon.name.as_str().as_bytes()).update(&addon.id.0);
        hasher.update(&[u8::from(addon.manifests.is_empty()), 0]);
    }
    *hasher.finalize().as_bytes()
}

/// The identity of all templates.
pub(super) fn of_templates(catalog: &Catalog) -> Digest {
    let ids = catalog.ids.iter().flat_map(|(path, id)| [path.as_str().as_bytes(), &[0], &id.0]);
    of(ids)
}

/// The identity of every fact that a template of a cluster may read.
pub(super) fn of_facts<'c>(shared: &Digest, clusters: impl Iterator<Item = &'c Cluster>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(shared);
    for cluster in clusters {
        hash_cluster(&mut hasher, cluster);
    }
    *hasher.finalize().as_bytes()
}

/// The identity of everything that a unit's files depend on.
pub(super) fn of_unit(unit: &UnitTemplates<'_>, facts: &Digest, catalog: &Catalog) -> Digest {
    let name = unit.addon.map_or("", |addon| addon.name.as_str());
    let templates = unit.templates.iter().filter_map(|template| template.template);
    let ids = templates.filter_map(|path| catalog.digests.get(path)).map(<[u8; 32]>::as_slice);
    of([facts.as_slice(), name.as_bytes(), &[0]].into_iter().chain(ids))
}

fn hash_cluster(hasher: &mut blake3::Hasher, cluster: &Cluster) {
    hasher.update(cluster.name.as_str().as_bytes()).update(&[0]);
    // The file names itself in what is rendered from it alone.
    hasher.update(cluster.file.as_str().as_bytes()).update(&[0]);
    for (_, id) in &cluster.sources {
        hasher.update(&id.0);
    }
    hasher.update(&[0]);
}

/// The identity of several parts together.
pub(super) fn of<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
