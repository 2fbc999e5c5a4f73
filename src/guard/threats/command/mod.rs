//! Command injection: a shell's separator or substitution with a command behind it, or a value that is a command line.
//! Quotes, back-slashes, carets and empty expansions inside a command's name are read over, as shells do.

mod called;
pub mod fragment;
pub mod glob;
mod names;
mod sign;
mod spelling;
mod table;
mod windows;

use super::bytes::{Words, between, find_bits, find_byte, from, is_blank, listed, low, word_len};
use super::effort::Effort;
use super::profile::is_choice;
use called::{Before, spelled_at};
use names::{COMMANDS, WORDS};
use spelling::unknown;
use table::Table;
use windows::windows_at;

/// Bytes that may be looked at behind separators, for each byte of the value and at least. A script has a separator in
/// ten bytes and a name of six behind it; what takes more is nothing that people or programs write.
const LOOKED_PER_BYTE: usize = 6;
const LOOKED_MIN: usize = 1024;
/// Taken for a name that is read over what obscures it, beside its bytes: that costs several times as much.
const SPELLED: usize = 20;

/// Taken for a separator without a name behind it, beside the bytes between. Three times over, a value may be nothing else (a
/// table's empty columns); in four layers it is nothing that anybody writes.
const NAMELESS: usize = 2;

/// What may be looked at behind separators in a value of so many bytes, all its layers together.
pub const fn looked_max(len: usize) -> usize {
    len.saturating_mul(LOOKED_PER_BYTE).saturating_add(LOOKED_MIN)
}

/// Blanks, quotes and brackets between a separator and a command.
const LEADING_MAX: usize = 64;

/// In `prose` only what acts in the midst of it counts: a separator or a substitution on a line of text, and behind it a
/// command with an argument as command lines have them.
///
/// What is looked at is taken from what is left of it, at first [`looked_max`].
#[inline(never)]
pub fn judge(bytes: &[u8], prose: bool, effort: &mut Effort) -> Option<&'static str> {
    let before = effort.looked;
    let mut separators = 0;
    let mut table = Table::default();
    let found = judge_all(bytes, prose, &mut effort.looked, &mut separators, &mut table);
    let looked = before - effort.looked;
    effort.spend(separators * SEPARATOR_STEPS + table.lines * ROW_STEPS + looked * LOOKED_STEPS);
    found
}

/// Taken from the value's effort, in its steps: for a separator, for a line that may be a table's row, and for what is
/// looked at behind a separator.
const SEPARATOR_STEPS: usize = 6;
const ROW_STEPS: usize = 40;
const LOOKED_STEPS: usize = 6;

