//! Whether a package is the one that was announced.

use sha2::{Digest as _, Sha256};

use super::error::ChartError;
use crate::hex::hex;
use crate::http::Url;

/// Some charts write a `v` before their version where their repository does not, or the other way round.
pub(super) fn is_same_version(a: &str, b: &str) -> bool {
    a.strip_prefix('v').unwrap_or(a) == b.strip_prefix('v').unwrap_or(b)
}

pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Compares the digest of what came with the one that was announced; repositories leave out the algorithm.
pub(super) fn check_digest(what: &Url, bytes: &[u8], announced: &str) -> Result<(), ChartError> {
    let found = digest(bytes);
    let expected = announced.strip_prefix("sha256:").unwrap_or(announced).to_ascii_lowercase();
    if found.strip_prefix("sha256:") == Some(expected.as_str()) {
        Ok(())
    } else {
        Err(ChartError::of_digest(what, &found, &format!("sha256:{expected}")))
    }
}
