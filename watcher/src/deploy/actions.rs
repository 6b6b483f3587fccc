//! What a workflow of GitHub Actions knows of itself, by the variables that GitHub documents ("Variables reference").

use std::path::PathBuf;

use crate::forge::github::RepositoryPlace;
use crate::http::Url;

/// The workflow that runs this, as far as there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// The repository on GitHub.
    pub place: Option<RepositoryPlace>,
    /// Who started it.
    pub actor: Option<String>,
    /// Where the summary of the step goes.
    pub summary: Option<PathBuf>,
    /// The page of the repository.
    web: Option<String>,
    run: Option<String>,
}

impl Actions {
    /// Reads the variables; what is not set, or makes no sense, is not known.
    pub fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let name = set("GITHUB_REPOSITORY");
        let place = || {
            let api = Url::parse(&set("GITHUB_API_URL")?).ok()?;
            Some(RepositoryPlace { api, name: name.as_ref()?.parse().ok()? })
        };
        let server = set("GITHUB_SERVER_URL");
        Self {
            place: place(),
            actor: set("GITHUB_TRIGGERING_ACTOR").or_else(|| set("GITHUB_ACTOR")),
            summary: set("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            web: server.zip(name.as_ref()).map(|(server, name)| format!("{server}/{name}")),
            run: set("GITHUB_RUN_ID").filter(|id| id.bytes().all(|byte| byte.is_ascii_digit())),
        }
    }

    /// Returns what is known where no workflow runs this, of the repository with that page.
    pub(super) fn of_page(web: Option<String>) -> Self {
        Self { web, ..Self::default() }
    }

    /// Returns the page of the run.
    #[must_use]
    pub fn run_url(&self) -> Option<String> {
        Some(format!("{}/actions/runs/{}", self.web.as_ref()?, self.run.as_ref()?))
    }

    /// Returns the page of a commit.
    #[must_use]
    pub fn commit_url(&self, revision: &str) -> Option<String> {
        Some(format!("{}/commit/{revision}", self.web.as_ref()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_github_sets_is_read_and_nothing_is_needed() {
        let set = |name: &str| {
            let value = match name {
                "GITHUB_API_URL" => "https://api.github.com",
                "GITHUB_SERVER_URL" => "https://github.com",
                "GITHUB_REPOSITORY" => "acme/fleet",
                "GITHUB_RUN_ID" => "7",
                "GITHUB_ACTOR" => "ann",
                "GITHUB_STEP_SUMMARY" => "summary.md",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let actions = Actions::of_variables(set);
        assert_eq!(actions.place.as_ref().unwrap().to_string(), "acme/fleet");
        assert_eq!(actions.run_url().unwrap(), "https://github.com/acme/fleet/actions/runs/7");
        assert_eq!(actions.commit_url("a1").unwrap(), "https://github.com/acme/fleet/commit/a1");
        assert_eq!(actions.actor.as_deref(), Some("ann"));
        assert_eq!(Actions::of_variables(|_| None), Actions::default());
        let odd = Actions::of_variables(|name| set(name).map(|value| value.replace('7', "7 x")));
        assert_eq!(odd.run_url(), None);
    }
}
