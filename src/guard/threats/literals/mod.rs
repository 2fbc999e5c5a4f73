//! The literals that stand for an attack by themselves, and what must stand around each for it to count. They are
//! all looked for in one pass over a value; the confirmation behind a hit looks at a few bytes.

mod about;
mod command;
mod expression;
mod other;
mod path;
mod script;
mod sql;
mod template;
mod tries;

use super::Category;
use super::bytes::{begins_with, between, find_byte, find_pair, from, is_blank, is_word, listed, low};
use super::left::condition;
pub use about::numbers_change;
use about::{
    BEFORE_FILES, COUNTED, DOMAINS, MEMBERS, MODULES, NEAR_BYTES, PAGES, SPOKEN, begins_topic, closes_shortcode,
    declares, first_section, has_argument, is_bare_path, is_handed, is_reported, is_three_dots, is_title, mentioned,
};
use std::cell::{Cell, OnceCell};

/// What must stand around a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// Nothing in particular; counts in prose too, for it acts wherever it is logged or shown.
    Anywhere,
    /// Nothing in particular, outside prose.
    Value,
    /// No word byte in front, and an opening parenthesis behind it, perhaps after blanks and comments.
    Call,
    /// At the value's beginning, but for blanks and quotes.
    Start,
    /// The whole value, but for blanks and quotes.
    Whole,
    /// A path's part: a slash, blank, quote or nothing in front, no word byte behind it.
    Part,
    /// Followed by this word after blanks, comments and parentheses.
    Then(&'static str),
    /// A path's ending: the value's end, or what ends a path, behind it.
    Ending,
    /// Where a shell would read a command: at the value's beginning or behind what separates commands.
    Command,
    /// A member of an object: `.` or `[` or a quote in front, or `._` or `[` behind it.
    Member,
    /// A step upwards of a path: in a value without blanks, at its beginning, or the first of two.
    Climb,
    /// Acts whoever reads it: counts in prose too, and in the code that prose marks.
    Strong,
    /// A database and its schema: the name of a table behind it.
    Owner,
    /// In a value that is markup as a whole; counts in prose too.
    Markup,
    /// No word byte in front.
    Begin,
    /// An object of a program: no word byte in front, a member's name behind it, and behind that what calls it, or reads
    /// on from a member that such objects have.
    Method,
    /// An object of a page: no word byte in front, a member's name behind it, and behind that what calls it or reads on in
    /// brackets.
    Object,
    /// A shell's text for a command's input: nothing but it, and the text right behind it.
    Here,
    /// In a value of hardly more than it.
    Short,
    /// The end of a section of characters that begins nowhere in front.
    SectionEnd,
    /// Classes of a package: no word byte in front, and behind it neither the name of an exception, as logs have them, nor
    /// an artefact's coordinates.
    Package,
    /// An attribute, in a tag.
    Attribute,
    /// The beginning of a template's tag, which ends with this.
    Block(&'static [u8; 2]),
    /// A script in braces.
    Braces,
    /// A name by itself, no part of a longer one.
    Lone,
    /// A path of a program's, unless a string of JSON is nothing but it.
    Program,
    /// A class's name by itself, behind which none of its members stands.
    Type,
    /// A method of code's libraries as much as a function of PHP's or a database's: as `Call`, but not of an object
    /// (`regex.exec(x)`).
    Bare,
    /// No word byte behind it.
    Ends,
    /// What opens an expression, with nothing in it but numbers that are multiplied or added, as is tried to see whether
    /// anything evaluates it; closed by this.
    Sum(&'static [u8]),
    /// A look-up within which, behind letters, is another with a default: `${j${x:-n}di:…}`. Counts in prose too.
    Lookup,
    /// Two numbers that are compared, perhaps in parentheses, behind it.
    Numbers,
    /// A function that shows a box, called by another or handed to one: `alert.call(…)`, `find(alert)`.
    Handed,
    /// The head of an answer, behind an address or path without blanks.
    Split,
    /// A device, but not as a side of what `diff` writes: `--- /dev/null`.
    Device,
    /// A file's name: a slash in front, or nothing but the value's other words; a sentence that names it has blanks there.
    Named,
    /// A file's name that is a setting's too: a slash in front.
    Below,
    /// A document's type that declares or fetches something; HTML's own (HTML §13.1.1, XHTML's by W3C) do neither. Counts in
    /// prose too.
    Doctype,
    /// A section of characters that holds markup, or splits a word.
    Section,
    /// Brackets that are no link's of Markdown's: no parenthesis behind them.
    Unlinked,
    /// What opens an expression of Thymeleaf's, with one of its objects in it.
    Utility,
    /// A view of a database's: no part of a path or of a file's name, as a shell's variable is.
    View,
    /// What joins a condition of a script's to one that stands around the value.
    Joined,
}
use Around::{
    Anywhere, Attribute, Bare, Begin, Below, Block, Braces, Call, Climb, Command, Device, Doctype, Ending, Ends,
    Handed, Here, Joined, Lone, Lookup, Markup, Member, Method, Named, Numbers, Object, Owner, Package, Part, Program,
    Section, SectionEnd, Short, Split, Start, Strong, Sum, Then, Type, Unlinked, Utility, Value, View, Whole,
};

impl Around {
    /// What confirming it takes, in steps of a value's effort: by far the most where words are looked up.
    pub const fn steps(self) -> usize {
        match self {
            Self::Call | Self::Bare | Self::Command => 100,
            _ => 20,
        }
    }
}

/// Literals of one category and rule that need the same around them.
#[derive(Debug)]
pub struct Group {
    pub category: Category,
    pub rule: &'static str,
    pub around: Around,
    pub texts: &'static [&'static str],
}

const fn group(category: Category, rule: &'static str, around: Around, texts: &'static [&'static str]) -> Group {
    Group {
        category,
        rule,
        around,
        texts,
    }
}

/// All groups, by the file they stand in.
pub fn groups() -> impl Iterator<Item = &'static Group> {
    [
        sql::GROUPS,
        script::GROUPS,
        path::GROUPS,
        command::GROUPS,
        template::GROUPS,
        expression::GROUPS,
        other::GROUPS,
    ]
    .into_iter()
    .flatten()
}

/// What a hit stands in.
pub struct Text<'v> {
    pub bytes: &'v [u8],
    pub prose: bool,
    /// Whether any byte is blank.
    pub blank: bool,
    /// Whether the value is a string of a JSON document, which has paths of programs for data.
    pub json: bool,
    /// Whether the value may be a program's line: a string of a JSON document, or a text.
    pub code: bool,
    /// Where the first section of characters begins, once an end of one was seen.
    pub section: OnceCell<usize>,
    /// Whether a condition is joined behind what was left, once one was seen.
    pub joined: OnceCell<bool>,
    /// What the value begins with, once that matters.
    pub opening: OnceCell<Opening>,
    /// Bytes that were read over behind hits, for whoever accounts for them: hits in comments side by side read the same.
    pub read: Cell<usize>,
}

