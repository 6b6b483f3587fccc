//! What a pull request shows around its plan: where it comes from, where its files and its sibling are, and
//! how to take it back.
//!
//! Pure text, of a bounded length. Subjects and names come from commits, which anyone may write: in a body
//! they stand in code spans only, and a title has nothing in it that could be a mention, a reference or
//! markup.

mod by_hand;
mod foreign;
pub(super) mod text;

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

use renderer::path::GroupName;
use renderer::plan::{ApplicationSetting, Plan, markdown};
use renderer::visible::visible;
use serde::{Deserialize, Serialize};

use super::changes::GroupPlan;
use super::context::{Context, head_of};
use super::effects::{self, Shown};
use crate::git::{CommitSummary, FilesChanged, GitError, Repository, Revision};
use crate::http::Url;
use crate::percent::encoded_path;

use text::code;

/// How much of a body is kept for what stands around the plan, in characters.
const MARGIN: usize = 2_048;
/// How much of a subject, a name and a chart is shown, in characters.
const MAX_SHOWN: usize = 80;
/// How many charts are named.
const MAX_CHARTS: usize = 5;

/// Where a reader finds what a text is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::run) struct Links {
    /// The page of the repository, if the forge has pages.
    pub web: Option<String>,
    /// The base branch.
    pub branch: String,
    /// Where the service shows pages, if browsers are led there.
    pub pages: Option<String>,
}

/// All that a pull request of ours is described by.
pub(super) struct Description<'a> {
    pub planned: &'a GroupPlan,
    /// The groups, in the order of their release.
    pub order: &'a [GroupName],
    /// The tip of the base branch.
    pub base: Revision,
    /// The commit that the head was rendered from.
    pub source: Revision,
    /// The pull request in which this very plan was reviewed before its merge.
    pub reviewed: Option<u64>,
    /// The commits that took back what the plan puts there again.
    pub taken_back: &'a [FilesChanged],
    /// The commits that changed by hand what the plan puts back.
    pub drift: &'a [FilesChanged],
}

impl Description<'_> {
    /// Writes the title and the body, with what the change does to what runs if that is shown.
    pub(super) fn write(
        &self,
        run: &Context<'_>,
        effects: Option<&Shown>,
    ) -> Result<(String, Body), GitError> {
        let (repository, GroupPlan { group, files, plan }) = (run.repository(), self.planned);
        let commit = repository.commit_summary(self.source)?;
        let parents = repository.parents(self.source)?.len();
        let links = Links::of(run);
        let risks = links.risks(repository, self.base)?;
        let room = effects.map_or(0, |_| effects::MAX_TEXT);
        let limit = markdown::BODY_LIMIT - markdown::BODY_MARGIN - MARGIN - room;
        let title = subject(&format!("Render {group}"), &commit)
            .unwrap_or_else(|| markdown::title(plan, group.as_str()));
        let mut above = origin(&links, &commit);
        if let Some(number) = self.reviewed {
            let _ = writeln!(above, "This very change was read before the merge of #{number}.\n");
        }
        let mut body = markdown::body_within(plan, limit, risks.as_deref());
        body.push_str(&foreign::section(files));
        body.push_str(&by_hand::section(self.taken_back, self.drift, &links.branch));
        body.push_str(&ways(&links, &Turn::of(group, self.order), plan, self.source, parents));
        Ok((title, Body { above, below: body }))
    }
}

/// A body around what the change does to what runs.
pub(super) struct Body {
    above: String,
    below: String,
}

impl Body {
    /// Returns whether a body is this one, whatever it shows of what runs.
    pub(super) fn is_around(&self, body: &str) -> bool {
        let inner = body.strip_prefix(&self.above).and_then(|rest| rest.strip_suffix(&self.below));
        inner.is_some_and(|inner| !inner.is_empty())
    }

    pub(super) fn with(&self, effects: Option<&Shown>) -> String {
        let effects = effects.map(Shown::section).unwrap_or_default();
        format!("{}{effects}{}", self.above, self.below)
    }
}

/// A group between those right before and after it.
struct Turn<'a> {
    group: &'a GroupName,
    before: Option<&'a GroupName>,
    after: Option<&'a GroupName>,
}

impl<'a> Turn<'a> {
    fn of(group: &'a GroupName, order: &'a [GroupName]) -> Self {
        let at = order.iter().position(|other| other == group);
        let before = at.and_then(|at| order.get(at.checked_sub(1)?));
        Self { group, before, after: at.and_then(|at| order.get(at + 1)) }
    }
}

impl Links {
    pub(in crate::run) fn of(run: &Context<'_>) -> Self {
        let pages = run.settings.pages_url.as_ref().map(Url::to_string);
        Self { web: run.forge.web(), branch: run.settings.base.clone(), pages }
    }

    /// Returns where the risks are explained, if the repository has the page.
    pub fn risks(&self, repository: &Repository, revision: Revision) -> Result<Option<String>, GitError> {
        self.page(repository, revision, markdown::RISKS)
    }

