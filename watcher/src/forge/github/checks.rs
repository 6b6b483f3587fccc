//! Verdicts on a commit: a check run if we are an App, else a commit status, which has room for one line only.
//!
//! GitHub takes 50 annotations a request and adds them to those that a run has. So a run with more of them is
//! made unfinished and completed by its last request, and GitHub's own count shows where to go on after a
//! kill or a lost answer. Annotations cannot be taken back: another verdict on the same commit is another
//! run, and GitHub shows the newest.

use http::Method;
use renderer::visible::visible;
use serde_json::{Value, json};

use super::client::Call;
use super::marker::short_digest;
use super::{ATTEMPTS, GitHubError, GitHubFaultKind, GitHubForge, STATUS_DESCRIPTION_LIMIT, wire};
use crate::forge::{Annotation, CommitStatus, Conclusion, ForgeError, StatusState, Verdict, Verdicts};
use crate::git::Revision;
use crate::percent::encoded;

/// The most annotations that one request takes (GitHub Docs, "REST API endpoints for check runs").
const ANNOTATIONS_A_REQUEST: usize = 50;
/// How the external id of every check run of ours begins.
const OURS: &str = "fleetwright";
/// What stands before the attestation in a commit status.
const SEPARATOR: &str = " · ";

impl Verdict {
    /// Returns the external id by which the run with this very verdict is found.
    fn id(&self) -> String {
        let text = serde_json::to_vec(self).expect("a verdict has text only");
        format!("{OURS}:{}:{}", short_digest(&text), self.attestation)
    }

    /// Returns the content of a check run that has `sent` annotations already, and whether that completes it.
    fn part(&self, sent: usize) -> (Value, usize) {
        let rest = self.annotations.get(sent..).unwrap_or_default();
        let batch = &rest[..rest.len().min(ANNOTATIONS_A_REQUEST)];
        let annotations: Vec<Value> = batch.iter().map(annotation_json).collect();
        let mut output = json!({ "title": self.title, "summary": self.summary, "annotations": annotations });
        if let Some(text) = &self.text {
            output["text"] = text.as_str().into();
        }
        let mut run = json!({
            "name": self.name, "external_id": self.id(), "status": "in_progress", "output": output,
        });
        if let Some(url) = &self.url {
            run["details_url"] = url.as_str().into();
        }
        if batch.len() == rest.len() {
            run["status"] = "completed".into();
            run["conclusion"] = json!(self.conclusion);
        }
        (run, sent + batch.len())
    }

    fn to_status(&self) -> CommitStatus {
        let room = STATUS_DESCRIPTION_LIMIT
            .saturating_sub(self.attestation.chars().count() + SEPARATOR.chars().count());
        // A text from outside may stand in the title; it must not be read as an attestation.
        let title: String = visible(&self.title).replace('·', "-").chars().take(room).collect();
        let attestation = if self.attestation.is_empty() {
            String::new()
        } else {
            format!("{SEPARATOR}{}", self.attestation)
        };
        CommitStatus {
            context: self.name.clone(),
            state: status_state(self.conclusion),
            description: title + &attestation,
            target_url: self.url.clone(),
        }
    }
}

impl Verdicts for GitHubForge<'_> {
    fn set_status(&self, revision: Revision, status: &CommitStatus) -> Result<(), ForgeError> {
        let description: String = status.description.chars().take(STATUS_DESCRIPTION_LIMIT).collect();
        let account = self.client.account()?;
        let newest = self.statuses(revision)?.into_iter().find(|newest| newest.context == status.context);
        let is_set = newest.is_some_and(|newest| {
            account.is(newest.creator.as_ref())
                && newest.state == status.state.word()
                && newest.description.as_deref() == Some(description.as_str())
        });
        if is_set {
            return Ok(());
        }
        let body = json!({
            "state": status.state.word(), "context": status.context, "description": description,
            "target_url": status.target_url,
        });
        let route = self.route(&format!("/statuses/{revision}"));
        Ok(self.client.run(&Call::set("set a commit status", Method::POST, route, &body))?)
    }

    /// If we are no App, the verdict is a commit status, which has no room for further parts.
    fn set_verdict(
        &self,
        revision: Revision,
        verdict: &Verdict,
        parts: &[Verdict],
    ) -> Result<(), ForgeError> {
        if !self.client.account()?.is_app() {
            return self.set_status(revision, &verdict.to_status());
        }
        for part in parts {
            if !self.find_check_run(revision, part)?.is_some_and(|run| is_completed(&run)) {
                self.set_check_run(revision, part)?;
            }
        }
        self.set_check_run(revision, verdict)
    }

    fn attestation(&self, revision: Revision, name: &str) -> Result<Option<String>, ForgeError> {
        if self.client.account()?.is_app() {
            let run = self.check_runs(revision, name)?.into_iter().find(is_completed);
            return Ok(run.and_then(|run| attestation_of(&run.external_id?).map(str::to_owned)));
        }
        let account = self.client.account()?;
        let mut statuses = self.statuses(revision)?.into_iter();
        let status = statuses.find(|status| status.context == name && account.is(status.creator.as_ref()));
        Ok(status.and_then(|status| Some(status.description?.rsplit_once(SEPARATOR)?.1.to_owned())))
    }
}

