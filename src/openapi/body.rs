//! Request bodies: JSON by schema, forms by their fields, all else by type.

use super::parameters::style;
use super::{Reader, flag, member, text};
use crate::config::field::Field;
use crate::guard::requests::parameters::{Declared, Parameter, Style};
use crate::guard::requests::{BodyRule, Content, MediaType, PartRule};

impl<'v> Reader<'v> {
    pub(super) fn body(&mut self, field: &Field<'v>) -> Option<BodyRule> {
        let body = self.follow(field)?;
        let mut rule = BodyRule {
            required: flag(&body, "required").unwrap_or(false),
            ..BodyRule::default()
        };
        let contents = member(&body, "content").and_then(|content| content.members());
        for (name, media) in contents.unwrap_or_default() {
            let lower = name.to_ascii_lowercase();
            let Some(parsed) = MediaType::parse(lower.as_bytes()) else {
                media.note("expected a content type as the name");
                continue;
            };
            if parsed.essence != lower {
                self.warn(
                    &media,
                    "the parameters of this type are not compared, only the type itself",
                );
            }
            if rule.content.iter().any(|content| content.range == parsed.essence) {
                self.warn(&media, "is there already: the first one counts");
                continue;
            }
            let content = self.content(&media, parsed.essence);
            rule.content.push(content);
        }
        Some(rule)
    }

    fn content(&mut self, media: &Field<'v>, range: String) -> Content {
        let json = range.ends_with("/json") || range.ends_with("+json") || range.ends_with("/*");
        let multipart = range == "multipart/form-data";
        let form = range == "application/x-www-form-urlencoded";
        let mut content = Content {
            range,
            ..Content::default()
        };
        let Some(schema) = member(media, "schema") else {
            return content;
        };
        if json {
            content.schema = Some(self.compiler.schema(&schema));
        } else if form || multipart {
            self.fields(media, &schema, multipart, &mut content);
        } else {
            self.warn_once(
                media,
                format!(
                    "a body of type `{}` is checked by type and size, not by its schema",
                    content.range
                ),
            );
        }
        content
    }

    fn fields(&mut self, media: &Field<'v>, schema: &Field<'v>, multipart: bool, content: &mut Content) {
        let shape = self.compiler.shape(schema);
        let encoding = member(media, "encoding");
        self.compiler.of_files(multipart);
        let mut declared = Declared {
            whole: Some(self.compiler.schema(schema)),
            others: shape.others(),
            ..Declared::default()
        };
        for name in shape.names() {
            let shape = shape.member(name);
            let mut parameter = Parameter {
                name: name.to_owned(),
                style: Style::Form,
                explode: true,
                json: multipart && shape.members.is_some(),
                shape: shape.clone(),
                ..Parameter::default()
            };
            let own = encoding.as_ref().and_then(|encoding| member(encoding, name));
            if let Some(own) = &own {
                style(self, own, &mut parameter, Style::Form, "query");
            }
            if multipart {
                let mut part = PartRule::of(name, shape);
                if let Some(types) = own.as_ref().and_then(|own| text(own, "contentType")) {
                    let ranges = types.split(',').map(|range| range.trim().to_ascii_lowercase());
                    part.content_types = ranges.filter(|range| !range.is_empty()).collect();
                }
                content.parts.push(part);
            }
            declared.parameters.push(parameter);
        }
        self.compiler.of_files(false);
        content.fields = declared;
    }
}
