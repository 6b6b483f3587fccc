//! The notices of a deployment that is followed between runs.

use std::sync::mpsc::{Sender, channel};
use std::thread;

use super::actions::Actions;
use super::page::{self, Ending};
use super::subject::Subject;
use crate::forge::DeploymentState;
use crate::git::Revision;
use crate::notify::{Notice, Threads};

/// What is posted about one deployment while this process looks: that it begins, and each other way in which it stands
/// afterwards. Slack may ask to wait, which keeps nothing else waiting.
#[derive(Debug)]
pub(crate) struct Notices {
    subject: Subject,
    actions: Actions,
    posts: Option<Sender<Post>>,
    /// How it stood when something was posted last, or when it was first looked at.
    known: Option<DeploymentState>,
}

#[derive(Debug)]
enum Post {
    Beginning(Notice),
    Ending([Notice; 2]),
}

impl Notices {
    /// Begins them where a deployment stands so. What began before this process looked was posted by another one.
    /// `web` is the page of the repository.
    pub(crate) fn begin(
        subject: Subject,
        web: Option<String>,
        ending: Option<&Ending>,
        is_news: bool,
    ) -> Self {
        let known = Some(page::state(ending)).filter(|_| !is_news);
        let posts = post_to(Threads::from_environment(&subject.clusters));
        Self { subject, actions: Actions::of_page(web), posts, known }
    }

    /// Posts how the deployment stands now, if that is news.
    pub(crate) fn post(&mut self, ending: Option<&Ending>) {
        let Self { subject, actions, .. } = self;
        let state = page::state(ending);
        let post = match (self.known, ending) {
            (None, None) => Post::Beginning(page::opening(subject, actions)),
            (known, Some(ending)) if known != Some(state) => {
                Post::Ending([page::closing(ending, subject, actions), page::result(ending, subject)])
            }
            _ => return,
        };
        self.known = Some(state);
        self.send(post);
    }

    /// Posts that a newer revision takes the place of this one, unless this one is done.
    pub(crate) fn replaced(self, by: Revision) {
        if !matches!(self.known, None | Some(DeploymentState::Success)) {
            self.send(Post::Ending(page::replaced(by, &self.subject, &self.actions)));
        }
    }

    fn send(&self, post: Post) {
        if let Some(posts) = &self.posts {
            // It goes on for as long as this is kept.
            let _ = posts.send(post);
        }
    }
}

/// Starts what posts in some channels, in the order in which it is given; nothing if there are none.
fn post_to(mut threads: Threads) -> Option<Sender<Post>> {
    if threads.is_empty() {
        return None;
    }
    let (sender, posts) = channel();
    let post = move || {
        for post in posts {
            match post {
                Post::Beginning(notice) => threads.begin(&notice),
                Post::Ending([now, last]) => threads.end(&now, &last),
            }
        }
    };
    thread::Builder::new().name("notices".into()).spawn(post).ok().map(|_| sender)
}
