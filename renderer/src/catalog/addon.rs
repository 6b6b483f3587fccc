//! An add-on: a chart at a pinned version or manifests alone, where it runs, and the settings that a cluster may
//! change.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::charts::{ChartId, LockedChart, VERSION, VERSION_HINT};
use crate::inventory::{self, Cluster, Fact, Publish, key};
use crate::key_path::{Step, is_at_or_below};
use crate::path::{AddonName, NameError, RepoPath};
use crate::plural::quoted;
use crate::problem::{Place, Problem, hint_at_near};
use crate::schema::Schema;
use crate::snapshot::{Source, SourceId};
use crate::tree::Tree;

use super::interface::{BySignal, Provides, Receives, Sends};
use super::live::{Answers, LiveCheck};
use super::placement::Placement;

/// What the rendered values of an add-on are called.
pub(crate) const VALUES_FILE: &str = "values.yaml";

/// What Helm lets the name of a release be, in characters.
pub(crate) const MAX_RELEASE: usize = 53;

/// What an add-on is: `templates/addons/<addon>/addon.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Fleetwright add-on", extend("dependentRequired" = need_a_chart()))]
pub struct AddonFile {
    /// The Helm chart; left out, the add-on consists of its manifests.
    pub chart: Option<ChartId>,
    /// Other versions of the chart: on a cluster runs the first that is for it, unless the inventory chooses one.
    #[serde(default)]
    pub versions: Vec<ChartVersion>,
    /// The Helm release; the add-on's name if left out.
    #[schemars(
        length(max = 53),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        extend("x-hint" = "use at most 53 lower-case letters, digits and hyphens, with a letter or digit at both ends")
    )]
    pub release: Option<String>,
    /// The namespace that it is installed into.
    #[schemars(
        length(max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        extend("x-hint" = NameError::HINT)
    )]
    pub namespace: String,
    /// The order of sync: smaller waves first.
    #[serde(default)]
    pub wave: i32,
    /// Where it runs; everywhere if left out.
    #[serde(default)]
    pub clusters: Placement,
    /// Whether it runs where nothing is said about it.
    #[serde(default = "enabled")]
    pub enabled_by_default: bool,
    /// Whether Argo CD applies it on the server: needed for definitions over 262,144 bytes.
    #[serde(default)]
    pub server_side_apply: bool,
    /// What is published of its chart, whatever a cluster says of all its charts.
    pub publish: Option<Publish>,
    /// Places of the values that the chart hands on as they are, though it names some of their keys: any key may stand there.
    #[serde(default)]
    pub free_form: BTreeSet<String>,
    /// Names that its values and objects use of what nothing in this repository provides.
    #[serde(default)]
    pub outside: Outside,
    /// What its chart makes in its cluster.
    #[serde(default)]
    pub provides: Provides,
    /// What it receives, by the name of the signal: `metrics`, `logs`, or any other that something sends.
    #[serde(default)]
    pub receives: BySignal<Receives>,
    /// What it sends, by the name of the signal.
    #[serde(default)]
    pub sends: BySignal<Sends>,
    /// What reads its values as a part of the mesh, if it is one.
    pub mesh: Option<String>,
    /// Where it answers queries, by the name of the signal that they are about.
    #[serde(default)]
    pub answers: BySignal<Answers>,
    /// What `fleetwright verify` asks of the clusters that it runs on.
    #[serde(default)]
    pub verify: Vec<LiveCheck>,
    /// Answers to checks that guess: what they find there is meant.
    #[serde(default)]
    pub accept: Vec<Accept>,
    /// What a cluster may set, each a JSON Schema with a default.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Map<String, Json>>")]
    pub settings: BTreeMap<String, Json>,
}

/// The keys that describe a chart, each with what it needs.
fn need_a_chart() -> BTreeMap<&'static str, [&'static str; 1]> {
    ["release", "versions", "publish", "freeForm", "sends", "mesh"].map(|name| (name, ["chart"])).into()
}

