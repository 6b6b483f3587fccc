//! IPv6 addresses as hosts: in a URL and before a port they stand in brackets, or their last group and the
//! port are one.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// How far before a host its URL begins, in bytes: a user and other hosts may stand between.
const MAX_AUTHORITY: usize = 1024;

/// Returns an address as it is written in a URL and before a port; anything else as it is.
#[must_use]
pub fn bracketed(text: &str) -> Cow<'_, str> {
    if is_ipv6(text) { Cow::Owned(format!("[{text}]")) } else { Cow::Borrowed(text) }
}

/// Returns whether a text is an IPv6 address without brackets.
#[must_use]
pub fn is_ipv6(text: &str) -> bool {
    text.contains(':') && text.parse::<Ipv6Addr>().is_ok()
}

/// Returns the host of a URL without brackets, and its port; `url` may lack what stands before the host.
#[must_use]
pub fn host_and_port(url: &str) -> (&str, Option<&str>) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None if is_ipv6(authority) => (authority, None),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    }
}

/// Returns whether an address between two texts stands where a host does: in a URL, or before a port.
#[must_use]
pub fn is_host_position(before: &str, after: &str) -> bool {
    let is_apart = !before.ends_with(|c: char| c.is_alphanumeric() || "_:.[".contains(c));
    (is_in_authority(before) && !after.starts_with(|c: char| c.is_alphanumeric() || "_.-%".contains(c)))
        || (is_apart && begins_with_port(after))
}

/// Returns whether a text ends where the host of a URL begins.
fn is_in_authority(before: &str) -> bool {
    let near = before.ceil_char_boundary(before.len().saturating_sub(MAX_AUTHORITY));
    let Some((_, authority)) = before[near..].rsplit_once("://") else { return false };
    authority.is_empty()
        || (authority.ends_with(['@', ',']) && !authority.contains(['/', '?', '#', '"', '\'', ' ', '\n']))
}

/// Returns whether a text begins with a port, or with what a shell or a template puts one in for.
fn begins_with_port(after: &str) -> bool {
    let Some(port) = after.strip_prefix(':') else { return false };
    let end = port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len());
    let is_variable = port.strip_prefix('$').is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '{' || c == '(')
    });
    let is_over = !port[end..].starts_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
    is_variable || port.starts_with("{{") || ((1..=5).contains(&end) && is_over)
}

/// An IPv6 address that stands without brackets where a host does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bare<'t> {
    /// Where in the text it starts, in bytes.
    pub at: usize,
    /// The address with what follows it, as it was written.
    pub written: &'t str,
    /// The same with brackets; nothing if the address can't be distinguished from the port.
    pub meant: Option<String>,
}

/// Finds IPv6 addresses without brackets in URLs and before ports.
///
/// `fd00::1:80` is an address, too. Outside of a URL it is taken for one with a port only if `is_known` knows
/// the part before the last colon.
pub fn bare_addresses(text: &str, is_known: impl Fn(&Ipv6Addr) -> bool) -> impl Iterator<Item = Bare<'_>> {
    runs(text).filter_map(move |(at, run)| {
        let (before, after) = (&text[..at], &text[at + run.len()..]);
        let is_word = |c: char| c.is_alphanumeric() || "_-%".contains(c);
        if before.ends_with(is_word) || after.starts_with(is_word) || before.ends_with('[') {
            return None;
        }
        let whole = run.parse::<Ipv6Addr>().ok();
        let could_be_two = address_and_port(run);
        let two = could_be_two.filter(|(address, _)| whole.is_none() || is_known(address));
        let is_bare = match whole {
            Some(_) if is_in_authority(before) => true,
            Some(address) => two.is_some() && !is_known(&address),
            None => two.is_some(),
        };
        let meant = match (two, whole) {
            (Some((address, port)), _) => Some(format!("[{address}]:{port}")),
            (None, Some(address)) if could_be_two.is_none() => Some(format!("[{address}]")),
            _ => None,
        };
        is_bare.then_some(Bare { at, written: run, meant })
    })
}

fn address_and_port(text: &str) -> Option<(Ipv6Addr, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    Some((address.parse().ok()?, port.parse().ok()?))
}

