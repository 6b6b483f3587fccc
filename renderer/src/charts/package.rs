//! A chart's own files, and the shape that they give together: defaults, schema and subcharts.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use thiserror::Error;

use super::defaults::shape_of_values;
use super::lock::LockedChart;
use super::schema::refine;
use super::shape::{Others, Shape, Types};
use crate::problem::Fault;
use crate::yaml::{self, Node};

/// The only file that is JSON.
const SCHEMA: &str = "values.schema.json";

/// How many subcharts may stand in each other.
const MAX_DEPTH: usize = 8;

/// How many values a chart and its subcharts may take: thirty times those of the largest known one.
const MAX_KEYS: usize = 200_000;

/// The files of a chart that define which values it takes, by their path in the chart's folder.
#[derive(Clone, Debug, Default)]
pub struct Package {
    files: BTreeMap<String, Vec<u8>>,
}

/// The metadata of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// The version of what it installs.
    pub app_version: Option<String>,
}

/// A file of a chart that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{file}` of the chart {reason}")]
pub struct PackageError {
    /// The file, by its path in the chart's folder.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Package {
    /// Returns whether a file of a chart's folder defines values.
    #[must_use]
    pub fn wants(path: &str) -> bool {
        let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
        let mut parts = folder.split('/').filter(|part| !part.is_empty());
        let is_in_subchart = iter::from_fn(|| Some((parts.next()?, parts.next())))
            .all(|(charts, name)| charts == "charts" && name.is_some());
        is_in_subchart
            && ["Chart.yaml", "requirements.yaml", "values.yaml", "values.schema.json"].contains(&name)
    }

    /// Adds a file; one that [`Self::wants`] not is left out.
    pub fn add(&mut self, path: &str, bytes: Vec<u8>) {
        if Self::wants(path) {
            self.files.insert(path.to_owned(), bytes);
        }
    }

    /// Returns the chart's metadata.
    pub fn metadata(&self) -> Result<Metadata, PackageError> {
        Ok(Chart::read(self, "")?.metadata)
    }

    /// Works out which values the chart takes.
    pub fn locked(&self, digest: Option<String>) -> Result<LockedChart, PackageError> {
        let chart = Chart::read(self, "")?;
        let values = self.shape("", &chart, 0, &mut MAX_KEYS.clone())?;
        Ok(LockedChart { app_version: chart.metadata.app_version, digest, values })
    }

