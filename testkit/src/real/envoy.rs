//! Envoy with the configuration that the platform renders, in the place of a pod.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::ENVOY;
use super::client::{answers, exposed};
use super::process::{Folder, Process, arguments, free_ports};

/// Where a pod has its configuration, and its certificate.
const POD_CONFIGURATION: &str = "/etc/envoy";
const POD_CERTIFICATE: &str = "/etc/envoy-tls";

/// A running Envoy; it stops when it is dropped.
pub struct Envoy {
    _process: Process,
    folder: Folder,
    places: Places,
}

/// What differs from the pod.
struct Places {
    certificate: PathBuf,
    listen: SocketAddr,
    backends: Vec<(String, SocketAddr)>,
    metrics: u16,
    admin: u16,
}

impl Envoy {
    /// Runs what a `ConfigMap` describes, with a certificate from a folder, at an address; what it passes on goes to the
    /// addresses that are named as the configuration names them.
    pub fn start(
        configuration: &Value,
        certificate: &Path,
        listen: SocketAddr,
        backends: &[(&str, SocketAddr)],
    ) -> Result<Self> {
        let [metrics, admin] = free_ports()?;
        let backends = backends.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
        let places = Places { certificate: certificate.to_owned(), listen, backends, metrics, admin };
        let folder = Folder::new()?;
        places.write(configuration, folder.path())?;
        let arguments = arguments(["-c", "envoy.yaml", "--disable-hot-restart", "--concurrency", "2"]);
        let mut process = Process::start("envoy", &ENVOY.binary("envoy")?, arguments, [], folder.path())?;
        process.wait_until("Envoy was ready", || answers(&format!("http://127.0.0.1:{metrics}/ready")))?;
        Ok(Self { _process: process, folder, places })
    }

    /// Gives it another configuration while it runs.
    pub fn change(&self, configuration: &Value) -> Result<()> {
        self.places.write(configuration, self.folder.path())
    }

    /// Returns the names of the series that it exposes.
    pub fn exposed(&self) -> Result<BTreeSet<String>> {
        exposed(&format!("http://127.0.0.1:{}/stats/prometheus", self.places.metrics))
    }

    /// Returns what it has logged.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(self.folder.path().join("envoy.log")).context("failed to read the log")
    }
}

impl Places {
    /// Writes each file beside its place and moves it there, as Envoy expects of what changes.
    fn write(&self, configuration: &Value, folder: &Path) -> Result<()> {
        let files = configuration["data"].as_object().context("there is no `data`")?;
        for (name, text) in files {
            let text = text.as_str().unwrap_or_default();
            let text = text.replace(POD_CERTIFICATE, &self.certificate.display().to_string());
            let text = text.replace(POD_CONFIGURATION, &folder.display().to_string());
            let mut document: Value = serde_yaml::from_str(&text)?;
            self.place(&mut document);
            let next = folder.join(format!("{name}.next"));
            fs::write(&next, document.to_string())?;
            fs::rename(next, folder.join(name))?;
        }
        Ok(())
    }

    fn place(&self, document: &mut Value) {
        if let Some(admin) = document.pointer_mut("/admin/address") {
            *admin = socket(SocketAddr::from(([127, 0, 0, 1], self.admin)));
        }
        let resources = document.get_mut("resources").and_then(Value::as_array_mut);
        for resource in resources.into_iter().flatten() {
            let own = |port| SocketAddr::from(([127, 0, 0, 1], port));
            let name = resource["name"].as_str().unwrap_or_default().to_owned();
            if let Some(address) = resource.pointer_mut("/address") {
                *address = socket(if name == "metrics" { own(self.metrics) } else { self.listen });
            }
            let endpoint = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
            if let Some(address) = resource.pointer_mut(endpoint) {
                let backend = self.backends.iter().find(|(of, _)| *of == name);
                // Nothing listens where nothing is to be passed on to.
                let backend = backend.map_or(own(9), |(_, address)| *address);
                *address = socket(if name == "admin" { own(self.admin) } else { backend });
            }
        }
    }
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}