/// Returns the stretches of a text that may hold an IPv6 address, with a port or without, and where they start.
fn runs(text: &str) -> impl Iterator<Item = (usize, &str)> {
    const FEWEST_COLONS: usize = 2;
    let has_colons = memchr::memchr_iter(b':', text.as_bytes()).nth(FEWEST_COLONS - 1).is_some();
    let words = text.split(|c: char| !(c.is_ascii_hexdigit() || c == ':' || c == '.'));
    let at = move |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    words
        .take_while(move |_| has_colons)
        .map(move |word| (at(word), word.trim_end_matches('.')))
        .filter(|(_, run)| run.bytes().filter(|byte| *byte == b':').count() >= FEWEST_COLONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_perhaps_a_port_in_both_families() {
        for (url, parts) in [
            ("http://192.168.64.102:9090/api", ("192.168.64.102", Some("9090"))),
            ("http://[fd00:64::102]:9090/api", ("fd00:64::102", Some("9090"))),
            ("https://[fd00:64::102]/", ("fd00:64::102", None)),
            ("grpc://tempo", ("tempo", None)),
            ("http://reader@10.0.0.1/x?y=1", ("10.0.0.1", None)),
            ("fd00:64::102", ("fd00:64::102", None)),
            ("loki:3100", ("loki", Some("3100"))),
        ] {
            assert_eq!(host_and_port(url), parts, "{url}");
        }
    }

    #[test]
    fn a_host_stands_in_a_url_and_before_a_port() {
        for (before, after) in [
            ("http://", ":9090/api"),
            ("http://", ""),
            ("https://", "/"),
            ("ssh://git@", "/x"),
            ("redis://[fd00::2]:1,", ":2"),
            ("", ":9104"),
            ("--listen=", ":80"),
            ("see ", ":80."),
            ("curl ", ":${PORT}/x"),
            ("a ", ":{{ .Port }}"),
            ("url: https://", ":$PORT"),
        ] {
            assert!(is_host_position(before, after), "{before}…{after}");
        }
        for (before, after) in [
            ("", ""),
            ("Host ", "\nPort 80"),
            ("[", "]:80"),
            ("http://[", "]:80"),
            ("", "/64"),
            ("", ": up"),
            ("", ":80:1"),
            ("", ":eth0"),
            ("x", ":80"),
            ("http://", ".nip.io"),
            ("http://a/?b=", ""),
            ("cost: $", ":$"),
        ] {
            assert!(!is_host_position(before, after), "{before}…{after}");
        }
    }

    #[test]
    fn a_bare_address_is_found_in_a_url_and_before_a_port() {
        let known: Ipv6Addr = "fd00:64::21".parse().unwrap();
        let found = |text: &'static str| -> Vec<_> {
            let bare = bare_addresses(text, |address| *address == known);
            bare.map(|bare| format!("{} → {}", bare.written, bare.meant.unwrap_or_default())).collect()
        };
        for (text, expected) in [
            ("http://fd00:64::21:9090/", "fd00:64::21:9090 → [fd00:64::21]:9090"),
            ("https://FD00::1/", "FD00::1 → [fd00::1]"),
            ("http://fd00:64::9:9090/", "fd00:64::9:9090 → "),
            ("http://fd00:1:2:3:4:5:6:7:80", "fd00:1:2:3:4:5:6:7:80 → [fd00:1:2:3:4:5:6:7]:80"),
            ("fd00:64::21:9104", "fd00:64::21:9104 → [fd00:64::21]:9104"),
            ("1:2:3:4:5:6:7:8:9100", "1:2:3:4:5:6:7:8:9100 → [1:2:3:4:5:6:7:8]:9100"),
            ("a, fd00:64::21:80.", "fd00:64::21:80 → [fd00:64::21]:80"),
        ] {
            assert_eq!(found(text), [expected], "{text}");
        }
        for text in [
            "http://[fd00:64::21]:9090/",
            "fd00:64::21",
            "fd00:64::9:9104",
            "fd00:64::/64",
            "fd00::1-fd00::9",
            "[::]:8200",
            "::",
            "::1",
            "12:30:00",
            "2026-01-31T09:00:00Z",
            "aa:bb:cc:dd:ee:ff",
            "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD",
            "std::abc::def:80",
            "cluster:apiserver:rate5m",
            "a: b: c",
            "http://192.168.64.21:9090/",
            "system:serviceaccount:default:default",
        ] {
            assert_eq!(found(text), Vec::<String>::new(), "{text}");
        }
    }
}
