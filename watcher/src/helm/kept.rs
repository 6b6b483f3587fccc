//! Renderings on disk: what was rendered once of the same chart, by the same Helm, with the same values, for the same
//! cluster, is not rendered again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use renderer::deployed::Call;
use renderer::manifests::MAX_TEXT_BYTES;

use super::text::{Defining, Text};
use crate::cache::{note_use, tidy, write_whole};
use crate::hex::hex;
use crate::parted::Parted;

/// How many bytes all renderings may have together; the ones that were not used for longest go first.
const MAX_BYTES: u64 = 2 << 30;
/// The form of what is kept; another form is another key.
const FORM: &str = "2";

/// The renderings that are kept.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    /// The definitions that are in use, by the digest of their text.
    defining: Mutex<HashMap<String, Weak<Defining>>>,
}

/// What identifies a rendering.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// Returns the key of a call. Its chart is identified by its content, and not by its name.
    pub fn of(call: &Call, chart: &str, helm: &str, api_versions: &[String]) -> Self {
        let mut hasher = Parted::default();
        for text in [FORM, chart, helm, &call.release, &call.namespace] {
            hasher.add(text.as_bytes());
        }
        hasher.add(call.kube_version.as_deref().unwrap_or("-").as_bytes());
        hasher.add(&[u8::from(call.skips_crds), u8::from(call.skips_schema), u8::from(call.skips_tests)]);
        hasher.count(api_versions.len());
        for version in api_versions {
            hasher.add(version.as_bytes());
        }
        hasher.count(call.parameters.len());
        for parameter in &call.parameters {
            hasher.add(parameter.name.as_bytes());
            hasher.add(parameter.value.as_bytes());
            hasher.add(&[u8::from(parameter.is_text)]);
        }
        for values in &call.values {
            hasher.add(values);
        }
        Self(hex(&hasher.digest()))
    }
}

