//! Where branches and pull requests live, and who we are there: the arguments of every command that reaches it.

use std::env;
use std::path::PathBuf;

use crate::error::CommandError;
use crate::events::RepositoryName;
use crate::forge::ForgeError;
use crate::forge::github::{self, Clock, RepositoryPlace};
use crate::git::{Repository, Upstream, is_elsewhere, mirror_folder};
use crate::http::{Client, Url};
use crate::identity::{App, AppSettings, Identity};

use super::Global;

/// The interface of the public GitHub.
const PUBLIC_API: &str = "https://api.github.com";

/// Where pull requests live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ForgeName {
    /// In the repository's own refs.
    Local,
    /// On GitHub or a GitHub Enterprise Server.
    Github,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where branches live, and who asks")]
pub(super) struct RemoteArgs {
    /// The repository in which branches and pull requests live: a path, or an address that begins with file://, https:// or
    /// ssh://; the one that is worked on if left out.
    #[arg(long, global = true, value_name = "URL")]
    upstream: Option<String>,
    /// Where to keep the mirror of an upstream on another machine; a folder of the user's cache if left out.
    #[arg(long, global = true, value_name = "DIR", requires = "upstream")]
    mirror: Option<PathBuf>,
    /// A file with the token to use; without it, `FLEETWRIGHT_TOKEN` or `GITHUB_TOKEN`.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "app_id")]
    token_file: Option<PathBuf>,
    /// The id or client id of a GitHub App to act as.
    #[arg(long, global = true, value_name = "ID", requires_all = ["app_key_file", "upstream"])]
    app_id: Option<String>,
    /// The file with the private key of the GitHub App.
    #[arg(long, global = true, value_name = "FILE", requires = "app_id")]
    app_key_file: Option<PathBuf>,
    /// The address of the forge's interface; that of GitHub, or of a GitHub Enterprise Server, if left out.
    #[arg(long, global = true, value_name = "URL", requires = "upstream")]
    api: Option<String>,
}

impl RemoteArgs {
    /// Opens the upstream, with a mirror of it if it is on another machine.
    pub(super) fn open(&self, global: &Global) -> Result<Upstream, CommandError> {
        match &self.upstream {
            None => Ok(Upstream::own(Repository::open(&global.repo)?)),
            Some(address) => self.open_as(global, address, &self.identity(address)?),
        }
    }

    /// Opens the upstream, and a client of GitHub if its pull requests live there: if `forge` says so, or if it is
    /// silent and the upstream is on `github.com`.
    pub(super) fn open_with_forge(
        &self,
        global: &Global,
        forge: Option<ForgeName>,
    ) -> Result<(Upstream, Option<github::Client>), CommandError> {
        let Some(address) = &self.upstream else {
            if forge == Some(ForgeName::Github) {
                return Err(usage(
                    "GitHub keeps pull requests of an upstream only",
                    "name it with `--upstream URL`",
                ));
            }
            return Ok((Upstream::own(Repository::open(&global.repo)?), None));
        };
        let identity = self.identity(address)?;
        let upstream = self.open_as(global, address, &identity)?;
        let client = match self.place(address, forge)? {
            Some(place) => {
                Some(github::Client::new(place, identity, Clock::system()).map_err(ForgeError::from)?)
            }
            None => None,
        };
        Ok((upstream, client))
    }

    /// Returns the owner and the name that the upstream's address ends in, if it does.
    pub(super) fn repository_name(&self) -> Option<RepositoryName> {
        RepositoryPlace::of_remote(self.upstream.as_ref()?).ok()?.to_string().parse().ok()
    }

    /// Returns where the upstream is on GitHub, if its pull requests live there.
    fn place(
        &self,
        address: &str,
        forge: Option<ForgeName>,
    ) -> Result<Option<RepositoryPlace>, CommandError> {
        let found = RepositoryPlace::of_remote(address);
        let found = match (forge, found) {
            (Some(ForgeName::Local), _) => return Ok(None),
            (None, found) => return Ok(found.ok().filter(|place| place.api == PUBLIC_API)),
            (Some(ForgeName::Github), found) => found,
        };
        let place = found.map_err(|error| {
            usage(&error.to_string(), "write it like `https://github.com/acme/fleet.git`")
        })?;
        let Some(api) = &self.api else { return Ok(Some(place)) };
        let place = RepositoryPlace::new(api, &place.owner, &place.name);
        place.map(Some).ok_or_else(|| {
            usage(
                &format!("`{api}` is no address of an interface"),
                "write it like `https://ghe.example.com/api/v3`",
            )
        })
    }

