//! `fleetwright diff`: what an edit of templates or facts changes in the rendered files.

use std::io::{self, IsTerminal as _};
use std::iter;

use renderer::effects::{self, Effects};
use renderer::plan::html::{self, About, Sources};
use renderer::plan::text::{Line, LineKind};
use renderer::plan::{Digest, Facts, Overview, Plan, markdown, text};
use renderer::plural::counted;
use renderer::render::Rendered;
use serde::Serialize;

use super::options::{Format, HelmArgs, ProfileArgs, renderer};
use super::{Global, print_json, print_lines, print_page, print_report, print_text};
use crate::charts::ChartError;
use crate::error::CommandError;
use crate::git::{BlobCache, Repository};
use crate::helm::{Bound, Extent, Found, Side};
use crate::output::Exit;
use crate::run::changes;
use crate::working_tree::{read_working_tree, standing};

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
    objects: ObjectArgs,
    #[command(flatten)]
    profile: ProfileArgs,
}

#[derive(Debug, clap::Args)]
struct ObjectArgs {
    /// Show what becomes of the final objects, and what that does to what runs, too.
    #[arg(long)]
    manifests: bool,
    #[command(flatten)]
    helm: HelmArgs,
}

/// The plan as JSON, with what is folded out of it for people.
#[derive(Serialize)]
struct Document<'a> {
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    effects: Option<&'a Effects>,
    #[serde(flatten)]
    overview: Overview,
    plan: &'a Plan,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let repository = Repository::open(&global.repo)?;
    let mut renderer = renderer();
    let mut cache = BlobCache::default();
    let mut at = |name: &str| -> Result<Rendered, CommandError> {
        let (snapshot, problems) = repository.snapshot(repository.resolve(name)?, &mut cache)?;
        let snapshot = args.profile.chosen(snapshot)?;
        global
            .render_whole(&mut renderer, &snapshot, problems, &args.objects.helm)
            .map_err(|error| in_revision(error, name))
    };
    let (base_name, head_name) = ends(&repository, args)?;
    let mut base = at(&base_name)?;
    let mut head = if let Some(head) = &head_name {
        at(head)?
    } else {
        let top = repository.working_tree().ok_or_else(|| repository.without_working_tree())?;
        let (snapshot, problems) = read_working_tree(top)?;
        global.render_whole(&mut renderer, &args.profile.chosen(snapshot)?, problems, &args.objects.helm)?
    };
    let facts = Facts::between(&base.inventory, &head.inventory);
    let names = [Some(&*base_name), head_name.as_deref()];
    let mut effects = args.objects.effects(global, &repository, names, [&mut base, &mut head], &facts)?;
    let plan = changes::plan_between(&base, &head, facts);
    if let Some(effects) = &mut effects {
        effects::name_lines(effects, &plan, &base, &head);
    }
    if global.format == Format::Html {
        let sources = Sources::find(&plan, &base, &head);
        let head_name = head_name.as_deref().unwrap_or("the working tree");
        let lines = vec![format!("From {base_name} to {head_name}")];
        let title = "What changes".to_owned();
        let effects = effects.as_ref().map(|effects| args.lines(effects)).unwrap_or_default();
        print_page(&html::review(&plan, &About { title, lines, effects }, &sources));
    } else {
        show(global, args, &plan, effects.as_ref());
    }
    let has_changes = !plan.is_empty() || effects.is_some_and(|effects| !effects.is_empty());
    Ok(if args.exit_code && has_changes { Exit::Changes } else { Exit::Done })
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

fn show(global: &Global, args: &Args, plan: &Plan, effects: Option<&Effects>) {
    if global.is_json() {
        print_json(&Document { digest: plan.digest(), effects, overview: plan.overview(), plan });
    } else if args.markdown {
        print_text(&body(plan, effects));
    } else {
        let mut lines = effects.map(|effects| args.lines(effects)).unwrap_or_default();
        lines.extend(effects.map(|_| Line { kind: LineKind::Plain, text: String::new() }));
        // A chart in a folder of the repository changes objects without any of them.
        lines.extend(match effects {
            Some(effects) if plan.is_empty() && !effects.is_empty() => {
                vec![Line { kind: LineKind::Plain, text: "No rendered file changes.".to_owned() }]
            }
            _ if args.full => text::full(plan),
            _ => text::summary(plan),
        });
        print_lines(&lines);
    }
}

/// Writes the body of the pull request: what the change does to what runs comes first, in half of the room.
fn body(plan: &Plan, effects: Option<&Effects>) -> String {
    let Some(effects) = effects else { return markdown::body(plan) };
    let room = (markdown::BODY_LIMIT - markdown::BODY_MARGIN) / 2;
    let effects = effects::markdown(effects, room, Some(effects::EFFECTS));
    format!("{effects}\n{}", markdown::body_within(plan, room - 1, Some(markdown::RISKS)))
}

/// Reads the Applications of a revision, or of the working tree without a name, and what they name of the repository.
fn side<'r>(
    repository: &Repository,
    name: Option<&str>,
    rendered: &'r mut Rendered,
) -> Result<Side<'r>, CommandError> {
    if let Some(name) = name {
        let revision = repository.resolve(name)?;
        return Ok(Side::read(rendered, |path, room| repository.standing(revision, path, room))?);
    }
    let top = repository.working_tree().ok_or_else(|| repository.without_working_tree())?;
    Ok(Side::read(rendered, |path, room| standing(top, path, room))?)
}

/// Shows on a terminal what is known after one of each kind of change, since the others of a large fleet take minutes.
fn show_first(found: &Found) {
    if !io::stderr().is_terminal() {
        return;
    }
    let lines = effects::summary(&found.effects);
    let problems = [&*found.problems, &*found.judged].concat();
    let problems = problems.iter().map(|problem| format!("error: {problem}"));
    let lines = lines.into_iter().map(|line| line.text).chain(problems);
    let Extent { applications, late, .. } = found.extent;
    let done = applications - late;
    let so_far =
        format!("So far, one of each kind of change, {done} of {}:", counted(applications, "Application"));
    print_report(&iter::once(so_far).chain(lines).collect::<Vec<_>>().join("\n"));
}

impl Args {
    fn lines(&self, effects: &Effects) -> Vec<Line> {
        if self.full { effects::full(effects) } else { effects::summary(effects) }
    }
}

impl ObjectArgs {
    /// Makes the final objects of what differs, if they are asked for, and compares them.
    fn effects(
        &self,
        global: &Global,
        repository: &Repository,
        names: [Option<&str>; 2],
        [base, head]: [&mut Rendered; 2],
        facts: &Facts,
    ) -> Result<Option<Effects>, CommandError> {
        if !self.manifests {
            return Ok(None);
        }
        let making = self.helm.making()?;
        let sides = [side(repository, names[0], base)?, side(repository, names[1], head)?];
        let progress = global.progress("charts");
        let found = making.effects(sides.each_ref(), facts, Bound::NONE, &progress, &|first| {
            progress.beside(|| show_first(&first));
        });
        drop(progress);
        if !found.absent.is_empty() {
            return Err(ChartError::absent(found.absent.into_values().collect()).into());
        }
        let problems = [found.problems, found.judged].concat();
        if !problems.is_empty() {
            return Err(CommandError::Problems { problems });
        }
        found.unread.iter().for_each(|reason| print_report(&format!("note: {reason}")));
        Ok(Some(found.effects))
    }
}
