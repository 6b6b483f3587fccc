//! Secrets from standard input: a line of a pipe, or one that is typed and not shown.

use std::io::{self, BufRead as _, Write as _, stderr, stdin};
use std::thread;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;

use crate::error::CommandError;
use crate::events::Cancel;
use crate::secrets;

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(stdin(), OptionalActions::Now, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

/// Asks on a terminal; nothing is the end.
pub(super) async fn ask(question: &str, cancel: &Cancel) -> Result<Option<SecretString>, CommandError> {
    let _hidden = Hidden::begin().map_err(|error| CommandError::unexpected("hide what is typed", error))?;
    let _ = stderr().write_all(question.as_bytes());
    next_line(cancel).await
}

/// Returns the next line of standard input; an empty one, or none, is the end.
pub(super) async fn next_line(cancel: &Cancel) -> Result<Option<SecretString>, CommandError> {
    let (sender, line) = oneshot::channel();
    // A thread of its own, which may wait for input that never comes when all else is over.
    thread::spawn(move || {
        let mut line = String::with_capacity(256);
        let read = stdin().lock().read_line(&mut line);
        // It is overwritten when it is dropped.
        let line = SecretString::from(line);
        let _ = sender.send(read.map(|_| SecretString::from(line.expose_secret().trim())));
    });
    let line =
        cancel.during(line).await?.map_err(|error| CommandError::unexpected("read standard input", error))?;
    let line = line.map_err(|error| CommandError::unexpected("read standard input", error))?;
    secrets::remember(&line);
    Ok(Some(line).filter(|line| !line.expose_secret().is_empty()))
}
