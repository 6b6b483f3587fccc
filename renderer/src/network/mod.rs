//! Addresses, networks and ranges of addresses, in both families, and whether they overlap.
//!
//! Any valid spelling is read; what is shown and what templates see is the canonical one (RFC 5952 for IPv6).

mod hints;
mod host;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use derive_more::Display;
use ipnet::{IpAddrRange, IpNet, Ipv4AddrRange, Ipv6AddrRange};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use hints::hint;
pub use host::{Bare, bare_addresses, bracketed, host_and_port, is_host_position, is_ipv6};

/// One of the two kinds of addresses, as Kubernetes writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Addresses such as `192.168.64.100`.
    V4,
    /// Addresses such as `fd00:64::100`.
    V6,
}

/// An address of a machine or a Service. IPv6 addresses that stand for IPv4 ones, and addresses with a zone,
/// are refused.
#[derive(
    Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    description = "An IPv4 or IPv6 address.",
    extend("format" = "ip", "x-hint" = "write an address, such as `192.168.64.100` or `fd00:64::100`")
)]
pub struct Address(IpAddr);

/// A network in CIDR notation with no host bits set, as in `10.244.0.0/16`.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    description = "A network in CIDR notation with no host bits set.",
    extend("format" = "cidr", "x-hint" = "write the network itself, such as `10.244.0.0/16` or `fd00:244::/56`")
)]
pub struct Network(IpNet);

/// Addresses that a cluster may give to its load balancers: `first-last`, both included, or a network.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    description = "A range of addresses, first to last, both included, or a network.",
    extend(
        "format" = "address-range",
        "x-hint" = "write the first and the last address, such as `192.168.64.100-192.168.64.110`, or a network, such as `192.168.64.96/28`"
    )
)]
pub enum AddressRange {
    /// From the first address to the last.
    Span(Span),
    /// All addresses of a network.
    Network(Network),
}

/// Addresses of nodes: one of them, or a range.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    description = "An address, or a range of addresses, first to last, both included, or a network.",
    extend("format" = "node-addresses", "x-hint" = "write an address, or the first and the last one, such as `192.168.64.31-192.168.64.39`")
)]
pub enum NodeAddresses {
    /// One address.
    One(Address),
    /// All addresses of a range.
    Range(AddressRange),
}

/// One value, or a list of them: it is seen as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore<T> {
    /// A value of its own.
    One(T),
    /// A list.
    More(Vec<T>),
}

/// A text that is not what it has to be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not {expected}")]
pub struct NetworkError {
    text: String,
    expected: &'static str,
}

/// A stretch of addresses, both ends included.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord)]
#[display("{first}-{last}")]
pub struct Span {
    /// The first address.
    pub(crate) first: IpAddr,
    /// The last one.
    pub(crate) last: IpAddr,
}

impl Family {
    /// Returns the family of an address.
    pub(crate) const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Returns the family of a text that is an address, a network or a range.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let address = text.parse::<Address>().map(Address::ip);
        address.or_else(|_| text.parse::<AddressRange>().map(|range| range.span().first)).ok().map(Self::of)
    }

    /// Returns the name that Kubernetes has for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

impl Address {
    /// Returns the address itself.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.0
    }
}

impl Span {
    /// Returns whether the two have an address in common.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.first.is_ipv4() == other.first.is_ipv4() && self.first <= other.last && other.first <= self.last
    }

    /// Returns what is left without some addresses; nothing if it has none of them.
    pub(crate) fn without(&self, addresses: impl Iterator<Item = IpAddr>) -> Option<Vec<Self>> {
        let taken: BTreeSet<IpAddr> = addresses.filter(|address| self.contains(*address)).collect();
        let (mut left, mut first) = (Vec::new(), Some(self.first));
        for address in &taken {
            let before = first.filter(|first| first < address).zip(neighbour(*address, false));
            left.extend(before.map(|(first, last)| Self { first, last }));
            first = neighbour(*address, true);
        }
        let rest = first.filter(|first| *first <= self.last && first.is_ipv4() == self.last.is_ipv4());
        left.extend(rest.map(|first| Self { first, last: self.last }));
        (!taken.is_empty()).then_some(left)
    }

    /// Returns whether an address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.overlaps(&Self { first: address, last: address })
    }
}

