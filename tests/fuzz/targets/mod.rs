//! The fuzz targets: each takes any bytes and panics where a promise is broken. One file a target; a new one is named here
//! and gets a folder under `regressions`.

mod feed;
mod form;
mod introspection;
mod json;
mod jwks;
mod lookup;
mod matching;
mod multipart;
mod path;
mod schema;
mod status_list;
mod threats;
mod threats_decode;
mod threats_request;
mod token;

/// Takes an input.
pub type Run = fn(&[u8]);

pub const ALL: &[(&str, Run)] = &[
    ("feed", feed::run),
    ("form", form::run),
    ("introspection", introspection::run),
    ("json", json::run),
    ("jwks", jwks::run),
    ("lookup", lookup::run),
    ("matching", matching::run),
    ("multipart", multipart::run),
    ("path", path::run),
    ("schema", schema::run),
    ("status-list", status_list::run),
    ("token", token::run),
    ("threats", threats::all),
    ("threats-decode", threats_decode::run),
    ("threats-request", threats_request::run),
    ("threats-script", threats::script),
    ("threats-sql", threats::sql),
];
