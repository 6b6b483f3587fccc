//! Wire-level fakes and generators for tests.

pub mod crds;
pub mod hostile;
pub mod readers;
pub mod smart_http;
