//! Pushing to another repository: all refs move, each from where it was seen, or none does.
//!
//! libgit2's own push writes a repository on this machine behind the back of its hooks, compares nothing with what it
//! overwrites, and takes a hook's refusal for success. `git receive-pack` is what every git server runs: it compares
//! and swaps, moves all refs or none, and runs the hooks and rules of its owner. Its protocol has
//! only version 0.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use crate::git::error::GitError;
use crate::git::history::reach;
use crate::git::objects::pack;
use crate::git::objects::refs::{PushError, RefUpdate, Refs, name_taken, names};
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

use super::address::Remote;
use super::conversation::Conversation;
use super::error::RemoteError;
use super::greeting::Greeting;
use super::packet::{Packet, SideBand, write_flush, write_line};
use super::service::Service;

const NOTHING: &str = "0000000000000000000000000000000000000000";

/// What the other side must be able to do: report on each ref, and keep apart what hooks print.
const NEEDED: [&str; 2] = ["report-status", "side-band-64k"];

/// What it must be able to do when several refs move together: move all or none.
const NEEDED_FOR_SEVERAL: &str = "atomic";

/// What keeps its progress to itself, if it can.
const WANTED: &str = "quiet";

/// A report has a line a ref; this is far more than any push moves.
const MAX_REPORT_BYTES: usize = 4 << 20;

impl Remote {
    /// Moves refs there if every one still stands where it was expected; otherwise none moves.
    pub(in crate::git) fn push(&self, here: &Repository, updates: &[RefUpdate]) -> Result<(), PushError> {
        let failed = |error: RemoteError| here.error(format!("push {} to `{self}`", names(updates)), error);
        let report = Conversation::hold(self, Service::ReceivePack, |conversation| {
            let greeting = Greeting::read(&mut conversation.reader())?;
            if let Some(lost) = lost_lease(updates, &greeting.refs) {
                return Ok(Err(lost));
            }
            if let Some(taken) = name_taken(updates.iter(), &greeting.refs) {
                return Ok(Err(failed(taken.into()).into()));
            }
            let capabilities = capabilities(&greeting, updates)?;
            conversation.ask(|out| {
                write_commands(updates, &capabilities, out)?;
                write_pack(here, updates, &greeting.refs, out)
            })?;
            Report::read(conversation).map(Ok)
        });
        report.map_err(failed)??.judge(updates, || self.refs_for_pushing(), failed)
    }

    fn refs_for_pushing(&self) -> Result<Refs, RemoteError> {
        Conversation::hold(self, Service::ReceivePack, |conversation| {
            Ok(Greeting::read(&mut conversation.reader())?.refs)
        })
    }
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

/// Returns what is asked of the other side, if it can do it.
fn capabilities(greeting: &Greeting, updates: &[RefUpdate]) -> Result<String, RemoteError> {
    let needed: Vec<_> =
        NEEDED.into_iter().chain((updates.len() > 1).then_some(NEEDED_FOR_SEVERAL)).collect();
    if let Some(missing) = needed.iter().find(|needed| !greeting.offers(needed)) {
        return Err(RemoteError::protocol(format!("the other side's git does not offer `{missing}`")));
    }
    let wanted = greeting.offers(WANTED).then_some(WANTED);
    let agent = concat!("agent=fleetwright/", env!("CARGO_PKG_VERSION"));
    Ok(needed.into_iter().chain(wanted).chain([agent]).collect::<Vec<_>>().join(" "))
}

fn write_commands(updates: &[RefUpdate], capabilities: &str, out: &mut dyn Write) -> Result<(), RemoteError> {
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

/// Writes every object that the new revisions reach and that no ref of the other side reaches, if there are new ones.
fn write_pack(
    here: &Repository,
    updates: &[RefUpdate],
    there: &Refs,
    out: &mut dyn Write,
) -> Result<(), RemoteError> {
    let new: Vec<Revision> = updates.iter().filter_map(|update| update.new).collect();
    if new.is_empty() {
        return Ok(());
    }
    let objects = reach::new_objects(here, &new, there.values().copied());
    pack::write(&objects.map_err(|error| here.classify(&error))?, out)
        .map_err(|error| RemoteError::broken_off(&error))
}

/// What the other side reports after a push.
#[derive(Debug, Default)]
struct Report {
    unpack: String,
    refused: BTreeMap<String, String>,
    accepted: BTreeSet<String>,
    printed: String,
}

impl Report {
    fn read(conversation: &mut Conversation) -> Result<Self, RemoteError> {
        let mut report = Self::default();
        let pace = conversation.content_pace();
        let reader = &mut conversation.reader();
        let mut band = SideBand::new(reader, pace);
        let lines = band.read_to_end(MAX_REPORT_BYTES)?;
        report.printed = band.printed();
        report.take_lines(&lines)?;
        Ok(report)
    }

    fn take_lines(&mut self, mut lines: &[u8]) -> Result<(), RemoteError> {
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
    fn judge(
        &self,
        updates: &[RefUpdate],
        look_again: impl FnOnce() -> Result<Refs, RemoteError>,
        failed: impl Fn(RemoteError) -> GitError,
    ) -> Result<(), PushError> {
        if updates.iter().all(|update| self.accepted.contains(&update.name)) {
            return Ok(());
        }
        if self.unpack != "ok" {
            return Err(failed(RemoteError::protocol(format!(
                "the other side could not unpack: {}",
                self.unpack
            )))
            .into());
        }
        // A refusal reads the same whether a rule objects or another push was faster; where the refs are now shows
        // it.
        if let Some(lost) = lost_lease(updates, &look_again().map_err(failed)?) {
            return Err(lost);
        }
        let first = updates.first().map(|update| update.name.clone()).unwrap_or_default();
        let (name, reason) = match self.refused.iter().find(|(_, reason)| !reason.starts_with("atomic")) {
            Some((name, reason)) => (name.clone(), reason.clone()),
            None => (first, "the other side gives no reason".into()),
        };
        let reason = match self.printed.trim() {
            "" => reason,
            printed => format!("{reason}: {printed}"),
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
        let failed = |error: RemoteError| GitError {
            repository: "r".into(),
            attempt: "push".into(),
            fault: error.into(),
        };
        let verdict = report.judge(&updates, || Ok(BTreeMap::new()), failed);
        assert!(matches!(verdict, Err(PushError::Rejected { .. })), "{verdict:?}");
        report.take("ok refs/heads/main");
        assert!(report.judge(&updates, || Ok(BTreeMap::new()), failed).is_ok());
    }
}
