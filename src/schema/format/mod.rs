//! The formats that can be asserted (JSON Schema 2020-12 validation §7.3, and OpenAPI's registry), each a plain check
//! without a regular expression.

mod net;
mod time;
mod uri;

use super::regex::Regex;
use crate::json::Number;
use std::net::{Ipv4Addr, Ipv6Addr};
use uri::Letters;

/// A format of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Date,
    DateTime,
    Time,
    Duration,
    Uuid,
    Ipv4,
    Ipv6,
    Email,
    IdnEmail,
    Hostname,
    Uri,
    UriReference,
    Iri,
    IriReference,
    UriTemplate,
    JsonPointer,
    RelativeJsonPointer,
    Regex,
}

/// The width of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegerBits {
    Int32,
    Int64,
}

/// What a format's name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    Text(Format),
    Integer(IntegerBits),
    /// It says how a value is shown or sent; every value has it.
    Nothing,
}

impl Known {
    pub fn named(name: &str) -> Option<Self> {
        let format = match name {
            "date" => Format::Date,
            "date-time" => Format::DateTime,
            "time" => Format::Time,
            "duration" => Format::Duration,
            "uuid" => Format::Uuid,
            "ipv4" => Format::Ipv4,
            "ipv6" => Format::Ipv6,
            "email" => Format::Email,
            "idn-email" => Format::IdnEmail,
            "hostname" => Format::Hostname,
            "uri" => Format::Uri,
            "uri-reference" => Format::UriReference,
            "iri" => Format::Iri,
            "iri-reference" => Format::IriReference,
            "uri-template" => Format::UriTemplate,
            "json-pointer" => Format::JsonPointer,
            "relative-json-pointer" => Format::RelativeJsonPointer,
            "regex" => Format::Regex,
            "int32" => return Some(Self::Integer(IntegerBits::Int32)),
            "int64" => return Some(Self::Integer(IntegerBits::Int64)),
            "float" | "double" | "binary" | "password" => return Some(Self::Nothing),
            _ => return None,
        };
        Some(Self::Text(format))
    }
}

impl IntegerBits {
    /// Whether a whole number fits; other numbers are not this format's matter.
    pub fn admits(self, value: &Number<'_>) -> bool {
        if !value.is_integer() {
            return true;
        }
        match self {
            Self::Int32 => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            Self::Int64 => value.as_i64().is_some(),
        }
    }

    pub fn describe(self) -> &'static str {
        match self {
            Self::Int32 => "must fit in 32 bits",
            Self::Int64 => "must fit in 64 bits",
        }
    }
}

