//! The workflows by `act` on this machine, as far as they need no cluster: `render.yml`, and what calls `deploy.yml` for
//! another group. The deployments themselves are followed on real clusters.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::{Value, json};
use testkit::github::{self, GitHub};
use testkit::real::{Actions, Ended, Event};
use testkit::slack::Slack;
use testkit::smart_http::Server;

use crate::deploy::Office;
use crate::repo::{Repo, copy, fleetwright};

const WORKFLOWS: &str = ".github";
const HUB: &str = "environments/hub.yaml";

fn top() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn push() -> Value {
    json!({ "ref": "refs/heads/main", "repository": { "default_branch": "main" } })
}

/// The small fleet with the shipped workflows, at a GitHub that serves git, too.
struct Project {
    repo: Repo,
    github: GitHub,
    slack: Slack,
    git: Server,
}

impl Project {
    fn new() -> Self {
        let repo = Repo::fleet();
        copy(&top().join(WORKFLOWS), &repo.path(WORKFLOWS));
        repo.commit("Add the workflows");
        let served = repo.top.parent().unwrap().join("served");
        fs::create_dir_all(served.join(github::OWNER)).unwrap();
        symlink(repo.path(".git"), served.join(github::OWNER).join(github::NAME)).unwrap();
        let git = Server::plain(&served).unwrap();
        git.require("x-access-token", github::ACTIONS_TOKEN);
        let github = GitHub::start(&repo.path(".git")).unwrap();
        Self { repo, github, slack: Slack::start().unwrap(), git }
    }

    fn run(&self, job: &str, name: &str, payload: Value) -> Ended {
        let actions = Actions {
            repository: &self.repo.top,
            program: Path::new(fleetwright()),
            kubeconfig: "none".to_owned(),
            github: &self.github,
            slack: &self.slack,
            server: Some(self.git.url("").trim_end_matches('/').to_owned()),
        };
        actions.run(&Event { workflow: "render", job, name, payload }).unwrap()
    }

    /// Runs the workflow for what is pushed, and shows that nothing was refused.
    fn render(&self) {
        let ended = self.run("propose", "push", push());
        assert!(ended.is_success && !ended.log.contains("WARN"), "{}", ended.log);
    }

    /// Returns the open pull requests with their verdicts, one a line.
    fn pulls(&self) -> String {
        let pulls = self.github.pulls().unwrap();
        let state = self.github.state();
        let line = |pull: &github::Pull| {
            let order = state.statuses.iter().rfind(|status| status.sha == pull.head_sha).unwrap();
            let review = state.check_runs.iter().rfind(|run| run.sha == pull.head_sha).unwrap();
            let (order, review) = (&order.description, &review.fields["conclusion"]);
            format!("#{} {}: {}, review: {review}", pull.number, pull.head, order.as_deref().unwrap())
        };
        pulls.iter().filter(|pull| pull.is_open()).map(line).collect::<Vec<_>>().join("\n")
    }

    /// Merges an edit of the hub, as GitHub tries it for a pull request, and runs the workflow for it.
    fn propose(&self, old: &str, new: &str) -> Ended {
        self.repo.git(&["checkout", "-q", "-b", "edit"]);
        self.repo.edit(HUB, old, new);
        self.repo.commit("Edit the hub");
        self.repo.git(&["checkout", "-q", "main"]);
        self.repo.git(&["merge", "-q", "--no-ff", "-m", "Merge edit into main", "edit"]);
        let pull = json!({ "number": 1, "head": { "ref": "edit" }, "base": { "ref": "main" } });
        self.run("check", "pull_request", json!({ "number": 1, "pull_request": pull }))
    }
}

#[test]
#[ignore = "needs `act`: `.ci/run real` builds it and runs this"]
fn a_pull_request_shows_what_it_changes_in_the_rendered_files() {
    let ended = Project::new().propose("web: 10.9.0.10", "web: 10.9.0.11");
    assert!(ended.is_success, "{ended:?}");
    assert_snapshot!(ended.summary, @"
    - `fact addresses.web: 10.9.0.10 → 10.9.0.11 on eu-1, hub, 1 setting`

    2 files changed on 2 clusters: eu-1, hub

    ### On eu-1, hub

    ```diff
    # web/values.yaml
    - env[name=HUB].value: http://10.9.0.10:8080
    + env[name=HUB].value: http://10.9.0.11:8080
    ```
    ");
    // Where there is no Helm or no chart, the page shows what is rendered.
    let page = &ended.artifacts["review.html"];
    assert!(page.starts_with("<!doctype html>") && page.contains("http://10.9.0.11:8080"), "{page}");
}

#[test]
#[ignore = "needs `act`: `.ci/run real` builds it and runs this"]
fn a_pull_request_with_a_problem_fails_on_its_line() {
    let ended = Project::new().propose("web: 10.9.0.10", "wob: 10.9.0.10");
    assert!(!ended.is_success, "{ended:?}");
    let problem = "::error file=environments/hub.yaml,line=5,col=3,title=fleetwright unread::";
    assert!(ended.log.contains(problem), "{}", ended.log);
    assert_eq!(ended.artifacts.len(), 0);
}

#[test]
#[ignore = "needs `act`: `.ci/run real` builds it and runs this"]
fn a_push_opens_the_pull_requests_of_the_groups_and_a_merge_releases_the_next() {
    let project = Project::new();
    project.repo.edit(HUB, "web: 10.9.0.10", "web: 10.9.0.11");
    project.repo.commit("Edit the hub");
    project.render();
    assert_snapshot!(project.pulls(), @r#"
    #1 fleetwright/control: nothing has to be merged first, review: "success"
    #2 fleetwright/app: waits until #1 is merged, review: "success"
    "#);
    project.github.merge(1).unwrap();
    project.render();
    assert_snapshot!(project.pulls(), @r#"#2 fleetwright/app: what comes first is merged (Argo CD is not asked), review: "success""#);
}

/// The page of the book has the file.
#[test]
#[ignore = "needs `act`: `.ci/run real` builds it and runs this"]
fn a_file_of_a_few_lines_deploys_another_group() {
    let office = Office::new();
    let repo = &office.hub.repo;
    let page = fs::read_to_string(top().join("docs/platform/deployments.md")).unwrap();
    let (_, file) = page.split_once("```yaml\nname: Deploy canary\n").unwrap();
    let (file, _) = file.split_once("```").unwrap();
    copy(&top().join(WORKFLOWS), &repo.path(WORKFLOWS));
    repo.write(".github/workflows/deploy-canary.yml", file.replace("argocd-apps/eu-1/", "argocd-apps/app/"));
    let fleet = repo.read("environments/_fleet.yaml");
    let groups = "\ngroups:\n- {name: control, clusters: {roles: [control]}}\n- name: canary\n";
    repo.write("environments/_fleet.yaml", fleet + groups);
    repo.commit("Name the groups");
    office.hub.compares_with(&office.hub.tip());
    let actions = Actions {
        repository: &repo.top,
        program: Path::new(fleetwright()),
        kubeconfig: office.hub.server.kubeconfig(),
        github: &office.github,
        slack: &office.slack,
        server: None,
    };
    let event = Event { workflow: "deploy-canary", job: "canary", name: "push", payload: push() };
    let ended = actions.run(&event).unwrap();
    assert!(ended.is_success, "{}", ended.log);
    assert!(office.deployments().contains("canary success: "), "{}", office.deployments());
    assert!(office.seen().contains("[“canary: deployed”]"), "{}", office.seen());
}
