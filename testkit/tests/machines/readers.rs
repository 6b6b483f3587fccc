//! What machines read, as those read it who are not ours: cloud-init's own schema, and a resolver.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

const SCHEMA: &str = "usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json";
const DNSMASQ: &str = "usr/sbin/dnsmasq";
/// How long a resolver may take to start and to answer.
const PATIENCE: Duration = Duration::from_secs(30);
const A: u16 = 1;
const PTR: u16 = 12;

/// Returns a file that `testkit/machines/fetch` brings, or says that it is not there.
fn fetched(path: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/machines").join(path);
    if file.is_file() {
        return Some(file);
    }
    eprintln!("left out: there is no {path}; run testkit/machines/fetch");
    None
}

fn infra() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra")
}

/// Returns the rendered folders of machines.
fn folders() -> Vec<PathBuf> {
    let clusters = fs::read_dir(infra().join("clusters")).unwrap().map(|entry| entry.unwrap().path());
    clusters.chain([infra().join("fleet")]).collect()
}

/// Returns the machines that Terraform makes from a folder.
fn machines(folder: &Path) -> Vec<Value> {
    let inputs = fs::read_to_string(folder.join("terraform.tfvars.json")).unwrap();
    let inputs: Value = serde_json::from_str(&inputs).unwrap();
    inputs["machines"].as_array().unwrap().clone()
}

/// Returns what cloud-init says against a file: in its first line, as YAML, and by its schema.
fn faults(schema: &jsonschema::Validator, text: &str) -> Vec<String> {
    if text.lines().next() != Some("#cloud-config") {
        return vec!["the first line is not `#cloud-config`".to_owned()];
    }
    match serde_yaml::from_str::<Value>(text) {
        Ok(config) => {
            let faults = schema.iter_errors(&config);
            faults.map(|fault| format!("{}: {fault}", fault.instance_path())).collect()
        }
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn cloud_init_takes_what_every_machine_is_set_up_with() {
    let Some(schema) = fetched(SCHEMA) else { return };
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let mut seen = 0;
    for folder in folders() {
        for machine in machines(&folder) {
            let file = folder.join(machine["cloud_init"].as_str().unwrap());
            let found = faults(&schema, &fs::read_to_string(&file).unwrap());
            assert_eq!(found, Vec::<String>::new(), "{}", file.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} machines");
    for (faulty, part) in [
        ("#cloud-config\nruncmd: echo\n", "/runcmd"),
        ("#cloud-config\nwrite_files:\n  - content: x\n", "/write_files/0"),
        ("#cloud-config\nntp: {enabled: maybe}\n", "/ntp/enabled"),
        ("hostname: a\n", "first line"),
        ("#cloud-config\na: [\n", "line"),
    ] {
        let found = faults(&schema, faulty);
        assert!(found.iter().any(|fault| fault.contains(part)), "{faulty}: {found:?}");
    }
}

#[test]
fn a_resolver_answers_for_every_name_and_every_address_of_the_fleet() {
    let Some(program) = fetched(DNSMASQ) else { return };
    let hosts = infra().join("fleet/hosts");
    let dns = Dnsmasq::start(&program, &hosts);
    let mut lines = BTreeMap::new();
    for line in fs::read_to_string(&hosts).unwrap().lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace().map(str::to_owned);
        let address = words.next().unwrap();
        let names: Vec<_> = words.collect();
        for name in &names {
            assert_eq!(dns.ask(name, A), [address.as_str()], "{name}");
        }
        assert_eq!(dns.ask(&reverse(&address), PTR), [names[0].to_lowercase()], "{address}");
        assert!(lines.insert(address, names).is_none(), "two lines: {line}");
    }
    for machine in folders().iter().flat_map(|folder| machines(folder)) {
        let (name, address) = (machine["name"].as_str().unwrap(), machine["address"].as_str().unwrap());
        assert_eq!(dns.ask(name, A), [address]);
        assert!(dns.ask(&reverse(address), PTR)[0].starts_with(&format!("{name}.")), "{name}");
    }
    assert_eq!(dns.ask("nothing.platform.internal", A), Vec::<String>::new());
}

/// Returns the name under which the name of an address is asked for.
fn reverse(address: &str) -> String {
    let parts: Vec<_> = address.split('.').rev().collect();
    format!("{}.in-addr.arpa", parts.join("."))
}

/// A resolver that knows a hosts file and nothing else.
struct Dnsmasq {
    process: Child,
    socket: UdpSocket,
}

impl Dnsmasq {
    fn start(program: &Path, hosts: &Path) -> Self {
        let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let user = Command::new("id").arg("-un").output().unwrap();
        let process = Command::new(program)
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--pid-file",
                "--no-resolv",
                "--no-hosts",
            ])
            .args(["--listen-address=127.0.0.1", "--bind-interfaces", &format!("--port={port}")])
            .arg(format!("--user={}", String::from_utf8(user.stdout).unwrap().trim()))
            .arg(format!("--addn-hosts={}", hosts.canonicalize().unwrap().display()))
            .env("LD_LIBRARY_PATH", libraries())
            .spawn()
            .unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        Self { process, socket }
    }

    /// Returns the answers of a kind to a name, in letters.
    fn ask(&self, name: &str, kind: u16) -> Vec<String> {
        let mut question = vec![0x42, 0x42, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            question.push(label.len().try_into().unwrap());
            question.extend(label.bytes());
        }
        question.push(0);
        question.extend([kind.to_be_bytes(), 1_u16.to_be_bytes()].concat());
        let begun = Instant::now();
        let mut buffer = [0; 1500];
        let size = loop {
            assert!(begun.elapsed() < PATIENCE, "nothing answers for {name}");
            // Until it listens, its port refuses.
            if self.socket.send(&question).is_ok()
                && let Ok(size) = self.socket.recv(&mut buffer)
            {
                break size;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        answers(&buffer[..size], question.len())
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the folders of the libraries that came with it.
fn libraries() -> OsString {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/machines");
    let folders = ["usr/lib", "lib"].into_iter().filter_map(|folder| fs::read_dir(top.join(folder)).ok());
    std::env::join_paths(folders.flatten().map(|entry| entry.unwrap().path())).unwrap()
}

/// Reads the answers of a message, which begin behind its question.
fn answers(message: &[u8], mut at: usize) -> Vec<String> {
    let number = |at: usize| usize::from(u16::from_be_bytes([message[at], message[at + 1]]));
    let mut found = Vec::new();
    for _ in 0..number(6) {
        (_, at) = name(message, at);
        let (kind, size, data) = (number(at), number(at + 8), at + 10);
        found.push(match message[data..data + size] {
            [a, b, c, d] if kind == usize::from(A) => Ipv4Addr::new(a, b, c, d).to_string(),
            _ => name(message, data).0,
        });
        at = data + size;
    }
    found
}

/// Reads a name, which may end in a pointer to another one, and returns where it ends.
fn name(message: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    loop {
        match usize::from(message[at]) {
            0 => return (labels.join("."), at + 1),
            pointer if pointer >= 0xc0 => {
                labels.push(name(message, ((pointer & 0x3f) << 8) | usize::from(message[at + 1])).0);
                return (labels.join("."), at + 2);
            }
            length => {
                labels.push(String::from_utf8_lossy(&message[at + 1..=at + length]).into_owned());
                at += 1 + length;
            }
        }
    }
}
