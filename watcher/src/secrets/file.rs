//! Files that hold a secret: read within a bound, and only where no other user can have put it there.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;
use tracing::warn;

/// Tokens, keys and lists of secrets are well below this; a larger file is another one.
pub const MAX_BYTES: u64 = 64 * 1024;

/// Files of which it was reported that other users can read them.
static REPORTED: Mutex<Vec<Box<Path>>> = Mutex::new(Vec::new());

/// Reads a file that holds a secret, and remembers what is in it.
///
/// A file that its group or others may write is refused: they could put their own secret there. One that others may
/// read is reported once; Kubernetes mounts secrets so unless it is asked for another mode.
pub fn read_file(path: &Path) -> io::Result<SecretString> {
    let file = File::open(path)?;
    check_mode(path, &file.metadata()?)?;
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    let secret = SecretString::from(text);
    if secrecy::ExposeSecret::expose_secret(&secret).len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than a secret can be"));
    }
    super::remember(&secret);
    Ok(secret)
}

/// Makes a file for a secret, which its owner alone may read. One that is there is never overwritten.
pub fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn check_mode(path: &Path, metadata: &Metadata) -> io::Result<()> {
    // A pipe has no readers or writers beside those that it was given to.
    if !metadata.is_file() {
        return Ok(());
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o022 != 0 {
        let message = format!("users other than its owner may write to it (mode {mode:04o})");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if mode & 0o004 != 0 && !reported.iter().any(|known| **known == *path) {
        reported.push(path.into());
        warn!("every user of this machine may read `{}` (mode {mode:04o})", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read_with(mode: u32, text: &str) -> io::Result<SecretString> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        // As Kubernetes mounts it: a link into a folder that is replaced as a whole.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        read_file(&link)
    }

    #[test]
    fn only_its_owner_may_write_a_secret() {
        for mode in [0o400, 0o600, 0o640, 0o440, 0o644, 0o444] {
            assert!(read_with(mode, "one").is_ok(), "{mode:o}");
        }
        for mode in [0o666, 0o620, 0o602, 0o660, 0o646] {
            let error = read_with(mode, "one").unwrap_err();
            assert!(error.to_string().contains(&format!("{mode:04o}")), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_and_not_cut() {
        assert!(read_with(0o600, &"x".repeat(64 * 1024)).is_ok());
        assert!(read_with(0o600, &"x".repeat(64 * 1024 + 1)).is_err());
    }
}
