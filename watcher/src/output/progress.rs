//! Progress of long work, on standard error and for people only.
//!
//! Knows nothing of the work.

use std::sync::Once;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that ends sooner shows nothing, since a bar that is gone at once cannot be read.
const DELAY: Duration = Duration::from_millis(300);

/// How far some work has come; it can be shared between the threads that do the work. Dropping it removes it from the
/// terminal.
pub struct Progress {
    bar: ProgressBar,
    start: Instant,
    is_shown: Once,
    target: fn() -> ProgressDrawTarget,
}

impl Progress {
    /// Starts to show the steps of `label` on the terminal; nothing is shown where standard error is none, or if
    /// it is not visible at all, for output that machines read.
    pub(crate) fn new(label: &'static str, is_visible: bool) -> Self {
        Self::on(if is_visible { ProgressDrawTarget::stderr } else { ProgressDrawTarget::hidden }, label)
    }

    fn on(target: fn() -> ProgressDrawTarget, label: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {human_pos}/{human_len}")
            .expect("the template is constant and tested");
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(label);
        Self { bar, start: Instant::now(), is_shown: Once::new(), target }
    }
}

impl Progress {
    /// Shows how many of a number of things are done.
    pub(crate) fn reach(&self, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
        self.show_after_a_while();
    }

    /// Runs what prints on the same terminal.
    pub(crate) fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    fn show_after_a_while(&self) {
        if !self.is_shown.is_completed() && self.start.elapsed() >= DELAY {
            self.is_shown.call_once(|| self.bar.set_draw_target((self.target)()));
        }
    }
}

impl renderer::render::Progress for Progress {
    fn advance(&self, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.inc(1);
        self.show_after_a_while();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use indicatif::TermLike;
    use renderer::render::Progress as _;

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
        let mut progress = Progress::on(Screen::target, "render");
        progress.advance(2_000);
        assert_eq!(*SCREEN.lock().unwrap(), "");
        progress.start -= DELAY;
        progress.advance(2_000);
        progress.bar.tick();
        let shown = SCREEN.lock().unwrap().clone();
        assert!(shown.starts_with("render [>"), "{shown:?}");
        assert!(shown.contains("] 2/2,000"), "{shown:?}");
        drop(progress);
    }

    #[test]
    fn silent_progress_stays_silent() {
        let mut progress = Progress::new("render", false);
        progress.start -= DELAY;
        progress.advance(2_000);
        assert!(progress.bar.is_hidden());
    }
}
