//! An answer of GitHub, and what it means: a success, a limit to wait for, or a fault.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{HeaderMap, LOCATION, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{GitHubFault, GitHubFaultKind};
use crate::forge::github::place::RepositoryPlace;
use crate::http::next_page;

/// An answer that came whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// A refusal because of a limit, with the moment to retry at if GitHub names one.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub until: Option<SystemTime>,
}

impl Answer {
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, GitHubFault> {
        serde_json::from_slice(&self.body).map_err(|error| GitHubFault::unreadable(&error.to_string()))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    fn reset(&self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.number("x-ratelimit-reset")?))
    }

    /// Returns how many requests are left of the primary limit, and when it begins again.
    pub fn primary(&self) -> Option<(u64, SystemTime)> {
        // GraphQL has a limit of its own.
        let is_core = self.text("x-ratelimit-resource").is_none_or(|resource| resource == "core");
        Some((self.number("x-ratelimit-remaining")?, self.reset()?)).filter(|_| is_core)
    }

    /// Returns the limit because of which GitHub refuses: with 403 or 429, and not always with headers.
    pub fn limit(&self, now: SystemTime) -> Option<Limit> {
        if !matches!(self.status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
            return None;
        }
        if let Some(seconds) = self.number(RETRY_AFTER.as_str()) {
            return Some(Limit { until: Some(now + Duration::from_secs(seconds)) });
        }
        if self.number("x-ratelimit-remaining") == Some(0) {
            return Some(Limit { until: self.reset() });
        }
        let message = self.message().to_lowercase();
        let is_limit = self.status == StatusCode::TOO_MANY_REQUESTS
            || message.contains("rate limit")
            || message.contains("abuse detection");
        is_limit.then_some(Limit { until: None })
    }

    /// Returns the answer if it is a success, or what its status means.
    pub fn success(self) -> Result<Self, GitHubFault> {
        use GitHubFaultKind::{Ambiguous, Invalid, NotFound, NotMergeable, Stalled};
        let status = self.status.as_u16();
        Err(match status {
            200..=299 | 304 => return Ok(self),
            301 | 302 | 307 | 308 => {
                let to = self.text(LOCATION.as_str()).unwrap_or("an address that it does not name");
                let message = format!("it has moved to `{}`", to.split('?').next().unwrap_or(to));
                let hint = "the repository was renamed or transferred: use its new address";
                GitHubFault::new(Stalled, message, hint)
            }
            401 => GitHubFault::unauthorized(),
            403 => {
                let usual = "contents, pull requests, checks and commit statuses, all read and write";
                let needed = self.text("x-accepted-github-permissions").unwrap_or(usual);
                let hint = format!("give the token or the app these permissions: {needed}");
                GitHubFault::new(Stalled, self.message(), hint)
            }
            404 | 410 => {
                let message = "there is no such thing, or the token does not see it";
                let hint = "check the name of the repository, and that the token or the app has access to it";
                GitHubFault::new(NotFound, message, hint)
            }
            405 | 409 => {
                let hint = "merge it by hand once its branch's rules are met";
                GitHubFault::new(NotMergeable, self.message(), hint)
            }
            400 | 422 => GitHubFault::without_hint(Invalid, self.messages()),
            500..=599 => GitHubFault::without_hint(Ambiguous, format!("it answered with status {status}")),
            _ => GitHubFault::unreadable(&format!("status {status}: {}", self.message())),
        })
    }

    fn message(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let message = body.get("message").and_then(Value::as_str).unwrap_or("it gives no reason");
        message.trim_end_matches('.').to_owned()
    }

    /// Returns the errors that the answer lists, or else its message.
    fn messages(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let errors = body.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |error: &Value| {
            let field = |key: &str| error.get(key).and_then(Value::as_str);
            let message = field("message").or_else(|| error.as_str()).map(str::to_owned);
            message.unwrap_or_else(|| {
                format!("{} `{}`", field("code").unwrap_or("invalid"), field("field").unwrap_or("?"))
            })
        };
        let messages: Vec<String> = errors.iter().map(text).collect();
        if messages.is_empty() { self.message() } else { messages.join("; ") }
    }

    /// Returns the route of the next page, if it is below the same address.
    pub fn next_page(&self, place: &RepositoryPlace) -> Option<String> {
        let below = next_page(&self.headers)?.strip_prefix(&place.api.to_string())?;
        below.starts_with('/').then(|| below.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use http::header::LINK;

    use super::*;

    #[test]
    fn a_list_goes_on_below_the_same_address_alone() {
        let place = RepositoryPlace::of_remote("https://github.com/acme/fleet").unwrap();
        let table = [
            (
                r#"<https://api.github.com/x?per_page=100&cursor=v1_12>; rel="next""#,
                Some("/x?per_page=100&cursor=v1_12"),
            ),
            (r#"<https://api.github.com/x?cursor=v1_12>; rel="prev""#, None),
            (r#"<https://a.example/x?per_page=100&cursor=v1_12>; rel="next""#, None),
            (r#"<https://api.github.com.a.example/x?cursor=v1_12>; rel="next""#, None),
            ("nonsense", None),
        ];
        for (link, route) in table {
            let headers = HeaderMap::from_iter([(LINK, link.parse().unwrap())]);
            let answer = Answer { status: StatusCode::OK, headers, body: Vec::new() };
            assert_eq!(answer.next_page(&place).as_deref(), route, "{link}");
        }
    }
}
