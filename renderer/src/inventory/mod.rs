//! The inventory: facts about each cluster, read from `environments/`, merged, typed and judged.
//!
//! Knows nothing of templates. What is known here about a cluster is right on its own; what must fit between clusters
//! is for `checks`.

mod chart_sources;
mod fact;
mod facts;
mod files;
mod groups;
mod machines;
mod model;
mod own;
mod profiles;
mod publish;
mod role;
mod schemas;
mod typed;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rayon::prelude::*;

pub(crate) use crate::key_path::key;
use crate::path::{ClusterName, RepoPath};
use crate::problem::{Problem, hint_at_near};
use crate::snapshot::{ENVIRONMENTS, Snapshot, Source, SourceId};

pub use chart_sources::{ChartAddress, ChartSources, is_same_repository};
pub use fact::Fact;
pub use facts::{
    AddonChoice, ApiServer, ClusterFile, FleetFile, GitRepository, LoadBalancer, Mesh, MeshTopology,
    Networks, SecretStore, Trust,
};
pub use files::{FLEET_FILE, MAX_CLUSTER_WEIGHT, MAX_FILE_BYTES, PROFILES};
pub(crate) use files::{own_cluster, parse_file};
pub use groups::{ClusterChoice, Group, Groups, Soak};
pub use machines::{
    ClusterMachines, Engine, Kubernetes, Machine, MachineGroup, Node, NodeRole, Quantity, Resources,
};
pub use model::{Cluster, Fleet, Inventory};
pub use own::OwnFacts;
pub use profiles::profile_names;
pub use publish::Publish;
pub use role::Role;
pub(crate) use schemas::schema_of;
pub use schemas::{cluster_schema, defaults_schema, fleet_schema, profile_schema};
pub(crate) use typed::{decode, violation_problem};

use files::{Misnamed, cluster_name, defaults_chain, too_many_facts};
use profiles::Profile;

/// How much the facts of all clusters may take together: three times a fleet of 5,000 clusters.
pub const MAX_FLEET_WEIGHT: usize = 128 * 1024 * 1024;
/// How many clusters are read before their facts are counted.
const AT_ONCE: usize = 16;

/// Merged clusters, remembered by the identity of what they were read from.
#[derive(Debug, Default)]
pub struct InventoryCache {
    clusters: HashMap<ClusterName, Arc<Cluster>>,
}

/// Reads the shared facts alone, or returns every problem in them. A snapshot without them shares none.
pub fn read_fleet(snapshot: &Snapshot) -> Result<FleetFile, Vec<Problem>> {
    if snapshot.get(FLEET_FILE).is_none() {
        return Ok(FleetFile::default());
    }
    let (fleet, problems) = fleet(snapshot, None);
    if problems.is_empty() { Ok(fleet.facts) } else { Err(problems) }
}

/// Reads the inventory. Problems are collected over all files; a cluster with a problem of its own is left out.
pub fn read(snapshot: &Snapshot, cache: &mut InventoryCache) -> (Inventory, Vec<Problem>) {
    let mut reader = Reader { snapshot, cache, problems: Vec::new(), has_nameless: false };
    let (described, broken) = reader.described();
    let names = described.iter().map(|file| &file.name).chain(&broken).map(ClusterName::as_str).collect();
    let (profile, of_profiles) = profiles::read(snapshot, (!reader.has_nameless).then_some(&names));
    let (fleet, of_fleet) = fleet(snapshot, profile.as_ref());
    reader.problems.extend(of_profiles.into_iter().chain(of_fleet));
    let (clusters, broken) = reader.clusters(described, broken, profile.as_ref());
    let mut problems: Vec<_> = reader.problems.into_iter().map(|problem| problem.found_by("files")).collect();
    cache.clusters = clusters.iter().map(|(name, cluster)| (name.clone(), Arc::clone(cluster))).collect();
    let inventory = Inventory::new(fleet, clusters, broken);
    problems.extend(hub_problems(&inventory));
    problems.sort();
    problems.dedup();
    (inventory, problems)
}

