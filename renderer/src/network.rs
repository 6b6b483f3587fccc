//! Networks and address pools, and whether they overlap.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A network in CIDR notation with no host bits set, as in `10.244.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

/// The addresses that a cluster may give to its load balancers: `first-last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressPool {
    first: IpAddr,
    last: IpAddr,
}

/// A text that is not a network or an address pool.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not {expected}")]
pub struct NetworkError {
    text: String,
    expected: &'static str,
}

/// A stretch of addresses, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    first: IpAddr,
    last: IpAddr,
}

impl Span {
    /// Returns whether the two have an address in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first.is_ipv4() == other.first.is_ipv4() && self.first <= other.last && other.first <= self.last
    }

    /// Returns whether an address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.overlaps(&Self { first: address, last: address })
    }

    /// Returns the first address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// Returns the last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        self.last
    }
}

impl Network {
    /// Returns the addresses of the network.
    #[must_use]
    pub fn span(&self) -> Span {
        Span { first: self.0.network(), last: self.0.broadcast() }
    }
}

impl AddressPool {
    /// Returns the addresses of the pool.
    #[must_use]
    pub fn span(&self) -> Span {
        Span { first: self.first, last: self.last }
    }

    /// Returns whether an address belongs to the pool.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.span().contains(address)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let expected = "a network in CIDR notation with no host bits set, such as `10.244.0.0/16`";
        match text.parse::<IpNet>() {
            Ok(network) if network.trunc() == network => Ok(Self(network)),
            _ => Err(NetworkError { text: text.to_owned(), expected }),
        }
    }
}

impl FromStr for AddressPool {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let expected = "a range of addresses such as `192.168.64.100-192.168.64.110`, first to last";
        let range =
            text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        match range {
            Some((IpAddr::V4(first), IpAddr::V4(last))) if first <= last => {
                Ok(Self { first: first.into(), last: last.into() })
            }
            Some((IpAddr::V6(first), IpAddr::V6(last))) if first <= last => {
                Ok(Self { first: first.into(), last: last.into() })
            }
            _ => Err(NetworkError { text: text.to_owned(), expected }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for AddressPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

macro_rules! text_form {
    ($name:ident, $schema:expr) => {
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

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

text_form!(
    Network,
    json_schema!({
        "type": "string",
        "format": "cidr",
        "description": "A network in CIDR notation with no host bits set.",
        "x-hint": "write the network itself, such as `10.244.0.0/16`"
    })
);
text_form!(
    AddressPool,
    json_schema!({
        "type": "string",
        "format": "address-pool",
        "description": "A range of addresses, first to last, both included.",
        "x-hint": "write the first and the last address, such as `192.168.64.100-192.168.64.110`"
    })
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_with_host_bits_is_refused() {
        assert!("10.96.0.0/12".parse::<Network>().is_ok());
        let error = "10.97.0.0/12".parse::<Network>().unwrap_err();
        assert!(error.to_string().starts_with("`10.97.0.0/12` is not a network"));
    }

    #[test]
    fn a_pool_runs_from_first_to_last_in_one_family() {
        let pool: AddressPool = "192.168.64.100-192.168.64.110".parse().unwrap();
        assert!(pool.contains("192.168.64.100".parse().unwrap()));
        assert!(pool.contains("192.168.64.110".parse().unwrap()));
        assert!(!pool.contains("192.168.64.111".parse().unwrap()));
        assert!(!pool.contains("::1".parse().unwrap()));
        for text in ["192.168.64.110-192.168.64.100", "192.168.64.1", "::1-192.168.64.1", "a-b", ""] {
            assert!(text.parse::<AddressPool>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn networks_that_share_an_address_overlap() {
        let span = |text: &str| text.parse::<Network>().unwrap().span();
        assert!(span("10.96.0.0/12").overlaps(&span("10.97.0.0/16")));
        assert!(!span("10.96.0.0/16").overlaps(&span("10.97.0.0/16")));
        assert!(!span("::/0").overlaps(&span("0.0.0.0/0")));
    }
}
