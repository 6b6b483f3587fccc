//! A call of the program, and what it answers.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Result;

/// What a call prints, and its exit code.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) code: u8,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Answer {
    pub(super) fn done(stdout: impl Into<String>) -> Self {
        Self { stdout: stdout.into(), ..Self::default() }
    }

    pub(super) fn failed(code: u8, stderr: impl Into<String>) -> Self {
        Self { code, stderr: format!("{}\n", stderr.into()), ..Self::default() }
    }
}

/// A call of the program.
pub(super) struct Call {
    pub(super) arguments: Vec<String>,
    /// The folder that everything is kept in.
    pub(super) folder: PathBuf,
    /// Whether its work is interrupted.
    pub(super) is_cut_short: bool,
}

impl Call {
    pub(super) fn words(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }
}

/// Reads the input of the call to its end.
pub(super) fn read_input() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
