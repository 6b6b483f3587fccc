//! Prometheus as it runs for the values of the chart `kube-prometheus-stack`: the real operator makes its
//! configuration and its command line, and the real Prometheus runs with them in the place of the pod.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

use super::api_server::ApiServer;
use super::client::{Client, answers, exposed, fetch};
use super::process::{Folder, Process, arguments, free_ports, wait_until};
use super::{PROMETHEUS, definitions};

/// How long the operator may take for one object.
const PATIENCE: Duration = Duration::from_mins(1);
/// Where the pod has its configuration, and its data.
const POD_CONFIGURATION: &str = "/etc/prometheus";
const POD_DATA: &str = "=/prometheus";

/// The operator at work on a cluster; it stops when it is dropped.
pub struct PrometheusOperator<'s> {
    server: &'s ApiServer,
    _process: Process,
}

/// A running Prometheus; it stops when it is dropped.
pub struct Prometheus {
    process: RefCell<Process>,
    url: String,
    _folder: Folder,
}

impl<'s> PrometheusOperator<'s> {
    /// Starts it, and makes the kinds of objects known that it works on.
    pub fn start(server: &'s ApiServer) -> Result<Self> {
        let is_own = |definition: &Value| definition["spec"]["group"] == "monitoring.coreos.com";
        server.client().define(&definitions()?.into_iter().filter(is_own).collect::<Vec<_>>())?;
        let [port] = free_ports()?;
        let process = Process::start(
            "prometheus-operator",
            &PROMETHEUS.binary("prometheus-operator")?,
            arguments([&format!("--web.listen-address=127.0.0.1:{port}")]),
            [("KUBECONFIG", server.kubeconfig().into())],
            server.folder(),
        )?;
        Ok(Self { server, _process: process })
    }

    /// Runs the Prometheus that the chart makes of these values, in a namespace, at some addresses of this machine.
    pub fn run(&self, values: &Value, namespace: &str, listen: &[SocketAddr]) -> Result<Prometheus> {
        let client = self.server.client();
        let object = object_of(values)?;
        client.apply(&object, namespace)?;
        let name = format!("{}-{}", prefix(&object), text(&object, "/metadata/name")?);
        let made = made(client, namespace, &name)?;
        let folder = Folder::new()?;
        let configuration = folder.path().join("configuration");
        made.write(&configuration)?;
        let mut arguments = made.arguments(&configuration, &folder.path().join("data"));
        arguments.extend(listen.iter().map(|address| format!("--web.listen-address={address}")));
        let program = PROMETHEUS.binary("prometheus")?;
        let mut process = Process::start("prometheus", &program, arguments, [], folder.path())?;
        let url = format!("http://{}", listen.first().context("it listens nowhere")?);
        process.wait_until("Prometheus was ready", || answers(&format!("{url}/-/ready")))?;
        Ok(Prometheus { process: RefCell::new(process), url, _folder: folder })
    }
}

impl Prometheus {
    /// Returns what it answers to a path of its API.
    pub fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        fetch(&format!("{}/api/v1/{path}", self.url), query)
    }

    /// Returns the value of each series that a query selects now.
    pub fn query(&self, query: &str) -> Result<Vec<f64>> {
        let answer = self.ask("query", &[("query", query)])?;
        ensure!(answer["status"] == "success", "{answer}");
        let found = answer.pointer("/data/result").and_then(Value::as_array).into_iter().flatten();
        found.map(|series| Ok(text(series, "/value/1")?.parse()?)).collect()
    }

    /// Returns the names of the series that it exposes.
    pub fn exposed(&self) -> Result<BTreeSet<String>> {
        exposed(&format!("{}/metrics", self.url))
    }

    /// Returns the names of the series that a query reads.
    pub fn series_of(&self, query: &str) -> Result<BTreeSet<String>> {
        let answer = self.ask("parse_query", &[("query", query)])?;
        ensure!(answer["status"] == "success", "`{query}`: {answer}");
        let mut names = BTreeSet::new();
        read_names(&answer["data"], &mut names);
        Ok(names)
    }

    /// Kills it; what it knows stays on its disk.
    pub fn kill(&self) -> Result<()> {
        self.process.borrow_mut().kill()
    }

    /// Starts it again after it was killed.
    pub fn start_again(&self) -> Result<()> {
        let mut process = self.process.borrow_mut();
        process.start_again()?;
        process.wait_until("Prometheus was ready again", || answers(&format!("{}/-/ready", self.url)))
    }
}

