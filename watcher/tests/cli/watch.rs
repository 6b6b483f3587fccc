//! `watch`: a child process, saves, and what it prints.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::repo::Repo;

/// Far longer than a save takes to be rendered, even on a busy machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_mins(1);

struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(repo: &Repo) -> Self {
        let mut command = repo.command(&["watch"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let lines = BufReader::new(stream).lines().map_while(Result::ok);
                lines.map(|line| sender.send(line)).take_while(Result::is_ok).count()
            });
        }
        Self { child, lines }
    }

    /// Waits for a line that has `text` in it.
    fn wait_for(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("{error} for `{text}` after {seen:#?}"),
            }
        }
    }

    fn end(mut self, signal: &str) -> Option<i32> {
        let sent = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // After a failed test the child may still be there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CLUSTER: &str = "environments/prod/eu-1.yaml";
const VALUES: &str = "argocd-apps/eu-1/web/values.yaml";

#[test]
fn a_save_is_rendered_and_ctrl_c_ends_the_watch() {
    let repo = Repo::fleet();
    let watch = Watch::start(&repo);
    watch.wait_for("6 files are current");
    repo.edit(CLUSTER, "replicas: 3", "replicas: 4");
    watch.wait_for(&format!("update  {VALUES}"));
    watch.wait_for("rendered 6 files: 1 updated");
    assert!(repo.read(VALUES).contains("replicas: 4"));
    assert_eq!(watch.end("INT"), Some(0));
}

#[test]
fn a_watch_brings_up_to_date_what_was_saved_before_it() {
    let repo = Repo::fleet();
    repo.edit(CLUSTER, "replicas: 3", "replicas: 4");
    let watch = Watch::start(&repo);
    watch.wait_for("rendered 6 files: 1 updated");
    assert_eq!(watch.end("TERM"), Some(0));
}

#[test]
fn problems_are_shown_as_check_shows_them_and_mending_them_is_enough() {
    let repo = Repo::fleet();
    let before = repo.read(VALUES);
    let watch = Watch::start(&repo);
    watch.wait_for("6 files are current");
    repo.edit(CLUSTER, "replicas: 3", "replicsa: 4");
    assert_eq!(watch.wait_for("replicsa"), "environments/prod/eu-1.yaml:9:16: unknown key `replicsa`");
    watch.wait_for("  hint: ");
    watch.wait_for("error: 1 problem");
    assert_eq!(repo.read(VALUES), before);
    repo.edit(CLUSTER, "replicsa: 4", "replicas: 4");
    watch.wait_for("rendered 6 files: 1 updated");
    assert_eq!(watch.end("INT"), Some(0));
}

#[test]
fn new_folders_and_whole_clusters_are_seen() {
    let repo = Repo::fleet();
    let watch = Watch::start(&repo);
    watch.wait_for("6 files are current");
    let text = repo.read(CLUSTER).replace("10.3.", "10.5.").replace("10.4.", "10.6.");
    repo.write("environments/test/eu-2.yaml", text.replace("10.9.0.20-10.9.0.29", "10.9.0.30-10.9.0.39"));
    watch.wait_for("create  argocd-apps/eu-2/web/values.yaml");
    std::fs::remove_dir_all(repo.path("environments/test")).unwrap();
    watch.wait_for("delete  argocd-apps/eu-2/web/values.yaml");
    assert!(!repo.path("argocd-apps/eu-2").exists());
    assert_eq!(watch.end("INT"), Some(0));
}

#[test]
fn a_watch_needs_a_working_tree() {
    let outside = tempfile::tempdir().unwrap();
    let repo = Repo::fleet();
    let told = repo.told(repo.command(&["watch"]).current_dir(outside.path()).output().unwrap());
    assert_eq!(told.code, 5, "{told}");
}
