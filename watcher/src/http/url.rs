//! Addresses of web servers: over TLS, or unencrypted to this machine alone, and never with a credential in them.

use std::cell::Cell;
use std::str::FromStr;

use derive_more::{Debug, Display};
use url::{Host, Position, SyntaxViolation};

use super::error::{HttpError, HttpErrorKind};

/// It cannot be parsed without guessing.
const MALFORMED: &str = "is not an address";
/// There is a user name, a password or a token before the host.
const CREDENTIALS: &str = "has a user name or a token in it";
/// What is sent could be read on its way to another machine.
const UNENCRYPTED: &str = "is not encrypted";

/// An address that requests may go to. It is printed without its query, which may be a signature.
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[debug("{self}")]
#[display("{}", _0[..Position::AfterPath].trim_end_matches('/'))]
pub struct Url(url::Url);

impl Url {
    /// Parses the address of something that others are below, such as a repository or an interface.
    pub fn parse(text: &str) -> Result<Self, HttpError> {
        let url = Self::parse_file(text)?;
        if url.0.query().is_some() || text.contains('#') {
            return Err(unusable(&url.to_string(), "has a query or a fragment"));
        }
        Ok(url.without_end(""))
    }

    /// Parses the address of a file, which may have a query.
    pub fn parse_file(text: &str) -> Result<Self, HttpError> {
        checked(text, None, |url| url.scheme() == "https" || is_loopback(url))
    }

    /// Parses the address of a mirror, which may be unencrypted: an operator chose it.
    pub fn parse_mirror(text: &str) -> Result<Self, HttpError> {
        checked(text, None, |_| true)
    }

    /// Returns the address that a text stands for at this address, as a redirect or a link does.
    ///
    /// A chain that began encrypted stays so, and an unencrypted one leads to no other machine.
    pub fn join(&self, text: &str) -> Result<Self, HttpError> {
        checked(text, Some(&self.0), |url| {
            let is_own = is_loopback(url) || url.origin() == self.0.origin();
            url.scheme() == "https" || self.0.scheme() == "http" && is_own
        })
    }

    /// Returns the address that a text stands for where this address is a folder.
    pub fn below(&self, text: &str) -> Result<Self, HttpError> {
        let mut folder = self.0.clone();
        folder.set_query(None);
        folder.set_path(&format!("{}/", self.path()));
        Self(folder).join(text)
    }

    /// Returns the address with further parameters in its query.
    pub(crate) fn with_query<'a>(&self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(pairs);
        Self(url)
    }

    /// Returns the whole address with `path` behind it.
    pub(crate) fn target(&self, path: &str) -> String {
        if path.is_empty() { self.0.as_str().to_owned() } else { format!("{self}{path}") }
    }

    /// Returns the scheme, host and port: what a credential is good for.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0[..Position::BeforePath]
    }

    /// Returns the host, with brackets if it is an IPv6 address.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Returns the path without a slash at its end.
    pub(crate) fn path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// Returns the address without the end of its path, if the path ends so.
    pub(crate) fn without_end(&self, end: &str) -> Self {
        let mut url = self.0.clone();
        url.set_path(self.path().strip_suffix(end).unwrap_or_else(|| self.path()));
        Self(url)
    }

    /// Returns whether the host is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }
}

/// Parses `text`, at `base` if there is one, and refuses what a browser would guess at.
fn checked(
    text: &str,
    base: Option<&url::Url>,
    may_be_sent_to: impl Fn(&url::Url) -> bool,
) -> Result<Url, HttpError> {
    let is_guessed = Cell::new(false);
    let note = |violation| {
        // Credentials are refused below, by that name.
        let is_of_credentials =
            matches!(violation, SyntaxViolation::EmbeddedCredentials | SyntaxViolation::UnencodedAtSign);
        is_guessed.set(is_guessed.get() || !is_of_credentials);
    };
    let parsed = url::Url::options().base_url(base).syntax_violation_callback(Some(&note)).parse(text);
    let malformed = |_| unusable(&without_secrets(text), MALFORMED);
    let mut url = parsed.map_err(malformed)?;
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    // An address without a host has no user, either.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.set_fragment(None);
    let reason = match url.scheme() {
        _ if has_credentials => CREDENTIALS,
        _ if is_guessed.get() => MALFORMED,
        "https" | "http" if may_be_sent_to(&url) => return Ok(Url(url)),
        "http" => UNENCRYPTED,
        _ => "is not an `https://` address",
    };
    Err(unusable(&Url(url).to_string(), reason))
}

/// Returns the error of an address, given without what may be secret.
fn unusable(address: &str, reason: &str) -> HttpError {
    let (kind, hint) = match reason {
        CREDENTIALS => (
            HttpErrorKind::CredentialInAddress,
            format!(
                "write `{address}` and give the token in `FLEETWRIGHT_TOKEN` or a file with `--token-file`"
            ),
        ),
        UNENCRYPTED => (
            HttpErrorKind::Stalled,
            "use `https://`; `http://` is for addresses of this machine alone, such as 127.0.0.1".into(),
        ),
        _ => (HttpErrorKind::Stalled, "write it like `https://github.com/acme/fleet.git`".into()),
    };
    HttpError::new(kind, format!("`{address}` {reason}"), hint)
}

