//! Paths that a shell's patterns stand in.

use crate::guard::threats::bytes::{Words, between, find_byte, from, is_blank};

/// Folders that a command or a system's file is looked for in.
static FOLDERS: Words<9> = Words::new(["bin", "dev", "etc", "proc", "root", "sbin", "tmp", "usr", "var"]);

/// Whether all that could be a pattern is one `?` behind a file's name with an ending, or behind a name of another folder
/// than a system's: `icons.css?v12`, `/api/items?page`.
fn has_query(word: &[u8]) -> bool {
    let mut signs = word.iter().enumerate().filter(|(_, b)| matches!(b, b'?' | b'*' | b'['));
    let (Some((mark, b'?')), None) = (signs.next(), signs.next()) else {
        return false;
    };
    let mut names = between(word, 0, mark).rsplit(|b| *b == b'/');
    let name = names.next().unwrap_or_default();
    let ending = name
        .iter()
        .rposition(|b| *b == b'.')
        .is_some_and(|dot| dot > 0 && dot + 2 < name.len());
    ending || name.len() > 2 && !from(word, mark).contains(&b'/') && !names.any(|folder| FOLDERS.has(folder))
}

/// Whether a path is written with a shell's patterns where no web address has them: `/???/c?t`, `/et[c]/pa*wd`.
pub fn globbed_path(bytes: &[u8]) -> bool {
    /// Longer paths are opened by no system (Linux's `PATH_MAX`).
    const PATH_BYTES_MAX: usize = 4096;
    bytes
        .split(|b| is_blank(*b) || matches!(b, b';' | b'|' | b'&' | b'"' | b'('))
        .take(64)
        .filter(|word| word.len() <= PATH_BYTES_MAX)
        .filter_map(|word| {
            let equals = find_byte(word, 0, b'=');
            let value = equals.map_or(word, |equals| from(word, equals + 1));
            let question = |bytes| find_byte(bytes, 0, b'?');
            // Of a path with a query, neither that nor the path is looked at.
            let queried = || match equals {
                Some(equals) => {
                    question(word).is_some_and(|mark| mark < equals)
                        || question(value).is_some_and(|mark| from(value, mark).contains(&b'='))
                }
                None => has_query(word),
            };
            (value.first() == Some(&b'/') && !queried()).then_some(value)
        })
        .any(|word| {
            let slashes = word.iter().filter(|b| **b == b'/').count();
            let pairs = word
                .windows(2)
                .filter(|pair| matches!(pair, [b'?', b'?' | b'/'] | [b'/', b'?'] | [b'*', b'a'..=b'z']))
                .count();
            slashes >= 2
                && (pairs >= 2
                    || word.windows(2).any(|w| w == b"[!" || w == b"[^")
                    || word
                        .windows(3)
                        .any(|w| matches!(w, [b'[', b'a'..=b'z', b']'] | [b'a'..=b'z', b'?' | b'*', b'a'..=b'z'])))
        })
}
