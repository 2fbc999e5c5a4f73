//! Script injection: whether markup in a value could execute. An HTML tokeniser that reads tags and attributes as browsers
//! do (slashes and control bytes as separators, unquoted and unterminated values) and judges what it read: elements that
//! run or load code, event handlers, script URLs, executable styles. Values that break out of an attribute or out of a
//! script are judged too. Prose that names elements passes.

mod attributes;
mod names;
mod styles;
mod urls;

use super::bytes::{
    ByteSet, between, contains, find_byte, from, is_blank, is_word, listed, low, positions, starts_with, word_len,
};
use super::effort::Effort;
use attributes::Attributes;
use names::{ACTIVE, EVENTS, EVENTS_WHOLE, LOADING, URLS};
use styles::{Parts, executable_style};
use urls::{leads_nowhere, script_url, url};

/// Bytes that may be read as part of attributes in a value of so many, all its layers together.
pub const fn read_max(len: usize) -> usize {
    len.saturating_mul(OVERLAP_MAX).saturating_add(TAG_BYTES)
}

/// What is read of attributes is taken from what is left of it, at first [`read_max`].
#[inline(never)]
pub fn judge(bytes: &[u8], prose: bool, effort: &mut Effort) -> Option<&'static str> {
    judge_from(bytes, prose, effort, None)
}

/// Taken from the value's effort, in its steps: for a `<`, for one with a name, for what is read of its attributes and of
/// styles, and for what may be an attribute's name.
const TAG_STEPS: usize = 12;
const NAMED_STEPS: usize = 24;
const READ_STEPS: usize = 2;
const STYLE_STEPS: usize = 3;
const NAME_STEPS: usize = 24;

fn judge_from(bytes: &[u8], prose: bool, effort: &mut Effort, telling: Option<usize>) -> Option<&'static str> {
    let mut read = Reading {
        close: 0,
        left: effort.read,
        known: Vec::new(),
        telling,
        names: 0,
        styled: 0,
        ends_script: None,
        trimmed: None,
        styles: Parts::default(),
        sections: Parts::default(),
    };
    for open in positions(bytes, b'<') {
        let named = low(bytes, open + 1).is_ascii_alphabetic();
        effort.spend(if named { NAMED_STEPS } else { TAG_STEPS });
        if read.close <= open {
            read.close = find_byte(bytes, open, b'>').unwrap_or(usize::MAX);
        }
        if let Some(rule) = tag(bytes, open, prose, &mut read) {
            return Some(rule);
        }
        if read.left == 0 {
            return Some("script.tangled");
        }
    }
    let read_of_all = effort.read - read.left;
    let styled = read.styled + read.styles.searched + read.sections.searched;
    effort.spend(read_of_all * READ_STEPS + styled * STYLE_STEPS + read.names * NAME_STEPS);
    effort.read = read.left;
    if prose || effort.is_spent() {
        return None;
    }
    url(bytes, effort).or_else(|| attribute_context(bytes, effort))
}

/// How often on average a byte may be read as part of one attribute or another. Attributes that begin at the same byte
/// are read once, whichever tags they are part of, so no text that people or programs write has it often.
const OVERLAP_MAX: usize = 4;

/// Taken for a tag whose attributes are read, beside their bytes.
const OPENED: usize = 8;

/// What a tag commonly has at most.
const TAG_BYTES: usize = 4096;

/// What is known between the tags of one value.
struct Reading {
    /// The next `>` from the current tag's `<` on.
    close: usize,
    /// Bytes of attributes that may still be read.
    left: usize,
    /// For each byte, what is known of the attributes from it to its tag's end; made when the first tag is read.
    known: Vec<u8>,
    /// See [`last_telling`]; looked for when the first tag is read.
    telling: Option<usize>,
    /// How many were looked at for that, and for what loads something.
    names: usize,
    /// Bytes of styles that were read.
    styled: usize,
    /// Whether a script's end stands anywhere.
    ends_script: Option<bool>,
    /// The value's length without the blanks around it; counted once, since there may be many, and tags beside them.
    trimmed: Option<usize>,
    styles: Parts,
    sections: Parts,
}

/// What is looked at of an element's styles.
const STYLE_BYTES_MAX: usize = 1024;

/// All attributes from here on were judged, and nothing was found.
const JUDGED: u8 = 1;
/// One of them loads something.
const LOADS: u8 = 1 << 1;
/// One of them may replace the page.
const REFRESHES: u8 = 1 << 2;
/// The attribute here belongs to the tag that is being read.
const READ: u8 = 1 << 3;

