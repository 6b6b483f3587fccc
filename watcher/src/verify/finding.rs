//! What was found of one check.

use std::fmt;

use renderer::verify::Check;
use serde::Serialize;

/// How many objects, results or addresses are named.
pub(super) const MAX_NAMED: usize = 3;

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// What has to hold does not.
    Failed,
    /// No answer came, or none that says it: that is never a pass.
    Unanswered,
    /// It was not asked: nothing leads to the cluster, or the check makes no sense there now.
    NotAsked,
    /// It holds.
    Passed,
}

impl Verdict {
    /// Every verdict, the worst first.
    pub const ALL: [Self; 4] = [Self::Failed, Self::Unanswered, Self::NotAsked, Self::Passed];

    /// Returns the words for it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unanswered => "unanswered",
            Self::NotAsked => "not asked",
            Self::Passed => "passed",
        }
    }

    /// Returns whether the check has to be looked at.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Failed | Self::Unanswered)
    }
}

/// A verdict, and what was found.
pub type Found = (Verdict, String);

/// What was found of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The cluster that it is about.
    pub cluster: String,
    /// The add-on that brings the check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addon: Option<String>,
    /// The check.
    pub check: String,
    /// What it looks at.
    pub about: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}: {}", self.cluster, self.name(), self.verdict.words(), self.found)
    }
}

impl Finding {
    /// Returns what was found of a check.
    #[must_use]
    pub fn of(check: &Check, (verdict, found): Found) -> Self {
        Self {
            cluster: check.cluster.to_string(),
            addon: check.addon.as_ref().map(ToString::to_string),
            check: check.name.clone(),
            about: check.about.clone(),
            verdict,
            found,
        }
    }

    /// Returns the name of the check with that of its add-on.
    #[must_use]
    pub fn name(&self) -> String {
        self.addon.as_ref().map_or_else(|| self.check.clone(), |addon| format!("{addon}/{}", self.check))
    }
}

/// Returns how many findings there are of each verdict that there is one of, in words.
#[must_use]
pub fn counts(findings: &[Finding]) -> String {
    let number = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let numbers = Verdict::ALL.into_iter().rev().map(|verdict| (number(verdict), verdict));
    let words =
        numbers.filter(|(number, _)| *number > 0).map(|(number, it)| format!("{number} {}", it.words()));
    words.collect::<Vec<_>>().join(", ")
}

/// Returns whether a number is within limits; one that is none never is.
pub(super) fn is_within(value: f64, least: Option<i64>, most: Option<i64>) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "limits are small")]
    let (least, most) = (least.map(|it| it as f64), most.map(|it| it as f64));
    !value.is_nan() && least.is_none_or(|least| value >= least) && most.is_none_or(|most| value <= most)
}
