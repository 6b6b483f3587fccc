//! The OpenTelemetry collector: where the pipelines of its configuration send a signal.

use crate::checks::{ClusterLabel, Ends, Finding, Part, Sender};
use crate::key_path::{self, Step, key};
use crate::yaml::{Map, Value};

/// The header that names a tenant.
const TENANT_HEADER: &str = "X-Scope-OrgID";
/// Resource attributes that tell clusters apart.
const CLUSTER_ATTRIBUTES: [&str; 2] = ["cluster", "k8s.cluster.name"];
/// Processors that may add attributes in ways that are not followed here.
const OTHER_PROCESSORS: [&str; 3] = ["attributes", "resourcedetection", "transform"];

/// Returns whether an exporter speaks the OpenTelemetry protocol over HTTP and not over gRPC; nothing of one
/// that does not speak it.
fn is_http(exporter: &str) -> Option<bool> {
    match kind_of(exporter) {
        "otlp" | "otlp_grpc" | "otlpgrpc" => Some(false),
        "otlphttp" | "otlp_http" => Some(true),
        _ => None,
    }
}

/// Reads where a collector sends the signal, which is the type of a pipeline.
pub(super) fn read(values: &Value, ends: &mut Ends) {
    let section = match values.get("alternateConfig").and_then(Value::as_map) {
        Some(config) if !config.is_empty() => "alternateConfig",
        _ => "config",
    };
    let Some(config) = values.get(section) else { return };
    let collector = Collector { config, at: section, signal: &ends.signal };
    let senders = collector.senders();
    let cluster_label = if senders.is_empty() { None } else { collector.cluster_label() };
    let faults: Vec<_> = collector.unused().chain(collector.undefined()).collect();
    ends.senders.extend(senders);
    ends.faults.extend(faults);
    ends.cluster_label = cluster_label;
}

/// A collector's configuration and the key that it stands under.
struct Collector<'v> {
    config: &'v Value,
    at: &'static str,
    signal: &'v str,
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
        [vec![key(self.at)], key_path::keys(keys)].concat()
    }

    /// Returns what a map of the configuration holds: components by name, or pipelines.
    fn entries(&self, path: &[&str]) -> impl Iterator<Item = (&'v str, &'v Value)> + use<'v> {
        let entries = self.config.at(path).and_then(Value::as_map);
        entries.into_iter().flat_map(Map::iter).filter(|(_, it)| **it != Value::Null)
    }

    /// Returns what a section of the pipelines names, with the pipeline and the place in the list.
    fn named(&self, section: &'static str) -> impl Iterator<Item = (&'v str, usize, &'v str)> {
        self.entries(&["service", "pipelines"]).flat_map(move |(pipeline, parts)| {
            let names = parts.get(section).and_then(Value::as_list).unwrap_or_default();
            names.iter().enumerate().filter_map(move |(at, name)| Some((pipeline, at, name.as_str()?)))
        })
    }

    fn senders(&self) -> Vec<Sender> {
        let is_used = |name: &str| {
            self.named("exporters")
                .any(|(pipeline, _, used)| kind_of(pipeline) == self.signal && used == name)
        };
        let exporters = self.entries(&["exporters"]).filter(|(name, _)| is_used(name));
        exporters.filter_map(|(name, exporter)| self.sender(name, exporter, is_http(name)?)).collect()
    }

    fn sender(&self, name: &str, exporter: &Value, is_http: bool) -> Option<Sender> {
        let own_field = format!("{}_endpoint", self.signal);
        let own = exporter.text_at(&[own_field.as_str()]).map(|url| (own_field.as_str(), url.to_owned()));
        let (field, url) = own.or_else(|| {
            let endpoint = exporter.text_at(&["endpoint"])?;
            Some(("endpoint", self.url(endpoint, exporter, is_http)))
        })?;
        let mut headers = exporter.get("headers").and_then(Value::as_map).into_iter().flat_map(Map::iter);
        let is_named = headers.any(|(name, _)| name.eq_ignore_ascii_case(TENANT_HEADER));
        let unnamed_tenant = (!is_named).then(|| format!("the header `{TENANT_HEADER}`"));
        let is_proven = exporter.text_at(&["tls", "cert_file"]).is_some();
        let unnamed_certificate = (!is_proven).then(|| "`tls.cert_file`".to_owned());
        let path = self.path(&["exporters", name, field]);
        Some(Sender { path, part: Part::Value, url, unnamed_tenant, unnamed_certificate })
    }

    /// What is defined and in no pipeline sends nothing, and the collector does not say so.
    fn unused(&self) -> impl Iterator<Item = Finding> {
        let unused = self.entries(&["exporters"]).filter(|(name, _)| {
            is_http(name).is_some() && !self.named("exporters").any(|(_, _, used)| used == *name)
        });
        unused.map(|(name, _)| {
            let message = format!("exporter `{name}` is in no pipeline, so that nothing is sent to it");
            let hint = format!("name it in `{}.service.pipelines.{}.exporters`", self.at, self.signal);
            Finding::new(&self.path(&["exporters", name]), message).hint(hint).on(Part::Key)
        })
    }

    /// A collector whose pipeline names what is not defined does not start.
    fn undefined(&self) -> impl Iterator<Item = Finding> {
        let is_known = |name: &str| {
            let mut known = self.entries(&["exporters"]).chain(self.entries(&["connectors"]));
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

    /// Reads the attribute with the cluster's name; nothing if a processor might add it in a way that is not
    /// followed here.
    fn cluster_label(&self) -> Option<ClusterLabel> {
        let is_used = |name: &str| self.named("processors").any(|(_, _, used)| used == name);
        let processors: Vec<_> = self.entries(&["processors"]).filter(|(name, _)| is_used(name)).collect();
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
            hint: "insert the attribute `cluster` with `{{cluster.name}}` by a `resource` processor of the pipeline"
                .to_owned(),
        })
    }

    fn attribute(&self, name: &str, processor: &Value) -> Option<(Vec<Step>, Option<String>)> {
        let attributes = processor.get("attributes").filter(|_| kind_of(name) == "resource")?.as_list()?;
        let is_cluster = |attribute: &Value| {
            attribute.text_at(&["key"]).is_some_and(|key| CLUSTER_ATTRIBUTES.contains(&key))
        };
        let at = attributes.iter().position(is_cluster)?;
        let mut path = self.path(&["processors", name, "attributes"]);
        path.extend([Step::Index(at), key("value")]);
        Some((path, attributes[at].text_at(&["value"]).map(str::to_owned)))
    }

    /// Makes a URL of what an exporter says of its endpoint: gRPC needs none, and says apart whether it is encrypted.
    fn url(&self, endpoint: &str, exporter: &Value, is_http: bool) -> String {
        if is_http {
            return format!("{}/v1/{}", endpoint.trim_end_matches('/'), self.signal);
        }
        let (scheme, rest) =
            endpoint.split_once("://").map_or((None, endpoint), |(scheme, rest)| (Some(scheme), rest));
        let is_encrypted = match scheme {
            Some("http") => false,
            Some("https") => true,
            _ => exporter.at(&["tls", "insecure"]) != Some(&Value::Bool(true)),
        };
        format!("{}://{rest}", if is_encrypted { "grpcs" } else { "grpc" })
    }
}
