//! No two files may write one object.

use hashbrown::HashMap;

use crate::inventory::key;
use crate::path::{ClusterName, RepoPath};

use super::super::{Finding, ObjectId};
use super::{FlowFinding, Flows};

/// Of two files that write one object, the last to be applied wins, and which that is changes from sync to sync.
///
/// The objects of add-ons land on their own cluster, those of the cluster's own files on its hub.
pub(in super::super) fn objects_are_written_once(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    let mut on_hubs: HashMap<(&ClusterName, &ObjectId), &RepoPath> = HashMap::new();
    for cluster in flows.each() {
        let mut own: HashMap<&ObjectId, &RepoPath> = HashMap::with_capacity(cluster.documents.len());
        for (file, document, footprint) in &cluster.documents {
            let Some(object) = &footprint.object else { continue };
            let earlier = if object.is_on_hub {
                on_hubs.insert((&cluster.cluster.hub, object), file)
            } else {
                own.insert(object, file)
            };
            if let Some(first) = earlier {
                findings.push(cluster.finding(file, *document, written_twice(object, first == *file, first)));
            }
        }
    }
    findings
}

fn written_twice(object: &ObjectId, is_same_file: bool, first: &RepoPath) -> Finding {
    let message = format!("{} `{}` is written twice", object.kind, object.name);
    let hint = if is_same_file {
        "give each object of this file its own name".to_owned()
    } else {
        format!("`{first}` writes it, too; give each its own name")
    };
    Finding::new(&["metadata", "name"].map(key), message).hint(hint)
}
