//! A real API server judges every rendered object, with the definitions that the platform's charts install.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};
use testkit::real::{ApiServer, Refused, definitions};

use crate::case::case;
use crate::platform::{Landing, landing_on, shipped};

static DEFINITIONS: LazyLock<Vec<Value>> = LazyLock::new(|| definitions().unwrap());

/// An API server that knows the kinds of these objects and no others.
fn server_for(landings: &[Landing]) -> ApiServer {
    let kinds: BTreeSet<_> = landings.iter().filter_map(|landing| kind_of(&landing.object)).collect();
    let is_needed = |definition: &&Value| {
        let text = |pointer| definition.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        kinds.contains(&(text("/spec/group"), text("/spec/names/kind")))
    };
    let needed: Vec<_> = DEFINITIONS.iter().filter(is_needed).cloned().collect();
    let server = ApiServer::start("tests").unwrap();
    server.client().define(&needed).unwrap();
    server
}

/// The group and kind of an object.
pub fn kind_of(object: &Value) -> Option<(String, String)> {
    let (group, _) = object["apiVersion"].as_str()?.split_once('/')?;
    Some((group.to_owned(), object["kind"].as_str()?.to_owned()))
}

/// Applies objects in their order, and returns what the server says to each.
fn applied(server: &ApiServer, landings: &[Landing]) -> Vec<(String, Result<(), Refused>)> {
    let apply = |landing: &Landing| {
        let object = &landing.object;
        let what = format!("{}: {} {}", landing.origin, object["kind"], object["metadata"]["name"]);
        (what, server.client().apply(object, &landing.namespace))
    };
    landings.iter().map(apply).collect()
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn every_rendered_object_of_every_cluster_is_taken() {
    let rendered = shipped();
    for cluster in rendered.clusters.keys() {
        let part = if cluster.as_str() == "control" { "Control alone" } else { "App alone" };
        let landings = landing_on(&rendered, cluster);
        let outcomes = case(part, "an API server takes every rendered object", || {
            applied(&server_for(&landings), &landings)
        });
        let refused: Vec<_> = outcomes
            .iter()
            .filter_map(|(what, outcome)| Some(format!("{what}\n    {}", outcome.as_ref().err()?)))
            .collect();
        println!("`{cluster}`: {} objects, {} refused", outcomes.len(), refused.len());
        assert!(refused.is_empty(), "a real API server refuses on `{cluster}`:\n{}", refused.join("\n"));
    }
}

/// A suite that takes everything would show nothing: of the same objects, each with one field too many, it takes none.
#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn no_object_with_a_field_that_does_not_exist_is_taken() {
    let rendered = shipped();
    let hub = rendered.inventory.clusters.values().find(|cluster| cluster.is_hub()).unwrap();
    let landings = landing_on(&rendered, &hub.name);
    let server = server_for(&landings);
    // The namespaces are there, so that nothing is refused for lack of one.
    let (namespaces, objects): (Vec<_>, Vec<_>) =
        landings.into_iter().partition(|landing| landing.object["kind"] == "Namespace");
    assert!(applied(&server, &namespaces).iter().all(|(_, outcome)| outcome.is_ok()));
    let planted: Vec<_> = objects.into_iter().map(with_a_field_too_many).collect();
    assert!(!planted.is_empty());
    for (what, outcome) in applied(&server, &planted) {
        let refused = outcome.expect_err(&what);
        assert!(refused.message.contains("planted"), "{what}\n    {refused}");
    }
}

fn with_a_field_too_many(mut landing: Landing) -> Landing {
    let parent =
        if landing.object["spec"].is_object() { &mut landing.object["spec"] } else { &mut landing.object };
    parent["planted"] = Value::Bool(true);
    landing
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn what_is_not_there_yet_is_told() {
    let server = server_for(&[]);
    let configuration = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let refused = server.client().apply(&configuration, "nowhere").unwrap_err();
    assert_eq!(refused.message, "namespaces \"nowhere\" not found");
    let pool =
        json!({"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": {"name": "a"}});
    let refused = server.client().apply(&pool, "default").unwrap_err();
    assert_eq!(refused.message, "no `IPAddressPool` of `metallb.io/v1beta1` is defined");
}
