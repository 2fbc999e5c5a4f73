//! What stands about a hit: whether it is called, mentioned, reported or named, by a few bytes on either side.

use crate::guard::threats::bytes::{
    begins_with, between, find_byte, find_pair, from, is_blank, is_word, listed, low, skip_blank,
};

/// Whether a name is an argument as programs write them, and not in a remark: `find(alert)`, `apply(alert,null)`.
pub(super) fn is_handed(bytes: &[u8], start: usize, end: usize) -> bool {
    let before = |back: usize| start.checked_sub(back).map_or(0, |at| low(bytes, at));
    let handed = before(1) == b',' || before(1) == b'(' && is_word(before(2));
    handed && (low(bytes, end) == b')' || low(bytes, end) == b',' && !is_blank(low(bytes, end + 1)))
}

/// How far what belongs to a literal is looked for: each hit looks again, and hits may stand side by side.
pub(super) const NEAR_BYTES: usize = 128;

/// Classes of `java.util` that a model's types are.
const HOLDERS: [&str; 9] = [
    "collection",
    "currency",
    "date",
    "iterator",
    "list",
    "locale",
    "map",
    "set",
    "uuid",
];

/// Whether the name that a package's classes begin with is that of an exception (`java.io.IOException: …`) or ends as an
/// artefact's coordinates do (`org.springframework.boot:spring-boot`).
pub(super) fn is_reported(rest: &[u8]) -> bool {
    let near = between(rest, 0, rest.len().min(NEAR_BYTES));
    let part = |b: &u8| is_word(*b) || matches!(b, b'.' | b'$');
    let len = near.iter().take_while(|b| part(b)).count();
    let name = between(near, 0, len);
    let ends = |word: &str| {
        let start = name.len().checked_sub(word.len());
        start.is_some_and(|start| from(name, start).eq_ignore_ascii_case(word.as_bytes()))
    };
    let next = low(near, len);
    let behind = low(near, len + 1);
    // A frame of a stack's trace: `java.lang.Thread.run(Thread.java:829)`.
    let frame = next == b'(' && {
        let inside = from(near, len + 1);
        let end = find_byte(inside, 0, b')').unwrap_or(0);
        let place = between(inside, 0, end);
        let colon = place.iter().position(|b| *b == b':');
        colon.is_some_and(|colon| {
            let file = between(place, 0, colon);
            let lines = from(place, colon + 1);
            (file.ends_with(b".java") || file.ends_with(b".kt") || file.ends_with(b".scala"))
                && !lines.is_empty()
                && lines.iter().all(u8::is_ascii_digit)
        })
    };
    // What only holds data, and is no more than named: `dates to java.util.date and`.
    let holds = listed(&HOLDERS, name) && (next == 0 || is_blank(next) || matches!(next, b'`' | b'<' | b'>' | b','));
    holds
        || frame
        || next != b'(' && (ends("exception") || ends("error"))
        || next == b':' && behind.is_ascii_alphanumeric()
}

/// Members of a program's objects that are read on from: hosts have none such (`console.example.com`).
pub(super) const MEMBERS: [&str; 26] = [
    "argv",
    "assert",
    "binding",
    "config",
    "constructor",
    "count",
    "debug",
    "dir",
    "env",
    "error",
    "group",
    "info",
    "log",
    "mainmodule",
    "memory",
    "method",
    "prototype",
    "public_send",
    "release",
    "stderr",
    "stdin",
    "stdout",
    "table",
    "trace",
    "versions",
    "warn",
];

/// Members of a process that a program goes on from to others.
pub(super) const MODULES: [&str; 8] = [
    "argv",
    "binding",
    "config",
    "constructor",
    "env",
    "mainmodule",
    "prototype",
    "release",
];

/// Where the first section of characters begins; beyond the end if none does.
pub(super) fn first_section(bytes: &[u8]) -> usize {
    let begin = b"<![cdata[";
    let mut windows = bytes.windows(begin.len());
    windows
        .position(|window| window.eq_ignore_ascii_case(begin))
        .unwrap_or(bytes.len())
}

