//! What the fakes have in common: a server of HTTP, and requests and replies free of the HTTP library.

pub mod server;
pub mod wire;
