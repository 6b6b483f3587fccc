//! The page on this machine that takes a person to GitHub, and receives the code that comes back.
//!
//! It is served on loopback alone. A code counts only with the `state` that this page gave out, so that no other page
//! can hand in the code of another App.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, HOST};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use renderer::visible::visible;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::AppManifest;
use crate::output::metrics::Metrics;
use crate::server::{Limits, ListenError, Server};

/// Where GitHub sends the browser back to.
const BACK: &str = "/registered";
/// Enough that no other page can guess it.
const STATE_BYTES: usize = 16;
/// A browser sends its request at once, and keeps spare connections open that carry none.
const LIMITS: Limits = Limits { connections: 64, connection_time: Duration::from_secs(30) };

/// A page on this machine that has its address and is not shown yet.
#[derive(Debug)]
pub struct RegistrationPage {
    server: Server,
    state: String,
}

/// What a request is answered from.
struct Shown {
    page: String,
    policy: HeaderValue,
    host: String,
    state: String,
    codes: mpsc::Sender<String>,
}

/// What GitHub adds to the address that it sends the browser back to.
#[derive(Deserialize)]
struct Returned {
    code: Option<String>,
    state: Option<String>,
}

impl RegistrationPage {
    /// Takes a port of this machine; 0 lets the system choose.
    pub async fn bind(port: u16) -> Result<Self, ListenError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let server = Server::bind(address, LIMITS).await?;
        let mut state = [0; STATE_BYTES];
        let random = SystemRandom::new().fill(&mut state);
        random.map_err(|_| ListenError {
            address,
            source: io::Error::other("the system gives no random numbers"),
        })?;
        Ok(Self { server, state: BASE64_URL_SAFE_NO_PAD.encode(state) })
    }

    /// Returns the address of the page.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}/", self.server.address())
    }

    /// Shows the page until GitHub sends the browser back, and returns the code.
    pub async fn wait_for_code(self, manifest: &AppManifest) -> Option<String> {
        let (codes, mut received) = mpsc::channel(1);
        let host = self.server.address().to_string();
        let policy =
            format!("default-src 'none'; form-action {}; frame-ancestors 'none'", manifest.github.origin());
        let shown = Arc::new(Shown {
            page: page(manifest, &self.state, &format!("http://{host}{BACK}")),
            policy: policy.parse().expect("an origin and constants make a valid header"),
            host,
            state: self.state,
            codes,
        });
        let mut code = None;
        let stop = async { code = received.recv().await };
        self.server.serve(routes(shown), &Metrics::new(), stop).await;
        code
    }
}

fn routes(shown: Arc<Shown>) -> Router {
    let index = async |State(shown): State<Arc<Shown>>| Html(shown.page.clone());
    Router::new()
        .route("/", get(index))
        .route(BACK, get(receive))
        .fallback(async || (StatusCode::NOT_FOUND, message("There is nothing here.")))
        .layer(middleware::from_fn_with_state(Arc::clone(&shown), guard))
        .with_state(shown)
}

/// Refuses requests for other hosts, and keeps every page from showing or sending anything but what it is for.
async fn guard(State(shown): State<Arc<Shown>>, request: Request, next: Next) -> Response {
    let mut response = match request.headers().get(HOST) {
        // A page elsewhere whose name was made to lead here must not read the state.
        Some(host) if host == shown.host.as_str() => next.run(request).await,
        _ => StatusCode::NOT_FOUND.into_response(),
    };
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, shown.policy.clone());
    response
}

async fn receive(
    State(shown): State<Arc<Shown>>,
    Query(returned): Query<Returned>,
) -> (StatusCode, Html<String>) {
    match returned {
        Returned { code: Some(code), state: Some(state) } if state == shown.state => {
            // A second code finds the place taken and is of no use.
            let _ = shown.codes.try_send(code);
            (StatusCode::OK, message("The App is registered. Go back to the terminal."))
        }
        _ => (StatusCode::BAD_REQUEST, message("This is not the expected answer from GitHub.")),
    }
}

/// Returns the page with the button that takes the manifest to GitHub.
fn page(manifest: &AppManifest, state: &str, back: &str) -> String {
    let owner = manifest.organization.as_deref().unwrap_or("your own account");
    let (target, json) = (escape(&manifest.target(state)), escape(&manifest.json(back).to_string()));
    let (name, owner) = (escape(&manifest.name), escape(owner));
    let github = escape(&manifest.github.to_string());
    html(&format!(
        "<h1>Register Fleetwright as a GitHub App</h1>\n\
         <p>The App <b>{name}</b> will belong to <b>{owner}</b> on {github}. \
         Check its permissions there and confirm.</p>\n\
         <form action=\"{target}\" method=\"post\">\n\
         <input type=\"hidden\" name=\"manifest\" value=\"{json}\">\n\
         <button>Continue on GitHub</button>\n\
         </form>"
    ))
}

fn message(text: &str) -> Html<String> {
    Html(html(&format!("<p>{}</p>", escape(text))))
}

fn html(body: &str) -> String {
    let head = "<meta charset=\"utf-8\">\n<title>Fleetwright</title>";
    format!("<!doctype html>\n<html lang=\"en\">\n{head}\n{body}\n</html>\n")
}

/// Makes a text harmless that may hold anything: nothing in it is hidden or markup.
fn escape(text: &str) -> String {
    visible(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use renderer::visible::is_hidden;
    use testkit::hostile::text::{HIDDEN, MARKUP};

    use super::*;

    #[test]
    fn nothing_in_a_page_is_hidden_or_markup() {
        for text in MARKUP.into_iter().chain([HIDDEN, "\" onload=\"x", "' onload='x", "&lt;"]) {
            let shown = escape(text);
            assert!(!shown.contains(['<', '>', '"', '\'']), "{shown}");
            assert!(shown.chars().all(|c| !is_hidden(c)), "{shown}");
            assert!(message(text).0.contains(&shown));
        }
    }
}