/// Reads the shared facts, with every problem in them.
fn fleet(snapshot: &Snapshot, profile: Option<&Profile>) -> (Fleet, Vec<Problem>) {
    let file = Arc::new(RepoPath::parse(FLEET_FILE).expect("a constant path"));
    let Some(source) = snapshot.get(FLEET_FILE) else {
        let hint =
            "create the file with `repository: {url: …, branch: main}`, the repository that Argo CD reads";
        let problem = Problem::in_whole_file(&file, "the fleet's shared facts are missing").hint(hint);
        return (Fleet::unknown(&file, SourceId([0; 20])), vec![problem]);
    };
    let unknown = Fleet::unknown(&file, source.id);
    let mut origin = match parse_file(&file, source) {
        Ok(origin) => origin,
        Err(problems) => return (unknown, problems),
    };
    let mut id = source.id;
    if let Some(over) = profile.and_then(Profile::fleet) {
        origin = origin.overlaid(over.clone());
    }
    if let Some(profile) = profile {
        id = id.and(profile.id);
    }
    match decode::<FleetFile>(&schemas::FLEET_SCHEMA, &origin) {
        Ok(facts) => {
            let mut view = serde_json::to_value(&facts).expect("facts are JSON");
            // What is released when is none of a template's business.
            view.as_object_mut().and_then(|view| view.remove("groups"));
            for name in facts.machines.keys() {
                view["machines"][name]["name"] = name.as_str().into();
            }
            (Fleet { facts, view, origin, id, is_valid: true }, Vec::new())
        }
        Err(problems) => (Fleet { origin, ..unknown }, problems),
    }
}

struct Reader<'a> {
    snapshot: &'a Snapshot,
    cache: &'a InventoryCache,
    problems: Vec<Problem>,
    /// Whether a file says by its name neither which cluster it describes nor which one it is meant to.
    has_nameless: bool,
}

/// A file that describes a cluster, with the defaults that apply to it before it, outermost first, and the profile that is
/// laid over it.
struct Described<'a> {
    name: ClusterName,
    chain: Vec<(&'a RepoPath, &'a Source)>,
    profile: Option<&'a Profile>,
}

impl Described<'_> {
    /// Returns all that the facts come from, in the order in which they are merged.
    fn sources(&self) -> impl Iterator<Item = (&RepoPath, SourceId)> {
        let profile = self.profile.map(|profile| (&profile.file, profile.id));
        self.chain.iter().map(|(file, source)| (*file, source.id)).chain(profile)
    }
}

impl<'a> Reader<'a> {
    /// Returns the clusters that can be read, and the names of those that can't.
    fn clusters(
        &mut self,
        mut described: Vec<Described<'a>>,
        mut broken: BTreeSet<ClusterName>,
        profile: Option<&'a Profile>,
    ) -> (BTreeMap<ClusterName, Arc<Cluster>>, BTreeSet<ClusterName>) {
        for file in &mut described {
            file.profile = profile;
        }
        let defaults = self.defaults(&described);
        let cache = self.cache;
        let mut clusters = BTreeMap::new();
        let mut weight = 0;
        for some in described.chunks(AT_ONCE) {
            let read: Vec<_> = some.par_iter().map(|file| cluster(file, &defaults, cache)).collect();
            for (Described { name, .. }, result) in some.iter().zip(read) {
                match result {
                    Ok(cluster) if weight + cluster.weight <= MAX_FLEET_WEIGHT => {
                        weight += cluster.weight;
                        clusters.insert(name.clone(), cluster);
                    }
                    Ok(cluster) => {
                        self.problems.push(too_many_facts(&cluster.file, "all clusters", MAX_FLEET_WEIGHT));
                        broken.extend(described.iter().map(|file| file.name.clone()));
                        return (clusters, broken);
                    }
                    Err(problems) => {
                        self.problems.extend(problems);
                        broken.insert(name.clone());
                    }
                }
            }
        }
        (clusters, broken)
    }

    /// Finds the files that describe clusters, and the clusters whose files have a wrong name.
    fn described(&mut self) -> (Vec<Described<'a>>, BTreeSet<ClusterName>) {
        let snapshot = self.snapshot;
        let mut described: BTreeMap<ClusterName, (&'a RepoPath, &'a Source)> = BTreeMap::new();
        let mut broken = BTreeSet::new();
        for (path, source) in snapshot.below(ENVIRONMENTS) {
            match cluster_name(path).map(|name| name.map(|name| described.entry(name))) {
                Ok(None) => {}
                Ok(Some(Entry::Vacant(entry))) => {
                    entry.insert((path, source));
                }
                Ok(Some(Entry::Occupied(entry))) => {
                    let message = format!("cluster `{}` is described twice", entry.key());
                    let hint = format!("it is also described by `{}`; rename or remove one", entry.get().0);
                    self.problems.push(Problem::in_whole_file(path, message).hint(hint));
                }
                Err(Misnamed { problem, meant }) => {
                    self.has_nameless |= meant.is_none();
                    broken.extend(meant);
                    self.problems.push(*problem);
                }
            }
        }
        let described = described.into_iter().map(|(name, file)| {
            let chain = defaults_chain(snapshot, file.0).into_iter().chain([file]).collect();
            Described { name, chain, profile: None }
        });
        (described.collect(), broken)
    }

