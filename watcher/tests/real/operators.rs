//! The certificates and secrets of the platform on two real clusters, by the controllers of cert-manager and External Secrets, with
//! `OpenBao` in the place of Vault.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use renderer::path::ClusterName;
use serde_json::{Value, json};
use testkit::real::{
    CertManager, Client, Cluster, ExternalSecrets, OpenBao, Route, definitions, kubeconfig, wait_until,
};

use crate::case::case;
use crate::platform::{landing_on, rendered};
use crate::repo::{Repo, Told};
use crate::vault::{configure, lead_to};
use crate::world::text;

const PART: &str = "Cross-cluster";
const LONGEST: Duration = Duration::from_mins(2);
/// The address of Vault on the platform.
const VAULT: (&str, &str) = ("192.168.64.106", "192.168.64.106:8200");
/// The groups whose kinds are served and whose objects are applied, with those of these kinds.
const GROUPS: [&str; 2] = ["cert-manager.io", "external-secrets.io"];
const NEEDED: [&str; 10] = [
    "Namespace",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "CronJob",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ApplicationSet",
];
/// What External Secrets can be asked to read again.
const KINDS: [(&str, &str); 4] = [
    ("external-secrets.io/v1", "ClusterSecretStore"),
    ("external-secrets.io/v1", "ExternalSecret"),
    ("external-secrets.io/v1", "ClusterExternalSecret"),
    ("external-secrets.io/v1alpha1", "PushSecret"),
];
/// What `docs/platform/secrets.md` says that a person puts in.
const VALUES: [(&str, &[&str]); 10] = [
    ("control/grafana-admin", &["admin-user", "admin-password"]),
    ("control/alertmanager-slack", &["webhook-url"]),
    ("control/vault-s3", &["accessKey", "secretKey"]),
    ("control/velero-s3", &["accessKey", "secretKey"]),
    ("control/velero-repo-credentials", &["repository-password"]),
    ("control/etcd-backup", &["password", "accessKey", "secretKey"]),
    ("app/velero-s3", &["accessKey", "secretKey"]),
    ("app/velero-repo-credentials", &["repository-password"]),
    ("app/machine-mysql", &["user", "password"]),
    ("app/machine-redis", &["password"]),
];

/// A value that is put in late, and the `ExternalSecret` that reads it.
const MISSING: (&str, &str) = ("app/velero-s3", "velero/velero-s3");
/// The accounts that charts make, by namespace.
const ACCOUNTS: [(&str, &str); 2] =
    [("external-secrets", "external-secrets"), ("istio-system", "istio-reader-service-account")];

/// A cluster with both controllers, which end first.
struct Operated {
    _controllers: (CertManager, ExternalSecrets),
    cluster: Cluster,
}

impl Operated {
    /// Starts a cluster that serves the kinds and has the accounts that charts make.
    fn start(cluster: Cluster, route: &Route) -> Self {
        let definitions = definitions().unwrap();
        let is_wanted = |it: &&Value| {
            GROUPS.iter().any(|group| text(it, "/spec/group").ends_with(group))
                || text(it, "/spec/names/kind") == "ApplicationSet"
        };
        let wanted: Vec<_> = definitions.iter().filter(is_wanted).cloned().collect();
        cluster.client().define(&wanted).unwrap();
        for (namespace, account) in ACCOUNTS {
            let object =
                |kind: &str, metadata: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": metadata});
            cluster.client().apply(&object("Namespace", json!({"name": namespace})), "").unwrap();
            let account = object("ServiceAccount", json!({"name": account}));
            cluster.client().apply(&account, namespace).unwrap();
        }
        let controllers = (
            CertManager::start(cluster.server()).unwrap(),
            ExternalSecrets::start(cluster.server(), route).unwrap(),
        );
        Self { _controllers: controllers, cluster }
    }

    fn client(&self) -> &Client {
        self.cluster.client()
    }

    /// Does what Argo CD does with what is rendered for the cluster, as far as it is about certificates and secrets.
    fn sync(&self, repo: &Repo) {
        let rendered = rendered(&repo.top);
        let cluster = ClusterName::parse(self.cluster.server().name()).unwrap();
        for landing in landing_on(&rendered, &cluster) {
            let (version, kind) = (text(&landing.object, "/apiVersion"), text(&landing.object, "/kind"));
            let group = version.split('/').next().unwrap();
            if NEEDED.contains(&kind) || GROUPS.contains(&group) {
                let told = self.client().apply(&landing.object, &landing.namespace);
                told.unwrap_or_else(|refused| panic!("{}: {refused}", landing.origin));
            }
        }
    }

