//! Pages that are read as they are, for those who look whether something changed, and deliveries of the webhook.
//!
//! They go through the same client as everything else, so they cost the same budget; a page that has not changed costs
//! nothing.

use http::Method;
use http::header::ETAG;
use serde::Deserialize;
use serde_json::json;

use super::account::Account;
use super::client::{Asker, Call, Client, GRAPHQL, GitHubError, GitHubFault};
use crate::http::next_page;

/// A page as GitHub gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What its content is known by.
    pub tag: Option<String>,
    /// The address of the next page of the list.
    pub next: Option<String>,
    /// The content.
    pub body: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    id: u64,
}

impl Client {
    /// Reads the page at a route; nothing if there is none.
    pub fn page(&self, attempt: &str, asker: Asker, route: &str) -> Result<Option<Page>, GitHubError> {
        let call = Call { asker, ..Call::get(attempt, route) };
        let answer = match self.send(&call) {
            Err(GitHubError { fault: GitHubFault::NotFound, .. }) => return Ok(None),
            answer => answer?,
        };
        let tag = answer.text(ETAG.as_str()).map(str::to_owned);
        let next = next_page(&answer.headers).map(str::to_owned);
        Ok(Some(Page { tag, next, body: answer.body }))
    }

    /// Requests that GitHub sends something again. It is not repeated after a lost answer: it would be sent twice.
    pub fn send_again(&self, attempt: &str, asker: Asker, route: &str) -> Result<(), GitHubError> {
        let mut call = Call { asker, is_repeatable: false, ..Call::get(attempt, route) };
        call.method = Method::POST;
        self.run(&call)
    }

    /// Returns the number by which GitHub knows the repository.
    pub fn repository_id(&self) -> Result<u64, GitHubError> {
        let call = Call::get("find the repository", self.place().route(""));
        self.call::<Repository>(&call).map(|repository| repository.id)
    }
}

#[derive(Debug, Deserialize)]
struct Viewer {
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    viewer: Account,
}

impl Client {
    /// Returns the account that the token acts as. It is asked for once.
    pub(super) fn account(&self) -> Result<Account, GitHubError> {
        if let Some(account) = self.known_account() {
            return Ok(account);
        }
        let query = json!({ "query": "{viewer{login databaseId}}" });
        let call = Call::set("find out which account the token is of", Method::POST, GRAPHQL, &query);
        let account = self.call::<Viewer>(&call)?.data.viewer;
        self.remember_account(account.clone());
        Ok(account)
    }

    /// Returns whether the token is that of an App's installation, which alone may make check runs.
    pub(super) fn is_app(&self) -> Result<bool, GitHubError> {
        Ok(self.account()?.app().is_some())
    }
}