    /// Returns where a page of the reference is, if the repository has it.
    pub fn page(
        &self,
        repository: &Repository,
        revision: Revision,
        page: &str,
    ) -> Result<Option<String>, GitError> {
        let is_there = repository.entry_at(revision, page)?.is_some();
        Ok(is_there.then(|| match &self.web {
            Some(web) => format!("{web}/blob/{}/{page}", encoded_path(&self.branch)),
            None => page.to_owned(),
        }))
    }

    /// Returns a link to the service's page of a pull request, by its number or, of one of ours, by its group.
    pub fn review(&self, of: impl Display) -> Option<String> {
        self.pages.as_ref().map(|pages| format!("[On a page]({pages}/reviews/{of})"))
    }

    pub fn commit(&self, revision: Revision) -> String {
        match &self.web {
            Some(web) => format!("[`{}`]({web}/commit/{revision})", revision.short()),
            None => format!("`{}`", revision.short()),
        }
    }
}

/// Returns a title: what is done, and the subject of a commit; nothing if no word of that can stand in one.
pub(super) fn subject(what: &str, commit: &CommitSummary) -> Option<String> {
    let is_plain = |c: char| c.is_alphanumeric() || " .,:;-_/+=()→'".contains(c);
    let visible = visible(&commit.title);
    let plain: String =
        visible.chars().filter(|c| *c != '#').map(|c| if is_plain(c) { c } else { ' ' }).collect();
    let subject = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let title = format!("{what}: {subject}");
    let is_whole = title.chars().count() <= markdown::TITLE_LIMIT;
    let cut =
        || title.chars().take(markdown::TITLE_LIMIT - 1).collect::<String>().trim_end().to_owned() + "…";
    subject.contains(char::is_alphanumeric).then(|| if is_whole { title.clone() } else { cut() })
}

/// Returns what comes before the plan: the commit that it was rendered from.
fn origin(links: &Links, source: &CommitSummary) -> String {
    let (subject, author) = (code(&source.title, MAX_SHOWN), code(&source.author.name, MAX_SHOWN));
    format!("Rendered from {}: {subject} by {author}.\n\n", links.commit(source.revision))
}

/// Returns what comes after the plan; a commit with several parents is reverted to the first of them.
fn ways(links: &Links, turn: &Turn<'_>, plan: &Plan, source: Revision, parents: usize) -> String {
    let (head, base) = (head_of(turn.group), &links.branch);
    let siblings = [(turn.before, "it goes first"), (turn.after, "it waits for this one")];
    let siblings = siblings.into_iter().filter_map(|(group, order)| Some((group?, order)));
    let mut text = "\n---\n\n".to_owned();
    if let Some(web) = &links.web {
        let _ = write!(text, "[All files]({web}/compare/{}...{head})", encoded_path(base));
        for (group, order) in siblings {
            let open = format!("{web}/pulls?q=is%3Apr+is%3Aopen+head%3A{}", head_of(group));
            let _ = write!(text, " · [Pull request of {group}]({open}), if there is one: {order}.");
        }
    } else {
        let _ = write!(text, "All files: {}.", markdown::code(&format!("git diff {base}...{head}")));
        for (group, order) in siblings {
            let list = "`fleetwright pulls list`";
            let _ = write!(text, " Pull request of {group}, if there is one: {list}; {order}.");
        }
    }
    if let Some(page) = links.review(turn.group) {
        let _ = write!(text, " · {page}.");
    }
    text.push('\n');
    text.push_str(&charts(plan));
    let mainline = if parents > 1 { "-m 1 " } else { "" };
    let _ = writeln!(
        text,
        "\nTo take this back after the merge, run `fleetwright rollback {}`; or revert what it was rendered from (`git revert {mainline}{}`) on {}, and merge the pull request \
         that follows. A revert of this one alone is proposed again.",
        source.short(),
        source.short(),
        code(base, MAX_SHOWN)
    );
    text
}

