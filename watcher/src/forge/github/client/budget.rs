//! What may still be asked of GitHub, and when: its documented limits as one budget.
//!
//! A pure type; time is passed in. The figures come from "Rate limits for the REST API", "Best practices for using the
//! REST API" and "Repository limits" in GitHub's documentation. The primary limit (requests an hour) depends on the
//! account, so it is learned from the replies.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use crate::backoff::Backoff;

/// Points a minute for the REST API (secondary limit).
pub const POINTS_A_MINUTE: u32 = 900;
/// Points that a request costs which only reads.
pub const POINTS_TO_READ: u32 = 1;
/// Points that a request costs which writes.
pub const POINTS_TO_WRITE: u32 = 5;
/// Requests that create content, a minute (secondary limit). Every request that writes is counted as one.
pub const CONTENT_A_MINUTE: u32 = 80;
/// Requests that create content, an hour (secondary limit).
pub const CONTENT_AN_HOUR: u32 = 500;
/// Pushes a minute to one repository (repository limit).
pub const PUSHES_A_MINUTE: u32 = 6;
/// The pause that GitHub recommends between two requests that write, when there are many of them.
pub const WRITE_SPACING: Duration = Duration::from_secs(1);
/// So many writes in a minute are not yet "many": a usual run opens its pull requests without a pause.
pub const WRITES_WITHOUT_PAUSE: usize = 20;
/// How long to wait at least after a refusal that names no time.
pub const WAIT_AFTER_REFUSAL: Duration = Duration::from_mins(1);
/// The longest wait, however many refusals there were: the window of the primary limit.
pub const LONGEST_WAIT: Duration = HOUR;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// What is to be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// A request that only reads.
    Read,
    /// A request that writes.
    Write,
    /// A push.
    Push,
}

/// A documented limit: how much there is of it within any span of a length, and how much of it a cost takes.
struct Limit {
    most: u32,
    span: Duration,
    share: fn(Cost) -> u32,
}

const POINTS: Limit = Limit { most: POINTS_A_MINUTE, span: MINUTE, share: points };
const WRITES_IN_MINUTE: Limit = Limit { most: CONTENT_A_MINUTE, span: MINUTE, share: writes };
const WRITES_IN_HOUR: Limit = Limit { most: CONTENT_AN_HOUR, span: HOUR, share: writes };
const PUSHES: Limit =
    Limit { most: PUSHES_A_MINUTE, span: MINUTE, share: |cost| (cost == Cost::Push).into() };
const LIMITS: [Limit; 4] = [POINTS, WRITES_IN_MINUTE, WRITES_IN_HOUR, PUSHES];

const fn points(cost: Cost) -> u32 {
    match cost {
        Cost::Read => POINTS_TO_READ,
        Cost::Write => POINTS_TO_WRITE,
        Cost::Push => 0,
    }
}

fn writes(cost: Cost) -> u32 {
    (cost == Cost::Write).into()
}

/// What was spent in the last hour, and what GitHub reported about the rest.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    spent: VecDeque<(SystemTime, Cost)>,
    /// Requests left of the primary limit, and when it starts again.
    primary: Option<(u64, SystemTime)>,
    blocked_until: Option<SystemTime>,
    refusals: u32,
}

