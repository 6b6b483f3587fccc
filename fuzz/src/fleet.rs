//! Whole repositories: a snapshot is rendered or refused, the same on every call, and a plan that was applied
//! is empty.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use renderer::path::RepoPath;
use renderer::plan::{Facts, FileChange, Published, plan};
use renderer::render::{Rendered, Renderer};
use renderer::snapshot::{ENVIRONMENTS, Snapshot, Source, SourceId, TEMPLATES};

pub(crate) const WORDS: &[&str] = &[
    "=== environments/_fleet.yaml\n",
    "=== environments/_defaults.yaml\n",
    "=== environments/app.yaml\n",
    "=== environments/a/b.yaml\n",
    "=== templates/cluster/t.yaml.hbs\n",
    "=== templates/_partials/p.hbs\n",
    "=== templates/addons/metallb/addon.yaml\n",
    "=== templates/addons/metallb/values.yaml.hbs\n",
    "=== templates/addons/x/addon.yaml\n",
    "=== templates/schemas/example.com_v1_Tree.json\n",
    "=== templates/charts.lock\n",
    "role: app\n",
    "role: control\n",
    "hub: control\n",
    "networks: {pods: 10.1.0.0/16, services: 10.2.0.0/16}\n",
    "addons:\n",
    "  metallb:\n",
    "    enabled: false\n",
    "    values:\n",
    "    settings:\n",
    "labels: {a: b}\n",
    "chart: {repository: https://charts.example.com, name: x, version: 1.2.3}\n",
    "namespace: x\n",
    "settings:\n",
    "apiVersion: v1\n",
    "kind: ConfigMap\n",
    "kind: Service\n",
    "metadata:\n",
    "  name: ",
    "  namespace: ",
    "spec:\n",
    "{{cluster.name}}",
    "{{#each spokes}}",
    "{{/each}}",
    "{{> p}}",
    "&a ",
    "*a",
    "<<: *a",
    "\n",
    "  ",
    "- ",
];

/// The files of the test platform, which an input is laid over.
static PLATFORM: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/platform");
    let mut files = BTreeMap::new();
    for folder in [ENVIRONMENTS, TEMPLATES] {
        read(&root, folder, &mut files);
    }
    files
});

fn read(root: &Path, path: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    let on_disk = root.join(path);
    if on_disk.is_file() {
        files.insert(path.to_owned(), fs::read(on_disk).unwrap());
        return;
    }
    for entry in fs::read_dir(on_disk).unwrap() {
        read(root, &format!("{path}/{}", entry.unwrap().file_name().to_str().unwrap()), files);
    }
}

/// Each line `=== <path>` begins a file.
pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let text = format!("\n{text}");
    let mut files = PLATFORM.clone();
    for part in text.split("\n=== ").skip(1) {
        let (path, content) = part.split_once('\n').unwrap_or((part, ""));
        files.insert(path.to_owned(), content.as_bytes().to_vec());
    }
    let snapshot: Snapshot =
        files.iter().filter_map(|(path, bytes)| Some((RepoPath::parse(path).ok()?, source(bytes)))).collect();
    match (Renderer::new().render(&snapshot, &()), Renderer::new().render(&snapshot, &())) {
        (Ok(rendered), Ok(again)) => {
            assert_eq!(rendered.tree_digest(), again.tree_digest());
            assert!(plan(&changes(&again, &rendered), &Published::default(), Facts::default()).is_empty());
            let facts = Facts::between(&again.inventory, &rendered.inventory);
            let _ = plan(
                &changes(&Rendered { clusters: BTreeMap::new(), ..again }, &rendered),
                &Published::default(),
                facts,
            );
        }
        (Err(problems), Err(again)) => assert_eq!(problems, again),
        (rendered, again) => panic!("once rendered: {}, once: {}", rendered.is_ok(), again.is_ok()),
    }
}

fn source(bytes: &[u8]) -> Source {
    let mut id = [0; 20];
    id.copy_from_slice(&blake3::hash(bytes).as_bytes()[..20]);
    Source { id: SourceId(id), bytes: Arc::from(bytes) }
}

fn changes(old: &Rendered, new: &Rendered) -> Vec<FileChange> {
    let files =
        new.clusters.values().flat_map(|cluster| cluster.iter_files().map(move |file| (cluster, file)));
    let changes = files.map(|(cluster, file)| {
        let known = old
            .clusters
            .get(&cluster.name)
            .and_then(|old| old.iter_files().find(|known| known.path == file.path));
        FileChange {
            path: file.path.clone(),
            cluster: cluster.name.clone(),
            addon: file.addon.clone(),
            old: known.map(|known| Arc::clone(&known.bytes)),
            new: Some(Arc::clone(&file.bytes)),
        }
    });
    changes.collect()
}