/// Whether a parenthesis holds the number of a change and nothing else: `(#1022)`. PHP's comments begin so, too.
pub fn numbers_change(bytes: &[u8], open: usize) -> bool {
    let inside = from(bytes, skip_blank(bytes, open + 1));
    let digits = from(inside, 1).iter().take_while(|b| b.is_ascii_digit()).count();
    inside.first() == Some(&b'#') && digits > 0 && low(inside, digits + 1) == b')'
}

/// Names of folders that are names of sites too.
pub(super) const DOMAINS: [&str; 4] = [".claude", ".codex", ".cursor", ".windsurf"];

/// Words that a file is mentioned behind.
pub(super) const BEFORE_FILES: [&str; 14] = [
    "a", "an", "and", "edit", "from", "in", "into", "is", "my", "of", "the", "to", "with", "your",
];

/// Whether the two dots at a position are the last of three, behind a name and a slash.
pub(super) fn is_three_dots(bytes: &[u8], start: usize) -> bool {
    let front = bytes.get(..start).unwrap_or_default();
    let omitted = front.ends_with(b"://.") && low(bytes, start + 2) == b'/';
    (matches!(front, [.., name, b'/', b'.'] if is_word(*name)) || omitted) && low(bytes, start + 1) == b'.'
}

/// Whether what begins behind `{{%` ends with `%}}` in reach.
pub(super) fn closes_shortcode(rest: &[u8]) -> bool {
    let near = between(rest, 0, rest.len().min(NEAR_BYTES));
    find_pair(near, 0, *b"%}").is_some_and(|end| low(near, end + 2) == b'}')
}

/// Whether a value is an absolute path and nothing else.
pub(super) fn is_bare_path(bytes: &[u8]) -> bool {
    /// Longer ones are none that a document names; each hit asks.
    const PATH_BYTES_MAX: usize = 256;
    /// Programs that tell or do something without an argument.
    const ACTING: [&str; 6] = ["env", "halt", "poweroff", "printenv", "reboot", "shutdown"];
    let name = bytes.rsplit(|b| *b == b'/').next().unwrap_or_default();
    bytes.len() <= PATH_BYTES_MAX
        && bytes.first() == Some(&b'/')
        && !listed(&ACTING, name)
        && find_pair(bytes, 0, *b"..").is_none()
        && bytes
            .iter()
            .all(|b| is_word(*b) || matches!(b, b'/' | b'.' | b'-' | b'+'))
}

/// Whether a document's type, behind `<!doctype`, has declarations of its own or those of somebody else than W3C.
pub(super) fn declares(rest: &[u8]) -> bool {
    /// XHTML's has 120 bytes.
    const DOCTYPE_BYTES_MAX: usize = 256;
    let near = between(rest, 0, rest.len().min(DOCTYPE_BYTES_MAX));
    let Some(end) = find_byte(near, 0, b'>') else {
        return true;
    };
    let declared = between(near, 0, end).trim_ascii();
    let Some(named) = declared.get(..4).filter(|name| name.eq_ignore_ascii_case(b"html")) else {
        // A name alone declares nothing, and fetches nothing. One of a file beside the document is of a report's format:
        // `nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd"`.
        let plain =
            |text: &[u8]| !text.is_empty() && text.iter().all(|b| is_word(*b) || matches!(b, b'-' | b'.' | b':'));
        let beside = || {
            let mut parts = declared.splitn(3, |b| is_blank(*b));
            let (name, system, file) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
            let file = file.strip_prefix(b"\"").and_then(|file| file.strip_suffix(b".dtd\""));
            let file = file.filter(|file| !file.contains(&b':'));
            name.is_some_and(plain)
                && system.is_some_and(|word| word.eq_ignore_ascii_case(b"system"))
                && file.is_some_and(plain)
        };
        return !plain(declared) && !beside();
    };
    let rest = from(declared, named.len()).trim_ascii();
    let own = rest.is_empty()
        || begins_with(rest, b"system \"about:legacy-compat\"")
        || begins_with(rest, b"public \"-//w3c//dtd ")
            && rest
                .split(|b| *b == b'"')
                .nth(3)
                .is_none_or(|dtd| begins_with(dtd, b"http://www.w3.org/") || begins_with(dtd, b"https://www.w3.org/"));
    !own || rest.contains(&b'[')
}

