//! An etcd as kubeadm runs it on a control plane: it answers those alone who have a certificate.

use std::net::TcpStream;
use std::path::Path;

use anyhow::Result;

use super::ETCD;
use super::process::{Folder, Process, arguments, free_ports};

/// A running etcd of one member.
pub struct Etcd {
    _process: Process,
    _folder: Folder,
}

impl Etcd {
    /// Starts a member at an address of this machine's loopback, with its data in a folder and the certificates that kubeadm has made.
    pub fn start(address: &str, data: &Path, certificates: &Path) -> Result<Self> {
        let folder = Folder::new()?;
        let [peer_port] = free_ports()?;
        let (url, peer) = (format!("https://{address}:2379"), format!("http://127.0.0.1:{peer_port}"));
        let certificate = |name: &str| certificates.join("etcd").join(name).display().to_string();
        let arguments = arguments([
            &format!("--data-dir={}", data.display()),
            &format!("--listen-client-urls={url}"),
            &format!("--advertise-client-urls={url}"),
            &format!("--listen-peer-urls={peer}"),
            &format!("--initial-advertise-peer-urls={peer}"),
            &format!("--initial-cluster=default={peer}"),
            "--client-cert-auth",
            &format!("--cert-file={}", certificate("server.crt")),
            &format!("--key-file={}", certificate("server.key")),
            &format!("--trusted-ca-file={}", certificate("ca.crt")),
            "--log-level=error",
        ]);
        let mut process = Process::start("etcd", &ETCD.binary("etcd")?, arguments, [], folder.path())?;
        process.wait_until("etcd answered", || TcpStream::connect((address, 2379)).is_ok())?;
        Ok(Self { _process: process, _folder: folder })
    }
}
