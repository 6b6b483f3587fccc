//! Reading from another repository: where its refs are, and the objects that are missing here.
//!
//! libgit2 brings its own way to fetch, but reaches no server over TLS without OpenSSL, takes seconds where git takes
//! tenths of one, and tells a wrong password and a lost connection apart by the words of a message. The part of git's
//! protocol that a reader needs is small: version 2, and version 0 for servers that know no other.
//!
//! Everything that is here is offered at once, so there is one question and one answer. A server whose history was
//! rewritten further back than what is offered sends more than it needed to, and nothing worse.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::conversation::{Conversation, Remote, Service};
use super::packet::{self, Packet, SideBand, broken_off, protocol, write_delimiter, write_flush, write_line};
use crate::git::error::Fault;
use crate::git::history::graph::Graph;
use crate::git::objects::classify::{classify, classify_io, of_system};
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

/// How many commits are offered as known. Fewer than the bytes that a pipe holds, so that neither side waits for the
/// other to read.
const MAX_HAVES: usize = 256;

/// The largest pack that is taken: far above any fleet, and below what fills a disk unnoticed.
pub(in crate::git) const MAX_PACK_BYTES: u64 = 8 << 30;

/// A ref with a longer name, or part of one, cannot be kept as a file; a branch that is read here has none.
const MAX_NAME_BYTES: usize = 1_000;
const MAX_NAME_PART_BYTES: usize = 240;

const AGENT: &str = concat!("agent=fleetwright/", env!("CARGO_PKG_VERSION"));

/// Where refs are, by their full names.
pub(in crate::git) type Refs = BTreeMap<String, Revision>;

/// Returns where the refs called `names` are; a name that ends in `/` stands for all that are below it.
pub(in crate::git) fn list(remote: &Remote, names: &[String]) -> Result<Refs, Fault> {
    let mut conversation = remote.converse(Service::UploadPack)?;
    match Dialect::hear(&mut conversation).and_then(|mut dialect| dialect.refs(&mut conversation, names)) {
        Ok(refs) => {
            conversation.leave();
            Ok(refs)
        }
        Err(fault) => Err(conversation.explain(fault)),
    }
}

/// Returns the branch that the other side's HEAD is on, if it says so.
pub(in crate::git) fn head_branch(remote: &Remote) -> Result<Option<String>, Fault> {
    let mut conversation = remote.converse(Service::UploadPack)?;
    match Dialect::hear(&mut conversation).and_then(|dialect| dialect.head(&mut conversation)) {
        Ok(head) => {
            conversation.leave();
            Ok(head.and_then(|name| name.strip_prefix("refs/heads/").map(str::to_owned)))
        }
        Err(fault) => Err(conversation.explain(fault)),
    }
}

/// Brings what the refs called `names` reach into `repository`, and returns where they are; a name that ends in `/` stands for
/// all that are below it.
pub(in crate::git) fn fetch(
    remote: &Remote,
    repository: &Repository,
    names: &[String],
) -> Result<Refs, Fault> {
    let mut conversation = remote.converse(Service::UploadPack)?;
    match fetch_in(&mut conversation, repository, names) {
        Ok((refs, is_asked)) => {
            if !is_asked {
                conversation.leave();
            }
            Ok(refs)
        }
        Err(fault) => Err(conversation.explain(fault)),
    }
}

fn fetch_in(
    conversation: &mut Conversation,
    repository: &Repository,
    names: &[String],
) -> Result<(Refs, bool), Fault> {
    let mut dialect = Dialect::hear(conversation)?;
    let refs = dialect.refs(conversation, names)?;
    let question = Question::new(repository, &refs)?;
    if question.wants.is_empty() {
        return Ok((refs, false));
    }
    conversation.ask(|out| dialect.write(&question, out).map_err(|error| broken_off(&error)))?;
    dialect.skip_to_pack(conversation)?;
    store_pack(conversation, repository)?;
    Ok((refs, true))
}

/// What is missing here, and what is here already.
struct Question {
    wants: BTreeSet<Revision>,
    haves: Vec<Revision>,
    /// Commits whose parents a shallow clone leaves out.
    shallow: Vec<String>,
}

impl Question {
    fn new(repository: &Repository, refs: &Refs) -> Result<Self, Fault> {
        let failed = |error| classify(error, repository.completeness());
        let odb = repository.inner.odb().map_err(failed)?;
        let wants: BTreeSet<_> =
            refs.values().filter(|revision| !odb.exists(revision.oid())).copied().collect();
        let haves = if wants.is_empty() { Vec::new() } else { haves(repository).map_err(failed)? };
        Ok(Self { wants, haves, shallow: repository.boundary().map_err(classify_io)? })
    }
}

