//! `fleetwright register`: registers a GitHub App for the service; a person confirms it in the browser.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::time::timeout;

use super::runtime::until_stopped;
use super::{Exit, Global, print_report};
use crate::error::CommandError;
use crate::forge::github;
use crate::http::{Client, Timeouts, Url};
use crate::identity::{AppManifest, Registered, RegistrationPage};
use crate::secrets::create_file;

/// A code from GitHub is valid for an hour (docs.github.com, "Registering a GitHub App from a manifest"), longer than
/// it takes to press a button.
const CODE_TIME: Duration = Duration::from_hours(1);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Register the App for this organization; the default is your own account.
    #[arg(long, value_name = "NAME", value_parser = account_name)]
    organization: Option<String>,
    /// Use this name, which must be unique on GitHub.
    #[arg(long, value_name = "NAME", default_value = "fleetwright")]
    name: String,
    /// Send deliveries to this address: that of `/webhook` behind your ingress. Without it the service polls.
    #[arg(long, value_name = "URL")]
    webhook: Option<Url>,
    /// Register on this GitHub, such as a GitHub Enterprise Server.
    #[arg(long, value_name = "URL", default_value = "https://github.com")]
    github: Url,
    /// Use the REST API at this address; the default is that of `--github`.
    #[arg(long, value_name = "URL")]
    api: Option<Url>,
    /// Write the private key and the webhook's secret into this folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Serve the page on this port of this machine; 0 lets the system choose.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
}

/// The result for machines.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    app_id: u64,
    slug: &'a str,
    key_file: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret_file: Option<&'a Path>,
    install: &'a str,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let manifest = args.manifest()?;
    // Nothing is registered whose key could not be written.
    fs::create_dir_all(&args.out)
        .and_then(|()| tempfile::tempfile_in(&args.out))
        .map_err(|source| CommandError::Write { path: args.out.clone(), source })?;
    until_stopped(async |cancel| {
        let page = RegistrationPage::bind(args.port).await?;
        print_report(&format!("open {} in a browser on this machine", page.address()));
        let code = tokio::select! {
            code = timeout(CODE_TIME, page.wait_for_code(&manifest)) => code.ok().flatten(),
            () = cancel.requested() => None,
        };
        let Some(code) = code else {
            print_report("stopped: nothing was registered");
            return Ok(Exit::Unexpected);
        };
        let client = Client::new(&manifest.api, Timeouts::default());
        let registered = tokio::task::spawn_blocking(move || manifest.redeem(&client, &code))
            .await
            .map_err(|error| CommandError::unexpected("register the App", error))?
            .map_err(CommandError::Registration)?;
        args.keep(global, &registered)
    })
}

impl Args {
    fn manifest(&self) -> Result<AppManifest, CommandError> {
        let api = match &self.api {
            Some(api) => api.clone(),
            None => github::api_of(self.github.host())
                .map_err(|error| CommandError::usage(error.to_string(), error.hint().unwrap_or_default()))?,
        };
        Ok(AppManifest {
            github: self.github.clone(),
            api,
            organization: self.organization.clone(),
            name: self.name.clone(),
            webhook: self.webhook.clone(),
        })
    }

    /// Writes the secrets before anything is printed: GitHub shows them this once.
    fn keep(&self, global: &Global, registered: &Registered) -> Result<Exit, CommandError> {
        // With the number in their names these files are new, whatever was registered here before.
        let name = format!("{}-{}", registered.slug, registered.id);
        let key_file = self.out.join(format!("{name}.private-key.pem"));
        write_secret(&key_file, &registered.pem)?;
        let secret_file = self.out.join(format!("{name}.webhook-secret"));
        let secret = registered.webhook_secret.as_ref().filter(|_| self.webhook.is_some());
        if let Some(secret) = secret {
            write_secret(&secret_file, secret)?;
        }
        let secret_file = secret.map(|_| secret_file.as_path());
        let install = format!("{}/installations/new", registered.html_url);
        global.show(
            || Document {
                app_id: registered.id,
                slug: &registered.slug,
                key_file: &key_file,
                webhook_secret_file: secret_file,
                install: &install,
            },
            || text(registered, &key_file, secret_file, &install),
        );
        Ok(Exit::Done)
    }
}

fn text(registered: &Registered, key_file: &Path, secret_file: Option<&Path>, install: &str) -> String {
    let Registered { id, slug, .. } = registered;
    let key_file = key_file.display();
    let (mut wrote, mut listen) = (format!("wrote {key_file}\n"), String::new());
    if let Some(file) = secret_file {
        let file = file.display();
        wrote = format!("{wrote}wrote {file}\n");
        listen = format!(" \\\n  --listen 0.0.0.0:8080 --webhook-secret-file {file}");
    }
    format!(
        "registered the App `{slug}` ({id})\n{wrote}\n\
         Install it on the repository: {install}\n\
         Then start the service:\n\
         fleetwright run --upstream https://HOST/OWNER/NAME.git \\\n  --app-id {id} --app-key-file {key_file}{listen}\n"
    )
}

/// Writes a file that its owner alone may read. One that is there is never overwritten.
fn write_secret(path: &Path, secret: &SecretString) -> Result<(), CommandError> {
    create_file(path)
        .and_then(|mut file| file.write_all(secret.expose_secret().as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|source| CommandError::Write { path: path.to_owned(), source })
}

/// Reads the name of an account: letters, digits and hyphens (docs.github.com, "Username considerations for external
/// authentication").
fn account_name(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_plain { Ok(text.to_owned()) } else { Err("a name of letters, digits and hyphens".to_owned()) }
}
