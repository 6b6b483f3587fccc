//! Who wrote something, and when: as a commit holds it, read as far as it can be.

/// Stands for a name that is missing.
const NO_NAME: &str = "unknown";

/// The last second of the year 9999: servers refuse commits with dates that they cannot show.
pub(super) const LAST_SECOND: i64 = 253_402_300_799;

/// A person or program at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// Seconds since 1970 in UTC.
    pub seconds: i64,
    /// The offset from UTC in minutes.
    pub offset_minutes: i32,
}

impl Signature {
    /// Returns Fleetwright at the moment of `other`, as the committer of what it renders.
    pub(crate) fn fleetwright(other: &Self) -> Self {
        Self {
            name: COMMITTER_NAME.into(),
            email: COMMITTER_EMAIL.into(),
            seconds: other.seconds,
            offset_minutes: other.offset_minutes,
        }
    }

    pub(super) fn from_git2(signature: &git2::Signature<'_>) -> Self {
        Self {
            name: String::from_utf8_lossy(signature.name_bytes()).into_owned(),
            email: String::from_utf8_lossy(signature.email_bytes()).into_owned(),
            seconds: signature.when().seconds(),
            offset_minutes: signature.when().offset_minutes(),
        }
    }

    /// Reads `Name <mail> seconds offset`; what is missing or malformed is left out.
    pub(in crate::git) fn parse(line: &str) -> Self {
        let (name, rest) = line.rsplit_once('<').unwrap_or_else(|| {
            let is_word = |c: char| c.is_ascii_digit() || c == '+' || c == '-' || c == ' ';
            line.split_at(line.trim_end_matches(is_word).len())
        });
        let (email, date) = rest.rsplit_once('>').unwrap_or(("", rest));
        let mut words = date.split_ascii_whitespace();
        let seconds = words.next().and_then(|word| word.parse::<i64>().ok()).unwrap_or_default();
        let name = trimmed(name);
        Self {
            name: if name.is_empty() { NO_NAME } else { name }.to_owned(),
            email: trimmed(email).to_owned(),
            seconds: seconds.clamp(0, LAST_SECOND),
            offset_minutes: words.next().and_then(offset_minutes).unwrap_or_default(),
        }
    }

    /// Returns the line of a commit: `Name <mail> seconds offset`.
    pub(in crate::git) fn line(&self) -> String {
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (self.offset_minutes.abs() / 60, self.offset_minutes.abs() % 60);
        format!(
            "{} <{}> {} {sign}{hours:02}{minutes:02}",
            header_text(&self.name),
            header_text(&self.email),
            self.seconds
        )
    }
}

const COMMITTER_NAME: &str = "Fleetwright";
/// A domain that is reserved for addresses that do not exist.
const COMMITTER_EMAIL: &str = "fleetwright@fleetwright.invalid";

fn header_text(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).collect::<String>().trim().to_owned()
}

/// Leaves out what git leaves out around a name.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ' || ",:;<>\"\\'".contains(c))
}

/// `+0130` is an hour and a half.
fn offset_minutes(text: &str) -> Option<i32> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: i32 = text.strip_prefix(['+', '-'])?.parse().ok()?;
    let (hours, minutes) = (digits / 100, digits % 100);
    ((0..=14).contains(&hours) && minutes < 60).then_some(sign * (hours * 60 + minutes))
}