    /// Returns what is odd about the chart's files and does no harm: keys that are there twice, of which the
    /// last counts.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let yaml = self.files.iter().filter(|(path, _)| !path.ends_with(SCHEMA));
        let repeated = yaml.flat_map(|(path, bytes)| {
            let parsed = yaml::decode(bytes).ok().and_then(|text| yaml::parse_foreign(text).ok());
            let faults = parsed.map(|(_, repeated)| repeated).unwrap_or_default();
            faults.into_iter().map(move |fault| (path, fault))
        });
        let note = |(path, fault): (&String, Fault)| {
            format!("`{path}` of the chart at {}: {}; the last one counts", fault.position, fault.message)
        };
        repeated.map(note).collect()
    }

    /// Works out the values below a folder, as long as there is room for so many keys: a subchart may be
    /// there under many names, and hold others.
    fn shape(
        &self,
        folder: &str,
        chart: &Chart,
        depth: usize,
        room: &mut usize,
    ) -> Result<Shape, PackageError> {
        let mut shape = self.own_shape(folder)?;
        *room = room.checked_sub(shape.count()).ok_or_else(|| too_many(folder))?;
        for dependency in self.dependencies(folder, chart) {
            let below = format!("{folder}charts/{}/", dependency.name);
            let is_here = depth < MAX_DEPTH && self.files.contains_key(&format!("{below}Chart.yaml"));
            let subchart = if is_here {
                Some(self.shape(&below, &Chart::read(self, &below)?, depth + 1, room)?)
            } else {
                None
            };
            let is_known = subchart.is_some();
            add_subchart(&mut shape, &dependency, subchart);
            for import in &dependency.imports {
                let path = import.child.iter().map(String::as_str);
                let found = shape.at(iter::once(dependency.alias.as_str()).chain(path)).filter(|_| is_known);
                *room = room.checked_sub(found.map_or(0, Shape::count)).ok_or_else(|| too_many(folder))?;
                let imported = is_known.then(|| found.map(|table| table.entries.clone()).unwrap_or_default());
                add_import(&mut shape, import, imported);
            }
        }
        Ok(shape)
    }

    /// Returns the shape of the chart's own files, subcharts left out.
    fn own_shape(&self, folder: &str) -> Result<Shape, PackageError> {
        let values = self.document(folder, "values.yaml")?;
        let text = self.files.get(&format!("{folder}values.yaml")).map_or(&[][..], Vec::as_slice);
        let text = String::from_utf8_lossy(text);
        let wrapper = values.as_ref().and_then(wrapper);
        let mut shape = match wrapper.map(|(_, defaults)| defaults).or(values.as_ref()) {
            Some(defaults) => shape_of_values(defaults, &text),
            None => Shape::map(BTreeMap::new()),
        };
        let path = format!("{folder}values.schema.json");
        if let Some(bytes) = self.files.get(&path) {
            let refused = |reason: String| PackageError { file: path.clone(), reason };
            let schema = serde_json::from_slice(bytes);
            let schema = schema.map_err(|error| refused(format!("is not JSON: {error}")))?;
            shape = refine(shape, &schema).map_err(refused)?;
        }
        if let Some((name, _)) = wrapper {
            shape.entries.remove(name);
        }
        Ok(shape)
    }

    /// Returns the declared subcharts, and those that are only there: Helm loads both.
    fn dependencies(&self, folder: &str, chart: &Chart) -> Vec<Dependency> {
        let mut found = chart.dependencies.clone();
        let declared: BTreeSet<_> = found.iter().map(|dependency| dependency.name.clone()).collect();
        let prefix = format!("{folder}charts/");
        let below = self.files.keys().filter_map(|path| path.strip_prefix(&prefix)?.split('/').next());
        let below: BTreeSet<_> = below.filter(|name| !declared.contains(*name)).collect();
        found.extend(below.into_iter().map(Dependency::named));
        found
    }

    fn document(&self, folder: &str, name: &str) -> Result<Option<Node>, PackageError> {
        let file = format!("{folder}{name}");
        let Some(bytes) = self.files.get(&file) else { return Ok(None) };
        let parsed = yaml::decode(bytes).map_err(|fault| vec![fault]).and_then(yaml::parse_foreign);
        match parsed {
            Ok((documents, _)) => Ok(documents.into_iter().next()),
            Err(faults) => Err(PackageError { reason: first(&faults), file }),
        }
    }
}

fn too_many(folder: &str) -> PackageError {
    let reason = format!("and its subcharts take more than {MAX_KEYS} values");
    PackageError { file: format!("{folder}Chart.yaml"), reason }
}

fn first(faults: &[Fault]) -> String {
    faults
        .first()
        .map_or_else(String::new, |fault| format!("is not YAML at {}: {}", fault.position, fault.message))
}

/// Returns what a chart keeps its defaults in, if it takes the same keys at the top: the only key, which
/// begins with `_`.
fn wrapper(values: &Node) -> Option<(&str, &Node)> {
    let [(name, defaults)] = values.as_map()? else { return None };
    let name = name.as_scalar()?.text.as_str();
    (name.starts_with('_') && defaults.as_map().is_some()).then_some((name, defaults))
}

/// The content of `Chart.yaml`.
struct Chart {
    metadata: Metadata,
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, Default)]
struct Dependency {
    name: String,
    /// The key of its values in those of the chart.
    alias: String,
    /// Values of the chart that switch it on or off.
    conditions: Vec<String>,
    has_tags: bool,
    imports: Vec<Import>,
}

