//! From a schema's text to rules. Every fault is noted with its path in the configuration.

use super::{
    ArrayRules, Condition, Contains, Format, Node, NodeId, NumberRules, Pattern, Rules, Schema, StringRules, Types,
};
use crate::config::field::Field;
use crate::json::pointer::Pointer;
use crate::json::{Number, Value};
use regex_lite::RegexBuilder;
use std::collections::BTreeMap;

/// How a schema is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether `format` is asserted; otherwise it is an annotation.
    pub assert_formats: bool,
}

/// Keywords that assert something, which this version can't.
const UNSUPPORTED: [&str; 9] = [
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$vocabulary",
    "unevaluatedItems",
    "unevaluatedProperties",
    "dependencies",
];

/// Keywords that only describe.
const ANNOTATIONS: [&str; 16] = [
    "$schema",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "externalDocs",
];

/// Bytes that a compiled pattern may take: more is a pattern that no request should be measured by.
const PATTERN_BYTES_MAX: usize = 64 * 1024;

/// Compiles a schema. `None` once any fault was noted.
pub fn compile(root: &Field<'_>, options: Options) -> Option<Schema> {
    let mut compiler = Compiler {
        root: root.clone(),
        options,
        schema: Schema::default(),
        known: BTreeMap::new(),
    };
    let before = root.faults.count();
    compiler.node(root);
    (root.faults.count() == before).then_some(compiler.schema)
}

struct Compiler<'v> {
    root: Field<'v>,
    options: Options,
    schema: Schema,
    /// Nodes by where their text stands, so that a reference to one that is known, or still being compiled, ends.
    known: BTreeMap<*const Value<'v>, NodeId>,
}

impl<'v> Compiler<'v> {
    fn node(&mut self, field: &Field<'v>) -> NodeId {
        let place: *const Value<'v> = field.value;
        if let Some(known) = self.known.get(&place) {
            return *known;
        }
        let id = self.schema.nodes.len();
        self.schema.nodes.push(Node::Anything);
        self.known.insert(place, id);
        let node = match field.value {
            Value::Bool(true) => Node::Anything,
            Value::Bool(false) => Node::Nothing,
            Value::Object(_) => Node::Rules(Box::new(self.rules(field))),
            _ => {
                field.expected::<()>("a schema: an object, true or false");
                Node::Nothing
            }
        };
        if let Some(place) = self.schema.nodes.get_mut(id) {
            *place = node;
        }
        id
    }

    fn nodes(&mut self, field: &Field<'v>) -> Vec<NodeId> {
        let list = field.list().unwrap_or_default();
        if list.is_empty() {
            field.note("expected at least one schema");
        }
        list.iter().map(|item| self.node(item)).collect()
    }

    fn named_nodes(&mut self, field: &Field<'v>) -> Vec<(String, NodeId)> {
        let members = field.members().unwrap_or_default();
        let mut nodes: Vec<_> = members
            .iter()
            .map(|(name, schema)| ((*name).to_owned(), self.node(schema)))
            .collect();
        nodes.sort();
        nodes
    }

    fn rules(&mut self, field: &Field<'v>) -> Rules {
        let mut rules = Rules::default();
        let members = field.members().unwrap_or_default();
        let has = |name: &str| members.iter().any(|(n, _)| *n == name);
        for (keyword, value) in &members {
            match *keyword {
                "type" => rules.types = types(value),
                "enum" => {
                    rules.allowed = value
                        .value
                        .as_array()
                        .map_or_else(|| value.expected("an array"), |v| Some(owned(v)))
                }
                "const" => rules.allowed = Some(owned(std::slice::from_ref(value.value))),
                "$ref" => rules.reference = self.reference(value),
                "allOf" => rules.all_of = self.nodes(value),
                "anyOf" => rules.any_of = self.nodes(value),
                "oneOf" => rules.one_of = self.nodes(value),
                "not" => rules.not = Some(self.node(value)),
                "if" => self.condition(&mut rules).test = self.node(value),
                "then" if has("if") => self.condition(&mut rules).then = Some(self.node(value)),
                "else" if has("if") => self.condition(&mut rules).otherwise = Some(self.node(value)),
                // Without `if` they say nothing (core §10.2.2); with a condition around, a typing slip.
                "then" | "else" => value.note("has no effect without `if`"),
                "minContains" | "maxContains" if !has("contains") => value.note("has no effect without `contains`"),
                _ if self.number_keyword(keyword, value, &mut rules) => {}
                _ if self.string_keyword(keyword, value, &mut rules) => {}
                _ if self.array_keyword(keyword, value, &mut rules) => {}
                _ if self.object_keyword(keyword, value, &mut rules) => {}
                _ if ANNOTATIONS.contains(keyword) || keyword.starts_with("x-") => {}
                _ if UNSUPPORTED.contains(keyword) => value.note("is not supported by this version"),
                _ => value.note("is not a keyword of JSON Schema 2020-12; name extensions `x-…`"),
            }
        }
        rules
    }

