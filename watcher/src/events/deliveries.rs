//! The sweep: it finds deliveries that failed, and requests each of them again.
//!
//! GitHub does not repeat a failed delivery by itself, but keeps a list of what it delivered in the last 3 days. The
//! list is read here; the caller sends the requests. The look is made for [`poll`](super::poll::poll): a failed
//! delivery is also a change that gives an event at once, so nothing is lost even if it fails again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error;
use std::mem;

use serde::Deserialize;
use thiserror::Error;
use tracing::info;

use super::RepositoryName;
use super::webhook::EventKind;
use crate::output::metrics::Metrics;

/// Deliveries on one page of the list, the most that GitHub gives (GitHub Docs, "List deliveries for a repository
/// webhook", `per_page`).
const PAGE_SIZE: usize = 100;

/// Pages that one sweep reads at most. What is older was hinted at by everything that came after it.
const MAX_PAGES: usize = 5;

/// Deliveries that one sweep requests at most, so that an outage does not spend the budget of all other requests.
const MAX_ATTEMPTS: usize = 10;

/// Failed deliveries that wait to be requested. They are all hints to the same look, so few are enough.
const MAX_WAITING: usize = 100;

/// Whose deliveries are swept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A webhook in a repository's settings.
    Repository {
        /// The repository.
        repository: RepositoryName,
        /// The webhook's number.
        id: u64,
    },
    /// The webhook of a GitHub App, which delivers for all repositories that it is installed in.
    App {
        /// The number of the repository whose deliveries count.
        repository_id: u64,
    },
}

/// A request to the forge, by its route below the API's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A `GET`.
    Get(String),
    /// A `POST` without a body. It is made at most once, and need not be repeated if it fails.
    Post(String),
}

/// What the forge answered to a call that it accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The address of the next page, if there is one.
    pub next: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why the deliveries could not be swept.
#[derive(Debug, Error)]
pub enum SweepError<E: Error + 'static> {
    /// The forge did not answer, or refused.
    #[error("failed to request failed deliveries")]
    Call(#[source] E),
    /// The forge answered something else than a list of deliveries.
    #[error("failed to understand the list of deliveries")]
    List(#[source] serde_json::Error),
}

/// Makes the look of a sweep: it returns how many failed deliveries it has found so far.
///
/// The first look reads what happened before the service started.
pub fn sweep<E: Error + 'static>(
    hook: Hook,
    metrics: Metrics,
    mut call: impl FnMut(&Call) -> Result<Reply, E>,
) -> impl FnMut() -> Result<u64, SweepError<E>> {
    let mut sweep = Sweep::default();
    move || {
        let records = newest_records(&hook, &sweep, &mut call)?;
        metrics.count_lost(sweep.update(&hook, &records));
        for _ in 0..MAX_ATTEMPTS {
            let Some(failed) = sweep.waiting.pop_front() else { break };
            info!(delivery = %failed.guid, "requesting a failed delivery again");
            // Taken out before the attempt: one that the forge refuses must not stand in the way of the others.
            call(&hook.attempt(failed.id)).map_err(SweepError::Call)?;
            metrics.count_redelivered();
        }
        Ok(sweep.found)
    }
}

/// Reads the list, newest first, page by page back to what was read before.
fn newest_records<E: Error + 'static>(
    hook: &Hook,
    sweep: &Sweep,
    call: &mut impl FnMut(&Call) -> Result<Reply, E>,
) -> Result<Vec<Record>, SweepError<E>> {
    let mut records = Vec::new();
    let mut cursor = None;
    for _ in 0..MAX_PAGES {
        let reply = call(&hook.list(cursor.as_deref())).map_err(SweepError::Call)?;
        let page: Vec<Record> = serde_json::from_slice(&reply.body).map_err(SweepError::List)?;
        let reaches_known = page.iter().any(|record| sweep.known.contains(&record.id));
        records.extend(page);
        cursor = reply.next.as_deref().and_then(next_cursor);
        if reaches_known || cursor.is_none() {
            break;
        }
    }
    Ok(records)
}

impl Hook {
    fn list(&self, cursor: Option<&str>) -> Call {
        let from = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        Call::Get(format!("{}?per_page={PAGE_SIZE}{from}", self.deliveries()))
    }

    fn attempt(&self, delivery: u64) -> Call {
        Call::Post(format!("{}/{delivery}/attempts", self.deliveries()))
    }

