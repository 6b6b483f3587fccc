//! The queue: it turns a stream of events into one run at a time.
//!
//! A pure type. Time is passed in and the jitter comes from a seed, so that waiting can be tested without waiting.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::Event;
use crate::backoff::{Backoff, spread};

/// How long the queue waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A burst is over when no event came for this long.
    pub quiet: Duration,
    /// Steady traffic delays a run no longer than this.
    pub max_wait: Duration,
    /// The delays after transient failures.
    pub retry: Backoff,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(500),
            max_wait: Duration::from_secs(10),
            retry: Backoff { first: Duration::from_secs(2), longest: Duration::from_mins(5) },
        }
    }
}

/// What events ask for that no run has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The strongest of the events.
    pub event: Event,
    /// When the first of them came, also if earlier runs have tried.
    pub since: Instant,
}

impl Request {
    /// Takes in what came later.
    fn and(self, later: Self) -> Self {
        Self { event: self.event.max(later.event), since: self.since.min(later.since) }
    }
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

/// Why a run failed, as the queue and the log need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether it may pass by itself.
    pub persistence: Persistence,
    /// Whether it is the input that has to change, and nothing is wrong with the service.
    pub is_in_input: bool,
    /// What went wrong, with its causes; equal messages are the same failure.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
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

/// What follows from an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowUp {
    /// There is nothing to report.
    Nothing,
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

/// Coalesces events into requests, and lets one run at a time answer them.
#[derive(Debug)]
pub struct Queue {
    settings: Settings,
    /// Spreads retries, so that many instances do not retry at the same moment.
    random: Rng,
    waiting: Option<Waiting>,
    running: Option<Request>,
    failures: u32,
    /// The time before which a run would only be refused.
    not_before: Option<Instant>,
    reported: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    request: Request,
    due: Instant,
    /// The time beyond which further events don't move `due`.
    deadline: Instant,
}

impl Queue {
    /// Creates an empty queue; equal seeds give equal delays.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            random: Rng::with_seed(seed),
            waiting: None,
            running: None,
            failures: 0,
            not_before: None,
            reported: None,
        }
    }

    /// Takes an event in: the run is due when the burst is over, and the count of failures starts again.
    pub fn push(&mut self, event: Event, now: Instant) {
        let Settings { quiet, max_wait, .. } = self.settings;
        let request = Request { event, since: now };
        let (request, deadline) = match self.waiting {
            Some(old) => (old.request.and(request), old.deadline.min(now + max_wait)),
            None => (request, now + max_wait),
        };
        let deadline = self.not_before.map_or(deadline, |not_before| deadline.max(not_before));
        let due = self.not_before.map_or(now + quiet, |not_before| not_before.max(now + quiet));
        self.waiting = Some(Waiting { request, due: due.min(deadline), deadline });
        self.failures = 0;
    }

    /// Returns when [`Queue::pop_due`] will next have a request, unless a run ends or an event comes before.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.waiting.filter(|_| self.running.is_none()).map(|waiting| waiting.due)
    }

    /// Takes out the request that is due; its run is under way until it is [`finished`](Queue::finished).
    pub fn pop_due(&mut self, now: Instant) -> Option<Request> {
        self.next_due().filter(|due| *due <= now)?;
        self.running = self.waiting.take().map(|waiting| waiting.request);
        self.not_before = None;
        self.running
    }

    /// Takes in how the run ended, and returns what follows; nothing if no run is under way.
    pub fn finished(&mut self, outcome: &Outcome, now: Instant) -> FollowUp {
        let Some(ended) = self.running.take() else { return FollowUp::Nothing };
        match outcome {
            Outcome::Done => {
                self.failures = 0;
                self.reported = None;
                FollowUp::Nothing
            }
            Outcome::Abandoned => {
                self.wait_at_least_until(now, ended);
                FollowUp::Nothing
            }
            Outcome::Failed(failure) => match failure.persistence {
                Persistence::Stalled => self.stall(&failure.message),
                Persistence::Transient => {
                    let delay = spread(self.settings.retry.delay(self.failures), &mut self.random);
                    self.retry(delay, now, ended)
                }
                Persistence::Limited(wait) => {
                    // Every client that the limit holds up gets the same moment.
                    let delay = wait + spread(self.settings.retry.first, &mut self.random);
                    self.not_before = Some(now + delay);
                    self.retry(delay, now, ended)
                }
            },
        }
    }

    /// Returns when the first event came that no run has answered yet.
    pub(crate) fn unanswered_since(&self) -> Option<Instant> {
        let waiting = self.waiting.map(|waiting| waiting.request);
        waiting.into_iter().chain(self.running).map(|request| request.since).min()
    }

    fn stall(&mut self, message: &str) -> FollowUp {
        self.failures = 0;
        if self.reported.as_deref() == Some(message) {
            return FollowUp::AlreadyReported;
        }
        self.reported = Some(message.to_owned());
        FollowUp::Report
    }

    fn retry(&mut self, delay: Duration, now: Instant, ended: Request) -> FollowUp {
        // An event that came during the run asks for a new run, so what waits then is not a mere retry.
        let is_retry = self.waiting.is_none();
        self.wait_at_least_until(now + delay, ended);
        let failures = self.failures.saturating_add(1);
        self.failures = if is_retry { failures } else { 0 };
        FollowUp::Retry { failures, delay }
    }

    /// Puts a request back, beside what events have asked for meanwhile.
    fn wait_at_least_until(&mut self, due: Instant, ended: Request) {
        self.waiting = Some(match self.waiting {
            Some(Waiting { request, due: earliest, deadline }) => {
                Waiting { request: ended.and(request), due: earliest.max(due), deadline: deadline.max(due) }
            }
            None => Waiting { request: ended, due, deadline: due },
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: Settings = Settings {
        quiet: Duration::from_secs(2),
        max_wait: Duration::from_secs(10),
        retry: Backoff { first: Duration::from_secs(4), longest: Duration::from_mins(1) },
    };

    /// A queue on a clock that starts at zero seconds.
    struct Story {
        start: Instant,
        queue: Queue,
    }

    impl Story {
        fn new() -> Self {
            Self { start: Instant::now(), queue: Queue::new(SETTINGS, 7) }
        }

        fn push(&mut self, at: u64) {
            self.queue.push(Event::Moved, self.at(at));
        }

        /// Starts the run that is due, and returns its event with the second at which it was first asked for.
        fn pop(&mut self, at: u64) -> Option<(Event, u64)> {
            let request = self.queue.pop_due(self.at(at))?;
            Some((request.event, (request.since - self.start).as_secs()))
        }

        fn finish(&mut self, outcome: &Outcome, at: u64) -> FollowUp {
            self.queue.finished(outcome, self.at(at))
        }

        fn next_due(&self) -> Option<Duration> {
            self.queue.next_due().map(|due| due - self.start)
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }
    }

    /// Returns whether no event is unanswered: no run is under way, and what waits, if anything, is a retry.
    fn is_drained(queue: &Queue) -> bool {
        queue.running.is_none() && (queue.waiting.is_none() || queue.failures > 0)
    }

    fn failed(persistence: Persistence, message: &str) -> Outcome {
        Outcome::Failed(Failure { persistence, is_in_input: false, message: message.to_owned(), hint: None })
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
        assert!(is_drained(&story.queue));
    }

    #[test]
    fn a_burst_becomes_one_request() {
        // Seconds at which events come, and the second at which the run is due.
        let table: [(&[u64], u64); 5] =
            [(&[0], 2), (&[0, 1], 3), (&[0, 1, 2, 3], 5), (&[0, 2, 4, 6, 8], 10), (&[0, 1, 3, 5, 7, 9], 10)];
        for (events, due) in table {
            let mut story = Story::new();
            for at in events {
                story.push(*at);
            }
            assert_eq!(story.next_due(), Some(Duration::from_secs(due)), "{events:?}");
            assert_eq!(story.pop(due - 1), None, "{events:?}");
            assert_eq!(story.pop(due), Some((Event::Moved, 0)), "{events:?}");
            assert_eq!(story.pop(due), None, "{events:?} gave a second request");
        }
    }

    #[test]
    fn an_event_during_a_run_means_one_more_run_after_it() {
        let mut story = Story::new();
        story.push(0);
        assert_eq!(story.pop(2), Some((Event::Moved, 0)));
        story.push(3);
        story.push(4);
        assert_eq!(story.pop(60), None, "two runs at a time");
        assert_eq!(story.next_due(), None, "nothing can start before the run ends");
        assert_eq!(story.finish(&Outcome::Done, 60), FollowUp::Nothing);
        assert_eq!(story.pop(60), Some((Event::Moved, 3)));
        assert_eq!(story.finish(&Outcome::Done, 61), FollowUp::Nothing);
        assert_eq!(story.next_due(), None);
    }

    #[test]
    fn transient_failures_are_retried_ever_later_up_to_the_longest_delay() {
        let mut story = Story::new();
        let mut now = story.at(0);
        story.queue.push(Event::Moved, now);
        for (failures, longest) in [(1, 4), (2, 8), (3, 16), (4, 32), (5, 60), (6, 60)] {
            now = story.queue.next_due().unwrap();
            let request = story.queue.pop_due(now).unwrap();
            assert_eq!(request.since, story.at(0));
            let FollowUp::Retry { failures: counted, delay } = story.queue.finished(&transient(), now) else {
                panic!("failure {failures} was not retried");
            };
            let longest = Duration::from_secs(longest);
            assert_eq!(counted, failures);
            assert!((longest / 2..=longest).contains(&delay), "{delay:?} after {failures} failures");
            assert_eq!(story.queue.next_due(), Some(now + delay));
            assert!(is_drained(&story.queue), "a retry is not an unanswered event");
        }
    }

    #[test]
    fn a_success_or_a_new_event_starts_the_delays_afresh() {
        for success_between in [true, false] {
            let mut story = Story::new();
            story.push(0);
            story.pop(2).unwrap();
            let _ = story.finish(&transient(), 2);
            story.pop(10).unwrap();
            if success_between {
                let _ = story.finish(&Outcome::Done, 10);
            } else {
                let _ = story.finish(&transient(), 10);
            }
            story.push(11);
            assert_eq!(
                story.pop(13),
                Some((Event::Moved, if success_between { 11 } else { 0 })),
                "the event waited for the retry"
            );
            assert!(matches!(story.finish(&transient(), 13), FollowUp::Retry { failures: 1, .. }));
        }
    }

    #[test]
    fn a_limit_is_waited_out_to_its_end_and_no_event_makes_the_run_start_earlier() {
        let mut story = Story::new();
        story.push(0);
        story.pop(2).unwrap();
        let follow_up = story.finish(&limited(3_600), 2);
        let FollowUp::Retry { failures: 1, delay } = follow_up else { panic!("{follow_up:?}") };
        let hour = Duration::from_hours(1);
        let expected = hour + SETTINGS.retry.first / 2..=hour + SETTINGS.retry.first;
        assert!(expected.contains(&delay), "{delay:?}");
        let due = Some(Duration::from_secs(2) + delay);
        assert_eq!(story.next_due(), due);
        for at in (10..3_600).step_by(100) {
            story.push(at);
            assert_eq!(story.next_due(), due, "an event at {at} s moved the run");
        }
        assert_eq!(story.pop(3_601), None);
        assert_eq!(story.pop(3_610), Some((Event::Moved, 0)));
        let _ = story.finish(&Outcome::Done, 3_611);
        story.push(3_612);
        assert_eq!(story.next_due(), Some(Duration::from_secs(3_614)), "the limit is over");
    }

    #[test]
    fn the_strongest_event_of_a_burst_survives_weaker_ones_and_runs_that_end_early() {
        for outcome in [Outcome::Abandoned, transient(), limited(1)] {
            let mut story = Story::new();
            story.queue.push(Event::Changed, story.at(0));
            story.push(1);
            assert_eq!(story.pop(3), Some((Event::Changed, 0)));
            story.push(4);
            let _ = story.finish(&outcome, 5);
            assert_eq!(story.pop(20), Some((Event::Changed, 0)), "{outcome:?}");
            let _ = story.finish(&Outcome::Done, 21);
            story.push(22);
            assert_eq!(story.pop(30), Some((Event::Moved, 22)));
        }
    }

    #[test]
    fn an_event_is_unanswered_until_a_run_that_began_after_it_has_ended() {
        let mut story = Story::new();
        let since =
            |story: &Story| story.queue.unanswered_since().map(|since| (since - story.start).as_secs());
        assert_eq!(since(&story), None);
        story.push(10);
        story.push(11);
        story.pop(20).unwrap();
        assert_eq!(since(&story), Some(10));
        let _ = story.finish(&transient(), 21);
        assert_eq!(story.pop(60), Some((Event::Moved, 10)), "a retry is still owed");
        story.push(61);
        let _ = story.finish(&Outcome::Done, 62);
        assert_eq!(since(&story), Some(61));
        story.pop(70).unwrap();
        let _ = story.finish(&stalled("no such branch"), 71);
        assert_eq!(since(&story), None, "a failure that was reported is an answer");
    }

    #[test]
    fn events_during_an_outage_do_not_postpone_the_run_for_longer_than_the_limit() {
        let mut story = Story::new();
        story.push(0);
        for at in [2, 10, 20, 60, 120] {
            story.pop(at).unwrap();
            let _ = story.finish(&transient(), at);
        }
        for at in 121..140 {
            story.push(at);
        }
        assert_eq!(story.next_due(), Some(Duration::from_secs(131)));
    }

    #[test]
    fn a_stalled_failure_is_reported_once_and_waits_for_an_event() {
        let mut story = Story::new();
        let table = [
            (stalled("no such branch"), FollowUp::Report),
            (stalled("no such branch"), FollowUp::AlreadyReported),
            (stalled("the hook declined"), FollowUp::Report),
            (stalled("the hook declined"), FollowUp::AlreadyReported),
            (Outcome::Done, FollowUp::Nothing),
            (stalled("the hook declined"), FollowUp::Report),
        ];
        for (at, (outcome, follow_up)) in (0..).step_by(100).zip(table) {
            story.push(at);
            story.pop(at + 2).unwrap();
            assert_eq!(story.finish(&outcome, at + 3), follow_up, "{outcome:?} at {at} s");
            assert_eq!(story.next_due(), None, "{outcome:?} was tried again without an event");
        }
    }

    #[test]
    fn an_abandoned_run_is_due_again_at_once() {
        let mut story = Story::new();
        story.push(0);
        story.pop(2).unwrap();
        assert_eq!(story.finish(&Outcome::Abandoned, 5), FollowUp::Nothing);
        assert!(!is_drained(&story.queue));
        assert_eq!(story.pop(5), Some((Event::Moved, 0)));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(Event),
        Pass(u64),
        Start,
        End(Outcome),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let outcome = prop_oneof![
            Just(Outcome::Done),
            Just(Outcome::Abandoned),
            Just(transient()),
            (0..100_u64).prop_map(limited),
            Just(stalled("no such branch")),
        ];
        let event = prop_oneof![Just(Event::Moved), Just(Event::Changed), Just(Event::Asked)];
        let step = prop_oneof![
            event.prop_map(Step::Push),
            (0..6_000_u64).prop_map(Step::Pass),
            Just(Step::Start),
            outcome.prop_map(Step::End),
        ];
        proptest::collection::vec(step, 0..80)
    }

    /// What the queue owes.
    #[derive(Clone, Copy, Debug, Default)]
    struct Debt {
        /// The strongest event that no run has answered.
        event: Option<Event>,
        /// What the run that is under way answers.
        running: Option<Event>,
        /// The latest time at which a run must be due, if one is owed.
        due_by: Option<Instant>,
        /// The earliest time at which a run may start.
        not_before: Option<Instant>,
    }

    impl Debt {
        fn owe_by(&mut self, event: Event, latest: Instant) {
            let latest = self.not_before.map_or(latest, |not_before| latest.max(not_before));
            self.due_by = Some(self.due_by.map_or(latest, |due_by| due_by.min(latest)));
            self.event = self.event.max(Some(event));
        }

        fn put_off_to(&mut self, event: Event, earliest: Instant) {
            self.due_by = Some(self.due_by.map_or(earliest, |due_by| due_by.max(earliest)));
            self.event = self.event.max(Some(event));
        }
    }

    fn is_limit(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Failed(Failure { persistence: Persistence::Limited(_), .. }))
    }

    fn longest_retry_at(failures: u32) -> Duration {
        SETTINGS.retry.delay(failures - 1)
    }

    proptest! {
        /// Whatever happens, a run starts after the last event, in time, with the strongest one, and never
        /// two at a time.
        #[test]
        fn no_event_goes_unanswered(steps in steps(), seed in any::<u64>()) {
            let mut now = Instant::now();
            let mut queue = Queue::new(SETTINGS, seed);
            let mut debt = Debt::default();
            // Whatever is still owed after the random steps is brought to its end.
            let ending = (0..4).flat_map(|_| [Step::Pass(200_000), Step::Start, Step::End(Outcome::Done)]);
            for step in steps.into_iter().chain(ending) {
                match step {
                    Step::Pass(milliseconds) => now += Duration::from_millis(milliseconds),
                    Step::Push(event) => {
                        debt.owe_by(event, now + SETTINGS.max_wait);
                        queue.push(event, now);
                    }
                    Step::Start => {
                        let Some(request) = queue.pop_due(now) else { continue };
                        prop_assert!(debt.running.is_none(), "two runs at a time");
                        prop_assert!(debt.due_by.is_some(), "a run that no event asked for");
                        prop_assert_eq!(Some(request.event), debt.event);
                        prop_assert!(debt.not_before.is_none_or(|not_before| not_before <= now), "too early");
                        debt = Debt { running: debt.event, ..Debt::default() };
                    }
                    Step::End(outcome) => {
                        let Some(event) = debt.running.take() else {
                            prop_assert_eq!(queue.finished(&outcome, now), FollowUp::Nothing);
                            continue;
                        };
                        match queue.finished(&outcome, now) {
                            FollowUp::Retry { delay, .. } if is_limit(&outcome) => {
                                debt.not_before = Some(now + delay);
                                debt.put_off_to(event, now + delay);
                            }
                            FollowUp::Retry { failures, .. } => {
                                debt.put_off_to(event, now + longest_retry_at(failures));
                            }
                            _ if outcome == Outcome::Abandoned => debt.put_off_to(event, now),
                            _ => {}
                        }
                    }
                }
                match debt.due_by {
                    Some(due_by) => prop_assert!(queue.waiting.is_some_and(|waiting| waiting.due <= due_by)),
                    None => prop_assert!(queue.waiting.is_none()),
                }
            }
            prop_assert!(debt.due_by.is_none() && debt.running.is_none());
            prop_assert!(is_drained(&queue) && queue.next_due().is_none());
        }
    }
}
