//! The inventory: facts about each cluster, read from `environments/`, merged, typed and judged.
//!
//! Knows nothing of templates. What is known here about a cluster is right on its own; what must fit between clusters
//! is for `checks`.

mod editors;
mod fact;
mod facts;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use crate::path::{ClusterName, NameError, RepoPath};
use crate::problem::{Place, Problem, did_you_mean};
use crate::schema::{Schema, Step, Violation};
use crate::snapshot::{ENVIRONMENTS, Snapshot, Source, SourceId};
use crate::yaml;

pub use editors::defaults_schema;
pub use fact::Fact;
pub use facts::{
    AddonChoice, ClusterFile, ClusterMachines, FleetFile, GitRepository, LoadBalancer, Machine, MachineGroup,
    Networks, Role,
};

/// The file with facts for every cluster of its folder and below.
const DEFAULTS_FILE: &str = "_defaults.yaml";
/// The file with facts that all clusters share.
pub const FLEET_FILE: &str = "environments/_fleet.yaml";
/// The largest file that is read, in bytes. A cluster's facts are a few kilobytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// All facts of the fleet.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The shared facts.
    pub fleet: Arc<Fleet>,
    /// The clusters by name.
    pub clusters: BTreeMap<ClusterName, Arc<Cluster>>,
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
    /// The identities of the files that the facts were merged from, outermost first.
    pub ids: Vec<SourceId>,
}

impl Cluster {
    /// Returns whether the cluster is a hub, its own.
    #[must_use]
    pub fn is_hub(&self) -> bool {
        self.hub == self.name
    }
}

/// Parsed files and merged clusters, remembered by the identity of what they were read from.
#[derive(Debug, Default)]
pub struct InventoryCache {
    files: HashMap<(RepoPath, SourceId), Result<Fact, Vec<Problem>>>,
    clusters: HashMap<ClusterName, Arc<Cluster>>,
}

/// Returns the JSON Schema of a cluster's file.
#[must_use]
pub fn cluster_schema() -> Json {
    schema_of::<ClusterFile>()
}

/// Returns the JSON Schema of `_fleet.yaml`.
#[must_use]
pub fn fleet_schema() -> Json {
    schema_of::<FleetFile>()
}

pub(crate) fn schema_of<T: JsonSchema>() -> Json {
    editors::drop_null_defaults(schemars::schema_for!(T).to_value())
}

static CLUSTER_SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::compile(&cluster_schema()).expect("the schema is made from our own types"));
static FLEET_SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::compile(&fleet_schema()).expect("the schema is made from our own types"));

/// Reads the inventory. Problems are collected over all files; a cluster with a problem of its own is left out.
pub fn read(snapshot: &Snapshot, cache: &mut InventoryCache) -> (Inventory, Vec<Problem>) {
    let mut reader = Reader { cache, problems: Vec::new(), used: HashMap::new() };
    let fleet = reader.fleet(snapshot);
    let clusters = reader.clusters(snapshot);
    let Reader { cache, mut problems, used } = reader;
    // Only what this snapshot uses is worth remembering.
    cache.files.retain(|key, _| used.contains_key(key));
    cache.clusters = clusters.iter().map(|(name, cluster)| (name.clone(), Arc::clone(cluster))).collect();
    problems.extend(hub_problems(&clusters));
    problems.sort();
    problems.dedup();
    (Inventory { fleet: Arc::new(fleet), clusters }, problems)
}

struct Reader<'a> {
    cache: &'a mut InventoryCache,
    problems: Vec<Problem>,
    used: HashMap<(RepoPath, SourceId), ()>,
}