impl Reading {
    /// Whether an attribute behind `at` may be one that [`attribute`] has something against.
    fn may_tell(&mut self, bytes: &[u8], at: usize) -> bool {
        let telling = self.telling.unwrap_or_else(|| {
            let (telling, names) = last_telling(bytes);
            self.names += names;
            telling
        });
        self.telling = Some(telling);
        telling > at
    }

    /// Judges the attributes of a tag from `at` to its end; gives the rule, or whether there are any and what they do, and
    /// the end. Those that an earlier tag shares are not judged again.
    fn attributes(&mut self, bytes: &[u8], at: usize, prose: bool) -> Result<(bool, u8, usize), &'static str> {
        if self.known.is_empty() {
            self.known = vec![0; bytes.len()];
        }
        self.left = self.left.saturating_sub(OPENED);
        let mut attributes = Attributes { bytes, at };
        let (mut named, mut shared) = (false, 0);
        loop {
            let before = attributes.at;
            attributes.skip_separators();
            let start = attributes.at;
            let known = self.known.get(start).copied().unwrap_or(0);
            if known & JUDGED != 0 {
                shared = known;
                break;
            }
            let Some((key, value)) = attributes.next() else { break };
            self.left = self.left.saturating_sub(attributes.at.saturating_sub(before));
            if key.eq_ignore_ascii_case(b"style") {
                self.styled += value.map_or(0, <[u8]>::len);
            }
            if let Some(rule) = attribute(key, value, prose) {
                return Err(rule);
            }
            let mut does = READ;
            if LOADING.has(key) {
                does |= LOADS;
                // What it loads is looked into.
                self.names += 2;
            }
            if replaces(key, value.unwrap_or_default()) {
                does |= REFRESHES;
            }
            if let Some(known) = self.known.get_mut(start) {
                *known = does;
            }
            named = true;
            if self.left == 0 {
                break;
            }
        }
        // Each does what those behind it do. In place: a list beside it would take many times the value's memory.
        let mut does = shared & !JUDGED;
        // A quote that nothing closes ends beyond the value.
        let last = attributes.at.min(bytes.len());
        let read = self.known.get_mut(at..last).unwrap_or_default();
        for known in read.iter_mut().rev().filter(|known| **known & READ != 0) {
            does |= *known & !READ;
            *known = does | JUDGED;
        }
        let named = named || shared != 0;
        // What is shared was read to the tag's end.
        let end = match self.close {
            usize::MAX => attributes.at,
            close if shared != 0 => attributes.at.max(close + 1),
            _ => attributes.at,
        };
        Ok((named, does, end))
    }
}

