//! Traces: what the values of Tempo say of who receives them, and what an OpenTelemetry collector's pipelines say of where
//! they go.

use crate::inventory::key;
use crate::key_path::Step;
use crate::yaml::{Map, Value};

use super::super::{Finding, Part};
use super::endpoint::Endpoint;
use super::route::{self, ClusterLabel, Ends, Receiver, Sender, Signal};
use super::{ExposedAddress, FlowFinding, Flows, addresses_of, bool_at, text_at};

/// The chart that receives traces.
pub(super) const TEMPO: &str = "tempo";
/// The chart that sends traces.
pub(super) const COLLECTOR: &str = "opentelemetry-collector";

/// The ports of Tempo's Service: the chart has no key for them.
const PORTS: [(Protocol, u16); 2] = [(Protocol::Grpc, 4317), (Protocol::Http, 4318)];
/// Where a collector sends traces over HTTP, below the address that it is given.
const HTTP_PATH: &str = "/v1/traces";
/// Resource attributes that tell clusters apart.
const CLUSTER_ATTRIBUTES: [&str; 2] = ["cluster", "k8s.cluster.name"];
/// Processors that may add attributes in ways that are not followed here.
const OTHER_PROCESSORS: [&str; 3] = ["attributes", "resourcedetection", "transform"];

/// The two forms of the OpenTelemetry protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Grpc,
    Http,
}

impl Protocol {
    /// Returns what an exporter speaks, by the type in front of its name.
    fn of_exporter(name: &str) -> Option<Self> {
        match kind_of(name) {
            "otlp" | "otlp_grpc" | "otlpgrpc" => Some(Self::Grpc),
            "otlphttp" | "otlp_http" => Some(Self::Http),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }

    fn scheme(self, is_encrypted: bool) -> &'static str {
        match (self, is_encrypted) {
            (Self::Grpc, false) => "grpc",
            (Self::Grpc, true) => "grpcs",
            (Self::Http, false) => "http",
            (Self::Http, true) => "https",
        }
    }
}

pub(in super::super) fn traces_arrive(flows: &Flows<'_>) -> Vec<FlowFinding> {
    route::arrives(flows, Signal::Traces)
}

/// Reads where Tempo receives traces.
pub(super) fn tempo(values: &Value, exposed: &[ExposedAddress]) -> Ends {
    let ends = Ends::new(Signal::Traces);
    if let Some(deaf) = deafness(values, exposed) {
        return Ends { deaf: Some(deaf), ..ends };
    }
    let wants_tenant = bool_at(values, &["tempo", "multitenancyEnabled"], false);
    let ports = PORTS.into_iter().filter(|(protocol, port)| listens(values, *protocol, *port));
    let receivers = ports.flat_map(|(protocol, port)| {
        let is_encrypted = values.at(&receiver_path(protocol, "tls")).is_some();
        let path = if protocol == Protocol::Http { HTTP_PATH } else { "/" };
        let endpoint = move |host| Endpoint {
            scheme: protocol.scheme(is_encrypted).to_owned(),
            host,
            port,
            path: path.to_owned(),
        };
        addresses_of(exposed, &["service"])
            .map(move |host| Receiver { endpoint: endpoint(host), wants_tenant })
    });
    Ends { receivers: receivers.collect(), ..ends }
}

fn deafness(values: &Value, exposed: &[ExposedAddress]) -> Option<Finding> {
    let (path, hint) = if text_at(values, &["service", "type"]) != Some("LoadBalancer") {
        (["service", "type"], "set `type: LoadBalancer`, and `loadBalancerIP` to an address of the pool")
    } else if addresses_of(exposed, &["service"]).next().is_none() {
        (["service", "loadBalancerIP"], "set `loadBalancerIP` to an address of the pool")
    } else if !PORTS.into_iter().any(|(protocol, port)| listens(values, protocol, port)) {
        let hint = "leave OTLP at `0.0.0.0:4317` and `0.0.0.0:4318`: the chart's Service leads there";
        (["tempo", "receivers"], hint)
    } else {
        return None;
    };
    Some(Finding::new(&path.map(key), Signal::Traces.deaf()).hint(hint))
}

