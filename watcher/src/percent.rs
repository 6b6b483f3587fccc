//! Texts as parts of addresses, with `%` and two digits for what would mean something there (RFC 3986, section 2.1).

use std::fmt::Write as _;

/// Writes a text so that it stays one part of a path, or one value of a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Writes a path so that only its slashes mean something.
#[must_use]
pub fn encoded_path(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_means_nothing_in_an_address_stays() {
        assert_eq!(encoded("a-B_1.~/ü ?#%:"), "a-B_1.~%2F%C3%BC%20%3F%23%25%3A");
        assert_eq!(encoded_path("/a b//ü/"), "/a%20b//%C3%BC/");
    }
}