const fn enabled() -> bool {
    true
}

/// Another version of the chart, and where it runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChartVersion {
    /// The exact version; no range.
    #[schemars(regex(pattern = VERSION), extend("x-hint" = VERSION_HINT))]
    pub version: String,
    /// Where it runs.
    pub clusters: Placement,
}

/// What comes from elsewhere: by hand, from a cloud, with a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Outside {
    /// Secrets by name.
    pub secrets: BTreeSet<String>,
    /// Services, as `<namespace>/<name>`.
    pub services: BTreeSet<String>,
    /// Storage classes by name.
    pub storage_classes: BTreeSet<String>,
}

/// The checks that guess, from the names of keys, from what a chart's defaults look like or from what an add-on says of its chart, and
/// whose findings may be meant. The others know: what they find is refused by the cluster, or can't be taken back once it is in git.
pub const ACCEPTABLE: [&str; 22] = [
    "cluster-labels",
    "deployed",
    "exposure",
    "final-addresses",
    "final-config-maps",
    "final-images",
    "final-interfaces",
    "final-objects",
    "final-secrets",
    "final-services",
    "final-storage-classes",
    "flows",
    "images",
    "keys",
    "logs",
    "mesh",
    "metrics",
    "repeatable",
    "secret-names",
    "service-names",
    "storage-classes",
    "traces",
];

/// The checks that guess from the values of a chart what final objects tell, where these are judged: `final-images` for `images`.
pub(crate) const GUESSES_ON_VALUES: [&str; 4] =
    ["images", "secret-names", "service-names", "storage-classes"];

/// The checks of final objects. They judge where those are made, which is after rendering.
pub const FINAL_CHECKS: [&str; 11] = [
    "final-addresses",
    "final-config-maps",
    "final-images",
    "final-interfaces",
    "final-objects",
    "final-secrets",
    "final-services",
    "final-storage-classes",
    "manifests",
    "publish",
    "repeatable",
];

/// An answer to a check that guesses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Accept {
    /// The check: one that guesses.
    #[schemars(extend("examples" = ACCEPTABLE))]
    pub check: String,
    /// The place: `resources.limits` in the values, or `manifests/<file>.yaml spec.replicas` in an object; what stands below it, too.
    /// `.` is the whole file. For `repeatable` and the checks whose names begin with `final`, which judge final objects: `Secret/<name> data.password`,
    /// and `.` for all objects.
    #[schemars(length(min = 1))]
    pub path: String,
    /// Why it is meant.
    #[schemars(regex(pattern = r"\S"), extend("x-hint" = "say why it is meant"))]
    pub reason: String,
}

impl Accept {
    /// Returns whether this answers what a check finds at a path of a file, named below the add-on's rendered folder.
    fn answers(&self, check: &str, file: &str, path: &[Step]) -> bool {
        let (of_file, place) = match self.path.split_once(' ') {
            Some((name, place)) if name.strip_suffix(".yaml").is_some() => (name, place.trim_start()),
            _ => (VALUES_FILE, self.path.as_str()),
        };
        let place = if place == "." { "" } else { place };
        self.check == check && of_file == file && is_at_or_below(path, place)
    }
}

/// An add-on with its templates.
#[derive(Debug)]
pub struct Addon {
    /// The name: its folder's.
    pub name: AddonName,
    /// What `addon.yaml` says.
    pub facts: AddonFile,
    /// The same with its places.
    pub origin: Fact,
    /// The template of the chart's values, if there is one.
    pub values: Option<RepoPath>,
    /// The templates of objects that the chart does not write.
    pub manifests: BTreeSet<RepoPath>,
    /// What the chart takes as values, at each version that is locked.
    pub locked: BTreeMap<ChartId, Arc<LockedChart>>,
    /// The identity of `addon.yaml`.
    pub id: SourceId,
    settings: Schema,
}

