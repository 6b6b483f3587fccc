//! Addresses on the network. Knows nothing of what is sent there.

use std::fmt;
use std::net::IpAddr;

/// An address on the network with what is spoken there; equal ones are the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Endpoint {
    pub scheme: String,
    pub host: IpAddr,
    pub port: u16,
    pub path: String,
}

impl Endpoint {
    /// Reads a URL; nothing if it has a host name, which is not known to be of the fleet.
    pub(in super::super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let default_port = if scheme == "https" { 443 } else { 80 };
        let port = port.map_or(Ok(default_port), str::parse).ok()?;
        // `localhost` is the one name that is known.
        let host = if host == "localhost" { "127.0.0.1" } else { host };
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { scheme, host: host.parse::<IpAddr>().ok()?.to_canonical(), port, path: path.to_owned() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, path } = self;
        let path = if path == "/" { "" } else { path };
        if host.is_ipv6() {
            write!(f, "{scheme}://[{host}]:{port}{path}")
        } else {
            write!(f, "{scheme}://{host}:{port}{path}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_an_address_is_an_endpoint_and_one_with_a_host_name_is_not() {
        for (url, endpoint) in [
            ("http://192.168.64.102:9090/api/v1/write", "http://192.168.64.102:9090/api/v1/write"),
            ("HTTPS://10.0.0.1", "https://10.0.0.1:443"),
            ("http://reader@10.0.0.1/x?y=1", "http://10.0.0.1:80/x?y=1"),
            ("http://[FD00::1]:9090/x", "http://[fd00::1]:9090/x"),
            ("http://[fd00:0:0::1]/", "http://[fd00::1]:80"),
            ("http://[::ffff:10.0.0.1]:80/", "http://10.0.0.1:80"),
            ("grpc://localhost:4317/", "grpc://127.0.0.1:4317"),
        ] {
            assert_eq!(Endpoint::parse(url).map(|endpoint| endpoint.to_string()).as_deref(), Some(endpoint));
        }
        for url in
            ["https://metrics.example.com/api/v1/write", "https://prometheus:9090/", "http://10.0.0.1:x/", ""]
        {
            assert_eq!(Endpoint::parse(url), None);
        }
    }
}
