//! Exit codes, which are part of the interface.
//!
//! Knows nothing of which command ends with which code.

use std::process::ExitCode;

/// How a command ended, as a script sees it.
///
/// The numbers never change their meaning. A second signal during a graceful stop ends the process with 128 plus the
/// signal's number, as shells report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Something failed that no other code names.
    Unexpected = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The rendered files are not current, or changes were found and the caller asked for this code.
    Changes = 3,
    /// There are problems in the source files.
    Problems = 4,
    /// Reading from or writing to git failed.
    Git = 5,
    /// The forge could not be reached or refused.
    Forge = 6,
    /// A cluster could not be reached, or is not in the state that was waited for.
    Cluster = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_documented_ones() {
        let documented = [
            (Exit::Done, 0),
            (Exit::Unexpected, 1),
            (Exit::Usage, 2),
            (Exit::Changes, 3),
            (Exit::Problems, 4),
            (Exit::Git, 5),
            (Exit::Forge, 6),
            (Exit::Cluster, 7),
        ];
        for (exit, code) in documented {
            assert_eq!(exit as u8, code, "{exit:?}");
        }
    }
}
