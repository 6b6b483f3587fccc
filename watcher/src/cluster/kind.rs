//! Kinds of objects: where they are served, and what every one has.

use std::collections::BTreeMap;
use std::fmt::Debug;

use derive_more::Display;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// What is applied with `kubectl apply` is kept in an annotation as a whole.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What to do where something is not there.
pub(super) const ABSENT: &str = "check that the namespace is there, and that the cluster is the right one";

/// A kind of object, of which only the fields are read that the type has.
pub trait Kind: Clone + Debug + DeserializeOwned + Send + Sync + 'static {
    /// The group of its API.
    const GROUP: &str;
    /// The version of its API.
    const VERSION: &str;
    /// Its name.
    const NAME: &str;
    /// Its name in addresses.
    const PLURAL: &str;

    /// What to do where the kind, the namespace or the object is not there.
    const ABSENT: &str = ABSENT;

    /// Returns what every object has.
    fn metadata(&self) -> &Metadata;

    /// Returns what it is called.
    fn key(&self) -> Key {
        let Metadata { namespace, name, .. } = self.metadata();
        Key { namespace: namespace.clone(), name: name.clone() }
    }
}

/// The name of an object in its namespace.
#[derive(Clone, Debug, Default, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[display("{namespace}/{name}")]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// What every object has, as far as it is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// The namespace, if it is in one.
    pub namespace: String,
    /// What it was changed to last.
    pub resource_version: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The annotations.
    #[serde(deserialize_with = "annotations")]
    pub annotations: BTreeMap<String, String>,
    /// What it was made by.
    pub owner_references: Vec<Owner>,
    /// When its deletion was requested.
    pub deletion_timestamp: Option<String>,
    /// What has to be done before it is gone.
    pub finalizers: Vec<String>,
}

/// What an object was made by.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

fn annotations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let mut annotations = Option::<BTreeMap<_, _>>::deserialize(deserializer)?.unwrap_or_default();
    annotations.remove(LAST_APPLIED);
    Ok(annotations)
}
