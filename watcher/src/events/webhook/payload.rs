//! What a delivery means: whether something may have changed in our repository.
//!
//! Pure, and only called for deliveries whose signature is right. Reads a few fields and skips the rest, since a run
//! looks for itself.

use serde::Deserialize;

use crate::events::Event;
use crate::repository_name::RepositoryName;

/// A kind of event that GitHub sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EventKind {
    /// The value of `X-GitHub-Event`.
    pub(crate) name: &'static str,
    /// What it leads to.
    event: Event,
    /// The actions with which it does; `None` stands for all.
    actions: Option<&'static [&'static str]>,
}

/// What a delivery means for our repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It may have changed.
    MayHaveChanged(Event),
    /// Nothing changed that a run looks at.
    Irrelevant,
    /// It is about other repositories.
    OtherRepository,
}

/// The actions on a pull request that change its content or what a maintainer asked for.
const PULL_REQUEST_ACTIONS: &[&str] = &[
    "opened",
    "reopened",
    "synchronize",
    "edited",
    "closed",
    "labeled",
    "unlabeled",
    "ready_for_review",
    "converted_to_draft",
];

/// The kinds that a webhook of ours subscribes to.
static KINDS: [EventKind; 8] = [
    kind("push", Event::Moved, None),
    kind("ping", Event::Moved, None),
    kind("merge_group", Event::Moved, Some(&["checks_requested"])),
    // What is done to pull requests moves no ref.
    kind("pull_request", Event::Changed, Some(PULL_REQUEST_ACTIONS)),
    kind("check_run", Event::Asked, Some(&["rerequested"])),
    kind("check_suite", Event::Asked, Some(&["rerequested"])),
    // What was refused for lack of a permission may work now.
    kind("installation", Event::Asked, None),
    kind("installation_repositories", Event::Asked, None),
];

const fn kind(name: &'static str, event: Event, actions: Option<&'static [&'static str]>) -> EventKind {
    EventKind { name, event, actions }
}

impl EventKind {
    /// Returns the kind of that name, if a webhook of ours subscribes to it.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// Returns what this kind leads to with that action, if it can matter.
    fn event(&self, action: Option<&str>) -> Option<Event> {
        let is_meant = |actions: &[&str]| action.is_some_and(|action| actions.contains(&action));
        self.actions.is_none_or(is_meant).then_some(self.event)
    }
}

/// The fields that are read; everything else in a payload is skipped.
#[derive(Debug, Deserialize)]
struct Payload {
    action: Option<String>,
    repository: Option<Repository>,
    installation: Option<Installation>,
    /// The repositories of a new installation; those of a changed one are in the two lists below.
    repositories: Option<Vec<Repository>>,
    repositories_added: Option<Vec<Repository>>,
    repositories_removed: Option<Vec<Repository>>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Debug, Deserialize)]
struct Installation {
    account: Option<Account>,
}

#[derive(Debug, Deserialize)]
struct Account {
    /// An enterprise has none.
    login: Option<String>,
}

/// Reads what a delivery means for `repository`.
pub(super) fn meaning(
    kind: Option<&EventKind>,
    body: &[u8],
    repository: &RepositoryName,
) -> Result<Meaning, serde_json::Error> {
    let Some(kind) = kind else { return Ok(Meaning::Irrelevant) };
    let payload: Payload = serde_json::from_slice(body)?;
    Ok(if payload.concerns(repository) {
        kind.event(payload.action.as_deref()).map_or(Meaning::Irrelevant, Meaning::MayHaveChanged)
    } else {
        Meaning::OtherRepository
    })
}

