//! Addresses that may be spoken to: over TLS, or unencrypted with this machine alone, and never with a credential in them.

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;
use ureq::http::Uri;

/// An address with nothing secret in it: a scheme, a host, maybe a port, and a path that does not end in a slash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url {
    scheme: &'static str,
    authority: String,
    host: String,
    path: String,
}

/// An address that is not spoken to. What it said is not repeated: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// There is a user name, a password or a token before the host.
    #[error("the address of `{host}` has a user name or a token in it")]
    UserInfo {
        /// The host alone.
        host: String,
    },
    /// Everyone between here and there could read what is sent.
    #[error("`http://` to `{host}` would send the credential unencrypted")]
    Unencrypted {
        /// The host.
        host: String,
    },
    /// It is no address of a repository.
    #[error("the address cannot be read: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl UrlError {
    /// Returns what to write instead.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::UserInfo { host } => format!(
                "write `https://{host}/…` and give the token in `FLEETWRIGHT_TOKEN` or a file with `--token-file`"
            ),
            Self::Unencrypted { .. } => {
                "use `https://`; `http://` is for addresses of this machine alone, such as 127.0.0.1".into()
            }
            Self::Malformed { .. } => "write it like `https://github.com/acme/fleet.git`".into(),
        }
    }
}

impl Url {
    /// Parses an `https://` address, or an `http://` address of this machine.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let malformed = |reason| UrlError::Malformed { reason };
        let uri: Uri =
            text.parse().map_err(|_| malformed("it has characters that an address cannot have"))?;
        let authority = uri.authority().ok_or(malformed("it names no host"))?;
        let host = authority.host().to_ascii_lowercase();
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo { host });
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(malformed("it has a query or a fragment"));
        }
        let scheme = match uri.scheme_str().map(str::to_ascii_lowercase).as_deref() {
            Some("https") => "https",
            Some("http") if is_loopback(&host) => "http",
            Some("http") => return Err(UrlError::Unencrypted { host }),
            _ => return Err(malformed("its scheme is not `https`")),
        };
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { scheme, authority: authority.as_str().to_ascii_lowercase(), host, path })
    }

    /// Returns the scheme, host and port: what a credential is good for.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// Returns the host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the path without a slash at its end.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the address without the end of its path, if the path ends so.
    #[must_use]
    pub fn without_end(&self, end: &str) -> Self {
        let path = self.path.strip_suffix(end).unwrap_or(&self.path).to_owned();
        Self { path, ..self.clone() }
    }

    /// Returns whether what is sent is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.scheme == "https"
    }

    /// Returns whether the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_as_it_was_written_but_for_its_last_slash() {
        let url = Url::parse("https://GitHub.com/Acme/fleet.git/").unwrap();
        assert_eq!(url.to_string(), "https://github.com/Acme/fleet.git");
        assert_eq!(url.origin(), "https://github.com");
        assert_eq!(Url::parse("https://h:8443/a").unwrap().origin(), "https://h:8443");
    }

    #[test]
    fn a_credential_in_an_address_is_refused_and_not_repeated() {
        for text in ["https://ghp_secret@h/a", "https://me:ghp_secret@h/a.git", "https://x:ghp_secret@h"] {
            let error = Url::parse(text).unwrap_err();
            assert_eq!(error, UrlError::UserInfo { host: "h".into() });
            assert!(!format!("{error:?}{error}{}", error.hint()).contains("ghp_secret"));
        }
        let error = Url::parse("https://me:gh p_secret@h/a").unwrap_err();
        assert!(!format!("{error:?}{error}").contains("p_secret"));
    }

    #[test]
    fn unencrypted_addresses_are_for_this_machine_alone() {
        for text in ["http://127.0.0.1:80/a", "http://[::1]/a", "http://localhost/a", "http://127.9.9.9/a"] {
            assert!(Url::parse(text).unwrap().is_loopback(), "{text}");
        }
        for text in ["http://example.com/a", "http://127.0.0.1.example.com/a", "http://localhost.evil/a"] {
            assert!(matches!(Url::parse(text), Err(UrlError::Unencrypted { .. })), "{text}");
        }
        for text in ["ftp://h/a", "https:///a", "h/a", "", "https://h/a?token=1", "https://h/a#b"] {
            assert!(matches!(Url::parse(text), Err(UrlError::Malformed { .. })), "{text}");
        }
    }
}
