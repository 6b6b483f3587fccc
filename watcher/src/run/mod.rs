//! A run: from a request to pull requests that show what is rendered.

pub mod changes;
