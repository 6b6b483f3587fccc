//! Example payloads of GitHub's webhooks, as its users have contributed them.
//!
//! They are not part of this repository: `testkit/webhooks/fetch` brings them in.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// Where the script puts the payloads of GitHub itself, below this crate.
const EXAMPLES: &str = "webhooks/node_modules/@octokit/webhooks-examples/api.github.com/index.json";

/// An event with examples of its payload.
#[derive(Clone, Debug, Deserialize)]
pub struct Examples {
    /// The event, as in `X-GitHub-Event`.
    #[serde(rename = "name")]
    pub event: String,
    /// The payloads.
    #[serde(rename = "examples")]
    pub payloads: Vec<Value>,
}

/// Returns the examples of every event; `None` if nobody fetched them.
pub fn examples() -> Result<Option<Vec<Examples>>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLES);
    match fs::read(&path) {
        Ok(bytes) => {
            Ok(Some(serde_json::from_slice(&bytes).context("failed to understand the example payloads")?))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("failed to read the example payloads"),
    }
}
