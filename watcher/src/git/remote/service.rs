//! The two programs that a git server runs.

/// The largest pack that is sent or taken: far above any fleet, and below what fills a disk unnoticed.
pub(super) const MAX_PACK_BYTES: u64 = 8 << 30;

/// The two programs that a git server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::git) enum Service {
    /// Sends objects.
    UploadPack,
    /// Receives objects and moves refs.
    ReceivePack,
}

impl Service {
    /// Returns the name without `git` before it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
        }
    }

    /// Returns the version of the protocol to ask for, if it is not the first.
    ///
    /// The second lets a reader name the refs that it wants, of which a busy repository has few among thousands.
    /// There is none for pushing.
    pub(super) const fn protocol(self) -> Option<&'static str> {
        match self {
            Self::UploadPack => Some("version=2"),
            Self::ReceivePack => None,
        }
    }
}
