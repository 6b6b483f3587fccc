//! Rollouts: what became of a pull request after its merge, as a comment that is edited in place and as a deployment.
//!
//! What is remembered saves reporting the same again. What cannot be reported keeps nothing from being published.

use std::collections::BTreeMap;
use std::time::SystemTime;

use renderer::plan::markdown::code;
use renderer::root::APPLICATIONS;
use tracing::warn;

use super::context::{Context, unless_lasting};
use crate::argocd::{self, DesiredFleet, Wave};
use crate::deploy::{Ending, Notices, Outcome, Subject, standing_of};
use crate::error::CommandError;
use crate::forge::{Deployment, DeploymentStatus};
use crate::git::Revision;
use crate::live::{Standing, Standings, Watched};

/// How long a comment is at most, in characters: what GitHub takes, less what stands around it.
const MAX_TEXT: usize = 60_000;

/// Stands hidden in the comment of a rollout that is not done.
const UNFINISHED: &str = "\n<!-- unfinished -->\n";
/// How many changes of a group before a rollout are looked at for one that it takes the place of.
const MAX_FORMER: usize = 5;

/// What was reported of rollouts.
#[derive(Debug, Default)]
pub(super) struct Rollouts {
    reported: BTreeMap<String, Reported>,
}

/// What was reported of a group last.
#[derive(Debug)]
struct Reported {
    revision: Revision,
    /// The pull request that brought the revision onto the base branch.
    pull: Option<u64>,
    standing: Standing,
    /// Where people are told who look elsewhere than on the forge; nothing if it could not be found out what of.
    notices: Option<Notices>,
}

impl Rollouts {
    /// Reports what became of each group that Argo CD runs anything of, as far as that is news.
    pub(super) fn report(
        &mut self,
        run: &Context<'_>,
        fleet: &DesiredFleet,
        watched: &[Watched],
        standings: &Standings,
    ) -> Result<(), CommandError> {
        for (watched, standing) in watched.iter().zip(standings) {
            // What is not known is no news.
            let Ok(standing) = standing else { continue };
            let last = self.reported.get(&watched.group);
            let is_known = last.is_some_and(|it| it.revision == watched.revision && it.standing == *standing);
            if !is_known && !standing.rollout.applications.is_empty() {
                self.report_group(run, fleet, watched, standing)?;
            }
        }
        Ok(())
    }

    fn report_group(
        &mut self,
        run: &Context<'_>,
        fleet: &DesiredFleet,
        watched: &Watched,
        standing: &Standing,
    ) -> Result<(), CommandError> {
        let Watched { group, revision, .. } = watched;
        let (last, ending) = (self.reported.get(group), ending(standing));
        let is_news = last.is_some();
        let pull = match last.filter(|last| last.revision == *revision) {
            Some(same) => same.pull,
            None => logged(group, begin(run, fleet, watched))?.flatten(),
        };
        if let Some(number) = pull {
            let text = text(watched, standing, ending.as_ref(), SystemTime::now());
            let commented = run.forge.comment(number, &kind(group), &text, true);
            logged(group, commented.map_err(CommandError::from))?;
        }
        let subject = Subject::read(run.repository(), *revision, fleet, group);
        let subject = logged(group, subject.map_err(CommandError::from))?;
        if let Some(subject) = &subject {
            logged(group, deploy(run, subject, ending.as_ref()))?;
        }
        let mut notices = match self.reported.remove(group) {
            Some(Reported { notices, revision: of, .. }) if of == *revision => notices,
            Some(Reported { notices: Some(notices), .. }) => {
                notices.replaced(*revision);
                None
            }
            _ => None,
        };
        if let Some(subject) = subject {
            let begin = || Notices::begin(subject, run.forge.web(), ending.as_ref(), is_news);
            notices.get_or_insert_with(begin).post(ending.as_ref());
        }
        let reported = Reported { revision: *revision, pull, standing: standing.clone(), notices };
        self.reported.insert(group.clone(), reported);
        Ok(())
    }
}

