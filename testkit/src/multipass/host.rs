//! What there is: instances, the files on them, and the clusters that they are nodes of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// A machine with Multipass on it.
#[derive(Default, Serialize, Deserialize)]
pub struct Host {
    /// The instances, by name.
    pub instances: BTreeMap<String, Instance>,
    /// The clusters, by the endpoint of their control planes.
    pub clusters: BTreeMap<String, Cluster>,
    /// The arguments of each call, in order.
    pub calls: Vec<Vec<String>>,
}

/// A virtual machine.
#[derive(Serialize, Deserialize)]
pub struct Instance {
    /// Its state, as `multipass list` prints it.
    pub state: String,
    /// What it was launched from.
    pub image: String,
    /// How many CPUs it has.
    pub cpus: u32,
    /// Its memory.
    pub memory_bytes: u64,
    /// Its disk.
    pub disk_bytes: u64,
    /// What it was launched with.
    pub cloud_init: String,
    /// Whether cloud-init came to its end.
    pub is_initialized: bool,
    /// Its files, as far as they were written by commands.
    pub files: BTreeMap<String, String>,
    /// The password that its database takes.
    pub password: Option<String>,
    /// The version of Kubernetes that is installed on it.
    pub kubernetes: String,
}

/// A cluster of Kubernetes.
#[derive(Default, Serialize, Deserialize)]
pub struct Cluster {
    /// The version of its control plane.
    pub version: String,
    /// Its nodes.
    pub nodes: BTreeMap<String, Node>,
    /// The members of its etcd.
    pub etcd: BTreeSet<String>,
    /// The tokens that a node may join with.
    pub tokens: BTreeSet<String>,
    /// The key that its certificates are kept with for control planes that join.
    pub certificate_key: Option<String>,
}

/// A node of a cluster.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Node {
    /// Whether it takes no new pods.
    pub is_cordoned: bool,
    /// The version of its kubelet.
    pub version: String,
}

impl Host {
    pub(super) fn load(folder: &Path) -> Result<Self> {
        let Ok(text) = fs::read(folder.join("host.json")) else { return Ok(Self::default()) };
        Ok(serde_json::from_slice(&text)?)
    }

    /// Writes it as a whole: a call may be killed.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        fs::write(folder.join("host.new"), serde_json::to_vec(self)?)?;
        Ok(fs::rename(folder.join("host.new"), folder.join("host.json"))?)
    }

    /// Returns whether etcd of a cluster has a quorum: without one, no API server answers.
    pub(super) fn has_quorum(&self, cluster: &Cluster) -> bool {
        let lives = |name: &&String| self.instances.get(*name).is_some_and(|found| found.state == "Running");
        cluster.etcd.iter().filter(lives).count() * 2 > cluster.etcd.len()
    }
}

/// Returns how many bytes a size of Multipass means: units are powers of two, and `Gi` is none.
pub(super) fn in_bytes(text: &str) -> Option<u64> {
    let end = text.find(|at: char| !at.is_ascii_digit() && at != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    if number.contains('.') {
        #[expect(clippy::cast_sign_loss, reason = "it has no sign")]
        return (factor > 1).then_some((number.parse::<f64>().ok()? * factor as f64) as u64);
    }
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Returns a size as Multipass shows it.
pub(super) fn readable(bytes: u64) -> String {
    for (unit, suffix) in [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit {
            return format!("{:.1}{suffix}", bytes as f64 / unit as f64);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_as_multipass_reads_it() {
        let read = |text| in_bytes(text).map(readable);
        assert_eq!(read("4GiB").as_deref(), Some("4.0GiB"));
        assert_eq!(read("4G").as_deref(), Some("4.0GiB"));
        assert_eq!(read("1536M").as_deref(), Some("1.5GiB"));
        assert_eq!(read("1.5GB").as_deref(), Some("1.5GiB"));
        assert_eq!(read("512"), Some("512B".to_owned()));
        assert_eq!([read("4Gi"), read("1Ti"), read("1.5"), read("-1G"), read("much")], [const { None }; 5]);
    }
}
