//! Vault, or what has its HTTP interface: where it is, what its answers mean, what is written to it. Pure.

mod answers;
mod bootstrap;
mod keys;
mod registration;
mod store;

pub use answers::{SealStatus, Standing, laid_over, reasons, standing};
pub use bootstrap::{Bootstrap, Write};
pub use keys::{Keys, Tries};
pub use registration::Registration;
pub(crate) use registration::decoded;
pub use store::{Place, Store};
