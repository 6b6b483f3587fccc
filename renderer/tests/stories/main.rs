//! Stories about whole repositories: what people write, and what they are told or get for it.

mod facts;
mod files;
mod flows;
mod generated;
mod objects;
mod placement;
mod provenance;
mod repeatable;
mod secrets;
mod tables;
mod world;
