//! JSON Pointer (RFC 6901): finding a value by pointer, and naming a place while a document is walked.

use super::{Object, Value};
use std::fmt;

/// A pointer from the configuration, such as `/username`; compiled once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    tokens: Vec<String>,
}

impl Pointer {
    /// Reads a pointer; `None` unless it is empty or starts with `/` and every `~` is `~0` or `~1`.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(rest) = text.strip_prefix('/') else {
            return text.is_empty().then(|| Self { tokens: Vec::new() });
        };
        let mut tokens = Vec::new();
        for raw in rest.split('/') {
            if raw.replace("~0", "").replace("~1", "").contains('~') {
                return None;
            }
            tokens.push(raw.replace("~1", "/").replace("~0", "~"));
        }
        Some(Self { tokens })
    }

    /// The one token of a pointer to a member of the document itself, such as `username` of `/username`.
    pub fn only_token(&self) -> Option<&str> {
        match self.tokens.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// How many members there are that `same` takes for the one that this points to, itself included.
    pub fn spellings(&self, value: &Value<'_>, same: impl Fn(&str, &str) -> bool) -> usize {
        let mut here = vec![value];
        for token in &self.tokens {
            let mut next = Vec::new();
            for value in here {
                match value {
                    Value::Object(object) => {
                        next.extend(object.iter().filter(|(name, _)| same(name, token)).map(|(_, v)| v))
                    }
                    Value::Array(items) if is_array_index(token) => {
                        next.extend(token.parse::<usize>().ok().and_then(|at| items.get(at)));
                    }
                    _ => {}
                }
            }
            here = next;
        }
        here.len()
    }

    /// The value at this place below an object, if there is one; none for the pointer to the whole.
    pub fn find_in<'v, 'a>(&self, object: &'v Object<'a>) -> Option<&'v Value<'a>> {
        let (first, rest) = self.tokens.split_first()?;
        Self::walk(rest, object.get(first)?)
    }

    /// The value at this place, if there is one.
    pub fn find<'v, 'a>(&self, value: &'v Value<'a>) -> Option<&'v Value<'a>> {
        Self::walk(&self.tokens, value)
    }

    fn walk<'v, 'a>(tokens: &[String], value: &'v Value<'a>) -> Option<&'v Value<'a>> {
        let mut here = value;
        for token in tokens {
            here = match here {
                Value::Object(object) => object.get(token)?,
                Value::Array(items) if is_array_index(token) => items.get(token.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(here)
    }
}

/// RFC 6901 §4: digits without a leading zero.
fn is_array_index(token: &str) -> bool {
    token.bytes().all(|b| b.is_ascii_digit()) && (token == "0" || !token.starts_with('0'))
}

/// A place in a document, kept as a chain on the stack so that walking costs nothing until a fault is written.
#[derive(Clone, Copy)]
pub enum Place<'p> {
    Root,
    Member(&'p Place<'p>, &'p str),
    Element(&'p Place<'p>, usize),
}

/// A member name in a message is cut at this many characters: names come from the client.
const NAME_CHARS_MAX: usize = 64;

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Root => Ok(()),
            Place::Member(parent, name) => {
                write!(f, "{parent}/")?;
                for c in name.chars().take(NAME_CHARS_MAX) {
                    match c {
                        '~' => f.write_str("~0")?,
                        '/' => f.write_str("~1")?,
                        c => write!(f, "{c}")?,
                    }
                }
                if name.chars().nth(NAME_CHARS_MAX).is_some() {
                    f.write_str("…")?;
                }
                Ok(())
            }
            Place::Element(parent, at) => write!(f, "{parent}/{at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, parse};
    use super::*;

    #[test]
    fn pointers_find_values_as_rfc_6901_says() {
        let text = br#"{"foo":["bar","baz"],"":0,"a/b":1,"m~n":8,"01":{"0":5}}"#;
        let value = parse(text, &Limits::FOREIGN).unwrap();
        let find = |p: &str| Pointer::parse(p).unwrap().find(&value).cloned();
        assert_eq!(find(""), Some(value.clone()));
        assert_eq!(find("/foo/0").unwrap().as_str(), Some("bar"));
        for (pointer, number) in [("/", "0"), ("/a~1b", "1"), ("/m~0n", "8"), ("/01/0", "5")] {
            assert_eq!(find(pointer).unwrap().as_number().unwrap().text(), number, "{pointer}");
        }
        for pointer in ["/foo/2", "/foo/00", "/foo/-", "/foo/+1", "/none", "/foo/bar"] {
            assert_eq!(find(pointer), None, "{pointer}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["foo", "/~", "/~2", "/a~"] {
            assert_eq!(Pointer::parse(text), None, "{text}");
        }
    }

    #[test]
    fn places_are_written_as_pointers_and_long_names_are_cut() {
        let root = Place::Root;
        let items = Place::Member(&root, "it/em~s");
        assert_eq!(Place::Element(&items, 3).to_string(), "/it~1em~0s/3");
        let long = "x".repeat(100);
        assert_eq!(Place::Member(&root, &long).to_string().chars().count(), 66);
    }
}
