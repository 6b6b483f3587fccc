//! Equal files give equal bytes, whatever was rendered before and on however many threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fleetwright_renderer::render::{Digest, Memory, Rendered, Renderer};
use insta::assert_snapshot;

use crate::world::{World, files};

const APP: &str = "environments/app.yaml";
const CONTROL: &str = "environments/control.yaml";

/// The shipped clusters and three more spokes.
fn fleet() -> World {
    (1..=3).fold(World::platform(), |world, number| {
        let app = world.text(APP);
        let spoke = app
            .replace("10.245", &format!("10.20{number}"))
            .replace("10.97", &format!("10.21{number}"))
            .replace("192.168.64.1", &format!("192.168.7{number}.1"));
        world.with(&format!("environments/eu/eu-{number}.yaml"), spoke)
    })
}

fn on_threads(world: &World, count: usize) -> Vec<(String, String)> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
    pool.install(|| files(&world.render()))
}

fn units<'r>(rendered: &'r Rendered, cluster: &str) -> &'r fleetwright_renderer::render::RenderedCluster {
    &rendered.clusters[cluster]
}

/// The clusters that were not taken over from the rendering before.
fn rendered_again(before: &Rendered, after: &Rendered) -> Vec<String> {
    let is_kept = |name: &str| {
        before.clusters.contains_key(name) && std::ptr::eq(units(before, name), units(after, name))
    };
    after.clusters.keys().map(ToString::to_string).filter(|name| !is_kept(name)).collect()
}

#[test]
fn the_order_of_files_and_the_number_of_threads_change_nothing() {
    let expected = files(&fleet().render());
    assert!(expected.len() > 30, "{} files", expected.len());
    assert_eq!(files(&fleet().reversed().render()), expected);
    for count in [1, 2, 4] {
        assert_eq!(on_threads(&fleet(), count), expected);
    }
}

#[test]
fn rendering_the_same_again_takes_over_every_cluster() {
    let mut renderer = Renderer::new();
    let first = renderer.render(&fleet().snapshot(), &()).unwrap();
    let again = renderer.render(&fleet().snapshot(), &()).unwrap();
    assert_eq!(rendered_again(&first, &again), Vec::<String>::new());
}

#[test]
fn a_fact_of_a_cluster_renders_that_cluster_and_the_hub_that_sees_it() {
    let mut renderer = Renderer::new();
    let before = renderer.render(&fleet().snapshot(), &()).unwrap();
    let changed = fleet().edit("environments/eu/eu-2.yaml", "count: 6", "count: 7");
    let after = renderer.render(&changed.snapshot(), &()).unwrap();
    assert_eq!(rendered_again(&before, &after), ["control", "eu-2"]);
}

#[test]
fn a_template_of_an_addon_renders_that_addon_only() {
    let mut renderer = Renderer::new();
    let before = renderer.render(&fleet().snapshot(), &()).unwrap();
    let changed = fleet().and("templates/addons/prometheus-agent/values.yaml.hbs", "\nx: 1\n");
    let after = renderer.render(&changed.snapshot(), &()).unwrap();
    assert_eq!(rendered_again(&before, &after), ["app", "eu-1", "eu-2", "eu-3"]);
    let bytes = |rendered: &Rendered| {
        let files = rendered.clusters["app"].files();
        files.iter().map(|file| (file.path.clone(), file.bytes.as_ptr())).collect::<Vec<_>>()
    };
    let (old, new) = (bytes(&before), bytes(&after));
    let fresh: Vec<_> =
        new.iter().filter(|file| !old.contains(file)).map(|(path, _)| path.as_str()).collect();
    assert_eq!(fresh, ["argocd-apps/app/prometheus-agent/values.yaml"]);
}

