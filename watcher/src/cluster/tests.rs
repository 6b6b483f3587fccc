//! Lists and watches, against an API server at the wire.

use std::pin::{Pin, pin};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::utils::Backoff;
use serde::Deserialize;
use serde_json::json;
use testkit::cluster::{Server, Trouble};
use tokio::time::timeout;

use super::watch::PAGE;
use super::*;

const NOTES: &str = "api/v1/notes";
const SPACE: &str = "space";
/// How long a change may take that will come.
const LONGEST: Duration = Duration::from_secs(20);

/// A kind of object with a text.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Note {
    metadata: Metadata,
    text: String,
}

impl Kind for Note {
    const GROUP: &str = "";
    const VERSION: &str = "v1";
    const NAME: &str = "Note";
    const PLURAL: &str = "notes";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// No delay at all between attempts.
struct AtOnce;

impl Iterator for AtOnce {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::ZERO)
    }
}

impl Backoff for AtOnce {
    fn reset(&mut self) {}
}

/// A server with some notes, called by numbers from zero.
fn server(notes: usize) -> Server {
    let server = Server::start().unwrap();
    (0..notes).for_each(|number| put(&server, number, "first"));
    server
}

fn name(number: usize) -> String {
    format!("{number:05}")
}

fn put(server: &Server, number: usize, text: &str) {
    let metadata = json!({ "name": name(number), "namespace": SPACE });
    server.put(NOTES, json!({ "metadata": metadata, "text": text }));
}

impl Client {
    /// A server that no connection leads to.
    pub(crate) fn nowhere() -> Self {
        let config = Config::new("http://127.0.0.1:1".parse().unwrap());
        Self::new(config, "the hub".to_owned()).unwrap()
    }
}

async fn client(server: &Server) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::new(config, "the hub".to_owned()).unwrap()
}

async fn watch(server: &Server) -> impl Stream<Item = Result<Change<Note>, ClusterError>> + use<> {
    client(server).await.watch_with(SPACE, AtOnce)
}

/// Takes changes until one is as wanted, and returns that one.
async fn until(
    store: &mut Store<Note>,
    changes: &mut Pin<&mut impl Stream<Item = Result<Change<Note>, ClusterError>>>,
    is_it: impl Fn(&Change<Note>) -> bool,
) -> Change<Note> {
    loop {
        let change = timeout(LONGEST, changes.next()).await.expect("a change").unwrap().unwrap();
        store.apply(change.clone());
        if is_it(&change) {
            return change;
        }
    }
}

/// Returns the numbers of the notes with their texts.
fn texts(store: &Store<Note>) -> Vec<(&str, &str)> {
    store.objects().iter().map(|(key, note)| (&*key.name, &*note.text)).collect()
}

fn lists(server: &Server) -> usize {
    server.requests().iter().filter(|request| request.ends_with("/notes")).count()
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let page = usize::try_from(PAGE).unwrap();
    for (notes, pages) in [(0, 1), (page, 1), (page + 1, 2), (2 * page + 1, 3)] {
        let server = server(notes);
        let (mut changes, mut store) = (pin!(watch(&server).await), Store::default());
        until(&mut store, &mut changes, |change| matches!(change, Change::Listed)).await;
        assert!(store.is_listed());
        assert_eq!((store.objects().len(), lists(&server)), (notes, pages));
    }
}

#[tokio::test]
async fn a_list_that_expires_before_its_last_page_begins_again_without_what_is_gone() {
    let page = usize::try_from(PAGE).unwrap();
    let server = server(page + 2);
    let (mut changes, mut store) = (pin!(watch(&server).await), Store::default());
    until(&mut store, &mut changes, |change| matches!(change, Change::Set(_))).await;
    server.remove(NOTES, SPACE, &name(0));
    put(&server, page, "second");
    server.trouble(Trouble { expired_pages: 1, ..Trouble::default() });
    let change = until(&mut store, &mut changes, |it| matches!(it, Change::Listing | Change::Lost(_))).await;
    assert!(matches!(change, Change::Listing), "this is no lost connection: {change:?}");
    assert!(!store.is_listed());
    until(&mut store, &mut changes, |change| matches!(change, Change::Listed)).await;
    let texts = texts(&store);
    assert_eq!(texts.len(), page + 1);
    assert_eq!(texts[..1], [("00001", "first")]);
    assert_eq!(texts[page - 1..], [("00500", "second"), ("00501", "first")]);
}

