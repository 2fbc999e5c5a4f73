//! The keywords about one type of value, read into rules.

use super::compile::Compiler;
use super::dialect::Dialect;
use super::format::Known;
use super::index::ResourceId;
use super::{ArrayRules, Contains, Discriminator, NumberRules, ObjectRules, Rules, StringRules, Types};
use crate::config::field::Field;
use crate::json::{Number, Value};

impl<'v> Compiler<'v> {
    pub(super) fn keyword(
        &mut self,
        keyword: &str,
        value: &Field<'v>,
        home: ResourceId,
        dialect: Dialect,
        rules: &mut Rules,
    ) {
        match keyword {
            "type" => rules.types = types(value),
            "enum" => {
                let listed = value.value.as_array().map(owned);
                rules.allowed = listed.or_else(|| value.expected("an array"));
            }
            "const" => rules.allowed = Some(owned(std::slice::from_ref(value.value))),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                number(keyword, value, dialect, rules.number.get_or_insert_default());
            }
            "minLength" | "maxLength" | "pattern" => self.string(keyword, value, home, rules),
            "format" => self.format(value, rules),
            "minItems" | "maxItems" | "uniqueItems" | "prefixItems" | "items" | "additionalItems" | "contains"
            | "minContains" | "maxContains" | "unevaluatedItems" => self.array(keyword, value, home, dialect, rules),
            _ => {
                let mut object = rules.object.take().unwrap_or_default();
                self.object(keyword, value, home, &mut object);
                rules.object = Some(object);
            }
        }
    }

    fn string(&mut self, keyword: &str, value: &Field<'v>, home: ResourceId, rules: &mut Rules) {
        let into: &mut StringRules = rules.string.get_or_insert_default();
        match keyword {
            "minLength" => into.chars_min = length(value),
            "maxLength" => into.chars_max = length(value),
            _ => into.pattern = value.string().and_then(|text| self.regex(value, text, home)),
        }
    }

    fn format(&mut self, value: &Field<'v>, rules: &mut Rules) {
        let Some(name) = value.string().filter(|_| self.options.assert_formats) else {
            return;
        };
        match Known::named(name) {
            Some(Known::Text(format)) => rules.string.get_or_insert_default().format = Some(format),
            Some(Known::Integer(bits)) => rules.number.get_or_insert_default().bits = Some(bits),
            Some(Known::Nothing) => {}
            None => self.warn(value, format!("format `{name}` is not known here: it asserts nothing")),
        }
    }

    fn array(&mut self, keyword: &str, value: &Field<'v>, home: ResourceId, dialect: Dialect, rules: &mut Rules) {
        let mut into = rules.array.take().unwrap_or_default();
        match keyword {
            "minItems" => into.items_min = length(value),
            "maxItems" => into.items_max = length(value),
            "uniqueItems" => into.unique = value.bool().unwrap_or(false),
            "prefixItems" => into.prefix = self.nodes(value, home),
            "items" if dialect == Dialect::Draft7 && value.value.as_array().is_some() => {
                let list = value.list().unwrap_or_default();
                into.prefix = list.iter().map(|item| self.node(item, home)).collect();
            }
            "items" | "additionalItems" => into.items = Some(self.node(value, home)),
            "contains" => {
                contains(&mut into).node = self.node(value, home);
                contains(&mut into).marks = dialect != Dialect::Draft7;
            }
            "minContains" => contains(&mut into).least = length(value).unwrap_or(1),
            "maxContains" => contains(&mut into).most = length(value),
            _ => rules.unevaluated_items = Some(self.node(value, home)),
        }
        rules.array = Some(into);
    }

    fn object(&mut self, keyword: &str, value: &Field<'v>, home: ResourceId, into: &mut ObjectRules) {
        match keyword {
            "minProperties" => into.members_min = length(value),
            "maxProperties" => into.members_max = length(value),
            "required" => into.required = names(value),
            "properties" => into.properties = self.named_nodes(value, home),
            "patternProperties" => {
                for (name, schema) in value.members().unwrap_or_default() {
                    let node = self.node(&schema, home);
                    match self.regex(&schema, name, home) {
                        Some(regex) => into.patterns.push((regex, node)),
                        None => into.opaque_patterns = true,
                    }
                }
            }
            "additionalProperties" => into.additional = Some(self.node(value, home)),
            "unevaluatedProperties" => into.unevaluated = Some(self.node(value, home)),
            "propertyNames" => into.names = Some(self.node(value, home)),
            "dependentRequired" => {
                for (name, list) in value.members().unwrap_or_default() {
                    into.dependent_required.push((name.to_owned(), names(&list)));
                }
            }
            "dependentSchemas" => into.dependent_schemas.extend(self.named_nodes(value, home)),
            "dependencies" => {
                for (name, dependency) in value.members().unwrap_or_default() {
                    if dependency.value.as_array().is_some() {
                        into.dependent_required.push((name.to_owned(), names(&dependency)));
                    } else {
                        let node = self.node(&dependency, home);
                        into.dependent_schemas.push((name.to_owned(), node));
                    }
                }
            }
            // All keywords that are asserted are named above or before.
            _ => {}
        }
    }

    /// OpenAPI §4.8.25: the property that names which of the branches is meant. It decides which faults are told.
    pub(super) fn discriminator(&mut self, rules: &mut Rules, value: &Field<'v>, home: ResourceId) {
        let Some(object) = value.object() else { return };
        let Some(property) = object.get("propertyName").and_then(Value::as_str) else {
            return value.note("expected a `propertyName`");
        };
        let mut meanings = Vec::new();
        let mapping = object.get("mapping").and_then(Value::as_object);
        for (name, target) in mapping.iter().flat_map(|mapping| mapping.iter()) {
            let Some(target) = target.as_str() else { continue };
            let reference = if target.contains('#') {
                target.to_owned()
            } else {
                format!("#/components/schemas/{target}")
            };
            if self.index.resolve(home, &reference).is_ok()
                && let Some(node) = self.target(value, &reference, home)
            {
                meanings.push((name.to_owned(), node));
            }
        }
        rules.branches.get_or_insert_default().discriminator = Some(Discriminator {
            property: property.to_owned(),
            meanings,
        });
    }
}

fn contains(array: &mut ArrayRules) -> &mut Contains {
    array.contains.get_or_insert(Contains {
        node: 0,
        least: 1,
        most: None,
        marks: true,
    })
}

fn number(keyword: &str, value: &Field<'_>, dialect: Dialect, into: &mut NumberRules) {
    // OpenAPI 3.0 has it as an early draft: a flag beside the bound.
    if dialect == Dialect::OpenApi30 && keyword.starts_with("exclusive") {
        let flag = value.bool().unwrap_or(false);
        match keyword {
            "exclusiveMinimum" => into.minimum_exclusive = flag,
            _ => into.maximum_exclusive = flag,
        }
        return;
    }
    let number = value.value.as_number().cloned().map(Number::into_owned);
    if number.is_none() {
        return value.expected("a number").unwrap_or_default();
    }
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
