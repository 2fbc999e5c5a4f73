//! What single bytes are to a shell.

/// Blanks, quotes and brackets, which may stand between a separator and a command.
pub const LEADS: u8 = 1;
/// A byte of a command's name.
pub const NAME: u8 = 1 << 1;
/// What may separate commands or begin a substitution.
pub const PARTS: u8 = 1 << 2;
/// What separates commands too, but not in prose.
pub const LINES: u8 = 1 << 3;

/// What a shell reads over within a name, and paths' slashes.
pub const SPELLS: u8 = 1 << 4;
/// Behind a name, with the above: it may go on with an expansion.
pub const EXPANDS: u8 = 1 << 5;

const fn signs() -> [u8; 256] {
    let mut table = [0_u8; 256];
    let mut byte: u8 = 0;
    loop {
        let sign = match byte {
            b'\n' => LEADS | LINES,
            b'\t'..=b'\r' | b' ' | b'@' => LEADS,
            b'"' | b'\'' | b'\\' | b'^' => LEADS | SPELLS,
            b'/' => SPELLS,
            b'(' | b'{' => LEADS | PARTS,
            b';' | b'|' | b'&' => PARTS,
            b'`' => LINES | EXPANDS,
            b'$' | b'<' | b'>' => EXPANDS,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'.' | b'-' | b'?' | b'*' | b'[' | b']' => NAME,
            _ => 0,
        };
        #[allow(
            clippy::indexing_slicing,
            reason = "in constants an index beyond the end does not compile"
        )]
        {
            table[byte as usize] = sign;
        }
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

static SIGNS: [u8; 256] = signs();

/// All that a byte is.
#[inline(always)]
pub fn of(byte: u8) -> u8 {
    SIGNS.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Whether a byte is any of these.
#[inline(always)]
pub fn is(byte: u8, any: u8) -> bool {
    of(byte) & any != 0
}
