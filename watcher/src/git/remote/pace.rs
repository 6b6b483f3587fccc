//! How slowly the other side of a conversation may send or take.
//!
//! A sign of life now and then is not enough: a server that sends one byte a minute, or only keeps the
//! connection alive, would hold a run for as long as it likes. An answer may take its time to begin, as when
//! a large pack is put together or a hook runs; from then on it flows or is over. A large clone that makes
//! progress is never cut off by this. Time is passed in.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use renderer::plural::counted;

/// The bounds on time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::git) struct PaceLimits {
    /// How long an answer may take to begin.
    pub(in crate::git) begin: Duration,
    /// In each such time after that …
    pub(in crate::git) window: Duration,
    /// … at least so many bytes have to come, until the answer is complete.
    pub(in crate::git) window_bytes: usize,
    /// How long nothing at all may come.
    pub(in crate::git) silence: Duration,
    /// How long the whole may take.
    pub(in crate::git) whole: Duration,
}

impl PaceLimits {
    /// What is asked of every server.
    pub(in crate::git) const DEFAULT: Self = Self {
        begin: Duration::from_mins(5),
        window: Duration::from_mins(1),
        window_bytes: 1 << 20,
        silence: Duration::from_mins(2),
        whole: Duration::from_hours(6),
    };

    /// Returns limits of a test, for as long as the process lives.
    #[cfg(test)]
    pub(in crate::git) fn leaked(self) -> &'static Self {
        Box::leak(Box::new(self))
    }
}

/// Measures one answer, or one question on its way.
#[derive(Clone, Debug)]
pub(in crate::git) struct Pace {
    limits: PaceLimits,
    /// When the whole has to be over.
    end: Instant,
    /// The time that is measured now: when it began, and when it is over.
    window: (Instant, Instant),
    /// What came in that time.
    bytes: usize,
}

impl Pace {
    pub(in crate::git) fn new(limits: PaceLimits, now: Instant) -> Self {
        Self { limits, end: now + limits.whole, window: (now, now + limits.begin), bytes: 0 }
    }

    /// Begins to measure the next answer; the end of the whole stays.
    pub(in crate::git) fn restart(&mut self, now: Instant) {
        *self = Self { end: self.end, ..Self::new(self.limits, now) };
    }

    /// Notes that so many bytes have come.
    pub(in crate::git) fn note(&mut self, bytes: usize, now: Instant) -> io::Result<()> {
        if now >= self.end {
            return Err(too_slow(format!("it was not complete after {}", seconds(self.limits.whole))));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let (begun, end) = self.window;
        if now < end {
            return Ok(());
        }
        if self.bytes < self.limits.window_bytes {
            let least = self.limits.window_bytes >> 10;
            return Err(too_slow(format!("fewer than {least} KiB came in {}", seconds(now - begun))));
        }
        self.window = (now, now + self.limits.window);
        self.bytes = 0;
        Ok(())
    }
}

pub(super) fn too_slow(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, message)
}

/// Writes a time for people.
pub(super) fn seconds(time: Duration) -> String {
    counted(time.as_secs() as usize, "second")
}

/// A stream that ends with an error when it is too slow.
pub(in crate::git) struct Paced<'a, S: ?Sized> {
    pub(in crate::git) stream: &'a mut S,
    pub(in crate::git) pace: &'a mut Pace,
}

impl<S: Read + ?Sized> Read for Paced<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.pace.note(count, Instant::now())?;
        Ok(count)
    }
}

impl<S: Write + ?Sized> Write for Paced<'_, S> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.stream.write(buffer)?;
        self.pace.note(count, Instant::now())?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: PaceLimits =
        PaceLimits { window_bytes: 1_024, whole: Duration::from_hours(1), ..PaceLimits::DEFAULT };

    /// Notes `bytes` each second, and returns after how many seconds that was too slow.
    fn seconds_until_too_slow(bytes: impl Fn(u32) -> usize) -> (u32, String) {
        let start = Instant::now();
        let mut pace = Pace::new(LIMITS, start);
        let mut error = |at| pace.note(bytes(at), start + SECOND * at).err();
        (1..).find_map(|at| Some((at, error(at)?.to_string()))).unwrap()
    }

    #[test]
    fn what_flows_is_over_only_with_the_whole_time() {
        assert_eq!(seconds_until_too_slow(|_| 18), (3_600, "it was not complete after 3600 seconds".into()));
    }

    #[test]
    fn signs_of_life_hold_nothing_for_longer_than_an_answer_may_take_to_begin() {
        let trickle = |time| format!("fewer than 1 KiB came in {time} seconds");
        assert_eq!(seconds_until_too_slow(|_| 0), (300, trickle(300)));
        assert_eq!(seconds_until_too_slow(|_| 3), (300, trickle(300)));
        // A pack that begins well and then stops is given up a minute later.
        assert_eq!(seconds_until_too_slow(|at| if at < 290 { 5_000 } else { 1 }), (360, trickle(60)));
    }

    #[test]
    fn a_further_question_gets_time_for_its_answer_and_the_whole_does_not() {
        let start = Instant::now();
        let mut pace = Pace::new(LIMITS, start);
        for turn in 1..=12 {
            pace.restart(start + SECOND * 301 * turn);
            assert_eq!(pace.note(0, start + SECOND * 301 * turn).is_ok(), turn < 12, "{turn}");
        }
    }
}
