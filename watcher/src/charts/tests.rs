//! Charts are fetched from real servers on this machine, good ones and bad ones.

use std::collections::BTreeMap;
use std::fs;

use insta::assert_snapshot;
use renderer::charts::{ChartLock, Shape, Types};
use renderer::inventory::ChartSources;

use super::scene::{Reply, Server, client, demo, id, package, package_with_link};
use super::verify::digest;
use super::*;

/// A repository with `demo` 1.2.3, whose index says this digest.
fn repository(digest: &str, url: &str) -> Server {
    let index = format!(
        "apiVersion: v1\nentries:\n  demo:\n    - {{version: 1.10.0, urls: [demo-1.10.0.tgz]}}\n    \
         - {{version: 1.2.3, digest: {digest}, urls: [{url}], description: x}}\n    - {{version: 2.0.0-rc.1, urls: []}}\n"
    );
    Server::of(vec![
        ("/charts/index.yaml", Reply::ok(index)),
        ("/charts/demo-1.2.3.tgz", Reply::ok(demo("1.2.3"))),
    ])
}

fn error<T: std::fmt::Debug>(outcome: Result<T, ChartError>) -> String {
    // Ports differ from run to run.
    let error = anyhow::Error::from(outcome.expect_err("it was accepted"));
    let text = format!("{error:#}");
    let mut pieces = text.split("127.0.0.1:");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + "HOST" + piece.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn fetch_from(chart: &ChartId, repository: &str) -> Result<Fetched, ChartError> {
    fetch(&client(), chart, &Origin::at(repository)?)
}

fn newer_than(chart: &ChartId) -> Result<Vec<String>, ChartError> {
    newer(&client(), chart, &Origin::at(&chart.repository)?)
}

/// Locks without a mirror.
fn relock_with(
    old: &ChartLock,
    wanted: &Wanted,
    given: &[Given],
    is_refreshed: bool,
) -> Result<Relocked, ChartError> {
    relock(&client(), old, wanted, &Supply { given, sources: &ChartSources::default(), is_refreshed })
}

fn keys(fetched: &Fetched) -> Vec<String> {
    let locked = fetched.package.locked(fetched.digest.clone()).unwrap();
    locked.values.entries.iter().map(|(key, shape)| format!("{key}: {}", shape.types)).collect()
}

#[test]
fn a_chart_comes_from_its_repository_and_is_held_against_the_index() {
    let digest = digest(&demo("1.2.3"));
    for announced in [&digest, digest.strip_prefix("sha256:").unwrap()] {
        let server = repository(announced, "demo-1.2.3.tgz");
        for repository in [server.url("/charts"), server.url("/charts/")] {
            let fetched = fetch_from(&id(&repository, "1.2.3"), &repository).unwrap();
            assert_eq!(keys(&fetched), ["enabled: bool", "replicas: number"]);
            assert_eq!(fetched.digest.as_ref(), Some(&digest));
        }
    }
}

#[test]
fn a_package_with_another_digest_is_refused() {
    let server = repository(&"0".repeat(64), "demo-1.2.3.tgz");
    let repository = server.url("/charts");
    let outcome = fetch_from(&id(&repository, "1.2.3"), &repository);
    assert!(error(outcome).contains("` has the digest `"));
}

#[test]
fn what_is_not_there_is_told() {
    let server = repository("", "demo-1.2.3.tgz");
    let repository = server.url("/charts");
    assert_snapshot!(error(fetch_from(&id(&repository, "9.9.9"), &repository)), @"there is no chart `demo` 9.9.9 in `http://HOST/charts`");
    let elsewhere = server.url("/nowhere");
    assert_snapshot!(error(fetch_from(&id(&elsewhere, "1.2.3"), &elsewhere)), @"failed to fetch `http://HOST/nowhere/index.yaml`: `http://HOST/nowhere/index.yaml` does not exist, or it is not public");
    let server = Server::of(vec![("/index.yaml", Reply::ok("<html>"))]);
    assert_snapshot!(error(fetch_from(&id("x", "1.2.3"), &server.url(""))), @"`http://HOST/index.yaml` is not the index of a chart repository: expected mapping start at line 1, column 1");
}

#[test]
fn a_redirect_is_followed_on_this_machine_and_nowhere_in_the_open() {
    let server = repository("", "demo-1.2.3.tgz");
    let there = server.url("/charts/demo-1.2.3.tgz");
    let fetched = |location: &str| {
        let server = Server::of(vec![("/a.tgz", Reply::redirect(location))]);
        fetch_package(&client(), &server.url("/a.tgz"))
    };
    assert_eq!(keys(&fetched(&there).unwrap()).len(), 2);
    assert_snapshot!(error(fetched("http://charts.example.com/a.tgz?token=secret")), @"failed to fetch `http://HOST/a.tgz`: `http://charts.example.com/a.tgz` is not encrypted");
    assert_snapshot!(error(fetched("file:///etc/passwd")), @"failed to fetch `http://HOST/a.tgz`: `file:///etc/passwd` is not an `https://` address");
    assert_snapshot!(error(fetched("/a.tgz")), @"failed to fetch `http://HOST/a.tgz`: it redirects more than 5 times");
}

#[test]
fn a_repository_leads_nowhere_inside_but_to_where_it_is_itself() {
    for inside in
        ["169.254.169.254", "10.0.0.1", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0", "[fd00::1]"]
    {
        let location = format!("https://{inside}/latest/meta-data");
        let server = Server::of(vec![
            ("/a.tgz", Reply::redirect(&location)),
            (
                "/index.yaml",
                Reply::ok(format!("entries: {{demo: [{{version: 1.2.3, urls: ['{location}']}}]}}")),
            ),
        ]);
        let shown = location.replace("::ffff:169.254.169.254", "::ffff:a9fe:a9fe");
        let refused = format!("`{shown}` leads to an address of this machine, its link or a private network");
        let of_package = error(fetch_package(&client(), &server.url("/a.tgz")));
        assert_eq!(of_package, format!("failed to fetch `http://HOST/a.tgz`: {refused}"));
        let of_index = error(fetch_from(&id("x", "1.2.3"), &server.url("")));
        assert_eq!(of_index, format!("failed to fetch `{shown}`: {refused}"));
        let registry = Server::start(move |_, _| Reply {
            status: 401,
            headers: vec![("WWW-Authenticate", format!("Bearer realm=\"{location}\""))],
            body: Vec::new(),
        });
        let address = format!("oci://{}/charts", registry.authority);
        let refused = fetch_from(&id(&address, "1.2.3"), &address);
        assert!(!refused.as_ref().unwrap_err().is_transient());
        assert!(error(refused).contains("a private network"));
    }
}

#[test]
fn an_answer_that_comes_byte_by_byte_ends_with_the_time() {
    let server = testkit::hostile::floods::Drip::start("HTTP/1.1 200 OK\r\n\r\n", "x").unwrap();
    let client = Client::within(std::time::Duration::from_millis(100));
    let error = fetch_package(&client, &format!("http://{}/a.tgz", server.address())).unwrap_err();
    assert!(error.to_string().starts_with("failed to fetch `") && error.is_transient(), "{error:?}");
}

#[test]
fn of_a_large_index_only_the_wanted_chart_is_read() {
    let index = testkit::hostile::floods::chart_index(5_000, "demo");
    let server =
        Server::of(vec![("/index.yaml", Reply::ok(index)), ("/demo-1.2.3.tgz", Reply::ok(demo("1.2.3")))]);
    fetch_from(&id("x", "1.2.3"), &server.url("")).unwrap();
    let versions = "    - version: 1.0.0\n".repeat(repository::MAX_VERSIONS + 1);
    let server = Server::of(vec![("/index.yaml", Reply::ok(format!("entries:\n  demo:\n{versions}")))]);
    assert_snapshot!(error(fetch_from(&id("x", "1.2.3"), &server.url(""))), @"`http://HOST/index.yaml` is not the index of a chart repository: it has more than 20000 versions of a chart at line 3, column 5");
}

#[test]
fn tags_without_end_are_not_all_read() {
    let server = Server::start(|_, _| Reply {
        headers: vec![("Link", "</v2/demo/tags/list?last=x>; rel=\"next\"".to_owned())],
        ..Reply::ok(format!("{{\"tags\":[{}\"1.0.0\"]}}", "\"1.2.4\",".repeat(15_000)))
    });
    let address = format!("oci://{}", server.authority);
    assert_eq!(newer_than(&id(&address, "1.2.3")).unwrap(), ["1.2.4"]);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn archives_of_many_files_or_endless_names_are_refused_early() {
    let many = testkit::hostile::floods::chart_of_files(20_001).unwrap();
    assert_eq!(archive::read(&many).unwrap_err(), "has more than 20000 files");
    let long = testkit::hostile::floods::chart_with_long_name(8_000_000_000).unwrap();
    assert!(archive::read(&long).is_err());
}

#[test]
fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let server = Server::start(|_, _| Reply::ok(vec![0; 33 << 20]));
    assert_snapshot!(error(fetch_package(&client(), &server.url("/a.tgz"))), @"failed to fetch `http://HOST/a.tgz`: it is larger than 32 MiB");
}

#[test]
fn a_package_that_unpacks_to_too_much_is_refused() {
    let zeros = "0".repeat(9 << 20);
    let read = |path: &str| archive::read(&package(&[(path, &zeros)])).unwrap_err();
    assert_eq!(read("demo/values.yaml"), "has `values.yaml` with more than 8 MiB");
    let files: Vec<_> = (0..16).map(|number| (format!("demo/files/{number}"), &zeros)).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(archive::read(&package(&files)).unwrap_err(), "unpacks to more than 128 MiB");
}

#[test]
fn a_package_cannot_reach_out_of_itself() {
    for path in ["../values.yaml", "demo/../../values.yaml", "/etc/values.yaml", "demo\\..\\values.yaml"] {
        let error = archive::read(&package(&[(path, "a: 1")])).unwrap_err();
        assert!(error.starts_with("has a path that leads out of it"), "{path}: {error}");
    }
    let link = archive::read(&package_with_link("demo/values.yaml", "/etc/passwd")).unwrap_err();
    assert_eq!(link, "has `values.yaml` as something else than a file");
    let twice = archive::read(&package(&[("demo/values.yaml", "a: 1"), ("demo/values.yaml", "b: 1")]));
    assert_eq!(twice.unwrap_err(), "has `values.yaml` twice");
    assert!(archive::read(b"not gzip").unwrap_err().starts_with("is not a gzipped tar archive"));
}

#[test]
fn subcharts_that_are_packages_themselves_are_read() {
    let inner =
        package(&[("sub/Chart.yaml", "name: sub\nversion: 0.1.0\n"), ("sub/values.yaml", "port: 80\n")]);
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("charts")).unwrap();
    fs::write(dir.path().join("Chart.yaml"), "name: demo\nversion: 1.2.3\n").unwrap();
    fs::write(dir.path().join("charts/sub-0.1.0.tgz"), inner).unwrap();
    let charts = archive::charts_in(dir.path()).unwrap();
    let values = charts[0].1.locked(None).unwrap().values;
    assert_eq!(values.at(["sub", "port"]), Some(&Shape::of(Types::NUMBER | Types::TEXT)));
}

/// A registry that wants a token, and keeps its blobs elsewhere.
fn registry(storage: &Server) -> Server {
    let blob = digest(&demo("1.2.3"));
    let location = storage.url("/blob");
    let manifest = format!(
        r#"{{"layers":[{{"mediaType":"application/x.prov","digest":"x"}},{{"mediaType":"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":"{blob}"}}]}}"#
    );
    let realm = std::sync::OnceLock::new();
    let shared = std::sync::Arc::new(realm);
    let inner = std::sync::Arc::clone(&shared);
    let server = Server::start(move |path, token| {
        let challenge = format!(
            r#"Bearer realm="{}/token",service="registry",scope="repository:charts/demo:pull""#,
            inner.get().map_or("", String::as_str)
        );
        match (path.split('?').next().unwrap(), token) {
            ("/token", _) => Reply::ok(r#"{"token":"anonymous"}"#),
            (_, None) => {
                Reply { status: 401, headers: vec![("WWW-Authenticate", challenge)], body: Vec::new() }
            }
            ("/v2/charts/demo/manifests/1.2.3_build", _) => Reply::ok(manifest.clone()),
            ("/v2/charts/demo/tags/list", _) if path.ends_with("last=b") => {
                Reply::ok(r#"{"tags":["1.3.0","latest"]}"#)
            }
            ("/v2/charts/demo/tags/list", _) => Reply {
                headers: vec![("Link", "</v2/charts/demo/tags/list?last=b>; rel=\"next\"".to_owned())],
                ..Reply::ok(r#"{"tags":["1.2.3_build","1.2.4"]}"#)
            },
            (path, _) if path.starts_with("/v2/charts/demo/blobs/") => Reply::redirect(&location),
            _ => Reply { status: 404, headers: Vec::new(), body: Vec::new() },
        }
    });
    let _ = shared.set(server.url(""));
    server
}

#[test]
fn a_chart_comes_from_a_registry_with_a_token_that_nobody_else_sees() {
    let storage = Server::of(vec![("/blob", Reply::ok(demo("1.2.3+build")))]);
    let registry = registry(&storage);
    let address = format!("oci://{}/charts", registry.authority);
    let outcome = fetch_from(&id(&address, "1.2.3+build"), &address);
    assert!(error(outcome).contains("` has the digest `"));

    let storage = Server::of(vec![("/blob", Reply::ok(demo("1.2.3")))]);
    let registry = self::registry(&storage);
    let address = format!("oci://{}/charts", registry.authority);
    let fetched = fetch_from(&id(&address, "1.2.3+build"), &address).unwrap();
    assert_eq!(keys(&fetched), ["enabled: bool", "replicas: number"]);
    let token = Some("Bearer anonymous".to_owned());
    let asked: Vec<_> = registry.asked();
    assert_eq!(asked[1].0, "/token?service=registry&scope=repository%3Acharts%2Fdemo%3Apull");
    assert_eq!(asked.last().unwrap().1, token);
    assert_eq!(storage.asked(), [("/blob".to_owned(), None)]);

    assert_eq!(newer_than(&id(&address, "1.2.3+build")).unwrap(), ["1.3.0", "1.2.4"]);
    assert_snapshot!(error(fetch_from(&id(&address, "7.0.0"), &address)).replace(&registry.authority, "HOST"), @"there is no chart `demo` 7.0.0 in `oci://HOST/charts`");
}

#[test]
fn newer_versions_come_first_and_unfinished_ones_only_for_unfinished_ones() {
    let server = repository("", "demo-1.2.3.tgz");
    let newer = |version: &str| newer_than(&id(&server.url("/charts"), version)).unwrap();
    assert_eq!(newer("1.2.3"), ["1.10.0"]);
    assert_eq!(newer("v1.10.0"), Vec::<String>::new());
    assert_eq!(newer("1.10.0-rc.1"), ["2.0.0-rc.1", "1.10.0"]);
}

#[test]
fn what_is_locked_is_not_fetched_again_and_locking_again_changes_nothing() {
    let server = repository("", "demo-1.2.3.tgz");
    let wanted = Wanted::from([id(&server.url("/charts"), "1.2.3")]);
    let first = relock_with(&ChartLock::default(), &wanted, &[], false).unwrap();
    assert_eq!(first.actions.values().collect::<Vec<_>>(), [&Action::Fetched]);
    let asked = server.asked().len();
    let second = relock_with(&first.lock, &wanted, &[], false).unwrap();
    assert_eq!(second.actions.values().collect::<Vec<_>>(), [&Action::Kept]);
    assert_eq!(server.asked().len(), asked, "the repository was asked again");
    let refreshed = relock_with(&first.lock, &wanted, &[], true).unwrap();
    assert_eq!(refreshed.actions.values().collect::<Vec<_>>(), [&Action::Fetched]);
    for lock in [second.lock, refreshed.lock, ChartLock::read(first.lock.write().as_bytes()).unwrap()] {
        assert_eq!(lock.write(), first.lock.write());
    }
    let nothing = relock_with(&first.lock, &Wanted::new(), &[], false).unwrap();
    assert!(nothing.lock.charts.is_empty());
}

#[test]
fn another_package_under_a_locked_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = Wanted::from([id("https://charts.example.com", "1.2.3")]);
    let file = dir.path().join("demo.tgz");
    let given = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        [Given::open(&client(), file.to_str().unwrap(), &Wanted::new()).unwrap()]
    };
    let first = relock_with(&ChartLock::default(), &wanted, &given(&demo("1.2.3")), false).unwrap();
    assert_eq!(first.actions.values().collect::<Vec<_>>(), [&Action::Given]);
    let changed = package(&[("demo/Chart.yaml", "name: demo\nversion: 1.2.3\n")]);
    let outcome = relock_with(&first.lock, &wanted, &given(&changed), true);
    assert!(error(outcome).contains("` has the digest `"));
}

#[test]
fn charts_that_are_not_given_are_told_together() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("demo.tgz"), demo("1.2.3")).unwrap();
    let given = [Given::open(&client(), dir.path().to_str().unwrap(), &Wanted::new()).unwrap()];
    let other = ChartId { name: "other".to_owned(), ..id("https://charts.example.com", "3.0.0") };
    let wanted = Wanted::from([
        id("https://charts.example.com", "1.2.3"),
        id("https://charts.example.com", "1.2.4"),
        other,
    ]);
    let error = relock_with(&ChartLock::default(), &wanted, &given, false).unwrap_err();
    assert_eq!(error.to_string(), "not given and not locked: `demo` 1.2.4, `other` 3.0.0");
}