impl Reader<'_> {
    fn fleet(&mut self, snapshot: &Snapshot) -> Fleet {
        let file = Arc::new(RepoPath::parse(FLEET_FILE).expect("a constant path"));
        let Some(source) = snapshot.get(FLEET_FILE) else {
            self.problems.push(
                Problem::in_whole_file(&file, "the fleet's shared facts are missing")
                    .hint("create the file with `repository: {url: …, branch: main}`, the repository that Argo CD reads"),
            );
            return Fleet {
                facts: FleetFile::default(),
                view: json!({}),
                origin: Fact::empty(&file),
                id: SourceId([0; 20]),
            };
        };
        let origin = self.parse(&file, source).unwrap_or_else(|| Fact::empty(&file));
        let value = origin.to_json();
        let violations = FLEET_SCHEMA.violations(&value);
        self.problems.extend(violations.into_iter().map(|violation| violation_problem(violation, &origin)));
        let facts: FleetFile = serde_json::from_value(value).unwrap_or_default();
        let view = serde_json::to_value(&facts).unwrap_or_default();
        Fleet { facts, view, origin, id: source.id }
    }

    fn clusters(&mut self, snapshot: &Snapshot) -> BTreeMap<ClusterName, Arc<Cluster>> {
        let mut clusters: BTreeMap<ClusterName, Arc<Cluster>> = BTreeMap::new();
        for (path, source) in snapshot.below(ENVIRONMENTS) {
            let Some(name) = self.cluster_name(path) else { continue };
            if let Some(first) = clusters.get(&name) {
                self.problems.push(
                    Problem::in_whole_file(path, format!("cluster `{name}` is described twice"))
                        .hint(format!("it is also described by `{}`; rename or remove one", first.file)),
                );
                continue;
            }
            if let Some(cluster) = self.cluster(snapshot, &name, path, source) {
                clusters.insert(name, cluster);
            }
        }
        clusters
    }

    /// Returns the cluster that a file describes, if it describes one.
    fn cluster_name(&mut self, path: &RepoPath) -> Option<ClusterName> {
        let file = path.file_name();
        if let Some(stem) = file.strip_suffix(".yml") {
            let problem = Problem::in_whole_file(path, "the file's name ends in `.yml` and is not read");
            self.problems.push(problem.hint(format!("rename it to `{stem}.yaml`")));
            return None;
        }
        let stem = file.strip_suffix(".yaml")?;
        if file == DEFAULTS_FILE || path.as_str() == FLEET_FILE {
            return None;
        }
        if stem.starts_with('_') {
            let problem = Problem::in_whole_file(path, format!("`{file}` is not a file that is read"));
            let hint = format!("there is `{DEFAULTS_FILE}` in every folder and one `{FLEET_FILE}`");
            self.problems.push(problem.hint(hint));
            return None;
        }
        match ClusterName::parse(stem) {
            Ok(name) => Some(name),
            Err(error) => {
                self.problems.push(Problem::in_whole_file(path, error.to_string()).hint(NameError::HINT));
                None
            }
        }
    }

    fn cluster(
        &mut self,
        snapshot: &Snapshot,
        name: &ClusterName,
        path: &RepoPath,
        source: &Source,
    ) -> Option<Arc<Cluster>> {
        let chain = defaults_chain(snapshot, path);
        let ids: Vec<SourceId> = chain.iter().map(|(_, source)| source.id).chain([source.id]).collect();
        for (file, source) in chain.iter().copied().chain([(path, source)]) {
            self.used.insert((file.clone(), source.id), ());
        }
        if let Some(known) = self.cache.clusters.get(name)
            && known.ids == ids
            && *known.file == *path
        {
            return Some(Arc::clone(known));
        }
        let file = Arc::new(path.clone());
        let mut origin = Fact::empty(&file);
        let mut readable = true;
        for (file, source) in chain.into_iter().chain([(path, source)]) {
            match self.parse(&Arc::new(file.clone()), source) {
                Some(fact) => origin = origin.merged(fact),
                None => readable = false,
            }
        }
        if readable { self.typed(name, file, origin, ids) } else { None }
    }

    fn typed(
        &mut self,
        name: &ClusterName,
        file: Arc<RepoPath>,
        origin: Fact,
        ids: Vec<SourceId>,
    ) -> Option<Arc<Cluster>> {
        let value = origin.to_json();
        let violations = CLUSTER_SCHEMA.violations(&value);
        if !violations.is_empty() {
            self.problems
                .extend(violations.into_iter().map(|violation| violation_problem(violation, &origin)));
            return None;
        }
        let facts: ClusterFile = match serde_json::from_value(value) {
            Ok(facts) => facts,
            Err(error) => {
                self.problems.push(Problem::in_whole_file(&file, error.to_string()));
                return None;
            }
        };
        let hub = match (&facts.hub, facts.role) {
            (Some(hub), _) => ClusterName::parse(hub).map_err(|error| {
                Problem::at(origin.place(&[key("hub")]), error.to_string()).hint(NameError::HINT)
            }),
            (None, Role::Control) => Ok(name.clone()),
            (None, Role::App) => {
                Err(Problem::in_whole_file(&file, format!("app cluster `{name}` names no `hub`"))
                    .hint("write `hub:` with the control cluster that collects its telemetry"))
            }
        };
        match hub {
            Ok(hub) => {
                let view = view(name, &hub, &facts);
                Some(Arc::new(Cluster { name: name.clone(), hub, file, facts, view, origin, ids }))
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn parse(&mut self, file: &Arc<RepoPath>, source: &Source) -> Option<Fact> {
        let key = (RepoPath::clone(file), source.id);
        self.used.insert(key.clone(), ());
        let parsed = self.cache.files.entry(key).or_insert_with(|| parse_file(file, source));
        match parsed {
            Ok(fact) => Some(fact.clone()),
            Err(problems) => {
                self.problems.extend(problems.iter().cloned());
                None
            }
        }
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
    if source.bytes.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_FILE_BYTES} are read", source.bytes.len());
        return Err(vec![
            Problem::in_whole_file(file, message).hint("facts are written by people: split the file"),
        ]);
    }
    let in_file = |faults: Vec<crate::problem::Fault>| {
        faults.into_iter().map(|fault| fault.in_file(file)).collect::<Vec<_>>()
    };
    let text = yaml::decode(&source.bytes).map_err(|fault| in_file(vec![fault]))?;
    let documents = yaml::parse(text).map_err(in_file)?;
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

/// Says a violation at the place that a person must edit.
pub(crate) fn violation_problem(violation: Violation, origin: &Fact) -> Problem {
    let place =
        if violation.on_key { origin.key_place(&violation.path) } else { origin.place(&violation.path) };
    Problem { place, message: violation.message, hint: violation.hint }
}

fn view(name: &ClusterName, hub: &ClusterName, facts: &ClusterFile) -> Json {
    json!({
        "name": name.as_str(),
        "role": facts.role.as_str(),
        "hub": hub.as_str(),
        "labels": facts.labels,
        "machines": facts.machines,
        "networks": facts.networks,
        "loadBalancer": facts.load_balancer,
        "addresses": facts.addresses,
    })
}

fn hub_problems(clusters: &BTreeMap<ClusterName, Arc<Cluster>>) -> Vec<Problem> {
    let hubs = || clusters.values().filter(|cluster| cluster.is_hub()).map(|cluster| cluster.name.as_str());
    let mut problems = Vec::new();
    for cluster in clusters.values().filter(|cluster| !cluster.is_hub()) {
        let place = || cluster.origin.place(&[key("hub")]);
        match clusters.get(&cluster.hub) {
            None => {
                let problem = Problem::at(place(), format!("unknown hub `{}`", cluster.hub));
                problems.push(match did_you_mean(cluster.hub.as_str(), hubs()) {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => problem.hint(match hubs().collect::<Vec<_>>().as_slice() {
                        [] => "describe a cluster with `role: control` first".to_owned(),
                        known => format!("known hubs: `{}`", known.join("`, `")),
                    }),
                });
            }
            Some(hub) if hub.facts.role != Role::Control || !hub.is_hub() => {
                let message = format!("`{}` is not a hub", cluster.hub);
                problems
                    .push(Problem::at(place(), message).hint("a hub has `role: control` and is its own hub"));
            }
            Some(_) => {}
        }
    }
    problems
}

/// Returns a step into a map.
pub(crate) fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}
