//! The queue: it turns a stream of events into one run at a time.
//!
//! A pure type. Time is passed in and the jitter comes from a seed, so that waiting can be tested without waiting. It
//! looks neither into the key of a repository nor into a revision.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::{Cause, Event};
use crate::output::Exit;

/// How long the queue waits, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A burst is over when no event came for this long.
    pub quiet: Duration,
    /// Steady traffic delays a run no longer than this.
    pub max_wait: Duration,
    /// The first delay after a transient failure; it doubles with each further one.
    pub first_retry: Duration,
    /// No retry waits longer than this.
    pub max_retry: Duration,
    /// The number of repositories held at a time.
    pub capacity: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(500),
            max_wait: Duration::from_secs(10),
            first_retry: Duration::from_secs(2),
            max_retry: Duration::from_mins(5),
            capacity: 1_024,
        }
    }
}

/// A run that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<K, R> {
    /// The repository.
    pub repository: K,
    /// The newest revision that an event told of.
    pub revision: R,
    /// The strongest cause among the events that it answers.
    pub cause: Cause,
    /// When the first of the events came that it answers, also if earlier runs have tried.
    pub since: Instant,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did everything, or there was nothing to do.
    Done,
    /// It was asked to stop and left the rest for later.
    Abandoned,
    /// It failed.
    Failed(Failure),
}

/// Why a run failed, as the queue, the log and the exit code need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether it may pass by itself.
    pub persistence: Persistence,
    /// The exit code of a command that ends with it.
    pub exit: Exit,
    /// What went wrong, with its causes; equal messages are the same failure.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Whether a failure may pass by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It may: the run is tried again.
    Transient,
    /// A limit is reached for so long: the run is tried again after it, and no event makes it start earlier.
    Limited(Duration),
    /// It does not: the run waits for the next event.
    Stalled,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// A run will start after it.
    Queued,
    /// The queue holds as many repositories as it may; the source has to come again.
    Refused,
}

/// What follows from an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is left to say.
    Settled,
    /// The same run is tried again after a delay.
    Retry {
        /// The number of failures in a row.
        failures: u32,
        /// The delay until the next attempt.
        delay: Duration,
    },
    /// A failure that has not been reported yet, and that needs a person.
    Report,
    /// A failure that has been reported already.
    AlreadyReported,
}

/// What events asked for that no run has answered.
#[derive(Clone, Debug)]
struct Asked<R> {
    revision: R,
    cause: Cause,
    since: Instant,
}

impl<R> Asked<R> {
    /// Takes in what came later.
    fn and(self, later: Self) -> Self {
        Self {
            revision: later.revision,
            cause: self.cause.max(later.cause),
            since: self.since.min(later.since),
        }
    }
}

/// Coalesces events into requests, newest revision first, one run at a time a repository.
#[derive(Debug)]
pub struct Queue<K, R> {
    settings: Settings,
    jitter: Jitter,
    repositories: BTreeMap<K, Repository<R>>,
}

#[derive(Debug)]
struct Repository<R> {
    waiting: Option<Waiting<R>>,
    running: Option<Asked<R>>,
    failures: u32,
    /// The time before which a run would only be refused.
    not_before: Option<Instant>,
    reported: Option<String>,
}

#[derive(Debug)]
struct Waiting<R> {
    asked: Asked<R>,
    due: Instant,
    /// The time beyond which further events don't move `due`.
    deadline: Instant,
}