    fn open_as(&self, global: &Global, address: &str, identity: &Identity) -> Result<Upstream, CommandError> {
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
        let url = Url::parse(address).ok();
        Ok(Identity::from_environment(url.as_ref().map(Url::host), |name| env::var(name).ok())?)
    }

    fn app(&self, id: &str, key_file: PathBuf, address: &str) -> Result<Identity, CommandError> {
        let upstream = Url::parse(address).map_err(|error| usage(&error.to_string(), &error.hint()))?;
        let Some((owner, repository)) = owner_and_name(&upstream) else {
            return Err(usage(
                &format!("`{upstream}` does not end in an owner and a repository, as an App needs"),
                "write it like `https://github.com/acme/fleet.git`",
            ));
        };
        let api = self.api.clone().unwrap_or_else(|| default_api(upstream.host()));
        let api = Url::parse(&api).map_err(|error| usage(&error.to_string(), &error.hint()))?;
        let client = Client::new(&api);
        let settings = AppSettings { id: id.to_owned(), key_file, api, owner, repository };
        Ok(Identity::of_app(App::new(settings, client)?))
    }
}

fn owner_and_name(url: &Url) -> Option<(String, String)> {
    let path = url.path().trim_start_matches('/');
    let (owner, name) = path.strip_suffix(".git").unwrap_or(path).split_once('/')?;
    let is_plain =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    (is_plain(owner) && is_plain(name)).then(|| (owner.to_owned(), name.to_owned()))
}

/// A GitHub Enterprise Server has its interface below its own name.
pub(super) fn default_api(host: &str) -> String {
    if host == "github.com" { PUBLIC_API.to_owned() } else { format!("https://{host}/api/v3") }
}

fn default_mirror(address: &str) -> Result<PathBuf, CommandError> {
    let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let cache = cache.ok_or_else(|| {
        usage(
            "there is no folder for the mirror: neither `XDG_CACHE_HOME` nor `HOME` is set",
            "name one with `--mirror DIR`",
        )
    })?;
    Ok(mirror_folder(&cache.join("fleetwright"), address))
}

fn usage(message: &str, hint: &str) -> CommandError {
    CommandError::Usage { message: message.to_owned(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_works_on_the_repository_that_the_address_ends_in() {
        let named = |address: &str| owner_and_name(&Url::parse(address).unwrap());
        let fleet = Some(("acme".to_owned(), "fleet".to_owned()));
        assert_eq!(named("https://github.com/acme/fleet.git"), fleet);
        assert_eq!(named("https://github.com/acme/fleet/"), fleet);
        for address in ["https://github.com/acme", "https://h/a/b/c", "https://h/acme/%2e%2e", "https://h"] {
            assert_eq!(named(address), None, "{address}");
        }
    }

    #[test]
    fn the_interface_of_an_enterprise_server_is_its_own() {
        assert_eq!(default_api("github.com"), "https://api.github.com");
        assert_eq!(default_api("ghe.example.com"), "https://ghe.example.com/api/v3");
    }

    #[test]
    fn pull_requests_live_on_github_if_the_upstream_does_or_someone_says_so() {
        let named = |api: Option<&str>, address: &str, forge| {
            let arguments = RemoteArgs {
                upstream: Some(address.to_owned()),
                mirror: None,
                token_file: None,
                app_id: None,
                app_key_file: None,
                api: api.map(str::to_owned),
            };
            arguments.place(address, forge).ok().map(|place| place.map(|place| place.api))
        };
        let (public, own) = ("https://github.com/acme/fleet.git", "https://ghe.example.com/acme/fleet.git");
        let at = |api: &str| Some(Some(api.to_owned()));
        assert_eq!(named(None, public, None), at("https://api.github.com"));
        assert_eq!(named(None, public, Some(ForgeName::Local)), Some(None));
        assert_eq!(named(None, own, None), Some(None));
        assert_eq!(named(None, own, Some(ForgeName::Github)), at("https://ghe.example.com/api/v3"));
        let api = Some("https://api.ghe.example.com");
        assert_eq!(named(api, own, Some(ForgeName::Github)), at("https://api.ghe.example.com"));
        assert_eq!(named(Some("http://ghe.example.com"), own, Some(ForgeName::Github)), None);
        assert_eq!(named(None, "/srv/fleet.git", Some(ForgeName::Github)), None);
    }
}
