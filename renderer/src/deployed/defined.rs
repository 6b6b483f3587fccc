//! The kinds that the final objects of clusters define, for the objects that are of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::checks::DefinedKind;
use crate::manifests::{Object, ObjectName};
use crate::path::ClusterName;
use crate::yaml::Value;

use super::placed::{defined, served};

/// The kinds by version and name, by cluster. A fleet has few different definitions: one that many clusters have is there
/// once.
pub(super) struct DefinedKinds<'a>(BTreeMap<&'a ClusterName, HashMap<Id, Arc<DefinedKind<'a>>>>);

/// The version, as in `example.com/v1`, and the kind.
type Id = (String, String);

impl<'a> DefinedKinds<'a> {
    /// Gathers the definitions of the kinds that objects of clusters are of.
    pub(super) fn of(objects: impl Iterator<Item = (&'a ClusterName, &'a Object)> + Clone) -> Self {
        let used: BTreeSet<Id> = objects.clone().map(|(_, object)| id(&object.name)).collect();
        let (mut different, mut found) = (HashMap::<Id, Vec<Arc<DefinedKind<'_>>>>::new(), BTreeMap::new());
        for (cluster, object) in objects {
            let Some((group, kind)) = defined(object).filter(|_| object.is_applied()) else { continue };
            // The API server would prune nothing.
            if object.value.at(&["spec", "preserveUnknownFields"]) == Some(&Value::Bool(true)) {
                continue;
            }
            for version in served(object) {
                let (Some(name), Some(schema)) =
                    (version.text_at(&["name"]), version.at(&["schema", "openAPIV3Schema"]))
                else {
                    continue;
                };
                let id = (format!("{group}/{name}"), kind.to_owned());
                if !used.contains(&id) {
                    continue;
                }
                let alike = different.entry(id.clone()).or_default();
                let kind = alike.iter().find(|kind| kind.is_of(schema)).cloned().unwrap_or_else(|| {
                    let kind = Arc::new(DefinedKind::new(schema));
                    alike.push(Arc::clone(&kind));
                    kind
                });
                found.entry(cluster).or_insert_with(HashMap::new).insert(id, kind);
            }
        }
        Self(found)
    }

    /// Returns how the kind of an object is defined on its cluster.
    pub(super) fn of_object(&self, cluster: &ClusterName, name: &ObjectName) -> Option<&DefinedKind<'a>> {
        self.0.get(cluster)?.get(&id(name)).map(Arc::as_ref)
    }
}

fn id(name: &ObjectName) -> Id {
    (name.api_version.clone(), name.kind.clone())
}
