//! A Kubernetes API server on loopback: lists in pages, watches with bookmarks, merge patches, deletion with finalizers,
//! and the refusals that the API documents. It knows no kind: an object is what a test puts there.
//!
//! What a controller would do is a function that a test gives it ([`Server::react`]).

mod answer;
mod objects;
mod server;

pub use objects::Trouble;
pub use server::Server;
