//! No two files may write one object, nor make Argo CD write one.

use std::fmt;

use hashbrown::HashMap;

use crate::argo::{ArgoPart, Made};
use crate::checks::{ClusterFlows, Finding, FlowFinding, Flows, ObjectId, lands_on};
use crate::inventory::Cluster;
use crate::key_path::{Step, keys};
use crate::path::{ClusterName, RepoPath};

/// Of two files that write one object, the last to be applied wins, and which that is changes from sync to sync.
///
/// The objects of add-ons land on their own cluster, those of the cluster's own files on its hub.
pub(in super::super) fn objects_are_written_once(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    let mut written: HashMap<(&ClusterName, &ObjectId), &RepoPath> = HashMap::new();
    let mut argo = Argo::default();
    for cluster in flows.each() {
        for (file, document, footprint) in &cluster.documents {
            let part = footprint.argo.as_deref();
            let mut found = part.map(|part| argo.add(cluster, file, part)).unwrap_or_default();
            if let Some(object) = &footprint.object {
                found.extend(argo.add_object(cluster, file, object));
                let at = lands_on(cluster.cluster, object.is_on_hub);
                let first = written.insert((at, object), file);
                found.extend(first.map(|first| written_twice(object, file, first)));
            }
            findings.extend(found.into_iter().map(|finding| cluster.finding(file, *document, finding)));
        }
    }
    findings
}

fn written_twice(object: &ObjectId, file: &RepoPath, first: &RepoPath) -> Finding {
    let message = format!("{} `{}` is written twice", object.kind, object.name);
    let hint = if first == file {
        "give each object of this file its own name".to_owned()
    } else {
        format!("`{first}` writes it, too; give each its own name")
    };
    Finding::new(&keys(&["metadata", "name"]), message).hint(hint)
}

/// What the Argo CD of each hub is given so far.
#[derive(Default)]
struct Argo<'a> {
    /// By where it runs, namespace and name.
    applications: HashMap<(&'a ClusterName, &'a str, &'a str), Source<'a>>,
    clusters: HashMap<(&'a ClusterName, &'a str), Source<'a>>,
    servers: HashMap<(&'a ClusterName, &'a str), Source<'a>>,
}

/// What writes or makes something.
#[derive(Clone, Copy)]
struct Source<'a> {
    cluster: &'a Cluster,
    file: &'a RepoPath,
    /// The element that an Application is made of.
    made: Option<&'a Made>,
}

impl<'a> Argo<'a> {
    fn add_object(
        &mut self,
        cluster: &ClusterFlows<'a>,
        file: &'a RepoPath,
        object: &'a ObjectId,
    ) -> Option<Finding> {
        let at =
            (lands_on(cluster.cluster, object.is_on_hub), object.application_namespace()?, &*object.name);
        let source = Source { cluster: cluster.cluster, file, made: None };
        // Two that are written are two objects, as others are.
        let first = self.applications.insert(at, source).filter(|first| first.made.is_some())?;
        Some(made_twice(&object.name, &keys(&["metadata", "name"]), first, source))
    }

    fn add(&mut self, cluster: &ClusterFlows<'a>, file: &'a RepoPath, part: &'a ArgoPart) -> Vec<Finding> {
        let at = lands_on(cluster.cluster, part.is_on_hub);
        let mut findings = Vec::new();
        for made in &part.made {
            let source = Source { cluster: cluster.cluster, file, made: Some(made) };
            if let Some(first) = self.applications.insert((at, &part.namespace, &made.name), source) {
                findings.push(made_twice(&made.name, &made.path, first, source));
            }
        }
        let source = Source { cluster: cluster.cluster, file, made: None };
        if let Some(registered) = &part.registered {
            let known = [(&mut self.clusters, &registered.name), (&mut self.servers, &registered.server)];
            let known = known.into_iter().filter(|(_, name)| !name.is_empty());
            let twice = known.filter_map(|(known, name)| Some((known.insert((at, name), source)?, name)));
            findings.extend(twice.take(1).map(|(first, name)| {
                let message = format!(
                    "`{name}` is registered with Argo CD twice: for cluster `{}` and for `{}`",
                    first.cluster.name, source.cluster.name
                );
                let hint =
                    format!("`{}` registers it, too; give each cluster its own name and address", first.file);
                Finding::new(&registered.path, message).hint(hint)
            }));
        }
        findings
    }
}

fn made_twice(name: &str, path: &[Step], first: Source<'_>, second: Source<'_>) -> Finding {
    let message = format!("Application `{name}` is made twice: {first} and {second}");
    let hint = if first.cluster.name == second.cluster.name {
        "give each its own name".to_owned()
    } else {
        format!(
            "rename `{}` or `{}`, or one of the add-ons: joined, their names are the same",
            first.cluster.file, second.cluster.file
        )
    };
    Finding::new(path, message).hint(hint)
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.made {
            Some(made) => write!(f, "of `{}` on `{}`", made.element, self.cluster.name),
            None => write!(f, "by `{}`", self.file),
        }
    }
}
