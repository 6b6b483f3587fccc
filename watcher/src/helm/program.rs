//! Helm itself: the program, which version it is, and one bounded run of it.
//!
//! What a chart's templates do is up to whoever wrote the chart. So a run sees nothing of our environment, no
//! configuration and no plugins of the user's, and has bounds on its time, its memory and what it writes. It needs no
//! network: requests of its own are led to a proxy that is not there.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use renderer::deployed::Call;
use semver::Version;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::error::{HelmError, Refusal};
use crate::cache::write_whole;
use crate::hex::hex;
use crate::program::{is_program, on_path};

/// The oldest version whose results are known to be those of Argo CD's own.
const OLDEST: Version = Version::new(3, 18, 0);
/// How long one rendering may take: the slowest charts take a second or two.
pub(super) const MAX_TIME: Duration = Duration::from_mins(1);
/// How much memory one rendering may write to: large charts take 130 MB.
const MAX_MEMORY_BYTES: u64 = 1 << 30;
/// The most that one rendering may write: the largest charts write about 6 MiB.
const MAX_OUTPUT_BYTES: u64 = renderer::manifests::MAX_TEXT_BYTES as u64;
/// How much of what it reports is kept.
const MAX_REPORT_BYTES: u64 = 64 << 10;
/// A proxy at which nothing answers: the port of a protocol that discards everything.
const NO_PROXY_THERE: &str = "http://127.0.0.1:9";
/// What a run is named by, if it is not found by its own name.
const HINT: &str =
    "install Helm 3.18 or newer, or name it with `--helm PATH`; the container image of Fleetwright has it";

/// The program.
#[derive(Clone, Debug)]
pub struct Helm {
    program: PathBuf,
    /// Its version, such as `v4.1.4`.
    pub version: String,
}

impl Helm {
    /// Finds the program: the one that is named, or else the one on the `PATH`. Its version is remembered in a folder.
    pub fn find(named: Option<&Path>, memory: &Path) -> Result<Self, HelmError> {
        let program = match named {
            Some(path) if is_program(path) => path.to_owned(),
            Some(path) => {
                let message = format!("`{}` is not a program", path.display());
                return Err(HelmError::new(message, HINT));
            }
            None => {
                on_path("helm").ok_or_else(|| HelmError::new("there is no `helm` on the `PATH`", HINT))?
            }
        };
        let program = program.canonicalize().unwrap_or(program);
        let note = identity(&program).map(|identity| memory.join("programs").join(identity));
        let known = note.as_ref().and_then(|note| fs::read_to_string(note).ok());
        let version = if let Some(version) = known.filter(|text| parsed(text).is_some()) {
            version
        } else {
            let version = version_of(&program)?;
            // It is asked again where it cannot be kept.
            let _ = note.map(|note| write_whole(&note, version.as_bytes()));
            version
        };
        if parsed(&version).is_none_or(|version| version < OLDEST) {
            let message = format!("`{}` is Helm {version}, which is too old", program.display());
            return Err(HelmError::new(message, HINT));
        }
        Ok(Self { program, version })
    }

    /// Returns the program's file.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Renders a chart, a package or a folder, as Argo CD's repository server does, in at most this time.
    pub fn template(
        &self,
        chart: &Path,
        call: &Call,
        api_versions: &[String],
        time: Duration,
    ) -> Result<String, Refusal> {
        let scratch = Scratch::new().map_err(|error| Refusal::not_started(&error))?;
        let mut command = scratch.command(&self.program);
        command.arg("template").arg(chart).args(["--name-template", &call.release]);
        if !call.namespace.is_empty() {
            command.args(["--namespace", &call.namespace]);
        }
        if let Some(version) = &call.kube_version {
            command.args(["--kube-version", version]);
        }
        for parameter in &call.parameters {
            let word = if parameter.is_text { "--set-string" } else { "--set" };
            command.args([word, &format!("{}={}", parameter.name, escaped(&parameter.value))]);
        }
        for (number, values) in call.values.iter().enumerate() {
            let path = scratch.folder.path().join(format!("values-{number}.yaml"));
            fs::write(&path, values).map_err(|error| Refusal::not_started(&error))?;
            command.arg("--values").arg(path);
        }
        for version in api_versions {
            command.args(["--api-versions", version]);
        }
        let flags = [
            (!call.skips_crds, "--include-crds"),
            (call.skips_schema, "--skip-schema-validation"),
            (call.skips_tests, "--skip-tests"),
        ];
        command.args(flags.into_iter().filter_map(|(is_given, flag)| is_given.then_some(flag)));
        let ended = run(command, time)?;
        if !ended.status.success() {
            return Err(Refusal::of_report(&scratch.cleaned(&ended.report, chart)));
        }
        String::from_utf8(ended.output).map_err(|_| Refusal::new("what it renders is not UTF-8"))
    }
}

