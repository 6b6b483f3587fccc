//! How long to wait before a retry: twice as long each time, up to a bound, and spread so that many instances do not
//! retry at the same moment. The watcher has no other back-off and no other source of random numbers for it.

use std::time::Duration;

use fastrand::Rng;

/// Delays that double from failure to failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The delay after the first failure.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
}

impl Backoff {
    /// Returns the delay after `earlier` failures in a row and one more.
    pub(crate) fn delay(self, earlier: u32) -> Duration {
        let factor = 1_u32.checked_shl(earlier).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

/// Returns a delay between one half of `delay` and all of it.
pub(crate) fn spread(delay: Duration, random: &mut Rng) -> Duration {
    let half = delay / 2;
    half + half.mul_f64(random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_delay_is_twice_the_last_one_up_to_the_bound() {
        let backoff = Backoff { first: SECOND, longest: 10 * SECOND };
        let delays = [0, 1, 2, 3, 4, 31, 32, u32::MAX].map(|earlier| backoff.delay(earlier).as_secs());
        assert_eq!(delays, [1, 2, 4, 8, 10, 10, 10, 10]);
    }

    #[test]
    fn a_delay_is_spread_over_its_second_half_and_the_same_for_the_same_seed() {
        let spread = |seed| spread(SECOND, &mut Rng::with_seed(seed));
        let delays: Vec<_> = (0..100).map(spread).collect();
        assert!(delays.iter().all(|delay| (SECOND / 2..=SECOND).contains(delay)));
        assert_ne!(delays[0], delays[1]);
        assert_eq!(delays[0], spread(0));
    }
}
