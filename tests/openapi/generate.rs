//! Values from schemas, valid ones and ones with one fault, by a reading of the document of its own.

use crate::tree::Tree;
use portcullis::json::pointer::Pointer;
use portcullis::json::{Object, Value};

pub struct Generator<'d> {
    document: &'d Value<'d>,
}

pub fn get<'v>(value: &'v Value<'v>, name: &str) -> Option<&'v Value<'v>> {
    value.as_object()?.get(name)
}

pub fn text<'v>(value: &'v Value<'v>, name: &str) -> Option<&'v str> {
    get(value, name)?.as_str()
}

pub fn is(value: &Value<'_>, name: &str) -> bool {
    value.as_object().and_then(|o| o.get(name)) == Some(&Value::Bool(true))
}

fn list<'v>(value: &'v Value<'v>, name: &str) -> &'v [Value<'v>] {
    get(value, name).and_then(Value::as_array).unwrap_or_default()
}

fn number(schema: &Value<'_>, name: &str) -> Option<i64> {
    schema.as_object()?.get(name)?.as_number()?.text().parse().ok()
}

/// Names and values of a generated object.
type Members = Vec<(String, Tree)>;

/// A value with one fault: what kind, where it stands, and the whole value.
pub struct Fault {
    pub kind: &'static str,
    /// A JSON Pointer.
    pub at: String,
    pub value: Tree,
}

/// Keywords under which a value that breaks one rule may keep another.
const CHOICES: [&str; 7] = [
    "oneOf",
    "anyOf",
    "not",
    "if",
    "patternProperties",
    "dependentRequired",
    "contains",
];

impl<'d> Generator<'d> {
    pub fn new(document: &'d Value<'d>) -> Self {
        Self { document }
    }

    pub fn follow(&self, value: &'d Value<'d>) -> &'d Value<'d> {
        match text(value, "$ref") {
            Some(reference) => {
                let pointer = Pointer::parse(&reference[1..]).unwrap();
                self.follow(pointer.find(self.document).unwrap())
            }
            None => value,
        }
    }

    /// A valid value; `None` where this generator does not know one.
    pub fn sample(&self, schema: &'d Value<'d>) -> Option<Tree> {
        self.value(schema, 12)
    }

    fn value(&self, schema: &'d Value<'d>, depth: u32) -> Option<Tree> {
        let depth = depth.checked_sub(1)?;
        let schema = self.follow(schema);
        if let Some(first) = list(schema, "enum").first().or(get(schema, "const")) {
            return Some(Tree::of(first));
        }
        for keyword in CHOICES.iter().filter(|keyword| !["oneOf", "anyOf"].contains(keyword)) {
            if get(schema, keyword).is_some() {
                return None;
            }
        }
        for keyword in ["oneOf", "anyOf"] {
            let branches = list(schema, keyword);
            if branches.is_empty() {
                continue;
            }
            // Branches beside properties may ask for some of them, and two of a type may both hold.
            let mut kinds: Vec<_> = branches
                .iter()
                .map(|branch| text(self.follow(branch), "type"))
                .collect();
            kinds.sort_unstable();
            kinds.dedup();
            let apart = kinds.len() == branches.len() && !kinds.contains(&None);
            if get(schema, "properties").is_some() || (keyword == "oneOf" && branches.len() > 1 && !apart) {
                return None;
            }
            return branches.iter().find_map(|branch| self.value(branch, depth));
        }
        if get(schema, "allOf").is_some() || get(schema, "properties").is_some() {
            return Some(Tree::Map(self.members(schema, depth)?));
        }
        match kinds(schema).into_iter().find(|kind| *kind != "null") {
            Some("string") => self.string(schema).map(Tree::Text),
            Some("integer" | "number") => Some(Tree::Plain(
                match (number(schema, "minimum"), number(schema, "maximum")) {
                    (Some(least), _) => (least + i64::from(get(schema, "exclusiveMinimum").is_some())).to_string(),
                    (None, Some(most)) if most < 7 => most.to_string(),
                    _ => number(schema, "multipleOf").unwrap_or(7).to_string(),
                },
            )),
            Some("boolean") => Some(Tree::Plain("true".into())),
            Some("array") => {
                let item = match get(schema, "items") {
                    Some(items) => self.value(items, depth),
                    None => Some(Tree::Plain("1".into())),
                };
                match (number(schema, "minItems").unwrap_or(0), item) {
                    (0, None) => Some(Tree::List(Vec::new())),
                    (0 | 1, Some(item)) => Some(Tree::List(vec![item])),
                    _ => None,
                }
            }
            Some("object") | None if list(schema, "required").is_empty() => match number(schema, "minProperties") {
                None | Some(0) => Some(Tree::Map(Vec::new())),
                _ => None,
            },
            Some("object") | None => Some(Tree::Map(self.members(schema, depth)?)),
            Some(_) => None,
        }
    }

