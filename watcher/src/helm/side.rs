//! One side of a change: what is rendered, and the Applications in it with what they read of the repository.

use std::collections::BTreeSet;
use std::convert::Infallible;

use rayon::prelude::*;
use renderer::beside::Standing;
use renderer::deployed::{Deployed, deployed};
use renderer::path::RepoPath;
use renderer::render::Rendered;

use crate::beside::Room;

/// A rendering with its Applications.
#[derive(Debug)]
pub struct Side<'r> {
    /// The rendering.
    pub rendered: &'r Rendered,
    pub(super) deployed: Vec<Deployed>,
}

impl<'r> Side<'r> {
    /// Reads the Applications of a rendering alone: what they name of the repository beside it is not read.
    pub fn of_rendered(rendered: &'r mut Rendered) -> Self {
        let refused = |_: &RepoPath, _: &mut Room| {
            Ok::<_, Infallible>(Standing::Refused("no objects are published from".to_owned()))
        };
        let Ok(side) = Self::read(rendered, refused);
        side
    }

    /// Reads the Applications of a rendering, and by `look` what they name of the repository beside what is rendered.
    pub fn read<E>(
        rendered: &'r mut Rendered,
        mut look: impl FnMut(&RepoPath, &mut Room) -> Result<Standing, E>,
    ) -> Result<Self, E> {
        let (clusters, mut room) = (rendered.clusters.clone(), Room::default());
        let mut read: Vec<_> =
            clusters.par_iter().map(|(_, cluster)| (cluster, deployed(rendered, cluster))).collect();
        loop {
            let lacks = read.iter().flat_map(|(_, deployed)| deployed).flat_map(Deployed::lacks);
            let lacks: BTreeSet<RepoPath> = lacks.cloned().collect();
            if lacks.is_empty() {
                break;
            }
            for path in lacks {
                let standing = look(&path, &mut room)?;
                rendered.beside.insert(path, standing);
            }
            let lacking =
                |(_, all): &&mut (_, Vec<Deployed>)| all.iter().any(|it| it.lacks().next().is_some());
            let again: Vec<_> = read.iter_mut().filter(lacking).collect();
            again.into_par_iter().for_each(|(cluster, all)| *all = deployed(rendered, cluster));
        }
        Ok(Self { rendered, deployed: read.into_iter().flat_map(|(_, deployed)| deployed).collect() })
    }
}
