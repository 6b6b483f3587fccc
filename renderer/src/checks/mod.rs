//! Everything that is judged before anything is committed. A check is one function in one of nine tables.
//!
//! Fact checks see the inventory, placement checks the inventory beside the catalog, document checks one
//! rendered document, cluster checks what the documents of one cluster do outside themselves, flow checks
//! what those of all clusters do. Four more tables are for final objects, which charts make. All but the first two
//! do not know where a value was written: the caller turns the path of a finding into a place.

mod clusters;
mod defined;
mod document;
mod documents;
mod exposed;
mod facts;
mod finding;
mod flows;
mod footprint;
mod groups;
mod interfaces;
mod live;
mod machines;
mod names;
mod placement;
mod policies;
mod readers;
mod statements;

use crate::catalog::Catalog;
use crate::inventory::Inventory;
use crate::problem::Problem;

pub(crate) use clusters::lands_on;
pub use clusters::{ClusterContent, ClusterFlows, DocumentNames, FlowFinding, Flows};
pub use defined::DefinedKind;
pub use document::{Document, DocumentKind, Spot, judged_parts};
pub use documents::hosts::known_hosts;
pub use documents::keys::{charts_named, not_locked};
pub use documents::objects::ObjectId;
pub(crate) use documents::patterns::is_watched;
pub(crate) use exposed::exposed_by;
pub use exposed::{ExposedAddress, Pods};
pub use finding::{Finding, Part};
pub use flows::ends::{ClusterLabel, Ends, Login, Receiver, Sender};
pub use footprint::Footprint;
pub(crate) use footprint::footprint;
pub(crate) use names::backends::final_names;
pub use names::{Content, NameUse, Named, Names, Provided, ProvidedService, ServiceName, Taken};
pub(crate) use names::{filled, services_said};
pub use placement::{Unread, unread_facts};
pub use policies::Policy;
pub use readers::istio::MeshPart;
pub use readers::names::ADDRESS_ANNOTATIONS;
pub use statements::{AddonObjects, UntrueStatement};

/// A named check.
#[derive(Debug)]
pub struct Check<F> {
    /// The name, as the documentation calls it.
    pub name: &'static str,
    /// The function.
    pub run: F,
}

