//! Packages made on the spot, and a server on this machine that serves them, for tests.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use renderer::charts::ChartId;
use tar::{Builder, EntryType, Header};

use super::client::Client;

/// An answer to a path.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into() }
    }

    pub fn redirect(location: &str) -> Self {
        Self { status: 302, headers: vec![("Location", location.to_owned())], body: Vec::new() }
    }
}

/// What a server was asked: the path with its query, and the token that was shown.
pub type Asked = (String, Option<String>);

type Answer = dyn Fn(&str, Option<&str>) -> Reply + Send + Sync;

/// A server on this machine that answers until it is dropped.
pub struct Server {
    pub authority: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves replies by path.
    pub fn of(replies: Vec<(&str, Reply)>) -> Self {
        let replies: BTreeMap<String, Reply> =
            replies.into_iter().map(|(path, reply)| (path.to_owned(), reply)).collect();
        let missing = Reply { status: 404, headers: Vec::new(), body: Vec::new() };
        Self::start(move |path, _| replies.get(path).unwrap_or(&missing).clone())
    }

    /// Serves whatever a function of the path and the token says.
    pub fn start(answer: impl Fn(&str, Option<&str>) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let (asked, is_over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (log, over) = (Arc::clone(&asked), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                // A client that goes away early is part of some tests.
                let _ = stream.and_then(|stream| serve(stream, &answer, &log));
            }
        });
        Self { authority, asked, is_over, thread: Some(thread) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, answer: &Answer, log: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut token = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            token = Some(value.to_owned());
        }
    }
    log.lock().unwrap().push((path.clone(), token.clone()));
    let reply = answer(&path, token.as_deref());
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {} x\r\nConnection: close\r\nContent-Length: {}\r\n",
        reply.status,
        reply.body.len()
    )?;
    for (name, value) in reply.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(&reply.body)?;
    stream.flush()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread from its wait for the next client.
        let _ = TcpStream::connect(&self.authority);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client that gives up soon.
pub fn client() -> Client {
    Client::within(Duration::from_mins(1))
}

pub fn id(repository: &str, version: &str) -> ChartId {
    ChartId { name: "demo".to_owned(), version: version.to_owned(), repository: repository.to_owned() }
}

/// A package with these files, each by its whole path.
pub fn package(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in files {
        append(&mut builder, path, EntryType::Regular, text.as_bytes());
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// A package with a link in place of a file.
pub fn package_with_link(path: &str, target: &str) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, path, target).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

fn append(builder: &mut Builder<GzEncoder<Vec<u8>>>, path: &str, kind: EntryType, bytes: &[u8]) {
    let mut header = Header::new_gnu();
    // Written as it is: a library would refuse the paths that some tests need.
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, bytes).unwrap();
}

/// The chart `demo` at a version, with one number and one switch.
pub fn demo(version: &str) -> Vec<u8> {
    package(&[
        ("demo/Chart.yaml", &format!("name: demo\nversion: {version}\nappVersion: '9'\n")),
        ("demo/values.yaml", "replicas: 1\nenabled: true\n"),
        ("demo/templates/x.yaml", "{{ .Values }}"),
    ])
}