impl Network {
    /// Returns the addresses of the network.
    pub(crate) fn span(&self) -> Span {
        Span { first: self.0.network(), last: self.0.broadcast() }
    }
}

impl AddressRange {
    /// Returns the addresses of the range.
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Span(span) => *span,
            Self::Network(network) => network.span(),
        }
    }
}

impl NodeAddresses {
    /// Returns the addresses in their order.
    pub(crate) fn each(&self) -> impl Iterator<Item = Address> + use<> {
        let Span { first, last } = match self {
            Self::One(Address(address)) => Span { first: *address, last: *address },
            Self::Range(range) => range.span(),
        };
        let range = match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => Some(IpAddrRange::V4(Ipv4AddrRange::new(first, last))),
            (IpAddr::V6(first), IpAddr::V6(last)) => Some(IpAddrRange::V6(Ipv6AddrRange::new(first, last))),
            _ => None,
        };
        range.into_iter().flatten().map(Address)
    }
}

impl OneOrMore<AddressRange> {
    /// Returns whether an address belongs to one of the ranges.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.iter().any(|range| range.span().contains(address))
    }
}

impl<T> OneOrMore<T> {
    /// Returns the values in the order that they were written in.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        match self {
            Self::One(value) => std::slice::from_ref(value).iter(),
            Self::More(values) => values.iter(),
        }
    }
}

impl<'v, T> IntoIterator for &'v OneOrMore<T> {
    type Item = &'v T;
    type IntoIter = std::slice::Iter<'v, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: fmt::Display> fmt::Display for OneOrMore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, value) in self.iter().enumerate() {
            if number > 0 {
                f.write_str(", ")?;
            }
            value.fmt(f)?;
        }
        Ok(())
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMore<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMore{}", T::schema_name()).into()
    }

    /// What a schema states about a text holds for a text only, so that no alternatives are needed.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = T::json_schema(generator);
        let mut both = one.clone();
        both.insert("type".to_owned(), serde_json::json!(["string", "array"]));
        both.insert("items".to_owned(), one.to_value());
        both.insert("minItems".to_owned(), 1.into());
        both
    }
}

impl FromStr for Address {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let expected = "an address such as `192.168.64.100` or `fd00:64::100`";
        match text.parse::<IpAddr>() {
            Ok(address) if !stands_for_ipv4(address) => Ok(Self(address)),
            _ => Err(NetworkError { text: text.to_owned(), expected }),
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let expected = "a network in CIDR notation with no host bits set, such as `10.244.0.0/16`";
        match parsed(text) {
            Some(network) if network.trunc() == network && !stands_for_ipv4(network.network()) => {
                Ok(Self(network))
            }
            _ => Err(NetworkError { text: text.to_owned(), expected }),
        }
    }
}

impl FromStr for AddressRange {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let expected = "a range of addresses such as `192.168.64.100-192.168.64.110`, first to last, or a network such as `192.168.64.96/28`";
        if let Ok(network) = text.parse() {
            return Ok(Self::Network(network));
        }
        let range = text.split_once('-').and_then(|(first, last)| {
            let (Address(first), Address(last)) = (first.parse().ok()?, last.parse().ok()?);
            (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Span { first, last })
        });
        range.map(Self::Span).ok_or_else(|| NetworkError { text: text.to_owned(), expected })
    }
}

/// Returns the address after or before an address, if there is one.
fn neighbour(address: IpAddr, is_next: bool) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            let other = if is_next { bits.checked_add(1) } else { bits.checked_sub(1) };
            other.map(|bits| Ipv4Addr::from_bits(bits).into())
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let other = if is_next { bits.checked_add(1) } else { bits.checked_sub(1) };
            other.map(|bits| Ipv6Addr::from_bits(bits).into())
        }
    }
}

impl FromStr for NodeAddresses {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        text.parse().map(Self::One).or_else(|_| text.parse().map(Self::Range))
    }
}

/// Reads an address with the length of a prefix, each spelled as it is alone: `ipnet` accepts leading zeros.
fn parsed(text: &str) -> Option<IpNet> {
    let (address, prefix) = text.split_once('/')?;
    let is_plain = prefix == "0" || !prefix.starts_with(['0', '+']);
    IpNet::new(address.parse().ok()?, prefix.parse().ok().filter(|_| is_plain)?).ok()
}