fn judge_all(
    bytes: &[u8],
    prose: bool,
    left: &mut usize,
    separators: &mut usize,
    table: &mut Table,
) -> Option<&'static str> {
    if is_list(bytes) {
        return None;
    }
    if !prose && let Some(rule) = line_at(bytes, 0, leading(bytes, 0), Before::Start, left) {
        return Some(rule);
    }
    if !prose && function(bytes) {
        return Some("command.function");
    }
    // Blanks and separators that the value begins with. Counted once: they may be half of it, and commands the other half.
    let leads = |b: &&u8| is_blank(**b) || matches!(b, b';' | b'|');
    let opening = bytes.iter().take_while(leads).count();
    let mut at = 0;
    let mut first_letter = None;
    // Where a span of Markdown's that was passed over closes.
    let mut span_end = None;
    let mut doubled = false;
    loop {
        // What prose has no use for may still tell that too much was looked at.
        let sought = if prose && *left > 0 {
            sign::PARTS
        } else {
            sign::PARTS | sign::LINES
        };
        let position = find_bits(bytes, at, |byte| sign::of(byte).into(), sought.into())?;
        let byte = raw(bytes, position);
        *separators += 1;
        at = position + 1;
        let before = position.checked_sub(1).map_or(0, |i| raw(bytes, i));
        let kind = match byte {
            b'(' if before == b'$' && selects(bytes, at) => continue,
            b'(' if matches!(before, b'$' | b'<' | b'>' | b'@') => Before::Substitution,
            b'(' | b'{' => {
                if byte == b'{' && raw(bytes, at) == b',' {
                    Before::Substitution
                } else {
                    continue;
                }
            }
            // A fence.
            b'`' if before == b'`' && position.checked_sub(2).is_some_and(|i| raw(bytes, i) == b'`') => continue,
            b'`' if span_end == Some(position) => continue,
            // Two in a row run nothing, and mark code in reStructuredText; unless the first closes what was open.
            b'`' if raw(bytes, at) == b'`'
                && raw(bytes, at + 1) != b'`'
                && (doubled || position == 0 || is_blank(before)) =>
            {
                doubled = !doubled;
                at += 1;
                continue;
            }
            b'|' if table.has(bytes, position) => continue,
            // A span of Markdown's stands apart from the words in front of it, or begins a heading or an item.
            b'`' if matches!(before, b' ' | b'\n' | b'[' | b'(')
                && (*first_letter
                    .get_or_insert_with(|| bytes.iter().position(u8::is_ascii_alphabetic).unwrap_or(bytes.len()))
                    < position
                    || begins_block(bytes, position))
                && (prose || !quoted_command(bytes, at)) =>
            {
                doubled &= raw(bytes, at) == b'`';
                // What stands behind it is no command: a shell would take it for an argument.
                let near = between(bytes, at, bytes.len().min(at + SPAN_BYTES_MAX));
                span_end = find_byte(near, 0, b'`').map(|len| at + len);
                continue;
            }
            b'`' => {
                // What one opens, the first of two closes.
                doubled &= raw(bytes, at) == b'`';
                Before::BackQuote
            }
            b'&' if raw(bytes, at) == b'&' => {
                at += 1;
                Before::Separator
            }
            b'|' if raw(bytes, at) == b'|' => {
                at += 1;
                Before::Separator
            }
            b'&' => Before::Ampersand,
            b'\n' => Before::Line,
            _ => Before::Separator,
        };
        if kind == Before::Substitution && byte == b'{' {
            at += 1;
        }
        if *left == 0 {
            return Some("command.tangled");
        }
        if prose {
            // Tables have bars, and a statement's end is no shell's where a line ends with it.
            let table = byte == b'|' && before == b' ' && low(bytes, at) == b' ';
            let spoken = !matches!(kind, Before::Separator | Before::Substitution) || table;
            if spoken || matches!(low(bytes, super::bytes::skip_spaces(bytes, at)), b'\n' | b'\r') {
                continue;
            }
            let begin = at + leading(bytes, at);
            if command_at(bytes, at, begin, Before::Prose, left).is_some() {
                return Some("command.chained");
            }
            continue;
        }
        let begin = at + leading(bytes, at);
        if !sign::is(raw(bytes, begin), sign::NAME | sign::SPELLS) {
            *left = left.saturating_sub(begin - at + NAMELESS);
            continue;
        }
        let kind = if kind == Before::Separator && begin <= opening {
            Before::Opening
        } else {
            kind
        };
        if let Some(rule) = line_at(bytes, at, begin, kind, left) {
            return Some(rule);
        }
    }
}

/// Whether what stands in `$(…)` is no command, but a name in quotes with blanks or capitals in it (`$('Set fields')`, as
/// programs select something) or one in capitals, as variables have (`$(POD_IP)`): shells run neither.
fn selects(bytes: &[u8], at: usize) -> bool {
    /// Longer names are looked at as others are.
    const NAME_BYTES_MAX: usize = 64;
    let near = between(bytes, at, bytes.len().min(at + NAME_BYTES_MAX));
    match near.first() {
        Some(quote @ (b'\'' | b'"')) => {
            let name = between(near, 1, find_byte(near, 1, *quote).unwrap_or(0));
            let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_' | b'-' | b'(' | b')' | b':');
            name.iter().all(plain) && name.iter().any(|b| *b == b' ' || b.is_ascii_uppercase())
        }
        Some(b'A'..=b'Z') => {
            let len = near
                .iter()
                .take_while(|b| b.is_ascii_uppercase() || **b == b'_')
                .count();
            raw(near, len) == b')'
        }
        _ => false,
    }
}