/// Values of a subchart that the chart takes as its own.
#[derive(Clone, Debug)]
struct Import {
    /// Where they stand among those of the subchart.
    child: Vec<String>,
    /// Where they go among those of the chart.
    parent: Vec<String>,
}

impl Import {
    /// Reads the name of an export, or a pair of paths.
    fn read(node: &Node) -> Option<Self> {
        let path = |text: &str| text.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect();
        if let Some(name) = node.as_scalar() {
            return Some(Self { child: path(&format!("exports.{}", name.text)), parent: Vec::new() });
        }
        Some(Self { child: path(&text(node, "child")?), parent: path(&text(node, "parent")?) })
    }
}

impl Dependency {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), alias: name.to_owned(), ..Self::default() }
    }

    fn read(node: &Node) -> Option<Self> {
        let name = text(node, "name")?;
        let conditions = text(node, "condition").unwrap_or_default();
        let conditions = conditions.split(',').map(str::trim).filter(|path| !path.is_empty());
        Some(Self {
            alias: text(node, "alias").unwrap_or_else(|| name.clone()),
            conditions: conditions.map(str::to_owned).collect(),
            has_tags: node.get("tags").is_some(),
            imports: list(node, "import-values").iter().filter_map(Import::read).collect(),
            name,
        })
    }
}

impl Chart {
    fn read(package: &Package, folder: &str) -> Result<Self, PackageError> {
        let missing =
            |reason: &str| PackageError { file: format!("{folder}Chart.yaml"), reason: reason.to_owned() };
        let node = package.document(folder, "Chart.yaml")?.ok_or_else(|| missing("is missing"))?;
        let field = |name: &str| text(&node, name).ok_or_else(|| missing(&format!("has no `{name}`")));
        let metadata = Metadata {
            name: field("name")?,
            version: field("version")?,
            app_version: text(&node, "appVersion"),
        };
        // Charts for Helm 2 keep them in a file of their own, which Helm still prefers.
        let required = package.document(folder, "requirements.yaml")?;
        let dependencies = list(required.as_ref().unwrap_or(&node), "dependencies");
        Ok(Self { metadata, dependencies: dependencies.iter().filter_map(Dependency::read).collect() })
    }
}

fn list<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).and_then(Node::as_list).unwrap_or_default()
}

fn text(node: &Node, key: &str) -> Option<String> {
    let text = &node.get(key)?.as_scalar()?.text;
    (!text.is_empty()).then(|| text.clone())
}

/// Lays a subchart's values below its key. One whose files are not there takes any key.
fn add_subchart(shape: &mut Shape, dependency: &Dependency, subchart: Option<Shape>) {
    let mut below = subchart.unwrap_or_else(|| Shape::of(Types::MAP));
    // What is `global` to the chart is `global` to its subcharts, whichever of them reads it.
    if let Some(global) = below.entries.get("global").cloned() {
        shape.join_entry("global".into(), global);
    }
    if let Some(own) = shape.entries.remove(dependency.alias.as_str()) {
        below.join(own);
    }
    below.types = Types::MAP;
    shape.entries.insert(dependency.alias.as_str().into(), below);
    for condition in &dependency.conditions {
        add_switch(shape, condition);
    }
    if dependency.has_tags {
        let tags = Shape { others: Others::Each(Shape::of(Types::BOOL).into()), ..Shape::of(Types::MAP) };
        shape.entries.entry("tags".into()).or_insert(tags);
    }
}

/// Makes the values known that a chart takes over from a subchart. Of one whose files are not there, they may be any.
fn add_import(shape: &mut Shape, import: &Import, imported: Option<BTreeMap<Box<str>, Shape>>) {
    let place = shape.place(&import.parent);
    match imported {
        Some(imported) => place.join(Shape { others: Others::Ignored, ..Shape::map(imported) }),
        None => place.others = Others::Free,
    }
}

