//! `fleetwright watch`: renders on every save.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use renderer::render::Renderer;
use tokio::sync::mpsc;

use super::options::HelmArgs;
use super::runtime::until_stopped;
use super::{Exit, Global, print_report, print_text, render};
use crate::backoff::Backoff;
use crate::error::CommandError;
use crate::events::files::{self, Places};
use crate::events::{Cancel, Event, Outcome, Queue, Settings, dispatch};
use crate::service::failure;
use crate::working_tree::{Written, read_working_tree};

/// An editor's save is over after this time, and a person waits for the result.
const SETTINGS: Settings = Settings {
    quiet: Duration::from_millis(50),
    max_wait: Duration::from_millis(500),
    retry: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(10) },
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    helm: HelmArgs,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let top = global.working_tree()?;
    print_report(&format!("watching `{}`; Ctrl-C ends", top.display()));
    until_stopped(async |cancel: &Cancel| {
        let (events, receiver) = mpsc::channel(1);
        tokio::spawn(files::watch(Places::inputs(&top), Event::Moved, events));
        let state = Mutex::new((Renderer::new(), Written::default()));
        let (watched, helm) = (global.clone(), args.helm.clone());
        let render = move |_, _: &Cancel| match state.lock() {
            Ok(mut state) => outcome(&watched, render(&watched, &top, &helm, &mut state)),
            Err(_) => Outcome::Abandoned,
        };
        dispatch::serve(Queue::new(SETTINGS, 0), receiver, render, cancel, |_| {}).await;
        Ok(Exit::Done)
    })
}

fn render(
    global: &Global,
    top: &Path,
    helm: &HelmArgs,
    (renderer, written): &mut (Renderer, Written),
) -> Result<String, CommandError> {
    let (snapshot, problems) = read_working_tree(top)?;
    render::write(top, &global.render_whole(renderer, &snapshot, problems, helm)?, written)
}

fn outcome(global: &Global, result: Result<String, CommandError>) -> Outcome {
    match result {
        Ok(text) => print_text(&text),
        // A person is at the keyboard: problems are shown as `check` shows them, not as a line of a log.
        Err(error) if !error.problems().is_empty() => global.show_report(&error),
        Err(error) => return Outcome::Failed(failure(&error)),
    }
    Outcome::Done
}