/// Names the repositories of the charts that change their versions, where their notes are.
fn charts(plan: &Plan) -> String {
    let changes = plan.files().flat_map(|file| &file.applications);
    let changes = changes.filter(|change| change.what == ApplicationSetting::Version);
    let charts: BTreeSet<(&str, &str)> = changes
        .filter_map(|change| Some((change.chart.as_deref()?, change.repository.as_deref()?)))
        .collect();
    let mut text = String::new();
    for (chart, repository) in charts.iter().take(MAX_CHARTS) {
        let _ = writeln!(
            text,
            "- chart {}: its notes are with {}",
            code(chart, MAX_SHOWN),
            code(repository, MAX_SHOWN)
        );
    }
    if charts.len() > MAX_CHARTS {
        let _ = writeln!(text, "- and {} more charts", charts.len() - MAX_CHARTS);
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use renderer::plan::{Facts, Published};

    use super::*;
    use crate::git::Signature;

    fn commit(title: &str, name: &str) -> CommitSummary {
        let by = Signature { name: name.into(), email: String::new(), seconds: 0, offset_minutes: 0 };
        let revision = Revision::parse(&"a1".repeat(20)).unwrap();
        CommitSummary { revision, title: title.into(), author: by.clone(), committer: by }
    }

    fn links(web: Option<&str>, branch: &str) -> Links {
        Links { web: web.map(str::to_owned), branch: branch.to_owned(), pages: None }
    }

    fn groups() -> [GroupName; 3] {
        ["control", "app", "rest"].map(|name| GroupName::parse(name).unwrap())
    }

    #[test]
    fn a_title_is_the_subject_without_what_could_be_a_mention_or_markup() {
        let title = |title: &str| subject("Render app", &commit(title, "Ann"));
        assert_eq!(
            title("Bump cert-manager to v1.22 (#12)").unwrap(),
            "Render app: Bump cert-manager to v1.22 (12)"
        );
        assert_eq!(title("@all: `x` <b>*y*</b> \u{202e}").unwrap(), "Render app: all: x b y /b u 202e");
        assert_eq!(title("Ünïcode").unwrap(), "Render app: Ünïcode");
        assert_eq!(title("@@@ ###"), None);
        assert_eq!(title(""), None);
        let long = title(&"word ".repeat(100)).unwrap();
        assert!(long.chars().count() <= markdown::TITLE_LIMIT && long.ends_with('…'), "{long}");
    }

    #[test]
    fn a_body_says_where_it_comes_from_and_how_it_is_taken_back() {
        let plan = renderer::plan::plan(&[], &Published::default(), Facts::default());
        let source = commit("Move `the` @hub", "Ann <b>");
        let github = links(Some("https://github.com/acme/fleet"), "main");
        let groups = groups();
        let turn = |at: usize| Turn::of(&groups[at], &groups[..2]);
        let text = |links: &Links| origin(links, &source) + &ways(links, &turn(1), &plan, source.revision, 1);
        assert_snapshot!(text(&github), @"
        Rendered from [`a1a1a1a`](https://github.com/acme/fleet/commit/a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1): ``Move `the` @hub`` by `Ann <b>`.


        ---

        [All files](https://github.com/acme/fleet/compare/main...fleetwright/app) · [Pull request of control](https://github.com/acme/fleet/pulls?q=is%3Apr+is%3Aopen+head%3Afleetwright/control), if there is one: it goes first.

        To take this back after the merge, run `fleetwright rollback a1a1a1a`; or revert what it was rendered from (`git revert a1a1a1a`) on `main`, and merge the pull request that follows. A revert of this one alone is proposed again.
        ");
        assert_snapshot!(text(&links(None, "release/`1`")), @"
        Rendered from `a1a1a1a`: ``Move `the` @hub`` by `Ann <b>`.


        ---

        All files: ``git diff release/`1`...fleetwright/app``. Pull request of control, if there is one: `fleetwright pulls list`; it goes first.

        To take this back after the merge, run `fleetwright rollback a1a1a1a`; or revert what it was rendered from (`git revert a1a1a1a`) on `` release/`1` ``, and merge the pull request that follows. A revert of this one alone is proposed again.
        ");
        let merge = ways(&github, &turn(0), &plan, source.revision, 2);
        assert!(
            merge.contains("git revert -m 1 a1a1a1a") && merge.contains("it waits for this one"),
            "{merge}"
        );
        let middle = ways(&links(None, "main"), &Turn::of(&groups[1], &groups), &plan, source.revision, 1);
        let first = "Pull request of control, if there is one: `fleetwright pulls list`; it goes first.";
        let last = "Pull request of rest, if there is one: `fleetwright pulls list`; it waits for this one.";
        assert!(middle.contains(&format!("{first} {last}")), "{middle}");
        let shown = Links { pages: Some("https://fleet.example.com".to_owned()), ..links(None, "main") };
        let shown = ways(&shown, &Turn::of(&groups[0], &groups[..1]), &plan, source.revision, 1);
        let line = "All files: `git diff main...fleetwright/control`. · [On a page](https://fleet.example.com/reviews/control).\n";
        assert!(shown.contains(line), "{shown}");
        let only = ways(&github, &Turn::of(&groups[0], &groups[..1]), &plan, source.revision, 1);
        assert!(!only.contains("Pull request of"), "{only}");
    }

    #[test]
    fn however_long_everything_is_the_text_is_bounded() {
        let plan = renderer::plan::plan(&[], &Published::default(), Facts::default());
        let (long, source) = ("`".repeat(500), commit(&"`".repeat(500), &"`".repeat(500)));
        let (links, groups) = (links(None, &long), groups());
        let text = origin(&links, &source)
            + &ways(&links, &Turn::of(&groups[1], &groups), &plan, source.revision, 1);
        assert!(text.chars().count() < MARGIN + 1_000, "{}", text.chars().count());
    }
}