impl<K: Ord + Clone, R: Clone> Queue<K, R> {
    /// Creates an empty queue; equal seeds give equal delays.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self { settings, jitter: Jitter(seed), repositories: BTreeMap::new() }
    }

    /// Takes an event in: the run is due when the burst is over, and starts the row of retries afresh.
    pub fn push(&mut self, event: Event<K, R>, now: Instant) -> Pushed {
        let Event { repository, revision, cause } = event;
        if !self.make_room_for(&repository) {
            return Pushed::Refused;
        }
        let Settings { quiet, max_wait, .. } = self.settings;
        let entry = self.repositories.entry(repository).or_default();
        let asked = Asked { revision, cause, since: now };
        let (asked, deadline) = match entry.waiting.take() {
            Some(old) => (old.asked.and(asked), old.deadline.min(now + max_wait)),
            None => (asked, now + max_wait),
        };
        let deadline = entry.not_before.map_or(deadline, |not_before| deadline.max(not_before));
        let due = entry.not_before.map_or(now + quiet, |not_before| not_before.max(now + quiet));
        entry.waiting = Some(Waiting { asked, due: due.min(deadline), deadline });
        entry.failures = 0;
        Pushed::Queued
    }

    /// Returns when [`Queue::pop_due`] will next have a request, unless a run ends or an event comes before.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.ready().map(|(waiting, _)| waiting.due).min()
    }

    /// Takes out the request that has been due for longest, and counts its repository as running.
    pub fn pop_due(&mut self, now: Instant) -> Option<Request<K, R>> {
        let (_, repository) =
            self.ready().filter(|(waiting, _)| waiting.due <= now).min_by_key(|(waiting, _)| waiting.due)?;
        let repository = repository.clone();
        let entry = self.repositories.get_mut(&repository)?;
        let asked = entry.waiting.take()?.asked;
        entry.running = Some(asked.clone());
        entry.not_before = None;
        let Asked { revision, cause, since } = asked;
        Some(Request { repository, revision, cause, since })
    }

    /// Takes in how a run ended, and says what follows. A repository that is not running is left as it is.
    pub fn finished(&mut self, repository: &K, outcome: &Outcome, now: Instant) -> Verdict {
        let Some(entry) = self.repositories.get_mut(repository) else { return Verdict::Settled };
        let Some(ended) = entry.running.take() else { return Verdict::Settled };
        let verdict = match outcome {
            Outcome::Done => entry.forgive(),
            Outcome::Abandoned => entry.wait_at_least_until(now, ended),
            Outcome::Failed(failure) => match failure.persistence {
                Persistence::Stalled => entry.stall(&failure.message),
                Persistence::Transient => {
                    let delay = self.jitter.spread(backoff(&self.settings, entry.failures));
                    entry.retry(delay, now, ended)
                }
                Persistence::Limited(wait) => {
                    // Everyone whom the limit holds up is told the same moment.
                    let delay = wait + self.jitter.spread(self.settings.first_retry);
                    entry.not_before = Some(now + delay);
                    entry.retry(delay, now, ended)
                }
            },
        };
        if entry.is_forgotten() {
            self.repositories.remove(repository);
        }
        verdict
    }

    /// Returns when the first event came that no run has answered yet.
    #[must_use]
    pub fn unanswered_since(&self) -> Option<Instant> {
        let asked = |entry: &Repository<R>| {
            let waiting = entry.waiting.as_ref().map(|waiting| waiting.asked.since);
            waiting.into_iter().chain(entry.running.as_ref().map(|asked| asked.since)).min()
        };
        self.repositories.values().filter_map(asked).min()
    }

    /// Returns whether no event is unanswered: no run is under way, and what waits, if anything, is a retry.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.repositories
            .values()
            .all(|entry| entry.running.is_none() && (entry.waiting.is_none() || entry.failures > 0))
    }

    fn ready(&self) -> impl Iterator<Item = (&Waiting<R>, &K)> {
        self.repositories
            .iter()
            .filter(|(_, entry)| entry.running.is_none())
            .filter_map(|(repository, entry)| Some((entry.waiting.as_ref()?, repository)))
    }

    /// Makes room, if need be, by forgetting a repository of which only a reported failure is remembered.
    fn make_room_for(&mut self, repository: &K) -> bool {
        if self.repositories.contains_key(repository) || self.repositories.len() < self.settings.capacity {
            return true;
        }
        let idle = self.repositories.iter().find(|(_, entry)| entry.is_idle()).map(|(key, _)| key.clone());
        idle.is_some_and(|key| self.repositories.remove(&key).is_some())
    }
}