/// Returns a text that is no address, without its user and its query.
fn without_secrets(text: &str) -> String {
    let text = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    text.split(['?', '#']).next().unwrap_or_default().to_owned()
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl FromStr for Url {
    type Err = HttpError;

    fn from_str(text: &str) -> Result<Self, HttpError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let error = Url::parse(text).unwrap_err().to_string();
        error.rsplit_once("` ").unwrap().1.to_owned()
    }

    fn file(text: &str) -> Url {
        Url::parse_file(text).unwrap()
    }

    #[test]
    fn an_address_is_kept_as_it_was_written_but_for_its_last_slash() {
        let url = Url::parse("https://GitHub.com/Acme/fleet.git/").unwrap();
        assert_eq!(url.to_string(), "https://github.com/Acme/fleet.git");
        assert_eq!(url.target("/info/refs"), "https://github.com/Acme/fleet.git/info/refs");
        assert_eq!(url.origin(), "https://github.com");
        assert_eq!(Url::parse("https://h:8443/a").unwrap().origin(), "https://h:8443");
        assert_eq!(Url::parse("https://h:443").unwrap(), Url::parse("https://h").unwrap());
        assert_eq!(Url::parse("https://[::1]:8443/a").unwrap().host(), "[::1]");
        assert_eq!(Url::parse("https://h/api/v3").unwrap().without_end("/v3").to_string(), "https://h/api");
    }

    #[test]
    fn a_credential_in_an_address_is_refused_and_not_repeated() {
        for text in
            ["https://ghp_secret@h/a", "https://me:ghp_secret@h/a", "https://x:ghp_secret@h/a?t=secret"]
        {
            let error = Url::parse(text).unwrap_err();
            assert_eq!(error.kind, HttpErrorKind::CredentialInAddress);
            assert_eq!(error.to_string(), "`https://h/a` has a user name or a token in it");
            assert!(!format!("{error:?}{error}").contains("secret"));
        }
        for text in
            ["https://me:gh p_secret@h/a", "https://me:p_secret@h:x/a", "https://me:p_se?cret@h:x/a?p_se"]
        {
            let error = Url::parse(text).unwrap_err();
            assert!(!format!("{error:?}{error}").contains("p_se"), "{error}");
        }
    }

    #[test]
    fn unencrypted_addresses_are_for_this_machine_alone() {
        for text in ["http://127.0.0.1:80/a", "http://[::1]/a", "http://localhost/a", "http://127.9.9.9/a"] {
            assert!(Url::parse(text).unwrap().is_loopback(), "{text}");
        }
        for text in [
            "http://example.com/a",
            "http://127.0.0.1.example.com/a",
            "http://localhost.evil/a",
            "http://169.254.169.254/",
        ] {
            assert_eq!(refusal(text), UNENCRYPTED, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_nothing_is_guessed() {
        for text in [
            "https:///a",
            "h/a",
            "",
            "https:h/a",
            r"https:\\h\a",
            "https://h/a b",
            " https://h",
            "https://h/%+1",
        ] {
            assert_eq!(refusal(text), MALFORMED, "{text}");
        }
        for text in ["ftp://h/a", "file:///etc/passwd"] {
            assert!(
                Url::parse(text).unwrap_err().to_string().ends_with(" is not an `https://` address"),
                "{text}"
            );
        }
        for text in ["https://h/a?token=1", "https://h/a#b"] {
            assert_eq!(refusal(text), "has a query or a fragment", "{text}");
        }
    }

    #[test]
    fn a_mirror_may_be_unencrypted_and_leads_to_no_other_server_so() {
        let mirror = Url::parse_mirror("http://10.0.0.5:8081/charts").unwrap();
        assert!(mirror.below("index.yaml").is_ok());
        assert!(mirror.below("http://10.0.0.5:8081/a.tgz").is_ok());
        assert!(mirror.join("https://10.0.0.6/a.tgz").is_ok());
        for elsewhere in ["http://10.0.0.6:8081/a.tgz", "http://10.0.0.5/a.tgz"] {
            assert!(mirror.below(elsewhere).is_err(), "{elsewhere} was accepted");
        }
        let encrypted = Url::parse_mirror("https://10.0.0.5/charts").unwrap();
        assert!(encrypted.below("http://10.0.0.5/a.tgz").is_err());
    }

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        assert_eq!(file("https://e.com/a.tgz?token=secret").to_string(), "https://e.com/a.tgz");
        let error = Url::parse_file("https://user:secret@e.com/a?x=secret").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn relative_addresses_are_found_from_where_they_stand() {
        let repository = file("https://e.com/charts/stable/");
        assert_eq!(repository.below("a.tgz").unwrap(), file("https://e.com/charts/stable/a.tgz"));
        assert_eq!(repository.below("/a.tgz").unwrap(), file("https://e.com/a.tgz"));
        assert_eq!(repository.below("https://x.com/a.tgz").unwrap(), file("https://x.com/a.tgz"));
        let index = file("https://e.com/charts/index.yaml");
        assert_eq!(index.join("other.yaml").unwrap(), file("https://e.com/charts/other.yaml"));
        assert_eq!(index.join("//x.com/i").unwrap(), file("https://x.com/i"));
        assert!(index.join("http://127.0.0.1/").is_err(), "an encrypted fetch went on unencrypted");
        let token = file("https://e.com/token?a=1").with_query([("scope", "x y")]);
        assert_eq!(token.target(""), "https://e.com/token?a=1&scope=x+y");
    }
}
