//! Wire-level fakes and generators for tests.

pub mod hostile;
pub mod readers;
