//! Hosts of operations: one name, or all names below a domain. Compared in lower case, without port and final dot, so that
//! no spelling of a host gets past its rules.

use std::borrow::Cow;
use std::fmt;

/// Which hosts an operation is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPattern {
    /// In the form of [`host_of`].
    Exact(String),
    /// `*.example.com`, kept as `.example.com`: every name below it, at any depth, and not itself.
    Below(String),
}

/// Completes "expected ...".
pub const HOST_EXPECTED: &str = "a host in lower case without a port, such as \"api.example.com\" or \"*.example.com\"";

impl HostPattern {
    /// `None` if the text is neither a host in the form that is compared, nor `*.` before one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = |host: &str| crate::request::is_authority(host.as_bytes()) && host_of(host) == host;
        match text.strip_prefix('*') {
            Some(below) => {
                let domain = below.strip_prefix('.')?;
                (is_name(domain) && !domain.starts_with(['.', '['])).then(|| Self::Below(below.to_owned()))
            }
            None => is_name(text).then(|| Self::Exact(text.to_owned())),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(domain) => write!(f, "*{domain}"),
        }
    }
}

/// The host of an authority: in lower case, without port and final dot.
pub fn host_of(authority: &str) -> Cow<'_, str> {
    let host = match authority.rsplit_once(':') {
        Some((host, _)) if !authority.ends_with(']') => host,
        _ => authority,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_in_one_form() {
        for (authority, host) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.com:8443", "api.example.com"),
            ("api.example.com.", "api.example.com"),
            ("api.example.com.:443", "api.example.com"),
            ("[2001:DB8::1]:443", "[2001:db8::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(host_of(authority), host, "{authority}");
        }
    }

    #[test]
    fn patterns_are_written_in_the_compared_form() {
        assert_eq!(HostPattern::parse("a.b"), Some(HostPattern::Exact("a.b".into())));
        assert_eq!(HostPattern::parse("[::1]"), Some(HostPattern::Exact("[::1]".into())));
        assert_eq!(HostPattern::parse("*.a.b"), Some(HostPattern::Below(".a.b".into())));
        for text in [
            "", "*", "*.", "*a.b", "a.*", "*.*.b", "A.b", "a.b:80", "a.b.", "a/b", "*.a.b:80", "*..a", "*.[::1]", "é.b",
        ] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
    }
}