/// How long the runs are that a value begins with. Counted once for all hits: a run may be half of the value, and hits stand
/// side by side in the other half.
pub struct Opening {
    blanks: usize,
    /// White space of ASCII's, without the vertical tab.
    white: usize,
    /// In front of what has to stand at the beginning.
    start: usize,
    /// In front of what has to be the whole.
    whole: usize,
}

impl Opening {
    fn of(bytes: &[u8]) -> Self {
        let run = |is: fn(u8) -> bool| bytes.iter().take_while(|b| is(**b)).count();
        Self {
            blanks: run(is_blank),
            white: run(|b| b.is_ascii_whitespace()),
            start: run(|b| is_blank(b) || matches!(b, b'"' | b'\'' | b'=')),
            whole: run(is_edge),
        }
    }
}

/// Whether a byte may stand around what is the whole value.
const fn is_edge(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'"' | b'\'' | b'/')
}

/// Whether a hit that ends at `end` has around it what its group needs.
pub fn confirmed(text: &Text<'_>, around: Around, start: usize, end: usize) -> bool {
    let bytes = text.bytes;
    let opening = || text.opening.get_or_init(|| Opening::of(bytes));
    if text.prose && !matches!(around, Anywhere | Doctype | Lookup | Markup | Strong) {
        return false;
    }
    let previous = start.checked_sub(1).map(|at| low(bytes, at));
    let next = bytes.get(end).copied();
    let apart = |byte: Option<u8>| byte.is_none_or(|b| !is_word(b) && b < 0x80);
    match around {
        Anywhere | Strong | Value => true,
        Call | Bare => {
            // `regex.exec(x)`: a full stop behind a name, in a spelling that people write.
            let method = || {
                let front = bytes.get(..start).unwrap_or_default();
                let object = |front: &[u8]| {
                    front
                        .last()
                        .is_some_and(|b| is_word(*b) || around == Bare && matches!(b, b')' | b']' | b'"' | b'\''))
                };
                front.strip_suffix(b".").is_some_and(object)
                    || around == Bare && front.strip_suffix(b"::").is_some_and(object)
                    // A number and `#` is PostgreSQL's, and what is joined by it.
                    || around == Bare
                        && front
                            .strip_suffix(b"#")
                            .is_some_and(|front| front.last().is_some_and(u8::is_ascii_alphabetic))
                    || between(bytes, start, end) == b"readFile"
            };
            if around == Bare && method() {
                return false;
            }
            if !apart(previous) {
                return false;
            }
            let open = skip_gap(bytes, end);
            text.read.set(text.read.get() + (open - end));
            if low(bytes, open) != b'(' {
                return false;
            }
            let word = || listed(&SPOKEN, between(bytes, start, end));
            let spoken =
                open > end && word() && !has_argument(bytes, open) || previous == Some(b'.') && word() && method();
            // `alert (#1022)`: the number of a change; `file(s)`: one or more.
            let inside = from(bytes, open + 1);
            let number = open > end && numbers_change(bytes, open);
            let plural = (begins_with(inside, b"s)") || begins_with(inside, b"es)"))
                && listed(&COUNTED, between(bytes, start, end));
            // `file(1)`: a page of the manual.
            let manual = matches!(inside, [b'1'..=b'8', b')', ..]) && listed(&PAGES, between(bytes, start, end));
            let called = !spoken && !number && !plural && !manual;
            // `hot-alert(…)` is a name; behind a quote, the value is taken from what stood before: `'-alert(1)`.
            let joined = previous == Some(b'-')
                && !matches!(start.checked_sub(2).map(|at| low(bytes, at)), Some(b'\'' | b'"' | b'`'));
            !joined && called && !mentioned(bytes, start, open)
        }
        Command => {
            let front = bytes.get(..start).unwrap_or_default().trim_ascii_end();
            let separated = match front.last() {
                None => true,
                Some(b'(') => front.ends_with(b"$("),
                // What is quoted may begin with blanks; behind a closing quote (`Windows' PowerShell`) an argument stands.
                Some(b'\'' | b'"') => {
                    let word = front.len().checked_sub(2).map(|at| low(front, at));
                    front.len() == start || !word.is_some_and(is_word)
                }
                Some(last) => matches!(last, b';' | b'|' | b'&' | b'='),
            };
            // At the beginning, a name may be what a text is about: `powershell for beginners`.
            let name = between(bytes, start, end);
            let topic = front.is_empty()
                && (next == Some(b' ') && begins_topic(from(bytes, end)) || is_title(name, from(bytes, end)));
            // `ipconfig1`, `systemInfo`: names of something else.
            // `whoami.md` is a file's.
            let file = next == Some(b'.')
                && bytes.get(end + 1).is_some_and(u8::is_ascii_alphabetic)
                && [&b".exe"[..], b".com"]
                    .iter()
                    .all(|program| !begins_with(from(bytes, end), program));
            // `powershell-7.1`
            let version = next == Some(b'-') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            let longer = name.iter().all(|b| b.is_ascii_alphabetic() || *b == b'-')
                && (next.is_some_and(is_word) || file || version);
            let capitals = name.iter().filter(|b| b.is_ascii_uppercase()).count();
            let camel =
                capitals == 1 && name.first().is_some_and(u8::is_ascii_lowercase) && front.is_empty() && next.is_none();
            // `&systemInfo=`: another parameter.
            let parameter = front.last() == Some(&b'&') && next == Some(b'=');
            separated && !topic && !longer && !camel && !parameter && !matches!(next, Some(b':' | b','))
        }
        Member => {
            matches!(previous, Some(b'.' | b'[' | b'\'' | b'"' | b'('))
                || next == Some(b'[')
                || begins_with(from(bytes, end), b"._")
        }
        Climb if is_link(bytes, start) => false,
        // `/repos/x/.../forks`: three within a path are a name, unless more stand behind them.
        Climb if next != Some(b'.') && is_three_dots(bytes, start) => false,
        Climb => start == 0 || matches!(bytes.get(end..end.saturating_add(2)), Some(b"..")) || !text.blank,
        Begin => apart(previous),
        Unlinked => next != Some(b'('),
        View => {
            let path = previous == Some(b'/') && start.checked_sub(2).is_none_or(|at| low(bytes, at) != b'*');
            let goes_on =
                matches!(next, Some(b'.' | b'/' | b'-')) && bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
            let joins = |byte: u8| is_word(byte) || byte == b'-';
            !path && !previous.is_some_and(joins) && !next.is_some_and(is_word) && !goes_on
        }
        Sum(close) => next.is_some_and(tries::begins_sum) && tries::sums(bytes, end, close),
        Lookup => tries::nests(bytes, end),
        Utility => tries::is_utility(bytes, end),
        Numbers => apart(previous) && tries::compares_numbers(bytes, end),
        Handed => {
            let behind = from(bytes, end);
            let receives = [&b".call("[..], b".apply(", b".bind("]
                .iter()
                .any(|call| begins_with(behind, call));
            apart(previous) && previous != Some(b'-') && receives || is_handed(bytes, start, end)
        }
        Split => {
            /// Longer ones are none that anybody is sent to; each hit looks again.
            const ADDRESS_BYTES_MAX: usize = 1024;
            let front = between(bytes, opening().white, start).trim_ascii_end();
            front.len() <= ADDRESS_BYTES_MAX
                && matches!(front.first(), Some(b'/' | b'h' | b'H'))
                && front.contains(&b'/')
                && !front.iter().any(|b| is_blank(*b))
        }
        Ends => !next.is_some_and(is_word),
        Short => bytes.len() <= end.saturating_sub(start) + 4,
        Program => !(text.json && is_bare_path(bytes)),
        Device => {
            let front = from(bytes, start.saturating_sub(4));
            let compared = begins_with(front, b"--- ") || begins_with(front, b"+++ ");
            !(compared || text.json && is_bare_path(bytes))
        }
        Below => matches!(previous, Some(b'/' | b'\\')),
        Named => !previous.is_some_and(is_blank) || start <= opening().blanks,
        Lone => {
            let joins = |byte: u8| is_word(byte) || byte == b'-' || byte >= 0x80;
            !previous.is_some_and(joins) && !next.is_some_and(joins)
        }
        Type => apart(previous) && !next.is_some_and(|byte| is_word(byte) || byte == b'.'),
        Doctype => declares(from(bytes, end)),
        Section => {
            let inside = between(bytes, end, bytes.len().min(end + NEAR_BYTES));
            let inside = between(inside, 0, find_pair(inside, 0, *b"]]").unwrap_or(inside.len()));
            inside.contains(&b'<') || previous.is_some_and(is_word) || begins_with(inside, b"script")
        }
        Method | Object => {
            let name = super::bytes::word_len(bytes, end);
            let behind = low(bytes, super::bytes::skip_blank(bytes, end + name));
            // Hosts are named after consoles.
            let console = low(bytes, start) == b'c';
            let member = between(bytes, end, end + name);
            // `process.thread.name`: nothing but a field's name.
            let field = || {
                /// Names of fields are no longer; each hit asks.
                const FIELD_BYTES_MAX: usize = 128;
                !console
                    && bytes.len() <= FIELD_BYTES_MAX
                    && bytes
                        .split(|b| *b == b'.')
                        .all(|part| part.iter().all(|b| is_word(*b)) && !listed(&MODULES, part))
            };
            let reads_on = || around == Method && (!console || listed(&MEMBERS, member)) && !field();
            apart(previous) && name > 0 && (matches!(behind, b'(' | b'[' | b'`') || behind == b'.' && reads_on())
        }
        Here => {
            let edge = |byte: Option<u8>| byte == Some(b'<');
            let behind = low(bytes, super::bytes::skip_spaces(bytes, end));
            let begins = matches!(behind, b'$' | b'"' | b'\'' | b'`') || next.is_some_and(is_word);
            let near = between(bytes, end, bytes.len().min(end + NEAR_BYTES));
            !edge(previous) && begins && !super::bytes::contains(near, b">>>")
        }
        SectionEnd => start < *text.section.get_or_init(|| first_section(bytes)),
        Joined => *text.joined.get_or_init(|| condition(bytes, text.code)),
        Package => apart(previous) && !is_reported(from(bytes, end)),
        Attribute => {
            let front = between(bytes, start.saturating_sub(NEAR_BYTES), start);
            previous.is_some_and(|b| is_blank(b) || matches!(b, b'"' | b'\'' | b'/'))
                && front.contains(&b'<')
                && next.is_none_or(|b| is_blank(b) || matches!(b, b'=' | b'>' | b'/'))
        }
        Block(close) => {
            let rest = from(bytes, end);
            let begins = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'-' | b'+' | b'=' | b'@' | b'!');
            // What goes on beyond reach may close there.
            let closes = || rest.len() > NEAR_BYTES || find_pair(rest, 0, *close).is_some();
            // `{{% note %}}`: Hugo's, which names what stands in the site's own folder.
            let shortcode = || previous == Some(b'{') && close == b"%}" && closes_shortcode(rest);
            // `{%plan%,%draft%}`: patterns of `LIKE` in a list of PostgREST's, nothing but words.
            let patterns = || {
                let near = between(rest, 0, rest.len().min(NEAR_BYTES));
                let list = between(near, 0, find_byte(near, 0, b'}').unwrap_or(0));
                close == b"%}"
                    && find_pair(list, 0, *b"%,").is_some()
                    && list
                        .iter()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'%' | b','))
            };
            next.is_some_and(|next| is_blank(next) || begins(next) && closes() && !patterns()) && !shortcode()
        }
        Braces => {
            let near = between(bytes, end, bytes.len().min(end + NEAR_BYTES / 4));
            near.contains(&b'(') && near.contains(&b'}')
        }
        Owner => apart(previous) && next.is_some_and(is_word),
        Markup => bytes.get(opening().white) == Some(&b'<'),
        Start => start <= opening().start && !next.is_none_or(is_blank),
        Whole => start <= opening().whole && from(bytes, end).iter().all(|b| is_edge(*b)),
        Part => {
            // `domain=.claude.ai`
            let host = next == Some(b'.') && listed(&DOMAINS, between(bytes, start, end));
            // `rewrite my .htaccess`: a word in front, as no command is.
            let front = bytes.get(..start).unwrap_or_default();
            let mentioned = previous.is_some_and(is_blank)
                && listed(
                    &BEFORE_FILES,
                    front
                        .trim_ascii_end()
                        .rsplit(|b| is_blank(*b))
                        .next()
                        .unwrap_or_default(),
                );
            previous.is_none_or(|b| matches!(b, b'/' | b'\\' | b'"' | b'\'' | b'=') || is_blank(b))
                && next.is_none_or(|b| !is_word(b) && b != b'-')
                && !host
                && !mentioned
        }
        Then(word) => {
            apart(previous) && {
                let at = skip_parentheses(bytes, end);
                at > end
                    && begins_with(from(bytes, at), word.as_bytes())
                    && (word == "@" || apart(bytes.get(at.saturating_add(word.len())).copied()))
            }
        }
        Ending => {
            let rest = from(bytes, end);
            let name = previous.is_some_and(|b| is_word(b) || b == b'.' || b == b')');
            name && rest
                .iter()
                .all(|b| is_blank(*b) || matches!(b, b'.' | b'0'..=b'9' | b'/' | b'\0' | b'"' | b':' | b';' | b'%'))
        }
    }
}

