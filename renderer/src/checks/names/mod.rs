//! Names of what must be there in a cluster: storage classes, Secrets and Services.
//!
//! Kubernetes waits for a name that nobody provides, and says so only to whoever looks at the one object that waits.

mod deployed;
mod find;
mod secrets;
mod services;
mod storage;

use crate::catalog::Addon;
use crate::key_path::Step;

pub(super) use deployed::{addons_are_deployed, folders, is_filled_later};
pub(super) use find::{is_name, lists_secrets, names_in_entry, of_object, provided_by, service_names};
pub(super) use secrets::secrets_are_provided;
pub(super) use services::services_exist;
pub(super) use storage::storage_classes_are_provided;

/// The names that a document uses, and those that it provides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// What must be there.
    pub used: Vec<NameUse>,
    /// What is there because of the document.
    pub provided: Vec<Provided>,
}

/// A name of something that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameUse {
    /// Where in the document it is written.
    pub path: Vec<Step>,
    /// What it names.
    pub named: Named,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A class of volumes.
    StorageClass(String),
    /// A Secret, in a namespace if that is known.
    Secret(Option<String>, String),
    /// A Service, by its name inside the cluster.
    Service(ServiceName),
}

/// The name of a Service inside its cluster, as in `loki.logging.svc:3100`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName {
    name: String,
    namespace: String,
    port: Option<u16>,
    /// Whether it may be in any cluster of the mesh: all of them share what the control plane says.
    is_of_mesh: bool,
}

/// What a document provides to others of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provided {
    /// A class of volumes.
    StorageClass(String),
    /// A Secret, in a namespace or in several.
    Secret(Option<String>, String),
    /// An add-on's rendered folder that is deployed, by the parts of its path: names, or patterns and templates.
    Deployed {
        /// The cluster.
        cluster: String,
        /// The add-on.
        addon: String,
    },
    /// A chart that is deployed.
    Chart(String),
    /// Whatever a generator finds elsewhere.
    Anything,
    /// A Secret that is pushed to somewhere else, to a spoke for one.
    Pushed(String),
    /// A Service with the ports that are known of it; any if none are.
    Service {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// The ports.
        ports: Vec<u16>,
    },
    /// Services of a release whose names all begin alike, since not all of them are known.
    Services {
        /// The namespace.
        namespace: String,
        /// What the names begin with.
        beginning: String,
    },
}

impl ServiceName {
    pub(super) fn of_mesh(self) -> Self {
        Self { is_of_mesh: true, ..self }
    }
}

impl Names {
    pub(super) fn is_empty(&self) -> bool {
        self.used.is_empty() && self.provided.is_empty()
    }
}

/// Returns what an add-on installs its objects under: release, namespace and chart.
fn release_of(addon: &Addon) -> (&str, &str, &str) {
    (addon.release(), &addon.facts.namespace, &addon.facts.chart.name)
}
