//! The sweep: it finds deliveries that failed, and requests each of them again.
//!
//! GitHub does not repeat a failed delivery by itself, but keeps a list of what it delivered in the last 3
//! days. The look is made for [`poll`](crate::events::poll::poll): a failed delivery is also a change that
//! gives an event at once, so nothing is lost even if it fails again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;

use http::Method;
use serde::Deserialize;
use tracing::info;

use super::client::{Answer, Asker, Call, Client, GitHubError};
use super::place::RepositoryPlace;
use crate::events::webhook::EventKind;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// The webhook with this number in the repository's settings.
    Repository(u64),
    /// The webhook of our own GitHub App, which delivers for all repositories that it is installed in.
    App,
}

#[derive(Debug, Deserialize)]
struct Repository {
    id: u64,
}

/// Makes the look of a sweep: it returns how many failed deliveries it has found so far.
///
/// The first look reads what happened before the service started.
pub fn sweep(client: Arc<Client>, hook: Hook, metrics: Metrics) -> impl FnMut() -> Result<u64, GitHubError> {
    let mut sweep = Sweep::new(hook, client.place());
    move || {
        if hook == Hook::App && sweep.repository.is_none() {
            let repository = Call::get("find the repository", client.place().route(""));
            sweep.repository = Some(client.call::<Repository>(&repository)?.id);
        }
        sweep.look(&metrics, client.place(), |call| client.send(call))
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

/// What is known of the list.
#[derive(Debug)]
struct Sweep {
    /// The route of the list.
    route: String,
    asker: Asker,
    /// The number of the repository whose deliveries count; without it, all do.
    repository: Option<u64>,
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
    fn new(hook: Hook, place: &RepositoryPlace) -> Self {
        let (route, asker) = match hook {
            Hook::Repository(id) => (place.route(&format!("/hooks/{id}/deliveries")), Asker::Token),
            Hook::App => ("/app/hook/deliveries".to_owned(), Asker::App),
        };
        let (known, waiting) = (BTreeSet::new(), VecDeque::new());
        Self { route, asker, repository: None, known, waiting, found: 0 }
    }

    fn look(
        &mut self,
        metrics: &Metrics,
        place: &RepositoryPlace,
        mut send: impl FnMut(&Call<'_>) -> Result<Answer, GitHubError>,
    ) -> Result<u64, GitHubError> {
        let records = self.newest_records(place, &mut send)?;
        metrics.lost.inc_by(self.update(&records));
        for _ in 0..MAX_ATTEMPTS {
            let Some(failed) = self.waiting.pop_front() else { break };
            info!(delivery = %failed.guid, "requesting a failed delivery again");
            // Taken out before the attempt: one that GitHub refuses must not stand in the way of the others.
            send(&self.attempt(failed.id))?;
            metrics.redelivered.inc();
        }
        Ok(self.found)
    }

    /// Reads the list, newest first, page by page back to what was read before.
    fn newest_records(
        &self,
        place: &RepositoryPlace,
        send: &mut impl FnMut(&Call<'_>) -> Result<Answer, GitHubError>,
    ) -> Result<Vec<Record>, GitHubError> {
        let mut records = Vec::new();
        let mut next = Some(format!("{}?per_page={PAGE_SIZE}", self.route));
        for _ in 0..MAX_PAGES {
            let Some(route) = next else { break };
            let call = Call { asker: self.asker, ..Call::get("list the webhook's deliveries", route) };
            let answer = send(&call)?;
            let page: Vec<Record> = answer.json().map_err(|fault| call.failed(fault))?;
            let reaches_known = page.iter().any(|record| self.known.contains(&record.id));
            records.extend(page);
            next = answer.next_page(place).filter(|_| !reaches_known);
        }
        Ok(records)
    }

    /// Returns the request for a further attempt. It is not repeated after a lost answer: it would be sent twice.
    fn attempt(&self, delivery: u64) -> Call<'static> {
        let route = format!("{}/{delivery}/attempts", self.route);
        let call = Call::get("request a delivery again", route);
        Call { method: Method::POST, asker: self.asker, is_repeatable: false, ..call }
    }

    /// Returns whether a delivery would have been a hint for our repository.
    fn is_relevant(&self, record: &Record) -> bool {
        // Events about an installation name no repository and concern all of them.
        let ours = self.repository.and_then(|ours| Some(ours == record.repository_id?));
        ours != Some(false) && EventKind::find(&record.event).is_some()
    }

    /// Reads the newest pages of the list, and returns how many deliveries were lost since the last time: they failed
    /// although they were repeated. The list itself shows which deliveries were repeated, so a restart requests
    /// none twice.
    fn update(&mut self, records: &[Record]) -> u64 {
        let known = mem::replace(&mut self.known, records.iter().map(|record| record.id).collect());
        let mut deliveries: BTreeMap<&str, Delivery> = BTreeMap::new();
        for record in records.iter().filter(|record| self.is_relevant(record)) {
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use http::header::LINK;
    use http::{HeaderMap, StatusCode};
    use serde_json::{Value, json};

    use super::*;
    use crate::forge::{GitHubFault, GitHubFaultKind};

    const NONE: [u64; 0] = [];

    fn place() -> RepositoryPlace {
        RepositoryPlace::of_remote("https://github.com/acme/fleet.git").unwrap()
    }

    fn hook() -> Sweep {
        Sweep::new(Hook::Repository(7), &place())
    }

    fn of_app() -> Sweep {
        Sweep { repository: Some(1), ..Sweep::new(Hook::App, &place()) }
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

    /// A list that sweeps read, and the requests that they made.
    struct Scene {
        is_of_app: bool,
        /// Newest first.
        list: RefCell<Vec<Value>>,
        page_size: usize,
        /// Methods and routes.
        calls: RefCell<Vec<(Method, String)>>,
        refused: Cell<Option<u64>>,
        metrics: Metrics,
    }

    impl Scene {
        fn new(list: impl IntoIterator<Item = Value>) -> Self {
            Self {
                is_of_app: false,
                list: RefCell::new(list.into_iter().collect()),
                page_size: PAGE_SIZE,
                calls: RefCell::default(),
                refused: Cell::new(None),
                metrics: Metrics::new(),
            }
        }

        fn add(&self, record: Value) {
            self.list.borrow_mut().insert(0, record);
        }

        fn answer(&self, call: &Call<'_>) -> Result<Answer, GitHubError> {
            if self.refused.get().is_some_and(|id| call.route.contains(&format!("/{id}/attempts"))) {
                let fault = GitHubFault::without_hint(GitHubFaultKind::Invalid, "unprocessable");
                return Err(call.failed(fault));
            }
            self.calls.borrow_mut().push((call.method.clone(), call.route.clone()));
            let from: usize =
                call.route.split_once("&cursor=v1_").map_or(0, |(_, position)| position.parse().unwrap());
            let list = self.list.borrow();
            let page = &list[from..list.len().min(from + self.page_size)];
            let to = from + page.len();
            let next = format!(
                "<https://api.github.com/repositories/1/hooks/7/deliveries?per_page=100&cursor=v1_{to}>; rel=\"next\""
            );
            let mut headers = HeaderMap::new();
            headers.extend((to < list.len()).then(|| (LINK, next.parse().unwrap())));
            Ok(Answer { status: StatusCode::OK, headers, body: serde_json::to_vec(page).unwrap() })
        }

        fn look(&self) -> impl FnMut() -> Result<u64, GitHubError> {
            let mut sweep = if self.is_of_app { of_app() } else { hook() };
            move || sweep.look(&self.metrics, &place(), |call| self.answer(call))
        }

        /// Takes out the attempts that were asked for since the last time.
        fn asked(&self) -> Vec<u64> {
            let calls = self.calls.take();
            let posts = calls.iter().filter(|(method, _)| method == Method::POST);
            let posts = posts.filter_map(|(_, route)| route.strip_suffix("/attempts")?.rsplit('/').next());
            posts.map(|id| id.parse().unwrap()).collect()
        }

        fn pages_read(&self) -> usize {
            self.calls.borrow().iter().filter(|(method, _)| method == Method::GET).count()
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
        scene.refused.set(Some(2));
        let mut look = scene.look();
        assert!(look().unwrap_err().is(GitHubFaultKind::Invalid));
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
        scene.is_of_app = true;
        scene.look()().unwrap();
        assert_eq!(scene.asked(), [4, 3]);
    }

    #[test]
    fn each_kind_of_hook_has_its_routes() {
        assert_eq!(hook().route, "/repos/acme/fleet/hooks/7/deliveries");
        assert_eq!(hook().attempt(9).route, "/repos/acme/fleet/hooks/7/deliveries/9/attempts");
        assert_eq!(of_app().route, "/app/hook/deliveries");
        assert_eq!(of_app().attempt(9).route, "/app/hook/deliveries/9/attempts");
        assert_eq!((hook().asker, of_app().asker), (Asker::Token, Asker::App));
    }

    #[test]
    fn the_list_is_read_by_pages_and_goes_on_where_its_answer_leads() {
        let mut scene = Scene::new([first(2, "b", 202), first(1, "a", 202)]);
        scene.page_size = 1;
        scene.look()().unwrap();
        let routes: Vec<_> = scene.calls.take().into_iter().map(|(_, route)| route).collect();
        assert_eq!(
            routes,
            [
                "/repos/acme/fleet/hooks/7/deliveries?per_page=100",
                "/repositories/1/hooks/7/deliveries?per_page=100&cursor=v1_1",
            ]
        );
    }
}
