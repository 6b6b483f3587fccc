//! What crosses documents: what one cluster sends, another must receive, and no two may write the same object
//! or ask for one address.
//!
//! Judged on rendered values, so that an override is seen like anything else.

pub(super) mod arrive;
pub(super) mod declared;
pub(super) mod ends;
pub(super) mod exposed_once;
pub(super) mod exposure;
pub(super) mod identity;
pub(super) mod objects_once;

use super::clusters::{FlowFinding, Flows};

/// Judges the signals that are meant.
pub(super) fn of_signal(flows: &Flows<'_>, is_meant: fn(&str) -> bool) -> Vec<FlowFinding> {
    let mut findings = arrive::arrive(flows, is_meant);
    findings.extend(identity::logins_are_their_own(flows, is_meant));
    findings
}
