//! Answers of clusters, and what they mean.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use renderer::catalog::{Language, Objects};
use renderer::path::ClusterName;
use renderer::verify::{ADDRESS_ANNOTATIONS, LiveQuery, QueryAt};
use serde_json::{Value, json};

use super::*;

/// 2026-01-01T00:00:00Z.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(490_896)
}

fn node(name: &str, ready: &str) -> Value {
    let condition = json!({ "type": "Ready", "status": ready, "message": "container runtime is down" });
    json!({ "metadata": { "name": name }, "status": { "conditions": [condition] } })
}

fn service(name: &str, asked: &str, given: &[&str]) -> Value {
    let ingress: Vec<_> = given.iter().map(|ip| json!({ "ip": ip })).collect();
    json!({
        "metadata": { "name": name, "namespace": "a", "annotations": { "metallb.io/loadBalancerIPs": asked } },
        "spec": { "type": "LoadBalancer" },
        "status": { "loadBalancer": { "ingress": ingress } },
    })
}

fn line((verdict, found): (Verdict, String)) -> String {
    format!("{}: {found}", verdict.words())
}

#[test]
fn nodes_are_counted_and_have_to_be_ready() {
    let (a, b) = (node("a", "True"), node("b", "True"));
    let (down, silent) = (node("c", "False"), json!({ "metadata": { "name": "d" } }));
    for (described, all, expected) in [
        (2, vec![a.clone(), b.clone()], "passed: 2 of 2 nodes ready"),
        (0, vec![a.clone(), b.clone()], "passed: 2 of 2 nodes ready"),
        (3, vec![a.clone(), b.clone()], "failed: 2 of 3 nodes ready"),
        (1, vec![a.clone(), b], "failed: 2 of 1 node ready"),
        (
            2,
            vec![a.clone(), down],
            "failed: 1 of 2 nodes ready, c: Ready is False: container runtime is down",
        ),
        (2, vec![a, silent], "failed: 1 of 2 nodes ready, d: has no condition Ready"),
        (0, vec![], "failed: 0 of 0 nodes ready"),
    ] {
        assert_eq!(line(nodes(described, &all)), expected);
    }
}

#[test]
fn each_way_to_ask_a_load_balancer_is_known() {
    let asking = |annotations: &Value| {
        let mut service = service("x", "", &["10.0.0.9"]);
        service["metadata"]["annotations"] = annotations.clone();
        line(addresses(&["10.0.0.9".parse().unwrap()].into(), &[service]))
    };
    assert_eq!(asking(&json!({ "team": "10.0.0.1" })), "passed: 1 of 1 address assigned");
    assert_eq!(
        asking(&json!({ "kube-vip.io/loadbalancerIPs": "0.0.0.0" })),
        "passed: 1 of 1 address assigned"
    );
    for name in ADDRESS_ANNOTATIONS {
        let found = asking(&json!({ name: "10.0.0.9,10.0.0.1" }));
        assert_eq!(
            found, "failed: 1 of 1 address assigned, a/x asks for 10.0.0.1 and has 10.0.0.9",
            "{name}"
        );
    }
}

#[test]
fn where_no_address_is_described_each_service_has_some() {
    let (has, waits) = (service("has", "", &["10.0.0.1"]), service("waits", "", &[]));
    let cloud = |asked: &str| {
        let mut service = service("cloud", asked, &[]);
        service["status"]["loadBalancer"]["ingress"] = json!([{ "hostname": "lb.example.com" }]);
        service
    };
    for (services, expected) in [
        (vec![], "passed: 0 of 0 Services with an address"),
        (vec![has.clone(), cloud("")], "passed: 2 of 2 Services with an address"),
        (vec![has.clone(), waits], "failed: 1 of 2 Services with an address, a/waits has no address"),
        (
            vec![has, cloud("10.0.0.2")],
            "failed: 2 of 2 Services with an address, a/cloud asks for 10.0.0.2 and has lb.example.com",
        ),
    ] {
        assert_eq!(line(addresses(&BTreeSet::new(), &services)), expected);
    }
}