    fn string(&self, schema: &'d Value<'d>) -> Option<String> {
        if get(schema, "pattern").is_some() {
            // What the document itself shows.
            let shown = text(schema, "example").or(text(schema, "default"));
            // Some documents show what they refuse.
            let least = number(schema, "minLength").and_then(|least| usize::try_from(least).ok());
            return shown
                .filter(|text| least.is_none_or(|least| text.chars().count() >= least))
                .map(str::to_owned);
        }
        let known = match text(schema, "format") {
            Some("date") => "2026-01-31",
            Some("date-time") => "2026-01-31T12:00:00Z",
            Some("time") => "12:00:00Z",
            Some("uuid") => "2eb8aa08-aa98-11ea-b4aa-73b441d16380",
            Some("email") => "a@example.com",
            Some("uri" | "uri-reference") => "https://example.com/",
            Some("ipv4") => "192.0.2.1",
            Some("ipv6") => "::1",
            _ => return Some("x".repeat(usize::try_from(number(schema, "minLength").unwrap_or(1).max(1)).unwrap())),
        };
        Some(known.to_owned())
    }

    /// Every required member, and every other that this generator knows a value for.
    fn members(&self, schema: &'d Value<'d>, depth: u32) -> Option<Members> {
        let mut members = Members::new();
        for part in list(schema, "allOf") {
            let part = self.follow(part);
            if ["oneOf", "anyOf", "not", "if"]
                .iter()
                .any(|keyword| get(part, keyword).is_some())
            {
                return None;
            }
            for (name, value) in self.members(part, depth)? {
                match members.iter_mut().find(|(known, _)| *known == name) {
                    Some(known) => known.1 = value,
                    None => members.push((name, value)),
                }
            }
        }
        let required = required(schema);
        let properties = get(schema, "properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flat_map(Object::iter) {
            let read_only = is(self.follow(property), "readOnly");
            match self.value(property, depth) {
                Some(value) if !read_only && !members.iter().any(|(known, _)| known == name) => {
                    members.push((name.to_owned(), value));
                }
                None if required.contains(&name) && !read_only => return None,
                _ => {}
            }
        }
        for name in required {
            let declared = properties.is_some_and(|properties| properties.get(name).is_some());
            if !declared && !members.iter().any(|(known, _)| known == name) {
                members.push((name.to_owned(), Tree::Plain("1".into())));
            }
        }
        Some(members)
    }

