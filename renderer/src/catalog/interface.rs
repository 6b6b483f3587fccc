//! What an add-on brings to its cluster, and what it receives and sends: what `addon.yaml` says of its chart, so that no code has to.
//!
//! Knows neither charts nor signals: a signal is a name that senders and receivers share.

use std::collections::BTreeMap;

use derive_more::Display;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::key_path::{Step, key, text_of};
use crate::yaml::{Map, Value};

/// What a chart makes in its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Provides {
    /// How the chart makes the full name that the names of its objects begin with.
    pub full_name: FullName,
    /// All Services of the chart. Without this, any Service counts whose name begins with the release's, the chart's or the add-on's.
    pub services: Option<Vec<Service>>,
    /// The Services that ask a load balancer for an address, with the pods behind each.
    pub exposed: Vec<ExposedService>,
    /// Secrets that the chart, or a program of it, makes by itself. `<release>` stands for the release.
    pub secrets: Vec<MadeSecret>,
    /// Storage classes.
    pub storage_classes: Vec<StorageClasses>,
}

/// How a chart makes its full name: of `fullnameOverride`, or of the release and `nameOverride` or its own name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FullName {
    /// What the chart calls itself in names, if not as it is called in its repository.
    pub name: Option<String>,
    /// How long the full name may be, in characters; 63 if left out.
    #[schemars(range(min = 1, max = 63))]
    pub max_length: Option<usize>,
}

/// A Service of a chart.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Its name. `<fullName>` stands for the chart's full name, `<release>` for the release.
    pub name: String,
    /// The subchart whose full name is meant, by the key of its values.
    pub subchart: Option<ValuePath>,
    /// Its ports; any port counts if there is none.
    #[serde(default)]
    pub ports: Vec<Setting<u16>>,
    /// When it is made; always if left out.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// Whether a program of the chart makes it once it runs, and not the chart itself.
    #[serde(default)]
    pub at_runtime: bool,
}

/// A Secret that a chart makes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, untagged)]
pub enum MadeSecret {
    /// One that the chart always makes, by its name.
    Named(String),
    /// Another one.
    #[serde(rename_all = "camelCase")]
    Described {
        /// Its name.
        name: String,
        /// When it is made; always if left out.
        #[serde(default)]
        when: Vec<Condition>,
        /// Whether a program of the chart makes it once it runs, and not the chart itself.
        #[serde(default)]
        at_runtime: bool,
    },
}

/// A Service of a chart that asks a load balancer for an address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExposedService {
    /// Where the values describe the Service: there, or in its annotations, stands the address.
    pub service: ValuePath,
    /// The labels of the pods that it leads to, by which policies choose them.
    #[schemars(length(min = 1))]
    pub pods: BTreeMap<String, String>,
    /// When a policy of the chart lets in whatever asks; never if left out. Policies add up, so that no other one limits these pods then.
    pub opened: Option<Condition>,
}

/// Storage classes that a chart makes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, untagged)]
pub enum StorageClasses {
    /// One class.
    #[serde(rename_all = "camelCase")]
    One {
        /// Its name.
        name: Setting<String>,
        /// When the chart makes it; always if left out.
        #[serde(default)]
        when: Vec<Condition>,
    },
    /// One class for each key of a map.
    #[serde(rename_all = "camelCase")]
    Each {
        /// The map.
        keys_of: ValuePath,
    },
}

/// How an add-on receives a signal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receives {
    /// When it is a receiver at all; always if left out.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// What else must hold for clusters to reach it. Where something does not, that is a problem if any cluster sends the signal.
    #[serde(default)]
    pub requires: Vec<Condition>,
    /// Where its address comes from.
    pub exposed: Exposed,
    /// Where it receives the signal at that address.
    #[schemars(length(min = 1))]
    pub endpoints: Vec<ReceivingEndpoint>,
    /// When a sender has to name a tenant; never if left out.
    pub tenant: Option<Condition>,
    /// Whether a sender has to prove itself by a certificate.
    #[serde(default)]
    pub client_certificate: bool,
    /// What reads the program's own configuration in the values, if that has to agree with them.
    pub reader: Option<String>,
}

/// Where the address of a receiver comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Exposed {
    /// From a Service of the chart that asks a load balancer for it.
    Service {
        /// Where the values describe the Service: there, or in its annotations, stands the address.
        service: ValuePath,
        /// Where the values say its type, if not at `type` there.
        r#type: Option<ValuePath>,
    },
    /// From the facts: an object of ours, a gateway or a machine in front of the cluster exposes it.
    Address {
        /// The name of one of the cluster's `addresses`.
        address: String,
    },
}

