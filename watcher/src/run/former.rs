//! Groups that are no more: what is left of them is closed, and nothing else below our prefix is touched.

use std::collections::BTreeMap;

use renderer::path::GroupName;

use super::context::{BRANCH_PREFIX, Context, head_of};
use crate::forge::ForgeError;
use crate::git::Revision;

/// Returns the groups that are not in the order any more and whose head branches are still there.
///
/// A branch counts if the newest pull request of it says itself that it is the group's. Whose the tip is has to be
/// proven all the same before anything is done about it.
pub(super) fn groups(
    run: &Context<'_>,
    refs: &BTreeMap<String, Revision>,
    order: &[GroupName],
) -> Result<Vec<GroupName>, ForgeError> {
    let prefix = format!("refs/heads/{BRANCH_PREFIX}");
    let names = refs.keys().filter_map(|name| GroupName::parse(name.strip_prefix(&prefix)?).ok());
    let mut former = Vec::new();
    for group in names.filter(|group| !order.contains(group)) {
        let pulls = run.forge.of_head(&head_of(&group))?;
        if pulls.last().is_some_and(|pull| pull.proposal.group == group.as_str()) {
            former.push(group);
        }
    }
    Ok(former)
}
