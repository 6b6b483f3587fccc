//! Pushing to another repository: all refs move, each from where it was seen, or none does.
//!
//! libgit2's own push writes a repository on this machine behind the back of its hooks, compares nothing with what it
//! overwrites, and takes a hook's refusal for success. `git receive-pack` is what every git server runs: it compares
//! and swaps, moves all refs or none, and runs the hooks and rules of its owner. It is spoken to in git's pack
//! protocol, of which there is only version 0 for pushing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::conversation::{Conversation, Remote, Service};
use super::packet::{self, Packet, SideBand, broken_off, protocol, write_flush, write_line};
use super::upload_pack::{Greeting, Refs};
use crate::git::checkout::refs::{PushError, RefUpdate, names};
use crate::git::error::{Fault, GitError};
use crate::git::history::reach;
use crate::git::objects::classify::classify;
use crate::git::objects::pack;
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

const NOTHING: &str = "0000000000000000000000000000000000000000";

/// What the other side must be able to do: report on each ref, and keep apart what hooks print.
const NEEDED: [&str; 2] = ["report-status", "side-band-64k"];

/// What it must be able to do when several refs move together: move all or none.
const NEEDED_FOR_SEVERAL: &str = "atomic";

/// What keeps its progress to itself, if it can.
const WANTED: &str = "quiet";

/// A report has a line a ref; this is far more than any push moves.
const MAX_REPORT_BYTES: usize = 4 << 20;

/// Pushes `updates` from `repository` to `remote`; all of them, or none.
pub(in crate::git) fn push(
    repository: &Repository,
    remote: &Remote,
    updates: &[RefUpdate],
) -> Result<(), PushError> {
    let failed = |fault| repository.error(format!("push {} to `{remote}`", names(updates)), fault);
    let session = Session::start(remote).map_err(failed)?;
    if let Some(lost) = lost_lease(updates, &session.greeting.refs) {
        session.conversation.leave();
        return Err(lost);
    }
    if let Some(taken) = name_taken(updates, &session.greeting.refs) {
        session.conversation.leave();
        return Err(failed(taken).into());
    }
    let report = session.send(repository, updates).map_err(failed)?;
    report.verdict(updates, || look(remote), failed)
}

fn look(remote: &Remote) -> Result<Refs, Fault> {
    let session = Session::start(remote)?;
    session.conversation.leave();
    Ok(session.greeting.refs)
}

/// A new ref can neither stand below another one nor where others stand below it.
fn name_taken(updates: &[RefUpdate], refs: &Refs) -> Option<Fault> {
    let is_below =
        |name: &str, folder: &str| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let new = updates.iter().filter(|update| update.expected.is_none() && update.new.is_some());
    let mut names = new.map(|update| &update.name);
    names.find_map(|name| {
        let taken = refs.keys().find(|taken| is_below(name, taken) || is_below(taken, name))?;
        Some(Fault::NameTaken { taken: taken.clone(), name: name.clone() })
    })
}

fn lost_lease(updates: &[RefUpdate], refs: &Refs) -> Option<PushError> {
    updates.iter().find_map(|update| {
        let found = refs.get(&update.name).copied();
        (found != update.expected).then(|| PushError::LeaseLost {
            name: update.name.clone(),
            expected: update.expected,
            found,
        })
    })
}

struct Session {
    conversation: Conversation,
    greeting: Greeting,
}

impl Session {
    fn start(remote: &Remote) -> Result<Self, Fault> {
        let mut conversation = remote.converse(Service::ReceivePack)?;
        let reader = &mut conversation.reader();
        match packet::read_greeting(reader).and_then(|first| Greeting::read(first, reader)) {
            Ok(greeting) => Ok(Self { conversation, greeting }),
            Err(fault) => Err(conversation.explain(fault)),
        }
    }

    fn send(mut self, repository: &Repository, updates: &[RefUpdate]) -> Result<Report, Fault> {
        let Self { conversation, greeting } = &mut self;
        let sent = capabilities(greeting, updates).and_then(|capabilities| {
            conversation.ask(|out| {
                write_commands(updates, &capabilities, out).map_err(|error| broken_off(&error))?;
                if updates.iter().any(|update| update.new.is_some()) {
                    write_pack(repository, updates, &greeting.refs, out)?;
                }
                Ok(())
            })
        });
        // The other side may hang up early; its own words say more than the broken pipe.
        match sent.and_then(|()| Report::read(conversation)) {
            Ok(report) => Ok(report),
            Err(fault) => Err(self.conversation.explain(fault)),
        }
    }
}

