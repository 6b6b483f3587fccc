//! Where a repository is on GitHub: the address of the API, the owner and the name.

use std::fmt;

use http::Uri;
use thiserror::Error;

const GITHUB: &str = "github.com";
/// The API of the public GitHub.
const PUBLIC_API: &str = "https://api.github.com";

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

/// How the host of an address is related to GitHub, as far as its name shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// It is GitHub: `github.com`, or a company's own place at `ghe.com`.
    GitHub,
    /// It may well be a GitHub Enterprise Server, or another name for GitHub in the configuration of `ssh`.
    Perhaps,
    /// Nothing in it shows that, or the repository is on this machine.
    Unknown,
}

impl HostKind {
    /// Returns what the host of an address that git fetches from is.
    #[must_use]
    pub fn of_remote(url: &str) -> Self {
        let Some(address) = Address::parse(url) else { return Self::Unknown };
        let is_named = |label: &str| {
            let word = label.split('-').next().unwrap_or_default();
            matches!(word, "github" | "ghe")
        };
        match &*address.host {
            GITHUB => Self::GitHub,
            host if is_on_ghe_com(host) => Self::GitHub,
            host if host.split('.').any(is_named) => Self::Perhaps,
            _ => Self::Unknown,
        }
    }
}

/// The parts of an address that git fetches from.
struct Address<'a> {
    /// The host in lower case; GitHub's other names for itself are `github.com`, too.
    host: String,
    /// The port, if it is one of a web server and not the usual one.
    port: Option<&'a str>,
    path: &'a str,
}

impl<'a> Address<'a> {
    /// Reads `https://host/path`, `ssh://host/path` or `host:path`; anything else is on this machine.
    fn parse(url: &'a str) -> Option<Self> {
        let (scheme, authority, path) = if let Some((scheme, rest)) = url.split_once("://") {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            (scheme.to_ascii_lowercase(), authority, path)
        } else {
            let (authority, path) = url.split_once(':').filter(|(head, _)| !head.contains('/'))?;
            ("ssh".to_owned(), authority, path)
        };
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
            _ => (authority, None),
        };
        let is_web = matches!(&*scheme, "https" | "http");
        let port = port.filter(|port| is_web && !matches!(*port, "" | "443"));
        (scheme != "file" && !host.is_empty()).then(|| Self { host: canonical_host(host), port, path })
    }
}

/// Returns a host by the name that it goes by among GitHub's.
fn canonical_host(host: &str) -> String {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if matches!(&*host, "www.github.com" | "ssh.github.com") { GITHUB.to_owned() } else { host }
}

/// Returns whether a host is a company's own place at `ghe.com`: one label before it.
fn is_on_ghe_com(host: &str) -> bool {
    host.strip_suffix(".ghe.com").is_some_and(|label| !label.is_empty() && !label.contains('.'))
}

/// Returns the host of an address in lower case, if it names one; GitHub's other names for itself are `github.com`, too.
#[must_use]
pub fn host_of(url: &str) -> Option<String> {
    Address::parse(url).map(|address| address.host)
}

/// Returns the address to speak to: GitHub only leads on from its name with `www`.
#[must_use]
pub fn without_www(url: &str) -> String {
    let rest = url.split_once("://").filter(|(scheme, _)| scheme.eq_ignore_ascii_case("https"));
    match rest.and_then(|(_, rest)| rest.split_once('/')) {
        Some((host, path)) if host.eq_ignore_ascii_case("www.github.com") => {
            format!("https://{GITHUB}/{path}")
        }
        _ => url.to_owned(),
    }
}

/// Returns the address of the API of a host: GitHub and `ghe.com` have a host for it, a GitHub Enterprise Server a path.
#[must_use]
pub fn api_of(host: &str) -> String {
    match canonical_host(host) {
        host if host == GITHUB => PUBLIC_API.to_owned(),
        host if is_on_ghe_com(&host) => format!("https://api.{host}"),
        host => format!("https://{host}/api/v3"),
    }
}

