//! Images: each names one registry, and a version that stays what it is.

use std::net::IpAddr;

use crate::checks::{Document, Finding};
use crate::key_path::{Step, owned};
use crate::tree::{Below, walk};
use crate::yaml::{Map, Value};

/// The tag that is another image tomorrow.
const LATEST: &str = "latest";
/// What the keys are called that hold an image's version apart from its name.
const VERSION_KEYS: [&str; 7] = ["tag", "version", "digest", "sha", "sha256", "hash", "revision"];
/// The ends of files that are called images, too.
const FILE_ENDINGS: [&str; 12] =
    ["png", "svg", "jpg", "jpeg", "gif", "ico", "webp", "iso", "img", "qcow2", "raw", "vmdk"];
const VERSION_HINT: &str = "name a version, as a tag or as a digest: otherwise it is another image tomorrow";

pub(in super::super) fn images_are_pinned(document: &Document<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(document.value, &mut |visit| {
        if let Some(text) = visit.value.as_str() {
            let map = visit.parent().and_then(Value::as_map);
            findings.extend(match (visit.key(), map) {
                (Some(name), Some(map)) => judge(name, text, map, visit.path),
                _ => doubled(text, visit.path),
            });
        }
        Below::Enter
    });
    findings
}

fn judge(key: &str, text: &str, map: &Map, path: &[Step<&str>]) -> Option<Finding> {
    let is_tag = || key == "tag" || is_version_key(key) && map.get("image").is_some();
    doubled(text, path).or_else(|| match key {
        _ if text == LATEST && is_tag() => {
            Some(Finding::new(&owned(path), "the tag `latest` is no version").hint(VERSION_HINT))
        }
        "image" => unversioned(text, map, path),
        _ => None,
    })
}

fn doubled(text: &str, path: &[Step<&str>]) -> Option<Finding> {
    let message = is_doubled(text).then(|| format!("image `{text}` names two registries"))?;
    Some(Finding::new(&owned(path), message).hint("leave one of them out"))
}

fn unversioned(text: &str, map: &Map, path: &[Step<&str>]) -> Option<Finding> {
    let is_container = matches!(path, [.., Step::Index(_), _]) && map.get("name").is_some();
    // In values, a name without a slash may be a part that the chart completes; a pattern is no image.
    let is_image =
        (is_container || text.contains('/')) && text.chars().all(is_image_character) && !is_file(text);
    let has_own_tag =
        map.iter().any(|(key, _)| ["registry", "repository"].contains(&key) || is_version_key(key));
    let message = match version(text) {
        _ if !is_image || has_own_tag => return None,
        Some(LATEST) => format!("image `{text}` has the tag `latest`, which is no version"),
        Some(_) => return None,
        None => format!("image `{text}` names no version"),
    };
    Some(Finding::new(&owned(path), message).hint(VERSION_HINT))
}

/// Returns whether a key beside `image` holds its version: `tag`, `imageTag`, `version`, `sha`, `imageDigest`.
fn is_version_key(key: &str) -> bool {
    let name = key.strip_prefix("image").unwrap_or(key).trim_start_matches(['_', '-']);
    VERSION_KEYS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Returns whether a text is the address or the name of a file: a picture, or the disk of a machine.
fn is_file(text: &str) -> bool {
    let ending = text.rsplit_once('.').map_or("", |(_, ending)| ending);
    text.contains("://") || text.starts_with(['/', '.']) || FILE_ENDINGS.contains(&ending)
}

fn is_image_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._/:@".contains(character)
}

/// Returns an image's digest or, without one, its tag: what follows a colon behind the last slash.
fn version(image: &str) -> Option<&str> {
    if let Some((_, digest)) = image.split_once('@') {
        return Some(digest);
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').map(|(_, tag)| tag).filter(|tag| !tag.is_empty())
}

/// `ghcr.io/ghcr.io/…`: a registry right behind the same registry. Addresses start with a scheme and paths
/// with a slash.
fn is_doubled(text: &str) -> bool {
    let Some((first, rest)) = text.split_once('/') else { return false };
    is_registry(first) && begins_with_registry(rest) && rest.split('/').next() == Some(first)
}

/// Returns whether the first part of an image's name is a host: it has a dot or a port, as no other part has there.
pub(super) fn begins_with_registry(image: &str) -> bool {
    image.split_once('/').is_some_and(|(host, _)| is_registry(host))
}

/// Returns whether a part of an image's name is a registry's host: a name with a top level, an address, or
/// anything with a port. A folder such as `..` or a version such as `v1.2` is none.
fn is_registry(part: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let before_port = part.rsplit_once(':').filter(|(_, port)| is_number(port)).map(|(host, _)| host);
    let host = before_port.unwrap_or(part);
    let is_address = || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_name = host.split('.').all(is_label);
    let has_top_level = host
        .rsplit_once('.')
        .is_some_and(|(_, top)| top.len() > 1 && top.starts_with(|first: char| first.is_ascii_alphabetic()));
    host == "localhost" || is_address() || is_name && (before_port.is_some() || has_top_level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_behind_itself_is_doubled_and_addresses_are_not() {
        for text in [
            "ghcr.io/ghcr.io/kedacore/keda",
            "localhost:5000/localhost:5000/a:1",
            "10.0.0.5/10.0.0.5/a",
            "[fd00::5]:5000/[fd00::5]:5000/a",
            "registry:5000/registry:5000/a",
        ] {
            assert!(is_doubled(text), "{text} was passed");
        }
        for text in [
            "ghcr.io/kedacore/keda",
            "http://a.b/a.b",
            "10.0.0.0/8",
            "a/a/b",
            "quay.io/ghcr.io/x",
            "v1.2/v1.2",
            "v1.2/v1.2/x",
            "../../values/a.yaml",
            "././a",
            ".../.../a",
            "release-1.30/release-1.30/x",
        ] {
            assert!(!is_doubled(text), "{text} was refused");
        }
    }

    #[test]
    fn a_version_is_a_tag_or_a_digest() {
        for (image, found) in [
            ("busybox:1.37", Some("1.37")),
            ("localhost:5000/busybox", None),
            ("localhost:5000/busybox@sha256:ab", Some("sha256:ab")),
            ("busybox:", None),
        ] {
            assert_eq!(version(image), found, "{image}");
        }
    }
}
