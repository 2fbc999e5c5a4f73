//! `body` of an operation: types, sizes, and what each type must hold.

use super::field::{Field, Section};
use super::parameters::{declared, style};
use crate::guard::requests::parameters::{Declared, Parameter, Style};
use crate::guard::requests::{BodyRule, Content, MediaType, PartRule};
use crate::schema::{Options, compile};

pub fn body<'v>(field: &Field<'v>, options: Options<'v>) -> Option<BodyRule> {
    let section = field.section()?;
    let rule = BodyRule {
        required: section.get("required").and_then(|f| f.bool()).unwrap_or(false),
        content: section
            .get("content")
            .map(|f| contents(&f, options))
            .unwrap_or_default(),
        bytes_max: section.get("max").and_then(|f| f.size(1, 1 << 30)),
        encodings: section
            .get("content_encodings")
            .and_then(|f| f.texts(0))
            .unwrap_or_default()
            .iter()
            .map(|coding| coding.to_ascii_lowercase())
            .collect(),
    };
    let compressed = !rule.encodings.is_empty()
        && rule
            .content
            .iter()
            .any(|content| content.schema.is_some() || !content.fields.is_empty());
    if compressed {
        field.note("`content_encodings` hide the body from its schema: put Envoy's decompressor in front instead");
    }
    section.finish();
    Some(rule)
}

/// `type/subtype`, `type/*` or `*/*`, in lower case.
fn range(field: &Field<'_>, text: &str) -> String {
    let range = text.to_ascii_lowercase();
    let media = MediaType::parse(range.as_bytes());
    let wildcard = range
        .strip_suffix("/*")
        .is_some_and(|kind| kind == "*" || !kind.contains('*'));
    if media.is_none_or(|m| m.essence != range) || (range.contains('*') && !wildcard) {
        field.note("expected a content type such as \"application/json\", \"text/*\" or \"*/*\" as the name");
    }
    range
}

fn contents<'v>(field: &Field<'v>, options: Options<'v>) -> Vec<Content> {
    let members = field.members().unwrap_or_default();
    if members.is_empty() {
        field.note("expected at least one content type; leave it out to accept any");
    }
    let mut contents: Vec<Content> = Vec::new();
    for (name, value) in members {
        let range = range(&value, name);
        if contents.iter().any(|content| content.range == range) {
            value.note("is there already, in another case");
        }
        let Some(section) = value.section() else { continue };
        contents.push(content(&section, range, options));
        section.finish();
    }
    contents
}

fn content<'v>(section: &Section<'v>, range: String, options: Options<'v>) -> Content {
    let json = range.ends_with("/json") || range.ends_with("+json");
    let multipart = range == "multipart/form-data";
    let form = range == "application/x-www-form-urlencoded";
    let (schema, encoding) = (section.get("schema"), section.get("encoding"));
    let mut content = Content {
        range,
        ..Content::default()
    };
    if let (Some(encoding), false) = (&encoding, schema.is_some() && (form || multipart)) {
        encoding.note("is for the fields of a form's schema");
    }
    let Some(schema) = schema else { return content };
    if json {
        content.schema = compile(&schema, options);
    } else if form || multipart {
        let options = Options {
            files: multipart,
            ..options
        };
        content.fields = declared(&schema, options, (Style::Form, true));
        if multipart {
            let parameters = content.fields.parameters.iter();
            content.parts = parameters.map(|p| PartRule::of(&p.name, &p.shape)).collect();
            for parameter in &mut content.fields.parameters {
                parameter.json = parameter.shape.members.is_some();
            }
        }
        if let Some(encoding) = encoding {
            encodings(&encoding, &mut content.fields, &mut content.parts, multipart);
        }
    } else {
        schema.note("is for JSON and forms: other types are judged by type and size");
    }
    content
}

/// `encoding`: what a schema can't say of a form's fields.
fn encodings(field: &Field<'_>, fields: &mut Declared, parts: &mut [PartRule], multipart: bool) {
    for (name, value) in field.members().unwrap_or_default() {
        let Some(section) = value.section() else { continue };
        let parameter: Option<&mut Parameter> = fields.parameters.iter_mut().find(|p| p.name == name);
        let Some(parameter) = parameter else {
            value.note("is no property of the schema");
            continue;
        };
        style(
            &section,
            parameter,
            &[
                ("form", Style::Form),
                ("spaceDelimited", Style::SpaceDelimited),
                ("pipeDelimited", Style::PipeDelimited),
                ("deepObject", Style::DeepObject),
            ],
        );
        let (types, max) = (section.get("content_types"), section.get("max"));
        match parts.iter_mut().find(|part| part.name == name) {
            Some(part) => {
                if let Some(types) = types.as_ref().and_then(|f| f.list()) {
                    let ranges = types.iter().filter_map(|item| Some(range(item, item.text()?)));
                    part.content_types = ranges.collect();
                }
                part.bytes_max = max.and_then(|f| f.size(1, 1 << 30)).or(part.bytes_max);
            }
            None => {
                for field in types.iter().chain(&max).filter(|_| !multipart) {
                    field.note("is for the parts of \"multipart/form-data\"");
                }
            }
        }
        section.finish();
    }
}
