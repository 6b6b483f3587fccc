//! The plan as a pull request: a title, and a body that fits at every fleet size.
//!
//! Values are only ever written inside fenced blocks, and paths inside code spans, so that nothing in them is
//! markup, a mention or a reference.

use std::fmt::Write as _;

use crate::key_path::Step;
use crate::plan::group::{Entry, Event, Group, RiskGroup};
use crate::plan::highlight::Overview;
use crate::plan::model::Plan;
use crate::plan::show::text::{self, folded, headline};
use crate::plan::show::{self, FULL_COMMAND, FULL_DIFF, SHORT, SHORT_DIFF, Shown, on_clusters, on_counted};
use crate::plural::counted;
use crate::visible::visible;

/// The most characters that GitHub takes for the body of a pull request; beyond it the API answers with status 422 and
/// "body is too long (maximum is 65536 characters)".
pub const BODY_LIMIT: usize = 65_536;
/// Left free for what a caller adds, such as the revisions and how to allow a deletion.
pub const BODY_MARGIN: usize = 3_072;
/// The page of the reference that explains the risks, in this repository.
pub const RISKS: &str = "docs/reference/risks.md";
/// What is kept for the lines that count what does not fit.
const TAIL_RESERVE: usize = 512;
/// The longest group that is shown open; longer ones are folded into `<details>`.
const MAX_OPEN_LINES: usize = 12;
/// How many entries of one group are written.
const MAX_ENTRIES: usize = 60;
/// The longest line of a block that shows everything, in characters.
const MAX_LINE: usize = 1_000;
/// The longest title; what a list of pull requests shows without cutting.
pub const TITLE_LIMIT: usize = 72;

/// A text that does not grow beyond a limit, counted in characters as GitHub does.
#[derive(Default)]
pub(crate) struct Body {
    text: String,
    characters: usize,
}

impl Body {
    /// Adds a part if it fits below `limit`.
    pub(crate) fn try_push(&mut self, part: &str, limit: usize) -> bool {
        let characters = part.chars().count();
        let fits = self.characters + characters <= limit;
        if fits {
            self.text.push_str(part);
            self.characters += characters;
        }
        fits
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// Returns the body: at most [`BODY_LIMIT`] less [`BODY_MARGIN`] characters, risks first, what is left out counted.
#[must_use]
pub fn body(plan: &Plan) -> String {
    body_within(plan, BODY_LIMIT - BODY_MARGIN, Some(RISKS))
}

/// Returns the body in at most `limit` characters, for where something else stands beside it; each risk leads
/// to its section of the page at `risks`, if there is one.
#[must_use]
pub fn body_within(plan: &Plan, limit: usize, risks: Option<&str>) -> String {
    let mut body = Body::default();
    let mut left_out = String::new();
    let overview = plan.overview();
    for line in show::highlights(&overview.highlights) {
        body.try_push(&format!("- {}\n", code(&line)), limit / 3);
    }
    let space = if body.text.is_empty() { "" } else { "\n" };
    body.try_push(&format!("{space}{}\n", headline(plan)), limit);
    add_risks(&mut body, (&overview.risks, risks), limit / 3, &mut left_out);

    let Overview { groups, .. } = overview;
    let open = limit.saturating_sub(TAIL_RESERVE);
    let shown = groups.iter().take_while(|group| body.try_push(&section(group), open)).count();
    if shown < groups.len() {
        let _ = write!(left_out, "\n{}\n", folded(&groups[shown..]));
    }
    body.try_push(&left_out, limit);
    body.text
}

/// Risks come first, in at most `share` characters, and leave the larger part of the body for the changes.
fn add_risks(
    body: &mut Body,
    (risks, page): (&[RiskGroup], Option<&str>),
    share: usize,
    left_out: &mut String,
) {
    if risks.is_empty() {
        return;
    }
    body.try_push("\n### Risks\n\n", share);
    let mut shown = 0;
    for same in risks.chunk_by(|a, b| a.risk == b.risk) {
        let kind = same[0].risk.kind;
        let name = match page {
            Some(page) => format!("[{kind}]({page}#{})", kind.anchor()),
            None => kind.to_string(),
        };
        let mut heading = format!("- **{name}**: {}\n", same[0].risk.note);
        for group in same {
            let place = code(&show::elide(&visible(&group.place), SHORT.line));
            if !body.try_push(&format!("{heading}  - {place} {}\n", on_counted(&group.clusters)), share) {
                break;
            }
            heading.clear();
            shown += 1;
        }
    }
    if shown < risks.len() {
        let _ = write!(left_out, "\n… {}: `{FULL_COMMAND}`\n", counted(risks.len() - shown, "more risk"));
    }
}

/// Writes a group: a heading and a diff, folded if it is long.
pub(crate) fn section<T: Shown>(group: &Group<T>) -> String {
    let lines = lines(group);
    let diff = fenced(&lines, "diff", usize::MAX);
    let on = on_clusters(&group.clusters);
    if lines.len() <= MAX_OPEN_LINES {
        return format!("\n### {}\n\n{diff}", capital(&on));
    }
    let changes = counted(group.entries.len(), "change");
    // The blank line ends the block of HTML, so that the fence is a fence.
    format!("\n<details><summary><b>{}</b>: {changes}</summary>\n\n{diff}\n</details>\n", capital(&on))
}

pub(in crate::plan) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Writes the entries of a group as the lines of a diff.
fn lines<T: Shown>(group: &Group<T>) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, entry) in group.entries.iter().enumerate().take(MAX_ENTRIES) {
        lines.extend(show::heading(&group.entries, at).map(|heading| format!("# {}", visible(heading))));
        let entry = show::entry(entry, SHORT_DIFF);
        lines.extend(entry.iter().map(|line| format!("{} {}", line.kind.sign(), line.text)));
    }
    if group.entries.len() > MAX_ENTRIES {
        let more = counted(group.entries.len() - MAX_ENTRIES, "more change");
        lines.push(format!("# … {more}: {}", T::COMMAND));
    }
    lines
}

