//! Everything that a request says in places where text is taken for more than text, decoded once: for guards that look at
//! values (threats, account limits) without parsing anything themselves.

use super::Parsed;
use super::cookies;
use super::pairs::{HEAD_PAIRS_MAX, Pair, form_pairs};
use crate::path::Target;
use crate::request::Head;
use std::borrow::Cow;

/// A request's texts. Bounded by what was read: [`HEAD_PAIRS_MAX`] for query and cookies, the limits of `requests` for the
/// body, Envoy's own for the head.
#[derive(Debug)]
pub struct Inputs<'r> {
    /// The path's segments as operations match them: decoded, without what follows a `;`.
    pub segments: Vec<Cow<'r, str>>,
    /// Decoded names and values. `Err` with the query as it came where it has none.
    pub query: Result<Vec<Pair<'r>>, &'r str>,
    /// As [`Inputs::query`]; `Err` where a `Cookie` field is not UTF-8, holds NUL or too many cookies.
    pub cookies: Result<Vec<Pair<'r>>, ()>,
    /// All fields, as bytes.
    pub head: &'r Head,
    /// JSON, form pairs, parts with names and file names, or neither.
    pub body: &'r Parsed<'r>,
}

impl<'r> Inputs<'r> {
    /// Gathers what a head and a parsed body say.
    pub fn of(head: &'r Head, target: &'r Target, body: &'r Parsed<'r>) -> Self {
        let query = target.query().unwrap_or_default();
        Self {
            segments: target.segments().collect(),
            query: form_pairs(query, HEAD_PAIRS_MAX).map_err(|_| query),
            cookies: cookies(head).map_err(drop),
            head,
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_each_thing_once_and_decoded() {
        let head = Head::from_fields([("cookie", &b"a=1; b=%20"[..]), ("cookie", b"c=3")]);
        let target = Target::parse(b"/x%20y;z//%C3%A9?q=a+b&%71=%3C").unwrap();
        let body = Parsed::Opaque;
        let inputs = Inputs::of(&head, &target, &body);
        assert_eq!(inputs.segments, ["x y", "é"]);
        let shown =
            |pairs: &[Pair<'_>]| -> Vec<String> { pairs.iter().map(|p| format!("{}={}", p.name, p.value)).collect() };
        assert_eq!(shown(inputs.query.as_ref().unwrap()), ["q=a b", "q=<"]);
        assert_eq!(shown(inputs.cookies.as_ref().unwrap()), ["a=1", "b= ", "c=3"]);
        // What has no pairs is there as it came.
        let target = Target::parse(b"/?q=%zz").unwrap();
        assert_eq!(Inputs::of(&head, &target, &body).query, Err("q=%zz"));
    }
}