/// What an element's name is made of.
static NAME: ByteSet = ByteSet::new(b"\0-:_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
/// What may end one, beside blanks and controls.
static BEHIND_NAME: ByteSet = ByteSet::new(b"/><\"'`=!#+\\;&").with_up_to(b' ');

/// Judges the tag that opens at `open`.
fn tag(bytes: &[u8], open: usize, prose: bool, read: &mut Reading) -> Option<&'static str> {
    let mut at = open + 1;
    let first = low(bytes, at);
    match first {
        b'!' => return markup_declaration(bytes, at + 1, prose, read),
        b'?' => {
            let rest = from(bytes, at + 1);
            let processing = starts_with(rest, b"import") || starts_with(rest, b"xml-stylesheet");
            return (processing && !prose).then_some("script.processing");
        }
        b'%' | b'/' => {
            let rest = from(bytes, at + 1);
            // `</scripts/menu.json>` is a path.
            let closes = first == b'/'
                && [&b"script"[..], b"style", b"textarea", b"title"].iter().any(|name| {
                    starts_with(rest, name) && !is_word(low(rest, name.len())) && !opens(bytes, open, name)
                });
            return (closes && !prose).then_some("script.close");
        }
        _ => {}
    }
    // Browsers of old skipped these; and the value may be cut from within a tag.
    while matches!(low(bytes, at), 0..=0x1F) && at < bytes.len() && !prose {
        at += 1;
    }
    if !low(bytes, at).is_ascii_alphabetic() {
        return stray(bytes, at, prose, read);
    }
    let rest = from(bytes, at);
    let name_len = rest.iter().position(|b| !NAME.has(*b)).unwrap_or(rest.len());
    let name = between(rest, 0, name_len);
    let local = name
        .iter()
        .rposition(|b| *b == b':')
        .map_or(name, |colon| from(name, colon + 1));
    let after = rest.get(name_len).copied().unwrap_or(0);
    // `<text`, `<T>` in code and `a <b` are no elements that matter; an address `<a@b.c>` neither.
    if !BEHIND_NAME.has(after) {
        return None;
    }
    let active = ACTIVE.has(local);
    if !active && !read.may_tell(bytes, at) {
        return (name.len() > local.len() && local.eq_ignore_ascii_case(b"vmlframe")).then_some("script.element");
    }
    let closed_soon = read.close.saturating_sub(at) < TAG_BYTES;
    let (named, does, end) = match read.attributes(bytes, at + name_len, prose) {
        Ok(read) => read,
        Err(rule) => return Some(rule),
    };
    let (loads, refresh) = (does & LOADS != 0, does & REFRESHES != 0);
    let element = |word: &str| local.eq_ignore_ascii_case(word.as_bytes());
    if !active {
        return (element("vmlframe") && local.len() < name.len()).then_some("script.element");
    }
    if element("script") {
        // `<script>` in a sentence about it is followed by no code; a page's is.
        let body = from(bytes, end);
        let runs = loads || has_code(body) || !closed_soon;
        // `` `<script>` `` is what a text is about: without an end browsers run none.
        let marked = open.checked_sub(1).is_some_and(|before| low(bytes, before) == b'`') && body.starts_with(b">`");
        if marked && !named && !*read.ends_script.get_or_insert_with(|| contains(bytes, b"</script")) {
            return None;
        }
        return (!prose || runs && closed_soon).then_some("script.element");
    }
    let active = match () {
        // By itself, it is what a probe looks like.
        () if element("meta") => refresh || !prose && bytes.len() < 32 && contains(bytes, b"charset"),
        () if element("style") => {
            !prose && (named && !closed_soon || read.styles.have(bytes, end, STYLE_BYTES_MAX, executable_style))
        }
        // A placeholder that documents of APIs have for a value.
        () if element("object")
            && !named
            && *read.trimmed.get_or_insert_with(|| bytes.trim_ascii().len()) == b"<object>".len() =>
        {
            false
        }
        () if element("link") || element("base") || element("xml") || element("import") => loads,
        () if element("frameset") || element("applet") || element("isindex") => !prose,
        () => loads || !prose && (named || after == b'/' || after == 0 || bytes.len() < 32),
    };
    (active && (!prose || loads && !element("link") && !element("base") && !element("iframe") && !element("meta")))
        .then_some("script.element")
}

/// Whether the tag in front of a position opens the element, which is then closed there: `<style>td {}</style>`. A script's
/// end counts always: its beginning is judged by itself.
fn opens(bytes: &[u8], close: usize, name: &[u8]) -> bool {
    /// Longer styles are looked at as their ends are.
    const BODY_BYTES_MAX: usize = 1024;
    let front = between(bytes, close.saturating_sub(BODY_BYTES_MAX), close);
    let begin = front.iter().rposition(|b| *b == b'<');
    // A comment hides the style from browsers that know none.
    let begin = begin.and_then(|at| {
        let comment = starts_with(from(front, at), b"<!--");
        if comment {
            between(front, 0, at).iter().rposition(|b| *b == b'<')
        } else {
            Some(at)
        }
    });
    let plain = |style: &[u8]| !style.iter().any(|b| matches!(b, b'@' | b'[' | b'\\' | b'(' | b'&'));
    name != b"script" && begin.is_some_and(|at| starts_with(from(front, at + 1), name) && plain(from(front, at)))
}

/// Whether an attribute of `meta` changes how the page is read or what becomes of it (HTML §4.2.5.3), and does not only say
/// what the page is: its type in an encoding that ASCII is a part of.
fn replaces(key: &[u8], value: &[u8]) -> bool {
    const TOLD: [&str; 5] = [
        "content-language",
        "content-style-type",
        "content-type",
        "imagetoolbar",
        "x-ua-compatible",
    ];
    let value = value.trim_ascii();
    let odd = || contains(value, b"utf-7") || contains(value, b"utf7") || contains(value, b"iso-2022");
    match () {
        () if key.eq_ignore_ascii_case(b"http-equiv") => !listed(&TOLD, value),
        () if key.eq_ignore_ascii_case(b"charset") => {
            odd()
                || !value
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        }
        () if key.eq_ignore_ascii_case(b"content") => odd(),
        () => false,
    }
}

/// Whether what follows a `<script>` looks like code rather than the rest of a sentence.
fn has_code(body: &[u8]) -> bool {
    let head = body.get(..body.len().min(256)).unwrap_or(body);
    let end = find_byte(head, 0, b'<').unwrap_or(head.len());
    between(head, 0, end).iter().any(|b| matches!(b, b'(' | b'=' | b'`'))
}