    /// Asks for everything to be read again, as a person does who does not wait until it is tried again.
    fn read_again(&self) {
        let asked = json!({"metadata": {"annotations": {"force-sync": format!("{:?}", SystemTime::now())}}});
        for (version, kind) in KINDS {
            for object in self.client().list(version, kind).unwrap() {
                self.client().merge(&object, "", &asked).unwrap();
            }
        }
    }

    /// Asks for everything to be read again until something is so.
    fn await_by_reading(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        wait_until(LONGEST, what, || {
            self.read_again();
            Ok(is_so())
        })
        .unwrap();
    }

    /// Returns whether the store of the cluster's secrets is ready, once that is known.
    fn is_store_ready(&self) -> Option<bool> {
        let store = self.get("/apis/external-secrets.io/v1/clustersecretstores/vault")?;
        let conditions = store["status"]["conditions"].as_array()?;
        conditions.iter().find(|it| it["type"] == "Ready").map(|it| it["status"] == "True")
    }

    fn get(&self, path: &str) -> Option<Value> {
        self.client().get(path).ok()
    }

    /// Returns the value of a Secret, once it is there.
    fn secret(&self, namespace: &str, name: &str) -> BTreeMap<String, String> {
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        self.await_by_reading(&format!("{path} was there"), || self.get(&path).is_some());
        let found = self.get(&path).unwrap();
        let decoded = |(key, value): (&String, &Value)| {
            (key.clone(), String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap())
        };
        found["data"].as_object().unwrap().iter().map(decoded).collect()
    }
}

struct Platform {
    // Dropped in this order.
    hub: Operated,
    spoke: Operated,
    _route: Route,
    vault: OpenBao,
    repo: Repo,
}

impl Platform {
    fn start() -> Self {
        let repo = Repo::shipped();
        let vault = OpenBao::start().unwrap();
        let route = Route::start(&[(VAULT.1, vault.certified())]).unwrap();
        let (hub, spoke) = (Cluster::start("control", 1).unwrap(), Cluster::start("app", 1).unwrap());
        vault.stand_in(hub.client(), "vault", VAULT.0).unwrap();
        repo.write("kubeconfig", kubeconfig(&[hub.server(), spoke.server()]).to_string());
        let (_, port) = spoke.client().url().rsplit_once(':').unwrap();
        repo.edit("environments/app.yaml", "192.168.64.30", &format!("127.0.0.1\n  port: {port}"));
        lead_to(&hub, &repo);
        let told = repo.run(&["render"]);
        assert_eq!(told.code, 0, "{told}");
        let (hub, spoke) = (Operated::start(hub, &route), Operated::start(spoke, &route));
        Self { hub, spoke, _route: route, vault, repo }
    }

    fn run(&self, arguments: &[&str], token: &str, input: &str) -> Told {
        let mut command = self.repo.command(arguments);
        command.env("KUBECONFIG", self.repo.path("kubeconfig")).env("VAULT_TOKEN", token);
        let mut run =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        run.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        self.repo.told(run.wait_with_output().unwrap())
    }

    /// Returns what `verify` finds about certificates and secrets on a cluster, by check.
    fn verified(&self, cluster: &str) -> BTreeMap<String, String> {
        let told =
            self.run(&["verify", "--cluster", cluster, "--context", "control", "--format", "json"], "", "");
        let checks = told.json()["checks"].as_array().unwrap().clone();
        let ours = checks
            .iter()
            .filter(|it| ["cert-manager", "external-secrets"].iter().any(|addon| it["addon"] == *addon));
        let line = |it: &Value| format!("{}: {}", text(it, "/verdict"), text(it, "/found"));
        ours.map(|it| (text(it, "/check").to_owned(), line(it))).collect()
    }