impl GitHubForge<'_> {
    /// Returns the statuses of a commit with who set them, the newest first.
    fn statuses(&self, revision: Revision) -> Result<Vec<wire::Status>, ForgeError> {
        let route = self.route(&format!("/commits/{revision}/statuses?per_page=100"));
        Ok(self.client.list(Call::get("read the statuses of a commit", route))?)
    }

    fn set_check_run(&self, revision: Revision, verdict: &Verdict) -> Result<(), ForgeError> {
        let mut run = self.find_check_run(revision, verdict)?;
        if let Some(done) = run.as_ref().filter(|run| is_completed(run)) {
            return if self.is_rerequested(done)? { self.complete_again(done.id, verdict) } else { Ok(()) };
        }
        let (mut sent, mut lost) = (run.as_ref().map_or(0, |run| run.output.annotations_count), 0);
        loop {
            let (part, after) = verdict.part(sent);
            match self.send_part(revision, run.as_ref(), part) {
                Ok(made) if is_completed(&made) => return Ok(()),
                Ok(made) => (run, sent) = (Some(made), after),
                Err(error) if error.is(GitHubFaultKind::Ambiguous) && lost + 1 < ATTEMPTS => {
                    self.client.pause(lost);
                    lost += 1;
                    // Only GitHub knows how much of it arrived.
                    run = self.find_check_run(revision, verdict)?;
                    sent = run.as_ref().map_or(0, |run| run.output.annotations_count);
                    if run.as_ref().is_some_and(is_completed) {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes a run, or adds to one. Neither may be repeated blindly: each would add again.
    fn send_part(
        &self,
        revision: Revision,
        run: Option<&wire::CheckRun>,
        mut part: Value,
    ) -> Result<wire::CheckRun, GitHubError> {
        let call = if let Some(run) = run {
            let route = self.route(&format!("/check-runs/{}", run.id));
            let call = Call::set("add to a check run", Method::PATCH, route, &part);
            Call { is_repeatable: false, ..call }
        } else {
            part["head_sha"] = revision.to_string().into();
            Call::create("make a check run", self.route("/check-runs"), &part)
        };
        self.client.call(&call)
    }

    /// Returns the newest run with this very verdict, completed or not.
    fn find_check_run(
        &self,
        revision: Revision,
        verdict: &Verdict,
    ) -> Result<Option<wire::CheckRun>, ForgeError> {
        let newest = self.check_runs(revision, &verdict.name)?.into_iter().next();
        Ok(newest.filter(|run| run.external_id.as_deref() == Some(&verdict.id())))
    }

    /// Returns our check runs of this name on a commit, the newest first.
    fn check_runs(&self, revision: Revision, name: &str) -> Result<Vec<wire::CheckRun>, ForgeError> {
        let filter = format!("check_name={}&filter=all&per_page=100", encoded(name));
        let route = self.route(&format!("/commits/{revision}/check-runs?{filter}"));
        let call = Call::get("read the check runs of a commit", route);
        let mut runs = self.client.call::<wire::CheckRuns>(&call)?.check_runs;
        let account = self.client.account()?;
        runs.retain(|run| account.is_of(run.app.as_ref()));
        runs.retain(|run| run.external_id.as_deref().and_then(attestation_of).is_some());
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        Ok(runs)
    }

    /// Returns whether a person asked for a completed run again: its suite is queued then, and the run as it was.
    fn is_rerequested(&self, run: &wire::CheckRun) -> Result<bool, ForgeError> {
        let Some(suite) = &run.check_suite else { return Ok(false) };
        let route = self.route(&format!("/check-suites/{}", suite.id));
        let suite: wire::CheckSuite = self.client.call(&Call::get("read a check suite", route))?;
        Ok(suite.status.as_deref() == Some("queued"))
    }

    fn complete_again(&self, id: u64, verdict: &Verdict) -> Result<(), ForgeError> {
        let route = self.route(&format!("/check-runs/{id}"));
        let body = json!({ "status": "completed", "conclusion": verdict.conclusion });
        Ok(self.client.run(&Call::set("complete a check run again", Method::PATCH, route, &body))?)
    }
}

fn annotation_json(Annotation { path, line, column, message }: &Annotation) -> Value {
    json!({
        "path": path, "start_line": line, "end_line": line, "start_column": column, "end_column": column,
        "annotation_level": "failure", "message": message,
    })
}

/// Returns the state of a commit status that stands for a conclusion.
const fn status_state(conclusion: Conclusion) -> StatusState {
    match conclusion {
        Conclusion::Success | Conclusion::Neutral => StatusState::Success,
        Conclusion::Failure => StatusState::Failure,
        Conclusion::ActionRequired => StatusState::Pending,
    }
}

fn is_completed(run: &wire::CheckRun) -> bool {
    run.status == "completed"
}

/// Returns the attestation in an external id of ours.
fn attestation_of(external_id: &str) -> Option<&str> {
    external_id.strip_prefix(OURS)?.strip_prefix(':')?.split_once(':').map(|(_, attestation)| attestation)
}
