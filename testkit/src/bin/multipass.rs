//! Multipass without machines: see `testkit::multipass`.

use std::process::ExitCode;

fn main() -> ExitCode {
    testkit::multipass::main()
}
