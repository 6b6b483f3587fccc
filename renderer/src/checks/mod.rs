//! Everything that is judged before anything is committed. A check is one function in one of five tables.
//!
//! Fact checks see the inventory, placement checks the inventory beside the catalog, document checks one rendered document,
//! cluster checks what the documents of one cluster do outside themselves, flow checks what those of all clusters do. The last three do not know where a value was written: whoever
//! runs them turns the path of a finding into a place.

mod argo;
mod facts;
mod flows;
mod hosts;
mod images;
mod keys;
mod kinds;
mod lengths;
mod names;
mod objects;
mod patterns;
mod placement;
mod secrets;

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use crate::catalog::{Addon, Catalog, ObjectSchemas};
use crate::inventory::{Cluster, Inventory};
use crate::key_path::{Step, key, owned as kept};
use crate::problem::Problem;
use crate::tree::{Below, walk};
use crate::yaml::{Map, Value};

pub use argo::{ArgoPart, Made, Registered};
pub use flows::{
    ClusterContent, ClusterFlows, ClusterLabel, DocumentNames, Ends, ExposedAddress, FlowFinding, Flows,
    Footprint, Login, MeshPart, Receiver, Sender, Signal, footprint,
};
pub use hosts::known_hosts;
pub use keys::not_locked;
pub use names::{NameUse, Named, Names, Provided, ServiceName};
pub use objects::ObjectId;
pub use patterns::is_watched;
pub use placement::{Unread, unread_facts};

/// A fault at a path of a rendered document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The path of the value at fault.
    pub path: Vec<Step>,
    /// What there is to edit.
    pub part: Part,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The name of the check that found it.
    pub check: &'static str,
}

/// What of a value at a path is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The value: the fact that it is, or the line of the template that makes it.
    Value,
    /// The last key of the path.
    Key,
    /// A line of a text, from 0.
    Line(usize),
    /// What the template inserts there: the fact is right, and belongs elsewhere.
    Insertion,
    /// The add-on that the file belongs to, as its `addon.yaml` describes it.
    Addon,
    /// The templates of each cluster's own files, of which one is missing.
    ClusterTemplates,
}

impl Finding {
    fn new(path: &[Step], message: impl Into<String>) -> Self {
        Self { path: path.to_vec(), part: Part::Value, message: message.into(), hint: None, check: "" }
    }

    fn on(self, part: Part) -> Self {
        Self { part, ..self }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the name of the check that found it.
    #[must_use]
    pub fn of(self, check: &'static str) -> Self {
        Self { check, ..self }
    }
}

/// A step into a document while it is walked: nothing is copied until something is found.
type Seen<'v> = Step<&'v str>;

/// Visits the texts and lists of a document with their paths, and with the map that has them as an entry.
fn visit<'v>(value: &'v Value, visitor: &mut impl FnMut(&[Seen<'v>], &'v Value, Option<&'v Map>)) {
    walk(value, &mut |visit| {
        if matches!(visit.value, Value::List(_) | Value::String(_)) {
            visitor(visit.path, visit.value, visit.parent().and_then(Value::as_map));
        }
        Below::Enter
    });
}

/// What a rendered document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// Values for a chart.
    Values,
    /// A Kubernetes object.
    Object,
}

/// Where in a rendered file something stands that is judged by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The document, from 0.
    pub document: usize,
    /// Which item of it, from 0, if the document is a list of objects.
    pub item: Option<usize>,
}

impl Spot {
    /// Returns the path in the document of what has a path here.
    #[must_use]
    pub fn path(self, path: &[Step]) -> Vec<Step> {
        let items = self.item.map(|item| [key(ITEMS), Step::Index(item)]);
        items.into_iter().flatten().chain(path.iter().cloned()).collect()
    }

    /// Returns the path as it is written for a file: it begins with the number of a document that is not the first.
    #[must_use]
    pub fn path_in_file(self, path: &[Step]) -> Vec<Step> {
        let number = (self.document > 0).then_some(Step::Index(self.document));
        number.into_iter().chain(self.path(path)).collect()
    }

    /// Returns what stands here among the documents of a file.
    #[must_use]
    pub fn of(self, documents: &[Value]) -> Option<&Value> {
        let document = documents.get(self.document)?;
        match self.item {
            None => Some(document),
            Some(item) => document.get(ITEMS)?.as_list()?.get(item),
        }
    }
}

