//! What is wrong with a text that should be an address, a network or a range, as far as it can be guessed.

use std::net::{IpAddr, SocketAddr};

use super::{parsed, stands_for_ipv4};

/// Returns what to write instead of a text that one of this module's formats refuses, if it can be guessed.
#[must_use]
pub fn hint(format: &str, text: &str) -> Option<String> {
    match format {
        "ip" => address(text),
        "cidr" => network(text),
        "address-range" | "node-addresses" => range(text),
        _ => None,
    }
}

fn address(text: &str) -> Option<String> {
    if let Some(better) = spelling(text) {
        return Some(better);
    }
    if let Some(network) = parsed(text) {
        return Some(format!("that is a network: write the address alone, `{}`", network.addr()));
    }
    if let Some((first, _)) = text.split_once('-').filter(|(first, _)| first.trim().parse::<IpAddr>().is_ok())
    {
        return Some(format!("that is a range: write one address of it, such as `{}`", first.trim()));
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(format!("write the address without the port: `{}`", socket.ip()));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':']).next().filter(|host| host.parse::<IpAddr>().is_ok());
        let example = host.map_or(String::new(), |host| format!(": `{host}`"));
        return Some(format!("write the address alone, without the rest of the URL{example}"));
    }
    let is_name = text.contains(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    is_name.then(|| "a host name is not taken here: write the address that it leads to".to_owned())
}

fn network(text: &str) -> Option<String> {
    if let Some(network) = parsed(text) {
        if stands_for_ipv4(network.network()) {
            return Some(
                "it holds IPv4 addresses in the spelling of IPv6: write the IPv4 network".to_owned(),
            );
        }
        return Some(format!("the network of that address is `{}`", network.trunc()));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        return Some(format!("add the length of the prefix; the address alone is `{address}/{prefix}`"));
    }
    if text.contains('-') {
        return Some("a range is not taken here: write a network, such as `10.244.0.0/16`".to_owned());
    }
    if text.contains(',') {
        return Some("write a list: one network on a line of its own, after `- `".to_owned());
    }
    let (address, prefix) = text.split_once('/')?;
    let Ok(address) = address.parse::<IpAddr>() else { return spelling(address) };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let is_long = prefix.parse::<u32>().is_ok_and(|prefix| prefix > longest);
    is_long.then(|| format!("the prefix of such a network has at most {longest} bits"))
}

fn range(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(format!("a range of one address is `{address}-{address}`"));
    }
    if text.contains(',') {
        return Some("write a list: one range on a line of its own, after `- `".to_owned());
    }
    let Some((first, last)) = text.split_once('-') else { return network(text) };
    let (first, last) = (first.trim(), last.trim());
    match (first.parse::<IpAddr>(), last.parse::<IpAddr>()) {
        (Ok(first), Ok(last)) if first.is_ipv4() != last.is_ipv4() => {
            Some("a range stays in one family; write a list with one range for each".to_owned())
        }
        (Ok(first), Ok(last)) if first > last => {
            Some(format!("the first address comes first: `{last}-{first}`"))
        }
        (Ok(first), Ok(last)) => {
            Some(spelling(&first.to_string()).unwrap_or_else(|| format!("write `{first}-{last}`")))
        }
        (Ok(IpAddr::V4(address)), Err(_)) if last.parse::<u8>().is_ok() => {
            let [a, b, c, _] = address.octets();
            Some(format!("write the last address out: `{first}-{a}.{b}.{c}.{last}`"))
        }
        (Err(_), _) => spelling(first).or_else(|| address(first)),
        (_, Err(_)) => spelling(last).or_else(|| address(last)),
    }
}

