//! The typed facts: what may stand in the files below `environments/`.
//!
//! The JSON Schema that judges the files and that editors complete by comes from these types and their doc comments.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::ChartSources;
use super::groups::Groups;
use super::machines::{ClusterMachines, Kubernetes, Machine};
use super::publish::Publish;
use super::role::Role;
use crate::charts::{VERSION, VERSION_HINT};
use crate::network::{Address, AddressRange, Network, OneOrMore};

/// Facts about one cluster; the file's name is the cluster's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Fleetwright cluster")]
pub struct ClusterFile {
    /// What the cluster is for.
    #[schemars(extend("x-hint" = "write `role: control` or `role: app`"))]
    pub role: Role,
    /// The cluster that runs Argo CD and collects telemetry for this one. A control cluster is its own hub unless it
    /// names another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// Free labels, for choosing clusters.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The machines that the cluster runs on.
    #[serde(default)]
    pub machines: ClusterMachines,
    /// What its machines are set up with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Kubernetes>,
    /// The networks inside the cluster.
    #[schemars(extend("x-hint" = "write for example `{pods: 10.244.0.0/16, services: 10.96.0.0/16}`"))]
    pub networks: Networks,
    /// The addresses that the cluster's load balancers may take.
    #[serde(default)]
    pub load_balancer: Option<LoadBalancer>,
    /// Where the Kubernetes API server is reached from outside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_server: Option<ApiServer>,
    /// Named addresses, each out of the cluster's own pool.
    #[serde(default)]
    pub addresses: BTreeMap<String, Address>,
    /// What is published of the charts that run here: `chart` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
    /// What to change about the add-ons that run here.
    #[serde(default)]
    pub addons: BTreeMap<String, AddonChoice>,
}

/// The networks inside a cluster. They must not overlap with those of any other cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Networks {
    /// The pod network; one for each family in a cluster with both.
    #[schemars(extend("maxItems" = 2))]
    pub pods: OneOrMore<Network>,
    /// The service network; one for each family in a cluster with both.
    #[schemars(extend("maxItems" = 2))]
    pub services: OneOrMore<Network>,
}

/// Where a cluster's Kubernetes API server is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiServer {
    /// The address, which outlives the loss of a single node.
    pub address: Address,
    /// The port.
    #[serde(default = "ApiServer::default_port")]
    pub port: NonZeroU16,
}

impl ApiServer {
    /// Returns the port that kubeadm gives to an API server.
    const fn default_port() -> NonZeroU16 {
        NonZeroU16::new(6443).expect("it is not zero")
    }
}

/// Where a cluster's load balancers get their addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadBalancer {
    /// The address pool: a range, a network, or a list of both. It must not overlap with that of any other cluster.
    pub pool: OneOrMore<AddressRange>,
}

/// What a cluster changes about one add-on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AddonChoice {
    /// Whether the add-on runs here, regardless of its own placement.
    pub enabled: Option<bool>,
    /// The version of its chart here, if not the one that its `addon.yaml` names.
    #[schemars(regex(pattern = VERSION), extend("x-hint" = VERSION_HINT))]
    pub version: Option<String>,
    /// What is published of its chart here, if not what the add-on or the cluster says.
    pub publish: Option<Publish>,
    /// Settings that the add-on declares in its `addon.yaml`.
    pub settings: BTreeMap<String, Json>,
    /// Chart values, merged last into the add-on's rendered values.
    pub values: serde_json::Map<String, Json>,
}

/// Facts that all clusters share: `environments/_fleet.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Fleetwright fleet")]
pub struct FleetFile {
    /// The git repository that Argo CD reads: this one.
    pub repository: GitRepository,
    /// Where charts are drawn from, if not from the repositories that add-ons name.
    #[serde(default, skip_serializing_if = "ChartSources::is_empty")]
    pub charts: ChartSources,
    /// Which clusters share a pull request, in the order of their release: `control`, then `app` if left out.
    #[serde(default)]
    pub groups: Groups,
    /// The storage class that volumes are claimed from.
    #[serde(default)]
    pub storage_class: String,
    /// Named ports, each the same on every cluster.
    #[serde(default)]
    pub ports: BTreeMap<String, NonZeroU16>,
    /// The networks that the nodes of all clusters stand in. What a spoke sends leaves it under the address of a node.
    #[serde(default)]
    pub node_networks: Vec<Network>,
    /// The networks that the people come from who use the platform's web interfaces. With it, each exposed address has to be limited.
    #[serde(default)]
    pub operator_networks: Vec<Network>,
    /// Machines outside every cluster, such as databases.
    #[serde(default)]
    pub machines: BTreeMap<String, Machine>,
    /// The image that those are made from, such as `24.04`, a release of Ubuntu.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_image: Option<String>,
    /// The domain of the names that machines and addresses have, such as `platform.internal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 190),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
        extend("x-hint" = "write a domain in small letters, such as `platform.internal`")
    )]
    pub domain: Option<String>,
    /// What hubs and spokes agree on about logs. Left out, Loki knows no tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
    /// Where backups are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups: Option<Backups>,
    /// Where secrets are kept. The repository holds their names and never their content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<SecretStore>,
    /// Who issues certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// The service mesh that all clusters belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<Mesh>,
    /// By whom people log in to what hubs offer them. Left out, each program has accounts of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_sign_on: Option<SingleSignOn>,
}