    fn condition<'r>(&self, rules: &'r mut Rules) -> &'r mut Condition {
        rules.condition.get_or_insert(Condition {
            test: 0,
            then: None,
            otherwise: None,
        })
    }

    /// A reference within the schema: `#` and a JSON Pointer.
    fn reference(&mut self, value: &Field<'v>) -> Option<NodeId> {
        const EXPECTED: &str = "a reference within this schema such as \"#/$defs/item\"";
        let Some(pointer) = value.value.as_str().and_then(|text| text.strip_prefix('#')) else {
            return value.expected(EXPECTED);
        };
        let decoded = percent_decoded(pointer);
        let Some(parsed) = decoded.as_deref().and_then(Pointer::parse) else {
            return value.expected(EXPECTED);
        };
        let Some(target) = parsed.find(self.root.value) else {
            value.note("refers to nothing in this schema");
            return None;
        };
        let path = match decoded.as_deref() {
            None | Some("") => self.root.path.clone(),
            Some(pointer) => format!("{}#{pointer}", self.root.path),
        };
        Some(self.node(&Field {
            value: target,
            path,
            faults: value.faults,
        }))
    }

    fn number_keyword(&mut self, keyword: &str, value: &Field<'v>, rules: &mut Rules) -> bool {
        if !matches!(
            keyword,
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf"
        ) {
            return false;
        }
        let number = value.value.as_number().cloned().map(Number::into_owned);
        if number.is_none() {
            value.expected::<()>("a number");
            return true;
        }
        let into = rules.number.get_or_insert_with(NumberRules::default);
        match keyword {
            "minimum" => into.minimum = number,
            "maximum" => into.maximum = number,
            "exclusiveMinimum" => into.above = number,
            "exclusiveMaximum" => into.below = number,
            _ if number.as_ref().is_some_and(Number::is_step) => into.multiple_of = number,
            _ => value
                .expected("a number above 0 of at most 18 digits")
                .unwrap_or_default(),
        }
        true
    }

    fn string_keyword(&mut self, keyword: &str, value: &Field<'v>, rules: &mut Rules) -> bool {
        let into = rules.string.get_or_insert_with(StringRules::default);
        match keyword {
            "minLength" => into.chars_min = length(value),
            "maxLength" => into.chars_max = length(value),
            "pattern" => into.pattern = value.string().and_then(|text| pattern(value, text)),
            "format" => {
                let name = value.string().unwrap_or_default();
                into.format = Format::NAMED
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, format)| *format);
                if !self.options.assert_formats {
                    into.format = None;
                } else if into.format.is_none() && !name.is_empty() {
                    value.note(format!(
                        "`{name}` can't be asserted by this version; set `requests.formats` to \"annotate\" to ignore formats"
                    ));
                }
            }
            _ => return false,
        }
        true
    }

    fn array_keyword(&mut self, keyword: &str, value: &Field<'v>, rules: &mut Rules) -> bool {
        let into = |rules: &'_ mut Rules, set: &mut dyn FnMut(&mut ArrayRules)| {
            set(rules.array.get_or_insert_with(ArrayRules::default))
        };
        match keyword {
            "minItems" => into(rules, &mut |a| a.items_min = length(value)),
            "maxItems" => into(rules, &mut |a| a.items_max = length(value)),
            "uniqueItems" => into(rules, &mut |a| a.unique = value.bool().unwrap_or(false)),
            "prefixItems" => {
                let nodes = self.nodes(value);
                into(rules, &mut |a| a.prefix = nodes.clone());
            }
            "items" => {
                let node = self.node(value);
                into(rules, &mut |a| a.items = Some(node));
            }
            "contains" => {
                let node = self.node(value);
                into(rules, &mut |a| contains(a).node = node);
            }
            "minContains" => into(rules, &mut |a| contains(a).least = length(value).unwrap_or(1)),
            "maxContains" => into(rules, &mut |a| contains(a).most = length(value)),
            _ => return false,
        }
        true
    }

    fn object_keyword(&mut self, keyword: &str, value: &Field<'v>, rules: &mut Rules) -> bool {
        let known = [
            "minProperties",
            "maxProperties",
            "required",
            "properties",
            "patternProperties",
            "additionalProperties",
            "propertyNames",
            "dependentRequired",
            "dependentSchemas",
        ];
        if !known.contains(&keyword) {
            return false;
        }
        let mut into = rules.object.take().unwrap_or_default();
        match keyword {
            "minProperties" => into.members_min = length(value),
            "maxProperties" => into.members_max = length(value),
            "required" => into.required = names(value),
            "properties" => into.properties = self.named_nodes(value),
            "patternProperties" => {
                for (name, schema) in value.members().unwrap_or_default() {
                    let node = self.node(&schema);
                    into.patterns.extend(pattern(&schema, name).map(|regex| (regex, node)));
                }
            }
            "additionalProperties" => into.additional = Some(self.node(value)),
            "propertyNames" => into.names = Some(self.node(value)),
            "dependentRequired" => {
                let members = value.members().unwrap_or_default();
                into.dependent_required = members
                    .iter()
                    .map(|(name, list)| ((*name).to_owned(), names(list)))
                    .collect();
            }
            _ => into.dependent_schemas = self.named_nodes(value),
        }
        rules.object = Some(into);
        true
    }
}

