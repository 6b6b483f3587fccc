//! A real browser for tests: Chromium without a window, driven by its debugging protocol.
//!
//! The protocol goes over a pair of pipes, a JSON text after the other with a zero byte between them. So it needs no
//! port, no WebSocket and no crate. Chromium is not part of this repository: `testkit/page/fetch` brings it in.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long an answer may take: a cold disk and a busy machine take their time.
const PATIENCE: Duration = Duration::from_mins(2);

/// What reads the pages: below the user's cache, as `testkit/page/fetch` has left it.
#[must_use]
pub fn chromium() -> Option<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cache")))?;
    let folder = base.join("fleetwright/page/chromium");
    folder.join("usr/lib/chromium/chromium").exists().then_some(folder)
}

/// The script that judges accessibility.
#[must_use]
pub fn axe() -> Option<String> {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/page/node_modules/axe-core/axe.min.js")).ok()
}

/// A running browser with one page; ended when it is dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    calls: u64,
    /// Everything that the browser has reported by itself.
    pub events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts the browser with an empty page.
    pub fn start(folder: &Path) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        let mut child = Command::new("sh")
            // The protocol is on the file descriptors 3 and 4.
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
            .arg(folder.join("usr/lib/chromium/chromium"))
            // There is no sandbox for the superuser, which tests in containers often are.
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
            ])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
            .args(["--remote-debugging-pipe", &format!("--user-data-dir={}", profile.path().display())])
            .env("LD_LIBRARY_PATH", folder.join("lib"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start Chromium")?;
        let input = child.stdin.take().context("it has an input")?;
        let output = BufReader::new(child.stdout.take().context("it has an output")?);
        let (sender, messages) = channel();
        thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { break };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let (session, events) = (None, Vec::new());
        let mut browser = Self { child, input, messages, session, calls: 0, events, _profile: profile };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", &attach)?;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Runtime", "Log", "Audits"] {
            browser.call(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(browser)
    }

    /// Calls a method of the protocol, and waits for its answer.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.calls += 1;
        let id = self.calls;
        let mut call = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{call}\0").as_bytes())?;
        let answer = self.wait(method, |message| message["id"] == id)?;
        if let Some(error) = answer.get("error") {
            bail!("`{method}` failed: {error}");
        }
        Ok(answer["result"].clone())
    }

    /// Opens a page, waits until it is loaded, and returns how long that took.
    pub fn open(&mut self, address: &str) -> Result<Duration> {
        let begun = Instant::now();
        let opened = self.call("Page.navigate", &json!({ "url": address }))?;
        if let Some(error) = opened["errorText"].as_str() {
            bail!("`{address}` cannot be opened: {error}");
        }
        let is_loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        if !self.events.iter().any(is_loaded) {
            self.wait(address, is_loaded)?;
        }
        Ok(begun.elapsed())
    }

    /// Returns what a script comes to; a promise is waited for.
    pub fn evaluate(&mut self, script: &str) -> Result<Value> {
        let parameters = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", &parameters)?;
        if let Some(error) = answer.get("exceptionDetails") {
            bail!("`{}` failed: {error}", script.chars().take(100).collect::<String>());
        }
        Ok(answer["result"]["value"].take())
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let text = if key.chars().count() == 1 { key } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            self.call("Input.dispatchKeyEvent", &json!({ "type": kind, "key": key, "text": text }))?;
        }
        Ok(())
    }

    /// Writes a picture of the page, of the part that is seen at first or of the whole.
    pub fn picture(&mut self, path: &Path, is_whole: bool) -> Result<()> {
        let parameters = json!({ "format": "png", "captureBeyondViewport": is_whole });
        let picture = self.call("Page.captureScreenshot", &parameters)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(path, STANDARD.decode(picture["data"].as_str().context("there is a picture")?)?)?)
    }

    /// Takes what the browser has reported of one kind since it was asked last.
    pub fn take_events(&mut self, method: &str) -> Vec<Value> {
        let (taken, kept) = self.events.drain(..).partition(|event| event["method"] == method);
        self.events = kept;
        taken
    }

    fn wait(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
        loop {
            match self.messages.recv_timeout(PATIENCE) {
                Ok(message) if is_it(&message) => return Ok(message),
                Ok(message) => self.events.push(message),
                Err(RecvTimeoutError::Timeout) => bail!("no answer from Chromium to `{what}`"),
                Err(RecvTimeoutError::Disconnected) => bail!("Chromium has ended at `{what}`"),
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
