//! Bodies of every content type that an operation declares, written as their senders write them, with what is wrong with
//! some of them.

use crate::generate::{Generator, get, is, text};
use crate::operations::encoded;
use crate::tree::Tree;
use portcullis::json::{Object, Value};

/// A body, and what becomes of it: nothing, or kind of fault, code and place.
pub struct Body {
    pub kind: String,
    pub bytes: Vec<u8>,
    pub fault: Option<(&'static str, &'static str, Option<String>)>,
}

const BOUNDARY: &str = "----zZ7y";

/// Bodies of each declared type, a valid one first.
pub fn bodies<'d>(generator: &Generator<'d>, body: &'d Value<'d>, skipped: &mut usize) -> Vec<Vec<Body>> {
    let contents = get(body, "content").and_then(Value::as_object);
    let mut all = Vec::new();
    for (range, media) in contents.into_iter().flat_map(Object::iter) {
        let kind = range.replace("*/*", "application/x-any").replace("/*", "/x-any");
        let found = match get(media, "schema").map(|schema| generator.follow(schema)) {
            Some(schema) if is_json(&kind) => json(generator, schema, &kind),
            Some(schema) if kind == "application/x-www-form-urlencoded" => form(generator, schema, &kind),
            Some(schema) if kind == "multipart/form-data" => multipart(generator, schema, media),
            _ => Some(vec![good(
                &kind,
                if is_json(&kind) { "{}" } else { "some text, or bytes" },
            )]),
        };
        match found {
            Some(found) => all.push(found),
            None => *skipped += 1,
        }
    }
    all
}

pub fn is_json(kind: &str) -> bool {
    kind.ends_with("/json") || kind.ends_with("+json")
}

fn good(kind: &str, text: &str) -> Body {
    Body {
        kind: kind.into(),
        bytes: text.into(),
        fault: None,
    }
}

fn bad(kind: &str, bytes: impl Into<Vec<u8>>, what: &'static str, code: &'static str, at: Option<String>) -> Body {
    Body {
        kind: kind.into(),
        bytes: bytes.into(),
        fault: Some((what, code, at)),
    }
}

fn json<'d>(generator: &Generator<'d>, schema: &'d Value<'d>, kind: &str) -> Option<Vec<Body>> {
    let value = generator.sample(schema)?;
    let text = value.json();
    let mut all = vec![good(kind, &text)];
    for fault in generator.faults(schema, &value, false) {
        all.push(bad(
            kind,
            fault.value.json(),
            fault.kind,
            "body_invalid",
            Some(fault.at),
        ));
    }
    let torn = &text[..text.len() - 1];
    for (what, broken) in [
        (
            "JSON torn",
            if torn.parse::<u8>().is_ok() {
                "[".into()
            } else {
                torn.into()
            },
        ),
        ("JSON with more behind it", format!("{text} {{}}")),
        ("JSON behind a mark", format!("\u{feff}{text}")),
        ("JSON with a comment", format!("{text}/**/")),
    ] {
        all.push(bad(kind, broken, what, "json_malformed", None));
    }
    let twice = r#"{"a":1,"\u0061":2}"#;
    all.push(bad(kind, twice, "JSON member twice", "json_duplicate", None));
    all.push(bad(
        kind,
        "[".repeat(65) + &"]".repeat(65),
        "JSON too deep",
        "json_limit",
        None,
    ));
    Some(all)
}

/// The members of a form's object; one without is nothing that a form says.
fn members(value: &Tree) -> Option<&[(String, Tree)]> {
    match value {
        Tree::Map(members) if !members.is_empty() => Some(members),
        _ => None,
    }
}

fn urlencoded(value: &Tree) -> Option<String> {
    let mut pairs = Vec::new();
    for (name, value) in members(value)? {
        match value {
            Tree::List(items) => pairs.extend(items.iter().map(|item| (name, item.plain()))),
            Tree::Map(_) => return None,
            scalar => pairs.push((name, scalar.plain())),
        }
    }
    let lines: Vec<String> = pairs
        .iter()
        .map(|(n, v)| format!("{}={}", encoded(n), encoded(v)))
        .collect();
    Some(lines.join("&")).filter(|text| !text.is_empty())
}

