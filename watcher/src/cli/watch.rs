//! `fleetwright watch`: renders on every save.

use std::sync::Mutex;
use std::time::Duration;

use renderer::render::Renderer;
use tokio::sync::mpsc;

use super::{Exit, Global, print_text};
use crate::error::CommandError;
use crate::events::files::{self, Places};
use crate::events::signals::stop_on_signals;
use crate::events::{Cancel, Event, Failure, Outcome, Persistence, Queue, Settings, service};
use crate::working_tree::{Output, read_working_tree};

/// An editor's save is over after this long; a person waits for what comes then.
const SETTINGS: Settings = Settings {
    quiet: Duration::from_millis(50),
    max_wait: Duration::from_millis(500),
    first_retry: Duration::from_secs(1),
    max_retry: Duration::from_secs(10),
    capacity: 1,
};

pub(super) fn run(global: &Global) -> Result<Exit, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::unexpected("start the runtime", error))?;
    runtime.block_on(async {
        let cancel = Cancel::default();
        stop_on_signals(cancel.clone())
            .map_err(|error| CommandError::unexpected("listen for signals", error))?;
        let (events, receiver) = mpsc::channel(1);
        let event = Event { repository: global.repo.display().to_string(), revision: () };
        tokio::spawn(files::watch(Places::inputs(&global.repo), event, events));
        let renderer = Mutex::new(Renderer::new());
        let watched = global.clone();
        let render = move |_: &_, _: &Cancel| match renderer.lock() {
            Ok(mut renderer) => outcome(render(&watched, &mut renderer)),
            Err(_) => Outcome::Abandoned,
        };
        service::serve(Queue::new(SETTINGS, 0), receiver, render, &cancel).await;
        Ok(Exit::Done)
    })
}

fn render(global: &Global, renderer: &mut Renderer) -> Result<String, CommandError> {
    let (snapshot, problems) = read_working_tree(&global.repo)?;
    let rendered = global.render(renderer, &snapshot, problems)?;
    let output = Output::read(&global.repo)?;
    let changes = output.changes(&rendered);
    output.apply(&changes)?;
    let mut text: String =
        changes.iter().map(|change| format!("{:<7} {}\n", change.action(), change.path)).collect();
    text.push_str(&format!("{} files are current\n", rendered.file_count()));
    Ok(text)
}

fn outcome(result: Result<String, CommandError>) -> Outcome {
    match result {
        Ok(text) => {
            print_text(&text);
            Outcome::Done
        }
        Err(error) => Outcome::Failed(Failure {
            persistence: if error.is_transient() { Persistence::Transient } else { Persistence::Stalled },
            exit: error.exit(),
            message: error.message(),
            hint: error.hint(),
        }),
    }
}
