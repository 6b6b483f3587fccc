//! The credentials for a forge: a token from the environment or a file, or a GitHub App that gets its tokens itself.
//!
//! The same identity serves git and the forge's interface. A token leaves this module only as a `SecretString`, which
//! shows nothing of itself; no error, log or address has it in it.

mod app;
mod error;
mod key;
mod registration;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};

use crate::http::Url;
use crate::secrets;

pub use app::{App, AppSettings, GITHUB_HEADERS};
pub use error::IdentityError;
pub use key::AppKey;
pub use registration::{AppManifest, Registered, RegistrationPage};

/// Where a token is looked for first. It is meant for the upstream, whatever that is.
const OWN_VARIABLE: &str = "FLEETWRIGHT_TOKEN";

/// Where a token for GitHub is looked for next. Many tools set it, so it goes to GitHub alone.
const GITHUB_VARIABLE: &str = "GITHUB_TOKEN";

/// Where GitHub Actions names the GitHub that the token is for; without it, it is the public one.
const GITHUB_SERVER_VARIABLE: &str = "GITHUB_SERVER_URL";
const GITHUB_SERVER: &str = "https://github.com";

/// The credentials for a forge. Cheap to clone; clones share their tokens.
#[derive(Clone)]
pub struct Identity(Arc<Source>);

enum Source {
    Anonymous,
    Token(SecretString),
    TokenFile(PathBuf),
    App(Box<App>),
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self.0 {
            Source::Anonymous => "Identity(anonymous)",
            Source::Token(_) => "Identity(token)",
            Source::TokenFile(_) => "Identity(token file)",
            Source::App(_) => "Identity(app)",
        })
    }
}

impl Identity {
    /// Returns the anonymous identity: enough to read what is public.
    #[must_use]
    pub fn anonymous() -> Self {
        Self(Arc::new(Source::Anonymous))
    }

    /// Returns the identity that a token gives.
    #[must_use]
    pub fn of_token(token: SecretString) -> Self {
        secrets::remember(&token);
        Self(Arc::new(Source::Token(token)))
    }

