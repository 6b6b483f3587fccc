//! The lock as a file: which charts are locked, and the text that people read in a diff.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::notation;
use super::shape::Shape;
use crate::problem::{Fault, Position};
use crate::yaml::{self, Map, Node, NodeKind, Value};

const HEADER: &str = "\
# Written by `fleetwright charts lock`; do not edit. Which values each chart takes: keys by type, and maps with keys of their own.
# How to read it: docs/reference/charts.md.
";

/// The largest lock that is read, in bytes: ten times that of a large platform.
const MAX_LOCK_BYTES: usize = 2 * 1024 * 1024;

/// A pinned version of a chart, as a regular expression.
pub(crate) const VERSION: &str =
    r"^v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$";
/// What to write instead of another text.
pub(crate) const VERSION_HINT: &str =
    "pin one version, such as `88.5.3`: a range renders differently from day to day";

/// A Helm chart at a pinned version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChartId {
    /// The chart's name in the repository.
    pub name: String,
    /// The exact version; no range.
    #[schemars(regex(pattern = VERSION), extend("x-hint" = VERSION_HINT))]
    pub version: String,
    /// The chart repository, an `https://` or `oci://` address.
    #[schemars(regex(pattern = r"^(https|oci)://[^\s/]+"), extend("x-hint" = "write an `https://` or `oci://` address"))]
    pub repository: String,
}

/// What a lock keeps of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedChart {
    /// The version of what the chart installs.
    pub app_version: Option<String>,
    /// The digest of its package, `sha256:…`; unknown if it was read from a folder.
    pub digest: Option<String>,
    /// The values that it takes.
    pub values: Shape,
}

/// Which values each locked chart takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChartLock {
    /// The charts.
    pub charts: BTreeMap<ChartId, Arc<LockedChart>>,
}

impl ChartLock {
    /// Reads the text of a lock, or returns every fault in it.
    pub fn read(bytes: &[u8]) -> Result<Self, Vec<Fault>> {
        if bytes.len() > MAX_LOCK_BYTES {
            let message = format!("the lock has {} bytes; at most {MAX_LOCK_BYTES} are read", bytes.len());
            return Err(vec![Fault::new(Position::START, message).hint(HINT)]);
        }
        let documents = yaml::decode(bytes).map_err(|fault| vec![fault]).and_then(yaml::parse)?;
        let mut lock = Self::default();
        let mut faults = Vec::new();
        let mut room = notation::MAX_KEYS;
        for item in items(&documents).map_err(|fault| vec![fault])? {
            match read_chart(item, &mut room) {
                Ok((id, chart)) => {
                    lock.charts.insert(id, Arc::new(chart));
                }
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(lock) } else { Err(faults) }
    }

    /// Returns the text of the lock; equal locks have equal texts.
    #[must_use]
    pub fn write(&self) -> String {
        let charts = self.charts.iter().map(|(id, chart)| write_chart(id, chart)).collect();
        format!("{HEADER}{}", yaml::write(&Value::List(charts)))
    }
}

fn items(documents: &[Node]) -> Result<&[Node], Fault> {
    match documents {
        [] => Ok(&[]),
        [Node { kind: NodeKind::List(items), .. }] => Ok(items),
        [first, ..] => Err(Fault::new(first.position, "a lock is one list of charts").hint(HINT)),
    }
}

const HINT: &str = "write the lock again: `fleetwright charts lock --refresh`";

fn read_chart(node: &Node, room: &mut usize) -> Result<(ChartId, LockedChart), Fault> {
    let fault = |message: String| Fault::new(node.position, message).hint(HINT);
    let optional = |key: &str| Some(node.get(key)?.as_scalar()?.text.clone());
    let text = |key: &str| optional(key).ok_or_else(|| fault(format!("a locked chart needs `{key}`")));
    let id = ChartId { name: text("name")?, version: text("version")?, repository: text("repository")? };
    let values = node.get("values").ok_or_else(|| fault("a locked chart needs `values`".to_owned()))?;
    let chart = LockedChart {
        app_version: optional("appVersion"),
        digest: optional("digest"),
        values: notation::read(values, node.get("shapes"), room)?,
    };
    Ok((id, chart))
}

fn write_chart(id: &ChartId, chart: &LockedChart) -> Value {
    let (values, shapes) = notation::write_shared(&chart.values);
    let text = |text: &str| Value::String(text.to_owned());
    let mut map = Map::default();
    let needed = [("name", &id.name), ("version", &id.version), ("repository", &id.repository)];
    let known = [("appVersion", chart.app_version.as_ref()), ("digest", chart.digest.as_ref())];
    let known = known.into_iter().filter_map(|(key, value)| Some((key, value?)));
    needed.into_iter().chain(known).for_each(|(key, value)| map.insert(key, text(value)));
    map.insert("values", values);
    if !shapes.is_empty() {
        map.insert("shapes", Value::Map(shapes));
    }
    Value::Map(map)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const LOCK: &str = "\
- name: keda
  version: 2.20.2
  repository: https://kedacore.github.io/charts
  appVersion: 2.20.2
  digest: sha256:00
  values:
    _number: replicas
    image:
      keda:
        _string: x
";

    fn lock() -> ChartLock {
        ChartLock::read(LOCK.replace("_string", "_text").as_bytes()).unwrap()
    }

    #[test]
    fn a_lock_that_is_read_and_written_stays_the_same() {
        let text = lock().write();
        assert_snapshot!(text, @r#"
        # Written by `fleetwright charts lock`; do not edit. Which values each chart takes: keys by type, and maps with keys of their own.
        # How to read it: docs/reference/charts.md.
        - name: keda
          version: "2.20.2"
          repository: https://kedacore.github.io/charts
          appVersion: "2.20.2"
          digest: sha256:00
          values:
            _number: replicas
            _text: image.keda.x
        "#);
        assert_eq!(ChartLock::read(text.as_bytes()).unwrap().write(), text);
    }

    #[test]
    fn a_lock_without_charts_is_empty() {
        assert_eq!(ChartLock::read(ChartLock::default().write().as_bytes()).unwrap(), ChartLock::default());
    }

    #[test]
    fn every_fault_of_a_lock_has_its_place() {
        let faults = ChartLock::read(format!("{LOCK}- name: x\n").as_bytes()).unwrap_err();
        let told: Vec<_> =
            faults.iter().map(|fault| format!("{}: {}", fault.position, fault.message)).collect();
        assert_eq!(told, ["10:9: unknown type or shape `string`", "11:3: a locked chart needs `version`"]);
    }
}
