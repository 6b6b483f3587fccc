//! Wire-level fakes and generators for tests.
