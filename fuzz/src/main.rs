//! Runs a target for some time on inputs made from its corpus: `fleetwright-fuzz TARGET SECONDS`.
//!
//! Needs neither coverage nor a special compiler. An input that a target does not survive stands in `target/fuzz/`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, bail};
use fleetwright_fuzz::mutate::{Random, mutated};
use fleetwright_fuzz::{Target, target};

/// An input that takes longer than this is a finding.
const SLOW: Duration = Duration::from_mins(2);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, seconds] = arguments.as_slice() else { bail!("write `fleetwright-fuzz TARGET SECONDS`") };
    let target = target(name).with_context(|| format!("there is no target `{name}`"))?;
    let end = Instant::now() + Duration::from_secs(seconds.parse()?);
    let corpus = target.corpus();
    let corpus: Vec<&[u8]> = corpus.iter().map(|(_, input)| input.as_slice()).collect();
    // Each run begins elsewhere; what it finds is in a file.
    let mut random = Random(std::process::id().into());
    let (mut runs, mut slowest) = (0_u64, Duration::ZERO);
    while Instant::now() < end {
        let input = mutated(&corpus, target.words, &mut random);
        slowest = slowest.max(run(target, &input)?);
        runs += 1;
    }
    println!("{name}: {runs} inputs, the slowest took {slowest:?}");
    Ok(())
}

fn run(target: Target, input: &[u8]) -> anyhow::Result<Duration> {
    let found = Path::new("target/fuzz");
    // Written before, so that it is there after an abort.
    fs::create_dir_all(found)?;
    let kept = found.join(format!("{}-last", target.name));
    fs::write(&kept, input)?;
    let start = Instant::now();
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        bail!("`{}` does not survive {}", target.name, kept.display());
    }
    let took = start.elapsed();
    if took > SLOW {
        bail!("`{}` takes {took:?} for {}", target.name, kept.display());
    }
    Ok(took)
}
