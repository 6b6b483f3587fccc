//! Stories about whole repositories: what people write, and what they are told or get for it.

#![expect(clippy::unwrap_used, reason = "a story that cannot be told fails")]

mod accepted;
mod argo;
mod bounds;
mod charts;
mod consequences;
mod deployed;
mod exposure;
mod facts;
mod files;
mod flows;
mod generated;
mod groups;
mod images;
mod interfaces;
mod ipv6;
mod live;
mod logs;
mod machines;
mod mesh;
mod mirror;
mod names;
mod nulls;
mod objects;
mod patterns;
mod placement;
mod profiles;
mod provenance;
mod repeatable;
mod secrets;
mod settings;
mod shipped;
mod sign_on;
mod tables;
mod texts;
mod traces;
mod vault;
mod world;