    /// Waits until `verify` has found something about a check.
    fn await_verified(&self, cluster: &str, check: &str, found: &str) {
        let mut last = String::new();
        let outcome = wait_until(LONGEST, "`verify` found it", || {
            self.hub.read_again();
            self.spoke.read_again();
            last.clone_from(&self.verified(cluster)[check]);
            Ok(last.contains(found))
        });
        outcome.unwrap_or_else(|_| panic!("{cluster} {check} is not `{found}` but `{last}`"));
    }

    /// Waits until everything about certificates and secrets on a cluster is as it has to be.
    fn await_all(&self, cluster: &str) {
        for check in ["issued", "remaining", "stores", "secrets"] {
            self.await_verified(cluster, check, "passed");
        }
    }

    /// Puts values into Vault that say where they are from, at the paths that are meant.
    fn put(&self, token: &str, is_meant: impl Fn(&str) -> bool) {
        for (path, keys) in VALUES.iter().filter(|(path, _)| is_meant(path)) {
            let data: BTreeMap<_, _> = keys.iter().map(|key| (*key, format!("{key} of {path}"))).collect();
            self.write(token, &format!("platform/data/{path}"), &json!({ "data": data }));
        }
    }

    fn write(&self, token: &str, path: &str, body: &Value) {
        let told = self.vault.ask("POST", path, token, body).unwrap();
        assert_eq!(told["errors"], Value::Null, "{path}: {told}");
    }

    fn succeed(&self, arguments: &[&str], token: &str, input: &str) -> Told {
        let told = self.run(arguments, token, input);
        assert_eq!(told.code, 0, "{arguments:?}: {told}");
        told
    }
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn both_clusters_get_their_certificates_and_secrets_from_the_controllers_themselves() {
    let platform = Platform::start();
    let (hub, spoke) = (&platform.hub, &platform.spoke);
    case(PART, "cert-manager issues every certificate of the hub, below one root", || {
        hub.sync(&platform.repo);
        platform.await_verified("control", "issued", "passed");
        platform.await_verified("control", "remaining", "passed");
        let root = hub.secret("cert-manager", "platform-root")["tls.crt"].clone();
        of_one_root(hub, &root, 5);
    });
    let token = case(
        PART,
        "External Secrets logs in to Vault once its commands and its job have run, by the rendered address, certificate and role",
        || {
            let token = unsealed(&platform);
            hub.await_by_reading("Vault refused the login", || hub.is_store_ready() == Some(false));
            platform.succeed(&["vault", "bootstrap"], &token, "");
            configure(&hub.cluster, &platform.repo, &platform.vault, &token);
            hub.await_by_reading("Vault took the login", || hub.is_store_ready() == Some(true));
            token
        },
    );
    case(
        PART,
        "the credential of a spoke comes to Argo CD by `fleetwright register-cluster`, Vault and External Secrets",
        || {
            platform.put(&token, |path| path.starts_with("control/"));
            platform.succeed(&["register-cluster", "app", "--timeout", "1m"], &token, "");
            let (made, account) =
                (hub.secret("argocd", "cluster-app"), spoke.secret("kube-system", "fleet-hub"));
            let config: Value = serde_json::from_str(&made["config"]).unwrap();
            assert_eq!(
                (text(&config, "/bearerToken"), &*made["server"]),
                (&*account["token"], spoke.client().url())
            );
            assert_eq!(text(&config, "/tlsClientConfig/caData"), STANDARD.encode(&account["ca.crt"]));
        },
    );
    case(
        PART,
        "External Secrets brings a spoke its CA, and cert-manager issues the spoke's certificates, below the same root",
        || {
            spoke.sync(&platform.repo);
            platform.await_verified("app", "issued", "passed");
            platform.await_verified("app", "remaining", "passed");
            of_one_root(spoke, &hub.secret("cert-manager", "platform-root")["tls.crt"], 2);
        },
    );
    case(
        PART,
        "the account in whose name Vault asks a spoke comes to Vault's job, and the spoke reads what is below its name",
        || {
            hub.secret("vault", "reviewer-app");
            configure(&hub.cluster, &platform.repo, &platform.vault, &token);
            platform.put(&token, |path| path.starts_with("app/") && path != MISSING.0);
            platform.await_verified("app", "stores", "passed");
            platform.await_verified(
                "app",
                "secrets",
                &format!("failed: 1 of 2 ExternalSecrets: {}: Ready is False: ", MISSING.1),
            );
            platform.put(&token, |path| path == MISSING.0);
            platform.await_all("app");
            platform.await_all("control");
            let read = spoke.secret("velero", "velero-s3")["cloud"].clone();
            assert!(read.contains("aws_secret_access_key=secretKey of app/velero-s3\n"), "{read}");
            let read = hub.secret("monitoring", "grafana-admin")["admin-password"].clone();
            assert_eq!(read, "admin-password of control/grafana-admin");
            let labelled = json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": "shop", "labels": {"machines/mysql": "enabled"}},
            });
            spoke.client().apply(&labelled, "").unwrap();
            assert_eq!(spoke.secret("shop", "mysql")["password"], "password of app/machine-mysql");
        },
    );
    name_what_is_wrong(&platform, &token);
}

