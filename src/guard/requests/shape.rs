//! From text to JSON values: what a parameter's or form field's schema makes of a string (OpenAPI: coercion by `type`).
//!
//! Only spellings with one meaning become numbers: `+1`, `01`, ` 1`, `0x1` and, for integers, `1.0` and `1e3` stay
//! strings, which the schema then refuses. Nothing is refused here.

use crate::json::{Limits, Object, Value, parse};
use crate::schema::{Index, ResourceId};
use std::borrow::Cow;

/// What a schema admits, as far as reading a text asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    null: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    string: bool,
    /// The shape of an array's items.
    pub items: Option<Box<Shape>>,
    pub members: Option<Box<Members>>,
    /// Bytes, where a body has parts.
    pub file: Option<Box<File>>,
}

/// What a schema says of a file: it is judged by this, and by nothing that is said of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// Its `contentMediaType`, unless that is any bytes.
    pub content_type: Option<String>,
    /// Its `minLength` and `maxLength`, which count bytes (OpenAPI 3.1.1 §4.7.14.1.2.1).
    pub bytes_min: Option<u64>,
    pub bytes_max: Option<u64>,
}

/// Whether a schema means a file: `format: binary`, or a type of content that is not written in characters.
pub fn is_file(schema: &Object<'_>) -> bool {
    schema.get("format").and_then(Value::as_str) == Some("binary")
        || (schema.get("contentMediaType").is_some() && schema.get("contentEncoding").is_none())
}

impl File {
    fn of(schema: &Object<'_>) -> Self {
        let length = |name: &str| schema.get(name)?.as_number()?.as_u64();
        let content_type = schema.get("contentMediaType").and_then(Value::as_str);
        Self {
            content_type: content_type
                .map(str::to_ascii_lowercase)
                .filter(|name| name != "application/octet-stream"),
            bytes_min: length("minLength"),
            bytes_max: length("maxLength"),
        }
    }
}

/// The shapes of an object's members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// Sorted by name.
    named: Vec<(String, Shape)>,
    others: Shape,
}

/// Schemas within schemas that are looked at: parameters are flat, and references may go round.
const NESTING_MAX: u32 = 12;

/// The longest number that is read as one; a longer text stays text.
const NUMBER_BYTES_MAX: usize = 64;

impl Shape {
    pub fn is_scalar(&self) -> bool {
        self.items.is_none() && self.members.is_none()
    }

    /// Whether a text may stand for itself; beside `items`, it may be one value or a list of one.
    pub fn takes_scalar(&self) -> bool {
        self.null || self.boolean || self.integer || self.number || self.string
    }

