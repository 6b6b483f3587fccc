//! What others can pile up or leave behind until it costs: malformed history, endless answers, many and large things.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Opens many connections of which none ever ends its request: they send nothing, half a line, half a head or
/// half a body.
pub fn slow_connections(to: SocketAddr, request: &[u8], count: usize) -> std::io::Result<Vec<TcpStream>> {
    let lengths = [0, 10, request.len() / 2, request.len().saturating_sub(10)];
    let open = |number: usize| {
        let mut stream = TcpStream::connect(to)?;
        // The server may have closed it already to make room for a later one.
        let _ = stream.write_all(&request[..lengths[number % lengths.len()]]);
        Ok(stream)
    };
    (0..count).map(open).collect()
}

/// Returns what can stand behind the parents in a commit, malformed in a different way each.
#[must_use]
pub fn malformed_commit_heads() -> Vec<Vec<u8>> {
    const AUTHOR: &str = "author Ann <ann@example.com> 1767225600 +0100\n";
    const COMMITTER: &str = "committer Ann <ann@example.com> 1767225600 +0100\n";
    let texts = [
        format!("author Ann ann@example.com 1767225600 +0100\n{COMMITTER}\nno angle brackets\n"),
        format!(
            "author Ann <ann@example.com> 99999999999999999999999999 +0100\n{COMMITTER}\na date beyond 64 bits\n"
        ),
        format!(
            "{AUTHOR}committer Ann <ann@example.com> 99999999999999999999999999 +0100\n\na date beyond 64 bits\n"
        ),
        format!(
            "{AUTHOR}committer Ann <ann@example.com> 9223372036854775807 +0100\n\nthe last date of 64 bits\n"
        ),
        format!(
            "{AUTHOR}committer Ann <ann@example.com> -9223372036854775808 -9999\n\nthe first date of 64 bits\n"
        ),
        format!("author Ann <ann@example.com>\n{COMMITTER}\nno date\n"),
        format!("{AUTHOR}committer Ann <ann@example.com>\n\nno date\n"),
        format!("{COMMITTER}\nno author\n"),
        format!("{AUTHOR}\nno committer\n"),
        "\nneither author nor committer\n".to_owned(),
        format!("{AUTHOR}{AUTHOR}{COMMITTER}\ntwo authors\n"),
        format!("author\n{COMMITTER}\nan empty author\n"),
        format!("author >< <> >>\n{COMMITTER}\nonly angle brackets\n"),
        format!("{AUTHOR}{COMMITTER}encoding \0\n\nnot \0 a text\0"),
    ];
    let invalid =
        b"author \xff\xfe <\xf0> 1 +0000\ncommitter \xff <\xff> 1 +0000\n\nnot \xff UTF-8\n".to_vec();
    texts.into_iter().map(String::into_bytes).chain([invalid]).collect()
}

/// Returns git's file of packed refs with so many branches of others at a commit, below `prefix`, and one
/// whose name is too long for a file.
#[must_use]
pub fn packed_refs(commit: &str, prefix: &str, branches: usize) -> String {
    let mut refs = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
    for number in 0..branches {
        let _ = writeln!(refs, "{commit} refs/heads/{prefix}{number:06}");
    }
    let _ = writeln!(refs, "{commit} refs/heads/{prefix}{}", "x".repeat(3_800));
    refs
}

/// Packets by which a git server keeps a connection alive without sending anything: an empty one, an empty
/// piece of the pack, and progress.
pub const GIT_KEEP_ALIVES: [&[u8]; 3] = [b"0004", b"0005\x01", b"001f\x02Counting objects:  1%\r    "];

/// A server that answers every connection with a beginning and then with one more piece, without end, until
/// the client is gone.
pub struct Drip {
    address: SocketAddr,
}

impl Drip {
    /// Starts the server, which lives as long as the process.
    pub fn start(beginning: &'static str, piece: &'static str) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || drip(stream, beginning, piece));
            }
        });
        Ok(Self { address })
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn drip(mut stream: TcpStream, beginning: &str, piece: &str) -> std::io::Result<()> {
    // What is asked makes no difference, but a connection that is closed with input unread is reset.
    let _ = stream.read(&mut [0; 16 * 1024])?;
    stream.write_all(beginning.as_bytes())?;
    loop {
        stream.write_all(piece.as_bytes())?;
        stream.flush()?;
    }
}

/// Returns the index of a chart repository with so many charts, and with `last` as the last one in version 1.2.3.
#[must_use]
pub fn chart_index(charts: usize, last: &str) -> String {
    let mut index = "apiVersion: v1\nentries:\n".to_owned();
    for number in 0..charts {
        let _ = write!(index, "  c{number}:\n  - version: 1.0.0\n    urls: [a.tgz]\n");
    }
    index + &format!("  {last}:\n  - version: 1.2.3\n    urls: [{last}-1.2.3.tgz]\n")
}

/// Returns the gzipped tar archive of a chart with so many empty files.
pub fn chart_of_files(files: usize) -> std::io::Result<Vec<u8>> {
    let mut archive = Vec::new();
    for number in 0..files {
        archive.extend_from_slice(&tar_header(&format!("demo/templates/{number}.yaml"), 0));
    }
    archive.extend_from_slice(&[0; 1024]);
    gzipped(&archive)
}

/// Returns the gzipped tar archive of a chart whose one file is named by a header of its own that claims this length.
pub fn chart_with_long_name(length: u64) -> std::io::Result<Vec<u8>> {
    let mut header = tar_header("././@LongLink", length);
    header[156] = b'L';
    add_checksum(&mut header);
    gzipped(&[header.to_vec(), vec![b'x'; 1024]].concat())
}

fn tar_header(path: &str, size: u64) -> [u8; 512] {
    let mut header = [0; 512];
    header[..path.len()].copy_from_slice(path.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    add_checksum(&mut header);
    header
}

/// Writes the sum of a header's bytes into it, which is taken with blanks in the sum's own place.
fn add_checksum(header: &mut [u8; 512]) {
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn gzipped(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}
