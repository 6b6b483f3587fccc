//! libFuzzer over the target that the variable `TARGET` names: finds inputs by what they reach.

#![no_main]

use std::sync::LazyLock;

use fleetwright_fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").expect("the variable TARGET names a target");
    fleetwright_fuzz::target(&name).expect("there is such a target")
});

fuzz_target!(|input: &[u8]| (TARGET.run)(input));
