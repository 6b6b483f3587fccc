//! Addresses to fetch from: `https://` anywhere, `http://` on this machine and on a mirror that the fleet's facts name so, and
//! never with credentials in them.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

use super::error::{ChartError, Refused};

/// An address that may be fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    uri: Uri,
    /// The server that is spoken to in the open, if somebody decided so.
    open: Option<String>,
}

impl Address {
    pub fn parse(text: &str) -> Result<Self, ChartError> {
        Self::parse_with(text, None)
    }

    /// Parses the address of a mirror: whoever wrote `http://` into the fleet's facts decided that its server may be spoken to in
    /// the open. That holds for this server alone.
    pub fn parse_mirror(text: &str) -> Result<Self, ChartError> {
        let authority = text.strip_prefix("http://").and_then(|rest| rest.split('/').next());
        Self::parse_with(text, authority)
    }

    fn parse_with(text: &str, open: Option<&str>) -> Result<Self, ChartError> {
        // What stands behind `#` is for the reader and not for the server.
        let text = text.split('#').next().unwrap_or(text);
        let refused = |reason| ChartError::Address { address: without_secrets(text), reason };
        let uri: Uri = text.parse().map_err(|_| refused(Refused::Malformed))?;
        let authority = uri.authority().ok_or_else(|| refused(Refused::Malformed))?;
        if authority.as_str().contains('@') {
            return Err(refused(Refused::Credentials));
        }
        let is_open = open == Some(authority.as_str()) || is_loopback(authority.host());
        match uri.scheme_str() {
            Some("http") if !is_open => Err(refused(Refused::Plain)),
            Some("http" | "https") => Ok(Self { uri, open: open.map(str::to_owned) }),
            _ => Err(refused(Refused::Scheme)),
        }
    }

    /// Returns the address that a text stands for where this address leads to a folder.
    pub fn below(&self, text: &str) -> Result<Self, ChartError> {
        if text.contains("://") {
            return self.elsewhere(text);
        }
        let folder = self.uri.path().trim_end_matches('/');
        let path = if text.starts_with('/') { text.to_owned() } else { format!("{folder}/{text}") };
        self.parse_like(&format!("{}{path}", self.origin()))
    }

    /// Returns the address that a redirect leads to.
    pub fn redirect(&self, location: &str) -> Result<Self, ChartError> {
        if location.contains("://") {
            return self.elsewhere(location);
        }
        if let Some(authority) = location.strip_prefix("//") {
            return self.elsewhere(&format!("{}://{authority}", self.scheme()));
        }
        let folder = self.uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        let path =
            if location.starts_with('/') { location.to_owned() } else { format!("{folder}/{location}") };
        self.parse_like(&format!("{}{path}", self.origin()))
    }

    /// What began encrypted must not go on in the open, not even to this machine.
    fn elsewhere(&self, text: &str) -> Result<Self, ChartError> {
        let address = self.parse_like(text)?;
        if self.scheme() == "https" && address.scheme() != "https" {
            return Err(ChartError::Address { address: without_secrets(text), reason: Refused::Plain });
        }
        Ok(address)
    }

    fn parse_like(&self, text: &str) -> Result<Self, ChartError> {
        Self::parse_with(text, self.open.as_deref())
    }

    /// Returns whether both are on one server.
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.origin() == other.origin()
    }

    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    fn scheme(&self) -> &str {
        self.uri.scheme_str().unwrap_or_default()
    }

    /// Returns the scheme, host and port.
    pub fn origin(&self) -> String {
        let authority = self.uri.authority().map(http::uri::Authority::as_str);
        format!("{}://{}", self.scheme(), authority.unwrap_or_default())
    }
}

/// Returns `https://`, or `http://` for this machine, as registries on it have no certificate.
pub(super) fn scheme_for(authority: &str) -> &'static str {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    if is_loopback(host) { "http" } else { "https" }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Leaves out what may be secret: credentials, and the query of a signed address.
fn without_secrets(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match text.split_once("://") {
        None => text.to_owned(),
        Some((scheme, rest)) => {
            let (authority, path) =
                rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_secrets(&self.uri.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn only_encrypted_addresses_and_this_machine_are_fetched_from() {
        for text in
            ["https://charts.example.com/a", "http://127.0.0.1:80/", "http://localhost/x", "http://[::1]:1/"]
        {
            assert!(Address::parse(text).is_ok(), "{text} was refused");
        }
        for text in [
            "http://charts.example.com",
            "http://169.254.169.254/",
            "file:///etc/passwd",
            "https://user:secret@example.com/",
            "ftp://example.com/",
            "charts",
            "",
        ] {
            assert!(Address::parse(text).is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn a_mirror_may_be_spoken_to_in_the_open_and_leads_to_no_other_server_so() {
        let mirror = Address::parse_mirror("http://10.0.0.5:8081/charts").unwrap();
        assert!(mirror.below("index.yaml").is_ok());
        assert!(mirror.below("http://10.0.0.5:8081/a.tgz").is_ok());
        assert!(mirror.redirect("https://10.0.0.6/a.tgz").is_ok());
        for elsewhere in ["http://10.0.0.6:8081/a.tgz", "http://10.0.0.5/a.tgz"] {
            assert!(mirror.below(elsewhere).is_err(), "{elsewhere} was accepted");
        }
        let encrypted = Address::parse_mirror("https://10.0.0.5/charts").unwrap();
        assert!(encrypted.below("http://10.0.0.5/a.tgz").is_err());
    }

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        assert_eq!(address("https://e.com/a.tgz?token=secret").to_string(), "https://e.com/a.tgz");
        let error = Address::parse("https://user:secret@e.com/a?x=secret").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn relative_addresses_are_found_from_where_they_stand() {
        let repository = address("https://e.com/charts/stable/");
        assert_eq!(repository.below("a.tgz").unwrap(), address("https://e.com/charts/stable/a.tgz"));
        assert_eq!(repository.below("/a.tgz").unwrap(), address("https://e.com/a.tgz"));
        assert_eq!(repository.below("https://x.com/a.tgz").unwrap(), address("https://x.com/a.tgz"));
        let file = address("https://e.com/charts/index.yaml");
        assert_eq!(file.redirect("other.yaml").unwrap(), address("https://e.com/charts/other.yaml"));
        assert_eq!(file.redirect("//x.com/i").unwrap(), address("https://x.com/i"));
        assert!(file.redirect("http://127.0.0.1/").is_err(), "an encrypted fetch went on in the open");
    }
}
