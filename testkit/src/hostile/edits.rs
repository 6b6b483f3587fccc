//! Edits below the folder that only Fleetwright writes, as a pull request may bring them: what Argo CD would
//! apply once they are merged.

use std::fmt::Write as _;

/// An edit, as commands of `git fast-import`.
#[derive(Clone, Debug)]
pub struct Edit {
    /// What it does.
    pub name: &'static str,
    /// The commands.
    pub commands: String,
}

/// Returns one edit of each kind of what is rendered below `output` for the clusters `control` and `app`.
#[must_use]
pub fn all(output: &str) -> Vec<Edit> {
    let script = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: x\n  namespace: default\n";
    let application = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: x\n";
    let pool = format!("{output}/app/metallb/manifests/address-pool.yaml");
    let root = format!("{output}/control/root.yaml");
    let table = [
        (
            "add an object beside rendered ones",
            file(&format!("{output}/app/metallb/manifests/job.yaml"), script),
        ),
        ("add an Application where no cluster is", file(&format!("{output}/stray/root.yaml"), application)),
        ("add a file beside the clusters' folders", file(&format!("{output}/root.yaml"), application)),
        ("let Argo CD override a source", file(&format!("{output}/app/metallb/.argocd-source.yaml"), "{}\n")),
        ("delete a rendered file", format!("D {root}\n")),
        ("delete all of a cluster", format!("D {output}/app\n")),
        ("empty a rendered file", file(&root, "")),
        ("replace a rendered file by what is no YAML", file(&root, "\t{[\u{0}\u{202e}`</details>`\n")),
        ("rename a rendered file", format!("R {pool} {output}/app/metallb/manifests/pool.yml\n")),
        (
            "move a folder of another cluster in place",
            format!("D {output}/app\nC {output}/control {output}/app\n"),
        ),
        ("make a rendered file executable", format!("D {root}\nM 755 inline {root}\ndata 2\nx\n")),
        ("replace a rendered file by a symbolic link", link(&root, "../../README.md")),
        (
            "replace a cluster's folder by a symbolic link",
            format!("D {output}/app\n{}", link(&format!("{output}/app"), "../elsewhere")),
        ),
        ("replace the whole folder by a symbolic link", format!("D {output}\n{}", link(output, "elsewhere"))),
        (
            "replace a cluster's folder by a submodule",
            format!("D {output}/app\n{}", submodule(&format!("{output}/app"))),
        ),
        ("name a file so that it breaks a line or a code span", names(output)),
        ("add very many files", many(output)),
    ];
    table.into_iter().map(|(name, commands)| Edit { name, commands }).collect()
}

fn file(path: &str, text: &str) -> String {
    format!("M 644 inline {path}\ndata {}\n{text}\n", text.len())
}

fn link(path: &str, target: &str) -> String {
    format!("M 120000 inline {path}\ndata {}\n{target}\n", target.len())
}

fn submodule(path: &str) -> String {
    format!("M 160000 0123456789abcdef0123456789abcdef01234567 {path}\n")
}

fn names(output: &str) -> String {
    let names = ["a`</details>`b", "@everyone #1", "line\\nbreak", "\\342\\200\\256txt.lmay", "\\377"];
    names.iter().fold(String::new(), |all, name| all + &file(&format!("\"{output}/{name}\""), "x\n"))
}

fn many(output: &str) -> String {
    (0..3_000).fold(String::new(), |mut all, number| {
        let _ = write!(all, "M 644 inline {output}/app/{}/{number}.yaml\ndata 2\nx\n", "long".repeat(30));
        all
    })
}
