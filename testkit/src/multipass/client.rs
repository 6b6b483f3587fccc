//! The command line of Multipass, with its exit codes: 1 for one that it does not understand, 2 for what it refuses.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Result, bail};
use serde_json::json;

use super::call::{Answer, Call, read_input};
use super::host::{Host, Instance, in_bytes, readable};
use super::{kubernetes, machine};

const DEFAULT_SIZE: [(&str, &str); 3] = [("--cpus", "1"), ("--memory", "1G"), ("--disk", "5G")];
const SMALLEST_MEMORY: u64 = 512 << 20;
const SMALLEST_DISK: u64 = 1 << 30;

pub(super) fn answer(host: &mut Host, call: &Call) -> Result<Answer> {
    let words = call.words();
    Ok(match words[..] {
        ["version"] => Answer::done("multipass   1.16.1+mac\nmultipassd  1.16.1+mac\n"),
        ["list", "--format", "csv"] => Answer::done(as_csv(host)),
        ["list", "--format", "json"] => Answer::done(as_json(host)),
        ["info", "--format", "json", name] | ["info", name, "--format", "json"] => info(host, name),
        ["launch", ..] => launch(host, call)?,
        ["start", name] => change_state(host, "start", name, "Running"),
        ["stop", name] | ["stop", "--force", name] => change_state(host, "stop", name, "Stopped"),
        ["delete", name] => change_state(host, "delete", name, "Deleted"),
        ["delete", "--purge" | "-p", name] => match host.instances.remove(name) {
            Some(_) => Answer::default(),
            None => missing("delete", name),
        },
        ["purge"] => {
            host.instances.retain(|_, instance| instance.state != "Deleted");
            Answer::default()
        }
        ["get", key] => get(host, key),
        ["set", pair] => set(host, pair),
        ["transfer", source, destination] => transfer(host, source, destination)?,
        ["exec", name, "--", ..] => exec(host, call, name)?,
        ["exec", ..] => Answer::failed(1, "Wrong number of arguments"),
        _ => bail!("it does not know `{}`", words.join(" ")),
    })
}

fn missing(command: &str, name: &str) -> Answer {
    Answer::failed(2, format!("{command} failed: instance \"{name}\" does not exist"))
}

fn as_csv(host: &Host) -> String {
    let mut list = "Name,State,IPv4,Release,AllIPv4,Zone,Zone available\n".to_owned();
    for (name, instance) in &host.instances {
        let address = address(instance);
        let release = if address.is_empty() { "Not Available" } else { "Ubuntu 24.04 LTS" };
        let _ = writeln!(list, "{name},{},{address},{release},\"{address}\",zone1,true", instance.state);
    }
    list
}

fn as_json(host: &Host) -> String {
    let entry = |(name, instance): (&String, &Instance)| json!({"name": name, "state": instance.state, "ipv4": [address(instance)]});
    json!({"list": host.instances.iter().map(entry).collect::<Vec<_>>()}).to_string()
}

fn address(instance: &Instance) -> &str {
    if instance.state == "Running" { "192.168.64.2" } else { "" }
}

fn info(host: &Host, name: &str) -> Answer {
    let Some(instance) = host.instances.get(name) else { return missing("info", name) };
    let details = json!({
        "state": instance.state,
        "image_release": instance.image,
        "cpu_count": instance.cpus.to_string(),
        "memory": {"total": instance.memory_bytes},
        "disks": {"sda1": {"total": instance.disk_bytes.to_string()}},
        "ipv4": [address(instance)],
    });
    Answer::done(json!({"errors": [], "info": {name: details}}).to_string())
}

fn launch(host: &mut Host, call: &Call) -> Result<Answer> {
    let words = call.words();
    let of = |option: &str| {
        words.iter().position(|word| *word == option).and_then(|at| words.get(at + 1).copied())
    };
    let sizes = DEFAULT_SIZE.map(|(option, default)| of(option).unwrap_or(default));
    let (Some(name), image) = (of("--name"), words.get(1).filter(|word| !word.starts_with('-'))) else {
        bail!("it makes up no names");
    };
    let (Ok(cpus @ 1..), Some(memory_bytes), Some(disk_bytes)) =
        (sizes[0].parse::<u32>(), in_bytes(sizes[1]), in_bytes(sizes[2]))
    else {
        return Ok(Answer::failed(
            1,
            format!("error: {} is not a valid memory size", sizes[1..].join(" or ")),
        ));
    };
    if memory_bytes < SMALLEST_MEMORY || disk_bytes < SMALLEST_DISK {
        return Ok(Answer::failed(2, "launch failed: Invalid arguments supplied"));
    }
    if !is_valid_name(name) {
        return Ok(Answer::failed(
            2,
            format!("launch failed: Invalid arguments supplied\nInvalid instance name supplied: {name}"),
        ));
    }
    let cloud_init = match of("--cloud-init") {
        None => String::new(),
        Some("-") => read_input()?,
        Some(path) => match fs::read_to_string(path) {
            Ok(text) => text,
            Err(_) => {
                return Ok(Answer::failed(
                    1,
                    format!("Could not load cloud-init configuration: bad file: {path}"),
                ));
            }
        },
    };
    if let Err(error) = serde_yaml::from_str::<serde_json::Value>(&cloud_init) {
        return Ok(Answer::failed(1, format!("Could not load cloud-init configuration: {error}")));
    }
    if host.instances.contains_key(name) {
        return Ok(Answer::failed(2, format!("launch failed: instance \"{name}\" already exists")));
    }
    let instance = Instance {
        kubernetes: kubernetes::installed_by(&cloud_init).to_owned(),
        state: "Running".to_owned(),
        image: (*image.unwrap_or(&"24.04")).to_owned(),
        cpus,
        memory_bytes,
        disk_bytes,
        cloud_init,
        is_initialized: !call.is_cut_short,
        files: [].into(),
        password: None,
    };
    host.instances.insert(name.to_owned(), instance);
    Ok(if call.is_cut_short {
        Answer::failed(
            2,
            "launch failed: The following errors occurred:\ntimed out waiting for initialization to complete",
        )
    } else {
        Answer::done(format!("Launched: {name}\n"))
    })
}