/// Returns every change as fenced blocks of at most `limit` characters, and at most `blocks` of them; lines
/// that do not fit are counted below the last.
#[must_use]
pub fn full(plan: &Plan, limit: usize, blocks: usize) -> Vec<String> {
    let lines: Vec<String> =
        text::full_within(plan, FULL_DIFF).into_iter().map(|line| flush_sign(line.text)).collect();
    fenced_blocks(&lines, "diff", limit, blocks)
}

/// Moves the sign of an indented line to the first column, where a diff has its colour.
fn flush_sign(line: String) -> String {
    let indented = line.trim_start_matches(' ');
    match indented.chars().next().filter(|_| indented.len() < line.len()) {
        Some(sign @ ('+' | '-')) => {
            let indent = line.len() - indented.len();
            format!("{sign}{}{}", &line[..indent], &indented[1..])
        }
        _ => line,
    }
}

/// Writes texts as one fenced block of at most `limit` characters; lines that do not fit are counted below it.
#[must_use]
pub fn fenced(texts: &[String], language: &str, limit: usize) -> String {
    fenced_blocks(texts, language, limit, 1).concat()
}

fn fenced_blocks(texts: &[String], language: &str, limit: usize, most: usize) -> Vec<String> {
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.split('\n')).collect();
    let (mut blocks, mut rest) = (Vec::new(), lines.as_slice());
    loop {
        let shown = fitting(rest, limit);
        rest = &rest[shown.len()..];
        // It is longer than any run of backticks inside.
        let fence = "`".repeat(longest_run(shown.iter().map(String::as_str)).max(2) + 1);
        let block = format!("{fence}{language}\n{}\n{fence}\n", shown.join("\n"));
        if rest.is_empty() {
            blocks.push(block);
            return blocks;
        }
        // A limit without room for a single line would never come to an end.
        if blocks.len() + 1 >= most || shown.is_empty() {
            blocks.push(format!("{block}\n… {}\n", counted(rest.len(), "more line")));
            return blocks;
        }
        blocks.push(block);
    }
}

/// Returns the first lines, each cut to a length that people read, as far as they fit into a block of `limit`
/// characters.
fn fitting(lines: &[&str], limit: usize) -> Vec<String> {
    let mut room = limit.saturating_sub(TAIL_RESERVE + 2 * MAX_LINE);
    let mut shown = Vec::new();
    for line in lines {
        let line = show::elide(&visible(line), MAX_LINE);
        match room.checked_sub(line.chars().count() + 1) {
            Some(rest) => room = rest,
            None => break,
        }
        shown.push(line);
    }
    shown
}

