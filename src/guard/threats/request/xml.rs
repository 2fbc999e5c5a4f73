//! XML as a body: what is judged of it. A lenient reader: what no parser would take is judged all the same.

use super::given::is_expression;
use super::place::Place;
use super::{Category, Kind, Walk};
use crate::guard::threats::bytes::{begins_with, between, find_byte, find_pair, from, skip_blank};
use crate::guard::threats::decode;

/// What begins a section of characters (XML 1.0 §2.7), and a comment (§2.5).
const SECTION: &[u8] = b"<![cdata[";
const COMMENT: &[u8] = b"<!--";

/// Where a pair stands with `>` behind it.
fn find_end(bytes: &[u8], mut at: usize, pair: [u8; 2]) -> Option<usize> {
    loop {
        let found = find_pair(bytes, at, pair)?;
        if bytes.get(found + 2) == Some(&b'>') {
            return Some(found);
        }
        at = found + 1;
    }
}

/// Where a tag ends: at the first `>` that no attribute's value holds, which has no `<` (XML 1.0 §3.1). With a `<` in it, it is
/// none to a parser, and ends at the first there is.
fn tag_end(bytes: &[u8], open: usize) -> Option<usize> {
    let first = find_byte(bytes, open, b'>')?;
    let next = find_byte(bytes, open + 1, b'<').unwrap_or(bytes.len());
    if next < first {
        return Some(first);
    }
    let bytes = between(bytes, 0, next);
    let mut at = open;
    let mut end = Some(first);
    while let Some(close) = end
        && let Some(equals) = find_byte(between(bytes, 0, close), at, b'=')
    {
        let begin = skip_blank(bytes, equals + 1);
        let Some(quote) = bytes.get(begin).copied().filter(|b| matches!(b, b'"' | b'\'')) else {
            at = equals + 1;
            continue;
        };
        // A value without an end holds nothing.
        let Some(closing) = find_byte(bytes, begin + 1, quote) else {
            break;
        };
        at = closing + 1;
        if close < at {
            end = find_byte(bytes, at, b'>');
        }
    }
    Some(end.unwrap_or(first))
}

/// A text that comments, instructions and sections cut in pieces, and that readers have as one (XPath 1.0 §5.7).
#[derive(Default)]
struct Pieces {
    joined: Vec<u8>,
    /// How many have more than blanks: one was judged by itself.
    count: usize,
}

impl Pieces {
    fn add(&mut self, piece: &[u8]) {
        // How exporters write what would end a section.
        if self.joined.ends_with(b"]]") && piece.starts_with(b">") {
            self.joined.push(b' ');
        }
        self.count += usize::from(!piece.trim_ascii().is_empty());
        self.joined.extend(piece);
    }
}

/// The namespace of inclusions.
const INCLUSIONS: &[u8] = b"http://www.w3.org/2001/XInclude";

