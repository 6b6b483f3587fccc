//! What others can pile up or leave behind until it costs: malformed history, endless answers, many and large things.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

/// Opens many connections of which none ever ends its request: they send nothing, half a line, half a head or half a body.
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
