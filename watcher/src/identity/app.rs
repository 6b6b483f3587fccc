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

use super::error::{FIND_INSTALLATION, IdentityError};
use super::key::AppKey;

use crate::http::{Answer, Authorization, Client, Request, Upload, Url};
use crate::secrets::{read_file, remember_issued};

const GET_TOKEN: &str = "get a token for the App";

/// An installation token lasts an hour; it is replaced this long after it was made, so that a long push that begins
/// with the old one still ends in time. Counted by this machine alone, since the forge's clock may differ.
/// Source: docs.github.com, "Generating an installation access token for a GitHub App".
const REPLACED_AFTER: Duration = Duration::from_mins(50);

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
    /// The repository's owner.
    pub owner: String,
    /// The repository's name.
    pub repository: String,
}

/// An App on one repository, with the token that it has.
pub struct App {
    settings: AppSettings,
    key: AppKey,
    client: Client,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    secret: SecretString,
    made: SystemTime,
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
        let key = AppKey::from_pem(pem.expose_secret())
            .map_err(|source| IdentityError::Key { path: settings.key_file.clone(), source })?;
        Ok(Self { settings, key, client, token: Mutex::default() })
    }

    /// Returns a token that is good for some minutes after `now`.
    pub(super) fn token(&self, now: SystemTime) -> Result<SecretString, IdentityError> {
        // A caller that comes while a token is being issued waits for it; no second one is issued.
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = held.as_ref().filter(|token| token.is_fresh(now)) {
            return Ok(token.secret.clone());
        }
        *held = None;
        let secret = self.issue(now)?;
        *held = Some(Token { secret: secret.clone(), made: now });
        Ok(secret)
    }

    pub(super) fn forget(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the signed claim to be this App, which is good for some minutes.
    pub(super) fn claim(&self, now: SystemTime) -> Result<SecretString, IdentityError> {
        let AppSettings { id, key_file, .. } = &self.settings;
        self.key.claim(id, now).map_err(|source| IdentityError::Key { path: key_file.clone(), source })
    }

    fn issue(&self, now: SystemTime) -> Result<SecretString, IdentityError> {
        let AppSettings { owner, repository, .. } = &self.settings;
        let claim = Authorization::Bearer(self.claim(now)?);
        let path = format!("/repos/{owner}/{repository}/installation");
        let installation: Installation = self.ask(FIND_INSTALLATION, &claim, &path, None)?;
        // The token is for this repository alone, whatever else the App is installed on.
        let scope = json!({ "repositories": [repository] }).to_string();
        let path = format!("/app/installations/{}/access_tokens", installation.id);
        let issued: Issued = self.ask(GET_TOKEN, &claim, &path, Some(&scope))?;
        let token = SecretString::from(issued.token);
        remember_issued(&token);
        Ok(token)
    }

    /// Sends a request as the App itself, with POST if there is a body.
    fn ask<T: DeserializeOwned>(
        &self,
        attempt: &'static str,
        claim: &Authorization,
        path: &str,
        body: Option<&str>,
    ) -> Result<T, IdentityError> {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let request = Request {
            method,
            authorization: Some(claim),
            headers: &GITHUB_HEADERS,
            ..Request::get(&self.settings.api, path, MAX_ANSWER_BYTES)
        };
        let mut bytes = body.unwrap_or_default().as_bytes();
        let answer = self.client.send(&request, body.map(|_| Upload::of(&mut bytes)));
        let body = answer.and_then(Answer::success).and_then(Answer::bytes);
        let body = body.map_err(|source| IdentityError::App { attempt, source })?;
        // The cause could quote the answer, in which there is a token.
        serde_json::from_slice(&body).map_err(|_| IdentityError::Answer { attempt })
    }
}

impl Token {
    fn is_fresh(&self, now: SystemTime) -> bool {
        // A clock that was set back is no measure of the age of the token.
        now.duration_since(self.made).is_ok_and(|age| age < REPLACED_AFTER)
    }
}

#[cfg(test)]
mod tests;
