//! The pages of the service, as browsers and proxies ask for them.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::github_service::{Hosted, exchange};
use crate::office::POOL;
use crate::platform::BASE;
use crate::service::Service;

const TOKEN: &str = "a-token-of-the-pages-0123456789";

fn start(hosted: &Hosted, more: &[&str]) -> (Service, SocketAddr) {
    let arguments = [&["--listen-ui", "127.0.0.1:0"], more].concat();
    let service = hosted.start_by(hosted.service(), "mirror", "1", &arguments);
    let address = service.wait_for("showing pages").pop().unwrap();
    (service, address["address"].as_str().unwrap().parse().unwrap())
}

fn get(address: SocketAddr, path: &str, headers: &str) -> (String, String) {
    let answer = exchange(address, format!("GET {path} HTTP/1.1\r\n{headers}\r\n").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

const LOCAL: &str = "host: localhost\r\n";

#[test]
fn the_fleet_and_each_open_pull_request_have_a_page() {
    let hosted = Hosted::new();
    hosted.edit();
    let [file, old, new] = POOL;
    hosted.world.git(&["branch", "pool", BASE]);
    let text = hosted.world.read("pool", file).replace(old, new);
    hosted.world.commit("pool", "Edit the <pool>", &[(file, Some(&text))]);
    let of_a_person = hosted.github.open("pool").unwrap();
    // As GitHub does: the mirror has no branches of people.
    hosted.world.git(&["update-ref", &format!("refs/pull/{of_a_person}/head"), "pool"]);
    let (service, address) = start(&hosted, &["--ui-url", "https://fleet.example.com/pages/"]);
    let fleet = || get(address, "/", LOCAL).1;
    let has_all = || fleet().matches("href=\"/reviews/").count() == 3;
    hosted.wait_until("a page for each pull request", |_| has_all());
    let page = fleet();
    for part in [
        "<td>done</td>",
        "Base branch main",
        "app: 1 cluster (app)",
        "control: 1 cluster (control)",
        "metallb",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let (head, review) = get(address, &format!("/reviews/{of_a_person}"), LOCAL);
    for header in [
        "HTTP/1.1 200 OK",
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "content-type: text/html; charset=utf-8",
    ] {
        assert!(head.contains(header), "{header} is not in {head}");
    }
    assert!(
        review.contains("192.168.64.120-192.168.64.139") && review.contains("exposed address"),
        "{review}"
    );
    assert!(review.contains("environments/app.yaml:"), "the line to edit is not in {review}");
    // Those of Fleetwright show what their merge changes.
    let of_groups: Vec<_> = (1..=3).filter(|number| *number != of_a_person).collect();
    for number in of_groups {
        let (_, review) = get(address, &format!("/reviews/{number}"), LOCAL);
        assert!(review.contains("192.168.64.109") && review.contains("class=\"item"), "{number}: {review}");
    }
    // Pull requests lead there: a person's by its number, those of Fleetwright by their group.
    let link = |of: &str| format!("[On a page](https://fleet.example.com/pages/reviews/{of})");
    let comments: Vec<_> = hosted.github.state().comments.iter().map(|it| it.body.clone()).collect();
    assert!(comments.concat().contains(&link(&of_a_person.to_string())), "{comments:?}");
    let bodies: Vec<_> = hosted.github.pulls().unwrap().into_iter().filter_map(|pull| pull.body).collect();
    assert!(["app", "control"].iter().all(|group| bodies.concat().contains(&link(group))), "{bodies:?}");
    assert!(get(address, "/reviews/app", LOCAL).1.contains("192.168.64.109"));
    assert!(get(address, "/reviews/pool", LOCAL).0.starts_with("HTTP/1.1 404"), "a branch is no group");
    assert!(get(address, "/reviews/99", LOCAL).0.starts_with("HTTP/1.1 404"));
    assert!(get(address, "/reviews/../x", LOCAL).0.starts_with("HTTP/1.1 40"));
    let posted = exchange(address, b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    assert!(posted.starts_with("HTTP/1.1 405"), "{posted}");
    // A page of another site that a browser takes for this one learns nothing.
    let rebound = get(address, "/", "host: elsewhere.example\r\n");
    assert!(rebound.0.starts_with("HTTP/1.1 403") && rebound.1.is_empty(), "{rebound:?}");
    // What is wrong with the base stands there until it is fixed.
    hosted.world.edit(file, old, "192.168.64.90-192.168.64.101");
    hosted.wait_until("the problem of the base", |_| fleet().contains("Problems of the base branch"));
    assert!(fleet().contains("environments/app.yaml:") && fleet().contains("failed: "), "{}", fleet());
    assert_eq!(service.stop().0, Some(0));
}

#[test]
fn with_a_token_nothing_is_shown_to_who_has_it_not() {
    let hosted = Hosted::new();
    let file = hosted.place("ui-token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let (service, address) = start(&hosted, &["--ui-token-file", &file]);
    let basic = |pair: String| format!("{LOCAL}authorization: Basic {}\r\n", STANDARD.encode(pair));
    for path in ["/", "/reviews/1", "/nothing"] {
        for headers in
            [LOCAL.to_owned(), basic("mia:wrong".to_owned()), format!("{LOCAL}cookie: token={TOKEN}\r\n")]
        {
            let (head, body) = get(address, path, &headers);
            assert!(head.starts_with("HTTP/1.1 401") && body.is_empty(), "{path} {headers}: {head}");
            assert!(head.contains("www-authenticate: Basic realm="), "{head}");
        }
    }
    let by_query = get(address, &format!("/?token={TOKEN}"), LOCAL);
    assert!(by_query.0.starts_with("HTTP/1.1 401"), "a token in an address counts");
    for headers in [basic(format!("mia:{TOKEN}")), format!("{LOCAL}authorization: Bearer {TOKEN}\r\n")] {
        let (head, body) = get(address, "/", &headers);
        assert!(head.starts_with("HTTP/1.1 200") && body.contains("The fleet"), "{head}");
    }
    let (code, lines) = service.stop();
    assert_eq!(code, Some(0));
    assert!(lines.iter().all(|line| !line.to_string().contains(TOKEN)), "{lines:?}");
}
