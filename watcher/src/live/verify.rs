//! Asking live clusters what is to be verified, until it holds or the time is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use futures::stream::{self, StreamExt as _};
use renderer::catalog::{Language, Objects};
use renderer::path::ClusterName;
use renderer::verify::{Check, LiveQuery, QueryAt, Question};
use tokio::time::{Instant, sleep_until};

use crate::argocd::HubFleet;
use crate::backoff::Backoff;
use crate::cluster::{Client, ClusterError, ClusterErrorKind, ServiceRequest};
use crate::events::{Cancel, Stopped};
use crate::verify::{self, Finding, Found, Sample, Verdict};

/// How many questions are asked at once.
const AT_ONCE: usize = 16;
/// How long a check that does not hold rests before it is asked again: in the end about the time of a scrape.
const AGAIN_AFTER: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(15) };
/// How many traces are looked for: whether there are some is enough.
const MAX_TRACES: usize = 20;
/// The header by which Loki and Tempo know tenants.
const TENANT: &str = "X-Scope-OrgID";

/// The clusters that can be asked, by their names.
pub struct Clusters(BTreeMap<ClusterName, Result<Client, ClusterError>>);

impl Clusters {
    /// Returns how the clusters are reached that checks ask: hubs by their clients, each other one by the context of the
    /// kubeconfig that has its name.
    pub async fn of<'h>(checks: &[Check], hubs: impl Iterator<Item = (&'h HubFleet, &'h Client)>) -> Self {
        let own = hubs.filter_map(|(fleet, client)| Some((fleet.hub.clone()?, Ok(client.clone()))));
        let mut clients: BTreeMap<_, _> = own.collect();
        for cluster in checks.iter().flat_map(asked).collect::<BTreeSet<_>>() {
            if !clients.contains_key(cluster) {
                clients.insert(cluster.clone(), Client::connect(Some(cluster.as_str())).await);
            }
        }
        Self(clients)
    }

    /// Returns the client of a cluster, or what that it cannot be asked means.
    fn get(&self, cluster: &ClusterName) -> Result<&Client, Found> {
        match self.0.get(cluster) {
            Some(Ok(client)) if client.is_anonymous() => {
                Err((Verdict::NotAsked, format!("the context of `{cluster}` has no user")))
            }
            Some(Ok(client)) => Ok(client),
            Some(Err(error)) if error.kind != ClusterErrorKind::Unconfigured => Err(unanswered(error)),
            _ => Err((Verdict::NotAsked, format!("no context of the kubeconfig is called `{cluster}`"))),
        }
    }
}

/// Returns the clusters that a check asks.
fn asked(check: &Check) -> Vec<&ClusterName> {
    match &check.question {
        Question::Query(query) => {
            std::iter::once(&query.query).chain(&query.expected_if).map(|it| &it.cluster).collect()
        }
        _ => vec![&check.cluster],
    }
}

/// Asks every question, and those that do not hold again until they do or the time is over. `show` is given how many hold.
pub async fn verify(
    checks: &[Check],
    clusters: &Clusters,
    deadline: Instant,
    cancel: &Cancel,
    mut show: impl FnMut(usize),
) -> Result<Vec<Finding>, Stopped> {
    let mut found: Vec<Option<Found>> = checks.iter().map(|_| None).collect();
    let mut round = 0;
    loop {
        ask_open(checks, clusters, &mut found, cancel, &mut show).await?;
        if !found.iter().any(|found| is_open(found.as_ref())) || Instant::now() >= deadline {
            let found = found.into_iter().flatten();
            return Ok(checks.iter().zip(found).map(|(check, found)| Finding::of(check, found)).collect());
        }
        tokio::select! {
            () = sleep_until(deadline.min(Instant::now() + AGAIN_AFTER.delay(round))) => {}
            () = cancel.requested() => return Err(Stopped),
        }
        round += 1;
    }
}

fn is_open(found: Option<&Found>) -> bool {
    found.is_none_or(|(verdict, _)| verdict.is_open())
}

