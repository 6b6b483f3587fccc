//! The final objects of a cluster, as `helm template` writes them and Argo CD applies them.
//!
//! Knows nothing of how they are made, and of what changes about them.

mod immutable;
mod object;
mod pods;

pub(crate) use immutable::is_immutable;
pub(crate) use object::items;
pub use object::{Documents, MAX_OBJECTS, MAX_TEXT_BYTES, Object, ObjectName, documents, read};
pub(crate) use pods::pod_template;
