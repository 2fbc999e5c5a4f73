//! `Content-Type`, read strictly (RFC 9110 §8.3): what is no single media type has none.

/// A media type and the parameters that say how a body is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype` in lower case.
    pub essence: String,
    /// In lower case.
    pub charset: Option<String>,
    /// As it came, without quotes.
    pub boundary: Option<String>,
    /// Whether there are parameters beside these two.
    pub others: bool,
}

pub fn is_token(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(token)
}

/// One `name=value` of a field's parameters, and what follows its `;`. `None` if it is malformed. Escapes in quoted strings
/// are legal and used by nobody but those who test parsers: they are malformed here.
pub fn next_parameter(text: &str) -> Option<(&str, &str, &str)> {
    let (name, after) = text.split_once('=')?;
    let (value, after) = match after.strip_prefix('"') {
        Some(quoted) => {
            let (value, after) = quoted.split_once('"')?;
            if value.contains('\\') {
                return None;
            }
            (value, after.trim_start_matches([' ', '\t']))
        }
        None => {
            let end = after.find(';').unwrap_or(after.len());
            let (value, after) = after.split_at_checked(end)?;
            let value = value.trim_end_matches([' ', '\t']);
            if !is_token(value) {
                return None;
            }
            (value, after)
        }
    };
    let rest = match after.strip_prefix(';') {
        Some(rest) => rest.trim_start_matches([' ', '\t']),
        None if after.is_empty() => "",
        None => return None,
    };
    is_token(name).then_some((name, value, rest))
}

impl MediaType {
    /// `None` for what is no single media type: a list (as Envoy joins repeated fields), a parameter without a value or
    /// twice, a quoted value that does not end.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (essence, rest) = text.split_once(';').unwrap_or((text, ""));
        let essence = essence.trim_matches([' ', '\t']).to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        let mut media = Self {
            essence,
            charset: None,
            boundary: None,
            others: false,
        };
        let mut rest = rest.trim_start_matches([' ', '\t']);
        let mut names = Vec::new();
        while !rest.is_empty() {
            let (name, value, after) = next_parameter(rest)?;
            let name = name.to_ascii_lowercase();
            if names.contains(&name) {
                return None;
            }
            match name.as_str() {
                "charset" => media.charset = Some(value.to_ascii_lowercase()),
                "boundary" => media.boundary = Some(value.to_owned()),
                _ => media.others = true,
            }
            names.push(name);
            rest = after;
        }
        Some(media)
    }

    pub fn is_json(&self) -> bool {
        ["/json", "+json", "/x-json"]
            .iter()
            .any(|end| self.essence.ends_with(end))
    }

    pub fn is_form(&self) -> bool {
        self.essence == "application/x-www-form-urlencoded"
    }

    pub fn is_multipart(&self) -> bool {
        self.essence.starts_with("multipart/")
    }

    /// Whether the text is UTF-8 as far as the charset says.
    pub fn is_utf8(&self) -> bool {
        self.charset
            .as_deref()
            .is_none_or(|charset| matches!(charset, "utf-8" | "utf8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn media(text: &str, expected: Option<(&str, Option<&str>)>) {
        let found = MediaType::parse(text.as_bytes());
        let found = found.as_ref().map(|m| (m.essence.as_str(), m.charset.as_deref()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn content_types_are_read_strictly() {
        media("application/json", Some(("application/json", None)));
        media(
            "Application/JSON ; Charset=UTF-8",
            Some(("application/json", Some("utf-8"))),
        );
        media(
            "application/json;charset=\"utf-8\"",
            Some(("application/json", Some("utf-8"))),
        );
        media(
            "multipart/form-data; boundary=x; charset=utf-8",
            Some(("multipart/form-data", Some("utf-8"))),
        );
        media("application/json;", Some(("application/json", None)));
        for text in [
            "",
            "json",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "application/json, text/plain",
            "application/json;charset",
            "application/json;charset=",
            "application/json;charset=a;charset=b",
            "application/json;charset=\"utf-8",
            "application/json;charset=\"a\"b",
            "application/json;a=b c",
            "application/json;=x",
            "application/json;charset=\"ut\\f-8\"",
            "application /json",
            "application/json;charset=utf-8,text/plain",
        ] {
            media(text, None);
        }
        assert_eq!(MediaType::parse(b"application/json\xff"), None);
    }

    #[test]
    fn a_boundary_keeps_its_case_and_stands_alone() {
        let media = MediaType::parse(b"multipart/form-data; Boundary=\"aB:c\"").unwrap();
        assert_eq!((media.boundary.as_deref(), media.others), (Some("aB:c"), false));
        for text in [
            "multipart/form-data; boundary=a; boundary*=b",
            "multipart/form-data; boundary*0=a",
        ] {
            assert!(MediaType::parse(text.as_bytes()).unwrap().others, "{text}");
        }
        assert_eq!(MediaType::parse(b"multipart/form-data; boundary=a; boundary=b"), None);
    }
}