/// A byte as it stands; zero beyond the end.
fn raw(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// A command of either shell, from a position on; `begin` is behind what leads to it.
#[inline(always)]
fn line_at(bytes: &[u8], at: usize, begin: usize, before: Before, left: &mut usize) -> Option<&'static str> {
    let found = command_at(bytes, at, begin, before, left);
    // The other shell's are `if` and `for`.
    if found.is_none() && matches!(low(bytes, begin), b'i' | b'f') {
        return windows_at(bytes, at, begin, left);
    }
    found
}

/// Whether a value is a list of names between bars, as APIs take them, though one may be a command's too: two languages by
/// their codes (`en|id`), or three names and more (`lat|long|id`).
fn is_list(bytes: &[u8]) -> bool {
    /// Longer ones are looked at as others are.
    const BYTES_MAX: usize = 64;
    /// Commands that do nothing by themselves, and are ordinary names.
    const HARMLESS: [&str; 11] = [
        "cut", "date", "head", "hostid", "id", "route", "sort", "time", "type", "uniq", "unset",
    ];
    if is_choice(bytes) {
        let mut words = bytes.split(|b| matches!(b, b'|' | b'\'' | b'"'));
        return words.all(|word| {
            let word = word.trim_ascii();
            let word = word.strip_suffix(b".exe").unwrap_or(word);
            listed(&HARMLESS, word) || !COMMANDS.has(word) && !WORDS.has(word)
        });
    }
    if is_head_list(bytes) {
        return true;
    }
    if bytes.len() > BYTES_MAX || !bytes.contains(&b'|') {
        return false;
    }
    let mut names = 0_usize;
    let (mut plain, mut codes) = (true, true);
    let coded = |name: &[u8]| name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let upper = bytes.split(|b| *b == b'|').all(|name| coded(name.trim_ascii()));
    // `A|versao|Id|pk_nItem|`: a line's layout begins with its letter and ends with a bar.
    let layout = matches!(bytes, [letter, b'|', .., b'|'] if letter.is_ascii_uppercase());
    let laid = if layout {
        between(bytes, 2, bytes.len() - 1)
    } else {
        bytes
    };
    for name in laid.split(|b| *b == b'|') {
        names += 1;
        let name = name.trim_ascii();
        let spelt = |b: &u8| b.is_ascii_lowercase() || *b == b'_' || (upper || layout) && b.is_ascii_alphanumeric();
        plain &= name.len() > 1 && name.iter().all(spelt);
        let shown = upper && name == b"DIR" && !laid.ends_with(b"DIR");
        plain &= listed(&HARMLESS, name) || shown || !COMMANDS.has(name) && !WORDS.has(name);
        codes &= name.len() == 2;
    }
    plain && (names > 2 || codes)
}

/// Whether a value lists fields of a head, as signatures do (`content-type;host;x-amz-date`): `host` and `date` are commands,
/// which do nothing by themselves.
fn is_head_list(bytes: &[u8]) -> bool {
    /// What is signed is not more.
    const BYTES_MAX: usize = 512;
    let mut joined = false;
    bytes.len() <= BYTES_MAX
        && bytes.contains(&b';')
        && bytes.split(|b| *b == b';').all(|name| {
            let inner = from(name, 1);
            joined |= inner.contains(&b'-');
            name.first().is_some_and(u8::is_ascii_lowercase)
                && name
                    .iter()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
                && (matches!(name, b"host" | b"date") || !COMMANDS.has(name) && !WORDS.has(name))
        })
        && joined
}

