//! Disks that are full, read-only or closed to us.
//!
//! A full and a read-only disk are mounted in a namespace of their own, so that nothing is left behind
//! whatever happens. Where a machine does not let a test do that, the test says so and passes.

use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;

use crate::fleet::LOCK;
use crate::repo::{Repo, bare, fleetwright};

/// Runs a script in a mount namespace, with the repository's folder as `$REPO` and the binary as `$FLEETWRIGHT`.
fn in_namespace(repo: &Repo, script: &str) -> Option<Output> {
    let run = |script: &str| {
        let mut command = Command::new("unshare");
        bare(command.args(["--user", "--map-root-user", "--mount", "sh", "-euc", script]));
        command.env("REPO", &repo.top).env("FLEETWRIGHT", fleetwright()).output()
    };
    let may_mount =
        run("mount -t tmpfs -o size=1m tmpfs \"$REPO\"").is_ok_and(|output| output.status.success());
    if !may_mount {
        eprintln!("left out: this machine does not let a test mount a file system");
        return None;
    }
    Some(run(script).unwrap())
}

#[test]
fn a_full_disk_leaves_every_file_as_it_was() {
    let repo = Repo::fleet();
    // Four files are to change, and the disk has room for some of them.
    repo.edit("templates/addons/web/values.yaml.hbs", "replicas:", "count:");
    let long = format!("  annotations: {{long: {}}}\n", "x".repeat(100_000));
    repo.edit(
        "templates/cluster/namespace.yaml.hbs",
        "  name: {{cluster.name}}\n",
        &format!("  name: {{{{cluster.name}}}}\n{long}"),
    );
    let script = "
        mkdir \"$REPO.disk\"
        mount -t tmpfs -o size=2m tmpfs \"$REPO.disk\"
        cp -r \"$REPO/.\" \"$REPO.disk/\"
        mount --bind \"$REPO.disk\" \"$REPO\"
        cd \"$REPO\"
        head -c 170k /dev/zero > room
        head -c 10m /dev/zero > filler 2> /dev/null || true
        rm room
        files() { find argocd-apps | sort; cat argocd-apps/*/*.yaml argocd-apps/*/*/*.yaml; }
        before=$(files)
        \"$FLEETWRIGHT\" render || echo \"=> $?\"
        [ \"$before\" = \"$(files)\" ] && echo 'nothing has changed'
        rm filler
        \"$FLEETWRIGHT\" render
    ";
    let Some(output) = in_namespace(&repo, script) else { return };
    assert_snapshot!(repo.told(output), @"
    => 1
    nothing has changed
    update  argocd-apps/eu-1/namespace.yaml
    update  argocd-apps/eu-1/web/values.yaml
    update  argocd-apps/hub/namespace.yaml
    update  argocd-apps/hub/web/values.yaml
    rendered 6 files: 4 updated
    ! error: failed to write `<repo>/argocd-apps/hub/namespace.yaml`: No space left on device (os error 28)
    !   hint: free some disk space and try again
    => 0
    ");
}

#[test]
fn a_read_only_repository_is_read_and_not_written() {
    let repo = Repo::fleet();
    repo.write("templates/charts.lock", LOCK);
    repo.edit("environments/prod/eu-1.yaml", "replicas: 3", "replicas: 4");
    repo.commit("Add a replica");
    let script = "
        mount --bind \"$REPO\" \"$REPO\"
        mount -o remount,bind,ro \"$REPO\"
        cd \"$REPO\"
        \"$FLEETWRIGHT\" check
        \"$FLEETWRIGHT\" render || echo \"=> $?\"
        \"$FLEETWRIGHT\" diff HEAD~1 | head -n 1
        \"$FLEETWRIGHT\" run --once > /dev/null || echo \"=> $?\"
    ";
    let Some(output) = in_namespace(&repo, script) else { return };
    assert_snapshot!(repo.told(output), @"
    no problems in 2 clusters, 6 rendered files
    => 1
    1 file changed on 1 cluster: eu-1
    => 5
    ! error: failed to write `<repo>/argocd-apps`: read-only filesystem or storage medium
    !   hint: the file system is read-only: work on a copy
    ! error: failed to write objects (repository `<repo>/`): the repository is read-only: read-only file system
    !   hint: give the user that runs this write access to the repository
    => 0
    ");
}

#[test]
fn a_folder_that_may_not_be_read_or_written_is_named() {
    let repo = Repo::fleet();
    repo.edit("environments/prod/eu-1.yaml", "replicas: 3", "replicas: 4");
    let Some(unreadable) = with_mode(&repo, "argocd-apps", 0o000) else { return };
    assert_snapshot!(unreadable, @"
    ! error: failed to read `<repo>/argocd-apps`: Permission denied (os error 13)
    !   hint: give this user the right to read it
    => 1
    ");
    assert_snapshot!(with_mode(&repo, "argocd-apps", 0o555).unwrap(), @"
    ! error: failed to write `<repo>/argocd-apps`: permission denied
    !   hint: give this user the right to write there
    => 1
    ");
    assert_snapshot!(with_mode(&repo, "environments/prod/eu-1.yaml", 0o000).unwrap(), @"
    ! error: failed to read `<repo>/environments/prod/eu-1.yaml`: Permission denied (os error 13)
    !   hint: give this user the right to read it
    => 1
    ");
    assert!(!repo.read("argocd-apps/eu-1/web/values.yaml").contains("replicas: 4"));
}

/// Runs `render` as a user whom a file's mode binds; root is not, unless it gives that power away first.
fn with_mode(repo: &Repo, path: &str, mode: u32) -> Option<String> {
    let path = repo.path(path);
    let before = path.metadata().unwrap().permissions();
    set_mode(&path, mode);
    let mut command = if std::fs::read_dir("/root").is_ok() {
        let powers = "-dac_override,-dac_read_search,-fowner";
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", powers, "--inh-caps", powers]).arg(fleetwright());
        command
    } else {
        Command::new(fleetwright())
    };
    let output = bare(command.arg("render").current_dir(&repo.top)).output();
    std::fs::set_permissions(&path, before).unwrap();
    match output {
        Ok(output) if output.status.success() || output.status.code() == Some(127) => {
            eprintln!("left out: here a test cannot do without root's power over files");
            None
        }
        Ok(output) => Some(repo.told(output).to_string()),
        Err(error) => {
            eprintln!("left out: {error}");
            None
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
