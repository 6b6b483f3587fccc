//! Expansion: a template's tree and facts in, a text out in which a token stands for each inserted value.
//!
//! Everything is strict and counted. Knows nothing of YAML.

mod expander;
mod frames;
mod missing;
mod output;

pub(super) use expander::{Failure, expand};
pub(crate) use missing::missing_name;
pub(super) use output::{Capture, Expansion};