/// Where a list of objects holds them.
const ITEMS: &str = "items";

/// Returns what of a document is judged by itself: the items of a list of objects, which are applied one by one, or the document.
pub fn judged_parts(kind: DocumentKind, document: &Value) -> impl Iterator<Item = (Option<usize>, &Value)> {
    let items = objects_of_list(document).filter(|_| kind == DocumentKind::Object);
    let is_list = items.is_some();
    let items = items.unwrap_or_default().iter().enumerate().map(|(at, item)| (Some(at), item));
    items.chain((!is_list).then_some((None, document)))
}

fn objects_of_list(document: &Value) -> Option<&[Value]> {
    let is_list = document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    document.get(ITEMS).and_then(Value::as_list).filter(|_| is_list)
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
    /// Its content with neutral values, if [`is_watched`] says that it is needed.
    pub neutral: Option<&'a Value>,
    /// What it does outside itself.
    pub footprint: &'a Footprint,
    /// Schemas of objects beside those that are built in.
    pub schemas: &'a ObjectSchemas,
    /// The IPv6 addresses that the facts around the document give.
    pub known_hosts: &'a BTreeSet<Ipv6Addr>,
}

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
/// Judges what all documents do outside themselves.
pub type FlowCheck = fn(&Flows<'_>) -> Vec<FlowFinding>;

/// Checks of the inventory as a whole.
pub const FACT_CHECKS: &[Check<FactCheck>] = &[
    Check { name: "fleet", run: facts::fleet_is_not_empty },
    Check { name: "addresses", run: facts::addresses_fit_their_pools },
    Check { name: "networks", run: facts::networks_are_disjoint },
    Check { name: "machines", run: facts::machines_stand_apart },
    Check { name: "reserved", run: facts::names_are_not_reserved },
];

/// Checks of the inventory and the catalog beside each other.
pub const PLACEMENT_CHECKS: &[Check<PlacementCheck>] = &[
    Check { name: "templates", run: placement::there_are_templates },
    Check { name: "addons", run: placement::chosen_addons_run },
    Check { name: "settings", run: placement::chosen_settings_fit },
    Check { name: "charts", run: keys::charts_are_locked },
    Check { name: "mirror", run: placement::chart_exceptions_are_used },
    Check { name: "placement", run: placement::placement_labels_exist },
    Check { name: "unread", run: placement::facts_are_read },
];

/// Checks of one rendered document.
pub const DOCUMENT_CHECKS: &[Check<DocumentCheck>] = &[
    Check { name: "keys", run: keys::keys_are_in_the_chart },
    Check { name: "images", run: images::images_are_pinned },
    Check { name: "objects", run: objects::objects_fit_their_schema },
    Check { name: "lengths", run: lengths::names_are_short_enough },
    Check { name: "reserved", run: objects::names_are_not_reserved },
    Check { name: "secrets", run: secrets::no_plaintext_secrets },
    Check { name: "patterns", run: patterns::values_bring_no_patterns },
    Check { name: "hosts", run: hosts::ipv6_hosts_have_brackets },
    Check { name: "exposed-addresses", run: flows::exposed_addresses_are_in_the_pool },
];

/// Checks of what the documents of one cluster do outside themselves. They run when something of the cluster has changed.
pub const CLUSTER_CHECKS: &[Check<ClusterCheck>] = &[
    Check { name: "service-names", run: names::services_exist },
    Check { name: "storage-classes", run: names::storage_classes_are_provided },
    Check { name: "secret-names", run: names::secrets_are_provided },
    Check { name: "deployed", run: names::addons_are_deployed },
];

/// Checks of what the documents of all clusters do outside themselves.
pub const FLOW_CHECKS: &[Check<FlowCheck>] = &[
    Check { name: "metrics", run: flows::metrics_arrive },
    Check { name: "logs", run: flows::logs_arrive },
    Check { name: "traces", run: flows::traces_arrive },
    Check { name: "vault", run: flows::secrets_are_reached },
    Check { name: "mesh", run: flows::meshes_fit },
    Check { name: "cluster-labels", run: flows::senders_name_their_cluster },
    Check { name: "exposed-once", run: flows::addresses_are_exposed_once },
    Check { name: "objects-once", run: flows::objects_are_written_once },
];
