//! Identities of what is rendered, made of the identities of all that it depends on.

use std::iter;

use crate::catalog::Catalog;
use crate::inventory::{Cluster, Fleet};
use crate::provenance::UnitTemplates;

/// The identity of something rendered, made of the identities of all that it depends on.
pub type Digest = [u8; 32];

/// The identity of what all templates of all clusters depend on.
pub(super) fn of_shared(fleet: &Fleet, catalog: &Catalog) -> Digest {
    // What passed by one lock may not pass by another.
    let lock = catalog.lock.iter().map(|lock| lock.id.0.as_slice());
    let schemas = catalog.schemas.ids.iter().flat_map(|(path, id)| [path.as_str().as_bytes(), &id.0]);
    let addons = catalog.addons.values().flat_map(|addon| {
        let manifests: &[u8] = if addon.manifests.is_empty() { &[1, 0] } else { &[0, 0] };
        [addon.name.as_str().as_bytes(), &addon.id.0, manifests]
    });
    of(iter::once(fleet.id.0.as_slice()).chain(lock).chain(schemas).chain(addons))
}

/// The identity of all templates.
pub(super) fn of_templates(catalog: &Catalog) -> Digest {
    let ids = catalog.ids.iter().flat_map(|(path, id)| [path.as_str().as_bytes(), &[0], &id.0]);
    of(ids)
}

/// The identity of every fact that a template of a cluster may read.
pub(super) fn of_facts<'c>(shared: &'c Digest, clusters: impl Iterator<Item = &'c Cluster>) -> Digest {
    let parts = clusters.flat_map(|cluster| {
        // The file names itself in what is rendered from it alone.
        let names = [cluster.name.as_str(), "\0", cluster.file.as_str(), "\0"].map(str::as_bytes);
        let sources = cluster.sources.iter().map(|(_, id)| id.0.as_slice());
        names.into_iter().chain(sources).chain([b"\0".as_slice()])
    });
    of(iter::once(shared.as_slice()).chain(parts))
}

/// The identity of everything that a unit's files depend on.
pub(super) fn of_unit(unit: &UnitTemplates<'_>, facts: &Digest, catalog: &Catalog) -> Digest {
    let name = unit.addon.map_or("", |addon| addon.name.as_str());
    let templates = unit.templates.iter().filter_map(|template| template.template);
    let ids = templates.filter_map(|path| catalog.digests.get(path)).map(<[u8; 32]>::as_slice);
    of([facts.as_slice(), unit.root.path().as_bytes(), &[0], name.as_bytes(), &[0]].into_iter().chain(ids))
}

/// The identity of several parts together.
pub(super) fn of<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
