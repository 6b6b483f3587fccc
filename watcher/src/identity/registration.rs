//! Registers a GitHub App: a manifest names its permissions, a person agrees in a browser, and GitHub returns a code
//! that is exchanged for the App's key.
//!
//! Source: docs.github.com, "Registering a GitHub App from a manifest".

mod page;

use std::fmt;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::ask;
use super::error::IdentityError;
use crate::http::{Client, Url};
use crate::secrets;

pub use page::RegistrationPage;

/// What an App of Fleetwright may do, and nothing more.
const MANIFEST: &str = include_str!("../../../docs/github-app.json");

/// A code of GitHub's has 40 characters.
const MAX_CODE_LENGTH: usize = 128;

const AGAIN: &str = "delete the App on GitHub if it is there, and register it again";

/// The App to register, and where.
#[derive(Clone, Debug)]
pub struct AppManifest {
    /// GitHub, or a GitHub Enterprise Server: `https://github.com`.
    pub github: Url,
    /// Its interface: `https://api.github.com`.
    pub api: Url,
    /// The organization that owns the App; the person's own account without one.
    pub organization: Option<String>,
    /// The App's name, of which there can be only one on all of GitHub.
    pub name: String,
    /// Where deliveries go; without it the App has no webhook, and the service polls.
    pub webhook: Option<Url>,
}

/// An App that was just registered.
#[derive(Deserialize)]
pub struct Registered {
    /// Its number.
    pub id: u64,
    /// Its name in addresses.
    pub slug: String,
    /// Its page, below which it is installed.
    pub html_url: String,
    /// Its private key. GitHub shows it this once.
    pub pem: SecretString,
    /// The secret that its deliveries are signed with, if it has a webhook.
    pub webhook_secret: Option<SecretString>,
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("id", &self.id).field("slug", &self.slug).finish_non_exhaustive()
    }
}

impl AppManifest {
    /// Returns the manifest as GitHub reads it; GitHub sends the browser back to `back`.
    fn json(&self, back: &str) -> Value {
        let mut manifest: Value = serde_json::from_str(MANIFEST).expect("the manifest is JSON");
        manifest["name"] = self.name.as_str().into();
        manifest["redirect_url"] = back.into();
        if let Some(webhook) = &self.webhook {
            manifest["hook_attributes"] = json!({ "url": webhook.to_string(), "active": true });
        }
        manifest
    }

    /// Returns where the browser takes the manifest; `state` comes back with the code.
    fn target(&self, state: &str) -> String {
        let settings = match &self.organization {
            Some(organization) => format!("organizations/{organization}/settings"),
            None => "settings".to_owned(),
        };
        format!("{}/{settings}/apps/new?state={state}", self.github)
    }

    /// Exchanges the code that GitHub handed back for the App. A code is good for one hour, and once.
    pub fn redeem(&self, client: &Client, code: &str) -> Result<Registered, IdentityError> {
        const EXCHANGE: &str = "exchange the code for the App's key";
        if code.len() > MAX_CODE_LENGTH || !is_plain(code) {
            return Err(IdentityError::stalled("what came back from GitHub is no code", AGAIN));
        }
        secrets::remember(&code.into());
        let path = format!("/app-manifests/{code}/conversions");
        let gone = format!("a code is good for one hour and once: {AGAIN}");
        let registered: Option<Registered> = ask(client, &self.api, &path, None, Some(""))
            .map_err(|error| IdentityError::of_request(EXCHANGE, &gone, &error).or_hint("try again"))?;
        let unexpected = || {
            let message = format!("failed to {EXCHANGE}: the answer is not as expected");
            IdentityError::stalled(message, AGAIN)
        };
        let registered = registered.ok_or_else(unexpected)?;
        secrets::remember(&registered.pem);
        registered.webhook_secret.iter().for_each(secrets::remember);
        // It becomes part of the names of files.
        if is_plain(&registered.slug) { Ok(registered) } else { Err(unexpected()) }
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