/// Where an add-on receives a signal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceivingEndpoint {
    /// The scheme, such as `http` or `grpc`.
    pub scheme: String,
    /// When the endpoint is encrypted: the scheme then has an `s` at its end, as in `https` and `grpcs`.
    pub tls: Option<Condition>,
    /// The port of the Service.
    pub port: Setting<u16>,
    /// The path; `/` if left out.
    #[schemars(regex(pattern = "^/"))]
    pub path: Option<String>,
    /// The value that stands before the path.
    pub path_prefix: Option<ValuePath>,
    /// The value with the address that the program itself listens on, if the Service leads to this port whatever it is.
    pub listen: Option<ValuePath>,
}

/// How an add-on sends a signal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sends {
    /// When it sends at all; always if left out.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// Where the values say what it is sent to.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// The value with the name of the cluster that goes along.
    pub cluster_label: Option<ValuePath>,
    /// The value by which a cluster logs in: each cluster has one of its own.
    pub login: Option<LoginValue>,
    /// What reads the program's own configuration in the values, in place of `targets`.
    pub reader: Option<String>,
}

/// Where the values of a chart say what a signal is sent to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// The list or map of which each item is a target. The other paths then begin at the item.
    pub each: Option<ValuePath>,
    /// The value with the URL.
    pub url: ValuePath,
    /// The scheme of a value that has none.
    pub scheme: Option<String>,
    /// The path that the program adds to the value.
    #[schemars(regex(pattern = "^/"))]
    pub path: Option<String>,
    /// The value that names a tenant.
    pub tenant: Option<ValuePath>,
    /// The value that names the certificate by which the sender proves itself.
    pub certificate: Option<ValuePath>,
}

/// The value by which a cluster logs in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginValue {
    /// The value.
    pub value: ValuePath,
    /// What it has to begin with.
    #[serde(default)]
    pub prefix: String,
}

/// Something that a value decides.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// The value.
    pub value: ValuePath,
    /// What it must be. Without this it must be there and be neither `false` nor empty.
    #[schemars(extend("type" = ["boolean", "number", "string"]))]
    pub is: Option<Json>,
    /// What the chart takes it for where it is not written.
    #[schemars(extend("type" = ["boolean", "number", "string"]))]
    pub default: Option<Json>,
    /// How to make it hold, where more than the value is to be said.
    pub hint: Option<String>,
}

/// Something that is fixed, or that a value says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Setting<T> {
    /// It is fixed.
    Fixed(T),
    /// A value says it.
    Read {
        /// The value.
        value: ValuePath,
        /// What the chart takes where it is not written.
        default: T,
    },
}

/// The place of a value of a chart, such as `prometheus.service.port`.
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[display("{}", text_of(&self.steps()))]
#[serde(from = "String")]
#[schemars(extend(
    "pattern" = r#"^([^\s".]+|"[^"]+")(\.([^\s".]+|"[^"]+"))*$"#,
    "format" = ValuePath::FORMAT,
    "x-hint" = "write keys with dots between them, such as `service.port`; one with a dot in it stands in quotes",
))]
pub struct ValuePath(Vec<Box<str>>);

impl From<String> for ValuePath {
    /// Splits a path at its dots, apart from those in quotes.
    fn from(text: String) -> Self {
        let pieces = text.split('"').enumerate().flat_map(|(number, piece)| {
            let is_quoted = number % 2 == 1;
            let keys: Vec<_> = if is_quoted { vec![piece] } else { piece.split('.').collect() };
            keys.into_iter().filter(|key| !key.is_empty()).map(Box::from).collect::<Vec<_>>()
        });
        Self(pieces.collect())
    }
}

impl ValuePath {
    /// How the schema of an add-on calls such a path.
    pub(crate) const FORMAT: &str = "value-path";

    /// Returns the value at the path, if there is one.
    pub(crate) fn of<'v>(&self, values: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(values, |value, name| value.get(name))
    }

    /// Returns whether a value on the way is null, by which a chart's default is removed.
    pub(crate) fn is_removed(&self, values: &Value) -> bool {
        let mut way = self.0.iter().scan(values, |value, name| {
            *value = value.get(name)?;
            Some(*value)
        });
        way.any(|value| *value == Value::Null)
    }

    /// Returns the text at the path, unless there is none or it is empty.
    pub(crate) fn text<'v>(&self, values: &'v Value) -> Option<&'v str> {
        self.of(values)?.as_str().filter(|text| !text.is_empty())
    }

    /// Returns the path in steps.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.0.iter().map(|name| key(name)).collect()
    }

    /// Returns the last key.
    pub(crate) fn last(&self) -> &str {
        self.0.last().map_or("", AsRef::as_ref)
    }

    /// Returns the path of a key below this one.
    pub(crate) fn join(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([name.into()]).collect())
    }

    /// Returns values that hold nothing but something at this path.
    pub(crate) fn holding(&self, value: Value) -> Value {
        let names = self.0.iter().rev().map(ToString::to_string);
        names.fold(value, |value, name| Value::Map(Map::from_iter([(name, value)])))
    }
}

