//! Kubernetes API servers: where they are, who asks, and lists, watches and changes of objects.
//!
//! The only module that names `kube`; its types do not leave it. Knows nothing of what the objects mean: a kind says
//! where it is served ([`Kind`]), and which of its fields are read.

mod address;
mod ask;
mod client;
mod contexts;
mod error;
mod kind;
mod kubeconfig;
mod object;

mod store;
#[cfg(test)]
mod tests;
mod watch;

pub use address::Address;
pub use ask::{PodRequest, ServiceRequest};
pub use client::{Cascade, Client};
pub use contexts::Contexts;
pub use error::{ClusterError, ClusterErrorKind};
pub use kind::{Key, Kind, Metadata, Owner};
pub use kubeconfig::{Access, Kubeconfig, Merged};
pub use store::Store;
pub use watch::Change;