impl RepositoryPlace {
    /// Reads the address that git fetches from: `https://github.com/acme/fleet.git`, `git@github.com:acme/fleet`,
    /// `ssh://git@ghe.example.com/acme/fleet.git`.
    ///
    /// The API of a host that is not GitHub's is expected below `/api/v3`, as on a GitHub Enterprise Server.
    pub fn of_remote(url: &str) -> Result<Self, PlaceError> {
        let shown = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
        let error = || PlaceError { url: shown.to_owned() };
        let Address { host, port, path } = Address::parse(url).ok_or_else(error)?;
        let api = match port {
            Some(port) if HostKind::of_remote(url) != HostKind::GitHub => api_of(&format!("{host}:{port}")),
            _ => api_of(&host),
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

    /// Returns the page of the repository, at the host that the API belongs to.
    #[must_use]
    pub fn web(&self) -> String {
        let site = match self.api.strip_suffix("/api/v3") {
            Some(site) => site.to_owned(),
            None => self.api.replacen("://api.", "://", 1),
        };
        format!("{site}/{}/{}", self.owner, self.name)
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

fn is_name(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text != "." && text != ".." && text.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_a_page_at_the_host_of_its_api() {
        let page = |url: &str| RepositoryPlace::of_remote(url).unwrap().web();
        assert_eq!(page("git@github.com:acme/fleet"), "https://github.com/acme/fleet");
        assert_eq!(page("https://acme.ghe.com/acme/fleet.git"), "https://acme.ghe.com/acme/fleet");
        assert_eq!(page("https://ghe.example.com/acme/fleet.git"), "https://ghe.example.com/acme/fleet");
    }

    #[test]
    fn addresses_that_git_uses_name_the_api_and_the_repository() {
        let table = [
            ("https://github.com/acme/fleet.git", "https://api.github.com acme/fleet"),
            ("https://github.com/acme/fleet/", "https://api.github.com acme/fleet"),
            ("https://github.com/acme/fleet.git/", "https://api.github.com acme/fleet"),
            ("https://GitHub.com/Acme/fleet", "https://api.github.com Acme/fleet"),
            ("HTTPS://GITHUB.COM/acme/fleet", "https://api.github.com acme/fleet"),
            ("https://github.com:443/acme/fleet.git", "https://api.github.com acme/fleet"),
            ("https://www.github.com/acme/fleet", "https://api.github.com acme/fleet"),
            ("https://github.com./acme/fleet", "https://api.github.com acme/fleet"),
            ("https://user@github.com/acme/fleet", "https://api.github.com acme/fleet"),
            ("git@github.com:acme/fleet.git", "https://api.github.com acme/fleet"),
            ("git@GITHUB.com:acme/fleet.git", "https://api.github.com acme/fleet"),
            ("github.com:acme/fleet", "https://api.github.com acme/fleet"),
            ("org-1@github.com:/acme/fleet.git", "https://api.github.com acme/fleet"),
            ("ssh://git@github.com:22/acme/fleet", "https://api.github.com acme/fleet"),
            ("ssh://git@ssh.github.com/acme/my.fleet", "https://api.github.com acme/my.fleet"),
            ("ssh://git@ssh.github.com:443/acme/fleet.git", "https://api.github.com acme/fleet"),
            ("https://octo.ghe.com/acme/fleet.git", "https://api.octo.ghe.com acme/fleet"),
            ("https://Octo.GHE.com:443/acme/fleet", "https://api.octo.ghe.com acme/fleet"),
            ("octo@octo.ghe.com:acme/fleet.git", "https://api.octo.ghe.com acme/fleet"),
            ("ssh://octo@octo.ghe.com/acme/fleet.git", "https://api.octo.ghe.com acme/fleet"),
            ("ssh://git@ghe.example.com:2222/acme/fleet", "https://ghe.example.com/api/v3 acme/fleet"),
            ("https://ghe.example.com:8443/acme/fleet.git", "https://ghe.example.com:8443/api/v3 acme/fleet"),
            ("https://GHE.example.com:443/acme/fleet", "https://ghe.example.com/api/v3 acme/fleet"),
        ];
        for (url, expected) in table {
            let place = RepositoryPlace::of_remote(url).unwrap();
            assert_eq!(format!("{} {place}", place.api), expected, "{url}");
        }
    }

    #[test]
    fn a_host_is_known_as_github_by_its_name_alone() {
        let table = [
            (HostKind::GitHub, "https://github.com/acme/fleet"),
            (HostKind::GitHub, "git@GitHub.com:acme/fleet"),
            (HostKind::GitHub, "ssh://git@ssh.github.com:443/acme/fleet"),
            (HostKind::GitHub, "https://octo.ghe.com/acme/fleet"),
            (HostKind::GitHub, "https://github.com/acme/fleet/tree/main"),
            (HostKind::Perhaps, "https://github.example.com/acme/fleet"),
            (HostKind::Perhaps, "https://ghe.example.com/acme/fleet"),
            (HostKind::Perhaps, "git@github.com-work:acme/fleet"),
            (HostKind::Perhaps, "github-work:acme/fleet"),
            (HostKind::Perhaps, "https://a.octo.ghe.com/acme/fleet"),
            (HostKind::Perhaps, "https://ghe.com/acme/fleet"),
            (HostKind::Unknown, "https://gitlab.com/github/fleet"),
            (HostKind::Unknown, "https://mygithub.com.example.com/acme/fleet"),
            (HostKind::Unknown, "https://git.example.com/acme/fleet"),
            (HostKind::Unknown, "/srv/github.com/acme/fleet.git"),
            (HostKind::Unknown, "file:///srv/github/fleet.git"),
            (HostKind::Unknown, "./github:acme/fleet"),
        ];
        for (expected, url) in table {
            assert_eq!(HostKind::of_remote(url), expected, "{url}");
        }
    }

    #[test]
    fn an_interface_is_where_its_host_has_it() {
        for (host, api) in [
            ("github.com", "https://api.github.com"),
            ("WWW.GitHub.com", "https://api.github.com"),
            ("octo.ghe.com", "https://api.octo.ghe.com"),
            ("ghe.example.com", "https://ghe.example.com/api/v3"),
        ] {
            assert_eq!(api_of(host), api);
        }
        assert_eq!(without_www("https://WWW.github.com/acme/fleet"), "https://github.com/acme/fleet");
        assert_eq!(without_www("https://www.example.com/acme/fleet"), "https://www.example.com/acme/fleet");
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
