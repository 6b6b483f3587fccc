//! Two clusters and an Argo CD to try something on by hand: `cargo run -p testkit --example rig`.
//!
//! Prints where they are, and ends them with its input (Ctrl-D).

use std::io::{Read as _, stdin};

use anyhow::Result;
use testkit::real::{ARGO_CD_NAMESPACE, Rig};

fn main() -> Result<()> {
    let rig = Rig::start()?;
    rig.control.client().apply(&rig.registration(), ARGO_CD_NAMESPACE)?;
    println!("export KUBECONFIG={}", rig.kubeconfig().display());
    println!("# contexts `control` and `app`; Argo CD without a login: {}", rig.argo_cd.url());
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