/// Returns what is asked of the other side, if it can do it.
fn capabilities(greeting: &Greeting, updates: &[RefUpdate]) -> Result<String, Fault> {
    let offers = |wanted: &str| greeting.capabilities.iter().any(|offered| offered == wanted);
    let needed: Vec<_> =
        NEEDED.into_iter().chain((updates.len() > 1).then_some(NEEDED_FOR_SEVERAL)).collect();
    if let Some(missing) = needed.iter().find(|needed| !offers(needed)) {
        return Err(protocol(format!("the other side's git does not offer `{missing}`")));
    }
    let wanted = offers(WANTED).then_some(WANTED);
    let agent = concat!("agent=fleetwright/", env!("CARGO_PKG_VERSION"));
    Ok(needed.into_iter().chain(wanted).chain([agent]).collect::<Vec<_>>().join(" "))
}

fn write_commands(updates: &[RefUpdate], capabilities: &str, out: &mut dyn Write) -> std::io::Result<()> {
    let id = |revision: Option<Revision>| revision.map_or_else(|| NOTHING.into(), String::from);
    let mut capabilities = format!("\0{capabilities}");
    for update in updates {
        write_line(
            out,
            &format!("{} {} {}{capabilities}\n", id(update.expected), id(update.new), update.name),
        )?;
        capabilities.clear();
    }
    write_flush(out)
}

/// Writes every object that the new revisions reach and that no ref of the other side reaches.
fn write_pack(
    repository: &Repository,
    updates: &[RefUpdate],
    there: &Refs,
    out: &mut dyn Write,
) -> Result<(), Fault> {
    let new: Vec<Revision> = updates.iter().filter_map(|update| update.new).collect();
    let objects = reach::new_objects(repository, &new, there.values().copied())
        .map_err(|error| classify(error, repository.completeness()))?;
    pack::write(&objects, out).map_err(|error| broken_off(&error))
}

/// What the other side says after a push.
#[derive(Debug, Default)]
struct Report {
    unpack: String,
    refused: BTreeMap<String, String>,
    accepted: BTreeSet<String>,
    told: String,
}

impl Report {
    fn read(conversation: &mut Conversation) -> Result<Self, Fault> {
        let mut report = Self::default();
        let pace = conversation.content_pace();
        let reader = &mut conversation.reader();
        let mut band = SideBand::new(reader, pace);
        let lines = band.read_to_end(MAX_REPORT_BYTES)?;
        report.told = band.told();
        report.take_lines(&lines)?;
        Ok(report)
    }

    fn take_lines(&mut self, mut lines: &[u8]) -> Result<(), Fault> {
        while let Some(line) = Packet::read_line(&mut lines)? {
            self.take(&line);
        }
        Ok(())
    }

    fn take(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("unpack ") {
            result.clone_into(&mut self.unpack);
        } else if let Some(name) = line.strip_prefix("ok ") {
            self.accepted.insert(name.to_owned());
        } else if let Some((name, reason)) = line.strip_prefix("ng ").and_then(|rest| rest.split_once(' ')) {
            self.refused.insert(name.to_owned(), reason.to_owned());
        }
    }

    /// Judges the push. A ref that the report does not mention did not move.
    fn verdict(
        &self,
        updates: &[RefUpdate],
        look_again: impl FnOnce() -> Result<Refs, Fault>,
        failed: impl Fn(Fault) -> GitError,
    ) -> Result<(), PushError> {
        if updates.iter().all(|update| self.accepted.contains(&update.name)) {
            return Ok(());
        }
        if self.unpack != "ok" {
            return Err(failed(protocol(format!("the other side could not unpack: {}", self.unpack))).into());
        }
        // A refusal reads the same whether a rule objects or someone was faster; where the refs are now tells.
        if let Some(lost) = lost_lease(updates, &look_again().map_err(failed)?) {
            return Err(lost);
        }
        let first = updates.first().map(|update| update.name.clone()).unwrap_or_default();
        let (name, reason) = match self.refused.iter().find(|(_, reason)| !reason.starts_with("atomic")) {
            Some((name, reason)) => (name.clone(), reason.clone()),
            None => (first, "the other side does not say why".into()),
        };
        let reason = match self.told.trim() {
            "" => reason,
            told => format!("{reason}: {told}"),
        };
        Err(PushError::Rejected { name, reason })
    }
}

/// Reads a report. For fuzzing.
pub(in crate::git) fn read_report(bytes: &[u8]) {
    let _ = Report::default().take_lines(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_that_the_report_leaves_out_did_not_move() {
        let updates = [RefUpdate::branch("main", None, None)];
        let mut report = Report::default();
        report.take("unpack ok");
        let failed = |fault| GitError { repository: "r".into(), attempt: "push".into(), fault };
        let verdict = report.verdict(&updates, || Ok(BTreeMap::new()), failed);
        assert!(matches!(verdict, Err(PushError::Rejected { .. })), "{verdict:?}");
        report.take("ok refs/heads/main");
        assert!(report.verdict(&updates, || Ok(BTreeMap::new()), failed).is_ok());
    }
}
