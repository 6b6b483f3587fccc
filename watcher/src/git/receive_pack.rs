//! Pushing to a repository on this machine through its own `git receive-pack`.
//!
//! libgit2's local push writes the other repository's refs itself: without its hooks, without comparing what it
//! overwrites, and only into bare ones. `git receive-pack` is what every git server runs: it compares and swaps, moves
//! all refs or none, and runs the hooks and rules of its owner. It is spoken to in git's pack protocol, version 0.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::error::{Fault, GitError, classify, classify_io};
use super::pack;
use super::reach;
use super::refs::{PushError, RefUpdate, names};
use super::repository::Repository;
use super::revision::Revision;

const NOTHING: &str = "0000000000000000000000000000000000000000";

/// What the other side must be able to do: report on each ref, tell what hooks print and nothing else, move all or none.
const NEEDED: [&str; 4] = ["report-status", "side-band-64k", "quiet", "atomic"];

/// A packet's length stands in four digits before it, which it includes.
const LENGTH_DIGITS: usize = 4;

/// Pushes `updates` from `repository` to the repository at `path`; all of them, or none.
pub(super) fn push(repository: &Repository, path: &Path, updates: &[RefUpdate]) -> Result<(), PushError> {
    let failed = |fault| repository.error(format!("push {} to `{}`", names(updates), path.display()), fault);
    let mut session = Session::start(path).map_err(failed)?;
    if let Some(lost) = lost_lease(updates, &session.refs) {
        session.leave();
        return Err(lost);
    }
    let report = session.send(repository, updates).map_err(failed)?;
    report.verdict(
        updates,
        || {
            let mut session = Session::start(path)?;
            session.leave();
            Ok(std::mem::take(&mut session.refs))
        },
        failed,
    )
}

fn lost_lease(updates: &[RefUpdate], refs: &BTreeMap<String, Revision>) -> Option<PushError> {
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
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
    output: BufReader<ChildStdout>,
    errors: std::fs::File,
    refs: BTreeMap<String, Revision>,
}

impl Session {
    fn start(path: &Path) -> Result<Self, Fault> {
        let errors = tempfile::tempfile().map_err(classify_io)?;
        let stderr = errors.try_clone().map_err(classify_io)?;
        let mut child = Command::new("git")
            .arg("receive-pack")
            .arg(path)
            // These would point the other side at this repository, or change the protocol.
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .env_remove("GIT_OBJECT_DIRECTORY")
            .env_remove("GIT_PROTOCOL")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(no_git)?;
        let input = child.stdin.take().map(BufWriter::new);
        let output = child.stdout.take().map(BufReader::new).expect("standard output is piped");
        let mut session = Self { child, input, output, errors, refs: BTreeMap::new() };
        session.read_refs().map_err(|fault| session.explain(fault))?;
        Ok(session)
    }

    fn read_refs(&mut self) -> Result<(), Fault> {
        let mut capabilities = BTreeSet::new();
        while let Some(packet) = read_packet(&mut self.output)? {
            let line = String::from_utf8_lossy(&packet).trim_end().to_owned();
            let (line, offered) = line.split_once('\0').unwrap_or((&line, ""));
            capabilities.extend(offered.split(' ').map(str::to_owned));
            if let Some((id, name)) = line.split_once(' ')
                && let Ok(revision) = Revision::parse(id)
                && name.starts_with("refs/")
            {
                self.refs.insert(name.to_owned(), revision);
            }
        }
        match NEEDED.iter().find(|needed| !capabilities.contains(**needed)) {
            Some(missing) => Err(protocol(format!("the other side's git does not offer `{missing}`"))),
            None => Ok(()),
        }
    }

    fn send(mut self, repository: &Repository, updates: &[RefUpdate]) -> Result<Report, Fault> {
        let sent = self.send_commands(updates).and_then(|()| {
            if updates.iter().any(|update| update.new.is_some()) {
                self.send_pack(repository, updates)?;
            }
            Ok(())
        });
        // The other side may hang up early; its own words say more than the broken pipe.
        self.input = None;
        let report = sent.and_then(|()| Report::read(&mut self.output)).map_err(|fault| self.explain(fault));
        self.child.wait().map_err(classify_io)?;
        report
    }

