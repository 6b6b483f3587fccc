//! A GitHub App: proves who it is with a signed claim, and gets a token for one repository that lasts an hour.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::key::AppKey;
use super::{IdentityError, read};
use crate::http::{Answer, Authorization, Client, HttpError, Request, Upload, Url};
use crate::secrets::remember_issued;

pub(super) const FIND_INSTALLATION: &str = "find the App's installation on the repository";
const GET_TOKEN: &str = "get a token for the App";

/// An installation token lasts an hour; it is replaced this long after it was made, so that a long push that begins
/// with the old one still ends in time. Counted by this machine alone, since the forge's clock may differ.
/// Source: docs.github.com, "Generating an installation access token for a GitHub App".
const REPLACED_AFTER: Duration = Duration::from_mins(50);

const MAX_ANSWER_BYTES: u64 = 1 << 20;

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
        let pem = read(&settings.key_file)?;
        let key = AppKey::from_pem(pem.expose_secret())
            .map_err(|source| IdentityError::Key { path: settings.key_file.clone(), source })?;
        Ok(Self { settings, key, client, token: Mutex::default() })
    }

    /// Returns a token that is good for some minutes after `now`.
    pub(super) fn token(&self, now: SystemTime) -> Result<SecretString, IdentityError> {
        // Whoever comes while a token is being made waits for it, and does not make another.
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
        let installation: Installation =
            self.get(&format!("/repos/{owner}/{repository}/installation"), &claim)?;
        // The token is for this repository alone, whatever else the App is installed on.
        let wish = json!({ "repositories": [repository] }).to_string();
        let path = format!("/app/installations/{}/access_tokens", installation.id);
        let issued: Issued = self.post(&path, &wish, &claim)?;
        let token = SecretString::from(issued.token);
        remember_issued(&token);
        Ok(token)
    }

    fn get<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        claim: &Authorization,
    ) -> Result<T, IdentityError> {
        let headers = headers();
        let request = self.request(path, claim, &headers);
        parse(FIND_INSTALLATION, self.client.get(&request, MAX_ANSWER_BYTES))
    }

    fn post<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &str,
        claim: &Authorization,
    ) -> Result<T, IdentityError> {
        let headers = headers();
        let request = self.request(path, claim, &headers);
        let mut upload = Upload { reader: &mut body.as_bytes(), length: body.len() as u64 };
        parse(GET_TOKEN, self.client.post(&request, &mut upload, MAX_ANSWER_BYTES))
    }

    const fn request<'a>(
        &'a self,
        path: &'a str,
        claim: &'a Authorization,
        headers: &'a [(&'static str, &'a str)],
    ) -> Request<'a> {
        Request { url: &self.settings.api, path, authorization: Some(claim), headers }
    }
}

impl Token {
    fn is_fresh(&self, now: SystemTime) -> bool {
        // A clock that was set back says nothing about the age of the token.
        now.duration_since(self.made).is_ok_and(|age| age < REPLACED_AFTER)
    }
}

pub(super) const fn headers() -> [(&'static str, &'static str); 2] {
    [("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")]
}

fn parse<T: serde::de::DeserializeOwned>(
    attempt: &'static str,
    answer: Result<Answer, HttpError>,
) -> Result<T, IdentityError> {
    let answer = answer.map_err(|source| IdentityError::App { attempt, source: Box::new(source) })?;
    // The cause could quote the answer, in which there is a token.
    serde_json::from_reader(answer.into_reader()).map_err(|_| IdentityError::Answer { attempt })
}

#[cfg(test)]
mod tests;
