//! Where a repository is on GitHub: the address of the API, the owner and the name.

use std::fmt;

use http::Uri;
use thiserror::Error;

/// A repository on GitHub or on a GitHub Enterprise Server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryPlace {
    /// The address of the API without a slash at its end, such as `https://api.github.com`.
    pub api: String,
    /// The owner.
    pub owner: String,
    /// The name, without `.git`.
    pub name: String,
}

/// An address that does not name a repository on GitHub.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{url}` does not name a repository on GitHub")]
pub struct PlaceError {
    /// The address, without what stands before an `@`.
    pub url: String,
}

impl RepositoryPlace {
    /// Reads the address that git fetches from: `https://github.com/acme/fleet.git`, `git@github.com:acme/fleet`,
    /// `ssh://git@ghe.example.com/acme/fleet.git`.
    ///
    /// The API of any other host than `github.com` is expected below `/api/v3`, as on a GitHub Enterprise Server.
    pub fn of_remote(url: &str) -> Result<Self, PlaceError> {
        let shown = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
        let error = || PlaceError { url: shown.to_owned() };
        let (host, path) = match url.split_once("://") {
            Some((_, rest)) => rest.split_once('/').ok_or_else(error)?,
            None => url.split_once(':').ok_or_else(error)?,
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let api = match host {
            "github.com" | "ssh.github.com" => "https://api.github.com".to_owned(),
            host => format!("https://{}/api/v3", without_ssh_port(url, host)),
        };
        let (owner, name) = path.trim_matches('/').split_once('/').ok_or_else(error)?;
        Self::new(&api, owner, name.strip_suffix(".git").unwrap_or(name)).ok_or_else(error)
    }

    /// Returns the repository `owner/name` at an API's address, if all of them can be that.
    #[must_use]
    pub fn new(api: &str, owner: &str, name: &str) -> Option<Self> {
        let uri: Uri = api.parse().ok()?;
        let host = uri.host()?;
        let is_loopback = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
        let is_safe = uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && is_loopback);
        let is_plain = uri.query().is_none() && !uri.authority()?.as_str().contains('@');
        (is_safe && is_plain && is_name(owner) && is_name(name)).then(|| Self {
            api: api.trim_end_matches('/').to_owned(),
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Returns the route of something below the repository.
    #[must_use]
    pub fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{}{rest}", self.owner, self.name)
    }
}

impl fmt::Display for RepositoryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// The port of an SSH address is not that of the API.
fn without_ssh_port<'a>(url: &str, host: &'a str) -> &'a str {
    if url.starts_with("https://") { host } else { host.split(':').next().unwrap_or(host) }
}

fn is_name(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text != "." && text != ".." && text.chars().all(is_allowed)
}

/// Writes text so that it can stand in a path or a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_git_uses_name_the_api_and_the_repository() {
        let table = [
            ("https://github.com/acme/fleet.git", "https://api.github.com acme/fleet"),
            ("https://github.com/acme/fleet/", "https://api.github.com acme/fleet"),
            ("git@github.com:acme/fleet.git", "https://api.github.com acme/fleet"),
            ("ssh://git@ssh.github.com/acme/my.fleet", "https://api.github.com acme/my.fleet"),
            ("ssh://git@ghe.example.com:2222/acme/fleet", "https://ghe.example.com/api/v3 acme/fleet"),
            ("https://ghe.example.com:8443/acme/fleet.git", "https://ghe.example.com:8443/api/v3 acme/fleet"),
        ];
        for (url, expected) in table {
            let place = RepositoryPlace::of_remote(url).unwrap();
            assert_eq!(format!("{} {place}", place.api), expected, "{url}");
        }
    }

    #[test]
    fn what_names_no_repository_is_refused_without_showing_a_password() {
        for url in
            ["https://u:secret@github.com/acme", "fleet", "https://github.com/a/b/c", "git@github.com:../x"]
        {
            let error = RepositoryPlace::of_remote(url).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert_eq!(
            RepositoryPlace::new("http://github.example.com", "a", "b"),
            None,
            "a token in plain text"
        );
        assert_eq!(RepositoryPlace::new("https://u:p@ghe.example.com", "a", "b"), None);
    }
}