    /// A valid value with one fault each, at any depth, as far as one schema alone decides. `texts`: it will be written as
    /// texts (a parameter, a form), where any type is a string's.
    pub fn faults(&self, schema: &'d Value<'d>, value: &Tree, texts: bool) -> Vec<Fault> {
        let schema = self.follow(schema);
        let mut faults = Vec::new();
        if CHOICES.iter().any(|keyword| get(schema, keyword).is_some()) {
            return faults;
        }
        let mut add = |kind, at: String, value: Tree| faults.push(Fault { kind, at, value });
        for part in list(schema, "allOf") {
            for fault in self.faults(part, value, texts) {
                add(fault.kind, fault.at, fault.value);
            }
        }
        let here = String::new;
        let kinds = kinds(schema);
        if !list(schema, "enum").is_empty() {
            add("enum", here(), Tree::Text("no such value".into()));
            return faults;
        }
        let scalar = |kind: &&str| ["integer", "number", "boolean"].contains(kind);
        if texts && !kinds.is_empty() && kinds.iter().all(scalar) {
            add("type", here(), Tree::Text("xy".into()));
        } else if !texts && !kinds.is_empty() {
            let others = [("boolean", "true"), ("object", "{}"), ("array", "[]")];
            let other = others.iter().find(|(kind, _)| !kinds.contains(kind)).unwrap();
            add("type", here(), Tree::read(other.1));
        }
        match value {
            Tree::Plain(_) if value.number().is_some() && !kinds.contains(&"string") => {
                // OpenAPI 3.0's exclusiveMinimum is a flag: the bound itself is out then too.
                for (name, step) in [
                    ("minimum", -1),
                    ("maximum", 1),
                    ("exclusiveMinimum", 0),
                    ("exclusiveMaximum", 0),
                ] {
                    if let Some(beyond) = number(schema, name).and_then(|bound| bound.checked_add(step)) {
                        add("range", here(), Tree::Plain(beyond.to_string()));
                    }
                }
            }
            Tree::Text(_) => {
                if let Some(most) = number(schema, "maxLength").filter(|most| *most < 100_000) {
                    let long = "x".repeat(usize::try_from(most).unwrap() + 1);
                    add("too long", here(), Tree::Text(long));
                }
                if number(schema, "minLength").is_some_and(|least| least > 0) {
                    add("too short", here(), Tree::Text(String::new()));
                }
                let formats = ["date", "date-time", "time", "uuid", "email", "uri", "ipv4", "ipv6"];
                if text(schema, "format").is_some_and(|format| formats.contains(&format)) {
                    add("format", here(), Tree::Text("no such thing".into()));
                }
            }
            Tree::List(items) => {
                if number(schema, "minItems").is_some_and(|least| least > 0) && !texts {
                    add("too few", here(), Tree::List(Vec::new()));
                }
                let first = items.first();
                if let (Some(most), Some(item)) = (number(schema, "maxItems").filter(|most| *most < 1000), first) {
                    let many = vec![item.clone(); usize::try_from(most).unwrap() + 1];
                    add("too many", here(), Tree::List(many));
                }
                if let (true, Some(item)) = (is(schema, "uniqueItems"), first) {
                    add("twice", here(), Tree::List(vec![item.clone(), item.clone()]));
                }
                if let (Some(schema), Some(item)) = (get(schema, "items"), first) {
                    for fault in self.faults(schema, item, texts) {
                        add(fault.kind, format!("/0{}", fault.at), Tree::List(vec![fault.value]));
                    }
                }
            }
            Tree::Map(members) => {
                for name in required(schema).into_iter().filter(|name| value.member(name).is_some()) {
                    add("missing member", format!("/{}", escaped(name)), value.with(name, None));
                }
                let additional = get(schema, "additionalProperties").or(get(schema, "unevaluatedProperties"));
                if additional == Some(&Value::Bool(false)) && get(schema, "allOf").is_none() {
                    let more = value.with("zz-unknown", Some(Tree::Plain("1".into())));
                    add("unknown member", "/zz-unknown".into(), more);
                }
                let properties = get(schema, "properties");
                for (name, member) in members {
                    let Some(schema) = properties.and_then(|properties| get(properties, name)) else {
                        continue;
                    };
                    for fault in self.faults(schema, member, texts) {
                        let at = format!("/{}{}", escaped(name), fault.at);
                        add(fault.kind, at, value.with(name, Some(fault.value)));
                    }
                }
            }
            Tree::Plain(_) => {}
        }
        faults
    }
}

/// Whether a list is among what a schema takes, as far as it says so itself.
pub fn takes_list<'d>(generator: &Generator<'d>, schema: &'d Value<'d>) -> bool {
    let branches = ["oneOf", "anyOf"].into_iter().flat_map(|keyword| list(schema, keyword));
    kinds(schema).contains(&"array") || branches.map(|b| generator.follow(b)).any(|b| takes_list(generator, b))
}

pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The types that a schema names; null too where OpenAPI 3.0 says so.
pub fn kinds<'v>(schema: &'v Value<'v>) -> Vec<&'v str> {
    let mut kinds: Vec<&str> = match get(schema, "type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.and_then(Value::as_str).into_iter().collect(),
    };
    if is(schema, "nullable") && !kinds.is_empty() {
        kinds.push("null");
    }
    kinds
}

fn required<'v>(schema: &'v Value<'v>) -> Vec<&'v str> {
    list(schema, "required").iter().filter_map(Value::as_str).collect()
}