impl Walk<'_> {
    /// Attribute values and text of XML, and declarations as a whole.
    pub(super) fn xml(&mut self, bytes: &[u8]) {
        let mut at = 0;
        // The element that was opened just now: what stands behind another's end is of an element further out.
        let mut element: &[u8] = &[];
        let mut pieces = Pieces::default();
        // Whether an instruction's end may lie ahead: of those without one, each would look for it to the body's end.
        let mut instructions_end = true;
        // An inclusion is told by its name and its namespace, whatever prefix stands for that (XInclude 1.0 §3).
        let (mut names_inclusions, mut includes) = (false, false);
        while let Some(open) = find_byte(bytes, at, b'<') {
            let text = between(bytes, at, open);
            self.element_text(element, text);
            let declares = begins_with(from(bytes, open), b"<!");
            let section = begins_with(from(bytes, open), SECTION);
            let comment = begins_with(from(bytes, open), COMMENT);
            let instruction = begins_with(from(bytes, open), b"<?");
            let (close, behind) = match () {
                () if section => (find_end(bytes, open + SECTION.len(), *b"]]"), 3),
                () if comment => (find_end(bytes, open + COMMENT.len(), *b"--"), 3),
                () if instruction => {
                    let end = instructions_end.then(|| find_pair(bytes, open + 2, *b"?>")).flatten();
                    instructions_end = end.is_some();
                    end.map_or_else(|| (find_byte(bytes, open, b'>'), 1), |end| (Some(end), 2))
                }
                () if declares => (find_byte(bytes, open, b'>'), 1),
                () => (tag_end(bytes, open), 1),
            };
            let end = close.unwrap_or(bytes.len());
            let tag = between(bytes, open, end);
            let cuts = section || comment || instruction;
            if cuts || pieces.count > 0 {
                pieces.add(text);
            }
            if section {
                pieces.add(from(tag, SECTION.len()));
            } else if !cuts {
                self.pieces(element, &std::mem::take(&mut pieces));
            }
            if section {
                // Characters as they are, such as a feed's markup.
                self.value(from(tag, SECTION.len()), Kind::Parameter, Place::Body, &[]);
            } else if comment {
                self.value(from(tag, COMMENT.len()), Kind::Text, Place::Body, &[]);
            } else if declares {
                let whole = between(bytes, open, (end + 1).min(bytes.len()));
                self.value(whole, Kind::Text, Place::Body, &[]);
            } else if instruction && !has_attributes(tag) {
                // An instruction is read by whom it names (XML 1.0 §2.6): PHP's are programs.
                self.value(tag, Kind::Text, Place::Body, &[]);
            } else {
                let name = local_name(from(tag, 1));
                element = if tag.ends_with(b"/") || instruction { &[] } else { name };
                includes |= name == b"include";
                let mut at = 0;
                while let Some(equals) = find_byte(tag, at, b'=') {
                    // Blanks may stand on both sides (XML 1.0 §2.8, `Eq`).
                    let begin = skip_blank(tag, equals + 1);
                    let quote = tag.get(begin).copied().unwrap_or(0);
                    let end = match quote {
                        b'"' | b'\'' => find_byte(tag, begin + 1, quote).unwrap_or(tag.len()),
                        _ => equals + 1,
                    };
                    // Longer names are none that is known.
                    let front = between(tag, equals.saturating_sub(64), equals).trim_ascii_end();
                    let name = front.rsplit(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
                    let text = between(tag, begin + 1, end);
                    let spelt = text.contains(&b'&').then(|| decode::step(text)).flatten();
                    names_inclusions |= spelt.as_deref().unwrap_or(text) == INCLUSIONS;
                    self.xml_text(local_name(name), text);
                    at = end.max(equals + 1);
                }
                if includes && names_inclusions {
                    self.note(Category::Xml, "xml.include", Place::Body, &[]);
                }
            }
            at = end + behind;
        }
        self.element_text(element, from(bytes, at));
        if pieces.count > 0 {
            pieces.add(from(bytes, at));
            self.pieces(element, &pieces);
        }
    }

    fn pieces(&mut self, element: &[u8], pieces: &Pieces) {
        if pieces.count > 1 {
            self.element_text(element, &pieces.joined);
        }
    }

    /// What an element holds. What only an attribute's name can say, its name does not.
    fn element_text(&mut self, element: &[u8], text: &[u8]) {
        let name = if is_expression(element) { &[][..] } else { element };
        self.xml_text(name, text);
    }

    /// What an element or attribute of this name holds.
    fn xml_text(&mut self, name: &[u8], text: &[u8]) {
        let text = text.trim_ascii();
        // The references that XML itself defines.
        let decoded = decode::step(text);
        let text = decoded.as_deref().unwrap_or(text);
        self.named_value(Some(name), text, Kind::Parameter, Place::Body, &[]);
    }
}

/// Whether an instruction has attributes: what a document begins with (XML 1.0 §2.8), or names its styles.
fn has_attributes(tag: &[u8]) -> bool {
    [&b"<?xml"[..], b"<?xml-stylesheet"].iter().any(|name| {
        let rest = tag.strip_prefix(*name);
        rest.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
    })
}

/// A name without its prefix (Namespaces in XML 1.0 §4), from what begins with one.
fn local_name(text: &[u8]) -> &[u8] {
    let end = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'=');
    let name = between(text, 0, text.iter().position(end).unwrap_or(text.len()));
    name.rsplit(|b| *b == b':').next().unwrap_or(name)
}
