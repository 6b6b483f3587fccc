//! A server of HTTP/1.1, on loopback unless it is asked for elsewhere: one thread, each request answered by a function.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::wire::{Reply, Request, parse_query};

/// The largest body that is read.
const BODY_LIMIT: usize = 32 << 20;
/// Where GitHub Enterprise Server has its API.
const ENTERPRISE_PREFIX: &str = "/api/v3";

/// What goes back to the client.
#[derive(Debug)]
pub enum Outcome {
    /// A reply.
    Reply(Reply),
    /// A reply with the status 200 whose JSON documents arrive one after the other.
    Stream(Body),
    /// Nothing: the connection ends.
    Cut,
}

/// What a client reads of a reply.
pub type Body = BoxBody<Bytes, Infallible>;
type Answer = dyn Fn(&Request) -> Outcome + Send + Sync;

/// A server that ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A connection that is ended on purpose.
#[derive(Debug)]
struct CutOff;

impl std::fmt::Display for CutOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for CutOff {}

impl Server {
    /// Starts a server that answers by a function.
    pub fn start(answer: impl Fn(&Request) -> Outcome + Send + Sync + 'static) -> Result<Self> {
        Self::at(Ipv4Addr::LOCALHOST.into(), answer)
    }

    /// Starts a server at one address of this machine.
    pub fn at(host: IpAddr, answer: impl Fn(&Request) -> Outcome + Send + Sync + 'static) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = std::net::TcpListener::bind((host, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let answer: Arc<Answer> = Arc::new(answer);
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    result = accept(listener, &answer) => match result {
                        Ok(never) => match never {},
                        Err(error) => eprintln!("a fake server ended: {error}"),
                    },
                }
            });
        };
        let thread =
            std::thread::Builder::new().name("fake server".into()).spawn(serve).context("start a thread")?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended already; then there is nothing to stop.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: std::net::TcpListener, answer: &Arc<Answer>) -> std::io::Result<Infallible> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let answer = Arc::clone(answer);
        tokio::spawn(async move {
            // A client may go away at any time, and a cut is an error on purpose.
            let _ = serve(stream, answer).await;
        });
    }
}

async fn serve(stream: TcpStream, answer: Arc<Answer>) -> hyper::Result<()> {
    let answer = service_fn(move |request| {
        let answer = Arc::clone(&answer);
        async move {
            let request = read(request).await.map_err(|_| CutOff)?;
            match answer(&request) {
                Outcome::Reply(reply) => Ok(write(&reply)),
                Outcome::Stream(body) => Ok(streamed(body)),
                Outcome::Cut => Err(CutOff),
            }
        }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(anyhow::Error::from_boxed)?;
    let path = parts.uri.path();
    let headers: BTreeMap<String, String> = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    Ok(Request {
        method: parts.method.to_string(),
        path: below_enterprise(path).to_owned(),
        query: parse_query(parts.uri.query().unwrap_or_default()),
        headers,
        body: body.to_bytes().to_vec(),
    })
}

/// An Enterprise Server has REST below one path and GraphQL at another.
fn below_enterprise(path: &str) -> &str {
    match path.strip_prefix(ENTERPRISE_PREFIX) {
        // What is asked in the wrong place has no answer.
        Some("/graphql") => "/api/v3/graphql",
        Some(path) => path,
        None if path == "/api/graphql" => "/graphql",
        None => path,
    }
}

fn streamed(body: Body) -> hyper::Response<Body> {
    let mut response = hyper::Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

fn write(reply: &Reply) -> hyper::Response<Body> {
    let mut response = hyper::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    let (kind, body) = match &reply.body {
        Some(serde_json::Value::String(text)) => ("text/plain; charset=utf-8", text.clone()),
        Some(body) => ("application/json; charset=utf-8", body.to_string()),
        None => ("application/json; charset=utf-8", String::new()),
    };
    response
        .header("content-type", kind)
        .body(Full::from(body).boxed())
        .unwrap_or_else(|error| hyper::Response::new(Full::from(error.to_string()).boxed()))
}
