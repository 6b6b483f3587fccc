//! The desk: a page on this machine that takes a person to GitHub, and receives the code that comes back.
//!
//! It listens on loopback alone. A code counts only with the `state` that this desk gave out, so that no other page can hand
//! in the code of another App.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use renderer::visible::visible;
use ring::rand::{SecureRandom as _, SystemRandom};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Wish;

/// Where GitHub sends the browser back to.
const BACK: &str = "/registered";
/// Enough that nobody guesses it.
const STATE_BYTES: usize = 16;
/// A browser sends its request at once, and keeps spare connections open without a word.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long the last page may take on its way.
const LAST_PAGE_TIME: Duration = Duration::from_secs(2);

/// The desk cannot be opened.
#[derive(Debug, Error)]
pub enum DeskError {
    /// The port cannot be listened on.
    #[error("failed to listen on port {port} of this machine")]
    Listen {
        /// The port.
        port: u16,
        /// The cause.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// A page on this machine, not shown to anyone yet.
#[derive(Debug)]
pub struct Desk {
    listener: TcpListener,
    address: SocketAddr,
    state: String,
}

/// What every connection needs.
struct Shown {
    page: String,
    github: String,
    host: String,
    state: String,
    codes: mpsc::Sender<String>,
}

impl Desk {
    /// Takes a port of this machine; 0 lets the system choose.
    pub async fn open(port: u16) -> Result<Self, DeskError> {
        let failed = |source| DeskError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut state = [0; STATE_BYTES];
        SystemRandom::new().fill(&mut state).map_err(|_| DeskError::Random)?;
        Ok(Self { listener, address, state: BASE64_URL_SAFE_NO_PAD.encode(state) })
    }

    /// Returns the address of the page.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Shows the page until GitHub sends the browser back, and returns the code.
    pub async fn wait_for_code(self, wish: &Wish) -> String {
        let back = format!("http://{}{BACK}", self.address);
        let (codes, mut received) = mpsc::channel(1);
        let shown = Arc::new(Shown {
            page: page(wish, &self.state, &back),
            github: wish.github.origin(),
            host: self.address.to_string(),
            state: self.state,
            codes,
        });
        let mut open = JoinSet::new();
        let code = loop {
            tokio::select! {
                Some(code) = received.recv() => break code,
                Ok((stream, _)) = self.listener.accept() => drop(open.spawn(converse(stream, Arc::clone(&shown)))),
                Some(_) = open.join_next() => {}
            }
        };
        drop(self.listener);
        let last_page = async { while open.join_next().await.is_some() {} };
        // Whether the browser shows the last page changes nothing.
        let _ = timeout(LAST_PAGE_TIME, last_page).await;
        code
    }
}

async fn converse(stream: TcpStream, shown: Arc<Shown>) {
    let answer = service_fn(|request| {
        let shown = Arc::clone(&shown);
        async move { Ok::<_, Infallible>(shown.answer(&request)) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), answer);
    // A browser may go away at any time.
    let _ = connection.await;
}

impl Shown {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        // A page elsewhere whose name was made to lead here must not read the state.
        if host != Some(self.host.as_str()) || request.method() != Method::GET {
            return self.reply(StatusCode::NOT_FOUND, &message("There is nothing here."));
        }
        match request.uri().path() {
            "/" => self.reply(StatusCode::OK, &self.page),
            BACK => self.receive(request.uri().query().unwrap_or_default()),
            _ => self.reply(StatusCode::NOT_FOUND, &message("There is nothing here.")),
        }
    }

    fn receive(&self, query: &str) -> Response<Full<Bytes>> {
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let (Some(code), true) = (value("code"), value("state") == Some(&self.state)) else {
            return self
                .reply(StatusCode::BAD_REQUEST, &message("This is not the answer that was waited for."));
        };
        // A second code finds the place taken and is of no use.
        let _ = self.codes.try_send(code.to_owned());
        self.reply(StatusCode::OK, &message("The App is registered. Go back to the terminal."))
    }

    fn reply(&self, status: StatusCode, page: &str) -> Response<Full<Bytes>> {
        let policy = format!("default-src 'none'; form-action {}; frame-ancestors 'none'", self.github);
        Response::builder()
            .status(status)
            .header(CONTENT_TYPE, "text/html; charset=utf-8")
            .header(CONTENT_SECURITY_POLICY, policy)
            .body(Full::from(page.to_owned()))
            .expect("an origin and constants make valid headers")
    }
}

/// Returns the page with the button that takes the manifest to GitHub.
fn page(wish: &Wish, state: &str, back: &str) -> String {
    let owner = wish.organization.as_deref().unwrap_or("your own account");
    let (target, manifest) = (escape(&wish.target(state)), escape(&wish.manifest(back).to_string()));
    let (name, owner, github) = (escape(&wish.name), escape(owner), escape(&wish.github.to_string()));
    html(&format!(
        "<h1>Register Fleetwright as a GitHub App</h1>\n\
         <p>The App <b>{name}</b> will belong to <b>{owner}</b> on {github}. There you see what it may do, and confirm it.</p>\n\
         <form action=\"{target}\" method=\"post\">\n\
         <input type=\"hidden\" name=\"manifest\" value=\"{manifest}\">\n\
         <button>Continue on GitHub</button>\n\
         </form>"
    ))
}

fn message(text: &str) -> String {
    html(&format!("<p>{}</p>", escape(text)))
}

fn html(body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Fleetwright</title>\n{body}\n</html>\n"
    )
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
            assert!(message(text).contains(&shown));
        }
    }
}
