//! What every page has: its frame, its style, its script, and the policy that allows these two alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::templates::write_page;

const PAGE: &str = include_str!("page.hbs");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What every page is given, and what one is about.
#[derive(Serialize)]
struct Page<'a, T> {
    policy: String,
    title: &'a str,
    #[serde(flatten)]
    content: &'a T,
}

/// Writes a page by a template, which calls the partial `page` around its content.
pub(crate) fn write(template: &str, title: &str, content: &impl Serialize) -> String {
    let parts = [("content", template), ("page", PAGE), ("style", STYLE), ("script", SCRIPT)];
    write_page(&parts, "content", &Page { policy: policy(), title, content })
}

/// Returns the policy of every page: this style, this script, and nothing that leaves the page.
#[must_use]
pub fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}
