//! A look at a forge that costs next to nothing: it asks whether pages changed, not for their content.
//!
//! GitHub answers a request that carries the page's last `ETag` with 304 if nothing changed, and such an answer is not
//! counted against the rate limit of an authenticated client (GitHub Docs, "Best practices for using the REST API",
//! "Use conditional requests"). The client that asks keeps the `ETag`s; this is only which pages to ask for and how a
//! change is recognised. The look is made for [`poll`](super::poll::poll).

use super::RepositoryName;
use crate::percent::encoded;

/// What a page looked like: equal marks stand for the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The `ETag` under which the forge knows the content, which it gives with a 304 as well.
    Tag(String),
    /// The content itself, where the forge gives no `ETag`.
    Content(Vec<u8>),
    /// There is no such page, as while the base branch is being renamed.
    Missing,
}

/// Returns the routes of the pages that show every change that the webhook delivers: the tip and the protection of the
/// base branch, and the open pull requests with their tips, labels and texts, the ones that changed last first.
#[must_use]
pub fn routes(repository: &RepositoryName, base: &str) -> [String; 2] {
    let base = encoded(base);
    [
        format!("/repos/{repository}/branches/{base}"),
        format!("/repos/{repository}/pulls?state=open&sort=updated&direction=desc&per_page=100"),
    ]
}

/// Makes a look at the forge: it asks for every page and returns their marks.
pub fn look<E>(
    routes: impl Fn() -> [String; 2],
    mut ask: impl FnMut(&str) -> Result<Mark, E>,
) -> impl FnMut() -> Result<Vec<Mark>, E> {
    move || routes().iter().map(|route| ask(route)).collect()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn routes_of(base: &str) -> [String; 2] {
        routes(&"acme/fleet".parse().unwrap(), base)
    }

    /// Looks once at pages with these tags.
    fn marks(tags: [&str; 2]) -> Vec<Mark> {
        let mut tags = tags.into_iter();
        let ask = |_: &str| Ok::<_, Infallible>(Mark::Tag(tags.next().unwrap().to_owned()));
        look(|| routes_of("main"), ask)().unwrap()
    }

    #[test]
    fn the_same_tags_are_the_same_state_and_another_tag_is_another() {
        assert_eq!(marks(["a", "b"]), marks(["a", "b"]));
        assert_ne!(marks(["a", "b"]), marks(["a", "c"]));
        assert_ne!(marks(["a", "b"]), marks(["c", "b"]));
    }

    #[test]
    fn a_page_that_cannot_be_asked_for_fails_the_look() {
        let mut look = look(
            || routes_of("main"),
            |route| {
                if route.contains("/pulls") { Err("no answer") } else { Ok(Mark::Missing) }
            },
        );
        assert_eq!(look(), Err("no answer"));
    }

    #[test]
    fn a_branch_name_stays_one_part_of_the_route() {
        assert_eq!(routes_of("main")[0], "/repos/acme/fleet/branches/main");
        assert_eq!(
            routes_of("release/1.x?&#é")[0],
            "/repos/acme/fleet/branches/release%2F1.x%3F%26%23%C3%A9"
        );
    }
}
