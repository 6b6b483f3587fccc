//! `kubeadm` and `kubectl` on a machine: clusters that nodes join and leave, with an etcd that needs its quorum.
//!
//! Where a test has a real API server for an endpoint, `kubectl` asks that one, and nodes are objects on it.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::host::{Cluster, Host, Node};

const ADMIN: &str = "/etc/kubernetes/admin.conf";
const KUBELET: &str = "/etc/kubernetes/kubelet.conf";
/// What `kubeadm` prints as the hash of the certificate that all nodes trust.
const CA_HASH: &str = "sha256:7c2e69131a36ae2a042a339b33381c6d0d43887e2de83720eff5359e26aec866";

/// The version that a machine has whose cloud-init names none.
const DEFAULT_VERSION: &str = "1.36.3";

/// Returns the version of Kubernetes that a machine is set up with.
pub(super) fn installed_by(cloud_init: &str) -> &str {
    let version = cloud_init.split_once("KUBERNETES_VERSION=").map(|(_, rest)| rest);
    version.and_then(|rest| rest.split_whitespace().next()).unwrap_or(DEFAULT_VERSION)
}

/// Returns a version as numbers that can be compared: the minor one, and the patch.
fn parts(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').skip(1).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Brings a node to a version, as the script does that is put on it.
pub(super) fn upgrade(host: &mut Host, call: &Call, name: &str, version: &str, step: &str) -> Answer {
    let found = host.clusters.iter().find(|(_, cluster)| cluster.nodes.contains_key(name));
    let Some((endpoint, cluster)) = found.map(|(endpoint, cluster)| (endpoint.clone(), cluster)) else {
        return refused("error: this machine is no node");
    };
    if !host.has_quorum(cluster) {
        return refused("couldn't create a Kubernetes client: connection refused");
    }
    if !cluster.nodes[name].is_cordoned {
        return refused("the pods of this node were not moved away");
    }
    let (old, new) = (parts(&cluster.version), parts(version));
    let is_control_plane = cluster.etcd.contains(name);
    match step {
        "apply" if !is_control_plane => {
            return refused("couldn't read admin.conf: no such file or directory");
        }
        "apply" if new.0 > old.0 + 1 || new < old => {
            return refused(&format!("Specified version to upgrade to \"v{version}\" is not one step away"));
        }
        "apply" => {}
        // A kubelet must not be newer than the API server.
        "node" if new <= old => {}
        _ => return refused(&format!("the control plane is at v{}", cluster.version)),
    }
    if let Some(instance) = host.instances.get_mut(name) {
        version.clone_into(&mut instance.kubernetes);
    }
    let Some(cluster) = host.clusters.get_mut(&endpoint) else { return refused("it is gone") };
    if step == "apply" {
        version.clone_into(&mut cluster.version);
    }
    if call.is_cut_short {
        return refused("E: dpkg was interrupted");
    }
    if let Some(node) = cluster.nodes.get_mut(name) {
        version.clone_into(&mut node.version);
    }
    Answer::done("upgraded\n")
}

pub(super) fn answer(host: &mut Host, call: &Call, name: &str, command: &[&str]) -> Result<Answer> {
    match *command {
        ["kubeadm", "reset", "--force"] => Ok(reset(host, name)),
        ["kubeadm", "init", "--config", path] => init(host, call, name, path),
        ["kubeadm", "join", "--config", path] => join(host, call, name, path),
        ["kubeadm", "token", "create", "--ttl", _, "--print-join-command"] => Ok(create_token(host, name)),
        ["kubeadm", "init", "phase", "upload-certs", "--upload-certs"] => Ok(upload_certificates(host, name)),
        ["kubectl", "--kubeconfig", ADMIN, ref arguments @ ..] => kubectl(host, call, name, arguments),
        _ => bail!("a machine does not know `{}`", command.join(" ")),
    }
}

fn refused(reason: &str) -> Answer {
    Answer::failed(1, reason)
}

/// Returns the endpoint of the cluster that an instance administers.
fn administered(host: &Host, name: &str) -> Result<String, Answer> {
    let admin = host.instances.get(name).and_then(|instance| instance.files.get(ADMIN));
    let endpoint = admin.and_then(|_| host.clusters.iter().find(|(_, cluster)| cluster.etcd.contains(name)));
    let (endpoint, cluster) =
        endpoint.ok_or_else(|| refused(&format!("error: stat {ADMIN}: no such file or directory")))?;
    if !host.has_quorum(cluster) {
        return Err(refused(&format!(
            "The connection to the server {endpoint} was refused - did you specify the right host or port?"
        )));
    }
    Ok(endpoint.clone())
}

fn reset(host: &mut Host, name: &str) -> Answer {
    let Some(instance) = host.instances.get_mut(name) else { return refused("it is gone") };
    instance.files.retain(|path, _| !path.starts_with("/etc/kubernetes/"));
    let names: Vec<_> = host.clusters.keys().cloned().collect();
    for endpoint in names {
        let is_last = host.clusters[&endpoint].etcd.iter().eq([name]);
        if is_last {
            host.clusters.remove(&endpoint);
        } else if let Some(cluster) = host.clusters.get_mut(&endpoint) {
            cluster.etcd.remove(name);
        }
    }
    Answer::done("[reset] Stopping the kubelet service\n")
}

fn documents(host: &Host, name: &str, path: &str) -> Result<Vec<Value>> {
    let text = host.instances.get(name).and_then(|instance| instance.files.get(path));
    Ok(serde_yaml::from_multiple(text.with_context(|| format!("`{path}` is not there"))?)?)
}

fn of_kind<'d>(documents: &'d [Value], kind: &str) -> Option<&'d Value> {
    documents.iter().find(|document| document["kind"] == kind)
}

