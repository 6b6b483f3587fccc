//! An answer: its status, its headers and its body, and what is wrong with it if it is no success.

use std::io::Read;
use std::time::{Duration, Instant};

use ::http::StatusCode;
use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, LINK, LOCATION, RETRY_AFTER};
use ureq::BodyReader;

use super::error::{HttpError, HttpErrorKind};
use super::url::Url;
use crate::secrets::redacted;

/// How much of the body of a refusal is read.
const MAX_REFUSAL_BYTES: u64 = 8 * 1024;
/// How long the body of a refusal is read.
const REFUSAL_TIME: Duration = Duration::from_secs(10);
/// Longer messages of the other side are cut.
const MAX_MESSAGE_CHARS: usize = 300;

/// An answer whose body is still to be read.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    pub(super) body: BodyReader<'static>,
    /// What was requested.
    pub(super) url: Url,
    pub(super) path: String,
    pub(super) has_credential: bool,
}

impl Answer {
    /// Returns the text of a header.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the answer if it is a success.
    pub fn success(self) -> Result<Self, HttpError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(if self.status.is_redirection() { redirected(&self) } else { refused(self) })
    }

    /// Returns the body as it comes.
    pub(crate) fn into_reader(self) -> impl Read + Send + 'static {
        self.body
    }

    /// Returns the whole body.
    pub fn bytes(mut self) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::new();
        let read = self.body.read_to_end(&mut bytes);
        read.map_err(|error| HttpError::of_ureq(&self.url, self.url.origin(), &error.into()))?;
        Ok(bytes)
    }
}

/// Returns what a status means that is no success.
fn refused(answer: Answer) -> HttpError {
    use HttpErrorKind::{CredentialMissing, CredentialRejected, Forbidden, NotFound, Stalled, Transient};
    const GIVE_ONE: &str =
        "give a token in `FLEETWRIGHT_TOKEN` or in a file with `--token-file`, or use a GitHub App";
    const CHECK_IT: &str = "check that the token is whole, not expired and not revoked; it was tried once";
    const GIVE_RIGHTS: &str = "the credential is good, but lacks a right: give it read and write access to the repository's contents, and authorise it for single sign-on";
    const LOOK_FOR_IT: &str = "check the spelling, and that the token may see the repository or that the App is installed on it: forges hide what a credential may not see";
    let wait = answer.header(&RETRY_AFTER).and_then(|seconds| seconds.parse::<u64>().ok());
    let is_spent = answer.header(&HeaderName::from_static("x-ratelimit-remaining")) == Some("0");
    let (kind, refusal, hint) = match (answer.status.as_u16(), answer.has_credential) {
        (401, false) => (CredentialMissing, "asks for a credential".to_owned(), Some(GIVE_ONE)),
        (401, true) => (CredentialRejected, "does not accept the credential".to_owned(), Some(CHECK_IT)),
        (status @ (403 | 429), _) if status == 429 || wait.is_some() || is_spent => {
            let seconds = wait.map(|seconds| format!(" {seconds} seconds")).unwrap_or_default();
            (Transient, format!("asks to wait{seconds}"), None)
        }
        (403, _) => (Forbidden, "does not allow this".to_owned(), Some(GIVE_RIGHTS)),
        (404 | 410, has_credential) => {
            let why = if has_credential { "the credential may not see it" } else { "it is not public" };
            (NotFound, format!("does not exist, or {why}"), Some(LOOK_FOR_IT))
        }
        (status @ (408 | 500..=599), _) => (Transient, format!("fails with status {status}"), None),
        (status, _) => (Stalled, format!("answers with status {status}"), None),
    };
    let url = answer.url.clone();
    let reported = message(answer).map(|message| format!(" (it reports: {message})")).unwrap_or_default();
    let message = format!("`{url}` {refusal}{reported}");
    match hint {
        Some(hint) => HttpError::new(kind, message, hint),
        None => HttpError::without_hint(kind, message),
    }
}

/// The repository, or all of the other side, has moved. The new address holds nothing that may be secret.
fn redirected(answer: &Answer) -> HttpError {
    let to = redirect_target(answer);
    let message = format!("`{}` answers with a redirect to `{to}`, which is not followed", answer.url);
    let hint = format!("if that is where the repository lives now, name `{to}` instead");
    HttpError::new(HttpErrorKind::Stalled, message, hint)
}

/// Returns where a redirect leads, without user, query and what the request had behind the repository's address.
fn redirect_target(answer: &Answer) -> String {
    let location = answer.header(&LOCATION).unwrap_or_default();
    let location = location.split(['?', '#']).next().unwrap_or_default();
    let path = answer.path.split('?').next().unwrap_or_default();
    let location = location.strip_suffix(path).unwrap_or(location);
    let Some((scheme, rest)) = location.split_once("://") else {
        return format!("{}{}", answer.url.origin(), printable(location));
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    printable(&format!("{scheme}://{host}/{path}"))
}

/// Returns the first line of a body that is meant for people, in which known secrets are masked.
fn message(answer: Answer) -> Option<String> {
    let kind = answer.header(&CONTENT_TYPE).unwrap_or_default().to_owned();
    let (mut body, mut piece) = (Vec::new(), [0; 1024]);
    let mut reader = answer.into_reader().take(MAX_REFUSAL_BYTES);
    let since = Instant::now();
    // What comes byte by byte is not worth waiting for.
    while since.elapsed() < REFUSAL_TIME {
        match reader.read(&mut piece).ok()? {
            0 => break,
            count => body.extend_from_slice(&piece[..count]),
        }
    }
    let body = String::from_utf8_lossy(&body);
    let line = if kind.starts_with("application/json") || kind.contains("+json") {
        serde_json::from_str::<serde_json::Value>(&body).ok()?.get("message")?.as_str()?.to_owned()
    } else if kind.starts_with("text/plain") {
        body.lines().find(|line| !line.trim().is_empty())?.trim().to_owned()
    } else {
        return None;
    };
    Some(printable(&redacted(&line)))
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE_CHARS).collect()
}

/// Returns where a list goes on, as the header `Link` names it (RFC 8288).
#[must_use]
pub fn next_page(headers: &HeaderMap) -> Option<&str> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let mut links = links.flat_map(|value| value.split(','));
    links.find_map(|link| {
        let (target, parameters) = link.trim_start().strip_prefix('<')?.split_once('>')?;
        let is_next = |parameter: &str| {
            let (name, value) = parameter.trim().split_once('=').unwrap_or_default();
            name.eq_ignore_ascii_case("rel") && value.trim_matches('"').split(' ').any(|word| word == "next")
        };
        parameters.split(';').any(is_next).then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    #[test]
    fn the_next_page_is_the_link_with_that_relation() {
        let table = [
            (r#"<https://a.example/x?per_page=100>; rel="next""#, Some("https://a.example/x?per_page=100")),
            (
                r#"<https://a.example/x?p>; rel="prev", <https://a.example/x?n>; rel="next""#,
                Some("https://a.example/x?n"),
            ),
            (r#"</v2/a/tags/list?n=2&last=b>; rel="next""#, Some("/v2/a/tags/list?n=2&last=b")),
            ("</v2/a>; rel=next", Some("/v2/a")),
            (r#"</v2/a>; title="x"; rel="last next""#, Some("/v2/a")),
            (r#"</v2/a>; rel="prev""#, None),
            (r#"</next>; rel="nexto""#, None),
            ("nonsense", None),
        ];
        for (link, page) in table {
            let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_static(link))]);
            assert_eq!(next_page(&headers), page, "{link}");
        }
        assert_eq!(next_page(&HeaderMap::new()), None);
    }
}
