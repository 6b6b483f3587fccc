//! From an address that a person writes to the other repository.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use derive_more::Display;
use percent_encoding::percent_decode_str;

use crate::http::{Client, Timeouts, Url};
use crate::identity::Identity;

use super::smart_http::HttpRemote;
use super::ssh::SshRemote;
use crate::git::error::Fault;

/// How long to wait for a web server that speaks git. How slow it may be besides is up to the pace of the
/// conversation.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    idle: Duration::from_mins(2),
    exchange: Duration::from_hours(6),
};

/// Returns whether an address is of another machine, or reached as if it were.
#[must_use]
pub fn is_elsewhere(address: &str) -> bool {
    SshRemote::parse(address).is_some() || (address.contains("://") && !address.starts_with("file://"))
}

/// Another repository.
#[derive(Clone, Debug, Display)]
pub(in crate::git) enum Remote {
    /// On this machine.
    #[display("{}", _0.display())]
    Path(PathBuf),
    /// Behind `ssh`.
    Ssh(SshRemote),
    /// Behind a web server.
    Http(HttpRemote),
}

impl Remote {
    /// Returns the repository at `address`, with the credential of `identity`. Nothing is sent yet.
    pub(in crate::git) fn parse(address: &str, identity: &Identity) -> Result<Self, Fault> {
        if let Some(path) = address.strip_prefix("file://") {
            return Ok(Self::Path(percent_decoded(path.strip_prefix("localhost").unwrap_or(path))));
        }
        if let Some(ssh) = SshRemote::parse(address) {
            return ssh.map(Self::Ssh);
        }
        match address.split_once("://") {
            Some((scheme, _)) if matches!(&*scheme.to_ascii_lowercase(), "https" | "http") => {
                let url = Url::parse(address)?;
                let client = Client::new(&url, TIMEOUTS);
                Ok(Self::Http(HttpRemote::new(url, client, identity.clone())))
            }
            Some((scheme, _)) => {
                let message = format!("`{}` addresses are not supported", scheme.escape_debug());
                Err(Fault::stalled(message, "use `https://`, `ssh://`, `file://` or a path"))
            }
            None => Ok(Self::Path(address.into())),
        }
    }
}

fn percent_decoded(path: &str) -> PathBuf {
    let bytes: Cow<'_, [u8]> = percent_decode_str(path).into();
    OsString::from_vec(bytes.into_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> Result<Remote, Fault> {
        Remote::parse(address, &Identity::anonymous())
    }

    #[test]
    fn an_address_says_where_its_repository_is() {
        for (address, shown) in [
            ("/srv/fleet.git", "/srv/fleet.git"),
            ("../fleet.git", "../fleet.git"),
            ("./a:b", "./a:b"),
            ("file:///srv/a%20b.git", "/srv/a b.git"),
            ("file:///srv/a%+1b.git", "/srv/a%+1b.git"),
            ("file://localhost/srv/a", "/srv/a"),
            ("git@github.com:acme/fleet.git", "ssh://git@github.com/acme/fleet.git"),
            ("ssh://h:22/srv/a", "ssh://h:22/srv/a"),
            ("http://127.0.0.1:80/acme/fleet.git/", "http://127.0.0.1/acme/fleet.git"),
            ("https://h:8443/acme/fleet.git", "https://h:8443/acme/fleet.git"),
        ] {
            assert_eq!(parse(address).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn only_paths_are_of_this_machine() {
        for address in ["/srv/fleet.git", "fleet", "./a:b", "file:///srv/fleet.git"] {
            assert!(!is_elsewhere(address), "{address}");
        }
        for address in ["https://h/a", "http://127.0.0.1/a", "ssh://h/a", "git@h:a", "git://h/a"] {
            assert!(is_elsewhere(address), "{address}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_spoken_to_is_refused_without_showing_a_password() {
        for address in [
            "https://user:secret@example.com/a@b.git",
            "https://secret@example.com/a.git",
            "http://example.com/a.git",
            "ssh://user:secret@example.com/a.git",
            "git://example.com/secret",
        ] {
            let fault = parse(address).unwrap_err();
            let error = crate::git::GitError { repository: "r".into(), attempt: "open".into(), fault };
            let told = format!("{error}{error:?}{}{}", error.fault, error.hint().unwrap());
            assert!(!told.contains("secret"), "{told}");
            assert!(!error.is_transient());
        }
    }
}
