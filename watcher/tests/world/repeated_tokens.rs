//! A forge that repeats the token in whatever it answers: nothing that the program prints has it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::github;

use crate::github_service::Hosted;

/// Every form in which a server could send a token back.
fn forms(token: &str) -> Vec<String> {
    let escaped: Vec<String> = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    vec![
        token.to_owned(),
        format!("Bearer {token}"),
        STANDARD.encode(token),
        STANDARD.encode(format!("x-access-token:{token}")),
        format!("https://x-access-token:{token}@github.com/acme/fleet.git?access_token={token}"),
        escaped.concat(),
    ]
}

/// Answers every request with a status and all forms of the token.
fn repeat(mut stream: TcpStream, status: u16) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    let told = forms(github::TOKEN);
    let errors: Vec<_> =
        told.iter().map(|form| serde_json::json!({ "message": form, "code": form })).collect();
    let body = serde_json::json!({ "message": told.join(" "), "errors": errors, "id": told[0] }).to_string();
    let head = format!(
        "HTTP/1.1 {status} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\
         location: http://127.0.0.1/{}\r\nx-accepted-github-permissions: {}\r\n\r\n",
        "Refused",
        body.len(),
        told[0],
        told[0]
    );
    stream.write_all((head + &body).as_bytes()).ok()
}

fn server(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            repeat(stream, status);
        }
    });
    format!("http://{address}")
}

#[test]
fn an_answer_that_repeats_the_token_is_shown_without_it() {
    let hosted = Hosted::new();
    for status in [200, 301, 401, 403, 404, 405, 409, 422, 418] {
        let mut arguments = hosted.arguments();
        *arguments.last_mut().unwrap() = server(status);
        for format in ["text", "json"] {
            let mut command = Hosted::command();
            command.current_dir(hosted.place("")).env("FLEETWRIGHT_TOKEN", github::TOKEN);
            command.args([
                "run",
                "--once",
                "-vvv",
                "--log-format",
                format,
                "--mirror",
                &hosted.place("mirror"),
            ]);
            let output = command.args(&arguments).output().unwrap();
            assert!(!output.status.success());
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            for form in forms(github::TOKEN) {
                assert!(!text.contains(&form), "{status}: {form} is in\n{text}");
            }
            assert!(text.contains("on GitHub"), "{status}: {text}");
        }
    }
}

#[test]
fn a_git_server_that_repeats_the_token_is_shown_without_it() {
    let hosted = Hosted::new();
    for status in [301, 401, 403, 404, 500] {
        let upstream = format!("{}/acme/fleet.git", server(status));
        let mut command = Hosted::command();
        command.current_dir(hosted.place("")).env("FLEETWRIGHT_TOKEN", github::TOKEN);
        command.args(["run", "--once", "-vvv", "--upstream", &upstream, "--mirror", &hosted.place("other")]);
        let output = command.output().unwrap();
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        for form in forms(github::TOKEN) {
            assert!(!text.contains(&form), "{status}: {form} is in\n{text}");
        }
        let _ = std::fs::remove_dir_all(hosted.place("other"));
    }
}