    fn deliveries(&self) -> String {
        match self {
            Self::Repository { repository, id } => format!("/repos/{repository}/hooks/{id}/deliveries"),
            Self::App { .. } => "/app/hook/deliveries".to_owned(),
        }
    }

    /// Returns whether a delivery would have been a hint for our repository.
    fn is_relevant(&self, record: &Record) -> bool {
        let is_ours = match self {
            Self::Repository { .. } => true,
            // Events about an installation name no repository and concern all of them.
            Self::App { repository_id } => record.repository_id.is_none_or(|id| id == *repository_id),
        };
        is_ours && EventKind::parse(&record.event) != EventKind::Other
    }
}

/// One attempt to deliver, as in the list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Record {
    /// The number of this attempt.
    id: u64,
    /// What all attempts at the same delivery have in common.
    guid: String,
    redelivery: bool,
    /// What our side answered, or a number outside 200 to 299 if it did not.
    status_code: u16,
    event: String,
    repository_id: Option<u64>,
}

/// What is known of the list. Pure: records go in, deliveries to request come out.
#[derive(Debug, Default)]
struct Sweep {
    /// The attempts on the newest pages as they were read last.
    known: BTreeSet<u64>,
    /// Failed deliveries that were not requested yet, the newest first.
    waiting: VecDeque<Failed>,
    /// The number of failed deliveries that were ever found.
    found: u64,
}

/// A failed delivery; sorts by the number of its attempt, which grows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Failed {
    id: u64,
    guid: String,
}

impl Sweep {
    /// Reads the newest pages of the list, and returns how many deliveries were lost since the last time: they failed
    /// although they were repeated. The list itself shows which deliveries were repeated, so a restart requests
    /// none twice.
    fn update(&mut self, hook: &Hook, records: &[Record]) -> u64 {
        let known = mem::replace(&mut self.known, records.iter().map(|record| record.id).collect());
        let mut deliveries: BTreeMap<&str, Delivery> = BTreeMap::new();
        for record in records.iter().filter(|record| hook.is_relevant(record)) {
            deliveries.entry(&record.guid).or_default().add(record, !known.contains(&record.id));
        }
        let is_settled = |delivery: &Delivery| delivery.has_arrived || delivery.was_repeated;
        self.waiting.retain(|failed| !deliveries.get(failed.guid.as_str()).is_some_and(is_settled));

        let mut failed: Vec<Failed> = deliveries
            .iter()
            .filter(|(_, delivery)| delivery.is_new && !is_settled(delivery))
            .map(|(guid, delivery)| Failed { id: delivery.attempt, guid: (*guid).to_owned() })
            .collect();
        failed.sort();
        self.found += failed.len() as u64;
        for failed in failed {
            self.waiting.push_front(failed);
        }
        self.waiting.truncate(MAX_WAITING);

        let is_lost =
            |delivery: &&Delivery| delivery.is_new && delivery.was_repeated && !delivery.has_arrived;
        // What was lost before the service started was not lost by it.
        if known.is_empty() { 0 } else { deliveries.values().filter(is_lost).count() as u64 }
    }
}

/// What became of one delivery, over all attempts at it.
#[derive(Clone, Copy, Debug, Default)]
struct Delivery {
    /// The last attempt.
    attempt: u64,
    has_arrived: bool,
    was_repeated: bool,
    /// Something happened since the last look.
    is_new: bool,
}

impl Delivery {
    fn add(&mut self, record: &Record, is_new: bool) {
        self.attempt = self.attempt.max(record.id);
        self.has_arrived |= matches!(record.status_code, 200..=299);
        self.was_repeated |= record.redelivery;
        self.is_new |= is_new;
    }
}

