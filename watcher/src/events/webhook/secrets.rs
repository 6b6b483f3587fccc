//! The secrets that deliveries are signed with, and the verification of signatures.
//!
//! Knows nothing of what is signed. A secret never leaves this file: what is kept is a key that cannot be printed.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tracing::{info, warn};

use crate::output::with_causes;
use crate::secrets;

/// The environment variable that can hold the secrets.
pub const SECRET_VARIABLE: &str = "FLEETWRIGHT_WEBHOOK_SECRET";

/// The size of an HMAC-SHA256.
const DIGEST_BYTES: usize = 32;

/// The secrets that are valid at the moment: one, or several while one is being replaced by another.
#[derive(Debug)]
pub struct Secrets(Mutex<Held>);

#[derive(Debug)]
struct Held {
    keys: Vec<hmac::Key>,
    /// The file of the secrets, and its stamp when it was last read.
    file: Option<(PathBuf, Option<Stamp>)>,
}

/// The size and time of a file, by which a new content is noticed without reading it.
type Stamp = (u64, Option<SystemTime>);

/// There are no secrets.
#[derive(Debug, Error)]
#[error("failed to read the webhook secret from {place}")]
pub struct SecretsError {
    /// The file or the variable.
    pub place: String,
    /// The cause.
    pub source: io::Error,
}

impl SecretsError {
    /// What to do about it.
    pub const HINT: &str = "write the secret that the webhook has on GitHub, one per line if there are several; \
        the user that runs the service must be able to read the file, and no other user to write it";
}

impl Secrets {
    /// Reads the secrets from a file, one per line, and again whenever the file changes.
    pub fn from_file(path: &Path) -> Result<Self, SecretsError> {
        let (keys, stamp) = read(path)?;
        Ok(Self(Mutex::new(Held { keys, file: Some((path.to_owned(), stamp)) })))
    }

    /// Takes the secrets from [`SECRET_VARIABLE`], one per line; `None` if it is not set.
    pub fn from_environment() -> Result<Option<Self>, SecretsError> {
        let Ok(text) = env::var(SECRET_VARIABLE) else { return Ok(None) };
        Self::from_text(&text.into()).map(Some)
    }

    /// Takes the secrets from a text, one per line.
    pub fn from_text(text: &SecretString) -> Result<Self, SecretsError> {
        secrets::remember(text);
        let failed = |source| SecretsError { place: format!("`{SECRET_VARIABLE}`"), source };
        Ok(Self(Mutex::new(Held { keys: keys(text).map_err(failed)?, file: None })))
    }

    /// Returns whether `body` was signed with one of the secrets. The comparison takes constant time.
    pub(super) fn have_signed(&self, body: &[u8], signature: &Signature) -> bool {
        let keys = {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            held.refresh();
            held.keys.clone()
        };
        keys.iter().any(|key| hmac::verify(key, body, &signature.0).is_ok())
    }
}

impl Held {
    /// Reads the file again if it changed; while it cannot be read, the secrets that were in it stay valid.
    fn refresh(&mut self) {
        let Some((path, read_at)) = &mut self.file else { return };
        let stamp = stamp(path);
        if stamp == *read_at {
            return;
        }
        *read_at = stamp;
        match read(path) {
            Ok((keys, stamp)) => {
                info!(secrets = keys.len(), "read the webhook secret again, since its file changed");
                (self.keys, *read_at) = (keys, stamp);
            }
            Err(error) => warn!(
                error = with_causes(&error),
                hint = SecretsError::HINT,
                "keeping the webhook secret as it was"
            ),
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()))
}

/// Reads a file of secrets. The stamp is taken first, so that a change in between is noticed later.
fn read(path: &Path) -> Result<(Vec<hmac::Key>, Option<Stamp>), SecretsError> {
    let stamp = stamp(path);
    let keys = secrets::read_file(path).and_then(|text| keys(&text));
    let failed = |source| SecretsError { place: format!("`{}`", path.display()), source };
    Ok((keys.map_err(failed)?, stamp))
}

/// Makes a key of each line that holds something.
fn keys(text: &SecretString) -> io::Result<Vec<hmac::Key>> {
    let lines = text.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<hmac::Key> = lines.map(|line| hmac::Key::new(hmac::HMAC_SHA256, line.as_bytes())).collect();
    // Anyone could make a signature with an empty secret.
    if keys.is_empty() { Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty")) } else { Ok(keys) }
}

/// The signature of a delivery, not verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature([u8; DIGEST_BYTES]);

impl Signature {
    /// Reads the value of `X-Hub-Signature-256`: `sha256=` and 64 hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256=")?.as_bytes();
        if digits.len() != 2 * DIGEST_BYTES {
            return None;
        }
        let mut digest = [0; DIGEST_BYTES];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?);
            *byte = u8::try_from(high * 16 + low).ok()?;
        }
        Some(Self(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in GitHub's page on validating deliveries.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn signature() -> Signature {
        Signature::parse(SIGNATURE).unwrap()
    }

    fn secrets(text: &str) -> Secrets {
        Secrets::from_text(&text.into()).unwrap()
    }

    #[test]
    fn the_documented_example_is_accepted() {
        assert!(secrets(SECRET).have_signed(BODY, &signature()));
    }

    #[test]
    fn another_body_secret_or_signature_is_not() {
        assert!(!secrets(SECRET).have_signed(b"Hello, World?", &signature()));
        assert!(!secrets("It's a secret to everybody").have_signed(BODY, &signature()));
        let other = Signature::parse(&SIGNATURE.replace('7', "8")).unwrap();
        assert!(!secrets(SECRET).have_signed(BODY, &other));
    }

    #[test]
    fn during_a_rotation_the_old_and_the_new_secret_are_valid() {
        assert!(secrets(&format!("new\n\n{SECRET}\r\n")).have_signed(BODY, &signature()));
        assert!(secrets(&format!("{SECRET}\nnew")).have_signed(BODY, &signature()));
    }

    #[test]
    fn an_empty_secret_is_refused() {
        for text in ["", "\n", " \n\t\n"] {
            let error = Secrets::from_text(&text.into()).unwrap_err();
            assert_eq!(error.source.to_string(), "it is empty", "{text:?}");
        }
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_one_that_goes_leaves_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "the old one").unwrap();
        let secrets = Secrets::from_file(&path).unwrap();
        assert!(!secrets.have_signed(BODY, &signature()));

        fs::write(&path, format!("{SECRET}\nthe old one\n")).unwrap();
        assert!(secrets.have_signed(BODY, &signature()));

        fs::remove_file(&path).unwrap();
        assert!(secrets.have_signed(BODY, &signature()));
        fs::write(&path, "").unwrap();
        assert!(secrets.have_signed(BODY, &signature()));
    }

    #[test]
    fn a_secret_is_not_in_what_is_printed() {
        let text = format!("{:?}", secrets("hush"));
        assert!(!text.contains("hush"), "{text}");
    }

    #[test]
    fn only_a_whole_digest_of_the_right_kind_is_a_signature() {
        let digits = "0".repeat(64);
        assert!(Signature::parse(&format!("sha256={digits}")).is_some());
        let long = format!("sha256={digits}00");
        let old = format!("sha1={}", "0".repeat(40));
        let foreign = format!("sha256={}", "é".repeat(32));
        for text in ["", "sha256=", &digits, &old, &long, &foreign, &format!("sha256=+{}", &digits[1..])] {
            assert_eq!(Signature::parse(text), None, "{text:?}");
        }
    }
}
