//! Strict JSON (RFC 8259): one reader for bodies, tokens, key sets, answers of other services and the configuration.
//!
//! It reads one document of valid UTF-8, refuses a byte order mark, lone surrogates, trailing data and (unless told
//! otherwise) duplicate members, and holds every limit while it reads, before memory is spent. Strings without escapes
//! are borrowed. It never panics and never recurses deeper than [`Limits::depth`].

mod number;
pub mod pointer;
mod read;
mod write;

use crate::sort;
use std::borrow::Cow;

pub use number::Number;
pub use read::{Fault, FaultKind, parse};
pub use write::{push_number, write_string};

/// What a document may cost. Every field is a hard bound on what [`parse`] accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Levels of arrays and objects; a scalar alone has depth 0. At most [`DEPTH_CEILING`].
    pub depth: u32,
    /// Members of all objects and elements of all arrays together.
    pub members: u32,
    /// Bytes of one string or member name after unescaping.
    pub string_bytes: u32,
    /// Whether an object that names a member twice is accepted (the last one counts).
    pub duplicates: Duplicates,
}

/// What an object that names a member twice gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// The document is refused (RFC 8259 §4 calls such names unpredictable).
    Deny,
    /// The last one counts, as in ECMAScript.
    Allow,
}

/// The deepest nesting that any configuration may ask for: the reader and the schema check recurse once a level, and
/// a wasm stack has 1 MiB (measured: under 1 KiB a level for both together).
pub const DEPTH_CEILING: u32 = 256;

impl Limits {
    /// For documents from configured, yet untrusted, sources: tokens, key sets, answers of callouts.
    pub const FOREIGN: Self = Self {
        depth: 16,
        members: 4096,
        string_bytes: 64 * 1024,
        duplicates: Duplicates::Deny,
    };
    /// For the configuration itself, which the operator writes.
    pub const CONFIGURATION: Self = Self {
        depth: DEPTH_CEILING,
        members: 1_000_000,
        string_bytes: 1024 * 1024,
        duplicates: Duplicates::Deny,
    };
}

/// A JSON value that borrows what it can from the text it was read from.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Object<'a>),
}

/// An object's members in the order they came, with an index by name once there are many.
#[derive(Debug, Clone, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Value<'a>)>,
    /// Positions in `members`, sorted by name; empty while a linear search is cheaper.
    by_name: Vec<usize>,
}

/// Up to this many members a linear search is cheaper than sorting and bisecting.
const LINEAR_MEMBERS_MAX: usize = 16;

impl<'a> Object<'a> {
    /// Takes members in their order. With duplicates, `Err` names the position of one that repeats an earlier name.
    pub fn from_members(members: Vec<(Cow<'a, str>, Value<'a>)>) -> Result<Self, (Self, usize)> {
        let mut object = Self {
            by_name: Vec::new(),
            members,
        };
        let mut repeated = None;
        if object.members.len() <= LINEAR_MEMBERS_MAX {
            for (at, (name, _)) in object.members.iter().enumerate() {
                if object.members.iter().take(at).any(|(n, _)| n == name) {
                    repeated = Some(at);
                    break;
                }
            }
        } else {
            let name_at = |at: usize| object.members.get(at).map(|(n, _)| n.as_ref());
            // Among equal names the last one written stays last.
            let order = sort::positions(object.members.len(), &mut |a, b| name_at(a).cmp(&name_at(b)));
            repeated = order.windows(2).find_map(|pair| match pair {
                [a, b] if name_at(*a) == name_at(*b) => Some(*b),
                _ => None,
            });
            object.by_name = order;
        }
        match repeated {
            None => Ok(object),
            Some(at) => Err((object, at)),
        }
    }

    /// The value of a member; of a repeated one, the last.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        if self.by_name.is_empty() {
            return self.members.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v);
        }
        let end = self
            .by_name
            .partition_point(|i| self.members.get(*i).is_some_and(|(n, _)| n.as_ref() <= name));
        let at = *self.by_name.get(end.checked_sub(1)?)?;
        let (found, value) = self.members.get(at)?;
        (found == name).then_some(value)
    }

    /// The object with this member, unless it has one of that name.
    pub fn with_default(mut self, name: &'static str, value: Value<'a>) -> Self {
        if self.get(name).is_none() {
            self.members.push((Cow::Borrowed(name), value));
            // The index no longer fits; without one, the search is linear.
            self.by_name.clear();
        }
        self
    }

    /// The members in the order they came, as they are kept.
    pub fn members(&self) -> &[(Cow<'a, str>, Value<'a>)] {
        &self.members
    }

    /// The members in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.members.iter().map(|(name, value)| (name.as_ref(), value))
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// Equal as JSON Schema 2020-12 §4.2.2 has it: order of members does not count. Of a repeated one the last is what counts.
impl PartialEq for Object<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().all(|(name, _)| self.get(name) == other.get(name))
            && other.iter().all(|(name, _)| self.get(name).is_some())
    }
}

impl<'a> Value<'a> {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_number(&self) -> Option<&Number<'a>> {
        match self {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The value with its texts copied, for what outlives the document.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(b) => Value::Bool(b),
            Value::Number(n) => Value::Number(n.into_owned()),
            Value::String(s) => Value::String(Cow::Owned(s.into_owned())),
            Value::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Value::Object(object) => Value::Object(Object {
                members: object
                    .members
                    .into_iter()
                    .map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned()))
                    .collect(),
                by_name: object.by_name,
            }),
        }
    }

    /// What a reader of an error message would call this: `a string`, `an object`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }
}
