//! `fleetwright register`: makes a GitHub App for the service, with a person who agrees in the browser.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::time::timeout;

use super::{Exit, Global, print_json, print_text, until_stopped};
use crate::error::CommandError;
use crate::forge::github;
use crate::http::{Client, Url};
use crate::identity::{Desk, Registered, Wish};

/// A code of GitHub's is good for an hour (docs.github.com, "Registering a GitHub App from a manifest"), and nobody takes
/// longer to press a button.
const PATIENCE: Duration = Duration::from_hours(1);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The organization that the App will belong to; your own account if left out.
    #[arg(long, value_name = "NAME", value_parser = account_name)]
    organization: Option<String>,
    /// The App's name, which nobody else on GitHub may have taken.
    #[arg(long, value_name = "NAME", default_value = "fleetwright")]
    name: String,
    /// Where GitHub will send deliveries: the address of `/webhook` behind your ingress. Without it the service polls.
    #[arg(long, value_name = "URL", value_parser = url)]
    webhook: Option<Url>,
    /// The GitHub to register on; that of a GitHub Enterprise Server if it is yours.
    #[arg(long, value_name = "URL", default_value = "https://github.com", value_parser = url)]
    github: Url,
    /// The address of its interface; that of GitHub, or of a GitHub Enterprise Server, if left out.
    #[arg(long, value_name = "URL", value_parser = url)]
    api: Option<Url>,
    /// The folder for the private key and the webhook's secret.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// The port of this machine that the browser comes to; 0 lets the system choose.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
}

/// What came of it, for machines.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    app_id: u64,
    slug: &'a str,
    key_file: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret_file: Option<&'a Path>,
    install: &'a str,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let wish = args.wish()?;
    // Nothing is asked of GitHub whose answer could not be kept.
    fs::create_dir_all(&args.out)
        .and_then(|()| tempfile::tempfile_in(&args.out))
        .map_err(|source| CommandError::Write { path: args.out.clone(), source })?;
    until_stopped(async |cancel| {
        let desk =
            Desk::open(args.port).await.map_err(|error| CommandError::unexpected("show a page", error))?;
        let _ = writeln!(anstream::stderr(), "open {} in a browser on this machine", desk.address());
        let code = tokio::select! {
            code = timeout(PATIENCE, desk.wait_for_code(&wish)) => code.ok(),
            () = cancel.requested() => None,
        };
        let Some(code) = code else {
            let _ = writeln!(anstream::stderr(), "stopped: nothing was registered");
            return Ok(Exit::Unexpected);
        };
        let client = Client::new(&wish.api);
        let registered = tokio::task::spawn_blocking(move || wish.redeem(&client, &code))
            .await
            .map_err(|error| CommandError::unexpected("register the App", error))?
            .map_err(CommandError::Registration)?;
        args.keep(global, &registered)
    })
}

impl Args {
    fn wish(&self) -> Result<Wish, CommandError> {
        let api = match &self.api {
            Some(api) => api.clone(),
            None => Url::parse(&github::api_of(self.github.host()))
                .map_err(|error| CommandError::Usage { message: error.to_string(), hint: error.hint() })?,
        };
        Ok(Wish {
            github: self.github.clone(),
            api,
            organization: self.organization.clone(),
            name: self.name.clone(),
            webhook: self.webhook.clone(),
        })
    }

    /// Writes the secrets down before anything is said: GitHub shows them this once.
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
        if global.is_json() {
            print_json(&Told {
                app_id: registered.id,
                slug: &registered.slug,
                key_file: &key_file,
                webhook_secret_file: secret_file,
                install: &install,
            });
        } else {
            print_text(&told(registered, &key_file, secret_file, &install));
        }
        Ok(Exit::Done)
    }
}

fn told(registered: &Registered, key_file: &Path, secret_file: Option<&Path>, install: &str) -> String {
    let Registered { id, slug, .. } = registered;
    let key_file = key_file.display();
    let mut text = format!("registered the App `{slug}` ({id})\nwrote {key_file}\n");
    let mut listen = String::new();
    if let Some(file) = secret_file {
        let file = file.display();
        let _ = writeln!(text, "wrote {file}");
        listen = format!(" \\\n  --listen 0.0.0.0:8080 --webhook-secret-file {file}");
    }
    let _ = write!(
        text,
        "\nInstall it on the repository: {install}\n\
         Then start the service:\n\
         fleetwright run --upstream https://HOST/OWNER/NAME.git \\\n  --app-id {id} --app-key-file {key_file}{listen}\n"
    );
    text
}

/// Writes a file that its owner alone may read. One that is there is never overwritten.
fn write_secret(path: &Path, secret: &SecretString) -> Result<(), CommandError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(secret.expose_secret().as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|source| CommandError::Write { path: path.to_owned(), source })
}

fn url(text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|error| error.to_string())
}

/// Names of accounts: letters, digits and hyphens (docs.github.com, "Username considerations for external authentication").
fn account_name(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_plain { Ok(text.to_owned()) } else { Err("a name of letters, digits and hyphens".to_owned()) }
}