/// Words that a call may follow in code; behind any other word, it is only spoken of.
pub(super) const BEFORE_CALLS: [&str; 40] = [
    "and", "as", "assert", "await", "begin", "between", "by", "call", "case", "delay", "do", "echo", "else", "end",
    "exec", "from", "having", "if", "in", "into", "is", "like", "limit", "new", "not", "or", "print", "regexp",
    "return", "rlike", "select", "set", "then", "throw", "union", "values", "void", "when", "where", "xor",
];

/// Whether the call of a function, by its name's start and its parenthesis, is only spoken of: after a word that nothing
/// is called behind, or without arguments between Markdown's back-quotes.
pub(super) fn mentioned(bytes: &[u8], start: usize, open: usize) -> bool {
    let front = bytes.get(..start).unwrap_or_default();
    if front.last() == Some(&b'`') && begins_with(from(bytes, open), b"()`") {
        return true;
    }
    let trimmed = front.trim_ascii_end();
    let len = trimmed.iter().rev().take_while(|b| b.is_ascii_alphabetic()).count();
    let word = from(trimmed, trimmed.len().saturating_sub(len));
    let before = trimmed.len().checked_sub(len + 1).map(|at| low(trimmed, at));
    // A word of a sentence: nothing but a blank or a comma stands around it.
    trimmed.len() < front.len() && len > 0 && before.is_none_or(is_blank) && !listed(&BEFORE_CALLS, word)
}

/// Functions whose names are ordinary words, which a remark may follow: `mail (urgent)`.
pub(super) const SPOKEN: [&str; 16] = [
    "assert",
    "benchmark",
    "convert",
    "define",
    "explode",
    "extract",
    "file",
    "getenv",
    "glob",
    "implode",
    "mail",
    "position",
    "quote",
    "serialize",
    "spawn",
    "touch",
];

/// Programs and functions that manuals have pages of, and that do nothing with a number.
pub(super) const PAGES: [&str; 12] = [
    "chgrp", "chmod", "chown", "chroot", "file", "glob", "mail", "mkdir", "rmdir", "symlink", "touch", "unlink",
];

/// Names that are words of which there may be one or more: `file(s)`. A program's `eval(s)` runs what `s` holds.
pub(super) const COUNTED: [&str; 14] = [
    "char",
    "confirm",
    "database",
    "expression",
    "extract",
    "fetch",
    "file",
    "mail",
    "position",
    "prompt",
    "quote",
    "schema",
    "system",
    "touch",
];

/// Whether a string, variable or number begins in a parenthesis.
pub(super) fn has_argument(bytes: &[u8], open: usize) -> bool {
    let first = low(
        bytes,
        crate::guard::threats::bytes::skip_blank(bytes, open.saturating_add(1)),
    );
    matches!(first, b'\'' | b'"' | b'`' | b'$' | b'@') || first.is_ascii_digit()
}

/// Words that a topic has and a command's arguments have not.
pub(super) const TOPICS: [&str; 26] = [
    "a",
    "and",
    "basics",
    "beginners",
    "command",
    "commands",
    "course",
    "examples",
    "explained",
    "for",
    "guide",
    "how",
    "is",
    "meaning",
    "of",
    "online",
    "script",
    "scripting",
    "the",
    "to",
    "tool",
    "training",
    "tutorial",
    "versus",
    "vs",
    "with",
];

/// Whether what follows a name is nothing but words of letters, and one of them tells that a topic is meant.
pub(super) fn begins_topic(rest: &[u8]) -> bool {
    /// Longer texts are judged as prose, if they are.
    const TOPIC_BYTES_MAX: usize = 80;
    let words = rest.trim_ascii();
    words.len() <= TOPIC_BYTES_MAX
        && words
            .iter()
            .all(|b| b.is_ascii_alphabetic() || *b == b' ' || *b >= 0x80)
        && words.split(|b| *b == b' ').any(|word| listed(&TOPICS, word))
}

/// Whether a name, as titles write it, begins one: `PowerShell 7`. What a shell would be given has other signs.
pub(super) fn is_title(name: &[u8], rest: &[u8]) -> bool {
    /// Longer texts are judged as prose, if they are.
    const TITLE_BYTES_MAX: usize = 80;
    name == b"PowerShell"
        && rest.len() <= TITLE_BYTES_MAX
        && rest
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b',' | b'.' | b'!' | b'?') || *b >= 0x80)
}
