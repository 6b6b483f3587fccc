//! Groups: which clusters are published together, by one pull request.

use std::fmt;

use renderer::inventory::Role;
use serde::Serialize;

/// Clusters that are published together, by one pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The hubs.
    Control,
    /// The clusters that run workloads.
    App,
}

impl Group {
    /// All groups, in the order in which they are published.
    pub const ALL: [Self; 2] = [Self::Control, Self::App];

    /// Returns the group's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::App => "app",
        }
    }
}

impl From<Role> for Group {
    fn from(role: Role) -> Self {
        match role {
            Role::Control => Self::Control,
            Role::App => Self::App,
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
