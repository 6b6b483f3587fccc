//! The catalog: what can run where, read from `templates/`.
//!
//! Knows what each template is for and nothing of a particular cluster.

mod addon;
mod interface;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::charts::{self, ChartLock};
use crate::path::{AddonName, NameError, RepoPath};
use crate::problem::{self, Position, Problem};
use crate::schema::Schema;
use crate::snapshot::{Snapshot, Source, SourceId, TEMPLATES};
use crate::templates::{TEXTS, TemplateSource, Templates, Texts};
use crate::yaml;

pub use addon::{ACCEPTABLE, Accept, Addon, AddonFile, Chart, Outside, Placement, addon_schema};
pub(crate) use addon::{MAX_RELEASE, VALUES_FILE};
pub use interface::{
    BySignal, Condition, Exposed, FullName, LoginValue, Provides, Receives, ReceivingEndpoint, Sends,
    Service, Setting, StorageClasses, Target, ValuePath,
};

/// The largest template that is read, in bytes: what the engine takes, told before anything is decoded.
pub const MAX_TEMPLATE_BYTES: usize = crate::templates::MAX_SOURCE_BYTES;

/// How much the `addon.yaml` of all add-ons may take together, in bytes of text and 64 for each value.
const MAX_ADDONS_WEIGHT: usize = 16 * 1024 * 1024;
/// How many add-ons there may be.
const MAX_ADDONS: usize = 1_000;
/// The largest schema of a kind of objects that is read, in bytes.
const MAX_SCHEMA_BYTES: usize = 1024 * 1024;
/// The largest file that is inserted as text, in bytes: a `ConfigMap` takes no more.
const MAX_TEXT_BYTES: usize = 1024 * 1024;
/// How many bytes all of them may have together.
const MAX_TEXTS_BYTES: usize = 16 * 1024 * 1024;
/// How many bytes the schemas of all kinds may have together.
const MAX_SCHEMAS_BYTES: usize = 4 * 1024 * 1024;

/// All add-ons and templates.
#[derive(Debug)]
pub struct Catalog {
    /// The add-ons by name.
    pub addons: BTreeMap<AddonName, Arc<Addon>>,
    /// The templates that render once a cluster: the name of the file they write, and their path.
    pub cluster_templates: BTreeMap<RepoPath, RepoPath>,
    /// All templates, compiled.
    pub templates: Templates,
    /// The chart lock, if there is one.
    pub lock: Option<Lock>,
    /// Schemas of kinds of objects beside those that are built in.
    pub schemas: ObjectSchemas,
    /// The identity of each template, partial and file to insert by its path.
    pub ids: BTreeMap<RepoPath, SourceId>,
    /// The same, of each together with all that it is made of: the partials it calls, theirs, and files to insert.
    pub digests: BTreeMap<RepoPath, [u8; 32]>,
}

impl Catalog {
    /// Returns whether there is nothing that could be rendered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addons.is_empty() && self.cluster_templates.is_empty()
    }
}

/// The chart lock and its identity.
#[derive(Debug)]
pub struct Lock {
    /// The locked charts.
    pub charts: ChartLock,
    /// The identity of the file.
    pub id: SourceId,
}

/// Schemas of kinds of objects that people keep in `templates/schemas/`.
#[derive(Debug, Default)]
pub struct ObjectSchemas {
    /// By version, as in `example.com/v1`, and kind.
    pub kinds: BTreeMap<(String, String), Schema>,
    /// The identity of each file.
    pub ids: BTreeMap<RepoPath, SourceId>,
}

/// What a file below `templates/` is for.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    AddonFile(AddonName),
    Values(AddonName),
    Manifest(AddonName),
    /// The file that it writes, below the cluster's folder.
    Cluster(RepoPath),
    Partial(String),
    /// A file that templates insert as text.
    Text(String),
    ChartLock,
    /// The schema of a kind of objects: version and kind.
    Schema(String, String),
    /// Kept beside the templates for people or for another stage.
    Other,
}

/// The suffix of every template.
const SUFFIX: &str = ".hbs";
/// The suffix of a template that writes a file.
const WRITES_SUFFIX: &str = ".yaml.hbs";
/// The suffix of the schemas of objects.
const SCHEMA_SUFFIX: &str = ".json";
/// The suffix of what is kept for people.
const NOTES_SUFFIX: &str = ".md";

/// Reads the catalog, or returns every problem in it.
pub fn read(snapshot: &Snapshot) -> Result<Catalog, Vec<Problem>> {
    let by_file =
        |problems: Vec<Problem>| problems.into_iter().map(|problem| problem.found_by("files")).collect();
    read_all(snapshot).map_err(by_file)
}

