//! Asking live clusters what is to be verified, until it holds or the time is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use futures::future::{FutureExt as _, join_all};
use futures::stream::{self, StreamExt as _};
use renderer::catalog::{Language, Objects};
use renderer::path::ClusterName;
use renderer::verify::{Check, LiveQuery, QueryAt, Question};
use tokio::time::{Instant, sleep_until};

use crate::argocd::HubFleet;
use crate::backoff::Backoff;
use crate::cluster::{Client, ClusterError, Contexts, ServiceRequest};
use crate::events::{Cancel, Stopped};
use crate::verify::{self, Finding, Found, Sample, Verdict};

/// How many clusters are asked at once.
const AT_ONCE: usize = 32;
/// How long a check that does not hold rests before it is asked again: in the end about the time of a scrape.
const AGAIN_AFTER: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(15) };
/// How many traces are looked for: whether there are some is enough.
const MAX_TRACES: usize = 20;
/// The header by which Loki and Tempo know tenants.
const TENANT: &str = "X-Scope-OrgID";

/// The clusters that can be asked: hubs by their clients, each other one by the context of the kubeconfig that has its name.
pub struct Clusters {
    hubs: BTreeMap<ClusterName, Client>,
    contexts: Contexts,
}

/// The client of a cluster, or what it means that it cannot be asked.
type Reached = Result<Client, Found>;

impl Clusters {
    /// Returns how the clusters of hubs are reached.
    pub fn of<'h>(hubs: impl Iterator<Item = (&'h HubFleet, &'h Client)>) -> Self {
        let hubs = hubs.filter_map(|(fleet, client)| Some((fleet.hub.clone()?, client.clone())));
        Self { hubs: hubs.collect(), contexts: Contexts::read() }
    }

    /// Reaches a cluster. One that does not answer is not asked anything else: that would take as long for each question.
    async fn reach(&self, cluster: &ClusterName) -> Reached {
        let client = if let Some(hub) = self.hubs.get(cluster) {
            hub.clone()
        } else {
            let none = || (Verdict::NotAsked, format!("no context of the kubeconfig is called `{cluster}`"));
            let client = self.contexts.client(cluster.as_str()).await.ok_or_else(none)?;
            client.map_err(|error| unanswered(&error))?
        };
        if client.is_anonymous() {
            return Err((Verdict::NotAsked, format!("the context of `{cluster}` has no user")));
        }
        client.answers().await.map_err(|error| unanswered(&error))?;
        Ok(client)
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
        cancel.during(sleep_until(deadline.min(Instant::now() + AGAIN_AFTER.delay(round)))).await?;
        round += 1;
    }
}

fn is_open(found: Option<&Found>) -> bool {
    found.is_none_or(|(verdict, _)| verdict.is_open())
}

/// Asks what does not hold or was not asked yet: several clusters at once, and each one thing after the other.
async fn ask_open(
    checks: &[Check],
    clusters: &Clusters,
    found: &mut [Option<Found>],
    cancel: &Cancel,
    show: &mut impl FnMut(usize),
) -> Result<(), Stopped> {
    let open = open(checks, found);
    let mut holding = found.iter().filter(|found| !is_open(found.as_ref())).count();
    let others = open.values().flatten().flat_map(|index| other_queried(&checks[*index])).collect();
    let shared = cancel.during(reach_all(clusters, others)).await?;
    let answers = stream::iter(open).map(|(cluster, indexes)| {
        let reached = async {
            let own = match shared.get(cluster) {
                Some(reached) => reached.clone(),
                None => clusters.reach(cluster).await,
            };
            let each = stream::iter(indexes).zip(stream::repeat(own));
            each.then(async |(index, own)| (index, ask(&checks[index], &own, &shared).await))
        };
        reached.flatten_stream().boxed_local()
    });
    let mut answers = answers.flatten_unordered(AT_ONCE);
    loop {
        let Some((index, answer)) = cancel.during(answers.next()).await? else { return Ok(()) };
        holding += usize::from(!is_open(Some(&answer)));
        found[index] = Some(answer);
        show(holding);
    }
}

/// Returns the numbers of the checks that do not hold or were not asked yet, by the clusters that they are about.
fn open<'c>(checks: &'c [Check], found: &[Option<Found>]) -> BTreeMap<&'c ClusterName, Vec<usize>> {
    let mut open: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (index, check) in checks.iter().enumerate().filter(|(index, _)| is_open(found[*index].as_ref())) {
        open.entry(&check.cluster).or_default().push(index);
    }
    open
}

/// Returns the clusters that a check sends queries to beside its own: for those of many it is the same hub.
fn other_queried(check: &Check) -> impl Iterator<Item = &ClusterName> {
    let query = match &check.question {
        Question::Query(query) => Some(query),
        _ => None,
    };
    let all = query.into_iter().flat_map(|query| [&query.query].into_iter().chain(&query.expected_if));
    all.map(|at| &at.cluster).filter(|cluster| **cluster != check.cluster)
}

/// The clusters that checks of others send queries to.
type Shared<'c> = BTreeMap<&'c ClusterName, Reached>;

async fn reach_all<'c>(clusters: &Clusters, names: BTreeSet<&'c ClusterName>) -> Shared<'c> {
    let reached = names.into_iter().map(async |cluster| (cluster, clusters.reach(cluster).await));
    join_all(reached).await.into_iter().collect()
}

async fn ask(check: &Check, own: &Reached, shared: &Shared<'_>) -> Found {
    answer(check, own, shared, SystemTime::now()).await.unwrap_or_else(|found| found)
}

/// Returns what was found, or what it means that nothing could be.
async fn answer(check: &Check, own: &Reached, shared: &Shared<'_>, now: SystemTime) -> Result<Found, Found> {
    let at = |query: &QueryAt| if query.cluster == check.cluster { own } else { &shared[&query.cluster] };
    let own = || own.as_ref().map_err(Clone::clone);
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
                && !verify::has_result(&samples(guard, query, at(guard), now).await?)
            {
                let reason =
                    format!("it is expected where `{}` finds something on `{}`", guard.text, guard.cluster);
                return Err((Verdict::NotAsked, reason));
            }
            Ok(verify::results(query, &samples(&query.query, query, at(&query.query), now).await?))
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
    reached: &Reached,
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
    let answer =
        reached.as_ref().map_err(Clone::clone)?.ask(&request).await.map_err(|error| unanswered(&error))?;
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
