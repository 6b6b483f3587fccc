//! Addresses, and conversations through an `ssh` that runs git on this machine.

use std::path::PathBuf;
use std::time::Duration;

use testkit::program::write_script;

use super::*;
use crate::git::remote::address::Remote;
use crate::git::scene::{self, Scene};
use crate::git::{CommitRequest, GitError, RefUpdate, Revision, TreeChange, Upstream, rendered_message};

/// Notes its arguments and does what the last of them says, as a server's shell would.
const SSH: &str = r#"#!/bin/sh
printf '%s\n' "$@" >>"$0.arguments"
env >>"$0.environment"
for last in "$@"; do :; done
case "$last" in
  git-upload-pack*|git-receive-pack*) exec sh -c "git ${last#git-}" ;;
esac
exit 127
"#;

struct World {
    there: Scene,
    here: Scene,
    folder: tempfile::TempDir,
    tip: Revision,
}

impl World {
    fn new() -> Self {
        let there = Scene::bare();
        let tip = there.commit("main", "start", &[("a", "1")]);
        Self { there, here: Scene::bare(), folder: tempfile::tempdir().unwrap(), tip }
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("ssh")
    }

    fn upstream(&self, script: &str) -> Upstream {
        let address = format!("ssh://git@fleet.example.com:2222{}", self.there.path().display());
        self.upstream_at(&address, script)
    }

    fn upstream_at(&self, address: &str, script: &str) -> Upstream {
        write_script(self.program(), script);
        let remote = SshRemote { program: self.program().into(), ..parse(address) };
        Upstream::over(self.here.repository(), Remote::Ssh(remote))
    }
}

fn commit(upstream: &Upstream, base: Revision) -> Revision {
    let changes = [TreeChange { path: scene::path("out/a.yaml"), content: Some(b"1".as_slice().into()) }];
    let text = rendered_message("Render app", base);
    let request = CommitRequest { base, changes: &changes, roots: &["out"], message: &text, source: base };
    upstream.repository().commit(&request).unwrap()
}

#[test]
fn refs_and_objects_go_both_ways_through_ssh() {
    // A server that lets the variable through speaks version 2; most do not.
    for script in [SSH.to_owned(), SSH.replace("env >>", "unset GIT_PROTOCOL; env >>")] {
        let world = World::new();
        let upstream = world.upstream(&script);
        assert_eq!(upstream.fetch().unwrap()["refs/heads/main"], world.tip);
        let new = commit(&upstream, world.tip);
        upstream.update(&[RefUpdate::branch("render/app", None, Some(new))]).unwrap();
        assert_eq!(upstream.refs().unwrap()["refs/heads/render/app"], new);
        assert_eq!(upstream.fetch().unwrap()["refs/heads/render/app"], new);
        world.there.assert_sound();
        world.here.assert_sound();
    }
}

#[test]
fn ssh_is_told_the_host_after_all_options_and_a_quoted_path() {
    let world = World::new();
    world.upstream(SSH).fetch().unwrap();
    let arguments = std::fs::read_to_string(world.program().with_extension("arguments")).unwrap();
    let path = world.there.path().display();
    assert!(
        arguments.ends_with(&format!("-p\n2222\n--\ngit@fleet.example.com\ngit-upload-pack '{path}'\n")),
        "{arguments}"
    );
    assert!(arguments.starts_with("-o\nBatchMode=yes\n"), "{arguments}");
    let environment = std::fs::read_to_string(world.program().with_extension("environment")).unwrap();
    assert!(environment.lines().any(|line| line == "GIT_PROTOCOL=version=2"));
}

#[test]
fn a_path_with_a_quote_in_it_stays_one_path() {
    let world = World::new();
    let odd = world.folder.path().join("it's $(touch pwned); x.git");
    world.there.git(&["clone", "-q", "--bare", ".", odd.to_str().unwrap()]);
    let address = format!("ssh://h{}", odd.display());
    assert_eq!(world.upstream_at(&address, SSH).fetch().unwrap()["refs/heads/main"], world.tip);
}

#[test]
fn what_ssh_says_is_told_with_what_to_do() {
    let fails = |words: &str| format!("#!/bin/sh\nprintf '%s\\n' '{words}' >&2\nexit 255\n");
    let fault = |words: &str| -> (GitError, String, bool) {
        let error = World::new().upstream(&fails(words)).fetch().unwrap_err();
        let (hint, is_transient) = (error.hint().unwrap_or_default(), error.is_transient());
        (error, hint, is_transient)
    };
    let (error, hint, is_transient) = fault("git@h: Permission denied (publickey).");
    assert!(error.fault.to_string().contains("refused") && !is_transient, "{error:?}");
    assert!(hint.contains("key"), "{hint}");
    let (error, hint, is_transient) = fault("Host key verification failed.");
    assert!(error.fault.to_string().contains("does not trust") && !is_transient, "{error:?}");
    assert!(hint.contains("known_hosts"), "{hint}");
    let (error, _, is_transient) = fault("ERROR: Repository not found.");
    assert!(error.fault.to_string().contains("no such repository") && !is_transient, "{error:?}");
    let (error, _, is_transient) = fault("ssh: connect to host h port 22: Connection refused");
    assert!(error.fault.to_string().contains("Connection refused") && is_transient, "{error:?}");
}

