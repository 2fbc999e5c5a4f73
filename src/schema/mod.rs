//! JSON Schema (draft 2020-12): a schema compiled once at configure, checked against a parsed body with bounded work.
//!
//! A keyword that this version can't assert is a configuration error, never silently ignored; so is an unknown one,
//! unless it starts with `x-`. References stay inside the document; nothing is ever fetched.

mod check;
mod compile;
mod format;
mod pins;

pub use check::Outcome;
pub use compile::{Options, compile};
pub use pins::Cursor;

use crate::json::{Number, Value};
use format::Format;
use regex_lite::Regex;

/// A compiled schema: rules that refer to each other by position, so that recursive schemas are finite.
#[derive(Debug, Default)]
pub struct Schema {
    nodes: Vec<Node>,
}

type NodeId = usize;

#[derive(Debug)]
enum Node {
    /// `true`, or a reference that is not resolved yet.
    Anything,
    /// `false`
    Nothing,
    Rules(Box<Rules>),
}

/// The assertions of one schema object; what is absent asserts nothing.
#[derive(Debug, Default)]
struct Rules {
    types: Option<Types>,
    allowed: Option<Vec<Value<'static>>>,
    reference: Option<NodeId>,
    number: Option<NumberRules>,
    string: Option<StringRules>,
    array: Option<ArrayRules>,
    object: Option<ObjectRules>,
    all_of: Vec<NodeId>,
    any_of: Vec<NodeId>,
    one_of: Vec<NodeId>,
    not: Option<NodeId>,
    condition: Option<Condition>,
}

#[derive(Debug)]
struct Condition {
    test: NodeId,
    then: Option<NodeId>,
    otherwise: Option<NodeId>,
}

#[derive(Debug, Default)]
struct NumberRules {
    minimum: Option<Number<'static>>,
    maximum: Option<Number<'static>>,
    above: Option<Number<'static>>,
    below: Option<Number<'static>>,
    multiple_of: Option<Number<'static>>,
}

/// A regular expression, with the bytes of its program: matching costs up to text times program.
#[derive(Debug)]
struct Pattern {
    regex: Regex,
    program_bytes: usize,
}

#[derive(Debug, Default)]
struct StringRules {
    chars_min: Option<u64>,
    chars_max: Option<u64>,
    pattern: Option<Pattern>,
    format: Option<Format>,
}

#[derive(Debug, Default)]
struct ArrayRules {
    items_min: Option<u64>,
    items_max: Option<u64>,
    unique: bool,
    prefix: Vec<NodeId>,
    items: Option<NodeId>,
    contains: Option<Contains>,
}

#[derive(Debug)]
struct Contains {
    node: NodeId,
    least: u64,
    most: Option<u64>,
}

#[derive(Debug, Default)]
struct ObjectRules {
    members_min: Option<u64>,
    members_max: Option<u64>,
    required: Vec<String>,
    /// Sorted by name.
    properties: Vec<(String, NodeId)>,
    patterns: Vec<(Pattern, NodeId)>,
    additional: Option<NodeId>,
    names: Option<NodeId>,
    dependent_required: Vec<(String, Vec<String>)>,
    dependent_schemas: Vec<(String, NodeId)>,
}

/// A set of JSON types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Types(u8);

impl Types {
    const NULL: Self = Self(1);
    const BOOLEAN: Self = Self(2);
    const INTEGER: Self = Self(4);
    /// Holds integers too.
    const NUMBER: Self = Self(4 | 8);
    const STRING: Self = Self(16);
    const ARRAY: Self = Self(32);
    const OBJECT: Self = Self(64);

    const NAMED: [(&str, Self, &str); 7] = [
        ("object", Self::OBJECT, "an object"),
        ("array", Self::ARRAY, "an array"),
        ("string", Self::STRING, "a string"),
        ("number", Self::NUMBER, "a number"),
        ("integer", Self::INTEGER, "an integer"),
        ("boolean", Self::BOOLEAN, "true or false"),
        ("null", Self::NULL, "null"),
    ];

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn admits(self, value: &Value<'_>) -> bool {
        let kind = match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(n) if n.is_integer() => Self::INTEGER,
            Value::Number(_) => Self(8),
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        };
        self.0 & kind.0 != 0
    }

    /// Such as `a string or null`.
    fn describe(self) -> String {
        let mut names = Vec::new();
        let mut left = self;
        for (_, types, name) in Self::NAMED {
            if left.0 & types.0 == types.0 {
                names.push(name);
                left = Self(left.0 & !types.0);
            }
        }
        names.join(" or ")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::field::{Faults, Field};
    use crate::json::{Limits, parse};

    /// A schema that has no faults.
    #[track_caller]
    pub fn compiled(text: &str) -> Schema {
        let value = parse(text.as_bytes(), &Limits::CONFIGURATION).unwrap();
        let faults = Faults::default();
        let field = Field {
            value: &value,
            path: String::new(),
            faults: &faults,
        };
        let schema = compile(&field, Options { assert_formats: true });
        schema.unwrap_or_else(|| panic!("{:?}", faults.into_errors()))
    }
}