impl Format {
    pub fn admits(self, text: &str) -> bool {
        match self {
            Self::Date => time::is_date(text),
            Self::Time => time::is_time(text),
            Self::DateTime => time::is_date_time(text),
            Self::Duration => time::is_duration(text),
            Self::Uuid => net::is_uuid(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Email => net::is_email(text),
            Self::IdnEmail => net::is_idn_email(text),
            Self::Hostname => net::is_hostname(text),
            Self::Uri => uri::is_uri(text, Letters::Ascii),
            Self::UriReference => uri::is_reference(text, Letters::Ascii),
            Self::Iri => uri::is_uri(text, Letters::International),
            Self::IriReference => uri::is_reference(text, Letters::International),
            Self::UriTemplate => uri::is_template(text),
            Self::JsonPointer => uri::is_pointer(text),
            Self::RelativeJsonPointer => uri::is_relative_pointer(text),
            Self::Regex => Regex::is_syntax(text),
        }
    }

    /// Whether what the format admits is harmless by its form alone.
    pub fn pins(self) -> bool {
        matches!(
            self,
            Self::Date | Self::DateTime | Self::Time | Self::Duration | Self::Uuid | Self::Ipv4 | Self::Ipv6
        )
    }

    /// What a value should be, for messages.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Date => "must be a date such as 2026-01-31",
            Self::DateTime => "must be a date and time such as 2026-01-31T12:00:00Z",
            Self::Time => "must be a time such as 12:00:00Z",
            Self::Duration => "must be a span of time such as P1DT12H",
            Self::Uuid => "must be a UUID",
            Self::Ipv4 => "must be an IPv4 address",
            Self::Ipv6 => "must be an IPv6 address",
            Self::Email | Self::IdnEmail => "must be an email address",
            Self::Hostname => "must be a host name",
            Self::Uri | Self::Iri => "must be a URI",
            Self::UriReference | Self::IriReference => "must be a URI or a relative reference",
            Self::UriTemplate => "must be a URI template",
            Self::JsonPointer => "must be a JSON Pointer",
            Self::RelativeJsonPointer => "must be a relative JSON Pointer",
            Self::Regex => "must be a regular expression",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_take_and_refuse() {
        for (format, good, bad) in [
            (
                Format::Date,
                &["2026-01-31", "2024-02-29"][..],
                &["2026-02-29", "2026-1-31", "2026-13-01", "1900-02-29", "2026-01-31T"][..],
            ),
            (
                Format::Time,
                &["12:00:00Z", "23:59:60Z", "00:59:60+01:00", "12:00:00.5-05:30"],
                &[
                    "12:00:60Z",
                    "24:00:00Z",
                    "12:00Z",
                    "12:00:00",
                    "12:00:00.Z",
                    "12:00:00+1:00",
                ],
            ),
            (
                Format::DateTime,
                &["2026-01-31T12:00:00Z", "2026-01-31t12:00:00z"],
                &["2026-01-31 12:00:00Z", "2026-01-31", "é026-01-31T12:00:00Z"],
            ),
            (
                Format::Uuid,
                &["2eb8aa08-aa98-11ea-b4aa-73b441d16380"],
                &[
                    "2eb8aa08-aa98-11ea-b4aa-73b441d1638",
                    "2eb8aa08aa98-11ea-b4aa-73b441d163800-",
                    "{eb8aa08-aa98-11ea-b4aa-73b441d1638}",
                ],
            ),
            (
                Format::Duration,
                &["P4Y", "P1Y2M3D", "PT1H", "P1DT12H", "P2W", "PT1M5S"],
                &[
                    "P", "PT", "P1", "4Y", "P1Y3D", "P1D1Y", "P1YT", "P1W2D", "PT1D", "P1.5Y", "P१Y",
                ],
            ),
            (
                Format::Uri,
                &[
                    "http://a.b/c?d#e",
                    "urn:x:y",
                    "ldap://[2001:db8::7]/c",
                    "mailto:a@b",
                    "http://a:80/",
                ],
                &[
                    "//a/b",
                    "/abc",
                    "a b",
                    "http://a b",
                    "http://[::1",
                    "http:// x",
                    "a:<>",
                    "http://a:b/",
                    "x:%zz",
                    "1:a",
                ],
            ),
            (
                Format::UriReference,
                &["", "/abc", "a/b", "#x", "//a/b", "http://a"],
                &["\\\\a", "#\\", "a b", "1:b"],
            ),
            (Format::Iri, &["http://ƒøø.ßår/?∂éœ=πîx"], &["http://a b", "ƒ"]),
            (
                Format::UriTemplate,
                &["http://a/{b,c*}/{+d:3}", "a"],
                &["{", "}", "{}", "{a b}", "{a:0}"],
            ),
            (Format::JsonPointer, &["", "/a~1b/~0", "/"], &["a", "/~", "/~2"]),
            (
                Format::RelativeJsonPointer,
                &["0", "1/a", "2#"],
                &["", "/a", "01", "-1", "0##"],
            ),
            (Format::Regex, &["^a(b|c)$", "(a)\\1", "(?=x)"], &["(", "[z-a]", "\\a"]),
            (Format::IdnEmail, &["실례@실례.테스트", "a@b.c"], &["실례", "@a"]),
            (Format::Ipv4, &["192.0.2.1"], &["192.0.2.01", "192.0.2", "192.0.2.1/32"]),
            (
                Format::Ipv6,
                &["::1", "2001:db8::192.0.2.1"],
                &["::1%eth0", "[::1]", "12345::"],
            ),
            (
                Format::Email,
                &["a.b+c@example.com"],
                &["a@", "@b", "a..b@c", "a b@c", "a@b@c", "a@-b"],
            ),
            (
                Format::Hostname,
                &["example.com", "a", "xn--4gbwdl"],
                &["", "-a", "a-", "a_b", "a..b", "a."],
            ),
        ] {
            good.iter()
                .for_each(|text| assert!(format.admits(text), "{format:?} {text}"));
            bad.iter()
                .for_each(|text| assert!(!format.admits(text), "{format:?} {text}"));
        }
    }
}