    /// Parses each file of defaults that some cluster needs, once.
    fn defaults(&self, described: &[Described<'_>]) -> Defaults {
        let is_known = |file: &&Described<'_>| known(file, self.cache).is_some();
        let unknown = described.iter().filter(|file| !is_known(file));
        let files = unknown.flat_map(|file| &file.chain[..file.chain.len() - 1]);
        let files: BTreeMap<_, _> = files.map(|(path, source)| (*path, *source)).collect();
        files
            .into_iter()
            .map(|(path, source)| (path.clone(), parse_file(&Arc::new(path.clone()), source)))
            .collect()
    }
}

/// Parsed files of defaults.
type Defaults = BTreeMap<RepoPath, Result<Fact, Vec<Problem>>>;

/// Returns the cluster that was read from exactly these files before.
fn known<'c>(file: &Described<'_>, cache: &'c InventoryCache) -> Option<&'c Arc<Cluster>> {
    let known = cache.clusters.get(&file.name)?;
    let is_same = |((known_path, known_id), (path, id)): (&(RepoPath, SourceId), (&RepoPath, SourceId))| {
        known_path == path && *known_id == id
    };
    let is_whole = known.sources.len() == file.sources().count();
    (is_whole && known.sources.iter().zip(file.sources()).all(is_same)).then_some(known)
}

fn cluster(
    described: &Described<'_>,
    defaults: &Defaults,
    cache: &InventoryCache,
) -> Result<Arc<Cluster>, Vec<Problem>> {
    if let Some(known) = known(described, cache) {
        return Ok(Arc::clone(known));
    }
    let Described { name, chain, profile } = described;
    let [outer @ .., (path, source)] = chain.as_slice() else { return Err(Vec::new()) };
    let file = Arc::new(RepoPath::clone(path));
    let mut origin = Fact::empty(&file);
    let mut problems = Vec::new();
    let own = parse_file(&file, source);
    let mut weight = 0;
    for fact in outer.iter().map(|(path, _)| defaults[*path].as_ref()).chain([own.as_ref()]) {
        match fact {
            Ok(fact) => weight += fact.weight(),
            Err(found) => problems.extend(found.iter().cloned()),
        }
        if weight > MAX_CLUSTER_WEIGHT {
            return Err(vec![too_many_facts(&file, &format!("`{name}`"), MAX_CLUSTER_WEIGHT)]);
        }
        if let Ok(fact) = fact {
            origin = origin.merged(fact.clone());
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    for over in profile.iter().flat_map(|profile| profile.cluster(name)) {
        weight += over.weight();
        if weight > MAX_CLUSTER_WEIGHT {
            return Err(vec![too_many_facts(&file, &format!("`{name}`"), MAX_CLUSTER_WEIGHT)]);
        }
        origin = origin.overlaid(over.clone());
    }
    let sources = described.sources().map(|(file, id)| (file.clone(), id)).collect();
    typed::cluster(name, file, origin, sources).map(Arc::new)
}

fn hub_problems(inventory: &Inventory) -> Vec<Problem> {
    let clusters = &inventory.clusters;
    let wrong = clusters
        .values()
        .filter(|cluster| inventory.hub_of(cluster).is_none() && !inventory.broken.contains(&cluster.hub));
    let problem = |cluster: &Arc<Cluster>| {
        let place = cluster.origin.place(&[key("hub")]);
        if clusters.contains_key(&cluster.hub) {
            return Problem::at(place, format!("`{}` is not a hub", cluster.hub))
                .hint("a hub has `role: control` and is its own hub");
        }
        Problem::at(place, format!("unknown hub `{}`", cluster.hub))
            .hint(unknown_hub_hint(inventory, cluster))
    };
    wrong.map(|cluster| problem(cluster).found_by("hubs")).collect()
}

fn unknown_hub_hint(inventory: &Inventory, cluster: &Cluster) -> String {
    let hubs = inventory.clusters.values().filter(|cluster| cluster.is_hub());
    let hubs: Vec<_> = hubs.map(|hub| hub.name.as_str()).collect();
    hint_at_near(cluster.hub.as_str(), hubs.iter().copied(), || match hubs.as_slice() {
        [] => "describe a cluster with `role: control` first".to_owned(),
        hubs => format!("known hubs: `{}`", hubs.join("`, `")),
    })
}
