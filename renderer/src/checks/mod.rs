//! Everything that is judged before anything is committed. A check is one function in one of three tables.
//!
//! Fact checks see the inventory, document checks see one rendered document, flow checks see what clusters send to each
//! other. None knows where a value was written: whoever runs a check turns its path into a place.

mod facts;
mod flows;
mod keys;
mod objects;
mod secrets;

use crate::catalog::{Addon, Catalog};
use crate::inventory::{Cluster, Inventory};
use crate::key_path::Step;
use crate::problem::Problem;
use crate::yaml::Value;

pub use flows::{
    ClusterFlows, ExposedAddress, FlowFinding, Flows, MetricsListener, MetricsSender, Telemetry, telemetry,
};

pub use keys::not_locked;

/// A fault at a path of a rendered document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The path of the value at fault.
    pub path: Vec<Step>,
    /// Whether the fault is the last key of the path itself and not its value.
    pub on_key: bool,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    pub(crate) fn new(path: &[Step], message: impl Into<String>) -> Self {
        Self { path: path.to_vec(), on_key: false, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What a rendered document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// Values for a chart.
    Values,
    /// A Kubernetes object.
    Object,
}

/// A rendered document and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// The cluster that it was rendered for.
    pub cluster: &'a Cluster,
    /// The add-on that it belongs to, if to one.
    pub addon: Option<&'a Addon>,
    /// What it is.
    pub kind: DocumentKind,
    /// Its content.
    pub value: &'a Value,
}

/// A named check.
#[derive(Debug)]
pub struct Check<F> {
    /// The name, as the documentation calls it.
    pub name: &'static str,
    /// The function.
    pub run: F,
}

/// Checks of the inventory as a whole.
pub const FACT_CHECKS: &[Check<fn(&Inventory, &Catalog) -> Vec<Problem>>] = &[
    Check { name: "fleet", run: facts::fleet_is_not_empty },
    Check { name: "addons", run: facts::chosen_addons_exist },
    Check { name: "addresses", run: facts::addresses_fit_their_pools },
    Check { name: "networks", run: facts::networks_are_disjoint },
    Check { name: "machines", run: facts::machines_stand_outside_pools },
    Check { name: "charts", run: keys::charts_are_locked },
    Check { name: "unread", run: facts::facts_are_read },
];

/// Checks of one rendered document.
pub const DOCUMENT_CHECKS: &[Check<fn(&Document<'_>) -> Vec<Finding>>] = &[
    Check { name: "keys", run: keys::keys_are_in_the_chart },
    Check { name: "images", run: keys::images_name_one_registry },
    Check { name: "objects", run: objects::objects_fit_their_schema },
    Check { name: "secrets", run: secrets::no_plaintext_secrets },
    Check { name: "exposed-addresses", run: flows::exposed_addresses_are_in_the_pool },
];

/// Checks of what clusters send to each other.
pub const FLOW_CHECKS: &[Check<fn(&Flows<'_>) -> Vec<FlowFinding>>] = &[
    Check { name: "metrics", run: flows::metrics_arrive },
    Check { name: "metrics-labels", run: flows::metrics_name_their_cluster },
    Check { name: "exposed-once", run: flows::addresses_are_exposed_once },
];
