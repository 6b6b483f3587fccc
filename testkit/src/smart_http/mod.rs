//! A git server on loopback: `git http-backend` behind a small web server that makes trouble on request.
//! Packages beside the repositories, and what lists them, are served as they are.
//!
//! What git says is git's own. The web server adds what the world does to it: certificates, passwords, cut
//! connections, servers that fail, proxies that redirect, and other people who push at the same moment.

mod backend;
pub(crate) mod certificate;
mod message;
mod packages;

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use base64::Engine as _;

pub use message::{Reply, Request};

/// What happens to one request instead of, or before, git's own answer.
pub enum Trouble {
    /// This reply comes, and git hears nothing of the request.
    Reply(Reply),
    /// Git answers, and this many bytes of its answer arrive before the connection is cut.
    CutAfter(usize),
    /// Git does its work, but this is what arrives.
    ReplyAfterwards(Reply),
    /// Nothing is said until the server is gone.
    Silence,
    /// The answer comes in pieces of so many bytes.
    Pieces(usize),
    /// Something happens before git hears of the request.
    First(Box<dyn FnOnce() + Send>),
}

/// A running server; it stops when it is dropped.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    authority: Option<certificate::Authority>,
}

struct Shared {
    root: PathBuf,
    tls: Option<Arc<rustls::ServerConfig>>,
    authorization: Mutex<Option<String>>,
    troubles: Mutex<VecDeque<(String, Trouble)>>,
    seen: Mutex<Vec<Request>>,
    reply_bytes: Mutex<BTreeMap<String, usize>>,
    knows_version_2: AtomicBool,
    is_away: AtomicBool,
    is_over: Mutex<bool>,
    over: Condvar,
}

impl Server {
    /// Starts a server for the repositories below `root`, over TLS with a certificate that only
    /// [`Self::roots`] vouches for.
    pub fn with_tls(root: &Path) -> Result<Self> {
        let authority = certificate::Authority::new()?;
        let tls = authority.server()?;
        Self::start(root, Some(authority), Some(tls))
    }

    /// Starts a server without encryption.
    pub fn plain(root: &Path) -> Result<Self> {
        Self::start(root, None, None)
    }

