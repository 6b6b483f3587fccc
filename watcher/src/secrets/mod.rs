//! The secrets of the process: no output contains them, in whatever form something repeats them.
//!
//! Every token, key and password is remembered where it is read, and every way out of the process (terminal, logs,
//! JSON, what is sent to a forge) goes through [`redacted`]. Knows nothing of what a secret is for.

mod file;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::env;
use std::sync::{PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use renderer::secrets::{MASK, masked_words};
use secrecy::{ExposeSecret as _, SecretString};

use crate::percent;

pub use file::{MAX_BYTES, create_file, read_file};

/// A shorter secret is also a word of messages, and masking it would make them unreadable.
const SHORTEST: usize = 8;
/// How many secrets are remembered that a forge made for an hour: a day's worth and more.
const MOST_ISSUED: usize = 32;

/// The environment variables that hold secrets of ours, whether they are used or not.
const VARIABLES: [&str; 8] = [
    "FLEETWRIGHT_SLACK_TOKEN",
    "FLEETWRIGHT_SLACK_WEBHOOK",
    "FLEETWRIGHT_TOKEN",
    "FLEETWRIGHT_UI_TOKEN",
    "FLEETWRIGHT_WEBHOOK_SECRET",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "VAULT_TOKEN",
];

/// The forms in which a secret is repeated.
type Forms = Vec<String>;

#[derive(Debug)]
struct Remembered {
    given: Vec<Forms>,
    issued: VecDeque<Forms>,
    /// Finds all forms in one pass; nothing while there are none.
    search: Option<AhoCorasick>,
}

static REMEMBERED: RwLock<Remembered> =
    RwLock::new(Remembered { given: Vec::new(), issued: VecDeque::new(), search: None });

/// Remembers the secrets that the environment holds.
pub fn remember_environment() {
    for name in VARIABLES {
        if let Ok(text) = env::var(name) {
            remember(&text.into());
        }
    }
}

/// Remembers a secret that the process was given.
pub fn remember(secret: &SecretString) {
    let mut remembered = REMEMBERED.write().unwrap_or_else(PoisonError::into_inner);
    let is_new = |forms: &Forms| !remembered.given.contains(forms);
    let new: Vec<Forms> = forms_of_lines(secret).into_iter().filter(is_new).collect();
    if !new.is_empty() {
        remembered.given.extend(new);
        remembered.prepare();
    }
}

/// Remembers a secret that a forge has made and that lasts for an hour.
pub fn remember_issued(secret: &SecretString) {
    let mut remembered = REMEMBERED.write().unwrap_or_else(PoisonError::into_inner);
    remembered.issued.extend(forms_of_lines(secret));
    while remembered.issued.len() > MOST_ISSUED {
        remembered.issued.pop_front();
    }
    remembered.prepare();
}

impl Remembered {
    fn prepare(&mut self) {
        let forms = self.given.iter().chain(&self.issued).flatten();
        // Escapes in addresses are written in either case.
        let mut builder = AhoCorasick::builder();
        builder.ascii_case_insensitive(true).match_kind(MatchKind::LeftmostLongest);
        let search = builder.build(forms);
        self.search = Some(search.expect("a search for few short texts is small"));
    }
}

/// Returns a text in which every remembered secret is masked, and everything else that has the form of a token.
#[must_use]
pub fn redacted(text: &str) -> Cow<'_, str> {
    let out = masked_words(text);
    let remembered = REMEMBERED.read().unwrap_or_else(PoisonError::into_inner);
    match &remembered.search {
        Some(search) if search.is_match(&*out) => {
            let mut masked = String::with_capacity(out.len());
            search.replace_all_with(&out, &mut masked, |_, _, masked| {
                masked.push_str(MASK);
                true
            });
            masked.into()
        }
        _ => out,
    }
}

/// Returns the forms of each line: of several secrets, or of a key in PEM.
fn forms_of_lines(secret: &SecretString) -> Vec<Forms> {
    let lines = secret.expose_secret().lines().map(str::trim);
    // The first and the last line of a key in PEM only name its kind.
    lines.filter(|line| line.len() >= SHORTEST && !line.starts_with("-----")).map(forms).collect()
}

/// Returns a secret as it is, in base64 behind whatever stands before it, in an address, and in JSON.
fn forms(secret: &str) -> Forms {
    let mut forms = vec![
        secret.to_owned(),
        percent::encoded(secret),
        secret.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}")),
        serde_json::Value::from(secret).to_string().trim_matches('"').to_owned(),
    ];
    for before in 0..3 {
        forms.extend(encoded_behind(secret, before));
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// Returns what of a text in base64 comes from the secret alone if `before` bytes stand before it.
fn encoded_behind(secret: &str, before: usize) -> [String; 2] {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(secret.as_bytes());
    let (first, whole) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)].map(|text| text[first..whole].to_owned())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_secret_is_masked_in_every_form_that_repeats_it() {
        let secret = "s3cr+t/of=the \"forge\"";
        remember(&secret.into());
        for user in ["", "a:", "ab:", "x-access-token:", "oauth2:"] {
            let header = STANDARD.encode(format!("{user}{secret}"));
            let shown = redacted(&header).into_owned();
            assert!(shown.contains(MASK) && shown.len() < header.len() - 16, "{user}: {shown}");
        }
        for form in [
            secret.to_owned(),
            serde_json::json!({ "message": secret }).to_string(),
            "s3cr%2Bt%2Fof%3Dthe%20%22forge%22".to_owned(),
            "s3cr%2bt%2fof%3dthe%20%22forge%22".to_owned(),
            format!("`{secret}` is not accepted"),
        ] {
            let shown = redacted(&form);
            assert!(shown.contains(MASK) && !shown.contains("s3cr"), "{form}: {shown}");
        }
    }

    #[test]
    fn a_token_is_masked_by_its_form_alone() {
        assert_eq!(redacted("invalid value 'ghp_0123456789abcdefghij'"), "invalid value '***'");
        assert_eq!(redacted("https://u:p4ss@h/x.git"), "https://u:***@h/x.git");
        assert!(matches!(redacted("nothing to hide: #1, `main`"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_key_is_masked_line_by_line_and_a_short_word_stays() {
        remember(
            &"-----BEGIN X-----\nMIIEvQIBADANBgkqhkiG9w0\nAQEFAASCBKcwggSjAgEAAoIBAQC7\n-----END X-----\n"
                .into(),
        );
        assert_eq!(redacted("bad key AQEFAASCBKcwggSjAgEAAoIBAQC7"), "bad key ***");
        remember(&"main".into());
        assert_eq!(redacted("branch `main`"), "branch `main`");
    }

    #[test]
    fn what_a_forge_issues_is_forgotten_after_others() {
        for number in 0..100 {
            remember_issued(&format!("issued-secret-{number:03}").into());
        }
        assert_eq!(redacted("issued-secret-099"), MASK);
        assert_eq!(redacted("issued-secret-000"), "issued-secret-000");
    }
}
