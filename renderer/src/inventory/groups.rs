//! Groups: which clusters share a pull request, in the order of their release.
//!
//! Knows no cluster: which group one belongs to is for the inventory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::role::Role;
use crate::path::{GroupName, NameError};
use crate::span;

/// The groups of a fleet, in the order of their release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("minItems" = 1, "maxItems" = 100))]
pub struct Groups(Vec<Group>);

/// Clusters that share a pull request. It waits for those of all groups before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// The name. The branch of the group's pull request is `fleetwright/<name>`.
    #[schemars(
        with = "String",
        length(max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        extend("x-hint" = NameError::HINT)
    )]
    pub name: GroupName,
    /// The clusters: those that fit all that is given here; those that no other group takes if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<ClusterChoice>,
    /// How long all of it has to be synced and healthy before the next group is released, such as `30m`; not at all if
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Soak>,
    /// Whether the group's pull request waits until this is taken away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// A span of time: a number and a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^[1-9][0-9]{0,3}[smhd]$", "x-hint" = Soak::HINT))]
pub struct Soak(Duration);

/// Which clusters a group takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterChoice {
    /// Clusters with one of these roles; of any role if empty.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
    /// Clusters with all of these labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Clusters with one of these names; of any name if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

impl Soak {
    const HINT: &str = "write a number up to 9999 and a unit: `90s`, `30m`, `2h` or `1d`";

    /// Returns how long it is.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Soak {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let read = || {
            let (number, seconds) = span::parse(&text)?;
            let number = u16::try_from(number).ok()?;
            Some(Self(Duration::from_secs(u64::from(number) * u64::from(seconds))))
        };
        read().ok_or(Self::HINT)
    }
}

impl From<Soak> for String {
    fn from(Soak(duration): Soak) -> Self {
        let seconds = duration.as_secs();
        let fits = |(_, unit): &(char, u32)| seconds % u64::from(*unit) == 0;
        let (name, unit) =
            span::UNITS.into_iter().find(fits).expect("each number of seconds is one of seconds");
        format!("{}{name}", seconds / u64::from(unit))
    }
}

impl Groups {
    /// Returns the groups in order.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Group> + ExactSizeIterator {
        self.0.iter()
    }

    /// Returns the names of the groups in order.
    #[must_use]
    pub fn names(&self) -> Vec<GroupName> {
        self.iter().map(|group| group.name.clone()).collect()
    }
}

/// One group for each role, those first that others depend on.
impl Default for Groups {
    fn default() -> Self {
        let group = |role: Role| Group {
            name: GroupName::parse(role.as_str()).expect("a role is a name"),
            clusters: Some(ClusterChoice { roles: [role].into(), ..ClusterChoice::default() }),
            soak: None,
            paused: false,
        };
        Self(Role::ALL.map(group).into())
    }
}
