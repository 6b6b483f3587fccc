//! Which of two versions is the older one, as far as their texts show.
//!
//! Wider than semantic versions, which image tags and many charts don't follow. Knows nothing of charts or
//! images. Versions of other shapes than these have no order: numbers with dots between them, with or without
//! a `v` and a pre-release (`v1.2.3-rc.1+build`), and dates (`2026-01-31`, `RELEASE.2026-01-31T00-00-00Z`).

use std::cmp::Ordering;

/// What a pre-release begins with; any other suffix, such as `alpine`, is a variant of the same version.
const PRE_RELEASES: [&str; 11] =
    ["alpha", "beta", "rc", "pre", "preview", "dev", "snapshot", "nightly", "canary", "a", "b"];

/// A version in parts: what has to be equal, the numbers, and what stands behind them.
struct Version<'a> {
    /// Words before the numbers, without a `v`.
    prefix: &'a str,
    numbers: Vec<u64>,
    suffix: Option<&'a str>,
}

/// Compares two versions; `None` if they have no order.
pub(crate) fn compare(old: &str, new: &str) -> Option<Ordering> {
    let (old, new) = (parse(old)?, parse(new)?);
    if old.prefix != new.prefix {
        return None;
    }
    let length = old.numbers.len().max(new.numbers.len());
    let padded =
        |numbers: &[u64]| (0..length).map(|at| numbers.get(at).copied().unwrap_or(0)).collect::<Vec<_>>();
    match padded(&old.numbers).cmp(&padded(&new.numbers)) {
        Ordering::Equal => suffixes(old.suffix, new.suffix),
        different => Some(different),
    }
}

/// Returns the part of a version that changes when it breaks its users: the first number, or `0.` and the second.
pub(crate) fn breaking_part(version: &str) -> Option<(u64, u64)> {
    let Version { prefix: "", numbers, .. } = parse(version)? else { return None };
    let major = *numbers.first()?;
    Some((major, if major == 0 { *numbers.get(1)? } else { 0 }))
}

fn parse(text: &str) -> Option<Version<'_>> {
    let text = text.split_once('+').map_or(text, |(version, _)| version);
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let (prefix, rest) = text.split_at(start);
    let prefix = if prefix.eq_ignore_ascii_case("v") { "" } else { prefix };
    if !prefix.is_empty() && !prefix.ends_with(['.', '-', '_']) {
        return None;
    }
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let numbers: Vec<u64> = rest[..end]
        .trim_end_matches('.')
        .split('.')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let suffix = match &rest[end..] {
        "" => None,
        // What goes on with a letter is a hash, or one of `1.2rc1`.
        suffix if suffix.starts_with(['-', '_']) => Some(&suffix[1..]),
        suffix if numbers.len() > 1 => Some(suffix),
        _ => return None,
    };
    Some(Version { prefix, numbers, suffix })
}

fn suffixes(old: Option<&str>, new: Option<&str>) -> Option<Ordering> {
    match (old, new) {
        (None, None) => Some(Ordering::Equal),
        (Some(suffix), None) => is_pre_release(suffix).then_some(Ordering::Less),
        (None, Some(suffix)) => is_pre_release(suffix).then_some(Ordering::Greater),
        (Some(old), Some(new)) => identifiers(old, new),
    }
}

fn is_pre_release(suffix: &str) -> bool {
    let word = suffix.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    PRE_RELEASES.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Compares suffixes run by run: numbers as numbers, words only if they are equal or begin a pre-release.
fn identifiers(old: &str, new: &str) -> Option<Ordering> {
    let (mut old_runs, mut new_runs) = (runs(old), runs(new));
    loop {
        let order = match (old_runs.next(), new_runs.next()) {
            (None, None) => return Some(Ordering::Equal),
            (None, Some(_)) => return Some(Ordering::Less),
            (Some(_), None) => return Some(Ordering::Greater),
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                _ if a == b => Ordering::Equal,
                (Err(_), Err(_)) if is_pre_release(a) && is_pre_release(b) => a.cmp(b),
                _ => return None,
            },
        };
        if order.is_ne() {
            return Some(order);
        }
    }
}

/// Splits a text into runs of digits and runs of letters.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).flat_map(|part| {
        part.as_bytes()
            .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
            .map(|run| std::str::from_utf8(run).unwrap_or_default())
            .filter(|run| !run.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_their_makers_mean_them() {
        for (old, new, order) in [
            ("1.2.3", "1.2.4", Some(Ordering::Less)),
            ("1.10.0", "1.9.0", Some(Ordering::Greater)),
            ("v1.2.3", "1.2.3", Some(Ordering::Equal)),
            ("v2.0.0", "v1.9.9", Some(Ordering::Greater)),
            ("1.2.3-rc.1", "1.2.3", Some(Ordering::Less)),
            ("1.2.3", "1.2.3-beta1", Some(Ordering::Greater)),
            ("1.2.3-rc.10", "1.2.3-rc.9", Some(Ordering::Greater)),
            ("1.2.3-alpha", "1.2.3-beta", Some(Ordering::Less)),
            ("1.2.3+build1", "1.2.3+build2", Some(Ordering::Equal)),
            ("1.2", "1.2.0", Some(Ordering::Equal)),
            ("2026-01-31", "2025-12-31", Some(Ordering::Greater)),
            ("2025-12-31", "2026-01-02", Some(Ordering::Less)),
            ("20260131", "20251231", Some(Ordering::Greater)),
            ("2026.1.31", "2026.2.1", Some(Ordering::Less)),
            ("RELEASE.2026-01-31T01-02-03Z", "RELEASE.2025-01-31T01-02-03Z", Some(Ordering::Greater)),
            ("1.27.3-alpine", "1.27.2-alpine", Some(Ordering::Greater)),
            ("1.27.3-alpine", "1.27.3-bookworm", None),
            ("1.27.3", "1.27.3-alpine", None),
            ("1.2.3-1", "1.2.3-2", Some(Ordering::Less)),
            ("main", "1.2.3", None),
            ("latest", "stable", None),
            ("3f2a9c1", "9ab1c22", None),
            ("", "1", None),
        ] {
            assert_eq!(compare(old, new), order, "{old} → {new}");
        }
    }

    #[test]
    fn what_breaks_its_users_is_the_first_number_that_is_not_zero() {
        assert_eq!(breaking_part("v6.1.0"), Some((6, 0)));
        assert_eq!(breaking_part("0.16.1"), Some((0, 16)));
        assert_eq!(breaking_part("main"), None);
    }
}
