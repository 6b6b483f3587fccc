//! `fleetwright diff`: what an edit of templates or facts changes in the rendered files.

use renderer::plan::html::{self, About, Sources};
use renderer::plan::{self, Digest, Facts, Overview, Plan, markdown, text};
use renderer::render::{Rendered, Renderer};
use serde::Serialize;

use super::options::{Format, ProfileArgs};
use super::{Global, print_json, print_lines, print_page, print_text};
use crate::error::CommandError;
use crate::git::{BlobCache, Repository};
use crate::output::Exit;
use crate::run::changes;
use crate::working_tree::read_working_tree;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The revision to compare with: a branch, a tag, a commit id or an expression such as `main~2`; or a range,
    /// `A..B`, or `A...B` from their merge base.
    #[arg(default_value = "HEAD")]
    base: String,
    /// The revision to show; the default is the working tree.
    head: Option<String>,
    /// Show every file and every change, without folding.
    #[arg(long)]
    full: bool,
    /// Print the body of the pull request.
    #[arg(long, conflicts_with_all = ["full", "format"])]
    markdown: bool,
    /// Exit with code 3 if there is a change.
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    profile: ProfileArgs,
}

/// The plan as JSON, with what is folded out of it for people.
#[derive(Serialize)]
struct Document<'a> {
    digest: Digest,
    #[serde(flatten)]
    overview: Overview,
    plan: &'a Plan,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let repository = Repository::open(&global.repo)?;
    let mut renderer = Renderer::new();
    let mut cache = BlobCache::default();
    let mut at = |name: &str| -> Result<Rendered, CommandError> {
        let (snapshot, problems) = repository.snapshot(repository.resolve(name)?, &mut cache)?;
        let snapshot = args.profile.chosen(snapshot)?;
        global.render(&mut renderer, &snapshot, problems).map_err(|error| in_revision(error, name))
    };
    let (base_name, head_name) = ends(&repository, args)?;
    let base = at(&base_name)?;
    let head = if let Some(head) = &head_name {
        at(head)?
    } else {
        let top = repository.working_tree().ok_or_else(|| repository.without_working_tree())?;
        let (snapshot, problems) = read_working_tree(top)?;
        global.render(&mut renderer, &args.profile.chosen(snapshot)?, problems)?
    };
    let facts = Facts::between(&base.inventory, &head.inventory);
    let plan = plan::plan(&changes::between(&base, &head), &changes::published(&base), facts);
    if global.format == Format::Html {
        let sources = Sources::find(&plan, &base, &head);
        let head_name = head_name.as_deref().unwrap_or("the working tree");
        let lines = vec![format!("From {base_name} to {head_name}")];
        let title = "What changes".to_owned();
        print_page(&html::review(&plan, &About { title, lines }, &sources));
    } else {
        show(global, args, &plan);
    }
    Ok(if args.exit_code && !plan.is_empty() { Exit::Changes } else { Exit::Done })
}

/// Returns what to compare, as `git diff` takes it: two revisions, a range, or one revision and the working tree.
fn ends(repository: &Repository, args: &Args) -> Result<(String, Option<String>), CommandError> {
    let Some((base, dots, head)) = range(&args.base) else {
        return match args.head.as_deref().map(|head| (head, range(head))) {
            Some((head, Some(_))) => Err(not_beside(head)),
            head => Ok((args.base.clone(), head.map(|(head, _)| head.to_owned()))),
        };
    };
    if args.head.is_some() {
        return Err(not_beside(&args.base));
    }
    let named = |end: &str| if end.is_empty() { "HEAD".to_owned() } else { end.to_owned() };
    let (base, head) = (named(base), named(head));
    if dots == "..." {
        let (one, two) = (repository.resolve(&base)?, repository.resolve(&head)?);
        let shared = repository.merge_base(one, two)?.ok_or_else(|| unrelated(&base, &head))?;
        return Ok((shared.to_string(), Some(head)));
    }
    Ok((base, Some(head)))
}

/// Splits a range at its dots. No name of a ref has two in a row, but the text of an expression such as `main^{/a..b}`
/// may.
fn range(text: &str) -> Option<(&str, &str, &str)> {
    let is_outside = |at: &usize| text[..*at].matches('{').count() <= text[..*at].matches('}').count();
    let at = text.match_indices("..").map(|(at, _)| at).find(is_outside)?;
    let dots = if text[at..].starts_with("...") { "..." } else { ".." };
    Some((&text[..at], dots, &text[at + dots.len()..]))
        .filter(|(base, _, head)| !(base.is_empty() && head.is_empty()))
}

fn not_beside(range: &str) -> CommandError {
    let range = range.escape_debug();
    CommandError::usage(
        format!("the range `{range}` names both revisions already"),
        "leave out the other revision, or write `BASE HEAD`",
    )
}

fn unrelated(one: &str, two: &str) -> CommandError {
    let (one, two) = (one.escape_debug(), two.escape_debug());
    let hint = format!(
        "compare both as they are with `fleetwright diff {one}..{two}`; \
         a shallow clone may lack the commit: `git fetch --unshallow`"
    );
    CommandError::usage(format!("`{one}` and `{two}` have no commit in common"), hint)
}

/// Names the revision that has the problems, since they are not in the files of the working tree.
fn in_revision(error: CommandError, name: &str) -> CommandError {
    match error {
        CommandError::Problems { problems } => {
            CommandError::ProblemsIn { revision: name.escape_debug().to_string(), problems }
        }
        other => other,
    }
}

fn show(global: &Global, args: &Args, plan: &Plan) {
    if global.is_json() {
        print_json(&Document { digest: plan.digest(), overview: plan.overview(), plan });
    } else if args.markdown {
        print_text(&markdown::body(plan));
    } else {
        let lines = if args.full { text::full(plan) } else { text::summary(plan) };
        print_lines(&lines);
    }
}
