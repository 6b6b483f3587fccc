//! The fleet that is measured passes every check.

use testkit::fleet;

use crate::world::{World, files};

#[test]
fn a_generated_fleet_has_no_problems_and_files_of_the_usual_length() {
    let world =
        fleet::files(120, 6).iter().fold(World::default(), |world, (path, text)| world.with(path, text));
    assert_eq!(world.problems(), "no problems");
    let rendered = files(&world.render());
    let values: Vec<_> = rendered.iter().filter(|(path, _)| path.contains("/addon-")).collect();
    let lines = values.iter().map(|(_, text)| text.lines().count()).sum::<usize>();
    assert!(values.len() >= 120 * 4);
    let average = lines / values.len();
    assert!((50..80).contains(&average), "{average} lines");
}
