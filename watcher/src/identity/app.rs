//! A GitHub App: proves who it is with a signed claim, and gets a token for one repository that lasts an hour.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ::http::Method;
use ::http::header::{ACCEPT, HeaderName};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::error::IdentityError;
use super::key::AppKey;

use crate::http::{Authorization, Client, HttpError, Request, Upload, Url};
use crate::repository_name::RepositoryName;
use crate::secrets::{read_file, remember_issued};

/// An installation token lasts an hour; it is replaced this long after it was made, so that a long push that begins
/// with the old one still ends in time. Counted by this machine alone, since the forge's clock may differ.
/// Source: docs.github.com, "Generating an installation access token for a GitHub App".
const REPLACED_AFTER: Duration = Duration::from_mins(50);

/// What GitHub answers here is a few kilobytes.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// The headers that GitHub expects with each request.
pub const GITHUB_HEADERS: [(HeaderName, &str); 2] = [
    (ACCEPT, "application/vnd.github+json"),
    (HeaderName::from_static("x-github-api-version"), "2022-11-28"),
];

/// Where an App works.
#[derive(Clone, Debug)]
pub struct AppSettings {
    /// The App's id or client id.
    pub id: String,
    /// The file with its private key.
    pub key_file: PathBuf,
    /// The forge's interface, for instance `https://api.github.com`.
    pub api: Url,
    /// The repository.
    pub repository: RepositoryName,
}

/// An App on one repository, with the token that it has.
pub struct App {
    settings: AppSettings,
    key: AppKey,
    client: Client,
    /// The token that it has, and when it was made.
    token: Mutex<Option<(SecretString, SystemTime)>>,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct Issued {
    token: String,
}

impl App {
    /// Returns the App whose key the settings name.
    pub fn new(settings: AppSettings, client: Client) -> Result<Self, IdentityError> {
        let path = &settings.key_file;
        let pem = read_file(path).map_err(IdentityError::unreadable(path))?;
        let key = AppKey::from_pem(pem.expose_secret()).map_err(IdentityError::of_key(path))?;
        Ok(Self { settings, key, client, token: Mutex::default() })
    }

    /// Returns a token that is good for some minutes after `now`.
    pub(super) fn token(&self, now: SystemTime) -> Result<SecretString, IdentityError> {
        // A caller that comes while a token is being issued waits for it; no second one is issued.
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back is no measure of the age of the token.
        let is_fresh = |made: &SystemTime| now.duration_since(*made).is_ok_and(|age| age < REPLACED_AFTER);
        if let Some((token, _)) = held.as_ref().filter(|(_, made)| is_fresh(made)) {
            return Ok(token.clone());
        }
        *held = None;
        let secret = self.issue(now)?;
        *held = Some((secret.clone(), now));
        Ok(secret)
    }

    pub(super) fn forget(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the signed claim to be this App, which is good for some minutes.
    pub(super) fn claim(&self, now: SystemTime) -> Result<SecretString, IdentityError> {
        let AppSettings { id, key_file, .. } = &self.settings;
        self.key.claim(id, now).map_err(IdentityError::of_key(key_file))
    }

    fn issue(&self, now: SystemTime) -> Result<SecretString, IdentityError> {
        let repository = &self.settings.repository;
        let claim = Authorization::Bearer(self.claim(now)?);
        let path = format!("/repos/{repository}/installation");
        let attempt = "find the App's installation on the repository";
        let installation: Installation = self.ask(attempt, &claim, &path, None)?;
        // The token is for this repository alone, whatever else the App is installed on.
        let scope = json!({ "repositories": [repository.name()] }).to_string();
        let path = format!("/app/installations/{}/access_tokens", installation.id);
        let issued: Issued = self.ask("get a token for the App", &claim, &path, Some(&scope))?;
        let token = SecretString::from(issued.token);
        remember_issued(&token);
        Ok(token)
    }

    /// Sends a request as the App itself.
    fn ask<T: DeserializeOwned>(
        &self,
        attempt: &str,
        claim: &Authorization,
        path: &str,
        body: Option<&str>,
    ) -> Result<T, IdentityError> {
        let answer = ask(&self.client, &self.settings.api, path, Some(claim), body);
        let not_found = "install the App on the repository, and check the App's id";
        let answer = answer.map_err(|error| IdentityError::of_request(attempt, not_found, &error))?;
        answer.ok_or_else(|| IdentityError::of_answer(attempt))
    }
}

/// Sends a request to GitHub, with POST if there is a body, and reads its answer; nothing if that is not as
/// documented. Why it is not could quote the answer, in which there may be a token or a key.
pub(super) fn ask<T: DeserializeOwned>(
    client: &Client,
    api: &Url,
    path: &str,
    authorization: Option<&Authorization>,
    body: Option<&str>,
) -> Result<Option<T>, HttpError> {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let headers = &GITHUB_HEADERS;
    let request = Request { method, authorization, headers, ..Request::get(api, path, MAX_ANSWER_BYTES) };
    let mut bytes = body.unwrap_or_default().as_bytes();
    let answer = client.send(&request, body.map(|_| Upload::of(&mut bytes)))?.success()?;
    Ok(serde_json::from_slice(&answer.bytes()?).ok())
}

#[cfg(test)]
mod tests;
