//! A rendered document, and what of it is judged by itself.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use crate::catalog::{Addon, ObjectSchemas};
use crate::checks::{DefinedKind, ExposedAddress};
use crate::inventory::Cluster;
use crate::key_path::{Step, key};
use crate::yaml::Value;

/// What a rendered document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// Values for a chart.
    Values,
    /// A Kubernetes object that Argo CD applies.
    Object,
    /// What another program reads.
    Other,
}

/// Where in a rendered file something stands that is judged by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// The document, from 0.
    pub document: usize,
    /// Which item of it, from 0, if the document is a list of objects.
    pub item: Option<usize>,
}

impl Spot {
    /// Returns the path in the document of what has a path here.
    pub(crate) fn path(self, path: &[Step]) -> Vec<Step> {
        let items = self.item.map(|item| [key(ITEMS), Step::Index(item)]);
        items.into_iter().flatten().chain(path.iter().cloned()).collect()
    }

    /// Returns the path as it is written for a file: it begins with the number of a document that is not the first.
    pub(crate) fn path_in_file(self, path: &[Step]) -> Vec<Step> {
        let number = (self.document > 0).then_some(Step::Index(self.document));
        number.into_iter().chain(self.path(path)).collect()
    }

    /// Returns what stands here among the documents of a file.
    pub(crate) fn of(self, documents: &[Value]) -> Option<&Value> {
        let document = documents.get(self.document)?;
        match self.item {
            None => Some(document),
            Some(item) => document.get(ITEMS)?.as_list()?.get(item),
        }
    }
}

/// Where a list of objects holds them.
const ITEMS: &str = "items";

/// Returns what of a document is judged by itself: the items of a list of objects, which are applied one by
/// one, or the document.
pub fn judged_parts(kind: DocumentKind, document: &Value) -> impl Iterator<Item = (Option<usize>, &Value)> {
    let is_list = document.text_at(&["kind"]).is_some_and(|kind| kind.ends_with("List"));
    let items = document.get(ITEMS).and_then(Value::as_list);
    let items = items.filter(|_| is_list && kind == DocumentKind::Object);
    let whole = items.is_none().then_some((None, document));
    items.unwrap_or_default().iter().enumerate().map(|(at, item)| (Some(at), item)).chain(whole)
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
    /// Its content with neutral values, if `is_watched` says that it is needed.
    pub neutral: Option<&'a Value>,
    /// The addresses that it asks load balancers for.
    pub exposed: &'a [ExposedAddress],
    /// Schemas of objects beside those that are built in.
    pub schemas: &'a ObjectSchemas,
    /// How a definition that is applied beside it describes its kind, where that is known.
    pub defined: Option<&'a DefinedKind<'a>>,
    /// The IPv6 addresses that the facts around the document give.
    pub known_hosts: &'a BTreeSet<Ipv6Addr>,
}

impl<'a> Document<'a> {
    /// Returns the values that a chart is installed with, and the add-on.
    pub(super) fn values(&self) -> Option<(&'a Addon, &'a Value)> {
        self.addon.filter(|_| self.kind == DocumentKind::Values).map(|addon| (addon, self.value))
    }

    /// Returns the object, if it is one.
    pub(super) fn object(&self) -> Option<&'a Value> {
        (self.kind == DocumentKind::Object).then_some(self.value)
    }
}
