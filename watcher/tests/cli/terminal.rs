//! On a terminal: colour and progress, which `script` gives a terminal to.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::repo::{Repo, bare, fleetwright};

/// Runs the command on a terminal and returns all that it wrote there; nothing where there is no `script`.
fn on_a_terminal(repo: &Repo, arguments: &str) -> Option<String> {
    on_a_terminal_of(80, repo, arguments)
}

/// As [`on_a_terminal`], on one of so many columns.
fn on_a_terminal_of(columns: usize, repo: &Repo, arguments: &str) -> Option<String> {
    let command = format!("stty rows 24 cols {columns}; {} {arguments}", fleetwright().to_str().unwrap());
    let mut script = Command::new("script");
    bare(script.args(["-qec", &command, "/dev/null"]).current_dir(&repo.top)).env("TERM", "xterm");
    let Ok(output) = script.output() else {
        eprintln!("left out: there is no `script` here to make a terminal");
        return None;
    };
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A fleet that takes long enough to render for progress to be worth showing, even on a fast machine.
fn large_fleet() -> Repo {
    let repo = Repo::fleet();
    let mut template = repo.read("templates/addons/web/values.yaml.hbs");
    template.push_str("many:\n");
    for n in 0..1_000 {
        let _ = writeln!(template, "  - {{name: n{n}, value: \"{{{{cluster.name}}}}-{n}\"}}");
    }
    repo.write("templates/addons/web/values.yaml.hbs", template);
    for n in 0..100 {
        let text = format!(
            "role: app\nhub: hub\nnetworks: {{pods: 10.{}.0.0/16, services: 10.{}.0.0/16}}\n",
            20 + 2 * n,
            21 + 2 * n
        );
        repo.write(&format!("environments/many/c{n}.yaml"), text);
    }
    repo
}

#[test]
fn a_terminal_gets_colour_unless_the_environment_says_otherwise() {
    let repo = Repo::fleet();
    repo.edit("environments/hub.yaml", "web: 10.9.0.10", "web: 10.9.0.11");
    let Some(shown) = on_a_terminal(&repo, "diff") else { return };
    assert!(shown.contains("\x1b[1m2 files changed"), "{shown:?}");
    for arguments in ["diff --color never", "diff --format json"] {
        let shown = on_a_terminal(&repo, arguments).unwrap();
        // On a busy machine there was progress before, which is wiped.
        let told = shown.rsplit("\x1b[2K").next().unwrap();
        assert!(!told.is_empty() && !told.contains('\x1b'), "{shown:?}");
    }
}

#[test]
fn a_table_fits_its_terminal_and_a_pipe_gets_all_of_it() {
    let repo = Repo::shipped();
    let wide = repo.run(&["clusters"]).out;
    assert_eq!(wide.lines().take_while(|line| !line.is_empty()).count(), 3, "{wide}");
    let headings: Vec<_> = wide.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(headings.len(), 12, "{wide}");
    for columns in [40, 80, 120] {
        let Some(shown) = on_a_terminal_of(columns, &repo, "clusters") else { return };
        // On a busy machine there was progress before.
        let table = shown.rsplit('\x1b').next().unwrap();
        let mut rows = table.lines().map(str::trim_end).take_while(|line| !line.is_empty());
        assert!(rows.all(|line| line.chars().count() <= columns), "{shown}");
        for addon in ["kube-prometheus-stack", "local-path-provisioner", "opentelemetry-collector"] {
            assert!(shown.contains(addon), "{shown}");
        }
    }
}

#[test]
fn long_work_shows_progress_on_a_terminal_and_nowhere_else() {
    let repo = large_fleet();
    let start = Instant::now();
    let Some(shown) = on_a_terminal(&repo, "check") else { return };
    if start.elapsed() > Duration::from_secs(1) {
        assert!(shown.contains("render [") && shown.contains("/102"), "{shown:?}");
    } else {
        eprintln!("left out: this machine is too fast for progress to be worth showing");
    }
    let end = shown.trim_end().rsplit(['\r', '\n']).next().unwrap();
    assert!(end.ends_with("no problems in 102 clusters, 306 rendered files"), "{shown:?}");
    assert_eq!(repo.run(&["check"]).err, "", "a pipe gets no progress");
    let document = on_a_terminal(&repo, "check --format json").unwrap();
    assert!(!document.contains("render ["), "{document:?}");
}
