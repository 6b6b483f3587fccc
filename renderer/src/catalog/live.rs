//! What an add-on asks of live clusters, and where it answers queries: what `addon.yaml` says of it.
//!
//! Knows no cluster that runs: what is asked is data, and who asks is not in this crate.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::interface::{Condition, Setting, ValuePath};
use super::placement::Placement;
use crate::key_path::{Step, key};
use crate::span;

/// A check on live clusters: one question about each cluster that it is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LiveCheck {
    /// What it is called.
    #[schemars(
        length(max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        extend("x-hint" = "use lower-case letters, digits and hyphens, with a letter or digit at both ends")
    )]
    pub name: String,
    /// What it looks at, for people.
    #[schemars(length(min = 1, max = 200))]
    pub about: String,
    /// Which of the clusters with the add-on it is for; all if left out.
    #[serde(default)]
    pub clusters: Placement,
    /// When there is anything to ask; always if left out.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// What is asked, and what has to come back.
    pub ask: Ask,
}

/// What is asked, and what has to come back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ask {
    /// What a query finds.
    Query(Query),
    /// What objects of Kubernetes are like.
    Objects(Objects),
}

/// A query to what keeps a signal. Each of its results has to be within the limits, and there has to be one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Query {
    /// The signal: an add-on on the cluster that is asked has it in its `answers`.
    pub signal: String,
    /// Which cluster is asked.
    #[serde(default)]
    pub of: Asked,
    /// The query, in the language of what answers. For `traceql` the number of traces counts, of 20 at most.
    #[schemars(length(min = 1))]
    pub query: String,
    /// How far back traces are looked for; an hour if left out.
    pub within: Option<Span>,
    /// The least that each result may be. A span of time stands for its seconds.
    pub at_least: Option<Limit>,
    /// The most that each result may be. A span of time stands for its seconds.
    pub at_most: Option<Limit>,
    /// A query that has to have a result for the check to make sense. Where it has none, the check is not asked.
    pub expected_if: Option<Guard>,
}

/// A query that decides whether a check makes sense.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guard {
    /// The signal.
    pub signal: String,
    /// Which cluster is asked.
    #[serde(default)]
    pub of: Asked,
    /// The query.
    #[schemars(length(min = 1))]
    pub query: String,
}

/// Which cluster is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Asked {
    /// The cluster itself.
    #[default]
    Cluster,
    /// Its hub.
    Hub,
}

/// Objects of a kind on the cluster itself. There has to be one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objects {
    /// The group and the version, such as `apps/v1`.
    #[schemars(regex(pattern = r"^([a-z0-9.-]+/)?v[a-z0-9]+$"), extend("x-hint" = "write a group and a version, such as `apps/v1`"))]
    pub api_version: String,
    /// The kind.
    #[schemars(regex(pattern = r"^[A-Z][A-Za-z0-9]*$"), extend("x-hint" = "write the kind as in an object, such as `Certificate`"))]
    pub kind: String,
    /// The namespace; all if left out.
    pub namespace: Option<String>,
    /// Only objects with these labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Only objects whose fields, such as `status.phase`, have these values.
    #[serde(default)]
    pub fields: BTreeMap<FieldPath, String>,
    /// Whether there may be no object of the kind at all.
    #[serde(default)]
    pub may_be_none: bool,
    /// What has to hold of each.
    pub holds: Holds,
}

/// What has to hold of an object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Holds {
    /// A condition in `status.conditions` is `True`.
    Condition {
        /// Its type.
        condition: String,
    },
    /// A time is still to come.
    Left {
        /// The field with the time.
        left: FieldPath,
        /// How far ahead it is at least.
        at_least: Span,
    },
    /// A time is not long ago.
    Age {
        /// The fields with the time: the first that is there counts.
        #[schemars(length(min = 1))]
        age: Vec<FieldPath>,
        /// How long ago it is at most.
        at_most: Span,
        /// Whether only the newest object counts.
        #[serde(default)]
        newest: bool,
    },
    /// A number is within limits.
    Number {
        /// The field with the number.
        number: FieldPath,
        /// The least that it may be.
        at_least: Option<i64>,
        /// The most that it may be.
        at_most: Option<i64>,
    },
}

