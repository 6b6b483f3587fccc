//! The ends of what flows between clusters: who receives a signal, and who sends it where.
//!
//! Knows nothing of charts: what `addon.yaml` says, and what the readers find, is brought into this form.

use crate::checks::{Finding, Part};
use crate::key_path::Step;

use super::endpoint::Endpoint;

/// What one document receives and sends of one signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The signal.
    pub signal: String,
    /// Where it is received.
    pub receivers: Vec<Receiver>,
    /// What keeps other clusters from reaching the receiver, if there is one and something does.
    pub unreachable: Option<Finding>,
    /// Where it is sent to.
    pub senders: Vec<Sender>,
    /// The label that tells the clusters apart, if something is sent that should carry it.
    pub cluster_label: Option<ClusterLabel>,
    /// Where the cluster logs in for it.
    pub logins: Vec<Login>,
    /// What is wrong whatever the other end does.
    pub faults: Vec<Finding>,
}

/// A place that receives something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    pub(in super::super) endpoint: Endpoint,
    /// The namespace that it runs in.
    pub(in super::super) namespace: String,
    /// How to let it do without tenants, if it refuses what names none.
    pub(in super::super) tenants: Option<String>,
}

/// A place that something is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Where in the document it is written.
    pub path: Vec<Step>,
    /// What there is to edit.
    pub part: Part,
    /// The address as a URL.
    pub url: String,
    /// By what a tenant would be named, if none is.
    pub unnamed_tenant: Option<String>,
}

/// A label with the name of the cluster that something comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterLabel {
    /// Where in the document it is or should be written.
    pub path: Vec<Step>,
    /// What there is to edit.
    pub part: Part,
    /// The label, if there is one.
    pub value: Option<String>,
    /// How to set it right.
    pub hint: String,
}

/// By what a cluster logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Where in the document it is written.
    pub path: Vec<Step>,
    /// The account, the mount or whatever else must be the cluster's own.
    pub name: String,
}

impl Ends {
    /// Returns ends of a signal where nothing is received and nothing sent.
    pub(in super::super) fn of(signal: &str) -> Self {
        Self { signal: signal.to_owned(), ..Self::default() }
    }
}
