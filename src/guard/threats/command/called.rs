//! Whether a name behind a separator is a command that a shell would run, or a word that is spelt as one.

use super::names::{COMMANDS, TITLES, WORDS, WRAPPERS};
use super::spelling::{Spelled, spelled};
use super::{REACHING, SPELLED, command_at, leading};
use crate::guard::threats::bytes::{between, find_pair, from, is_blank, low, positions, skip_spaces, starts_with};

/// What stands in front of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Start,
    Separator,
    /// A separator that nothing stands in front of but blanks and others.
    Opening,
    Ampersand,
    Line,
    BackQuote,
    Substitution,
    /// A command that runs another.
    Wrapper,
    /// Any separator in prose.
    Prose,
}

/// What is looked at in front of a line that runs a command, and of its arguments.
const FRONT_BYTES_MAX: usize = 64;
const OPTIONS_BYTES_MAX: usize = 64;

/// Whether the name at a position is a command's, by what stands around it. `at`: where what is before it ends.
pub(super) fn spelled_at(
    bytes: &[u8],
    at: usize,
    begin: usize,
    before: Before,
    left: &mut usize,
) -> Option<&'static str> {
    *left = left.saturating_sub(SPELLED);
    let Spelled {
        name,
        len,
        obscured,
        pathed,
        end: at,
    } = spelled(bytes, at, begin, left)?;
    let name = name.get(..len)?;
    if name.is_empty() {
        return None;
    }
    // `/cc https://…` on a line of its own: hardly a program stands right below the root.
    let path = between(bytes, begin, at);
    if before == Before::Line && pathed && !obscured && path.first() == Some(&b'/') && path.len() == len + 1 {
        return None;
    }
    let exe = name.strip_suffix(b".exe").unwrap_or(name);
    let wraps = WRAPPERS.has(exe) && matches!(low(bytes, at), b' ' | b'\t');
    let begins = matches!(
        before,
        Before::Start | Before::Separator | Before::Opening | Before::Ampersand | Before::Line
    );
    if wraps
        && begins
        && let Some(rule) = command_at(bytes, at, at + leading(bytes, at), Before::Wrapper, left)
    {
        return Some(rule);
    }
    let rest = from(bytes, at);
    let next = low(rest, 0);
    let argument = from(rest, rest.iter().take_while(|b| is_blank(**b)).count());
    let spaced = argument.len() < rest.len();
    // `&& ls /`: the root by itself, and the command's end.
    let root = matches!(exe, b"ls" | b"dir" | b"du" | b"tree")
        && matches!(before, Before::Separator | Before::Opening | Before::Ampersand)
        && low(argument, 0) == b'/'
        && matches!(
            low(argument, 1 + leading(argument, 1)),
            0 | b'|' | b'>' | b'&' | b';' | b'`'
        );
    // `ps aux`, whose options have no dash, and the command's end behind; `PS auxiliary power`, `ps au fait`, `ps xxx`.
    let processes = || {
        let options = argument
            .iter()
            .take_while(|b| matches!(b, b'a' | b'f' | b'u' | b'w' | b'x'))
            .count();
        let behind = low(argument, skip_spaces(argument, options));
        !matches!(before, Before::Start | Before::Prose)
            && exe == b"ps"
            && path.ends_with(exe)
            && argument.first() == Some(&b'a')
            && between(argument, 0, options).contains(&b'x')
            && matches!(
                behind,
                0 | b'\r' | b'\n' | b'|' | b'>' | b'<' | b'&' | b';' | b'`' | b'-' | b'#' | b')' | b'"' | b'\'' | b'$'
            )
    };
    let strong = spaced && (strong_argument(argument) || root || processes())
        || matches!(next, b'<' | b'>' | b'$' | b'{')
        || rest.starts_with(b"+/");
    // A title's word (`30x30 | Top`): shells of Unix tell `Cat` from `cat`.
    let titled = len > 2 && is_titled(between(bytes, at.saturating_sub(len), at));
    // Words between bars are a list.
    let listed = low(argument, 0) == b'|' && is_blank(low(argument, 1));
    let strong = strong && !(titled && listed);
    let separated = matches!(before, Before::Separator | Before::Opening);
    let spoken = titled && !strong && (separated || matches!(before, Before::Ampersand | Before::Line));
    if spoken && !obscured {
        return None;
    }
    // `&reg;`, `&copy;`: characters of HTML's. By themselves these commands of Windows do nothing.
    let reference = || {
        let front = between(bytes, 0, begin);
        front.ends_with(b"&") || front.ends_with(b"&amp;")
    };
    if next == b';' && matches!(name, b"reg" | b"copy") && reference() {
        return None;
    }
    // The last of a list of a head's fields that are signed; by itself it does nothing.
    if name == b"host" && separated && rest.is_empty() {
        return None;
    }
    let known = COMMANDS.has(exe);
    let word = WORDS.has(exe);
    let wild = pathed
        && name.iter().any(|b| matches!(b, b'?' | b'*' | b'['))
        && name.first() != Some(&b'*')
        && next != b'='
        && before != Before::Start;
    if wild && (separated || matches!(before, Before::BackQuote | Before::Substitution)) {
        return Some("command.chained");
    }
    if !known && !word {
        return None;
    }
    if obscured && known && len > 1 {
        return Some("command.obscured");
    }
    if spoken {
        return None;
    }
    let waits = spaced && matches!(exe, b"sleep" | b"timeout" | b"ping") && low(argument, 0).is_ascii_digit();
    let ends = argument.is_empty()
        || matches!(
            low(argument, 0),
            b'|' | b';' | b'&' | b'`' | b')' | b'#' | b'"' | b'\'' | b'\\' | b'>' | b'<'
        )
        || before == Before::Substitution && matches!(next, b',' | b'}');
    let found = match before {
        Before::Prose => known && spaced && strong && exe.len() > 1,
        _ if waits => before != Before::Start || argument.iter().all(u8::is_ascii_digit),
        Before::Wrapper => {
            known && exe.len() > 1 && (strong || (ends || spaced) && !TITLES.has(exe) && bytes.len() < 64)
        }
        Before::Start if exe == b"alias" => {
            let head = argument.get(..argument.len().min(32)).unwrap_or(argument);
            spaced && head.contains(&b'=') && !head.contains(&b',')
        }
        Before::Start => {
            strong
                && known
                && !matches!(
                    exe,
                    b"git" | b"node" | b"php" | b"mysql" | b"id" | b"ip" | b"head" | b"sort" | b"cut" | b"less"
                )
        }
        // A new line is one of text more often than of a script.
        Before::Line => {
            let ended = argument.iter().all(|b| is_blank(*b) || matches!(b, b'\'' | b'"'));
            // `127.0.0.1%0a ping localhost -i 3`: nothing or an address, and a line that ends with options. Each line looks again,
            // so that each looks at so many bytes.
            let front = (begin <= FRONT_BYTES_MAX).then(|| between(bytes, 0, begin).trim_ascii());
            let address = || {
                // `1.0`, `29.11.2026`, `19.99` are none.
                let four = |front: &[u8]| {
                    front.iter().filter(|b| **b == b'.').count() == 3
                        && front.iter().all(|b| b.is_ascii_digit() || *b == b'.')
                };
                front.is_some_and(|front| four(front) || matches!(front, b"::1" | b"localhost"))
            };
            let optioned = || {
                let told = matches!(
                    exe,
                    b"git" | b"npm" | b"docker" | b"python" | b"node" | b"sort" | b"head" | b"pip" | b"pip3"
                );
                // `-c 3`, `--count`; a search excludes words (`jobs in London -remote`).
                let addressed = address();
                let option = |line: &[u8]| {
                    positions(line, b'-').any(|at| {
                        let behind = (low(line, at + 1), low(line, at + 2));
                        at.checked_sub(1).is_some_and(|at| is_blank(low(line, at)))
                            && (behind.0.is_ascii_alphabetic() && (addressed || !behind.1.is_ascii_alphabetic())
                                || behind.0 == b'-' && behind.1.is_ascii_alphabetic())
                    })
                };
                (front.is_some_and(<[u8]>::is_empty) && !told || addressed) && {
                    let line = between(argument, 0, argument.len().min(OPTIONS_BYTES_MAX)).trim_ascii_end();
                    line.len() < OPTIONS_BYTES_MAX && !line.contains(&b'\n') && option(line)
                }
            };
            let chains = || rest.starts_with(b"&&") || matches!(next, b'|' | b';') && address();
            known && (strong || ends && (ended || chains()) && exe.len() <= 8 && bytes.len() < 200 || optioned())
        }
        Before::Ampersand => {
            // `& echo abc &`: all of it runs beside what stands around.
            let echoes = || {
                let text = bytes.trim_ascii();
                exe == b"echo" && text.len() < 64 && text.starts_with(b"&") && text.ends_with(b"&")
            };
            let apart = || spaced && !is_blank(low(bytes, at.saturating_sub(len + 1)));
            next != b'=' && known && (strong || ends || apart() || echoes())
        }
        Before::Separator | Before::Opening => {
            // `;rm q23 #`: behind a separator that the value begins with, and with what arguments have, or by a name that
            // nobody writes for another thing. Tables have bars and blanks at both ends.
            let leads = || {
                let argued = |b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b'/' | b'#' | b'(');
                let plain = || {
                    let own = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
                    let small = own.iter().all(u8::is_ascii_lowercase);
                    small
                        && matches!(
                            name,
                            b"cp" | b"dd" | b"ln" | b"ls" | b"mv" | b"nc" | b"od" | b"rm" | b"sh" | b"wc"
                        )
                };
                before == Before::Opening
                    && (plain() && low(argument, 0) != b'=' || argument.iter().any(argued))
                    && !(bytes.starts_with(b"| ") && find_pair(argument, 0, *b" |").is_some())
            };
            next != b'='
                && next != b':'
                && (known && (strong || ends || spaced && (exe.len() != 2 || leads()))
                    || word && (strong || ends && argument.is_empty()))
        }
        Before::BackQuote => {
            known && (strong && !rest.is_empty() || ends && bytes.len() < 64 || spaced && REACHING.has(exe))
        }
        Before::Substitution => next != b'=' && (known || word) && (strong || ends || spaced),
    };
    found.then_some("command.chained")
}