impl Payload {
    /// Returns whether the payload is about `repository`. One that names no repository is about all that its sender
    /// sees, so the account of the installation decides, if there is one.
    fn concerns(&self, repository: &RepositoryName) -> bool {
        let lists = [&self.repositories, &self.repositories_added, &self.repositories_removed];
        let mut named = self.repository.iter().chain(lists.into_iter().flatten().flatten()).peekable();
        if named.peek().is_some() {
            return named.any(|named| repository.is(&named.full_name));
        }
        let account = self.installation.as_ref().and_then(|installation| installation.account.as_ref());
        let login = account.and_then(|account| account.login.as_deref());
        login.is_none_or(|login| repository.is_owned_by(login))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CHANGED: Meaning = Meaning::MayHaveChanged(Event::Changed);
    const MOVED: Meaning = Meaning::MayHaveChanged(Event::Moved);
    const ASKED: Meaning = Meaning::MayHaveChanged(Event::Asked);

    fn read(event: &str, payload: &serde_json::Value) -> Meaning {
        let repository = "acme/fleet".parse().unwrap();
        meaning(EventKind::find(event), payload.to_string().as_bytes(), &repository).unwrap()
    }

    /// Reads a payload about our repository with that action.
    fn ours(event: &str, action: &str) -> Meaning {
        read(event, &json!({"action": action, "repository": {"full_name": "Acme/fleet"}}))
    }

    #[test]
    fn an_event_that_nobody_asked_for_means_nothing() {
        assert_eq!(ours("star", "created"), Meaning::Irrelevant);
        assert_eq!(read("gollum", &json!("whatever it is")), Meaning::Irrelevant);
    }

    #[test]
    fn only_actions_that_can_change_what_a_run_finds_are_hints() {
        let table = [
            ("pull_request", "synchronize", CHANGED),
            ("pull_request", "labeled", CHANGED),
            ("pull_request", "closed", CHANGED),
            ("pull_request", "assigned", Meaning::Irrelevant),
            ("merge_group", "checks_requested", MOVED),
            ("merge_group", "destroyed", Meaning::Irrelevant),
            ("check_run", "rerequested", ASKED),
            ("check_run", "completed", Meaning::Irrelevant),
            ("check_suite", "rerequested", ASKED),
            ("check_suite", "requested", Meaning::Irrelevant),
            ("installation", "new_permissions_accepted", ASKED),
        ];
        for (event, action, expected) in table {
            assert_eq!(ours(event, action), expected, "{event} {action}");
        }
    }

    #[test]
    fn a_push_to_another_repository_is_not_ours() {
        let push = |full_name| read("push", &json!({"repository": {"full_name": full_name}}));
        assert_eq!(push("acme/fleet"), MOVED);
        assert_eq!(push("acme/fleet-fork"), Meaning::OtherRepository);
    }

    #[test]
    fn an_installation_is_ours_if_it_lists_our_repository_or_lists_none_and_has_our_owner() {
        let installed = |login, repositories: serde_json::Value| {
            read(
                "installation",
                &json!({
                    "action": "created",
                    "installation": {"account": {"login": login}},
                    "repositories": repositories,
                }),
            )
        };
        let (ours, other) = (json!([{"full_name": "acme/fleet"}]), json!([{"full_name": "acme/site"}]));
        assert_eq!(installed("acme", ours), ASKED);
        assert_eq!(installed("acme", other), Meaning::OtherRepository);
        assert_eq!(installed("acme", json!(null)), ASKED);
        assert_eq!(installed("umbrella", json!([])), Meaning::OtherRepository);
    }

    #[test]
    fn a_repository_taken_out_of_an_installation_is_worth_a_look() {
        let payload = json!({
            "action": "removed",
            "installation": {"account": {"login": "acme"}},
            "repositories_added": [],
            "repositories_removed": [{"full_name": "acme/fleet"}],
        });
        assert_eq!(read("installation_repositories", &payload), ASKED);
    }

    #[test]
    fn the_ping_of_an_app_names_no_repository() {
        assert_eq!(read("ping", &json!({"zen": "Speak like a human."})), MOVED);
    }

    #[test]
    fn what_is_not_json_is_a_fault_and_deep_nesting_is_no_danger() {
        let repository = "acme/fleet".parse().unwrap();
        let read = |body: &[u8]| meaning(EventKind::find("push"), body, &repository);
        assert!(read(b"payload=%7B%7D").is_err());
        assert!(read(b"{\"repository\":").is_err());
        assert!(read(b"[]").is_err());
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(read(deep.as_bytes()).is_ok());
    }
}
