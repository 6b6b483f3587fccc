//! A request to GitHub: what it is for, what it costs, and whether it may be repeated.

use http::Method;
use serde::Serialize;
use serde_json::Value;

use super::budget::Cost;
use super::error::{GitHubError, GitHubFault};
use super::harmless::make_harmless;

/// The route of GraphQL, which alone answers an App's installation who it is.
pub const GRAPHQL: &str = "/graphql";

/// Who a request comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asker {
    /// The account of the token: a person, or an App on one repository.
    #[default]
    Token,
    /// The App itself, for what is not about a repository.
    App,
}

/// A request.
#[derive(Debug)]
pub struct Call<'a> {
    /// What it is for, such as `open a pull request`.
    pub attempt: &'a str,
    pub method: Method,
    /// The route below the API's address.
    pub route: String,
    pub body: Option<Value>,
    /// Whether carrying it out twice does no more than once.
    pub is_repeatable: bool,
    pub asker: Asker,
}

impl<'a> Call<'a> {
    pub fn get(attempt: &'a str, route: impl Into<String>) -> Self {
        Self {
            attempt,
            method: Method::GET,
            route: route.into(),
            body: None,
            is_repeatable: true,
            asker: Asker::Token,
        }
    }

    /// A request that sets something to a value, so that doing it twice changes nothing more.
    pub fn set(attempt: &'a str, method: Method, route: impl Into<String>, body: &impl Serialize) -> Self {
        let mut body = serde_json::to_value(body).expect("what is sent has text as its keys");
        make_harmless(&mut body, "");
        Self { method, body: Some(body), ..Self::get(attempt, route) }
    }

    /// A request that makes something new each time.
    pub fn create(attempt: &'a str, route: impl Into<String>, body: &impl Serialize) -> Self {
        Self { is_repeatable: false, ..Self::set(attempt, Method::POST, route, body) }
    }

    pub fn cost(&self) -> Cost {
        if self.method == Method::GET || self.route == GRAPHQL { Cost::Read } else { Cost::Write }
    }

    pub fn failed(&self, fault: GitHubFault) -> GitHubError {
        GitHubError { attempt: self.attempt.to_owned(), fault }
    }
}
