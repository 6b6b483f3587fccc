//! Where an add-on, one of its versions or one of its checks is.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::inventory::{Cluster, Role};

/// Where an add-on runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Placement {
    /// On clusters with one of these roles; on all if empty.
    pub roles: BTreeSet<Role>,
    /// On clusters with all of these labels.
    pub labels: BTreeMap<String, String>,
}

impl Placement {
    /// Returns whether a cluster is meant.
    pub(crate) fn admits(&self, cluster: &Cluster) -> bool {
        cluster.has(&self.roles, &self.labels)
    }
}
