//! How long final objects may take to make. Knows nothing of how they are made.

use std::time::{Duration, Instant};

use super::program::MAX_TIME;

/// How long final objects may take to make.
#[derive(Clone, Copy, Debug)]
pub struct Bound(Option<(Duration, Instant)>);

impl Bound {
    /// As long as it takes.
    pub const NONE: Self = Self(None);

    /// Ends after a time.
    #[must_use]
    pub fn of(time: Duration) -> Self {
        Self(Some((time, Instant::now() + time)))
    }

    /// Returns whether the time is over.
    pub(super) fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// Returns whether so much of it has passed that no chart is fetched any more: renderings need the rest.
    pub(super) fn has_spent_a_third(self) -> bool {
        self.0.is_some_and(|(whole, _)| self.left() < whole / 3 * 2)
    }

    /// Returns how long one rendering may take, so that one that never ends does not use up all of the time; nothing if the
    /// time is over.
    pub(super) fn for_one(self) -> Option<Duration> {
        let Some((whole, _)) = self.0 else { return Some(MAX_TIME) };
        Some(self.left().min(whole / 3)).filter(|time| !time.is_zero())
    }

    fn left(self) -> Duration {
        self.0.map_or(Duration::MAX, |(_, end)| end.saturating_duration_since(Instant::now()))
    }
}
