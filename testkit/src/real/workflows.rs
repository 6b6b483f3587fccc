//! Workflows of GitHub Actions, run by `act` on this machine: with GitHub and Slack of the test kit, and without any action
//! from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::ACT;
use super::process::Folder;
use crate::github::{self, GitHub};
use crate::program::{command, write_script};
use crate::slack::{self, Slack};

/// The folder of what is kept with runs.
const ARTIFACTS: &str = "artifacts";
/// What builds and caches the program where no runner has it.
const CACHE: &str = "Swatinem/rust-cache@6323deb102c322ba6fcbdcafc7e3dddab59af2b6";
/// An action that does nothing, in place of one that is of no use here.
const STAND_IN: &str =
    "name: Stand-in\ndescription: Nothing\nruns: {using: composite, steps: [{run: 'true', shell: bash}]}\n";

/// What keeps a file with a run.
const UPLOAD: &str = "actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a";
/// An action that keeps one file as it is, as that does.
const UPLOAD_STAND_IN: &str = "name: Stand-in
description: Keeps a file
inputs: {path: {required: true}, archive: {required: true}}
runs:
  using: composite
  steps:
    - run: test \"$ARCHIVE\" = false && cp \"$FILE\" \"$ARTIFACTS\"
      shell: bash
      env: {FILE: '${{ inputs.path }}', ARCHIVE: '${{ inputs.archive }}'}
";

/// A repository on GitHub with workflows, and where they run.
pub struct Actions<'a> {
    /// The repository, with what the workflows are to see checked out.
    pub repository: &'a Path,
    /// The program that the runner has, `fleetwright`.
    pub program: &'a Path,
    /// The secret with a kubeconfig.
    pub kubeconfig: String,
    /// The pages on which it reports.
    pub github: &'a GitHub,
    /// The channels on which it reports.
    pub slack: &'a Slack,
    /// Where GitHub serves its repositories, if git is to reach them.
    pub server: Option<String>,
}

/// What a workflow runs for.
pub struct Event<'a> {
    /// The workflow, by its file without the ending.
    pub workflow: &'a str,
    /// The job that is to run; its permissions are those of the token.
    pub job: &'a str,
    /// What happened, such as `push`.
    pub name: &'a str,
    /// What GitHub sends with it.
    pub payload: Value,
}

/// How a workflow ended.
#[derive(Debug)]
pub struct Ended {
    /// Whether all of it succeeded.
    pub is_success: bool,
    /// What is in its log.
    pub log: String,
    /// What is on its page.
    pub summary: String,
    /// The files that are kept with it, by name.
    pub artifacts: BTreeMap<String, String>,
}