fn read_all(snapshot: &Snapshot) -> Result<Catalog, Vec<Problem>> {
    let mut builder = Builder::default();
    for (path, source) in snapshot.below(TEMPLATES) {
        match place(path) {
            Ok(place) => builder.add(path, source, place),
            Err(problem) => builder.problems.push(*problem),
        }
    }
    builder.build()
}

fn place(path: &RepoPath) -> Result<Place, Box<Problem>> {
    let parts: Vec<&str> = path.components().skip(1).collect();
    let stem = path.file_name().strip_suffix(SUFFIX);
    let place = match (parts.as_slice(), stem) {
        (["addons", addon, "addon.yaml"], _) => Place::AddonFile(addon_name(addon, path)?),
        (["addons", addon, "values.yaml.hbs"], _) => Place::Values(addon_name(addon, path)?),
        (["addons", addon, "manifests", file], _) if file.ends_with(WRITES_SUFFIX) => {
            Place::Manifest(addon_name(addon, path)?)
        }
        (["cluster", rest @ .., file], _) if file.ends_with(WRITES_SUFFIX) => {
            let written = [rest, &[file.strip_suffix(SUFFIX).unwrap_or(file)]].concat().join("/");
            Place::Cluster(
                RepoPath::parse(&written).map_err(|error| Problem::in_whole_file(path, error.to_string()))?,
            )
        }
        (["_partials", rest @ ..], Some(_)) => {
            let name = rest.join("/");
            Place::Partial(name.strip_suffix(SUFFIX).unwrap_or(&name).to_owned())
        }
        (["_files", .., file], _) if !file.starts_with('.') => {
            Place::Text(path.below(TEXTS).unwrap_or_default().to_owned())
        }
        _ if path.as_str() == charts::LOCK => Place::ChartLock,
        (["schemas", file], _) if file.ends_with(SCHEMA_SUFFIX) => {
            let (version, kind) = schema_of(file).ok_or_else(|| {
                let hint = "call it `<group>_<version>_<Kind>.json`, as in `example.com_v1_Pool.json`";
                Problem::in_whole_file(path, "the file's name does not say which kind it describes")
                    .hint(hint)
            })?;
            Place::Schema(version, kind)
        }
        (["infra", ..], _) => Place::Other,
        _ if path.file_name().ends_with(NOTES_SUFFIX) || path.file_name().starts_with('.') => Place::Other,
        _ => {
            let hint = "templates are `addons/<addon>/addon.yaml`, `values.yaml.hbs` and `manifests/<name>.yaml.hbs`, \
                        `cluster/<name>.yaml.hbs` and `_partials/<name>.hbs`; files to insert are `_files/<name>`, schemas of objects `schemas/<group>_<version>_<Kind>.json`";
            return Err(Box::new(Problem::in_whole_file(path, "nothing reads this file").hint(hint)));
        }
    };
    Ok(place)
}

/// Returns the version and the kind that a schema's file is called after; `core` stands for the group without a name.
fn schema_of(file: &str) -> Option<(String, String)> {
    let parts: Vec<_> = file.strip_suffix(SCHEMA_SUFFIX)?.split('_').collect();
    match parts[..] {
        ["core", version, kind] => Some((version.to_owned(), kind.to_owned())),
        [group, version, kind] => Some((format!("{group}/{version}"), kind.to_owned())),
        _ => None,
    }
}

fn addon_name(name: &str, path: &RepoPath) -> Result<AddonName, Box<Problem>> {
    AddonName::parse(name)
        .map_err(|error| Box::new(Problem::in_whole_file(path, error.to_string()).hint(NameError::HINT)))
}

fn object_schema(path: &RepoPath, source: &Source) -> Result<Schema, Box<Problem>> {
    let schema = serde_json::from_slice(&source.bytes).map_err(|error| {
        let line = u32::try_from(error.line()).unwrap_or(u32::MAX).max(1);
        let column = u32::try_from(error.column()).unwrap_or(u32::MAX).max(1);
        let place = problem::Place { file: path.clone(), position: Position::new(line, column) };
        Problem::at(place, "this is not JSON")
            .found_by("schema")
            .hint("write a JSON Schema of the whole object")
    })?;
    match Schema::compile(&schema) {
        Ok(schema) => Ok(schema.in_file(path)),
        Err(error) => Err(Box::new(
            Problem::in_whole_file(path, error.to_string())
                .found_by("schema")
                .hint("write a JSON Schema of the whole object"),
        )),
    }
}

/// Works out the identity of a source together with all that it is made of. Partials stand in each other only so deep, and
/// in no circle.
fn digest(
    path: &RepoPath,
    ids: &BTreeMap<RepoPath, SourceId>,
    templates: &Templates,
    known: &mut BTreeMap<RepoPath, [u8; 32]>,
) -> [u8; 32] {
    if let Some(digest) = known.get(path) {
        return *digest;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.as_str().as_bytes()).update(&[0]);
    if let Some(id) = ids.get(path) {
        hasher.update(&id.0);
    }
    for part in templates.parts(path) {
        hasher.update(&digest(part, ids, templates, known));
    }
    let digest = *hasher.finalize().as_bytes();
    known.insert(path.clone(), digest);
    digest
}