/// Returns the JSON Schema of `addon.yaml`.
#[must_use]
pub fn addon_schema() -> Json {
    inventory::schema_of::<AddonFile>()
}

static ADDON_SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::own(&addon_schema()));

pub(super) fn read(name: &AddonName, path: &RepoPath, source: &Source) -> Result<Addon, Vec<Problem>> {
    let file = Arc::new(path.clone());
    let origin = inventory::parse_file(&file, source)?;
    let facts: AddonFile = inventory::decode(&ADDON_SCHEMA, &origin)?;
    let settings = settings_schema(&facts, &origin).map_err(|problem| vec![*problem])?.in_file(path);
    let addon = Addon {
        name: name.clone(),
        facts,
        origin,
        values: None,
        manifests: BTreeSet::new(),
        locked: BTreeMap::new(),
        id: source.id,
        settings,
    };
    let mut problems = addon.default_problems();
    problems.extend(addon.release_problem());
    problems.extend(addon.answer_problems());
    if problems.is_empty() { Ok(addon) } else { Err(problems) }
}

fn settings_schema(facts: &AddonFile, origin: &Fact) -> Result<Schema, Box<Problem>> {
    let source = json!({ "type": "object", "properties": facts.settings, "additionalProperties": false });
    Schema::compile(&source).map_err(|error| {
        let steps: Vec<Step> = error.pointer.split('/').skip(2).map(key).collect();
        let place = origin.place(&[&[key("settings")], steps.as_slice()].concat());
        let written = source.pointer(&error.pointer);
        Box::new(match (steps.last(), written.and_then(Json::as_str)) {
            (Some(Step::Key(keyword)), Some(written)) if keyword == "type" => unknown_type(place, written),
            _ => Problem::at(place, format!("not a JSON Schema: {}", error.reason))
                .hint("write for example `{type: string, default: 15d}`"),
        })
    })
}

fn unknown_type(place: Place, written: &str) -> Problem {
    const TYPES: [&str; 6] = ["string", "integer", "number", "boolean", "array", "object"];
    let hint = hint_at_near(written, TYPES, || format!("known types: {}", quoted(TYPES)));
    Problem::at(place, format!("`{written}` is not a type")).hint(hint)
}

impl Addon {
    /// Returns the Helm release.
    pub(crate) fn release(&self) -> &str {
        self.facts.release.as_deref().unwrap_or(self.name.as_str())
    }

    /// Returns the name that its Services begin with: its chart's, or its own.
    pub(crate) fn chart_name(&self) -> &str {
        self.facts.chart.as_ref().map_or(self.name.as_str(), |chart| &chart.name)
    }

    /// Returns what its files are called below its rendered folder, each with its template.
    pub(crate) fn files(&self) -> impl Iterator<Item = (String, Option<&RepoPath>)> {
        let values = self.facts.chart.is_some().then(|| (VALUES_FILE.to_owned(), self.values.as_ref()));
        let manifests = self.manifests.iter().map(|template| {
            let name = template.file_name().strip_suffix(".hbs").unwrap_or(template.file_name());
            (format!("manifests/{name}"), Some(template))
        });
        values.into_iter().chain(manifests)
    }

    /// Returns the problem of an add-on that has nothing to run, or values that no chart takes.
    pub(super) fn content_problem(&self) -> Option<Problem> {
        let (file, message, hint) = match (&self.facts.chart, &self.values) {
            (None, Some(values)) => {
                let message = format!("add-on `{}` has values and no chart that takes them", self.name);
                (values.clone(), message, "name the `chart` in `addon.yaml`, or remove the file")
            }
            (None, None) if self.manifests.is_empty() => {
                let message = format!("add-on `{}` has neither a chart nor manifests", self.name);
                let hint = "name the `chart`, or write objects into `manifests/<name>.yaml.hbs`";
                (self.origin.place(&[]).file, message, hint)
            }
            (Some(_), _) | (None, None) => return None,
        };
        Some(Problem::in_whole_file(&file, message).found_by("files").hint(hint))
    }