/// The place of a field in an object, such as `status.notAfter`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", "x-hint" = "write keys with dots between them, such as `status.notAfter`"))]
pub struct FieldPath(String);

impl FieldPath {
    /// Returns the field of an object.
    #[must_use]
    pub fn of<'v>(&self, object: &'v Json) -> Option<&'v Json> {
        self.0.split('.').try_fold(object, |value, name| value.get(name)).filter(|value| !value.is_null())
    }

    /// Returns the path as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A span of time: a number and a unit, such as `90s`, `5m`, `26h` or `14d`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = r"^([1-9][0-9]{0,8}[smhd]|\{\{[^{}]+\}\})$", "x-hint" = SPAN_HINT))]
pub struct Span(String);

pub(super) const SPAN_HINT: &str = "write a number and a unit, such as `90s`, `5m`, `26h` or `14d`";

impl Span {
    /// Returns how many seconds it is; none if a fact that was filled in is no span.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        span::parse(&self.0).map(|(number, seconds)| i64::from(number) * i64::from(seconds))
    }
}

/// The most or the least that a result may be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Limit {
    /// A number.
    Number(i64),
    /// A span of time.
    Span(Span),
}

impl Limit {
    /// Returns the number.
    #[must_use]
    pub fn value(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Span(span) => span.seconds(),
        }
    }
}

/// Where an add-on answers queries about a signal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answers {
    /// The language of the queries, and with it the interface.
    pub language: Language,
    /// The Service, by its name in `provides.services`.
    pub service: String,
    /// The port of the Service.
    pub port: Setting<u16>,
    /// When the port is encrypted.
    pub tls: Option<Condition>,
    /// The value that stands before the path.
    pub path_prefix: Option<ValuePath>,
    /// The tenant that is asked for, such as `{{fleet.logs.tenant}}`; none where there is no such fact.
    pub tenant: Option<String>,
}

/// A language of queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// That of Prometheus, at `/api/v1/query`.
    Promql,
    /// That of Loki, at `/loki/api/v1/query`.
    Logql,
    /// That of Tempo, at `/api/search`.
    Traceql,
}

impl LiveCheck {
    /// Returns whether each limit is one: a fact that was filled in may be anything.
    pub(super) fn has_limits(&self) -> bool {
        let is_limit = |limit: &Option<Limit>| limit.as_ref().is_none_or(|limit| limit.value().is_some());
        match &self.ask {
            Ask::Query(query) => {
                is_limit(&query.at_least)
                    && is_limit(&query.at_most)
                    && query.within.as_ref().is_none_or(|span| span.seconds().is_some())
            }
            Ask::Objects(objects) => match &objects.holds {
                Holds::Left { at_least: span, .. } | Holds::Age { at_most: span, .. } => {
                    span.seconds().is_some()
                }
                Holds::Condition { .. } | Holds::Number { .. } => true,
            },
        }
    }

    /// Returns each signal that is asked about, with the keys that lead to its name.
    pub(crate) fn signals(&self) -> Vec<(&str, Vec<Step>)> {
        let Ask::Query(query) = &self.ask else { return Vec::new() };
        let guard = query.expected_if.iter();
        let guard = guard.map(|guard| (&*guard.signal, vec![key("ask"), key("expectedIf"), key("signal")]));
        std::iter::once((&*query.signal, vec![key("ask"), key("signal")])).chain(guard).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_span_is_a_number_with_a_unit() {
        let seconds = |text: &str| Span(text.to_owned()).seconds();
        for (text, expected) in [("90s", 90), ("5m", 300), ("26h", 93_600), ("14d", 1_209_600)] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "5", "m", "-5m", "1.5h", "5 m", "5w", "é", "99999999999d"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_field_is_found_by_its_path() {
        let object = json!({"status": {"phase": "Completed", "at": null, "list": [1]}});
        let of = |path: &str| FieldPath(path.to_owned()).of(&object).cloned();
        assert_eq!(of("status.phase"), Some(json!("Completed")));
        assert_eq!(of("status.at"), None);
        assert_eq!(of("status.list.0"), None);
        assert_eq!(of("spec"), None);
    }
}