fn is_valid_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.ends_with(|last: char| last.is_ascii_alphanumeric())
        && name.chars().all(|at| at.is_ascii_alphanumeric() || at == '-')
}

fn change_state(host: &mut Host, command: &str, name: &str, to: &str) -> Answer {
    let Some(instance) = host.instances.get_mut(name) else { return missing(command, name) };
    if instance.state == "Deleted" {
        return Answer::failed(2, format!("{command} failed: instance \"{name}\" is deleted"));
    }
    to.clone_into(&mut instance.state);
    Answer::default()
}

fn get(host: &Host, key: &str) -> Answer {
    let parts: Vec<_> = key.split('.').collect();
    let ["local", name, setting] = parts[..] else {
        return Answer::failed(1, format!("Unrecognized settings key: '{key}'"));
    };
    let Some(instance) = host.instances.get(name) else {
        return Answer::failed(
            2,
            format!("Cannot obtain instance settings; instance: {name}; reason: No such instance"),
        );
    };
    Answer::done(match setting {
        "cpus" => format!("{}\n", instance.cpus),
        "memory" => format!("{}\n", readable(instance.memory_bytes)),
        "disk" => format!("{}\n", readable(instance.disk_bytes)),
        _ => return Answer::failed(1, format!("Unrecognized settings key: '{key}'")),
    })
}

fn set(host: &mut Host, pair: &str) -> Answer {
    let invalid = |reason: &str| Answer::failed(1, format!("Invalid setting '{pair}': {reason}"));
    let Some((key, value)) = pair.split_once('=') else {
        return Answer::failed(1, "Need exactly one key-value pair (in <key>=<value> form).");
    };
    let parts: Vec<_> = key.split('.').collect();
    let ["local", name, setting] = parts[..] else {
        return Answer::failed(1, format!("Unrecognized settings key: '{key}'"));
    };
    let refused = |reason: &str| {
        Answer::failed(2, format!("Cannot update instance settings; instance: {name}; reason: {reason}"))
    };
    let Some(instance) = host.instances.get_mut(name) else { return refused("No such instance") };
    if instance.state != "Stopped" {
        return refused("Instance must be stopped for modification");
    }
    match (setting, value.parse(), in_bytes(value)) {
        ("cpus", Ok(cpus @ 1..), _) => instance.cpus = cpus,
        ("memory", _, Some(bytes @ SMALLEST_MEMORY..)) => instance.memory_bytes = bytes,
        ("disk", _, Some(bytes)) if bytes < instance.disk_bytes => {
            return invalid("Disk can only be expanded");
        }
        ("disk", _, Some(bytes)) => instance.disk_bytes = bytes,
        _ => return invalid("Need a positive size."),
    }
    Answer::default()
}

fn transfer(host: &mut Host, source: &str, destination: &str) -> Result<Answer> {
    let Some((name, path)) = destination.split_once(':') else { bail!("it transfers to instances only") };
    let content = if source == "-" { read_input()? } else { fs::read_to_string(source)? };
    let Some(instance) = host.instances.get_mut(name) else { return Ok(missing("transfer", name)) };
    instance.files.insert(path.to_owned(), content);
    Ok(Answer::default())
}

/// Runs a command on an instance, and starts it for that if it is stopped.
fn exec(host: &mut Host, call: &Call, name: &str) -> Result<Answer> {
    let Some(instance) = host.instances.get_mut(name) else { return Ok(missing("exec", name)) };
    match instance.state.as_str() {
        "Running" => {}
        "Stopped" | "Suspended" => "Running".clone_into(&mut instance.state),
        "Deleted" => return Ok(Answer::failed(2, format!("exec failed: instance \"{name}\" is deleted"))),
        _ => return Ok(Answer::failed(255, "exec failed: ssh connection failed: 'Timeout connecting'")),
    }
    let words = call.words();
    let command = words[3..].strip_prefix(&["sudo"]).unwrap_or(&words[3..]);
    machine::answer(host, call, name, command)
}