/// Returns the newest commits that any ref here reaches.
fn haves(repository: &Repository) -> Result<Vec<Revision>, git2::Error> {
    let mut tips = Vec::new();
    for reference in repository.inner.references()? {
        // Refs that name no commit, or one that is gone, have nothing to offer.
        let tip = reference.ok().and_then(|reference| reference.target()).map(Revision::from_oid);
        tips.extend(tip.filter(|tip| repository.has(*tip)));
    }
    Graph::new(repository)?.newest(&tips, MAX_HAVES)
}

/// How the other side speaks, which its greeting shows.
enum Dialect {
    /// Version 2 shows refs when asked, and takes commands.
    Two { capabilities: Vec<String> },
    /// Version 0 shows all refs in its greeting.
    Zero { capabilities: Vec<String>, refs: Refs },
}

impl Dialect {
    fn hear(conversation: &mut Conversation) -> Result<Self, Fault> {
        let reader = &mut conversation.reader();
        let first = packet::read_greeting(reader)?;
        if first.as_deref() == Some("version 2") {
            let mut capabilities = Vec::new();
            packet::read_list(reader, |line| {
                capabilities.push(line.to_owned());
                Ok(())
            })?;
            return only_sha1(&capabilities).map(|()| Self::Two { capabilities });
        }
        let Greeting { refs, capabilities } = Greeting::read(first, reader)?;
        only_sha1(&capabilities).map(|()| Self::Zero { capabilities, refs })
    }

    fn refs(&mut self, conversation: &mut Conversation, names: &[String]) -> Result<Refs, Fault> {
        // A prefix is a request; the other side may show more.
        let is_wanted = |name: &str| names.iter().any(|wanted| is_called(name, wanted));
        if let Self::Zero { refs, .. } = self {
            let mut refs = std::mem::take(refs);
            refs.retain(|name, _| is_wanted(name));
            return Ok(refs);
        }
        conversation.ask(|out| self.write_ls_refs(names, out).map_err(|error| broken_off(&error)))?;
        let mut refs = Refs::new();
        packet::read_list(&mut conversation.reader(), |line| {
            refs.extend(read_ref(line).filter(|(name, _)| is_wanted(name)));
            Ok(())
        })?;
        Ok(refs)
    }

    /// Returns the ref that HEAD stands for.
    fn head(&self, conversation: &mut Conversation) -> Result<Option<String>, Fault> {
        if let Self::Zero { capabilities, .. } = self {
            return Ok(capabilities
                .iter()
                .find_map(|line| line.strip_prefix("symref=HEAD:"))
                .map(str::to_owned));
        }
        conversation
            .ask(|out| self.write_ls_refs(&["HEAD".to_owned()], out).map_err(|error| broken_off(&error)))?;
        let mut head = None;
        packet::read_list(&mut conversation.reader(), |line| {
            let mut words = line.split(' ').skip(1);
            if words.next() == Some("HEAD") {
                head = words.find_map(|word| word.strip_prefix("symref-target:")).map(str::to_owned);
            }
            Ok(())
        })?;
        Ok(head)
    }

    fn write_ls_refs(&self, names: &[String], out: &mut dyn Write) -> std::io::Result<()> {
        self.write_command("ls-refs", out)?;
        write_line(out, "symrefs\n")?;
        for name in names {
            write_line(out, &format!("ref-prefix {name}\n"))?;
        }
        write_flush(out)
    }

    fn write_command(&self, command: &str, out: &mut dyn Write) -> std::io::Result<()> {
        write_line(out, &format!("command={command}\n"))?;
        if self.offers("agent") {
            write_line(out, &format!("{AGENT}\n"))?;
        }
        write_delimiter(out)
    }

    fn offers(&self, wanted: &str) -> bool {
        let (Self::Two { capabilities } | Self::Zero { capabilities, .. }) = self;
        capabilities.iter().any(|offered| offered.split('=').next() == Some(wanted))
    }

    fn write(&self, question: &Question, out: &mut dyn Write) -> std::io::Result<()> {
        match self {
            Self::Two { .. } => {
                self.write_command("fetch", out)?;
                for option in ["thin-pack\n", "ofs-delta\n", "no-progress\n"] {
                    write_line(out, option)?;
                }
                question.write_wants("", out)?;
                question.write_haves(out)?;
                write_line(out, "done\n")?;
                write_flush(out)
            }
            Self::Zero { .. } => {
                let offered = ["side-band-64k", "thin-pack", "ofs-delta", "no-progress"].into_iter();
                let offered =
                    offered.filter(|option| self.offers(option)).chain(self.offers("agent").then_some(AGENT));
                let options = offered.fold(String::new(), |options, option| options + " " + option);
                question.write_wants(&options, out)?;
                write_flush(out)?;
                question.write_haves(out)?;
                write_line(out, "done\n")
            }
        }
    }