#[test]
fn an_address_is_assigned_to_the_service_that_asks_for_it() {
    let described = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()].into();
    let (one, two) = (service("one", "10.0.0.1", &["10.0.0.1"]), service("two", "fd00::1", &["fd00:0::1"]));
    let mut field = service("two", "", &[]);
    field["spec"]["loadBalancerIP"] = json!("fd00::1");
    let mut inner = two.clone();
    inner["spec"]["type"] = json!("ClusterIP");
    for (services, expected) in [
        (vec![one.clone(), two.clone()], "passed: 2 of 2 addresses assigned"),
        (
            vec![service("both", "10.0.0.1, fd00::1", &["10.0.0.1", "fd00::1"])],
            "passed: 2 of 2 addresses assigned",
        ),
        (vec![one.clone()], "failed: 1 of 2 addresses assigned, no Service asks for fd00::1"),
        (vec![one.clone(), inner], "failed: 1 of 2 addresses assigned, no Service asks for fd00::1"),
        (vec![one.clone(), field], "failed: 1 of 2 addresses assigned, a/two asks for fd00::1 and has none"),
        (
            vec![one, two, service("third", "10.0.0.2", &["10.0.0.9"])],
            "failed: 2 of 2 addresses assigned, a/third asks for 10.0.0.2 and has 10.0.0.9",
        ),
    ] {
        assert_eq!(line(addresses(&described, &services)), expected);
    }
}

fn wanted(holds: &Value, more: &Value) -> Objects {
    let mut wanted = json!({ "apiVersion": "example.com/v1", "kind": "Thing", "holds": holds });
    wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(wanted).unwrap()
}

fn thing(name: &str, status: &Value) -> Value {
    json!({ "metadata": { "name": name, "namespace": "a", "creationTimestamp": "2025-12-31T22:00:00Z" }, "status": status })
}

#[test]
fn objects_are_held_against_conditions_times_and_numbers() {
    let condition = wanted(&json!({ "condition": "Ready" }), &json!({}));
    let left = wanted(&json!({ "left": "status.end", "atLeast": "7d" }), &json!({}));
    let age = wanted(&json!({ "age": ["status.done"], "atMost": "26h" }), &json!({}));
    let newest = wanted(
        &json!({ "age": ["status.done", "metadata.creationTimestamp"], "atMost": "26h", "newest": true }),
        &json!({ "fields": { "status.phase": "Completed" } }),
    );
    let number = wanted(&json!({ "number": "status.ready", "atLeast": 2, "atMost": 3 }), &json!({}));
    let optional = wanted(&json!({ "condition": "Ready" }), &json!({ "mayBeNone": true }));
    let ready =
        |status: &str| json!({ "conditions": [{ "type": "Ready", "status": status, "reason": "Because" }] });
    let done = |at: &str| json!({ "phase": "Completed", "done": at });
    for (wanted, all, expected) in [
        (&condition, vec![], "failed: there is no Thing"),
        (&optional, vec![], "passed: there is no Thing"),
        (&condition, vec![thing("x", &ready("True"))], "passed: 1 Thing"),
        (
            &condition,
            vec![thing("x", &ready("True")), thing("y", &ready("Unknown"))],
            "failed: 1 of 2 Things: a/y: Ready is Unknown: Because",
        ),
        (&left, vec![thing("x", &json!({ "end": "2026-01-09T00:00:00Z" }))], "passed: 1 Thing, a/x: 8d left"),
        (
            &left,
            vec![thing("x", &json!({ "end": "2026-01-07T23:59:59Z" }))],
            "failed: 1 of 1 Thing: a/x: 6d 23h left",
        ),
        (
            &left,
            vec![thing("x", &json!({ "end": "2025-12-31T00:00:00Z" }))],
            "failed: 1 of 1 Thing: a/x: over for 1d",
        ),
        (&left, vec![thing("x", &json!({ "end": "soon" }))], "failed: 1 of 1 Thing: a/x: has no status.end"),
        (&age, vec![thing("x", &done("2025-12-30T22:00:00Z"))], "passed: 1 Thing"),
        (&age, vec![thing("x", &done("2025-12-30T21:59:59Z"))], "failed: 1 of 1 Thing: a/x: 1d 2h ago"),
        (
            &newest,
            vec![thing("old", &done("2025-12-01T00:00:00Z")), thing("new", &done("2025-12-31T23:00:00Z"))],
            "passed: a/new: 1h ago",
        ),
        (&newest, vec![thing("x", &json!({ "phase": "Completed" }))], "passed: a/x: 2h ago"),
        (
            &newest,
            vec![thing("x", &json!({ "phase": "Failed" }))],
            "failed: none of 1 Thing has status.phase Completed",
        ),
        (&number, vec![thing("x", &json!({ "ready": 2 }))], "passed: 1 Thing"),
        (&number, vec![thing("x", &json!({ "ready": 4 }))], "failed: 1 of 1 Thing: a/x: status.ready is 4"),
        (&number, vec![thing("x", &json!({}))], "failed: 1 of 1 Thing: a/x: has no status.ready"),
    ] {
        assert_eq!(line(objects(wanted, &all, now())), expected, "{wanted:?}");
    }
}