    fn send_commands(&mut self, updates: &[RefUpdate]) -> Result<(), Fault> {
        let agent = concat!("agent=fleetwright/", env!("CARGO_PKG_VERSION"));
        let mut capabilities = format!("\0{} {agent}", NEEDED.join(" "));
        for update in updates {
            let id = |revision: Option<Revision>| revision.map_or_else(|| NOTHING.into(), String::from);
            let line = format!("{} {} {}{capabilities}\n", id(update.expected), id(update.new), update.name);
            capabilities.clear();
            self.write(format!("{:04x}{line}", line.len() + LENGTH_DIGITS).as_bytes())?;
        }
        self.write(b"0000")
    }

    /// Sends every object that the new revisions reach and that no ref of the other side reaches.
    fn send_pack(&mut self, repository: &Repository, updates: &[RefUpdate]) -> Result<(), Fault> {
        let new: Vec<Revision> = updates.iter().filter_map(|update| update.new).collect();
        let objects = reach::new_objects(&repository.inner, &new, self.refs.values().copied())
            .map_err(|error| classify(error, repository.is_shallow()))?;
        let input = self.input.as_mut().ok_or_else(|| protocol("the connection is closed"))?;
        pack::write(&objects, input).map_err(classify_io)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let input = self.input.as_mut().ok_or_else(|| protocol("the connection is closed"))?;
        input.write_all(bytes).map_err(classify_io)
    }

    /// Ends a session in which nothing is pushed.
    fn leave(&mut self) {
        // Whether the goodbye arrives makes no difference: the other side also stops at the end of its input.
        let _ = self.write(b"0000");
        self.input = None;
        let _ = self.child.wait();
    }

    /// Prefers what the other side printed over what was seen of it here.
    fn explain(&mut self, fault: Fault) -> Fault {
        use std::io::Seek;
        self.input = None;
        let _ = self.child.wait();
        let mut told = String::new();
        let read = self.errors.rewind().and_then(|()| self.errors.read_to_string(&mut told));
        match told.trim() {
            "" => fault,
            _ if read.is_err() => fault,
            told if told.contains("dubious ownership") => Fault::ForeignOwner,
            told if told.contains("not appear to be a git repository") => Fault::NotARepository,
            told => protocol(told.to_owned()),
        }
    }
}

fn no_git(error: std::io::Error) -> Fault {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Fault::Other {
            message: "the `git` program, which receives a push to another repository, is not installed"
                .into(),
            source: Box::new(error),
        };
    }
    classify_io(error)
}

fn protocol(message: impl Into<String>) -> Fault {
    Fault::Protocol { message: message.into() }
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
    fn read(output: &mut impl Read) -> Result<Self, Fault> {
        let mut report = Self::default();
        let mut status = Vec::new();
        while let Some(packet) = read_packet(output)? {
            match packet.split_first() {
                Some((1, bytes)) => status.extend_from_slice(bytes),
                Some((2, bytes)) => report.told.push_str(&String::from_utf8_lossy(bytes)),
                Some((_, bytes)) => return Err(protocol(String::from_utf8_lossy(bytes).trim())),
                None => {}
            }
        }
        let mut status = status.as_slice();
        while let Some(packet) = read_packet(&mut status)? {
            report.take(String::from_utf8_lossy(&packet).trim_end());
        }
        Ok(report)
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
        look_again: impl FnOnce() -> Result<BTreeMap<String, Revision>, Fault>,
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

/// Reads one packet, or `None` at a flush.
fn read_packet(input: &mut impl Read) -> Result<Option<Vec<u8>>, Fault> {
    let mut digits = [0; LENGTH_DIGITS];
    input.read_exact(&mut digits).map_err(|_| protocol("the other side ended the conversation early"))?;
    let length = std::str::from_utf8(&digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
    match length {
        Some(0) => Ok(None),
        Some(length) if length >= LENGTH_DIGITS => {
            let mut packet = vec![0; length - LENGTH_DIGITS];
            input.read_exact(&mut packet).map_err(classify_io)?;
            Ok(Some(packet))
        }
        _ => Err(protocol("the other side does not speak git's pack protocol")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_carry_their_length_and_a_flush_ends_them() {
        let mut input: &[u8] = b"0009hello0000";
        assert_eq!(read_packet(&mut input).unwrap().as_deref(), Some(b"hello".as_slice()));
        assert_eq!(read_packet(&mut input).unwrap(), None);
        for bad in ["", "00", "0009hel", "000", "0001", "zzzz"] {
            assert!(read_packet(&mut bad.as_bytes()).is_err(), "{bad:?} was accepted");
        }
    }

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