/// Judges the inventory as a whole.
pub type FactCheck = fn(&Inventory) -> Vec<Problem>;
/// Judges the inventory beside the catalog.
pub type PlacementCheck = fn(&Inventory, &Catalog) -> Vec<Problem>;
/// Judges one rendered document.
pub type DocumentCheck = fn(&Document<'_>) -> Vec<Finding>;
/// Judges what one cluster's documents do outside themselves.
pub type ClusterCheck = fn(&ClusterContent<'_>) -> Vec<FlowFinding>;
/// Judges what an add-on says of its objects on one cluster.
pub type StatementCheck = fn(&AddonObjects<'_>) -> Vec<UntrueStatement>;
/// Judges what all documents do outside themselves.
pub type FlowCheck = fn(&Flows<'_>) -> Vec<FlowFinding>;

/// Checks of the inventory as a whole.
pub const FACT_CHECKS: &[Check<FactCheck>] = &[
    Check { name: "fleet", run: facts::fleet_is_not_empty },
    Check { name: "addresses", run: facts::addresses_fit_their_pools },
    Check { name: "networks", run: facts::networks_are_disjoint },
    Check { name: "machines", run: machines::machines_stand_apart },
    Check { name: "reserved", run: facts::names_are_not_reserved },
    Check { name: "groups", run: groups::each_cluster_is_in_one },
];

/// Checks of the inventory and the catalog beside each other.
pub const PLACEMENT_CHECKS: &[Check<PlacementCheck>] = &[
    Check { name: "templates", run: placement::there_are_templates },
    Check { name: "addons", run: placement::chosen_addons_run },
    Check { name: "settings", run: placement::chosen_settings_fit },
    Check { name: "charts", run: documents::keys::charts_are_locked },
    Check { name: "mirror", run: placement::chart_exceptions_are_used },
    Check { name: "placement", run: placement::placement_labels_exist },
    Check { name: "workloads", run: machines::workloads_have_machines },
    Check { name: "interfaces", run: interfaces::descriptions_fit },
    Check { name: "verify", run: live::live_checks_can_be_asked },
    Check { name: "unread", run: placement::facts_are_read },
];

/// Checks of one rendered document.
pub const DOCUMENT_CHECKS: &[Check<DocumentCheck>] = &[
    Check { name: "keys", run: documents::keys::keys_are_in_the_chart },
    Check { name: "images", run: documents::images::images_are_pinned },
    Check { name: "objects", run: documents::objects::objects_fit_their_schema },
    Check { name: "lengths", run: documents::lengths::names_are_short_enough },
    Check { name: "reserved", run: documents::objects::names_are_not_reserved },
    Check { name: "secrets", run: documents::secrets::no_plaintext_secrets },
    Check { name: "patterns", run: documents::patterns::values_bring_no_patterns },
    Check { name: "hosts", run: documents::hosts::ipv6_hosts_have_brackets },
    Check { name: "exposed-addresses", run: documents::pool::addresses_are_in_the_pool },
];

/// Checks of what the documents of one cluster do outside themselves. They run when something of the cluster
/// has changed.
pub const CLUSTER_CHECKS: &[Check<ClusterCheck>] = &[
    Check { name: "service-names", run: names::services::services_exist },
    Check { name: "storage-classes", run: names::storage::storage_classes_are_provided },
    Check { name: "secret-names", run: names::secrets::secrets_are_provided },
    Check { name: "deployed", run: names::deployed::addons_are_deployed },
];

/// Checks of one final object of a chart.
pub const OBJECT_CHECKS: &[Check<DocumentCheck>] = &[
    Check { name: "final-objects", run: documents::objects::final_objects_fit_their_schema },
    Check { name: "final-images", run: documents::images::images_are_pinned },
    Check { name: "final-addresses", run: documents::pool::addresses_are_in_the_pool },
];

/// Checks of one final object by the definition of its kind, of a chart or of the repository's own: where the latter is
/// rendered, it is not known what charts define.
pub const DEFINED_CHECKS: &[Check<DocumentCheck>] =
    &[Check { name: "final-objects", run: documents::objects::objects_fit_their_definition }];

/// Checks of what `addon.yaml` says of the final objects of one add-on on a cluster.
pub const STATEMENT_CHECKS: &[Check<StatementCheck>] =
    &[Check { name: "final-interfaces", run: statements::statements_are_true }];

/// Checks of what the final objects of one cluster name of each other.
pub const OBJECT_NAME_CHECKS: &[Check<ClusterCheck>] = &[
    Check { name: "final-services", run: names::services::services_exist },
    Check { name: "final-config-maps", run: names::contents::config_maps_are_there },
    Check { name: "final-storage-classes", run: names::storage::storage_classes_are_provided },
    Check { name: "final-secrets", run: names::secrets::secrets_are_provided },
    Check { name: "final-secrets", run: names::contents::keys_of_secrets_are_there },
];

/// Checks of what the documents of all clusters do outside themselves.
pub const FLOW_CHECKS: &[Check<FlowCheck>] = &[
    Check { name: "metrics", run: |flows| flows::of_signal(flows, |signal| signal == "metrics") },
    Check { name: "logs", run: |flows| flows::of_signal(flows, |signal| signal == "logs") },
    Check { name: "traces", run: |flows| flows::of_signal(flows, |signal| signal == "traces") },
    Check { name: "flows", run: |flows| flows::of_signal(flows, |signal| !NAMED.contains(&signal)) },
    Check { name: "mesh", run: readers::mesh::meshes_fit },
    Check { name: "cluster-labels", run: flows::identity::senders_name_their_cluster },
    Check { name: "exposed-once", run: flows::exposed_once::addresses_are_exposed_once },
    Check { name: "exposure", run: flows::exposure::exposed_pods_are_limited },
    Check { name: "objects-once", run: flows::objects_once::objects_are_written_once },
];

/// The signals whose check has a name of its own, by which answers and JSON output know it.
const NAMED: [&str; 3] = ["metrics", "logs", "traces"];
