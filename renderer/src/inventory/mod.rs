//! The inventory: facts about each cluster, read from `environments/`, merged, typed and judged.
//!
//! Knows nothing of templates. What is known here about a cluster is right on its own; what must fit between clusters
//! is for `checks`.

mod chart_sources;
mod editors;
mod fact;
mod facts;
mod own;
mod typed;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use rayon::prelude::*;
use schemars::JsonSchema;
use serde_json::{Value as Json, json};

pub(crate) use crate::key_path::key;
use crate::path::{ClusterName, NameError, RepoPath};
use crate::problem::{Place, Problem, did_you_mean};
use crate::schema::Schema;
use crate::snapshot::{ENVIRONMENTS, Snapshot, Source, SourceId};
use crate::yaml;

pub use chart_sources::{ChartAddress, ChartSources, is_same_repository};
pub use editors::{cluster_schema, defaults_schema};
pub use fact::Fact;
pub use facts::{
    AddonChoice, ApiServer, ClusterFile, ClusterMachines, FleetFile, GitRepository, LoadBalancer, Machine,
    MachineGroup, Mesh, MeshTopology, Networks, Role, SecretStore, Trust,
};
pub use own::OwnFacts;
pub(crate) use typed::{decode, violation_problem};

/// The file with facts for every cluster of its folder and below.
const DEFAULTS_FILE: &str = "_defaults.yaml";
/// The file with facts that all clusters share.
pub const FLEET_FILE: &str = "environments/_fleet.yaml";
/// The largest file that is read, in bytes. A cluster's facts are a few kilobytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;
/// How much the facts of one cluster may take, those that it inherits included, in bytes of text and 64 for each fact.
pub const MAX_CLUSTER_WEIGHT: usize = 4 * 1024 * 1024;
/// How much the facts of all clusters may take together: three times a fleet of 5,000 clusters.
pub const MAX_FLEET_WEIGHT: usize = 128 * 1024 * 1024;
/// How many clusters are read before their facts are counted.
const AT_ONCE: usize = 16;

/// All facts of the fleet.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The shared facts.
    pub fleet: Arc<Fleet>,
    /// The clusters by name.
    pub clusters: BTreeMap<ClusterName, Arc<Cluster>>,
    /// Clusters whose own files have problems: that they exist is all that is known of them.
    pub broken: BTreeSet<ClusterName>,
}

impl Inventory {
    /// Returns the hub of a cluster, if it names one that is.
    #[must_use]
    pub fn hub_of(&self, cluster: &Cluster) -> Option<&Arc<Cluster>> {
        self.clusters.get(&cluster.hub).filter(|hub| hub.is_hub())
    }
}

/// The facts that all clusters share.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The typed facts.
    pub facts: FleetFile,
    /// The facts as a template sees them.
    pub view: Json,
    /// The facts with their places.
    pub origin: Fact,
    /// The identity of the content.
    pub id: SourceId,
    /// Whether the file is there and has no problem. Nothing is rendered from facts that are in doubt.
    pub is_valid: bool,
}

/// One cluster with its merged facts.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The name.
    pub name: ClusterName,
    /// The name of its hub; its own name on a hub.
    pub hub: ClusterName,
    /// The file that describes it.
    pub file: Arc<RepoPath>,
    /// The typed facts.
    pub facts: ClusterFile,
    /// The facts as a template sees them, without `addons`.
    pub view: Json,
    /// The merged facts with their places.
    pub origin: Fact,
    /// The files that the facts were merged from, outermost first, with the identities of their contents.
    pub sources: Vec<(RepoPath, SourceId)>,
    /// How much the merged facts take.
    weight: usize,
}

impl Cluster {
    /// Returns whether the cluster is a hub: a control cluster that is its own.
    #[must_use]
    pub fn is_hub(&self) -> bool {
        self.hub == self.name && self.facts.role == Role::Control
    }
}

/// Merged clusters, remembered by the identity of what they were read from.
#[derive(Debug, Default)]
pub struct InventoryCache {
    clusters: HashMap<ClusterName, Arc<Cluster>>,
}

/// Returns the JSON Schema of `_fleet.yaml`.
#[must_use]
pub fn fleet_schema() -> Json {
    schema_of::<FleetFile>()
}

pub(crate) fn schema_of<T: JsonSchema>() -> Json {
    let mut schema = editors::drop_null_defaults(schemars::schema_for!(T).to_value());
    editors::bound_numbers(&mut schema);
    schema
}

static CLUSTER_SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    Schema::compile(&schema_of::<ClusterFile>()).expect("the schema is made from our own types")
});
static FLEET_SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::compile(&fleet_schema()).expect("the schema is made from our own types"));

/// Reads the shared facts alone, or returns every problem in them. A snapshot without them shares none.
pub fn read_fleet(snapshot: &Snapshot) -> Result<FleetFile, Vec<Problem>> {
    if snapshot.get(FLEET_FILE).is_none() {
        return Ok(FleetFile::default());
    }
    let mut reader = Reader { snapshot, cache: &InventoryCache::default(), problems: Vec::new() };
    let fleet = reader.fleet();
    if reader.problems.is_empty() { Ok(fleet.facts) } else { Err(reader.problems) }
}