fn markup_declaration(bytes: &[u8], at: usize, prose: bool, read: &mut Reading) -> Option<&'static str> {
    /// What is looked at of a section of characters.
    const SECTION_BYTES_MAX: usize = 256;
    let rest = from(bytes, at);
    if starts_with(rest, b"--#") {
        return (!prose).then_some("script.server_side_include");
    }
    // Conditional comments of Internet Explorer's run what is in them; those that Word writes are for Word.
    let word = || {
        [
            &b"--[if gte mso"[..],
            b"--[if mso",
            b"--[if !supportlists",
            b"--[if !mso",
            b"--[if gte vml",
        ]
        .iter()
        .any(|begin| starts_with(rest, begin))
    };
    (starts_with(rest, b"--[if") && !prose && !word()
        || starts_with(rest, b"[cdata[") && !prose && {
            let script = |section: &[u8]| contains(section, b"script");
            read.sections.have(bytes, at, SECTION_BYTES_MAX, script)
        })
    .then_some("script.comment")
}

/// `<` that opens no element: quotes and slashes before a handler's name, as in `<"onzoom=`.
fn stray(bytes: &[u8], at: usize, prose: bool, read: &mut Reading) -> Option<&'static str> {
    if prose || !matches!(low(bytes, at), b'"' | b'\'' | b'/' | b' ' | b'&' | b'=') || !read.may_tell(bytes, at) {
        return None;
    }
    let mut attributes = Attributes { bytes, at };
    for _ in 0..4 {
        let start = attributes.at;
        let next = attributes.next();
        read.left = read.left.saturating_sub(attributes.at.saturating_sub(start));
        let (key, value) = next?;
        if handler(key, true) && value.is_some() {
            return Some("script.handler");
        }
    }
    None
}

/// Where the last attribute may stand that [`attribute`] has something against, whatever tag it is in, zero if there is
/// none; and how many names were looked at. Reading every tag's attributes costs many times what looking behind every `=` does.
fn last_telling(bytes: &[u8]) -> (usize, usize) {
    let colon = bytes.iter().rposition(|b| *b == b':').unwrap_or(0);
    let (mut last, mut names) = (0, 0);
    for equals in positions(bytes, b'=') {
        names += 1;
        let window = equals.saturating_sub(NAME_BYTES_MAX * 2);
        let before = between(bytes, window, equals);
        let end = before.iter().rposition(|b| *b > b' ').map_or(0, |end| end + 1);
        let before = between(before, 0, end);
        // A name may begin behind a plus, but needn't.
        let begin = before.iter().rposition(|b| NAME_ENDS.has(*b));
        let key = begin.map_or(before, |begin| from(before, begin + 1));
        let cut = begin.is_none() && window > 0;
        let url = equals < colon && URLS.has(behind_prefix(key));
        let named = |name: &[u8]| key.eq_ignore_ascii_case(name);
        if cut || url || handler(key, true) || named(b"style") || named(b"srcdoc") {
            last = equals;
        }
    }
    (last, names)
}

/// What an attribute's name ends at, and a plus, behind which one may begin.
static NAME_ENDS: ByteSet = ByteSet::new(b"/\"'=>`+").with_up_to(b' ');

/// A name without what stands in front of its last colon.
fn behind_prefix(name: &[u8]) -> &[u8] {
    let prefix = name.iter().rposition(|b| *b == b':' || *b == 0).map_or(0, |i| i + 1);
    from(name, prefix)
}

/// Names of attributes that are longer matter to no browser.
const NAME_BYTES_MAX: usize = 40;

fn attribute(key: &[u8], value: Option<&[u8]>, prose: bool) -> Option<&'static str> {
    let value = value?;
    if key.len() > NAME_BYTES_MAX {
        return None;
    }
    let local = behind_prefix(key);
    // A name such as `onClick={…}` is a component's in code that builds pages, which a browser never sees.
    if handler(key, true) && !(prose && value.starts_with(b"{")) && !(prose && value.is_empty()) {
        return Some("script.handler");
    }
    if URLS.has(local) && script_url(value) && !leads_nowhere(value) {
        return Some("script.url");
    }
    if key.eq_ignore_ascii_case(b"style") && executable_style(value) {
        return Some("script.style");
    }
    (key.eq_ignore_ascii_case(b"srcdoc") && !prose).then_some("script.handler")
}