impl Kept {
    /// Keeps renderings in a folder, which is made when the first one is.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder, defining: Mutex::default() }
    }

    /// Returns a rendering, if it is kept and whole.
    pub fn get(&self, key: &Key) -> Option<Text> {
        let text = self.unpacked(&key.0)?;
        let (head, texts) = text.split_once('\n')?;
        let (length, digest) = head.split_once(' ')?;
        let (rest, second) = texts.split_at_checked(length.parse().ok()?)?;
        let second = Some(second).filter(|second| !second.is_empty()).map(str::to_owned);
        Some(Text { defining: self.defining(digest)?, rest: rest.into(), second })
    }

    /// Keeps a rendering, and returns it with the definitions that others use already. It is rendered again where it cannot be
    /// kept.
    pub fn put(&self, key: &Key, text: Text) -> Text {
        let digest = hex(&text.defining.digest);
        let defining = self.defining(&digest).unwrap_or_else(|| {
            let _ = self.pack(&digest, &[&text.defining.text]);
            self.share(digest.clone(), Arc::clone(&text.defining))
        });
        let text = Text { defining, ..text };
        let head = format!("{} {digest}\n", text.rest.len());
        let _ = self.pack(&key.0, &[&head, &text.rest, text.second.as_deref().unwrap_or_default()]);
        text
    }

    /// Returns the definitions whose text has a digest; those that others use are read once.
    fn defining(&self, digest: &str) -> Option<Arc<Defining>> {
        if let Some(known) = self.in_use().get(digest).and_then(Weak::upgrade) {
            return Some(known);
        }
        let read = Some(Defining::new(self.unpacked(digest)?)).filter(|read| hex(&read.digest) == digest)?;
        Some(self.share(digest.to_owned(), Arc::new(read)))
    }

    fn share(&self, digest: String, defining: Arc<Defining>) -> Arc<Defining> {
        self.in_use().insert(digest, Arc::downgrade(&defining));
        defining
    }

    fn in_use(&self) -> MutexGuard<'_, HashMap<String, Weak<Defining>>> {
        self.defining.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.gz"))
    }

    fn pack(&self, name: &str, texts: &[&str]) -> io::Result<()> {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        texts.iter().try_for_each(|text| out.write_all(text.as_bytes()))?;
        write_whole(&self.path(name), &out.finish()?)
    }

    fn unpacked(&self, name: &str) -> Option<String> {
        let path = self.path(name);
        let mut text = String::new();
        let most = 2 * MAX_TEXT_BYTES as u64 + 128;
        GzDecoder::new(File::open(&path).ok()?).take(most).read_to_string(&mut text).ok()?;
        note_use(&path);
        Some(text)
    }

    /// Removes what was not used for longest, if there is too much.
    pub fn tidy(&self) {
        tidy(&self.folder, MAX_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use renderer::charts::ChartId;
    use renderer::deployed::{Chart, Parameter};

    use super::*;

    fn call() -> Call {
        let text = str::to_owned;
        Call {
            chart: Chart::Packed(ChartId {
                name: text("a"),
                version: text("1.0.0"),
                repository: text("https://c.example.com"),
            }),
            digest: None,
            release: text("a"),
            namespace: text("a"),
            values: vec![b"a: 1\n".as_slice().into()],
            parameters: Vec::new(),
            kube_version: Some(text("1.36.3")),
            api_versions: Vec::new(),
            skips_crds: false,
            skips_schema: false,
            skips_tests: false,
        }
    }

    #[test]
    fn whatever_changes_a_rendering_changes_its_key() {
        let text = str::to_owned;
        let key = |call: &Call| Key::of(call, "sha256:0", "v4.1.4", &[text("a/v1")]);
        let own = key(&call());
        let parameter = Parameter { name: text("a"), value: text("b"), is_text: false };
        let mut others = vec![
            Key::of(&call(), "sha256:1", "v4.1.4", &[text("a/v1")]),
            Key::of(&call(), "sha256:0", "v4.1.5", &[text("a/v1")]),
            Key::of(&call(), "sha256:0", "v4.1.4", &[]),
            key(&Call { release: text("b"), ..call() }),
            key(&Call { namespace: text("b"), ..call() }),
            key(&Call { values: vec![b"a: 2\n".as_slice().into()], ..call() }),
            key(&Call { values: vec![b"a: ".as_slice().into(), b"1\n".as_slice().into()], ..call() }),
            key(&Call { parameters: vec![parameter.clone()], ..call() }),
            key(&Call { parameters: vec![Parameter { is_text: true, ..parameter }], ..call() }),
            key(&Call { kube_version: Some(text("1.36.4")), ..call() }),
            key(&Call { kube_version: None, ..call() }),
            key(&Call { skips_crds: true, ..call() }),
            key(&Call { skips_schema: true, ..call() }),
            key(&Call { skips_tests: true, ..call() }),
            own.clone(),
        ];
        others.sort();
        others.dedup();
        assert_eq!(others.len(), 15);
        // Where a chart comes from makes no difference, and it is given by its content.
        assert_eq!(key(&Call { digest: Some(text("sha256:2")), ..call() }), own);
    }

    #[test]
    fn what_is_kept_is_found_until_it_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::in_folder(folder.path().join("x"));
        let key = Key::of(&call(), "sha256:0", "v4.1.4", &[]);
        assert_eq!(kept.get(&key), None);
        let kind = "---\napiVersion: a/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\n";
        for second in [Some("a: 3\n".to_owned()), None] {
            let text = Text::new(format!("{kind}---\nb: 2\n"), second);
            assert_eq!(kept.put(&key, text.clone()), text);
            assert_eq!(kept.get(&key), Some(text));
        }
        let text = Text::new(format!("{kind}---\nb: 2\n"), None);
        let shared =
            [&key, &Key::of(&call(), "sha256:1", "v4.1.4", &[])].map(|key| kept.put(key, text.clone()));
        assert!(Arc::ptr_eq(&shared[0].defining, &shared[1].defining), "equal definitions are held once");
        drop(shared);
        let digest = hex(&Text::new(kind.to_owned(), None).defining.digest);
        for name in [&digest, &key.0] {
            let bytes = fs::read(kept.path(name)).unwrap();
            fs::write(kept.path(name), &bytes[..bytes.len() - 9]).unwrap();
            assert_eq!(kept.get(&key), None, "half a file is none");
            fs::write(kept.path(name), &bytes).unwrap();
            assert!(kept.get(&key).is_some());
        }
        fs::remove_file(kept.path(&digest)).unwrap();
        assert_eq!(kept.get(&key), None, "definitions that went are missed");
        fs::write(kept.path(&digest), "broken").unwrap();
        kept.put(&key, text.clone());
        let other = Kept::in_folder(folder.path().join("x"));
        assert_eq!(other.get(&key), Some(text), "broken ones are written anew");
    }
}
