//! Rows of a table of Markdown's (GitHub Flavored Markdown, 4.10) or reStructuredText's: their bars separate no commands.

use crate::guard::threats::bytes::{between, find_byte, from, skip_spaces};

/// The row that was looked at last.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Where it ends; bars in front of that are its own, if it is one.
    end: usize,
    row: bool,
    /// How many lines were looked at.
    pub lines: usize,
}

impl Table {
    /// Whether the bar at a position belongs to a row: a line that begins and ends with a bar, beside another that begins
    /// with one. To a shell a bar behind a bar and a line's end is an error, so that it runs neither line; a carriage return
    /// in front of the end would be a command's name, and the line complete. Asked for positions in their order; each line
    /// is looked at once.
    pub fn has(&mut self, bytes: &[u8], position: usize) -> bool {
        if position < self.end {
            return self.row;
        }
        self.lines += 1;
        let above = self.row && self.end > 0;
        let front = bytes.get(self.end..position).unwrap_or_default();
        let begin = front
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(self.end, |at| self.end + at + 1);
        let end = find_byte(bytes, position, b'\n').unwrap_or(bytes.len());
        // The row above is the line right in front.
        let above = above && begin == self.end + 1;
        let line = between(bytes, position, end);
        let blanks = line.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let line = between(line, 0, line.len() - blanks);
        let bar = |at: usize| from(bytes, skip_spaces(bytes, at)).first() == Some(&b'|');
        self.row = line.len() > 2
            && skip_spaces(bytes, begin) == position
            && line.ends_with(b"|")
            && (above || bar(end + 1) || is_ruled(bytes, begin));
        self.end = end;
        self.row
    }
}

/// Whether the line above the one that begins at a position is a table's rule: `+----+` or `+====+`, of which a shell makes a
/// command of its own, so that a bar behind it is an error.
fn is_ruled(bytes: &[u8], begin: usize) -> bool {
    /// Wider tables are none that people write.
    const RULE_BYTES_MAX: usize = 1024;
    let Some(end) = begin.checked_sub(1) else { return false };
    let near = between(bytes, end.saturating_sub(RULE_BYTES_MAX), end);
    let start = near.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let rule = from(near, start).trim_ascii();
    rule.len() > 2
        && rule.starts_with(b"+")
        && rule.ends_with(b"+")
        && rule.iter().all(|b| matches!(b, b'+' | b'-' | b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[bool]) {
        let mut table = Table::default();
        let bars = text.bytes().enumerate().filter(|(_, b)| *b == b'|');
        let found: Vec<bool> = bars.map(|(at, _)| table.has(text.as_bytes(), at)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_row_stands_beside_another() {
        check("| id |\n|---|\n| ls |", &[true; 6]);
        check("+----+\n| id |\n+====+\n| ls |\n+----+", &[true; 4]);
        check("| id |\n+----+", &[false; 2]);
        check("+-;-+\n| id |\n+----+", &[false; 2]);
        check("a\n\n  | id |\n  | -- |", &[true; 4]);
        check("| id |", &[false; 2]);
        check("x | id |\n|---|", &[false, false, false, false]);
        check("| id\n|---|", &[false; 3]);
        check("| id |\n\n| ls |", &[false; 4]);
        check("|a|\n|b|\nx | id", &[true, true, true, true, false]);
        check("| id |\r\n|---|", &[false; 4]);
        check("| id |\x0c\n|---|", &[false; 4]);
        check("| id | \t\n|---|", &[true; 4]);
    }
}
