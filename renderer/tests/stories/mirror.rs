//! A site without the internet draws every chart from copies of the repositories.

use fleetwright_renderer::explain::{Reach, explain, reach};
use fleetwright_renderer::path::RepoPath;
use insta::assert_snapshot;

use crate::world::{World, files};

const FLEET: &str = "environments/_fleet.yaml";
const MIRROR: &str = "\ncharts:\n  mirror: https://mirror.internal/charts\n";
const EXCEPTION: &str =
    "  exceptions:\n    https://metallb.github.io/metallb: oci://registry.internal/platform\n";

/// The rendered lines of `app` that name where a chart comes from.
fn drawn_from(world: &World) -> String {
    let rendered = files(&world.render());
    let of_app = rendered.iter().filter(|(path, _)| path.starts_with("argocd-apps/app/"));
    let lines = of_app.flat_map(|(path, text)| {
        let is_about = |line: &&str| {
            line.contains("repository: ")
                || line.trim_start().starts_with("- http")
                || line.contains(".internal/")
        };
        let lines = text.lines().filter(is_about);
        lines.map(|line| format!("{}: {}", path.trim_start_matches("argocd-apps/app/"), line.trim()))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_chart_comes_from_the_repository_that_its_addon_names() {
    assert_snapshot!(drawn_from(&World::locked()), @"
    applicationset.yaml: repository: https://metallb.github.io/metallb
    applicationset.yaml: repository: https://prometheus-community.github.io/helm-charts
    appproject.yaml: - https://git.example.com/platform/fleet.git
    appproject.yaml: - https://metallb.github.io/metallb
    appproject.yaml: - https://prometheus-community.github.io/helm-charts
    ");
}

#[test]
fn one_fact_moves_every_application_to_the_mirror() {
    assert_snapshot!(drawn_from(&World::locked().and(FLEET, MIRROR)), @"
    applicationset.yaml: repository: https://mirror.internal/charts/metallb.github.io/metallb
    applicationset.yaml: repository: https://mirror.internal/charts/prometheus-community.github.io/helm-charts
    appproject.yaml: - https://git.example.com/platform/fleet.git
    appproject.yaml: - https://mirror.internal/charts/metallb.github.io/metallb
    appproject.yaml: - https://mirror.internal/charts/prometheus-community.github.io/helm-charts
    ");
}

#[test]
fn an_exception_stands_in_for_one_repository_and_a_registry_is_spelt_as_argo_cd_does() {
    assert_snapshot!(drawn_from(&World::locked().and(FLEET, MIRROR).and(FLEET, EXCEPTION)), @"
    applicationset.yaml: repository: registry.internal/platform
    applicationset.yaml: repository: https://mirror.internal/charts/prometheus-community.github.io/helm-charts
    appproject.yaml: - https://git.example.com/platform/fleet.git
    appproject.yaml: - registry.internal/platform
    appproject.yaml: - https://mirror.internal/charts/prometheus-community.github.io/helm-charts
    ");
}

#[test]
fn a_mirrored_repository_leads_to_the_fact_that_mirrors_it() {
    let rendered = World::locked().and(FLEET, MIRROR).render();
    let file = RepoPath::parse("argocd-apps/app/applicationset.yaml").unwrap();
    let key = "spec.generators[0].list.elements[0].repository";
    let lines = explain(&rendered, &file, Some(key)).unwrap();
    assert_eq!(lines[0].facts[0].place.to_string(), "environments/_fleet.yaml:23:11");
    let Reach { reached, .. } = reach(&rendered, &RepoPath::parse(FLEET).unwrap(), "charts.mirror").unwrap();
    let reached = reached.iter().map(|reached| format!("{} {}", reached.file, reached.path));
    assert_snapshot!(reached.collect::<Vec<_>>().join("\n"), @"
    argocd-apps/app/applicationset.yaml spec.generators[0].list.elements[name=metallb].repository
    argocd-apps/app/applicationset.yaml spec.generators[0].list.elements[name=prometheus-agent].repository
    argocd-apps/app/appproject.yaml spec.sourceRepos[1]
    argocd-apps/app/appproject.yaml spec.sourceRepos[2]
    argocd-apps/control/applicationset.yaml spec.generators[0].list.elements[name=argo-cd].repository
    argocd-apps/control/applicationset.yaml spec.generators[0].list.elements[name=kube-prometheus-stack].repository
    argocd-apps/control/applicationset.yaml spec.generators[0].list.elements[name=metallb].repository
    argocd-apps/control/appproject.yaml spec.sourceRepos[1]
    argocd-apps/control/appproject.yaml spec.sourceRepos[2]
    argocd-apps/control/appproject.yaml spec.sourceRepos[3]
    ");
}

#[test]
fn a_mirror_is_an_address_without_credentials() {
    let with =
        |mirror: &str| World::locked().and(FLEET, &format!("\ncharts:\n  mirror: {mirror}\n")).problems();
    assert_eq!(with("http://10.0.0.5:8081/charts/"), "no problems");
    assert_snapshot!(with("mirror.internal/charts"), @"
    environments/_fleet.yaml:23:11: `mirror.internal/charts` is not a valid `mirror`
      hint: write an `https://`, `http://` or `oci://` address without a user and without a query
    ");
    assert_snapshot!(with("https://user:secret@mirror.internal"), @"
    environments/_fleet.yaml:23:11: `https://user:***@mirror.internal` is not a valid `mirror`
      hint: write an `https://`, `http://` or `oci://` address without a user and without a query
    ");
}

#[test]
fn an_exception_for_a_repository_that_no_addon_names_is_told() {
    let world = World::locked().and(FLEET, MIRROR).and(FLEET, &EXCEPTION.replace("github.io", "github.com"));
    assert_snapshot!(world.problems(), @"
    environments/_fleet.yaml:25:5: no add-on takes its chart from `https://metallb.github.com/metallb`
      hint: did you mean `https://metallb.github.io/metallb`?
    ");
}