/// What is left of the budget by what it limits, as far as that is known.
pub type Left = [(&'static str, Option<u64>); 5];

impl Budget {
    /// Spends `cost`, or returns the moment from which on it can be spent.
    pub fn spend(&mut self, cost: Cost, now: SystemTime) -> Result<(), SystemTime> {
        self.forget(now);
        if let Some(until) = self.earliest(cost, now).filter(|until| *until > now) {
            return Err(until);
        }
        self.spent.push_back((now, cost));
        if let Some((left, _)) = self.primary.as_mut().filter(|_| cost != Cost::Push) {
            *left = left.saturating_sub(1);
        }
        Ok(())
    }

    /// Records what a reply reports about the primary limit.
    pub const fn learn(&mut self, left: u64, reset: SystemTime) {
        self.primary = Some((left, reset));
    }

    /// Records that a request was carried out, so that the next refusal is a first one again.
    pub const fn accepted(&mut self) {
        self.refusals = 0;
    }

    /// Records a refusal because of a limit, and returns when to retry.
    ///
    /// `named` is the moment that GitHub named. Without one the wait doubles with each refusal, as it asks
    /// for; a moment that has passed means that the clocks differ, and counts as none.
    pub fn refused(&mut self, named: Option<SystemTime>, now: SystemTime) -> SystemTime {
        let wait = Backoff { first: WAIT_AFTER_REFUSAL, longest: LONGEST_WAIT }.delay(self.refusals);
        self.refusals += 1;
        let until = named.filter(|named| *named > now).unwrap_or(now + wait).min(now + LONGEST_WAIT);
        self.blocked_until = Some(until);
        until
    }

    /// Returns what is left: requests until the primary limit starts again, once GitHub reported them, and
    /// the rest of this minute or hour.
    pub(crate) fn left(&mut self, now: SystemTime) -> Left {
        self.forget(now);
        let left = |limit| Some(u64::from(self.left_of(limit, now)));
        [
            ("requests", self.primary.map(|(left, _)| left)),
            ("points", left(&POINTS)),
            ("writes_in_minute", left(&WRITES_IN_MINUTE)),
            ("writes_in_hour", left(&WRITES_IN_HOUR)),
            ("pushes", left(&PUSHES)),
        ]
    }

    /// Returns what takes a share of a limit still, the oldest first.
    fn shares(&self, limit: &Limit, now: SystemTime) -> impl DoubleEndedIterator<Item = (SystemTime, u32)> {
        let since = self.spent.partition_point(|(at, _)| *at + limit.span <= now);
        let shares = self.spent.range(since..).map(|(at, cost)| (*at, (limit.share)(*cost)));
        shares.filter(|(_, share)| *share > 0)
    }

    fn left_of(&self, limit: &Limit, now: SystemTime) -> u32 {
        limit.most.saturating_sub(self.shares(limit, now).map(|(_, share)| share).sum())
    }

    /// Returns when a limit has room for a cost again, unless it has.
    fn free_at(&self, limit: &Limit, cost: Cost, now: SystemTime) -> Option<SystemTime> {
        let mut lacking = (limit.share)(cost).checked_sub(self.left_of(limit, now) + 1)?;
        let enough = self.shares(limit, now).find(|(_, share)| {
            let is_short = lacking >= *share;
            lacking = lacking.saturating_sub(*share);
            !is_short
        });
        enough.map(|(at, _)| at + limit.span)
    }

    fn earliest(&self, cost: Cost, now: SystemTime) -> Option<SystemTime> {
        let limits = LIMITS.iter().filter_map(|limit| self.free_at(limit, cost, now)).max();
        if cost == Cost::Push {
            return limits;
        }
        let primary = self.primary.filter(|(left, _)| *left == 0).map(|(_, reset)| reset);
        let nth_last = self.shares(&WRITES_IN_MINUTE, now).rev().nth(WRITES_WITHOUT_PAUSE - 1);
        let is_burst = cost == Cost::Write && nth_last.is_some();
        let last = self.shares(&WRITES_IN_MINUTE, now).next_back().filter(|_| is_burst);
        limits.max(primary).max(last.map(|(at, _)| at + WRITE_SPACING)).max(self.blocked_until)
    }

    fn forget(&mut self, now: SystemTime) {
        let since = self.spent.partition_point(|(at, _)| *at + HOUR <= now);
        self.spent.drain(..since);
        self.blocked_until = self.blocked_until.filter(|until| *until > now);
        self.primary = self.primary.filter(|(_, reset)| *reset > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        START + Duration::from_secs(seconds)
    }

    /// Spends one cost after the other, each as soon as the budget lets it, and returns the moments.
    fn spend_as_soon_as_possible(budget: &mut Budget, cost: Cost, times: usize) -> Vec<u64> {
        let mut now = START;
        let mut moments = Vec::new();
        while moments.len() < times {
            match budget.spend(cost, now) {
                Ok(()) => moments.push(now.duration_since(START).unwrap().as_secs()),
                Err(until) => {
                    assert!(until > now, "a wait leads nowhere");
                    now = until;
                }
            }
        }
        moments
    }

    #[test]
    fn a_usual_run_waits_for_nothing() {
        let mut budget = Budget::default();
        assert_eq!(spend_as_soon_as_possible(&mut budget, Cost::Write, 20), [0; 20]);
        assert_eq!(spend_as_soon_as_possible(&mut budget, Cost::Read, 100), [0; 100]);
        let left = budget.left(START);
        assert_eq!(left.map(|(_, left)| left), [None, Some(900 - 200), Some(60), Some(480), Some(6)]);
    }

    #[test]
    fn many_writes_are_spread_so_that_no_window_holds_more_than_its_limit() {
        let moments = spend_as_soon_as_possible(&mut Budget::default(), Cost::Write, 1_200);
        assert_eq!(moments[19..23], [0, 1, 2, 3]);
        for (window, limit) in [(60, CONTENT_A_MINUTE), (3_600, CONTENT_AN_HOUR)] {
            let limit = limit as usize;
            for pair in moments.windows(limit + 1) {
                assert!(pair[limit] - pair[0] >= window, "more than {limit} in {window} s");
            }
        }
    }

    #[test]
    fn reads_and_pushes_stay_within_their_minutes() {
        let reads = spend_as_soon_as_possible(&mut Budget::default(), Cost::Read, 1_801);
        assert_eq!((reads[899], reads[900], reads[1_800]), (0, 60, 120));
        let pushes = spend_as_soon_as_possible(&mut Budget::default(), Cost::Push, 13);
        assert_eq!((pushes[5], pushes[6], pushes[12]), (0, 60, 120));
    }

    #[test]
    fn when_the_hour_is_spent_nothing_is_asked_before_it_begins_anew() {
        let mut budget = Budget::default();
        budget.learn(1, at(1_000));
        budget.spend(Cost::Read, at(10)).unwrap();
        assert_eq!(budget.spend(Cost::Read, at(11)), Err(at(1_000)));
        assert_eq!(budget.spend(Cost::Push, at(11)), Ok(()));
        assert_eq!(budget.spend(Cost::Read, at(1_000)), Ok(()));
    }

    #[test]
    fn a_refusal_is_waited_out_for_as_long_as_it_says_or_twice_as_long_each_time() {
        let mut budget = Budget::default();
        assert_eq!(budget.refused(Some(at(30)), at(0)), at(30));
        assert_eq!(budget.spend(Cost::Read, at(29)), Err(at(30)));
        budget.spend(Cost::Read, at(30)).unwrap();
        budget.accepted();
        let waits: Vec<_> = (0..9).map(|_| budget.refused(None, at(0))).collect();
        assert_eq!(waits[..3], [at(60), at(120), at(240)]);
        assert_eq!(waits[8], at(3_600));
        budget.accepted();
        assert_eq!(budget.refused(Some(at(5)), at(9)), at(69), "a moment in the past is no moment");
        assert_eq!(budget.refused(Some(at(1_000_000)), at(0)), at(3_600), "no wait is endless");
    }
}
