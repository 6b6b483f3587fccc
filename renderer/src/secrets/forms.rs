//! Secrets that are known by their own form: tokens, keys, hashes, and passwords in addresses and assignments.
//!
//! Knows nothing of where a text stands. Forms of tokens are public facts of those who issue them.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::names::names_a_secret;
use super::references::{is_hash, is_placeholder, is_reference};

/// A part of a text that is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it stands, in bytes.
    pub range: Range<usize>,
    /// What it is, such as `GitHub token`.
    pub kind: &'static str,
}

/// How tokens begin, how long they are at least, and what they are.
#[rustfmt::skip]
const TOKENS: &[(&str, usize, &str)] = &[
    ("AKIA", 16, "AWS key"), ("ASIA", 16, "AWS key"), ("ABIA", 20, "AWS key"), ("ACCA", 20, "AWS key"),
    ("AIza", 16, "Google key"), ("GOCSPX-", 20, "Google secret"), ("ya29.", 20, "Google token"),
    ("ghp_", 16, "GitHub token"), ("gho_", 16, "GitHub token"), ("ghs_", 16, "GitHub token"),
    ("ghu_", 16, "GitHub token"), ("ghr_", 16, "GitHub token"), ("github_pat_", 16, "GitHub token"),
    ("glpat-", 16, "GitLab token"), ("gldt-", 16, "GitLab token"), ("glrt-", 16, "GitLab token"),
    ("glptt-", 16, "GitLab token"), ("glsoat-", 16, "GitLab token"), ("glcbt-", 16, "GitLab token"),
    ("glimt-", 16, "GitLab token"), ("glft-", 16, "GitLab token"), ("glagent-", 16, "GitLab token"),
    ("xoxb-", 16, "Slack token"), ("xoxp-", 16, "Slack token"), ("xoxa-", 16, "Slack token"),
    ("xoxr-", 16, "Slack token"), ("xoxs-", 16, "Slack token"), ("xoxe-", 16, "Slack token"),
    ("xoxe.", 16, "Slack token"), ("xapp-", 16, "Slack token"),
    ("hvs.", 16, "Vault token"), ("hvb.", 16, "Vault token"), ("hvr.", 16, "Vault token"),
    ("dckr_pat_", 16, "Docker token"), ("dckr_oat_", 16, "Docker token"), ("pypi-AgE", 16, "PyPI token"),
    ("sk_live_", 16, "Stripe key"), ("sk_test_", 16, "Stripe key"), ("rk_live_", 16, "Stripe key"),
    ("rk_test_", 16, "Stripe key"), ("whsec_", 24, "webhook secret"), ("sk-proj-", 20, "OpenAI key"),
    ("sk-svcacct-", 20, "OpenAI key"), ("sk-admin-", 20, "OpenAI key"), ("sk-ant-", 20, "Anthropic key"),
    ("dop_v1_", 20, "DigitalOcean token"), ("doo_v1_", 20, "DigitalOcean token"),
    ("dor_v1_", 20, "DigitalOcean token"), ("glsa_", 20, "Grafana token"), ("glc_", 20, "Grafana token"),
    ("shpat_", 20, "Shopify token"), ("shpca_", 20, "Shopify token"), ("shppa_", 20, "Shopify token"),
    ("shpss_", 20, "Shopify secret"), ("sq0atp-", 20, "Square token"), ("sq0csp-", 20, "Square secret"),
    ("lin_api_", 20, "Linear key"), ("PMAK-", 20, "Postman key"), ("dp.pt.", 20, "Doppler token"),
    ("dp.st.", 20, "Doppler token"), ("pscale_tkn_", 20, "PlanetScale token"),
    ("pscale_pw_", 20, "PlanetScale password"), ("NRAK-", 20, "New Relic key"), ("sntrys_", 20, "Sentry token"),
    ("sntryu_", 20, "Sentry token"), ("AGE-SECRET-KEY-1", 20, "age key"), ("rubygems_", 30, "RubyGems key"),
    ("tskey-", 20, "Tailscale key"), ("ATATT3", 20, "Atlassian token"), ("ATCTT3", 20, "Atlassian token"),
    ("ops_eyJ", 20, "1Password token"), ("CCIPAT_", 20, "CircleCI token"), ("bkua_", 20, "Buildkite token"),
    ("HRKU-", 20, "Heroku key"), ("FlyV1", 20, "Fly token"), ("fo1_", 20, "Fly token"),
    ("dt0c01.", 20, "Dynatrace token"), ("AKCp", 40, "Artifactory key"), ("eyJrIjoi", 40, "Grafana key"),
];