/// A chart under one name and version from two repositories.
fn two_of_a_name() -> (Wanted, [ChartId; 2], tempfile::TempDir, [String; 2]) {
    let ids = [id("https://a.example.com", "1.2.3"), id("https://b.example.com/charts", "1.2.3")];
    let dir = tempfile::tempdir().unwrap();
    let files = [("a.tgz", "ours: 1\n"), ("b.tgz", "theirs: 1\n")].map(|(file, values)| {
        let files = [("demo/Chart.yaml", "name: demo\nversion: 1.2.3\n"), ("demo/values.yaml", values)];
        fs::write(dir.path().join(file), package(&files)).unwrap();
        dir.path().join(file).to_str().unwrap().to_owned()
    });
    (Wanted::from(ids.clone()), ids, dir, files)
}

#[test]
fn of_two_repositories_with_the_same_chart_none_is_guessed() {
    let (wanted, ids, _dir, files) = two_of_a_name();
    let open = |text: &str| Given::open(&client(), text, &wanted).unwrap();
    let error = relock_with(&ChartLock::default(), &wanted, &[open(&files[0]), open(&files[1])], false);
    let error = error.unwrap_err();
    assert_snapshot!(error.to_string(), @"`demo` 1.2.3 is wanted from `https://a.example.com`, `https://b.example.com/charts`, and `--from` does not name its repository");
    assert_snapshot!(error.hint().unwrap(), @"name the repository before the place: `--from https://a.example.com=…`");
    let named = [0, 1].map(|at| open(&format!("{}={}", ids[at].repository, files[at])));
    let relocked = relock_with(&ChartLock::default(), &wanted, &named, false).unwrap();
    let keys =
        ids.each_ref().map(|id| relocked.lock.charts[id].values.entries.keys().next().unwrap().to_string());
    assert_eq!(keys, ["ours", "theirs"]);
    // Once their digests are known, packages tell by themselves whose they are.
    let one = Wanted::from([ids[0].clone()]);
    let again = relock_with(&relocked.lock, &wanted, &[open(&files[0])], true);
    assert!(self::error(again).contains("` 1.2.3 is wanted from `"));
    assert!(relock_with(&relocked.lock, &one, &[open(&files[0])], true).is_ok());
}

