//! What is asked of live clusters: the platform's own checks and those that add-ons bring, with the facts of each
//! cluster in them.
//!
//! Says what to ask and where; knows nothing of how it is asked, and judges no answer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::catalog::{
    Addon, Answers, Ask, Asked, Condition, Language, Limit, LiveCheck, LiveFacts, Objects, Span, VALUES_FILE,
};
pub use crate::checks::ADDRESS_ANNOTATIONS;
use crate::checks::filled;
use crate::inventory::Cluster;
use crate::network::Address;
use crate::path::{AddonName, ClusterName};
use crate::problem::Problem;
use crate::render::{Rendered, RenderedCluster, RenderedFile};
use crate::yaml::{self, Value};

/// A question about one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The cluster that it is about.
    pub cluster: ClusterName,
    /// The add-on that brings it; none for the platform's own.
    pub addon: Option<AddonName>,
    /// What it is called.
    pub name: String,
    /// What it looks at, for people.
    pub about: String,
    /// What is asked.
    pub question: Question,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether as many nodes are ready as are described; 0 if their number is not described.
    Nodes(u32),
    /// Whether each address is that of a Service, and each Service that asks for an address has it.
    Addresses(BTreeSet<IpAddr>),
    /// What objects are like.
    Objects(Objects),
    /// What a query finds.
    Query(Box<LiveQuery>),
}

/// A query with what has to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveQuery {
    /// The query.
    pub query: QueryAt,
    /// How far back traces are looked for, in seconds.
    pub within: i64,
    /// The least that each result may be.
    pub at_least: Option<Limit>,
    /// The most that each result may be.
    pub at_most: Option<Limit>,
    /// The query that has to have a result for this one to make sense.
    pub expected_if: Option<QueryAt>,
}

/// A query and where it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryAt {
    /// The cluster that is asked.
    pub cluster: ClusterName,
    /// The signal.
    pub signal: String,
    /// What answers there; none if no add-on on that cluster does.
    pub endpoint: Option<Endpoint>,
    /// The query.
    pub text: String,
}

/// What answers queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The language.
    pub language: Language,
    /// The namespace of the Service.
    pub namespace: String,
    /// The Service.
    pub service: String,
    /// Its port.
    pub port: u16,
    /// Whether the port is encrypted.
    pub is_encrypted: bool,
    /// What stands before the path.
    pub path_prefix: String,
    /// The tenant to name.
    pub tenant: Option<String>,
}

/// How far back traces are looked for if nothing says so, in seconds.
const WITHIN: i64 = 3_600;

/// Returns what is asked about the clusters that are selected.
pub fn checks(
    rendered: &Rendered,
    is_selected: impl Fn(&Cluster) -> bool,
) -> Result<Vec<Check>, Vec<Problem>> {
    let clusters = rendered.inventory.clusters.values().filter(|cluster| is_selected(cluster));
    let (mut checks, mut endpoints) = (Vec::new(), Endpoints { rendered, known: BTreeMap::new() });
    for cluster in clusters {
        checks.extend(own(rendered, cluster));
        checks.extend(of_addons(&mut endpoints, cluster)?);
    }
    Ok(checks)
}

/// Returns the platform's own checks.
fn own(rendered: &Rendered, cluster: &Cluster) -> impl Iterator<Item = Check> {
    let machines = &cluster.facts.machines;
    let count = machines.control_plane.count.saturating_add(machines.workers.count);
    let promised = rendered.clusters.get(&cluster.name).map(|it| promised(it)).unwrap_or_default();
    let check = |name: &str, about: &str, question| Check {
        cluster: cluster.name.clone(),
        addon: None,
        name: name.to_owned(),
        about: about.to_owned(),
        question,
    };
    let nodes = check("nodes", "the nodes that are described are there and ready", Question::Nodes(count));
    let about = "each address that is described or asked for is assigned to its Service";
    [nodes, check("addresses", about, Question::Addresses(promised))].into_iter()
}

/// Returns the addresses that the rendered files of a cluster ask load balancers for.
fn promised(cluster: &RenderedCluster) -> BTreeSet<IpAddr> {
    let addresses = cluster.exposed().filter_map(|text| text.parse::<Address>().ok()).map(Address::ip);
    // kube-vip is asked for any address by 0.0.0.0.
    addresses.filter(|address| !address.is_unspecified()).collect()
}

/// What answers queries about signals. All spokes of a hub ask there, so each is worked out once.
struct Endpoints<'r> {
    rendered: &'r Rendered,
    known: BTreeMap<(ClusterName, String), Option<Endpoint>>,
}