#[derive(Default)]
struct Builder {
    addons: BTreeMap<AddonName, Addon>,
    folders: BTreeMap<AddonName, RepoPath>,
    values: BTreeMap<AddonName, RepoPath>,
    manifests: BTreeMap<AddonName, BTreeSet<RepoPath>>,
    cluster_templates: BTreeMap<RepoPath, RepoPath>,
    templates: Vec<TemplateSource>,
    partials: Vec<(String, TemplateSource)>,
    texts: Texts,
    text_bytes: usize,
    lock: Option<Lock>,
    schemas: ObjectSchemas,
    ids: BTreeMap<RepoPath, SourceId>,
    problems: Vec<Problem>,
    /// What the add-ons' own files take together.
    weight: usize,
    schema_bytes: usize,
}

impl Builder {
    fn add(&mut self, path: &RepoPath, source: &Source, place: Place) {
        match place {
            Place::AddonFile(name) => match addon::read(&name, path, source) {
                Ok(addon) => {
                    self.weight += addon.origin.weight();
                    if self.weight <= MAX_ADDONS_WEIGHT && self.addons.len() < MAX_ADDONS {
                        self.addons.insert(name, addon);
                        return;
                    }
                    let message = format!(
                        "the add-ons up to here are more than {MAX_ADDONS}, or take more than {} MiB",
                        MAX_ADDONS_WEIGHT >> 20
                    );
                    let hint = "keep fewer add-ons, and fewer aliases in their files";
                    self.problems.push(Problem::in_whole_file(path, message).found_by("limits").hint(hint));
                }
                Err(problems) => {
                    self.folders.insert(name, path.clone());
                    self.problems.extend(problems);
                }
            },
            Place::Values(name) => {
                self.folders.insert(name.clone(), path.clone());
                self.values.insert(name, path.clone());
                self.template(path, source);
            }
            Place::Manifest(name) => {
                self.folders.insert(name.clone(), path.clone());
                self.manifests.entry(name).or_default().insert(path.clone());
                self.template(path, source);
            }
            Place::Cluster(written) => {
                self.cluster_templates.insert(written, path.clone());
                self.template(path, source);
            }
            Place::Partial(name) => {
                // One that can't be read is there all the same: who calls it is not to blame.
                let source = self.source(path, source);
                let nothing = || TemplateSource { file: path.clone(), text: "".into() };
                self.partials.push((name, source.unwrap_or_else(nothing)));
            }
            Place::Text(name) => self.text(name, path, source),
            Place::ChartLock => match ChartLock::read(&source.bytes) {
                Ok(charts) => self.lock = Some(Lock { charts, id: source.id }),
                Err(faults) => {
                    let problems = faults.into_iter().map(|fault| fault.in_file(path).found_by("lock"));
                    self.problems.extend(problems);
                }
            },
            Place::Schema(version, kind) => match self.object_schema(path, source) {
                Ok(schema) => {
                    self.schemas.kinds.insert((version, kind), schema);
                    self.schemas.ids.insert(path.clone(), source.id);
                }
                Err(problem) => self.problems.push(*problem),
            },
            Place::Other => {}
        }
    }

    fn object_schema(&mut self, path: &RepoPath, source: &Source) -> Result<Schema, Box<Problem>> {
        self.schema_bytes += source.bytes.len();
        if source.bytes.len() <= MAX_SCHEMA_BYTES && self.schema_bytes <= MAX_SCHEMAS_BYTES {
            return object_schema(path, source);
        }
        let message = format!(
            "the schemas up to here are too large: one may have {MAX_SCHEMA_BYTES} bytes, all together {MAX_SCHEMAS_BYTES}"
        );
        Err(Box::new(
            Problem::in_whole_file(path, message)
                .found_by("limits")
                .hint("leave out descriptions and what is not used"),
        ))
    }

    fn template(&mut self, path: &RepoPath, source: &Source) {
        if let Some(source) = self.source(path, source) {
            self.templates.push(source);
        }
    }

