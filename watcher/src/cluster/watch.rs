//! A namespace's objects of a kind, and what becomes of them.

use futures::{Stream, StreamExt as _};
use kube::runtime::watcher::{self, Event};

use super::client::Client;
use super::error::ClusterError;
use super::kind::Kind;

/// How many objects are fetched at once.
const PAGE: u32 = 500;

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

impl Client {
    /// Lists the objects of a kind in a namespace page by page, and goes on with what becomes of them.
    ///
    /// A lost connection is reported and made again after a delay that grows; what was missed meanwhile is not lost. The
    /// stream ends with an error that trying again does not help with.
    pub fn watch<K: Kind>(
        &self,
        namespace: &str,
    ) -> impl Stream<Item = Result<Change<K>, ClusterError>> + use<K> {
        let (place, namespace_name) = (self.clone(), namespace.to_owned());
        let config = watcher::Config::default().page_size(PAGE);
        let events = kube::runtime::WatchStreamExt::default_backoff(watcher::watcher(
            self.api::<K>(namespace),
            config,
        ));
        events.map(move |event| {
            Ok(match event {
                Ok(Event::Init) => Change::Listing,
                Ok(Event::InitApply(object) | Event::Apply(object)) => Change::Set(Box::new(object.body)),
                Ok(Event::InitDone) => Change::Listed,
                Ok(Event::Delete(object)) => Change::Gone(Box::new(object.body)),
                Err(error) => {
                    let error = place.of_watcher::<K>(&namespace_name, error);
                    if !error.is_transient() {
                        return Err(error);
                    }
                    Change::Lost(error)
                }
            })
        })
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
