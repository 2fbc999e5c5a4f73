//! `path_params`, `query`, `headers`, `cookies` and `styles` of an operation: each a JSON Schema over the object of its place,
//! with the styles in which arrays and objects are written.

use super::field::{Field, Section, is_header_name};
use crate::guard::requests::parameters::{Declared, Parameter, Parameters, Style};
use crate::operation::Segment;
use crate::schema::{Dialect, Options, compile_shaped};

/// Reads what an operation says of its parameters.
pub fn parameters<'v>(section: &Section<'v>, template: Option<Vec<Segment>>, options: Options<'v>) -> Parameters {
    let read = |field: Option<Field<'v>>, default| match field {
        Some(field) => declared(&field, options, default),
        None => Declared::default(),
    };
    let (path, headers) = (section.get("path_params"), section.get("headers"));
    let mut parameters = Parameters {
        path: read(path.clone(), (Style::Simple, false)),
        query: read(section.get("query"), (Style::Form, true)),
        headers: read(headers.clone(), (Style::Simple, false)),
        cookies: read(section.get("cookies"), (Style::Form, true)),
        unknown_denied: section.get("unknown_parameters").and_then(|f| f.one_of(&UNKNOWN)),
        template: template.clone().unwrap_or_default(),
    };
    if let (Some(field), Some(template)) = (path, template) {
        for parameter in &parameters.path.parameters {
            if !template.iter().any(|segment| segment.name() == Some(&parameter.name)) {
                field.note(format!("`{}` is no parameter of the path", parameter.name));
            }
        }
    }
    if let Some(field) = headers {
        for parameter in &parameters.headers.parameters {
            if !is_header_name(&parameter.name) {
                field.note(format!(
                    "`{}` is not the name of a header field in lower case",
                    parameter.name
                ));
            }
        }
    }
    if let Some(styles) = section.get("styles").and_then(|f| f.section()) {
        let simple = [("simple", Style::Simple)];
        let form = [("form", Style::Form)];
        let all = [
            ("form", Style::Form),
            ("spaceDelimited", Style::SpaceDelimited),
            ("pipeDelimited", Style::PipeDelimited),
            ("deepObject", Style::DeepObject),
        ];
        restyle(styles.get("path_params"), &mut parameters.path, &simple);
        restyle(styles.get("query"), &mut parameters.query, &all);
        restyle(styles.get("headers"), &mut parameters.headers, &simple);
        restyle(styles.get("cookies"), &mut parameters.cookies, &form);
        styles.finish();
    }
    parameters
}

/// Whether parameters that are not declared are refused.
pub const UNKNOWN: [(&str, bool); 2] = [("allow", false), ("deny", true)];

/// One parameter for each property of a schema, and the schema over all of them.
pub fn declared<'v>(field: &Field<'v>, options: Options<'v>, (style, explode): (Style, bool)) -> Declared {
    let (whole, shape) = compile_shaped(field, Dialect::default(), options);
    let parameters = shape.names().map(|name| Parameter {
        name: name.to_owned(),
        style,
        explode,
        shape: shape.member(name).clone(),
        ..Parameter::default()
    });
    Declared {
        parameters: parameters.collect(),
        others: shape.others(),
        whole,
    }
}

fn restyle(field: Option<Field<'_>>, declared: &mut Declared, styles: &[(&str, Style)]) {
    for (name, value) in field.and_then(|f| f.members()).unwrap_or_default() {
        let Some(section) = value.section() else { continue };
        match declared.parameters.iter_mut().find(|p| p.name == name) {
            Some(parameter) => style(&section, parameter, styles),
            None => value.note("is no property of the schema for this place"),
        }
        section.finish();
    }
}

/// `style` and `explode` of one parameter.
pub fn style(section: &Section<'_>, parameter: &mut Parameter, styles: &[(&str, Style)]) {
    if let Some(style) = section.get("style").and_then(|f| f.one_of(styles)) {
        parameter.style = style;
        // As OpenAPI has it: exploded is the default of `form`, and the only way of `deepObject`.
        parameter.explode = matches!(style, Style::Form | Style::DeepObject);
    }
    if let Some(explode) = section.get("explode").and_then(|f| f.bool()) {
        parameter.explode = explode;
    }
}
