//! The fleet as a Mermaid diagram: hubs with their addresses, spokes, and what flows between them.
//!
//! Drawn from what was rendered, so that an arrow is a value in some file. Spokes that are alike are drawn as one, and
//! the size is bounded: a fleet of thousands still fits a page.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use renderer::inventory::Cluster;
use renderer::network::{Address, host_and_port};
use renderer::plural::{counted, listed};
use renderer::render::Rendered;

/// How many hubs, and how many kinds of spokes of each, are drawn.
const MAX_DRAWN: usize = 12;
/// How many clusters of a kind are named.
const MAX_NAMED: usize = 3;

/// Draws a fleet; equal fleets give equal texts.
pub(super) fn diagram(rendered: &Rendered) -> String {
    let mut drawing = Drawing { rendered, text: "flowchart LR\n".to_owned() };
    let clusters = || rendered.clusters.keys().map(|name| rendered.inventory.clusters[name].as_ref());
    let hubs: Vec<&Cluster> = clusters().filter(|cluster| cluster.is_hub()).collect();
    for (number, hub) in hubs.iter().take(MAX_DRAWN).enumerate() {
        let spokes = clusters().filter(|cluster| cluster.hub == hub.name && !cluster.is_hub()).collect();
        drawing.hub(&format!("hub{}", number + 1), hub, spokes);
    }
    drawing.more(1, "more", hubs.len().saturating_sub(MAX_DRAWN), "more hub", "");
    drawing.machines();
    drawing.text
}

struct Drawing<'a> {
    rendered: &'a Rendered,
    text: String,
}

/// What distinguishes kinds of spokes: the role, and what is sent where.
type SpokeKind<'a> = (&'static str, BTreeSet<(&'a str, &'a str)>);

impl Drawing<'_> {
    fn line(&mut self, depth: usize, line: &str) {
        let _ = writeln!(self.text, "{}{line}", "    ".repeat(depth));
    }

    /// Draws a node that counts what is not drawn, if there is anything.
    fn more(&mut self, depth: usize, id: &str, count: usize, noun: &str, how: &str) {
        if count > 0 {
            self.line(depth, &format!("{id}[\"{}{how}\"]", counted(count, noun)));
        }
    }

    fn hub(&mut self, id: &str, hub: &Cluster, spokes: Vec<&Cluster>) {
        self.line(
            1,
            &format!("subgraph {id} [\"{}: {}\"]", quoted(hub.name.as_str()), hub.facts.role.as_str()),
        );
        for (number, (name, address)) in hub.facts.addresses.iter().enumerate() {
            self.line(2, &format!("{id}a{}[\"{}<br>{address}\"]", number + 1, quoted(name)));
        }
        if hub.facts.addresses.is_empty() {
            self.line(2, &format!("{id}a0[\"no addresses\"]"));
        }
        self.line(1, "end");
        let mut kinds: BTreeMap<SpokeKind<'_>, Vec<&Cluster>> = BTreeMap::new();
        let rendered = self.rendered;
        for spoke in spokes {
            let sends = rendered.clusters[&spoke.name].sends().collect();
            kinds.entry((spoke.facts.role.as_str(), sends)).or_default().push(spoke);
        }
        let more: usize = kinds.values().skip(MAX_DRAWN).map(Vec::len).sum();
        for (number, (kind, clusters)) in kinds.iter().take(MAX_DRAWN).enumerate() {
            self.spokes(&format!("{id}s{}", number + 1), (id, hub), kind, clusters);
        }
        self.more(1, &format!("{id}more"), more, "more cluster", ", each sending in its own way");
    }

    fn spokes(
        &mut self,
        id: &str,
        (hub_id, hub): (&str, &Cluster),
        kind: &SpokeKind<'_>,
        clusters: &[&Cluster],
    ) {
        let (role, sends) = kind;
        self.line(
            1,
            &format!("{id}[\"{}: {role}\"]", listed(clusters.iter().map(|cluster| &cluster.name), MAX_NAMED)),
        );
        self.line(1, &format!("{hub_id} -. \"Argo CD deploys\" .-> {id}"));
        for (what, url) in sends {
            let to = self.receiver(hub_id, hub, url);
            let port = host_and_port(url).1.map(|port| format!(" :{port}")).unwrap_or_default();
            self.line(1, &format!("{id} -- \"{what}{port}\" --> {to}"));
        }
    }

    /// Returns the node that stands for where a URL leads: an address of the hub, a machine, or a place of its own.
    fn receiver(&self, hub_id: &str, hub: &Cluster, url: &str) -> String {
        let (host, _) = host_and_port(url);
        let is_it = |address: &Address| host.parse() == Ok(*address);
        if let Some(number) = hub.facts.addresses.values().position(is_it) {
            return format!("{hub_id}a{}", number + 1);
        }
        let machines = &self.rendered.inventory.fleet.facts.machines;
        match machines.values().position(|machine| is_it(&machine.address)) {
            Some(number) => format!("machine{}", number + 1),
            None => format!("{}[\"{}\"]", id_of(host), quoted(host)),
        }
    }

    fn machines(&mut self) {
        let machines = &self.rendered.inventory.fleet.facts.machines;
        if machines.is_empty() {
            return;
        }
        self.line(1, "subgraph machines [\"machines outside the clusters\"]");
        for (number, (name, machine)) in machines.iter().take(MAX_DRAWN).enumerate() {
            self.line(2, &format!("machine{}[\"{}<br>{}\"]", number + 1, quoted(name), machine.address));
        }
        self.more(2, "machines_more", machines.len().saturating_sub(MAX_DRAWN), "more machine", "");
        self.line(1, "end");
    }
}

/// A node of its own for what is not in the inventory, the same wherever it is named.
fn id_of(host: &str) -> String {
    let letters = host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("at_{}", letters.collect::<String>())
}

/// Names from people may hold what Mermaid would read as its own.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' => "#quot;".to_owned(),
        '#' => "#35;".to_owned(),
        '<' => "#lt;".to_owned(),
        '>' => "#gt;".to_owned(),
        c => c.to_string(),
    });
    escaped.collect()
}
