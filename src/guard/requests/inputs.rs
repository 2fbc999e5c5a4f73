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
