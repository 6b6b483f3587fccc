//! What stands in a page, without a browser.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_renderer::page::policy;
use sha2::{Digest as _, Sha256};
use testkit::hostile::text::HTML;

use crate::plans::{bumped, hostile, unlike};
use crate::{MAX_BYTES, page_of};

fn count(page: &str, part: &str) -> usize {
    page.matches(part).count()
}

/// Returns what stands between two parts of a page.
fn between<'p>(page: &'p str, start: &str, end: &str) -> &'p str {
    page.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map(|(inner, _)| inner).unwrap()
}

#[test]
fn nothing_that_changes_is_a_page_that_says_so() {
    let page = page_of(&bumped(0));
    assert!(page.contains("Nothing changes."), "{page}");
    assert_eq!(count(&page, "class=\"item") + count(&page, "<h2"), 0);
}

#[test]
fn the_same_change_on_a_thousand_clusters_stands_once_with_its_clusters() {
    let (few, many) = (page_of(&bumped(7)), page_of(&bumped(1_000)));
    for page in [&few, &many] {
        assert_eq!(count(page, "class=\"item"), 2);
        assert!(page.contains("chart web 8.4.1 → 9.0.0"), "{page}");
        assert!(
            page.contains("<del>    level: info</del>") || page.contains("<del>level: info</del>"),
            "{page}"
        );
        assert!(page.contains("<ins>level: debug</ins>"), "{page}");
        assert!(page.contains("web/values.yaml") && page.contains("chart major version"), "{page}");
    }
    assert!(many.contains("On 1000 clusters (eu-0000, "));
    // Each name stands in the group and among those to choose from.
    assert_eq!(count(&many, "eu-0777"), 2);
    assert!(many.len() < few.len() + 1_000 * 60, "{} bytes", many.len());
}

#[test]
fn what_does_not_fit_is_counted() {
    let page = page_of(&unlike(1_000));
    assert!(page.len() < MAX_BYTES, "{} bytes", page.len());
    let shown = count(&page, "<p class=\"setting\">");
    assert!(shown > 5_000, "only {shown} changes are shown");
    let more: usize = page
        .split("… ")
        .skip(1)
        .filter_map(|rest| rest.split_once(" more change")?.0.parse::<usize>().ok())
        .sum();
    assert_eq!(shown + more, 20_000);
    let whole = page_of(&unlike(30));
    assert_eq!(count(&whole, "<p class=\"setting\">"), 600);
    assert!(!whole.contains("more change"));
}

#[test]
fn nothing_of_a_value_is_markup() {
    let page = page_of(&hostile());
    for (tag, times) in
        [("<script", 1), ("<style", 1), ("<meta ", 5), ("<img", 0), ("<svg", 0), ("<iframe", 0), ("<a ", 0)]
    {
        assert_eq!(count(&page, tag), times, "{tag}");
    }
    for text in HTML {
        assert!(!text.contains('<') || !page.contains(text), "{text}");
    }
    let content = between(&page, "<body>", "<script>");
    // Attributes are all our own: outside of their texts no value has brought one.
    let outside: String = content.split('"').step_by(2).collect();
    assert!(
        !outside.contains(" on")
            || outside.split('<').all(|tag| !tag.split('>').next().unwrap().contains(" on"))
    );
}

#[test]
fn the_policy_names_the_very_style_and_script_of_the_page() {
    let page = page_of(&bumped(1));
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let (style, script) = (between(&page, "<style>", "</style>"), between(&page, "<script>", "</script>"));
    assert!(style.len() > 1_000 && script.len() > 1_000);
    let policy = policy();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(policy.contains(&format!("style-src {};", hash(style))), "{policy}");
    assert!(policy.contains(&format!("script-src {};", hash(script))), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let written = between(&page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"");
    assert_eq!(written.replace("&#39;", "'"), policy);
    // What is known is in the page: nothing is asked for that is not.
    assert!(!page.contains("http:") && count(&page, "https:") == 0, "{page}");
}

#[test]
fn no_template_inserts_a_value_unescaped() {
    for template in [
        include_str!("../../src/page/page.hbs"),
        include_str!("../../src/page/fleet.hbs"),
        include_str!("../../src/plan/show/html/review.hbs"),
    ] {
        assert!(!template.contains("{{{") && !template.contains("{{&"));
    }
    for part in [include_str!("../../src/page/style.css"), include_str!("../../src/page/script.js")] {
        assert!(!part.contains("{{") && !part.contains("</"));
    }
}