    /// Returns the identity that the environment gives at `host`, or the anonymous one. `variable` reads a variable.
    pub fn from_environment(
        host: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, IdentityError> {
        let set = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
        if let Some(text) = set(OWN_VARIABLE) {
            return Ok(Self::of_token(checked(&text, || format!("`{OWN_VARIABLE}`"))?));
        }
        let server = Url::parse(&set(GITHUB_SERVER_VARIABLE).unwrap_or_else(|| GITHUB_SERVER.to_owned()));
        let is_github = server.is_ok_and(|server| host == Some(server.host()));
        match set(GITHUB_VARIABLE).filter(|_| is_github) {
            Some(text) => Ok(Self::of_token(checked(&text, || format!("`{GITHUB_VARIABLE}`"))?)),
            None => Ok(Self::anonymous()),
        }
    }

    /// Returns the identity whose token a file holds. The file is read for each use, so that it may change at
    /// any time.
    pub fn from_file(path: &Path) -> Result<Self, IdentityError> {
        read_token(path)?;
        Ok(Self(Arc::new(Source::TokenFile(path.to_owned()))))
    }

    /// Returns the identity of a GitHub App.
    pub(crate) fn of_app(app: App) -> Self {
        Self(Arc::new(Source::App(Box::new(app))))
    }

    /// Returns the token to use at `now`, or `None` if anonymous.
    pub fn token(&self, now: SystemTime) -> Result<Option<SecretString>, IdentityError> {
        match &*self.0 {
            Source::Anonymous => Ok(None),
            Source::Token(token) => Ok(Some(token.clone())),
            Source::TokenFile(path) => read_token(path).map(Some),
            Source::App(app) => app.token(now).map(Some),
        }
    }

    /// Returns the claim by which an App identifies itself where it acts for no repository, or `None` without an App.
    pub fn app_claim(&self, now: SystemTime) -> Result<Option<SecretString>, IdentityError> {
        match &*self.0 {
            Source::App(app) => app.claim(now).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns whether this is a GitHub App.
    pub(crate) fn is_app(&self) -> bool {
        matches!(*self.0, Source::App(_))
    }

    /// Forgets a token that was turned down; an App gets a new one at the next use.
    pub fn forget(&self) {
        if let Source::App(app) = &*self.0 {
            app.forget();
        }
    }
}

fn read_token(path: &Path) -> Result<SecretString, IdentityError> {
    let text = secrets::read_file(path).map_err(IdentityError::unreadable(path))?;
    checked(text.expose_secret(), || format!("`{}`", path.display()))
}

fn checked(text: &str, place: impl Fn() -> String) -> Result<SecretString, IdentityError> {
    let token = text.trim();
    let reason = if token.is_empty() {
        "it is empty"
    } else if token.lines().count() > 1 {
        "it has more than one line"
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        "it has spaces or characters that no token has"
    } else {
        return Ok(token.into());
    };
    let message = format!("{} holds no token: {reason}", place());
    Err(IdentityError::stalled(message, "write the token alone, on one line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn shown(identity: &Identity) -> Option<String> {
        identity.token(NOW).unwrap().map(|token| token.expose_secret().to_owned())
    }

    fn at(host: &str, variables: &[(&str, &str)]) -> Option<String> {
        let variable =
            |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, text)| (*text).to_owned());
        shown(&Identity::from_environment(Some(host), variable).unwrap())
    }

    #[test]
    fn nobody_has_no_token() {
        assert_eq!(at("github.com", &[]), None);
        assert_eq!(at("github.com", &[("FLEETWRIGHT_TOKEN", "  "), ("GITHUB_TOKEN", "")]), None);
    }

    #[test]
    fn our_own_variable_goes_before_that_of_github_and_to_any_host() {
        let both = [("FLEETWRIGHT_TOKEN", "one\n"), ("GITHUB_TOKEN", "two")];
        assert_eq!(at("github.com", &both).unwrap(), "one");
        assert_eq!(at("git.example.com", &both).unwrap(), "one");
    }

    #[test]
    fn a_token_for_github_goes_nowhere_else() {
        assert_eq!(at("github.com", &[("GITHUB_TOKEN", "two")]).unwrap(), "two");
        assert_eq!(at("git.example.com", &[("GITHUB_TOKEN", "two")]), None);
        assert_eq!(at("github.com.example.com", &[("GITHUB_TOKEN", "two")]), None);
        let enterprise = [("GITHUB_TOKEN", "two"), ("GITHUB_SERVER_URL", "https://ghe.example.com")];
        assert_eq!(at("ghe.example.com", &enterprise).unwrap(), "two");
        assert_eq!(at("github.com", &enterprise), None);
    }

    #[test]
    fn a_token_file_counts_as_it_is_at_each_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "one\n").unwrap();
        let identity = Identity::from_file(&path).unwrap();
        assert_eq!(shown(&identity).unwrap(), "one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(shown(&identity).unwrap(), "two");
        std::fs::remove_file(&path).unwrap();
        let error = identity.token(NOW).unwrap_err();
        assert!(!error.is_transient());
        assert!(error.to_string().contains("token"), "{error}");
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_repeated() {
        for text in ["", " \n", "ghp_secret two", "ghp_secret\nmore", "ghp_secret\u{7f}", "ghp_sécret"] {
            let Err(error) = checked(text, || "`T`".into()) else { panic!("{text:?} was taken") };
            let told = format!("{error}{error:?}{:?}", error.hint());
            assert!(!told.contains("ghp"), "{told}");
        }
    }

    #[test]
    fn an_identity_shows_nothing_of_its_token() {
        let identity = Identity::of_token("ghp_secret".into());
        assert_eq!(format!("{identity:?}"), "Identity(token)");
    }
}