fn contains(array: &mut ArrayRules) -> &mut Contains {
    array.contains.get_or_insert(Contains {
        node: 0,
        least: 1,
        most: None,
    })
}

fn owned(values: &[Value<'_>]) -> Vec<Value<'static>> {
    values.iter().map(|value| value.clone().into_owned()).collect()
}

fn types(value: &Field<'_>) -> Option<Types> {
    const WORDS: &str =
        "\"object\", \"array\", \"string\", \"number\", \"integer\", \"boolean\", \"null\" or an array of these";
    let named = |text: &str| {
        Types::NAMED
            .iter()
            .find(|(name, ..)| *name == text)
            .map(|(_, types, _)| *types)
    };
    match value.value {
        Value::String(text) => named(text).or_else(|| value.expected(WORDS)),
        Value::Array(items) if !items.is_empty() => {
            let all = items.iter().try_fold(Types::default(), |types, item| {
                Some(types.union(named(item.as_str()?)?))
            });
            all.or_else(|| value.expected(WORDS))
        }
        _ => value.expected(WORDS),
    }
}

fn length(value: &Field<'_>) -> Option<u64> {
    let number = value.value.as_number().and_then(Number::as_u64);
    number.or_else(|| value.expected("a whole number of at least 0"))
}

fn names(value: &Field<'_>) -> Vec<String> {
    let list = value.list().unwrap_or_default();
    list.iter()
        .filter_map(|item| item.string().map(str::to_owned))
        .collect()
}

/// A pattern in linear time. ECMA-262's look-around and back-references have no such form and are refused.
fn pattern(at: &Field<'_>, text: &str) -> Option<Pattern> {
    // The engine does not tell a program's size, but refuses one over its limit: the least limit that it takes.
    let mut program_bytes = 512;
    loop {
        match RegexBuilder::new(text).size_limit(program_bytes).build() {
            Ok(regex) => return Some(Pattern { regex, program_bytes }),
            Err(_) if program_bytes < PATTERN_BYTES_MAX => program_bytes *= 2,
            Err(error) => {
                at.note(format!("is no pattern that can be matched in linear time: {error}"));
                return None;
            }
        }
    }
}

/// A URI fragment's percent-encodings decoded; `None` if they are malformed.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut nibble = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (nibble()?, nibble()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}
