//! JSON Schema compiled once, checked against a parsed value with bounded work: draft 2020-12, draft 7 by its `$schema`,
//! and OpenAPI's dialects.
//!
//! References lead within the document, by pointer, anchor or `$id`, or to documents that the configuration gives beside
//! it; nothing is ever fetched. A keyword that looks like a
//! misspelt one is a configuration error; one that asserts nothing in its dialect is a warning. `$vocabulary` has no
//! effect: the dialects that are known assert all that they have.

mod check;
mod compile;
mod dialect;
mod format;
mod index;
mod keywords;
mod order;
mod pins;
mod regex;
mod seen;
mod uri;

pub use check::Outcome;
pub use compile::{Compiler, Options, check_document, compile, compile_as, compile_shaped};
pub use dialect::Dialect;
pub use index::{Documents, Index, ResourceId};
pub use pins::Cursor;
pub use uri::{percent_decoded, split_fragment};

use crate::json::{Number, Value};
use format::{Format, IntegerBits};
use regex::Regex;
use std::sync::{Arc, OnceLock};

/// A compiled schema: a place in the rules of its document, which all schemas of that document share.
#[derive(Debug, Clone)]
pub struct Schema {
    set: Arc<OnceLock<Set>>,
    root: NodeId,
}

/// Rules that refer to each other by position, so that recursive schemas are finite.
#[derive(Debug, Default)]
struct Set {
    nodes: Vec<Node>,
    /// Whether any rule asks on which way it was reached.
    has_dynamic: bool,
}

impl Schema {
    fn node(&self, id: NodeId) -> Option<&Node> {
        self.set.get()?.nodes.get(id)
    }
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

/// The assertions of one schema object; what is absent asserts nothing. What few schemas have stands elsewhere: an API has
/// ten thousands of them, and most say little more than a type.
#[derive(Debug, Default)]
struct Rules {
    /// The resource that the schema belongs to.
    resource: ResourceId,
    types: Option<Types>,
    /// OpenAPI 3.0's flag; it is part of `types` once they are read.
    nullable: bool,
    allowed: Option<Vec<Value<'static>>>,
    reference: Option<NodeId>,
    dynamic: Option<Box<Dynamic>>,
    number: Option<Box<NumberRules>>,
    string: Option<Box<StringRules>>,
    array: Option<Box<ArrayRules>>,
    object: Option<Box<ObjectRules>>,
    branches: Option<Box<Branches>>,
    unevaluated_items: Option<NodeId>,
}

/// Schemas within a schema at the same value.
#[derive(Debug, Default)]
struct Branches {
    all_of: Vec<NodeId>,
    any_of: Vec<NodeId>,
    one_of: Vec<NodeId>,
    not: Option<NodeId>,
    condition: Option<Condition>,
    discriminator: Option<Discriminator>,
}

/// `$dynamicRef`: the anchors of its name, by resource.
#[derive(Debug)]
struct Dynamic {
    fallback: NodeId,
    anchors: Vec<(ResourceId, NodeId)>,
}

/// OpenAPI's: which branch a property's value means.
#[derive(Debug)]
struct Discriminator {
    property: String,
    meanings: Vec<(String, NodeId)>,
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
    /// OpenAPI 3.0's flags.
    minimum_exclusive: bool,
    maximum_exclusive: bool,
    /// The format `int32` or `int64`.
    bits: Option<IntegerBits>,
}

#[derive(Debug, Default)]
struct StringRules {
    chars_min: Option<u64>,
    chars_max: Option<u64>,
    pattern: Option<Regex>,
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
    /// Whether matching items count as evaluated.
    marks: bool,
}

#[derive(Debug, Default)]
struct ObjectRules {
    members_min: Option<u64>,
    members_max: Option<u64>,
    required: Vec<String>,
    /// Sorted by name.
    properties: Vec<(String, NodeId)>,
    patterns: Vec<(Regex, NodeId)>,
    /// A pattern of a name could not be read, so no name is known to be undeclared.
    opaque_patterns: bool,
    additional: Option<NodeId>,
    unevaluated: Option<NodeId>,
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
        let schema = compile(
            &field,
            Options {
                assert_formats: true,
                ..Options::default()
            },
        );
        schema.unwrap_or_else(|| panic!("{:?}", faults.into_errors()))
    }

    #[test]
    fn references_may_chain_longer_than_a_stack_is_deep() {
        let links: Vec<String> = (0..20_000)
            .map(|i| format!(r##""s{i}":{{"$ref":"#/$defs/s{}"}}"##, i + 1))
            .collect();
        let text = format!(
            r##"{{"$ref":"#/$defs/s0","$defs":{{{},"s20000":{{"type":"string"}}}}}}"##,
            links.join(",")
        );
        // Compiled; a check that passes them all is over its bound, and says so.
        assert_eq!(compiled(&text).check(&Value::Null), Outcome::TooCostly);
    }
}
