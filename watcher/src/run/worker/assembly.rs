//! The parts of an answer, put together on top of the answer before.

use std::sync::Arc;

use renderer::path::ClusterName;
use renderer::render::output_folder;
use tracing::{debug, info_span};

use super::message::{Cluster, Unit};
use crate::run::files::{ClusterFiles, FleetFiles, UnitFiles};

/// What arrives of a rendering, on top of the last one.
pub(super) struct Assembly<'a> {
    known: &'a FleetFiles,
    changed: FleetFiles,
    /// How many bytes may still arrive: no more than the worker may have had.
    room: u64,
}

/// What arrived is not what a worker sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Assembly<'a> {
    pub(super) const fn new(known: &'a FleetFiles, room: u64) -> Self {
        Self { known, changed: FleetFiles::new(), room }
    }

    /// Takes a cluster with the bytes of its files; fails if they do not fit together.
    pub(super) fn take(&mut self, cluster: Cluster, mut content: &[u8]) -> Result<(), Malformed> {
        self.room = self.room.checked_sub(content.len() as u64).ok_or(Malformed)?;
        let Cluster { name, role, digest, facts, units } = cluster;
        let units = units.into_iter().map(|unit| self.unit(&name, unit, &mut content));
        let units = units.collect::<Result<_, _>>()?;
        if !content.is_empty() {
            return Err(Malformed);
        }
        let folder = output_folder(&name);
        // Spans of a worker are not those of the run that it works for.
        info_span!("cluster", cluster.name = %name).in_scope(|| debug!("rendered `{name}`"));
        let facts = Arc::new(facts);
        let cluster = ClusterFiles { name: name.clone(), role, folder, digest, facts, units };
        self.changed.insert(name, Arc::new(cluster));
        Ok(())
    }

    fn unit(
        &self,
        cluster: &ClusterName,
        unit: Unit,
        content: &mut &[u8],
    ) -> Result<Arc<UnitFiles>, Malformed> {
        let (addon, files) = match unit {
            Unit::Kept(index) => {
                let known = self.known.get(cluster).and_then(|known| known.units.get(index));
                return known.cloned().ok_or(Malformed);
            }
            Unit::Sent(addon, files) => (addon, files),
        };
        let files = files.into_iter().map(|(path, length)| {
            let (bytes, rest) = content.split_at_checked(length).ok_or(Malformed)?;
            *content = rest;
            Ok((path, bytes.into()))
        });
        Ok(Arc::new(UnitFiles { addon, files: files.collect::<Result<_, _>>()? }))
    }

    /// Returns the clusters that arrived.
    pub(super) fn into_changed(self) -> FleetFiles {
        self.changed
    }
}

#[cfg(test)]
mod tests {
    use renderer::inventory::{OwnFacts, Role};
    use renderer::path::RepoPath;

    use super::*;

    fn cluster(units: Vec<Unit>) -> Cluster {
        let (name, facts) = (ClusterName::parse("app").unwrap(), OwnFacts::default());
        Cluster { name, role: Role::App, digest: [1; 32], facts, units }
    }

    fn sent(length: usize) -> Unit {
        Unit::Sent(None, vec![(RepoPath::parse("argocd-apps/app/root.yaml").unwrap(), length)])
    }

    fn taken(known: &FleetFiles, units: Vec<Unit>, content: &[u8]) -> Result<FleetFiles, Malformed> {
        let mut assembly = Assembly::new(known, 100);
        assembly.take(cluster(units), content)?;
        Ok(assembly.into_changed())
    }

    #[test]
    fn a_unit_that_did_not_change_is_the_one_that_is_there() {
        let first = taken(&FleetFiles::new(), vec![sent(1), sent(2)], b"abb").unwrap();
        let second = taken(&first, vec![sent(3), Unit::Kept(1)], b"ccc").unwrap();
        let (first, second) = (&first["app"], &second["app"]);
        assert!(Arc::ptr_eq(&first.units[1], &second.units[1]));
        let bytes: Vec<_> = second.sorted().into_iter().map(|(_, bytes)| bytes.to_vec()).collect();
        assert_eq!(bytes, [b"ccc".to_vec(), b"bb".to_vec()]);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let none = FleetFiles::new();
        for (units, content) in [
            (vec![sent(2)], &b"a"[..]),
            (vec![sent(1)], b"ab"),
            (vec![sent(usize::MAX)], b"a"),
            (vec![Unit::Kept(0)], b""),
            (vec![sent(200)], &[0; 200]),
        ] {
            assert_eq!(taken(&none, units, content).unwrap_err(), Malformed);
        }
    }
}
