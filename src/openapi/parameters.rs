//! Parameters: those of the path item and, before them, the operation's own.

use super::{Reader, flag, member, text};
use crate::config::field::Field;
use crate::guard::requests::parameters::{Declared, Parameter, Parameters, Style};
use crate::operation::Segment;

/// Header fields that OpenAPI leaves to other parts of the document (§4.8.12.1).
const NOT_PARAMETERS: [&str; 3] = ["accept", "content-type", "authorization"];

pub fn read<'v>(reader: &mut Reader<'v>, field: &Field<'v>, item: &Field<'v>, template: &[Segment]) -> Parameters {
    let mut parameters = Parameters {
        template: template.to_vec(),
        ..Parameters::default()
    };
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for list in [field, item]
        .into_iter()
        .filter_map(|field| member(field, "parameters"))
    {
        for parameter in list.list().unwrap_or_default() {
            let Some(parameter) = reader.follow(&parameter) else {
                continue;
            };
            let (Some(name), Some(place)) = (text(&parameter, "name"), text(&parameter, "in")) else {
                parameter.note("expected a parameter with `name` and `in`");
                continue;
            };
            if seen.contains(&(name, place)) {
                continue;
            }
            seen.push((name, place));
            place_of(reader, &parameter, name, place, &mut parameters);
        }
    }
    parameters
}

fn place_of<'v>(reader: &mut Reader<'v>, field: &Field<'v>, name: &str, place: &str, all: &mut Parameters) {
    let (into, name, default): (&mut Declared, String, Style) = match place {
        "path" => {
            if !all.template.iter().any(|segment| segment.name() == Some(name)) {
                return reader.warn(
                    field,
                    format!("`{name}` is no whole segment of the path: it is not checked"),
                );
            }
            (&mut all.path, name.to_owned(), Style::Simple)
        }
        "query" => (&mut all.query, name.to_owned(), Style::Form),
        "header" => {
            let name = name.to_ascii_lowercase();
            if NOT_PARAMETERS.contains(&name.as_str()) {
                return;
            }
            (&mut all.headers, name, Style::Simple)
        }
        "cookie" => (&mut all.cookies, name.to_owned(), Style::Form),
        _ => {
            field.note("expected `in` to be \"path\", \"query\", \"header\" or \"cookie\"");
            return;
        }
    };
    let mut parameter = Parameter {
        name,
        required: place == "path" || flag(field, "required").unwrap_or(false),
        allow_empty: place == "query" && flag(field, "allowEmptyValue").unwrap_or(false),
        ..Parameter::default()
    };
    let known = style(reader, field, &mut parameter, default, place);
    if let Some(schema) = member(field, "schema").filter(|_| known) {
        parameter.shape = reader.compiler.shape(&schema);
        parameter.schema = Some(reader.compiler.schema(&schema));
    } else if let Some(content) = member(field, "content") {
        for (range, media) in content.members().unwrap_or_default() {
            let range = range.to_ascii_lowercase();
            if !(range.ends_with("/json") || range.ends_with("+json")) {
                reader.warn(&media, "a parameter of this type is not checked, only that it is there");
                continue;
            }
            parameter.json = true;
            parameter.schema = member(&media, "schema").map(|schema| reader.compiler.schema(&schema));
        }
    }
    into.parameters.push(parameter);
}

/// `style` and `explode`, with OpenAPI's defaults; `false` for a style that is not read.
pub fn style<'v>(
    reader: &Reader<'v>,
    field: &Field<'v>,
    parameter: &mut Parameter,
    default: Style,
    place: &str,
) -> bool {
    let named = text(field, "style");
    let style = match (named, place) {
        (None, _) => default,
        (Some("simple"), "path" | "header") => Style::Simple,
        (Some("form"), "query" | "cookie") => Style::Form,
        (Some("spaceDelimited"), "query") => Style::SpaceDelimited,
        (Some("pipeDelimited"), "query") => Style::PipeDelimited,
        (Some("deepObject"), "query") => Style::DeepObject,
        (Some(other), _) => {
            reader.warn(
                field,
                format!("style `{other}` is not read here: the value is not checked"),
            );
            return false;
        }
    };
    parameter.style = style;
    parameter.explode = flag(field, "explode").unwrap_or(matches!(style, Style::Form | Style::DeepObject));
    true
}