impl<R> Default for Repository<R> {
    fn default() -> Self {
        Self { waiting: None, running: None, failures: 0, not_before: None, reported: None }
    }
}

impl<R> Repository<R> {
    fn forgive(&mut self) -> Verdict {
        self.failures = 0;
        self.reported = None;
        Verdict::Settled
    }

    fn stall(&mut self, message: &str) -> Verdict {
        self.failures = 0;
        if self.reported.as_deref() == Some(message) {
            return Verdict::AlreadyReported;
        }
        self.reported = Some(message.to_owned());
        Verdict::Report
    }

    fn retry(&mut self, delay: Duration, now: Instant, ended: Asked<R>) -> Verdict {
        // An event that came during the run asks for a new run, so what waits then is not a mere retry.
        let is_retry = self.waiting.is_none();
        self.wait_at_least_until(now + delay, ended);
        let failures = self.failures.saturating_add(1);
        self.failures = if is_retry { failures } else { 0 };
        Verdict::Retry { failures, delay }
    }

    /// Puts the revision of a run back, unless an event has brought a newer one.
    fn wait_at_least_until(&mut self, due: Instant, ended: Asked<R>) -> Verdict {
        let waiting = match self.waiting.take() {
            Some(Waiting { asked, due: earliest, deadline }) => {
                Waiting { asked: ended.and(asked), due: earliest.max(due), deadline: deadline.max(due) }
            }
            None => Waiting { asked: ended, due, deadline: due },
        };
        self.waiting = Some(waiting);
        Verdict::Settled
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_none() && self.running.is_none()
    }

    fn is_forgotten(&self) -> bool {
        self.is_idle() && self.reported.is_none()
    }
}

/// The delay after `earlier` transient failures in a row and one more.
fn backoff(settings: &Settings, earlier: u32) -> Duration {
    let factor = 1_u32.checked_shl(earlier).unwrap_or(u32::MAX);
    settings.first_retry.saturating_mul(factor).min(settings.max_retry)
}

/// A small generator (`SplitMix64`), so that many instances don't retry in step.
#[derive(Debug)]
struct Jitter(u64);

