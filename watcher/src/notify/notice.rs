//! A notice, wherever it is posted.

/// A notice. Its texts may come from outside: they are shown as they are, and nothing in them is a link or a mention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// What it is about, in one line.
    pub title: String,
    /// Names with values.
    pub facts: Vec<(&'static str, String)>,
    /// More lines.
    pub lines: Vec<String>,
    /// Words with the addresses that they lead to.
    pub links: Vec<(&'static str, String)>,
}
