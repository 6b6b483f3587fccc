//! Vault is initialized, and its replicas are unsealed, with keys as they are given.

use http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::step::Step;
use super::vault::Vault;
use super::waiting::Waiting;
use crate::cluster::ClusterError;
use crate::error::CommandError;
use crate::secrets;
use crate::vault::{Keys, SealStatus, Standing, Tries, reasons};

const OTHER_KEYS: &str = "take the keys that this Vault gave when it was initialized";

/// How many keys a replica has been given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The replica.
    pub pod: &'a str,
    /// How many it has.
    pub given: usize,
    /// How many it needs.
    pub needed: usize,
}

/// Unseals the replicas of a Vault.
pub struct Unsealing<'a> {
    vault: &'a Vault<'a>,
    waiting: Waiting<'a>,
    /// The keys so far.
    keys: Vec<SecretString>,
    tries: Tries,
    /// The keys that have unsealed a replica.
    right: Option<Vec<usize>>,
}

/// What became of all replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// What was done.
    pub steps: Vec<Step>,
    /// The numbers of the keys that are known to be wrong.
    pub wrong: Vec<usize>,
}

/// What became of a key.
enum Given {
    Accepted(SealStatus),
    /// It was the last one that is needed, and together they are not right.
    Failed,
    /// It is no key.
    Malformed,
}

/// Initializes Vault, and returns its keys: it gives them this once. What has keys already is refused.
pub async fn initialize(vault: &Vault<'_>, shares: u8, threshold: u8) -> Result<Keys, ClusterError> {
    let pod = vault.pods().next().unwrap_or_default();
    let body = json!({ "secret_shares": shares, "secret_threshold": threshold });
    let (code, answer) = vault.ask(pod, (Method::PUT, "v1/sys/init"), None, Some(body)).await?;
    let keys = Keys::of_answer(&answer).filter(|_| code < 300);
    let keys = keys.ok_or_else(|| vault.refused("write", "v1/sys/init", code, &answer))?;
    keys.keys.iter().chain([&keys.token]).for_each(secrets::remember);
    Ok(keys)
}

impl<'a> Unsealing<'a> {
    /// Begins without keys.
    #[must_use]
    pub fn new(vault: &'a Vault<'a>, waiting: Waiting<'a>) -> Self {
        Self { vault, waiting, keys: Vec::new(), tries: Tries::default(), right: None }
    }

