//! What is shown and how long it took, as `tests/integration/multi-cluster-tests.sh` reads it.

use std::time::Instant;

/// Runs a case of a part, and prints how long it took unless it fails.
pub fn case<T>(part: &str, what: &str, run: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let outcome = run();
    println!("\ncase\t{part}\t{what}\t{:.1}", begun.elapsed().as_secs_f64());
    outcome
}