    /// Reads a schema; `index` knows what its references point at. What can't be told is a string.
    pub fn of<'v>(schema: &'v Value<'v>, index: &Index<'v>) -> Self {
        let mut shape = Self::default();
        shape.add(schema, index, 0, NESTING_MAX);
        shape
    }

    fn add<'v>(&mut self, schema: &'v Value<'v>, index: &Index<'v>, home: ResourceId, nesting: u32) {
        let home = index.home(schema).unwrap_or(home);
        let (Some(nesting), Some(schema)) = (nesting.checked_sub(1), schema.as_object()) else {
            return;
        };
        match schema.get("type") {
            Some(Value::String(name)) => self.add_type(name),
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .for_each(|name| self.add_type(name)),
            _ => {
                let listed = schema.get("enum").and_then(Value::as_array).unwrap_or_default();
                listed
                    .iter()
                    .chain(schema.get("const"))
                    .for_each(|value| self.add_kind(value));
            }
        }
        if schema.get("nullable") == Some(&Value::Bool(true)) {
            self.null = true;
        }
        if is_file(schema) {
            self.file = Some(Box::new(File::of(schema)));
        }
        if let Some(items) = schema.get("items") {
            self.items.get_or_insert_default().add(items, index, home, nesting);
        }
        for item in schema.get("prefixItems").and_then(Value::as_array).unwrap_or_default() {
            self.items.get_or_insert_default().add(item, index, home, nesting);
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let members = self.members.get_or_insert_default();
            for (name, property) in properties.iter() {
                members.entry(name).add(property, index, home, nesting);
            }
        }
        for keyword in ["additionalProperties", "unevaluatedProperties"] {
            if let Some(others) = schema.get(keyword).filter(|others| others.as_object().is_some()) {
                self.members
                    .get_or_insert_default()
                    .others
                    .add(others, index, home, nesting);
            }
        }
        let reference = schema.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|reference| index.resolve(home, reference).ok());
        if let Some((target, home)) = target {
            self.add(target, index, home, nesting);
        }
        for next in ["if", "then", "else"].into_iter().filter_map(|k| schema.get(k)) {
            self.add(next, index, home, nesting);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for branch in schema.get(keyword).and_then(Value::as_array).unwrap_or_default() {
                self.add(branch, index, home, nesting);
            }
        }
    }

    fn add_type(&mut self, name: &str) {
        match name {
            "null" => self.null = true,
            "boolean" => self.boolean = true,
            "integer" => self.integer = true,
            "number" => self.number = true,
            "string" => self.string = true,
            "array" => drop(self.items.get_or_insert_default()),
            "object" => drop(self.members.get_or_insert_default()),
            _ => {}
        }
    }

    fn add_kind(&mut self, value: &Value<'_>) {
        match value {
            Value::Null => self.null = true,
            Value::Bool(_) => self.boolean = true,
            Value::Number(_) => self.number = true,
            Value::String(_) => self.string = true,
            Value::Array(_) | Value::Object(_) => {}
        }
    }

    /// The file that a part of this shape is, in an array too; `None` if it may be one or not.
    pub fn part(&self) -> Option<Option<&File>> {
        let is_told = self.takes_scalar() || self.members.is_some();
        match (&self.file, &self.items) {
            (Some(file), _) => Some(Some(file)),
            (None, Some(items)) => items.part(),
            (None, None) if is_told => Some(None),
            (None, None) => None,
        }
    }

    /// The shape of a member.
    pub fn member(&self, name: &str) -> &Shape {
        const TEXT: &Shape = &Shape {
            null: false,
            boolean: false,
            integer: false,
            number: false,
            string: false,
            items: None,
            members: None,
            file: None,
        };
        self.members.as_deref().map_or(TEXT, |members| members.of(name))
    }

    /// The shape of members that are not named.
    pub fn others(&self) -> Shape {
        self.members
            .as_deref()
            .map(|members| members.others.clone())
            .unwrap_or_default()
    }

    /// The names of an object's members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let named = self.members.as_deref().map(|members| members.named.as_slice());
        named.unwrap_or_default().iter().map(|(name, _)| name.as_str())
    }

    /// What a text is. One that is none of what is admitted stays a string, for the schema to refuse.
    pub fn coerce<'t>(&self, text: Cow<'t, str>) -> Value<'t> {
        if (self.integer || self.number) && is_number(&text, self.number) {
            let value = match &text {
                Cow::Borrowed(text) => parse(text.as_bytes(), &Limits::FOREIGN).ok(),
                Cow::Owned(text) => parse(text.as_bytes(), &Limits::FOREIGN).ok().map(Value::into_owned),
            };
            return value.unwrap_or(Value::String(text));
        }
        match text.as_ref() {
            "true" if self.boolean => Value::Bool(true),
            "false" if self.boolean => Value::Bool(false),
            "" if self.null => Value::Null,
            _ => Value::String(text),
        }
    }
}

impl Members {
    fn of(&self, name: &str) -> &Shape {
        let found = self.named.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok();
        found
            .and_then(|at| self.named.get(at))
            .map_or(&self.others, |(_, shape)| shape)
    }

    fn entry(&mut self, name: &str) -> &mut Shape {
        let place = self.named.binary_search_by(|(known, _)| known.as_str().cmp(name));
        let at = place.unwrap_or_else(|at| {
            self.named.insert(at, (name.to_owned(), Shape::default()));
            at
        });
        match self.named.get_mut(at) {
            Some((_, shape)) => shape,
            None => &mut self.others,
        }
    }
}

