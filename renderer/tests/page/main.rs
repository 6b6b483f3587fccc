//! The page of a plan in a real browser: what it shows, how fast, to whom, and that nothing in it runs or leaves.
//!
//! Needs what `testkit/page/fetch` brings in; `.ci/run page` runs it. Pictures go to `target/page/`.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod content;
mod plans;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use fleetwright_renderer::plan::Plan;
use fleetwright_renderer::plan::html::{About, Sources, review};
use fleetwright_renderer::visible::visible_lines;
use serde_json::{Value, json};
use testkit::browser::{Browser, axe, chromium};
use testkit::hostile::text::{HIDDEN, HTML, MARKUP};

use plans::{bumped, fleet_of, hostile, unlike};

const MAX_BYTES: usize = 5_000_000;
const PHONE: (u32, u32) = (390, 844);
const DESKTOP: (u32, u32) = (1280, 800);

fn page_of(plan: &Plan) -> String {
    review(
        plan,
        &About { title: "What changes".to_owned(), lines: Vec::new(), effects: Vec::new() },
        &Sources::default(),
    )
}

/// A page in a browser, with the folder that it is in.
struct Opened {
    browser: Browser,
    address: String,
    _folder: tempfile::TempDir,
}

impl Opened {
    fn new(html: &str, (width, height): (u32, u32), scheme: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        fs::write(&path, html).unwrap();
        let mut browser = Browser::start(&chromium().expect("testkit/page/fetch brings Chromium")).unwrap();
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        browser.call("Emulation.setDeviceMetricsOverride", &size).unwrap();
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.call("Emulation.setEmulatedMedia", &media).unwrap();
        let address = format!("file://{}", path.display());
        browser.open(&address).unwrap();
        Self { browser, address, _folder: folder }
    }

    /// Opens the page again, and returns how long that takes.
    fn again(&mut self) -> Duration {
        self.browser.events.clear();
        self.browser.open(&self.address).unwrap()
    }

    fn ask(&mut self, script: &str) -> Value {
        self.browser.evaluate(script).unwrap()
    }

    /// What the page has asked for besides itself, and what its policy has stopped.
    fn leaks(&mut self) -> Vec<String> {
        self.ask("new Promise((done) => setTimeout(done, 300))");
        let requests = self.browser.take_events("Network.requestWillBeSent");
        let requests = requests.iter().map(|event| event["params"]["request"]["url"].to_string());
        let mut leaks: Vec<String> = requests.filter(|url| !url.ends_with("/page.html\"")).collect();
        for reported in ["Audits.issueAdded", "Log.entryAdded", "Page.javascriptDialogOpening"] {
            leaks.extend(self.browser.take_events(reported).iter().map(ToString::to_string));
        }
        leaks
    }

    /// Sets a field as a person does, waits until the page is painted, and returns how long that took, and what is shown.
    fn filter(&mut self, field: &str, value: &str) -> (f64, String) {
        let (field, value) = (json!(field), json!(value));
        let found = self.ask(&format!(
            "new Promise((done) => {{
               const begun = performance.now(), field = document.getElementById({field});
               field.value = {value};
               field.dispatchEvent(new Event('input', {{ bubbles: true }}));
               requestAnimationFrame(() => requestAnimationFrame(() =>
                 done([performance.now() - begun, document.getElementById('shown').textContent])));
             }})"
        ));
        (found[0].as_f64().unwrap(), found[1].as_str().unwrap().to_owned())
    }

    fn violations(&mut self) -> Vec<String> {
        self.browser.call("Page.setBypassCSP", &json!({ "enabled": true })).unwrap();
        self.browser.call("Page.reload", &json!({})).unwrap();
        self.ask("new Promise((done) => document.readyState === 'complete' ? done() : addEventListener('load', done))");
        self.ask(&axe().expect("testkit/page/fetch brings axe-core"));
        let found = self.ask(
            "axe.run(document, { resultTypes: ['violations'] }).then((found) =>
               found.violations.map((it) => `${it.id}: ${it.help}: ${it.nodes.map((node) => node.target + ' ' + node.failureSummary).slice(0, 3)}`))",
        );
        found.as_array().unwrap().iter().map(ToString::to_string).collect()
    }
}

fn picture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("page").join(name)
}

