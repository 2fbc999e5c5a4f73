//! The fuzz targets: each takes any bytes and panics where a promise is broken. One file a target; a new one is named here
//! and gets a folder under `regressions`.

mod json;
mod matching;
mod path;

/// Takes an input.
pub type Run = fn(&[u8]);

pub const ALL: &[(&str, Run)] = &[("json", json::run), ("matching", matching::run), ("path", path::run)];