    /// Unseals what is not unsealed. `key` returns the next key, whose number it is given; `show` is given each key that
    /// is accepted, and `done` each replica that is unsealed.
    pub async fn run(
        mut self,
        mut key: impl AsyncFnMut(usize) -> Result<Option<SecretString>, CommandError>,
        mut show: impl FnMut(&Progress<'_>),
        mut done: impl FnMut(&Step),
    ) -> Result<Unsealed, CommandError> {
        let (mut steps, mut short) = (Vec::new(), Vec::new());
        for pod in self.in_order().await? {
            if !short.is_empty() && self.vault.standing(&pod).await? == Standing::Uninitialized {
                short.push(format!("`{pod}` has not joined the others"));
                continue;
            }
            let is_sealed = self.joined(&pod).await? == Standing::Sealed;
            if is_sealed && let Some(status) = self.unseal(&pod, &mut key, &mut show).await? {
                short.push(format!("`{pod}` has {} of {} keys", status.progress, status.threshold));
                continue;
            }
            let step = Step { what: format!("pod `{pod}` is unsealed"), changed: is_sealed };
            done(&step);
            steps.push(step);
        }
        if !short.is_empty() {
            let message = format!("Vault is still sealed: {}", short.join(", "));
            let hint = "run it again with other keys; a replica remembers those that it has until it is started again";
            return Err(ClusterError::missing(&message, self.vault.cluster(), hint).into());
        }
        // Those that were just unsealed elect one.
        let active = async || self.vault.active().await.map(Some);
        let hint = "look at the logs of its pods with `kubectl logs`";
        self.waiting.until(("active replica of Vault", self.vault.cluster(), hint), active).await?;
        let right = self.right.as_deref().unwrap_or_default();
        let wrong = self.tries.wrong(right).into_iter().map(|key| key + 1).collect();
        Ok(Unsealed { steps, wrong })
    }

    /// Returns the replicas: those that have keys first, since the others join one of them.
    async fn in_order(&self) -> Result<Vec<String>, CommandError> {
        let (mut first, mut others) = (Vec::new(), Vec::new());
        for pod in self.vault.pods() {
            let look = async || self.vault.standing(pod).await.map(Some);
            let what = format!("answer of pod `{pod}`");
            match self.waiting.until((&what, self.vault.cluster(), ""), look).await? {
                Standing::Uninitialized => others.push(pod.to_owned()),
                _ => first.push(pod.to_owned()),
            }
        }
        if first.is_empty() {
            let hint = "initialize it with `fleetwright vault init`";
            return Err(ClusterError::missing("Vault is not initialized", self.vault.cluster(), hint).into());
        }
        first.append(&mut others);
        Ok(first)
    }

    /// Waits until a replica has joined the others, and returns where it stands.
    async fn joined(&self, pod: &str) -> Result<Standing, CommandError> {
        let look = async || {
            let standing = self.vault.standing(pod).await?;
            Ok(Some(standing).filter(|standing| *standing != Standing::Uninitialized))
        };
        let hint = "an active replica must be unsealed for it, and it must find that";
        let what = format!("sign that pod `{pod}` has joined the others");
        self.waiting.until((&what, self.vault.cluster(), hint), look).await
    }

    /// Unseals a replica, or returns how far it is when there are no more keys.
    async fn unseal(
        &mut self,
        pod: &str,
        key: &mut impl AsyncFnMut(usize) -> Result<Option<SecretString>, CommandError>,
        show: &mut impl FnMut(&Progress<'_>),
    ) -> Result<Option<SealStatus>, CommandError> {
        let mut status = self.status(pod).await?;
        // What another run has given counts, too.
        let mut has_others = status.progress > 0;
        let mut given: Vec<usize> = Vec::new();
        loop {
            self.waiting.cancel.check()?;
            let next = self.right.clone().or_else(|| self.tries.next(self.keys.len(), status.threshold));
            let Some(number) = next.as_ref().and_then(|next| next.get(given.len()).copied()) else {
                if let Some(key) = key(self.keys.len() + 1).await? {
                    if self.keys.iter().any(|it| it.expose_secret() == key.expose_secret()) {
                        self.tries.repeat(self.keys.len());
                    }
                    self.keys.push(key);
                    continue;
                }
                if next.is_none() || !self.tries.malformed().is_empty() {
                    return Err(self.no_keys(pod, status.threshold).into());
                }
                return Ok(Some(status));
            };
            match self.give(pod, number, &status).await? {
                Given::Malformed => self.tries.refuse(number),
                Given::Failed if has_others => (has_others, given, status.progress) = (false, Vec::new(), 0),
                Given::Failed if self.right.is_some() => {
                    return Err(self.no_keys(pod, status.threshold).into());
                }
                Given::Failed => {
                    given.push(number);
                    self.tries.fail(&given);
                    given.clear();
                    status.progress = 0;
                }
                Given::Accepted(now) => {
                    given.push(number);
                    let is_last =
                        !now.sealed || (now.progress == 0 && status.progress + 1 >= status.threshold);
                    let given_now = if is_last { now.threshold } else { now.progress };
                    show(&Progress { pod, given: given_now, needed: now.threshold });
                    status = now;
                    if is_last {
                        if !has_others {
                            self.right = Some(given);
                        }
                        self.opened(pod).await?;
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Waits until a replica has worked with its keys: one that joins needs a moment.
    async fn opened(&self, pod: &str) -> Result<(), CommandError> {
        let look = async || {
            let standing = self.vault.standing(pod).await?;
            Ok(matches!(standing, Standing::Active | Standing::Standby).then_some(()))
        };
        let what = format!("sign that pod `{pod}` is unsealed");
        let hint = "look at its log with `kubectl logs`";
        self.waiting.until((&what, self.vault.cluster(), hint), look).await
    }

    async fn status(&self, pod: &str) -> Result<SealStatus, ClusterError> {
        let (code, answer) = self.vault.ask(pod, (Method::GET, "v1/sys/seal-status"), None, None).await?;
        self.read_status(pod, code, answer)
    }

    fn read_status(&self, pod: &str, code: u16, answer: Value) -> Result<SealStatus, ClusterError> {
        let reason = reasons(&answer);
        serde_json::from_value(answer).map_err(|_| {
            let message = format!("pod `{pod}` does not tell how far it is unsealed: {reason} ({code})");
            ClusterError::missing(&message, self.vault.cluster(), "look at its log with `kubectl logs`")
        })
    }

    async fn give(&self, pod: &str, key: usize, before: &SealStatus) -> Result<Given, ClusterError> {
        let body = json!({ "key": self.keys[key].expose_secret() });
        let (code, answer) = self.vault.ask(pod, (Method::PUT, "v1/sys/unseal"), None, Some(body)).await?;
        if code == 200 {
            return Ok(Given::Accepted(self.read_status(pod, code, answer)?));
        }
        if code != 400 {
            return Err(self.vault.refused("write", "v1/sys/unseal", code, &answer));
        }
        // Keys that are not right together are all forgotten; a text that is no key changes nothing.
        let is_last = before.progress + 1 >= before.threshold;
        let is_forgotten = before.threshold == 1 || self.status(pod).await?.progress < before.progress;
        Ok(if is_last && is_forgotten { Given::Failed } else { Given::Malformed })
    }

    fn no_keys(&self, pod: &str, needed: usize) -> ClusterError {
        let malformed: Vec<_> = self.tries.malformed().iter().map(|key| (key + 1).to_string()).collect();
        let mut message = match self.keys.len() {
            few if few < needed => format!("pod `{pod}` is still sealed"),
            many => format!("no {needed} of the {many} keys that were given unseal pod `{pod}`"),
        };
        if !malformed.is_empty() {
            message = format!("{message}; no key at all is number {}", malformed.join(", "));
        }
        ClusterError::missing(&message, self.vault.cluster(), OTHER_KEYS)
    }
}