impl Jitter {
    /// Returns a delay between one half of `delay` and all of it.
    fn spread(&mut self, delay: Duration) -> Duration {
        let half = delay / 2;
        let steps = u32::from(u16::MAX);
        half + half * (self.draw() as u32 & steps) / steps
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: Settings = Settings {
        quiet: Duration::from_secs(2),
        max_wait: Duration::from_secs(10),
        first_retry: Duration::from_secs(4),
        max_retry: Duration::from_mins(1),
        capacity: 2,
    };

    /// A queue on a clock that starts at zero seconds, with runs written as `repository@revision`.
    struct Story {
        start: Instant,
        queue: Queue<&'static str, u32>,
    }

    impl Story {
        fn new() -> Self {
            Self { start: Instant::now(), queue: Queue::new(SETTINGS, 7) }
        }

        fn push(&mut self, repository: &'static str, revision: u32, at: u64) -> Pushed {
            self.push_because(Cause::Moved, repository, revision, at)
        }

        fn push_because(&mut self, cause: Cause, repository: &'static str, revision: u32, at: u64) -> Pushed {
            self.queue.push(Event { repository, revision, cause }, self.at(at))
        }

        fn pop(&mut self, at: u64) -> Option<String> {
            let request = self.queue.pop_due(self.at(at))?;
            Some(format!("{}@{}", request.repository, request.revision))
        }

        fn finish(&mut self, repository: &'static str, outcome: &Outcome, at: u64) -> Verdict {
            self.queue.finished(&repository, outcome, self.at(at))
        }

        fn next_due(&self) -> Option<Duration> {
            self.queue.next_due().map(|due| due - self.start)
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }
    }

    fn failed(persistence: Persistence, message: &str) -> Outcome {
        Outcome::Failed(Failure { persistence, exit: Exit::Forge, message: message.to_owned(), hint: None })
    }

    fn transient() -> Outcome {
        failed(Persistence::Transient, "the forge does not answer")
    }

    fn limited(seconds: u64) -> Outcome {
        failed(Persistence::Limited(Duration::from_secs(seconds)), "its rate limit is reached")
    }

    fn stalled(message: &str) -> Outcome {
        failed(Persistence::Stalled, message)
    }

    #[test]
    fn without_an_event_nothing_is_due() {
        let mut story = Story::new();
        assert_eq!(story.next_due(), None);
        assert_eq!(story.pop(1_000), None);
        assert!(story.queue.is_drained());
    }

    #[test]
    fn a_burst_becomes_one_request_with_the_newest_revision() {
        // Seconds at which events come, the second at which the run is due, and the revision it gets.
        let table: [(&[u64], u64, u32); 5] = [
            (&[0], 2, 1),
            (&[0, 1], 3, 2),
            (&[0, 1, 2, 3], 5, 4),
            (&[0, 2, 4, 6, 8], 10, 5),
            (&[0, 1, 3, 5, 7, 9], 10, 6),
        ];
        for (events, due, revision) in table {
            let mut story = Story::new();
            for (revision, &at) in (1..).zip(events) {
                assert_eq!(story.push("a", revision, at), Pushed::Queued);
            }
            assert_eq!(story.next_due(), Some(Duration::from_secs(due)), "{events:?}");
            assert_eq!(story.pop(due - 1), None, "{events:?}");
            assert_eq!(story.pop(due), Some(format!("a@{revision}")), "{events:?}");
            assert_eq!(story.pop(due), None, "{events:?} gave a second request");
        }
    }

    #[test]
    fn an_event_during_a_run_means_one_more_run_after_it() {
        let mut story = Story::new();
        let _ = story.push("a", 1, 0);
        assert_eq!(story.pop(2).as_deref(), Some("a@1"));
        let _ = story.push("a", 2, 3);
        let _ = story.push("a", 3, 4);
        assert_eq!(story.pop(60), None, "two runs of one repository at a time");
        assert_eq!(story.next_due(), None, "nothing can start before the run ends");
        assert_eq!(story.finish("a", &Outcome::Done, 60), Verdict::Settled);
        assert_eq!(story.pop(60).as_deref(), Some("a@3"));
        assert_eq!(story.finish("a", &Outcome::Done, 61), Verdict::Settled);
        assert_eq!(story.next_due(), None);
    }

    #[test]
    fn repositories_run_beside_each_other_and_the_longest_due_goes_first() {
        let mut story = Story::new();
        let _ = story.push("b", 1, 0);
        let _ = story.push("a", 1, 1);
        assert_eq!(story.pop(5).as_deref(), Some("b@1"));
        assert_eq!(story.pop(5).as_deref(), Some("a@1"));
    }

    #[test]
    fn transient_failures_are_retried_ever_later_up_to_the_longest_delay() {
        let mut story = Story::new();
        let mut now = story.at(0);
        let _ = story.queue.push(Event { repository: "a", revision: 1, cause: Cause::Moved }, now);
        for (failures, longest) in [(1, 4), (2, 8), (3, 16), (4, 32), (5, 60), (6, 60)] {
            now = story.queue.next_due().unwrap();
            let request = story.queue.pop_due(now).unwrap();
            assert_eq!(request.revision, 1);
            let Verdict::Retry { failures: counted, delay } = story.queue.finished(&"a", &transient(), now)
            else {
                panic!("failure {failures} was not retried");
            };
            let longest = Duration::from_secs(longest);
            assert_eq!(counted, failures);
            assert!((longest / 2..=longest).contains(&delay), "{delay:?} after {failures} failures");
            assert_eq!(story.queue.next_due(), Some(now + delay));
            assert!(story.queue.is_drained(), "a retry is not an unanswered event");
        }
    }

    #[test]
    fn a_success_or_a_new_event_starts_the_delays_afresh() {
        for success_between in [true, false] {
            let mut story = Story::new();
            let _ = story.push("a", 1, 0);
            story.pop(2).unwrap();
            let _ = story.finish("a", &transient(), 2);
            story.pop(10).unwrap();
            if success_between {
                let _ = story.finish("a", &Outcome::Done, 10);
            } else {
                let _ = story.finish("a", &transient(), 10);
            }
            let _ = story.push("a", 2, 11);
            assert_eq!(story.pop(13).as_deref(), Some("a@2"), "the event waited for the retry");
            assert!(matches!(story.finish("a", &transient(), 13), Verdict::Retry { failures: 1, .. }));
        }
    }

    #[test]
    fn a_limit_is_waited_out_to_its_end_and_no_event_makes_the_run_start_earlier() {
        let mut story = Story::new();
        let _ = story.push("a", 1, 0);
        story.pop(2).unwrap();
        let verdict = story.finish("a", &limited(3_600), 2);
        let Verdict::Retry { failures: 1, delay } = verdict else { panic!("{verdict:?}") };
        let hour = Duration::from_hours(1);
        let expected = hour + SETTINGS.first_retry / 2..=hour + SETTINGS.first_retry;
        assert!(expected.contains(&delay), "{delay:?}");
        let due = Some(Duration::from_secs(2) + delay);
        assert_eq!(story.next_due(), due);
        for at in (10..3_600).step_by(100) {
            let _ = story.push("a", 2, at);
            assert_eq!(story.next_due(), due, "an event at {at} s moved the run");
        }
        assert_eq!(story.pop(3_601), None);
        assert_eq!(story.pop(3_610).as_deref(), Some("a@2"));
        let _ = story.finish("a", &Outcome::Done, 3_611);
        let _ = story.push("a", 3, 3_612);
        assert_eq!(story.next_due(), Some(Duration::from_secs(3_614)), "the limit is over");
    }

    #[test]
    fn the_strongest_cause_of_a_burst_survives_weaker_events_and_runs_that_end_early() {
        for outcome in [Outcome::Abandoned, transient(), limited(1)] {
            let mut story = Story::new();
            let _ = story.push_because(Cause::Changed, "a", 1, 0);
            let _ = story.push("a", 2, 1);
            assert_eq!(story.queue.pop_due(story.at(3)).unwrap().cause, Cause::Changed);
            let _ = story.push("a", 3, 4);
            let _ = story.finish("a", &outcome, 5);
            let again = story.queue.pop_due(story.at(20)).unwrap();
            assert_eq!((again.revision, again.cause), (3, Cause::Changed), "{outcome:?}");
            let _ = story.finish("a", &Outcome::Done, 21);
            let _ = story.push("a", 4, 22);
            assert_eq!(story.queue.pop_due(story.at(30)).unwrap().cause, Cause::Moved);
        }
    }

    #[test]
    fn an_event_is_unanswered_until_a_run_that_began_after_it_has_ended() {
        let mut story = Story::new();
        let since =
            |story: &Story| story.queue.unanswered_since().map(|since| (since - story.start).as_secs());
        assert_eq!(since(&story), None);
        let _ = story.push("a", 1, 10);
        let _ = story.push("a", 2, 11);
        story.pop(20).unwrap();
        assert_eq!(since(&story), Some(10));
        let _ = story.finish("a", &transient(), 21);
        assert_eq!(story.queue.pop_due(story.at(60)).unwrap().since, story.at(10), "a retry is still owed");
        let _ = story.push("a", 3, 61);
        let _ = story.finish("a", &Outcome::Done, 62);
        assert_eq!(since(&story), Some(61));
        story.pop(70).unwrap();
        let _ = story.finish("a", &stalled("no such branch"), 71);
        assert_eq!(since(&story), None, "a failure that was reported is an answer");
    }

    #[test]
    fn events_during_an_outage_do_not_postpone_the_run_for_longer_than_the_limit() {
        let mut story = Story::new();
        let _ = story.push("a", 1, 0);
        for at in [2, 10, 20, 60, 120] {
            story.pop(at).unwrap();
            let _ = story.finish("a", &transient(), at);
        }
        for at in 121..140 {
            let _ = story.push("a", 2, at);
        }
        assert_eq!(story.next_due(), Some(Duration::from_secs(131)));
    }

    #[test]
    fn a_stalled_failure_is_reported_once_and_waits_for_an_event() {
        let mut story = Story::new();
        let table = [
            (stalled("no such branch"), Verdict::Report),
            (stalled("no such branch"), Verdict::AlreadyReported),
            (stalled("the hook declined"), Verdict::Report),
            (stalled("the hook declined"), Verdict::AlreadyReported),
            (Outcome::Done, Verdict::Settled),
            (stalled("the hook declined"), Verdict::Report),
        ];
        for (at, (outcome, verdict)) in (0..).step_by(100).zip(table) {
            let _ = story.push("a", 1, at);
            story.pop(at + 2).unwrap();
            assert_eq!(story.finish("a", &outcome, at + 3), verdict, "{outcome:?} at {at} s");
            assert_eq!(story.next_due(), None, "{outcome:?} was tried again without an event");
        }
    }

    #[test]
    fn an_abandoned_run_is_due_again_at_once() {
        let mut story = Story::new();
        let _ = story.push("a", 1, 0);
        story.pop(2).unwrap();
        assert_eq!(story.finish("a", &Outcome::Abandoned, 5), Verdict::Settled);
        assert!(!story.queue.is_drained());
        assert_eq!(story.pop(5).as_deref(), Some("a@1"));
    }

    #[test]
    fn a_full_queue_refuses_a_new_repository_but_never_an_event_for_a_known_one() {
        let mut story = Story::new();
        let _ = story.push("a", 1, 0);
        let _ = story.push("b", 1, 0);
        assert_eq!(story.push("c", 1, 0), Pushed::Refused);
        assert_eq!(story.push("a", 2, 0), Pushed::Queued);

        assert_eq!(story.pop(2).as_deref(), Some("a@2"));
        let _ = story.finish("a", &Outcome::Done, 3);
        assert_eq!(story.push("c", 1, 3), Pushed::Queued, "a repository with nothing to do keeps no room");
    }

    #[test]
    fn a_reported_failure_is_forgotten_before_an_event_is_refused() {
        let mut story = Story::new();
        let _ = story.push("a", 1, 0);
        let _ = story.push("b", 1, 0);
        story.pop(2).unwrap();
        let _ = story.finish("a", &stalled("no such branch"), 2);
        assert_eq!(story.push("c", 1, 3), Pushed::Queued);
        assert_eq!(story.push("a", 1, 3), Pushed::Refused);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Event(usize),
        Pass(u64),
        Start,
        End(usize, Outcome),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let outcome = prop_oneof![
            Just(Outcome::Done),
            Just(Outcome::Abandoned),
            Just(transient()),
            (0..100_u64).prop_map(limited),
            Just(stalled("no such branch")),
        ];
        let step = prop_oneof![
            (0..2_usize).prop_map(Step::Event),
            (0..6_000_u64).prop_map(Step::Pass),
            Just(Step::Start),
            (0..2_usize, outcome).prop_map(|(repository, outcome)| Step::End(repository, outcome)),
        ];
        proptest::collection::vec(step, 0..80)
    }

    /// What the queue owes one repository.
    #[derive(Clone, Copy, Debug, Default)]
    struct Debt {
        newest: u32,
        running: bool,
        /// The latest time at which a run must be due, if one is owed.
        due_by: Option<Instant>,
        /// The earliest time at which a run may start.
        not_before: Option<Instant>,
    }

    impl Debt {
        fn owe_by(&mut self, latest: Instant) {
            let latest = self.not_before.map_or(latest, |not_before| latest.max(not_before));
            self.due_by = Some(self.due_by.map_or(latest, |due_by| due_by.min(latest)));
        }

        fn put_off_to(&mut self, earliest: Instant) {
            self.due_by = Some(self.due_by.map_or(earliest, |due_by| due_by.max(earliest)));
        }
    }

    fn is_limit(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Failed(Failure { persistence: Persistence::Limited(_), .. }))
    }

