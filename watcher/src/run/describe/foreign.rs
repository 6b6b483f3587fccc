//! What a pull request deletes that Fleetwright did not write, named in its body, since no one expects to lose it.

use renderer::plan::{FileChange, markdown};
use renderer::templates::has_header;

use super::text::push_lines;

/// The most that this adds to a body, in characters.
pub(super) const LIMIT: usize = 1_024;

/// Returns the section that names the deleted files which Fleetwright did not write; empty if there are none.
pub(super) fn section(changes: &[FileChange]) -> String {
    let is_foreign = |change: &&FileChange| {
        change.new.is_none() && change.old.as_deref().is_some_and(|content| !has_header(content))
    };
    let foreign: Vec<_> = changes.iter().filter(is_foreign).collect();
    if foreign.is_empty() {
        return String::new();
    }
    let mut text = "\n### Not written by Fleetwright\n\nThis deletes files that stand among the rendered ones and were not \
                    rendered. To keep one, move it out of `argocd-apps/` first.\n\n"
        .to_owned();
    let lines = foreign.into_iter().map(|change| format!("- {}\n", markdown::code(change.path.as_str())));
    push_lines(&mut text, lines, LIMIT, "more file");
    text
}

#[cfg(test)]
mod tests {
    use renderer::path::{ClusterName, RepoPath};

    use super::*;

    fn change(path: &str, old: &str, new: Option<&str>) -> FileChange {
        FileChange {
            path: RepoPath::parse(path).unwrap(),
            cluster: ClusterName::parse("app").unwrap(),
            addon: None,
            old: Some(old.as_bytes().into()),
            new: new.map(|text| text.as_bytes().into()),
        }
    }

    #[test]
    fn only_what_was_not_rendered_and_goes_is_named() {
        let rendered =
            "# Rendered by Fleetwright from templates/cluster/a.yaml.hbs; edit that file, not this one.\n";
        assert_eq!(section(&[change("argocd-apps/app/a.yaml", rendered, None)]), "");
        assert_eq!(section(&[change("argocd-apps/app/a.yaml", "a: b\n", Some(rendered))]), "");
        let text = section(&[
            change("argocd-apps/app/a.yaml", rendered, None),
            change("argocd-apps/app/mine.yaml", "a: b\n", None),
        ]);
        assert!(text.ends_with("first.\n\n- `argocd-apps/app/mine.yaml`\n"), "{text}");
    }

    #[test]
    fn a_section_of_any_number_of_files_has_its_limit() {
        let changes: Vec<_> =
            (0..200).map(|n| change(&format!("argocd-apps/app/{n:0100}.yaml"), "a: b\n", None)).collect();
        let text = section(&changes);
        assert!(text.chars().count() <= LIMIT && text.ends_with(" more files\n"), "{text}");
    }
}