/// Finds the pull request whose rollout begins, and ends the one that it takes the place of.
fn begin(run: &Context<'_>, fleet: &DesiredFleet, watched: &Watched) -> Result<Option<u64>, CommandError> {
    let pull = pull_of(run, watched.revision)?;
    if let Some(number) = pull {
        end_former(run, fleet, watched, number)?;
    }
    Ok(pull)
}

fn pull_of(run: &Context<'_>, revision: Revision) -> Result<Option<u64>, CommandError> {
    let merged = run.forge.merged_with(revision, &run.settings.base)?;
    Ok(merged.first().map(|(number, _)| *number))
}

/// Ends the rollout that another one takes the place of: of the pull requests that changed the group before, the newest that
/// has a comment.
fn end_former(
    run: &Context<'_>,
    fleet: &DesiredFleet,
    Watched { group, revision, .. }: &Watched,
    by: u64,
) -> Result<(), CommandError> {
    let clusters = fleet.clusters(group);
    let set_of = |folder: &str| clusters.contains(folder).then_some(0);
    let mut at = *revision;
    for _ in 0..MAX_FORMER {
        let Some(parent) = run.repository().parents(at)?.first().copied() else { break };
        at = run.repository().newest_of_folders(parent, APPLICATIONS, 1, set_of)?[0];
        let Some(number) = pull_of(run, at)?.filter(|number| *number != by) else { continue };
        let Some(comment) = run.forge.own_comment(number, &kind(group))? else { continue };
        if comment.contains(UNFINISHED) {
            let end = format!("the rollout goes on with #{by}, before all of it was synced and healthy.");
            run.forge.comment(number, &kind(group), &format!("{}: {end}\n", code(group)), false)?;
        }
        break;
    }
    Ok(())
}

/// Each group has a comment of its own: a pull request of people may change several.
fn kind(group: &str) -> String {
    format!("rollout-{group}")
}

fn text(watched: &Watched, standing: &Standing, ending: Option<&Ending>, now: SystemTime) -> String {
    let Watched { group, revision, .. } = watched;
    let headline = match ending {
        Some(Ok(outcome)) => outcome.headline(*revision),
        _ => argocd::progress(&standing.rollout, &revision.short()),
    };
    let mut text = format!("{}: {}\n", code(group), code(&headline));
    let is_done = matches!(ending, Some(Ok(Outcome::Done(..))));
    if is_done {
        text.push_str(&argocd::unasked(&standing.rollout));
    } else {
        text = format!("{text}\n{}", argocd::markdown(&standing.rollout, now));
    }
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(text[..end].rfind('\n').unwrap_or(0));
        text.push_str("\n\n… and more\n");
    }
    if !is_done {
        text.push_str(UNFINISHED);
    }
    text
}

/// Makes the deployment of a revision to the environment of a group, and reports how it stands.
fn deploy(run: &Context<'_>, subject: &Subject, ending: Option<&Ending>) -> Result<(), CommandError> {
    let (state, description) = standing_of(ending, subject);
    let Subject { group, revision, title, .. } = subject;
    let deployment =
        Deployment { environment: group.clone(), revision: *revision, description: title.clone() };
    let Some(number) = run.forge.deployment(&deployment)? else { return Ok(()) };
    let status = DeploymentStatus { state, description, log_url: None, environment_url: None };
    Ok(run.forge.report_deployment(number, &status)?)
}

/// Returns how a rollout has ended, if it has.
fn ending(Standing { wave, rollout }: &Standing) -> Option<Ending> {
    match wave {
        Wave::Released | Wave::Soaking(_) => Some(Ok(Outcome::Done(rollout.clone(), Vec::new()))),
        Wave::Stopped(_) => Some(Ok(Outcome::Failed(rollout.clone()))),
        Wave::Open => None,
    }
}

/// Logs a failure that only a person can end, and goes on.
fn logged<T>(group: &str, result: Result<T, CommandError>) -> Result<Option<T>, CommandError> {
    unless_lasting(result, |error| {
        let message = error.message();
        warn!(group, hint = error.hint(), "could not report the rollout of `{group}`: {message}");
    })
}
