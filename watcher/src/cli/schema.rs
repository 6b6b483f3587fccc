//! `fleetwright schema`: the JSON Schemas of source files, for editors.

use clap::ValueEnum;
use renderer::{catalog, inventory};

use super::print_json;
use crate::output::Exit;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The kind of file.
    #[arg(value_enum)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// A cluster, `environments/**/<cluster>.yaml`.
    Inventory,
    /// The facts that clusters of a folder share, `environments/**/_defaults.yaml`.
    Defaults,
    /// The shared facts, `environments/_fleet.yaml`.
    Fleet,
    /// A profile, `environments/_profiles/<name>.yaml`.
    Profile,
    /// An add-on, `templates/addons/<addon>/addon.yaml`.
    Addon,
}

pub(super) fn run(args: &Args) -> Exit {
    print_json(&match args.kind {
        Kind::Inventory => inventory::cluster_schema(),
        Kind::Defaults => inventory::defaults_schema(),
        Kind::Fleet => inventory::fleet_schema(),
        Kind::Profile => inventory::profile_schema(),
        Kind::Addon => catalog::addon_schema(),
    });
    Exit::Done
}
