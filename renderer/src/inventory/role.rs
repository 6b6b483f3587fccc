//! What clusters are for.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a cluster is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs Argo CD and collects metrics, logs, traces and secrets for its spokes.
    Control,
    /// Runs workloads and sends its telemetry to its hub.
    App,
}

impl Role {
    /// All roles, those first that others depend on.
    pub const ALL: [Self; 2] = [Self::Control, Self::App];

    /// Returns the role as it is written in the inventory.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::App => "app",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
