//! What answers of live clusters mean: which of the questions that are asked of them hold.
//!
//! Pure: it is given what clusters answered, and the time. Knows nothing of how they are asked.
//! ([0030](../../../docs/design/0030-what-a-cluster-is-asked.md))

mod finding;
mod objects;
mod own;
mod samples;
mod show;
#[cfg(test)]
mod tests;

pub use finding::{Finding, Found, Verdict, counts};
pub use objects::{Object, objects};
pub use own::{addresses, nodes};
pub use samples::{Sample, has_result, read, results};
pub use show::{document, markdown, text};