    fn longest_retry_at(failures: u32) -> Duration {
        backoff(&SETTINGS, failures - 1)
    }

    proptest! {
        /// Whatever happens, a run starts after the last event, in time, with its revision, and never two at a time.
        #[test]
        fn no_event_goes_unanswered(steps in steps(), seed in any::<u64>()) {
            let mut now = Instant::now();
            let mut queue: Queue<usize, u32> = Queue::new(SETTINGS, seed);
            let mut debts = [Debt::default(); 2];
            // Whatever is still owed after the random steps is brought to its end.
            let ending = (0..4).flat_map(|_| {
                let end = |repository| Step::End(repository, Outcome::Done);
                [Step::Pass(200_000), Step::Start, Step::Start, end(0), end(1)]
            });
            for step in steps.into_iter().chain(ending) {
                match step {
                    Step::Pass(milliseconds) => now += Duration::from_millis(milliseconds),
                    Step::Event(repository) => {
                        let debt = &mut debts[repository];
                        debt.newest += 1;
                        debt.owe_by(now + SETTINGS.max_wait);
                        let event = Event { repository, revision: debt.newest, cause: Cause::Moved };
                        prop_assert_eq!(queue.push(event, now), Pushed::Queued);
                    }
                    Step::Start => {
                        let Some(request) = queue.pop_due(now) else { continue };
                        let debt = &mut debts[request.repository];
                        prop_assert!(!debt.running, "two runs of one repository at a time");
                        prop_assert!(debt.due_by.is_some(), "a run that nobody asked for");
                        prop_assert_eq!(request.revision, debt.newest);
                        prop_assert!(debt.not_before.is_none_or(|not_before| not_before <= now), "too early");
                        *debt = Debt { newest: debt.newest, running: true, ..Debt::default() };
                    }
                    Step::End(repository, outcome) => {
                        let debt = &mut debts[repository];
                        if !std::mem::take(&mut debt.running) {
                            continue;
                        }
                        match queue.finished(&repository, &outcome, now) {
                            Verdict::Retry { delay, .. } if is_limit(&outcome) => {
                                debt.not_before = Some(now + delay);
                                debt.put_off_to(now + delay);
                            }
                            Verdict::Retry { failures, .. } => debt.put_off_to(now + longest_retry_at(failures)),
                            _ if outcome == Outcome::Abandoned => debt.put_off_to(now),
                            _ => {}
                        }
                    }
                }
                for (repository, debt) in debts.iter().enumerate() {
                    let waiting = queue.repositories.get(&repository).and_then(|entry| entry.waiting.as_ref());
                    match debt.due_by {
                        Some(due_by) => prop_assert!(waiting.is_some_and(|waiting| waiting.due <= due_by)),
                        None => prop_assert!(waiting.is_none()),
                    }
                }
            }
            prop_assert!(debts.iter().all(|debt| debt.due_by.is_none() && !debt.running));
            prop_assert!(queue.is_drained() && queue.next_due().is_none());
        }
    }
}
