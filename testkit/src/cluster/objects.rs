//! The objects, their versions, and what has happened to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::web::wire::Request;

/// A place of objects: group, version and plural as an address has them, such as `apis/argoproj.io/v1alpha1/applications`.
pub(super) type Place = String;

/// What a test makes go wrong.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// Answer every request with this status.
    pub status: Option<u16>,
    /// Refuse these verbs: `list`, `watch`, `patch`, `delete`.
    pub forbidden: Vec<&'static str>,
    /// End the connection of the next requests without an answer.
    pub cut: usize,
    /// Answer the next pages after the first with 410: the list has become too old.
    pub expired_pages: usize,
    /// End each watch after so many events.
    pub watch_events: Option<usize>,
}

/// One change of an object.
#[derive(Clone, Debug)]
pub(super) struct Happened {
    pub version: u64,
    pub place: Place,
    pub kind: &'static str,
    pub object: Value,
}

/// Is given a request to a Service, and returns a status and what the Service answers.
pub(super) type Service = Box<dyn FnMut(&Request) -> (u16, Value) + Send>;

/// Is given what a client wrote, and returns what a controller puts where because of it.
type Reaction = Box<dyn FnMut(&Value) -> Vec<(&'static str, Value)> + Send>;

pub(super) struct Objects {
    pub trouble: Trouble,
    /// The credential that is asked for.
    pub token: String,
    /// The requests: method and address.
    pub requests: Vec<String>,
    version: u64,
    /// Before this version the history is gone.
    forgotten: u64,
    by_name: BTreeMap<(Place, String, String), Value>,
    history: Vec<Happened>,
    reaction: Option<Reaction>,
    /// The kinds that are served, by their places.
    kinds: BTreeMap<Place, String>,
    /// What Services answer, by namespace, name and port, such as `logging/loki:3100`, and pods, with `pods/` before it.
    pub services: BTreeMap<String, Service>,
    /// Tells watches that something has happened.
    pub changed: watch::Sender<u64>,
}

impl Objects {
    pub fn new(token: &str) -> Self {
        Self {
            trouble: Trouble::default(),
            token: token.to_owned(),
            requests: Vec::new(),
            version: 1,
            forgotten: 0,
            by_name: BTreeMap::new(),
            history: Vec::new(),
            reaction: None,
            kinds: BTreeMap::new(),
            services: BTreeMap::new(),
            changed: watch::Sender::new(1),
        }
    }

    pub fn react(&mut self, reaction: Reaction) {
        self.reaction = Some(reaction);
    }

    pub const fn version(&self) -> u64 {
        self.version
    }

    pub const fn is_forgotten(&self, version: u64) -> bool {
        version < self.forgotten
    }

    /// Forgets what has happened until now, as compaction does.
    pub fn forget(&mut self) {
        self.forgotten = self.version;
        self.history.clear();
    }

    pub fn get(&self, place: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.by_name.get(&(place.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    /// Serves a kind at a place, also while there is no object of it.
    pub fn serve(&mut self, place: &str, kind: &str) {
        self.kinds.insert(place.to_owned(), kind.to_owned());
    }

    pub fn serves(&self, place: &str) -> bool {
        self.kinds.contains_key(place)
    }

    /// Returns the kinds of a version of a group, such as `api/v1`; nothing if there are none.
    pub fn kinds_of(&self, version: &str) -> Option<Vec<Value>> {
        let served = self.kinds.iter().filter_map(|(place, kind)| {
            let (of, plural) = place.rsplit_once('/')?;
            (of == version).then(|| json!({ "name": plural, "kind": kind }))
        });
        Some(served.collect::<Vec<_>>()).filter(|kinds| !kinds.is_empty())
    }

    /// Returns the objects of a place in a namespace, or in all if it has no name, in order, after one of them: its
    /// namespace, a slash and its name.
    pub fn after<'a>(
        &'a self,
        place: &'a str,
        namespace: &'a str,
        last: &'a str,
    ) -> impl Iterator<Item = &'a Value> {
        let last = last.split_once('/').unwrap_or_default();
        let is_meant = move |(at, of, called): &&(Place, String, String)| {
            let is_within = namespace.is_empty() || of == namespace;
            at == place && is_within && (of.as_str(), called.as_str()) > last
        };
        self.by_name.iter().filter(move |(key, _)| is_meant(key)).map(|(_, object)| object)
    }

    pub fn since(&self, place: &str, namespace: &str, version: u64) -> Vec<Happened> {
        let is_meant = |it: &&Happened| {
            it.version > version && it.place == place && it.object["metadata"]["namespace"] == namespace
        };
        self.history.iter().filter(is_meant).cloned().collect()
    }

    /// Puts an object there, in the version that follows.
    pub fn put(&mut self, place: &str, mut object: Value) -> Value {
        let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
        let key = (place.to_owned(), text("namespace"), text("name"));
        self.version += 1;
        if let Some(kind) = object["kind"].as_str() {
            self.kinds.insert(place.to_owned(), kind.to_owned());
        }
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let is_new = self.by_name.insert(key, object.clone()).is_none();
        self.note(place, if is_new { "ADDED" } else { "MODIFIED" }, object.clone());
        let is_over = object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty);
        if object["metadata"]["deletionTimestamp"].is_string() && is_over {
            let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
            self.remove(place, text("namespace"), text("name"));
        }
        object
    }

    /// Puts what a client has written there, and then what a controller makes of it.
    pub fn write(&mut self, place: &str, object: Value) -> Value {
        let written = self.put(place, object);
        if let Some(mut reaction) = self.reaction.take() {
            let made = reaction(&written);
            self.reaction = Some(reaction);
            for (place, object) in made {
                self.put(place, object);
            }
        }
        written
    }

    pub fn remove(&mut self, place: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = (place.to_owned(), namespace.to_owned(), name.to_owned());
        let mut object = self.by_name.remove(&key)?;
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.note(place, "DELETED", object.clone());
        Some(object)
    }

    fn note(&mut self, place: &str, kind: &'static str, object: Value) {
        self.history.push(Happened { version: self.version, place: place.to_owned(), kind, object });
        self.changed.send_replace(self.version);
    }
}
