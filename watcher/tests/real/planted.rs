//! What is planted into a chart is shown: values that it uses, and lines of its templates, one after the other.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use fleetwright::helm::{Bound, Making, Side};
use renderer::beside::Standing;
use renderer::charts::ChartId;
use renderer::deployed::{judged, judged_together};
use renderer::effects::Effects;
use renderer::path::{AddonName, ClusterName, RepoPath};
use renderer::plan::Facts;
use renderer::problem::Problem;
use renderer::render::{Rendered, RenderedFile, Renderer};
use renderer::snapshot::{Snapshot, Source, SourceId};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use testkit::real::{Helm, StandIn, Templated};

use crate::effect::{another, read_leaves};
use crate::helm::{REAL_CHARTS, chart_with};
use crate::platform::shipped_snapshot;
use crate::world::accepting_a_stand_in;

/// How many values of an add-on on a cluster are changed, and how many templates of a chart.
const VALUES: usize = 2;
const TEMPLATES: usize = 8;
/// What is planted into templates.
const PLANTED: &str = "planted-here";

/// The shipped platform with charts, and what becomes of it.
struct Platform {
    helm: Helm,
    making: Making,
    renderer: Renderer,
    snapshot: Snapshot,
    base: Rendered,
    /// The charts, in folders of their names and versions.
    charts: TempDir,
    /// Those of them that are planted into.
    planted: BTreeSet<ChartId>,
    edits: u8,
    _cache: TempDir,
}

/// An add-on on a cluster, with its chart.
type Placed = (ClusterName, AddonName, ChartId);

