//! Bodies from schemas, by a reading of the document of its own.

use portcullis::json::pointer::Pointer;
use portcullis::json::{Limits, Object, Value, parse, write_string};

pub struct Generator<'d> {
    document: &'d Value<'d>,
}

fn get<'v>(value: &'v Value<'v>, name: &str) -> Option<&'v Value<'v>> {
    value.as_object()?.get(name)
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(&mut out, text);
    out
}

/// The members of a generated object: name and JSON text.
type Members = Vec<(String, String)>;

impl<'d> Generator<'d> {
    pub fn new(document: &'d Value<'d>) -> Self {
        Self { document }
    }

    pub fn follow(&self, value: &'d Value<'d>) -> &'d Value<'d> {
        match get(value, "$ref").and_then(Value::as_str) {
            Some(reference) => {
                let pointer = Pointer::parse(&reference[1..]).unwrap();
                self.follow(pointer.find(self.document).unwrap())
            }
            None => value,
        }
    }

    /// Operations with a JSON body that has a schema.
    pub fn json_bodies(&self) -> Vec<(String, &'d Value<'d>)> {
        let mut bodies = Vec::new();
        for (path, item) in get(self.document, "paths").unwrap().as_object().unwrap().iter() {
            for (method, operation) in item.as_object().unwrap().iter() {
                let schema = get(operation, "requestBody")
                    .map(|body| self.follow(body))
                    .and_then(|body| get(get(body, "content")?, "application/json"))
                    .and_then(|media| get(media, "schema"));
                if let Some(schema) = schema.filter(|schema| schema.as_object().is_some()) {
                    let id = get(operation, "operationId").and_then(Value::as_str).map(str::to_owned);
                    let id = id.unwrap_or_else(|| format!("{} {path}", method.to_ascii_uppercase()));
                    bodies.push((id, schema));
                }
            }
        }
        bodies
    }

    /// A valid value's text; `None` where this generator does not know one.
    pub fn sample(&self, schema: &'d Value<'d>) -> Option<String> {
        self.value(schema, 12)
    }

