//! Wire-level fakes and generators for tests.

pub mod browser;
pub mod cluster;
pub mod crds;
pub mod fleet;
pub mod github;
pub mod hostile;
pub mod multipass;
pub mod program;
pub mod proxy;
pub mod readers;
pub mod real;
pub mod slack;
pub mod smart_http;
pub mod web;
pub mod webhooks;
