//! Texts and keys that only refer to a secret, which is kept elsewhere.

/// Beginnings of text that stands for a secret kept elsewhere: a file, a Vault path, a tool that fetches or
/// decrypts it.
const REFERENCE_BEGINNINGS: [&str; 10] =
    ["/", "@/", "vault:", "file:", "secret:", "{{", "<path:", "ref+", "ENC[", "op://"];
/// Ends of the names of files that hold keys, certificates and settings.
const FILE_ENDINGS: &str = "key pem crt cer der p12 pfx jks txt json yaml yml conf cfg ini toml properties";
/// Keys below one that names a secret whose text refers to the secret, or says how it is to be made.
const REFERRING_KEYS: &str = "name key namespace kind apiVersion path file property secretName existingSecret valueFrom \
     algorithm encoding rotationPolicy";
/// Beginnings of hashed passwords, which can be guessed offline. They look like variables.
const HASHES: [&str; 8] = ["$2a$", "$2b$", "$2y$", "$1$", "$5$", "$6$", "$y$", "$argon2"];

/// Returns whether a word is one of those in a list.
pub(super) fn is_one_of(words: &str, word: &str) -> bool {
    words.split(' ').any(|known| known == word)
}

/// Returns whether a text is a hashed password.
pub(super) fn is_hash(text: &str) -> bool {
    HASHES.iter().any(|beginning| text.starts_with(beginning))
}

/// Returns whether a text under the name of a secret is the secret itself.
pub(super) fn is_given(text: &str) -> bool {
    !text.is_empty() && !is_reference(text)
}

/// Returns whether a key below one that names a secret refers to it.
pub(crate) fn refers_to_a_secret(key: &str) -> bool {
    is_one_of(REFERRING_KEYS, key) || key.ends_with("Ref")
}

/// Returns whether a text stands for a secret kept elsewhere: a variable, a file, a path in Vault.
pub(crate) fn is_reference(text: &str) -> bool {
    let is_variable = text
        .strip_prefix('$')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || "_{(".contains(c)))
        && !is_hash(text);
    is_variable
        || is_marker(text)
        || REFERENCE_BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
        || is_file(text)
}

/// Returns whether a text is a place that a script fills in: `@TOKEN@`.
fn is_marker(text: &str) -> bool {
    let name = text.strip_prefix('@').and_then(|rest| rest.strip_suffix('@'));
    name.is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    })
}

/// Returns whether a text names a file by its ending: `tls.key`, `certs/server.pem`.
fn is_file(text: &str) -> bool {
    let stem = FILE_ENDINGS.split(' ').find_map(|ending| text.strip_suffix(ending)?.strip_suffix('.'));
    stem.is_some_and(|stem| {
        !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./~".contains(&byte))
    })
}

/// Returns whether a text stands where people are to put a secret, or hides one.
pub(super) fn is_placeholder(text: &str) -> bool {
    text.is_empty() || text.starts_with(['$', '<', '{', '%', '*'])
}