fn is_taken(host: &Host, name: &str) -> Option<Answer> {
    let files = &host.instances.get(name)?.files;
    files.contains_key(KUBELET).then(|| {
        refused(&format!("error execution phase preflight: [preflight] Some fatal errors occurred:\n\t[ERROR FileAvailable--etc-kubernetes-kubelet.conf]: {KUBELET} already exists"))
    })
}

fn init(host: &mut Host, call: &Call, name: &str, path: &str) -> Result<Answer> {
    let documents = documents(host, name, path)?;
    let Some(endpoint) =
        of_kind(&documents, "ClusterConfiguration").and_then(|found| found["controlPlaneEndpoint"].as_str())
    else {
        return Ok(refused(
            "invalid configuration: kind and apiVersion is mandatory information that must be specified",
        ));
    };
    if let Some(taken) = is_taken(host, name) {
        return Ok(taken);
    }
    let real = call.folder.join("servers").join(endpoint);
    let admin = fs::read_to_string(real).unwrap_or_else(|_| made_up(endpoint).to_string());
    let Some(instance) = host.instances.get_mut(name) else { bail!("`{name}` was there") };
    instance.files.insert(KUBELET.to_owned(), String::new());
    instance.files.insert(ADMIN.to_owned(), admin);
    if call.is_cut_short {
        return Ok(refused(
            "error execution phase wait-control-plane: failed while waiting for the control plane to start",
        ));
    }
    let mut cluster = Cluster { version: instance.kubernetes.clone(), ..Cluster::default() };
    cluster.etcd.insert(name.to_owned());
    host.clusters.insert(endpoint.to_owned(), cluster);
    register(host, call, endpoint, name)?;
    // As the real one does, which is why its output is no log.
    let token = host.clusters.get_mut(endpoint).map(issue_token).unwrap_or_default();
    Ok(Answer::done(format!(
        "Your Kubernetes control-plane has initialized successfully!\n\nkubeadm join {endpoint} --token {token} \\\n\t--discovery-token-ca-cert-hash {CA_HASH}\n"
    )))
}

