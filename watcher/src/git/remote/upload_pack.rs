//! Reading from another repository: where its refs are, and the objects that are missing here.
//!
//! libgit2 brings its own way to fetch, which page 0009 of the design weighs: it reaches no server over TLS without
//! OpenSSL, lists every ref of a repository, and takes seconds where git takes tenths of one. The part of git's
//! protocol that a reader needs is small: version 2, and version 0 for servers that know no other.
//!
//! Everything that is here is offered at once, so there is one question and one answer. A server whose history was
//! rewritten further back than what is offered sends more than it needed to, and nothing worse.

use std::collections::BTreeSet;
use std::io::Write;

use crate::git::error::{Fault, FaultKind, GitError};
use crate::git::history::graph::Graph;
use crate::git::objects::refs::{Refs, is_called};
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

use super::address::Remote;
use super::conversation::Conversation;
use super::greeting::{Greeting, read_ref, shallow};
use super::packet::{self, Packet, SideBand, write_delimiter, write_flush, write_line};
use super::service::{MAX_PACK_BYTES, Service};

/// How many commits are offered as known. Fewer than the bytes that a pipe holds, so that neither side waits for the
/// other to read.
const MAX_HAVES: usize = 256;

const AGENT: &str = concat!("agent=fleetwright/", env!("CARGO_PKG_VERSION"));

/// What a fetch brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::git) enum Bring {
    /// Where refs are, and nothing that they name.
    Refs,
    /// Where refs are, and every object that they reach and that is not here.
    Objects,
}

/// What another repository has.
#[derive(Debug, Default)]
pub(in crate::git) struct Fetched {
    /// Where the refs are that were asked for.
    pub(in crate::git) refs: Refs,
    /// The ref that HEAD stands for, if it stands for one.
    pub(in crate::git) head: Option<String>,
}

impl Remote {
    /// Fetches what the refs called `names` are and name into `here`; a name that ends in `/` stands for all that are
    /// below it.
    pub(in crate::git) fn fetch(
        &self,
        here: &Repository,
        names: &[String],
        bring: Bring,
    ) -> Result<Fetched, GitError> {
        if let Self::Path(path) = self {
            let there = Repository::open(path)?;
            let refs = there.refs_called(names)?;
            let odb = here.inner.odb().map_err(here.failed("look for objects"))?;
            if bring == Bring::Refs || refs.values().all(|revision| odb.exists(revision.oid())) {
                let head = there.head_branch().ok().map(|branch| format!("refs/heads/{branch}"));
                return Ok(Fetched { refs, head });
            }
        }
        let attempt = match bring {
            Bring::Refs => "read the refs of",
            Bring::Objects => "fetch from",
        };
        Conversation::hold(self, Service::UploadPack, |conversation| {
            fetch_over(conversation, here, names, bring)
        })
        .map_err(|error| here.error(format!("{attempt} `{self}`"), error))
    }
}

fn fetch_over(
    conversation: &mut Conversation,
    here: &Repository,
    names: &[String],
    bring: Bring,
) -> Result<Fetched, Fault> {
    let mut greeting = Greeting::read(&mut conversation.reader())?;
    let mut found = if greeting.is_version_2 {
        greeting.ls_refs(conversation, names)?
    } else {
        let head = greeting.value_of("symref=HEAD:").map(str::to_owned);
        Fetched { refs: std::mem::take(&mut greeting.refs), head }
    };
    // A prefix is a request; the other side may show more.
    found.refs.retain(|name, _| names.iter().any(|wanted| is_called(name, wanted)));
    if bring == Bring::Objects {
        let question = Question::new(here, &found.refs)?;
        if !question.wants.is_empty() {
            conversation.ask(|out| greeting.write(&question, out))?;
            skip_to_pack(conversation)?;
            store_pack(conversation, here)?;
        }
    }
    Ok(found)
}

/// What is missing here, and what is here already.
struct Question {
    wants: BTreeSet<Revision>,
    haves: Vec<Revision>,
    /// Commits whose parents a shallow clone leaves out.
    shallow: Vec<String>,
}

impl Question {
    fn new(here: &Repository, refs: &Refs) -> Result<Self, Fault> {
        let failed = |error| here.classify(&error);
        let odb = here.inner.odb().map_err(failed)?;
        let wants: BTreeSet<_> =
            refs.values().filter(|revision| !odb.exists(revision.oid())).copied().collect();
        let haves = if wants.is_empty() { Vec::new() } else { haves(here).map_err(failed)? };
        Ok(Self { wants, haves, shallow: here.boundary()? })
    }
}

/// Returns the newest commits that any ref here reaches.
fn haves(here: &Repository) -> Result<Vec<Revision>, git2::Error> {
    let mut tips = Vec::new();
    for reference in here.inner.references()? {
        // Refs that name no commit, or one that is gone, have nothing to offer.
        let tip = reference.ok().and_then(|reference| reference.target()).map(Revision::from);
        tips.extend(tip.filter(|tip| here.has(*tip)));
    }
    Graph::new(here)?.newest(&tips, MAX_HAVES)
}

