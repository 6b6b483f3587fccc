//! What happens to what runs, by name.

use std::fmt;

use serde::Serialize;

/// What happens to what runs, most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectKind {
    /// An object goes that holds data or other objects.
    DataLost,
    /// A kind of object is no longer defined.
    DefinitionRemoved,
    /// A version of a kind of object is no longer defined or served.
    VersionRemoved,
    /// The API server refuses the change: the object must be deleted and created again.
    ImmutableField,
    /// Pods may do more on their nodes.
    PrivilegeGained,
    /// Permissions are gained that lead to all others.
    RbacEscalated,
    /// A network policy allows more, or goes.
    NetworkOpened,
    /// Something is reachable from outside the cluster that was not.
    AddressExposed,
    /// The API server asks a webhook before it takes an object, and refuses it without an answer.
    WebhookAdded,
    /// Something no longer runs.
    Stopped,
    /// An address or a port goes.
    AddressWithdrawn,
    /// A network policy allows less, or is new.
    NetworkClosed,
    /// More pods may be taken away at a time.
    DisruptionUnguarded,
    /// Pods no longer use a volume.
    VolumeDropped,
    /// An image gets an older version.
    ImageDowngraded,
    /// An image gets another major version.
    ImageMajorVersion,
    /// An image comes from another place.
    ImageSource,
    /// An image has no version, or one that is another image tomorrow.
    ImageFloating,
    /// Permissions are gained.
    RbacGained,
    /// Permissions are lost.
    RbacLost,
    /// Argo CD deletes an object if it prunes.
    Pruned,
    /// An object is no longer rendered, and stays.
    Kept,
    /// The definition of a kind of object changes.
    DefinitionChanged,
    /// Pods are replaced by new ones.
    Restarted,
    /// An image gets another version, comes or goes.
    ImageChanged,
    /// There are more or fewer pods.
    Scaled,
}

impl EffectKind {
    /// All kinds, most severe first.
    pub const ALL: [Self; 26] = [
        Self::DataLost,
        Self::DefinitionRemoved,
        Self::VersionRemoved,
        Self::ImmutableField,
        Self::PrivilegeGained,
        Self::RbacEscalated,
        Self::NetworkOpened,
        Self::AddressExposed,
        Self::WebhookAdded,
        Self::Stopped,
        Self::AddressWithdrawn,
        Self::NetworkClosed,
        Self::DisruptionUnguarded,
        Self::VolumeDropped,
        Self::ImageDowngraded,
        Self::ImageMajorVersion,
        Self::ImageSource,
        Self::ImageFloating,
        Self::RbacGained,
        Self::RbacLost,
        Self::Pruned,
        Self::Kept,
        Self::DefinitionChanged,
        Self::Restarted,
        Self::ImageChanged,
        Self::Scaled,
    ];

    /// Returns the anchor of its section in `docs/reference/effects.md`, which is also its name in JSON.
    #[must_use]
    pub const fn anchor(self) -> &'static str {
        match self {
            Self::DataLost => "data-lost",
            Self::DefinitionRemoved => "definition-removed",
            Self::VersionRemoved => "version-removed",
            Self::ImmutableField => "immutable-field",
            Self::PrivilegeGained => "privilege-gained",
            Self::RbacEscalated => "rbac-escalated",
            Self::NetworkOpened => "network-opened",
            Self::AddressExposed => "address-exposed",
            Self::WebhookAdded => "webhook-added",
            Self::Stopped => "stopped",
            Self::AddressWithdrawn => "address-withdrawn",
            Self::NetworkClosed => "network-closed",
            Self::DisruptionUnguarded => "disruption-unguarded",
            Self::VolumeDropped => "volume-dropped",
            Self::ImageDowngraded => "image-downgraded",
            Self::ImageMajorVersion => "image-major-version",
            Self::ImageSource => "image-source",
            Self::ImageFloating => "image-floating",
            Self::RbacGained => "rbac-gained",
            Self::RbacLost => "rbac-lost",
            Self::Pruned => "pruned",
            Self::Kept => "kept",
            Self::DefinitionChanged => "definition-changed",
            Self::Restarted => "restarted",
            Self::ImageChanged => "image-changed",
            Self::Scaled => "scaled",
        }
    }

    /// Returns whether it is a risk, and no mere consequence.
    #[must_use]
    pub fn is_risk(self) -> bool {
        self <= Self::Pruned
    }
}

impl fmt::Display for EffectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.anchor().strip_prefix("rbac-") {
            Some(rest) => write!(f, "RBAC {rest}"),
            None => f.pad(&self.anchor().replace('-', " ")),
        }
    }
}
