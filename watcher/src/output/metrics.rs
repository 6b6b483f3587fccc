//! Metrics: what the service counts about itself, in the text format that Prometheus reads.
//!
//! Knows nothing of what is counted beyond its name. Every label comes from a closed set in the code, or is a group of the
//! fleet, so that clients cannot make the number of series grow.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry, Unit};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Names and values of labels.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// A group whose pull request may not be merged yet, and why.
type Held = (String, &'static str);

/// The counters of one service; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    deliveries: Family<Labels<2>, Counter>,
    /// Failed deliveries that the forge was asked to repeat.
    pub redelivered: Counter,
    /// Deliveries that failed again when they were repeated.
    pub lost: Counter,
    connections_cut: Family<Labels<1>, Counter>,
    /// Connections that could not be accepted.
    pub accept_failures: Counter,
    /// Bytes of deliveries that are held.
    pub buffered_bytes: Gauge<u64, AtomicU64>,
    /// Whether this replica works: 1, or 0 while it waits for the Lease.
    pub leader: Gauge<u64, AtomicU64>,
    /// Hints that wait for the queue.
    pub pending_hints: Gauge<u64, AtomicU64>,
    queue_age: Gauge<f64, AtomicU64>,
    unanswered_since: Arc<Mutex<Option<Instant>>>,
    github_budget: Family<Labels<1>, Gauge<u64, AtomicU64>>,
    group_held: Family<[(&'static str, String); 2], Gauge<f64, AtomicU64>>,
    held_since: Arc<Mutex<BTreeMap<Held, Instant>>>,
    push_to_pull_request: Histogram,
    runs: Family<Labels<1>, Counter>,
    run_duration: Histogram,
    worker_deaths: Family<Labels<2>, Counter>,
    /// Problems that keep the base branch from being rendered.
    pub base_problems: Gauge<u64, AtomicU64>,
    last_success: Gauge<f64, AtomicU64>,
    last_look: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// Creates the metrics of a service that has just started.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("fleetwright");
        let to = &mut registry;
        // From 10 ms, a change to one cluster, to 40 s, a whole fleet over a slow network.
        let run_duration = Histogram::new(exponential_buckets(0.01, 2.0, 13));
        // From 100 ms to 1 hour, the longest time that a rate limit delays a run.
        let push_to_pull_request = Histogram::new(exponential_buckets(0.1, 2.0, 16));
        let (count, moment) = (Gauge::default(), Gauge::default);
        // In the order in which they are shown.
        Self {
            deliveries: added(to, "webhook_deliveries", "Webhook deliveries by event and by verdict"),
            redelivered: added(to, "webhook_deliveries_redelivered", "Failed deliveries requested again"),
            lost: added(to, "webhook_deliveries_lost", "Deliveries that failed again when repeated"),
            connections_cut: added(to, "http_connections_cut", "Connections closed early, by reason"),
            accept_failures: added(to, "http_accept_failures", "Connections that could not be accepted"),
            buffered_bytes: in_unit(to, "webhook_buffered", "Deliveries being received", Unit::Bytes, count),
            leader: added(to, "leader", "1 if this replica works, 0 while it waits for the Lease"),
            pending_hints: added(to, "pending_hints", "Hints that wait for the queue"),
            queue_age: in_unit(to, "queue_age", "Age of the first unanswered event", Unit::Seconds, moment()),
            unanswered_since: Arc::default(),
            github_budget: added(to, "github_budget_left", "What is left of GitHub's limits"),
            group_held: in_unit(
                to,
                "group_held",
                "How long a group's pull request has not been released",
                Unit::Seconds,
                Family::default(),
            ),
            held_since: Arc::default(),
            push_to_pull_request: in_unit(
                to,
                "push_to_pull_request",
                "Time from the first event about a change to the pull requests that show it",
                Unit::Seconds,
                push_to_pull_request,
            ),
            runs: added(to, "runs", "Runs by how they ended"),
            run_duration: in_unit(to, "run_duration", "Duration of runs", Unit::Seconds, run_duration),
            worker_deaths: added(to, "worker_deaths", "Workers that ended before they had rendered"),
            base_problems: added(to, "base_problems", "Problems that keep the base branch from rendering"),
            last_success: in_unit(
                to,
                "last_success_timestamp",
                "Unix time of the last success",
                Unit::Seconds,
                moment(),
            ),
            last_look: in_unit(
                to,
                "last_look_timestamp",
                "Unix time of the last look",
                Unit::Seconds,
                moment(),
            ),
            registry: Arc::new(registry),
        }
    }

    /// Counts a webhook delivery by its event and what became of it.
    pub fn count_delivery(&self, event: &'static str, verdict: &'static str) {
        self.deliveries.get_or_create(&[("event", event), ("verdict", verdict)]).inc();
    }

    /// Counts a connection that was closed before its request was answered, and why.
    pub fn count_connection_cut(&self, reason: &'static str) {
        self.connections_cut.get_or_create(&[("reason", reason)]).inc();
    }

    /// Notes since when the first event waits that no run has answered.
    pub fn set_unanswered_since(&self, since: Option<Instant>) {
        *self.unanswered_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Notes how much is left of a part of GitHub's budget; nothing if that is not known.
    pub fn set_github_budget(&self, of: &'static str, left: Option<u64>) {
        let (budget, labels) = (&self.github_budget, [("of", of)]);
        match left {
            Some(left) => drop(budget.get_or_create(&labels).set(left)),
            None => drop(budget.remove(&labels)),
        }
    }

    /// Notes the groups that are held at `now`; how long is counted from when one was first held for this reason.
    pub fn set_held(&self, held: BTreeSet<Held>, now: Instant) {
        let mut since = self.held_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.retain(|known, _| held.contains(known));
        for held in held {
            since.entry(held).or_insert(now);
        }
    }

    /// Notes how long it took from the first event about a push to the pull requests that show it.
    pub fn observe_push_to_pull_request(&self, took: Duration) {
        self.push_to_pull_request.observe(took.as_secs_f64());
    }

    /// Counts a run by how it ended and how long it took.
    pub fn count_run(&self, outcome: &'static str, took: Duration) {
        self.runs.get_or_create(&[("outcome", outcome)]).inc();
        self.run_duration.observe(took.as_secs_f64());
    }

    /// Counts a process that ended while it rendered, by what it rendered and by why it ended.
    pub fn count_worker_death(&self, worker: &'static str, cause: &'static str) {
        self.worker_deaths.get_or_create(&[("worker", worker), ("cause", cause)]).inc();
    }

    /// Notes that a run succeeded at `time`.
    pub fn set_last_success(&self, time: SystemTime) {
        self.last_success.set(unix_seconds(time));
    }

    /// Notes that a look for changes succeeded at `time`.
    pub fn set_last_look(&self, time: SystemTime) {
        self.last_look.set(unix_seconds(time));
    }

    /// Returns everything that was counted until `now`, as text.
    pub fn encode_at(&self, now: Instant) -> Result<String, fmt::Error> {
        let since = *self.unanswered_since.lock().unwrap_or_else(PoisonError::into_inner);
        let age = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.queue_age.set(age.as_secs_f64());
        self.group_held.clear();
        for ((group, reason), since) in &*self.held_since.lock().unwrap_or_else(PoisonError::into_inner) {
            let labels = [("group", group.clone()), ("reason", (*reason).to_owned())];
            let held = now.saturating_duration_since(*since);
            self.group_held.get_or_create(&labels).set(held.as_secs_f64());
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Returns everything that was counted until now, as text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        self.encode_at(Instant::now())
    }
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Registers a metric.
fn added<M: Metric + Clone + Default>(to: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    to.register(name, help, metric.clone());
    metric
}

/// Registers a metric whose name ends in its unit.
fn in_unit<M: Metric + Clone>(to: &mut Registry, name: &str, help: &str, unit: Unit, metric: M) -> M {
    to.register_with_unit(name, help, unit, metric.clone());
    metric
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn counted(metrics: &Metrics) -> String {
        counted_at(metrics, Instant::now())
    }

    fn counted_at(metrics: &Metrics, now: Instant) -> String {
        let text = metrics.encode_at(now).unwrap();
        // The buckets of a duration add nothing to its sum.
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket"));
        let mut lines: Vec<_> = lines.collect();
        // Those of one metric come in any order.
        let name = |line: &str| line.split(['{', ' ']).next().map(str::to_owned);
        lines.chunk_by_mut(|one, other| name(one) == name(other)).for_each(<[_]>::sort_unstable);
        lines.join("\n")
    }

    #[test]
    fn a_service_that_has_just_started_counted_nothing() {
        assert_snapshot!(counted(&Metrics::new()), @"
        fleetwright_webhook_deliveries_redelivered_total 0
        fleetwright_webhook_deliveries_lost_total 0
        fleetwright_http_accept_failures_total 0
        fleetwright_webhook_buffered_bytes 0
        fleetwright_leader 0
        fleetwright_pending_hints 0
        fleetwright_queue_age_seconds 0.0
        fleetwright_push_to_pull_request_seconds_sum 0.0
        fleetwright_push_to_pull_request_seconds_count 0
        fleetwright_run_duration_seconds_sum 0.0
        fleetwright_run_duration_seconds_count 0
        fleetwright_base_problems 0
        fleetwright_last_success_timestamp_seconds 0.0
        fleetwright_last_look_timestamp_seconds 0.0
        ");
    }

    #[test]
    fn what_was_counted_has_the_names_that_the_documentation_gives() {
        let metrics = Metrics::new();
        metrics.count_delivery("push", "queued");
        metrics.redelivered.inc();
        metrics.lost.inc_by(2);
        metrics.count_connection_cut("slow");
        metrics.accept_failures.inc();
        metrics.buffered_bytes.set(512);
        metrics.leader.set(1);
        metrics.pending_hints.set(3);
        let now = Instant::now();
        metrics.set_unanswered_since(Some(now));
        metrics.set_github_budget("requests", Some(4_900));
        metrics.set_github_budget("pushes", Some(6));
        metrics.set_github_budget("pushes", None);
        let held = |reason| BTreeSet::from([("canary".to_owned(), "paused"), ("rest".to_owned(), reason)]);
        metrics.set_held(held("waiting"), now);
        metrics.set_held(held("stopped"), now + Duration::from_mins(1));
        metrics.observe_push_to_pull_request(Duration::from_millis(2_500));
        metrics.count_run("done", Duration::from_millis(1_500));
        metrics.count_worker_death("review", "memory");
        metrics.base_problems.set(3);
        metrics.set_last_success(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        metrics.set_last_look(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_001));
        assert_snapshot!(counted_at(&metrics, now + Duration::from_secs(90)), @r#"
        fleetwright_webhook_deliveries_total{event="push",verdict="queued"} 1
        fleetwright_webhook_deliveries_redelivered_total 1
        fleetwright_webhook_deliveries_lost_total 2
        fleetwright_http_connections_cut_total{reason="slow"} 1
        fleetwright_http_accept_failures_total 1
        fleetwright_webhook_buffered_bytes 512
        fleetwright_leader 1
        fleetwright_pending_hints 3
        fleetwright_queue_age_seconds 90.0
        fleetwright_github_budget_left{of="requests"} 4900
        fleetwright_group_held_seconds{group="canary",reason="paused"} 90.0
        fleetwright_group_held_seconds{group="rest",reason="stopped"} 30.0
        fleetwright_push_to_pull_request_seconds_sum 2.5
        fleetwright_push_to_pull_request_seconds_count 1
        fleetwright_runs_total{outcome="done"} 1
        fleetwright_run_duration_seconds_sum 1.5
        fleetwright_run_duration_seconds_count 1
        fleetwright_worker_deaths_total{worker="review",cause="memory"} 1
        fleetwright_base_problems 3
        fleetwright_last_success_timestamp_seconds 1700000000.0
        fleetwright_last_look_timestamp_seconds 1700000001.0
        "#);
    }
}