/// One IPv4 address in the spelling of IPv6 would be another address where texts are compared.
fn stands_for_ipv4(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

macro_rules! text_form {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = NetworkError;

            fn try_from(text: String) -> Result<Self, NetworkError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    };
}

text_form!(Address);
text_form!(Network);
text_form!(AddressRange);
text_form!(NodeAddresses);

/// Returns whether a text has a format.
type Judge = fn(&str) -> bool;

/// The formats of schemas that are judged by the types of this module.
pub(crate) const FORMATS: [(&str, Judge); 4] = [
    ("ip", |text| text.parse::<Address>().is_ok()),
    ("cidr", |text| text.parse::<Network>().is_ok()),
    ("address-range", |text| text.parse::<AddressRange>().is_ok()),
    ("node-addresses", |text| text.parse::<NodeAddresses>().is_ok()),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling_however_it_is_written() {
        for (written, canonical) in [
            ("192.168.64.100", "192.168.64.100"),
            ("FD00::1", "fd00::1"),
            ("fd00:0:0::1", "fd00::1"),
            ("fd00:0000:0000:0000:0000:0000:0000:0001", "fd00::1"),
            ("fd00:0:1:0:0:0:0:1", "fd00:0:1::1"),
        ] {
            assert_eq!(written.parse::<Address>().map(|it| it.to_string()), Ok(canonical.to_owned()));
        }
        for text in ["::ffff:192.168.64.1", "fe80::1%eth0", "192.168.064.1", "192.168.64", "[fd00::1]", ""] {
            assert!(text.parse::<Address>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_network_with_host_bits_is_refused() {
        for text in ["10.96.0.0/12", "fd00:96::/108", "0.0.0.0/0", "::/0"] {
            assert!(text.parse::<Network>().is_ok(), "{text}");
        }
        for text in ["10.97.0.0/12", "fd00:96::1/108", "10.96.0.0", "::ffff:10.0.0.0/104", "10.0.0.0/33"] {
            assert!(text.parse::<Network>().is_err(), "{text:?} was accepted");
        }
        let error = "10.97.0.0/12".parse::<Network>().unwrap_err();
        assert!(error.to_string().starts_with("`10.97.0.0/12` is not a network"));
    }

    #[test]
    fn a_range_runs_from_first_to_last_in_one_family() {
        let contains = |range: &str, address: &str| {
            range.parse::<AddressRange>().unwrap().span().contains(address.parse().unwrap())
        };
        for (range, address, is_in) in [
            ("192.168.64.100-192.168.64.110", "192.168.64.100", true),
            ("192.168.64.100-192.168.64.110", "192.168.64.110", true),
            ("192.168.64.100-192.168.64.110", "192.168.64.111", false),
            ("192.168.64.100-192.168.64.110", "::1", false),
            ("192.168.64.96/28", "192.168.64.111", true),
            ("192.168.64.96/28", "192.168.64.112", false),
            ("FD00::9-fd00::10", "fd00::a", true),
            ("FD00::9-fd00::10", "fd00::11", false),
            ("fd00:64::/120", "fd00:64::ff", true),
        ] {
            assert_eq!(contains(range, address), is_in, "{address} in {range}");
        }
        for text in [
            "192.168.64.110-192.168.64.100",
            "192.168.64.1",
            "::1-192.168.64.1",
            "a-b",
            "",
            "10.0.0.1/8",
            "a/8",
        ] {
            assert!(text.parse::<AddressRange>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn networks_that_share_an_address_overlap() {
        let span = |text: &str| text.parse::<Network>().unwrap().span();
        assert!(span("10.96.0.0/12").overlaps(&span("10.97.0.0/16")));
        assert!(!span("10.96.0.0/16").overlaps(&span("10.97.0.0/16")));
        assert!(!span("::/0").overlaps(&span("0.0.0.0/0")));
        assert!(span("fd00::/16").overlaps(&span("fd00:244::/56")));
    }

    #[test]
    fn a_text_has_the_family_of_its_addresses() {
        for (text, family) in [
            ("10.0.0.1", Some(Family::V4)),
            ("fd00::/64", Some(Family::V6)),
            ("fd00::1-fd00::9", Some(Family::V6)),
            ("db.internal", None),
        ] {
            assert_eq!(Family::of_text(text), family, "{text}");
        }
    }
}
