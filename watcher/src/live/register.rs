//! A spoke becomes known to its hub: an account on the spoke, its credential in Vault, and what waits for it is asked to look.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::step::Step;
use super::vault::Vault;
use super::waiting::Waiting;
use crate::cluster::{Client, ClusterError, ClusterErrorKind};
use crate::error::CommandError;
use crate::secrets;
use crate::vault::{Registration, decoded};

/// The account of the hub on its spokes.
const ACCOUNT: &str = "fleet-hub";
const NAMESPACE: &str = "kube-system";
const READ_AGAIN: &str = "force-sync";
const LOOK_AGAIN: (&str, &str) = ("argocd.argoproj.io/application-set-refresh", "true");

/// What Kubernetes makes for the account.
struct Credential {
    token: SecretString,
    authority: SecretString,
}

/// What is needed to register a spoke.
pub struct Register<'a> {
    /// The hub.
    pub hub: &'a Client,
    /// The spoke.
    pub spoke: &'a Client,
    /// What is rendered for it.
    pub registration: &'a Registration,
    /// The token for Vault.
    pub token: &'a SecretString,
    /// Whether nothing is changed.
    pub is_dry: bool,
    /// How long it waits.
    pub waiting: Waiting<'a>,
}

impl Register<'_> {
    /// Does what is not done yet, step by step. `moment` is different for each run: it asks External Secrets to read again.
    pub async fn run(&self, moment: &str, mut show: impl FnMut(&Step)) -> Result<Vec<Step>, CommandError> {
        let mut steps = Vec::new();
        let mut done = |what: String, changed: bool| {
            let step = Step { what, changed };
            show(&step);
            steps.push(step);
        };
        for (address, object) in account() {
            let is_missing = self.spoke.at(&address).await?.is_none();
            if is_missing && !self.is_dry {
                self.spoke.apply_at(&address, &object).await?;
            }
            done(
                format!("{} `{ACCOUNT}` on the spoke", object["kind"].as_str().unwrap_or_default()),
                is_missing,
            );
        }
        let Registration { store, path, secret, .. } = self.registration;
        let credential =
            if self.is_dry { self.credential().await? } else { Some(self.made_credential().await?) };
        let (is_kept, is_known) = match &credential {
            None => (false, false),
            Some(credential) => (!self.keep(credential).await?, self.know(&credential.token, moment).await?),
        };
        done(format!("credential at `{}/{path}` in Vault", store.engine), !is_kept);
        done(format!("Secret `{secret}` of Argo CD on the hub"), !is_known);
        Ok(steps)
    }

    /// Returns the credential of the account, once Kubernetes has made it.
    async fn credential(&self) -> Result<Option<Credential>, ClusterError> {
        let found = self.spoke.at(&at("api/v1", "secrets")).await?.unwrap_or_default();
        let value = |key: &str| found["data"][key].as_str().and_then(decoded).map(SecretString::from);
        let (Some(token), Some(authority)) = (value("token"), value("ca.crt")) else { return Ok(None) };
        secrets::remember(&token);
        Ok(Some(Credential { token, authority }))
    }

    async fn made_credential(&self) -> Result<Credential, CommandError> {
        let what = format!("a token in Secret `{NAMESPACE}/{ACCOUNT}` on the spoke");
        let hint = "check that the controller manager of the spoke runs";
        self.waiting.until((&what, self.spoke.place(), hint), async || self.credential().await).await
    }

    /// Puts the credential into Vault, and returns whether it was not there.
    async fn keep(&self, credential: &Credential) -> Result<bool, ClusterError> {
        let Registration { store, path, .. } = self.registration;
        let values = [("token", &credential.token), ("ca.crt", &credential.authority)];
        let address = format!("v1/{}/data/{path}", store.engine);
        Vault::find(self.hub, store).await?.keep(&address, self.token, &values, self.is_dry).await
    }

    /// Waits until Argo CD's Secret has the token, and returns whether it had it already.
    async fn know(&self, token: &SecretString, moment: &str) -> Result<bool, CommandError> {
        let Registration { secret, readers, sets, .. } = self.registration;
        let address = format!("/api/v1/namespaces/{}/secrets/{}", secret.namespace, secret.name);
        let known = async || {
            let found = self.hub.at(&address).await?;
            Ok(found.filter(|found| Registration::is_made_of(found, token)).map(drop))
        };
        let is_known = known().await?.is_some();
        if self.is_dry {
            return Ok(is_known);
        }
        if !is_known {
            for reader in readers {
                let hint = "Argo CD makes it of what is rendered for the spoke: `fleetwright status` shows how far it is";
                let ask = async || match self.hub.annotate_at(reader, (READ_AGAIN, moment)).await {
                    Err(error) if error.kind == ClusterErrorKind::NotFound => Ok(None),
                    asked => asked.map(Some),
                };
                self.waiting.until((&format!("`{reader}` on the hub"), self.hub.place(), hint), ask).await?;
            }
            let hint = "its ExternalSecret says why: `kubectl describe externalsecret`";
            self.waiting
                .until(
                    (&format!("Secret `{secret}` with this credential on the hub"), self.hub.place(), hint),
                    known,
                )
                .await?;
        }
        for set in sets {
            self.hub.annotate_at(set, LOOK_AGAIN).await?;
        }
        Ok(is_known)
    }
}

/// Returns what makes the account of the hub on a spoke, which may do there what Argo CD does: everything.
fn account() -> [(String, Value); 3] {
    let rbac = "rbac.authorization.k8s.io";
    let named = json!({ "name": ACCOUNT, "namespace": NAMESPACE });
    let binding = json!({
        "apiVersion": format!("{rbac}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": { "name": ACCOUNT },
        "roleRef": { "apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE }],
    });
    let mut holder = named.clone();
    holder["annotations"] = json!({ "kubernetes.io/service-account.name": ACCOUNT });
    let token = "kubernetes.io/service-account-token";
    [
        (
            at("api/v1", "serviceaccounts"),
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": named }),
        ),
        (format!("/apis/{rbac}/v1/clusterrolebindings/{ACCOUNT}"), binding),
        (
            at("api/v1", "secrets"),
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": holder, "type": token }),
        ),
    ]
}

fn at(api: &str, plural: &str) -> String {
    format!("/{api}/namespaces/{NAMESPACE}/{plural}/{ACCOUNT}")
}
