//! Spans of time as texts: a number and a unit.

/// The units with their seconds, the largest first.
pub(crate) const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Returns the number of a text such as `5m`, and the seconds of its unit.
pub(crate) fn parse(text: &str) -> Option<(u32, u32)> {
    let unit = text.chars().next_back()?;
    let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    Some((text.strip_suffix(unit)?.parse().ok()?, seconds))
}

/// Returns a span of time in its largest unit, and the rest in the next one: `90d 11h`, `5m 1s`, `2h`.
#[must_use]
pub fn text(seconds: i64) -> String {
    let length = seconds.unsigned_abs();
    let first = UNITS.iter().position(|(_, unit)| length >= u64::from(*unit)).unwrap_or(UNITS.len() - 1);
    let (name, unit) = UNITS[first];
    let unit = u64::from(unit);
    let sign = if seconds < 0 { "-" } else { "" };
    let next = UNITS.get(first + 1).map(|(name, next)| (length % unit / u64::from(*next), name));
    match next {
        Some((rest, next)) if rest > 0 => format!("{sign}{}{name} {rest}{next}", length / unit),
        _ => format!("{sign}{}{name}", length / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_in_its_largest_unit_and_the_rest_in_the_next_one() {
        let texts = [0, 59, 60, 301, 7_200, 93_784, 7_814_400, -7_260].map(text);
        assert_eq!(texts.join(", "), "0s, 59s, 1m, 5m 1s, 2h, 1d 2h, 90d 10h, -2h 1m");
    }
}
