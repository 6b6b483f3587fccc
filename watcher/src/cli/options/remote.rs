//! Where branches and pull requests live, and who we are there: the arguments of every command that reaches it.

use std::env;
use std::path::PathBuf;

use tracing::{info, warn};

use crate::cache;
use crate::error::CommandError;
use crate::forge::Home;
use crate::forge::github::{self, Clock, HostKind, RepositoryPlace};
use crate::git::{Repository, Upstream, is_elsewhere, mirror_folder};
use crate::http::{Client, Timeouts, Url};
use crate::identity::{App, AppSettings, Identity};
use crate::repository_name::RepositoryName;

use super::global::Global;

/// Where pull requests live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum ForgeName {
    /// In the refs of the repository.
    Local,
    /// On GitHub or a GitHub Enterprise Server.
    Github,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where branches live, and who asks")]
pub(in crate::cli) struct RemoteArgs {
    /// Use the branches and pull requests of this repository: a path, or an address that begins with file://,
    /// https:// or ssh://. The default is the repository to work on.
    #[arg(long, global = true, value_name = "URL")]
    upstream: Option<String>,
    /// Keep the mirror of an upstream on another machine in this folder; the default is a folder in the user's cache.
    #[arg(long, global = true, value_name = "DIR", requires = "upstream")]
    mirror: Option<PathBuf>,
    /// Read the token from this file; the default is `FLEETWRIGHT_TOKEN` or `GITHUB_TOKEN`.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "app_id")]
    token_file: Option<PathBuf>,
    /// Act as the GitHub App with this id or client id.
    #[arg(long, global = true, value_name = "ID", requires_all = ["app_key_file", "upstream"])]
    app_id: Option<String>,
    /// Read the private key of the GitHub App from this file.
    #[arg(long, global = true, value_name = "FILE", requires = "app_id")]
    app_key_file: Option<PathBuf>,
    /// Use the API at this address; the default is that of GitHub, or of the GitHub Enterprise Server.
    #[arg(long, global = true, value_name = "URL", requires = "upstream")]
    api: Option<Url>,
}

impl RemoteArgs {
    /// Opens the upstream, with a mirror of it if it is on another machine.
    pub(in crate::cli) fn open(&self, global: &Global) -> Result<Upstream, CommandError> {
        match &self.upstream {
            None => Ok(Upstream::own(Repository::open(&global.repo)?)),
            Some(address) => self.open_as(global, address, &self.identity(address)?),
        }
    }

    /// Opens the upstream, and finds where its pull requests live: on GitHub if `forge` names it, or if it
    /// names nothing and the upstream is there or an option is for GitHub only.
    pub(in crate::cli) fn open_with_forge(
        &self,
        global: &Global,
        forge: Option<ForgeName>,
    ) -> Result<(Upstream, Home), CommandError> {
        let Some(address) = &self.upstream else {
            if forge == Some(ForgeName::Github) {
                return Err(CommandError::usage(
                    "GitHub keeps pull requests of an upstream only",
                    "name it with `--upstream URL`",
                ));
            }
            return Ok((Upstream::own(Repository::open(&global.repo)?), Home::Local));
        };
        let place = self.place(address, forge)?;
        show_choice(address, place.as_ref(), forge);
        let identity = self.identity(address)?;
        let upstream = self.open_as(global, address, &identity)?;
        let Some(place) = place else { return Ok((upstream, Home::Local)) };
        let client = github::Client::new(place, identity, Clock::system());
        Ok((upstream, Home::GitHub(client.into())))
    }

    /// Returns the owner and the name that the upstream's address ends in, if it does.
    pub(in crate::cli) fn repository_name(&self) -> Option<RepositoryName> {
        Some(RepositoryPlace::of_remote(self.upstream.as_ref()?).ok()?.name)
    }

    /// Returns where the upstream is on GitHub, if its pull requests live there.
    fn place(
        &self,
        address: &str,
        forge: Option<ForgeName>,
    ) -> Result<Option<RepositoryPlace>, CommandError> {
        let kind = HostKind::of_remote(address);
        let is_meant = kind == HostKind::GitHub || self.api.is_some() || self.app_id.is_some();
        match forge {
            Some(ForgeName::Local) => return Ok(None),
            None if kind == HostKind::Perhaps && !is_meant => return Err(unclear(address)),
            None if !is_meant => return Ok(None),
            _ => {}
        }
        self.place_of(address).map(Some)
    }

    fn place_of(&self, address: &str) -> Result<RepositoryPlace, CommandError> {
        let place = RepositoryPlace::of_remote(address).map_err(|error| {
            CommandError::usage(error.to_string(), "write it like `https://github.com/acme/fleet.git`")
        })?;
        Ok(RepositoryPlace { api: self.api.clone().unwrap_or(place.api), ..place })
    }

    fn open_as(&self, global: &Global, address: &str, identity: &Identity) -> Result<Upstream, CommandError> {
        let address = &github::without_www(address);
        if !is_elsewhere(address) && self.mirror.is_none() {
            return Ok(Upstream::connect(Repository::open(&global.repo)?, address, identity)?);
        }
        let folder = self.mirror.clone().map_or_else(|| default_mirror(address), Ok)?;
        Ok(Upstream::mirrored(&folder, address, identity)?)
    }

    fn identity(&self, address: &str) -> Result<Identity, CommandError> {
        if let Some(path) = &self.token_file {
            return Ok(Identity::from_file(path)?);
        }
        if let (Some(id), Some(key_file)) = (&self.app_id, &self.app_key_file) {
            return self.app(id, key_file.clone(), address);
        }
        let host = github::host_of(address);
        Ok(Identity::from_environment(host.as_deref(), |name| env::var(name).ok())?)
    }

