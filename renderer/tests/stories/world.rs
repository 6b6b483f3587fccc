//! A small world to tell stories in: the facts and templates of `testkit/platform/`, with edits.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fleetwright_renderer::charts::LOCK;
use fleetwright_renderer::path::{ProfileName, RepoPath};
use fleetwright_renderer::problem::Problem;
use fleetwright_renderer::render::{Rendered, Renderer, check_names};
use fleetwright_renderer::snapshot::{ENVIRONMENTS, Snapshot, Source, SourceId, TEMPLATES};

/// Files that people wrote, ready to be rendered.
#[derive(Clone, Debug, Default)]
pub struct World {
    files: Vec<(String, Vec<u8>)>,
    profile: Option<&'static str>,
}

impl World {
    /// The facts and templates of `testkit/platform/`, without the chart lock: a story about something else
    /// may then write keys that no chart knows.
    pub fn platform() -> Self {
        Self::locked().without(LOCK)
    }

    /// The facts and templates of `testkit/platform/`.
    pub fn locked() -> Self {
        Self::of("../testkit/platform")
    }

    /// The facts and templates that this repository ships. They grow: a story about them shows no line numbers.
    pub fn shipped() -> Self {
        Self::of("..")
    }

    fn of(root: &str) -> Self {
        let root = &Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        let mut world = Self::default();
        for folder in [ENVIRONMENTS, TEMPLATES] {
            world.read(root, folder);
        }
        world
    }

    fn read(&mut self, root: &Path, path: &str) {
        let on_disk = root.join(path);
        if on_disk.is_file() {
            self.files.push((path.to_owned(), fs::read(on_disk).unwrap()));
            return;
        }
        for entry in fs::read_dir(on_disk).unwrap() {
            let name = entry.unwrap().file_name();
            self.read(root, &format!("{path}/{}", name.to_str().unwrap()));
        }
    }

    /// Adds or replaces a file.
    pub fn with(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.retain(|(other, _)| other != path);
        self.files.push((path.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// Asks for a profile.
    pub fn in_profile(self, name: &'static str) -> Self {
        Self { profile: Some(name), ..self }
    }

    /// Gives the hub one more named address.
    pub fn hub_address(self, name: &str, address: &str) -> Self {
        let entry = format!("  {name}: {address}\n  alertmanager:");
        self.edit("environments/control.yaml", "  alertmanager:", &entry)
    }

    /// Adds an add-on that runs on clusters of a role, in a namespace of its own name. What the chart does is
    /// described as it is for an add-on that this repository ships, if it ships one.
    pub fn addon(self, name: &str, chart: &str, role: &str) -> Self {
        let described = described(name, chart);
        let file = format!(
            "chart: {{repository: https://charts.example.com, name: {chart}, version: 1.2.3}}\nnamespace: {name}\nclusters: {{roles: [{role}]}}\n{described}"
        );
        self.with(&format!("templates/addons/{name}/addon.yaml"), file)
    }

    /// Adds lines to the end of a file.
    pub fn and(self, path: &str, lines: &str) -> Self {
        let content = format!("{}{lines}", self.text(path));
        self.with(path, content)
    }

    /// Replaces the only place in a file where `old` stands.
    pub fn edit(self, path: &str, old: &str, new: &str) -> Self {
        let text = self.text(path);
        assert_eq!(text.matches(old).count(), 1, "`{old}` in {path}");
        let content = text.replace(old, new);
        self.with(path, content)
    }

    /// Removes a file.
    pub fn without(mut self, path: &str) -> Self {
        let before = self.files.len();
        self.files.retain(|(other, _)| other != path);
        assert_ne!(self.files.len(), before, "there is no {path}");
        self
    }

    /// Removes a folder.
    pub fn without_folder(mut self, folder: &str) -> Self {
        self.files.retain(|(path, _)| !path.starts_with(&format!("{folder}/")));
        self
    }

    /// Moves a file.
    pub fn moved(self, from: &str, to: &str) -> Self {
        let content = self.text(from);
        self.without(from).with(to, content)
    }

    /// Puts the files into another order.
    pub fn reversed(mut self) -> Self {
        self.files.reverse();
        self
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(path, _)| path.as_str())
    }

    pub fn text(&self, path: &str) -> String {
        let found = self.files.iter().find(|(other, _)| other == path);
        let (_, bytes) = found.unwrap_or_else(|| panic!("there is no {path}"));
        String::from_utf8(bytes.clone()).unwrap()
    }

    pub fn snapshot(&self) -> Snapshot {
        let source = |bytes: &[u8]| {
            let mut id = [0; 20];
            id.copy_from_slice(&blake3::hash(bytes).as_bytes()[..20]);
            Source { id: SourceId(id), bytes: Arc::from(bytes) }
        };
        let mut snapshot = Snapshot::default();
        for (path, bytes) in &self.files {
            snapshot.insert(RepoPath::parse(path).unwrap(), source(bytes));
        }
        match self.profile {
            Some(name) => snapshot.in_profile(ProfileName::parse(name).unwrap()),
            None => snapshot,
        }
    }

    /// Renders with nothing remembered.
    pub fn try_render(&self) -> Result<Rendered, Vec<Problem>> {
        let rendered = Renderer::new().render(&self.snapshot(), &());
        let names = check_names();
        for problem in rendered.as_ref().err().into_iter().flatten() {
            assert!(names.contains(&*problem.check), "`{}` found: {problem}", problem.check);
        }
        rendered
    }

    pub fn render(&self) -> Rendered {
        self.try_render().unwrap_or_else(|problems| panic!("{}", told(&problems)))
    }

    /// What a person reads who checks these files.
    pub fn problems(&self) -> String {
        self.try_render().map_or_else(|problems| told(&problems), |_| "no problems".to_owned())
    }
}

/// Returns what a shipped add-on says of its chart: one of the same name, or else one with the chart.
fn described(name: &str, chart: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/addons");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort_by_key(|path| (!path.ends_with(name), path.clone()));
    let texts = files.iter().map(|path| fs::read_to_string(path.join("addon.yaml")).unwrap());
    let found =
        texts.into_iter().find(|text| text.contains(&format!("\n  name: {chart}\n"))).unwrap_or_default();
    let starts = ["provides:", "receives:", "sends:", "mesh:"].map(|key| found.find(&format!("\n{key}")));
    let described = starts.into_iter().flatten().min().map(|at| &found[at + 1..]).unwrap_or_default();
    // What is asked of live clusters reads settings, which only the shipped templates have.
    described.split("\nverify:").next().unwrap_or_default().to_owned()
}

fn told(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Every rendered file as text, by path.
pub fn files(rendered: &Rendered) -> Vec<(String, String)> {
    let files = rendered.clusters.values().flat_map(|cluster| cluster.files());
    files.map(|file| (file.path.to_string(), String::from_utf8(file.bytes.to_vec()).unwrap())).collect()
}