impl Platform {
    /// Brings each chart into a folder by `bring`, which returns whether it is planted into.
    fn new(bring: impl Fn(&ChartId, &Path) -> bool) -> Self {
        let (mut renderer, mut snapshot) = (Renderer::new(), Snapshot::default());
        // The lock knows the real charts.
        for (path, source) in
            shipped_snapshot().iter().filter(|(path, _)| path.as_str() != "templates/charts.lock")
        {
            snapshot.insert(path.clone(), source.clone());
        }
        let base = renderer.render(&snapshot, &()).unwrap();
        let (charts, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let all: BTreeSet<ChartId> = placed(&base).into_iter().map(|(_, _, chart)| chart).collect();
        let planted =
            all.into_iter().filter(|chart| bring(chart, &folder_of(charts.path(), chart))).collect();
        not_described(&base, charts.path(), &mut snapshot);
        let base = renderer.render(&snapshot, &()).unwrap();
        let (helm, making) = opened(charts.path(), cache.path());
        Self { helm, making, renderer, snapshot, base, charts, planted, edits: 1, _cache: cache }
    }

    /// Renders the platform with another text in a file; nothing if the checks refuse it.
    fn with(&mut self, path: &str, text: String) -> Option<Rendered> {
        self.edits = self.edits.checked_add(1).unwrap_or(2);
        let mut snapshot = self.snapshot.clone();
        let source = Source { id: SourceId([self.edits; 20]), bytes: text.into_bytes().into() };
        snapshot.insert(RepoPath::parse(path).unwrap(), source);
        self.renderer.render(&snapshot, &()).ok()
    }

    fn text(&self, path: &str) -> String {
        String::from_utf8(self.snapshot.get(path).unwrap().bytes.to_vec()).unwrap()
    }

    /// Renders the platform with another value of an add-on on a cluster.
    fn with_value(&mut self, (cluster, addon, _): &Placed, place: &str, value: Value) -> Option<Rendered> {
        let path = format!("environments/{cluster}.yaml");
        let mut facts: Value = serde_yaml::from_str(&self.text(&path)).unwrap();
        let mut at = &mut facts;
        for key in ["addons", addon.as_str(), "values"].into_iter().chain(place.split('/').skip(1)) {
            let map = at.as_object_mut()?;
            at = map.entry(key.replace("~1", "/")).or_insert_with(|| Map::new().into());
        }
        *at = value;
        self.with(&path, facts.to_string())
    }

    /// Returns what Helm makes of the values of an add-on on a cluster with a chart.
    fn made(&self, rendered: &Rendered, (cluster, addon, _): &Placed, chart: &Path) -> Option<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, values_of(rendered, cluster, addon)).unwrap();
        match self.helm.template(chart, file.path()).unwrap() {
            Templated::Rendered(text) => Some(text),
            Templated::Refused(_) => None,
        }
    }

    fn effects(&self, making: &Making, head: &Rendered) -> Effects {
        let facts = Facts::between(&self.base.inventory, &head.inventory);
        let (mut base, mut head) = (self.base.clone(), head.clone());
        let sides = [&side(&mut base), &side(&mut head)];
        let found = making.effects(sides, &facts, Bound::NONE, &(), &|_| {});
        assert!(found.absent.is_empty(), "{:?}", found.absent);
        assert_eq!([found.problems, found.judged].concat(), []);
        found.effects
    }

    /// Returns what the checks of final objects find.
    fn problems(&self) -> Vec<String> {
        let parts = self.making.parts(&side(&mut self.base.clone()), &|_| true, Bound::NONE, &()).unwrap();
        let objects: Vec<_> = parts.iter().map(|parts| parts.objects(&self.base)).collect();
        let (mut made, mut problems) = (Vec::new(), Vec::new());
        for (parts, objects) in parts.iter().zip(&objects) {
            match objects {
                Ok(objects) => made.push(parts.made(objects)),
                Err(more) => problems.extend(more.clone()),
            }
        }
        problems.extend(judged(&self.base, &made));
        problems.extend(judged_together(&self.base, &made, &|| true));
        let shown = |it: Problem| format!("{}: {}: {} ({:?})", it.place, it.check, it.message, it.accept);
        problems.into_iter().map(shown).collect()
    }

    /// Plants values into each add-on, and returns those add-ons that no value of was used by the chart.
    fn plant_values(&mut self) -> Vec<String> {
        let mut without = Vec::new();
        for it in placed(&self.base) {
            let folder = folder_of(self.charts.path(), &it.2);
            if !self.planted.contains(&it.2) {
                continue;
            }
            let values: Value = serde_yaml::from_str(&values_of(&self.base, &it.0, &it.1)).unwrap();
            let mut places = Vec::new();
            read_leaves(&values, String::new(), &mut places);
            let mut planted = 0;
            let before = self.made(&self.base, &it, &folder);
            for place in places.iter().filter(|place| !place.is_empty()) {
                if planted == VALUES {
                    break;
                }
                let value = another(values.pointer(place).unwrap());
                let Some(head) = self.with_value(&it, place, value) else { continue };
                let after = self.made(&head, &it, &folder);
                if after.is_none() || after == before {
                    continue;
                }
                planted += 1;
                let effects = self.effects(&self.making, &head);
                let noise = effects.noise.labels + effects.noise.annotations + effects.noise.orders;
                assert!(!effects.is_empty() || noise > 0, "{} {} {place} is not shown", it.0, it.1);
            }
            if planted == 0 {
                without.push(format!("{} on {}", it.1, it.0));
            }
        }
        without
    }

    /// Plants a word into templates of each chart, and returns how many of them were rendered with it.
    fn plant_templates(&mut self) -> usize {
        let (mut planted, mut seen) = (0, BTreeSet::new());
        for it in placed(&self.base) {
            let folder = folder_of(self.charts.path(), &it.2);
            if !self.planted.contains(&it.2) || !seen.insert(it.2.clone()) {
                continue;
            }
            let next = ChartId { version: format!("{}-planted", it.2.version), ..it.2.clone() };
            let path = format!("templates/addons/{}/addon.yaml", it.1);
            let text = self.text(&path).replacen(
                &format!("  version: {}", it.2.version),
                &format!("  version: {}", next.version),
                1,
            );
            let Some(head) = self.with(&path, text) else { panic!("{} takes no other version", it.1) };
            for file in templates_of(&folder) {
                let own = tempfile::tempdir().unwrap();
                let copy = folder_of(own.path(), &next);
                copied(self.charts.path(), own.path());
                copied(&folder, &copy);
                versioned(&copy, &next.version);
                let template = copy.join(&file);
                let Some(text) = with_planted(&fs::read_to_string(&template).unwrap()) else { continue };
                fs::write(&template, text).unwrap();
                let made = self.made(&head, &it, &copy);
                if !made.is_some_and(|text| is_in_plain_sight(&text)) {
                    continue;
                }
                planted += 1;
                let (_, making) = opened(own.path(), &own.path().join("cache"));
                let shown = json!(self.effects(&making, &head)).to_string();
                assert!(shown.contains(PLANTED), "{} of {} is not shown: {shown}", file.display(), it.2.name);
            }
        }
        planted
    }
}

/// Returns a side that reads nothing beside what is rendered.
fn side(rendered: &mut Rendered) -> Side<'_> {
    Side::read(rendered, |_, _| Ok::<_, Infallible>(Standing::Nothing)).unwrap()
}

fn opened(charts: &Path, cache: &Path) -> (Helm, Making) {
    let helm = Helm::find().unwrap();
    let making = Making::below(cache, Some(&helm.folder().join("helm")), Some(charts)).unwrap();
    (helm, making)
}

fn placed(rendered: &Rendered) -> Vec<Placed> {
    let clusters = rendered.clusters.keys();
    let all = clusters.flat_map(|cluster| {
        rendered.clusters[cluster].addons().filter_map(move |addon| {
            let chart = rendered.catalog.addons[addon].chart_on(&rendered.inventory.clusters[cluster])?;
            Some((cluster.clone(), addon.clone(), chart))
        })
    });
    all.collect()
}