fn receiver_path(protocol: Protocol, name: &'static str) -> [&'static str; 6] {
    ["tempo", "receivers", "otlp", "protocols", protocol.name(), name]
}

/// Returns whether Tempo listens where the Service leads to. What is not set is as the chart has it: on.
fn listens(values: &Value, protocol: Protocol, port: u16) -> bool {
    let path = receiver_path(protocol, "endpoint");
    let is_off = |length| values.at(&path[..length]) == Some(&Value::Null);
    let endpoint = text_at(values, &path);
    let is_other = endpoint.is_some_and(|endpoint| match endpoint.rsplit_once(':') {
        Some((host, given)) => {
            given != port.to_string() || ["localhost", "127.0.0.1", "[::1]"].contains(&host)
        }
        None => true,
    });
    !is_other && !(2..=5).any(is_off)
}

/// Reads where an OpenTelemetry collector sends traces.
pub(super) fn collector(values: &Value) -> Ends {
    let section = match values.get("alternateConfig").and_then(Value::as_map) {
        Some(config) if !config.is_empty() => "alternateConfig",
        _ => "config",
    };
    let Some(config) = values.get(section) else { return Ends::new(Signal::Traces) };
    let collector = Collector { config, at: section };
    let senders: Vec<_> = collector.senders();
    let cluster_label = if senders.is_empty() { None } else { collector.cluster_label() };
    Ends { senders, cluster_label, faults: collector.faults(), ..Ends::new(Signal::Traces) }
}

/// A collector's configuration and the key that it stands under.
struct Collector<'v> {
    config: &'v Value,
    at: &'static str,
}

/// Returns the type of a component: what stands before the slash of its name.
fn kind_of(component: &str) -> &str {
    component.split('/').next().unwrap_or(component)
}

fn is_sending(exporter: &str) -> bool {
    !["debug", "logging", "nop"].contains(&kind_of(exporter))
}

impl<'v> Collector<'v> {
    fn path(&self, keys: &[&str]) -> Vec<Step> {
        std::iter::once(self.at).chain(keys.iter().copied()).map(key).collect()
    }

    fn components(&self, section: &str) -> impl Iterator<Item = (&'v str, &'v Value)> {
        let components = self.config.get(section).and_then(Value::as_map);
        components.into_iter().flat_map(Map::iter).filter(|(_, it)| **it != Value::Null)
    }

    fn pipelines(&self) -> impl Iterator<Item = (&'v str, &'v Value)> {
        let pipelines = self.config.at(&["service", "pipelines"]).and_then(Value::as_map);
        pipelines.into_iter().flat_map(Map::iter).filter(|(_, it)| **it != Value::Null)
    }

    /// Returns what a section of the pipelines names, with the pipeline and the place in the list.
    fn named(&self, section: &'static str) -> impl Iterator<Item = (&'v str, usize, &'v str)> {
        self.pipelines().flat_map(move |(pipeline, parts)| {
            let names = parts.get(section).and_then(Value::as_list).unwrap_or_default();
            names.iter().enumerate().filter_map(move |(at, name)| Some((pipeline, at, name.as_str()?)))
        })
    }

    fn senders(&self) -> Vec<Sender> {
        let is_used = |name: &str| {
            self.named("exporters").any(|(pipeline, _, used)| kind_of(pipeline) == "traces" && used == name)
        };
        let exporters = self.components("exporters").filter(|(name, _)| is_used(name));
        exporters
            .filter_map(|(name, exporter)| {
                let protocol = Protocol::of_exporter(name)?;
                self.sender(name, exporter, protocol)
            })
            .collect()
    }

    fn sender(&self, name: &str, exporter: &Value, protocol: Protocol) -> Option<Sender> {
        let own = text_at(exporter, &["traces_endpoint"]).map(|url| ("traces_endpoint", url.to_owned()));
        let (field, url) = own.or_else(|| {
            let endpoint = text_at(exporter, &["endpoint"])?;
            Some(("endpoint", url(endpoint, exporter, protocol)))
        })?;
        let mut headers = exporter.get("headers").and_then(Value::as_map).into_iter().flat_map(Map::iter);
        Some(Sender {
            path: self.path(&["exporters", name, field]),
            part: Part::Value,
            url,
            names_tenant: headers.any(|(name, _)| name.eq_ignore_ascii_case("X-Scope-OrgID")),
        })
    }