impl Actions<'_> {
    /// Runs a workflow because of an event. It is an error if a secret is in its log.
    pub fn run(&self, event: &Event<'_>) -> Result<Ended> {
        let folder = Folder::new()?;
        let checkout = self.check_out(folder.path(), event)?;
        self.give_permissions(&checkout, event)?;
        let (programs, summary) = (folder.path().join("bin"), folder.path().join("summary.md"));
        provide(&programs, self.program, &summary)?;
        let output = self.act(folder.path(), &checkout, &programs, event)?;
        let log =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        let secrets = [slack::TOKEN, github::ACTIONS_TOKEN, &self.kubeconfig];
        ensure!(!secrets.iter().any(|secret| log.contains(secret)), "a secret is in {log}");
        let summary = fs::read_to_string(summary).unwrap_or_default();
        let kept = fs::read_dir(folder.path().join(ARTIFACTS))?.map(|entry| {
            let entry = entry?;
            Ok((entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?))
        });
        let artifacts = kept.collect::<Result<_>>()?;
        Ok(Ended { is_success: output.status.success(), log, summary, artifacts })
    }

    /// Makes the working tree that `actions/checkout` would make.
    fn check_out(&self, folder: &Path, event: &Event<'_>) -> Result<PathBuf> {
        let checkout = folder.join("checkout");
        let git = |arguments: &[&str]| -> Result<()> {
            let output = command("git").args(arguments).current_dir(folder).output()?;
            let error = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "git {arguments:?}: {error}");
            Ok(())
        };
        let [from, to] = [self.repository, &checkout].map(|path| path.to_str().unwrap_or_default());
        git(&["clone", "-q", from, to])?;
        // From where it comes `act` concludes which repository of GitHub it is.
        let origin = format!("https://github.com/{}/{}.git", github::OWNER, github::NAME);
        git(&["-C", to, "remote", "set-url", "origin", &origin])?;
        if event.name == "pull_request" {
            git(&["-C", to, "checkout", "-q", "--detach"])?;
        }
        Ok(checkout)
    }

    /// Lets the token write what the job is permitted to.
    fn give_permissions(&self, checkout: &Path, event: &Event<'_>) -> Result<()> {
        let workflow = fs::read_to_string(checkout.join(file(event.workflow)))?;
        let workflow: Value = serde_yaml::from_str(&workflow)?;
        let permissions = workflow.pointer(&format!("/jobs/{}/permissions", event.job));
        let permissions = permissions.and_then(Value::as_object).context("the job has no permissions")?;
        let writes: BTreeSet<_> = permissions
            .iter()
            .filter(|(_, may)| *may == "write")
            .map(|(what, _)| what.replace('-', "_"))
            .collect();
        let mut state = self.github.state();
        let token = state.tokens.get_mut(github::ACTIONS_TOKEN);
        token.context("there is no token of workflows")?.writes = writes;
        Ok(())
    }

    fn act(&self, folder: &Path, checkout: &Path, programs: &Path, event: &Event<'_>) -> Result<Output> {
        let artifacts = folder.join(ARTIFACTS);
        fs::create_dir(&artifacts)?;
        let mut actions = Vec::new();
        for (action, stand_in) in [(CACHE, STAND_IN), (UPLOAD, UPLOAD_STAND_IN)] {
            let place = folder.join(format!("action-{}", actions.len()));
            fs::create_dir(&place)?;
            fs::write(place.join("action.yml"), stand_in)?;
            actions.push(format!("--local-repository={action}={}", place.display()));
        }
        let payload = folder.join("event.json");
        fs::write(&payload, event.payload.to_string())?;
        let mut command = command(ACT.binary("act")?);
        command
            .current_dir(checkout)
            .env("PATH", format!("{}:{}", programs.display(), env::var("PATH")?))
            .env("HOME", folder)
            .arg(event.name)
            .args(["--platform", "ubuntu-24.04=-self-hosted"])
            .args(["--workflows", &file(event.workflow)])
            .arg("--eventpath")
            .arg(payload)
            .args(actions)
            .args(["--env", &format!("ARTIFACTS={}", artifacts.display())])
            .args(["--secret", &format!("HUB_KUBECONFIG={}", self.kubeconfig)])
            .args(["--secret", &format!("SLACK_TOKEN={}", slack::TOKEN)])
            .args(["--secret", &format!("GITHUB_TOKEN={}", github::ACTIONS_TOKEN)])
            .args(["--var", &format!("SLACK_CHANNEL=#{}", slack::CHANNEL)])
            .args(["--env", &format!("GITHUB_API_URL={}", self.github.url())])
            .args(["--env", &format!("FLEETWRIGHT_SLACK_API={}", self.slack.api())]);
        if let Some(server) = &self.server {
            command.args(["--env", &format!("GITHUB_SERVER_URL={server}")]);
        }
        Ok(command.output()?)
    }
}

fn file(workflow: &str) -> String {
    format!(".github/workflows/{workflow}.yml")
}

/// Puts the program on the path of the runner, so that what it leaves on the page of the run is kept: `act` drops it.
fn provide(programs: &Path, program: &Path, summary: &Path) -> Result<()> {
    let [program, summary] = [program, summary].map(|path| path.display().to_string());
    ensure!(!program.contains('\''), "the path `{program}` has a quotation mark");
    let script = format!(
        "#!/bin/sh\n'{program}' \"$@\"\nstatus=$?\ncat \"$GITHUB_STEP_SUMMARY\" >>'{summary}'\nexit $status\n"
    );
    write_script(programs.join("fleetwright"), &script);
    Ok(())
}
