//! `schemas`: documents that the schemas of operations may refer to, by URI. They stand here because none is ever fetched.

use super::field::Field;
use crate::schema::{Options, check_document, split_fragment};

/// The documents by the URI that names them.
pub fn documents<'v>(field: &Field<'v>) -> Vec<(String, Field<'v>)> {
    let mut documents = Vec::new();
    for (uri, schema) in field.members().unwrap_or_default() {
        // An empty fragment names the same document, as in draft 7's name of itself.
        match split_fragment(uri) {
            ("", _) => schema.note("expected a URI as the name"),
            (uri, "") if documents.iter().any(|(known, _)| known == uri) => schema.note("is there already"),
            (uri, "") => documents.push((uri.to_owned(), schema)),
            _ => schema.note("expected a URI without a fragment as the name"),
        }
    }
    documents
}

/// Notes the faults of each, whether or not an operation refers to it.
pub fn check(options: Options<'_>) {
    for (uri, document) in options.documents {
        check_document(uri, document, options);
    }
}
