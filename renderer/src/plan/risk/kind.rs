//! What can go wrong with a change, by name.

use std::fmt;

use serde::Serialize;

/// What an older version brings.
pub(in crate::plan) const DOWNGRADE: &str =
    "an older version than before: it may not read what the newer one has written";

/// What can go wrong, most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RiskKind {
    /// Argo CD reads what it applies from another repository.
    OtherRepository,
    /// A cluster, an add-on, a file or a guard against their deletion goes.
    Deletion,
    /// Backups go into the very cluster that they are of.
    BackupInside,
    /// Argo CD deletes objects that are no longer rendered.
    Prune,
    /// The definition of a kind of object changes.
    Crd,
    /// The API server refuses to change the field in place.
    ImmutableField,
    /// Objects are recreated in another namespace.
    NamespaceMove,
    /// An address that others use appears, moves or goes.
    ExposedAddress,
    /// An older version than the one before.
    Downgrade,
    /// Permissions change.
    Rbac,
    /// A chart's major version changes.
    ChartMajorVersion,
}

impl RiskKind {
    /// All kinds, most severe first.
    pub const ALL: [Self; 11] = [
        Self::OtherRepository,
        Self::Deletion,
        Self::BackupInside,
        Self::Prune,
        Self::Crd,
        Self::ImmutableField,
        Self::NamespaceMove,
        Self::ExposedAddress,
        Self::Downgrade,
        Self::Rbac,
        Self::ChartMajorVersion,
    ];

    /// Returns the anchor of its section in `docs/reference/risks.md`, which is also its name in JSON.
    #[must_use]
    pub const fn anchor(self) -> &'static str {
        match self {
            Self::OtherRepository => "other-repository",
            Self::Deletion => "deletion",
            Self::BackupInside => "backup-inside",
            Self::Prune => "prune",
            Self::Crd => "crd",
            Self::ImmutableField => "immutable-field",
            Self::NamespaceMove => "namespace-move",
            Self::ExposedAddress => "exposed-address",
            Self::Downgrade => "downgrade",
            Self::Rbac => "rbac",
            Self::ChartMajorVersion => "chart-major-version",
        }
    }
}

/// A named risk and what will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Risk {
    /// What can go wrong.
    pub kind: RiskKind,
    /// What will happen, for a person: a lower-case fragment.
    pub note: &'static str,
}

impl fmt::Display for RiskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crd => f.pad("CRD"),
            Self::Rbac => f.pad("RBAC"),
            kind => f.pad(&kind.anchor().replace('-', " ")),
        }
    }
}