#[test]
#[ignore = "needs Chromium: .ci/run page"]
fn whatever_stands_in_a_value_nothing_runs_and_nothing_leaves() {
    let html = page_of(&hostile());
    for size in [PHONE, DESKTOP] {
        let mut page = Opened::new(&html, size, "light");
        assert_eq!(page.leaks(), Vec::<String>::new());
        assert_eq!(page.ask("typeof window.hit"), "undefined");
        assert_eq!(page.ask("document.querySelectorAll('script').length"), 1);
        let foreign =
            "img, iframe, svg, object, embed, link, form, base, a, [style], meta[http-equiv=refresh]";
        assert_eq!(page.ask(&format!("document.querySelectorAll('{foreign}').length")), 0);
        let handlers = "[...document.querySelectorAll('*')].flatMap((element) => element.getAttributeNames())
            .filter((name) => name.startsWith('on')).length";
        assert_eq!(page.ask(handlers), 0);
        // It is all there, as text.
        let text = page.ask("document.body.textContent");
        let text = text.as_str().unwrap();
        for hostile in HTML.into_iter().chain(MARKUP).chain([HIDDEN]) {
            let shown = visible_lines(hostile);
            let shown = shown.trim();
            assert!(
                text.contains(shown) || text.contains(&shown.replace('"', "\\\"")),
                "{shown:?} is not shown"
            );
        }
        let overflow = page.ask("document.scrollingElement.scrollWidth - innerWidth");
        assert!(overflow.as_i64().unwrap() <= 0, "the page is {overflow} wider than the screen");
        page.ask("document.getElementById('open').click()");
        let name = format!("hostile-{}.png", size.0);
        page.browser.picture(&picture(&name), true).unwrap();
        // All of it is searched, too.
        page.filter("text", "<script>");
        assert_eq!(page.ask("typeof window.hit"), "undefined");
    }
}

#[test]
#[ignore = "needs Chromium: .ci/run page"]
fn what_would_get_into_the_page_all_the_same_is_stopped_by_its_policy() {
    let mut page = Opened::new(&page_of(&bumped(3)), DESKTOP, "light");
    assert_eq!(page.leaks(), Vec::<String>::new());
    for markup in [
        "const it = document.createElement('img'); it.src = 'https://elsewhere.invalid/a.png'; document.body.append(it)",
        "const it = document.createElement('link'); it.rel = 'stylesheet'; it.href = 'https://elsewhere.invalid/a.css'; \
         document.body.append(it)",
        "const it = document.createElement('iframe'); it.src = 'https://elsewhere.invalid/'; document.body.append(it)",
        "fetch('https://elsewhere.invalid/').catch(() => {})",
        "document.body.setAttribute('style', 'color: red')",
    ] {
        page.ask(&format!("(() => {{ {markup}; return true }})()"));
        let stopped = page.leaks();
        assert!(
            stopped
                .iter()
                .any(|it| it.contains("ontent Security Policy") || it.contains("ContentSecurityPolicy")),
            "{markup}: {stopped:?}"
        );
        let sent = page.browser.take_events("Network.responseReceived");
        assert!(sent.iter().all(|it| !it.to_string().contains("elsewhere")), "{markup}: {sent:?}");
    }
    // Strings are no markup and no code to the script, either.
    for text in
        ["document.body.innerHTML = '<b>x</b>'", "document.body.setAttribute('onclick', 'window.hit=1')"]
    {
        let refused =
            format!("(() => {{ try {{ {text}; return 'taken' }} catch {{ return 'refused' }} }})()");
        assert_eq!(page.ask(&refused), "refused");
    }
    assert_eq!(page.ask("typeof window.hit"), "undefined");
}

#[test]
#[ignore = "needs Chromium: .ci/run page"]
fn a_chart_bump_on_a_thousand_clusters_opens_and_filters_within_a_second() {
    let html = page_of(&bumped(1_000));
    let mut page = Opened::new(&html, DESKTOP, "light");
    // A browser that has just started takes its own time.
    let again = [page.again(), page.again(), page.again()];
    let opened = again.into_iter().min().unwrap();
    page.filter("text", "x");
    let (text, shown) = page.filter("text", "version");
    assert_eq!(shown, "1 of 2 shown");
    page.filter("text", "");
    let (cluster, shown) = page.filter("cluster", "eu-0999");
    assert_eq!(shown, "2 of 2 shown");
    let (none, shown) = page.filter("cluster", "eu-1000");
    assert_eq!(shown, "0 of 2 shown");
    println!(
        "1,000 clusters, one chart: {} bytes, opens in {} ms, filters in {text:.0}, {cluster:.0} and {none:.0} ms",
        html.len(),
        opened.as_millis()
    );
    assert!(html.len() < MAX_BYTES);
    assert!(opened < Duration::from_secs(1) && text.max(cluster).max(none) < 1_000.0);
}

#[test]
#[ignore = "needs Chromium: .ci/run page"]
fn a_page_that_is_full_says_so_and_is_still_searched() {
    let html = page_of(&unlike(1_000));
    assert!(html.len() < MAX_BYTES, "{} bytes", html.len());
    let mut page = Opened::new(&html, DESKTOP, "light");
    let (first, shown) = page.filter("text", "k7-3");
    let (second, _) = page.filter("text", "k7");
    let items = page.ask("document.querySelectorAll('.item').length");
    let opened = page.again().as_millis();
    println!(
        "1,000 clusters, all different: {} bytes, {items} changes, opens in {opened} ms, filters in {first:.0} and {second:.0} ms; {shown}",
        html.len()
    );
    let more = page
        .ask("[...document.querySelectorAll('main > section > .note')].map((it) => it.textContent).join()");
    assert!(more.as_str().unwrap().contains("more change"), "{more}");
    // A machine that does other things beside has ten times as long.
    assert!(opened < 10_000 && first.max(second) < 10_000.0);
}

