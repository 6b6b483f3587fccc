//! Images: where they come from, and which version they are.

use std::cmp::Ordering;

use super::kind::EffectKind;
use crate::plan::risk::version;

/// What an image is named by.
pub(super) struct Image<'a> {
    /// The registry and the name in it, without a version.
    repository: (&'a str, &'a str),
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

/// The registry of images that name none.
const DEFAULT_REGISTRY: &str = "docker.io";

impl<'a> Image<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag).filter(|tag| !tag.is_empty())),
            _ => (name, None),
        };
        let (registry, name) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (DEFAULT_REGISTRY, name),
        };
        let is_official = registry == DEFAULT_REGISTRY;
        let name = name.strip_prefix("library/").filter(|_| is_official).unwrap_or(name);
        let repository = (registry, name);
        Self { repository, tag, digest }
    }

    /// Returns what is to be said of an image, and of the one that it takes the place of: the most severe, and that it
    /// names no version if it does not.
    pub(super) fn judged(&self, old: Option<&Self>) -> Vec<(EffectKind, &'static str)> {
        let mut found = Vec::new();
        let is_floating = self.digest.is_none() && self.tag.is_none_or(|tag| tag == "latest");
        if is_floating {
            found.push((EffectKind::ImageFloating, "the image names no version: it is another one tomorrow"));
        }
        let Some(old) = old else {
            found.extend((!is_floating).then_some((EffectKind::ImageChanged, "the image is new here")));
            return found;
        };
        found.push(if self.repository == old.repository {
            self.judged_by_version(old)
        } else {
            let note = if self.repository.0 == old.repository.0 {
                "another image takes its place"
            } else {
                "the image comes from another registry"
            };
            (EffectKind::ImageSource, note)
        });
        found
    }

    /// Returns what is to be said of an image in another version.
    fn judged_by_version(&self, old: &Self) -> (EffectKind, &'static str) {
        let (before, after) = (old.tag.unwrap_or_default(), self.tag.unwrap_or_default());
        let part = |tag| version::breaking_part(tag);
        if version::compare(before, after) == Some(Ordering::Greater) {
            let note = "an older version: it may not read what the newer one has written";
            return (EffectKind::ImageDowngraded, note);
        }
        let is_major = part(before).zip(part(after)).is_some_and(|(before, after)| before != after);
        if is_major {
            (EffectKind::ImageMajorVersion, "a new major version")
        } else {
            (EffectKind::ImageChanged, "another version of the image")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(old: &str, new: &str) -> Vec<&'static str> {
        let old = (!old.is_empty()).then(|| Image::parse(old));
        Image::parse(new).judged(old.as_ref()).into_iter().map(|(kind, _)| kind.anchor()).collect()
    }

    #[test]
    fn an_image_is_judged_by_its_source_and_its_version() {
        for (old, new, kinds) in [
            ("a/b:1.2.3", "a/b:1.2.4", &["image-changed"][..]),
            ("a/b:1.2.3", "docker.io/a/b:1.3.0", &["image-changed"]),
            ("nginx:1.2.3", "docker.io/library/nginx:1.3.0", &["image-changed"]),
            ("a/b:1.2.3", "a/b:2.0.0", &["image-major-version"]),
            ("a/b:v0.9.0", "a/b:v0.10.0", &["image-major-version"]),
            ("a/b:2.0.0", "a/b:1.2.3", &["image-downgraded"]),
            ("a/b:1", "ghcr.io/a/b:1", &["image-source"]),
            ("ghcr.io/a/b:1", "ghcr.io/c/b:1", &["image-source"]),
            ("localhost:5000/b:1", "localhost:5000/b:2", &["image-major-version"]),
            ("a/b:1.0", "a/b:latest", &["image-floating", "image-changed"]),
            ("a/b:1.0", "localhost:5000/b", &["image-floating", "image-source"]),
            ("a/b:1.0@sha256:00", "a/b:1.0@sha256:11", &["image-changed"]),
            ("a/b@sha256:00", "a/b@sha256:11", &["image-changed"]),
            ("", "a/b:1", &["image-changed"]),
            ("", "a/b", &["image-floating"]),
            ("", "", &["image-floating"]),
            ("a/b:", "a/b:1.0", &["image-changed"]),
        ] {
            assert_eq!(judged(old, new), kinds, "{old} → {new}");
        }
    }
}