/// Reads the inventory. Problems are collected over all files; a cluster with a problem of its own is left out.
pub fn read(snapshot: &Snapshot, cache: &mut InventoryCache) -> (Inventory, Vec<Problem>) {
    let mut reader = Reader { snapshot, cache, problems: Vec::new() };
    let fleet = Arc::new(reader.fleet());
    let (clusters, broken) = reader.clusters();
    let mut problems: Vec<_> = reader.problems.into_iter().map(|problem| problem.found_by("files")).collect();
    cache.clusters = clusters.iter().map(|(name, cluster)| (name.clone(), Arc::clone(cluster))).collect();
    let inventory = Inventory { fleet, clusters, broken };
    problems.extend(hub_problems(&inventory));
    problems.sort();
    problems.dedup();
    (inventory, problems)
}

struct Reader<'a> {
    snapshot: &'a Snapshot,
    cache: &'a InventoryCache,
    problems: Vec<Problem>,
}

/// A file that describes a cluster, with the defaults that apply to it before it, outermost first.
struct Described<'a> {
    name: ClusterName,
    chain: Vec<(&'a RepoPath, &'a Source)>,
}

impl<'a> Reader<'a> {
    fn fleet(&mut self) -> Fleet {
        let file = Arc::new(RepoPath::parse(FLEET_FILE).expect("a constant path"));
        let Some(source) = self.snapshot.get(FLEET_FILE) else {
            self.problems.push(
                Problem::in_whole_file(&file, "the fleet's shared facts are missing")
                    .hint("create the file with `repository: {url: …, branch: main}`, the repository that Argo CD reads"),
            );
            return Fleet::unknown(&file, SourceId([0; 20]));
        };
        let origin = match parse_file(&file, source) {
            Ok(origin) => origin,
            Err(problems) => {
                self.problems.extend(problems);
                return Fleet::unknown(&file, source.id);
            }
        };
        let facts: FleetFile = match decode(&FLEET_SCHEMA, &origin) {
            Ok(facts) => facts,
            Err(problems) => {
                self.problems.extend(problems);
                return Fleet { origin, ..Fleet::unknown(&file, source.id) };
            }
        };
        let view = serde_json::to_value(&facts).expect("facts are JSON");
        Fleet { facts, view, origin, id: source.id, is_valid: true }
    }