/// Whether a name is an event handler's; inside a tag (`lenient`) any name that begins with `on` is.
fn handler(key: &[u8], lenient: bool) -> bool {
    if !starts_with(key, b"on") {
        return false;
    }
    let event = from(key, 2);
    let letters = event.len() >= 3 && event.iter().all(|b| is_word(*b) || *b == 0 || *b == b'-')
        // `on-invalid`: what comes behind `on` is a letter.
        && event.first() != Some(&b'-');
    letters && (lenient || known_event(event))
}

fn known_event(event: &[u8]) -> bool {
    // Sorted: those with its first letter stand side by side.
    let first = low(event, 0);
    let begins = |known: &&&str| known.as_bytes().first() == Some(&first);
    let start = EVENTS.partition_point(|known| known.as_bytes().first() < Some(&first));
    let alike = EVENTS.get(start..).unwrap_or_default().iter().take_while(begins);
    EVENTS_WHOLE.has(event) || alike.into_iter().any(|known| starts_with(event, known.as_bytes()))
}

/// A value that closes an attribute's quote and goes on with a handler, or that is one.
fn attribute_context(bytes: &[u8], effort: &mut Effort) -> Option<&'static str> {
    /// What is looked at of a style.
    const VALUE_BYTES_MAX: usize = 200;
    let mut styles = Parts::default();
    for equals in positions(bytes, b'=') {
        effort.spend(NAME_STEPS);
        let at = equals + 1;
        let before = between(bytes, 0, equals);
        let trimmed = before
            .iter()
            .rposition(|b| !is_blank(*b) && *b >= 0x20)
            .map_or(0, |i| i + 1);
        let name_len = before.iter().take(trimmed).rev().take_while(|b| is_word(**b)).count();
        let start = trimmed - name_len;
        let name = between(before, start, trimmed);
        if name_len > 32 {
            continue;
        }
        let previous = start.checked_sub(1).map(|i| low(before, i));
        let breaks = previous
            .is_none_or(|b| is_blank(b) || matches!(b, b'"' | b'\'' | b'/' | b'`' | b';' | b'<' | b'>') || b < 0x20);
        if breaks && handler(name, false) {
            return Some("script.handler");
        }
        if breaks && name.eq_ignore_ascii_case(b"style") && styles.have(bytes, at, VALUE_BYTES_MAX, executable_style) {
            return Some("script.style");
        }
        if breaks && previous.is_some() && name.eq_ignore_ascii_case(b"autofocus") {
            return Some("script.handler");
        }
    }
    effort.spend(styles.searched * STYLE_STEPS);
    let style = word_len(bytes, 0);
    (style == 0 && starts_with(bytes, b"-moz-binding")).then_some("script.style")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::threats::Account;

    /// Texts of pieces in the order that a generator gives.
    fn texts(count: usize) -> impl Iterator<Item = Vec<u8>> {
        const PIECES: [&str; 36] = [
            "<a",
            "<b:c",
            "<svg",
            "<",
            ">",
            "/",
            " ",
            "\n",
            "\0",
            "=",
            "=",
            "=\"",
            "\"",
            "'",
            "`",
            "+",
            ":",
            "-",
            "onclick",
            "ONx_y",
            "on",
            "src",
            "xlink:href",
            "to",
            "style",
            "srcdoc",
            "javascript:",
            "data:,",
            "x",
            "expression(",
            "z:=",
            "&",
            "<\"",
            "<vmlframe",
            "x:vmlframe",
            "                                              ",
        ];
        let mut state = 1_u64;
        (0..count).map(move |_| {
            let mut text = Vec::new();
            for _ in 0..12 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let piece = usize::try_from(state >> 33).unwrap() % PIECES.len();
                text.extend(PIECES[piece].as_bytes());
            }
            text
        })
    }

    #[test]
    fn where_no_attribute_tells_anything_reading_them_all_finds_nothing() {
        let (mut skipped, mut found) = (0, 0);
        for text in texts(200_000) {
            for prose in [false, true] {
                let all = judge_from(
                    &text,
                    prose,
                    &mut Effort::new(&Account::default(), text.len()),
                    Some(usize::MAX),
                );
                assert_eq!(
                    judge(&text, prose, &mut Effort::new(&Account::default(), text.len())),
                    all,
                    "{:?}",
                    String::from_utf8_lossy(&text)
                );
                found += usize::from(all.is_some());
            }
            skipped += usize::from(last_telling(&text).0 == 0);
        }
        assert!(skipped > 10_000 && found > 10_000, "{skipped} {found}");
    }
}