fn join(host: &mut Host, call: &Call, name: &str, path: &str) -> Result<Answer> {
    let documents = documents(host, name, path)?;
    let Some(configuration) = of_kind(&documents, "JoinConfiguration") else {
        return Ok(refused("no JoinConfiguration found in config file"));
    };
    let discovery = &configuration["discovery"]["bootstrapToken"];
    let endpoint = discovery["apiServerEndpoint"].as_str().unwrap_or_default();
    let is_control_plane = configuration.get("controlPlane").is_some();
    if let Some(taken) = is_taken(host, name) {
        return Ok(taken);
    }
    let cannot_reach = || {
        refused(
            "error execution phase preflight: couldn't validate the identity of the API Server: client rate limiter Wait returned an error: context deadline exceeded",
        )
    };
    let Some(cluster) = host.clusters.get(endpoint).filter(|cluster| host.has_quorum(cluster)) else {
        return Ok(cannot_reach());
    };
    let installed = host.instances.get(name).map(|instance| instance.kubernetes.as_str()).unwrap_or_default();
    if parts(installed) > parts(&cluster.version) {
        return Ok(refused(&format!(
            "this version of kubeadm only supports deploying clusters with the control plane version >= {installed}. Current version: v{}",
            cluster.version
        )));
    }
    let token = discovery["token"].as_str().unwrap_or_default();
    if !cluster.tokens.contains(token) || discovery["caCertHashes"] != json!([CA_HASH]) {
        return Ok(cannot_reach());
    }
    if is_control_plane
        && configuration["controlPlane"]["certificateKey"].as_str() != cluster.certificate_key.as_deref()
    {
        return Ok(refused(
            "error execution phase control-plane-prepare/download-certs: error downloading certs: error decoding certificate key",
        ));
    }
    if is_control_plane
        && !configuration["controlPlane"]["localAPIEndpoint"]["advertiseAddress"]
            .as_str()
            .is_some_and(is_address)
    {
        return Ok(refused("controlPlane.localAPIEndpoint.advertiseAddress: Invalid value"));
    }
    if cluster.nodes.contains_key(name) {
        return Ok(refused(&format!(
            "error execution phase kubelet-start: a Node with name \"{name}\" and status \"Ready\" already exists in the cluster. You must delete the existing Node or change the name of this new joining Node"
        )));
    }
    let Some(instance) = host.instances.get_mut(name) else { bail!("`{name}` was there") };
    instance.files.insert(KUBELET.to_owned(), String::new());
    if call.is_cut_short {
        return Ok(refused("error execution phase kubelet-start: timed out waiting for the condition"));
    }
    if is_control_plane {
        let admin = host.clusters[endpoint]
            .etcd
            .iter()
            .find_map(|other| host.instances.get(other)?.files.get(ADMIN))
            .cloned();
        let Some(instance) = host.instances.get_mut(name) else { bail!("`{name}` was there") };
        instance.files.insert(ADMIN.to_owned(), admin.context("a control plane administers the cluster")?);
        host.clusters.entry(endpoint.to_owned()).or_default().etcd.insert(name.to_owned());
    }
    register(host, call, endpoint, name)?;
    Ok(Answer::done("This node has joined the cluster\n"))
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

fn issue_token(cluster: &mut Cluster) -> String {
    let token = format!("ab{:04}.{:016}", cluster.tokens.len(), 7_919 * (cluster.tokens.len() + 1));
    cluster.tokens.insert(token.clone());
    token
}

fn create_token(host: &mut Host, name: &str) -> Answer {
    let endpoint = match administered(host, name) {
        Ok(endpoint) => endpoint,
        Err(answer) => return answer,
    };
    let token = host.clusters.get_mut(&endpoint).map(issue_token).unwrap_or_default();
    Answer::done(format!(
        "kubeadm join {endpoint} --token {token} --discovery-token-ca-cert-hash {CA_HASH} \n"
    ))
}

fn upload_certificates(host: &mut Host, name: &str) -> Answer {
    let endpoint = match administered(host, name) {
        Ok(endpoint) => endpoint,
        Err(answer) => return answer,
    };
    let key = format!("{:064x}", host.calls.len());
    if let Some(cluster) = host.clusters.get_mut(&endpoint) {
        cluster.certificate_key = Some(key.clone());
    }
    Answer::done(format!(
        "[upload-certs] Storing the certificates in Secret \"kubeadm-certs\" in the \"kube-system\" Namespace\n[upload-certs] Using certificate key:\n{key}\n"
    ))
}

/// Makes a node known to its cluster.
fn register(host: &mut Host, call: &Call, endpoint: &str, name: &str) -> Result<()> {
    let version = host.instances.get(name).map(|instance| instance.kubernetes.clone()).unwrap_or_default();
    let node = Node { version, ..Node::default() };
    host.clusters.entry(endpoint.to_owned()).or_default().nodes.insert(name.to_owned(), node);
    let Some(server) = server(call, endpoint) else { return Ok(()) };
    let room = json!({"cpu": "64", "memory": "256Gi", "pods": "500"});
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/os": "linux", "kubernetes.io/hostname": name},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "status": {"allocatable": room.clone(), "capacity": room},
    });
    let applied = run_kubectl(&server, &["apply", "--server-side", "--filename", "-"], &node.to_string())?;
    if applied.code != 0 {
        bail!("the node is not taken: {}", applied.stderr);
    }
    Ok(())
}