/// Whether a word is written as in a title: a capital and small letters, among them perhaps one more capital (`MySql`).
fn is_titled(word: &[u8]) -> bool {
    let mut capitals = word.iter().enumerate().filter(|(_, b)| b.is_ascii_uppercase());
    let first = capitals.next().is_some_and(|(at, _)| at == 0);
    let second = capitals.next().is_none_or(|(at, _)| at > 1 && at + 1 < word.len());
    first && second && capitals.next().is_none() && word.iter().all(u8::is_ascii_alphabetic)
}

/// Whether a word is an argument as command lines have it: an option, a path, a variable, an address.
fn strong_argument(argument: &[u8]) -> bool {
    let word = between(
        argument,
        0,
        argument.iter().position(|b| is_blank(*b)).unwrap_or(argument.len()),
    );
    match low(word, 0) {
        b'-' => low(word, 1).is_ascii_alphabetic() || low(word, 1) == b'-' && low(word, 2).is_ascii_alphabetic(),
        b'/' => low(word, 1).is_ascii_alphabetic() || matches!(low(word, 1), b'?' | b'*' | b'['),
        // `python >=2.7`
        b'<' | b'>' => !(low(word, 1) == b'=' && low(word, 2).is_ascii_digit()),
        b'$' | b'%' | b'~' | b'|' => true,
        b'.' => low(word, 1) == b'/' || low(word, 1) == b'.' && matches!(low(word, 2), b'/' | b'\\' | 0),
        b'\\' => low(word, 1) == b'\\',
        b'0'..=b'9' => {
            let address = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b':' | b'/');
            word.iter().filter(|b| **b == b'.').count() == 3
                && (low(word, 1) == b'x' || word.iter().take_while(|b| address(b)).count() > 6)
        }
        // `curl (https://curl.se)`: what a text says of it; PowerShell's `iex (iwr('https://…'))` calls.
        b'(' => !starts_with(word, b"(http") && word.windows(3).any(|w| w == b"://"),
        first if first.is_ascii_alphabetic() && low(word, 1) == b':' => matches!(low(word, 2), b'\\' | b'/'),
        _ => word.windows(3).any(|w| w == b"://"),
    }
}
