//! The account that the token acts as, by which what it wrote is distinguished from what others did.
//!
//! A mark, a name or an external id can be copied by anyone who may write at all; who wrote something is
//! known from GitHub itself.

use serde::Deserialize;

use super::wire::{App, User};

/// How the login of an App ends; no person's can.
const BOT: &str = "[bot]";

/// The account that a token acts as.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Account {
    #[serde(rename = "databaseId")]
    id: u64,
    login: String,
}

impl Account {
    /// Returns whether `user` is this account.
    pub(super) fn is(&self, user: Option<&User>) -> bool {
        user.is_some_and(|user| user.id == self.id)
    }

    /// Returns whether this account is that of `app`.
    pub(super) fn is_of(&self, app: Option<&App>) -> bool {
        self.app().is_some_and(|own| app.is_some_and(|app| app.slug.as_deref() == Some(own)))
    }

    /// Returns whether this is an App, which alone may make check runs.
    pub(super) fn is_app(&self) -> bool {
        self.app().is_some()
    }

    /// Returns the name of the App that this is, as addresses have it.
    fn app(&self) -> Option<&str> {
        self.login.strip_suffix(BOT)
    }
}

/// The answer to a question about the own account.
#[derive(Debug, Deserialize)]
pub(super) struct Viewer {
    pub(super) data: ViewerData,
}

#[derive(Debug, Deserialize)]
pub(super) struct ViewerData {
    pub(super) viewer: Account,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_known_by_its_name_and_a_person_is_none() {
        let account = |login: &str| Account { id: 1, login: login.into() };
        let app = |slug: &str| App { slug: Some(slug.into()) };
        assert!(account("fleet[bot]").is_of(Some(&app("fleet"))));
        assert!(!account("fleet[bot]").is_of(Some(&app("other"))));
        assert!(!account("fleet").is_of(Some(&app("fleet"))), "a person may be called like an App");
        assert!(
            !account("fleet").is_of(Some(&App { slug: None })),
            "an App without a name is not that of a person"
        );
        assert!(account("x").is(Some(&User { id: 1 })) && !account("x").is(Some(&User { id: 2 })));
        assert!(!account("x").is(None));
    }
}
