//! Progress of long work, on standard error and for people only.
//!
//! Knows nothing of the work.

use std::fmt;
use std::sync::Once;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that ends sooner shows nothing, since a flash tells nobody anything.
const PATIENCE: Duration = Duration::from_millis(300);

/// How far some work has come; it can be shared between the threads that do the work.
pub struct Progress {
    bar: ProgressBar,
    start: Instant,
    is_shown: Once,
    target: fn() -> ProgressDrawTarget,
}

impl Progress {
    /// Starts to show `total` steps of `label` on the terminal; where standard error is none, nothing is shown.
    #[must_use]
    pub fn start(label: &'static str, total: u64) -> Self {
        Self::on(ProgressDrawTarget::stderr, label, total)
    }

    /// Starts progress that is never shown, for output that machines read.
    #[must_use]
    pub fn silent() -> Self {
        Self::on(ProgressDrawTarget::hidden, "", 0)
    }

    fn on(target: fn() -> ProgressDrawTarget, label: &'static str, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {human_pos}/{human_len}")
            .expect("the template is constant and tested");
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(label);
        Self { bar, start: Instant::now(), is_shown: Once::new(), target }
    }

    /// Counts one step as done.
    pub fn advance(&self) {
        self.bar.inc(1);
        if !self.is_shown.is_completed() && self.start.elapsed() >= PATIENCE {
            self.is_shown.call_once(|| self.bar.set_draw_target((self.target)()));
        }
    }

    /// Ends the work and leaves nothing on the terminal; dropping it does the same.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Progress({}/{})", self.bar.position(), self.bar.length().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use indicatif::TermLike;

    use super::*;

    static SCREEN: Mutex<String> = Mutex::new(String::new());

    /// A terminal that keeps what was ever written on it.
    #[derive(Debug)]
    struct Screen;

    impl Screen {
        fn target() -> ProgressDrawTarget {
            ProgressDrawTarget::term_like(Box::new(Self))
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            SCREEN.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn quick_work_shows_nothing_and_long_work_shows_how_far_it_is() {
        let mut progress = Progress::on(Screen::target, "render", 2_000);
        progress.advance();
        assert_eq!(*SCREEN.lock().unwrap(), "");
        progress.start -= PATIENCE;
        progress.advance();
        progress.bar.tick();
        let shown = SCREEN.lock().unwrap().clone();
        assert!(shown.starts_with("render [>"), "{shown:?}");
        assert!(shown.contains("] 2/2,000"), "{shown:?}");
        progress.finish();
    }

    #[test]
    fn silent_progress_stays_silent() {
        let mut progress = Progress::silent();
        progress.start -= PATIENCE;
        progress.advance();
        assert!(progress.bar.is_hidden());
    }
}