fn form<'d>(generator: &Generator<'d>, schema: &'d Value<'d>, kind: &str) -> Option<Vec<Body>> {
    let value = generator.sample(schema)?;
    let text = urlencoded(&value)?;
    let mut all = vec![good(kind, &text)];
    for fault in generator.faults(schema, &value, true) {
        if let Some(text) = urlencoded(&fault.value) {
            all.push(bad(kind, text, fault.kind, "body_invalid", Some(fault.at)));
        }
    }
    for (what, end) in [
        ("form torn", "&a=%4"),
        ("form not UTF-8", "&a=%ff"),
        ("form with `;`", ";a=1"),
    ] {
        all.push(bad(kind, format!("{text}{end}"), what, "form_malformed", None));
    }
    Some(all)
}

fn multipart<'d>(generator: &Generator<'d>, schema: &'d Value<'d>, media: &'d Value<'d>) -> Option<Vec<Body>> {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let value = generator.sample(schema)?;
    let write = |value: &Tree| write_parts(generator, schema, media, value);
    let text = write(&value)?;
    let mut all = vec![good(&kind, &text)];
    for fault in generator.faults(schema, &value, true) {
        let name = fault.at.split('/').nth(1).unwrap_or_default();
        let whole = fault.kind == "missing member" || fault.kind == "unknown member";
        // What is said of a file's text is not said of a file; and an object is one part, of JSON.
        if !whole && part_of(generator, schema, name).is_none_or(|schema| is_file(generator, schema)) {
            continue;
        }
        if let Some(text) = write(&fault.value) {
            all.push(bad(&kind, text, fault.kind, "body_invalid", Some(fault.at)));
        }
    }
    for (what, broken) in [
        ("multipart torn", text[..text.len() - 4].to_owned()),
        ("multipart with a preamble", format!("x\r\n{text}")),
        ("multipart with more behind it", format!("{text}x")),
        ("multipart with bare line feeds", text.replace("\r\n", "\n")),
    ] {
        all.push(bad(&kind, broken, what, "multipart_malformed", None));
    }
    all.push(bad(
        "multipart/form-data",
        text,
        "multipart without a boundary",
        "content_type",
        None,
    ));
    Some(all)
}

fn part_of<'d>(generator: &Generator<'d>, schema: &'d Value<'d>, name: &str) -> Option<&'d Value<'d>> {
    get(schema, "properties")
        .and_then(|properties| get(properties, name))
        .map(|schema| generator.follow(schema))
}

fn is_file<'d>(generator: &Generator<'d>, schema: &'d Value<'d>) -> bool {
    let items = get(schema, "items").map(|items| generator.follow(items));
    text(schema, "format") == Some("binary")
        || (get(schema, "contentMediaType").is_some() && get(schema, "contentEncoding").is_none())
        || items.is_some_and(|items| is_file(generator, items))
}

fn write_parts<'d>(
    generator: &Generator<'d>,
    schema: &'d Value<'d>,
    media: &'d Value<'d>,
    value: &Tree,
) -> Option<String> {
    let mut out = String::new();
    for (name, value) in members(value)? {
        let part = part_of(generator, schema, name);
        let file = part.is_some_and(|part| is_file(generator, part));
        let encoding = get(media, "encoding").and_then(|encoding| get(encoding, name));
        let said = encoding
            .and_then(|own| text(own, "contentType"))
            .or(part.and_then(|part| text(part, "contentMediaType")));
        let said = said
            .and_then(|types| types.split(',').next())
            .map(|kind| kind.trim().replace("/*", "/x-any"));
        let items = match value {
            Tree::List(items) => items.clone(),
            one => vec![one.clone()],
        };
        for item in items {
            let file_name = if file { "; filename=\"f.bin\"" } else { "" };
            let object = matches!(item, Tree::Map(_)).then(|| "application/json".to_owned());
            let kind = said
                .clone()
                .or(object)
                .or(file.then(|| "application/octet-stream".to_owned()));
            let kind = kind.map_or(String::new(), |kind| format!("\r\nContent-Type: {kind}"));
            out.push_str(&format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}{kind}\r\n\r\n{}\r\n",
                item.plain()
            ));
        }
    }
    (!out.is_empty()).then(|| format!("{out}--{BOUNDARY}--\r\n"))
}

/// Whether an empty body is refused for being none.
pub fn is_required(body: &Value<'_>) -> bool {
    is(body, "required")
}

/// Whether a type is declared that admits any other.
pub fn is_wide(body: &Value<'_>) -> bool {
    let contents = get(body, "content").and_then(Value::as_object);
    contents.is_none_or(|contents| contents.is_empty() || contents.iter().any(|(range, _)| range.ends_with('*')))
}
