//! What is judged of one rendered document by itself. Each file judges one thing, in a function of the table
//! of checks.

pub(super) mod hosts;
pub(super) mod images;
pub(super) mod keys;
pub(super) mod lengths;
pub(super) mod objects;
pub(super) mod patterns;
pub(super) mod pool;
pub(super) mod secrets;
