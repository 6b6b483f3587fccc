//! What one rendered document does outside itself: what checks of clusters and of flows hold against other documents.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::argo::{self, ArgoPart};
use crate::checks::{Document, DocumentKind, Ends, ExposedAddress, MeshPart, Names, ObjectId, Policy};

use super::flows::declared;
use super::names::gather;
use super::policies::{exposed_with_pods, policy};
use super::readers::{istio, read_mesh};

/// What one rendered document does outside itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    /// The object that it writes.
    pub object: Option<ObjectId>,
    /// What Argo CD makes of it; boxed, since of few documents it makes anything.
    pub argo: Option<Box<ArgoPart>>,
    /// The addresses that it exposes.
    pub exposed: Vec<ExposedAddress>,
    /// Whom it lets reach which pods, if it is a policy of that.
    pub policy: Option<Box<Policy>>,
    /// What it receives and sends, one for each signal.
    pub ends: Box<[Ends]>,
    /// What it says of the mesh.
    pub mesh: Option<Box<MeshPart>>,
    /// The names that it uses and provides: shared with the list of all names of its cluster.
    pub names: Option<Arc<Names>>,
}

impl Footprint {
    /// Returns whether the document does anything that matters to other clusters or to the addresses of its own.
    pub(crate) fn is_outward(&self) -> bool {
        self.object.is_some()
            || self.argo.is_some()
            || !self.exposed.is_empty()
            || !self.ends.is_empty()
            || self.mesh.is_some()
    }

    /// Returns whether the document does nothing outside itself.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads what a rendered document does outside itself.
pub(crate) fn footprint(document: &Document<'_>) -> Footprint {
    if document.kind == DocumentKind::Other {
        return Footprint::default();
    }
    let names = gather::names(document);
    let argo = document.object().and_then(|object| argo::part(object, document.addon.is_none()));
    Footprint {
        object: ObjectId::of(document),
        argo: argo.map(Box::new),
        exposed: exposed_with_pods(document),
        policy: policy(document).map(Box::new),
        ends: declared::ends(document).into(),
        mesh: mesh(document).map(Box::new),
        names: (!names.is_empty()).then(|| Arc::new(names)),
    }
}

fn mesh(document: &Document<'_>) -> Option<MeshPart> {
    match document.values() {
        Some((addon, values)) => read_mesh(addon.facts.mesh.as_deref()?, values, document.exposed),
        None => istio::of_object(document.object()?, document.addon.is_none()),
    }
}
