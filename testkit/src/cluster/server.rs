//! The address: HTTP/1.1 on loopback, one thread.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::answer::{Answer, Request, Watch, answer, failure};
use super::objects::{Objects, Trouble};
use crate::web::wire::parse_query;

/// The largest body that is read.
const BODY_LIMIT: usize = 8 << 20;
/// The credential that a kubeconfig of this server has.
const TOKEN: &str = "the-token-of-ann";

type Shared = Arc<Mutex<Objects>>;

/// A server that ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    objects: Shared,
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
    /// Starts a server without objects.
    pub fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let objects: Shared = Arc::new(Mutex::new(Objects::new(TOKEN)));
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&objects);
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    result = accept(&listener, &shared) => match result {
                        Ok(never) => match never {},
                        Err(error) => eprintln!("the fake API server ended: {error}"),
                    },
                }
            });
        };
        let thread =
            std::thread::Builder::new().name("api-server".into()).spawn(serve).context("start a thread")?;
        Ok(Self { address, objects, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns a kubeconfig with one context, `hub`, that is also the current one.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        let (address, token) = (self.address, TOKEN);
        format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}]\n\
             users: [{{name: ann, user: {{token: {token}}}}}]\n\
             contexts: [{{name: hub, context: {{cluster: c, user: ann}}}}]\ncurrent-context: hub\n"
        )
    }

    /// Returns where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an object there, as a controller would; `place` is such as `apis/argoproj.io/v1alpha1/applications`.
    pub fn put(&self, place: &str, object: Value) {
        self.objects().put(place, object);
    }

    /// Returns an object.
    #[must_use]
    pub fn get(&self, place: &str, namespace: &str, name: &str) -> Option<Value> {
        self.objects().get(place, namespace, name).cloned()
    }

    /// Removes an object.
    pub fn remove(&self, place: &str, namespace: &str, name: &str) {
        self.objects().remove(place, namespace, name);
    }

    /// Gives what clients write to a controller; it returns what it puts where because of it.
    pub fn react(&self, reaction: impl FnMut(&Value) -> Vec<(&'static str, Value)> + Send + 'static) {
        self.objects().react(Box::new(reaction));
    }

    /// Lets something go wrong from now on.
    pub fn trouble(&self, trouble: Trouble) {
        self.objects().trouble = trouble;
    }

    /// Forgets what has happened until now: a watch from an earlier version gets 410.
    pub fn forget(&self) {
        self.objects().forget();
    }

    /// Returns the requests so far: method and path.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.objects().requests.clone()
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

async fn accept(listener: &TcpListener, objects: &Shared) -> std::io::Result<Infallible> {
    loop {
        let (stream, _) = listener.accept().await?;
        let objects = Arc::clone(objects);
        tokio::spawn(async move {
            // A client may go away at any time, and a cut is an error on purpose.
            let _ = serve(stream, objects).await;
        });
    }
}

async fn serve(stream: TcpStream, objects: Shared) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let objects = Arc::clone(&objects);
        async move {
            let request = read(request).await.map_err(|_| CutOff)?;
            let answer = answer(&mut objects.lock().unwrap_or_else(PoisonError::into_inner), &request);
            match answer {
                Answer::Status(code, body) => Ok(write(code, Full::from(body.to_string()).boxed())),
                Answer::Watch(watch) => {
                    let (sender, body) = Channel::new(16);
                    tokio::spawn(follow(objects, watch, sender));
                    Ok(write(200, body.boxed()))
                }
                Answer::Cut => Err(CutOff),
            }
        }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(anyhow::Error::from_boxed)?;
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(Request {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parse_query(parts.uri.query().unwrap_or_default()),
        content_type: header("content-type").to_owned(),
        token: header("authorization").trim_start_matches("Bearer ").to_owned(),
        body: body.to_bytes().to_vec(),
    })
}

fn write(code: u16, body: BoxBody<Bytes, Infallible>) -> hyper::Response<BoxBody<Bytes, Infallible>> {
    let response = hyper::Response::builder().status(code).header("content-type", "application/json");
    response.body(body).unwrap_or_else(|error| hyper::Response::new(Full::from(error.to_string()).boxed()))
}

/// Sends what happens, line by line, until the client goes away or the watch ends.
async fn follow(objects: Shared, watch: Watch, mut sender: Sender<Bytes, Infallible>) {
    let (mut version, mut sent) = (watch.from, 0);
    let mut changed = objects.lock().unwrap_or_else(PoisonError::into_inner).changed.subscribe();
    loop {
        changed.mark_unchanged();
        let (events, now) = next(&objects, &watch, version);
        for event in events {
            if watch.most.is_some_and(|most| sent >= most) {
                return;
            }
            let is_last = event["type"] == "ERROR";
            if sender.send_data(format!("{event}\n").into()).await.is_err() || is_last {
                return;
            }
            sent += usize::from(event["type"] != "BOOKMARK");
        }
        version = now;
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// Returns the events since a version, with a bookmark behind them, and the version that they lead to.
fn next(objects: &Shared, watch: &Watch, since: u64) -> (Vec<Value>, u64) {
    let objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
    if objects.is_forgotten(since) {
        let message = format!("too old resource version: {since} ({})", objects.version());
        return (vec![json!({ "type": "ERROR", "object": failure(410, "Expired", &message) })], since);
    }
    let happened = objects.since(&watch.place, &watch.namespace, since);
    let mut events: Vec<_> =
        happened.into_iter().map(|it| json!({ "type": it.kind, "object": it.object })).collect();
    if watch.has_bookmarks {
        let version = objects.version().to_string();
        let object =
            json!({ "kind": "Bookmark", "apiVersion": "v1", "metadata": { "resourceVersion": version } });
        events.push(json!({ "type": "BOOKMARK", "object": object }));
    }
    (events, objects.version())
}
