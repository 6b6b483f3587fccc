//! The commands that scripts run on a machine.

use anyhow::{Result, bail};

use super::call::{Answer, Call, read_input};
use super::host::Host;
use super::kubernetes;

/// What reads a password from its input and gives it to the database.
const SET_PASSWORD: &str = "/usr/local/sbin/set-password";
/// What brings a node to a version of Kubernetes.
const UPGRADE: &str = "/usr/local/sbin/upgrade-kubernetes";

/// What writes its input to a file of root's: `install` would open `/dev/stdin`, which is a socket on a machine.
const WRITE: &str = r#"umask 077 && mkdir -p "${1%/*}" && cat >"$1""#;

pub(super) fn answer(host: &mut Host, call: &Call, name: &str, command: &[&str]) -> Result<Answer> {
    if let ["kubeadm" | "kubectl", ..] = command {
        return kubernetes::answer(host, call, name, command);
    }
    if let ["bash", UPGRADE, version, step] = *command {
        let script = host.instances.get(name).and_then(|instance| instance.files.get(UPGRADE));
        return Ok(match script {
            // One that is cut short does not come to its last line.
            Some(script) if script.ends_with("main \"$@\"\n") => {
                kubernetes::upgrade(host, call, name, version, step)
            }
            _ => Answer::failed(127, format!("bash: {UPGRADE}: No such file or directory")),
        });
    }
    let Some(instance) = host.instances.get_mut(name) else { bail!("`{name}` was there") };
    Ok(match *command {
        ["cloud-init", "status", "--wait"] if instance.is_initialized => Answer::done("status: done\n"),
        ["cloud-init", "status", "--wait"] => Answer { code: 1, ..Answer::done("status: error\n") },
        ["cloud-init", "single", "--name", "write_files", "--frequency", "always"] => Answer::default(),
        ["test", "-e", path] => {
            Answer { code: (!instance.files.contains_key(path)).into(), ..Answer::default() }
        }
        ["cat", path] => match instance.files.get(path) {
            Some(content) => Answer::done(content),
            None => Answer::failed(1, format!("cat: {path}: No such file or directory")),
        },
        ["sh", "-c", WRITE, "sh", path] => {
            let content = read_input()?;
            // A file that is cut short is there.
            let content =
                if call.is_cut_short { content.chars().take(content.len() / 2).collect() } else { content };
            instance.files.insert(path.to_owned(), content);
            Answer::default()
        }
        ["rm", "-f", path] => {
            instance.files.remove(path);
            Answer::default()
        }
        ["bash", SET_PASSWORD] if instance.files.contains_key(SET_PASSWORD) => {
            instance.password = Some(read_input()?.trim_end().to_owned());
            Answer::default()
        }
        ["bash", SET_PASSWORD] => {
            Answer::failed(127, format!("bash: {SET_PASSWORD}: No such file or directory"))
        }
        _ => bail!("a machine does not know `{}`", command.join(" ")),
    })
}
