//! Which hubs of a fleet are asked: the one that was named, and each other one by the context of the kubeconfig that has
//! its name.

use std::time::Duration;

use futures::future::join_all;
use renderer::path::ClusterName;
use renderer::plural::quoted;

use super::View;
use crate::argocd::{ApplicationSet, DesiredFleet, HubFleet, Unasked};
use crate::cluster::{Client, ClusterError, ClusterErrorKind};
use crate::error::CommandError;
use crate::events::Cancel;

/// The hubs of a fleet, each with what is for it.
pub struct Hubs<T = View> {
    /// Those that are asked, the one that was named first.
    pub asked: Vec<(HubFleet, T)>,
    /// Those that are not, and why.
    unasked: Vec<(HubFleet, ClusterError)>,
}

impl Hubs<Client> {
    /// Finds the hub that a client leads to, and no other.
    pub async fn named(client: &Client, mut fleet: DesiredFleet) -> Result<HubFleet, CommandError> {
        let at = hub_of(client, &fleet).await?;
        Ok(fleet.hubs.remove(at))
    }

    /// Finds the hubs that can be asked: that of a client, and those that have a context of their name.
    pub async fn reach(named: Client, mut fleet: DesiredFleet) -> Result<Self, CommandError> {
        let first = hub_of(&named, &fleet).await?;
        let mut hubs = Self { asked: vec![(fleet.hubs.remove(first), named)], unasked: Vec::new() };
        for fleet in fleet.hubs {
            match other(&fleet).await {
                Ok(client) => hubs.asked.push((fleet, client)),
                Err(error) => hubs.unasked.push((fleet, error)),
            }
        }
        Ok(hubs)
    }
}

impl Hubs {
    /// Starts to watch the hubs that can be asked. That the one that was named sends nothing for as long as `longest` is an
    /// error.
    pub async fn watch(
        named: Client,
        fleet: DesiredFleet,
        longest: Duration,
        cancel: &Cancel,
    ) -> Result<Self, CommandError> {
        let watched = async {
            let Hubs { asked, unasked } = Hubs::reach(named, fleet).await?;
            let views = asked.into_iter().map(async |(fleet, client)| {
                let view = View::start(client, fleet.namespace(), longest).await;
                (fleet, view)
            });
            Ok::<_, CommandError>((join_all(views).await, unasked))
        };
        let (views, unasked) = cancel.during(watched).await??;
        let mut hubs = Self { asked: Vec::new(), unasked };
        for (fleet, view) in views {
            match view {
                Ok(view) => hubs.asked.push((fleet, view)),
                Err(error) if hubs.asked.is_empty() => return Err(error.into()),
                Err(error) => hubs.unasked.push((fleet, error)),
            }
        }
        Ok(hubs)
    }
}

impl<T> Hubs<T> {
    /// Fails if a hub that has a context does not answer: what it runs counts, and is not known.
    pub fn all(self) -> Result<Self, CommandError> {
        let silent = |(_, error): &&(HubFleet, ClusterError)| error.kind != ClusterErrorKind::Unconfigured;
        match self.unasked.iter().find(silent) {
            Some((_, error)) => Err(error.clone().into()),
            None => Ok(self),
        }
    }

    /// Returns the hubs that are not asked and run something of a group, or of any.
    #[must_use]
    pub fn unasked(&self, group: Option<&str>) -> Vec<Unasked> {
        self.unasked.iter().filter_map(|(fleet, error)| unasked(fleet, group, error)).collect()
    }
}

/// Returns which of a fleet's hubs a client leads to: of several, the one that its context is called, or else the one whose
/// `ApplicationSet` is there.
pub(super) async fn hub_of(client: &Client, fleet: &DesiredFleet) -> Result<usize, CommandError> {
    if fleet.hubs.len() < 2 {
        return Ok(0);
    }
    let name = |fleet: &HubFleet| fleet.hub.as_ref().map(ToString::to_string).unwrap_or_default();
    if let Some(context) = client.context()
        && let Some(named) = fleet.hubs.iter().position(|hub| name(hub) == context)
    {
        return Ok(named);
    }
    let mut there = Vec::new();
    for (at, hub) in fleet.hubs.iter().enumerate() {
        if client.get::<ApplicationSet>(hub.namespace(), &name(hub)).await?.is_some() {
            there.push(at);
        }
    }
    match there[..] {
        [one] => Ok(one),
        _ => Err(CommandError::usage(
            format!("it is not clear which hub this is: {}", quoted(fleet.hubs.iter().map(name))),
            "name the context of one of them with `--context NAME`; a hub is known by its ApplicationSet",
        )),
    }
}

/// Returns the client of a hub that was not named.
pub(super) async fn other(fleet: &HubFleet) -> Result<Client, ClusterError> {
    let client = Client::connect(fleet.hub.as_ref().map(ClusterName::as_str)).await?;
    if client.is_anonymous() { Err(ClusterError::anonymous(client.place())) } else { Ok(client) }
}

/// Returns a hub as one that is not asked; nothing if it runs nothing of a group.
pub(super) fn unasked(fleet: &HubFleet, group: Option<&str>, error: &ClusterError) -> Option<Unasked> {
    let hub = fleet.hub.clone()?;
    let clusters: Vec<_> = fleet.clusters(group).into_iter().map(str::to_owned).collect();
    let reason = match error.kind {
        ClusterErrorKind::Unconfigured => format!("the merge counts: {hub} is not asked: {error}"),
        _ => format!("not known: {error}"),
    };
    (!clusters.is_empty()).then_some(Unasked { hub, clusters, reason })
}
