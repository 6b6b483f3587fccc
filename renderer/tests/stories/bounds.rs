//! A rendering that takes too long or grows too large is ended by whoever asked for it.

use fleetwright_renderer::render::{Progress, Renderer};
use insta::assert_snapshot;

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
    ");
    assert_eq!(render(&mut renderer, usize::MAX), Ok(2), "the next rendering is as if there had been none");
}
