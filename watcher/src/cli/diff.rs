//! `fleetwright diff`: what a change of templates or facts does to the rendered files.

use renderer::plan::{self, Plan, markdown, text};
use renderer::render::{Rendered, Renderer};

use super::{Global, painted, print_json, print_text};
use crate::error::CommandError;
use crate::git::{BlobCache, Repository};
use crate::output::Exit;
use crate::run::changes;
use crate::working_tree::read_working_tree;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The revision to compare with.
    #[arg(default_value = "HEAD")]
    base: String,
    /// The revision to show; the working tree if left out.
    head: Option<String>,
    /// Show every file and every change, nothing folded.
    #[arg(long)]
    full: bool,
    /// Print the body of a pull request.
    #[arg(long, conflicts_with = "full")]
    markdown: bool,
    /// End with exit code 3 if there is a change.
    #[arg(long)]
    exit_code: bool,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let repository = Repository::open(&global.repo)?;
    let mut renderer = Renderer::new();
    let mut cache = BlobCache::default();
    let mut at = |name: &str| -> Result<Rendered, CommandError> {
        let revision = repository.resolve(name)?;
        let (snapshot, problems) = repository.snapshot(revision, &mut cache)?;
        global.render(&mut renderer, &snapshot, problems)
    };
    let base = at(&args.base)?;
    let head = match &args.head {
        Some(head) => at(head)?,
        None => {
            let (snapshot, problems) = read_working_tree(repository.working_tree().unwrap_or(&global.repo))?;
            global.render(&mut renderer, &snapshot, problems)?
        }
    };
    let plan = plan::plan(&changes::between(&base, &head), &changes::published(&base));
    show(global, args, &plan);
    Ok(if args.exit_code && !plan.is_empty() { Exit::Changes } else { Exit::Done })
}

fn show(global: &Global, args: &Args, plan: &Plan) {
    if global.is_json() {
        print_json(plan);
    } else if args.markdown {
        print_text(&markdown::body(plan));
    } else {
        let lines = if args.full { text::full(plan) } else { text::summary(plan) };
        print_text(&painted(&lines));
    }
}
