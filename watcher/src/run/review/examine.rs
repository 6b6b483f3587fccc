//! Examining: both ends of a pull request are rendered and compared, with each other and with what is committed.
//!
//! Everything here follows from the repository alone, and asks no forge.

use std::collections::BTreeSet;

use renderer::path::ClusterName;
use renderer::plan::html::{self, About, Sources};
use renderer::plan::{self, Facts, Plan};
use renderer::problem::Problem;
use renderer::render::Rendered;

use super::edits;
use super::page::Page;
use super::question::{Question, Subject};
use crate::git::{GitError, Repository, Revision};
use crate::run::changes::{self, GroupPlan};
use crate::run::effects::Shown;

/// How large what is rendered of one side may grow: ten times a fleet of 1,000 clusters.
pub(in crate::run) const MAX_RENDERED_BYTES: usize = 512 << 20;

/// What one revision renders to, or every problem in it.
pub(in crate::run) type Side = Result<Rendered, Vec<Problem>>;

/// Finds out what a pull request changes, by rendering its head and what it started from, and writes it down.
pub(in crate::run) fn examine(
    repository: &Repository,
    question: &Question,
    mut render: impl FnMut(Revision) -> Result<Side, GitError>,
) -> Result<Page, GitError> {
    let Subject { base, head } = question.subject;
    let differences = repository.rendered_differences(base, head)?;
    if differences.is_empty() && repository.has_same_inputs(base, head)? {
        return Ok(Page::untouched());
    }
    let risks = question.links.risks(repository, base)?;
    let base = if question.is_base_unrenderable { Err(Vec::new()) } else { render(base)? };
    let head = render(head)?;
    let edits = edits::find(repository, &differences, base.as_ref().ok(), head.as_ref().ok())?;
    let page = match (&base, &head) {
        (base, Err(problems)) => {
            let known = base.as_ref().err().into_iter().flatten();
            let known: BTreeSet<_> = known.map(|problem| (&problem.place, &problem.message)).collect();
            let is_known = |problem: &&Problem| known.contains(&(&problem.place, &problem.message));
            let inherited = problems.iter().filter(is_known).count();
            Page::broken(problems, inherited, &question.links.branch, &edits)
        }
        (Err(_), Ok(head)) => Page::fixed(&head.tree_digest()),
        (Ok(base), Ok(head)) => {
            let (plan, groups) = plans(base, head);
            let html = question.makes_page.then(|| html(question, &plan, base, head));
            let tree = head.tree_digest();
            Page::compared(question, (&plan, &groups), &tree, &edits, risks.as_deref()).with_html(html)
        }
    };
    Ok(page.with_edits(&edits, risks.as_deref()))
}

/// Writes the page of a plan for browsers.
fn html(question: &Question, plan: &Plan, base: &Rendered, head: &Rendered) -> String {
    let Subject { base: from, head: to } = question.subject;
    let lines = vec![format!("From {} to {}", from.short(), to.short())];
    let title = "What this pull request changes".to_owned();
    let effects = question.effects.as_ref().map(Shown::page_lines).unwrap_or_default();
    html::review(plan, &About { title, lines, effects }, &Sources::find(plan, base, head))
}

/// Returns what changes, and what changes of each group of which anything does, as the run after the merge
/// will plan it.
fn plans(base: &Rendered, head: &Rendered) -> (Plan, Vec<GroupPlan>) {
    let (changes, published) = (changes::between(base, head), changes::published(base));
    let facts = Facts::between(&base.inventory, &head.inventory);
    let group_of =
        |name: &ClusterName| head.inventory.group_of(name).or_else(|| base.inventory.group_of(name));
    let plan = plan::plan(&changes, &published, facts.clone());
    let order = head.inventory.fleet.facts.groups.names();
    let mut groups = changes::by_group(&order, changes, &published, &facts, group_of);
    groups.retain(|planned| !planned.plan.is_empty());
    (plan, groups)
}
