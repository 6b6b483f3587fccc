//! The few programs whose own configuration has to be read, since `addon.yaml` can't say where in it something stands.
//!
//! This is the one place that knows programs by name, and by the names that they give to annotations and
//! kinds: `.ci/run names` finds one that stands elsewhere. `addon.yaml` names a reader, and it is found in
//! the tables here.

pub(super) mod external_secrets;
mod fluent_bit;
pub(super) mod istio;
pub(super) mod mesh;
pub(super) mod names;
mod opentelemetry_collector;
mod vault;

use crate::yaml::Value;

use super::exposed::ExposedAddress;
use super::flows::ends::Ends;
use istio::MeshPart;

pub(super) use external_secrets::store as of_object;

/// Reads what a program's configuration says of the signal whose ends are given, and adds it.
type Reader = fn(&Value, &mut Ends);
/// The readers that `receives` and `sends` can name.
const READERS: [(&str, Reader); 3] = [
    ("fluent-bit", fluent_bit::read),
    ("opentelemetry-collector", opentelemetry_collector::read),
    ("vault", vault::read),
];

/// The readers that `mesh` can name.
pub(super) const MESH_READERS: [&str; 2] = [istio::CONTROL_PLANE, istio::GATEWAY];

/// Returns the names of the readers of signals.
pub(super) fn names() -> Vec<&'static str> {
    READERS.iter().map(|(name, _)| *name).collect()
}

/// Lets a reader add what it finds. That there is none of the name is reported where it is written.
pub(super) fn read(name: &str, values: &Value, ends: &mut Ends) {
    if let Some((_, read)) = READERS.iter().find(|(known, _)| *known == name) {
        read(values, ends);
    }
}

/// Lets a reader read what values say of the mesh.
pub(super) fn read_mesh(name: &str, values: &Value, exposed: &[ExposedAddress]) -> Option<MeshPart> {
    match name {
        istio::CONTROL_PLANE => Some(istio::control_plane(values)),
        istio::GATEWAY => istio::gateway(values, exposed),
        _ => None,
    }
}
