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
        let made = self.find_or_make(|| self.own_deployment(deployment), || self.client.call(&create));
        Ok(Some(made?.0.id))
    }

    fn report_deployment(&self, number: u64, status: &DeploymentStatus) -> Result<(), ForgeError> {
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
    /// Returns the newest deployment of a revision to an environment that our own account made.
    fn own_deployment(&self, of: &Deployment) -> Result<Option<wire::Deployment>, ForgeError> {
        let environment = encoded(&of.environment);
        let route = self.route(&format!(
            "/deployments?sha={}&task={TASK}&environment={environment}&per_page=100",
            of.revision
        ));
        let mut found: Vec<wire::Deployment> = self.client.list(Call::get("find a deployment", route))?;
        found.retain(|found| found.sha == of.revision && found.environment == of.environment);
        if found.is_empty() {
            return Ok(None);
        }
        let account = self.client.account()?;
        Ok(found.into_iter().find(|found| account.is(found.creator.as_ref())))
    }
}

fn cut(description: &str) -> String {
    visible(description).chars().take(STATUS_DESCRIPTION_LIMIT).collect()
}