    /// Returns whether the add-on runs on a cluster.
    pub(crate) fn is_on(&self, cluster: &Cluster) -> bool {
        let choice = cluster.facts.addons.get(self.name.as_str()).and_then(|choice| choice.enabled);
        choice.unwrap_or_else(|| self.facts.enabled_by_default && self.facts.clusters.admits(cluster))
    }

    /// Returns the chart at the version on a cluster: the one that the inventory chooses, else the first of the add-on's
    /// own that is for the cluster.
    #[must_use]
    pub fn chart_on(&self, cluster: &Cluster) -> Option<ChartId> {
        let own = self.facts.chart.as_ref()?;
        let chosen = cluster.facts.addons.get(self.name.as_str()).and_then(|choice| choice.version.as_ref());
        let fitting = || self.version_for(cluster).map(|index| &self.facts.versions[index].version);
        let version = chosen.or_else(fitting).unwrap_or(&own.version).clone();
        Some(ChartId { version, ..own.clone() })
    }

    /// Returns where the version of the chart on a cluster is written.
    pub(crate) fn version_place(&self, cluster: &Cluster) -> Place {
        let chosen = [key("addons"), key(self.name.as_str()), key("version")];
        if let Some(fact) = cluster.origin.at(&chosen) {
            return fact.own_place();
        }
        let other = |index| self.origin.place(&[key("versions"), Step::Index(index), key("version")]);
        let own = || self.origin.place(&[key("chart"), key("version")]);
        self.version_for(cluster).map_or_else(own, other)
    }

    /// Returns what is published of its chart on a cluster: what the cluster says of this add-on, else what the add-on says,
    /// else what the cluster says of all its charts.
    #[must_use]
    pub fn publish_on(&self, cluster: &Cluster) -> Publish {
        let chosen = cluster.facts.addons.get(self.name.as_str()).and_then(|choice| choice.publish);
        let said = chosen.or(self.facts.publish).or(cluster.facts.publish);
        said.filter(|_| self.facts.chart.is_some()).unwrap_or_default()
    }

    /// Returns where it is written what is published of its chart on a cluster.
    #[must_use]
    pub fn publish_place(&self, cluster: &Cluster) -> Place {
        let publish = || key("publish");
        let chosen = cluster.origin.at(&[key("addons"), key(self.name.as_str()), publish()]);
        let said =
            chosen.or_else(|| self.origin.at(&[publish()])).or_else(|| cluster.origin.at(&[publish()]));
        said.map_or_else(|| self.version_place(cluster), Fact::own_place)
    }

    fn version_for(&self, cluster: &Cluster) -> Option<usize> {
        self.facts.versions.iter().position(|it| it.clusters.admits(cluster))
    }

