//! Which Argo CD is asked, and about which revision: the arguments of the commands that look at clusters.

use std::time::Duration;

use renderer::root::APPLICATIONS;

use crate::argocd::DesiredFleet;
use crate::cluster::Client;
use crate::error::CommandError;
use crate::git::{Revision, Upstream};
use crate::live;
use crate::run::fleet_at;

use super::global::Global;
use super::remote::RemoteArgs;

/// How long the hub may send nothing to a command that does not wait.
pub(in crate::cli) const LONGEST_SILENCE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct HubArgs {
    /// Ask the Argo CD of this context of the kubeconfig; the default is the current context, or in a pod the cluster
    /// that it is in.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Compare with this revision; the default is the tip of the branch that Argo CD reads.
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// A revision, and what it asks for.
pub(in crate::cli) struct Target {
    pub upstream: Upstream,
    pub revision: Revision,
    pub fleet: DesiredFleet,
}

impl HubArgs {
    /// Reads the revision and what it asks for.
    pub(in crate::cli) fn target(&self, global: &Global) -> Result<Target, CommandError> {
        let upstream = self.remote.open(global)?;
        upstream.fetch()?;
        let revision = match &self.revision {
            Some(name) => named(&upstream, name)?,
            None => tip(&upstream)?,
        };
        let fleet = live::desired(upstream.repository(), revision)?;
        if fleet.hubs.iter().all(|hub| hub.applications.is_empty()) {
            let message = format!("there are no Applications below `{APPLICATIONS}` at {}", revision.short());
            return Err(CommandError::usage(
                message,
                "name a revision after the first rendered files were merged",
            ));
        }
        Ok(Target { upstream, revision, fleet })
    }

    /// Returns the cluster that Argo CD runs on.
    pub(in crate::cli) async fn client(&self) -> Result<Client, CommandError> {
        Ok(Client::connect(self.context.as_deref()).await?)
    }

    /// Returns the same if it answers: a command that does not wait asks once.
    pub(in crate::cli) async fn answering(&self) -> Result<Client, CommandError> {
        let client = self.client().await?;
        client.answers().await?;
        Ok(client)
    }
}

/// Returns the revision of a branch of the upstream, or of anything else that names one.
fn named(upstream: &Upstream, name: &str) -> Result<Revision, CommandError> {
    match upstream.branch(name) {
        Ok(Some(revision)) => Ok(revision),
        _ => Ok(upstream.repository().resolve(name)?),
    }
}

/// Returns the tip of the branch that Argo CD reads, as the sources name it on the branch that is worked on.
fn tip(upstream: &Upstream) -> Result<Revision, CommandError> {
    let head = match upstream.head_branch() {
        Ok(branch) => upstream.existing_branch(&branch)?,
        Err(_) => upstream.repository().resolve("HEAD")?,
    };
    let fleet = fleet_at(upstream.repository(), head)?;
    match fleet.map(|fleet| fleet.repository.branch).filter(|branch| !branch.is_empty()) {
        Some(branch) => Ok(upstream.existing_branch(&branch)?),
        None => Ok(head),
    }
}

/// Reads a span of time.
pub(in crate::cli) fn time(text: &str) -> Result<Duration, String> {
    let span = text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
    span.ok_or_else(|| "write a number and a unit, such as `90s`, `10m` or `1h`".to_owned())
}