#[tokio::test]
async fn a_watch_whose_version_is_forgotten_lists_again_and_what_was_there_stays_until_then() {
    let server = server(3);
    let (mut changes, mut store) = (pin!(watch(&server).await), Store::default());
    until(&mut store, &mut changes, |change| matches!(change, Change::Listed)).await;
    server.remove(NOTES, SPACE, &name(0));
    put(&server, 1, "second");
    put(&server, 3, "first");
    server.forget();
    let change = until(&mut store, &mut changes, |it| matches!(it, Change::Listing | Change::Lost(_))).await;
    assert!(matches!(change, Change::Listing), "this is no lost connection: {change:?}");
    until(&mut store, &mut changes, |change| matches!(change, Change::Set(_))).await;
    assert_eq!(texts(&store), [("00000", "first"), ("00001", "first"), ("00002", "first")]);
    until(&mut store, &mut changes, |change| matches!(change, Change::Listed)).await;
    assert_eq!(texts(&store), [("00001", "second"), ("00002", "first"), ("00003", "first")]);
    put(&server, 2, "third");
    until(&mut store, &mut changes, |change| matches!(change, Change::Set(_))).await;
    assert_eq!(texts(&store)[1], ("00002", "third"), "it is watched from the new list on");
}

#[tokio::test]
async fn a_watch_that_ends_goes_on_where_it_was() {
    let server = server(2);
    server.trouble(Trouble { watch_events: Some(1), ..Trouble::default() });
    let (mut changes, mut store) = (pin!(watch(&server).await), Store::default());
    until(&mut store, &mut changes, |change| matches!(change, Change::Listed)).await;
    server.remove(NOTES, SPACE, &name(0));
    put(&server, 1, "second");
    put(&server, 2, "first");
    until(&mut store, &mut changes, |it| matches!(it, Change::Set(note) if note.key().name == name(2))).await;
    assert_eq!(texts(&store), [("00001", "second"), ("00002", "first")]);
    assert!(lists(&server) >= 4, "one list, and a watch for each event: {:?}", server.requests());
}

#[tokio::test]
async fn a_connection_that_is_lost_is_reported_and_a_refusal_ends_the_watch() {
    let server = server(1);
    server.trouble(Trouble { cut: 1, ..Trouble::default() });
    let (mut changes, mut store) = (pin!(watch(&server).await), Store::default());
    until(&mut store, &mut changes, |change| matches!(change, Change::Lost(_))).await;
    until(&mut store, &mut changes, |change| matches!(change, Change::Listed)).await;
    server.trouble(Trouble { forbidden: vec!["watch"], ..Trouble::default() });
    let error = changes.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind, ClusterErrorKind::Forbidden, "{error}");
}

#[tokio::test]
async fn an_answer_to_a_change_counts_at_once_and_nothing_earlier_replaces_it() {
    let server = server(1);
    let (mut changes, mut store) = (pin!(watch(&server).await), Store::default());
    until(&mut store, &mut changes, |change| matches!(change, Change::Listed)).await;
    put(&server, 0, "second");
    put(&server, 0, "third");
    let answer: Note = client(&server).await.get(SPACE, &name(0)).await.unwrap().unwrap();
    store.apply(Change::Listing);
    store.set(answer);
    assert_eq!(texts(&store), [("00000", "third")], "also while everything is listed again");
    store.apply(Change::Listed);
    until(&mut store, &mut changes, |change| matches!(change, Change::Set(_))).await;
    assert_eq!(texts(&store), [("00000", "third")], "the watch has the second version only");
}

#[tokio::test]
async fn each_context_of_a_kubeconfig_leads_to_its_server() {
    let (one, two) = (server(0), server(0));
    let text = Server::kubeconfig_of(&[("one", &one), ("two", &two)]);
    let contexts = Contexts::of(Kubeconfig::from_yaml(&text).unwrap());
    let two_client = contexts.client("two").await.unwrap().unwrap();
    two_client.answers().await.unwrap();
    assert!(!two_client.is_anonymous());
    assert_eq!((one.requests(), two.requests()), (vec![], vec!["GET /version".to_owned()]));
    assert_eq!(contexts.ask("one").await, Some(Ok(())));
    assert!(contexts.client("three").await.is_none() && contexts.ask("").await.is_none());
    let nobodys = text.replace(", user: ann", "").replace("cluster: one}", "cluster: gone}");
    let contexts = Contexts::of(Kubeconfig::from_yaml(&nobodys).unwrap());
    assert!(contexts.client("two").await.unwrap().unwrap().is_anonymous());
    assert!(contexts.client("one").await.is_none(), "its cluster is not described");
}