impl MadeSecret {
    /// Returns its name in a release.
    pub(crate) fn name_in(&self, release: &str) -> String {
        let (Self::Named(name) | Self::Described { name, .. }) = self;
        name.replace("<release>", release)
    }

    /// Returns whether it is made for the values of a chart.
    pub(crate) fn is_expected(&self, values: &Value) -> bool {
        match self {
            Self::Named(_) => true,
            Self::Described { when, .. } => Condition::all_hold(when, values),
        }
    }

    /// Returns whether a program of the chart makes it, and not the chart itself.
    pub(crate) fn is_at_runtime(&self) -> bool {
        matches!(self, Self::Described { at_runtime: true, .. })
    }
}

impl Condition {
    /// Returns whether all of some conditions hold for the values of a chart.
    pub(crate) fn all_hold(conditions: &[Self], values: &Value) -> bool {
        conditions.iter().all(|condition| condition.holds(values))
    }

    /// Returns whether it holds for the values of a chart.
    pub(crate) fn holds(&self, values: &Value) -> bool {
        let written = self.value.of(values).filter(|value| **value != Value::Null).map(Value::to_json);
        let value = written.or_else(|| self.default.clone()).unwrap_or_default();
        match &self.is {
            None | Some(Json::Bool(true)) => is_on(&value),
            Some(Json::Bool(false)) => !is_on(&value),
            Some(wanted) => value == *wanted,
        }
    }

    /// Returns how to make it hold.
    pub(crate) fn advice(&self) -> String {
        let wanted = self.is.clone().unwrap_or(Json::Bool(true));
        let wanted = wanted.as_str().map_or_else(|| wanted.to_string(), str::to_owned);
        self.hint.clone().unwrap_or_else(|| format!("set `{}: {wanted}`", self.value))
    }

    /// Returns how to make it not hold.
    pub(crate) fn counter_advice(&self) -> String {
        match &self.is {
            None | Some(Json::Bool(true)) => format!("set `{}: false`", self.value),
            Some(Json::Bool(false)) => format!("set `{}: true`", self.value),
            Some(_) => format!("change `{}`", self.value),
        }
    }
}

/// Returns whether Helm takes a value for true.
fn is_on(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(entries) => !entries.is_empty(),
    }
}

impl Setting<u16> {
    /// Returns the port for the values of a chart.
    pub(crate) fn of(&self, values: &Value) -> u16 {
        match self {
            Self::Fixed(port) => *port,
            Self::Read { value, default } => match value.of(values) {
                Some(Value::Number(port)) => port.as_str().parse().unwrap_or(*default),
                Some(Value::String(port)) => port.parse().unwrap_or(*default),
                _ => *default,
            },
        }
    }
}

impl Setting<String> {
    /// Returns the text for the values of a chart.
    pub(crate) fn of<'v>(&'v self, values: &'v Value) -> &'v str {
        match self {
            Self::Fixed(text) => text,
            Self::Read { value, default } => value.text(values).unwrap_or(default),
        }
    }
}

/// What an add-on receives or sends, by the name of the signal.
pub type BySignal<T> = BTreeMap<String, T>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn values(text: &str) -> Value {
        yaml::interpret(&yaml::parse(text).unwrap()[0]).unwrap()
    }

    #[test]
    fn a_path_is_split_at_its_dots_and_not_in_quotes() {
        for text in ["a", "a.b-c", r#"configs.rbac."policy.default""#, r#""grafana.ini".server"#] {
            assert_eq!(ValuePath::from(text.to_owned()).to_string(), text);
        }
        let path = ValuePath::from(r#"a."b.c".d"#.to_owned());
        assert_eq!(path.of(&values("a: {b.c: {d: 1}}")), path.of(&path.holding(values("1"))));
        assert!(path.is_removed(&values("a: {b.c: ~}")));
        assert!(!path.is_removed(&values("a: {b: ~}")));
    }

    #[test]
    fn a_condition_holds_as_helm_takes_values() {
        let condition = |text: &str| serde_json::from_value::<Condition>(values(text).to_json()).unwrap();
        for (text, on, off) in [
            ("{value: a}", "a: x", "a: ''"),
            ("{value: a, default: true}", "b: 1", "a: false"),
            ("{value: a, is: false, default: true}", "a: false", "{}"),
            ("{value: a, is: Monolithic}", "a: Monolithic", "a: true"),
            ("{value: a.b}", "a: {b: {c: 1}}", "a: {b: {}}"),
        ] {
            assert!(condition(text).holds(&values(on)), "{text}");
            assert!(!condition(text).holds(&values(off)), "{text}");
        }
    }
}