/// Asks what does not hold or was not asked yet.
async fn ask_open(
    checks: &[Check],
    clusters: &Clusters,
    found: &mut [Option<Found>],
    cancel: &Cancel,
    show: &mut impl FnMut(usize),
) -> Result<(), Stopped> {
    let open: Vec<usize> = (0..checks.len()).filter(|index| is_open(found[*index].as_ref())).collect();
    let mut answers = stream::iter(open)
        .map(async |index| (index, ask(&checks[index], clusters, SystemTime::now()).await))
        .buffer_unordered(AT_ONCE);
    loop {
        let next = tokio::select! {
            next = answers.next() => next,
            () = cancel.requested() => return Err(Stopped),
        };
        let Some((index, answer)) = next else { return Ok(()) };
        found[index] = Some(answer);
        show(found.iter().filter(|found| !is_open(found.as_ref())).count());
    }
}

async fn ask(check: &Check, clusters: &Clusters, now: SystemTime) -> Found {
    answer(check, clusters, now).await.unwrap_or_else(|found| found)
}

/// Returns what was found, or what it means that nothing could be.
async fn answer(check: &Check, clusters: &Clusters, now: SystemTime) -> Result<Found, Found> {
    let own = || clusters.get(&check.cluster);
    match &check.question {
        Question::Nodes(count) => Ok(verify::nodes(*count, &list(own()?, ("v1", "Node")).await?)),
        Question::Addresses(addresses) => {
            Ok(verify::addresses(addresses, &list(own()?, ("v1", "Service")).await?))
        }
        Question::Objects(wanted) => {
            let Objects { api_version, kind, namespace, labels, .. } = wanted;
            let found = own()?.objects((api_version, kind), namespace.as_deref(), labels).await;
            Ok(verify::objects(wanted, &found.map_err(|error| unanswered(&error))?, now))
        }
        Question::Query(query) => {
            if let Some(guard) = &query.expected_if
                && !verify::has_result(&samples(guard, query, clusters, now).await?)
            {
                let reason =
                    format!("it is expected where `{}` finds something on `{}`", guard.text, guard.cluster);
                return Err((Verdict::NotAsked, reason));
            }
            Ok(verify::results(query, &samples(&query.query, query, clusters, now).await?))
        }
    }
}

async fn list(client: &Client, kind: (&str, &str)) -> Result<Vec<serde_json::Value>, Found> {
    client.objects(kind, None, &BTreeMap::new()).await.map_err(|error| unanswered(&error))
}

fn unanswered(error: &ClusterError) -> Found {
    (Verdict::Unanswered, error.to_string())
}

/// Asks what keeps a signal.
async fn samples(
    at: &QueryAt,
    query: &LiveQuery,
    clusters: &Clusters,
    now: SystemTime,
) -> Result<Vec<Sample>, Found> {
    let Some(endpoint) = &at.endpoint else {
        let message = format!("no add-on on `{}` answers queries about `{}`", at.cluster, at.signal);
        return Err((Verdict::NotAsked, message));
    };
    let (path, parameters) = match endpoint.language {
        Language::Promql => ("api/v1/query", vec![("query", at.text.clone())]),
        Language::Logql => ("loki/api/v1/query", vec![("query", at.text.clone())]),
        Language::Traceql => ("api/search", traces(&at.text, query.within, now)),
    };
    let prefix = &endpoint.path_prefix;
    let request = ServiceRequest {
        namespace: &endpoint.namespace,
        service: &endpoint.service,
        port: endpoint.port,
        is_encrypted: endpoint.is_encrypted,
        path: if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") },
        query: parameters,
        header: endpoint.tenant.as_deref().map(|tenant| (TENANT, tenant)),
    };
    let answer = clusters.get(&at.cluster)?.ask(&request).await.map_err(|error| unanswered(&error))?;
    verify::read(endpoint.language, &answer).map_err(|reason| (Verdict::Unanswered, reason))
}

fn traces(query: &str, within: i64, now: SystemTime) -> Vec<(&'static str, String)> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let start = now.saturating_sub(u64::try_from(within).unwrap_or(0));
    vec![
        ("q", query.to_owned()),
        ("start", start.to_string()),
        ("end", now.to_string()),
        ("limit", MAX_TRACES.to_string()),
    ]
}