fn query(limits: &Value) -> LiveQuery {
    let limit = |key: &str| serde_json::from_value(limits[key].clone()).unwrap();
    let cluster = ClusterName::parse("a").unwrap();
    let query = QueryAt { cluster, signal: "metrics".to_owned(), endpoint: None, text: String::new() };
    LiveQuery { query, within: 60, at_least: limit("atLeast"), at_most: limit("atMost"), expected_if: None }
}

fn vector(results: &[(&str, &str)]) -> Value {
    let result = |(job, value): &(&str, &str)| {
        let metric = if job.is_empty() { json!({}) } else { json!({ "job": job }) };
        json!({ "metric": metric, "value": [1_767_225_600.5, value] })
    };
    let results: Vec<_> = results.iter().map(result).collect();
    json!({ "status": "success", "data": { "resultType": "vector", "result": results } })
}

#[test]
fn each_result_of_a_query_has_to_be_within_the_limits() {
    let (age, count) = (query(&json!({ "atMost": "5m" })), query(&json!({ "atLeast": 1 })));
    let any = query(&json!({}));
    for (query, answer, expected) in [
        (&age, vector(&[("", "12.25")]), "passed: 12s"),
        (&age, vector(&[("", "300")]), "passed: 5m"),
        (&age, vector(&[("", "301")]), "failed: 5m 1s, and not at most 5m"),
        (&age, vector(&[("", "NaN")]), "failed: NaN, and not at most 5m"),
        (&age, vector(&[("", "+Inf")]), "failed: inf, and not at most 5m"),
        (&age, vector(&[]), "failed: nothing is found"),
        (&count, vector(&[("", "0")]), "failed: 0, and not at least 1"),
        (
            &count,
            vector(&[("x", "3"), ("y", "0.5")]),
            "failed: 1 of 2 results: job=y: 0.500, and not at least 1",
        ),
        (&count, vector(&[("x", "3")]), "passed: job=x: 3"),
        (&any, vector(&[("", "-1")]), "passed: -1"),
    ] {
        let samples = read(Language::Promql, &answer).unwrap();
        assert_eq!(line(results(query, &samples)), expected);
    }
}

#[test]
fn answers_are_read_as_they_are_documented_and_nothing_else_is() {
    let scalar = json!({ "data": { "resultType": "scalar", "result": [1, "2"] } });
    let matrix = json!({ "data": { "resultType": "matrix", "result": [] } });
    let strange =
        json!({ "data": { "resultType": "vector", "result": [{ "metric": {}, "value": [1, 2] }] } });
    let traces = json!({ "traces": [{ "traceID": "a" }, { "traceID": "b" }], "metrics": {} });
    let numbers = |language, answer| {
        read(language, &answer)
            .map(|samples| samples.into_iter().map(|sample| sample.value).collect::<Vec<_>>())
    };
    assert_eq!(numbers(Language::Promql, scalar), Ok(vec![2.0]));
    assert_eq!(numbers(Language::Logql, vector(&[("", "7")])), Ok(vec![7.0]));
    assert_eq!(numbers(Language::Traceql, traces), Ok(vec![2.0]));
    assert_eq!(numbers(Language::Traceql, json!({ "metrics": {} })), Ok(vec![]));
    let reason = |language, answer| numbers(language, answer).unwrap_err();
    assert_eq!(reason(Language::Promql, matrix), "the query finds a matrix and no numbers of now");
    assert_eq!(reason(Language::Promql, strange), "a result is no number");
    assert_eq!(reason(Language::Promql, json!("<html>")), "the answer is not that of a query");
    assert_eq!(reason(Language::Traceql, json!({ "traces": 1 })), "the answer is no list of traces");
}

#[test]
fn what_a_cluster_says_is_no_markup() {
    let finding = Finding {
        cluster: "app".to_owned(),
        addon: Some("loki".to_owned()),
        check: "lines".to_owned(),
        about: "lines".to_owned(),
        verdict: Verdict::Failed,
        found: "a|b `c` <img>\u{202e}".to_owned(),
    };
    let page = markdown(&[finding]);
    let row = page.lines().last().unwrap();
    assert_eq!(row.matches(" | ").count(), 4, "{row}");
    assert!(row.contains("\\|") && !row.contains('\u{202e}'), "{row}");
}
