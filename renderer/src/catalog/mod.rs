//! The catalog: what can run where, read from `templates/`.
//!
//! Knows what each template is for and nothing of a particular cluster.

mod addon;
mod facts;
mod interface;
mod live;
mod placement;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::charts::{self, ChartId, ChartLock};
use crate::path::{AddonName, NameError, RepoPath};
use crate::problem::{self, Position, Problem};
use crate::root::Root;
use crate::schema::Schema;
use crate::snapshot::{Snapshot, Source, SourceId, TEMPLATES};
use crate::templates::{TEXTS, TemplateSource, Templates, Texts};
use crate::yaml;

pub use addon::{ACCEPTABLE, Accept, Addon, AddonFile, ChartVersion, FINAL_CHECKS, Outside, addon_schema};
pub(crate) use addon::{GUESSES_ON_VALUES, MAX_RELEASE, VALUES_FILE};
pub use facts::LiveFacts;
pub use interface::{
    BySignal, Condition, Exposed, ExposedService, FullName, LoginValue, MadeSecret, Provides, Receives,
    ReceivingEndpoint, Sends, Service, Setting, StorageClasses, Target, ValuePath,
};
pub use live::{
    Answers, Ask, Asked, FieldPath, Guard, Holds, Language, Limit, LiveCheck, Objects, Query, Span,
};
pub use placement::Placement;

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
    /// The templates that render once a cluster, once a machine of it, or once for the fleet: by where the file that they
    /// write stands, and its name.
    pub own_templates: BTreeMap<(Root, RepoPath), RepoPath>,
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
    pub(crate) fn is_empty(&self) -> bool {
        self.addons.is_empty() && self.own_templates.is_empty()
    }

    /// Returns the templates of the files that stand somewhere, with the names of the files.
    pub(crate) fn own(&self, root: Root) -> impl Iterator<Item = (&RepoPath, &RepoPath)> {
        let own = self.own_templates.iter().filter(move |((of, _), _)| *of == root);
        own.map(|((_, written), template)| (written, template))
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
    let mut builder = Builder::default();
    for (path, source) in snapshot.below(TEMPLATES) {
        if let Err(problem) = builder.add(path, source) {
            builder.problems.push(*problem);
        }
    }
    let by_file = |problem: Problem| problem.found_by("files");
    builder.build().map_err(|problems| problems.into_iter().map(by_file).collect())
}

/// Returns the version and the kind that a schema's file is called after; `core` stands for the group without a name.
fn described_kind(file: &str) -> Option<(String, String)> {
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

fn object_schema(path: &RepoPath, bytes: &[u8]) -> Result<Schema, Box<Problem>> {
    let schema = serde_json::from_slice(bytes).map_err(|error| {
        let at = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).max(1);
        let position = Position::new(at(error.line()), at(error.column()));
        Box::new(Problem::at(problem::Place { file: path.clone(), position }, "this is not JSON"))
    });
    let compiled = schema.and_then(|schema| {
        Schema::compile(&schema).map_err(|error| Box::new(Problem::in_whole_file(path, error.to_string())))
    });
    compiled
        .map(|schema| schema.in_file(path))
        .map_err(|problem| problem.found_by("schema").hint("write a JSON Schema of the whole object").into())
}

