//! The fleet that is measured passes every check.

use insta::assert_snapshot;
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

#[test]
fn in_a_generated_fleet_what_is_sent_is_compared_with_what_is_received() {
    let values = "templates/addons/prometheus/values.yaml.hbs";
    let mut files = fleet::files(3, 3);
    let text = files[values].replace("enableRemoteWriteReceiver: true", "enableRemoteWriteReceiver: false");
    files.insert(values.to_owned(), text);
    let world = files.iter().fold(World::default(), |world, (path, text)| world.with(path, text));
    assert_snapshot!(world.problems(), @"
    templates/addons/prometheus/values.yaml.hbs:7:32: spokes cannot reach the endpoint for metrics here
      hint: set `prometheus.prometheusSpec.enableRemoteWriteReceiver: true`
    ");
}