#[test]
fn a_repository_that_stands_in_for_two_others_is_named_for_each() {
    let server = repository("", "demo-1.2.3.tgz");
    let (wanted, ids, _dir, files) = two_of_a_name();
    let open = |text: &str| Given::open(&client(), text, &wanted).unwrap();
    let mirror = server.url("/charts");
    let unnamed = relock_with(&ChartLock::default(), &wanted, &[open(&mirror)], false);
    assert!(error(unnamed).contains("` 1.2.3 is wanted from `"));
    let named = [
        open(&format!("{}={mirror}", ids[0].repository)),
        open(&format!("{}={}", ids[1].repository, files[1])),
    ];
    let relocked = relock_with(&ChartLock::default(), &wanted, &named, false).unwrap();
    assert_eq!(relocked.lock.charts[&ids[0]].values.entries.len(), 2);
    assert_eq!(relocked.lock.charts[&ids[1]].values.entries.len(), 1);
}

#[test]
fn a_key_that_a_chart_has_twice_is_noted() {
    let files = [("demo/Chart.yaml", "name: demo\nversion: 1.2.3\n"), ("demo/values.yaml", "a: 1\na: x\n")];
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("demo.tgz");
    fs::write(&file, package(&files)).unwrap();
    let wanted = Wanted::from([id("https://charts.example.com", "1.2.3")]);
    let given = [Given::open(&client(), file.to_str().unwrap(), &wanted).unwrap()];
    let relocked = relock_with(&ChartLock::default(), &wanted, &given, false).unwrap();
    assert_snapshot!(relocked.notes.join("\n"), @"`demo` 1.2.3: `values.yaml` of the chart at 2:1: key `a` is there twice; the last one counts");
}