    /// Reads up to where the pack begins.
    fn skip_to_pack(&self, conversation: &mut Conversation) -> Result<(), Fault> {
        let reader = &mut conversation.reader();
        loop {
            let line = match Packet::read(reader)? {
                Packet::Line(line) => String::from_utf8_lossy(&line).trim_end().to_owned(),
                Packet::Delimiter => continue,
                Packet::Flush | Packet::End => return Err(protocol("the other side sends no objects")),
            };
            match (self, line.as_str()) {
                (Self::Two { .. }, "packfile") => return Ok(()),
                (Self::Zero { .. }, line) if line == "NAK" || line.starts_with("ACK ") => return Ok(()),
                (_, line) if line.starts_with("shallow ") => return Err(Fault::ShallowRemote),
                (_, line) if line.starts_with("ERR ") => {
                    return Err(protocol(format!("the other side says: {}", &line[4..])));
                }
                _ => {}
            }
        }
    }
}

impl Question {
    fn write_wants(&self, options: &str, out: &mut dyn Write) -> std::io::Result<()> {
        let mut options = options;
        for want in &self.wants {
            write_line(out, &format!("want {want}{options}\n"))?;
            options = "";
        }
        self.shallow.iter().try_for_each(|id| write_line(out, &format!("shallow {id}\n")))
    }

    fn write_haves(&self, out: &mut dyn Write) -> std::io::Result<()> {
        self.haves.iter().try_for_each(|have| write_line(out, &format!("have {have}\n")))
    }
}

/// Feeds the pack to libgit2's indexer, which checks every object and completes what leans on objects that are here.
fn store_pack(conversation: &mut Conversation, repository: &Repository) -> Result<(), Fault> {
    let failed = |error| classify(error, repository.completeness());
    let odb = repository.inner.odb().map_err(failed)?;
    let mut writer = odb.packwriter().map_err(failed)?;
    let pace = conversation.content_pace();
    let reader = &mut conversation.reader();
    let mut band = SideBand::new(reader, pace);
    let mut left = MAX_PACK_BYTES;
    while let Some(chunk) = band.next_chunk()? {
        let too_large =
            || protocol(format!("the other side's pack has more than {} GiB", MAX_PACK_BYTES >> 30));
        left = left.checked_sub(chunk.len() as u64).ok_or_else(too_large)?;
        writer.write_all(chunk).map_err(|error| unusable_pack(&error))?;
    }
    writer.commit().map_err(|error| match classify(error, repository.completeness()) {
        Fault::Other { message, .. } => Fault::UnsoundPack { message },
        fault => fault,
    })?;
    Ok(())
}

fn unusable_pack(error: &std::io::Error) -> Fault {
    let message = error.to_string();
    of_system(&message).unwrap_or(Fault::UnsoundPack { message })
}

/// The greeting of version 0: refs, and behind the first of them what the other side can do.
#[derive(Debug, Default)]
pub(in crate::git) struct Greeting {
    pub(in crate::git) refs: Refs,
    pub(in crate::git) capabilities: Vec<String>,
}

impl Greeting {
    /// Reads a greeting whose first line was read already.
    pub(in crate::git) fn read(first: Option<String>, reader: &mut dyn std::io::Read) -> Result<Self, Fault> {
        let mut greeting = Self::default();
        if let Some(first) = first {
            greeting.take(&first)?;
            packet::read_list(reader, |line| greeting.take(line))?;
        }
        Ok(greeting)
    }

    fn take(&mut self, line: &str) -> Result<(), Fault> {
        let (line, offered) = line.split_once('\0').unwrap_or((line, ""));
        self.capabilities.extend(offered.split(' ').filter(|word| !word.is_empty()).map(str::to_owned));
        if line.starts_with("shallow ") {
            return Err(Fault::ShallowRemote);
        }
        self.refs.extend(read_ref(line));
        Ok(())
    }
}

fn read_ref(line: &str) -> Option<(String, Revision)> {
    let mut words = line.split(' ');
    let (id, name) = words.next().zip(words.next())?;
    let revision = Revision::parse(id).ok()?;
    let is_usable = name.starts_with("refs/") && can_be_kept(name) && git2::Reference::is_valid_name(name);
    is_usable.then(|| (name.to_owned(), revision))
}

fn can_be_kept(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES && name.split('/').all(|part| part.len() <= MAX_NAME_PART_BYTES)
}

/// Returns whether a ref is the one that is wanted, or below it if that ends in `/`.
pub(in crate::git) fn is_called(name: &str, wanted: &str) -> bool {
    if wanted.ends_with('/') { name.starts_with(wanted) } else { name == wanted }
}

fn only_sha1(capabilities: &[String]) -> Result<(), Fault> {
    match capabilities.iter().find_map(|line| line.strip_prefix("object-format=")) {
        None | Some("sha1") => Ok(()),
        Some(format) => Err(Fault::ObjectFormat { format: format.to_owned() }),
    }
}