/// Returns the cursor of the next page. Only the cursor is taken, so that an answer cannot lead the caller, and its
/// credentials, to another address.
fn next_cursor(next: &str) -> Option<String> {
    let (_, query) = next.split_once('?')?;
    let cursor = query.split('&').find_map(|pair| pair.strip_prefix("cursor="))?;
    let is_plain = cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (!cursor.is_empty() && is_plain).then(|| cursor.to_owned())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;

    use serde_json::{Value, json};

    use super::*;

    const NONE: [u64; 0] = [];

    fn hook() -> Hook {
        Hook::Repository { repository: "acme/fleet".parse().unwrap(), id: 7 }
    }

    /// A record as GitHub lists it, of a push to our repository.
    fn record(id: u64, guid: &str, redelivery: bool, status_code: u16) -> Value {
        json!({
            "id": id, "guid": guid, "delivered_at": "2026-11-01T10:00:00Z", "redelivery": redelivery,
            "duration": 0.03, "status": "", "status_code": status_code, "event": "push", "action": null,
            "installation_id": null, "repository_id": 1, "throttled_at": null,
        })
    }

    fn first(id: u64, guid: &str, status_code: u16) -> Value {
        record(id, guid, false, status_code)
    }

    fn again(id: u64, guid: &str, status_code: u16) -> Value {
        record(id, guid, true, status_code)
    }

    fn with(mut record: Value, field: &str, value: Value) -> Value {
        record[field] = value;
        record
    }

    /// A list that sweeps read, and the numbers of the attempts that they asked for.
    struct Scene {
        hook: Hook,
        /// Newest first.
        list: RefCell<Vec<Value>>,
        page_size: usize,
        calls: RefCell<Vec<Call>>,
        metrics: Metrics,
    }

    impl Scene {
        fn new(list: impl IntoIterator<Item = Value>) -> Self {
            Self {
                hook: hook(),
                list: RefCell::new(list.into_iter().collect()),
                page_size: PAGE_SIZE,
                calls: RefCell::default(),
                metrics: Metrics::new(),
            }
        }

        fn add(&self, record: Value) {
            self.list.borrow_mut().insert(0, record);
        }

        fn answer(&self, call: &Call) -> Reply {
            self.calls.borrow_mut().push(call.clone());
            let Call::Get(route) = call else { return Reply::default() };
            let from: usize =
                route.split_once("&cursor=v1_").map_or(0, |(_, position)| position.parse().unwrap());
            let list = self.list.borrow();
            let page = &list[from..list.len().min(from + self.page_size)];
            let to = from + page.len();
            let next = format!(
                "https://api.github.com/repositories/1/hooks/7/deliveries?per_page=100&cursor=v1_{to}"
            );
            let next = (to < list.len()).then_some(next);
            Reply { next, body: serde_json::to_vec(page).unwrap() }
        }

        fn look(&self) -> impl FnMut() -> Result<u64, SweepError<io::Error>> {
            sweep(self.hook.clone(), self.metrics.clone(), |call| Ok(self.answer(call)))
        }

        /// Takes out the attempts that were asked for since the last time.
        fn asked(&self) -> Vec<u64> {
            let calls = self.calls.take();
            let posts = calls.iter().filter_map(|call| match call {
                Call::Post(route) => route.strip_suffix("/attempts")?.rsplit('/').next(),
                Call::Get(_) => None,
            });
            posts.map(|id| id.parse().unwrap()).collect()
        }

        fn pages_read(&self) -> usize {
            self.calls.borrow().iter().filter(|call| matches!(call, Call::Get(_))).count()
        }

        fn lost(&self) -> bool {
            self.metrics.encode().unwrap().contains("fleetwright_webhook_deliveries_lost_total 1\n")
        }
    }

    #[test]
    fn where_everything_arrived_nothing_is_asked_for() {
        let scene = Scene::new([first(2, "b", 202), first(1, "a", 200)]);
        assert_eq!(scene.look()().unwrap(), 0);
        assert_eq!(scene.asked(), NONE);
    }

    #[test]
    fn a_delivery_that_failed_is_asked_for_once() {
        let scene = Scene::new([first(2, "b", 502), first(1, "a", 202)]);
        let mut look = scene.look();
        assert_eq!([look().unwrap(), look().unwrap()], [1, 1]);
        assert_eq!(scene.asked(), [2]);
    }

    #[test]
    fn a_restart_reads_from_the_list_what_was_asked_for_before() {
        let repeated = [again(4, "b", 202), again(3, "a", 500), first(2, "b", 500), first(1, "a", 500)];
        let scene = Scene::new(repeated);
        scene.look()().unwrap();
        assert_eq!(scene.asked(), NONE);
        assert!(!scene.lost(), "an old loss was counted as a new one");
    }

    #[test]
    fn a_delivery_that_fails_again_is_lost_and_left_to_polling() {
        let scene = Scene::new([first(1, "a", 500)]);
        let mut look = scene.look();
        look().unwrap();
        scene.add(again(2, "a", 500));
        look().unwrap();
        assert_eq!(scene.asked(), [1]);
        assert!(scene.lost());
    }

    #[test]
    fn a_later_failure_is_found_by_the_next_look() {
        let scene = Scene::new([first(1, "a", 202)]);
        let mut look = scene.look();
        assert_eq!(look().unwrap(), 0);
        scene.add(first(2, "b", 0));
        assert_eq!(look().unwrap(), 1);
        assert_eq!(scene.asked(), [2]);
    }

    #[test]
    fn an_old_failure_stays_one_while_the_list_grows() {
        let scene = Scene::new([first(1, "a", 500)]);
        let mut look = scene.look();
        let mut found = vec![look().unwrap()];
        for id in 2..5 {
            scene.add(first(id, &format!("guid-{id}"), 202));
            found.push(look().unwrap());
        }
        assert_eq!((found, scene.asked()), (vec![1; 4], vec![1]));
    }

    #[test]
    fn an_outage_is_asked_for_in_portions_the_newest_first() {
        let scene = Scene::new((1..=25).rev().map(|id| first(id, &format!("guid-{id}"), 502)));
        let mut look = scene.look();
        let portions = [(); 4].map(|()| {
            assert_eq!(look().unwrap(), 25);
            scene.asked()
        });
        let expected: [Vec<u64>; 4] =
            [(16..=25).rev().collect(), (6..=15).rev().collect(), (1..=5).rev().collect(), vec![]];
        assert_eq!(portions, expected);
    }

    #[test]
    fn what_waits_is_left_out_when_someone_else_asked_for_it() {
        let scene = Scene::new((1..=11).rev().map(|id| first(id, &format!("guid-{id}"), 502)));
        let mut look = scene.look();
        look().unwrap();
        scene.add(again(12, "guid-1", 202));
        scene.asked();
        look().unwrap();
        assert_eq!(scene.asked(), NONE);
    }

    #[test]
    fn one_that_the_forge_refuses_does_not_stand_in_the_way_of_the_others() {
        let scene = Scene::new([first(2, "b", 500), first(1, "a", 500)]);
        let refuse = |call: &Call| match call {
            Call::Post(route) if route.contains("/2/") => Err(io::Error::other("unprocessable")),
            _ => Ok(scene.answer(call)),
        };
        let mut look = sweep(hook(), Metrics::new(), refuse);
        assert!(matches!(look(), Err(SweepError::Call(_))));
        look().unwrap();
        assert_eq!(scene.asked(), [1]);
    }

    #[test]
    fn pages_are_read_back_to_what_is_known_and_no_further_than_allowed() {
        let mut scene = Scene::new((1..=100).rev().map(|id| first(id, &format!("guid-{id}"), 202)));
        scene.page_size = 10;
        let mut look = scene.look();
        look().unwrap();
        assert_eq!(scene.pages_read(), MAX_PAGES);
        scene.calls.take();
        (101..=115).for_each(|id| scene.add(first(id, &format!("guid-{id}"), 202)));
        look().unwrap();
        assert_eq!(scene.pages_read(), 2);
    }

    #[test]
    fn events_that_nobody_acts_on_and_other_repositories_are_left_alone() {
        let mut scene = Scene::new([
            with(first(1, "a", 500), "event", json!("star")),
            with(first(2, "b", 500), "repository_id", json!(9)),
            with(with(first(3, "c", 500), "repository_id", json!(null)), "event", json!("installation")),
            first(4, "d", 500),
        ]);
        scene.hook = Hook::App { repository_id: 1 };
        scene.look()().unwrap();
        assert_eq!(scene.asked(), [4, 3]);
    }

    #[test]
    fn each_kind_of_hook_has_its_routes() {
        assert_eq!(
            hook().list(None),
            Call::Get("/repos/acme/fleet/hooks/7/deliveries?per_page=100".to_owned())
        );
        assert_eq!(
            hook().attempt(9),
            Call::Post("/repos/acme/fleet/hooks/7/deliveries/9/attempts".to_owned())
        );
        let app = Hook::App { repository_id: 1 };
        let second = "/app/hook/deliveries?per_page=100&cursor=v1_5";
        assert_eq!(app.list(Some("v1_5")), Call::Get(second.to_owned()));
        assert_eq!(app.attempt(9), Call::Post("/app/hook/deliveries/9/attempts".to_owned()));
    }

    #[test]
    fn of_the_next_page_only_the_cursor_is_taken() {
        let table = [
            ("https://a.example/x?per_page=100&cursor=v1_12", Some("v1_12")),
            ("https://a.example/x?per_page=100", None),
            ("https://a.example/x?cursor=a/../b", None),
            ("https://a.example/x?cursor=", None),
            ("nonsense", None),
        ];
        for (next, cursor) in table {
            assert_eq!(next_cursor(next).as_deref(), cursor, "{next}");
        }
    }
}