#[test]
#[ignore = "needs Chromium: .ci/run page"]
fn a_page_is_read_on_a_phone_and_a_desktop_in_light_and_dark_and_axe_finds_nothing() {
    let html = page_of(&bumped(12));
    for size in [PHONE, DESKTOP] {
        for scheme in ["light", "dark"] {
            let mut page = Opened::new(&html, size, scheme);
            page.browser.picture(&picture(&format!("bumped-{}-{scheme}.png", size.0)), true).unwrap();
            let overflow = page.ask("document.scrollingElement.scrollWidth - innerWidth");
            assert!(overflow.as_i64().unwrap() <= 0, "the page is {overflow} wider than the screen");
            assert_eq!(page.violations(), Vec::<String>::new(), "{size:?} {scheme}");
            page.ask("document.getElementById('open').click()");
        }
    }
    let mut page = Opened::new(&page_of(&hostile()), PHONE, "dark");
    assert_eq!(page.violations(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: .ci/run page"]
fn a_page_is_used_by_keyboard_alone() {
    let mut page = Opened::new(&page_of(&bumped(12)), DESKTOP, "light");
    let active = "document.activeElement.id || document.activeElement.tagName";
    page.browser.press("/").unwrap();
    assert_eq!(page.ask(active), "text");
    for key in ["v", "e", "r", "s"] {
        page.browser.press(key).unwrap();
    }
    page.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    assert_eq!(page.ask("document.getElementById('shown').textContent"), "1 of 2 shown");
    page.browser.press("Escape").unwrap();
    assert_eq!(page.ask("document.querySelectorAll('.item:not([hidden])').length"), 2);
    page.ask("document.activeElement.blur()");
    page.browser.press("j").unwrap();
    assert_eq!(page.ask(active), "SUMMARY");
    // Who needs the keys for something else turns them off.
    page.ask("document.getElementById('keys').click(); document.activeElement.blur()");
    page.browser.press("/").unwrap();
    assert_ne!(page.ask(active), "text");
}

#[test]
#[ignore = "needs Chromium: .ci/run page"]
fn risks_add_ons_and_clusters_are_filtered_by() {
    let mut page = Opened::new(&page_of(&bumped(12)), DESKTOP, "light");
    assert_eq!(page.filter("risk", "chart major version").1, "1 of 2 shown");
    assert_eq!(page.filter("risk", "").1, "");
    assert_eq!(page.filter("addon", "web").1, "2 of 2 shown");
    assert_eq!(page.filter("cluster", "eu-0003").1, "2 of 2 shown");
    assert_eq!(page.filter("cluster", "us").1, "0 of 2 shown");
}

#[test]
#[ignore = "needs Chromium: .ci/run page"]
fn without_its_script_and_on_paper_everything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    fs::write(&path, page_of(&bumped(12))).unwrap();
    let mut browser = Browser::start(&chromium().expect("testkit/page/fetch brings Chromium")).unwrap();
    browser.call("Emulation.setScriptExecutionDisabled", &json!({ "value": true })).unwrap();
    browser.open(&format!("file://{}", path.display())).unwrap();
    let seen = "[...document.querySelectorAll('.item')].filter((it) => it.checkVisibility({ contentVisibilityAuto: true })).length";
    let is_offered = browser.evaluate("document.getElementById('filter').checkVisibility()").unwrap();
    assert_eq!(is_offered, false, "what needs the script is not offered");
    assert_eq!(browser.evaluate(seen).unwrap(), 2);
    let closed = "document.querySelectorAll('details').forEach((it) => { it.open = false })";
    browser.evaluate(closed).unwrap();
    assert_eq!(browser.evaluate(seen).unwrap(), 0);
    browser.call("Emulation.setEmulatedMedia", &json!({ "media": "print" })).unwrap();
    browser.picture(&picture("paper.png"), true).unwrap();
    assert_eq!(browser.evaluate(seen).unwrap(), 2);
}

#[test]
#[ignore = "needs Chromium: .ci/run page"]
fn the_page_of_a_fleet_is_read_and_searched_by_everyone_and_is_as_inert() {
    let html = fleet_of(1_000);
    for (size, scheme) in [(PHONE, "dark"), (DESKTOP, "light")] {
        let mut page = Opened::new(&html, size, scheme);
        assert_eq!(page.leaks(), Vec::<String>::new());
        assert_eq!(page.ask("typeof window.hit"), "undefined");
        assert_eq!(page.ask("document.querySelectorAll('script').length"), 1);
        assert_eq!(page.filter("text", "web 9").1, "1 of 4 shown");
        assert_eq!(page.filter("cluster", "eu-0999").1, "1 of 4 shown");
        page.filter("cluster", "");
        page.filter("text", "");
        page.browser.picture(&picture(&format!("fleet-{}.png", size.0)), true).unwrap();
        let overflow = page.ask("document.scrollingElement.scrollWidth - innerWidth");
        assert!(overflow.as_i64().unwrap() <= 0, "the page is {overflow} wider than the screen");
        assert_eq!(page.violations(), Vec::<String>::new(), "{size:?} {scheme}");
    }
}
