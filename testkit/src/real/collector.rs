//! The OpenTelemetry collector, with what the platform configures and what its chart adds.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::COLLECTOR;
use super::client::{answers, exposed, post};
use super::process::{Folder, Process, arguments};

/// A running collector; it stops when it is dropped.
pub struct Collector {
    process: RefCell<Process>,
    pod: String,
    log: PathBuf,
    _folder: Folder,
}

impl Collector {
    /// Runs the collector that the chart `opentelemetry-collector` makes of these values, in the place of a pod with
    /// this address.
    pub fn start(values: &Value, pod: &str) -> Result<Self> {
        let folder = Folder::new()?;
        let mut configuration = defaults();
        merge(&mut configuration, &values["config"]);
        if let Some(storage) = configuration.pointer_mut("/extensions/file_storage") {
            let place = folder.path().join("queue");
            fs::create_dir(&place)?;
            // The folder of the node, which only its root may have.
            storage["directory"] = place.display().to_string().into();
            storage["compaction"]["directory"] = place.display().to_string().into();
        }
        fs::write(folder.path().join("relay.yaml"), configuration.to_string())?;
        let mut process = Process::start(
            "collector",
            &COLLECTOR.binary("otelcol")?,
            arguments(["--config=relay.yaml"]),
            [("MY_POD_IP", pod.into())],
            folder.path(),
        )?;
        process.wait_until("the collector was healthy", || is_healthy(pod))?;
        let log = folder.path().join("collector.log");
        Ok(Self { process: RefCell::new(process), pod: pod.to_owned(), log, _folder: folder })
    }

    /// Runs a collector that takes traces at an address, as the hub does, and writes them into its log.
    pub fn receiving(address: &str) -> Result<Self> {
        Self::taking("traces", address)
    }

    /// Runs a collector at an address that answers there, and takes no traces.
    pub fn refusing(address: &str) -> Result<Self> {
        Self::taking("logs", address)
    }

    fn taking(signal: &str, address: &str) -> Result<Self> {
        let pipelines = json!({"traces": null, "metrics": null, "logs": null, signal: {
            "receivers": ["otlp"], "exporters": ["debug"],
        }});
        let exporters = json!({"debug": {"verbosity": "detailed"}});
        Self::start(
            &json!({"config": {"service": {"pipelines": pipelines}, "exporters": exporters}}),
            address,
        )
    }

    /// Sends it traces as a workload does, in the JSON of OTLP.
    pub fn take(&self, traces: &Value) -> Result<()> {
        post(&format!("http://{}:4318/v1/traces", self.pod), traces)
    }

    /// Returns the names of the series that it exposes.
    pub fn exposed(&self) -> Result<BTreeSet<String>> {
        exposed(&format!("http://{}:8888/metrics", self.pod))
    }

    /// Returns what it has logged.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(&self.log).context("failed to read the log")
    }

    /// Kills it; what it has on its disk stays there.
    pub fn kill(&self) -> Result<()> {
        self.process.borrow_mut().kill()
    }

    /// Starts it again after it was killed.
    pub fn start_again(&self) -> Result<()> {
        let mut process = self.process.borrow_mut();
        process.start_again()?;
        process.wait_until("the collector was healthy again", || is_healthy(&self.pod))
    }
}

fn is_healthy(pod: &str) -> bool {
    answers(&format!("http://{pod}:13133/"))
}

/// What the chart configures by itself, as far as it concerns what is built in.
fn defaults() -> Value {
    let address = |port: u16| format!("${{env:MY_POD_IP}}:{port}");
    let metrics = json!({"pull": {"exporter": {"prometheus": {"host": "${env:MY_POD_IP}", "port": 8888}}}});
    let pipeline = json!({
        "receivers": ["otlp"], "processors": ["memory_limiter", "batch"], "exporters": ["debug"],
    });
    json!({
        "extensions": {"health_check": {"endpoint": address(13133)}},
        "receivers": {"otlp": {"protocols": {
            "grpc": {"endpoint": address(4317)},
            "http": {"endpoint": address(4318)},
        }}},
        "processors": {
            "batch": {},
            "memory_limiter": {"check_interval": "5s", "limit_percentage": 80, "spike_limit_percentage": 25},
        },
        "exporters": {"debug": {}},
        "service": {
            "extensions": ["health_check"],
            "telemetry": {"metrics": {"readers": [metrics]}},
            "pipelines": {"traces": pipeline.clone(), "metrics": pipeline.clone(), "logs": pipeline},
        },
    })
}

/// Merges values over others as Helm does: maps key by key, and what is null goes.
fn merge(into: &mut Value, over: &Value) {
    let Some(over) = over.as_object() else {
        *into = over.clone();
        return;
    };
    if !into.is_object() {
        *into = Map::new().into();
    }
    let Some(into) = into.as_object_mut() else { return };
    for (key, value) in over {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
