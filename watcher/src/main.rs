//! The `fleetwright` binary.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Memory that holds tokens is written nowhere.
    fleetwright::run::leave_no_core();
    fleetwright::cli::main()
}
