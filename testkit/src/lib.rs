//! Wire-level fakes and generators for tests.

pub mod crds;