/// The folders that Helm takes for its own during a run, and its values.
struct Scratch {
    folder: TempDir,
}

impl Scratch {
    fn new() -> io::Result<Self> {
        Ok(Self { folder: tempfile::Builder::new().prefix("fleetwright-helm-").tempdir()? })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.folder.path()).stdin(Stdio::null());
        for name in [
            "HOME",
            "HELM_CACHE_HOME",
            "HELM_CONFIG_HOME",
            "HELM_DATA_HOME",
            "HELM_PLUGINS",
            "HELM_REGISTRY_CONFIG",
            "HELM_REPOSITORY_CACHE",
            "HELM_REPOSITORY_CONFIG",
            "KUBECONFIG",
            "TMPDIR",
        ] {
            let below = if matches!(name, "HOME" | "TMPDIR") { "" } else { name };
            command.env(name, self.folder.path().join(below));
        }
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env(name, NO_PROXY_THERE);
        }
        // Go takes as many threads as there are cores, and we start as many runs.
        command.env("GOMAXPROCS", "2").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Returns a report without the places of files that are not there any more once it is read.
    fn cleaned(&self, report: &str, chart: &Path) -> String {
        let report = report.replace(&format!("{}/", self.folder.path().display()), "");
        report.replace(&chart.display().to_string(), "the chart")
    }
}

/// How a run ended.
struct Ended {
    status: ExitStatus,
    output: Vec<u8>,
    report: String,
}

/// Runs a program to its end, within its bounds.
fn run(mut command: Command, time: Duration) -> Result<Ended, Refusal> {
    let mut child = command.spawn().map_err(|error| Refusal::not_started(&error))?;
    confine(&child, time);
    let (Some(stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        unreachable!("both are piped");
    };
    let (sender, outputs) = sync_channel(1);
    let (reporter, reports) = sync_channel(1);
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.by_ref().take(MAX_REPORT_BYTES).read_to_end(&mut text);
        let _ = reporter.send(String::from_utf8_lossy(&text).into_owned());
        // The rest is read, too: a program whose report nobody takes is ended by the system.
        let _ = io::copy(&mut stderr, &mut io::sink());
    });
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut bytes);
        let _ = sender.send(read.map(|_| bytes));
    });
    let end = Instant::now() + time;
    let output = match outputs.recv_timeout(time) {
        Ok(Ok(bytes)) if bytes.len() as u64 <= MAX_OUTPUT_BYTES => bytes,
        outcome => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(match outcome {
                Ok(Ok(_)) => Refusal::new(format!("it renders to more than {} MiB", MAX_OUTPUT_BYTES >> 20)),
                Ok(Err(error)) => Refusal::not_started(&error),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Refusal::of_time(time),
            });
        }
    };
    // Its output is closed, but it may go on without one.
    let status = loop {
        match child.try_wait().map_err(|error| Refusal::not_started(&error))? {
            Some(status) => break status,
            None if Instant::now() >= end => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Refusal::of_time(time));
            }
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    let report = reports.recv().unwrap_or_default();
    if report.contains("out of memory") || report.contains("cannot allocate memory") {
        return Err(Refusal::new(format!("it needs more than {} MiB of memory", MAX_MEMORY_BYTES >> 20)));
    }
    Ok(Ended { status, output, report })
}

