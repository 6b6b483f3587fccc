//! Vault is made ready for the job that configures it, and the job is run once.

use std::collections::BTreeMap;

use http::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::step::Step;
use super::vault::Vault;
use super::waiting::Waiting;
use crate::cluster::{Client, ClusterError, ClusterErrorKind};
use crate::error::CommandError;
use crate::vault::{Bootstrap, Write};

const BATCH: &str = "batch/v1";

/// What is needed to make Vault ready.
pub struct Bootstrapping<'a> {
    /// The hub.
    pub hub: &'a Client,
    /// What is rendered for it.
    pub bootstrap: &'a Bootstrap,
    /// The token for Vault.
    pub token: &'a SecretString,
    /// Whether nothing is changed.
    pub is_dry: bool,
    /// How long it waits.
    pub waiting: Waiting<'a>,
}

impl Bootstrapping<'_> {
    /// Writes what is not there yet, and then runs the job, also if one has just run; `log` is given what the job writes.
    /// `number` is different for each run, and has at most ten digits.
    pub async fn run(
        &self,
        number: u64,
        mut show: impl FnMut(&Step),
        log: impl FnOnce(&str),
    ) -> Result<Vec<Step>, CommandError> {
        let mut steps = Vec::new();
        let mut done = |what: String, changed: bool| {
            let step = Step { what, changed };
            show(&step);
            steps.push(step);
        };
        let find = async || Vault::find(self.hub, &self.bootstrap.store).await.map(Some);
        let vault = self.waiting.until(("Vault", self.hub.place(), ""), find).await?;
        for write in &self.bootstrap.writes {
            let is_missing = self.write(&vault, write).await?;
            done(format!("`{}` in Vault", write.path), is_missing);
        }
        let job = &self.bootstrap.job;
        if self.is_dry {
            done(format!("Job of CronJob `{job}`"), true);
        } else {
            let name = format!("{}-{number}", job.name);
            self.run_job(&name, log).await?;
            done(format!("Job `{}/{name}`, which is complete", job.namespace), true);
        }
        Ok(steps)
    }

    /// Writes values, and returns whether they were not there.
    async fn write(&self, vault: &Vault<'_>, write: &Write) -> Result<bool, ClusterError> {
        let address = format!("v1/{}", write.path);
        let pod = vault.active().await?;
        let (code, read) = vault.ask(pod, (Method::GET, &address), Some(self.token), None).await?;
        // Of what is not there Vault says 400 or 404.
        if ![200, 400, 404].contains(&code) {
            return Err(vault.refused("read", &address, code, &read));
        }
        if code == 200 && write.is_in(&read) {
            return Ok(false);
        }
        if !self.is_dry {
            let body = Some(json!(write.values));
            let (code, answer) = vault.ask(pod, (Method::POST, &address), Some(self.token), body).await?;
            if code >= 300 {
                return Err(vault.refused("write", &address, code, &answer));
            }
        }
        Ok(true)
    }

    async fn run_job(&self, name: &str, log: impl FnOnce(&str)) -> Result<(), CommandError> {
        let (hub, at) = (self.hub.place(), self.address("cronjobs", &self.bootstrap.job.name));
        let hint = "Argo CD makes it: `fleetwright status` shows how far it is";
        let look = async || self.hub.at(&at).await;
        let job = self.waiting.until((&format!("`{at}` on the hub"), hub, hint), look).await?;
        // What runs already may have read something older.
        let idle = async || Ok((!self.is_running(&job).await?).then_some(()));
        let what = format!("end of the Job of CronJob `{}` that runs", self.bootstrap.job);
        self.waiting.until((&what, hub, "look at it with `kubectl get jobs`"), idle).await?;
        let at = self.address("jobs", name);
        self.hub.apply_at(&at, &job_of(&job, name)).await?;
        let ended = async || Ok(self.hub.at(&at).await?.as_ref().and_then(end));
        let what = format!("end of Job `{name}`");
        let is_complete =
            self.waiting.until((&what, hub, "look at its pods with `kubectl get pods`"), ended).await?;
        if let Some(text) = self.log(name).await? {
            log(&text);
        }
        if is_complete {
            return Ok(());
        }
        let message = format!("Job `{}/{name}` failed", self.bootstrap.job.namespace);
        Err(ClusterError::missing(&message, hub, "its log says why; run this again").into())
    }

    /// Returns whether a Job of the `CronJob` has not ended.
    async fn is_running(&self, job: &Value) -> Result<bool, ClusterError> {
        let namespace = Some(self.bootstrap.job.namespace.as_str());
        let jobs = self.hub.objects((BATCH, "Job"), namespace, &BTreeMap::new()).await?;
        let is_of = |it: &Value| {
            let owners = it["metadata"]["ownerReferences"].as_array().into_iter().flatten();
            owners.clone().any(|owner| owner["uid"] == job["metadata"]["uid"])
        };
        Ok(jobs.iter().any(|it| is_of(it) && end(it).is_none()))
    }

    /// Returns what the pods of a Job wrote, if it can be read.
    async fn log(&self, name: &str) -> Result<Option<String>, ClusterError> {
        let namespace = &self.bootstrap.job.namespace;
        let labels = BTreeMap::from([("batch.kubernetes.io/job-name".to_owned(), name.to_owned())]);
        let mut all = String::new();
        for pod in self.hub.objects(("v1", "Pod"), Some(namespace), &labels).await? {
            match self.hub.log(namespace, pod["metadata"]["name"].as_str().unwrap_or_default()).await {
                Ok(log) => all.push_str(&log),
                // The end counts; the log is on a node that may be away.
                Err(error) if error.kind == ClusterErrorKind::Forbidden => return Err(error),
                Err(_) => {}
            }
        }
        Ok(Some(all).filter(|all| !all.is_empty()))
    }

    fn address(&self, plural: &str, name: &str) -> String {
        format!("/apis/{BATCH}/namespaces/{}/{plural}/{name}", self.bootstrap.job.namespace)
    }
}

/// Returns the Job that a `CronJob` makes, as `kubectl create job --from` does: the `CronJob` removes it in time.
fn job_of(job: &Value, name: &str) -> Value {
    let (metadata, template) = (&job["metadata"], &job["spec"]["jobTemplate"]);
    let mut annotations = template["metadata"]["annotations"].clone();
    annotations["cronjob.kubernetes.io/instantiate"] = "manual".into();
    let owner = json!({
        "apiVersion": BATCH, "kind": "CronJob", "name": metadata["name"], "uid": metadata["uid"], "controller": true,
    });
    json!({
        "apiVersion": BATCH,
        "kind": "Job",
        "metadata": {
            "name": name, "namespace": metadata["namespace"], "labels": template["metadata"]["labels"],
            "annotations": annotations, "ownerReferences": [owner],
        },
        "spec": template["spec"],
    })
}

/// Returns whether a Job is complete, once it has ended.
fn end(job: &Value) -> Option<bool> {
    let conditions = job["status"]["conditions"].as_array()?;
    let is = |kind: &str| conditions.iter().any(|it| it["type"] == kind && it["status"] == "True");
    if is("Complete") { Some(true) } else { is("Failed").then_some(false) }
}
