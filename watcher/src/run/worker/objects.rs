//! The objects of charts that are published, as a worker makes them for one request: with what that brings, and only if the
//! fleet has any.

use renderer::deployed::{self, KEEP_CHART};
use renderer::problem::Problem;
use renderer::render::{Progress, Rendered};

use super::message::{Request, Task, Unmade};
use crate::error::CommandError;
use crate::git::Revision;
use crate::helm::{Bound, Making, Side, unpublished};
use crate::run::effects::{Between, Objects, Tools};

/// What makes them.
pub(super) struct Publisher<'r> {
    objects: Option<&'r Objects>,
    /// How long it may take, for all revisions together; nothing before the first.
    bound: Option<Bound>,
    /// What is merged, where the request is about what is proposed.
    merged: Option<Revision>,
    /// What that renders to.
    base: Option<Rendered>,
    /// Why they are not made, where trying again may help.
    pub unmade: Option<Unmade>,
}

impl<'r> Publisher<'r> {
    pub(super) fn of(request: &'r Request) -> Self {
        let merged = match &request.task {
            Task::Examine(question) => Some(question.subject.base),
            Task::Effects(question) => match question.between {
                Between::Revisions { base, .. } => Some(base),
                Between::Published(..) => None,
            },
            _ => None,
        };
        Self { objects: request.objects.as_ref(), bound: None, merged, base: None, unmade: None }
    }

    /// Notes what a revision renders to without them, and returns whether it has any.
    pub(super) fn has_any(&mut self, revision: Revision, rendered: &Rendered) -> bool {
        if self.merged == Some(revision) {
            self.base = Some(rendered.clone());
        }
        !deployed::publishing(rendered).is_empty()
    }

    /// Adds them to what a revision renders to.
    pub(super) fn complete(
        &mut self,
        revision: Revision,
        rendered: &Rendered,
        progress: &(dyn Progress + Sync),
    ) -> Result<Rendered, Vec<Problem>> {
        let tools = match self.objects {
            Some(Objects::MadeBy(tools)) => tools,
            Some(Objects::Unknown(reason)) => {
                return Err(refused(rendered, reason, "give the service a Helm that it can use by `--helm`"));
            }
            Some(Objects::Unwanted) => return Err(refused(rendered, "no Helm is used here", "")),
            None => {
                self.unmade = Some(Unmade::Confined);
                return Err(Vec::new());
            }
        };
        let bound = *self.bound.get_or_insert_with(|| Bound::of(tools.time));
        self.made(tools, revision, rendered, (bound, progress)).map_err(|error| match error {
            CommandError::Problems { problems } => problems,
            // What is proposed has a verdict whatever does not come.
            CommandError::Chart(error) if error.is_transient() && self.merged.is_none() => {
                self.unmade = Some(Unmade::Absent(unpublished(rendered, error)));
                Vec::new()
            }
            error => {
                if let CommandError::Late { made, all } = error {
                    self.unmade = Some(Unmade::Late { made, all });
                }
                refused(rendered, &error.message(), &error.hint().unwrap_or_default())
            }
        })
    }

    /// Before the merge, charts come only from repositories that what is merged names; if that does not render, from none.
    fn made(
        &self,
        Tools { helm, charts, folder, time }: &Tools,
        revision: Revision,
        rendered: &Rendered,
        (bound, progress): (Bound, &(dyn Progress + Sync)),
    ) -> Result<Rendered, CommandError> {
        let making = Making::below(folder, Some(helm), charts.as_deref())?.fetching_within(*time / 3);
        let making = match (self.merged, self.base.clone()) {
            (None, _) => making,
            (Some(merged), _) if merged == revision => making,
            (Some(_), Some(mut base)) => making.asking_only_those_of(&Side::of_rendered(&mut base)),
            (Some(_), None) => making.asking_none(),
        };
        making.published(rendered, bound, progress)
    }
}

/// Returns the problems of all add-ons whose objects would be published.
fn refused(rendered: &Rendered, reason: &str, way_out: &str) -> Vec<Problem> {
    let hint = match way_out {
        "" => KEEP_CHART.to_owned(),
        way_out => format!("{way_out}; or {KEEP_CHART}"),
    };
    let wanted = deployed::publishing(rendered);
    let problems = wanted.iter().filter_map(|(cluster, addon)| {
        Some(deployed::not_published(rendered, (cluster, addon), reason)?.hint(&hint))
    });
    deployed::merged(problems.collect())
}
