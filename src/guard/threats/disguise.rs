//! Markup and JavaScript in short values, hidden by blanks, comments or an alphabet that browsers no longer fold; and markup
//! where no page has any: in cookies and in names.

use super::Kind;
use super::bytes::{begins_with, between, find_byte, from, is_blank, is_word, low, skip_blank, word_len};
use super::profile::class;

/// Longer values are texts.
const BYTES_MAX: usize = 256;

/// `<` with its eighth bit set.
const FOLDED_OPEN: u8 = 0xBC;

/// Elements that are tried letter by letter.
const ELEMENTS: [&[u8]; 12] = [
    b"applet", b"audio", b"dialog", b"embed", b"form", b"iframe", b"marquee", b"object", b"script", b"style", b"svg",
    b"video",
];

/// What is reached through an object of the page, behind `.`, `["` or `['`, and the objects.
const OBJECTS: [&[u8]; 7] = [b"document", b"window", b"self", b"top", b"parent", b"frames", b"this"];
const MEMBERS: [&[u8]; 7] = [b"cookie", b"domain", b"location", b"write", b"alert", b"eval", b"name"];

/// How a value, whose profile is `bits`, is a disguised script, or `None`.
pub fn judge(bytes: &[u8], bits: u16, kind: Kind) -> Option<&'static str> {
    if bytes.len() > BYTES_MAX {
        return None;
    }
    let text = bytes.trim_ascii();
    if kind == Kind::Cookie && has_tag(text) {
        return Some("script.markup");
    }
    if kind == Kind::Name && names_handler(text) {
        return Some("script.event");
    }
    let has = |signs: u16| bits & signs != 0;
    let folds = has(class::ENCODED) || find_byte(text, 0, FOLDED_OPEN).is_some();
    if text.starts_with(b"-->") || has(class::ANGLE) && spaced(text) || folds && ascii_folded(text) {
        return Some("script.markup");
    }
    let parts = has(class::SLASH) && has(class::GLOB) || has(class::BLANK) && has(class::DOT);
    (parts && commented(text)).then_some("script.object")
}

/// Any tag, or what begins as one.
fn has_tag(text: &[u8]) -> bool {
    text.windows(2)
        .any(|pair| pair.first() == Some(&b'<') && pair.last().is_some_and(|b| b.is_ascii_alphabetic() || *b == b':'))
}

/// `onload=` as a name, or at the beginning of one.
fn names_handler(text: &[u8]) -> bool {
    let len = word_len(text, 0);
    begins_with(text, b"on") && len > 5 && low(text, skip_blank(text, len)) == b'='
}

/// `<f o r m`: an element's name, its letters apart.
fn spaced(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(open) = find_byte(text, at, b'<') {
        at = open + 1;
        let rest = from(text, skip_blank(text, at));
        let found = ELEMENTS.iter().any(|name| {
            let mut blanks = 0_usize;
            let mut rest = rest.iter().peekable();
            let letters = name.iter().all(|letter| {
                while rest.next_if(|b| is_blank(**b)).is_some() {
                    blanks += 1;
                }
                rest.next().is_some_and(|b| b.to_ascii_lowercase() == *letter)
            });
            letters && blanks + 1 >= name.len()
        });
        // `< x: script`: a prefix in front.
        let prefix = rest.iter().take_while(|b| is_word(**b)).count();
        let named = low(rest, prefix) == b':'
            && prefix > 0
            && is_blank(low(rest, prefix + 1))
            && begins_with(from(rest, skip_blank(rest, prefix + 1)), b"script");
        if found || named {
            return true;
        }
    }
    false
}

/// `¼script¾`: in US-ASCII of seven bits these are angle brackets; written as bytes, as UTF-8, or escaped.
fn ascii_folded(text: &[u8]) -> bool {
    let mut open = false;
    for at in 0..text.len() {
        let rest = from(text, at);
        // The last byte of another character is none: `ü` ends with one.
        let before = at.checked_sub(1).map_or(0, |before| low(text, before));
        let other = before >= 0x80 && before != 0xC2;
        let of = |byte: u8, escaped: &[u8]| {
            let end = if rest.first() == Some(&byte) && !other {
                1
            } else if begins_with(rest, escaped) {
                escaped.len()
            } else {
                0
            };
            (end > 0).then_some(end)
        };
        if of(FOLDED_OPEN, b"\\xbc").is_some_and(|end| low(rest, end).is_ascii_alphabetic()) {
            open = true;
        }
        if open && of(0xBE, b"\\xbe").is_some() {
            return true;
        }
    }
    false
}

/// `document /* x */ . cookie`: a member of the page's objects, reached over comments.
fn commented(text: &[u8]) -> bool {
    if !text.windows(2).any(|pair| pair == b"/*") && !text.windows(2).any(|pair| pair == b" .") {
        return false;
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    let last_end = text.windows(2).rposition(|pair| pair == b"*/").unwrap_or(0);
    while let Some(byte) = text.get(at) {
        // Behind the last end none is looked for: what opens again and again would be read to the end each time.
        if at < last_end
            && begins_with(from(text, at), b"/*")
            && let Some(len) = from(text, at + 2).windows(2).position(|pair| pair == b"*/")
        {
            at += len + 4;
            continue;
        }
        if !is_blank(*byte) {
            plain.push(byte.to_ascii_lowercase());
        }
        at += 1;
    }
    OBJECTS.iter().any(|object| {
        plain.windows(object.len()).enumerate().any(|(start, w)| {
            let end = start + object.len();
            let apart = start.checked_sub(1).is_none_or(|before| !is_word(low(&plain, before)));
            w == *object && apart && reaches(from(&plain, end))
        })
    })
}

fn reaches(rest: &[u8]) -> bool {
    let rest = rest.strip_prefix(b")").unwrap_or(rest);
    let member = match rest {
        [b'.', member @ ..] | [b'[', b'"' | b'\'' | b'`', member @ ..] => member,
        _ => return false,
    };
    let name = between(member, 0, word_len(member, 0));
    MEMBERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::super::profile;
    use super::*;

    #[test]
    fn what_is_hidden_is_found() {
        for (text, kind, rule) in [
            ("a<f o r m", Kind::Parameter, "script.markup"),
            ("< y: script", Kind::Parameter, "script.markup"),
            ("\\xbcb\\xbe", Kind::Parameter, "script.markup"),
            ("\u{bc}script\u{be}", Kind::Parameter, "script.markup"),
            ("--> x", Kind::Parameter, "script.markup"),
            ("a<:vmlframe src=", Kind::Cookie, "script.markup"),
            ("onwhatever= ", Kind::Name, "script.event"),
            ("document /*a*/ . cookie", Kind::Parameter, "script.object"),
            ("(self/**/)[\"alert\"](1)", Kind::Parameter, "script.object"),
        ] {
            assert_eq!(
                judge(text.as_bytes(), profile::bits(text.as_bytes()), kind),
                Some(rule),
                "{text}"
            );
        }
        for (text, kind) in [
            ("a < b and c > d", Kind::Parameter),
            ("a --> b", Kind::Parameter),
            ("1\u{bc} cups, \u{be} done", Kind::Parameter),
            ("Müllerová Blažková v.o.s.", Kind::Parameter),
            ("online", Kind::Name),
            ("on=1", Kind::Name),
            ("the document . see cookies", Kind::Parameter),
            ("a<3", Kind::Cookie),
            ("src/*/document.cookies", Kind::Parameter),
        ] {
            assert_eq!(
                judge(text.as_bytes(), profile::bits(text.as_bytes()), kind),
                None,
                "{text}"
            );
        }
    }
}
