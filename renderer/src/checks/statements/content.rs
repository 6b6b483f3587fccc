//! An add-on on a cluster with the objects that it came to, and what is found in what `addon.yaml` says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::catalog::Addon;
use crate::checks::exposed::{ExposedAddress, exposed_by};
use crate::checks::finding::Finding;
use crate::checks::names::ports_of;
use crate::checks::policies::labels_of;
use crate::inventory::Cluster;
use crate::manifests::{Object, ObjectName};
use crate::tree::{Below, walk};
use crate::yaml::Value;

/// An add-on on a cluster with the objects that it came to.
#[derive(Clone, Debug)]
pub struct AddonObjects<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The add-on.
    pub addon: &'a Addon,
    /// The values that its chart is rendered with; null if it has none.
    pub values: &'a Value,
    /// The objects that its chart makes; those of the repository if it has none.
    pub made: Vec<&'a Object>,
    /// All of its objects.
    pub all: &'a [Object],
    /// Whether the fleet names the networks that people come from.
    pub names_operators: bool,
}

/// A statement that is not true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntrueStatement {
    /// The object that it is about, as an answer names it: `<Kind>/<name>`; none if there is no such object.
    pub object: Option<String>,
    /// What is wrong where in `addon.yaml`.
    pub finding: Finding,
}

/// A Service, as far as statements are about it.
pub(super) struct MadeService<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
    pub(super) ports: Vec<u16>,
    pub(super) is_load_balancer: bool,
    /// The addresses that it asks for.
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) selector: BTreeMap<String, String>,
}

impl<'a> AddonObjects<'a> {
    /// Returns the Services that the chart makes in the add-on's namespace.
    pub(super) fn made_services(&self) -> Vec<MadeService<'a>> {
        services(self.made.iter().copied()).filter(|it| it.namespace == self.namespace()).collect()
    }

    /// Returns all of its Services, in any namespace.
    pub(super) fn all_services(&self) -> Vec<MadeService<'a>> {
        services(self.all.iter()).collect()
    }

    /// Returns the names of objects of a kind that the chart makes.
    pub(super) fn made_of_kind(&self, kind: &'a str) -> impl Iterator<Item = &'a str> + use<'a, '_> {
        let made = self.made.iter().filter(move |object| object.name.kind == kind);
        made.map(|object| object.name.name.as_str())
    }

    /// Returns whether the values hold an object of a name: what a chart is given it only hands on.
    pub(super) fn is_given(&self, kind: &str, name: &str) -> bool {
        let mut is_given = false;
        walk(self.values, &mut |visit| {
            is_given |= ObjectName::of(visit.value).is_some_and(|it| it.kind == kind && it.name == name);
            if is_given { Below::Skip } else { Below::Enter }
        });
        is_given
    }

    pub(super) fn namespace(&self) -> &'a str {
        &self.addon.facts.namespace
    }
}

impl UntrueStatement {
    pub(super) fn about(kind: &str, name: &str, finding: Finding) -> Self {
        Self { object: Some(format!("{kind}/{name}")), finding }
    }
}

fn services<'a>(objects: impl Iterator<Item = &'a Object>) -> impl Iterator<Item = MadeService<'a>> {
    let services = objects.filter(|object| object.name.kind == "Service" && object.name.api_version == "v1");
    services.map(|object| MadeService {
        name: &object.name.name,
        namespace: object.name.namespace.as_deref().unwrap_or_default(),
        ports: ports_of(&object.value),
        is_load_balancer: object.value.text_at(&["spec", "type"]) == Some("LoadBalancer"),
        addresses: exposed_by(&object.value).iter().filter_map(ExposedAddress::address).collect(),
        selector: object.value.at(&["spec", "selector"]).map(labels_of).unwrap_or_default(),
    })
}
