//! A Service that leads to a program of this machine, so that the proxy of an API server reaches it.

use std::net::{IpAddr, UdpSocket};

use anyhow::Result;
use serde_json::json;

use super::client::Client;

/// Returns an address of this machine that is not its loopback: no endpoint may be one of those.
pub fn own_address() -> Result<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // Sends nothing; it only chooses the address that would be sent from. The other one is for documentation.
    socket.connect("192.0.2.1:9")?;
    Ok(socket.local_addr()?.ip())
}

/// Makes a Service of a cluster lead to a port of this machine's own address.
///
/// The proxy of an API server leads to pods alone, so there is one with that address, which nothing schedules.
pub fn lead_to_machine(client: &Client, namespace: &str, name: &str, ports: (u16, u16)) -> Result<()> {
    let (port, own_port) = ports;
    let metadata = json!({"name": name, "namespace": namespace});
    let address = own_address()?.to_string();
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"schedulerName": "none", "containers": [{"name": "main", "image": "main"}]},
    });
    client.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}), "")?;
    client.apply(&pod, "")?;
    client.merge(&pod, "status", &json!({"status": {"podIP": address, "podIPs": [{"ip": address}]}}))?;
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"ports": [{"name": "http", "port": port}]},
    });
    client.apply(&service, "")?;
    let target = json!({"kind": "Pod", "namespace": namespace, "name": name});
    let endpoints = json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": metadata,
        "subsets": [{
            "addresses": [{"ip": address, "targetRef": target}],
            "ports": [{"name": "http", "port": own_port}],
        }],
    });
    Ok(client.apply(&endpoints, "")?)
}