    /// Returns the settings for a cluster, defaults included, or every problem in what the cluster set.
    pub fn settings(&self, cluster: &Cluster) -> Result<Json, Vec<Problem>> {
        let mut settings = self.defaults();
        let at = [key("addons"), key(self.name.as_str()), key("settings")];
        for (name, chosen) in cluster.origin.at(&at).into_iter().flat_map(Tree::children) {
            if let Step::Key(name) = name {
                let setting = self.setting(name, Some(chosen)).map(|setting| setting.to_json());
                settings.extend(setting.map(|setting| (name.to_owned(), setting)));
            }
        }
        let settings = Json::Object(settings);
        let violations = self.settings.violations(&settings).into_iter().map(|mut violation| {
            violation.path.splice(0..0, at.clone());
            inventory::violation_problem(violation, &cluster.origin)
        });
        let problems: Vec<_> = violations.collect();
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// Returns which of its answers is to what a check finds in one of its rendered files, if one is. The path is that in the document,
    /// and begins with the number of a document that is not the first.
    pub(crate) fn answer(&self, check: &str, file: &RepoPath, path: &[Step]) -> Option<usize> {
        let file = file.components().skip(3).collect::<Vec<_>>().join("/");
        self.facts.accept.iter().position(|accept| accept.answers(check, &file, path))
    }

    /// Returns whether one of its answers is to what a check finds in a final object, named as `<Kind>/<name>`.
    pub(crate) fn answers_object(&self, check: &str, object: &str, path: &[Step]) -> bool {
        self.facts.accept.iter().filter(|accept| accept.check == check).any(|accept| {
            let (of, place) = accept.path.split_once(' ').unwrap_or((&accept.path, "."));
            let place = place.trim_start();
            accept.path == "." || of == object && is_at_or_below(path, if place == "." { "" } else { place })
        })
    }

    /// Returns where a part of a setting was written: by the cluster, or in the default.
    pub(crate) fn setting_place(&self, cluster: &Cluster, path: &[Step]) -> Place {
        let Some((Step::Key(name), rest)) = path.split_first() else {
            return self.origin.place(&[&[key("settings")], path].concat());
        };
        let chosen = cluster.origin.at(&[key("addons"), key(self.name.as_str()), key("settings"), key(name)]);
        match self.setting(name, chosen) {
            Some(setting) => setting.place(rest),
            None => self.origin.place(&[key("settings"), key(name)]),
        }
    }

    /// Returns a setting with its places: what a cluster chose, laid over the default.
    fn setting(&self, name: &str, chosen: Option<&Fact>) -> Option<Cow<'_, Fact>> {
        let default = self.origin.at(&[key("settings"), key(name), key("default")]);
        match (default, chosen) {
            (Some(default), Some(chosen)) => Some(Cow::Owned(default.clone().merged(chosen.clone()))),
            (None, Some(chosen)) => Some(Cow::Owned(chosen.clone())),
            (default, None) => default.map(Cow::Borrowed),
        }
    }

    fn answer_problems(&self) -> impl Iterator<Item = Problem> {
        let answers = self.facts.accept.iter().enumerate();
        let other = answers.filter(|(_, accept)| !ACCEPTABLE.contains(&accept.check.as_str()));
        other.map(|(index, accept)| {
            let place = self.origin.place(&[key("accept"), Step::Index(index), key("check")]);
            let message = format!("what `{}` finds cannot be accepted", accept.check);
            let hint = format!(
                "these checks guess and can be answered: {}; what others find is changed",
                quoted(ACCEPTABLE)
            );
            Problem::at(place, message).found_by("accept").hint(hint)
        })
    }

    /// A folder's name may be longer than that of a release.
    fn release_problem(&self) -> Option<Problem> {
        let length = self.release().len();
        let message = format!(
            "the name of a release has at most {MAX_RELEASE} characters, and `{}` has {length}",
            self.release()
        );
        let problem = Problem::in_whole_file(&self.origin.place(&[]).file, message).found_by("lengths");
        (length > MAX_RELEASE)
            .then(|| problem.hint("give it a shorter name by `release:`, or rename the folder"))
    }

    fn defaults(&self) -> serde_json::Map<String, Json> {
        let default = |(name, schema): (&String, &Json)| Some((name.clone(), schema.get("default")?.clone()));
        self.facts.settings.iter().filter_map(default).collect()
    }

    fn default_problems(&self) -> Vec<Problem> {
        let settings = self.facts.settings.iter();
        let open = settings.filter(|(_, schema)| schema.get("default").is_none()).map(|(name, _)| {
            let place = self.origin.key_place(&[key("settings"), key(name)]);
            Problem::at(place, format!("setting `{name}` has no default")).hint("add `default:`")
        });
        let mut problems: Vec<_> = open.collect();
        let violations = self.settings.violations(&Json::Object(self.defaults()));
        problems.extend(violations.into_iter().map(|violation| {
            let mut path = vec![key("settings")];
            path.extend(violation.path.iter().take(1).cloned());
            path.push(key("default"));
            Problem { hint: violation.hint, ..Problem::at(self.origin.place(&path), violation.message) }
        }));
        problems
    }
}
