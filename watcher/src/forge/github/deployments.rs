//! Deployments on GitHub: one for each revision and environment, however often it is begun.

use http::Method;
use renderer::visible::visible;
use serde_json::json;

use super::client::Call;
use super::{GitHubForge, STATUS_DESCRIPTION_LIMIT, wire};
use crate::forge::{Deployment, DeploymentStatus, Deployments, ForgeError};
use crate::percent::encoded;

/// What kind of deployment it is: GitHub's own word for the usual one.
const TASK: &str = "deploy";

impl Deployments for GitHubForge<'_> {
    fn deployment(&self, deployment: &Deployment) -> Result<Option<u64>, ForgeError> {
        let Deployment { environment, revision, description } = deployment;
        // Nothing is merged for it, and what has to pass first is up to the base branch's rules.
        let new = json!({
            "ref": revision.to_string(), "task": TASK, "environment": environment, "description": cut(description),
            "auto_merge": false, "required_contexts": [],
        });
        let create = Call::create("create a deployment", self.route("/deployments"), &new);
        let made = self.find_or_make(|| self.known_deployment(deployment), || self.client.call(&create));
        Ok(Some(made?.0.id))
    }

    fn report_deployment(&self, number: u64, status: &DeploymentStatus) -> Result<(), ForgeError> {
        if self.is_reported(number, status)? {
            return Ok(());
        }
        let route = self.route(&format!("/deployments/{number}/statuses"));
        let mut body = json!({ "state": status.state.word(), "description": cut(&status.description) });
        for (key, url) in [("log_url", &status.log_url), ("environment_url", &status.environment_url)] {
            if let Some(url) = url {
                body[key] = url.as_str().into();
            }
        }
        Ok(self.client.run(&Call::set("report on a deployment", Method::POST, route, &body))?)
    }
}

impl GitHubForge<'_> {
    /// Returns the newest deployment of a revision to an environment, whoever made it: a workflow and the service report on
    /// one.
    fn known_deployment(&self, of: &Deployment) -> Result<Option<wire::Deployment>, ForgeError> {
        let environment = encoded(&of.environment);
        let route = self.route(&format!(
            "/deployments?sha={}&task={TASK}&environment={environment}&per_page=100",
            of.revision
        ));
        let mut found: Vec<wire::Deployment> = self.client.list(Call::get("find a deployment", route))?;
        found.retain(|found| found.sha == of.revision && found.environment == of.environment);
        Ok(found.into_iter().next())
    }

    /// Returns whether the newest report on a deployment is this one.
    fn is_reported(&self, number: u64, status: &DeploymentStatus) -> Result<bool, ForgeError> {
        let route = self.route(&format!("/deployments/{number}/statuses?per_page=1"));
        let call = Call::get("read how a deployment stands", route);
        let newest = self.client.call::<Vec<wire::DeploymentStatus>>(&call)?.into_iter().next();
        Ok(newest.is_some_and(|newest| {
            (newest.state.as_str(), newest.description) == (status.state.word(), cut(&status.description))
        }))
    }
}

fn cut(description: &str) -> String {
    visible(description).chars().take(STATUS_DESCRIPTION_LIMIT).collect()
}