impl Endpoints<'_> {
    fn get(&mut self, cluster: &Cluster, signal: &str) -> Option<Endpoint> {
        let key = (cluster.name.clone(), signal.to_owned());
        self.known.entry(key).or_insert_with(|| endpoint(self.rendered, cluster, signal)).clone()
    }
}

fn of_addons(endpoints: &mut Endpoints<'_>, cluster: &Cluster) -> Result<Vec<Check>, Vec<Problem>> {
    let rendered = endpoints.rendered;
    let hub = rendered.inventory.hub_of(cluster).map_or(cluster, |hub| hub);
    let mut checks = Vec::new();
    let on = rendered.catalog.addons.values().filter(|addon| addon.is_on(cluster));
    for addon in on {
        let facts = LiveFacts { cluster, hub, fleet: &rendered.inventory.fleet, addon };
        let asked = addon.live_checks(&facts)?.into_iter().filter(|check| {
            check.when.is_empty() || {
                let values = values_of(rendered, cluster, addon);
                Condition::all_hold(&check.when, &values)
            }
        });
        checks.extend(asked.map(|LiveCheck { name, about, ask, .. }| Check {
            cluster: cluster.name.clone(),
            addon: Some(addon.name.clone()),
            name,
            about,
            question: question(endpoints, (cluster, hub), ask),
        }));
    }
    Ok(checks)
}

fn question(endpoints: &mut Endpoints<'_>, (cluster, hub): (&Cluster, &Cluster), ask: Ask) -> Question {
    let query = match ask {
        Ask::Objects(objects) => return Question::Objects(objects),
        Ask::Query(query) => query,
    };
    let mut at = |of: Asked, signal: String, text: String| {
        let asked = if of == Asked::Hub { hub } else { cluster };
        let endpoint = endpoints.get(asked, &signal);
        QueryAt { cluster: asked.name.clone(), signal, endpoint, text }
    };
    Question::Query(Box::new(LiveQuery {
        query: at(query.of, query.signal, query.query),
        within: query.within.as_ref().and_then(Span::seconds).unwrap_or(WITHIN),
        at_least: query.at_least,
        at_most: query.at_most,
        expected_if: query.expected_if.map(|guard| at(guard.of, guard.signal, guard.query)),
    }))
}

/// Returns what answers queries about a signal on a cluster.
fn endpoint(rendered: &Rendered, cluster: &Cluster, signal: &str) -> Option<Endpoint> {
    let mut on = rendered.catalog.addons.values().filter(|addon| addon.is_on(cluster));
    let (addon, answers) = on.find_map(|addon| Some((addon, addon.facts.answers.get(signal)?)))?;
    let values = values_of(rendered, cluster, addon);
    let Answers { language, service, port, tls, path_prefix, tenant } = answers;
    let described = addon.facts.provides.services.iter().flatten().find(|it| it.name == *service);
    let subchart = described.and_then(|it| it.subchart.as_ref());
    let prefix = path_prefix.as_ref().and_then(|path| path.text(&values)).unwrap_or_default();
    let facts = LiveFacts { cluster, hub: cluster, fleet: &rendered.inventory.fleet, addon };
    let tenant = tenant.as_ref().and_then(|tenant| facts.filled(tenant).ok());
    Some(Endpoint {
        language: *language,
        namespace: addon.facts.namespace.clone(),
        service: filled(service, addon, subchart, &values),
        port: port.of(&values),
        is_encrypted: tls.as_ref().is_some_and(|condition| condition.holds(&values)),
        path_prefix: prefix.trim_matches('/').to_owned(),
        tenant: tenant.as_ref().and_then(|tenant| tenant.as_str()).map(str::to_owned),
    })
}

/// Returns the rendered values of an add-on on a cluster.
fn values_of(rendered: &Rendered, cluster: &Cluster, addon: &Addon) -> Value {
    let files = rendered.clusters.get(&cluster.name).into_iter().flat_map(|it| it.iter_files());
    let mut own = files.filter(|file| file.addon.as_ref() == Some(&addon.name));
    let values = own.find(|file| file.path.file_name() == VALUES_FILE);
    values.and_then(first_document).unwrap_or(Value::Null)
}

fn first_document(file: &RenderedFile) -> Option<Value> {
    let nodes = yaml::parse(std::str::from_utf8(&file.bytes).ok()?).ok()?;
    yaml::interpret(nodes.first()?).ok()
}