fn values_of(rendered: &Rendered, cluster: &ClusterName, addon: &AddonName) -> String {
    let mut files = rendered.clusters[cluster].files().into_iter();
    let is_it =
        |file: &&RenderedFile| file.addon.as_ref() == Some(addon) && file.path.file_name() == "values.yaml";
    files.find(is_it).map(|file| String::from_utf8(file.bytes.to_vec()).unwrap()).unwrap_or_default()
}

fn folder_of(charts: &Path, chart: &ChartId) -> PathBuf {
    charts.join(format!("{}-{}", chart.name, chart.version))
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { copied(&path, &to) } else { fs::copy(&path, &to).map(|_| ()).unwrap() }
    }
}

fn versioned(chart: &Path, version: &str) {
    let path = chart.join("Chart.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let mut metadata: Value = serde_yaml::from_str(&text).unwrap();
    metadata["version"] = version.into();
    fs::write(path, metadata.to_string()).unwrap();
}

/// Returns some templates of a chart, spread over all of them.
fn templates_of(chart: &Path) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![chart.join("templates")], BTreeSet::new());
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
                found.insert(path.strip_prefix(chart).unwrap().to_owned());
            }
        }
    }
    let step = found.len().div_ceil(TEMPLATES).max(1);
    found.into_iter().step_by(step).collect()
}

/// Puts a word in the place of the first plain one in the text of a template.
fn with_planted(text: &str) -> Option<String> {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !["true", "false", "null"].contains(&word)
    };
    let is_plain = |line: &&str| {
        line.starts_with(' ')
            && line.trim_start().trim_start_matches("- ").split_once(": ").is_some_and(|(key, value)| {
                is_word(key) && is_word(value) && !["kind", "apiVersion", "namespace"].contains(&key)
            })
    };
    let line = text.lines().find(is_plain)?;
    let (before, _) = line.rsplit_once(": ")?;
    Some(text.replacen(line, &format!("{before}: {PLANTED}"), 1))
}

/// Returns whether the word stands in an object that is no Secret, whose data is masked.
fn is_in_plain_sight(objects: &str) -> bool {
    objects.split("\n---").any(|object| object.contains(PLANTED) && !object.contains("kind: Secret\n"))
}

/// What add-ons say of their charts is not true of stand-ins.
fn not_described(base: &Rendered, charts: &Path, snapshot: &mut Snapshot) {
    for (_, addon, chart) in placed(base) {
        let values = fs::read_to_string(folder_of(charts, &chart).join("values.yaml")).unwrap();
        let path = RepoPath::parse(&format!("templates/addons/{addon}/addon.yaml")).unwrap();
        let source = snapshot.get(path.as_str()).unwrap();
        let text = String::from_utf8(source.bytes.to_vec()).unwrap();
        if values.contains("standIn") && !text.contains("its chart is a stand-in") {
            let bytes = accepting_a_stand_in(&text).into_bytes().into();
            let source = Source { id: SourceId([0xff; 20]), bytes };
            snapshot.insert(path, source);
        }
    }
}

fn stand_in(chart: &ChartId, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    if fs::read_dir(folder).unwrap().next().is_none() {
        StandIn::named(&chart.name, &chart.version).write(folder).unwrap();
    }
}

/// The real charts that are here, at the versions of the platform, and stand-ins of the others.
fn real_charts() -> Option<Platform> {
    let real = env::var_os(REAL_CHARTS).map(PathBuf::from)?;
    Some(Platform::new(|chart, folder| {
        let found = chart_with("templates", &real, &chart.name);
        if let Some(found) = &found {
            copied(found, folder);
            versioned(folder, &chart.version);
        } else {
            stand_in(chart, folder);
        }
        found.is_some()
    }))
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn the_shipped_platform_passes_the_checks_of_final_objects() {
    let platform = real_charts().unwrap_or_else(|| {
        Platform::new(|chart, folder| {
            stand_in(chart, folder);
            true
        })
    });
    let problems = platform.problems();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn a_value_or_a_template_that_changes_in_a_stand_in_is_shown() {
    let mut platform = Platform::new(|chart, folder| {
        stand_in(chart, folder);
        true
    });
    let without = platform.plant_values();
    assert_eq!(without, [""; 0], "no value of these is used");
    assert_eq!(platform.plant_templates(), platform.planted.len(), "each chart has one template");
}

#[test]
#[ignore = "needs real charts, and some ten minutes"]
fn a_value_or_a_template_that_changes_in_a_real_chart_is_shown() {
    let Some(mut platform) = real_charts() else {
        println!("left out: `{REAL_CHARTS}` names no folder with real charts");
        return;
    };
    let without = platform.plant_values();
    println!("no value is used of {without:?}; {} templates were planted into", platform.plant_templates());
}