    fn start(
        root: &Path,
        authority: Option<certificate::Authority>,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen on loopback")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            tls,
            authorization: Mutex::default(),
            troubles: Mutex::default(),
            seen: Mutex::default(),
            reply_bytes: Mutex::default(),
            knows_version_2: AtomicBool::new(true),
            is_away: AtomicBool::new(false),
            is_over: Mutex::new(false),
            over: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accepting.accept(&listener));
        Ok(Self { shared, address, authority })
    }

    /// Returns the address of a repository, by its path below the root.
    #[must_use]
    pub fn url(&self, repository: &str) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}/{repository}", self.address.port())
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the certificates to trust, in DER.
    #[must_use]
    pub fn roots(&self) -> Vec<Vec<u8>> {
        self.authority.iter().map(certificate::Authority::der).collect()
    }

    /// Returns the certificates to trust, in PEM.
    #[must_use]
    pub fn roots_pem(&self) -> String {
        self.authority.iter().map(certificate::Authority::pem).collect()
    }

    /// Asks for a user name and a password from now on.
    pub fn require(&self, user: &str, password: &str) {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        *lock(&self.shared.authorization) = Some(format!("Basic {encoded}"));
    }

    /// Speaks only version 0 of git's protocol from now on, as old servers do.
    pub fn forget_version_2(&self) {
        self.shared.knows_version_2.store(false, Ordering::Relaxed);
    }

    /// Closes every connection without a word for as long as it is away.
    pub fn set_away(&self, is_away: bool) {
        self.shared.is_away.store(is_away, Ordering::Relaxed);
    }

    /// Makes trouble once, for the next request whose target contains `part`.
    pub fn trouble(&self, part: &str, trouble: Trouble) {
        lock(&self.shared.troubles).push_back((part.to_owned(), trouble));
    }

    /// Returns all requests so far, and forgets them.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *lock(&self.shared.seen))
    }

    /// Returns how long the last reply to a request for `path` was, head and all.
    #[must_use]
    pub fn reply_bytes(&self, path: &str) -> Option<usize> {
        lock(&self.shared.reply_bytes).get(path).copied()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *lock(&self.shared.is_over) = true;
        self.shared.over.notify_all();
        // Wakes the thread that accepts; whether it is reached does not matter at the end.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if *lock(&self.is_over) {
                return;
            }
            let shared = Arc::clone(&self);
            if let Ok(stream) = stream {
                // A client that hangs up in the middle is what many tests are about.
                std::thread::spawn(move || shared.serve(stream).ok());
            }
        }
    }

    fn serve(&self, stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(config) => {
                let connection = rustls::ServerConnection::new(Arc::clone(config))?;
                self.talk(&mut rustls::StreamOwned::new(connection, stream))
            }
            None => self.talk(&mut { stream }),
        }
    }

    fn talk(&self, stream: &mut (impl Read + Write)) -> Result<()> {
        while let Some((request, body)) = Request::read(stream)? {
            if self.is_away.load(Ordering::Relaxed) {
                return Ok(());
            }
            lock(&self.seen).push(request.clone());
            let trouble = self.next_trouble(&request);
            let Some((reply, shape)) = self.answer(&request, &body, trouble)? else { return Ok(()) };
            let bytes = reply.bytes();
            lock(&self.reply_bytes).insert(request.path().to_owned(), bytes.len());
            match shape {
                Shape::Whole => stream.write_all(&bytes)?,
                Shape::Pieces(size) => {
                    for piece in bytes.chunks(size) {
                        stream.write_all(piece)?;
                        stream.flush()?;
                    }
                }
                Shape::Cut(length) => {
                    stream.write_all(&bytes[..length.min(bytes.len())])?;
                    stream.flush()?;
                    return Ok(());
                }
            }
            stream.flush()?;
        }
        Ok(())
    }

    fn answer(
        &self,
        request: &Request,
        body: &[u8],
        trouble: Option<Trouble>,
    ) -> Result<Option<(Reply, Shape)>> {
        let shape = match trouble {
            Some(Trouble::Reply(reply)) => return Ok(Some((reply, Shape::Whole))),
            Some(Trouble::Silence) => {
                self.wait_for_the_end();
                return Ok(None);
            }
            Some(Trouble::ReplyAfterwards(reply)) => {
                self.own_answer(request, body)?;
                return Ok(Some((reply, Shape::Whole)));
            }
            Some(Trouble::First(action)) => {
                action();
                Shape::Whole
            }
            Some(Trouble::CutAfter(length)) => Shape::Cut(length),
            Some(Trouble::Pieces(size)) => Shape::Pieces(size),
            None => Shape::Whole,
        };
        Ok(Some((self.own_answer(request, body)?, shape)))
    }

    fn own_answer(&self, request: &Request, body: &[u8]) -> Result<Reply> {
        let wanted = lock(&self.authorization).clone();
        if wanted.is_some() && request.header("authorization") != wanted.as_deref() {
            return Ok(Reply::status(401).header("www-authenticate", "Basic realm=\"git\""));
        }
        if let Some(reply) = packages::reply(&self.root, request)? {
            return Ok(reply);
        }
        backend::run(&self.root, request, body, self.knows_version_2.load(Ordering::Relaxed))
    }

    fn next_trouble(&self, request: &Request) -> Option<Trouble> {
        let mut troubles = lock(&self.troubles);
        let at = troubles.iter().position(|(part, _)| request.target.contains(part.as_str()))?;
        troubles.remove(at).map(|(_, trouble)| trouble)
    }

    fn wait_for_the_end(&self) {
        let is_over = lock(&self.is_over);
        drop(self.over.wait_while(is_over, |is_over| !*is_over));
    }
}

enum Shape {
    Whole,
    Pieces(usize),
    Cut(usize),
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