    fn value(&self, schema: &'d Value<'d>, depth: u32) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        let schema = self.follow(schema);
        if let Some(list) = get(schema, "enum").and_then(Value::as_array) {
            return list.first().map(text_of);
        }
        if let Some(value) = get(schema, "const") {
            return Some(text_of(value));
        }
        for keyword in ["not", "if", "patternProperties", "dependentRequired", "contains"] {
            if get(schema, keyword).is_some() {
                return None;
            }
        }
        let members = || self.members(schema, depth);
        for keyword in ["oneOf", "anyOf"] {
            if let Some(branches) = get(schema, keyword).and_then(Value::as_array) {
                // Branches beside properties may ask for some of them: only one alone is generated.
                if get(schema, "properties").is_some() || keyword == "oneOf" && branches.len() > 1 {
                    return None;
                }
                return branches.iter().find_map(|branch| self.value(branch, depth));
            }
        }
        if get(schema, "allOf").is_some() || get(schema, "properties").is_some() {
            return Some(object_text(&members()?));
        }
        let kind = match get(schema, "type") {
            Some(Value::Array(kinds)) => kinds
                .iter()
                .find_map(|kind| kind.as_str().filter(|kind| *kind != "null")),
            kind => kind.and_then(Value::as_str),
        };
        let number = |name: &str| get(schema, name).and_then(Value::as_number).and_then(|n| n.as_u64());
        match kind {
            Some("string") => {
                if get(schema, "pattern").is_some() {
                    return None;
                }
                let text = match get(schema, "format").and_then(Value::as_str) {
                    Some("date") => "2026-01-31".into(),
                    Some("date-time") => "2026-01-31T12:00:00Z".into(),
                    Some("time") => "12:00:00Z".into(),
                    Some("uuid") => "2eb8aa08-aa98-11ea-b4aa-73b441d16380".into(),
                    Some("email") => "a@example.com".into(),
                    Some("uri" | "uri-reference") => "https://example.com/".into(),
                    Some("ipv4") => "192.0.2.1".into(),
                    Some("ipv6") => "::1".into(),
                    _ => "x".repeat(usize::try_from(number("minLength").unwrap_or(1).max(1)).unwrap()),
                };
                Some(quoted(&text))
            }
            Some("integer" | "number") => Some(match (number("minimum"), number("maximum")) {
                (Some(least), _) => (least + u64::from(get(schema, "exclusiveMinimum").is_some())).to_string(),
                (None, Some(most)) if most < 7 => most.to_string(),
                _ => number("multipleOf").unwrap_or(7).to_string(),
            }),
            Some("boolean") => Some("true".into()),
            Some("array") => {
                let least = number("minItems").unwrap_or(0);
                let item = match get(schema, "items") {
                    Some(items) => self.value(items, depth),
                    None => Some("1".into()),
                };
                match (least, item) {
                    (0, None) => Some("[]".into()),
                    (0 | 1, Some(item)) => Some(format!("[{item}]")),
                    _ => None,
                }
            }
            Some("null") => Some("null".into()),
            Some("object") | None => match number("minProperties") {
                None | Some(0) => Some("{}".into()),
                _ => None,
            },
            Some(_) => None,
        }
    }

    /// Every required member, and every other that this generator knows a value for.
    fn members(&self, schema: &'d Value<'d>, depth: u32) -> Option<Members> {
        let mut members = Members::new();
        for part in get(schema, "allOf").and_then(Value::as_array).unwrap_or_default() {
            let part = self.follow(part);
            for keyword in ["oneOf", "anyOf", "not", "if"] {
                if get(part, keyword).is_some() {
                    return None;
                }
            }
            for (name, text) in self.members(part, depth)? {
                match members.iter_mut().find(|(known, _)| *known == name) {
                    Some(known) => known.1 = text,
                    None => members.push((name, text)),
                }
            }
        }
        let required = self.required(schema);
        let properties = get(schema, "properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flat_map(Object::iter) {
            let read_only = get(self.follow(property), "readOnly") == Some(&Value::Bool(true));
            match self.value(property, depth) {
                Some(text) if !read_only && !members.iter().any(|(known, _)| known == name) => {
                    members.push((name.to_owned(), text));
                }
                None if required.contains(&name) && !read_only => return None,
                _ => {}
            }
        }
        for name in required {
            let declared = properties.is_some_and(|properties| properties.get(name).is_some());
            if !declared && !members.iter().any(|(known, _)| known == name) {
                members.push((name.to_owned(), "1".into()));
            }
        }
        Some(members)
    }

    fn required(&self, schema: &'d Value<'d>) -> Vec<&'d str> {
        let names = get(schema, "required").and_then(Value::as_array).unwrap_or_default();
        names.iter().filter_map(Value::as_str).collect()
    }
}

fn text_of(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.text().to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(text_of).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let members: Members = members
                .iter()
                .map(|(name, value)| (name.to_owned(), text_of(value)))
                .collect();
            object_text(&members)
        }
    }
}

fn object_text(members: &[(String, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, text)| format!("{}:{text}", quoted(name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// The body with one fault each: a required member missing, and a member of another type.
pub fn faulty<'d>(generator: &Generator<'d>, schema: &'d Value<'d>, body: &str) -> Vec<(String, String)> {
    let schema = generator.follow(schema);
    let mut faulty = Vec::new();
    let value = parse(body.as_bytes(), &Limits::CONFIGURATION).unwrap();
    let (Some(object), Some(properties)) = (value.as_object(), get(schema, "properties").and_then(Value::as_object))
    else {
        return faulty;
    };
    let members: Members = object
        .iter()
        .map(|(name, value)| (name.to_owned(), text_of(value)))
        .collect();
    for name in generator.required(schema) {
        let read_only = properties
            .get(name)
            .is_some_and(|p| get(generator.follow(p), "readOnly") == Some(&Value::Bool(true)));
        if !read_only {
            let rest: Members = members.iter().filter(|(known, _)| known != name).cloned().collect();
            faulty.push((format!("without {name}"), object_text(&rest)));
        }
    }
    for (name, property) in properties.iter() {
        let property = generator.follow(property);
        let Some(kind) = get(property, "type").and_then(Value::as_str) else {
            continue;
        };
        let other = if kind == "boolean" { "\"x\"" } else { "true" };
        let changed: Members = members
            .iter()
            .map(|(known, text)| (known.clone(), if known == name { other.into() } else { text.clone() }))
            .collect();
        if changed != members {
            faulty.push((format!("{name} of another type"), object_text(&changed)));
        }
    }
    faulty
}
