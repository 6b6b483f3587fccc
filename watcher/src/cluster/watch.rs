//! A namespace's objects of a kind, and what becomes of them.

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, DefaultBackoff, Event};
use tracing::debug;

use super::client::Client;
use super::error::ClusterError;
use super::kind::Kind;
use super::object::Object;

/// How many objects are fetched at once.
pub(super) const PAGE: u32 = 500;
/// The status of what the server no longer has: the version that a watch starts at, or the rest of a list.
const EXPIRED: u16 = 410;

/// What a watch reports.
#[derive(Clone, Debug)]
pub enum Change<K> {
    /// The objects are listed from here on: what is not set before [`Self::Listed`] is gone.
    Listing,
    /// An object is there, or is as it is now.
    Set(Box<K>),
    /// All objects were listed.
    Listed,
    /// An object is gone.
    Gone(Box<K>),
    /// The connection was lost, and is made again.
    Lost(ClusterError),
}

impl<K: Kind> Change<K> {
    fn of(event: Event<Object<K>>) -> Self {
        match event {
            Event::Init => Self::Listing,
            Event::InitApply(object) | Event::Apply(object) => Self::Set(Box::new(object.body)),
            Event::InitDone => Self::Listed,
            Event::Delete(object) => Self::Gone(Box::new(object.body)),
        }
    }
}

/// The delays between attempts. That an attempt begins is no success, so it does not make them short again: time does.
struct Delays(DefaultBackoff);

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next()
    }
}

impl Backoff for Delays {
    fn reset(&mut self) {}
}

impl Client {
    /// Lists the objects of a kind in a namespace page by page, and goes on with what becomes of them.
    ///
    /// A lost connection is reported and made again after a delay that grows; what was missed meanwhile is not lost: if
    /// the server no longer has it, everything is listed again. The stream ends with an error that trying again does not
    /// help with.
    pub fn watch<K: Kind>(
        &self,
        namespace: &str,
    ) -> impl Stream<Item = Result<Change<K>, ClusterError>> + use<K> {
        self.watch_with(namespace, Delays(DefaultBackoff::default()))
    }

    pub(super) fn watch_with<K: Kind, B: Backoff>(
        &self,
        namespace: &str,
        delays: B,
    ) -> impl Stream<Item = Result<Change<K>, ClusterError>> + use<K, B> {
        let (client, of) = (self.clone(), namespace.to_owned());
        let config = watcher::Config::default().page_size(PAGE);
        let events = watcher::watcher(self.api::<K>(namespace), config).backoff(delays);
        events.filter_map(move |event| {
            let change = match event {
                Ok(event) => Some(Ok(Change::of(event))),
                Err(error) => client.change_of_error::<K>(&of, error),
            };
            std::future::ready(change)
        })
    }

    /// Returns what an error means; nothing if everything is listed again because of it.
    fn change_of_error<K: Kind>(
        &self,
        namespace: &str,
        error: watcher::Error,
    ) -> Option<Result<Change<K>, ClusterError>> {
        let is_expired = matches!(&error, watcher::Error::WatchError(status) if status.code == EXPIRED)
            || matches!(&error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == EXPIRED);
        let error = self.of_watcher::<K>(namespace, error);
        if is_expired {
            debug!("{error}");
            return None;
        }
        Some(if error.is_transient() { Ok(Change::Lost(error)) } else { Err(error) })
    }

    fn of_watcher<K: Kind>(&self, namespace: &str, error: watcher::Error) -> ClusterError {
        match error {
            watcher::Error::InitialListFailed(error) => self.failed::<K>("list", namespace, &error),
            watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => {
                self.failed::<K>("watch", namespace, &error)
            }
            watcher::Error::WatchError(status) => {
                self.failed::<K>("watch", namespace, &kube::Error::Api(status))
            }
            watcher::Error::NoResourceVersion => {
                let status =
                    kube::core::Status::failure("the server names no version of an object", "Invalid");
                self.failed::<K>("watch", namespace, &kube::Error::Api(Box::new(status)))
            }
        }
    }
}
