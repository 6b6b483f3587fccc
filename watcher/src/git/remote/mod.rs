//! Other repositories: their addresses, the transports that reach them, and git's protocol to fetch and push.

pub(in crate::git) mod address;
pub(in crate::git) mod conversation;
pub(in crate::git) mod pace;
pub(in crate::git) mod packet;
pub(in crate::git) mod process;
pub(in crate::git) mod receive_pack;
pub(in crate::git) mod smart_http;
mod ssh;
pub(in crate::git) mod upload_pack;
