//! Why a worker ended before it had answered.

use std::time::Duration;

use renderer::plural::counted;
use thiserror::Error;

/// Why a worker ended before it had answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WorkerDeath {
    /// It needed more memory than it may have.
    #[error("it needs more than {} MiB of memory", bytes >> 20)]
    Memory {
        /// How much it may have.
        bytes: u64,
    },
    /// It took longer than it may.
    #[error("it takes longer than {}", duration(*limit))]
    Time {
        /// How long it may take.
        limit: Duration,
    },
    /// Its calls nested deeper than its stack.
    #[error("something in it is nested too deeply")]
    Depth,
    /// Something else ended it at once.
    #[error("its process was killed from outside, as when the machine has no memory left")]
    Killed,
    /// Something else asked it to stop, as when all processes of a service are stopped at once.
    #[error("its process was asked to stop")]
    Stopped,
    /// It could not be started.
    #[error("its process could not be started: {reason}")]
    NotStarted {
        /// What the operating system reported.
        reason: String,
    },
    /// It ended in a way in which it never should.
    #[error("its process ended with {how}, which is a bug in Fleetwright")]
    Fault {
        /// How it ended.
        how: String,
    },
}

impl WorkerDeath {
    /// Returns the name of the kind, for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Memory { .. } => "memory",
            Self::Time { .. } => "time",
            Self::Depth => "depth",
            Self::Killed => "killed",
            Self::Stopped => "stopped",
            Self::NotStarted { .. } => "not_started",
            Self::Fault { .. } => "fault",
        }
    }

    /// Returns whether trying again later may help without a change of the inputs.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self, Self::Stopped | Self::NotStarted { .. })
    }

    /// Returns whether another worker would end in the same way, whatever this one had done before.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Time { .. } | Self::Stopped)
    }

    /// Returns the limit in words, if it was a limit that ended the worker.
    pub(crate) fn limit(&self) -> Option<String> {
        match self {
            Self::Memory { bytes } => Some(format!("{} MiB of memory", bytes >> 20)),
            Self::Time { limit } => Some(duration(*limit)),
            _ => None,
        }
    }

    /// Returns what to do about it.
    pub(crate) const fn hint(&self) -> &'static str {
        match self {
            Self::Memory { .. } | Self::Time { .. } => {
                "loop over shorter lists, repeat less by YAML aliases, or describe fewer clusters in one change; \
                 `fleetwright render` shows on a clone what it comes to"
            }
            Self::Depth => "nest maps, lists, schemas and blocks of templates less deeply",
            Self::Killed => "give the service more memory, and let it review again",
            Self::Stopped => "the next run tries again",
            Self::NotStarted { .. } => "give the service room for two more processes",
            Self::Fault { .. } => "report it with the log of the service",
        }
    }
}

fn duration(time: Duration) -> String {
    match time.as_secs() {
        60 => "1 minute".to_owned(),
        seconds if time.subsec_nanos() == 0 => counted(seconds as usize, "second"),
        _ => format!("{} ms", time.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_named_as_people_would() {
        let limit = |death: WorkerDeath| death.limit();
        assert_eq!(limit(WorkerDeath::Memory { bytes: 512 << 20 }).unwrap(), "512 MiB of memory");
        assert_eq!(limit(WorkerDeath::Time { limit: Duration::from_mins(1) }).unwrap(), "1 minute");
        assert_eq!(limit(WorkerDeath::Time { limit: Duration::from_secs(90) }).unwrap(), "90 seconds");
        assert_eq!(limit(WorkerDeath::Depth), None);
    }
}