/// Whether a text is a number in the one spelling that every reader takes for the same.
fn is_number(text: &str, fractions: bool) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let whole_is_good = digits(whole) && (whole == "0" || !whole.starts_with('0'));
    let rest_is_good = fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    let plain = fraction.is_none() && exponent.is_none();
    text.len() <= NUMBER_BYTES_MAX && whole_is_good && rest_is_good && (fractions || (plain && text != "-0"))
}

/// An object of these members; of a repeated name the last one counts.
pub fn object<'v>(members: Vec<(Cow<'v, str>, Value<'v>)>) -> Value<'v> {
    Value::Object(Object::from_members(members).unwrap_or_else(|(object, _)| object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Dialect;

    fn shape(schema: &str) -> Shape {
        let schema = parse(schema.as_bytes(), &Limits::CONFIGURATION).unwrap();
        let mut index = Index::new(&schema, Dialect::default(), &[]);
        index.look(&schema, 0);
        Shape::of(&schema, &index)
    }

    #[track_caller]
    fn check(schema: &str, text: &str, expected: &str) {
        let expected = parse(expected.as_bytes(), &Limits::FOREIGN).unwrap();
        assert_eq!(shape(schema).coerce(Cow::Borrowed(text)), expected, "{schema} {text}");
        assert_eq!(
            shape(schema).coerce(Cow::Owned(text.into())),
            expected,
            "{schema} {text}"
        );
    }

    #[test]
    fn a_text_is_what_its_type_makes_of_it() {
        for (text, value) in [
            ("7", "7"),
            ("-12", "-12"),
            ("0", "0"),
            ("9007199254740993", "9007199254740993"),
        ] {
            check(r#"{"type":"integer"}"#, text, value);
            check(r#"{"type":"number"}"#, text, value);
            check(r#"{"type":["string","integer"]}"#, text, value);
            check(r#"{"type":"string"}"#, text, &format!("\"{text}\""));
            check("{}", text, &format!("\"{text}\""));
        }
        for text in ["1.0", "1e3", "-0", "-1.5E-2"] {
            check(r#"{"type":"integer"}"#, text, &format!("\"{text}\""));
            check(r#"{"type":"number"}"#, text, text);
        }
        for text in [
            "", "+1", "01", " 1", "1 ", "0x1", "1_000", "1,000", ".5", "5.", "1e", "--1", "NaN", "Infinity", "١",
        ] {
            check(r#"{"type":"number"}"#, text, &format!("\"{text}\""));
        }
        check(r#"{"type":"boolean"}"#, "true", "true");
        check(r#"{"type":"boolean"}"#, "True", "\"True\"");
        check(r#"{"type":"boolean"}"#, "1", "\"1\"");
        check(r#"{"type":["integer","null"]}"#, "", "null");
        check(r#"{"type":"integer","nullable":true}"#, "", "null");
        check(r#"{"enum":[1,2]}"#, "2", "2");
        let long = "1".repeat(NUMBER_BYTES_MAX + 1);
        check(r#"{"type":"integer"}"#, &long, &format!("\"{long}\""));
    }

    #[test]
    fn references_and_branches_are_followed_and_may_go_round() {
        check(r##"{"$ref":"#/$defs/n","$defs":{"n":{"type":"integer"}}}"##, "1", "1");
        check(r#"{"anyOf":[{"type":"boolean"},{"type":"integer"}]}"#, "true", "true");
        check(r##"{"$ref":"#"}"##, "1", "\"1\"");
        let lists = shape(
            r##"{"type":"object","properties":{"n":{"type":"array","items":{"type":"integer"}},"o":{"$ref":"#"}}}"##,
        );
        assert_eq!(lists.names().collect::<Vec<_>>(), ["n", "o"]);
        assert!(lists.member("n").items.as_ref().unwrap().integer);
        assert!(lists.member("o").member("n").items.is_some());
        assert_eq!(lists.member("other"), &Shape::default());
    }
}
