//! Options that several commands take, and what commands share because of them.

mod cluster;
mod global;
mod helm;
mod hub;
mod listen;
mod pages;
mod profile;
mod remote;

pub(super) use cluster::{check_cluster, check_hub, client_of, known_cluster, vault_token};
pub(super) use global::renderer;
pub use global::{Format, Global};
pub(super) use helm::HelmArgs;
pub(super) use hub::{HubArgs, LONGEST_SILENCE, Target, time};
pub(super) use listen::Listen;
pub(super) use pages::PagesArgs;
pub(super) use profile::ProfileArgs;
pub(super) use remote::{ForgeName, RemoteArgs};
