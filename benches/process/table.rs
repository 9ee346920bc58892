//! What is printed.

use std::time::Duration;

/// A table, printed row by row so that whoever waits sees something.
pub(crate) struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// Prints a title and the heads of the columns.
    pub(crate) fn begin(title: &str, heads: &[&str]) -> Self {
        println!("\n## {title}\n");
        let table = Self { widths: heads.iter().map(|head| head.len().max(8)).collect() };
        table.row(heads);
        let lines: Vec<String> = table.widths.iter().map(|width| "-".repeat(*width)).collect();
        table.row(&lines);
        table
    }

    /// Prints a row.
    pub(crate) fn row<S: AsRef<str>>(&self, cells: &[S]) {
        let cells = cells.iter().zip(&self.widths).map(|(cell, width)| format!("{:>width$}", cell.as_ref()));
        println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

/// Milliseconds.
pub(crate) fn ms(span: Duration) -> String {
    format!("{:.2}", span.as_secs_f64() * 1e3)
}

/// Mebibytes.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

/// A whole number.
pub(crate) fn whole(number: f64) -> String {
    format!("{number:.0}")
}

/// How one is to another.
pub(crate) fn ratio(one: f64, other: f64) -> String {
    format!("{:.2}", one / other)
}