/// A shell's function that pipes or detaches, as a fork bomb does: `f(){ f|f& };f`, or the head of one alone.
fn function(bytes: &[u8]) -> bool {
    /// A value that is one is short.
    const BYTES_MAX: usize = 128;
    let text = bytes.trim_ascii();
    if text.len() > BYTES_MAX {
        return false;
    }
    let Some(at) = text.windows(2).position(|w| w == b"()") else {
        return false;
    };
    let open = super::bytes::skip_blank(text, at + 2);
    if low(text, open) != b'{' {
        return false;
    }
    let front = between(text, 0, at);
    // `test("x", function () {` is a function of another language.
    if front
        .iter()
        .any(|b| matches!(b, b'(' | b'"' | b'\'' | b',' | b'=' | b':'))
    {
        return false;
    }
    let name = front.rsplit(|b| is_blank(*b) || *b == b';').next().unwrap_or_default();
    let body = from(text, open + 1);
    let calls = |byte: u8| {
        body.iter().enumerate().filter(|(_, b)| **b == byte).any(|(i, _)| {
            let next = from(body, i + 1).trim_ascii_start();
            next.starts_with(name) || next.starts_with(b"}")
        })
    };
    body.is_empty() || !name.is_empty() && (calls(b'|') || calls(b'&'))
}

/// The length of what stands in front of a name.
#[inline(always)]
fn leading(bytes: &[u8], at: usize) -> usize {
    let front = from(bytes, at).iter().take(LEADING_MAX);
    front.take_while(|b| sign::is(**b, sign::LEADS)).count()
}

#[inline(always)]
fn command_at(bytes: &[u8], at: usize, begin: usize, before: Before, left: &mut usize) -> Option<&'static str> {
    if let Some(len) = unknown(from(bytes, begin)) {
        *left = left.saturating_sub(begin.saturating_sub(at) + len + 1);
        return None;
    }
    spelled_at(bytes, at, begin, before, left)
}

/// What is looked at of a span between back-quotes.
const SPAN_BYTES_MAX: usize = 128;

/// Whether what stands before a position is the mark of a heading or an item (CommonMark §4.2, §5.2), and no more.
fn begins_block(bytes: &[u8], position: usize) -> bool {
    /// With what it is indented by.
    const MARK_BYTES_MAX: usize = 16;
    if position > MARK_BYTES_MAX {
        return false;
    }
    let front = bytes.get(..position).unwrap_or_default();
    let mark = front.trim_ascii();
    let heading = mark.len() <= 6 && mark.iter().all(|b| *b == b'#');
    !mark.is_empty() && mark.len() < front.len() && (heading || matches!(mark, b"-" | b"*" | b"+"))
}

/// Commands that reach out, or tell who runs them.
static REACHING: Words<10> = Words::new([
    "cat", "curl", "dig", "nc", "nslookup", "ping", "sleep", "uname", "wget", "whoami",
]);

/// Whether a span between back-quotes is a command that reaches out: where Markdown is not meant, it runs.
fn quoted_command(bytes: &[u8], at: usize) -> bool {
    let near = between(bytes, at, bytes.len().min(at + SPAN_BYTES_MAX));
    let Some(end) = find_byte(near, 0, b'`') else {
        return false;
    };
    let span = between(near, 0, end).trim_ascii();
    let name = between(span, 0, word_len(span, 0));
    let argument = from(span, name.len()).trim_ascii();
    REACHING.has(name)
        && match argument.first() {
            None => name.eq_ignore_ascii_case(b"whoami"),
            Some(b'/') => true,
            Some(b'-') => argument.contains(&b' '),
            Some(first) => first.is_ascii_digit() || argument.windows(3).any(|w| w == b"://"),
        }
}