/// Returns the kubeconfig of the real API server at an endpoint.
fn server(call: &Call, endpoint: &str) -> Option<PathBuf> {
    let path = call.folder.join("servers").join(endpoint);
    path.is_file().then_some(path)
}

fn made_up(endpoint: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kubernetes", "cluster": {"server": format!("https://{endpoint}")}}],
        "users": [{"name": "kubernetes-admin", "user": {"client-key-data": "bm8ga2V5"}}],
        "contexts": [{"name": "kubernetes-admin@kubernetes", "context": {"cluster": "kubernetes", "user": "kubernetes-admin"}}],
        "current-context": "kubernetes-admin@kubernetes",
    })
}

fn kubectl(host: &mut Host, call: &Call, name: &str, arguments: &[&str]) -> Result<Answer> {
    let endpoint = match administered(host, name) {
        Ok(endpoint) => endpoint,
        Err(answer) => return Ok(answer),
    };
    if let ["--namespace", "kube-system", "exec", pod, "--", "etcdctl", options @ ..] = arguments {
        let wanted = format!("etcd-{name}");
        if *pod != wanted {
            bail!("`{pod}` is on another node than `{name}`");
        }
        return etcdctl(host, &endpoint, options);
    }
    let Some(cluster) = host.clusters.get_mut(&endpoint) else { bail!("`{endpoint}` was there") };
    let made_up = in_made_up_cluster(cluster, arguments)?;
    match server(call, &endpoint) {
        Some(server) => run_kubectl(&server, arguments, ""),
        None => Ok(made_up),
    }
}

fn in_made_up_cluster(cluster: &mut Cluster, arguments: &[&str]) -> Result<Answer> {
    let unknown = |name: &str| refused(&format!("Error from server (NotFound): nodes \"{name}\" not found"));
    Ok(match *arguments {
        ["get", "node", name, "--ignore-not-found", "--output", "name"] => {
            Answer::done(cluster.nodes.get(name).map(|_| format!("node/{name}\n")).unwrap_or_default())
        }
        ["drain", name, ..] | ["uncordon", name] => match cluster.nodes.get_mut(name) {
            Some(node) => {
                node.is_cordoned = arguments[0] == "drain";
                Answer::done(format!("node/{name} {}ed\n", arguments[0]))
            }
            None => unknown(name),
        },
        ["wait", node, "--for=condition=Ready", "--timeout", _] => match node.strip_prefix("node/") {
            Some(name) if cluster.nodes.contains_key(name) => Answer::done(format!("{node} condition met\n")),
            _ => unknown(node),
        },
        ["delete", "node", name, "--ignore-not-found"] => match cluster.nodes.remove(name) {
            Some(_) => Answer::done(format!("node \"{name}\" deleted\n")),
            None => Answer::default(),
        },
        _ => bail!("`kubectl` does not know `{}`", arguments.join(" ")),
    })
}

fn etcdctl(host: &mut Host, endpoint: &str, options: &[&str]) -> Result<Answer> {
    let Some(cluster) = host.clusters.get_mut(endpoint) else { bail!("`{endpoint}` was there") };
    let id = |name: &str| {
        format!(
            "{:016x}",
            name.bytes().fold(17_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
        )
    };
    let member = |name: &String| {
        format!("{}, started, {name}, https://192.0.2.1:2380, https://192.0.2.1:2379, false\n", id(name))
    };
    Ok(match options {
        [.., "member", "list"] => Answer::done(cluster.etcd.iter().map(member).collect::<String>()),
        [.., "member", "remove", removed] => {
            match cluster.etcd.iter().find(|name| id(name) == *removed).cloned() {
                Some(name) => {
                    cluster.etcd.remove(&name);
                    Answer::done(format!("Member {removed} removed from cluster\n"))
                }
                None => refused("Error: etcdserver: member not found"),
            }
        }
        _ => bail!("`etcdctl` does not know `{}`", options.join(" ")),
    })
}

fn run_kubectl(kubeconfig: &PathBuf, arguments: &[&str], input: &str) -> Result<Answer> {
    let mut command = Command::new("kubectl");
    command.arg("--kubeconfig").arg(kubeconfig).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("its input is a pipe")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    Ok(Answer {
        code: output.status.code().and_then(|code| code.try_into().ok()).unwrap_or(1),
        stdout,
        stderr,
    })
}