/// Sets the limits of the operating system for a run: its memory, its processor time, and that it writes no file.
#[cfg(target_os = "linux")]
fn confine(child: &Child, time: Duration) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let processor = time.as_secs().max(1).saturating_mul(4);
    for (resource, most) in
        [(Resource::Data, MAX_MEMORY_BYTES), (Resource::Cpu, processor), (Resource::Core, 0)]
    {
        // It fails only for a process that has ended already.
        let _ = prlimit(pid, resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

/// Elsewhere the deadline alone bounds it.
#[cfg(not(target_os = "linux"))]
fn confine(_: &Child, _: Duration) {}

fn version_of(program: &Path) -> Result<String, HelmError> {
    let no_helm =
        |reason: &str| HelmError::new(format!("`{}` is not Helm: {reason}", program.display()), HINT);
    let scratch = Scratch::new().map_err(|error| no_helm(&error.to_string()))?;
    let mut command = scratch.command(program);
    command.args(["version", "--template", "{{.Version}}"]);
    let ended = run(command, MAX_TIME).map_err(|refusal| no_helm(&refusal.message))?;
    let text = String::from_utf8_lossy(&ended.output).trim().to_owned();
    if ended.status.success() && parsed(&text).is_some() {
        Ok(text)
    } else {
        Err(no_helm("it names no version"))
    }
}

fn parsed(version: &str) -> Option<Version> {
    let version = Version::parse(version.strip_prefix('v')?).ok()?;
    Some(Version { pre: semver::Prerelease::EMPTY, build: semver::BuildMetadata::EMPTY, ..version })
}

/// Identifies a program by its place, its size and when it was written.
fn identity(program: &Path) -> Option<String> {
    let metadata = program.metadata().ok()?;
    let written = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let text = format!("{}\n{}\n{}", program.display(), metadata.len(), written.as_nanos());
    Some(hex(&Sha256::digest(text.as_bytes())))
}

/// Escapes the commas of a value, which Helm takes for the next one, as Argo CD does: not those of a list in braces, nor
/// those that are escaped already.
fn escaped(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len());
    let mut before = None;
    for c in value.chars() {
        if c == ',' && before != Some('\\') {
            text.push('\\');
        }
        text.push(c);
        before = Some(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use testkit::program::write_script;

    use super::*;

    /// A program that does what a script says.
    fn program(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("helm");
        write_script(&path, &format!("#!/bin/sh\n{script}\n"));
        path
    }

    fn found(script: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path(), script);
        let shown =
            |text: String| text.replace(&folder.path().canonicalize().unwrap().display().to_string(), "DIR");
        Helm::find(Some(&program), folder.path())
            .map(|helm| helm.version)
            .map_err(|error| shown(error.to_string()))
    }

    #[test]
    fn a_program_is_taken_by_its_version() {
        assert_eq!(found("echo v4.1.4").unwrap(), "v4.1.4");
        assert_eq!(found("echo v3.18.0-rc.1").unwrap(), "v3.18.0-rc.1");
        assert_eq!(found("echo v3.17.9").unwrap_err(), "`DIR/helm` is Helm v3.17.9, which is too old");
        assert_eq!(found("echo hello").unwrap_err(), "`DIR/helm` is not Helm: it names no version");
        assert_eq!(found("exit 1").unwrap_err(), "`DIR/helm` is not Helm: it names no version");
        let missing = Helm::find(Some(Path::new("/nowhere/helm")), Path::new("/nowhere")).unwrap_err();
        assert_eq!(missing.to_string(), "`/nowhere/helm` is not a program");
    }

    #[test]
    fn a_run_has_bounds_and_sees_nothing_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let ran = |script: &str, time: Duration| {
            let scratch = Scratch::new().unwrap();
            run(scratch.command(&program(folder.path(), script)), time)
        };
        let minute = Duration::from_mins(1);
        let ended = ran("env | cut -d = -f 1 | sort | grep -v ^_ | tr '\\n' ' '", minute).unwrap();
        let seen = String::from_utf8(ended.output).unwrap();
        assert!(!seen.contains("PATH ") || !seen.contains("CARGO"), "{seen}");
        assert!(!seen.contains("CARGO") && !seen.contains("USER"), "{seen}");
        let refusal = |script: &str, time| ran(script, time).map(|_| ()).unwrap_err().message;
        assert_eq!(refusal("exec sleep 60", Duration::from_millis(200)), "it takes longer than 200 ms");
        assert_eq!(
            refusal("exec >&-; exec sleep 60", Duration::from_millis(200)),
            "it takes longer than 200 ms"
        );
        assert_eq!(refusal("exec cat /dev/zero", minute), "it renders to more than 32 MiB");
        // It is more than pipes hold.
        let ended = ran("printf %0500000d 1 >&2; exit 3", minute).unwrap();
        assert_eq!((ended.report.len() as u64, ended.status.code()), (MAX_REPORT_BYTES, Some(3)));
    }

    #[test]
    fn a_comma_in_a_value_is_no_next_value() {
        assert_eq!(escaped("a,b"), "a\\,b");
        assert_eq!(escaped("a\\,b"), "a\\,b");
        assert_eq!(escaped("{a,b}"), "{a,b}");
    }
}