impl Greeting {
    /// Asks for refs, in version 2.
    fn ls_refs(&self, conversation: &mut Conversation, names: &[String]) -> Result<Fetched, Fault> {
        conversation.ask(|out| {
            self.write_command("ls-refs", out)?;
            write_line(out, "symrefs\n")?;
            for name in names.iter().map(String::as_str).chain(["HEAD"]) {
                write_line(out, &format!("ref-prefix {name}\n"))?;
            }
            write_flush(out)
        })?;
        let mut found = Fetched::default();
        packet::read_list(&mut conversation.reader(), |line| {
            found.refs.extend(read_ref(line));
            let mut words = line.split(' ').skip(1);
            if words.next() == Some("HEAD") {
                found.head = words.find_map(|word| word.strip_prefix("symref-target:")).map(str::to_owned);
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn write_command(&self, command: &str, out: &mut dyn Write) -> Result<(), Fault> {
        write_line(out, &format!("command={command}\n"))?;
        if self.offers("agent") {
            write_line(out, &format!("{AGENT}\n"))?;
        }
        write_delimiter(out)
    }

    /// Writes the one question. In version 2 options stand before the wants; in version 0, behind the first of them.
    fn write(&self, question: &Question, out: &mut dyn Write) -> Result<(), Fault> {
        const OPTIONS: [&str; 3] = ["thin-pack", "ofs-delta", "no-progress"];
        let mut options = String::new();
        if self.is_version_2 {
            self.write_command("fetch", out)?;
            OPTIONS.iter().try_for_each(|option| write_line(out, &format!("{option}\n")))?;
        } else {
            let offered = OPTIONS.into_iter().chain(["side-band-64k"]).filter(|option| self.offers(option));
            let agent = self.offers("agent").then_some(AGENT);
            options.extend(offered.chain(agent).flat_map(|option| [" ", option]));
        }
        for want in &question.wants {
            write_line(out, &format!("want {want}{options}\n"))?;
            options.clear();
        }
        question.shallow.iter().try_for_each(|id| write_line(out, &format!("shallow {id}\n")))?;
        if !self.is_version_2 {
            write_flush(out)?;
        }
        question.haves.iter().try_for_each(|have| write_line(out, &format!("have {have}\n")))?;
        write_line(out, "done\n")?;
        if self.is_version_2 { write_flush(out) } else { Ok(()) }
    }
}

/// Reads up to where the pack begins: behind a title in version 2, and behind an acknowledgement in version 0.
fn skip_to_pack(conversation: &mut Conversation) -> Result<(), Fault> {
    let reader = &mut conversation.reader();
    loop {
        let line = match Packet::read(reader)? {
            Packet::Line(line) => String::from_utf8_lossy(&line).trim_end().to_owned(),
            Packet::Delimiter => continue,
            Packet::Flush | Packet::End => {
                return Err(Fault::transient("the other side sends no objects"));
            }
        };
        match line.as_str() {
            "packfile" | "NAK" => return Ok(()),
            line if line.starts_with("ACK ") => return Ok(()),
            line if line.starts_with("shallow ") => return Err(shallow()),
            line if line.starts_with("ERR ") => {
                return Err(Fault::transient(format!("the other side reports: {}", &line[4..])));
            }
            _ => {}
        }
    }
}

/// Feeds the pack to libgit2's indexer, which checks every object and completes what builds on objects that are here.
fn store_pack(conversation: &mut Conversation, here: &Repository) -> Result<(), Fault> {
    let failed = |error| here.classify(&error);
    let odb = here.inner.odb().map_err(failed)?;
    let mut writer = odb.packwriter().map_err(failed)?;
    let pace = conversation.content_pace();
    let reader = &mut conversation.reader();
    let mut band = SideBand::new(reader, pace);
    let mut left = MAX_PACK_BYTES;
    while let Some(chunk) = band.next_chunk()? {
        left = left.checked_sub(chunk.len() as u64).ok_or_else(|| {
            let most = MAX_PACK_BYTES >> 30;
            Fault::transient(format!("the other side's pack has more than {most} GiB"))
        })?;
        writer.write_all(&chunk).map_err(|error| unsound_pack(&error.to_string()))?;
    }
    writer.commit().map(drop).map_err(failed).map_err(|fault| match fault.kind {
        FaultKind::Damaged | FaultKind::Stalled => unsound_pack(&fault.message),
        _ => fault,
    })
}

fn unsound_pack(message: &str) -> Fault {
    Fault::of_system(message).unwrap_or_else(|| {
        let message = format!("the objects that the other side sent are not sound: {message}");
        Fault::without_hint(FaultKind::UnsoundPack, message)
    })
}