/// Shows what is wrong on the spoke, and how it is named.
fn name_what_is_wrong(platform: &Platform, token: &str) {
    let spoke = &platform.spoke;
    case(
        PART,
        "a secret of another cluster and a login of another account are refused, and `fleetwright verify` names them",
        || {
            let other = json!({
                "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
                "metadata": {"name": "other", "namespace": "default"},
                "spec": {
                    "refreshInterval": "1h", "secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"},
                    "target": {"name": "other"}, "dataFrom": [{"extract": {"key": "control/grafana-admin"}}],
                },
            });
            spoke.client().apply(&other, "").unwrap();
            platform.await_verified("app", "secrets", "ExternalSecrets: default/other: Ready is False: ");
            assert_eq!(spoke.get("/api/v1/namespaces/default/secrets/other"), None);
            spoke.client().delete(&other).unwrap();
            let role = json!({
                "bound_service_account_names": "another", "bound_service_account_namespaces": "external-secrets",
                "audience": "vault", "token_policies": "cluster-app",
            });
            platform.write(token, "auth/kubernetes/app/role/external-secrets", &role);
            platform.await_verified(
                "app",
                "stores",
                "failed: 1 of 1 ClusterSecretStore: vault: Ready is False: ",
            );
            configure(&platform.hub.cluster, &platform.repo, &platform.vault, token);
            platform.await_all("app");
        },
    );
    case(
        PART,
        "a certificate near its end and one that is not issued are named by `fleetwright verify`",
        || {
            let certificate = |name: &str, issuer: &str| {
                json!({
                    "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
                    "metadata": {"name": name, "namespace": "default"},
                    "spec": {
                        "secretName": name, "dnsNames": ["shop.example"], "duration": "2h", "renewBefore": "1h",
                        "issuerRef": {"kind": "ClusterIssuer", "name": issuer},
                    },
                })
            };
            let short = certificate("short", "platform");
            spoke.client().apply(&short, "").unwrap();
            platform.await_verified("app", "remaining", "default/short: ");
            platform.await_verified("app", "issued", "passed");
            let waiting = certificate("waiting", "other");
            spoke.client().apply(&waiting, "").unwrap();
            platform.await_verified("app", "issued", "default/waiting: Ready is False: ");
            spoke.client().delete(&short).unwrap();
            spoke.client().delete(&waiting).unwrap();
            platform.await_all("app");
        },
    );
}

/// Holds that there are more than so many certificates, and that whoever trusts the root trusts each.
fn of_one_root(cluster: &Operated, root: &str, least: usize) {
    let certificates = cluster.client().list("cert-manager.io/v1", "Certificate").unwrap();
    assert!(certificates.len() > least, "{}", certificates.len());
    for certificate in certificates {
        let [namespace, secret] =
            ["/metadata/namespace", "/spec/secretName"].map(|key| text(&certificate, key));
        assert_eq!(cluster.secret(namespace, secret)["ca.crt"], root, "{secret}");
    }
}

/// Initializes and unseals Vault with the certificate that it is rendered, and returns the first token.
fn unsealed(platform: &Platform) -> String {
    let certificate = platform.hub.get("/api/v1/namespaces/vault/secrets/vault-tls").unwrap();
    platform.vault.certify(&certificate).unwrap();
    let file = platform.repo.path("../keys").to_str().unwrap().to_owned();
    platform.succeed(&["vault", "init", "--keys-file", &file], "", "");
    let keys = std::fs::read_to_string(file).unwrap();
    platform.succeed(&["vault", "unseal"], "", &keys);
    keys.lines().last().unwrap().to_owned()
}
