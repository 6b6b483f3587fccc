//! A look at GitHub that costs next to nothing: whether pages changed, not what is on them.
//!
//! GitHub answers a request that carries the page's last `ETag` with 304 if nothing changed, and such an answer is not
//! counted against the rate limit of an authenticated client (GitHub Docs, "Best practices for using the REST API",
//! "Use conditional requests"). The look is made for [`poll`](crate::events::poll::poll).

use http::header::ETAG;

use super::client::{Call, Client, GitHubError, GitHubFaultKind};
use crate::percent::encoded;
use crate::repository_name::RepositoryName;

/// What the content of a page is known by: its `ETag`, or the content itself where GitHub gives none. Nothing
/// if there is no such page, as while the base branch is being renamed.
pub type Mark = Option<Vec<u8>>;

impl Client {
    /// Looks at the pages that show every change which the webhook delivers.
    pub fn look(&self, base: &str) -> Result<Vec<Mark>, GitHubError> {
        routes(&self.place().name, base).iter().map(|route| self.mark(route)).collect()
    }

    fn mark(&self, route: &str) -> Result<Mark, GitHubError> {
        match self.send(&Call::get("look whether something changed", route)) {
            Err(error) if error.is(GitHubFaultKind::NotFound) => Ok(None),
            answer => answer.map(|answer| {
                let tag = answer.text(ETAG.as_str()).map(|tag| tag.as_bytes().to_vec());
                Some(tag.unwrap_or(answer.body))
            }),
        }
    }
}

/// Returns the routes of the tip and the protection of the base branch, and of the open pull requests with their tips,
/// labels and texts, the ones that changed last first.
fn routes(repository: &RepositoryName, base: &str) -> [String; 2] {
    let base = encoded(base);
    [
        format!("/repos/{repository}/branches/{base}"),
        format!("/repos/{repository}/pulls?state=open&sort=updated&direction=desc&per_page=100"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_name_stays_one_part_of_the_route() {
        let routes_of = |base: &str| routes(&"acme/fleet".parse().unwrap(), base);
        assert_eq!(routes_of("main")[0], "/repos/acme/fleet/branches/main");
        assert_eq!(
            routes_of("release/1.x?&#é")[0],
            "/repos/acme/fleet/branches/release%2F1.x%3F%26%23%C3%A9"
        );
    }
}
