//! Waiting for what other programs do on a cluster, within one time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::cluster::ClusterError;
use crate::error::CommandError;
use crate::events::Cancel;

/// How long between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// Until when.
    pub deadline: Instant,
    /// What ends it.
    pub cancel: &'a Cancel,
}

impl Waiting<'_> {
    /// Looks until there is something, or the time is over: then that, at this place, is missing.
    pub async fn until<T>(
        &self,
        (what, place, hint): (&str, &str, &str),
        look: impl AsyncFn() -> Result<Option<T>, ClusterError>,
    ) -> Result<T, CommandError> {
        loop {
            let missing = match look().await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => ClusterError::missing(&format!("there is no {what} in time"), place, hint),
                Err(error) if error.is_transient() => error,
                Err(error) => return Err(error.into()),
            };
            if Instant::now() >= self.deadline {
                return Err(missing.into());
            }
            self.cancel.during(sleep(PAUSE)).await?;
        }
    }
}
