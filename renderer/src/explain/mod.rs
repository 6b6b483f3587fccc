//! Provenance, for people: from a rendered value to its lines, from a fact to what it reaches, from a template to what
//! uses it.

mod causes;
mod reach;
mod source;

use serde_json::Value as Json;

use crate::key_path::{Step, is_at_or_below, owned};
use crate::path::RepoPath;
use crate::provenance::{ClusterDocuments, add_facts, masked, templates, written_at};
use crate::render::Rendered;
use crate::templates::{MAX_SEARCH_STEPS, RenderBudget};
use crate::tree::leaves;

pub use crate::provenance::{FactLine, Influence, Provenance};
pub use crate::templates::TemplateLine;
pub(crate) use causes::Causes;
pub use causes::SourceLine;
pub use reach::{Group, Reach, Reached, grouped, reach};
pub use source::{Usage, usage};

/// Explains the value at `path` of a rendered file; nothing if the file or the path is not there.
///
/// Without a path every leaf of the file is explained. Where a file has several documents, `[n].` in front of the path
/// chooses one.
#[must_use]
pub fn explain(rendered: &Rendered, file: &RepoPath, path: Option<&str>) -> Option<Vec<Provenance>> {
    let scope = rendered.scope(rendered.cluster_of(file)?);
    let budget = RenderBudget::new(MAX_SEARCH_STEPS, &|_| true);
    let cluster = ClusterDocuments::new(&scope, &rendered.catalog, &budget);
    let units = templates(&rendered.catalog, &rendered.inventory, scope.cluster);
    let template = units.iter().flat_map(|unit| &unit.templates).find(|template| template.writes == *file)?;
    let file = cluster.of(template);
    let documents = file.render().ok()?;
    let mut found = Vec::new();
    for (document, value) in documents.iter().enumerate() {
        let paths = leaves(value).into_iter().map(|(steps, _)| owned(&steps));
        let wanted = paths.filter(|steps| path.is_none_or(|path| is_wanted(steps, document, path)));
        found.extend(wanted.map(|steps| written_at(file, document, &steps)));
    }
    add_facts(file, &documents, &mut found);
    for provenance in &mut found {
        let value = documents[provenance.document].at(&provenance.path);
        provenance.value = value.map_or(Json::Null, |value| masked(&value.to_json(), &provenance.path));
    }
    (!found.is_empty()).then_some(found)
}

fn is_wanted(steps: &[Step], document: usize, path: &str) -> bool {
    let in_document = path.strip_prefix(&format!("[{document}]"));
    let rest = in_document.map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    is_at_or_below(steps, path) || rest.is_some_and(|path| is_at_or_below(steps, path))
}
