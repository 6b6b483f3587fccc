//! The address: what a request gets, and what a watch is sent until it ends.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, Watch, answer, failure};
use super::objects::{Objects, Trouble};
use crate::web;
use crate::web::server::Outcome;
use crate::web::wire::{Reply, Request};

/// The credential that a kubeconfig of this server has.
const TOKEN: &str = "the-token-of-ann";

type Shared = Arc<Mutex<Objects>>;

/// A server that ends when it is dropped.
pub struct Server {
    server: web::server::Server,
    objects: Shared,
}

impl Server {
    /// Starts a server without objects.
    pub fn start() -> Result<Self> {
        let objects: Shared = Arc::new(Mutex::new(Objects::new(TOKEN)));
        let shared = Arc::clone(&objects);
        let server = web::server::Server::start(move |request| outcome(&shared, request))?;
        Ok(Self { server, objects })
    }

    /// Returns a kubeconfig with one context, `hub`, that is also the current one.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        Self::kubeconfig_of(&[("hub", self)])
    }

    /// Returns a kubeconfig with a context for each server; the first one is the current one.
    #[must_use]
    pub fn kubeconfig_of(contexts: &[(&str, &Self)]) -> String {
        let cluster = |(name, server): &(&str, &Self)| {
            format!("{{name: {name}, cluster: {{server: 'http://{}'}}}}", server.server.address)
        };
        let context =
            |(name, _): &(&str, &Self)| format!("{{name: {name}, context: {{cluster: {name}, user: ann}}}}");
        let clusters: Vec<_> = contexts.iter().map(cluster).collect();
        let names: Vec<_> = contexts.iter().map(context).collect();
        format!(
            "apiVersion: v1\nkind: Config\nclusters: [{}]\nusers: [{{name: ann, user: {{token: {TOKEN}}}}}]\n\
             contexts: [{}]\ncurrent-context: {}\n",
            clusters.join(", "),
            names.join(", "),
            contexts.first().map_or("", |(name, _)| name)
        )
    }

    /// Returns where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an object there, as a controller would; `place` is such as `apis/argoproj.io/v1alpha1/applications`.
    pub fn put(&self, place: &str, object: Value) {
        self.objects().put(place, object);
    }

    /// Serves a kind at a place, also while there is no object of it.
    pub fn serve(&self, place: &str, kind: &str) {
        self.objects().serve(place, kind);
    }

    /// Passes requests on to a Service, such as `logging/loki:3100`; it returns a status and a body.
    pub fn service(&self, service: &str, answer: impl FnMut(&Request) -> (u16, Value) + Send + 'static) {
        self.objects().services.insert(service.to_owned(), Box::new(answer));
    }

    /// Passes requests on to a pod, such as `vault/https:vault-0:8200`, or, without a port, those for its log.
    pub fn pod(&self, pod: &str, answer: impl FnMut(&Request) -> (u16, Value) + Send + 'static) {
        self.service(&format!("pods/{pod}"), answer);
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

fn outcome(objects: &Shared, request: &Request) -> Outcome {
    let answer = answer(&mut objects.lock().unwrap_or_else(PoisonError::into_inner), request);
    match answer {
        Answer::Status(code, body) => Outcome::Reply(Reply::ok(code, body)),
        Answer::Watch(watch) => {
            let (sender, body) = Channel::new(16);
            tokio::spawn(follow(Arc::clone(objects), watch, sender));
            Outcome::Stream(body.boxed())
        }
        Answer::Cut => Outcome::Cut,
    }
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