#[test]
fn a_package_of_another_chart_is_refused() {
    let server = Server::of(vec![
        ("/index.yaml", Reply::ok("entries: {demo: [{version: 1.2.4, urls: [a.tgz]}]}")),
        ("/a.tgz", Reply::ok(demo("1.2.3"))),
    ]);
    let wanted = Wanted::from([id(&server.url(""), "1.2.4")]);
    let error = relock_with(&ChartLock::default(), &wanted, &[], false).unwrap_err();
    assert_eq!(error.to_string(), "the package of `demo` 1.2.4 is `demo 1.2.3` by its own metadata");
}

#[test]
fn a_repository_may_stand_in_for_the_charts_own() {
    let server = repository("", "demo-1.2.3.tgz");
    let wanted = Wanted::from([id("https://charts.example.com", "v1.2.3")]);
    let given = [Given::open(&client(), &server.url("/charts"), &Wanted::new()).unwrap()];
    let relocked = relock_with(&ChartLock::default(), &wanted, &given, false).unwrap();
    assert_eq!(relocked.lock.charts.keys().collect::<Vec<_>>(), wanted.iter().collect::<Vec<_>>());
}

#[test]
fn what_the_fleet_mirrors_is_fetched_from_the_mirror() {
    let server = repository("", "demo-1.2.3.tgz");
    let mirror =
        format!("charts: {{exceptions: {{'https://charts.example.com': '{}'}}}}", server.url("/charts"));
    let sources =
        serde_yaml::from_str::<BTreeMap<String, ChartSources>>(&mirror).unwrap().remove("charts").unwrap();
    let supply = Supply { given: &[], sources: &sources, is_refreshed: false };
    let chart = id("https://charts.example.com/", "1.2.3");
    let wanted = Wanted::from([chart.clone()]);
    let relocked = relock(&client(), &ChartLock::default(), &wanted, &supply).unwrap();
    // Who draws a chart from where is no business of the lock.
    assert_eq!(relocked.lock.charts.keys().collect::<Vec<_>>(), [&chart]);
    let origin = Origin::of(&sources, &chart.repository).unwrap();
    assert_eq!(newer(&client(), &chart, &origin).unwrap(), ["1.10.0"]);
    let absent = ChartId { version: "9.9.9".to_owned(), ..chart.clone() };
    assert_snapshot!(error(fetch(&client(), &absent, &origin)), @"there is no chart `demo` 9.9.9 in `http://HOST/charts`");
}
