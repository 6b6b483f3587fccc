//! What a pull request notes of itself, hidden in its body, beside what people write there.
//!
//! The generated part stands between two HTML comments, which GitHub does not show. The second one carries the
//! [`Marker`]. What people write above or below stays as it is.

use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use crate::git::Revision;

const BEGIN: &str = "<!-- fleetwright -->";
const END: &str = "<!-- fleetwright {";
const CLOSE: &str = " -->";

/// What stands in for a generated part that does not fit beside what people wrote.
const NO_ROOM: &str = "What changes does not fit beside what is written here: see the files.\n";

/// What the next run needs to know of the last one. It is a note, not a proof: people can edit it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marker {
    /// The group of clusters.
    pub group: String,
    /// The digest of the plan, as short as people read it.
    pub plan: String,
    /// The revision that the head was built on.
    pub base_revision: Revision,
    /// The revision of the head.
    pub head_revision: Revision,
    /// The digest of the title as it was written, so that a title that a person wrote is seen.
    pub title: String,
    /// The labels that were set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Why the pull request was closed, if Fleetwright closed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
}

/// Returns the digest of a title.
pub(crate) fn title_digest(title: &str) -> String {
    short_digest(title.as_bytes())
}

/// Returns the first 8 bytes of the SHA-1 digest of some bytes, in hexadecimal digits.
pub(super) fn short_digest(bytes: &[u8]) -> String {
    let digest: [u8; 20] = Sha1::digest(bytes).into();
    format!("{:016x}", u64::from_be_bytes(*digest.first_chunk().expect("a digest has 20 bytes")))
}

/// Returns the marker in a body; of several, the last.
#[must_use]
pub fn read(body: &str) -> Option<Marker> {
    body.lines().rev().find_map(parse)
}

/// Returns the generated part of a body, or all of it if there is no marker.
pub(crate) fn generated(body: &str) -> String {
    let body = unix_lines(body);
    match split(&body) {
        Some((_, generated, _)) => generated.to_owned(),
        None => body,
    }
}

/// Returns the body with its generated part and marker replaced, at most `limit` characters long.
///
/// A body without a marker is replaced as a whole: its author deleted the marker, and the rest has no known author.
pub(crate) fn splice(old: &str, generated: &str, marker: &Marker, limit: usize) -> String {
    let old = unix_lines(old);
    let (above, below) = split(&old).map_or(("", ""), |(above, _, below)| (above, below));
    let whole = assemble(above, generated, marker, below);
    if whole.chars().count() <= limit {
        return whole;
    }
    assemble(above, NO_ROOM, marker, below)
}

fn assemble(above: &str, generated: &str, marker: &Marker, below: &str) -> String {
    let line = if generated.ends_with('\n') { "" } else { "\n" };
    format!("{above}{BEGIN}\n{generated}{line}{}{below}", comment(marker))
}

fn comment(marker: &Marker) -> String {
    let json = serde_json::to_string(marker).expect("a marker has text only");
    // `-->` would end the comment, and the JSON has these characters only inside strings.
    let json = json.replace('<', "\\u003c").replace('>', "\\u003e");
    format!("<!-- fleetwright {json}{CLOSE}")
}

fn parse(line: &str) -> Option<Marker> {
    let json = line.trim_end().strip_prefix(END)?.strip_suffix(CLOSE)?;
    serde_json::from_str(&format!("{{{json}")).ok()
}

/// Splits a body into what is above the generated part, that part, and what is below.
fn split(body: &str) -> Option<(&str, &str, &str)> {
    let mut offset = 0;
    let (mut begin, mut end) = (None, None);
    for line in body.split_inclusive('\n') {
        let text = line.trim_end();
        if text == BEGIN && begin.is_none() {
            begin = Some((offset, offset + line.len()));
        }
        if parse(text).is_some() {
            end = Some((offset, offset + text.len()));
        }
        offset += line.len();
    }
    let ((above, from), (to, below)) = (begin?, end?);
    (from <= to).then(|| (&body[..above], &body[from..to], &body[below..]))
}

/// GitHub's pages save text with `\r\n`.
fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 65_536;

    fn marker() -> Marker {
        let revision = Revision::parse(&"a".repeat(40)).unwrap();
        Marker {
            group: "app".into(),
            plan: "0a1b2c3d".into(),
            base_revision: revision,
            head_revision: revision,
            title: title_digest("Render app"),
            labels: vec!["app".into()],
            closed: Some("a --> b <!-- \" \n".into()),
        }
    }

    #[test]
    fn a_body_says_what_it_was_made_from_and_stays_the_same_when_it_is_written_again() {
        let body = splice("", "## What changes\n", &marker(), LIMIT);
        assert_eq!(read(&body), Some(marker()));
        assert_eq!(generated(&body), "## What changes\n");
        assert_eq!(splice(&body, "## What changes\n", &marker(), LIMIT), body);
        insta::assert_snapshot!(body, @r##"
        <!-- fleetwright -->
        ## What changes
        <!-- fleetwright {"group":"app","plan":"0a1b2c3d","baseRevision":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","headRevision":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","title":"7530cb4ee71d4470","labels":["app"],"closed":"a --\u003e b \u003c!-- \" \n"} -->
        "##);
    }

    #[test]
    fn what_people_write_above_and_below_stays_even_if_their_editor_ends_lines_its_own_way() {
        let body = splice("", "old\n", &marker(), LIMIT);
        let edited = format!("Please wait for Ann.\n\n{body}\n\n- [x] read it\n").replace('\n', "\r\n");
        let updated = splice(&edited, "new\n", &marker(), LIMIT);
        assert!(updated.starts_with("Please wait for Ann.\n\n<!-- fleetwright -->\nnew\n<!-- "), "{updated}");
        assert!(updated.ends_with(" -->\n\n- [x] read it\n"), "{updated}");
        assert!(!updated.contains("old"), "{updated}");
    }

    #[test]
    fn a_body_that_would_be_too_long_gives_way_to_what_people_wrote() {
        let body = splice("", &"x\n".repeat(100), &marker(), LIMIT);
        let noted = format!("{body}\n{}", "y".repeat(900));
        let limit = 1_000 + body.chars().count() - 200;
        let updated = splice(&noted, &"x\n".repeat(100), &marker(), limit);
        assert!(updated.chars().count() <= limit);
        assert!(updated.contains(NO_ROOM) && updated.ends_with(&"y".repeat(900)));
        assert_eq!(read(&updated), Some(marker()));
    }

    #[test]
    fn a_body_without_a_marker_is_replaced() {
        let body = splice("the marker is gone", "new\n", &marker(), LIMIT);
        assert!(!body.contains("gone"));
        assert_eq!(read("the marker is gone"), None);
        assert_eq!(generated("the marker is gone"), "the marker is gone");
    }

    proptest! {
        #[test]
        fn whatever_is_generated_or_written_beside_it_is_read_back(text in ".{0,60}", above in "[a-z\n]{0,20}") {
            let body = splice("", &text, &marker(), LIMIT);
            prop_assert_eq!(read(&body), Some(marker()));
            let above = format!("{above}\n");
            let again = splice(&format!("{above}{body}"), &text, &marker(), LIMIT);
            prop_assert!(again.starts_with(&above));
            prop_assert_eq!(again[above.len()..].to_owned(), body);
        }
    }
}
