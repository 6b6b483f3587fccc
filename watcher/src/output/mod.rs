//!
//! Knows nothing of what is shown; standard output is for results, standard error for everything else.

mod exit;

pub use exit::Exit;