    fn faults(&self) -> Vec<Finding> {
        let mut faults: Vec<_> = self.unused().collect();
        faults.extend(self.undefined());
        faults
    }

    /// What is defined and in no pipeline sends nothing, and the collector does not say so.
    fn unused(&self) -> impl Iterator<Item = Finding> {
        let unused = self.components("exporters").filter(|(name, _)| {
            Protocol::of_exporter(name).is_some()
                && !self.named("exporters").any(|(_, _, used)| used == *name)
        });
        unused.map(|(name, _)| {
            let message = format!("exporter `{name}` is in no pipeline, so that nothing is sent to it");
            let hint = format!("name it in `{}.service.pipelines.traces.exporters`", self.at);
            Finding::new(&self.path(&["exporters", name]), message).hint(hint).on(Part::Key)
        })
    }

    /// A collector whose pipeline names what is not defined does not start.
    fn undefined(&self) -> impl Iterator<Item = Finding> {
        let is_known = |name: &str| {
            let mut known = self.components("exporters").chain(self.components("connectors"));
            // The chart defines `debug` itself.
            name == "debug" || known.any(|(defined, _)| defined == name)
        };
        let undefined =
            self.named("exporters").filter(move |(_, _, name)| is_sending(name) && !is_known(name));
        undefined.map(|(pipeline, at, name)| {
            let mut path = self.path(&["service", "pipelines", pipeline, "exporters"]);
            path.push(Step::Index(at));
            let message = format!("pipeline `{pipeline}` names the exporter `{name}`, which is not defined");
            Finding::new(&path, message).hint(format!("define it in `{}.exporters`", self.at))
        })
    }

    /// Reads the attribute with the cluster's name; nothing if a processor might add it in a way that is not followed here.
    fn cluster_label(&self) -> Option<ClusterLabel> {
        let is_used = |name: &str| self.named("processors").any(|(_, _, used)| used == name);
        let processors: Vec<_> = self.components("processors").filter(|(name, _)| is_used(name)).collect();
        let attribute = processors.iter().find_map(|(name, processor)| self.attribute(name, processor));
        if attribute.is_none() && processors.iter().any(|(name, _)| OTHER_PROCESSORS.contains(&kind_of(name)))
        {
            return None;
        }
        let (path, value) = attribute.unwrap_or_else(|| (self.path(&["processors"]), None));
        Some(ClusterLabel {
            path,
            part: Part::Value,
            value,
            hint: "insert the attribute `cluster` with `{{cluster.name}}` by a `resource` processor of the pipeline",
        })
    }

    fn attribute(&self, name: &str, processor: &Value) -> Option<(Vec<Step>, Option<String>)> {
        let attributes = processor.get("attributes").filter(|_| kind_of(name) == "resource")?.as_list()?;
        let is_cluster = |attribute: &Value| {
            text_at(attribute, &["key"]).is_some_and(|key| CLUSTER_ATTRIBUTES.contains(&key))
        };
        let at = attributes.iter().position(is_cluster)?;
        let mut path = self.path(&["processors", name, "attributes"]);
        path.extend([Step::Index(at), key("value")]);
        Some((path, text_at(&attributes[at], &["value"]).map(str::to_owned)))
    }
}

/// Makes a URL of what an exporter says of its endpoint: gRPC needs none, and tells of encryption apart.
fn url(endpoint: &str, exporter: &Value, protocol: Protocol) -> String {
    let (scheme, rest) = match endpoint.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, endpoint),
    };
    if protocol == Protocol::Http {
        return format!("{}{HTTP_PATH}", endpoint.trim_end_matches('/'));
    }
    let is_encrypted = match scheme {
        Some("http") => false,
        Some("https") => true,
        _ => !bool_at(exporter, &["tls", "insecure"], false),
    };
    format!("{}://{rest}", protocol.scheme(is_encrypted))
}
