//! Whether a schema pins a text down: what it admits there is known so well (one of a list, a UUID, a date, a few safe
//! characters) that no attack fits in. The threats guard asks this to spare such places; it never decides validity.
//!
//! Walk value and schema together: [`Schema::cursor`], then [`Cursor::member`] and [`Cursor::element`] on the way down,
//! and [`Cursor::pins_text`] at a text. It holds for values that [`Schema::check`] found valid, and for no others: where
//! a fault is only counted (shadow), don't ask.

use super::format::Format;
use super::regex::Regex;
use super::{Node, NodeId, Rules, Schema, Types};

/// Texts of at most this many characters are pinned: the shortest inputs that do harm have three (`'--`, `|id`).
const SHORT_CHARS_MAX: u64 = 2;

/// Schemas that hold at one place together, through references and `allOf`; those beyond pin nothing.
const TOGETHER_MAX: usize = 16;

/// Schemas within schemas at one place that are looked at; what lies deeper pins nothing.
const DEPTH_MAX: u32 = 16;

/// A place in a schema: the schemas that all hold there.
#[derive(Debug, Clone)]
pub struct Cursor<'s> {
    schema: &'s Schema,
    together: Vec<NodeId>,
}

impl Schema {
    /// The place of the document itself.
    pub fn cursor(&self) -> Cursor<'_> {
        let mut cursor = Cursor {
            schema: self,
            together: Vec::new(),
        };
        cursor.enter(self.root);
        cursor
    }

    fn rules(&self, id: NodeId) -> Option<&Rules> {
        match self.node(id) {
            Some(Node::Rules(rules)) => Some(rules),
            _ => None,
        }
    }

    fn pins(&self, id: NodeId, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else {
            return false;
        };
        let rules = match self.node(id) {
            Some(Node::Rules(rules)) => rules,
            Some(Node::Nothing) => return true,
            Some(Node::Anything) | None => return false,
        };
        let no_text = rules.types.is_some_and(|types| types.0 & Types::STRING.0 == 0);
        let by_text = rules.string.as_ref().is_some_and(|string| {
            string.format.is_some_and(Format::pins)
                || string.chars_max.is_some_and(|most| most <= SHORT_CHARS_MAX)
                || string.pattern.as_ref().is_some_and(Regex::pins)
        });
        let every =
            |branches: &[NodeId]| !branches.is_empty() && branches.iter().all(|branch| self.pins(*branch, depth));
        no_text
            || rules.allowed.is_some()
            || by_text
            || rules.reference.is_some_and(|target| self.pins(target, depth))
            || rules.branches.as_ref().is_some_and(|branches| {
                branches.all_of.iter().any(|branch| self.pins(*branch, depth))
                    || every(&branches.any_of)
                    || every(&branches.one_of)
            })
    }
}

impl<'s> Cursor<'s> {
    fn enter(&mut self, id: NodeId) {
        if self.together.len() >= TOGETHER_MAX || self.together.contains(&id) {
            return;
        }
        self.together.push(id);
        if let Some(rules) = self.schema.rules(id) {
            let all_of = rules.branches.iter().flat_map(|branches| &branches.all_of);
            for next in rules.reference.iter().chain(all_of) {
                self.enter(*next);
            }
        }
    }

    fn down(&self, mut step: impl FnMut(&'s Rules, &mut Cursor<'s>)) -> Self {
        let mut below = Self {
            schema: self.schema,
            together: Vec::new(),
        };
        for rules in self.together.iter().filter_map(|id| self.schema.rules(*id)) {
            step(rules, &mut below);
        }
        below
    }

    /// The place of an object's member. Where nothing is declared, nothing is pinned.
    pub fn member(&self, name: &str) -> Self {
        self.down(|rules, below| {
            let Some(object) = &rules.object else { return };
            let found = object
                .properties
                .binary_search_by(|(known, _)| known.as_str().cmp(name));
            match found.ok().and_then(|at| object.properties.get(at)) {
                Some((_, node)) => below.enter(*node),
                // A pattern may declare the name; then what is additional does not hold, and the pattern's schema pins nothing.
                None if object.patterns.is_empty() => object.additional.into_iter().for_each(|node| below.enter(node)),
                None => {}
            }
        })
    }

    /// The place of an array's element.
    pub fn element(&self, at: usize) -> Self {
        self.down(|rules, below| {
            let Some(array) = &rules.array else { return };
            let node = array.prefix.get(at).copied().or(array.items);
            node.into_iter().for_each(|node| below.enter(node));
        })
    }

    /// Whether every text that is valid here is harmless by its form alone.
    pub fn pins_text(&self) -> bool {
        self.together.iter().any(|id| self.schema.pins(*id, DEPTH_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::compiled;

    #[test]
    fn texts_of_a_known_form_are_pinned_and_others_are_not() {
        let schema = compiled(
            r##"{
                "properties": {
                    "kind": { "enum": ["a", "b"] },
                    "id": { "type": "string", "format": "uuid" },
                    "mail": { "format": "email" },
                    "code": { "maxLength": 2 },
                    "name": { "maxLength": 3 },
                    "count": { "type": "integer" },
                    "ref": { "$ref": "#/$defs/day" },
                    "all": { "allOf": [ { "minLength": 1 }, { "const": "x" } ] },
                    "any": { "anyOf": [ { "const": "x" }, { "type": "null" } ] },
                    "loose": { "anyOf": [ { "const": "x" }, { "type": "string" } ] },
                    "tags": { "prefixItems": [ { "const": "x" } ], "items": { "type": "string" } },
                    "nothing": false,
                    "slug": { "pattern": "^[a-z0-9-]{1,40}$" },
                    "prose": { "pattern": "[a-z]" },
                    "self": { "$ref": "#" }
                },
                "additionalProperties": { "format": "date" },
                "$defs": { "day": { "format": "date" } }
            }"##,
        );
        for (pointer, pinned) in [
            ("", false),
            ("kind", true),
            ("id", true),
            ("mail", false),
            ("code", true),
            ("name", false),
            ("count", true),
            ("ref", true),
            ("all", true),
            ("any", true),
            ("loose", false),
            ("tags", false),
            ("tags/0", true),
            ("tags/1", false),
            ("nothing", true),
            ("other", true),
            ("slug", true),
            ("prose", false),
            ("self/self/kind", true),
            ("self/self/mail", false),
            ("kind/deeper", false),
        ] {
            let mut cursor = schema.cursor();
            for step in pointer.split('/').filter(|step| !step.is_empty()) {
                cursor = match step.parse() {
                    Ok(at) => cursor.element(at),
                    Err(_) => cursor.member(step),
                };
            }
            assert_eq!(cursor.pins_text(), pinned, "{pointer}");
        }
    }
}
