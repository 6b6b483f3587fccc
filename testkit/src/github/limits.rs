//! How much a token may ask for: GitHub's primary limit and its secondary limits.
//!
//! The figures are those of "Rate limits for the REST API" in GitHub's documentation.

use crate::web::wire::{Reply, Request};

/// Requests an hour with a token.
pub const REQUESTS_AN_HOUR: u64 = 5_000;
/// Requests that create content, a minute.
pub const CONTENT_A_MINUTE: usize = 80;
/// Requests that create content, an hour.
pub const CONTENT_AN_HOUR: usize = 500;
/// Points a minute; reading costs one, writing five.
pub const POINTS_A_MINUTE: u64 = 900;

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;

/// What a token has spent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// Requests since the window began.
    pub used: u64,
    /// When the window ends.
    pub reset: u64,
    /// How many requests the window allows, if it is not the usual number.
    pub limit: Option<u64>,
    /// Each request's moment and points.
    points: Vec<(u64, u64)>,
    /// The moments of requests that created content.
    content: Vec<u64>,
}

impl Spending {
    /// Counts a request, or says that a limit is reached.
    pub fn spend(&mut self, request: &Request, now: u64) -> Result<(), Reply> {
        self.roll(now);
        if self.used >= self.limit() {
            let message = "API rate limit exceeded for user ID 1.";
            return Err(self.label(Reply::error(403, message)));
        }
        let (cost, is_content) = if request.is_read() { (1, false) } else { (5, request.method != "DELETE") };
        let points: u64 = self.points.iter().map(|(_, points)| points).sum();
        let in_minute = self.content.iter().filter(|at| **at + MINUTE > now).count();
        let is_full = is_content && (in_minute >= CONTENT_A_MINUTE || self.content.len() >= CONTENT_AN_HOUR);
        if is_full || points + cost > POINTS_A_MINUTE {
            return Err(self.label(secondary(Some(MINUTE))));
        }
        self.used += 1;
        self.points.push((now, cost));
        self.content.extend(is_content.then_some(now));
        Ok(())
    }

    /// Gives back what a reply of 304 does not cost.
    pub const fn refund(&mut self) {
        self.used = self.used.saturating_sub(1);
    }

    /// Returns a reply that also says what is left.
    #[must_use]
    pub fn label(&self, reply: Reply) -> Reply {
        reply
            .with("x-ratelimit-limit", &self.limit().to_string())
            .with("x-ratelimit-remaining", &self.limit().saturating_sub(self.used).to_string())
            .with("x-ratelimit-used", &self.used.to_string())
            .with("x-ratelimit-reset", &self.reset.to_string())
            .with("x-ratelimit-resource", "core")
    }

    /// Returns how many requests the window allows.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit.unwrap_or(REQUESTS_AN_HOUR)
    }

    /// Begins a new window when the old one is over.
    pub fn roll(&mut self, now: u64) {
        if now >= self.reset {
            (self.used, self.reset) = (0, now + HOUR);
        }
        self.points.retain(|(at, _)| at + MINUTE > now);
        self.content.retain(|at| at + HOUR > now);
    }
}

/// Returns the reply of the secondary limits; GitHub does not always tell how long to wait.
#[must_use]
pub fn secondary(retry_after: Option<u64>) -> Reply {
    let reply = Reply::error(
        403,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    );
    match retry_after {
        Some(seconds) => reply.with("retry-after", &seconds.to_string()),
        None => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str) -> Request {
        Request { method: method.into(), ..Request::default() }
    }

    #[test]
    fn the_eighty_first_piece_of_content_in_a_minute_is_refused() {
        let mut spending = Spending::default();
        for _ in 0..CONTENT_A_MINUTE {
            spending.spend(&request("POST"), 1_000).unwrap();
        }
        let refused = spending.spend(&request("POST"), 1_059).unwrap_err();
        assert_eq!(refused.headers["retry-after"], "60");
        spending.spend(&request("GET"), 1_059).unwrap();
        spending.spend(&request("POST"), 1_060).unwrap();
    }

    #[test]
    fn an_hours_requests_are_counted_and_given_anew() {
        let mut spending = Spending { limit: Some(2), ..Spending::default() };
        spending.spend(&request("GET"), 0).unwrap();
        spending.refund();
        spending.spend(&request("GET"), 1).unwrap();
        spending.spend(&request("GET"), 2).unwrap();
        let refused = spending.spend(&request("GET"), 3).unwrap_err();
        assert_eq!((refused.status, refused.headers["x-ratelimit-remaining"].as_str()), (403, "0"));
        spending.spend(&request("GET"), 3_600).unwrap();
    }
}
