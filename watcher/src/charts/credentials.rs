//! Credentials for private repositories: those that Docker and Helm keep on this machine.
//!
//! Each is for one registry or repository, and is used for that one alone. Nothing of it is stored or shown.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::http::{Authorization, Url};
use crate::secrets;

/// Where programs keep credentials.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    /// Files of registries, in the form of Docker's, the first one first.
    registries: Vec<PathBuf>,
    /// The file of Helm's repositories.
    repositories: Option<PathBuf>,
}

/// A file in the form of Docker's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Registries {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<SecretString>,
}

/// What a program that keeps credentials answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    username: String,
    secret: SecretString,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Repositories {
    repositories: Vec<Repository>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Repository {
    url: String,
    username: String,
    password: Option<SecretString>,
}

impl Credentials {
    /// Returns where the programs of this user keep them: as Docker and Helm find their files.
    pub fn of_this_user() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("HOME");
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let configuration = set("XDG_CONFIG_HOME").or_else(|| {
            below_home(if cfg!(target_os = "macos") { "Library/Preferences" } else { ".config" })
        });
        let helm = set("HELM_CONFIG_HOME").or_else(|| Some(configuration?.join("helm")));
        let below_helm = |path: &str| helm.as_ref().map(|helm| helm.join(path));
        let docker = set("DOCKER_CONFIG").or_else(|| below_home(".docker"));
        Self {
            registries: [
                set("HELM_REGISTRY_CONFIG").or_else(|| below_helm("registry/config.json")),
                docker.map(|docker| docker.join("config.json")),
            ]
            .into_iter()
            .flatten()
            .collect(),
            repositories: set("HELM_REPOSITORY_CONFIG").or_else(|| below_helm("repositories.yaml")),
        }
    }

    /// Returns those in one file of Helm's repositories.
    #[cfg(test)]
    pub fn of_helm(file: PathBuf) -> Self {
        Self { registries: Vec::new(), repositories: Some(file) }
    }

    /// Returns the credential of the registry at an address.
    pub fn of_registry(&self, url: &Url) -> Option<Authorization> {
        let host = url.origin().split_once("://")?.1;
        self.registries.iter().find_map(|file| registries(file).credential(host))
    }

    /// Returns the credential of the repository at an address.
    pub fn of_repository(&self, url: &Url) -> Option<Authorization> {
        let text = fs::read_to_string(self.repositories.as_ref()?).ok()?;
        let all: Repositories = serde_yaml::from_str(&text).ok()?;
        let is_it = |known: &Repository| {
            let known = Url::parse_mirror(&known.url);
            known
                .is_ok_and(|known| known.origin() == url.origin() && is_at_or_below(url.path(), known.path()))
        };
        let mut all = all.repositories.into_iter().filter(|known| !known.username.is_empty());
        let known = all.find(is_it)?;
        Some(basic(known.username, known.password?))
    }
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    let (path, above) = (path.trim_end_matches('/'), above.trim_end_matches('/'));
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reads a file of registries; nothing is known of one that is not there or not of that form.
fn registries(path: &Path) -> Registries {
    let text = fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

impl Registries {
    fn credential(&self, host: &str) -> Option<Authorization> {
        let name = |written: &str| {
            let bare = written.split_once("://").map_or(written, |(_, rest)| rest);
            bare.split('/').next() == Some(host)
                || (bare.starts_with("index.docker.io/") && is_docker_hub(host))
        };
        let helper = self.cred_helpers.iter().find(|(written, _)| name(written)).map(|(_, helper)| helper);
        let entry = self.auths.iter().find(|(written, _)| name(written));
        let written = entry.and_then(|(_, entry)| entry.auth.as_ref()).and_then(decoded);
        let asked = || {
            let server = entry.map_or(host, |(written, _)| written.as_str());
            ask(helper.or(self.creds_store.as_ref().filter(|_| entry.is_some()))?, server)
        };
        written.or_else(asked)
    }
}

fn is_docker_hub(host: &str) -> bool {
    matches!(host, "registry-1.docker.io" | "docker.io" | "index.docker.io")
}

fn decoded(auth: &SecretString) -> Option<Authorization> {
    let text = String::from_utf8(STANDARD.decode(auth.expose_secret()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(basic(user.to_owned(), SecretString::from(password.trim_end_matches('\0'))))
}

/// Asks the program that keeps credentials for Docker, by its protocol: the server on its input, an answer as JSON.
fn ask(helper: &str, server: &str) -> Option<Authorization> {
    let is_name = helper.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !is_name {
        return None;
    }
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(server.as_bytes()).ok()?;
    let output = child.wait_with_output().ok().filter(|output| output.status.success())?;
    let kept: Kept = serde_json::from_slice(&output.stdout).ok()?;
    // A token for an identity is no password: it is traded in another way, which charts need nowhere yet.
    (kept.username != "<token>").then(|| basic(kept.username, kept.secret))
}

fn basic(user: String, password: SecretString) -> Authorization {
    secrets::remember(&password);
    Authorization::Basic(user.into(), password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(found: Option<Authorization>) -> Option<String> {
        let Authorization::Basic(user, password) = found? else { return None };
        Some(format!("{user}:{}", password.expose_secret()))
    }

    fn written(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_registry_has_its_own_credential_and_no_other() {
        let auth = STANDARD.encode("me:pa:ss");
        let text = format!(
            r#"{{"auths": {{"ghcr.io": {{"auth": "{auth}"}}, "https://index.docker.io/v1/": {{"auth": "{auth}"}}, "r.internal:5000": {{"auth": "!"}}, "e.internal": {{}}}}}}"#
        );
        let (_folder, path) = written("config.json", &text);
        let credentials =
            Credentials { registries: vec![PathBuf::from("/nowhere"), path], repositories: None };
        let of = |url: &str| shown(credentials.of_registry(&Url::parse_file(url).unwrap()));
        assert_eq!(of("https://ghcr.io/v2/a").as_deref(), Some("me:pa:ss"));
        assert_eq!(of("https://registry-1.docker.io/v2/a").as_deref(), Some("me:pa:ss"));
        for other in [
            "https://ghcr.io.evil.example.com/v2",
            "https://evil.ghcr.io/v2",
            "https://r.internal:5000/v2",
            "https://e.internal/v2",
            "https://ghcr.io:8443/v2",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        let none = Credentials::default();
        assert_eq!(shown(none.of_registry(&Url::parse_file("https://ghcr.io/v2").unwrap())), None);
    }

    #[test]
    fn a_repository_has_its_own_credential_and_no_other() {
        let text = "repositories:\n- {name: a, url: 'https://c.example.com/private/', username: me, password: pass}\n- {name: b, url: 'https://d.example.com'}\n";
        let (_folder, path) = written("repositories.yaml", text);
        let credentials = Credentials::of_helm(path);
        let of = |url: &str| shown(credentials.of_repository(&Url::parse_file(url).unwrap()));
        assert_eq!(of("https://c.example.com/private").as_deref(), Some("me:pass"));
        assert_eq!(of("https://c.example.com/private/deep").as_deref(), Some("me:pass"));
        for other in ["https://c.example.com/privately", "https://c.example.com", "https://d.example.com"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_such_file_holds_nothing() {
        for text in ["", "[]", "{\"auths\": 3}", "\u{0}"] {
            let (_folder, path) = written("x", text);
            let credentials = Credentials { registries: vec![path.clone()], repositories: Some(path) };
            let url = Url::parse_file("https://ghcr.io/v2").unwrap();
            assert_eq!(shown(credentials.of_registry(&url)), None, "{text}");
            assert_eq!(shown(credentials.of_repository(&url)), None, "{text}");
        }
    }

    #[test]
    fn a_program_that_keeps_credentials_is_called_by_a_name_and_not_by_a_path() {
        assert!(ask("../../bin/sh", "x").is_none());
        assert!(ask("that-is-nowhere", "x").is_none());
    }
}
