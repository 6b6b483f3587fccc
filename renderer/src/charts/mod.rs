//! Chart locks: which values each chart takes, so that every rendered key can be judged without the chart.
//!
//! Knows charts and values, and nothing of add-ons, clusters or where a chart comes from. Texts of a chart
//! stay behind: a lock keeps names and types only.

mod defaults;
mod lock;
mod notation;
mod package;
mod schema;
mod shape;

pub use lock::{ChartId, ChartLock, LockedChart};
pub(crate) use lock::{VERSION, VERSION_HINT};
pub use package::{Metadata, Package, PackageError};
pub use shape::{Others, Shape, Types};

/// The path of the lock.
pub const LOCK: &str = "templates/charts.lock";
