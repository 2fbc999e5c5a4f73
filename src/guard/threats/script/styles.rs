//! Styles that run or load something.

use crate::guard::threats::bytes::{ByteSet, between, from, low, starts_with};

/// Parts of a text that are searched for the same, mostly in the order of where they begin; they may overlap.
#[derive(Default)]
pub(super) struct Parts {
    /// From here on, and up to `until`, nothing was found.
    begin: usize,
    until: usize,
    /// Bytes that were searched.
    pub searched: usize,
}

impl Parts {
    /// Whether the part from a position on, up to so many bytes, has what is sought. Of what an earlier part was searched in
    /// vain, only as much is searched again as may be cut off there.
    pub fn have(&mut self, bytes: &[u8], start: usize, len: usize, sought: fn(&[u8]) -> bool) -> bool {
        /// Nothing that is sought is longer.
        const SOUGHT_BYTES_MAX: usize = 16;
        let end = bytes.len().min(start + len);
        // A tag within another's quotes ends before that.
        if start < self.begin || start > self.until {
            (self.begin, self.until) = (start, end);
            self.searched += end.saturating_sub(start);
            return sought(between(bytes, start, end));
        }
        let new = start.max(self.until.saturating_sub(SOUGHT_BYTES_MAX));
        self.until = self.until.max(end);
        self.searched += end.saturating_sub(new);
        sought(between(bytes, new, end))
    }
}

/// Whether a style runs or loads something. Each byte is looked at once: a style may be as long as the value.
pub(super) fn executable_style(style: &[u8]) -> bool {
    /// What all that tells has in it.
    static SIGNS: ByteSet = ByteSet::new(b":(/@-");
    style
        .iter()
        .enumerate()
        .filter(|(_, byte)| SIGNS.has(**byte))
        .any(|(at, byte)| {
            let front = style.get(..at).unwrap_or_default();
            // The last letter tells most.
            let behind = |name: &[u8]| {
                front.last().map(u8::to_ascii_lowercase) == name.last().copied()
                    && front.len() >= name.len()
                    && starts_with(from(front, front.len() - name.len()), name)
            };
            match byte {
                b':' => behind(b"javascript") || behind(b"vbscript") || behind(b"behavior"),
                b'(' => behind(b"expression"),
                b'/' => low(style, at + 1) == b'*' && behind(b"expression"),
                b'@' => starts_with(from(style, at + 1), b"import"),
                _ => starts_with(from(style, at + 1), b"moz-binding"),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_in_front_of_what_was_searched_is_searched_too() {
        let text = b"0123456789behavior:url(x)0123456789 0123456789";
        let mut parts = Parts::default();
        assert!(!parts.have(text, 30, 10, executable_style));
        assert!(parts.have(text, 5, 25, executable_style));
        // Cut off at one part's end, whole in the next.
        let mut parts = Parts::default();
        assert!(!parts.have(text, 0, 15, executable_style));
        assert!(parts.have(text, 4, 20, executable_style));
    }
}
