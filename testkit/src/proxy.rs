//! A company's way to the internet: a proxy that takes `CONNECT`, and behind it hosts whose certificates come from an
//! authority that nobody knows.
//!
//! What is behind the names is on loopback and unencrypted; TLS ends here.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::smart_http::certificate::Authority;

/// How long one side is listened to before the other has its turn.
const TURN: Duration = Duration::from_millis(2);

/// A running proxy; it stops when it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    authority: Authority,
}

struct Shared {
    /// Where the hosts are that can be reached, by `host:port`.
    hosts: BTreeMap<String, SocketAddr>,
    tls: Arc<rustls::ServerConfig>,
    asked: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Proxy {
    /// Starts a proxy to these hosts, each on port 443.
    pub fn start(hosts: &[(&str, SocketAddr)]) -> Result<Self> {
        let authority = Authority::new()?;
        let names = hosts.iter().map(|(host, _)| (*host).to_owned()).collect();
        let shared = Arc::new(Shared {
            hosts: hosts.iter().map(|(host, address)| (format!("{host}:443"), *address)).collect(),
            tls: authority.server_for(names)?,
            asked: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").context("listen on loopback")?;
        let address = listener.local_addr()?;
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accepting.accept(&listener));
        Ok(Self { shared, address, authority })
    }

    /// Returns the address that `HTTPS_PROXY` takes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the certificate to trust, in PEM.
    #[must_use]
    pub fn roots_pem(&self) -> String {
        self.authority.pem()
    }

    /// Returns the hosts that were asked for, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // Wakes the thread that accepts; whether it is reached does not matter at the end.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.is_over.load(Ordering::Acquire) {
                return;
            }
            let shared = Arc::clone(&self);
            if let Ok(stream) = stream {
                // A client that does not trust the certificate hangs up in the middle.
                std::thread::spawn(move || shared.serve(stream).ok());
            }
        }
    }

    fn serve(&self, mut client: TcpStream) -> Result<()> {
        let target = target_of(&client)?;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(target.clone());
        let Some(address) = self.hosts.get(&target) else {
            client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")?;
            return Ok(());
        };
        let host = TcpStream::connect(address)?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        let mut connection = rustls::ServerConnection::new(Arc::clone(&self.tls))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut client)?;
        }
        client.set_read_timeout(Some(TURN))?;
        host.set_read_timeout(Some(TURN))?;
        self.relay(rustls::StreamOwned::new(connection, client), host)
    }

    /// Carries what both sides say until one of them ends.
    fn relay(
        &self,
        mut client: rustls::StreamOwned<rustls::ServerConnection, TcpStream>,
        mut host: TcpStream,
    ) -> Result<()> {
        let mut buffer = vec![0; 64 << 10];
        while !self.is_over.load(Ordering::Acquire) {
            let Some(length) = read_in_turn(&mut client, &mut buffer)? else { return Ok(()) };
            host.write_all(&buffer[..length])?;
            let Some(length) = read_in_turn(&mut host, &mut buffer)? else {
                client.conn.send_close_notify();
                client.flush()?;
                return Ok(());
            };
            if length > 0 {
                client.write_all(&buffer[..length])?;
                client.flush()?;
            }
        }
        Ok(())
    }
}

/// Reads the head of a `CONNECT` and returns its target.
pub(crate) fn target_of(client: &TcpStream) -> Result<String> {
    let mut head = BufReader::with_capacity(1, client);
    let mut first = String::new();
    head.read_line(&mut first)?;
    let mut line = String::new();
    while head.read_line(&mut line)? > 2 {
        line.clear();
    }
    let target = first.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    target.map(str::to_owned).with_context(|| format!("no CONNECT: {first}"))
}

/// Returns how much was read; nothing at the end.
fn read_in_turn(stream: &mut impl Read, buffer: &mut [u8]) -> Result<Option<usize>> {
    match stream.read(buffer) {
        Ok(0) => Ok(None),
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(Some(0)),
        Err(error) => Err(error.into()),
    }
}