#[test]
fn a_machine_without_ssh_is_told_so() {
    let world = World::new();
    let upstream = world.upstream(SSH);
    std::fs::remove_file(world.program()).unwrap();
    let error = upstream.fetch().unwrap_err();
    assert_eq!(
        error.fault.to_string(),
        format!("the program `{}` is not installed", world.program().display())
    );
}

fn parse(text: &str) -> SshRemote {
    SshRemote::parse(text).unwrap().unwrap()
}

#[test]
fn both_ways_to_write_an_address_are_read() {
    let arguments = |text| parse(text).arguments(Service::UploadPack)[10..].join(" ");
    assert_eq!(
        arguments("git@github.com:acme/fleet.git"),
        "-- git@github.com git-upload-pack 'acme/fleet.git'"
    );
    assert_eq!(arguments("ssh://git@h:2222/srv/a b.git"), "-p 2222 -- git@h git-upload-pack '/srv/a b.git'");
    assert_eq!(arguments("ssh://h/~ann/a.git"), "-- h git-upload-pack '~ann/a.git'");
    assert_eq!(arguments("ssh://[::1]:22/a"), "-p 22 -- ::1 git-upload-pack '/a'");
    for other in ["https://h/a", "/srv/a", "./a:b", "a"] {
        assert!(SshRemote::parse(other).is_none(), "{other}");
    }
}

#[test]
fn nothing_of_an_address_becomes_an_option_or_a_command() {
    for text in [
        "-oProxyCommand=touch x:a",
        "ssh://-oProxyCommand=x/a",
        "ssh://-x@h/a",
        "-x@h:a",
        "h:-a",
        "ssh://h/",
        "ssh://me:secret@h/a",
        "ssh://h:99999/a",
        "h;reboot:a",
        "$(reboot)@h:a",
        "h:a\nb",
    ] {
        let error = SshRemote::parse(text).unwrap().unwrap_err();
        assert!(error.to_string().starts_with("the address cannot be used: "), "{text}");
        assert!(!format!("{error}{error:?}").contains("secret"));
    }
    assert_eq!(quoted("a'; reboot #!"), r"'a'\''; reboot #'\!''");
}

#[test]
fn an_ssh_that_is_silent_or_never_ends_is_not_waited_for() {
    let world = World::new();
    let error = |script: &str, limits: PaceLimits| {
        let upstream = world.upstream(script);
        let remote = SshRemote {
            program: world.program().into(),
            limits: limits.leaked(),
            ..parse("ssh://h/srv/a.git")
        };
        drop(upstream);
        Upstream::over(world.here.repository(), Remote::Ssh(remote)).fetch().unwrap_err()
    };
    let silence = Duration::from_millis(50);
    let silent = error("#!/bin/sh\nexec tail -f /dev/null", PaceLimits { silence, ..PaceLimits::DEFAULT });
    assert!(silent.is_transient() && silent.fault.to_string().contains("nothing came"), "{silent:?}");
    let drip = "#!/bin/sh\nprintf '000eversion 2\\n'; while printf 0005x; do :; done";
    let limits =
        PaceLimits { silence, begin: Duration::ZERO, window_bytes: usize::MAX, ..PaceLimits::DEFAULT };
    let slow = error(drip, limits);
    assert!(slow.is_transient() && slow.fault.to_string().contains("KiB came in 0 seconds"), "{slow:?}");
}

#[test]
fn a_push_that_is_not_read_is_not_waited_for() {
    let world = World::new();
    let upstream = world.upstream(SSH);
    upstream.fetch().unwrap();
    let files: Vec<_> = (0..200).map(|n| (format!("out/{n}"), format!("{n}").repeat(5_000))).collect();
    let changes: Vec<_> = files
        .iter()
        .map(|(path, text)| TreeChange { path: scene::path(path), content: Some(text.as_bytes().into()) })
        .collect();
    let text = rendered_message("Render app", world.tip);
    let (base, source) = (world.tip, world.tip);
    let request = CommitRequest { base, changes: &changes, roots: &["out"], message: &text, source };
    let new = upstream.repository().commit(&request).unwrap();
    // It greets as git does, and then never reads.
    let unread = r"#!/bin/sh
        printf '00590000000000000000000000000000000000000000 capabilities^{}\0report-status side-band-64k\n'
        printf 0000
        exec tail -f /dev/null";
    drop(world.upstream(unread));
    let limits = PaceLimits { silence: Duration::from_millis(50), ..PaceLimits::DEFAULT };
    let remote =
        SshRemote { program: world.program().into(), limits: limits.leaked(), ..parse("ssh://h/srv/a.git") };
    let upstream = Upstream::over(world.here.repository(), Remote::Ssh(remote));
    let error = upstream.update(&[RefUpdate::branch("render/app", None, Some(new))]).unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(format!("{error:?}").contains("nothing came"), "{error:?}");
}
