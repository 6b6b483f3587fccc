//! The ends of what flows between clusters: who receives a signal, and who sends it where.
//!
//! Knows nothing of charts: what `addon.yaml` says, and what the readers find, is brought into this form.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::checks::{Finding, Part};
use crate::key_path::Step;
use crate::network::host_and_port;

/// What one document receives and sends of one signal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiver {
    pub(in super::super) endpoint: Endpoint,
    /// The namespace that it runs in.
    pub(in super::super) namespace: String,
    /// How to let it do without tenants, if it refuses what names none.
    pub(in super::super) tenants: Option<String>,
    /// Whether it refuses what proves itself by no certificate.
    pub(in super::super) takes_certificates_only: bool,
}

/// A place that something is sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// Where in the document it is written.
    pub path: Vec<Step>,
    /// What there is to edit.
    pub part: Part,
    /// The address as a URL.
    pub url: String,
    /// By what a tenant would be named, if none is.
    pub unnamed_tenant: Option<String>,
    /// By what a certificate of the sender would be named, if none is.
    pub unnamed_certificate: Option<String>,
}

/// A label with the name of the cluster that something comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// An address on the network with what is spoken there; equal ones are the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Endpoint {
    pub scheme: String,
    pub host: IpAddr,
    pub port: u16,
    pub path: String,
}

impl Endpoint {
    /// Reads a URL; nothing if it has a host name, which is not known to be of the fleet.
    pub(in super::super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let (host, port) = host_and_port(rest);
        let default_port = if scheme == "https" { 443 } else { 80 };
        let port = port.map_or(Ok(default_port), str::parse).ok()?;
        // `localhost` is the one name that is known.
        let host = if host == "localhost" { "127.0.0.1" } else { host };
        let path = rest.find(['/', '?', '#']).map_or("/", |at| &rest[at..]);
        Some(Self { scheme, host: host.parse::<IpAddr>().ok()?.to_canonical(), port, path: path.to_owned() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, path } = self;
        let path = if path == "/" { "" } else { path };
        if host.is_ipv6() {
            write!(f, "{scheme}://[{host}]:{port}{path}")
        } else {
            write!(f, "{scheme}://{host}:{port}{path}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_an_address_is_an_endpoint_and_one_with_a_host_name_is_not() {
        for (url, endpoint) in [
            ("http://192.168.64.102:9090/api/v1/write", "http://192.168.64.102:9090/api/v1/write"),
            ("HTTPS://10.0.0.1", "https://10.0.0.1:443"),
            ("http://reader@10.0.0.1/x?y=1", "http://10.0.0.1:80/x?y=1"),
            ("http://[FD00::1]:9090/x", "http://[fd00::1]:9090/x"),
            ("http://[fd00:0:0::1]/", "http://[fd00::1]:80"),
            ("http://[::ffff:10.0.0.1]:80/", "http://10.0.0.1:80"),
            ("grpc://localhost:4317/", "grpc://127.0.0.1:4317"),
        ] {
            assert_eq!(Endpoint::parse(url).map(|endpoint| endpoint.to_string()).as_deref(), Some(endpoint));
        }
        for url in
            ["https://metrics.example.com/api/v1/write", "https://prometheus:9090/", "http://10.0.0.1:x/", ""]
        {
            assert_eq!(Endpoint::parse(url), None);
        }
    }
}
