//! The demo's table: what was asked, what should come back, what came back. A row is printed as soon as it is known.

use std::io::{IsTerminal, Write};

// Wide enough for every row of the tour; a longer cell moves only its own line.
const WIDTHS: [usize; 4] = [2, 43, 32, 49];

/// A table on standard output.
pub struct Table {
    rows: usize,
    failed: usize,
    colour: bool,
}

impl Table {
    /// Prints the heading. Colour is for terminals, and not where `NO_COLOR` is set.
    pub fn begin() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let table = Self {
            rows: 0,
            failed: 0,
            colour,
        };
        table.print(["#", "request", "expected", "got"], "ok");
        table.print(
            [
                "---",
                &"-".repeat(WIDTHS[1]),
                &"-".repeat(WIDTHS[2]),
                &"-".repeat(WIDTHS[3]),
            ],
            "--",
        );
        table
    }

    /// Adds a row that agrees or not.
    pub fn row(&mut self, request: &str, expected: &str, got: &str, agrees: bool) {
        self.rows += 1;
        self.failed += usize::from(!agrees);
        let mark = match (agrees, self.colour) {
            (true, false) => "ok",
            (false, false) => "NO",
            (true, true) => "\x1b[32mok\x1b[0m",
            (false, true) => "\x1b[1;31mNO\x1b[0m",
        };
        self.print([&self.rows.to_string(), request, expected, got], mark);
    }

    /// How many rows there are and how many of them do not agree.
    pub fn counts(&self) -> (usize, usize) {
        (self.rows, self.failed)
    }

    fn print(&self, cells: [&str; 4], mark: &str) {
        let mut line = String::new();
        for (cell, width) in cells.into_iter().zip(WIDTHS) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        // A reader that has gone away is no reason to stop the tour.
        let _ = writeln!(std::io::stdout(), "{line}{mark}");
    }
}
