//! Objects as `kube` wants them, around ours.

use std::borrow::Cow;

use kube::api::ObjectMeta;
use kube::core::NamespaceResourceScope;
use serde::{Deserialize, Deserializer};

use super::kind::Kind;

/// An object as `kube` wants it, around one of ours.
#[derive(Clone, Debug)]
pub(super) struct Object<K> {
    metadata: ObjectMeta,
    pub body: K,
}

impl<'de, K: Kind> Deserialize<'de> for Object<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = K::deserialize(deserializer)?;
        let read = body.metadata();
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let metadata = ObjectMeta {
            name: some(&read.name),
            namespace: some(&read.namespace),
            resource_version: some(&read.resource_version),
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, body })
    }
}

impl<K: Kind> kube::Resource for Object<K> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::NAME.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        K::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        K::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
