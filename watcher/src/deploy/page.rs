//! What is written about a deployment: to the forge, to Slack, and into the summary of a workflow. Pure text.

use std::fmt::Write as _;
use std::time::SystemTime;

use renderer::plan::markdown::code;

use super::actions::Actions;
use super::outcome::Outcome;
use super::subject::Subject;
use crate::argocd;
use crate::error::CommandError;
use crate::forge::DeploymentState;
use crate::git::Revision;
use crate::notify::Notice;
use crate::verify;

/// How many Applications or files are named.
const MAX_NAMED: usize = 10;

/// How a deployment stands, with one line for people.
pub(crate) type Standing = (DeploymentState, String);
pub(crate) type Ending = Result<Outcome, CommandError>;

/// Returns how a deployment stands that has begun.
pub(super) fn begun(subject: &Subject) -> Standing {
    (DeploymentState::InProgress, format!("waiting for {} at {}", subject.group, subject.revision.short()))
}

/// Returns how a deployment stands that has ended.
pub(super) fn ended(ending: &Ending, subject: &Subject) -> Standing {
    (state(Some(ending)), headline(ending, subject))
}

/// Returns the state of a deployment that ended so, if it has.
pub(super) const fn state(ending: Option<&Ending>) -> DeploymentState {
    match ending {
        None => DeploymentState::InProgress,
        Some(Ok(Outcome::Done(..))) => DeploymentState::Success,
        Some(Ok(_)) => DeploymentState::Failure,
        Some(Err(_)) => DeploymentState::Error,
    }
}

/// Returns how a deployment stands that is followed between runs: how it ended, if it has.
pub(crate) fn standing_of(ending: Option<&Ending>, subject: &Subject) -> Standing {
    ending.map_or_else(|| begun(subject), |ending| ended(ending, subject))
}

/// Returns the first notice.
pub(super) fn opening(subject: &Subject, actions: &Actions) -> Notice {
    notice("deploying", subject, actions)
}

/// Returns what the first notice becomes.
pub(super) fn closing(ending: &Ending, subject: &Subject, actions: &Actions) -> Notice {
    let mut notice = notice(word(ending), subject, actions);
    notice.facts.push(("Result", headline(ending, subject)));
    notice
}

/// Returns the notice below it.
pub(super) fn result(ending: &Ending, subject: &Subject) -> Notice {
    let title = format!("{}: {}", subject.group, word(ending));
    let mut lines = vec![headline(ending, subject)];
    lines.extend(details(ending));
    Notice { title, lines, ..Notice::default() }
}

/// Returns what the first notice becomes, and the one below it, where a newer revision takes the place of this one.
pub(super) fn replaced(by: Revision, subject: &Subject, actions: &Actions) -> [Notice; 2] {
    let word = "replaced before it was done";
    let line = format!("goes on at {}", by.short());
    let mut now = notice(word, subject, actions);
    now.facts.push(("Result", line.clone()));
    [now, Notice { title: format!("{}: {word}", subject.group), lines: vec![line], ..Notice::default() }]
}

/// Returns the part of a workflow's summary, in Markdown.
pub(super) fn summary(ending: &Ending, subject: &Subject, actions: &Actions, now: SystemTime) -> String {
    let revision = subject.revision.to_string();
    let short = code(&subject.revision.short());
    let commit =
        actions.commit_url(&revision).map_or_else(|| short.clone(), |url| format!("[{short}]({url})"));
    let (title, author) = (code(&subject.title), code(&subject.author));
    let mut text = format!(
        "### {}: {}\n\n{}\n\n{commit}: {title} by {author}\n\n",
        code(&subject.group),
        word(ending),
        code(&headline(ending, subject))
    );
    for line in &subject.changes {
        let _ = writeln!(text, "- {}", code(line));
    }
    if let Some(rollout) = ending.as_ref().ok().and_then(Outcome::rollout) {
        let _ = write!(text, "\n{}", argocd::markdown(rollout, now));
        let findings = ending.as_ref().map_or(&[][..], Outcome::findings);
        if !findings.is_empty() {
            let _ = write!(text, "\n{}", verify::markdown(findings));
        }
    } else {
        text.extend(details(ending).iter().map(|line| format!("- {}\n", code(line))));
    }
    text
}

fn notice(word: &str, subject: &Subject, actions: &Actions) -> Notice {
    let short = subject.revision.short();
    let by = actions.actor.as_ref().map(|actor| ("Started by", actor.clone()));
    let facts = [("Change", subject.title.clone()), ("Author", subject.author.clone()), ("Revision", short)];
    let links =
        [("the run", actions.run_url()), ("the commit", actions.commit_url(&subject.revision.to_string()))];
    Notice {
        title: format!("{}: {word}", subject.group),
        facts: facts.into_iter().chain(by).collect(),
        lines: subject.changes.clone(),
        links: links.into_iter().filter_map(|(words, url)| Some((words, url?))).collect(),
    }
}

const fn word(ending: &Ending) -> &'static str {
    match ending {
        Ok(Outcome::Done(..)) => "deployed",
        Ok(Outcome::Unverified(..)) => "deployed, but not verified",
        Ok(_) => "not deployed",
        Err(_) => "ended early",
    }
}

fn headline(ending: &Ending, subject: &Subject) -> String {
    match ending {
        Err(error) => error.message(),
        Ok(outcome) => outcome.headline(subject.revision),
    }
}

/// Returns what is in the way, one line for each thing.
fn details(ending: &Ending) -> Vec<String> {
    let Ok(outcome) = ending else { return Vec::new() };
    let lines: Vec<String> = match (outcome, outcome.rollout()) {
        (Outcome::NotCurrent(files), _) => files.iter().map(ToString::to_string).collect(),
        (Outcome::Unverified(_, findings), _) => {
            findings.iter().filter(|finding| finding.verdict.is_open()).map(ToString::to_string).collect()
        }
        (_, Some(rollout)) => rollout.open().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let more = lines.len().saturating_sub(MAX_NAMED);
    let rest = (more > 0).then(|| format!("and {more} more"));
    lines.into_iter().take(MAX_NAMED).chain(rest).collect()
}