/// Makes sure that a switch is known, though nothing but Helm reads it.
fn add_switch(shape: &mut Shape, path: &str) {
    let Some((first, rest)) = path.split_once('.') else {
        shape.entries.entry(path.into()).or_insert_with(|| Shape::of(Types::BOOL));
        return;
    };
    let below = shape.entries.entry(first.into()).or_insert_with(|| Shape::map(BTreeMap::new()));
    if below.others != Others::Free {
        add_switch(below, rest);
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::charts::notation;

    fn package(files: &[(&str, &str)]) -> Package {
        let mut package = Package::default();
        for (path, text) in files {
            package.add(path, text.as_bytes().to_vec());
        }
        package
    }

    fn values(files: &[(&str, &str)]) -> String {
        yaml::write(&notation::write(&package(files).locked(None).unwrap().values))
    }

    const CHART: &str = "name: parent\nversion: 1.2.3\nappVersion: '4.5'\n";

    #[test]
    fn a_chart_says_its_name_and_versions() {
        let metadata = package(&[("Chart.yaml", CHART)]).metadata().unwrap();
        assert_eq!(
            (metadata.name.as_str(), metadata.version.as_str(), metadata.app_version.as_deref()),
            ("parent", "1.2.3", Some("4.5"))
        );
    }

    #[test]
    fn only_files_that_say_something_about_values_are_kept() {
        for path in
            ["Chart.yaml", "values.schema.json", "charts/a/values.yaml", "charts/a/charts/b/Chart.yaml"]
        {
            assert!(Package::wants(path), "{path} was left out");
        }
        for path in ["README.md", "templates/values.yaml", "charts/values.yaml", "charts/a/ci/values.yaml"] {
            assert!(!Package::wants(path), "{path} was kept");
        }
    }

    #[test]
    fn subcharts_are_merged_under_their_name_or_alias() {
        let chart = "
name: parent
version: 1.2.3
dependencies:
  - {name: node-exporter, condition: nodeExporter.enabled}
  - {name: rollout-operator, alias: rollout_operator, condition: 'rollout_operator.enabled, global.all', tags: [x]}
  - {name: elsewhere, condition: elsewhere.enabled}
";
        assert_snapshot!(values(&[
            ("Chart.yaml", chart),
            ("values.yaml", "nodeExporter: {enabled: true}\nnode-exporter: {podLabels: {a: b}, ours: 1}\n"),
            ("charts/node-exporter/Chart.yaml", "name: node-exporter\nversion: 1.0.0\n"),
            ("charts/node-exporter/values.yaml", "image: {tag: ''}\nglobal: {imageRegistry: ''}\n"),
            ("charts/rollout-operator/Chart.yaml", "name: rollout-operator\nversion: 1.0.0\n"),
            ("charts/rollout-operator/values.yaml", "replicas: 1\n"),
            ("charts/undeclared/Chart.yaml", "name: undeclared\nversion: 1.0.0\n"),
        ]), @r#"
        _bool: nodeExporter.enabled
        _map: elsewhere
        _map of bool: tags
        global:
          _bool: all
          _scalar: imageRegistry
        node-exporter:
          _map: podLabels
          _number: ours
          _scalar: global.imageRegistry image.tag
        rollout_operator:
          _bool: enabled
          _number: replicas
        undeclared: {}
        "#);
    }

    #[test]
    fn imported_values_of_a_subchart_are_the_charts_own() {
        let chart = "
name: parent
version: 1.2.3
dependencies:
  - name: sub
    alias: other
    import-values:
      - data
      - {child: defaults.deep, parent: imported.here}
      - {child: top, parent: .}
      - missing
";
        assert_snapshot!(values(&[
            ("Chart.yaml", chart),
            ("values.yaml", "own: 1\nother: {exports: {data: {more: x}}}\n"),
            ("charts/sub/Chart.yaml", "name: sub\nversion: 1.0.0\n"),
            ("charts/sub/values.yaml", "exports: {data: {port: 1, on: true}}\ndefaults: {deep: {a: x}}\ntop: {b: true}\n"),
        ]), @r#"
        _bool: b on
        _number: own
        _number|text: port
        _text: imported.here.a more
        other:
          _bool: top.b
          _text: defaults.deep.a
          exports:
            data:
              _bool: "on"
              _number|text: port
              _text: more
        "#);
        let absent = "name: parent\nversion: 1.2.3\ndependencies: [{name: gone, import-values: [{child: a, parent: b}]}]\n";
        assert_snapshot!(values(&[("Chart.yaml", absent), ("values.yaml", "b: {c: 1}\nd: 1\n")]), @"
        _map: gone
        _number: d
        b:
          _others: any
          _number: c
        ");
    }

    #[test]
    fn charts_for_helm_2_keep_their_dependencies_apart() {
        assert_snapshot!(values(&[
            ("Chart.yaml", "apiVersion: v1\nname: parent\nversion: 1.2.3\n"),
            ("requirements.yaml", "dependencies:\n  - {name: sub, alias: db, condition: db.enabled, import-values: [data]}\n"),
            ("charts/sub/Chart.yaml", "apiVersion: v1\nname: sub\nversion: 1.0.0\n"),
            ("charts/sub/values.yaml", "port: 1\nexports: {data: {x: 1}}\n"),
        ]), @"
        _number: x
        db:
          _bool: enabled
          _number: exports.data.x
          _number|text: port
        ");
    }

    #[test]
    fn of_a_key_that_is_there_twice_the_last_counts() {
        let files = [
            ("Chart.yaml", "name: parent\nname: parent\nversion: 1.2.3\n"),
            ("values.yaml", "a: 1\nm: {x: 1, 'x': {y: true}}\nn: {1: a, '1': 2}\na: text\n"),
        ];
        assert_snapshot!(values(&files), @"
        _bool: m.x.y
        _number: n.1
        _text: a
        ");
        assert_snapshot!(package(&files).notes().join("\n"), @"
        `Chart.yaml` of the chart at 2:1: key `name` is there twice; the last one counts
        `values.yaml` of the chart at 2:11: key `x` is there twice; the last one counts
        `values.yaml` of the chart at 3:11: key `1` is there twice; the last one counts
        `values.yaml` of the chart at 4:1: key `a` is there twice; the last one counts
        ");
        assert_eq!(package(&[("Chart.yaml", CHART)]).notes(), Vec::<String>::new());
    }

    #[test]
    fn imports_that_multiply_are_bounded() {
        let imports = |name: &str| {
            (0..300).map(|at| format!("{{child: {name}, parent: p{at}}}")).collect::<Vec<_>>().join(", ")
        };
        let chart = format!(
            "name: parent\nversion: 1.2.3\ndependencies: [{{name: sub, import-values: [{}]}}]\n",
            imports("t")
        );
        let table = (0..1_000).map(|at| format!("  k{at}: 1\n")).collect::<Vec<_>>().concat();
        let files = [
            ("Chart.yaml", chart.as_str()),
            ("charts/sub/Chart.yaml", "name: sub\nversion: 1.0.0\n"),
            ("charts/sub/values.yaml", &format!("t:\n{table}")),
        ];
        let error = package(&files).locked(None).unwrap_err().to_string();
        assert_eq!(error, "`Chart.yaml` of the chart and its subcharts take more than 200000 values");
    }

    #[test]
    fn defaults_that_are_kept_one_level_down_are_taken_at_the_top() {
        let values = values(&[
            ("Chart.yaml", CHART),
            ("values.yaml", "_internal_defaults_do_not_set: {pilot: {autoscaleMin: 1}}\n"),
        ]);
        assert_snapshot!(values, @"_number: pilot.autoscaleMin");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = |files: &[(&str, &str)]| package(files).locked(None).unwrap_err().to_string();
        assert_eq!(error(&[]), "`Chart.yaml` of the chart is missing");
        assert_eq!(error(&[("Chart.yaml", "name: a\n")]), "`Chart.yaml` of the chart has no `version`");
        let broken = error(&[("Chart.yaml", CHART), ("values.schema.json", "{")]);
        assert!(broken.starts_with("`values.schema.json` of the chart is not JSON"), "{broken}");
    }
}
