//! How what is left over is removed: in which order, and with what it deployed or without.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::rollout::{Leftover, Stage};
use crate::hex::hex;

/// How much of a digest names a plan.
const DIGEST_BYTES: usize = 6;

/// An object to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Removal {
    /// What.
    #[serde(flatten)]
    pub leftover: Leftover,
    /// Whether what it deployed or holds is deleted with it.
    pub with_resources: bool,
}

/// Returns what is removed, in order. What the hub holds for a cluster goes with its Application in any case: without
/// the cluster it is of no use.
#[must_use]
pub fn removals(leftovers: &[Leftover], with_resources: bool) -> Vec<Removal> {
    let removal = |leftover: &Leftover| Removal {
        with_resources: match leftover.stage {
            Stage::Set => false,
            Stage::Application => with_resources,
            Stage::Root | Stage::Object => true,
        },
        leftover: leftover.clone(),
    };
    let mut removals: Vec<_> = leftovers.iter().map(removal).collect();
    removals.sort_by_key(|removal| removal.leftover.stage);
    removals
}

/// Returns the digest that names a plan.
#[must_use]
pub fn digest(removals: &[Removal]) -> String {
    let mut text = String::new();
    for removal in removals {
        let _ = writeln!(text, "{} {}", removal.leftover.key.namespace, removal.line());
    }
    hex(&Sha256::digest(text)[..DIGEST_BYTES])
}

impl Removal {
    /// Returns it as a line of a plan.
    #[must_use]
    pub fn line(&self) -> String {
        let what = match (self.leftover.stage, self.with_resources) {
            (Stage::Set, _) => ", without its Applications",
            (Stage::Application, false) => "; what it deployed stays",
            (Stage::Application, true) => ", with all that it deployed",
            (Stage::Root, _) => ", with what the hub holds for the cluster",
            (Stage::Object, _) => "",
        };
        format!("{}{what}", self.leftover)
    }
}
