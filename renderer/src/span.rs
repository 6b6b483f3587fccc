//! Spans of time as texts: a number and a unit.

/// The units with their seconds, the largest first.
pub(crate) const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Returns the number of a text such as `5m`, and the seconds of its unit.
pub(crate) fn parse(text: &str) -> Option<(u32, u32)> {
    let unit = text.chars().next_back()?;
    let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    Some((text.strip_suffix(unit)?.parse().ok()?, seconds))
}