/// An `OpenID` provider by which people log in, with one client for each program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SingleSignOn {
    /// The issuer, as its tokens name it. What programs read of it is below `/.well-known/openid-configuration`.
    #[schemars(regex(pattern = HTTPS), extend("x-hint" = HTTPS_HINT))]
    pub issuer: String,
    /// Where people log in, for programs that do not ask the issuer: its `authorization_endpoint`.
    #[schemars(regex(pattern = HTTPS), extend("x-hint" = HTTPS_HINT))]
    pub authorization_url: String,
    /// Where programs get tokens: its `token_endpoint`.
    #[schemars(regex(pattern = HTTPS), extend("x-hint" = HTTPS_HINT))]
    pub token_url: String,
    /// Where programs ask who logged in: its `userinfo_endpoint`.
    #[schemars(regex(pattern = HTTPS), extend("x-hint" = HTTPS_HINT))]
    pub userinfo_url: String,
    /// What is asked for besides `openid`.
    #[serde(default = "SingleSignOn::default_scopes")]
    #[schemars(extend("items" = {"type": "string", "pattern": TOKEN, "x-hint": TOKEN_HINT}))]
    pub scopes: Vec<String>,
    /// The claim that lists the groups of a person.
    #[serde(default = "SingleSignOn::default_groups_claim")]
    #[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"), extend("x-hint" = "use letters, digits and underscores"))]
    pub groups_claim: String,
    /// The ids of the clients by the names of the programs. Their secrets are in the secret store.
    #[schemars(extend("additionalProperties" = {"type": "string", "pattern": TOKEN, "x-hint": TOKEN_HINT}))]
    pub clients: BTreeMap<String, String>,
    /// Which groups may do more than look.
    pub groups: SignOnGroups,
}

/// Which groups of people may do more than look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignOnGroups {
    /// Those who may do everything that a program offers to people.
    #[schemars(length(min = 1), extend("items" = {"type": "string", "pattern": TOKEN, "x-hint": TOKEN_HINT}))]
    pub administrators: Vec<String>,
    /// Those who may start what is prepared, and change no access.
    #[serde(default)]
    #[schemars(extend("items" = {"type": "string", "pattern": TOKEN, "x-hint": TOKEN_HINT}))]
    pub operators: Vec<String>,
}

impl SingleSignOn {
    fn default_scopes() -> Vec<String> {
        ["profile", "email", "groups"].map(str::to_owned).to_vec()
    }

    fn default_groups_claim() -> String {
        "groups".to_owned()
    }
}

/// An address that nothing is added to, so that no text around it changes its meaning.
const HTTPS: &str = r#"^https://[^\s/?#"'\\$]+(/[^\s?#"'\\$]*)?$"#;
const HTTPS_HINT: &str = "write for example `https://login.example.com/realms/platform`";
/// A name that stands as it is in what programs read: no quotes, commas, spaces, dollars or braces.
const TOKEN: &str = "^[A-Za-z0-9_./:@+-]+$";
const TOKEN_HINT: &str = "use letters, digits and `_ . / : @ + -`";

/// Who issues certificates on each cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trust {
    /// The name of the cluster-wide issuer, the same on every cluster.
    pub issuer: String,
}

/// The service mesh: what its clusters have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mesh {
    /// The name of the mesh.
    pub id: String,
    /// The trust domain: the first part of every workload's identity.
    pub trust_domain: String,
    /// Where control planes run.
    pub topology: MeshTopology,
}

/// Where the control planes of the mesh run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MeshTopology {
    /// On the hub only, for itself and for its spokes.
    PrimaryRemote,
    /// On each cluster.
    MultiPrimary,
}

/// What hubs and spokes agree on about logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Logs {
    /// The tenant that logs are written and read as.
    #[schemars(
        length(max = 150),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        extend("x-hint" = "use lower-case letters, digits and hyphens, with a letter or digit at both ends")
    )]
    pub tenant: String,
}

/// Where clusters keep their backups: an S3, outside every cluster. Each cluster writes below its own name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backups {
    /// The address of the S3, an `http://` or `https://` address.
    #[schemars(regex(pattern = r"^https?://[^\s/]+$"), extend("x-hint" = "write for example `https://s3.example.com:9000`"))]
    pub url: String,
    /// The region, which every S3 requires, even where there is only one.
    pub region: String,
    /// The bucket.
    pub bucket: String,
}

/// Where External Secrets takes secrets from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretStore {
    /// The name of the `ClusterSecretStore`, the same on every cluster.
    pub store: String,
    /// The path of the key-value engine (version 2) in Vault. Below it, secrets lie under `<cluster>/<Secret>`.
    pub engine: String,
}

/// Where Argo CD reads the rendered files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitRepository {
    /// The address of the repository.
    pub url: String,
    /// The base branch.
    pub branch: String,
}
