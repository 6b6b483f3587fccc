//! The machines of clusters, and those outside: facts about them, and the nodes that follow.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::iter::Sum;
use std::num::{NonZeroU16, NonZeroU32};

use derive_more::Display;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::key_path::{Step, key};
use crate::network::{Address, NodeAddresses, OneOrMore};
use crate::path::ClusterName;

/// The machines of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterMachines {
    /// The image that machines are made from, such as `24.04`, a release of Ubuntu.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Machines that run the Kubernetes control plane.
    pub control_plane: MachineGroup,
    /// Machines that run workloads only.
    pub workers: MachineGroup,
}

/// Machines of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MachineGroup {
    /// How many there are.
    #[schemars(range(max = 5_000))]
    pub count: u32,
    /// Whether workloads run on them: on workers unless this says no, on a control plane only if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workloads: Option<bool>,
    /// Their addresses in order, of which the first `count` are taken. Without addresses no machines are described.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<OneOrMore<NodeAddresses>>,
    /// How many processors each has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<NonZeroU32>,
    /// How much memory each has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// How large the disk of each is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Quantity>,
}

/// A machine outside every cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Machine {
    /// The address of the machine.
    pub address: Address,
    /// The port of the service that it offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// The port of its metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_port: Option<NonZeroU16>,
    /// What it runs, if it is made from these facts; one without is only known by its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// How many processors it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<NonZeroU32>,
    /// How much memory it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// How large its disk is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Quantity>,
}

/// What a machine outside every cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// A `MySQL` server.
    Mysql,
    /// A Redis server.
    Redis,
}

/// The version of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kubernetes {
    /// The version that machines are set up with, such as `1.36.3`.
    #[schemars(regex(pattern = r"^1\.[1-9][0-9]*\.(0|[1-9][0-9]*)$"), extend("x-hint" = "write all three parts, such as `1.36.3`"))]
    pub version: String,
    /// What its API server serves beside what is built in and what the fleet's charts define, such as
    /// `cilium.io/v2/CiliumNetworkPolicy`: charts ask for it when their final objects are rendered.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub api_versions: BTreeSet<ApiVersion>,
}

/// A version that an API server serves, or a kind in it.
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend(
    "pattern" = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*(/[A-Z][A-Za-z0-9]*)?$",
    "x-hint" = "write a version, such as `cilium.io/v2`, or a kind in it, such as `cilium.io/v2/CiliumNetworkPolicy`"
))]
pub struct ApiVersion(String);

/// An amount of memory, as Kubernetes writes it: `4Gi`.
#[derive(Clone, Debug, Display, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    description = "An amount in binary units.",
    extend("pattern" = "^[1-9][0-9]{0,6}(Mi|Gi|Ti)$", "x-hint" = "write a whole number of `Mi`, `Gi` or `Ti`, such as `4Gi`")
)]
#[display("{text}")]
pub struct Quantity {
    text: String,
    mebibytes: u64,
}

/// A text that is no amount.
#[derive(Debug, Error)]
#[error("`{0}` is not a whole number of `Mi`, `Gi` or `Ti`")]
pub struct QuantityError(String);

impl Quantity {
    /// Returns how many mebibytes it is.
    #[must_use]
    pub const fn mebibytes(&self) -> u64 {
        self.mebibytes
    }
}

impl TryFrom<String> for Quantity {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, QuantityError> {
        let units = [("Mi", 1), ("Gi", 1 << 10), ("Ti", 1 << 20)];
        let read = |(unit, size): (&str, u64)| {
            let number = text.strip_suffix(unit).filter(|number| number.len() <= 7)?;
            let is_plain = number.bytes().all(|digit| digit.is_ascii_digit()) && !number.starts_with('0');
            Some(number.parse::<u64>().ok().filter(|_| is_plain)? * size)
        };
        match units.into_iter().find_map(read) {
            Some(mebibytes) => Ok(Self { text, mebibytes }),
            None => Err(QuantityError(text)),
        }
    }
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.text
    }
}

/// What a node of a cluster does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeRole {
    /// It runs the Kubernetes control plane.
    ControlPlane,
    /// It runs workloads only.
    Worker,
}

