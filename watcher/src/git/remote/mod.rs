//! Other repositories. A [`address::Remote`] can be asked to fetch and to push; which transport reaches it, how git's
//! protocol speaks over that, and which refs it lists lie behind the two.

pub(in crate::git) mod address;
mod conversation;
pub(in crate::git) mod greeting;
pub(in crate::git) mod pace;
pub(in crate::git) mod packet;
pub(in crate::git) mod process;
pub(in crate::git) mod receive_pack;
mod service;
pub(in crate::git) mod smart_http;
mod ssh;
pub(in crate::git) mod upload_pack;