/// Finds the address that a text with a slip was meant to be.
fn spelling(text: &str) -> Option<String> {
    let trimmed = text.trim();
    if trimmed != text && trimmed.parse::<IpAddr>().is_ok() {
        return Some(format!("remove the space around it: `{trimmed}`"));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        let IpAddr::V6(address) = address else { return None };
        let mapped = address.to_ipv4_mapped()?;
        return Some(format!("that is an IPv4 address in the spelling of IPv6: write `{mapped}`"));
    }
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    if let Some(inner) = inner.filter(|inner| inner.parse::<IpAddr>().is_ok()) {
        return Some(format!("write it without brackets, which are added where a port follows: `{inner}`"));
    }
    if let Some((address, _)) = text.split_once('%').filter(|(address, _)| address.parse::<IpAddr>().is_ok())
    {
        return Some(format!(
            "`{address}` with a zone is the address of one link on one machine: write one that all can reach"
        ));
    }
    let parts: Vec<&str> = text.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() == 4 && parts.iter().all(is_number) {
        let plain: Vec<_> = parts.iter().map(|part| part.trim_start_matches('0')).collect();
        let plain: Vec<_> = plain.iter().map(|part| if part.is_empty() { "0" } else { part }).collect();
        return Some(match plain.join(".").parse::<IpAddr>() {
            Ok(address) => {
                format!("leave out leading zeros, which some programs read as octal: `{address}`")
            }
            Err(_) => "each of the four numbers is at most 255".to_owned(),
        });
    }
    if (2..=5).contains(&parts.len()) && parts.len() != 4 && parts.iter().all(is_number) {
        return Some("an IPv4 address has four numbers".to_owned());
    }
    let meant = text.replace(['O', 'o'], "0").replace(['l', 'I'], "1");
    (meant != text && meant.parse::<IpAddr>().is_ok()).then(|| format!("did you mean `{meant}`?"))
}

#[cfg(test)]
mod tests {
    use super::super::FORMATS;
    use super::*;

    /// Formats with texts that they refuse, and a word of the way out.
    const CASES: [(&str, &str, &str); 34] = [
        ("ip", "192.168.1.12/24", "that is a network: write the address alone, `192.168.1.12`"),
        ("ip", "192.168.64.1O9", "did you mean `192.168.64.109`?"),
        ("ip", "l92.168.64.1", "did you mean `192.168.64.1`?"),
        ("ip", "192.168.64.1 ", "remove the space"),
        ("ip", " fd00::1", "remove the space"),
        ("ip", "192.168.064.001", "leading zeros, which some programs read as octal: `192.168.64.1`"),
        ("ip", "192.168.64.256", "at most 255"),
        ("ip", "192.168.64", "four numbers"),
        ("ip", "1.2.3.4.5", "four numbers"),
        ("ip", "::ffff:192.168.64.1", "write `192.168.64.1`"),
        ("ip", "fe80::1%eth0", "`fe80::1` with a zone"),
        ("ip", "[fd00::1]", "without brackets, which are added where a port follows: `fd00::1`"),
        ("ip", "192.168.64.1:3306", "without the port: `192.168.64.1`"),
        ("ip", "[fd00::1]:3306", "without the port: `fd00::1`"),
        ("ip", "https://192.168.64.1:6443", "without the rest of the URL: `192.168.64.1`"),
        ("ip", "https://db.internal", "without the rest of the URL"),
        ("ip", "192.168.64.1-192.168.64.9", "that is a range"),
        ("ip", "db.internal", "a host name is not taken here"),
        ("ip", "localhost", "a host name is not taken here"),
        ("cidr", "10.97.0.0/12", "the network of that address is `10.96.0.0/12`"),
        ("cidr", "10.96.0.0", "add the length of the prefix; the address alone is `10.96.0.0/32`"),
        ("cidr", "10.96.0.0/33", "at most 32 bits"),
        ("cidr", "10.096.0.0/12", "`10.96.0.0`"),
        ("cidr", "10.96.0.0-10.96.0.9", "a range is not taken here"),
        ("cidr", "10.96.0.0/16,fd00:96::/112", "write a list"),
        ("cidr", "::ffff:10.0.0.0/104", "write the IPv4 network"),
        ("address-range", "192.168.64.110-192.168.64.100", "`192.168.64.100-192.168.64.110`"),
        ("address-range", "192.168.64.100", "`192.168.64.100-192.168.64.100`"),
        ("address-range", "192.168.64.100-110", "`192.168.64.100-192.168.64.110`"),
        ("address-range", "192.168.64.100 - 192.168.64.110", "write `192.168.64.100-192.168.64.110`"),
        ("address-range", "192.168.64.1-fd00::1", "one family"),
        ("address-range", "192.168.64.1OO-192.168.64.110", "did you mean `192.168.64.100`?"),
        ("address-range", "192.168.64.100/24", "the network of that address is `192.168.64.0/24`"),
        ("address-range", "10.0.0.1-10.0.0.9, 10.0.0.20-10.0.0.29", "write a list"),
    ];

    #[test]
    fn what_is_refused_says_the_way_out() {
        for (format, text, way) in CASES {
            let (_, judge) = FORMATS.iter().find(|(name, _)| *name == format).unwrap();
            assert!(!judge(text), "{format} takes {text:?}");
            let hint = hint(format, text).unwrap_or_default();
            assert!(hint.contains(way), "{format} {text:?}: {hint}");
        }
    }
}