#[test]
fn moving_the_hubs_prometheus_is_one_edit_that_reaches_both_ends() {
    let before = files(&World::platform().render());
    let moved = World::platform().edit(CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.105");
    let after = files(&moved.render());
    let paths = |files: &[(String, String)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(paths(&before), paths(&after));
    let lines = before.iter().zip(&after).flat_map(|((path, old), (_, new))| {
        let changed = old.lines().zip(new.lines()).filter(|(old, new)| old != new);
        changed.map(move |(old, new)| format!("{path}\n  - {}\n  + {}", old.trim(), new.trim()))
    });
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    argocd-apps/app/prometheus-agent/values.yaml
      - - url: http://192.168.64.102:9090/api/v1/write
      + - url: http://192.168.64.105:9090/api/v1/write
    argocd-apps/control/kube-prometheus-stack/values.yaml
      - loadBalancerIP: "192.168.64.102"
      + loadBalancerIP: "192.168.64.105"
    "#);
}

#[test]
fn a_file_that_moves_takes_its_name_along() {
    let over = World::platform().and(APP, "\naddons:\n  plain:\n    values: {a: 1}\n");
    let plain = "chart: {repository: \"https://charts.example.com\", name: plain, version: 1.0.0}\nnamespace: plain\n";
    let world = over.with("templates/addons/plain/addon.yaml", plain);
    let mut renderer = Renderer::new();
    renderer.render(&world.snapshot(), &()).unwrap();
    let moved = world.moved(APP, "environments/eu/app.yaml");
    let warm = renderer.render(&moved.snapshot(), &()).unwrap();
    assert_eq!(files(&warm), files(&moved.render()));
    assert!(files(&warm).iter().any(|(_, text)| text.contains("from environments/eu/app.yaml")));
}

/// A small generator of numbers (xorshift), so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// An edit as people make them; many break something, and the next ones mend or break more.
fn random_edit(world: World, dice: &mut Dice) -> World {
    let cluster = format!("environments/eu/eu-{}.yaml", 1 + dice.roll(3));
    let templates = [
        "templates/addons/metallb/values.yaml.hbs",
        "templates/addons/prometheus-agent/values.yaml.hbs",
        "templates/_partials/argocd-metadata.hbs",
        "templates/cluster/appproject.yaml.hbs",
    ];
    let template = templates[dice.roll(templates.len())];
    let original = fleet();
    match dice.roll(12) {
        0 => world
            .with(&cluster, original.text(&cluster).replace("count: 6", &format!("count: {}", dice.roll(4)))),
        1 => world.with(&cluster, original.text(&cluster).replace("hub: control", "hub: nobody")),
        2 => world.with(&cluster, original.text(&cluster)),
        3 => world.with(CONTROL, original.text(CONTROL).replace(".102", &format!(".10{}", 2 + dice.roll(4)))),
        4 => world.with(template, format!("{}\n# {}\n", original.text(template), dice.roll(3))),
        5 => {
            world.with(template, format!("{}\nx{}: {{{{nothing}}}}\n", original.text(template), dice.roll(2)))
        }
        6 => world.with(template, original.text(template)),
        7 => world.with("environments/eu/_defaults.yaml", format!("labels: {{zone: z{}}}\n", dice.roll(3))),
        8 => world.with("environments/eu/_defaults.yaml", ""),
        9 => world.with(
            "environments/_fleet.yaml",
            original.text("environments/_fleet.yaml").replace("9090", &format!("909{}", dice.roll(3))),
        ),
        10 => {
            let agent = "templates/addons/prometheus-agent/addon.yaml";
            world.with(
                agent,
                original.text(agent).replace("default: 10\n", &format!("default: {}\n", 9 + dice.roll(3))),
            )
        }
        _ => world.with(
            &cluster,
            format!(
                "{}\naddons:\n  metallb:\n    values: {{a: {}}}\n",
                original.text(&cluster),
                dice.roll(3)
            ),
        ),
    }
}

/// What processes that follow each other know of rendered clusters.
#[derive(Debug, Default)]
struct Shelf {
    records: Mutex<BTreeMap<Digest, Vec<u8>>>,
    found: AtomicUsize,
}

impl Memory for Shelf {
    fn is_for(&self, _: usize) -> bool {
        true
    }

    fn get(&self, key: &Digest) -> Option<Vec<u8>> {
        let found = self.records.lock().unwrap().get(key).cloned();
        self.found.fetch_add(usize::from(found.is_some()), Ordering::Relaxed);
        found
    }

    fn put(&self, key: &Digest, record: &[u8]) {
        let before = self.records.lock().unwrap().insert(*key, record.to_vec());
        assert_eq!(before, None, "what is known is not rendered again");
    }

    fn tidy(&self) {}
}

/// All that is known of rendered clusters.
fn known(rendered: &Rendered) -> String {
    format!("{:?} {:?}", rendered.clusters, rendered.accepted)
}

#[test]
fn a_process_takes_over_what_another_one_has_rendered() {
    for world in [World::platform(), World::shipped()] {
        let shelf = Arc::new(Shelf::default());
        let render = || {
            let mut next = Renderer::new().remembering(Arc::<Shelf>::clone(&shelf));
            let rendered = next.render(&world.snapshot(), &()).unwrap();
            (known(&rendered), shelf.found.load(Ordering::Relaxed))
        };
        let cold = known(&world.render());
        assert_eq!(render(), (cold.clone(), 0));
        assert_eq!(render(), (cold, 2));
    }
}

#[test]
fn what_clusters_do_to_each_other_is_judged_however_well_each_is_known() {
    let shelf = Arc::new(Shelf::default());
    let render = |world: &World| {
        let mut next = Renderer::new().remembering(Arc::<Shelf>::clone(&shelf));
        next.render(&world.snapshot(), &()).map(|_| ())
    };
    // Each of both spokes is known from a fleet in which it is right.
    let moved = |world: World, spoke: &str| {
        let text = world.text(spoke);
        let pool = text.lines().find(|line| line.contains("192.168.7")).unwrap().to_owned();
        let range = pool.split_once("192.168.7").unwrap().1;
        world.with(spoke, text.replace(&format!("192.168.7{}", &range[..1]), "192.168.79"))
    };
    let first = moved(fleet(), "environments/eu/eu-1.yaml");
    let second = moved(fleet(), "environments/eu/eu-2.yaml");
    for world in [&first, &second] {
        render(world).unwrap();
    }
    let both = moved(first, "environments/eu/eu-2.yaml");
    let problems = render(&both).unwrap_err();
    assert_eq!(Err(problems), both.try_render().map(|_| ()));
}

#[test]
fn a_warm_renderer_gives_what_a_cold_one_gives_after_any_series_of_edits() {
    let (mut good, mut bad) = (0, 0);
    let shelf = Arc::new(Shelf::default());
    for seed in 1..=4_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut world = fleet();
        let mut renderer = Renderer::new();
        for step in 0..25 {
            world = random_edit(world, &mut dice);
            let warm = renderer.render(&world.snapshot(), &());
            let mut next = Renderer::new().remembering(Arc::<Shelf>::clone(&shelf));
            let remembered = next.render(&world.snapshot(), &());
            let cold = world.try_render();
            let all = |rendered: &Result<Rendered, _>| rendered.as_ref().map(known).map_err(Clone::clone);
            assert_eq!(all(&remembered), all(&cold), "seed {seed}, step {step}");
            match (warm, cold) {
                (Ok(warm), Ok(cold)) => {
                    good += 1;
                    assert_eq!(files(&warm), files(&cold), "seed {seed}, step {step}");
                }
                (Err(warm), Err(cold)) => {
                    bad += 1;
                    assert_eq!(warm, cold, "seed {seed}, step {step}");
                }
                (warm, cold) => panic!("seed {seed}, step {step}: {:?} {:?}", warm.err(), cold.err()),
            }
        }
    }
    assert!(good >= 20 && bad >= 20, "{good} good and {bad} bad states");
    assert!(shelf.found.load(Ordering::Relaxed) >= 50);
}