/// As [`TOKENS`], of those whose beginning is also that of words: what follows it has digits.
const TOKENS_WITH_DIGITS: &[(&str, usize, &str)] = &[
    ("SG.", 20, "SendGrid key"),
    ("npm_", 16, "npm token"),
    ("hf_", 20, "Hugging Face token"),
    ("pul-", 20, "Pulumi token"),
    ("ntn_", 20, "Notion token"),
    ("dapi", 36, "Databricks token"),
    ("sk-", 40, "API key"),
];

type Pattern = LazyLock<Regex>;

/// A private key in PEM, to its end or that of the text.
static PEM_KEY: Pattern =
    Pattern::new(|| regex(r"(?s)-----BEGIN [^\n-]*PRIVATE KEY[^\n-]*-----.*?(?:-----END [^\n-]*-----|\z)"));
/// `scheme://user:password@host`.
static LOGIN: Pattern = Pattern::new(|| regex(r#"://[^:/"'<>\s]*:([^/"'<>\s]*)@"#));
/// Addresses of which the rest is a secret.
static SECRET_ADDRESS: Pattern = Pattern::new(|| {
    let hosts = "hooks[.]slack[.]com/(?:services|workflows)/T|discord[.]com/api/webhooks/|webhook[.]office[.]com/webhookb2/";
    regex(&format!(r#"://[^/"'<>\s]*?(?:{hosts})([^"'<>\s]*)"#))
});

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is written here")
}

/// The beginnings of private keys that were encoded as base64.
const ENCODED_KEYS: [&str; 7] = [
    "LS0tLS1CRUdJTiBQUklWQVRFIEtF",
    "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBL",
    "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtF",
    "LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZ",
    "LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFURSBL",
    "LS0tLS1CRUdJTiBQR1AgUFJJVkFURSBLRVkgQkxP",
    "LS0tLS1CRUdJTiBEU0EgUFJJVkFURSBL",
];

/// What stands before a credential in a header.
const SCHEMES: [&str; 6] = ["Bearer ", "bearer ", "BEARER ", "Basic ", "basic ", "BASIC "];

/// Nothing shorter is a secret that has a form of its own.
const SHORTEST: usize = 6;
/// Tokens are well below this; what follows in the same word belongs to it no more.
const MAX_TOKEN: usize = 512;
/// How much of a line is looked at for what is assigned.
const MAX_LINE: usize = 4_096;
/// No private key is shorter than the lines around it.
const SHORTEST_KEY: usize = 24;
/// A credential behind `Bearer` or `Basic` at least this long is not a word of a sentence.
const SHORTEST_CREDENTIAL: usize = 12;

/// Finds every secret in a text, in order and apart from each other.
pub(super) fn find(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    if text.len() < SHORTEST {
        return found;
    }
    if is_hash(text) {
        found.push(Found { range: 0..text.len(), kind: "password hash" });
        return found;
    }
    // A fleet has millions of values, nearly all of them short and without any sign of a secret.
    let has = |sign: u8| memchr::memchr(sign, text.as_bytes()).is_some();
    if text.len() >= SHORTEST_KEY && has(b'-') {
        keys(text, &mut found);
    }
    words(text, &mut found);
    if has(b':') || has(b'=') {
        addresses(text, &mut found);
        assignments(text, &mut found);
    }
    apart(found)
}

/// Finds the secrets of a text that are single words: tokens, and passwords in addresses.
pub(super) fn find_words(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    words(text, &mut found);
    addresses(text, &mut found);
    apart(found)
}

/// Sorts what was found, and joins what overlaps.
pub(super) fn apart(mut found: Vec<Found>) -> Vec<Found> {
    if found.len() < 2 {
        return found;
    }
    found.sort_by_key(|found| (found.range.start, std::cmp::Reverse(found.range.end)));
    found.dedup_by(|next, first| {
        let overlaps = next.range.start < first.range.end;
        if overlaps {
            first.range.end = first.range.end.max(next.range.end);
        }
        overlaps
    });
    found
}

/// Finds private keys in PEM and in the form of `PuTTY`.
fn keys(text: &str, found: &mut Vec<Found>) {
    let putty = text.contains("PuTTY-User-Key-File-").then_some(0..text.len());
    let keys = PEM_KEY.find_iter(text).map(|key| key.range()).chain(putty);
    found.extend(keys.map(|range| Found { range, kind: "private key" }));
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// How everything begins that [`token_at`] knows: almost no other word has to be looked at.
static BEGINNINGS: Pattern = Pattern::new(|| {
    let tokens = TOKENS.iter().chain(TOKENS_WITH_DIGITS).map(|(beginning, ..)| *beginning);
    let all = tokens.chain(ENCODED_KEYS).chain(SCHEMES).chain(["eyJ"]).map(regex::escape);
    regex(&format!(r"(?-u)\b{{start-half}}(?:{})", all.collect::<Vec<_>>().join("|")))
});

fn words(text: &str, found: &mut Vec<Found>) {
    let mut from = 0;
    while let Some(begun) = BEGINNINGS.find_at(text, from) {
        let token = token_at(text, begun.start());
        from = token.as_ref().map_or(begun.start() + 1, |token| token.range.end);
        found.extend(token);
    }
}

fn token_at(text: &str, at: usize) -> Option<Found> {
    let rest = text.get(at..)?;
    let known = |table: &[(&str, usize, &'static str)]| {
        let known = table.iter().find(|(beginning, ..)| rest.starts_with(beginning))?;
        let word = word(&rest[..rest.floor_char_boundary(MAX_TOKEN)]);
        (word.len() >= known.1).then_some((word, known.2))
    };
    let is_word_start = at == 0 || !is_word_byte(text.as_bytes()[at - 1]);
    let has_digit = |word: &str| word.bytes().skip(4).any(|byte| byte.is_ascii_digit());
    let found = known(TOKENS)
        .or_else(|| known(TOKENS_WITH_DIGITS).filter(|(word, _)| is_word_start && has_digit(word)))
        .or_else(|| {
            let is_begun = is_word_start && rest.starts_with("eyJ");
            is_begun.then(|| (word(rest), "JSON web token")).filter(|(word, _)| is_json_web_token(word))
        });
    if let Some((word, kind)) = found {
        return Some(Found { range: at..at + word.len(), kind });
    }
    if ENCODED_KEYS.iter().any(|key| rest.starts_with(key)) {
        return Some(Found { range: at..at + base64_length(rest), kind: "private key" });
    }
    credential_at(text, at)
}

/// Returns the word that a text begins with.
fn word(text: &str) -> &str {
    let end = text.bytes().position(|byte| !is_word_byte(byte)).unwrap_or(text.len());
    text[..end].trim_end_matches('.')
}

/// Three parts of one that is signed, five of one that is encrypted (RFC 7515 and 7516).
fn is_json_web_token(word: &str) -> bool {
    word.len() >= 16 && word.matches('.').count() >= 2
}

fn base64_length(text: &str) -> usize {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-.~".contains(&byte);
    text.bytes().position(|byte| !is_part(byte)).unwrap_or(text.len())
}

/// Finds what stands behind `Bearer` or `Basic` in a header.
fn credential_at(text: &str, at: usize) -> Option<Found> {
    let scheme = SCHEMES.iter().find(|scheme| text[at..].starts_with(*scheme))?;
    let start = at + scheme.len();
    let end = start + base64_length(&text[start..]);
    let credential = &text[start..end];
    let is_word = !credential.contains(|c: char| c.is_ascii_digit() || c == '=');
    let is_secret = credential.len() >= SHORTEST_CREDENTIAL && !is_word && !is_reference(credential);
    is_secret.then_some(Found { range: start..end, kind: "credential" })
}

/// Finds passwords in addresses, and addresses that are secrets themselves.
fn addresses(text: &str, found: &mut Vec<Found>) {
    let captured = |pattern: &'static Pattern| pattern.captures_iter(text).filter_map(|it| it.get(1));
    let passwords = captured(&LOGIN).filter(|password| !is_placeholder(password.as_str()));
    found.extend(passwords.map(|it| Found { range: it.range(), kind: "password" }));
    found.extend(captured(&SECRET_ADDRESS).map(|it| Found { range: it.range(), kind: "webhook address" }));
}

/// Finds `password: x`, `password = "x"`, `--password=x` and `"password": "x"` in a text.
fn assignments(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    for at in memchr::memchr2_iter(b'=', b':', bytes) {
        let next = bytes.get(at + 1).copied().unwrap_or(b'\n');
        let previous = at.checked_sub(1).map_or(b'\n', |at| bytes[at]);
        let is_assignment = match bytes[at] {
            b':' => matches!(next, b' ' | b'\t' | b'"' | b'\''),
            _ => !matches!(next, b'=' | b'~' | b'>') && !matches!(previous, b'=' | b'!' | b'<' | b'>'),
        };
        if is_assignment && let Some(range) = assigned(text, at) {
            found.push(Found { range, kind: "password" });
        }
    }
}

/// Returns the secret that the sign at `at` gives to the name before it.
fn assigned(text: &str, at: usize) -> Option<Range<usize>> {
    let is_colon = text.as_bytes()[at] == b':';
    let before = text[..at].trim_end_matches([' ', '\t', ':', '?']).trim_end_matches(['"', '\'']);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let (margin, path) = before.split_at(before.trim_end_matches(is_part).len());
    if !names_a_secret(path.rsplit('.').next().unwrap_or(path)) {
        return None;
    }
    let margin = margin.trim_end_matches([' ', '\t', '-', '"', '\'']);
    // In a sentence, a colon ends nothing but a clause.
    if is_colon && !(margin.is_empty() || margin.ends_with(['\n', '{', ','])) {
        return None;
    }
    let start = at + 1 + text[at + 1..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let value = given(&text[start..], is_colon);
    let start = start + value.start;
    let range = start..start + value.end - value.start;
    let secret = &text[range.clone()];
    let is_quoted = value.start > 0;
    // Code names a secret that is kept elsewhere: `env("X")`, `secret.db.data["x"]`.
    let is_code = !is_quoted && secret.contains(['(', '[', '{']);
    (!is_code && is_given_secret(secret, is_quoted)).then_some(range)
}

fn is_given_secret(secret: &str, is_quoted: bool) -> bool {
    let is_word =
        !is_quoted && matches!(secret, "true" | "false" | "null" | "none" | "nil" | "|" | "|-" | ">" | ">-");
    let is_number = !is_quoted && secret.len() < 4 && secret.bytes().all(|byte| byte.is_ascii_digit());
    !is_word && !is_number && !is_placeholder(secret) && !is_reference(secret)
}

/// Returns where the value stands that a text begins with.
fn given(text: &str, is_colon: bool) -> Range<usize> {
    let line = text[..text.floor_char_boundary(MAX_LINE)].lines().next().unwrap_or_default();
    if let Some(quote) = line.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let end = line[1..].find(quote).map_or(line.len(), |end| end + 1);
        return 1..end;
    }
    if is_colon {
        let value = line.split(" #").next().unwrap_or_default().trim_end();
        return 0..value.trim_end_matches([',', '}']).trim_end().len();
    }
    let is_end = |c: char| c.is_whitespace() || matches!(c, ';' | '&' | ',' | '"' | '\'' | '}');
    0..line.find(is_end).unwrap_or(line.len())
}