/// A machine of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name: that of the cluster, of the role, and a number.
    pub name: String,
    /// What it does.
    pub role: NodeRole,
    /// Its address.
    pub address: Address,
    /// Whether workloads run on it.
    pub workloads: bool,
    #[serde(flatten)]
    size: Size,
}

/// How large a machine is, as far as it is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Size {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<Quantity>,
}

impl NodeRole {
    /// Returns the name in names of machines.
    const fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
        }
    }

    /// Returns the fact that describes such machines.
    pub(crate) const fn fact(self) -> &'static str {
        match self {
            Self::ControlPlane => "controlPlane",
            Self::Worker => "workers",
        }
    }
}

impl ClusterMachines {
    /// Returns both kinds of machines.
    #[must_use]
    pub const fn groups(&self) -> [(NodeRole, &MachineGroup); 2] {
        [(NodeRole::ControlPlane, &self.control_plane), (NodeRole::Worker, &self.workers)]
    }

    /// Returns the machines of a cluster that have addresses: the control plane first, each group by number.
    pub(super) fn nodes(&self, cluster: &ClusterName) -> Vec<Node> {
        let of_group = |(role, group): (NodeRole, &MachineGroup)| {
            let node = move |(number, address): (usize, Address)| Node {
                name: format!("{cluster}-{}-{}", role.as_str(), number + 1),
                role,
                address,
                workloads: group.takes_workloads(role),
                size: Size { cpus: group.cpus, memory: group.memory.clone(), disk: group.disk.clone() },
            };
            group.node_addresses().enumerate().map(node).collect::<Vec<_>>()
        };
        self.groups().into_iter().flat_map(of_group).collect()
    }
}

impl MachineGroup {
    /// Returns whether workloads run on machines of the group.
    #[must_use]
    pub fn takes_workloads(&self, role: NodeRole) -> bool {
        self.workloads.unwrap_or(role == NodeRole::Worker)
    }

    /// Returns the addresses that are taken.
    fn node_addresses(&self) -> impl Iterator<Item = Address> {
        let all = self.addresses.iter().flatten().flat_map(NodeAddresses::each);
        all.take(self.count as usize)
    }
}

/// What machines take together, as far as it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// How many machines there are.
    pub machines: usize,
    /// Their processors.
    pub cpus: usize,
    /// Their memory.
    pub memory_mebibytes: u64,
    /// Their disks.
    pub disk_mebibytes: u64,
}

impl Node {
    /// Returns what the machine takes.
    #[must_use]
    pub fn resources(&self) -> Resources {
        resources(self.size.cpus, self.size.memory.as_ref(), self.size.disk.as_ref())
    }
}

impl Machine {
    /// Returns what the machine takes, if it is made from these facts.
    #[must_use]
    pub fn resources(&self) -> Option<Resources> {
        self.engine.map(|_| resources(self.cpus, self.memory.as_ref(), self.disk.as_ref()))
    }
}

fn resources(cpus: Option<NonZeroU32>, memory: Option<&Quantity>, disk: Option<&Quantity>) -> Resources {
    Resources {
        machines: 1,
        cpus: cpus.map_or(0, |cpus| cpus.get() as usize),
        memory_mebibytes: memory.map_or(0, Quantity::mebibytes),
        disk_mebibytes: disk.map_or(0, Quantity::mebibytes),
    }
}

impl Sum for Resources {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |one, other| Self {
            machines: one.machines + other.machines,
            cpus: one.cpus + other.cpus,
            memory_mebibytes: one.memory_mebibytes + other.memory_mebibytes,
            disk_mebibytes: one.disk_mebibytes + other.disk_mebibytes,
        })
    }
}

/// Returns the fact that what stands at `path` of a cluster's facts was made from, if it is about one of `nodes`.
pub(super) fn written_fact<'p>(nodes: &[Node], path: &'p [Step]) -> Cow<'p, [Step]> {
    let [Step::Key(list), Step::Index(at), rest @ ..] = path else { return path.into() };
    let Some(node) = nodes.get(*at).filter(|_| list == "nodes") else { return path.into() };
    let fact = match rest {
        [Step::Key(field)] if field == "address" => "addresses",
        [Step::Key(field)] if field != "name" && field != "role" => field.as_str(),
        _ => "count",
    };
    vec![key("machines"), key(node.role.fact()), key(fact)].into()
}
