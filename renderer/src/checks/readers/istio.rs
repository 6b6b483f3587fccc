//! Istio: what its values and objects say of the mesh.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::checks::ExposedAddress;
use crate::key_path::{Step, key, keys};
use crate::yaml::Value;

use super::super::exposed::addresses_of;

/// What `mesh` calls a control plane, or the part of one that a remote cluster runs.
pub(in super::super) const CONTROL_PLANE: &str = "istio-control-plane";
/// What `mesh` calls a gateway between networks.
pub(super) const GATEWAY: &str = "istio-gateway";
/// The label that says which network something lies in.
const NETWORK_LABEL: &str = "topology.istio.io/network";
/// The label by which a control plane finds the Secrets that lead to other clusters.
pub(super) const REMOTE_LABEL: &str = "istio/multiCluster";
/// The annotation that says which cluster such a Secret leads to.
const REMOTE_ANNOTATION: &str = "networking.istio.io/cluster";
/// Where an `ExternalSecret` names the Secret that it makes, and its labels and annotations.
const MADE_NAME: [&str; 3] = ["spec", "target", "name"];
const MADE_METADATA: [&str; 4] = ["spec", "target", "template", "metadata"];
/// How such a Secret is called by Istio's own tool.
pub(super) const REMOTE_PREFIX: &str = "istio-remote-secret-";

/// What one document says of the mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MeshPart {
    /// A control plane, or the part of it that a remote cluster runs.
    ControlPlane(Box<ControlPlane>),
    /// Where a network is named besides.
    Network(Name),
    /// A gateway between networks.
    Gateway {
        /// The network that lies behind it.
        network: Name,
        /// Its addresses.
        addresses: Vec<IpAddr>,
    },
    /// A Secret that leads a control plane to another cluster.
    RemoteSecret {
        /// The cluster.
        cluster: Name,
        /// Whether it lands on the hub and not on the cluster that it is rendered for.
        is_on_hub: bool,
    },
    /// Such Secrets that are pushed to other clusters, by the clusters that they lead to.
    PushedSecrets(Vec<String>),
}

/// A name and where it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    pub(super) path: Vec<Step>,
    pub(super) text: String,
}

/// What a control plane says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlPlane {
    pub(super) mesh_id: Option<String>,
    pub(super) trust_domain: Option<String>,
    pub(super) cluster: Option<String>,
    pub(super) network: Option<String>,
    /// The address of the control plane elsewhere, where this is a remote.
    pub(super) remote_pilot: Option<String>,
    pub(super) injection_path: Option<String>,
    pub(super) is_remote: bool,
    pub(super) is_external: bool,
}

pub(super) const MESH_ID: [&str; 2] = ["global", "meshID"];
pub(super) const TRUST_DOMAIN: [&str; 2] = ["meshConfig", "trustDomain"];
pub(super) const CLUSTER_NAME: [&str; 3] = ["global", "multiCluster", "clusterName"];
pub(super) const NETWORK: [&str; 2] = ["global", "network"];
pub(super) const REMOTE_PILOT: [&str; 2] = ["global", "remotePilotAddress"];
pub(super) const INJECTION_PATH: [&str; 2] = ["istiodRemote", "injectionPath"];
pub(super) const EXTERNAL_ISTIOD: [&str; 2] = ["global", "externalIstiod"];

fn name_at(value: &Value, path: &[&str]) -> Option<Name> {
    let text = value.text_at(path).filter(|text| !text.is_empty())?;
    Some(Name { path: keys(path), text: text.to_owned() })
}

/// Reads what the values of a gateway say.
pub(super) fn gateway(values: &Value, exposed: &[ExposedAddress]) -> Option<MeshPart> {
    let network = name_at(values, &["networkGateway"])?;
    Some(MeshPart::Gateway { network, addresses: addresses_of(exposed, &[key("service")]).collect() })
}

/// Reads what an object says of the mesh.
pub(in super::super) fn of_object(object: &Value, is_on_hub: bool) -> Option<MeshPart> {
    let network = network_of_namespace(object).filter(|_| !is_on_hub);
    network.or_else(|| remote_secret(object, is_on_hub)).or_else(|| pushed_secrets(object))
}

/// Reads what the values of a control plane say.
pub(super) fn control_plane(values: &Value) -> MeshPart {
    let text = |path: &[&str]| values.text_at(path).filter(|text| !text.is_empty()).map(str::to_owned);
    // The chart of a remote reads both names here only, where its webhook gives them to the control plane.
    let injected = |part: &str| {
        let mut parts = values.text_at(&INJECTION_PATH)?.split('/').skip_while(|other| *other != part);
        parts.nth(1).filter(|name| !name.is_empty()).map(str::to_owned)
    };
    MeshPart::ControlPlane(Box::new(ControlPlane {
        mesh_id: text(&MESH_ID),
        trust_domain: text(&TRUST_DOMAIN),
        cluster: text(&CLUSTER_NAME).or_else(|| injected("cluster")),
        network: text(&NETWORK).or_else(|| injected("net")),
        remote_pilot: text(&REMOTE_PILOT),
        injection_path: text(&INJECTION_PATH),
        is_remote: values.text_at(&["profile"]) == Some("remote"),
        is_external: values.at(&EXTERNAL_ISTIOD) == Some(&Value::Bool(true)),
    }))
}

fn network_of_namespace(object: &Value) -> Option<MeshPart> {
    let is_namespace = object.text_at(&["kind"]) == Some("Namespace");
    name_at(object, &["metadata", "labels", NETWORK_LABEL]).filter(|_| is_namespace).map(MeshPart::Network)
}

/// Reads a Secret that leads to another cluster: itself, or what External Secrets makes of it.
fn remote_secret(object: &Value, is_on_hub: bool) -> Option<MeshPart> {
    let (metadata, name): (&[&str], &[&str]) = match object.text_at(&["kind"])? {
        "Secret" => (&["metadata"], &["metadata", "name"]),
        "ExternalSecret" if object.at(&MADE_NAME).is_some() => (&MADE_METADATA, &MADE_NAME),
        "ExternalSecret" => (&MADE_METADATA, &["metadata", "name"]),
        _ => return None,
    };
    let below = |rest: [&'static str; 2]| [metadata, &rest].concat();
    if object.text_at(&below(["labels", REMOTE_LABEL])) != Some("true") {
        return None;
    }
    let annotated = name_at(object, &below(["annotations", REMOTE_ANNOTATION]));
    let by_prefix = || {
        let name = name_at(object, name)?;
        Some(Name { text: name.text.strip_prefix(REMOTE_PREFIX)?.to_owned(), ..name })
    };
    annotated.or_else(by_prefix).map(|cluster| MeshPart::RemoteSecret { cluster, is_on_hub })
}

/// Reads which Secrets that lead to clusters an object of External Secrets pushes elsewhere.
fn pushed_secrets(object: &Value) -> Option<MeshPart> {
    let is_push = object.text_at(&["kind"]) == Some("PushSecret");
    let data = object.at(&["spec", "data"])?.as_list().filter(|_| is_push)?;
    let key = |entry: &Value| {
        entry.text_at(&["match", "remoteRef", "remoteKey"])?.strip_prefix(REMOTE_PREFIX).map(str::to_owned)
    };
    let pushed: Vec<_> = data.iter().filter_map(key).collect();
    (!pushed.is_empty()).then_some(MeshPart::PushedSecrets(pushed))
}
