//! Colour, pipes and where things are written to.

use std::fs::File;
use std::process::Stdio;

use crate::repo::Repo;

fn edited() -> Repo {
    let repo = Repo::fleet();
    repo.edit("templates/addons/web/values.yaml.hbs", "  - name: CLUSTER\n    value: {{cluster.name}}\n", "");
    repo
}

#[test]
fn a_pipe_gets_no_colour_unless_it_is_asked_for() {
    let repo = edited();
    let has_colour = |arguments: &[&str]| repo.run(arguments).out.contains('\x1b');
    assert!(!has_colour(&["diff"]));
    assert!(!has_colour(&["diff", "--color", "never"]));
    assert!(has_colour(&["diff", "--color", "always"]));
    assert!(has_colour(&["--color", "always", "diff", "--full"]));
}

#[test]
fn what_is_asked_for_wins_over_the_environment() {
    let repo = edited();
    let has_colour = |arguments: &[&str], name: &str, value: &str| {
        let output = repo.command(arguments).env(name, value).output().unwrap();
        output.stdout.contains(&0x1b)
    };
    assert!(has_colour(&["diff", "--color", "always"], "NO_COLOR", "1"));
    assert!(!has_colour(&["diff", "--color", "never"], "CLICOLOR_FORCE", "1"));
    assert!(!has_colour(&["diff"], "NO_COLOR", "1"));
}

#[test]
fn the_text_is_the_same_with_colour_and_without() {
    let repo = edited();
    let painted = repo.run(&["diff", "--color", "always"]).out;
    let plain: String = painted
        .split('\x1b')
        .enumerate()
        .map(|(at, part)| if at == 0 { part } else { part.split_once('m').map_or("", |(_, text)| text) })
        .collect();
    assert_eq!(plain, repo.run(&["diff"]).out);
}

#[test]
fn documents_are_never_coloured() {
    let repo = edited();
    for arguments in
        [&["diff", "--format", "json"][..], &["clusters", "--format", "json"], &["schema", "addon"]]
    {
        let told = repo.run(&[arguments, &["--color", "always"]].concat());
        assert!(told.json().is_object(), "{told}");
    }
}

#[test]
fn errors_are_coloured_like_everything_else() {
    let repo = Repo::fleet();
    let told = repo.run(&["diff", "mian", "--color", "always"]);
    assert!(told.err.contains("\x1b[1m\x1b[31merror: "), "{told}");
    assert!(!repo.run(&["diff", "mian"]).err.contains('\x1b'));
}

#[test]
fn what_people_wrote_cannot_control_the_terminal() {
    let repo = Repo::fleet();
    repo.edit("environments/hub.yaml", "addresses:", "\"\\u001b]0;owned\\u0007\": 1\naddresses:");
    let told = repo.refused(&["check"]);
    assert_eq!(told.code, 4);
    assert!(!told.err.contains(['\x1b', '\x07']), "{told}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let repo = edited();
    let mut child =
        repo.command(&["diff", "--full"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let told = repo.told(child.wait_with_output().unwrap());
    assert_eq!((told.code, told.err.as_str()), (0, ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let repo = edited();
    for arguments in [&["diff", "--format", "json"][..], &["check"], &["completions", "bash"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = repo.command(arguments).stdout(full).output().unwrap();
        let told = repo.told(output);
        assert_eq!(told.code, 1, "{told}");
        assert!(told.err.starts_with("error: failed to write the result: No space left on device"), "{told}");
    }
}

#[test]
fn logs_go_to_standard_error_and_leave_the_result_alone() {
    let repo = Repo::fleet();
    let quiet = repo.run(&["check"]);
    assert_eq!(quiet.err, "");
    assert_eq!(repo.run(&["check", "-vvv"]).out, quiet.out);
    let wrong = repo.told(repo.command(&["check"]).env("RUST_LOG", "fleetwright=lots=of").output().unwrap());
    assert_eq!(wrong.code, 2, "{wrong}");
}

#[test]
fn traces_that_cannot_be_sent_are_refused_before_any_work() {
    let repo = Repo::fleet();
    let check = |protocol: &str| {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
        let mut command = repo.command(&["check"]);
        repo.told(command.envs([endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]).output().unwrap())
    };
    let told = check("grpc");
    assert_eq!(told.code, 2, "{told}");
    assert!(told.err.contains("`OTEL_EXPORTER_OTLP_PROTOCOL` is `grpc`"), "{told}");
    if cfg!(not(feature = "otlp")) {
        let told = check("http/json");
        assert_eq!(told.code, 2, "{told}");
        assert!(told.err.contains("`--features otlp`"), "{told}");
    }
}