/// Returns the problem of a file that is too large, or too much together with those before it.
fn too_large(path: &RepoPath, message: String, hint: &str) -> Problem {
    Problem::in_whole_file(path, message).found_by("limits").hint(hint)
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

/// The files of one add-on.
#[derive(Default)]
struct Folder {
    addon: Option<Addon>,
    values: Option<RepoPath>,
    manifests: BTreeSet<RepoPath>,
}

#[derive(Default)]
struct Builder {
    folders: BTreeMap<AddonName, Folder>,
    own_templates: BTreeMap<(Root, RepoPath), RepoPath>,
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
    /// Adds a file, by where it stands.
    fn add(&mut self, path: &RepoPath, source: &Source) -> Result<(), Box<Problem>> {
        let parts: Vec<&str> = path.components().skip(1).collect();
        let stem = path.file_name().strip_suffix(SUFFIX);
        match (parts.as_slice(), stem) {
            (["addons", addon, "addon.yaml"], _) => self.addon(addon_name(addon, path)?, path, source),
            (["addons", addon, "values.yaml.hbs"], _) => {
                self.folder(addon, path)?.values = Some(path.clone());
                self.template(path, source);
            }
            (["addons", addon, "manifests", file], _) if file.ends_with(WRITES_SUFFIX) => {
                self.folder(addon, path)?.manifests.insert(path.clone());
                self.template(path, source);
            }
            (["cluster", rest @ .., file], Some(name)) if file.ends_with(WRITES_SUFFIX) => {
                self.own(Root::Applications, rest, name, path, source)?;
            }
            (["infra", "cluster", rest @ .., _], Some(name)) => {
                self.own(Root::Machines, rest, name, path, source)?;
            }
            (["infra", "fleet", rest @ .., _], Some(name)) => {
                self.own(Root::Fleet, rest, name, path, source)?;
            }
            (["_partials", rest @ ..], Some(_)) => {
                let name = rest.join("/");
                // One that can't be read is there all the same: who calls it is not to blame.
                let source = self.source(path, source);
                let nothing = || TemplateSource { file: path.clone(), text: "".into() };
                let name = name.strip_suffix(SUFFIX).unwrap_or(&name).to_owned();
                self.partials.push((name, source.unwrap_or_else(nothing)));
            }
            (["_files", .., file], _) if !file.starts_with('.') => self.text(path, source),
            _ if path.as_str() == charts::LOCK => self.lock(path, source),
            (["schemas", file], _) if file.ends_with(SCHEMA_SUFFIX) => {
                let kind = described_kind(file).ok_or_else(|| {
                    let hint = "call it `<group>_<version>_<Kind>.json`, as in `example.com_v1_Pool.json`";
                    Problem::in_whole_file(path, "the file's name does not say which kind it describes")
                        .hint(hint)
                })?;
                self.schema(kind, path, source)?;
            }
            _ if path.file_name().ends_with(NOTES_SUFFIX) || path.file_name().starts_with('.') => {}
            _ => {
                let hint = "templates are `addons/<addon>/addon.yaml`, `values.yaml.hbs` and `manifests/<name>.yaml.hbs`, \
                            `cluster/<name>.yaml.hbs`, `infra/cluster/<name>.hbs`, `infra/fleet/<name>.hbs` and `_partials/<name>.hbs`; files to insert are `_files/<name>`, schemas of objects `schemas/<group>_<version>_<Kind>.json`";
                return Err(Problem::in_whole_file(path, "nothing reads this file").hint(hint).into());
            }
        }
        Ok(())
    }

    /// Adds a template that belongs to no add-on, and writes the file `name` in the folders `below` a root.
    fn own(
        &mut self,
        root: Root,
        below: &[&str],
        name: &str,
        path: &RepoPath,
        source: &Source,
    ) -> Result<(), Box<Problem>> {
        let invalid = |error| Problem::in_whole_file(path, format!("{error}"));
        let written = RepoPath::parse(&[below, &[name]].concat().join("/")).map_err(invalid)?;
        self.own_templates.insert((root, written), path.clone());
        self.template(path, source);
        Ok(())
    }

    fn folder(&mut self, addon: &str, path: &RepoPath) -> Result<&mut Folder, Box<Problem>> {
        Ok(self.folders.entry(addon_name(addon, path)?).or_default())
    }

    fn lock(&mut self, path: &RepoPath, source: &Source) {
        match ChartLock::read(&source.bytes) {
            Ok(charts) => self.lock = Some(Lock { charts, id: source.id }),
            Err(faults) => {
                self.problems.extend(faults.into_iter().map(|fault| fault.in_file(path).found_by("lock")));
            }
        }
    }

    fn addon(&mut self, name: AddonName, path: &RepoPath, source: &Source) {
        let addon = match addon::read(&name, path, source) {
            Ok(addon) => addon,
            Err(problems) => {
                return self.problems.extend(problems.into_iter().map(|problem| problem.found_by("schema")));
            }
        };
        self.weight += addon.origin.weight();
        if self.weight <= MAX_ADDONS_WEIGHT && self.folders.len() < MAX_ADDONS {
            self.folders.entry(name).or_default().addon = Some(addon);
            return;
        }
        let message = format!(
            "the add-ons up to here are more than {MAX_ADDONS}, or take more than {} MiB",
            MAX_ADDONS_WEIGHT >> 20
        );
        let hint = "keep fewer add-ons, and fewer aliases in their files";
        self.problems.push(too_large(path, message, hint));
    }

    fn schema(
        &mut self,
        kind: (String, String),
        path: &RepoPath,
        source: &Source,
    ) -> Result<(), Box<Problem>> {
        self.schema_bytes += source.bytes.len();
        if source.bytes.len() > MAX_SCHEMA_BYTES || self.schema_bytes > MAX_SCHEMAS_BYTES {
            let message = format!(
                "the schemas up to here are too large: one may have {MAX_SCHEMA_BYTES} bytes, all together {MAX_SCHEMAS_BYTES}"
            );
            return Err(too_large(path, message, "leave out descriptions and what is not used").into());
        }
        self.schemas.kinds.insert(kind, object_schema(path, &source.bytes)?);
        self.schemas.ids.insert(path.clone(), source.id);
        Ok(())
    }

    fn template(&mut self, path: &RepoPath, source: &Source) {
        let source = self.source(path, source);
        self.templates.extend(source);
    }

    fn text(&mut self, path: &RepoPath, source: &Source) {
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
        let name = path.below(TEXTS).unwrap_or_default().to_owned();
        self.texts.insert(name, TemplateSource { file: path.clone(), text: text.into() });
    }

    fn source(&mut self, path: &RepoPath, source: &Source) -> Option<TemplateSource> {
        self.ids.insert(path.clone(), source.id);
        let length = source.bytes.len();
        if length > MAX_TEMPLATE_BYTES {
            let message = format!("the template has {length} bytes; at most {MAX_TEMPLATE_BYTES} are read");
            self.problems.push(too_large(path, message, "split it into partials"));
            return None;
        }
        let text = yaml::decode(&source.bytes);
        let text = text.map_err(|fault| self.problems.push(fault.in_file(path).found_by("yaml"))).ok()?;
        Some(TemplateSource { file: path.clone(), text: text.into() })
    }

    /// Says which folders hold templates and no `addon.yaml`, unless that file itself is the problem.
    fn undescribed(&self) -> Vec<Problem> {
        let has_faulty_description = |name: &AddonName| {
            let beginning = format!("{TEMPLATES}/addons/{name}/addon.");
            self.problems.iter().any(|problem| problem.place.file.as_str().starts_with(&beginning))
        };
        let undescribed = self.folders.iter().filter(|(_, folder)| folder.addon.is_none());
        let problems =
            undescribed.filter(|(name, _)| !has_faulty_description(name)).filter_map(|(name, it)| {
                let path = it.values.as_ref().or(it.manifests.last())?;
                let problem = Problem::in_whole_file(path, format!("add-on `{name}` has no `addon.yaml`"));
                Some(
                    problem
                        .hint("create it beside the templates, with `namespace`, and `chart` if it has one"),
                )
            });
        problems.collect()
    }

    fn build(mut self) -> Result<Catalog, Vec<Problem>> {
        let undescribed = self.undescribed();
        self.problems.extend(undescribed);
        let templates = match Templates::compile(self.templates, self.partials, self.texts) {
            Ok(templates) if self.problems.is_empty() => templates,
            Ok(_) => return Err(self.problems),
            Err(problems) => {
                self.problems.extend(problems.into_iter().map(|problem| problem.found_by("template")));
                return Err(self.problems);
            }
        };
        let lock = self.lock.as_ref().map(|lock| &lock.charts.charts);
        let addons = self.folders.into_iter().filter_map(|(name, Folder { addon, values, manifests })| {
            let mut addon = addon?;
            if let (Some(lock), Some(chart)) = (lock, &addon.facts.chart) {
                let is_its = |id: &ChartId| id.name == chart.name && id.repository == chart.repository;
                let locked = lock.iter().filter(|(id, _)| is_its(id));
                addon.locked = locked.map(|(id, chart)| (id.clone(), Arc::clone(chart))).collect();
            }
            (addon.values, addon.manifests) = (values, manifests);
            Some((name, Arc::new(addon)))
        });
        let addons: BTreeMap<AddonName, Arc<Addon>> = addons.collect();
        let problems: Vec<_> = addons.values().filter_map(|addon| addon.content_problem()).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut digests = BTreeMap::new();
        for path in self.ids.keys() {
            digest(path, &self.ids, &templates, &mut digests);
        }
        Ok(Catalog {
            addons,
            own_templates: self.own_templates,
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

    fn added(path: &str, text: &str) -> Result<Builder, Box<Problem>> {
        let mut builder = Builder::default();
        let source = Source { id: SourceId([0; 20]), bytes: text.as_bytes().into() };
        builder.add(&RepoPath::parse(path).unwrap(), &source)?;
        assert_eq!(builder.problems, []);
        Ok(builder)
    }

    #[test]
    fn a_file_is_told_by_where_it_stands() {
        let path = |path: &str| RepoPath::parse(path).unwrap();
        let folder = |file: &str, text: &str| {
            let mut folders = added(&format!("templates/addons/loki/{file}"), text).unwrap().folders;
            folders.remove(&AddonName::parse("loki").unwrap()).unwrap()
        };
        let addon = "chart: {repository: https://example.com, name: x, version: 1.2.3}\nnamespace: x\n";
        assert!(folder("addon.yaml", addon).addon.is_some());
        let values = path("templates/addons/loki/values.yaml.hbs");
        assert_eq!(folder("values.yaml.hbs", "").values, Some(values));
        let manifest = path("templates/addons/loki/manifests/a.yaml.hbs");
        assert_eq!(folder("manifests/a.yaml.hbs", "").manifests, BTreeSet::from([manifest]));
        assert_eq!(added("templates/_partials/a/b.hbs", "").unwrap().partials[0].0, "a/b");
        for (template, root, written) in [
            ("cluster/x/root.yaml.hbs", Root::Applications, "x/root.yaml"),
            ("infra/cluster/cloud-init/{machine}.yaml.hbs", Root::Machines, "cloud-init/{machine}.yaml"),
            ("infra/fleet/hosts.hbs", Root::Fleet, "hosts"),
        ] {
            let own = added(&format!("templates/{template}"), "").unwrap().own_templates;
            assert_eq!(own.into_keys().collect::<Vec<_>>(), [(root, path(written))]);
        }
        assert_eq!(added("templates/README.md", "").unwrap().ids, BTreeMap::new());
        assert!(added("templates/charts.lock", "").unwrap().lock.is_some());
    }

    #[test]
    fn a_file_that_nothing_reads_is_a_problem() {
        for path in [
            "templates/a.yaml",
            "templates/infra/cluster/hosts",
            "templates/infra/hosts.hbs",
            "templates/addons/loki/value.yaml.hbs",
            "templates/addons/loki/manifests/a.yaml",
        ] {
            assert_eq!(added(path, "").err().unwrap().message, "nothing reads this file");
        }
        let invalid = added("templates/addons/Loki/addon.yaml", "").err().unwrap();
        assert_eq!(invalid.message, "`Loki` is not a valid name");
    }
}