    /// Returns the clusters that can be read, and the names of those that can't.
    fn clusters(&mut self) -> (BTreeMap<ClusterName, Arc<Cluster>>, BTreeSet<ClusterName>) {
        let (described, mut broken) = self.described();
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
        let mut described: BTreeMap<ClusterName, (&'a RepoPath, &'a Source)> = BTreeMap::new();
        let mut broken = BTreeSet::new();
        for (path, source) in self.snapshot.below(ENVIRONMENTS) {
            match cluster_name(path) {
                Ok(None) => {}
                Ok(Some(name)) => match described.entry(name) {
                    Entry::Vacant(entry) => {
                        entry.insert((path, source));
                    }
                    Entry::Occupied(entry) => {
                        let message = format!("cluster `{}` is described twice", entry.key());
                        let hint =
                            format!("it is also described by `{}`; rename or remove one", entry.get().0);
                        self.problems.push(Problem::in_whole_file(path, message).hint(hint));
                    }
                },
                Err(misnamed) => {
                    broken.extend(misnamed.meant);
                    self.problems.push(*misnamed.problem);
                }
            }
        }
        let snapshot = self.snapshot;
        let with_defaults = described.into_iter().map(|(name, file)| {
            let mut chain = defaults_chain(snapshot, file.0);
            chain.push(file);
            Described { name, chain }
        });
        (with_defaults.collect(), broken)
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
    let is_same = |((known_path, id), (path, source)): (&(RepoPath, SourceId), &(&RepoPath, &Source))| {
        known_path == *path && *id == source.id
    };
    let is_whole = known.sources.len() == file.chain.len();
    (is_whole && known.sources.iter().zip(&file.chain).all(is_same)).then_some(known)
}

/// Says that facts are too many at the file that goes beyond what is read.
fn too_many_facts(file: &RepoPath, whose: &str, weight: usize) -> Problem {
    let message = format!("the facts of {whose} together take more than {} MiB", weight >> 20);
    Problem::in_whole_file(file, message)
        .found_by("limits")
        .hint("a large map that many clusters inherit, or that aliases repeat, counts once for each")
}

fn cluster(
    described: &Described<'_>,
    defaults: &Defaults,
    cache: &InventoryCache,
) -> Result<Arc<Cluster>, Vec<Problem>> {
    if let Some(known) = known(described, cache) {
        return Ok(Arc::clone(known));
    }
    let Described { name, chain } = described;
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
    let sources = chain.iter().map(|(file, source)| (RepoPath::clone(file), source.id)).collect();
    typed::cluster(name, file, origin, sources).map(Arc::new)
}

impl Fleet {
    /// Stands in for facts that can't be read.
    fn unknown(file: &Arc<RepoPath>, id: SourceId) -> Self {
        let origin = Fact::empty(file);
        Self { facts: FleetFile::default(), view: json!({}), origin, id, is_valid: false }
    }
}

/// A file whose name is wrong, and the cluster that it was probably meant to describe.
struct Misnamed {
    problem: Box<Problem>,
    meant: Option<ClusterName>,
}

/// Returns the cluster whose own file a path names, whatever stands in it.
pub(crate) fn own_cluster(path: &RepoPath) -> Option<ClusterName> {
    path.below(ENVIRONMENTS)?;
    cluster_name(path).ok().flatten()
}

/// Returns the cluster that a file describes, if it describes one.
fn cluster_name(path: &RepoPath) -> Result<Option<ClusterName>, Misnamed> {
    let file = path.file_name();
    let (stem, ending) = file.rsplit_once('.').unwrap_or((file, ""));
    if file.starts_with('.') || ending == "md" || file == DEFAULTS_FILE || path.as_str() == FLEET_FILE {
        return Ok(None);
    }
    let misnamed = |message: String, hint: String| Misnamed {
        problem: Problem::in_whole_file(path, message).hint(hint).into(),
        meant: ClusterName::parse(&stem.to_lowercase()).ok(),
    };
    if ending == "yml" {
        let message = "the file's name ends in `.yml` and is not read".to_owned();
        return Err(misnamed(message, format!("rename it to `{stem}.yaml`")));
    }
    if ending != "yaml" {
        let hint = "a cluster is described in `<cluster>.yaml`; remove other files, or make them `.md`";
        return Err(misnamed("nothing reads this file".to_owned(), hint.to_owned()));
    }
    if stem.starts_with('_') {
        let hint = match did_you_mean(file, [DEFAULTS_FILE, "_fleet.yaml"]) {
            Some("_fleet.yaml") => format!("there is only one, `{FLEET_FILE}`"),
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there is `{DEFAULTS_FILE}` in every folder and one `{FLEET_FILE}`"),
        };
        return Err(misnamed(format!("`{file}` is not a file that is read"), hint));
    }
    match ClusterName::parse(stem) {
        Ok(name) => Ok(Some(name)),
        Err(error) => Err(misnamed(error.to_string(), NameError::HINT.to_owned())),
    }
}

fn defaults_chain<'a>(snapshot: &'a Snapshot, path: &RepoPath) -> Vec<(&'a RepoPath, &'a Source)> {
    let mut folder = String::new();
    let folders = path.parent().unwrap_or("").split('/').map(|component| {
        if !folder.is_empty() {
            folder.push('/');
        }
        folder.push_str(component);
        format!("{folder}/{DEFAULTS_FILE}")
    });
    folders.filter_map(|file| snapshot.entry(&file)).collect()
}

/// Reads one file as a single document of facts.
pub(crate) fn parse_file(file: &Arc<RepoPath>, source: &Source) -> Result<Fact, Vec<Problem>> {
    let by_yaml =
        |problems: Vec<Problem>| problems.into_iter().map(|problem| problem.found_by("yaml")).collect();
    parse(file, source).map_err(by_yaml)
}

fn parse(file: &Arc<RepoPath>, source: &Source) -> Result<Fact, Vec<Problem>> {
    if source.bytes.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_FILE_BYTES} are read", source.bytes.len());
        return Err(vec![
            Problem::in_whole_file(file, message)
                .found_by("limits")
                .hint("facts are written by people: split the file"),
        ]);
    }
    let in_file = |faults: Vec<crate::problem::Fault>| {
        faults.into_iter().map(|fault| fault.in_file(file)).collect::<Vec<_>>()
    };
    let text = yaml::decode(&source.bytes).map_err(|fault| in_file(vec![fault]))?;
    let documents = yaml::parse(text).map_err(in_file)?;
    if documents.iter().map(yaml::weight).sum::<usize>() > MAX_CLUSTER_WEIGHT {
        return Err(vec![too_many_facts(file, "the file", MAX_CLUSTER_WEIGHT)]);
    }
    match documents.as_slice() {
        [] => Ok(Fact::empty(file)),
        [document] if document.as_map().is_some() => Fact::read(document, file).map_err(in_file),
        [document] => Err(vec![
            Problem::at(
                Place { file: RepoPath::clone(file), position: document.position },
                "the file is not a map",
            )
            .hint("write `key: value` lines"),
        ]),
        [_, second, ..] => Err(vec![
            Problem::at(
                Place { file: RepoPath::clone(file), position: second.position },
                "a second document in one file",
            )
            .hint("remove `---` or split the file"),
        ]),
    }
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
    match did_you_mean(cluster.hub.as_str(), hubs.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if hubs.is_empty() => "describe a cluster with `role: control` first".to_owned(),
        None => format!("known hubs: `{}`", hubs.join("`, `")),
    }
}
