//! Where a deployment is reported: on the forge, in Slack, and in the summary of a workflow. What does not arrive there is a
//! warning.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

use tokio::task::block_in_place;
use tracing::warn;

use super::actions::Actions;
use super::outcome::Outcome;
use super::page;
use super::subject::Subject;
use crate::error::CommandError;
use crate::forge::{Deployment, DeploymentStatus, Forge};
use crate::notify::Threads;

/// Where a deployment is reported.
pub struct Reports<'a> {
    forge: &'a dyn Forge,
    actions: &'a Actions,
    subject: &'a Subject,
    environment_url: Option<&'a str>,
    deployment: Option<u64>,
    threads: Threads,
}

impl<'a> Reports<'a> {
    /// Reports that a deployment begins.
    pub fn begin(
        (forge, threads): (&'a dyn Forge, Threads),
        (actions, subject): (&'a Actions, &'a Subject),
        environment_url: Option<&'a str>,
    ) -> Self {
        let mut reports = Self { forge, actions, subject, environment_url, deployment: None, threads };
        block_in_place(|| {
            let deployment = Deployment {
                environment: subject.group.clone(),
                revision: subject.revision,
                description: subject.title.clone(),
            };
            let made = forge.deployment(&deployment);
            reports.deployment = made.unwrap_or_else(|error| {
                warn!(hint = error.hint(), "the deployment is not recorded: {error}");
                None
            });
            reports.report(&page::begun(subject));
            reports.threads.begin(&page::opening(subject, actions));
        });
        reports
    }

    /// Reports what became of it.
    pub fn end(&self, result: &Result<Outcome, CommandError>) {
        let Self { subject, actions, .. } = self;
        block_in_place(|| {
            self.report(&page::ended(result, subject));
            self.threads.end(&page::closing(result, subject, actions), &page::result(result, subject));
            if let Some(file) = &actions.summary
                && let Err(error) = append(file, &page::summary(result, subject, actions, SystemTime::now()))
            {
                warn!(%error, "the summary was not written to `{}`", file.display());
            }
        });
    }

    fn report(&self, (state, description): &page::Standing) {
        let Some(number) = self.deployment else { return };
        let status = DeploymentStatus {
            state: *state,
            description: description.clone(),
            log_url: self.actions.run_url(),
            environment_url: self.environment_url.map(str::to_owned),
        };
        if let Err(error) = self.forge.report_deployment(number, &status) {
            warn!(hint = error.hint(), "how the deployment stands is not recorded: {error}");
        }
    }
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(file)?.write_all(text.as_bytes())
}
