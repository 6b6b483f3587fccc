//! Pushing to another repository: all refs move, each from where it was seen, or none does.
//!
//! libgit2's own push writes a repository on this machine behind the back of its hooks, compares nothing with what it
//! overwrites, and takes a hook's refusal for success. `git receive-pack` is what every git server runs: it compares
//! and swaps, moves all refs or none, and runs the hooks and rules of its owner. Its protocol has
//! only version 0.

use std::io::Write;

use crate::git::error::{Fault, GitError};
use crate::git::history::reach;
use crate::git::objects::pack;
use crate::git::objects::refs::{RefUpdate, Refs, name_taken, names};
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

use super::address::Remote;
use super::conversation::Conversation;
use super::greeting::Greeting;
use super::packet::{self, SideBand, broken_off, write_flush, write_line};
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
    pub(in crate::git) fn push(&self, here: &Repository, updates: &[RefUpdate]) -> Result<(), GitError> {
        let report = Conversation::hold(self, Service::ReceivePack, |conversation| {
            let greeting = Greeting::read(&mut conversation.reader())?;
            let lost = lost_lease(updates, &greeting.refs);
            if let Some(fault) = lost.or_else(|| name_taken(updates.iter(), &greeting.refs)) {
                return Ok(Err(fault));
            }
            let capabilities = capabilities(&greeting, updates)?;
            conversation.ask(|out| {
                write_commands(updates, &capabilities, out)?;
                write_pack(here, updates, &greeting.refs, out)
            })?;
            Report::read(conversation).map(Ok)
        });
        let moved = report.flatten().and_then(|report| report.judge(updates, || self.refs_for_pushing()));
        moved.map_err(|fault| here.error(format!("push {} to `{self}`", names(updates)), fault))
    }

    fn refs_for_pushing(&self) -> Result<Refs, Fault> {
        Conversation::hold(self, Service::ReceivePack, |conversation| {
            Ok(Greeting::read(&mut conversation.reader())?.refs)
        })
    }
}

fn lost_lease(updates: &[RefUpdate], refs: &Refs) -> Option<Fault> {
    updates.iter().find_map(|update| {
        let found = refs.get(&update.name).copied();
        (found != update.expected).then(|| Fault::lease_lost(&update.name, update.expected, found))
    })
}

/// Returns what is asked of the other side, if it can do it.
fn capabilities(greeting: &Greeting, updates: &[RefUpdate]) -> Result<String, Fault> {
    let needed: Vec<_> =
        NEEDED.into_iter().chain((updates.len() > 1).then_some(NEEDED_FOR_SEVERAL)).collect();
    if let Some(missing) = needed.iter().find(|needed| !greeting.offers(needed)) {
        return Err(Fault::transient(format!("the other side's git does not offer `{missing}`")));
    }
    let wanted = greeting.offers(WANTED).then_some(WANTED);
    let agent = concat!("agent=fleetwright/", env!("CARGO_PKG_VERSION"));
    Ok(needed.into_iter().chain(wanted).chain([agent]).collect::<Vec<_>>().join(" "))
}

fn write_commands(updates: &[RefUpdate], capabilities: &str, out: &mut dyn Write) -> Result<(), Fault> {
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
) -> Result<(), Fault> {
    let new: Vec<Revision> = updates.iter().filter_map(|update| update.new).collect();
    if new.is_empty() {
        return Ok(());
    }
    let objects = reach::new_objects(here, &new, there.values().copied());
    pack::write(&objects.map_err(|error| here.classify(&error))?, out).map_err(|error| broken_off(&error))
}

/// What the other side reports after a push.
struct Report {
    lines: Vec<String>,
    printed: String,
}

impl Report {
    fn read(conversation: &mut Conversation) -> Result<Self, Fault> {
        let pace = conversation.content_pace();
        let reader = &mut conversation.reader();
        let mut band = SideBand::new(reader, pace);
        let lines = read_report(&band.read_to_end(MAX_REPORT_BYTES)?)?;
        Ok(Self { lines, printed: band.printed() })
    }

    /// Judges the push. A ref that the report does not mention did not move.
    fn judge(
        &self,
        updates: &[RefUpdate],
        look_again: impl FnOnce() -> Result<Refs, Fault>,
    ) -> Result<(), Fault> {
        let is_accepted = |update: &RefUpdate| self.lines.contains(&format!("ok {}", update.name));
        if updates.iter().all(is_accepted) {
            return Ok(());
        }
        let unpacked = self.lines.iter().find_map(|line| line.strip_prefix("unpack ")).unwrap_or_default();
        if unpacked != "ok" {
            return Err(Fault::transient(format!("the other side could not unpack: {unpacked}")));
        }
        // A refusal reads the same whether a rule objects or another push was faster; where the refs are now shows
        // it.
        if let Some(lost) = lost_lease(updates, &look_again()?) {
            return Err(lost);
        }
        let mut refused = self.lines.iter().filter_map(|line| line.strip_prefix("ng ")?.split_once(' '));
        let first = updates.first().map_or("", |update| update.name.as_str());
        let (name, reason) = refused
            .find(|(_, reason)| !reason.starts_with("atomic"))
            .unwrap_or((first, "the other side gives no reason"));
        let printed = Some(self.printed.trim()).filter(|printed| !printed.is_empty());
        let printed = printed.map(|printed| format!(": {printed}")).unwrap_or_default();
        let hint = "change what the rule objects to, or allow the user that runs this to push";
        Err(Fault::stalled(format!("`{name}` was rejected: {reason}{printed}"), hint))
    }
}

/// Reads the lines of a report.
pub(in crate::git) fn read_report(mut bytes: &[u8]) -> Result<Vec<String>, Fault> {
    let mut lines = Vec::new();
    packet::read_list(&mut bytes, |line| {
        lines.push(line.to_owned());
        Ok(())
    })?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::FaultKind;

    #[test]
    fn a_ref_that_the_report_leaves_out_did_not_move() {
        let updates = [RefUpdate::branch("main", None, None)];
        let mut report = Report { lines: vec!["unpack ok".into()], printed: String::new() };
        let fault = report.judge(&updates, || Ok(Refs::new())).unwrap_err();
        let expected = "`refs/heads/main` was rejected: the other side gives no reason";
        assert_eq!((fault.kind, &*fault.message), (FaultKind::Stalled, expected));
        report.lines.push("ok refs/heads/main".into());
        assert!(report.judge(&updates, || Ok(Refs::new())).is_ok());
    }
}
