//! YAML readers that are not ours, to judge what we write: the libraries under Helm, Argo CD and Python tools.
//!
//! A reader is there if the machine has what it is made of: Go with the modules in its cache, or Python with
//! `PyYAML`. Nothing is downloaded here; `go mod download` in `testkit/readers/go` and `pip install pyyaml`
//! bring them in beforehand.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

/// A YAML reader in a program of its own.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The name of the library, such as `sigs-yaml`.
    pub name: String,
    /// The version of the library.
    pub version: String,
    program: Program,
}

/// A program that holds several readers: it lists them without arguments, and runs the one that is named.
#[derive(Clone, Debug)]
struct Program {
    executable: PathBuf,
    script: Option<PathBuf>,
}

/// What a reader makes of a document: the value, or its complaint.
pub type Verdict = Result<Value, String>;

/// Returns the readers that this machine has. Programs are built at the first call.
#[must_use]
pub fn available() -> &'static [Reader] {
    static READERS: OnceLock<Vec<Reader>> = OnceLock::new();
    READERS.get_or_init(|| {
        let programs = [go_program(), Some(python_program())];
        programs.into_iter().flatten().flat_map(|program| list(&program).unwrap_or_default()).collect()
    })
}

impl Reader {
    /// Reads documents, all in one run of the program; the verdicts are in the order of the documents.
    pub fn read(&self, documents: &[&str]) -> Result<Vec<Verdict>> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            value: Value,
            error: Option<String>,
        }
        let output = self.program.run(&[&self.name], &serde_json::to_vec(documents)?)?;
        let answers: Vec<Answer> = serde_json::from_slice(&output)
            .with_context(|| format!("failed to understand the answer of `{}`", self.name))?;
        ensure!(answers.len() == documents.len(), "`{}` left documents unread", self.name);
        Ok(answers.into_iter().map(|answer| answer.error.map_or(Ok(answer.value), Err)).collect())
    }
}

fn list(program: &Program) -> Result<Vec<Reader>> {
    let output = String::from_utf8(program.run(&[], b"")?)?;
    let reader = |line: &str| {
        let (name, version) = line.split_once(' ').context("a reader has a name and a version")?;
        Ok(Reader { name: name.into(), version: version.into(), program: program.clone() })
    };
    output.lines().map(reader).collect()
}

impl Program {
    /// Runs the program to its end; it reads all of its input before it writes.
    fn run(&self, args: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        let mut child = Command::new(&self.executable)
            .args(&self.script)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start `{}`", self.executable.display()))?;
        child.stdin.take().context("the input is piped")?.write_all(input)?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("`{}` failed: {}", self.executable.display(), String::from_utf8_lossy(&output.stderr));
        }
        Ok(output.stdout)
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("readers")
}

fn python_program() -> Program {
    Program { executable: "python3".into(), script: Some(sources().join("readers.py")) }
}

/// Builds the Go program, or returns `None` where there is no Go or a module is not in its cache.
fn go_program() -> Option<Program> {
    let folder = profile_folder()?.join("readers");
    std::fs::create_dir_all(&folder).ok()?;
    // Tests run at the same time: each builds under a name of its own, and the finished file takes the common name.
    let unfinished = folder.join(format!("go-{}", std::process::id()));
    let status = Command::new("go")
        .args(["build", "-o"])
        .arg(&unfinished)
        .arg(".")
        .current_dir(sources().join("go"))
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=readonly -buildvcs=false")
        .stderr(Stdio::null())
        .status()
        .ok()?;
    let executable = folder.join("go");
    let is_there = status.success() && std::fs::rename(unfinished, &executable).is_ok();
    is_there.then_some(Program { executable, script: None })
}

/// Returns the folder of the cargo profile, such as `target/debug`: tests lie in its `deps`.
fn profile_folder() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.parent()?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_reader_says_what_it_reads_and_what_it_refuses() {
        let documents = ["a: [1, 1.5, true, null, x]\n", "a: [\n", "", "a: .nan\n"];
        for reader in available() {
            let verdicts = reader.read(&documents).unwrap();
            assert_eq!(verdicts[0], Ok(json!({"a": [1, 1.5, true, null, "x"]})), "{}", reader.name);
            assert!(verdicts[1].is_err(), "{}", reader.name);
            assert_eq!(verdicts[2], Ok(Value::Null), "{}", reader.name);
            assert!(verdicts[3].is_err(), "{}", reader.name);
        }
    }

    #[test]
    fn readers_of_the_old_version_see_booleans_where_text_was_meant() {
        for reader in available().iter().filter(|reader| reader.name != "go-yaml-v3") {
            assert_eq!(reader.read(&["no\n"]).unwrap(), [Ok(json!(false))], "{}", reader.name);
        }
    }
}
