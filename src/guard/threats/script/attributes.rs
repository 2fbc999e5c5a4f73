//! A tag's attributes, as browsers read them.

use crate::guard::threats::bytes::{between, from, is_blank, low};

/// Reads a tag's attributes to its end.
pub struct Attributes<'v> {
    pub bytes: &'v [u8],
    pub at: usize,
}

impl<'v> Attributes<'v> {
    /// A bit for each byte up to the blank.
    const BLANKS: u64 = u64::MAX >> 31;

    /// White space and controls, and these signs: by a bit each, since every byte of a tag is asked about.
    const fn separates(byte: u8) -> bool {
        const BITS: u64 = Attributes::BLANKS | 1 << b'/' | 1 << b'"' | 1 << b'\'' | 1 << b'+';
        byte < 64 && BITS >> byte & 1 != 0 || byte == b'`'
    }

    /// What a name ends at.
    const fn ends(byte: u8) -> bool {
        const BITS: u64 = Attributes::BLANKS | 1 << b'/' | 1 << b'"' | 1 << b'\'' | 1 << b'=' | 1 << b'>';
        byte < 64 && BITS >> byte & 1 != 0 || byte == b'`'
    }

    pub fn skip_separators(&mut self) {
        let separators = from(self.bytes, self.at).iter().take_while(|b| Self::separates(**b));
        self.at += separators.count();
    }

    /// A name and its value, if it has one; `None` at the tag's end.
    pub fn next(&mut self) -> Option<(&'v [u8], Option<&'v [u8]>)> {
        self.skip_separators();
        let start = self.at;
        match self.bytes.get(start) {
            None | Some(b'>' | b'<') => return None,
            _ => {}
        }
        let len = from(self.bytes, start + 1)
            .iter()
            .take_while(|b| !Self::ends(**b))
            .count()
            + 1;
        let key = between(self.bytes, start, start + len);
        self.at = start + len;
        let blanks = from(self.bytes, self.at)
            .iter()
            .take_while(|b| is_blank(**b) || **b < 0x20)
            .count();
        if low(self.bytes, self.at + blanks) != b'=' {
            return Some((key, None));
        }
        self.at += blanks + 1;
        self.at += from(self.bytes, self.at)
            .iter()
            .take_while(|b| is_blank(**b) || **b < 0x20)
            .count();
        let quote = low(self.bytes, self.at);
        let start = match quote {
            b'"' | b'\'' | b'`' => self.at + 1,
            _ => self.at,
        };
        let rest = from(self.bytes, start);
        let len = match quote {
            b'"' | b'\'' | b'`' => rest.iter().position(|b| *b == quote).unwrap_or(rest.len()),
            _ => rest
                .iter()
                .position(|b| is_blank(*b) || *b == b'>')
                .unwrap_or(rest.len()),
        };
        self.at = start + len + usize::from(start > self.at);
        Some((key, Some(between(self.bytes, start, start + len))))
    }
}
