//! Texts as parts of addresses, with `%` and two digits for what would mean something there (RFC 3986, section 2.1).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What means something in an address, somewhere.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The same without what separates the parts of a path.
const PATH: AsciiSet = RESERVED.remove(b'/');

/// Writes a text so that it stays one part of a path, or one value of a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, &RESERVED).to_string()
}

/// Writes a path so that only its slashes mean something.
pub(crate) fn encoded_path(path: &str) -> String {
    utf8_percent_encode(path, &PATH).to_string()
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
