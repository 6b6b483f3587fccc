//! Small inputs that cost much are refused, and a rendering that takes too long or grows too large is ended.

use std::sync::atomic::{AtomicUsize, Ordering};

use fleetwright_renderer::render::{Progress, Renderer};
use insta::assert_snapshot;
use testkit::hostile::bombs::{self, Files};

use crate::world::World;

/// Lets clusters be rendered up to a size.
struct Limit(usize);

impl Progress for Limit {
    fn advance(&self, _: usize) {}

    fn may_go_on(&self, rendered_bytes: usize) -> bool {
        rendered_bytes <= self.0
    }
}

fn render(renderer: &mut Renderer, limit: usize) -> Result<usize, String> {
    let outcome = renderer.render(&World::platform().snapshot(), &Limit(limit));
    let problems = |found: Vec<_>| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    outcome.map(|rendered| rendered.clusters.len()).map_err(problems)
}

#[test]
fn a_rendering_within_its_limit_is_whole() {
    assert_eq!(render(&mut Renderer::new(), usize::MAX), Ok(2));
}

#[test]
fn a_rendering_beyond_its_limit_is_refused_and_never_taken_for_a_smaller_fleet() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut renderer = Renderer::new();
    let problems = pool.install(|| render(&mut renderer, 0)).unwrap_err();
    assert_snapshot!(problems, @"
    environments/control.yaml:1:1: `control` is not rendered: rendering takes too long or grows too large
      hint: loop over shorter lists, or describe fewer clusters at once
    templates/addons/metallb/manifests/address-pool.yaml.hbs:1:1: rendering takes too long or grows too large
      hint: loop over shorter lists, or describe fewer clusters at once
    ");
    assert_eq!(render(&mut renderer, usize::MAX), Ok(2), "the next rendering is as if there had been none");
}

/// What is reported for files laid over the platform.
fn problems(bomb: Files) -> String {
    laid_over(bomb).problems()
}

fn laid_over(bomb: Files) -> World {
    bomb.into_iter().fold(World::platform(), |world, (path, content)| world.with(&path, content))
}

#[test]
fn aliases_are_bounded_over_all_files_together() {
    let each = problems(bombs::many_files_with_aliases(100, 6));
    let expected = "the aliases expand to more than 1 MiB beside what is written (on 100 clusters)";
    assert!(each.contains(expected), "{each}");
    let problems = problems(bombs::many_files_with_aliases(500, 4));
    assert!(problems.contains("the facts of all clusters together take more than 128 MiB"), "{problems}");
}

#[test]
fn a_map_that_many_clusters_inherit_counts_for_each() {
    let problems = problems(bombs::inherited_facts(400));
    assert!(problems.contains("the facts of all clusters together take more than 128 MiB"), "{problems}");
}

#[test]
fn maps_that_merge_maps_are_bounded() {
    assert_snapshot!(problems(bombs::merge_keys()), @"
    environments/bomb.yaml:34:13: the aliases expand to more than 1 MiB beside what is written
      hint: aliases of aliases multiply: write out what is repeated, or repeat less
    ");
}

#[test]
fn a_schema_that_doubles_with_each_level_is_named() {
    assert_snapshot!(problems(bombs::object_schema(18)), @"
    templates/cluster/tree.yaml.hbs:1:1: the schema in `templates/schemas/example.com_v1_Tree.json` takes more than 2000000 steps to judge the document (on `app` and `control`)
      hint: simplify the schema: alternatives that repeat the same parts inside each other double the work with each level
    ");
    assert_snapshot!(problems(bombs::settings_schema(18)), @"
    templates/addons/tree/addon.yaml:4:3: the schema in `templates/addons/tree/addon.yaml` takes more than 2000000 steps to judge the document
      hint: simplify the schema: alternatives that repeat the same parts inside each other double the work with each level
    ");
    assert_snapshot!(problems(bombs::chained_object_schema()), @"
    templates/schemas/example.com_v1_Tree.json:1:1: the schema is not valid at `/$defs/d12`: more than 10000 of its parts, or 1000 inside each other, apply to the same value
      hint: write a JSON Schema of the whole object
    ");
}

#[test]
fn a_schema_that_refers_to_itself_is_fine_where_the_value_is_flat() {
    let problems = problems(bombs::object_schema(2));
    assert!(!problems.contains("steps"), "{problems}");
}

#[test]
fn all_templates_of_a_cluster_have_one_budget() {
    let problems = problems(bombs::tree_of_partials(16));
    assert!(problems.contains("the template takes more than 1000000 steps"), "{problems}");
    assert!(
        problems.contains("the templates of the cluster together take more than 10000000 steps"),
        "{problems}"
    );
}

#[test]
fn what_is_rendered_for_a_cluster_is_bounded() {
    let problems = problems(bombs::large_output(90));
    assert!(problems.contains("what is rendered for the cluster grows larger than 64 MiB"), "{problems}");
}

#[test]
fn aliases_of_templates_are_bounded() {
    let problems = problems(bombs::templates_with_aliases(3));
    assert_eq!(
        problems.matches("the aliases expand to more than 1 MiB beside what is written").count(),
        3,
        "{problems}"
    );
}

/// Ends a rendering after having been asked so many times.
struct Asked(AtomicUsize);

impl Progress for Asked {
    fn advance(&self, _: usize) {}

    fn may_go_on(&self, _: usize) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

#[test]
fn a_rendering_is_ended_inside_one_template() {
    let snapshot = laid_over(bombs::tree_of_partials(1)).snapshot();
    // Once before each of the two clusters, and a few times while the first one is rendered.
    let outcome = Renderer::new().render(&snapshot, &Asked(AtomicUsize::new(40)));
    let found = outcome.unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(found.contains("_partials/p"), "it was ended elsewhere:\n{found}");
    assert!(found.contains("rendering takes too long or grows too large"), "{found}");
}