    fn text(&mut self, name: String, path: &RepoPath, source: &Source) {
        self.ids.insert(path.clone(), source.id);
        self.text_bytes += source.bytes.len();
        if source.bytes.len() > MAX_TEXT_BYTES || self.text_bytes > MAX_TEXTS_BYTES {
            let message = format!(
                "the files to insert up to here are too large: one may have {} MiB, all together {}",
                MAX_TEXT_BYTES >> 20,
                MAX_TEXTS_BYTES >> 20
            );
            let hint =
                "split it, or remove what no template inserts: a ConfigMap takes no more than 1 MiB either";
            self.problems.push(Problem::in_whole_file(path, message).hint(hint));
        }
        let text = yaml::decode(&source.bytes).unwrap_or_else(|fault| {
            self.problems.push(fault.in_file(path));
            ""
        });
        self.texts.insert(name, TemplateSource { file: path.clone(), text: text.into() });
    }

    fn source(&mut self, path: &RepoPath, source: &Source) -> Option<TemplateSource> {
        self.ids.insert(path.clone(), source.id);
        if source.bytes.len() > MAX_TEMPLATE_BYTES {
            let message = format!(
                "the template has {} bytes; at most {MAX_TEMPLATE_BYTES} are read",
                source.bytes.len()
            );
            let problem = Problem::in_whole_file(path, message).found_by("limits");
            self.problems.push(problem.hint("split it into partials"));
            return None;
        }
        match yaml::decode(&source.bytes) {
            Ok(text) => Some(TemplateSource { file: path.clone(), text: text.into() }),
            Err(fault) => {
                self.problems.push(fault.in_file(path).found_by("yaml"));
                None
            }
        }
    }

    /// Says which folders hold templates and no `addon.yaml`, unless that file itself is the problem.
    fn undescribed(&self) -> Vec<Problem> {
        let has_faulty_description = |name: &AddonName| {
            let beginning = format!("{TEMPLATES}/addons/{name}/addon.");
            self.problems.iter().any(|problem| problem.place.file.as_str().starts_with(&beginning))
        };
        let folders = self.folders.iter();
        folders
            .filter(|(name, _)| !self.addons.contains_key(*name) && !has_faulty_description(name))
            .map(|(name, path)| {
                Problem::in_whole_file(path, format!("add-on `{name}` has no `addon.yaml`"))
                    .hint("create it beside the templates, with `chart` and `namespace`")
            })
            .collect()
    }

    fn build(mut self) -> Result<Catalog, Vec<Problem>> {
        let undescribed = self.undescribed();
        self.problems.extend(undescribed);
        for (name, addon) in &mut self.addons {
            addon.values = self.values.remove(name);
            addon.manifests = self.manifests.remove(name).unwrap_or_default();
            let lock = self.lock.as_ref().map(|lock| &lock.charts.charts);
            addon.locked = lock.and_then(|charts| charts.get(&addon.facts.chart.id())).cloned();
        }
        let templates = match Templates::compile(self.templates, self.partials, self.texts) {
            Ok(templates) if self.problems.is_empty() => templates,
            Ok(_) => return Err(self.problems),
            Err(problems) => {
                self.problems.extend(problems.into_iter().map(|problem| problem.found_by("template")));
                return Err(self.problems);
            }
        };
        let mut digests = BTreeMap::new();
        for path in self.ids.keys() {
            digest(path, &self.ids, &templates, &mut digests);
        }
        Ok(Catalog {
            addons: self.addons.into_iter().map(|(name, addon)| (name, Arc::new(addon))).collect(),
            cluster_templates: self.cluster_templates,
            templates,
            lock: self.lock,
            schemas: self.schemas,
            ids: self.ids,
            digests,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Result<Place, Box<Problem>> {
        place(&RepoPath::parse(path).unwrap())
    }

    #[test]
    fn a_file_is_told_by_where_it_stands() {
        let name = || AddonName::parse("loki").unwrap();
        assert_eq!(of("templates/addons/loki/addon.yaml").unwrap(), Place::AddonFile(name()));
        assert_eq!(of("templates/addons/loki/values.yaml.hbs").unwrap(), Place::Values(name()));
        assert_eq!(of("templates/addons/loki/manifests/a.yaml.hbs").unwrap(), Place::Manifest(name()));
        assert_eq!(of("templates/_partials/a/b.hbs").unwrap(), Place::Partial("a/b".to_owned()));
        let written = RepoPath::parse("x/root.yaml").unwrap();
        assert_eq!(of("templates/cluster/x/root.yaml.hbs").unwrap(), Place::Cluster(written));
        assert_eq!(of("templates/README.md").unwrap(), Place::Other);
        assert_eq!(of("templates/charts.lock").unwrap(), Place::ChartLock);
    }

    #[test]
    fn a_file_that_nothing_reads_is_a_problem() {
        for path in [
            "templates/a.yaml",
            "templates/addons/loki/value.yaml.hbs",
            "templates/addons/loki/manifests/a.yaml",
        ] {
            assert_eq!(of(path).unwrap_err().message, "nothing reads this file");
        }
        assert_eq!(of("templates/addons/Loki/addon.yaml").unwrap_err().message, "`Loki` is not a valid name");
    }
}