    fn app(&self, id: &str, key_file: PathBuf, address: &str) -> Result<Identity, CommandError> {
        let RepositoryPlace { api, name: repository } = self.place_of(address)?;
        let client = Client::new(&api, Timeouts::default());
        let settings = AppSettings { id: id.to_owned(), key_file, api, repository };
        Ok(Identity::of_app(App::new(settings, client)?))
    }
}

fn unclear(address: &str) -> CommandError {
    let host = github::host_of(address).unwrap_or_default();
    CommandError::usage(
        format!(
            "`{host}` may be GitHub under another name, and no option says whether pull requests live there"
        ),
        "give `--forge github`, with `--api URL` if its interface is not at `https://HOST/api/v3`; or `--forge local`",
    )
}

/// Shows where pull requests live. That they do not live where the upstream is, by no option, is a warning.
fn show_choice(address: &str, place: Option<&RepositoryPlace>, forge: Option<ForgeName>) {
    let host = github::host_of(address).unwrap_or_default();
    match place {
        Some(place) => info!(api = %place.api, "pull requests live on GitHub, in `{place}`"),
        None if forge.is_none() && is_elsewhere(address) => warn!(
            "pull requests live in the refs of the upstream, since `{host}` is not known as GitHub; `--forge local` or `--forge github` says which"
        ),
        None => info!("pull requests live in the refs of the upstream"),
    }
}

fn default_mirror(address: &str) -> Result<PathBuf, CommandError> {
    let cache = cache::folder().ok_or_else(|| {
        CommandError::usage(
            "there is no folder for the mirror: neither `XDG_CACHE_HOME` nor `HOME` is set",
            "name one with `--mirror DIR`",
        )
    })?;
    Ok(mirror_folder(&cache, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(
        api: Option<&str>,
        app_id: Option<&str>,
        address: &str,
        forge: Option<ForgeName>,
    ) -> Result<Option<String>, ()> {
        let arguments = RemoteArgs {
            upstream: Some(address.to_owned()),
            mirror: None,
            token_file: None,
            app_id: app_id.map(str::to_owned),
            app_key_file: None,
            api: api.map(Url::parse).transpose().map_err(drop)?,
        };
        arguments.place(address, forge).map(|place| place.map(|place| place.api.to_string())).map_err(drop)
    }

    #[test]
    fn pull_requests_live_on_github_if_the_upstream_does_or_an_option_says_so() {
        let named = |api, address: &str, forge| place(api, None, address, forge);
        let (public, own) = ("https://github.com/acme/fleet.git", "https://ghe.example.com/acme/fleet.git");
        let at = |api: &str| Ok(Some(api.to_owned()));
        assert_eq!(named(None, public, None), at("https://api.github.com"));
        assert_eq!(named(None, public, Some(ForgeName::Local)), Ok(None));
        assert_eq!(named(None, own, Some(ForgeName::Github)), at("https://ghe.example.com/api/v3"));
        let api = Some("https://api.ghe.example.com");
        assert_eq!(named(api, own, Some(ForgeName::Github)), at("https://api.ghe.example.com"));
        assert_eq!(named(Some("http://ghe.example.com"), own, Some(ForgeName::Github)), Err(()));
        assert_eq!(named(None, "/srv/fleet.git", Some(ForgeName::Github)), Err(()));
    }

    #[test]
    fn nothing_that_may_be_github_falls_back_to_the_local_forge_in_silence() {
        let github = |api: &str| Ok(Some(api.to_owned()));
        let (refused, local) = (Err(()), Ok(None));
        let (public, own) = ("https://api.github.com", "https://ghe.example.com/api/v3");
        let table = [
            ("https://GitHub.com/acme/fleet.git", None, None, github(public)),
            ("git@GITHUB.com:acme/fleet.git", None, None, github(public)),
            ("ssh://git@ssh.github.com:443/acme/fleet.git", None, None, github(public)),
            ("https://github.com:443/acme/fleet", None, None, github(public)),
            ("https://www.github.com/acme/fleet", None, None, github(public)),
            ("https://octo.ghe.com/acme/fleet", None, None, github("https://api.octo.ghe.com")),
            ("https://github.com/acme/fleet/tree/main", None, None, refused.clone()),
            ("https://github.com/acme", None, None, refused.clone()),
            ("https://ghe.example.com/acme/fleet", None, None, refused.clone()),
            ("https://ghe.example.com/acme/fleet", Some(own), None, github(own)),
            ("https://ghe.example.com/acme/fleet", None, Some("1"), github(own)),
            (
                "https://git.example.com/acme/fleet",
                Some("https://git.example.com/x"),
                None,
                github("https://git.example.com/x"),
            ),
            ("https://git.example.com/acme/fleet", None, Some("1"), github("https://git.example.com/api/v3")),
            ("git@github.com-work:acme/fleet.git", None, None, refused.clone()),
            ("git@github.com-work:acme/fleet.git", Some(public), None, github(public)),
            ("https://git.example.com/acme/fleet", None, None, local.clone()),
            ("https://gitlab.com/acme/fleet", None, None, local.clone()),
            ("/srv/fleet.git", None, None, local.clone()),
            ("/srv/fleet.git", Some(public), None, refused.clone()),
            ("file:///srv/github/fleet.git", None, None, local.clone()),
        ];
        for (address, api, app_id, expected) in table {
            assert_eq!(place(api, app_id, address, None), expected, "{address} {api:?} {app_id:?}");
            assert_eq!(place(api, app_id, address, Some(ForgeName::Local)), local, "{address}");
        }
    }
}