/// Writes a text as a code span, in which nothing is markup, a mention or a reference.
#[must_use]
pub fn code(text: &str) -> String {
    let text = visible(text);
    let ticks = "`".repeat(longest_run([&*text]) + 1);
    // A space keeps a backtick at either end apart from the delimiter, and a span of nothing a span; it is not shown.
    let is_padded = text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']);
    let pad = if is_padded { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

fn longest_run<'a>(texts: impl IntoIterator<Item = &'a str>) -> usize {
    let runs = |text: &'a str| text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    texts.into_iter().map(runs).max().unwrap_or(0)
}

/// Returns the title: what changes where, for example `Render app: remoteWrite url on 412 clusters`.
#[must_use]
pub fn title(plan: &Plan, scope: &str) -> String {
    let on = match plan.clusters.len() {
        1 => plan.clusters.keys().next().map(|name| format!(" on {name}")).unwrap_or_default(),
        many => format!(" on {many} clusters"),
    };
    // The scope already names a cluster of the same name.
    let on = if on == format!(" on {scope}") { String::new() } else { on };
    let title = subject(plan).map(|what| format!("Render {scope}: {what}{on}"));
    let short = || format!("Render {scope}: {}{on}", counted(plan.files().count(), "file"));
    let title = title.filter(|title| title.chars().count() <= TITLE_LIMIT).unwrap_or_else(short);
    show::elide(&title, TITLE_LIMIT)
}

/// Names what changes, if one thing can stand for it.
fn subject(plan: &Plan) -> Option<String> {
    let groups = plan.groups();
    let mut subjects: Vec<String> =
        groups.iter().flat_map(|group| &group.entries).filter_map(entry_subject).collect();
    subjects.sort_unstable();
    subjects.dedup();
    match subjects.len() {
        0 => None,
        1 => subjects.pop(),
        many => Some(format!("{} and {} more", entry_subject(groups.first()?.entries.first()?)?, many - 1)),
    }
}

fn entry_subject(entry: &Entry) -> Option<String> {
    let subject = match &entry.event {
        Event::Cluster { action, .. } => format!("cluster {}", action.past()),
        Event::Addon { addon, action, .. } => format!("{addon} {}", action.past()),
        Event::File { file, action, .. } => {
            format!("{} {}", file.rsplit('/').next().unwrap_or(file), action.past())
        }
        Event::Setting { file, change } => match last_keys(&change.path) {
            keys if keys.is_empty() => file.rsplit('/').next().unwrap_or(file).to_owned(),
            keys => keys,
        },
    };
    // A title is not in a code span: nothing in it may be a mention, a reference or markup.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " ._-/".contains(c);
    subject.chars().all(is_plain).then_some(subject)
}

/// Returns the last two keys, which mostly say what a setting is.
fn last_keys(steps: &[Step]) -> String {
    let keys: Vec<&str> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Key(text) | Step::Item { id: text, .. } => Some(text.as_str()),
            Step::Index(_) => None,
        })
        .collect();
    keys[keys.len().saturating_sub(2)..].join(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use insta::assert_snapshot;
    use proptest::prelude::*;
    use testkit::hostile::text::{HIDDEN, MARKUP};

    use super::*;
    use crate::path::{AddonName, ClusterName, RepoPath};
    use crate::plan::{Facts, FileChange, Published, plan};
    use crate::visible::is_hidden;
    use crate::yaml::{Value, write};

    /// Plans one changed file on each cluster.
    fn fleet(clusters: usize, text: impl Fn(usize) -> (String, String)) -> Plan {
        let addon = AddonName::parse("prometheus").unwrap();
        let changes: Vec<FileChange> = (0..clusters)
            .map(|number| {
                let cluster = ClusterName::parse(&format!("eu-{number:04}")).unwrap();
                let (old, new) = text(number);
                FileChange {
                    path: RepoPath::parse(&format!("argocd-apps/{cluster}/prometheus/values.yaml")).unwrap(),
                    cluster,
                    addon: Some(addon.clone()),
                    old: Some(Arc::from(old.as_bytes())),
                    new: Some(Arc::from(new.as_bytes())),
                }
            })
            .collect();
        let published: Published =
            changes.iter().map(|change| (&change.cluster, change.addon.as_ref())).collect();
        plan(&changes, &published, Facts::default())
    }

    fn document(value: &str) -> String {
        write(&Value::Map([("spec".to_owned(), Value::String(value.to_owned()))].into_iter().collect()))
    }

    fn remote_write(host: &str) -> String {
        format!("prometheus:\n  remoteWrite:\n    - url: http://{host}/api/v1/write\n")
    }

    #[test]
    fn a_body_for_two_clusters_is_read_at_a_glance() {
        assert_snapshot!(body(&fleet(2, |_| (remote_write("a"), remote_write("b")))), @"
        2 files changed on 2 clusters: eu-0000, eu-0001

        ### Risks

        - **[exposed address](docs/reference/risks.md#exposed-address)**: an address moves that others may depend on
          - `prometheus/values.yaml prometheus.remoteWrite[0].url` on eu-0000, eu-0001

        ### On eu-0000, eu-0001

        ```diff
        # prometheus/values.yaml
        - prometheus.remoteWrite[0].url: http://a/api/v1/write
        + prometheus.remoteWrite[0].url: http://b/api/v1/write
        ```
        ");
    }

    #[test]
    fn a_body_for_a_fleet_is_as_long_as_one_for_two_clusters() {
        let plan = fleet(5_000, |_| (remote_write("a"), remote_write("b")));
        assert_snapshot!(body(&plan), @"
        5000 files changed on 5000 clusters: eu-0000, eu-0001, eu-0002, eu-0003, eu-0004 and 4995 more

        ### Risks

        - **[exposed address](docs/reference/risks.md#exposed-address)**: an address moves that others may depend on
          - `prometheus/values.yaml prometheus.remoteWrite[0].url` on 5000 clusters

        ### On 5000 clusters (eu-0000, eu-0001, eu-0002, eu-0003, eu-0004 and 4995 more)

        ```diff
        # prometheus/values.yaml
        - prometheus.remoteWrite[0].url: http://a/api/v1/write
        + prometheus.remoteWrite[0].url: http://b/api/v1/write
        ```
        ");
        assert_snapshot!(title(&plan, "app"), @"Render app: remoteWrite url on 5000 clusters");
    }

    #[test]
    fn a_body_that_cannot_hold_everything_counts_the_rest() {
        let plan = fleet(5_000, |number| {
            let keys = |value: &str| {
                (0..5).fold(String::new(), |text, key| text + &format!("k{number}-{key}: {value}\n"))
            };
            (keys("a"), keys("b"))
        });
        let body = body(&plan);
        assert!(body.chars().count() <= BODY_LIMIT - BODY_MARGIN);
        let shown = body.matches("\n- k").count();
        let rest = 25_000 - shown;
        assert!(shown > 100, "only {shown} changes are shown");
        assert!(
            body.trim_end().ends_with(&format!(
                "… {rest} more changes on {} clusters: `fleetwright diff --full`",
                rest / 5
            )),
            "{}",
            &body[body.len() - 200..]
        );
    }

    #[test]
    fn nothing_in_a_value_is_markup() {
        let hostile = "</details> ``` @everyone #123 <b>|\n```\n````\u{202e}\n";
        let plan = fleet(2, |_| (document("x"), document(hostile)));
        assert_snapshot!(body(&plan), @r"
        2 files changed on 2 clusters: eu-0000, eu-0001

        ### On eu-0000, eu-0001

        `````diff
        # prometheus/values.yaml
          spec:
        - x
        + </details> ``` @everyone #123 <b>|
        + ```
        + ````\u{202e}
        `````
        ");
    }

    #[test]
    fn nothing_in_a_value_or_a_key_is_hidden() {
        let hostile = |number: usize| {
            let text = format!("a{HIDDEN}b{number}");
            let map = [(text.clone(), Value::String(text.clone())), ("x".to_owned(), Value::String(text))];
            write(&Value::Map(map.into_iter().collect()))
        };
        let plan = fleet(2, |number| (hostile(number), hostile(number + 2)));
        let shown = body(&plan) + &full(&plan, BODY_LIMIT, 1).concat() + &title(&plan, "app");
        assert!(shown.contains("\\u{202e}"), "{shown}");
        assert!(shown.chars().all(|c| c == '\n' || !is_hidden(c)), "{shown}");
    }

    #[test]
    fn a_code_span_holds_whatever_is_in_it() {
        for text in MARKUP.into_iter().chain([HIDDEN, "", " ", " a ", "` `", "a`", "``a`b```"]) {
            let span = code(text);
            let ticks = span.len() - span.trim_start_matches('`').len();
            let inner = &span[ticks..span.len() - ticks];
            assert!(span.ends_with(&"`".repeat(ticks)) && !inner.is_empty(), "{span}");
            assert!(!inner.starts_with('`') && !inner.ends_with('`'), "{span}");
            assert!(inner.split(|c| c != '`').all(|run| run.len() != ticks), "{span}");
            assert!(span.chars().all(|c| !is_hidden(c)), "{span}");
        }
    }

    #[test]
    fn a_very_long_line_is_cut_in_the_middle() {
        let plan = fleet(2, |_| (document("x"), document(&"ü".repeat(100_000))));
        assert!(body(&plan).chars().count() < 600);
    }

    #[test]
    fn a_title_has_nothing_that_could_be_a_mention() {
        let plan = fleet(2, |_| ("\"@all\": 1\n".to_owned(), "\"@all\": 2\n".to_owned()));
        assert_snapshot!(title(&plan, "app"), @"Render app: 2 files on 2 clusters");
        let long = "k".repeat(200);
        let plan = fleet(2, |_| (format!("{long}: 1\n"), format!("{long}: 2\n")));
        assert!(title(&plan, "app").chars().count() <= TITLE_LIMIT);
    }

    #[test]
    fn everything_is_one_block_and_what_does_not_fit_is_counted() {
        let plan = fleet(1, |_| (document("x"), document("y")));
        assert_snapshot!(full(&plan, BODY_LIMIT, 1).concat(), @"
        ```diff
        1 file changed on 1 cluster: eu-0000

        cluster eu-0000 changed
          add-on prometheus changed
              argocd-apps/eu-0000/prometheus/values.yaml
        -       spec: x
        +       spec: y
        ```
        ");
        let plan = fleet(2_000, |number| (document("x"), document(&format!("y{number}"))));
        let text = full(&plan, BODY_LIMIT, 1).concat();
        assert!(text.chars().count() <= BODY_LIMIT);
        assert!(text.trim_end().ends_with(" more lines"), "{}", &text[text.len() - 60..]);
        let lines = |blocks: &[String]| {
            let lines = blocks.iter().flat_map(|block| block.lines());
            lines.filter(|line| !line.starts_with("```")).map(str::to_owned).collect::<Vec<_>>()
        };
        let (whole, parts) = (full(&plan, usize::MAX, 1), full(&plan, BODY_LIMIT, usize::MAX));
        assert!(parts.len() > 1 && parts.iter().all(|part| part.chars().count() <= BODY_LIMIT));
        assert!(lines(&parts) == lines(&whole), "parts lose or repeat lines");
    }

    /// Lines that stand outside fences.
    fn outside_fences(body: &str) -> Result<Vec<&str>, String> {
        let mut fence: Option<&str> = None;
        let mut outside = Vec::new();
        for line in body.lines() {
            match fence {
                Some(open) if line == open => fence = None,
                Some(_) => {}
                None if line.starts_with("```") => fence = line.strip_suffix("diff"),
                None => outside.push(line),
            }
        }
        fence.map_or(Ok(outside), |open| Err(format!("fence {open} is not closed")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_limit_holds_and_no_value_leaves_its_fence(
            values in prop::collection::vec("([`<>@#|~\n\\\\ -]|</details>|MARK|[a-zü\u{202e}]){1,40}", 1..60),
            repeat in 1_usize..200,
        ) {
            let plan = fleet(values.len(), |number| (document("x"), document(&values[number].repeat(repeat))));
            let full = full(&plan, BODY_LIMIT, 1).concat();
            prop_assert!(full.chars().count() <= BODY_LIMIT);
            let outside = outside_fences(&full).map_err(TestCaseError::fail)?;
            prop_assert!(outside.iter().all(|line| !line.contains("MARK")), "{full}");
            let body = body(&plan);
            prop_assert!(body.chars().count() <= BODY_LIMIT - BODY_MARGIN);
            let outside = outside_fences(&body).map_err(TestCaseError::fail)?;
            prop_assert!(outside.iter().all(|line| !line.contains("MARK")), "{body}");
            let opened = outside.iter().filter(|line| line.contains("<details>")).count();
            let closed = outside.iter().filter(|line| line.contains("</details>")).count();
            prop_assert_eq!(opened, closed);
        }
    }
}
