//! Why a notice was not posted.

use thiserror::Error;

use crate::http::HttpError;

/// A notice that was not posted. It is never a reason to fail.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct NotifyError {
    message: String,
    hint: Option<String>,
}

impl NotifyError {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }

    /// Returns the error that Slack names by a word.
    pub(super) fn refused(word: &str, details: &[String]) -> Self {
        let hint = match word {
            "channel_not_found" | "not_in_channel" => {
                "check the channel's name or id, and invite the app to it"
            }
            "channel_is_archived" | "is_archived" => "name a channel that is in use",
            "not_authed" | "invalid_auth" | "invalid_token" | "account_inactive" | "token_revoked"
            | "token_expired" => {
                "check the token: it is that of a bot, begins with `xoxb-`, and was not revoked"
            }
            "missing_scope" => "give the app the scope `chat:write`",
            "no_service" | "no_team" => "check the address of the webhook: it was removed, or is not whole",
            _ => "see the description of the error in Slack's documentation of its Web API",
        };
        let details = details.iter().map(String::as_str);
        let message =
            [&*format!("Slack answers `{word}`")].into_iter().chain(details).collect::<Vec<_>>().join("; ");
        Self::new(message, hint)
    }

    /// Returns what to do about it, if something is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl From<HttpError> for NotifyError {
    fn from(error: HttpError) -> Self {
        Self { hint: error.hint(), message: error.to_string() }
    }
}
