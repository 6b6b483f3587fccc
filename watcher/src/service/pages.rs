//! The pages of the service: the fleet, and the review of each open pull request. They are read and change nothing.
//!
//! On loopback they are for the users of the machine; elsewhere each request has to have the token, as a proxy that lets
//! people log in adds it, or as the password of a browser's own question.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{self, AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use renderer::page::policy;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

use super::board::Board;
use crate::events::Monitor;
use crate::secrets::redacted;

/// The shortest token, in characters: shorter ones can be guessed.
pub const SHORTEST_TOKEN: usize = 16;

/// Returns what is left of the forge's limits.
pub(crate) type Budget = Box<dyn Fn() -> Vec<(&'static str, Option<u64>)> + Send + Sync>;

/// Who may read the pages.
#[derive(Debug)]
pub enum Guard {
    /// Whoever reaches an address of loopback by one of its own names: no page of another site does.
    Loopback,
    /// Whoever has the token.
    Token(Box<TokenDigest>),
}

/// What a token is recognized by, in constant time; it is no token.
#[derive(Debug)]
pub struct TokenDigest {
    key: hmac::Key,
    tag: hmac::Tag,
}

impl TokenDigest {
    /// Takes a token; nothing if it is too short.
    #[must_use]
    pub fn of(token: &SecretString) -> Option<Self> {
        let token = token.expose_secret().trim();
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"pages of the service");
        let tag = hmac::sign(&key, token.as_bytes());
        (token.len() >= SHORTEST_TOKEN).then_some(Self { key, tag })
    }

    fn is_of(&self, given: &[u8]) -> bool {
        hmac::verify(&self.key, given, self.tag.as_ref()).is_ok()
    }
}

impl Guard {
    fn allows(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::Loopback => headers.get(HOST).and_then(|host| host.to_str().ok()).is_some_and(is_loopback),
            Self::Token(token) => {
                let given = headers.get(AUTHORIZATION).and_then(|given| given.to_str().ok());
                given.and_then(token_of).is_some_and(|given| token.is_of(&given))
            }
        }
    }
}

/// Returns the token that a header has: as it is, or as a password.
fn token_of(header: &str) -> Option<Vec<u8>> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().as_bytes().to_vec());
    }
    let pair = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest.trim()).ok())??;
    let at = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[at + 1..].to_vec())
}

/// Returns whether a name of a host, with or without a port, can only be this machine's own.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

struct Pages {
    board: Board,
    monitor: Monitor,
    budget: Budget,
}

/// Returns the routes.
pub(super) fn router(board: Board, monitor: Monitor, budget: Budget, guard: Guard) -> Router {
    Router::new()
        .route("/", get(fleet))
        .route("/reviews/{of}", get(review))
        .with_state(Arc::new(Pages { board, monitor, budget }))
        .layer(middleware::from_fn_with_state(Arc::new(guard), admit))
}

async fn admit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if guard.allows(request.headers()) {
        return next.run(request).await;
    }
    match &*guard {
        Guard::Loopback => StatusCode::FORBIDDEN.into_response(),
        Guard::Token(_) => {
            let question = [(WWW_AUTHENTICATE, "Basic realm=\"Fleetwright\", charset=\"UTF-8\"")];
            (StatusCode::UNAUTHORIZED, question).into_response()
        }
    }
}

async fn fleet(State(pages): State<Arc<Pages>>) -> Response {
    answer(&pages.board.fleet(&pages.monitor, &(pages.budget)()))
}

async fn review(State(pages): State<Arc<Pages>>, Path(of): Path<String>) -> Response {
    match pages.board.review(&of) {
        Some(page) => answer(&page),
        None => (StatusCode::NOT_FOUND, "no open pull request of this number or group has a page\n")
            .into_response(),
    }
}

fn answer(page: &str) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, format!("{}; frame-ancestors 'none'", policy())),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, redacted(page).into_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(guard: &Guard, name: header::HeaderName, value: &str) -> bool {
        guard.allows(&HeaderMap::from_iter([(name, value.parse().unwrap())]))
    }

    #[test]
    fn on_loopback_only_its_own_names_are_answered() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("127.0.0.1:8080", true),
            ("127.1.2.3", true),
            ("[::1]:8080", true),
            ("", false),
            ("elsewhere.example", false),
            ("localhost.elsewhere.example:8080", false),
            ("127.0.0.1.elsewhere.example", false),
            ("192.168.64.2:8080", false),
        ] {
            assert_eq!(allows(&Guard::Loopback, HOST, host), expected, "{host}");
        }
        assert!(!Guard::Loopback.allows(&HeaderMap::new()));
    }

    #[test]
    fn elsewhere_the_token_is_asked_for_and_nothing_else_will_do() {
        let token = "a token of sixteen and more";
        let guard = Guard::Token(Box::new(TokenDigest::of(&token.into()).unwrap()));
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for (header, expected) in [
            (format!("Bearer {token}"), true),
            (format!("bearer {token}"), true),
            (basic(&format!("mia:{token}")), true),
            (basic(&format!(":{token}")), true),
            (basic(token), false),
            (basic("mia:"), false),
            (format!("Bearer {token}x"), false),
            (format!("Bearer {}", &token[1..]), false),
            (token.to_owned(), false),
            ("Bearer".to_owned(), false),
            ("Basic %%%".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(allows(&guard, AUTHORIZATION, &header), expected, "{header}");
        }
        assert!(!allows(&guard, HOST, "localhost"));
        assert!(TokenDigest::of(&"short".into()).is_none());
    }
}
