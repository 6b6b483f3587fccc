//! What others send to the watcher: packages of charts, packets and commits of git, deliveries of a webhook.
//! Whatever the bytes are, each is read or refused within its bounds.

pub(crate) const ARCHIVE_WORDS: &[&str] =
    &["demo/", "Chart.yaml", "values.yaml", "charts/", "ustar", "../", "\0"];

pub(crate) const GIT_WORDS: &[&str] = &[
    "0000",
    "0001",
    "0002",
    "0004",
    "0005\x01",
    "001e# service=git-upload-pack\n",
    "000eversion 2\n",
    "packfile\n",
    "unpack ok\n",
    "ok refs/heads/main\n",
    "ng refs/heads/main ",
    "shallow ",
    "ERR ",
    "refs/heads/",
    "0123456789012345678901234567890123456789",
    "tree ",
    "parent ",
    "author ",
    "committer ",
    " <a@b.c> 1 +0100\n",
];

pub(crate) const WEBHOOK_WORDS: &[&str] = &[
    "{",
    "}",
    "\"repository\":",
    "\"full_name\":",
    "\"acme/fleet\"",
    "\"action\":",
    "\"ref\":",
    "\"pull_request\":",
    "\"head\":",
    "\"base\":",
    "\"number\":",
    "null",
    "[",
    "]",
    ",",
];

pub(crate) fn archive(input: &[u8]) {
    fleetwright::charts::read_untrusted(input);
}

pub(crate) fn git(input: &[u8]) {
    fleetwright::git::read_untrusted(input);
}

pub(crate) fn webhook(input: &[u8]) {
    fleetwright::events::webhook::read_untrusted(input);
}