/// Whether the steps upwards at a position begin the target of a link of Markdown's: `[MIT](../../license.md)`.
pub fn is_link(bytes: &[u8], start: usize) -> bool {
    /// Steps that are gone back over; each hit goes back.
    const STEPS_MAX: usize = 16;
    let mut front = bytes.get(..start).unwrap_or_default();
    for _ in 0..STEPS_MAX {
        match front.strip_suffix(b"../") {
            Some(shorter) => front = shorter,
            None => break,
        }
    }
    front.ends_with(b"](")
}

/// The first position that is neither blank nor in a comment of SQL's or PHP's.
fn skip_gap(bytes: &[u8], mut at: usize) -> usize {
    /// Comments in a row that are skipped.
    const COMMENTS_MAX: usize = 8;
    /// How far the end of one is looked for: each hit looks again, and hits may stand side by side.
    const COMMENT_BYTES_MAX: usize = 512;
    const LINE_BYTES_MAX: usize = 256;
    for _ in 0..COMMENTS_MAX {
        at = super::bytes::skip_blank(bytes, at);
        let rest = from(bytes, at);
        if begins_with(rest, b"/*") {
            let near = between(rest, 0, rest.len().min(COMMENT_BYTES_MAX + 3));
            let Some(end) = find_pair(near, 2, *b"*/") else {
                return at;
            };
            at += end + 2;
        } else if begins_with(rest, b"#") || begins_with(rest, b"--") {
            let Some(end) = find_byte(between(rest, 0, rest.len().min(LINE_BYTES_MAX)), 0, b'\n') else {
                return at;
            };
            at += end + 1;
        } else {
            return at;
        }
    }
    at
}

/// The same, nor an opening parenthesis.
fn skip_parentheses(bytes: &[u8], at: usize) -> usize {
    /// Each hit looks again, and several may stand in one comment.
    const PARENTHESES_MAX: usize = 64;
    let mut at = skip_gap(bytes, at);
    for _ in 0..PARENTHESES_MAX {
        if low(bytes, at) != b'(' {
            break;
        }
        at = skip_gap(bytes, at + 1);
    }
    at
}
