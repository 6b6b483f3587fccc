//! A table that fits its terminal. Knows nothing of what is in it.
//!
//! The first column and the last one are always there; of those between, the ones on the right are left out first.

use std::fmt::Write as _;

use console::{Alignment, Term, measure_text_width, pad_str, truncate_str};

/// What stands between two columns.
const GAP: usize = 2;
/// The narrowest last column beside which the columns between stay.
const LEAST_ITEMS: usize = 20;

/// Rows under headings; the last column lists items.
#[derive(Debug)]
pub struct Table {
    /// The headings, that of the last column included.
    pub headings: &'static [&'static str],
    /// The rows.
    pub rows: Vec<Row>,
}

/// A row of a table.
#[derive(Debug)]
pub struct Row {
    /// What stands in all columns but the last.
    pub cells: Vec<String>,
    /// What the last column lists.
    pub items: Vec<String>,
}

/// How wide each column is, and how wide all of them may be.
struct Layout {
    columns: Vec<usize>,
    width: usize,
}

impl Table {
    /// Writes the table as standard output takes it: within the terminal that it is, or wide.
    #[must_use]
    pub fn text(&self) -> String {
        let terminal = Term::stdout().size_checked();
        terminal.map_or_else(|| self.wide(), |(_, width)| self.within(width.into()))
    }

    /// Writes each row on one line with everything in it, for files and pipes.
    pub(crate) fn wide(&self) -> String {
        self.within(usize::MAX)
    }

    /// Writes the table for a terminal of so many columns, items on as many lines as they need, and names
    /// what there is no room for.
    pub(crate) fn within(&self, width: usize) -> String {
        let mut columns = self.widths(width / 2);
        let items = self.rows.iter().flat_map(|row| listed(&row.items));
        let widest = items.map(|item| measure_text_width(&item)).max().unwrap_or(0);
        while columns.len() > 1 && offset(&columns) + widest.max(LEAST_ITEMS) > width {
            columns.pop();
        }
        let shown = columns.len();
        let mut text = self.lines(&Layout { columns, width });
        if let left_out @ [_, ..] = &self.headings[shown..self.headings.len() - 1] {
            let names = left_out.join(", ");
            let note = format!("no room for {names}: widen the terminal, or see `--format json`");
            for line in wrapped(note.split_inclusive(' ').map(str::to_owned), width) {
                let _ = writeln!(text, "{}", line.trim_end());
            }
        }
        text
    }

    /// Returns the width of every column but the last, of the first at most `most`.
    fn widths(&self, most: usize) -> Vec<usize> {
        let width = |(column, heading): (usize, &&str)| {
            let cells = self.rows.iter().map(|row| measure_text_width(&row.cells[column]));
            let widest = cells.max().unwrap_or(0).max(measure_text_width(heading));
            if column == 0 { widest.min(most.max(1)) } else { widest }
        };
        self.headings[..self.headings.len() - 1].iter().enumerate().map(width).collect()
    }

    fn lines(&self, layout: &Layout) -> String {
        let owned = |headings: &[&str]| headings.iter().map(|heading| (*heading).to_owned()).collect();
        let (cells, items) = self.headings.split_at(self.headings.len() - 1);
        let headings = Row { cells: owned(cells), items: owned(items) };
        std::iter::once(&headings).chain(&self.rows).map(|row| layout.lines(row)).collect()
    }
}

impl Layout {
    fn lines(&self, row: &Row) -> String {
        let mut line = String::new();
        for (cell, width) in row.cells.iter().zip(&self.columns) {
            let cell = truncate_str(cell, *width, "…");
            line += &pad_str(&cell, width + GAP, Alignment::Left, None);
        }
        let indent = " ".repeat(offset(&self.columns));
        let mut text = String::new();
        for items in wrapped(listed(&row.items), self.width - indent.len().min(self.width)) {
            let _ = writeln!(text, "{}", format!("{line}{items}").trim_end());
            line.clone_from(&indent);
        }
        text
    }
}

/// Returns where the last column begins.
fn offset(columns: &[usize]) -> usize {
    columns.iter().map(|width| width + GAP).sum()
}

/// Puts pieces on lines of at most `width` columns as far as single pieces are no wider; at least one line.
fn wrapped(pieces: impl Iterator<Item = String>, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in pieces {
        let fits = |line: &String| measure_text_width(line) + measure_text_width(piece.trim_end()) <= width;
        match lines.last_mut() {
            Some(line) if line.is_empty() || fits(line) => line.push_str(&piece),
            _ => lines.push(piece),
        }
    }
    lines
}

/// Returns items with a comma behind each but the last.
fn listed(items: &[String]) -> impl Iterator<Item = String> {
    let end = move |number| if number + 1 == items.len() { "" } else { "," };
    items.iter().enumerate().map(move |(number, item)| format!("{item}{}", end(number)))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const HEADINGS: &[&str] = &["CLUSTER", "ROLE", "PODS", "ADD-ONS"];

    fn row(cells: [&str; 3], items: &str) -> Row {
        let items = items.split_whitespace().map(str::to_owned).collect();
        Row { cells: cells.map(str::to_owned).into(), items }
    }

    fn table() -> Table {
        let rows = vec![
            row(["eu-1", "app", "10.128.0.0/16"], "argocd cert-manager external-secrets istio keda kyverno"),
            row(["中文", "control", "-"], ""),
        ];
        Table { headings: HEADINGS, rows }
    }

    #[test]
    fn what_fits_is_a_line_a_row() {
        assert_snapshot!(table().wide(), @"
        CLUSTER  ROLE     PODS           ADD-ONS
        eu-1     app      10.128.0.0/16  argocd,cert-manager,external-secrets,istio,keda,kyverno
        中文     control  -
        ");
        assert_eq!(table().within(120), table().wide());
    }

    #[test]
    fn a_narrow_terminal_gets_fewer_columns_and_longer_rows() {
        assert_snapshot!(table().within(60), @"
        CLUSTER  ROLE     PODS           ADD-ONS
        eu-1     app      10.128.0.0/16  argocd,cert-manager,
                                         external-secrets,istio,
                                         keda,kyverno
        中文     control  -
        ");
        assert_snapshot!(table().within(40), @"
        CLUSTER  ROLE     ADD-ONS
        eu-1     app      argocd,cert-manager,
                          external-secrets,
                          istio,keda,kyverno
        中文     control
        no room for PODS: widen the terminal, or
        see `--format json`
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_as_long_as_its_items_are_not() {
        let long = format!("{}中文中文", "c".repeat(60));
        let rows = vec![row([&long, "app", "10.128.0.0/16"], "argocd cert-manager external-secrets istio")];
        let table = Table { headings: HEADINGS, rows };
        for width in 40..200 {
            let text = table.within(width);
            let is_within = |line| measure_text_width(line) <= width;
            assert!(text.lines().all(is_within), "{width}\n{text}");
        }
        assert!(table.within(40).contains("cccc…"), "{}", table.within(40));
    }

    #[test]
    fn a_terminal_without_room_gets_each_item_on_its_line() {
        let text = table().within(1);
        assert!(text.lines().count() > 6, "{text}");
    }
}