/// Collects the names of all selectors in a parsed query.
fn read_names(node: &Value, names: &mut BTreeSet<String>) {
    match node {
        Value::Object(fields) => {
            if matches!(node["type"].as_str(), Some("vectorSelector" | "matrixSelector")) {
                names.extend(node["name"].as_str().map(str::to_owned));
            }
            fields.values().for_each(|value| read_names(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| read_names(item, names)),
        _ => {}
    }
}

/// What the operator makes of an object.
struct Made {
    configuration: String,
    web: Vec<u8>,
    /// Files of rules by the name of their `ConfigMap` and their own.
    rules: Vec<(String, String, String)>,
    arguments: Vec<String>,
}

impl Made {
    /// Writes what the pod would find below its folder for configuration.
    fn write(&self, folder: &Path) -> Result<()> {
        for (name, file, rules) in &self.rules {
            let folder = folder.join("rules").join(name);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(file), rules)?;
        }
        for (name, content) in [
            ("config_out/prometheus.env.yaml", self.in_place(folder)),
            ("web_config/web-config.yaml", self.web.clone()),
        ] {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().context("a file has a folder")?)?;
            fs::write(path, content)?;
        }
        Ok(())
    }

    /// The configuration with what the reloader of the pod fills in.
    fn in_place(&self, folder: &Path) -> Vec<u8> {
        let folder = folder.display().to_string();
        let text = self.configuration.replace(POD_CONFIGURATION, &folder);
        text.replace("$(POD_NAME)", "prometheus-0").replace("$(SHARD)", "0").into_bytes()
    }

    fn arguments(&self, configuration: &Path, data: &Path) -> Vec<String> {
        let (configuration, data) = (configuration.display().to_string(), format!("={}", data.display()));
        let own =
            |argument: &String| argument.replace(POD_CONFIGURATION, &configuration).replace(POD_DATA, &data);
        self.arguments.iter().map(own).collect()
    }
}

/// Returns the object that the chart makes of values: its fields are the chart's, but for the names of a few.
fn object_of(values: &Value) -> Result<Value> {
    let prometheus = &values["prometheus"];
    let mut spec = Map::from_iter([("replicas".to_owned(), json!(1))]);
    for (key, value) in prometheus["prometheusSpec"].as_object().context("there is no `prometheusSpec`")? {
        if let Some(kind) = key.strip_suffix("SelectorNilUsesHelmValues") {
            ensure!(*value == false, "`{key}` would select by a label of the chart");
            spec.insert(format!("{kind}Selector"), json!({}));
            spec.insert(format!("{kind}NamespaceSelector"), json!({}));
        } else if let Some(name) = key.strip_suffix("Clear") {
            spec.insert(name.to_owned(), json!(""));
        } else {
            let key = if key == "storageSpec" { "storage" } else { key };
            spec.insert(key.to_owned(), value.clone());
        }
    }
    let (version, kind) =
        if prometheus["agentMode"] == true { ("v1alpha1", "PrometheusAgent") } else { ("v1", "Prometheus") };
    Ok(json!({
        "apiVersion": format!("monitoring.coreos.com/{version}"),
        "kind": kind,
        "metadata": {"name": text(values, "/fullnameOverride")?},
        "spec": spec,
    }))
}

/// How the names begin that the operator gives.
fn prefix(object: &Value) -> &'static str {
    if object["kind"] == "PrometheusAgent" { "prom-agent" } else { "prometheus" }
}

/// Waits for what the operator makes.
fn made(client: &Client, namespace: &str, name: &str) -> Result<Made> {
    let place = format!("/api/v1/namespaces/{namespace}");
    let set = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}");
    let what = format!("the operator made `{name}`");
    wait_until(PATIENCE, &what, || Ok(client.get(&set).is_ok()))?;
    let set = client.get(&set)?;
    let containers = set.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let container = containers.into_iter().flatten().find(|one| one["name"] == "prometheus");
    let arguments = container.and_then(|one| one["args"].as_array()).context("there is no command line")?;
    let arguments = arguments.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let secret = |name: &str, key: &str| -> Result<Vec<u8>> {
        let secret = client.get(&format!("{place}/secrets/{name}"))?;
        Ok(STANDARD.decode(secret["data"][key].as_str().with_context(|| format!("there is no `{key}`"))?)?)
    };
    let mut configuration = String::new();
    GzDecoder::new(&secret(name, "prometheus.yaml.gz")?[..]).read_to_string(&mut configuration)?;
    let web = secret(&format!("{name}-web-config"), "web-config.yaml")?;
    let mut rules = Vec::new();
    for map in client.list("v1", "ConfigMap")? {
        let of = text(&map, "/metadata/name")?;
        if !of.starts_with(&format!("{name}-rulefiles-")) {
            continue;
        }
        for (file, text) in map["data"].as_object().into_iter().flatten() {
            rules.push((of.to_owned(), file.clone(), text.as_str().unwrap_or_default().to_owned()));
        }
    }
    Ok(Made { configuration, web, rules, arguments })
}

fn text<'v>(value: &'v Value, pointer: &str) -> Result<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("there is no `{pointer}`"))
}
