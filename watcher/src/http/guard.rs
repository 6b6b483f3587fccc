//! Where a repository may lead: to public addresses, and to the network that it is in itself.
//!
//! A redirect, an index or a registry names other servers. Followed blindly, it makes this machine ask its
//! own services, its link (where clouds keep credentials) or its private network. Names are resolved here and
//! only what was checked is connected to, so a name that resolves differently a moment later gains nothing.
//! Behind a proxy it is the proxy that resolves and connects: what it may reach is up to its rules, and only
//! addresses written as such are refused here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// A kind of network that addresses are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Public,
    Private,
    Loopback,
    /// The link, and what no server can be at.
    Link,
}

/// A repository led to a network in which it is not itself.
#[derive(Debug, Error)]
#[error("leads to an address of this machine, its link or a private network")]
pub(super) struct Inside;

/// Resolves names for the fetches from one repository.
#[derive(Clone, Debug)]
pub(super) struct Guard(Arc<Home>);

#[derive(Debug)]
struct Home {
    /// The repository's own host, which a person has named.
    host: String,
    /// The network in which that host was found.
    network: Mutex<Network>,
}

impl Guard {
    /// Returns the guard of a repository at a host, which may be written as an address.
    pub fn new(host: &str) -> Self {
        let network = literal(host).unwrap_or(Network::Public);
        Self(Arc::new(Home { host: host.to_owned(), network: Mutex::new(network) }))
    }

    /// Returns whether this repository may lead to a host, as far as that can be decided without resolving it.
    pub fn permits_literal(&self, host: &str) -> bool {
        literal(host).is_none_or(|network| self.permits(host, network))
    }

    fn permits(&self, host: &str, network: Network) -> bool {
        network == Network::Public || host == self.0.host || network == self.home()
    }

    /// Returns those of a host's addresses that may be connected to.
    fn permitted(&self, host: &str, found: &[IpAddr]) -> Vec<IpAddr> {
        if host == self.0.host {
            let first = found.first().map_or(Network::Public, |address| network_of(*address));
            let is_one = found.iter().all(|address| network_of(*address) == first);
            *self.0.network.lock().unwrap_or_else(PoisonError::into_inner) =
                if is_one { first } else { Network::Public };
        }
        found.iter().copied().filter(|address| self.permits(host, network_of(*address))).collect()
    }

    fn home(&self) -> Network {
        *self.0.network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        if config.proxy().is_some_and(|proxy| proxy.uri().authority() == uri.authority()) {
            return Ok(found);
        }
        let addresses: Vec<IpAddr> = found.iter().map(std::net::SocketAddr::ip).collect();
        let permitted = self.permitted(uri.host().unwrap_or_default(), &addresses);
        let mut left = self.empty();
        for address in found.iter().filter(|address| permitted.contains(&address.ip())) {
            left.push(*address);
        }
        if left.is_empty() { Err(ureq::Error::Other(Box::new(Inside))) } else { Ok(left) }
    }
}

/// Returns the network of a host that is written as an address.
fn literal(host: &str) -> Option<Network> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host == "localhost" || host.ends_with(".localhost") {
        return Some(Network::Loopback);
    }
    host.parse().ok().map(network_of)
}

/// Source: the special-purpose address registries of IANA (RFC 6890).
fn network_of(address: IpAddr) -> Network {
    match address {
        IpAddr::V4(address) => network_of_v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(|| network_of_v6(address), network_of_v4),
    }
}

fn network_of_v4(address: Ipv4Addr) -> Network {
    match address.octets() {
        [127, ..] => Network::Loopback,
        [0 | 224.., ..] | [169, 254, ..] => Network::Link,
        [10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        // For documentation and measurements.
        | [192, 0, 0 | 2, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Network::Private,
        _ => Network::Public,
    }
}

const fn network_of_v6(address: Ipv6Addr) -> Network {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Network::Loopback,
        [0 | 0xfe80..=0xfebf | 0xff00.., ..] => Network::Link,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] | [0x2001, 0xdb8, ..] => {
            Network::Private
        }
        _ => Network::Public,
    }
}

/// Returns the IPv4 address that an IPv6 address stands for: mapped, compatible, translated (NAT64) or
/// tunnelled (6to4).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0 | 0xffff, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(v4(high, low))
        }
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: [&str; 4] = ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"];
    const PRIVATE: [&str; 8] = [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
    ];
    const LOOPBACK: [&str; 4] = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"];
    const LINK: [&str; 9] = [
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "fe80::1",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "64:ff9b::a9fe:a9fe",
        "255.255.255.255",
    ];

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_public_repository_leads_to_public_addresses_only() {
        let guard = Guard::new("charts.example.com");
        assert_eq!(guard.permitted("charts.example.com", &[address("1.1.1.1")]).len(), 1);
        for text in PUBLIC {
            assert_eq!(guard.permitted("elsewhere", &[address(text)]), [address(text)], "{text}");
        }
        for text in PRIVATE.iter().chain(&LOOPBACK).chain(&LINK) {
            assert!(guard.permitted("elsewhere", &[address(text)]).is_empty(), "{text}");
            let host = if text.contains(':') { format!("[{text}]") } else { (*text).to_owned() };
            assert!(!guard.permits_literal(&host), "{text}");
        }
        assert!(!guard.permits_literal("localhost"));
        // Of several addresses, only what is permitted is connected to.
        let both = [address("10.0.0.1"), address("1.1.1.1")];
        assert_eq!(guard.permitted("elsewhere", &both), [address("1.1.1.1")]);
    }

    #[test]
    fn a_repository_leads_to_the_network_that_it_is_in_and_to_no_other_inside() {
        let networks = [&PRIVATE[..], &LOOPBACK[..]];
        for home in networks {
            let guard = Guard::new("charts.internal");
            assert_eq!(guard.permitted("charts.internal", &[address(home[0])]).len(), 1);
            for network in networks {
                let is_own = std::ptr::eq(network, home);
                assert_eq!(!guard.permitted("storage.internal", &[address(network[1])]).is_empty(), is_own);
            }
            assert!(guard.permitted("metadata", &[address("169.254.169.254")]).is_empty());
        }
        // One that is found in two networks is in neither.
        let guard = Guard::new("charts.example.com");
        guard.permitted("charts.example.com", &[address("1.1.1.1"), address("10.0.0.1")]);
        assert!(guard.permitted("elsewhere", &[address("10.0.0.1")]).is_empty());
    }
}
