//! What is published of an add-on's chart.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is published of an add-on's chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Publish {
    /// Its name and its values: Argo CD renders it.
    #[default]
    Chart,
    /// The objects that Helm makes of it: Argo CD only reads them.
    Manifests,
}
