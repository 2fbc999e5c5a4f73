//! Path templates: `/orders/{id}` and, for all that is below, `/files/{rest=**}`. In normal form, so that a template that no
//! request could match is a fault.

/// One segment of a path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    Literal(String),
    /// `{name}`: any one segment.
    Parameter(String),
    /// `{name=**}`, the last one: any number of segments, none included.
    Rest(String),
}

/// Why a text is no path template; completes "expected ...".
pub const TEMPLATE_EXPECTED: &str = "a path in its normal form such as `/orders/{id}`, a parameter being a whole segment \
                                     and `{rest=**}` the last one";

/// Segments of one template. No API is deeper, and a lookup goes down one level of stack for each.
pub const TEMPLATE_SEGMENTS_MAX: usize = 64;

/// Reads a template; `None` unless it is in normal form and each `{name}` is a whole segment with a name of its own.
pub fn parse_template(text: &str) -> Option<Vec<Segment>> {
    let rest = text.strip_prefix('/')?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let mut segments: Vec<Segment> = Vec::new();
    for segment in rest.split('/') {
        let ended = matches!(segments.last(), Some(Segment::Rest(_)));
        if ended || segments.len() == TEMPLATE_SEGMENTS_MAX {
            return None;
        }
        segments.push(parse_segment(segment, &segments)?);
    }
    Some(segments)
}

fn parse_segment(text: &str, earlier: &[Segment]) -> Option<Segment> {
    if let Some(inner) = text.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
        let rest = inner.strip_suffix("=**");
        let name = rest.unwrap_or(inner);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let taken = earlier.iter().any(|segment| segment.name() == Some(name));
        if name.is_empty() || taken || !name.bytes().all(plain) {
            return None;
        }
        return Some(match rest {
            Some(_) => Segment::Rest(name.to_owned()),
            None => Segment::Parameter(name.to_owned()),
        });
    }
    // A bare asterisk is meant as something else than itself, which stands as `%2A`.
    if text.contains(['{', '}', '*']) {
        return None;
    }
    let alone = format!("/{text}");
    let target = crate::path::Target::parse(alone.as_bytes()).ok()?;
    let mut matched = target.segments();
    match (matched.next(), matched.next()) {
        (Some(literal), None) if target.path() == alone && !alone.contains(';') => {
            Some(Segment::Literal(literal.into_owned()))
        }
        _ => None,
    }
}

impl Segment {
    /// The parameter's name, if it is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Rest(name) => Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_in_normal_form() {
        for text in [
            "",
            "x",
            "/x/",
            "//x",
            "/x/../y",
            "/%6C",
            "/{}",
            "/{a}{b}",
            "/x{a}",
            "/{a}/{a}",
            "/{a b}",
            "/x;y",
            "/é",
            "/a%2fb",
            "/x?y",
            "/{a=*}",
            "/{=**}",
            "/{a=**}/b",
            "/{a}/{a=**}",
            "/{a=**}x",
            "/**",
        ] {
            assert_eq!(parse_template(text), None, "{text}");
        }
        let café = parse_template("/caf%C3%A9/{id}").unwrap();
        assert_eq!(café, [Segment::Literal("café".into()), Segment::Parameter("id".into())]);
        let files = parse_template("/files/{rest=**}").unwrap();
        assert_eq!(files, [Segment::Literal("files".into()), Segment::Rest("rest".into())]);
        assert!(parse_template(&"/a".repeat(TEMPLATE_SEGMENTS_MAX)).is_some());
        assert!(parse_template(&"/a".repeat(TEMPLATE_SEGMENTS_MAX + 1)).is_none());
    }
}
