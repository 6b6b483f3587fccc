//! Where a repository is on GitHub: the address of the API, the owner and the name.

use derive_more::Display;
use http::Uri;
use thiserror::Error;

use crate::http::{HttpError, Url};
use crate::repository_name::RepositoryName;

const GITHUB: &str = "github.com";

/// A repository on GitHub or on a GitHub Enterprise Server.
#[derive(Clone, Debug, Display, PartialEq, Eq)]
#[display("{name}")]
pub struct RepositoryPlace {
    /// The address of the API, such as `https://api.github.com`.
    pub api: Url,
    /// The owner and the name.
    pub name: RepositoryName,
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
    pub(crate) fn of_remote(url: &str) -> Self {
        let Some(host) = host_of(url) else { return Self::Unknown };
        let is_named = |label: &str| {
            let word = label.split('-').next().unwrap_or_default();
            matches!(word, "github" | "ghe")
        };
        match &*host {
            GITHUB => Self::GitHub,
            host if is_on_ghe_com(host) => Self::GitHub,
            host if host.split('.').any(is_named) => Self::Perhaps,
            _ => Self::Unknown,
        }
    }
}

/// Reads `https://host/path`, `ssh://host/path` or `host:path`; anything else is on this machine.
fn parse(url: &str) -> Option<Uri> {
    let uri = if url.contains("://") {
        url.parse()
    } else {
        let (authority, path) = url.split_once(':').filter(|(head, _)| !head.contains('/'))?;
        format!("ssh://{authority}/{path}").parse()
    };
    uri.ok().filter(|uri: &Uri| uri.scheme_str() != Some("file"))
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

/// Returns the host of an address in lower case, if it names one; GitHub's other names for itself are
/// `github.com`, too.
#[must_use]
pub fn host_of(url: &str) -> Option<String> {
    parse(url)?.host().map(canonical_host)
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

/// Returns the address of the API of a host: GitHub and `ghe.com` have a host for it, a GitHub Enterprise
/// Server a path.
pub fn api_of(host: &str) -> Result<Url, HttpError> {
    let host = canonical_host(host);
    let has_own_host = host == GITHUB || is_on_ghe_com(&host);
    Url::parse(&if has_own_host { format!("https://api.{host}") } else { format!("https://{host}/api/v3") })
}

impl RepositoryPlace {
    /// Reads the address that git fetches from: `https://github.com/acme/fleet.git`, `git@github.com:acme/fleet`,
    /// `ssh://git@ghe.example.com/acme/fleet.git`.
    ///
    /// The API of a host that is not GitHub's is expected below `/api/v3`, as on a GitHub Enterprise Server.
    pub fn of_remote(url: &str) -> Result<Self, PlaceError> {
        let place = parse(url).and_then(|uri| {
            let is_web = matches!(uri.scheme_str(), Some("https" | "http"));
            let port = uri.port_u16().filter(|_| is_web && HostKind::of_remote(url) != HostKind::GitHub);
            let api = match port {
                Some(port) => api_of(&format!("{}:{port}", uri.host()?)),
                None => api_of(uri.host()?),
            };
            let name = uri.path().trim_matches('/');
            Some(Self { api: api.ok()?, name: name.strip_suffix(".git").unwrap_or(name).parse().ok()? })
        });
        let shown = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
        place.ok_or_else(|| PlaceError { url: shown.to_owned() })
    }

    /// Returns the page of the repository, at the host that the API belongs to.
    pub(crate) fn web(&self) -> String {
        let api = self.api.to_string();
        let site = match api.strip_suffix("/api/v3") {
            Some(site) => site.to_owned(),
            None => api.replacen("://api.", "://", 1),
        };
        format!("{site}/{self}")
    }

    /// Returns the route of something below the repository.
    pub(crate) fn route(&self, rest: &str) -> String {
        format!("/repos/{self}{rest}")
    }
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
            assert_eq!(api_of(host).unwrap().to_string(), api);
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
        assert!(Url::parse("http://github.example.com").is_err(), "a token in plain text");
        assert!(Url::parse("https://u:p@ghe.example.com").is_err());
    }
}
